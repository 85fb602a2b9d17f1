/* SPDX-License-Identifier: MIT */
/* Cases for any number of reactors: see sync_cases.h. What is not atomic here is TSan's to judge. */
#include "sync_cases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blkfs/lock_order.h"

#include "crew.h"

enum { CREW_NR = 6, ROUNDS = 20000 };

static const struct rt_lock_class leaf = { "leaf", LOCK_RANK_LEAF };

/* Something that takes a while, or not. */
static void dawdle(unsigned int how)
{
	rt_sim_point();
	if (how % 7 == 0)
		rt_yield();
	else if (how % 1013 == 5)
		rt_sleep_ns(1000);
}

/* ---- mutex ------------------------------------------------------------------------------------- */

struct guarded {
	struct rt_mutex mutex;
	struct rt_rwsem sem;
	unsigned int inside_nr;
	uint64_t count;
	unsigned int readers_nr; /* [atomic] */
};

static void mutex_worker(struct crew *crew, unsigned int nth)
{
	struct guarded *g = crew->arg;

	for (unsigned int i = 0; i < crew_rounds(ROUNDS); i++) {
		if ((i + nth) % 5 != 0)
			rt_mutex_lock(&g->mutex);
		else if (!rt_mutex_trylock(&g->mutex))
			continue;
		crew_expect(crew, g->inside_nr++ == 0);
		g->count++;
		dawdle(i);
		g->inside_nr--;
		rt_mutex_unlock(&g->mutex);
	}
}

static int mutex_excludes(void *arg)
{
	struct guarded g = { .count = 0 };
	struct crew crew = { .fn = mutex_worker, .arg = &g };

	rt_mutex_init(&g.mutex, &leaf);
	return crew_work(&crew, CREW_NR);
}

/* The last of those who took it frees it, right after the one before has let go. */
struct dying {
	struct rt_mutex mutex;
	unsigned int users_nr; /* [mutex] */
};

static void dying_worker(struct crew *crew, unsigned int nth)
{
	struct dying **dying = crew->arg;

	for (unsigned int i = 0; i < crew_rounds(1); i++) {
		struct dying *d = dying[i];
		bool is_last;

		rt_mutex_lock(&d->mutex);
		is_last = --d->users_nr == 0;
		rt_mutex_unlock(&d->mutex);
		if (is_last) {
			memset(d, 0x5a, sizeof(*d));
			free(d);
		}
	}
}

static int mutex_may_be_freed_by_its_last_holder(void *arg)
{
	unsigned int dying_nr = crew_rounds(1);

	for (unsigned int round = 0; round < crew_rounds(2000); round++) {
		struct dying *dying[8];
		struct crew crew = { .fn = dying_worker, .arg = dying };
		int err;

		for (unsigned int i = 0; i < dying_nr; i++) {
			dying[i] = malloc(sizeof(*dying[i]));
			if (!dying[i])
				return ENOMEM;
			rt_mutex_init(&dying[i]->mutex, &leaf);
			dying[i]->users_nr = CREW_NR;
		}
		err = crew_work(&crew, CREW_NR);
		if (err)
			return err;
	}
	return 0;
}

/* ---- reader-writer semaphore --------------------------------------------------------------------- */

static void read_inside(struct crew *crew, struct guarded *g, unsigned int i)
{
	uint64_t count = g->count;

	__atomic_fetch_add(&g->readers_nr, 1, __ATOMIC_RELAXED);
	crew_expect(crew, g->inside_nr == 0);
	dawdle(i);
	crew_expect(crew, g->count == count);
	__atomic_fetch_sub(&g->readers_nr, 1, __ATOMIC_RELAXED);
}

static void write_inside(struct crew *crew, struct guarded *g, unsigned int i)
{
	crew_expect(crew, g->inside_nr++ == 0);
	crew_expect(crew, READ_ONCE(g->readers_nr) == 0);
	g->count++;
	dawdle(i);
	g->inside_nr--;
}

static void rwsem_worker(struct crew *crew, unsigned int nth)
{
	struct guarded *g = crew->arg;

	for (unsigned int i = 0; i < crew_rounds(ROUNDS); i++) {
		bool is_reader = (i + nth) % 3 != 0;
		bool is_try = (i + nth) % 5 == 0;

		if (is_reader && is_try && !rt_rwsem_try_down_read(&g->sem))
			continue;
		if (!is_reader && is_try && !rt_rwsem_try_down_write(&g->sem))
			continue;
		if (is_reader) {
			if (!is_try)
				rt_rwsem_down_read(&g->sem);
			read_inside(crew, g, i);
			rt_rwsem_up_read(&g->sem);
		} else {
			if (!is_try)
				rt_rwsem_down_write(&g->sem);
			write_inside(crew, g, i);
			rt_rwsem_up_write(&g->sem);
		}
	}
}

