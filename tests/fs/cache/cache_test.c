/* SPDX-License-Identifier: MIT */
/*
 * cache_test.c - the metadata cache on a memory disk, in the simulator: one read a block, bounded
 * memory, the right bytes whoever asks.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"

#include "blkfs/driver.h"
#include "blkfs/drivers.h"
#include "fs/cache/cache.h"
#include "tests/lib/sim.h"

enum {
	BLOCK = 1024,
	BLOCKS = 512,
	CACHED = 64, /* blocks that the cache has room for */
	TASKS = 8,
	GETS = 200,
	JOURNAL_MAGIC = 0xC03B3998,
	LATENCY_NS = 20000,
};

static struct gendisk *disk;
static struct cache *cache;
static struct completion all_done;
static unsigned int left_nr;

/* Each block carries its number in every word but the first, which is zero. */
static void up(void)
{
	const struct drv_config dc = { .name = "mem0" };
	struct mem_config mc = { .size_bytes = BLOCKS * BLOCK, .latency_ns = LATENCY_NS };
	struct cache_config cfg = { .block_size = BLOCK,
				    .cap_bytes = CACHED * BLOCK,
				    .blocks_nr = BLOCKS };
	uint8_t *medium = calloc(BLOCKS, BLOCK);

	for (uint32_t i = 0; i < BLOCKS * BLOCK; i += 4)
		put_unaligned_le32(i % BLOCK ? i / BLOCK : 0, medium + i);
	mc.medium = medium;
	sim_expect(mem_disk_create(&dc, &mc, &disk) == 0);
	free(medium);
	cfg.bdev = &disk->part0;
	sim_expect(cache_create(&cfg, &cache) == 0);
	completion_init(&all_done);
}

static void down(void)
{
	cache_destroy(cache);
	del_gendisk(disk);
}

static void expect_block(const struct cache_buf *b, uint32_t number)
{
	for (uint32_t i = 4; i < BLOCK; i += 4)
		sim_expect(get_unaligned_le32(b->data + i) == number);
}

static void task_ends(void)
{
	if (__atomic_sub_fetch(&left_nr, 1, __ATOMIC_SEQ_CST) == 0)
		complete(&all_done);
}

static void run_tasks(void (*fn)(void *arg), unsigned int nr)
{
	left_nr = nr;
	for (uintptr_t i = 0; i < nr; i++)
		sim_expect(rt_spawn_on(i % 2, fn, (void *)i, "cache user") == 0);
	completion_wait(&all_done);
}

/* ---- tests ---------------------------------------------------------------------------------------- */

static void get_random(void *arg)
{
	for (int i = 0; i < GETS; i++) {
		uint32_t block = (uint32_t)(rt_random() % (rt_random() % 2 ? BLOCKS : 20));
		struct cache_buf *b;

		if (rt_random() % 8 == 0)
			cache_readahead(cache, block, 10);
		sim_expect(cache_get(cache, block, &b) == 0);
		sim_expect(b->block == block);
		if (rt_random() % 4 == 0)
			rt_yield();
		expect_block(b, block);
		cache_put(cache, b);
	}
	task_ends();
}

static int random_main(void *arg)
{
	struct cache_stats st;

	up();
	run_tasks(get_random, TASKS);
	cache_stats_read(cache, &st);
	sim_expect(st.blocks <= CACHED && st.hits + st.misses == TASKS * GETS && st.hits > 0);
	down();
	return 0;
}

Test(cache, everybody_gets_the_block_asked_for)
{
	sim_seeds(1, 60, 2, random_main, NULL);
}

static int holds_main(void *arg)
{
	struct cache_stats st;
	struct cache_buf *b;

	up();
	sim_expect(!cache_holds(cache, 7) && !cache_holds(cache, BLOCKS + 1));
	cache_readahead(cache, 7, 2);
	sim_expect(cache_holds(cache, 7) && cache_holds(cache, 8) && !cache_holds(cache, 9));
	sim_expect(cache_get(cache, 7, &b) == 0);
	expect_block(b, 7);
	cache_put(cache, b);
	cache_stats_read(cache, &st);
	sim_expect(st.misses == 0 && st.hits == 1 && st.readahead == 2);
	cache_drop(cache);
	sim_expect(!cache_holds(cache, 7));
	down();
	return 0;
}

