/* SPDX-License-Identifier: MIT */
/*
 * ops.c - fs.h's table for ext4: numbers become inodes, inodes do the work.
 *
 * Invariants: 1. An op holds its inode by a reference of its own or by the open file's.
 *             2. After errors=panic has struck, every op that can fail answers -EIO.
 * An open file is its inode with a reference; an inode that the front speaks of and that is gone
 * from the disk's view is -ESTALE.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/ext4/dir.h"
#include "fs/ext4/file.h"

struct ext4_file {
	struct ext4_inode *inode;
};

static struct ext4_inode *inode_of(struct fs_file *file)
{
	return ((struct ext4_file *)file)->inode;
}

static int get(struct ext4_fs *fs, uint64_t ino, struct ext4_inode **out)
{
	uint32_t number = ext4_ino_from_fs(fs, ino);

	if (unlikely(ext4_is_shutdown(fs)))
		return -EIO;
	if (!number)
		return -ESTALE;
	return ext4_iget(fs, number, false, out);
}

/* ---- names and attributes ------------------------------------------------------------------------- */

static int ext4_op_statfs(struct fs *base, struct fs_statfs *out)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_totals totals;
	int err = ext4_is_shutdown(fs) ? -EIO : ext4_totals_get(fs, &totals);

	if (!err)
		ext4_statfs_fill(fs, &totals, out);
	return err;
}

static int lookup_in(struct ext4_fs *fs, struct ext4_inode *dir, const struct ext4_name *name,
		     struct fs_stat *out)
{
	struct ext4_inode *inode;
	uint32_t number;
	int err;

	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	err = ext4_dir_lookup(fs, dir, name, &number);
	if (!err)
		err = ext4_iget(fs, number, false, &inode);
	if (err)
		return err;
	ext4_inode_stat(fs, inode, out);
	ext4_iput(fs, inode);
	return 0;
}

static int ext4_op_lookup(struct fs *base, uint64_t dir, const char *name, size_t name_len,
			  struct fs_stat *out)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_name n = { name, name_len };
	struct ext4_inode *parent;
	int err;

	if (name_len > FS_NAME_MAX)
		return -ENAMETOOLONG;
	err = get(fs, dir, &parent);
	if (err)
		return err;
	err = lookup_in(fs, parent, &n, out);
	ext4_iput(fs, parent);
	return err;
}

static void ext4_op_will_lookup(struct fs *base, const uint64_t *inos, unsigned int nr)
{
	ext4_itable_readahead(ext4_of(base), inos, nr);
}

/* Nothing is held for a lookup: see icache.c. */
static void ext4_op_forget(struct fs *base, uint64_t ino, uint64_t nlookup)
{
}

static int ext4_op_getattr(struct fs *base, uint64_t ino, struct fs_stat *out)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_inode *inode;
	int err = get(fs, ino, &inode);

	if (err)
		return err;
	ext4_inode_stat(fs, inode, out);
	ext4_iput(fs, inode);
	return 0;
}

static ssize_t ext4_op_readlink(struct fs *base, uint64_t ino, char *buf, size_t size)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_inode *inode;
	ssize_t ret = get(fs, ino, &inode);

	if (ret)
		return ret;
	ret = ext4_symlink_read(fs, inode, buf, size);
	ext4_iput(fs, inode);
	return ret;
}

static ssize_t ext4_op_getxattr(struct fs *base, uint64_t ino, const char *name, void *buf,
				size_t size)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_inode *inode;
	ssize_t ret = get(fs, ino, &inode);

	if (ret)
		return ret;
	ret = ext4_xattr_get(fs, inode, name, buf, size);
	ext4_iput(fs, inode);
	return ret;
}

static ssize_t ext4_op_listxattr(struct fs *base, uint64_t ino, char *buf, size_t size)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_inode *inode;
	ssize_t ret = get(fs, ino, &inode);

	if (ret)
		return ret;
	ret = ext4_xattr_list(fs, inode, buf, size);
	ext4_iput(fs, inode);
	return ret;
}

