/* SPDX-License-Identifier: MIT */
/*
 * fuse_mount.h - a mount of the in-memory double for one test: started, asked, ended.
 *
 * Everything fails the test that calls: a mount that cannot be made is a failure, never a skip.
 */
#ifndef TESTS_SYSTEM_FUSE_MOUNT_H
#define TESTS_SYSTEM_FUSE_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { MOUNT_PATH_MAX = 256, MOUNT_TEXT_MAX = 4096 };

struct mount {
	pid_t pid;
	FILE *out;
	char dir[MOUNT_PATH_MAX];
	uid_t uid; /* who runs the daemon, when not we */
	char binary[MOUNT_PATH_MAX];
	char image[MOUNT_PATH_MAX]; /* "" without one */
	char said[MOUNT_TEXT_MAX];  /* what the daemon has printed so far */
};

/* @words: "transport=uring ro=1 ..." as fuse_double takes them. With @is_blk on an image (fuseblk). */
void mount_start(struct mount *m, bool is_blk, const char *words);
/* The daemon run by another user, through fusermount3. */
void mount_start_as(struct mount *m, uid_t uid, const char *words);
/* The daemon's end: its exit code, or -signal. Takes what it still prints. */
int mount_join(struct mount *m);
/* umount(2), join, remove; the daemon must leave with 0. */
void mount_end(struct mount *m);
/* Removes what is left after a join. */
void mount_clean(struct mount *m);
/* For .fini of a suite: what a test that failed has left. */
void mount_fini(void);
/* dir/name in one of a few static buffers. */
const char *mount_path(const struct mount *m, const char *name);
uint64_t mono_ms(void);

#endif
