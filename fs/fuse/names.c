/* SPDX-License-Identifier: MIT */
/*
 * Operations on names and attributes, decoded by libfuse: translate, call the fs, answer.
 *
 * The control tree hangs below the root under FF_CONTROL_NAME. That name belongs to it: the fs is
 * never asked for it, and nothing else may be given it. Operations that name two directories stay
 * inside one of the two file systems (-EXDEV).
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <fuse3/fuse_lowlevel.h>

#include "fs/fuse/front.h"

enum { TTL_SEC = 24 * 3600 }; /* nobody changes a cacheable fs behind the kernel's back */

struct wire_ttl ff_ttl(const struct fs *fs)
{
	uint32_t sec = fs->is_cacheable ? TTL_SEC : 0;

	return (struct wire_ttl){ .entry_sec = sec, .attr_sec = sec };
}

bool ff_may_control(const struct ff_req *r)
{
	return r->in.uid == 0 || r->in.uid == r->ff->owner;
}

static bool is_control_name(const struct ff_node *dir, const struct fuse_front *ff,
			    const char *name)
{
	return ff->control && !dir->bit && dir->ino == FS_ROOT_INO &&
	       strcmp(name, FF_CONTROL_NAME) == 0;
}

/* 0: @name may be made, moved or removed in @dir. */
static int name_check(const struct ff_node *dir, const struct fuse_front *ff, const char *name)
{
	if (is_control_name(dir, ff, name))
		return -EPERM;
	return strlen(name) > FS_NAME_MAX ? -ENAMETOOLONG : 0;
}

int ff_reply_entry(struct ff_req *r, const struct ff_node *dir, const struct fs_stat *st)
{
	struct wire_ttl ttl = ff_ttl(dir->fs);
	struct fuse_entry_out out;
	int err;

	wire_entry_fill(&out, st, st->ino | dir->bit, &ttl);
	err = ff_reply_buf(r, &out, sizeof(out));
	if (err == -ENOENT)
		dir->fs->ops->forget(dir->fs, st->ino, 1);
	return err;
}

static void reply_entry_or_err(struct ff_req *r, int err, const struct ff_node *dir,
			       const struct fs_stat *st)
{
	if (err)
		ff_reply_err(r, err);
	else
		ff_reply_entry(r, dir, st);
}

static void reply_attr(struct ff_req *r, const struct ff_node *n, const struct fs_stat *st)
{
	struct wire_ttl ttl = ff_ttl(n->fs);
	struct fuse_attr_out out;

	wire_attr_out_fill(&out, st, ff_shown_ino(n, n->ino), &ttl);
	ff_reply_buf(r, &out, sizeof(out));
}

/* ---- looking ----------------------------------------------------------------------------------- */

static void control_root_lookup(struct ff_req *r)
{
	struct ff_node root = ff_node(r->ff, FS_ROOT_INO | FF_CONTROL_BIT);
	struct fs_stat st;
	int err = -EACCES;

	if (ff_may_control(r))
		err = root.fs->ops->getattr(root.fs, root.ino, &st);
	reply_entry_or_err(r, err, &root, &st);
}

static void names_lookup(fuse_req_t lf, fuse_ino_t parent, const char *name)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node dir = ff_node(r->ff, parent);
	struct fs_stat st;
	int err;

	if (is_control_name(&dir, r->ff, name)) {
		control_root_lookup(r);
		return;
	}
	err = dir.fs->ops->lookup(dir.fs, dir.ino, name, strlen(name), &st);
	if (err == -ENOENT && dir.fs->is_cacheable) {
		/* "Not there" may be remembered: node 0 with a lifetime. */
		struct fuse_entry_out none = { .entry_valid = ff_ttl(dir.fs).entry_sec };

		ff_reply_buf(r, &none, sizeof(none));
		return;
	}
	reply_entry_or_err(r, err, &dir, &st);
}

static void forget_one(struct ff_req *r, uint64_t nodeid, uint64_t nlookup)
{
	struct ff_node n = ff_node(r->ff, nodeid);

	/* The control root is looked up by getattr: it is not counted. */
	if (n.ino == FS_ROOT_INO || __atomic_load_n(&r->ff->is_closing, __ATOMIC_ACQUIRE))
		return;
	n.fs->ops->forget(n.fs, n.ino, nlookup);
}

