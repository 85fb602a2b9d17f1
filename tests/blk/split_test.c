/* SPDX-License-Identifier: MIT */
/*
 * Where a bio is cut: each limit by a table, then random bios against every limit at once, checked
 * by a slow and obvious count of what the device would see.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>

#include "blk/split.h"

enum { VECS = 16 };

#define AT(page_nr) ((void *)(uintptr_t)(0x10000000 + (page_nr)*4096ULL))

static struct bio_vec vecs[VECS];

static struct bio bio_of(blk_opf_t opf, sector_t sector, unsigned int vecs_nr, uint32_t vec_len)
{
	struct bio bio = { .bi_opf = opf, .bi_io_vec = vecs, .bi_vcnt = (uint16_t)vecs_nr };

	/* Vectors lie apart, so that none touches the next. */
	for (unsigned int i = 0; i < vecs_nr; i++)
		vecs[i] = (struct bio_vec){ AT(i * 64), vec_len };
	bio.bi_iter.bi_sector = sector;
	bio.bi_iter.bi_size = vecs_nr * vec_len;
	return bio;
}

static struct bio range_of(blk_opf_t opf, sector_t sector, uint32_t sectors)
{
	struct bio bio = { .bi_opf = opf };

	bio.bi_iter.bi_sector = sector;
	bio.bi_iter.bi_size = sectors << SECTOR_SHIFT;
	return bio;
}

static const struct {
	const char *what;
	struct queue_limits lim;
	sector_t sector;
	unsigned int vecs_nr;
	uint32_t vec_len;
	int cut;
	unsigned int nr_segs; /* when it is not cut */
} rows[] = {
	{ "fits", { .max_hw_sectors = 64 }, 0, 4, 4096, 0, 4 },
	{ "fits exactly", { .max_hw_sectors = 32 }, 0, 4, 4096, 0, 4 },
	{ "max_sectors", { .max_hw_sectors = 24 }, 0, 4, 4096, 24, 0 },
	{ "max_sectors ends on a physical block",
	  { .max_hw_sectors = 20, .physical_block_size = 4096 },
	  4,
	  4,
	  4096,
	  20,
	  0 },
	{ "or on the one before",
	  { .max_hw_sectors = 20, .physical_block_size = 4096 },
	  0,
	  4,
	  4096,
	  16,
	  0 },
	{ "user's max_sectors", { .max_hw_sectors = 64, .max_user_sectors = 8 }, 0, 4, 4096, 8, 0 },
	{ "max_segments", { .max_segments = 3 }, 0, 4, 4096, 24, 0 },
	{ "max_segments exactly", { .max_segments = 4 }, 0, 4, 4096, 0, 4 },
	{ "a vector of two segments", { .max_segment_size = 4096 }, 0, 2, 8192, 0, 4 },
	{ "of which not all fit",
	  { .max_segment_size = 4096, .max_segments = 3 },
	  0,
	  2,
	  8192,
	  24,
	  0 },
	{ "a boundary in a vector", { .seg_boundary_mask = 4095 }, 0, 2, 8192, 0, 4 },
	{ "chunk_sectors", { .chunk_sectors = 16 }, 12, 4, 4096, 4, 0 },
	{ "chunk_sectors from its beginning", { .chunk_sectors = 16 }, 16, 4, 4096, 16, 0 },
	{ "a chunk that it fills", { .chunk_sectors = 32 }, 32, 4, 4096, 0, 4 },
	{ "no gap where vectors are pages", { .virt_boundary_mask = 4095 }, 0, 4, 4096, 0, 4 },
	{ "a gap after half a page", { .virt_boundary_mask = 4095 }, 0, 4, 2048, 4, 0 },
};

Test(split, each_limit_cuts_where_it_must)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct queue_limits lim = rows[i].lim;
		struct bio bio =
			bio_of(REQ_OP_READ, rows[i].sector, rows[i].vecs_nr, rows[i].vec_len);
		const char *limit = NULL;
		unsigned int nr_segs;

		cr_assert_eq(blk_validate_limits(&lim), 0, "%s", rows[i].what);
		cr_expect_eq(bio_split_decide(&bio, &lim, &nr_segs, &limit), rows[i].cut, "%s: %d",
			     rows[i].what, bio_split_decide(&bio, &lim, &nr_segs, &limit));
		if (!rows[i].cut)
			cr_expect_eq(nr_segs, rows[i].nr_segs, "%s: %u", rows[i].what, nr_segs);
	}
}

