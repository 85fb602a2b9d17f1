/* SPDX-License-Identifier: MIT */
/* What the tests of the runtime share: run a main task on a fresh runtime. */
#ifndef TESTS_BLK_RT_RT_TEST_H
#define TESTS_BLK_RT_RT_TEST_H

#include "tests/lib/test.h"

#include "blkfs/rt.h"

/* Few tasks: under ThreadSanitizer each costs a megabyte. */
#define RT_TEST_TASKS_MAX 64

static inline int rt_test_run_cfg(const struct rt_config *cfg, int (*fn)(void *arg), void *arg)
{
	int res = rt_init(cfg);

	if (res == 0) {
		res = rt_run(fn, arg);
		rt_fini();
	}
	return res;
}

static inline int rt_test_run(unsigned int reactors_nr, int (*fn)(void *arg), void *arg)
{
	struct rt_config cfg = {
		.reactors_nr = reactors_nr,
		.spin_us = 20,
		.tasks_max = RT_TEST_TASKS_MAX,
	};

	return rt_test_run_cfg(&cfg, fn, arg);
}

#endif
