/* SPDX-License-Identifier: MIT */
/*
 * Open files: handles, data, and what is done to a file as a whole.
 *
 * READ and WRITE are decoded here: the payload goes to the fs as it lies, and comes back so.
 * Which cache a file uses is decided when it is opened: ff_fopen_flags().
 *
 * Invariant: a handle is on the list of the reactor that opened it until that reactor frees it, so
 * that what the kernel never releases is released at the end (ff_fs_end()).
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <fuse3/fuse_lowlevel.h>

#include "base/log.h"

#include "fs/fuse/front.h"

enum { DRAIN_STEP_NS = 1000 * 1000 };

#define STAT_ADD(counter, n) WRITE_ONCE(counter, (counter) + (n))

/* ---- handles ----------------------------------------------------------------------------------- */

static void file_unlist(struct ff_file *f)
{
	list_del(&f->node);
	free(f);
}

static void file_unlist_msg(struct rt_msg *m)
{
	file_unlist(container_of(m, struct ff_file, msg));
}

int ff_file_open(struct ff_req *r, const struct ff_node *n, struct fs_file *file, bool is_dir,
		 struct ff_file **out)
{
	struct ff_file *f = malloc(sizeof(*f));

	if (!f) {
		n->fs->ops->release(n->fs, file);
		return -ENOMEM;
	}
	*f = (struct ff_file){
		.fs = n->fs,
		.file = file,
		.cpu = r->cpu,
		.msg = { .fn = file_unlist_msg },
		.nodeid = n->ino | n->bit,
		.is_dir = is_dir,
	};
	list_add_tail(&f->node, &r->cpu->files);
	r->file = f;
	*out = f;
	return 0;
}

void ff_file_release(struct ff_file *f)
{
	f->fs->ops->release(f->fs, f->file);
	if (f->cpu->reactor == rt_reactor_id())
		file_unlist(f);
	else
		rt_post(f->cpu->reactor, &f->msg);
}

/* Context: handler on the reactor of @arg: the lists are quiet, but for unlist messages. */
static void files_take(void *arg)
{
	struct ff_cpu *cpu = ((struct ff_cpu **)arg)[0];
	struct list_head *all = ((struct list_head **)arg)[1];

	list_splice_init(&cpu->files, all);
}

/* What the kernel did not release (an abort, a lost RELEASE) is released now. */
static void files_end(struct fuse_front *ff)
{
	LIST_HEAD(all);
	struct ff_file *f, *next;

	for (unsigned int i = 0; i < ff->cpus_nr; i++) {
		void *arg[2] = { &ff->cpus[i], &all };

		if (rt_call_on(ff->cpus[i].reactor, files_take, arg))
			log_err("fuse: reactor %u does not answer at unmount", i);
	}
	list_for_each_entry_safe(f, next, &all, node) {
		f->fs->ops->release(f->fs, f->file);
		free(f);
	}
}

static int fs_unmount_synced(struct fs *fs)
{
	int err = fs->ops->sync(fs);
	int unmount_err = fs->ops->unmount(fs);

	if (err || unmount_err)
		log_err("fuse: unmount of %s: %s; what was not written is lost", fs->type,
			strerror(err ? -err : -unmount_err));
	return err ? err : unmount_err;
}

void ff_fs_end(struct fuse_front *ff, unsigned int own_nr)
{
	if (ff->is_fs_gone)
		return;
	__atomic_store_n(&ff->is_closing, true, __ATOMIC_SEQ_CST);
	while (ff_inflight_nr(ff) > own_nr || __atomic_load_n(&ff->syncs_nr, __ATOMIC_SEQ_CST))
		rt_sleep_ns(DRAIN_STEP_NS);
	files_end(ff);
	ff->is_fs_gone = true;
	ff->unmount_res = fs_unmount_synced(ff->fs);
	if (ff->control)
		(void)fs_unmount_synced(ff->control);
}

/* ---- open and close ----------------------------------------------------------------------------- */

/*
 * With the writeback cache negotiated, a direct write on an FOPEN_DIRECT_IO file would leave the
 * kernel's mtime stale: O_DIRECT is then honoured by the kernel inside the cached file.
 */
uint32_t ff_fopen_flags(const struct fuse_front *ff, const struct fs *fs, int flags)
{
	enum { DIRECT = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES };

	if (!fs->is_cacheable)
		return FOPEN_DIRECT_IO;
	switch ((enum fuse_front_mode)READ_ONCE(ff->mode)) {
	case FUSE_FRONT_MODE_DIRECT:
		return DIRECT;
	case FUSE_FRONT_MODE_AUTO:
		return (flags & O_DIRECT) && !ff->init.has_writeback ? DIRECT : FOPEN_KEEP_CACHE;
	case FUSE_FRONT_MODE_BUFFERED:
		break;
	}
	return FOPEN_KEEP_CACHE;
}

