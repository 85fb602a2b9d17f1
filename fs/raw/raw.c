/* SPDX-License-Identifier: MIT */
/*
 * raw.c - the device as one file, `disk`, in an otherwise empty directory.
 *
 * R1. The size of `disk` is the device's; truncation and O_TRUNC change nothing.
 * R2. fsync is a flush of the device; O_SYNC and O_DSYNC are FUA writes.
 * R3. A punched or zeroed range reads back as zeros. A hole may be unmapped by the device, a
 *     zeroed range stays allocated.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#include "blkfs/fs.h"

#include "raw_io.h"

enum { RAW_DISK_INO = 2, RAW_IO_SIZE_HINT = 4096 };

static const char disk_name[] = "disk";

struct raw_fs {
	struct fs fs;
	struct raw_io io;
	uint32_t uid, gid;
	int64_t mtime_ns; /* [atomic] of disk: the last write through us */
	int64_t born_ns;
};

/* One open file: there is nothing to remember of it but which inode it is. */
struct fs_file {
	uint64_t ino;
};

static struct fs_file raw_root_file = { FS_ROOT_INO }, raw_disk_file = { RAW_DISK_INO };

static struct raw_fs *raw_of(struct fs *fs)
{
	return container_of(fs, struct raw_fs, fs);
}

static struct fs_time time_of_ns(int64_t ns)
{
	return (struct fs_time){ ns / 1000000000, (uint32_t)(ns % 1000000000) };
}

static int raw_getattr(struct fs *fs, uint64_t ino, struct fs_stat *out)
{
	struct raw_fs *raw = raw_of(fs);
	struct fs_time born = time_of_ns(raw->born_ns);

	if (ino != FS_ROOT_INO && ino != RAW_DISK_INO)
		return -ENOENT;
	*out = (struct fs_stat){ .ino = ino,
				 .generation = 1,
				 .uid = raw->uid,
				 .gid = raw->gid,
				 .atime = born,
				 .mtime = born,
				 .ctime = born,
				 .btime = born,
				 .has_btime = true,
				 .blksize = RAW_IO_SIZE_HINT };
	if (ino == FS_ROOT_INO) {
		out->mode = S_IFDIR | 0755;
		out->nlink = 2;
		return 0;
	}
	out->mode = S_IFREG | (fs->is_read_only ? 0400 : 0600);
	out->nlink = 1;
	out->size = bdev_nr_bytes(fs->bdev);
	out->blocks = bytes_to_sectors(out->size);
	out->mtime = out->ctime = time_of_ns(READ_ONCE(raw->mtime_ns));
	return 0;
}

static int raw_lookup(struct fs *fs, uint64_t dir, const char *name, size_t name_len,
		      struct fs_stat *out)
{
	if (dir != FS_ROOT_INO)
		return -ENOTDIR;
	if (name_len != strlen(disk_name) || memcmp(name, disk_name, name_len) != 0)
		return -ENOENT;
	return raw_getattr(fs, RAW_DISK_INO, out);
}

/* Both inodes live as long as the mount: lookup counts mean nothing. */
static void raw_forget(struct fs *fs, uint64_t ino, uint64_t nlookup)
{
}

static int raw_setattr(struct fs *fs, uint64_t ino, struct fs_file *file, unsigned int set,
		       const struct fs_stat *attr, const struct fs_cred *cred, struct fs_stat *out)
{
	if (set & (FS_SET_MODE | FS_SET_UID | FS_SET_GID))
		return -EPERM;
	return raw_getattr(fs, ino, out);
}

static int raw_statfs(struct fs *fs, struct fs_statfs *out)
{
	uint32_t bsize = raw_of(fs)->io.block_bytes;

	*out = (struct fs_statfs){ .bsize = bsize,
				   .frsize = bsize,
				   .files = 2,
				   .namelen = FS_NAME_MAX,
				   .blocks = bdev_nr_bytes(fs->bdev) / bsize };
	return 0;
}

