/* SPDX-License-Identifier: MIT */
/*
 * lockdep.c - the lock order check: see lockdep.h.
 *
 * What a task holds is in its struct task, touched by itself only. The count of violations is
 * shared by the reactors: relaxed, it orders nothing.
 */
#include "blk/rt/lockdep.h"

#include "base/log.h"
#include "blkfs/lock_order.h"

bool lockdep_is_on;

static unsigned int violations_nr; /* [atomic] */

unsigned int rt_lock_violations(void)
{
	return READ_ONCE(violations_nr);
}

void lockdep_start(bool is_on)
{
	lockdep_is_on = is_on;
	WRITE_ONCE(violations_nr, 0);
}

static void count_violation(void)
{
	__atomic_fetch_add(&violations_nr, 1, __ATOMIC_RELAXED);
}

static bool is_ordered(const struct rt_lock_class *class)
{
	return class->rank & LOCK_ORDERED;
}

static unsigned int rank_of(const struct rt_lock_class *class)
{
	return class->rank & ~(unsigned int)LOCK_ORDERED;
}

void lockdep_check(const struct rt_lock_class *class)
{
	const struct task *task = rt_current();

	blkfs_assert(task != NULL);
	for (unsigned int i = 0; i < task->locks_held; i++) {
		const struct rt_lock_class *held = task->locks[i];

		if (rank_of(held) < rank_of(class) || (held == class && is_ordered(class)))
			continue;
		count_violation();
		log_err("lock order: task %s takes %s (rank %u) while it holds %s (rank %u)",
			task->name, class->name, rank_of(class), held->name, rank_of(held));
	}
}

void lockdep_push(const struct rt_lock_class *class)
{
	struct task *task = rt_current();

	blkfs_assert(task != NULL);
	for (unsigned int i = 0; is_ordered(class) && i < task->locks_held; i++) {
		if (task->locks[i] == class) {
			task->locks_nr[i]++;
			return;
		}
	}
	if (task->locks_held == RT_LOCKS_HELD_MAX) {
		count_violation();
		log_err("lock order: task %s takes %s and has %d locks already: raise "
			"RT_LOCKS_HELD_MAX, or hold fewer",
			task->name, class->name, RT_LOCKS_HELD_MAX);
		return;
	}
	task->locks_nr[task->locks_held] = 1;
	task->locks[task->locks_held++] = class;
}

void lockdep_pop(const struct rt_lock_class *class)
{
	struct task *task = rt_current();

	blkfs_assert(task != NULL);
	for (unsigned int i = task->locks_held; i-- > 0;) {
		if (task->locks[i] != class)
			continue;
		if (--task->locks_nr[i] > 0)
			return;
		task->locks_held--;
		for (; i < task->locks_held; i++) {
			task->locks[i] = task->locks[i + 1];
			task->locks_nr[i] = task->locks_nr[i + 1];
		}
		return;
	}
	count_violation();
	log_err("lock order: task %s releases %s, which it does not hold", task->name, class->name);
}