static void file_open(fuse_req_t lf, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	struct fuse_open_out out = { 0 };
	struct fs_file *file;
	struct ff_file *f;
	int err = n.fs->ops->open(n.fs, n.ino, fi->flags, &file);

	if (!err)
		err = ff_file_open(r, &n, file, false, &f);
	if (err) {
		ff_reply_err(r, err);
		return;
	}
	out.fh = (uint64_t)(uintptr_t)f;
	out.open_flags = ff_fopen_flags(r->ff, n.fs, fi->flags);
	if (ff_reply_buf(r, &out, sizeof(out)) == -ENOENT)
		ff_file_release(f);
}

static int file_create_fs(struct ff_req *r, const struct ff_node *dir, const char *name,
			  const struct fs_cred *cred, mode_t mode, int flags, struct fs_stat *st,
			  struct ff_file **f)
{
	struct ff_node n = *dir;
	struct fs_file *file;
	int err;

	if (r->ff->control && !dir->bit && dir->ino == FS_ROOT_INO &&
	    strcmp(name, FF_CONTROL_NAME) == 0)
		return -EPERM;
	if (!dir->fs->ops->create)
		return ff_no_change_op(dir->fs, dir->bit ? -EPERM : -ENOSYS);
	err = dir->fs->ops->create(dir->fs, dir->ino, name, strlen(name), mode, flags, cred, st,
				   &file);
	if (err)
		return err;
	n.ino = st->ino;
	err = ff_file_open(r, &n, file, false, f);
	if (err)
		dir->fs->ops->forget(dir->fs, st->ino, 1);
	return err;
}

static void file_create(fuse_req_t lf, fuse_ino_t parent, const char *name, mode_t mode,
			struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node dir = ff_node(r->ff, parent);
	struct fs_cred cred = ff_cred(r);
	struct wire_ttl ttl = ff_ttl(dir.fs);
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };
	struct fs_stat st;
	struct ff_file *f;
	int err;

	cred.umask = fuse_req_ctx(lf)->umask;
	err = file_create_fs(r, &dir, name, &cred, mode, fi->flags, &st, &f);
	if (err) {
		ff_reply_err(r, err);
		return;
	}
	wire_entry_fill(&out.entry, &st, st.ino | dir.bit, &ttl);
	out.open.fh = (uint64_t)(uintptr_t)f;
	out.open.open_flags = ff_fopen_flags(r->ff, dir.fs, fi->flags);
	if (ff_reply_buf(r, &out, sizeof(out)) == -ENOENT) {
		ff_file_release(f);
		dir.fs->ops->forget(dir.fs, st.ino, 1);
	}
}

static void file_release(fuse_req_t lf, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);

	ff_file_release(ff_req_file(r, fi->fh));
	r->file = NULL;
	ff_reply_err(r, 0);
}

/* -ENOSYS is remembered by the kernel for the whole mount: only the main fs may say it. */
static void file_flush(fuse_req_t lf, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_file *f = ff_req_file(r, fi->fh);
	int err = f->fs == r->ff->fs ? -ENOSYS : 0;

	if (f->fs->ops->flush)
		err = f->fs->ops->flush(f->fs, f->file);
	ff_reply_err(r, err);
}

static void file_fsync(fuse_req_t lf, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_file *f = ff_req_file(r, fi->fh);
	int err = 0;

	if (f->fs->ops->fsync)
		err = f->fs->ops->fsync(f->fs, f->file, datasync);
	ff_reply_err(r, err);
}

void ff_op_syncfs(struct ff_req *r)
{
	ff_reply_err(r, r->ff->fs->ops->sync(r->ff->fs));
}

/* ---- data --------------------------------------------------------------------------------------- */

static struct fs_io io_of(const struct ff_req *r, const struct wire_rw *rw, void *mem, size_t cap)
{
	return (struct fs_io){
		.off = rw->off,
		.len = rw->size,
		.iov = { mem, cap },
		.is_direct = rw->is_direct,
		.is_sync = rw->is_sync,
		.is_dsync = rw->is_dsync,
		.is_writeback = rw->is_writeback,
		.cred = ff_cred(r),
	};
}

/* An O_DIRECT transfer is held to the device's logical blocks; FUSE does not show us its memory. */
static bool is_misaligned(const struct fs *fs, const struct wire_rw *rw)
{
	return rw->is_direct && fs->dio_align_bytes > 1 &&
	       !is_aligned(rw->off | rw->size, fs->dio_align_bytes);
}

