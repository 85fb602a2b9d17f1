/* SPDX-License-Identifier: MIT */
/*
 * flush.h - which steps a write with PREFLUSH or FUA needs: the decision alone, values in, values
 * out. The machinery is flush.c.
 */
#ifndef BLK_FLUSH_H
#define BLK_FLUSH_H

#include <stdbool.h>

#include "blkfs/bio.h"

/* In the order in which they are taken. */
enum flush_step {
	FLUSH_PRE = 1 << 0,  /* the device's cache is flushed */
	FLUSH_DATA = 1 << 1, /* the data is written */
	FLUSH_POST = 1 << 2, /* the cache is flushed again: FUA for a device that has none */
};

/* What a device is, as far as flushes go. has_fua without has_cache means nothing. */
struct flush_caps {
	bool has_cache;
	bool has_fua;
};

/* The steps of a request with the flags @opf: a set of enum flush_step, empty when there is nothing
 * to do at all. */
unsigned int blk_flush_policy(struct flush_caps caps, blk_opf_t opf, bool has_data);

/* @opf as the device is to see it in the data step. */
blk_opf_t blk_flush_data_opf(struct flush_caps caps, blk_opf_t opf);

#endif
