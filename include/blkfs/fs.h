/* SPDX-License-Identifier: MIT */
/*
 * fs.h - the table of operations that a file system (ext4, raw, control) gives to a front.
 *
 * Inodes are named by number. What the kernel remembers comes as lookups and forgets; a file system
 * that finds an inode again by its number need keep nothing for them, so that memory stays bounded
 * whatever the kernel remembers. Open files are objects, so that data operations find their inode
 * without a search.
 *
 * Context: every op runs in a task of any reactor, several at once, and may sleep. Return: 0 or
 * negative errno, or what is said. Optional slots are NULL and answered by the front: -EROFS when
 * the slot changes something and the file system is read-only, else -EOPNOTSUPP (xattr, ioctl,
 * fallocate) or -ENOSYS.
 * Permission checks on names are the kernel's (default_permissions); the file system enforces
 * what the kernel cannot know (immutable, append-only, quota).
 */
#ifndef BLKFS_FS_H
#define BLKFS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "blkfs/attr.h"
#include "blkfs/blkdev.h"

struct fs;
struct fs_file;

enum { FS_NAME_MAX = 255, FS_ROOT_INO = 1 }; /* every fs maps its root to 1 */

struct fs_time {
	int64_t sec;
	uint32_t nsec;
};

struct fs_stat {
	uint64_t ino; /* as the fs.h caller names it; the root is FS_ROOT_INO */
	uint64_t generation;
	uint64_t size, blocks; /* bytes, 512-byte units */
	struct fs_time atime, mtime, ctime, btime;
	uint32_t mode, nlink, uid, gid, blksize;
	uint32_t rdev_major, rdev_minor;
	uint32_t flags; /* FS_*_FL as chattr shows them */
	bool has_btime;
};

/* Who asks. */
struct fs_cred {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	mode_t umask;
};

struct fs_statfs {
	uint64_t blocks, bfree, bavail, files, ffree, fsid;
	uint32_t bsize, frsize, namelen;
};

/* Which members of struct fs_stat a setattr carries. */
enum {
	FS_SET_MODE = 1 << 0,
	FS_SET_UID = 1 << 1,
	FS_SET_GID = 1 << 2,
	FS_SET_SIZE = 1 << 3,
	FS_SET_ATIME = 1 << 4,
	FS_SET_MTIME = 1 << 5,
	FS_SET_CTIME = 1 << 6,
	FS_SET_ATIME_NOW = 1 << 7,
	FS_SET_MTIME_NOW = 1 << 8,
	FS_SET_KILL_SUID = 1 << 9,
};

/*
 * One read or write. The memory is the front's payload: the device reads into it and writes from
 * it, so it stays until the op returned, which is after the last bio ended.
 */
struct fs_io {
	uint64_t off;
	size_t len;
	struct iovec iov;	/* one piece, page aligned, iov_len >= len */
	bool is_direct;		/* the application opened with O_DIRECT: hold it to the alignment */
	bool is_sync, is_dsync; /* O_SYNC, O_DSYNC: durable before the answer */
	bool is_writeback;	/* from the kernel's page cache */
	struct fs_cred cred;
};

/* A directory entry; @next_off is given back as the offset to go on behind it. 0 goes on, else
 * the walk stops before counting this entry. */
typedef int (*fs_dirent_fn)(void *ctx, const char *name, size_t name_len, uint64_t ino,
			    uint32_t d_type, uint64_t next_off);

struct fs_ops {
	/* mandatory */
	int (*statfs)(struct fs *fs, struct fs_statfs *out);
	/* Adds one to the lookup count of what it finds. -ENOENT, -ENAMETOOLONG. */
	int (*lookup)(struct fs *fs, uint64_t dir, const char *name, size_t name_len,
		      struct fs_stat *out);
	void (*forget)(struct fs *fs, uint64_t ino, uint64_t nlookup);
	int (*getattr)(struct fs *fs, uint64_t ino, struct fs_stat *out);
	int (*open)(struct fs *fs, uint64_t ino, int flags, struct fs_file **out);
	void (*release)(struct fs *fs, struct fs_file *file);
	ssize_t (*read)(struct fs *fs, struct fs_file *file, struct fs_io *io); /* bytes */
	int (*opendir)(struct fs *fs, uint64_t ino, struct fs_file **out);
	int (*readdir)(struct fs *fs, struct fs_file *dir, uint64_t off, fs_dirent_fn emit,
		       void *ctx);
	/* Everything is stable on the device; wait. */
	int (*sync)(struct fs *fs);
	/* No op is running and none will come: write what is left, free all. */
	int (*unmount)(struct fs *fs);

	/* optional: reading */
	/*
	 * What a listing named is about to be looked up by number, as lookup_ino does: the metadata
	 * is read ahead in one go. Called only where has_fixed_content, so that a number still means
	 * what the listing said. Both or none.
	 */
	void (*will_lookup)(struct fs *fs, const uint64_t *inos, unsigned int nr);
	int (*lookup_ino)(struct fs *fs, uint64_t ino, struct fs_stat *out);
	ssize_t (*readlink)(struct fs *fs, uint64_t ino, char *buf, size_t size);
	ssize_t (*getxattr)(struct fs *fs, uint64_t ino, const char *name, void *buf, size_t size);
	ssize_t (*listxattr)(struct fs *fs, uint64_t ino, char *buf, size_t size);
	off_t (*lseek)(struct fs *fs, struct fs_file *file, off_t off, int whence);
	int (*ioctl)(struct fs *fs, uint64_t ino, unsigned int cmd, const struct fs_cred *cred,
		     const void *in, size_t in_len, void *out, size_t *out_len);