static const struct {
	const char *limit;
	struct queue_limits lim;
	uint32_t vec_len;
	uintptr_t addr_off;
} refused[] = {
	{ "dma_alignment", { .dma_alignment = 511 }, 4096, 4 },
	{ "dma_alignment", { .dma_alignment = 511 }, 4096 + 256, 0 },
	{ "virt_boundary_mask",
	  { .virt_boundary_mask = 4095, .logical_block_size = 4096 },
	  2048,
	  0 },
	{ "max_segments", { .max_segments = 1, .logical_block_size = 4096 }, 2048, 0 },
};

Test(split, what_cannot_be_cut_is_refused_by_the_limits_name)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct queue_limits lim = refused[i].lim;
		struct bio bio = bio_of(REQ_OP_WRITE, 0, 4, refused[i].vec_len);
		const char *limit = "none";
		unsigned int nr_segs;

		vecs[0].bv_addr = (char *)vecs[0].bv_addr + refused[i].addr_off;
		cr_assert_eq(blk_validate_limits(&lim), 0);
		cr_expect_eq(bio_split_decide(&bio, &lim, &nr_segs, &limit), -EINVAL, "row %zu", i);
		cr_expect_str_eq(limit, refused[i].limit, "row %zu: %s", i, limit);
	}
}

static const struct {
	blk_opf_t opf;
	struct queue_limits lim;
	sector_t sector;
	uint32_t sectors;
	int cut;
} ranges[] = {
	{ REQ_OP_DISCARD, { .max_hw_discard_sectors = 64 }, 0, 64, 0 },
	{ REQ_OP_DISCARD, { .max_hw_discard_sectors = 64 }, 3, 65, 64 },
	/* granules of 16 sectors: the cut lies on one, from any start */
	{ REQ_OP_DISCARD,
	  { .max_hw_discard_sectors = 64, .discard_granularity = 8192 },
	  0,
	  100,
	  64 },
	{ REQ_OP_DISCARD,
	  { .max_hw_discard_sectors = 70, .discard_granularity = 8192 },
	  0,
	  100,
	  64 },
	{ REQ_OP_DISCARD,
	  { .max_hw_discard_sectors = 64, .discard_granularity = 8192 },
	  5,
	  100,
	  59 },
	{ REQ_OP_DISCARD,
	  { .max_hw_discard_sectors = 64, .discard_granularity = 8192, .discard_alignment = 4096 },
	  0,
	  100,
	  56 },
	{ REQ_OP_WRITE_ZEROES, { .max_write_zeroes_sectors = 64 }, 7, 64, 0 },
	{ REQ_OP_WRITE_ZEROES, { .max_write_zeroes_sectors = 64 }, 7, 65, 64 },
	{ REQ_OP_WRITE_ZEROES,
	  { .max_write_zeroes_sectors = 65, .logical_block_size = 4096 },
	  8,
	  80,
	  64 },
	{ REQ_OP_SECURE_ERASE, { .max_secure_erase_sectors = 32 }, 0, 33, 32 },
	{ REQ_OP_ZONE_RESET, { 0 }, 0, 0, 0 },
};

Test(split, ranges_are_cut_on_the_devices_granularity)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct queue_limits lim = ranges[i].lim;
		struct bio bio = range_of(ranges[i].opf, ranges[i].sector, ranges[i].sectors);
		const char *limit = NULL;
		unsigned int nr_segs;

		lim.max_user_discard_sectors = UINT32_MAX;
		cr_assert_eq(blk_validate_limits(&lim), 0);
		cr_expect_eq(bio_split_decide(&bio, &lim, &nr_segs, &limit), ranges[i].cut,
			     "row %zu: %d", i, bio_split_decide(&bio, &lim, &nr_segs, &limit));
	}
}

Test(split, a_zone_append_is_never_cut)
{
	struct queue_limits lim = { .features = BLK_FEAT_ZONED, .max_zone_append_sectors = 16 };
	struct bio bio = bio_of(REQ_OP_ZONE_APPEND, 0, 4, 4096);
	const char *limit = NULL;
	unsigned int nr_segs;

	cr_assert_eq(blk_validate_limits(&lim), 0);
	cr_expect_eq(bio_split_decide(&bio, &lim, &nr_segs, &limit), -EINVAL);
	cr_expect_str_eq(limit, "max_zone_append_sectors");
}

