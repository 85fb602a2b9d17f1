/* SPDX-License-Identifier: MIT */
/*
 * rt_bench - what the runtime costs: task switch, spawn, message, wake-up, I/O. Prints, judges not.
 *
 * usage: rt_bench [spin_us]     (each row is the best of ROUNDS runs; default spin 50 us)
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "blkfs/lock_order.h"
#include "blkfs/rt.h"

enum { ROUNDS = 5 };

struct row {
	const char *what;
	unsigned int ops_nr;
	void (*fn)(unsigned int ops_nr);
	unsigned int reactors_nr;
};

static struct task *bench_task;

/* ---- one reactor ------------------------------------------------------------------------------ */

static void yield_row(unsigned int ops_nr)
{
	for (unsigned int i = 0; i < ops_nr; i++)
		rt_yield();
}

static unsigned int left_nr; /* [atomic] */

static void ended_one(void *arg)
{
	if (--left_nr == 0)
		rt_wake(bench_task);
}

static void spawn_row(unsigned int ops_nr)
{
	for (unsigned int done_nr = 0; done_nr < ops_nr; done_nr += 64) {
		left_nr = 64;
		for (unsigned int i = 0; i < 64; i++)
			if (rt_spawn(ended_one, NULL, "bench") != 0)
				abort();
		while (left_nr > 0)
			rt_park("spawned");
	}
}

static void yielder(void *arg)
{
	for (unsigned int i = 0; i < *(unsigned int *)arg; i++)
		rt_yield();
	ended_one(NULL);
}

static void crowd_row(unsigned int ops_nr)
{
	unsigned int each_nr = ops_nr / 64;

	left_nr = 64;
	for (unsigned int i = 0; i < 64; i++)
		if (rt_spawn(yielder, &each_nr, "yielder") != 0)
			abort();
	while (left_nr > 0)
		rt_park("yielders");
}

static struct task *pong;
static bool is_ping_over;

static void pong_entry(void *arg)
{
	pong = rt_current();
	while (!is_ping_over) {
		rt_wake(bench_task);
		rt_park("ping");
	}
	pong = NULL;
	rt_wake(bench_task);
}

static void ping_row(unsigned int ops_nr)
{
	is_ping_over = false;
	if (rt_spawn(pong_entry, NULL, "pong") != 0)
		abort();
	for (unsigned int i = 0; i < ops_nr / 2; i++) {
		rt_park("pong");
		rt_wake(pong);
	}
	is_ping_over = true;
	while (pong)
		rt_park("pong");
}

static void clock_row(unsigned int ops_nr)
{
	for (unsigned int i = 0; i < ops_nr; i++)
		rt_now_fresh();
}

static struct rt_timer bench_timer;

static void timer_row(unsigned int ops_nr)
{
	for (unsigned int i = 0; i < ops_nr; i++) {
		rt_timer_arm(&bench_timer, rt_now() + 1000000000);
		rt_timer_cancel(&bench_timer);
	}
}

static const struct rt_lock_class bench_class = { "bench", LOCK_RANK_LEAF };

static void mutex_row(unsigned int ops_nr)
{
	struct rt_mutex m;

	rt_mutex_init(&m, &bench_class);
	for (unsigned int i = 0; i < ops_nr; i++) {
		rt_mutex_lock(&m);
		rt_mutex_unlock(&m);
	}
}

static void read_lock_row(unsigned int ops_nr)
{
	struct rt_rwsem s;

	rt_rwsem_init(&s, &bench_class);
	for (unsigned int i = 0; i < ops_nr; i++) {
		rt_rwsem_down_read(&s);
		rt_rwsem_up_read(&s);
	}
}

static void completion_row(unsigned int ops_nr)
{
	struct completion c;

	completion_init(&c);
	for (unsigned int i = 0; i < ops_nr; i++) {
		complete(&c);
		completion_wait(&c);
	}
}

struct contest {
	struct rt_mutex mutex;
	unsigned int each_nr;
	unsigned int left_nr; /* [atomic] */
};

static void contender(void *arg)
{
	struct contest *c = arg;

	for (unsigned int i = 0; i < c->each_nr; i++) {
		rt_mutex_lock(&c->mutex);
		rt_mutex_unlock(&c->mutex);
	}
	if (__atomic_sub_fetch(&c->left_nr, 1, __ATOMIC_ACQ_REL) == 0)
		rt_wake(bench_task);
}

static void contest_row(unsigned int ops_nr)
{
	struct contest c = { .each_nr = ops_nr / 8, .left_nr = 8 };

	rt_mutex_init(&c.mutex, &bench_class);
	for (unsigned int i = 0; i < 8; i++)
		if (rt_spawn_on(i % rt_reactor_nr(), contender, &c, "contender") != 0)
			abort();
	while (__atomic_load_n(&c.left_nr, __ATOMIC_ACQUIRE) > 0)
		rt_park("contest");
}

