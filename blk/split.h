/* SPDX-License-Identifier: MIT */
/*
 * split.h - the decision where a bio is cut. Pure: values in, values out.
 */
#ifndef BLK_SPLIT_H
#define BLK_SPLIT_H

#include "blkfs/bio.h"
#include "blkfs/blkdev.h"

/*
 * bio_split_decide - may @bio go to a device with @lim (validated) as it is?
 *
 * Returns 0: yes, with *@nr_segs segments. Positive: the first so many sectors, with *@nr_segs
 * segments at most, fit; fewer than the bio has. -EINVAL: it can neither fit nor be cut, and
 * *@limit names the limit that forbids it.
 */
int __must_check bio_split_decide(const struct bio *bio, const struct queue_limits *lim,
				  unsigned int *nr_segs, const char **limit);

/*
 * bio_fits_simply - the common case without the walk: a bio with data, in one vector that is one
 * segment, no limit near. @max_bytes is queue_simple_bytes() of the limits.
 */
static inline bool bio_fits_simply(const struct bio *bio, const struct queue_limits *lim,
				   uint32_t max_bytes)
{
	uintptr_t addr;

	if (bio->bi_vcnt != 1 || bio->bi_iter.bi_size > max_bytes)
		return false;
	addr = (uintptr_t)bio->bi_io_vec->bv_addr + bio->bi_iter.bi_bvec_done;
	return !((addr | bio->bi_iter.bi_size) & lim->dma_alignment) &&
	       !((addr ^ (addr + bio->bi_iter.bi_size - 1)) & ~lim->seg_boundary_mask);
}

/* The size up to which a bio of one vector is one I/O wherever it lies; 0: there is none. */
static inline uint32_t queue_simple_bytes(const struct queue_limits *lim)
{
	uint32_t pbs = lim->physical_block_size >> SECTOR_SHIFT;
	uint32_t max_sectors = lim->max_sectors;

	if (lim->chunk_sectors || (lim->features & BLK_FEAT_ZONED))
		return 0;
	/* Not so large that it would rather be cut on a physical block. */
	max_sectors = max_sectors >= 2 * pbs ? max_sectors - pbs : 0;
	return min_t(uint32_t, max_sectors << SECTOR_SHIFT, lim->max_segment_size);
}

#endif
