/* SPDX-License-Identifier: MIT */
/* Runs of the simulator for tests: see sim.h. */
#include "tests/lib/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "base/log.h"
#include "base/parse.h"

#define SEED_ENV "BLKFS_SEED"

enum {
	EXPECT_LINES_MAX = 10, /* of one run; a broken loop would fill the screen */
	RING_TASKS_MAX = 64,   /* under ThreadSanitizer each costs a megabyte */
	/* ThreadSanitizer takes a millisecond to make a stack, and sees nothing in one thread. */
	SEEDS_DIVISOR = BLKFS_TSAN ? 100 : 1,
};

static unsigned int failures_nr;

void sim_expect_failed(const char *expr, const char *file, int line)
{
	if (__atomic_add_fetch(&failures_nr, 1, __ATOMIC_RELAXED) <= EXPECT_LINES_MAX)
		log_err("%s:%d: expected: %s", file, line, expr);
	rt_sim_note("expectation failed", (uint64_t)line);
}

/* On the back end that was made ready. */
static int run_case(sim_fn fn, void *arg)
{
	int res;

	failures_nr = 0;
	res = rt_run(fn, arg);
	if (res == 0 && (failures_nr > 0 || rt_lock_violations() > 0))
		res = -EILSEQ;
	rt_fini();
	return res;
}

int sim_run_cfg(const struct rt_sim_config *cfg, sim_fn fn, void *arg)
{
	int res = rt_init_sim(cfg);

	return res ? res : run_case(fn, arg);
}

int sim_run(uint64_t seed, unsigned int reactors_nr, sim_fn fn, void *arg)
{
	const struct rt_sim_config cfg = { .seed = seed, .reactors_nr = reactors_nr };

	return sim_run_cfg(&cfg, fn, arg);
}

/* The command that runs this program again; Criterion renames the process. */
static const char *replay_command(char *buf, size_t len_bytes)
{
	ssize_t res = readlink("/proc/self/exe", buf, len_bytes - 1);

	if (res < 0)
		return program_invocation_name;
	buf[res] = '\0';
	return buf;
}

static void run_seed(uint64_t seed, unsigned int reactors_nr, sim_fn fn, void *arg)
{
	char command[PATH_MAX];
	int res = sim_run(seed, reactors_nr, fn, arg);

	cr_assert(res == 0,
		  "seed %" PRIu64 " gives %d. Replay: " SEED_ENV "=%" PRIu64
		  " BLKFS_SIM_TRACE=/tmp/trace %s",
		  seed, res, seed, replay_command(command, sizeof(command)));
}

void sim_seeds(uint64_t first, uint64_t count, unsigned int reactors_nr, sim_fn fn, void *arg)
{
	const char *only = getenv(SEED_ENV);
	uint64_t seed;

	if (only) {
		cr_assert(parse_u64(only, 0, UINT64_MAX, &seed) == 0,
			  SEED_ENV "=%s is not a number", only);
		run_seed(seed, reactors_nr, fn, arg);
		return;
	}
	for (seed = first; seed < first + DIV_ROUND_UP(count, SEEDS_DIVISOR); seed++)
		run_seed(seed, reactors_nr, fn, arg);
}

void ring_rounds(uint64_t count, unsigned int reactors_nr, sim_fn fn, void *arg)
{
	const struct rt_config cfg = {
		.reactors_nr = reactors_nr,
		.spin_us = 20,
		.tasks_max = RING_TASKS_MAX,
	};

	for (uint64_t round = 0; round < count; round++) {
		int res = rt_init(&cfg);

		cr_assert(res == 0, "the runtime does not start: %d", res);
		res = run_case(fn, arg);
		cr_assert(res == 0, "round %" PRIu64 " on the ring gives %d", round, res);
	}
}
