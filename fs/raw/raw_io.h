/* SPDX-License-Identifier: MIT */
/*
 * raw_io.h - bytes at any offset of a block device, from and to a page aligned payload.
 *
 * Whole blocks move between payload and device without a copy. What is not aligned goes through a
 * bounce buffer of a small pool; a write reads the edge blocks first, alone in its range.
 */
#ifndef BLKFS_RAW_IO_H
#define BLKFS_RAW_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "blkfs/blkdev.h"
#include "blkfs/rt.h"
#include "range.h"

enum { RAW_BOUNCE_BYTES = 64 * 1024, RAW_BOUNCES = 8 };

struct raw_io {
	struct block_device *bdev;
	uint32_t block_bytes; /* the device's logical block */
	struct range_lock ranges;
	char *bounces;	       /* RAW_BOUNCES buffers in one piece */
	uint32_t bounces_free; /* bit set: free [atomic] */
	struct rt_waitqueue bounce_wait;
};

int __must_check raw_io_init(struct raw_io *rio, struct block_device *bdev);
void raw_io_fini(struct raw_io *rio);

/* [off, off+len) lies within the device. 0 or -errno; on error any part may be done. */
int __must_check raw_io_read(struct raw_io *rio, uint64_t off, void *buf, size_t len);
/* @opf: REQ_SYNC, REQ_FUA as wanted. */
int __must_check raw_io_write(struct raw_io *rio, blk_opf_t opf, uint64_t off, const void *buf,
			      size_t len);
/* Reads back as zeros; whole blocks may be unmapped unless @is_kept. */
int __must_check raw_io_zero(struct raw_io *rio, uint64_t off, uint64_t len, bool is_kept);

#endif
