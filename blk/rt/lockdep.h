/* SPDX-License-Identifier: MIT */
/*
 * lockdep.h - the check that locks are taken in the order of lock_order.h.
 *
 * On in debug builds and in the simulator. Each task keeps the classes of what it holds; whoever
 * may wait for a lock says so before, when the order is broken but nothing hangs yet.
 */
#ifndef BLK_RT_LOCKDEP_H
#define BLK_RT_LOCKDEP_H

#include "blkfs/rt.h"

/* Set where the runtime starts: BLKFS_DEBUG, or the simulator. Constant while tasks run. */
extern bool lockdep_is_on;

/* Start counting anew. */
void lockdep_start(bool is_on);

void lockdep_check(const struct rt_lock_class *class); /* before waiting for one */
void lockdep_push(const struct rt_lock_class *class);  /* has one */
void lockdep_pop(const struct rt_lock_class *class);   /* is about to release it */

static inline void lockdep_will_wait(const struct rt_lock_class *class)
{
	if (unlikely(lockdep_is_on))
		lockdep_check(class);
}

static inline void lockdep_acquired(const struct rt_lock_class *class)
{
	if (unlikely(lockdep_is_on))
		lockdep_push(class);
}

static inline void lockdep_released(const struct rt_lock_class *class)
{
	if (unlikely(lockdep_is_on))
		lockdep_pop(class);
}

#endif