static int raw_open(struct fs *fs, uint64_t ino, int flags, struct fs_file **out)
{
	if (ino != RAW_DISK_INO)
		return ino == FS_ROOT_INO ? -EISDIR : -ENOENT;
	if (fs->is_read_only && (flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	*out = &raw_disk_file;
	return 0;
}

static int raw_opendir(struct fs *fs, uint64_t ino, struct fs_file **out)
{
	if (ino != FS_ROOT_INO)
		return -ENOTDIR;
	*out = &raw_root_file;
	return 0;
}

static void raw_release(struct fs *fs, struct fs_file *file)
{
}

static int raw_readdir(struct fs *fs, struct fs_file *dir, uint64_t off, fs_dirent_fn emit,
		       void *ctx)
{
	static const struct {
		const char *name;
		uint64_t ino;
		uint32_t type;
	} entries[] = {
		{ ".", FS_ROOT_INO, S_IFDIR >> 12 },
		{ "..", FS_ROOT_INO, S_IFDIR >> 12 },
		{ disk_name, RAW_DISK_INO, S_IFREG >> 12 },
	};

	for (uint64_t i = off; i < ARRAY_SIZE(entries); i++)
		if (emit(ctx, entries[i].name, strlen(entries[i].name), entries[i].ino,
			 entries[i].type, i + 1))
			break;
	return 0;
}

/* How much of [off, off+len) lies on the device. */
static size_t within_device(const struct fs *fs, uint64_t off, size_t len)
{
	uint64_t size = bdev_nr_bytes(fs->bdev);

	return off >= size ? 0 : min_t(uint64_t, len, size - off);
}

static ssize_t raw_read(struct fs *fs, struct fs_file *file, struct fs_io *io)
{
	size_t len = within_device(fs, io->off, io->len);
	int err = len ? raw_io_read(&raw_of(fs)->io, io->off, io->iov.iov_base, len) : 0;

	return err ? err : (ssize_t)len;
}

static ssize_t raw_write(struct fs *fs, struct fs_file *file, struct fs_io *io)
{
	struct raw_fs *raw = raw_of(fs);
	size_t len = within_device(fs, io->off, io->len);
	blk_opf_t opf = io->is_writeback ? 0 : REQ_SYNC;
	int err;

	if (!len)
		return io->len ? -ENOSPC : 0;
	if (io->is_sync || io->is_dsync)
		opf |= REQ_SYNC | REQ_FUA;
	err = raw_io_write(&raw->io, opf, io->off, io->iov.iov_base, len);
	if (err)
		return err;
	WRITE_ONCE(raw->mtime_ns, (int64_t)rt_realtime());
	return (ssize_t)len;
}

static int raw_fsync(struct fs *fs, struct fs_file *file, bool is_datasync)
{
	return blkdev_issue_flush(fs->bdev);
}

static int raw_sync(struct fs *fs)
{
	return fs->is_read_only ? 0 : blkdev_issue_flush(fs->bdev);
}

static int raw_fallocate(struct fs *fs, struct fs_file *file, int mode, off_t off, off_t len)
{
	struct raw_fs *raw = raw_of(fs);
	size_t on_disk;

	if (off < 0 || len <= 0)
		return -EINVAL;
	on_disk = within_device(fs, (uint64_t)off, (size_t)len);
	switch (mode) {
	case 0: /* all of a disk is allocated already */
	case FALLOC_FL_KEEP_SIZE:
		return on_disk == (size_t)len ? 0 : -ENOSPC;
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (on_disk != (size_t)len && mode == FALLOC_FL_ZERO_RANGE)
		return -ENOSPC;
	if (!on_disk)
		return 0;
	WRITE_ONCE(raw->mtime_ns, (int64_t)rt_realtime());
	return raw_io_zero(&raw->io, (uint64_t)off, on_disk, !(mode & FALLOC_FL_PUNCH_HOLE));
}

static int raw_unmount(struct fs *fs)
{
	struct raw_fs *raw = raw_of(fs);
	int err = raw_sync(fs);

	raw_io_fini(&raw->io);
	free(raw);
	return err;
}

static int raw_probe(struct block_device *bdev)
{
	return 0; /* every device is bytes */
}

static const struct fs_ops raw_ops;

static int raw_mount(struct block_device *bdev, const struct fs_mount_opts *opts, struct fs **out)
{
	struct raw_fs *raw = calloc(1, sizeof(*raw));
	int err;

	if (!raw)
		return -ENOMEM;
	err = raw_io_init(&raw->io, bdev);
	if (err) {
		log_err("%s: raw mount: %s (logical blocks of %u bytes)", bdev_name(bdev),
			strerror(-err), bdev_limits(bdev)->logical_block_size);
		free(raw);
		return err;
	}
	raw->fs = (struct fs){ .ops = &raw_ops,
			       .type = raw_fs_type.name,
			       .bdev = bdev,
			       .is_read_only = opts->is_read_only || bdev->bd_read_only,
			       .is_cacheable = true,
			       .dio_align_bytes = bdev_limits(bdev)->logical_block_size };
	raw->uid = geteuid();
	raw->gid = getegid();
	raw->born_ns = raw->mtime_ns = (int64_t)rt_realtime();
	*out = &raw->fs;
	return 0;
}

const struct fs_type raw_fs_type = { .name = "raw", .probe = raw_probe, .mount = raw_mount };

static const struct fs_ops raw_ops = {
	.statfs = raw_statfs,
	.lookup = raw_lookup,
	.forget = raw_forget,
	.getattr = raw_getattr,
	.setattr = raw_setattr,
	.open = raw_open,
	.release = raw_release,
	.read = raw_read,
	.write = raw_write,
	.opendir = raw_opendir,
	.readdir = raw_readdir,
	.fsync = raw_fsync,
	.fallocate = raw_fallocate,
	.sync = raw_sync,
	.unmount = raw_unmount,
};
