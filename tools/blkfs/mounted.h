/* SPDX-License-Identifier: MIT */
/*
 * mounted.h - the life of one mount, from its source to the end of the daemon.
 *
 * mounted_run() is the first task of the runtime: disk, file system, control tree and socket, FUSE;
 * then it sleeps until the mount is gone, and takes all down in the opposite order.
 */
#ifndef BLKFS_TOOLS_MOUNTED_H
#define BLKFS_TOOLS_MOUNTED_H

#include <stdint.h>

#include "options.h"
#include "source.h"

struct control_socket;
struct fuse_front;
struct unmounter;

struct mounted {
	/* given */
	struct mount_options mo;
	struct source src;
	char mountpoint[4096];

	/* made, in this order */
	struct unmounter *unmounter;
	struct gendisk *disk;
	struct fs *fs;
	struct fs *control;
	struct fuse_front *front;
	struct control_socket *socket;
	uint64_t start_ns;
	bool is_frozen; /* [atomic] by a write to control */

	/* What is told of fs, which goes with the last FUSE request. */
	const char *fs_type;
	bool is_read_only;
};

/* Context: the main task. @arg is a struct mounted. Returns an exit code. */
int mounted_run(void *arg);

/* Undoes `freeze`; whether it was frozen. Context: task. */
bool mounted_thaw(struct mounted *m);

#endif
