/* SPDX-License-Identifier: MIT */
/*
 * rundir.h - where the sockets of running mounts are, and which one is meant.
 *
 * Root: /run/blkfs. Others: $XDG_RUNTIME_DIR/blkfs, or /tmp/blkfs-UID where there is none; it must
 * be theirs alone. A socket is named by a hash of the mountpoint, since a path may be longer than
 * a socket's name.
 */
#ifndef BLKFS_TOOLS_RUNDIR_H
#define BLKFS_TOOLS_RUNDIR_H

#include <stddef.h>

#include "base/compiler.h"

/* The directory of this user, made if @is_wanted. 0, -EACCES (not ours), -errno. */
int __must_check rundir_path(char *path, size_t size, bool is_wanted);
/* The socket of a mount on @mountpoint (absolute). 0, -ENAMETOOLONG. */
int __must_check rundir_socket(const char *dir, const char *mountpoint, char *path, size_t size);
/* Calls @fn with each socket's path, for root those of other users too; stops at a non-zero return,
 * which it returns. */
int rundir_each(int (*fn)(void *ctx, const char *socket_path), void *ctx);

/*
 * The absolute name of @path without looking at @path itself, which may be a mount that hangs:
 * only its parent is resolved. 0 or -errno.
 */
int __must_check path_absolute(const char *path, char *out, size_t size);

#endif
