/* SPDX-License-Identifier: MIT */
/*
 * limits.c - what a device can take: defaults, validation, stacking.
 *
 * 1. Limits that were validated need no check at I/O time: block sizes are powers of two, maxima
 *    hold at least one logical block, min() of hardware and user limits is in the plain field.
 * Pure: no state, no lock. Changing a queue's limits is queue_limits_set() in queue.c.
 */
#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "base/log.h"
#include "blkfs/blkdev.h"

/* Linux's numbers (include/linux/blkdev.h of 6.18). */
enum {
	LIM_MAX_SEGMENTS = 128,
	LIM_MAX_SEGMENT_SIZE = 65536,
	LIM_SAFE_MAX_SECTORS = 255,
	LIM_DEF_MAX_SECTORS = (4 << 20) >> SECTOR_SHIFT, /* cap of max_sectors_kb's default */
	LIM_MIN_SECTORS = 4096 >> SECTOR_SHIFT,
	LIM_MAX_BLOCK_SIZE = 65536,
	LIM_MIN_SEGMENT_SIZE = 4096,
	LIM_DMA_ALIGNMENT = 511,
};
#define LIM_SEG_BOUNDARY_MASK 0xffffffffULL

void blk_set_default_limits(struct queue_limits *lim)
{
	*lim = (struct queue_limits){
		.seg_boundary_mask = LIM_SEG_BOUNDARY_MASK,
		.max_hw_sectors = LIM_SAFE_MAX_SECTORS,
		.max_segments = LIM_MAX_SEGMENTS,
		.max_segment_size = LIM_MAX_SEGMENT_SIZE,
		.max_discard_segments = 1,
		.logical_block_size = SECTOR_SIZE,
		.dma_alignment = LIM_DMA_ALIGNMENT,
		.max_user_discard_sectors = UINT32_MAX,
	};
}

static int refuse(const char *name, uint64_t value, const char *rule)
{
	log_err("queue limits: %s = %llu is refused: it must be %s", name,
		(unsigned long long)value, rule);
	return -EINVAL;
}

static int validate_block_sizes(struct queue_limits *lim)
{
	if (!lim->logical_block_size)
		lim->logical_block_size = SECTOR_SIZE;
	if (!is_power_of_2(lim->logical_block_size) || lim->logical_block_size < SECTOR_SIZE ||
	    lim->logical_block_size > LIM_MAX_BLOCK_SIZE)
		return refuse("logical_block_size", lim->logical_block_size,
			      "a power of two from 512 to 65536");
	lim->physical_block_size = max(lim->physical_block_size, lim->logical_block_size);
	if (!is_power_of_2(lim->physical_block_size))
		return refuse("physical_block_size", lim->physical_block_size, "a power of two");
	lim->io_min = max(lim->io_min, lim->physical_block_size);
	lim->io_opt = (uint32_t)round_down(lim->io_opt, lim->physical_block_size);
	lim->alignment_offset &= lim->physical_block_size - 1;
	return 0;
}

static int validate_sizes(struct queue_limits *lim)
{
	uint32_t lbs_sectors = lim->logical_block_size >> SECTOR_SHIFT;
	uint32_t max_sectors;

	if (!lim->max_hw_sectors)
		lim->max_hw_sectors = LIM_SAFE_MAX_SECTORS;
	if (lim->max_hw_sectors < max_t(uint32_t, lbs_sectors, LIM_MIN_SECTORS))
		return refuse("max_hw_sectors", lim->max_hw_sectors,
			      "at least 8 and one logical block");
	lim->max_hw_sectors = (uint32_t)round_down(lim->max_hw_sectors, lbs_sectors);
	if (lim->max_user_sectors) {
		if (lim->max_user_sectors < LIM_MIN_SECTORS)
			return refuse("max_user_sectors", lim->max_user_sectors, "at least 8");
		max_sectors = min(lim->max_hw_sectors, lim->max_user_sectors);
	} else {
		max_sectors =
			min_t(uint32_t, lim->max_hw_sectors,
			      max_t(uint32_t, LIM_DEF_MAX_SECTORS, lim->io_opt >> SECTOR_SHIFT));
	}
	lim->max_sectors =
		max_t(uint32_t, lbs_sectors, (uint32_t)round_down(max_sectors, lbs_sectors));
	if (lim->chunk_sectors && !is_aligned(lim->chunk_sectors, lbs_sectors))
		return refuse("chunk_sectors", lim->chunk_sectors, "a multiple of a logical block");
	return 0;
}

