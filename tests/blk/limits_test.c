/* SPDX-License-Identifier: MIT */
/*
 * Limits: what is completed, what is refused, and what is left when two devices are stacked.
 */
#include "tests/lib/test.h"

#include <errno.h>

#include "blkfs/blkdev.h"

static struct queue_limits defaults(void)
{
	struct queue_limits lim;

	blk_set_default_limits(&lim);
	return lim;
}

Test(limits, a_device_that_says_nothing_gets_linux_defaults)
{
	struct queue_limits lim = defaults();

	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.logical_block_size, 512);
	cr_expect_eq(lim.physical_block_size, 512);
	cr_expect_eq(lim.io_min, 512);
	cr_expect_eq(lim.max_hw_sectors, 255);
	cr_expect_eq(lim.max_sectors, 255);
	cr_expect_eq(lim.max_segments, 128);
	cr_expect_eq(lim.max_segment_size, 65536);
	cr_expect_eq(lim.seg_boundary_mask, 0xffffffff);
	cr_expect_eq(lim.max_discard_sectors, 0);
	cr_expect_eq(lim.discard_granularity, 0);
}

Test(limits, the_default_of_max_sectors_is_capped_and_the_users_wish_is_kept_below_the_hardware)
{
	struct queue_limits lim = defaults();

	lim.max_hw_sectors = 65536;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.max_sectors, 8192);
	lim.max_user_sectors = 64;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.max_sectors, 64);
	lim.max_user_sectors = 1 << 20;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.max_sectors, 65536);
}

Test(limits, maxima_are_rounded_to_logical_blocks)
{
	struct queue_limits lim = defaults();

	lim.logical_block_size = 4096;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.max_hw_sectors, 248);
	cr_expect_eq(lim.max_sectors, 248);
	cr_expect_eq(lim.physical_block_size, 4096);
}

Test(limits, what_the_user_writes_narrows_discards)
{
	struct queue_limits lim = defaults();

	lim.max_hw_discard_sectors = 1 << 20;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.max_discard_sectors, 1 << 20);
	cr_expect_eq(lim.discard_granularity, 512);
	lim.max_user_discard_sectors = 2048;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.max_discard_sectors, 2048);
	lim.max_user_discard_sectors = 0;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.max_discard_sectors, 0);
}

Test(limits, fua_without_a_cache_means_nothing)
{
	struct queue_limits lim = defaults();

	lim.features = BLK_FEAT_FUA;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.features & BLK_FEAT_FUA, 0);
}

Test(limits, nonsense_is_refused)
{
	static const struct {
		const char *what;
		struct queue_limits lim;
	} rows[] = {
		{ "block of 511", { .logical_block_size = 511 } },
		{ "block of 256", { .logical_block_size = 256 } },
		{ "block of 128 KiB", { .logical_block_size = 131072 } },
		{ "physical block of 3 KiB", { .physical_block_size = 3072 } },
		{ "less than a page", { .max_hw_sectors = 7 } },
		{ "less than a block", { .max_hw_sectors = 8, .logical_block_size = 8192 } },
		{ "user's less than a page", { .max_user_sectors = 4 } },
		{ "chunks of half blocks", { .chunk_sectors = 12, .logical_block_size = 4096 } },
		{ "a boundary with a hole", { .seg_boundary_mask = 0xfffe } },
		{ "a boundary below a page", { .seg_boundary_mask = 2047 } },
		{ "a gap mask with a hole", { .virt_boundary_mask = 0xff0 } },
		{ "segments below a page", { .max_segment_size = 2048 } },
		{ "alignment of a page", { .dma_alignment = 4095 + 4096 } },
		{ "alignment of three", { .dma_alignment = 2 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct queue_limits lim = rows[i].lim;

		cr_expect_eq(blk_validate_limits(&lim), -EINVAL, "%s", rows[i].what);
	}
}

Test(limits, a_gap_mask_lifts_the_segment_size)
{
	struct queue_limits lim = defaults();

	lim.virt_boundary_mask = 4095;
	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(lim.max_segment_size, UINT32_MAX);
}

static struct queue_limits validated(struct queue_limits lim)
{
	cr_assert_eq(blk_validate_limits(&lim), 0);
	return lim;
}

Test(limits, a_stack_allows_what_all_below_allow)
{
	struct queue_limits top = defaults(), a = defaults(), b = defaults();

	a.max_hw_sectors = 1024;
	a.max_segments = 64;
	a.features = BLK_FEAT_NOWAIT;
	a.chunk_sectors = 256;
	b.max_hw_sectors = 512;
	b.max_segments = 256;
	b.logical_block_size = 4096;
	b.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_NOWAIT;
	b.virt_boundary_mask = 4095;
	b.chunk_sectors = 384;
	top.max_hw_sectors = UINT32_MAX;
	top.features = BLK_FEAT_NOWAIT | BLK_FEAT_POLL;
	a = validated(a);
	b = validated(b);
	top.max_sectors = UINT32_MAX;
	cr_expect_eq(blk_stack_limits(&top, &a, 0), 0);
	cr_expect_eq(blk_stack_limits(&top, &b, 0), 0);
	cr_expect_eq(top.max_sectors, 512);
	cr_expect_eq(top.max_segments, 64);
	cr_expect_eq(top.logical_block_size, 4096);
	cr_expect_eq(top.virt_boundary_mask, 4095);
	cr_expect_eq(top.chunk_sectors, 128);
	cr_expect(top.features & BLK_FEAT_WRITE_CACHE, "any cache below is a cache");
	cr_expect(top.features & BLK_FEAT_NOWAIT, "all below can");
	cr_expect_not(top.features & BLK_FEAT_POLL, "not all below can");
}

Test(limits, a_start_off_the_physical_block_is_an_alignment_offset)
{
	struct queue_limits top = validated(defaults()), bottom = defaults();

	bottom.physical_block_size = 4096;
	bottom = validated(bottom);
	cr_expect_eq(blk_stack_limits(&top, &bottom, 1), 0);
	cr_expect_eq(top.physical_block_size, 4096);
	cr_expect_eq(top.alignment_offset, 3584);
}

Test(limits, starts_that_cannot_be_reconciled_are_said)
{
	struct queue_limits top = validated(defaults()), a = defaults(), b = defaults();

	a.physical_block_size = 4096;
	a = validated(a);
	b.physical_block_size = 4096;
	b = validated(b);
	cr_expect_eq(blk_stack_limits(&top, &a, 0), 0);
	cr_expect_eq(blk_stack_limits(&top, &b, 1), -1);
}