static void names_forget(fuse_req_t lf, fuse_ino_t ino, uint64_t nlookup)
{
	struct ff_req *r = ff_req_adopt(lf);

	r->lf = NULL;
	forget_one(r, ino, nlookup);
	fuse_reply_none(lf);
}

static void names_forget_multi(fuse_req_t lf, size_t count, struct fuse_forget_data *forgets)
{
	struct ff_req *r = ff_req_adopt(lf);

	r->lf = NULL;
	for (size_t i = 0; i < count; i++)
		forget_one(r, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(lf);
}

static void names_getattr(fuse_req_t lf, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	struct fs_stat st;
	int err = n.fs->ops->getattr(n.fs, n.ino, &st);

	if (err)
		ff_reply_err(r, err);
	else
		reply_attr(r, &n, &st);
}

void ff_op_statx(struct ff_req *r)
{
	struct ff_node n = ff_node(r->ff, r->in.nodeid);
	struct wire_ttl ttl = ff_ttl(n.fs);
	struct wire_statx_out out;
	struct fs_stat st;
	int err = n.fs->ops->getattr(n.fs, n.ino, &st);

	if (err) {
		ff_reply_err(r, err);
		return;
	}
	wire_statx_fill(&out, &st, ff_shown_ino(&n, n.ino), &ttl);
	ff_reply_buf(r, &out, sizeof(out));
}

static void names_readlink(fuse_req_t lf, fuse_ino_t ino)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	ssize_t len = -EINVAL;

	if (n.fs->ops->readlink)
		len = n.fs->ops->readlink(n.fs, n.ino, r->payload, FF_PATH_MAX - 1);
	if (len < 0)
		ff_reply_err(r, (int)len);
	else
		ff_reply_buf(r, r->payload, (size_t)len);
}

static void names_statfs(fuse_req_t lf, fuse_ino_t ino)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	struct fs_statfs st = { 0 };
	struct fuse_statfs_out out;
	int err = n.fs->ops->statfs(n.fs, &st);

	if (err) {
		ff_reply_err(r, err);
		return;
	}
	wire_statfs_fill(&out, &st);
	ff_reply_buf(r, &out, sizeof(out));
}

/* ---- changing ---------------------------------------------------------------------------------- */

static struct fs_time from_timespec(const struct timespec *ts)
{
	return (struct fs_time){ .sec = ts->tv_sec, .nsec = (uint32_t)ts->tv_nsec };
}

static void names_setattr(fuse_req_t lf, fuse_ino_t ino, struct stat *attr, int valid,
			  struct fuse_file_info *fi)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	struct ff_file *f = fi ? ff_req_file(r, fi->fh) : NULL;
	struct fs_cred cred = ff_cred(r);
	struct fs_stat st, to = {
		.mode = attr->st_mode,
		.uid = attr->st_uid,
		.gid = attr->st_gid,
		.size = (uint64_t)attr->st_size,
		.atime = from_timespec(&attr->st_atim),
		.mtime = from_timespec(&attr->st_mtim),
		.ctime = from_timespec(&attr->st_ctim),
	};
	unsigned int set = wire_setattr_set((unsigned int)valid);
	int err;

	if (n.fs->ops->setattr)
		err = n.fs->ops->setattr(n.fs, n.ino, f ? f->file : NULL, set, &to, &cred, &st);
	else if (n.bit && !(set & ~(unsigned int)FS_SET_SIZE)) /* echo 1 > file truncates first */
		err = n.fs->ops->getattr(n.fs, n.ino, &st);
	else
		err = ff_no_change_op(n.fs, -EPERM);
	if (err)
		ff_reply_err(r, err);
	else
		reply_attr(r, &n, &st);
}

static struct fs_cred cred_with_umask(const struct ff_req *r, fuse_req_t lf)
{
	struct fs_cred cred = ff_cred(r);

	cred.umask = fuse_req_ctx(lf)->umask;
	return cred;
}