static int rwsem_excludes(void *arg)
{
	struct guarded g = { .count = 0 };
	struct crew crew = { .fn = rwsem_worker, .arg = &g };

	rt_rwsem_init(&g.sem, &leaf);
	return crew_work(&crew, CREW_NR);
}

/* Readers overlap until the writer was there: were it starved, they would go on for ever. */
struct overlap {
	struct rt_rwsem sem;
	bool is_written; /* [atomic] */
};

static void overlap_worker(struct crew *crew, unsigned int nth)
{
	struct overlap *o = crew->arg;

	if (nth == 0) {
		rt_rwsem_down_write(&o->sem);
		WRITE_ONCE(o->is_written, true);
		rt_rwsem_up_write(&o->sem);
		return;
	}
	while (!READ_ONCE(o->is_written)) {
		rt_rwsem_down_read(&o->sem);
		rt_sleep_ns(1000);
		rt_rwsem_up_read(&o->sem);
	}
}

static int rwsem_writer_is_not_starved(void *arg)
{
	struct overlap o = { .is_written = false };
	struct crew crew = { .fn = overlap_worker, .arg = &o };

	rt_rwsem_init(&o.sem, &leaf);
	return crew_work(&crew, CREW_NR);
}

/* ---- completion ---------------------------------------------------------------------------------- */

static void counted_worker(struct crew *crew, unsigned int nth)
{
	struct completion *c = crew->arg;

	for (unsigned int i = 0; i < crew_rounds(ROUNDS); i++) {
		if (nth % 2 == 0)
			complete(c);
		else
			completion_wait(c);
		if (i % 3 == 0)
			dawdle(i);
	}
}

/* As many complete() as waits: all waiters come through, and nothing is left over. */
static int completion_counts(void *arg)
{
	struct completion c;
	struct crew crew = { .fn = counted_worker, .arg = &c };
	int err;

	completion_init(&c);
	err = crew_work(&crew, CREW_NR);
	if (err)
		return err;
	return completion_wait_until(&c, rt_now()) == -ETIMEDOUT ? 0 : 1;
}

struct remote {
	struct rt_msg msg;
	struct completion *c;
};

static void remote_complete(struct rt_msg *m)
{
	complete(container_of(m, struct remote, msg)->c);
}

/* A handler on another reactor completes what the waiter frees at once. */
static void short_lived_worker(struct crew *crew, unsigned int nth)
{
	for (unsigned int i = 0; i < crew_rounds(ROUNDS / 4); i++) {
		struct completion *c = malloc(sizeof(*c));
		struct remote remote = { .msg.fn = remote_complete, .c = c };

		if (!c) {
			crew_expect(crew, false);
			return;
		}
		completion_init(c);
		rt_post((rt_reactor_id() + 1) % rt_reactor_nr(), &remote.msg);
		if (i % 2)
			dawdle(i);
		completion_wait(c);
		memset(c, 0x5a, sizeof(*c));
		free(c);
	}
}

static int completion_dies_with_its_waiter(void *arg)
{
	struct crew crew = { .fn = short_lived_worker };

	return crew_work(&crew, CREW_NR);
}

/* A deadline that comes about when the completion does: both agree on who was first. */
static void racing_worker(struct crew *crew, unsigned int nth)
{
	for (unsigned int i = 0; i < crew_rounds(ROUNDS / 20); i++) {
		struct completion *c = malloc(sizeof(*c));
		struct remote remote = { .msg.fn = remote_complete, .c = c };

		if (!c) {
			crew_expect(crew, false);
			return;
		}
		completion_init(c);
		rt_post((rt_reactor_id() + 1) % rt_reactor_nr(), &remote.msg);
		if (completion_wait_until(c, rt_now_fresh() + (i % 4) * 700) != 0)
			completion_wait(c); /* the token was not taken: it comes, or is there */
		free(c);
	}
}

static int completion_and_deadline_agree(void *arg)
{
	struct crew crew = { .fn = racing_worker };

	return crew_work(&crew, CREW_NR);
}

/* Several wait with deadlines for few tokens: each is taken once or left. */
struct few {
	struct completion c;
	unsigned int taken_nr; /* [atomic] */
};

enum { FEW_NR = 3 };

static void few_worker(struct crew *crew, unsigned int nth)
{
	struct few *few = crew->arg;

	if (nth < FEW_NR)
		complete(&few->c);
	if (completion_wait_until(&few->c, rt_now_fresh() + nth * 300) == 0)
		__atomic_fetch_add(&few->taken_nr, 1, __ATOMIC_RELAXED);
}