Test(cache, a_block_on_its_way_is_held_before_it_is_asked_for)
{
	sim_seeds(1, 60, 2, holds_main, NULL);
}

static void get_one(void *arg)
{
	struct cache_buf *b;

	sim_expect(cache_get(cache, 7, &b) == 0);
	expect_block(b, 7);
	cache_put(cache, b);
	task_ends();
}

static int one_read_main(void *arg)
{
	struct cache_stats st;

	up();
	run_tasks(get_one, TASKS);
	cache_stats_read(cache, &st);
	sim_expect(st.misses == 1 && st.hits == TASKS - 1);
	down();
	return 0;
}

Test(cache, a_block_is_read_once_however_many_wait)
{
	sim_seeds(1, 100, 2, one_read_main, NULL);
}

static int held_main(void *arg)
{
	static struct cache_buf *held[3 * CACHED];
	struct cache_stats st;

	up();
	for (uint32_t i = 0; i < 3 * CACHED; i++)
		sim_expect(cache_get(cache, i, &held[i]) == 0);
	for (uint32_t i = 0; i < 3 * CACHED; i++) {
		expect_block(held[i], i);
		cache_put(cache, held[i]);
	}
	cache_stats_read(cache, &st);
	sim_expect(st.spilled > 0 && st.spilled <= 2 * CACHED + CACHED / 2);
	down();
	return 0;
}

Test(cache, holding_more_than_it_has_room_for_does_not_hang)
{
	sim_seeds(1, 5, 2, held_main, NULL);
}

static int overlay_main(void *arg)
{
	struct cache_buf *b;

	up();
	sim_expect(cache_get(cache, 5, &b) == 0);
	cache_put(cache, b);
	sim_expect(cache_overlay_add(cache, 5, 100, false) == 0);
	sim_expect(cache_overlay_add(cache, 5, 101, false) == 0);
	sim_expect(cache_overlay_add(cache, 6, 102, true) == 0);
	cache_drop(cache);
	sim_expect(cache_overlay_nr(cache) == 2);
	sim_expect(cache_overlay_clear_run(cache, 0, 10) == 5);
	sim_expect(cache_overlay_clear_run(cache, 5, 10) == 0);
	sim_expect(cache_overlay_clear_run(cache, 7, 10) == 10);
	sim_expect(cache_get(cache, 5, &b) == 0);
	expect_block(b, 101);
	cache_put(cache, b);
	sim_expect(cache_get(cache, 6, &b) == 0);
	expect_block(b, 102);
	sim_expect(get_unaligned_be32(b->data) == JOURNAL_MAGIC);
	cache_put(cache, b);
	down();
	return 0;
}

Test(cache, a_block_in_the_overlay_is_read_from_its_source)
{
	sim_seeds(1, 5, 2, overlay_main, NULL);
}

static int error_main(void *arg)
{
	struct cache_buf *b;

	up();
	sim_expect(cache_get(cache, BLOCKS, &b) == -EUCLEAN);
	blk_mark_disk_dead(disk);
	sim_expect(cache_get(cache, 9, &b) < 0);
	sim_expect(cache_get(cache, 9, &b) < 0);
	down();
	return 0;
}

Test(cache, a_failed_read_is_an_error_and_is_tried_again)
{
	sim_seeds(1, 5, 2, error_main, NULL);
}

static int verified_main(void *arg)
{
	struct cache_buf *b;

	up();
	sim_expect(cache_get(cache, 3, &b) == 0);
	cache_buf_set_verified(b, 77);
	cache_put(cache, b);
	sim_expect(cache_get(cache, 3, &b) == 0 && cache_buf_is_verified(b, 77));
	sim_expect(!cache_buf_is_verified(b, 78));
	cache_put(cache, b);
	cache_drop(cache);
	sim_expect(cache_get(cache, 3, &b) == 0 && !cache_buf_is_verified(b, 77));
	cache_put(cache, b);
	down();
	return 0;
}

Test(cache, a_verdict_lasts_as_long_as_the_block_stays_in_memory)
{
	sim_seeds(1, 5, 2, verified_main, NULL);
}
