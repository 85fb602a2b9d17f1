/* SPDX-License-Identifier: MIT */
/*
 * Directories: opened and closed through libfuse, read straight into the payload.
 *
 * READDIRPLUS first takes the names, then looks each of them up, so that no lookup happens inside
 * the directory walk of the fs; by number where the fs can, after it has heard all numbers. The
 * control tree's name is appended to the root's listing where control=list asks for it, at an
 * offset that no fs uses.
 */
#define FUSE_USE_VERSION 35
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include <fuse3/fuse_lowlevel.h>

#include "fs/fuse/front.h"

#define CONTROL_OFF ((uint64_t)INT64_MAX) /* behind the last entry */

enum { ANNOUNCE_NR = 256 }; /* numbers told to the fs at once */

struct dir_fill {
	struct ff_req *r;
	const struct ff_node *dir;
	char *buf;
	size_t len;
	size_t cap;
	bool is_plus;
	bool is_full;
};

static int dir_emit(void *ctx, const char *name, size_t name_len, uint64_t ino, uint32_t d_type,
		    uint64_t next_off)
{
	struct dir_fill *fill = ctx;
	struct wire_dirent d = {
		.name = name,
		.name_len = name_len,
		.node = ff_shown_ino(fill->dir, ino),
		.d_type = d_type,
		.next_off = next_off,
	};

	if (wire_dirent_size(name_len, fill->is_plus) > fill->cap - fill->len) {
		fill->is_full = true;
		return 1;
	}
	fill->len += wire_dirent_put(fill->buf + fill->len, &d, fill->is_plus, NULL, NULL);
	return 0;
}

static bool is_dot_name(const struct fuse_dirent *de)
{
	return (de->namelen == 1 && de->name[0] == '.') ||
	       (de->namelen == 2 && de->name[0] == '.' && de->name[1] == '.');
}

/* The next entry of a plus reply; NULL at its end. */
static struct fuse_direntplus *plus_next(const struct dir_fill *fill, size_t *pos)
{
	struct fuse_direntplus *plus = (struct fuse_direntplus *)(fill->buf + *pos);

	if (*pos >= fill->len)
		return NULL;
	*pos += wire_dirent_size(plus->dirent.namelen, true);
	return plus;
}

/* . and .. and the control tree stay bare names: the kernel has them, or asks. */
static bool is_bare(const struct fuse_dirent *de)
{
	return is_dot_name(de) || de->off == CONTROL_OFF;
}

/* The number of @de as the fs has it; 0: only its name will do, as for a name of the root. */
static uint64_t plus_ino(const struct ff_node *dir, const struct fuse_dirent *de)
{
	if (!dir->fs->has_fixed_content || !dir->fs->ops->lookup_ino ||
	    de->ino == ff_shown_ino(dir, FS_ROOT_INO))
		return 0;
	return de->ino & ~dir->bit;
}

static void plus_announce(const struct dir_fill *fill)
{
	const struct ff_node *dir = fill->dir;
	struct fuse_direntplus *plus;
	uint64_t inos[ANNOUNCE_NR];
	unsigned int nr = 0;
	size_t pos = 0;

	if (!dir->fs->ops->will_lookup)
		return;
	while ((plus = plus_next(fill, &pos)) != NULL) {
		if (is_bare(&plus->dirent) || !plus_ino(dir, &plus->dirent))
			continue;
		inos[nr++] = plus_ino(dir, &plus->dirent);
		if (nr == ANNOUNCE_NR) {
			dir->fs->ops->will_lookup(dir->fs, inos, nr);
			nr = 0;
		}
	}
	if (nr)
		dir->fs->ops->will_lookup(dir->fs, inos, nr);
}

