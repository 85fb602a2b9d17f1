/* SPDX-License-Identifier: MIT */
/*
 * lock.c - mutex and reader-writer semaphore.
 *
 * Both are a serial of kind LOCK: the mutex knows writers only. Hand-over is first come, first
 * served: a reader that comes after a waiting writer waits behind it, so a writer is not starved.
 */
#include "blk/rt/lockdep.h"
#include "blk/rt/serial.h"

static bool try_lock(struct rt_serial *s, const struct rt_lock_class *class, bool is_reader)
{
	if (!serial_try(s, SERIAL_LOCK, is_reader))
		return false;
	lockdep_acquired(class);
	return true;
}

static void lock(struct rt_serial *s, const struct rt_lock_class *class, bool is_reader)
{
	struct rt_waiter w;

	lockdep_will_wait(class);
	if (try_lock(s, class, is_reader))
		return;
	serial_waiter_init(&w);
	w.is_reader = is_reader;
	serial_enter(s, SERIAL_LOCK, &w);
	serial_wait(&w, class->name);
	lockdep_acquired(class);
}

static void unlock(struct rt_serial *s, const struct rt_lock_class *class, bool is_reader)
{
	lockdep_released(class);
	serial_release(s, is_reader);
}

/* ---- mutex ------------------------------------------------------------------------------------- */

void rt_mutex_init(struct rt_mutex *m, const struct rt_lock_class *class)
{
	serial_init(&m->serial);
	m->owner = NULL;
	m->class = class;
}

void rt_mutex_lock(struct rt_mutex *m)
{
	blkfs_assert(READ_ONCE(m->owner) != rt_current());
	lock(&m->serial, m->class, false);
	WRITE_ONCE(m->owner, rt_current());
}

bool rt_mutex_trylock(struct rt_mutex *m)
{
	if (!try_lock(&m->serial, m->class, false))
		return false;
	WRITE_ONCE(m->owner, rt_current());
	return true;
}

void rt_mutex_unlock(struct rt_mutex *m)
{
	blkfs_assert(READ_ONCE(m->owner) == rt_current());
	WRITE_ONCE(m->owner, NULL);
	unlock(&m->serial, m->class, false);
}

/* ---- reader-writer semaphore --------------------------------------------------------------------- */

void rt_rwsem_init(struct rt_rwsem *s, const struct rt_lock_class *class)
{
	serial_init(&s->serial);
	s->class = class;
}

void rt_rwsem_down_read(struct rt_rwsem *s)
{
	lock(&s->serial, s->class, true);
}

void rt_rwsem_up_read(struct rt_rwsem *s)
{
	unlock(&s->serial, s->class, true);
}

void rt_rwsem_down_write(struct rt_rwsem *s)
{
	lock(&s->serial, s->class, false);
}

void rt_rwsem_up_write(struct rt_rwsem *s)
{
	unlock(&s->serial, s->class, false);
}

bool rt_rwsem_try_down_read(struct rt_rwsem *s)
{
	return try_lock(&s->serial, s->class, true);
}

bool rt_rwsem_try_down_write(struct rt_rwsem *s)
{
	return try_lock(&s->serial, s->class, false);
}