static void names_mknod(fuse_req_t lf, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node dir = ff_node(r->ff, parent);
	struct fs_cred cred = cred_with_umask(r, lf);
	struct fs_stat st;
	int err = name_check(&dir, r->ff, name);

	/* libfuse hands the wire's 32 bits through: 12 bits major, 20 bits minor, interleaved. */
	rdev = makedev((rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00));
	if (!err && !dir.fs->ops->mknod)
		err = ff_no_change_op(dir.fs, -EPERM);
	if (!err)
		err = dir.fs->ops->mknod(dir.fs, dir.ino, name, strlen(name), mode, rdev, &cred,
					 &st);
	reply_entry_or_err(r, err, &dir, &st);
}

static void names_mkdir(fuse_req_t lf, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node dir = ff_node(r->ff, parent);
	struct fs_cred cred = cred_with_umask(r, lf);
	struct fs_stat st;
	int err = name_check(&dir, r->ff, name);

	if (!err && !dir.fs->ops->mkdir)
		err = ff_no_change_op(dir.fs, -EPERM);
	if (!err)
		err = dir.fs->ops->mkdir(dir.fs, dir.ino, name, strlen(name), mode, &cred, &st);
	reply_entry_or_err(r, err, &dir, &st);
}

static void names_symlink(fuse_req_t lf, const char *target, fuse_ino_t parent, const char *name)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node dir = ff_node(r->ff, parent);
	struct fs_cred cred = ff_cred(r);
	struct fs_stat st;
	int err = name_check(&dir, r->ff, name);

	if (!err && !dir.fs->ops->symlink)
		err = ff_no_change_op(dir.fs, -EPERM);
	if (!err)
		err = dir.fs->ops->symlink(dir.fs, dir.ino, name, strlen(name), target, &cred, &st);
	reply_entry_or_err(r, err, &dir, &st);
}

static void names_link(fuse_req_t lf, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	struct ff_node dir = ff_node(r->ff, parent);
	struct fs_stat st;
	int err = name_check(&dir, r->ff, name);

	if (!err && n.fs != dir.fs)
		err = -EXDEV;
	if (!err && !dir.fs->ops->link)
		err = ff_no_change_op(dir.fs, -EPERM);
	if (!err)
		err = dir.fs->ops->link(dir.fs, n.ino, dir.ino, name, strlen(name), &st);
	reply_entry_or_err(r, err, &dir, &st);
}

static void names_unlink(fuse_req_t lf, fuse_ino_t parent, const char *name)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node dir = ff_node(r->ff, parent);
	int err = name_check(&dir, r->ff, name);

	if (!err && !dir.fs->ops->unlink)
		err = ff_no_change_op(dir.fs, -EPERM);
	if (!err)
		err = dir.fs->ops->unlink(dir.fs, dir.ino, name, strlen(name));
	ff_reply_err(r, err);
}

static void names_rmdir(fuse_req_t lf, fuse_ino_t parent, const char *name)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node dir = ff_node(r->ff, parent);
	int err = name_check(&dir, r->ff, name);

	if (!err && !dir.fs->ops->rmdir)
		err = ff_no_change_op(dir.fs, -EPERM);
	if (!err)
		err = dir.fs->ops->rmdir(dir.fs, dir.ino, name, strlen(name));
	ff_reply_err(r, err);
}

static void names_rename(fuse_req_t lf, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
			 const char *newname, unsigned int flags)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node dir = ff_node(r->ff, parent);
	struct ff_node new_dir = ff_node(r->ff, newparent);
	int err = name_check(&dir, r->ff, name);

	if (!err)
		err = name_check(&new_dir, r->ff, newname);
	if (!err && dir.fs != new_dir.fs)
		err = -EXDEV;
	if (!err && !dir.fs->ops->rename)
		err = ff_no_change_op(dir.fs, -EPERM);
	if (!err)
		err = dir.fs->ops->rename(dir.fs, dir.ino, name, strlen(name), new_dir.ino, newname,
					  strlen(newname), flags);
	ff_reply_err(r, err);
}