void ff_op_read(struct ff_req *r)
{
	struct ff_file *f;
	struct wire_rw rw;
	struct fs_io io;
	ssize_t len;
	int err = wire_read_decode(r->msg.arg, r->msg.arg_len, r->payload_cap, &rw);

	f = err ? NULL : ff_req_file(r, rw.fh);
	if (!err && is_misaligned(f->fs, &rw))
		err = -EINVAL;
	if (err) {
		ff_reply_err(r, err);
		return;
	}
	io = io_of(r, &rw, r->payload, r->payload_cap);
	len = f->fs->ops->read(f->fs, f->file, &io);
	if (len < 0) {
		ff_reply_err(r, (int)len);
		return;
	}
	STAT_ADD(r->cpu->stats.read_bytes, (uint64_t)len);
	ff_reply_buf(r, r->payload, (size_t)len);
}

static int write_kill_suid(struct ff_req *r, const struct ff_file *f)
{
	struct fs_cred cred = ff_cred(r);
	struct fs_stat none = { 0 }, st;

	if (!f->fs->ops->setattr)
		return 0;
	return f->fs->ops->setattr(f->fs, f->nodeid & ~FF_CONTROL_BIT, f->file, FS_SET_KILL_SUID,
				   &none, &cred, &st);
}

void ff_op_write(struct ff_req *r)
{
	struct fuse_write_out out = { 0 };
	struct ff_file *f;
	struct wire_rw rw;
	struct fs_io io;
	ssize_t len = 0;
	int err = wire_write_decode(r->msg.arg, r->msg.arg_len, r->msg.data_len, &rw);

	f = err ? NULL : ff_req_file(r, rw.fh);
	if (!err && !f->fs->ops->write)
		err = ff_no_change_op(f->fs, -EBADF);
	if (!err && is_misaligned(f->fs, &rw))
		err = -EINVAL;
	if (!err && rw.kills_suid)
		err = write_kill_suid(r, f);
	if (!err) {
		io = io_of(r, &rw, (void *)(uintptr_t)r->msg.data, r->payload_cap);
		len = f->fs->ops->write(f->fs, f->file, &io);
		err = len < 0 ? (int)len : 0;
	}
	if (err) {
		ff_reply_err(r, err);
		return;
	}
	STAT_ADD(r->cpu->stats.write_bytes, (uint64_t)len);
	out.size = (uint32_t)len;
	ff_reply_buf(r, &out, sizeof(out));
}

/* ---- the rest ----------------------------------------------------------------------------------- */

static void file_fallocate(fuse_req_t lf, fuse_ino_t ino, int mode, off_t off, off_t len,
			   struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_file *f = ff_req_file(r, fi->fh);
	int err;

	if (f->fs->ops->fallocate)
		err = f->fs->ops->fallocate(f->fs, f->file, mode, off, len);
	else
		err = ff_no_change_op(f->fs, -EOPNOTSUPP);
	ff_reply_err(r, err);
}

static void file_lseek(fuse_req_t lf, fuse_ino_t ino, off_t off, int whence,
		       struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_file *f = ff_req_file(r, fi->fh);
	struct fuse_lseek_out out;
	off_t res = f->fs == r->ff->fs ? -ENOSYS : -EINVAL;

	if (f->fs->ops->lseek)
		res = f->fs->ops->lseek(f->fs, f->file, off, whence);
	if (res < 0) {
		ff_reply_err(r, (int)res);
		return;
	}
	out.offset = (uint64_t)res;
	ff_reply_buf(r, &out, sizeof(out));
}

static void file_ioctl(fuse_req_t lf, fuse_ino_t ino, unsigned int cmd, void *arg,
		       struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_len,
		       size_t out_cap)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	struct fs_cred cred = ff_cred(r);
	struct fuse_ioctl_out *out;
	size_t out_len = out_cap;
	int err = -ENOTTY;

	if (out_cap > r->payload_cap - sizeof(*out)) {
		ff_reply_err(r, -EINVAL);
		return;
	}
	/* Not the payload: what goes in may lie there. An ioctl is no I/O path. */
	out = calloc(1, sizeof(*out) + out_cap);
	if (!out)
		err = -ENOMEM;
	else if (n.fs->ops->ioctl)
		err = n.fs->ops->ioctl(n.fs, n.ino, cmd, &cred, in, in_len, out + 1, &out_len);
	if (err)
		ff_reply_err(r, err);
	else
		ff_reply_buf(r, out, sizeof(*out) + min(out_len, out_cap));
	free(out);
}

void ff_file_ops(struct fuse_lowlevel_ops *ops)
{
	ops->open = file_open;
	ops->create = file_create;
	ops->release = file_release;
	ops->flush = file_flush;
	ops->fsync = file_fsync;
	ops->fallocate = file_fallocate;
	ops->lseek = file_lseek;
	ops->ioctl = file_ioctl;
}
