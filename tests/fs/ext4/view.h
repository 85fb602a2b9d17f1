/* SPDX-License-Identifier: MIT */
/*
 * view.h - a mounted file system looked at by path, in the simulator, through fs.h alone.
 */
#ifndef TESTS_FS_EXT4_VIEW_H
#define TESTS_FS_EXT4_VIEW_H

#include "blkfs/fs.h"

/* Looks up @path ("" is the root) and forgets it again. 0 or -errno. */
int view_stat(struct fs *fs, const char *path, struct fs_stat *out);

/*
 * view_read - the whole content, in pieces of @piece bytes, into a buffer of malloc().
 * Ends that are no sector are met with a @piece that is none.
 */
int view_read(struct fs *fs, const char *path, size_t piece, uint8_t **out, size_t *len);

/* Sorted names of a directory, without . and .., each followed by a zero byte, malloc()ed. */
int view_list(struct fs *fs, const char *path, char **out, size_t *nr);

/*
 * view_compare - is @path here what it is below @host, a folder? Type, mode, owner, links, size,
 * times in seconds, content, target, names, attributes. What differs is logged and expected away.
 */
void view_compare(struct fs *fs, const char *host, const char *path);

/* A digest of the whole tree with all content: names, attributes, data. First error met in *@err. */
uint64_t view_digest(struct fs *fs, int *err);

#endif
