/* SPDX-License-Identifier: MIT */
/*
 * blk_bench - what the block layer costs by itself: bios through plug, tag and null driver.
 *
 * usage: blk_bench [count=N] [plug=N] [elevator=NAME] [reactors=N] [queues=N] [depth=N]
 *                  [pattern=rand|seq] [rounds=N]
 *
 * Each reactor submits count bios of 4 KiB in plugs of so many; the null driver ends them inside
 * queue_rq. Prints bios a second over all reactors and ns a bio of each, the best of the rounds: by
 * the clock, and by the CPU time of the reactors, which other processes disturb less. For
 * instructions a bio: run it under `valgrind --tool=callgrind` with rounds=1 and two counts, and
 * divide the difference (tools/bench does).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "blkfs/blkdev.h"
#include "blkfs/drivers.h"

enum { BLOCK = 4096, DISK_BLOCKS = 1 << 24, POOL_BIOS = 512 };

static struct {
	uint64_t count, plug, reactors, queues, depth, rounds;
	const char *elevator, *pattern;
} opt = { 2000000, 32, 1, 0, 128, 5, "none", "rand" };

static struct gendisk *disk;
static struct bio_pool *pool;
static struct completion all_done;
static char block[BLOCK] __aligned(BLOCK);

struct worker {
	uint64_t ended_nr;
	uint64_t cpu_ns; /* of the round */
} __cacheline_aligned;

static struct worker workers[RT_REACTORS_MAX];

static void bench_endio(struct bio *bio)
{
	struct worker *w = bio->bi_private;

	if (bio->bi_status)
		abort();
	w->ended_nr++;
	bio_put(bio);
}

static inline uint64_t next_block(uint64_t at, bool is_random)
{
	if (!is_random)
		return at + 1;
	at ^= at << 13;
	at ^= at >> 7;
	return at ^ at << 17;
}

static uint64_t submit_plug(struct worker *w, uint64_t at, bool is_random)
{
	struct block_device *bdev = &disk->part0;
	uint64_t plug_nr = opt.plug;
	struct blk_plug plug;

	blk_start_plug(&plug);
	for (uint64_t k = 0; k < plug_nr; k++) {
		struct bio *bio = bio_alloc(bdev, 1, REQ_OP_READ, pool);

		at = next_block(at, is_random);
		bio->bi_iter.bi_sector = bytes_to_sectors((at & (DISK_BLOCKS - 1)) * BLOCK);
		bio->bi_end_io = bench_endio;
		bio->bi_private = w;
		bio_add_vec(bio, block, BLOCK);
		submit_bio(bio);
	}
	blk_finish_plug(&plug);
	return at;
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void submit_all(void *arg)
{
	struct worker *w = arg;
	bool is_random = strcmp(opt.pattern, "rand") == 0;
	uint64_t at = 88172645463325252ULL + (uint64_t)(w - workers);

	w->ended_nr = 0;
	w->cpu_ns = thread_cpu_ns();
	for (uint64_t i = 0; i < opt.count; i += opt.plug) {
		at = submit_plug(w, at, is_random);
		if (w->ended_nr <= i)
			rt_yield(); /* they do not end inside finish_plug: let the turn go on */
	}
	while (w->ended_nr < opt.count)
		rt_yield();
	w->cpu_ns = thread_cpu_ns() - w->cpu_ns;
	complete(&all_done);
}

/* What a round took: by the clock, and the mean of the reactors' CPU time. */
struct took {
	double clock_ns, cpu_ns;
};

static int round_once(struct took *took)
{
	uint64_t began = rt_now_fresh();

	completion_init(&all_done);
	for (unsigned int r = 0; r < opt.reactors; r++) {
		int err = rt_spawn_on(r, submit_all, &workers[r], "bench");

		if (err)
			return err;
	}
	for (unsigned int r = 0; r < opt.reactors; r++)
		completion_wait(&all_done);
	took->clock_ns = (double)(rt_now_fresh() - began);
	took->cpu_ns = 0;
	for (unsigned int r = 0; r < opt.reactors; r++)
		took->cpu_ns += (double)workers[r].cpu_ns / (double)opt.reactors;
	return 0;
}

static double lesser(double best, double ns)
{
	return !best || ns < best ? ns : best;
}

static void print_took(const struct took *best)
{
	double bios = (double)(opt.count * opt.reactors);

	printf("%s, %s, plugs of %llu, %llu reactors: %.2f million bios/s, %.1f ns a bio; "
	       "by CPU time %.2f, %.1f\n",
	       opt.pattern, opt.elevator, (unsigned long long)opt.plug,
	       (unsigned long long)opt.reactors, bios / best->clock_ns * 1e3,
	       best->clock_ns / (double)opt.count, bios / best->cpu_ns * 1e3,
	       best->cpu_ns / (double)opt.count);
}

static int bench_main(void *arg)
{
	struct drv_config dc = { .name = "null0",
				 .hw_queues = (unsigned int)opt.queues,
				 .queue_depth = (unsigned int)opt.depth };
	struct null_config nc = { .size_bytes = (uint64_t)DISK_BLOCKS * BLOCK };
	struct took best = { 0 }, took = { 0 };
	int err = null_disk_create(&dc, &nc, &disk);

	if (!err)
		err = elevator_switch(disk->queue, opt.elevator);
	if (!err)
		err = bio_pool_create("bench", POOL_BIOS, 1, &pool);
	for (uint64_t i = 0; !err && i < opt.rounds; i++) {
		err = round_once(&took);
		best.clock_ns = lesser(best.clock_ns, took.clock_ns);
		best.cpu_ns = lesser(best.cpu_ns, took.cpu_ns);
	}
	if (err)
		return err;
	print_took(&best);
	bio_pool_destroy(pool);
	del_gendisk(disk);
	return 0;
}

static int parse_option(const char *word)
{
	static const struct {
		const char *name;
		uint64_t *number;
		const char **text;
	} names[] = {
		{ "count=", &opt.count, NULL },	      { "plug=", &opt.plug, NULL },
		{ "reactors=", &opt.reactors, NULL }, { "queues=", &opt.queues, NULL },
		{ "depth=", &opt.depth, NULL },	      { "rounds=", &opt.rounds, NULL },
		{ "elevator=", NULL, &opt.elevator }, { "pattern=", NULL, &opt.pattern },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i].name);
		char *end;

		if (strncmp(word, names[i].name, len) != 0)
			continue;
		if (names[i].text) {
			*names[i].text = word + len;
			return 0;
		}
		*names[i].number = strtoull(word + len, &end, 10);
		return *end || !*names[i].number ? -1 : 0;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct rt_config cfg = { 0 };
	int ret;

	for (int i = 1; i < argc; i++) {
		if (parse_option(argv[i])) {
			fprintf(stderr, "blk_bench: '%s' is not understood\n", argv[i]);
			return 2;
		}
	}
	cfg.reactors_nr = (unsigned int)opt.reactors;
	ret = rt_init(&cfg);
	if (ret == 0) {
		ret = rt_run(bench_main, NULL);
		rt_fini();
	}
	if (ret)
		fprintf(stderr, "blk_bench: failed: %s\n", strerror(-ret));
	return ret != 0;
}