static int validate_segments(struct queue_limits *lim)
{
	if (!lim->max_segments)
		lim->max_segments = LIM_MAX_SEGMENTS;
	if (!lim->max_discard_segments)
		lim->max_discard_segments = 1;
	if (!lim->seg_boundary_mask)
		lim->seg_boundary_mask = LIM_SEG_BOUNDARY_MASK;
	if (!is_power_of_2(lim->seg_boundary_mask + 1) && lim->seg_boundary_mask != UINT64_MAX)
		return refuse("seg_boundary_mask", lim->seg_boundary_mask, "a power of two less 1");
	if (lim->seg_boundary_mask < LIM_MIN_SEGMENT_SIZE - 1)
		return refuse("seg_boundary_mask", lim->seg_boundary_mask, "at least 4095");
	if (lim->virt_boundary_mask) {
		if (!is_power_of_2(lim->virt_boundary_mask + 1))
			return refuse("virt_boundary_mask", lim->virt_boundary_mask,
				      "a power of two less 1");
		/* Gaps are what such a device cannot do; a long segment it sees as many. */
		lim->max_segment_size = UINT32_MAX;
	}
	if (!lim->max_segment_size)
		lim->max_segment_size = LIM_MAX_SEGMENT_SIZE;
	if (lim->max_segment_size < LIM_MIN_SEGMENT_SIZE ||
	    lim->max_segment_size < lim->logical_block_size)
		return refuse("max_segment_size", lim->max_segment_size,
			      "at least 4096 and one logical block");
	if (!is_power_of_2((uint64_t)lim->dma_alignment + 1) ||
	    lim->dma_alignment >= LIM_MIN_SEGMENT_SIZE)
		return refuse("dma_alignment", lim->dma_alignment,
			      "a power of two less 1, below 4096");
	return 0;
}

static int validate_discard(struct queue_limits *lim)
{
	lim->max_discard_sectors = min(lim->max_hw_discard_sectors, lim->max_user_discard_sectors);
	if (!lim->max_discard_sectors) {
		lim->discard_granularity = 0;
		lim->discard_alignment = 0;
		return 0;
	}
	lim->discard_granularity = max(lim->discard_granularity, lim->physical_block_size);
	if (!is_aligned(lim->discard_granularity, lim->logical_block_size))
		return refuse("discard_granularity", lim->discard_granularity,
			      "a multiple of the logical block size");
	lim->discard_alignment %= lim->discard_granularity;
	return 0;
}

static int validate_features(struct queue_limits *lim)
{
	if ((lim->features & BLK_FEAT_FUA) && !(lim->features & BLK_FEAT_WRITE_CACHE)) {
		/* Without a volatile cache every write is what FUA asks for. */
		lim->features &= ~(uint32_t)BLK_FEAT_FUA;
	}
	if (!(lim->features & BLK_FEAT_ZONED))
		lim->max_zone_append_sectors = 0;
	else
		lim->max_zone_append_sectors = min(lim->max_zone_append_sectors, lim->max_sectors);
	return 0;
}

int blk_validate_limits(struct queue_limits *lim)
{
	static int (*const steps[])(struct queue_limits *) = {
		validate_block_sizes, validate_sizes,	 validate_segments,
		validate_discard,     validate_features,
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int err = steps[i](lim);

		if (err)
			return err;
	}
	return 0;
}

/* ---- stacking ------------------------------------------------------------------------------- */