/* Fills in what the names stand for; one that cannot be looked up stays a bare name. */
static void plus_lookup(const struct dir_fill *fill)
{
	const struct ff_node *dir = fill->dir;
	struct wire_ttl ttl = ff_ttl(dir->fs);
	struct fuse_direntplus *plus;
	struct fs_stat st;
	size_t pos = 0;

	plus_announce(fill);
	while ((plus = plus_next(fill, &pos)) != NULL) {
		const struct fuse_dirent *de = &plus->dirent;
		uint64_t ino = plus_ino(dir, de);
		int err;

		if (is_bare(de))
			continue;
		err = ino ? dir->fs->ops->lookup_ino(dir->fs, ino, &st)
			  : dir->fs->ops->lookup(dir->fs, dir->ino, de->name, de->namelen, &st);
		if (!err)
			wire_entry_fill(&plus->entry_out, &st, st.ino | dir->bit, &ttl);
	}
}

static void plus_forget(const struct dir_fill *fill)
{
	struct fuse_direntplus *plus;
	size_t pos = 0;

	while ((plus = plus_next(fill, &pos)) != NULL)
		if (plus->entry_out.nodeid)
			fill->dir->fs->ops->forget(fill->dir->fs,
						   plus->entry_out.nodeid & ~FF_CONTROL_BIT, 1);
}

static bool lists_control(const struct ff_req *r, const struct ff_node *dir)
{
	return r->ff->control && r->ff->control_show == FUSE_FRONT_CONTROL_LIST && !dir->bit &&
	       dir->ino == FS_ROOT_INO;
}

void ff_op_readdir(struct ff_req *r)
{
	const struct fuse_read_in *in = r->msg.arg;
	struct ff_node dir = ff_node(r->ff, r->in.nodeid);
	struct dir_fill fill = {
		.r = r,
		.dir = &dir,
		.buf = r->payload,
		.is_plus = r->in.opcode == FUSE_READDIRPLUS,
	};
	uint64_t off;
	int err = 0;

	if (r->msg.arg_len < sizeof(*in)) {
		ff_reply_err(r, -EINVAL);
		return;
	}
	off = in->offset;
	fill.cap = min_t(size_t, in->size, r->payload_cap);
	if (off != CONTROL_OFF)
		err = dir.fs->ops->readdir(dir.fs, ff_req_file(r, in->fh)->file, off, dir_emit,
					   &fill);
	if (err < 0 && fill.len == 0) {
		ff_reply_err(r, err);
		return;
	}
	if (err == 0 && off != CONTROL_OFF && !fill.is_full && lists_control(r, &dir))
		dir_emit(&fill, FF_CONTROL_NAME, strlen(FF_CONTROL_NAME),
			 FS_ROOT_INO | FF_CONTROL_BIT, DT_DIR, CONTROL_OFF);
	if (fill.is_plus)
		plus_lookup(&fill);
	if (ff_reply_buf(r, r->payload, fill.len) == -ENOENT && fill.is_plus)
		plus_forget(&fill);
}

static void dir_opendir(fuse_req_t lf, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	struct fuse_open_out out = { 0 };
	struct fs_file *file;
	struct ff_file *f;
	int err = n.fs->ops->opendir(n.fs, n.ino, &file);

	if (!err)
		err = ff_file_open(r, &n, file, true, &f);
	if (err) {
		ff_reply_err(r, err);
		return;
	}
	out.fh = (uint64_t)(uintptr_t)f;
	if (n.fs->has_fixed_content && !lists_control(r, &n))
		out.open_flags = FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
	if (ff_reply_buf(r, &out, sizeof(out)) == -ENOENT)
		ff_file_release(f);
}

static void dir_releasedir(fuse_req_t lf, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);

	ff_file_release(ff_req_file(r, fi->fh));
	r->file = NULL;
	ff_reply_err(r, 0);
}

static void dir_fsyncdir(fuse_req_t lf, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_file *f = ff_req_file(r, fi->fh);
	int err = 0;

	if (f->fs->ops->fsyncdir)
		err = f->fs->ops->fsyncdir(f->fs, f->file, datasync);
	ff_reply_err(r, err);
}

void ff_dir_ops(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = dir_opendir;
	ops->releasedir = dir_releasedir;
	ops->fsyncdir = dir_fsyncdir;
}