/* ---- between two ------------------------------------------------------------------------------ */

static struct rt_msg *batch;
enum { BATCH = 4096 };

static void msg_count(struct rt_msg *m)
{
	if (__atomic_sub_fetch(&left_nr, 1, __ATOMIC_ACQ_REL) == 0)
		rt_wake(bench_task);
}

static void post_row(unsigned int ops_nr)
{
	for (unsigned int done_nr = 0; done_nr < ops_nr; done_nr += BATCH) {
		__atomic_store_n(&left_nr, BATCH, __ATOMIC_RELEASE);
		for (unsigned int i = 0; i < BATCH; i++) {
			batch[i].fn = msg_count;
			rt_post(1, &batch[i]);
		}
		while (__atomic_load_n(&left_nr, __ATOMIC_ACQUIRE) > 0)
			rt_park("messages");
	}
}

static void call_fn(void *arg)
{
}

static void call_row(unsigned int ops_nr)
{
	for (unsigned int i = 0; i < ops_nr; i++)
		if (rt_call_on(1, call_fn, NULL) != 0)
			abort();
}

/* ---- I/O -------------------------------------------------------------------------------------- */

static int file_fd;
static char page[4096];
static struct iovec page_iov = { page, sizeof(page) };

static void read_row(unsigned int ops_nr, uint8_t flags)
{
	struct rt_io io = {
		.op = RT_IO_READ, .flags = flags, .fd = file_fd, .iov = &page_iov, .iov_nr = 1
	};

	for (unsigned int i = 0; i < ops_nr; i++)
		if (rt_io_wait(&io) != (int)sizeof(page))
			abort();
}

static void read_ring_row(unsigned int ops_nr)
{
	read_row(ops_nr, 0);
}

static void read_inline_row(unsigned int ops_nr)
{
	read_row(ops_nr, RT_IO_INLINE);
}

static int nothing_offloaded(void *arg)
{
	return 0;
}

static void offload_row(unsigned int ops_nr)
{
	for (unsigned int i = 0; i < ops_nr; i++)
		if (rt_offload(nothing_offloaded, NULL) != 0)
			abort();
}

/* ---- the table -------------------------------------------------------------------------------- */

static const struct row rows[] = {
	{ "yield (two switches and the loop)", 1000000, yield_row, 1 },
	{ "yield, 64 tasks ready", 6400000, crowd_row, 1 },
	{ "wake and park, two tasks in turn", 1000000, ping_row, 1 },
	{ "spawn, run and end", 1000000, spawn_row, 1 },
	{ "timer armed and cancelled", 1000000, timer_row, 1 },
	{ "clock", 1000000, clock_row, 1 },
	{ "mutex, lock and unlock", 1000000, mutex_row, 1 },
	{ "rwsem, down and up for reading", 1000000, read_lock_row, 1 },
	{ "completion, complete and wait", 1000000, completion_row, 1 },
	{ "read 4 KiB, page cache, ring, depth 1", 100000, read_ring_row, 1 },
	{ "read 4 KiB, page cache, in place", 200000, read_inline_row, 1 },
	{ "offload there and back", 5000, offload_row, 1 },
	{ "message to another reactor, batches", 40 * BATCH, post_row, 2 },
	{ "call on another reactor and back", 20000, call_row, 2 },
	{ "mutex, 8 tasks of two reactors", 400000, contest_row, 2 },
};

static int bench_main(void *arg)
{
	const struct row *row = arg;
	uint64_t best_ns = UINT64_MAX;

	bench_task = rt_current();
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t begin_ns = rt_now_fresh();
		uint64_t took_ns;

		row->fn(row->ops_nr);
		took_ns = rt_now_fresh() - begin_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	printf("%-44s %10.1f ns\n", row->what, (double)best_ns / row->ops_nr);
	return 0;
}

static void timer_never(struct rt_timer *t)
{
}

int main(int argc, char **argv)
{
	unsigned int spin_us = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 50;
	char path[] = "/tmp/rt_bench-XXXXXX";

	file_fd = mkstemp(path);
	if (file_fd < 0 || unlink(path) != 0 || write(file_fd, page, sizeof(page)) < 0) {
		perror("rt_bench: a scratch file in /tmp");
		return 1;
	}
	batch = calloc(BATCH, sizeof(*batch));
	if (!batch)
		return 1;
	rt_timer_init(&bench_timer, timer_never);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rt_config cfg = { .reactors_nr = rows[i].reactors_nr, .spin_us = spin_us };

		if (rt_init(&cfg) != 0 || rt_run(bench_main, (void *)(uintptr_t)&rows[i]) != 0)
			return 1;
		rt_fini();
	}
	free(batch);
	close(file_fd);
	return 0;
}
