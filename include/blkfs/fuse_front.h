/* SPDX-License-Identifier: MIT */
/*
 * fuse_front.h - a file system shown through FUSE.
 *
 * The life of a mount: fuse_front_mount() -> fuse_front_wait() -> fuse_front_destroy(). Requests
 * are served by tasks on all reactors from the moment that mount returns 0. unmount, abort,
 * set_mode and get_info may come in between from anywhere, any number of times.
 *
 * Context: tasks, and they may sleep, unless said otherwise.
 */
#ifndef BLKFS_FUSE_FRONT_H
#define BLKFS_FUSE_FRONT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"

struct attr_dir;
struct fs;
struct fuse_front;

/* How file data meets the kernel's page cache (design section 5). Felt at the next open. */
enum fuse_front_mode {
	FUSE_FRONT_MODE_AUTO, /* buffered, and O_DIRECT honoured per open */
	FUSE_FRONT_MODE_BUFFERED,
	FUSE_FRONT_MODE_DIRECT,
};

enum fuse_front_transport {
	FUSE_FRONT_TRANSPORT_AUTO, /* io_uring where the kernel offers it */
	FUSE_FRONT_TRANSPORT_URING,
	FUSE_FRONT_TRANSPORT_CLASSIC, /* /dev/fuse, cloned per reactor */
};

enum fuse_front_control {
	FUSE_FRONT_CONTROL_HIDDEN,
	FUSE_FRONT_CONTROL_LIST,
	FUSE_FRONT_CONTROL_OFF
};

/* Strings and pointers are borrowed until fuse_front_mount() returned, unless said otherwise. */
struct fuse_front_config {
	const char *mountpoint;
	const char *source;  /* what mtab shows for type fuse (fuseblk: the device) */
	const char *subtype; /* "x" makes the type fuse.x, fuseblk.x; NULL: none */
	/*
	 * Root only: the block device, or the image file (then a loop device is claimed for it),
	 * on which the mount becomes type fuseblk, so that sync, syncfs and umount(2) wait for us.
	 * NULL: type fuse. Not to be opened with O_EXCL by us; our I/O does not go through the loop.
	 */
	const char *blk_path;
	/* Both are unmounted by the front, once, when the last request ended and before the kernel
	 * hears that the mount is gone; the caller never calls their unmount after a mount that
	 * succeeded. control may be NULL. */
	struct fs *fs;
	struct fs *control;
	enum fuse_front_control control_show;
	enum fuse_front_mode mode;
	enum fuse_front_transport transport;
	unsigned int fuse_depth;   /* requests at once for each CPU; 0: 64 */
	unsigned int max_write;	   /* bytes of one READ or WRITE; 0: 1 MiB */
	unsigned long mount_flags; /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, ... */
	bool allow_other;
	bool default_permissions;
	struct attr_dir *attrs; /* where fuse/... is published, until destroy; NULL: nowhere */
	/* Optional. The kernel has let go of us (abort, end of the last unmount): once, while requests
	 * may still be at the device, which fuse_front_wait() waits for. Context: handler. */
	void (*on_cut)(void *ctx);
	void *ctx;
};

/*
 * fuse_front_mount - mount, negotiate, start the transport. 0: the mount works.
 *
 * Owns:    cfg->fs and cfg->control from a return of 0 on; untouched (but for front_ops) before.
 * Fails:   -EINVAL, -ENOENT / -ENOTDIR (mountpoint), -EPERM / -EACCES (/dev/fuse, fusermount3),
 *          -EBUSY (device in use), -EPROTO (kernel too old), -EOPNOTSUPP (transport=uring and the
 *          kernel does not offer it), -ENOMEM; nothing is left mounted, and a log line says what
 *          was tried and what to do.
 */
int __must_check fuse_front_mount(const struct fuse_front_config *cfg, struct fuse_front **out);

/*
 * fuse_front_wait - sleep until the mount is gone (umount, abort, fuse_front_unmount), all requests
 * have ended, and fs and control are unmounted. Once. Returns fs->unmount's value.
 */
int fuse_front_wait(struct fuse_front *ff);

/* After wait. NULL is nothing. */
void fuse_front_destroy(struct fuse_front *ff);

enum fuse_front_unmount_flags {
	FUSE_FRONT_UNMOUNT_LAZY = 1 << 0,  /* detach now, end when the last user has gone */
	FUSE_FRONT_UNMOUNT_FORCE = 1 << 1, /* abort the connection first: users get ENOTCONN */
};

/*
 * fuse_front_unmount - take the mount away; fuse_front_wait() tells when all is on the device.
 *
 * Context: task or thread.
 * Fails:   -EBUSY (files are open or somebody's working directory is there), -EPERM, -ENOENT
 *          (somebody was faster: not mounted any more).
 */
int __must_check fuse_front_unmount(struct fuse_front *ff, unsigned int flags);

/*
 * fuse_front_abort - cut the connection: waiting and later callers get an error at once. Requests
 * that are at the device end there. The mountpoint stays until an unmount (lazy).
 * Context: task or thread. Never waits for I/O. Also what errors=panic calls.
 */
void fuse_front_abort(struct fuse_front *ff);

/*
 * fuse_front_write_back - what applications wrote and the kernel's page cache still holds becomes
 * WRITE requests, answered when this returns. It says nothing of the device: see fs->sync.
 *
 * Context: task or thread; waits for I/O. 0 or -errno, also of a write-back that failed earlier.
 */
int __must_check fuse_front_write_back(struct fuse_front *ff);

/*
 * fuse_front_sync - the same, and then all of it is on the device.
 *
 * Context: task. Fails: as these two; -ENOTCONN when the file system is being unmounted already.
 */
int __must_check fuse_front_sync(struct fuse_front *ff);

/*
 * fuse_front_set_mode - felt at the next open. Any context. 0 or -EINVAL.
 *
 * The writeback cache is settled at mount (not for mode=direct, not read-only): changed to direct
 * later, the kernel's times of a file written so may lag; from direct to buffered, writes go through.
 */
int __must_check fuse_front_set_mode(struct fuse_front *ff, enum fuse_front_mode mode);
enum fuse_front_mode fuse_front_get_mode(const struct fuse_front *ff);
const char *fuse_front_mode_name(enum fuse_front_mode mode);
/* -EINVAL: no such mode. @name as in mode=. */
int __must_check fuse_front_mode_parse(const char *name, enum fuse_front_mode *out);

struct fuse_front_info {
	const char *mountpoint;	      /* lives as long as the front, as all strings here */
	const char *transport;	      /* "io_uring" or "classic" */
	const char *transport_reason; /* why this one, and how to get the faster one */
	const char *type;	      /* "fuse" or "fuseblk" */
	const char *loop_device;      /* "/dev/loop3" when one was claimed, else "" */
	const char *mode;
	unsigned int proto_major, proto_minor;
	uint64_t connection; /* the directory below /sys/fs/fuse/connections; 0: unknown */
	unsigned int max_write;
	unsigned int queues_nr, depth;
	bool has_writeback;
};

/* Context: any, from mount to destroy. */
void fuse_front_get_info(const struct fuse_front *ff, struct fuse_front_info *out);

#endif
