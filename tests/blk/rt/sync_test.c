/* SPDX-License-Identifier: MIT */
/* Locks, completions and wait queues: the cases of sync_cases.h on both back ends. */
#include <errno.h>

#include "tests/lib/sim.h"
#include "tests/lib/test.h"

#include "blkfs/lock_order.h"

#include "sync_cases.h"

enum { SEEDS_NR = 1000 };

static void run_on_ring(const struct sync_case *c, unsigned int reactors_nr)
{
	const struct rt_config cfg = { .reactors_nr = reactors_nr, .spin_us = 20, .tasks_max = 64 };
	int res;

	cr_assert_eq(rt_init(&cfg), 0);
	res = rt_run(c->fn, NULL);
	cr_assert_eq(rt_lock_violations(), 0);
	rt_fini();
	cr_assert_eq(res, 0, "%s on %u reactors gives %d", c->name, reactors_nr, res);
}

static void run_all_simulated(unsigned int reactors_nr)
{
	for (unsigned int i = 0; i < sync_cases_nr; i++) {
		cr_log_info("%s", sync_cases[i].name);
		sim_seeds(1, SEEDS_NR, reactors_nr, sync_cases[i].fn, NULL);
	}
}

Test(sync, cases_hold_on_one_simulated_reactor)
{
	run_all_simulated(1);
}

Test(sync, cases_hold_on_two_simulated_reactors)
{
	run_all_simulated(2);
}

Test(sync, cases_hold_on_three_simulated_reactors)
{
	run_all_simulated(3);
}

Test(sync, cases_hold_on_one_real_reactor)
{
	for (unsigned int i = 0; i < sync_cases_nr; i++)
		run_on_ring(&sync_cases[i], 1);
}

Test(sync, cases_hold_on_two_real_reactors_under_load)
{
	for (unsigned int i = 0; i < sync_cases_nr; i++)
		run_on_ring(&sync_cases[i], 2);
}