static int completion_tokens_are_taken_once(void *arg)
{
	for (unsigned int i = 0; i < crew_rounds(500); i++) {
		struct few few = { .taken_nr = 0 };
		struct crew crew = { .fn = few_worker, .arg = &few };
		int err;

		completion_init(&few.c);
		err = crew_work(&crew, 2 * CREW_NR);
		if (err)
			return err;
		while (completion_wait_until(&few.c, rt_now()) == 0)
			few.taken_nr++;
		if (few.taken_nr != FEW_NR)
			return 1;
	}
	return 0;
}

static void all_worker(struct crew *crew, unsigned int nth)
{
	struct completion *c = crew->arg;

	if (nth == CREW_NR / 2)
		complete_all(c);
	completion_wait(c);
	completion_wait(c);
}

static int complete_all_lets_all_through(void *arg)
{
	for (unsigned int i = 0; i < crew_rounds(500); i++) {
		struct completion c;
		struct crew crew = { .fn = all_worker, .arg = &c };
		int err;

		completion_init(&c);
		err = crew_work(&crew, CREW_NR);
		if (err)
			return err;
	}
	return 0;
}

/* ---- wait queue ---------------------------------------------------------------------------------- */

struct pool {
	struct rt_waitqueue wq;
	unsigned int free_nr; /* [atomic] */
	unsigned int used_nr; /* [atomic] */
};

enum { POOL_NR = 2 };

static bool pool_take(void *arg)
{
	struct pool *pool = arg;
	unsigned int free_nr;

	rt_sim_point();
	free_nr = READ_ONCE(pool->free_nr);
	do {
		if (free_nr == 0)
			return false;
		rt_sim_point();
	} while (!__atomic_compare_exchange_n(&pool->free_nr, &free_nr, free_nr - 1, false,
					      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

static void pool_worker(struct crew *crew, unsigned int nth)
{
	struct pool *pool = crew->arg;

	for (unsigned int i = 0; i < crew_rounds(ROUNDS); i++) {
		rt_wait_event(&pool->wq, pool_take, pool, "pool");
		crew_expect(crew,
			    __atomic_add_fetch(&pool->used_nr, 1, __ATOMIC_RELAXED) <= POOL_NR);
		dawdle(i);
		__atomic_fetch_sub(&pool->used_nr, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&pool->free_nr, 1, __ATOMIC_RELEASE);
		rt_waitqueue_wake_one(&pool->wq);
	}
}

/* Were a wake lost, somebody would wait for ever. */
static int waitqueue_loses_no_wake(void *arg)
{
	struct pool pool = { .free_nr = POOL_NR };
	struct crew crew = { .fn = pool_worker, .arg = &pool };

	int err;

	rt_waitqueue_init(&pool.wq);
	err = crew_work(&crew, CREW_NR);
	return err ? err : (int)rt_waitqueue_active(&pool.wq);
}

struct gate {
	struct rt_waitqueue wq;
	unsigned int arrived_nr; /* [atomic] */
};

static bool gate_is_open(void *arg)
{
	return __atomic_load_n(&((struct gate *)arg)->arrived_nr, __ATOMIC_RELAXED) == CREW_NR;
}

static void gate_worker(struct crew *crew, unsigned int nth)
{
	struct gate *gate = crew->arg;

	if (__atomic_add_fetch(&gate->arrived_nr, 1, __ATOMIC_RELAXED) == CREW_NR)
		rt_waitqueue_wake_all(&gate->wq);
	rt_wait_event(&gate->wq, gate_is_open, gate, "gate");
}

static int waitqueue_wakes_all(void *arg)
{
	for (unsigned int i = 0; i < crew_rounds(500); i++) {
		struct gate gate = { .arrived_nr = 0 };
		struct crew crew = { .fn = gate_worker, .arg = &gate };
		int err;

		rt_waitqueue_init(&gate.wq);
		err = crew_work(&crew, CREW_NR);
		if (err)
			return err;
	}
	return 0;
}

const struct sync_case sync_cases[] = {
	{ "mutex_excludes", mutex_excludes },
	{ "mutex_may_be_freed_by_its_last_holder", mutex_may_be_freed_by_its_last_holder },
	{ "rwsem_excludes", rwsem_excludes },
	{ "rwsem_writer_is_not_starved", rwsem_writer_is_not_starved },
	{ "completion_counts", completion_counts },
	{ "completion_dies_with_its_waiter", completion_dies_with_its_waiter },
	{ "completion_and_deadline_agree", completion_and_deadline_agree },
	{ "completion_tokens_are_taken_once", completion_tokens_are_taken_once },
	{ "complete_all_lets_all_through", complete_all_lets_all_through },
	{ "waitqueue_loses_no_wake", waitqueue_loses_no_wake },
	{ "waitqueue_wakes_all", waitqueue_wakes_all },
};
const unsigned int sync_cases_nr = ARRAY_SIZE(sync_cases);