/* ---- extended attributes ------------------------------------------------------------------------ */

/* @len bytes in the payload, or, where only the size was asked for, that number. */
static void reply_xattr(struct ff_req *r, ssize_t len, size_t size)
{
	if (len < 0) {
		ff_reply_err(r, (int)len);
	} else if (size == 0) {
		struct fuse_getxattr_out out = { .size = (uint32_t)len };

		ff_reply_buf(r, &out, sizeof(out));
	} else if ((size_t)len > size) {
		ff_reply_err(r, -ERANGE);
	} else {
		ff_reply_buf(r, r->payload, (size_t)len);
	}
}

static void names_getxattr(fuse_req_t lf, fuse_ino_t ino, const char *name, size_t size)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	char copy[FS_NAME_MAX + 1]; /* the value goes where the name lies now */
	size_t name_len = strlen(name);

	if (!n.fs->ops->getxattr || name_len > FS_NAME_MAX) {
		ff_reply_err(r, n.fs->ops->getxattr ? -ERANGE : -EOPNOTSUPP);
		return;
	}
	memcpy(copy, name, name_len + 1);
	size = min(size, r->payload_cap);
	reply_xattr(r, n.fs->ops->getxattr(n.fs, n.ino, copy, r->payload, size), size);
}

/* Takes the names that only root may see out of a list, as other file systems do. */
static size_t without_trusted(char *names, size_t len)
{
	size_t kept = 0, pos = 0;

	while (pos < len) {
		size_t size = strnlen(names + pos, len - pos) + 1;

		size = min(size, len - pos);
		if (size <= strlen("trusted.") ||
		    memcmp(names + pos, "trusted.", strlen("trusted.")) != 0) {
			memmove(names + kept, names + pos, size);
			kept += size;
		}
		pos += size;
	}
	return kept;
}

static void names_listxattr(fuse_req_t lf, fuse_ino_t ino, size_t size)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	bool sees_all = r->in.uid == 0;
	ssize_t len;

	if (!n.fs->ops->listxattr) {
		ff_reply_err(r, -EOPNOTSUPP);
		return;
	}
	size = min(size, r->payload_cap);
	len = n.fs->ops->listxattr(n.fs, n.ino, r->payload, sees_all ? size : r->payload_cap);
	if (!sees_all && len > 0)
		len = (ssize_t)without_trusted(r->payload, (size_t)len);
	reply_xattr(r, len, size);
}

static void names_setxattr(fuse_req_t lf, fuse_ino_t ino, const char *name, const char *value,
			   size_t size, int flags)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	int err = -EOPNOTSUPP;

	if (n.fs->ops->setxattr)
		err = n.fs->ops->setxattr(n.fs, n.ino, name, value, size, flags);
	else if (n.fs->ops->getxattr)
		err = ff_no_change_op(n.fs, -EOPNOTSUPP);
	ff_reply_err(r, err);
}

static void names_removexattr(fuse_req_t lf, fuse_ino_t ino, const char *name)
{
	struct ff_req *r = ff_req_adopt(lf);
	struct ff_node n = ff_node(r->ff, ino);
	int err = -EOPNOTSUPP;

	if (n.fs->ops->removexattr)
		err = n.fs->ops->removexattr(n.fs, n.ino, name);
	else if (n.fs->ops->getxattr)
		err = ff_no_change_op(n.fs, -EOPNOTSUPP);
	ff_reply_err(r, err);
}

void ff_names_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = names_lookup;
	ops->forget = names_forget;
	ops->forget_multi = names_forget_multi;
	ops->getattr = names_getattr;
	ops->setattr = names_setattr;
	ops->readlink = names_readlink;
	ops->mknod = names_mknod;
	ops->mkdir = names_mkdir;
	ops->symlink = names_symlink;
	ops->link = names_link;
	ops->unlink = names_unlink;
	ops->rmdir = names_rmdir;
	ops->rename = names_rename;
	ops->statfs = names_statfs;
	ops->setxattr = names_setxattr;
	ops->getxattr = names_getxattr;
	ops->listxattr = names_listxattr;
	ops->removexattr = names_removexattr;
}