static uint32_t min_not_zero(uint32_t a, uint32_t b)
{
	return !a ? b : !b ? a : min(a, b);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

static uint32_t lcm_not_zero(uint32_t a, uint32_t b)
{
	uint64_t l;

	if (!a || !b)
		return a | b;
	l = (uint64_t)a / gcd(a, b) * b;
	return l > UINT32_MAX ? 0 : (uint32_t)l;
}

/* How far sector @start is into a physical block of @lim: bytes to the next aligned one. */
static uint32_t alignment_at(const struct queue_limits *lim, sector_t start)
{
	uint32_t granularity = max(lim->physical_block_size, lim->io_min);
	uint32_t into = (uint32_t)((start % (granularity >> SECTOR_SHIFT)) << SECTOR_SHIFT);

	return (granularity + lim->alignment_offset - into) % granularity;
}

static uint32_t discard_alignment_at(const struct queue_limits *lim, sector_t start)
{
	uint32_t granularity = lim->discard_granularity >> SECTOR_SHIFT;
	uint32_t alignment = lim->discard_alignment >> SECTOR_SHIFT;

	if (!lim->max_discard_sectors || !granularity)
		return 0;
	return (uint32_t)((granularity + alignment - start % granularity) % granularity)
	       << SECTOR_SHIFT;
}

static void stack_maxima(struct queue_limits *t, const struct queue_limits *b)
{
	t->max_sectors = min(t->max_sectors, b->max_sectors);
	t->max_user_sectors = min_not_zero(t->max_user_sectors, b->max_user_sectors);
	t->max_hw_sectors = min(t->max_hw_sectors, b->max_hw_sectors);
	t->max_write_zeroes_sectors = min(t->max_write_zeroes_sectors, b->max_write_zeroes_sectors);
	t->max_secure_erase_sectors =
		min_not_zero(t->max_secure_erase_sectors, b->max_secure_erase_sectors);
	t->max_zone_append_sectors = min(t->max_zone_append_sectors, b->max_zone_append_sectors);
	t->seg_boundary_mask = min(t->seg_boundary_mask, b->seg_boundary_mask);
	t->virt_boundary_mask = !t->virt_boundary_mask ? b->virt_boundary_mask
				: !b->virt_boundary_mask
					? t->virt_boundary_mask
					: min(t->virt_boundary_mask, b->virt_boundary_mask);
	t->max_segments = min(t->max_segments, b->max_segments);
	t->max_discard_segments = min(t->max_discard_segments, b->max_discard_segments);
	t->max_segment_size = min(t->max_segment_size, b->max_segment_size);
	t->dma_alignment = max(t->dma_alignment, b->dma_alignment);
}

static void stack_features(struct queue_limits *t, const struct queue_limits *b)
{
	/* Any below makes the whole so; of the rest, all below must have it. */
	static const uint32_t any = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_ROTATIONAL |
				    BLK_FEAT_STABLE_WRITES | BLK_FEAT_ZONED;

	t->features = (t->features & b->features) | ((t->features | b->features) & any);
}

/* -1 when the top can no longer be aligned to both. */
static int stack_alignment(struct queue_limits *t, const struct queue_limits *b, sector_t start)
{
	uint32_t alignment = alignment_at(b, start);
	int ret = 0;

	if (t->alignment_offset != alignment) {
		uint32_t top = max(t->physical_block_size, t->io_min) + t->alignment_offset;
		uint32_t bottom = max(b->physical_block_size, b->io_min) + alignment;

		if (max(top, bottom) % min(top, bottom))
			ret = -1;
	}
	t->logical_block_size = max(t->logical_block_size, b->logical_block_size);
	t->physical_block_size = max(t->physical_block_size, b->physical_block_size);
	t->io_min = max(t->io_min, b->io_min);
	t->io_opt = lcm_not_zero(t->io_opt, b->io_opt);
	t->io_opt = (uint32_t)round_down(t->io_opt, t->physical_block_size);
	t->alignment_offset = lcm_not_zero(t->alignment_offset, alignment) %
			      max(t->physical_block_size, t->io_min);
	if (t->alignment_offset & (t->logical_block_size - 1))
		ret = -1;
	if (t->chunk_sectors && b->chunk_sectors)
		t->chunk_sectors = (uint32_t)gcd(t->chunk_sectors, b->chunk_sectors);
	else
		t->chunk_sectors |= b->chunk_sectors;
	return ret;
}

static void stack_discard(struct queue_limits *t, const struct queue_limits *b, sector_t start)
{
	uint32_t alignment;

	t->max_discard_sectors = min_not_zero(t->max_discard_sectors, b->max_discard_sectors);
	t->max_hw_discard_sectors =
		min_not_zero(t->max_hw_discard_sectors, b->max_hw_discard_sectors);
	if (!b->discard_granularity)
		return;
	alignment = discard_alignment_at(b, start);
	t->discard_granularity = max(t->discard_granularity, b->discard_granularity);
	t->discard_alignment =
		lcm_not_zero(t->discard_alignment, alignment) % t->discard_granularity;
}

int blk_stack_limits(struct queue_limits *top, const struct queue_limits *bottom, sector_t start)
{
	int ret;

	stack_features(top, bottom);
	stack_maxima(top, bottom);
	ret = stack_alignment(top, bottom, start);
	stack_discard(top, bottom, start);
	return ret;
}
