/* SPDX-License-Identifier: MIT */
/*
 * split.c - where a bio must be cut so that its device can take it. Pure.
 *
 * 1. A cut lies on a logical block; a bio for which there is no such cut is refused, and the limit
 *    that stands against it is named.
 * 2. Segments are counted as the device will see them: a vector longer than max_segment_size or
 *    across seg_boundary_mask is several.
 * Locks: none.
 */
#include <errno.h>

#include "base/compiler.h"

#include "split.h"

/* Sectors that one I/O from @sector on may have, by size, chunk and physical block. */
static uint32_t max_io_sectors(const struct queue_limits *lim, enum req_op op, sector_t sector)
{
	uint32_t pbs = lim->physical_block_size >> SECTOR_SHIFT;
	uint32_t lbs = lim->logical_block_size >> SECTOR_SHIFT;
	uint32_t max_sectors = lim->max_sectors;
	uint32_t start, end;

	if (lim->chunk_sectors) {
		uint32_t left = lim->chunk_sectors - (uint32_t)(sector % lim->chunk_sectors);

		max_sectors = min(max_sectors, left);
	}
	/* Better end on a physical block, if that leaves anything; a logical one in any case. */
	start = (uint32_t)(sector & (pbs - 1));
	end = (start + max_sectors) & ~(pbs - 1);
	if (end > start)
		return end - start;
	return max_sectors & ~(lbs - 1);
}

/* Bytes from @addr on that are one segment. */
static uint32_t max_segment_bytes(const struct queue_limits *lim, uintptr_t addr)
{
	uint64_t to_boundary = lim->seg_boundary_mask - (addr & lim->seg_boundary_mask);

	return (uint32_t)min_t(uint64_t, to_boundary, (uint64_t)lim->max_segment_size - 1) + 1;
}

/*
 * Takes what fits of the vector at @addr into @nr_segs and @bytes. false: it did not fit whole.
 */
static bool take_vec(const struct queue_limits *lim, struct bio_vec bv, unsigned int *nr_segs,
		     uint32_t *bytes, uint32_t max_bytes)
{
	uintptr_t addr = (uintptr_t)bv.bv_addr;
	uint32_t len = min(bv.bv_len, max_bytes - *bytes);
	uint32_t taken = 0;

	while (taken < len && *nr_segs < lim->max_segments) {
		uint32_t seg = min(max_segment_bytes(lim, addr + taken), len - taken);

		taken += seg;
		(*nr_segs)++;
	}
	*bytes += taken;
	return taken == bv.bv_len;
}

static bool is_gap(const struct queue_limits *lim, struct bio_vec prev, struct bio_vec next)
{
	uintptr_t prev_end = (uintptr_t)prev.bv_addr + prev.bv_len;

	return ((prev_end | (uintptr_t)next.bv_addr) & lim->virt_boundary_mask) != 0;
}

/* The limit that made a cut at @bytes impossible. */
static const char *limit_at_fault(const struct queue_limits *lim, bool is_gap_first,
				  unsigned int nr_segs, uint32_t max_bytes)
{
	if (is_gap_first)
		return "virt_boundary_mask";
	if (nr_segs >= lim->max_segments)
		return "max_segments";
	if (max_bytes < lim->logical_block_size)
		return lim->chunk_sectors ? "chunk_sectors" : "max_sectors";
	return "logical_block_size";
}

static int split_rw(const struct bio *bio, const struct queue_limits *lim, unsigned int *nr_segs,
		    const char **limit)
{
	uint32_t max_bytes = max_io_sectors(lim, op_of(bio->bi_opf), bio->bi_iter.bi_sector)
			     << SECTOR_SHIFT;
	struct bio_vec bv, prev = { NULL, 0 };
	struct bvec_iter it;
	uint32_t bytes = 0;
	bool is_gap_first = false;

	*nr_segs = 0;
	bio_for_each_vec(bv, bio, it) {
		if (((uintptr_t)bv.bv_addr | bv.bv_len) & lim->dma_alignment) {
			*limit = "dma_alignment";
			return -EINVAL;
		}
		if (prev.bv_addr && lim->virt_boundary_mask && is_gap(lim, prev, bv)) {
			is_gap_first = true;
			break;
		}
		if (*nr_segs >= lim->max_segments || bytes >= max_bytes ||
		    !take_vec(lim, bv, nr_segs, &bytes, max_bytes))
			break;
		prev = bv;
	}
	if (bytes == bio->bi_iter.bi_size)
		return 0;
	if (op_of(bio->bi_opf) == REQ_OP_ZONE_APPEND) {
		*limit = "max_zone_append_sectors";
		return -EINVAL;
	}
	bytes = (uint32_t)round_down(bytes, lim->logical_block_size);
	if (!bytes) {
		*limit = limit_at_fault(lim, is_gap_first, *nr_segs, max_bytes);
		return -EINVAL;
	}
	return (int)(bytes >> SECTOR_SHIFT);
}

/* Discards end on the device's granularity, so that what follows begins on one. */
static int split_discard(const struct bio *bio, const struct queue_limits *lim, uint32_t max)
{
	uint32_t granularity = max(lim->discard_granularity >> SECTOR_SHIFT, 1u);
	uint32_t alignment = (lim->discard_alignment >> SECTOR_SHIFT) % granularity;
	uint32_t lbs = lim->logical_block_size >> SECTOR_SHIFT;
	uint32_t beyond;

	max = min_t(uint32_t, max, INT32_MAX);
	max -= max % (max >= granularity ? granularity : lbs);
	if (!max || bio_sectors(bio) <= max)
		return 0;
	beyond = (uint32_t)((bio->bi_iter.bi_sector + max + granularity - alignment) % granularity);
	return (int)(max > beyond ? max - beyond : max);
}

static int split_zeroes(const struct bio *bio, const struct queue_limits *lim)
{
	uint32_t lbs = lim->logical_block_size >> SECTOR_SHIFT;
	uint32_t max = min_t(uint32_t, lim->max_write_zeroes_sectors, INT32_MAX);

	max -= max % lbs;
	if (!max || bio_sectors(bio) <= max)
		return 0;
	return (int)max;
}

int bio_split_decide(const struct bio *bio, const struct queue_limits *lim, unsigned int *nr_segs,
		     const char **limit)
{
	*nr_segs = 1;
	switch (op_of(bio->bi_opf)) {
	case REQ_OP_DISCARD:
		return split_discard(bio, lim, lim->max_discard_sectors);
	case REQ_OP_SECURE_ERASE:
		return split_discard(bio, lim, lim->max_secure_erase_sectors);
	case REQ_OP_WRITE_ZEROES:
		return split_zeroes(bio, lim);
	case REQ_OP_ZONE_APPEND:
		if (bio_sectors(bio) > lim->max_zone_append_sectors) {
			*limit = "max_zone_append_sectors";
			return -EINVAL;
		}
		return split_rw(bio, lim, nr_segs, limit);
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		return split_rw(bio, lim, nr_segs, limit);
	default:
		*nr_segs = 0;
		return 0;
	}
}