/* ---- random, against an obvious count ------------------------------------------------------------- */

static uint64_t seed;

static uint32_t pick(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static struct queue_limits random_limits(void)
{
	struct queue_limits lim = {
		.max_hw_sectors = 8 + pick(256),
		.max_segments = (uint16_t)(1 + pick(8)),
		.max_segment_size = 4096u << pick(4),
		.logical_block_size = 512,
		.physical_block_size = 512u << pick(4),
		.chunk_sectors = pick(2) ? 8 << pick(4) : 0,
		.virt_boundary_mask = pick(3) ? 0 : 4095,
		.seg_boundary_mask = pick(2) ? 0xffff : 0xffffffff,
		.dma_alignment = 511,
	};

	return lim;
}

static struct bio random_bio(void)
{
	struct bio bio = { .bi_opf = REQ_OP_READ, .bi_io_vec = vecs };

	bio.bi_vcnt = (uint16_t)(1 + pick(VECS));
	bio.bi_iter.bi_sector = pick(1000);
	for (unsigned int i = 0; i < bio.bi_vcnt; i++) {
		vecs[i].bv_addr = (char *)AT(i * 64) + 512 * pick(8);
		vecs[i].bv_len = 512 * (1 + pick(64));
		bio.bi_iter.bi_size += vecs[i].bv_len;
	}
	return bio;
}

/* Sector by sector: what a device with @lim would have to do for the first @sectors. */
static bool is_allowed(const struct bio *bio, const struct queue_limits *lim, uint32_t sectors)
{
	uintptr_t prev_end = 0, seg_start = 0;
	unsigned int segs = 0, vec = 0;
	uint32_t off = 0;

	if (sectors > lim->max_sectors)
		return false;
	if (lim->chunk_sectors &&
	    bio->bi_iter.bi_sector / lim->chunk_sectors !=
		    (bio->bi_iter.bi_sector + sectors - 1) / lim->chunk_sectors)
		return false;
	for (uint32_t s = 0; s < sectors; s++) {
		uintptr_t addr = (uintptr_t)vecs[vec].bv_addr + off;

		if (off == 0 && prev_end && ((prev_end | addr) & lim->virt_boundary_mask))
			return false;
		if (off == 0 || addr + 512 - seg_start > lim->max_segment_size ||
		    ((seg_start ^ (addr + 511)) & ~lim->seg_boundary_mask)) {
			segs++;
			seg_start = addr;
		}
		prev_end = addr + 512;
		off += 512;
		if (off == vecs[vec].bv_len) {
			vec++;
			off = 0;
		}
	}
	return segs <= lim->max_segments;
}

Test(split, what_is_sent_is_always_allowed_and_nothing_is_cut_without_need)
{
	for (seed = 1; seed < 20000; seed++) {
		uint64_t began = seed;
		struct queue_limits lim = random_limits();
		struct bio bio = random_bio();
		const char *limit = NULL;
		unsigned int nr_segs;
		int cut;

		cr_assert_eq(blk_validate_limits(&lim), 0);
		cut = bio_split_decide(&bio, &lim, &nr_segs, &limit);
		cr_assert_geq(cut, 0, "seed %lu: refused for %s", (unsigned long)began, limit);
		cr_assert_eq(is_allowed(&bio, &lim, cut ? (uint32_t)cut : bio_sectors(&bio)), true,
			     "seed %lu: %d of %u sectors", (unsigned long)began, cut,
			     bio_sectors(&bio));
		/* A bio as long as max_sectors may be cut to end on a physical block. */
		if (cut && bio_sectors(&bio) + (lim.physical_block_size >> SECTOR_SHIFT) <=
				   lim.max_sectors)
			cr_assert_not(is_allowed(&bio, &lim, bio_sectors(&bio)), "seed %lu",
				      (unsigned long)began);
		if (bio_fits_simply(&bio, &lim, queue_simple_bytes(&lim)))
			cr_assert(!cut && nr_segs == 1, "seed %lu", (unsigned long)began);
		seed = began;
	}
}