static int ext4_op_ioctl(struct fs *base, uint64_t ino, unsigned int cmd,
			 const struct fs_cred *cred, const void *in, size_t in_len, void *out,
			 size_t *out_len)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_inode *inode;
	int err = get(fs, ino, &inode);

	if (err)
		return err;
	err = ext4_inode_ioctl(fs, inode, cmd, out, out_len);
	ext4_iput(fs, inode);
	return err;
}

/* ---- open files ------------------------------------------------------------------------------------- */

/* Owns: the reference to @inode, which goes into the file or is put. */
static int file_create(struct ext4_fs *fs, struct ext4_inode *inode, struct fs_file **out)
{
	struct ext4_file *file = malloc(sizeof(*file));

	if (!file) {
		ext4_iput(fs, inode);
		return -ENOMEM;
	}
	file->inode = inode;
	*out = (struct fs_file *)file;
	return 0;
}

static int ext4_op_open(struct fs *base, uint64_t ino, int flags, struct fs_file **out)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_inode *inode;
	int err = get(fs, ino, &inode);

	if (err)
		return err;
	if (!S_ISREG(inode->mode)) {
		err = S_ISDIR(inode->mode) ? -EISDIR : -EINVAL;
		ext4_iput(fs, inode);
		return err;
	}
	return file_create(fs, inode, out);
}

static int ext4_op_opendir(struct fs *base, uint64_t ino, struct fs_file **out)
{
	struct ext4_fs *fs = ext4_of(base);
	struct ext4_inode *inode;
	int err = get(fs, ino, &inode);

	if (err)
		return err;
	if (!S_ISDIR(inode->mode)) {
		ext4_iput(fs, inode);
		return -ENOTDIR;
	}
	return file_create(fs, inode, out);
}

static void ext4_op_release(struct fs *base, struct fs_file *file)
{
	ext4_iput(ext4_of(base), inode_of(file));
	free(file);
}

static ssize_t ext4_op_read(struct fs *base, struct fs_file *file, struct fs_io *io)
{
	struct ext4_fs *fs = ext4_of(base);

	if (unlikely(ext4_is_shutdown(fs)))
		return -EIO;
	return ext4_file_read(fs, inode_of(file), io);
}

static int ext4_op_readdir(struct fs *base, struct fs_file *dir, uint64_t off, fs_dirent_fn emit,
			   void *ctx)
{
	struct ext4_fs *fs = ext4_of(base);

	if (unlikely(ext4_is_shutdown(fs)))
		return -EIO;
	return ext4_dir_read(fs, inode_of(dir), off, emit, ctx);
}

static off_t ext4_op_lseek(struct fs *base, struct fs_file *file, off_t off, int whence)
{
	struct ext4_fs *fs = ext4_of(base);

	if (unlikely(ext4_is_shutdown(fs)))
		return -EIO;
	if (off < 0)
		return -ENXIO;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	return ext4_file_seek(fs, inode_of(file), (uint64_t)off, whence == SEEK_DATA);
}

/* ---- the file system -------------------------------------------------------------------------------- */

/* Nothing is ever dirty. */
static int ext4_op_sync(struct fs *base)
{
	return ext4_is_shutdown(ext4_of(base)) ? -EIO : 0;
}

static int ext4_op_unmount(struct fs *base)
{
	ext4_fs_free(ext4_of(base));
	return 0;
}

const struct fs_ops ext4_fs_ops = {
	.statfs = ext4_op_statfs,
	.lookup = ext4_op_lookup,
	.will_lookup = ext4_op_will_lookup,
	.lookup_ino = ext4_op_getattr, /* which differs by the count that nobody keeps */
	.forget = ext4_op_forget,
	.getattr = ext4_op_getattr,
	.open = ext4_op_open,
	.release = ext4_op_release,
	.read = ext4_op_read,
	.opendir = ext4_op_opendir,
	.readdir = ext4_op_readdir,
	.sync = ext4_op_sync,
	.unmount = ext4_op_unmount,
	.readlink = ext4_op_readlink,
	.getxattr = ext4_op_getxattr,
	.listxattr = ext4_op_listxattr,
	.lseek = ext4_op_lseek,
	.ioctl = ext4_op_ioctl,
};