	/* optional: changing */
	ssize_t (*write)(struct fs *fs, struct fs_file *file, struct fs_io *io);
	int (*flush)(struct fs *fs, struct fs_file *file); /* one close(): a remembered error */
	int (*fsync)(struct fs *fs, struct fs_file *file, bool is_datasync);
	int (*fsyncdir)(struct fs *fs, struct fs_file *dir, bool is_datasync);
	int (*fallocate)(struct fs *fs, struct fs_file *file, int mode, off_t off, off_t len);
	int (*setattr)(struct fs *fs, uint64_t ino, struct fs_file *file, unsigned int set,
		       const struct fs_stat *attr, const struct fs_cred *cred, struct fs_stat *out);
	int (*create)(struct fs *fs, uint64_t dir, const char *name, size_t name_len, mode_t mode,
		      int flags, const struct fs_cred *cred, struct fs_stat *out,
		      struct fs_file **file);
	int (*mknod)(struct fs *fs, uint64_t dir, const char *name, size_t name_len, mode_t mode,
		     dev_t rdev, const struct fs_cred *cred, struct fs_stat *out);
	int (*mkdir)(struct fs *fs, uint64_t dir, const char *name, size_t name_len, mode_t mode,
		     const struct fs_cred *cred, struct fs_stat *out);
	int (*symlink)(struct fs *fs, uint64_t dir, const char *name, size_t name_len,
		       const char *target, const struct fs_cred *cred, struct fs_stat *out);
	int (*link)(struct fs *fs, uint64_t ino, uint64_t dir, const char *name, size_t name_len,
		    struct fs_stat *out);
	int (*unlink)(struct fs *fs, uint64_t dir, const char *name, size_t name_len);
	int (*rmdir)(struct fs *fs, uint64_t dir, const char *name, size_t name_len);
	int (*rename)(struct fs *fs, uint64_t dir, const char *name, size_t name_len,
		      uint64_t new_dir, const char *new_name, size_t new_len, unsigned int flags);
	int (*setxattr)(struct fs *fs, uint64_t ino, const char *name, const void *value,
			size_t size, int flags);
	int (*removexattr)(struct fs *fs, uint64_t ino, const char *name);
};

/* What a file system may ask of its front, from any task, holding no lock. */
struct fs_front_ops {
	/* The kernel's cached pages of [off, off+len) are stale; len 0: to the end. */
	void (*inval_inode)(void *front, uint64_t ino, uint64_t off, uint64_t len);
	void (*inval_entry)(void *front, uint64_t dir, const char *name, size_t name_len);
	/* errors=panic: nobody may go on using the mount. Under any lock; waits for no I/O. */
	void (*abort)(void *front);
};

/* The base of every file system's own struct. */
struct fs {
	const struct fs_ops *ops;
	const char *type; /* "ext4", "raw", "control" */
	struct block_device *bdev;
	bool is_read_only;
	bool has_fixed_content; /* nobody changes it behind the kernel: caches may live long */
	/* false: attributes and entries must be asked each time, reads bypass the page cache */
	bool is_cacheable;
	/* Offset and length of an O_DIRECT transfer are multiples of it, or the front answers
	 * -EINVAL: the logical block size of the device. 0 or 1: any. A power of two. */
	uint32_t dio_align_bytes;
	uint64_t shown_root_ino; /* what stat(2) and readdir say for the root; 0: FS_ROOT_INO */
	const struct fs_front_ops *front_ops; /* set by the front before the first op */
	void *front;
};

enum fs_errors { FS_ERRORS_DEFAULT, FS_ERRORS_CONTINUE, FS_ERRORS_REMOUNT_RO, FS_ERRORS_PANIC };

/* Mount options that a file system understands, parsed and checked by the command line. */
struct fs_mount_opts {
	bool is_read_only;
	bool norecovery; /* also as noload */
	bool is_discard;
	bool is_nobarrier;
	bool is_fakeroot; /* every inode owned by uid and gid */
	uid_t uid;
	gid_t gid;
	uint64_t sb_block;    /* sb=, in 1 KiB units; 0: the primary */
	uint64_t cache_bytes; /* metadata cache; 0: 32 MiB */
	enum fs_errors errors;
	struct attr_dir *attrs; /* where it publishes fs/...; NULL: nowhere */
};

struct fs_type {
	const char *name;
	/* 0: this is one of ours; -EINVAL: not; other errors are I/O errors. */
	int (*probe)(struct block_device *bdev);
	/* Fails: -EINVAL (wrong magic), -EOPNOTSUPP (a feature, named in the log), -EUCLEAN, -EIO,
	 * -EROFS. The log says what to do. */
	int (*mount)(struct block_device *bdev, const struct fs_mount_opts *opts, struct fs **out);
};

extern const struct fs_type ext4_fs_type;
extern const struct fs_type raw_fs_type;

/* The control tree (attr_root()) as a file system, without a device. */
int __must_check control_fs_create(struct fs **out);

#endif
