/* SPDX-License-Identifier: MIT */
/*
 * tree.c - the attribute registry as a file system.
 *
 * T1. Inode numbers are the registry's: nothing is kept here but what is open.
 * T2. The text of a file is made at the first read at offset 0 and stays for that open file, so
 *     that a reader in pieces sees one moment.
 * T3. One write is one store; it starts at offset 0.
 * T4. Truncation is accepted and means nothing, so that `echo 1 > file` works.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkfs/attr.h"
#include "blkfs/fs.h"
#include "blkfs/lock_order.h"
#include "blkfs/rt.h"

#include "render.h"

enum { STORE_MAX = 64 << 10, SHOWN_SIZE = 4096 };

struct control_fs {
	struct fs fs;
	uint32_t uid, gid;
	uint64_t born_ns;
};

struct fs_file {
	uint64_t ino;
	struct rt_mutex lock; /* of text and len */
	char *text;
	size_t len;
};

static const struct rt_lock_class file_class = { "control file", LOCK_RANK_CONTROL };

static struct control_fs *control_of(struct fs *fs)
{
	return container_of(fs, struct control_fs, fs);
}

static void fill_stat(const struct control_fs *cfs, const struct attr_info *info,
		      struct fs_stat *out)
{
	bool is_dir = S_ISDIR(info->mode);
	struct fs_time born = { (int64_t)(cfs->born_ns / 1000000000u),
				(uint32_t)(cfs->born_ns % 1000000000u) };

	*out = (struct fs_stat){ .ino = info->ino,
				 .generation = 1,
				 .mode = info->mode,
				 .nlink = is_dir ? 2 : 1,
				 .size = is_dir ? 0 : SHOWN_SIZE,
				 .uid = cfs->uid,
				 .gid = cfs->gid,
				 .blksize = SHOWN_SIZE,
				 .atime = born,
				 .mtime = born,
				 .ctime = born };
	if (info->ino == FS_ROOT_INO)
		out->mode = S_IFDIR | 0700;
}

static int control_getattr(struct fs *fs, uint64_t ino, struct fs_stat *out)
{
	struct attr_info info;
	char path[PATH_MAX];
	int err = attr_path_of(ino, path, sizeof(path), &info);

	if (!err)
		fill_stat(control_of(fs), &info, out);
	return err;
}

static int control_setattr(struct fs *fs, uint64_t ino, struct fs_file *file, unsigned int set,
			   const struct fs_stat *attr, const struct fs_cred *cred,
			   struct fs_stat *out)
{
	if (set & (FS_SET_MODE | FS_SET_UID | FS_SET_GID))
		return -EPERM;
	return control_getattr(fs, ino, out);
}

static int control_lookup(struct fs *fs, uint64_t dir, const char *name, size_t name_len,
			  struct fs_stat *out)
{
	struct attr_info info;
	char path[PATH_MAX];
	size_t len;
	int err = attr_path_of(dir, path, sizeof(path), &info);

	if (err)
		return err;
	if (!S_ISDIR(info.mode))
		return -ENOTDIR;
	len = strlen(path);
	if (len + name_len + 2 > sizeof(path))
		return -ENAMETOOLONG;
	snprintf(path + len, sizeof(path) - len, "%s%.*s", len ? "/" : "", (int)name_len, name);
	err = attr_lookup(path, &info);
	if (!err)
		fill_stat(control_of(fs), &info, out);
	return err;
}

static void control_forget(struct fs *fs, uint64_t ino, uint64_t nlookup)
{
}

static int open_ino(uint64_t ino, mode_t type, struct fs_file **out)
{
	struct attr_info info;
	char path[PATH_MAX];
	struct fs_file *file;
	int err = attr_path_of(ino, path, sizeof(path), &info);

	if (err)
		return err;
	if ((info.mode & S_IFMT) != type)
		return type == S_IFDIR ? -ENOTDIR : -EISDIR;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->ino = ino;
	rt_mutex_init(&file->lock, &file_class);
	*out = file;
	return 0;
}

static int control_open(struct fs *fs, uint64_t ino, int flags, struct fs_file **out)
{
	return open_ino(ino, S_IFREG, out);
}

