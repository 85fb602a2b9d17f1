/* SPDX-License-Identifier: MIT */
/*
 * file.h - within fs/ext4: the data of regular files.
 */
#ifndef FS_EXT4_FILE_H
#define FS_EXT4_FILE_H

#include "fs/ext4/inode.h"

/* Bytes read into @io, 0 at and behind the end of the file, or an error. */
ssize_t ext4_file_read(struct ext4_fs *fs, struct ext4_inode *inode, struct fs_io *io);
/* SEEK_DATA and SEEK_HOLE: an offset, -ENXIO, or an error. */
off_t ext4_file_seek(struct ext4_fs *fs, struct ext4_inode *inode, uint64_t off, bool is_data);

/* ---- bounce.c: memory for the pieces that a device cannot read in place ------------------------- */

enum { BOUNCE_BYTES = 64 << 10 };

int __must_check bounce_pool_create(struct bounce_pool **out);
void bounce_pool_destroy(struct bounce_pool *p);
/* BOUNCE_BYTES, page aligned. Waits for one; a task holds one at a time, on its reactor. */
void *bounce_get(struct bounce_pool *p);
void bounce_put(struct bounce_pool *p, void *buf);

#endif
