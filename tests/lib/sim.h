/* SPDX-License-Identifier: MIT */
/*
 * sim.h - tests in the simulator, over many seeds; and the same cases on real threads.
 *
 * A case is a function that runs as the main task and returns 0 when all was right. What it spawns
 * must have ended when it returns. It says what must hold with sim_expect(), which any task or
 * handler may call; cr_assert would leave a task's stack by a jump. A run also fails when locks were
 * taken against their order.
 *
 * BLKFS_SEED=n in the environment runs seed n only, BLKFS_SIM_TRACE=file writes the trace of the
 * last run; both are in what a failing test prints.
 */
#ifndef TESTS_LIB_SIM_H
#define TESTS_LIB_SIM_H

#include "blkfs/rt.h"

typedef int (*sim_fn)(void *arg);

/*
 * sim_run - one run. Returns what rt_run() does; -EILSEQ when that is 0 but something that was
 * expected did not hold, or the lock order was violated.
 */
int __must_check sim_run(uint64_t seed, unsigned int reactors_nr, sim_fn fn, void *arg);
int __must_check sim_run_cfg(const struct rt_sim_config *cfg, sim_fn fn, void *arg);

/*
 * sim_seeds - the seeds @first .. @first + @count - 1 (in ThreadSanitizer builds a hundredth of
 * them); the test fails at the first that does not return 0.
 */
void sim_seeds(uint64_t first, uint64_t count, unsigned int reactors_nr, sim_fn fn, void *arg);

/*
 * ring_rounds - the same case @count times on the ring, where ThreadSanitizer sees the reactors; the
 * test fails at the first that does not return 0. Nothing can be replayed here.
 */
void ring_rounds(uint64_t count, unsigned int reactors_nr, sim_fn fn, void *arg);

void sim_expect_failed(const char *expr, const char *file, int line);

#define sim_expect(cond) (likely(cond) ? (void)0 : sim_expect_failed(#cond, __FILE__, __LINE__))

#endif