static int control_opendir(struct fs *fs, uint64_t ino, struct fs_file **out)
{
	return open_ino(ino, S_IFDIR, out);
}

static void control_release(struct fs *fs, struct fs_file *file)
{
	free(file->text);
	free(file);
}

static int render_file(struct fs_file *file)
{
	struct attr_info info;
	char path[PATH_MAX];
	int err = attr_path_of(file->ino, path, sizeof(path), &info);

	free(file->text);
	file->text = NULL;
	return err ? err : render_attr(path, &file->text, &file->len);
}

static ssize_t control_read(struct fs *fs, struct fs_file *file, struct fs_io *io)
{
	ssize_t n = 0;

	rt_mutex_lock(&file->lock);
	if (!io->off || !file->text)
		n = render_file(file);
	if (!n && io->off < file->len) {
		n = (ssize_t)min_t(uint64_t, io->len, file->len - io->off);
		memcpy(io->iov.iov_base, file->text + io->off, (size_t)n);
	}
	rt_mutex_unlock(&file->lock);
	return n;
}

static ssize_t control_write(struct fs *fs, struct fs_file *file, struct fs_io *io)
{
	struct attr_info info;
	char path[PATH_MAX];
	char *text;
	int err;

	if (io->off || io->len > STORE_MAX)
		return -EINVAL;
	err = attr_path_of(file->ino, path, sizeof(path), &info);
	if (err)
		return err;
	text = malloc(io->len + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, io->iov.iov_base, io->len);
	text[io->len] = 0;
	err = attr_store(path, text, io->len);
	free(text);
	return err ? err : (ssize_t)io->len;
}

struct walk {
	fs_dirent_fn emit;
	void *ctx;
	uint64_t from, at;
};

static int walk_entry(void *ctx, const struct attr_info *info)
{
	struct walk *w = ctx;

	if (w->at++ < w->from)
		return 0;
	return w->emit(w->ctx, info->name, strlen(info->name), info->ino,
		       (info->mode & S_IFMT) >> 12, w->at);
}

static int control_readdir(struct fs *fs, struct fs_file *dir, uint64_t off, fs_dirent_fn emit,
			   void *ctx)
{
	static const char *const dots[] = { ".", ".." };
	struct walk w = { .emit = emit, .ctx = ctx, .from = off };
	struct attr_info info;
	char path[PATH_MAX];
	int err = attr_path_of(dir->ino, path, sizeof(path), &info);

	for (size_t i = 0; !err && i < ARRAY_SIZE(dots); i++) {
		info.name = dots[i];
		info.mode = S_IFDIR;
		if (walk_entry(&w, &info))
			return 0;
	}
	if (!err)
		err = attr_list(path, walk_entry, &w);
	return err < 0 ? err : 0;
}

static int control_statfs(struct fs *fs, struct fs_statfs *out)
{
	*out = (struct fs_statfs){ .bsize = SHOWN_SIZE,
				   .frsize = SHOWN_SIZE,
				   .namelen = FS_NAME_MAX };
	return 0;
}

static int control_sync(struct fs *fs)
{
	return 0;
}

static int control_unmount(struct fs *fs)
{
	free(control_of(fs));
	return 0;
}

static const struct fs_ops control_ops = {
	.statfs = control_statfs,
	.lookup = control_lookup,
	.forget = control_forget,
	.getattr = control_getattr,
	.setattr = control_setattr,
	.open = control_open,
	.release = control_release,
	.read = control_read,
	.write = control_write,
	.opendir = control_opendir,
	.readdir = control_readdir,
	.sync = control_sync,
	.unmount = control_unmount,
};

int control_fs_create(struct fs **out)
{
	struct control_fs *cfs = calloc(1, sizeof(*cfs));

	if (!cfs)
		return -ENOMEM;
	cfs->fs = (struct fs){ .ops = &control_ops, .type = "control" };
	cfs->uid = geteuid();
	cfs->gid = getegid();
	cfs->born_ns = rt_realtime();
	*out = &cfs->fs;
	return 0;
}
