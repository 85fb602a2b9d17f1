/* SPDX-License-Identifier: MIT */
/*
 * The model of a volatile cache, without a block layer: what a cut may leave, and what it must.
 * A sector is filled with one byte, the number of the write it came from; 0 is the fresh medium.
 */
#include <string.h>

#include "tests/lib/test.h"

#include "base/compiler.h"
#include "base/hash.h"

#include "blk/drv/mem_cache.h"

enum { SECTORS_NR = 64, SEEDS_NR = 400 };

struct disk {
	uint8_t image[SECTORS_NR * SECTOR_SIZE];
	struct mem_cache *cache;
};

static void disk_open(struct disk *d)
{
	memset(d->image, 0, sizeof(d->image));
	cr_assert(mem_cache_create(d->image, SECTORS_NR, 64, true, &d->cache) == 0);
}

static void begin(struct disk *d, struct mem_write *w, sector_t sector, sector_t nr, uint8_t fill)
{
	memset(d->image + sectors_to_bytes(sector), fill, sectors_to_bytes(nr));
	mem_cache_write(d->cache, w, sector, nr, false);
}

static void write_whole(struct disk *d, sector_t sector, sector_t nr, uint8_t fill, bool is_fua)
{
	struct mem_write w;

	begin(d, &w, sector, nr, fill);
	mem_cache_complete(d->cache, &w, is_fua);
}

/* The byte of a sector of the medium, which must be whole. */
static uint8_t fill_of(const uint8_t *medium, sector_t sector)
{
	const uint8_t *p = medium + sectors_to_bytes(sector);

	for (size_t i = 1; i < SECTOR_SIZE; i++)
		cr_assert(p[i] == p[0], "sector %llu is torn inside", (unsigned long long)sector);
	return p[0];
}

Test(mem_cache, flushed_writes_survive_every_cut)
{
	for (uint64_t seed = 0; seed < SEEDS_NR; seed++) {
		struct disk d;
		const uint8_t *medium;

		disk_open(&d);
		write_whole(&d, 0, 24, 1, false);
		mem_cache_flush(d.cache, mem_cache_mark(d.cache));
		medium = mem_cache_cut(d.cache, seed);
		for (sector_t s = 0; s < 24; s++)
			cr_assert(fill_of(medium, s) == 1);
		mem_cache_destroy(d.cache);
	}
}

Test(mem_cache, a_fua_write_survives_what_was_before_it_need_not)
{
	unsigned int lost_nr = 0;

	for (uint64_t seed = 0; seed < SEEDS_NR; seed++) {
		struct disk d;
		const uint8_t *medium;

		disk_open(&d);
		write_whole(&d, 0, 8, 1, false);
		write_whole(&d, 8, 8, 2, true);
		medium = mem_cache_cut(d.cache, seed);
		for (sector_t s = 8; s < 16; s++)
			cr_assert(fill_of(medium, s) == 2);
		lost_nr += fill_of(medium, 0) == 0;
		mem_cache_destroy(d.cache);
	}
	cr_assert(lost_nr > 0 && lost_nr < SEEDS_NR);
}

Test(mem_cache, a_flush_does_not_cover_what_completes_after_it_began)
{
	unsigned int lost_nr = 0;

	for (uint64_t seed = 0; seed < SEEDS_NR; seed++) {
		struct disk d;
		struct mem_write w;
		uint64_t mark;

		disk_open(&d);
		begin(&d, &w, 0, 8, 1);
		mark = mem_cache_mark(d.cache);
		mem_cache_complete(d.cache, &w, false);
		mem_cache_flush(d.cache, mark);
		lost_nr += fill_of(mem_cache_cut(d.cache, seed), 0) == 0;
		mem_cache_destroy(d.cache);
	}
	cr_assert(lost_nr > 0 && lost_nr < SEEDS_NR);
}

Test(mem_cache, an_older_write_never_comes_back_over_a_durable_one)
{
	for (uint64_t seed = 0; seed < SEEDS_NR; seed++) {
		struct disk d;
		const uint8_t *medium;

		disk_open(&d);
		write_whole(&d, 0, 16, 1, false);
		write_whole(&d, 4, 8, 2, true);
		medium = mem_cache_cut(d.cache, seed);
		for (sector_t s = 4; s < 12; s++)
			cr_assert(fill_of(medium, s) == 2);
		mem_cache_destroy(d.cache);
	}
}

