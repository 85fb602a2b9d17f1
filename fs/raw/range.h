/* SPDX-License-Identifier: MIT */
/*
 * range.h - keeps a read-modify-write of a block's edge and whole-block writes apart.
 *
 * The device is cut into stripes of 1 MiB that share RANGE_STRIPES locks. A write of whole blocks
 * holds its stripes shared, one with an edge holds them alone; reads take nothing, as on any disk.
 */
#ifndef BLKFS_RAW_RANGE_H
#define BLKFS_RAW_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "blkfs/rt.h"

enum { RANGE_STRIPES = 64, RANGE_STRIPE_SHIFT = 20 };

struct range_lock {
	struct rt_rwsem stripes[RANGE_STRIPES];
};

void range_lock_init(struct range_lock *rl);
/* Takes what covers [off, off+len), lowest lock first. Context: task; sleeps. */
void range_lock_begin(struct range_lock *rl, uint64_t off, uint64_t len, bool is_alone);
void range_lock_end(struct range_lock *rl, uint64_t off, uint64_t len, bool is_alone);

/* Pure: bit n is set when stripe lock n covers a part of [off, off+len). */
uint64_t range_lock_mask(uint64_t off, uint64_t len);

#endif