Test(mem_cache, cuts_lose_keep_tear_and_reorder)
{
	unsigned int lost_nr = 0, kept_nr = 0, torn_nr = 0, reordered_nr = 0;

	for (uint64_t seed = 0; seed < SEEDS_NR; seed++) {
		struct disk d;
		const uint8_t *medium;
		unsigned int first_nr = 0;

		disk_open(&d);
		write_whole(&d, 0, 32, 1, false);
		write_whole(&d, 32, 8, 2, false);
		write_whole(&d, 32, 8, 3, false);
		medium = mem_cache_cut(d.cache, seed);
		for (sector_t s = 0; s < 32; s++)
			first_nr += fill_of(medium, s) == 1;
		lost_nr += first_nr == 0;
		kept_nr += first_nr == 32;
		torn_nr += first_nr > 0 && first_nr < 32;
		reordered_nr += fill_of(medium, 32) == 2;
		mem_cache_destroy(d.cache);
	}
	cr_assert(lost_nr > 0 && kept_nr > 0 && torn_nr > 0 && reordered_nr > 0,
		  "lost %u, kept %u, torn %u, reordered %u of %d", lost_nr, kept_nr, torn_nr,
		  reordered_nr, SEEDS_NR);
}

Test(mem_cache, what_is_in_flight_may_survive_or_not)
{
	unsigned int kept_nr = 0;

	for (uint64_t seed = 0; seed < SEEDS_NR; seed++) {
		struct disk d;
		struct mem_write w;

		disk_open(&d);
		begin(&d, &w, 0, 1, 1);
		kept_nr += fill_of(mem_cache_cut(d.cache, seed), 0);
		mem_cache_destroy(d.cache);
	}
	cr_assert(kept_nr > 0 && kept_nr < SEEDS_NR);
}

Test(mem_cache, zeros_are_writes)
{
	unsigned int zero_nr = 0;

	for (uint64_t seed = 0; seed < SEEDS_NR; seed++) {
		struct disk d;
		struct mem_write w;
		const uint8_t *medium;

		disk_open(&d);
		write_whole(&d, 0, 32, 7, true);
		memset(d.image, 0, sectors_to_bytes(32));
		mem_cache_write(d.cache, &w, 0, 32, true);
		mem_cache_complete(d.cache, &w, seed & 1);
		medium = mem_cache_cut(d.cache, seed);
		for (sector_t s = 0; s < 32; s++)
			cr_assert(fill_of(medium, s) == 0 || (!(seed & 1) && medium[s * 512] == 7));
		zero_nr += medium[0] == 0;
		mem_cache_destroy(d.cache);
	}
	cr_assert(zero_nr > SEEDS_NR / 2 && zero_nr < SEEDS_NR);
}

Test(mem_cache, one_seed_gives_one_medium)
{
	uint64_t digest[2];

	for (int round = 0; round < 2; round++) {
		struct disk d;

		disk_open(&d);
		for (uint8_t i = 0; i < 40; i++)
			write_whole(&d, i, 9, (uint8_t)(i + 1), i % 11 == 10);
		digest[round] = hash_bytes(0, mem_cache_cut(d.cache, 42), sizeof(d.image));
		mem_cache_destroy(d.cache);
	}
	cr_assert(digest[0] == digest[1]);
}

/* Each write is one piece; 64 may be in flight, so 128 exist. */
Test(mem_cache, a_full_cache_writes_its_oldest_back)
{
	struct disk d;
	struct mem_write in_flight[64];
	const uint8_t *medium;

	disk_open(&d);
	for (int i = 0; i < 63; i++)
		begin(&d, &in_flight[i], 8, 1, 1);
	for (int i = 0; i < 1000; i++)
		write_whole(&d, 0, 1, (uint8_t)(i % 250 + 1), false);
	medium = mem_cache_cut(d.cache, 0);
	cr_assert(fill_of(medium, 0) != 0, "of 1000 writes 65 fit: the rest is on the medium");
	mem_cache_destroy(d.cache);
}
