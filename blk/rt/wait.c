/* SPDX-License-Identifier: MIT */
/*
 * The sleeping forms: rt_io_wait, rt_offload, rt_call_on. Each is the form for handlers, plus a task
 * that parks until its handler has run; the same in both back ends.
 *
 * A call from a foreign thread lives on the heap: state goes CALL_QUEUED -> CALL_TAKEN in the reactor
 * or -> CALL_GIVEN_UP in the thread, by compare-and-swap. Who comes second frees it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

#include "backend.h"

enum { CALL_TIMEOUT_S = 2 };

/* ---- I/O -------------------------------------------------------------------------------------- */

static void io_wait_done(struct rt_io *io)
{
	struct task *waiter = io->rt_waiter;

	io->rt_waiter = NULL;
	rt_wake(waiter);
}

int rt_io_wait(struct rt_io *io)
{
	io->done = io_wait_done;
	io->rt_waiter = rt_this_task;
	rt_io_submit(io);
	while (io->rt_waiter)
		rt_park("io");
	return io->res;
}

/* ---- offload ---------------------------------------------------------------------------------- */

struct offload_wait {
	struct rt_offload offload;
	int (*fn)(void *arg);
	void *arg;
	struct task *waiter;
};

static int offload_wait_fn(struct rt_offload *o)
{
	struct offload_wait *w = container_of(o, struct offload_wait, offload);

	return w->fn(w->arg);
}

static void offload_wait_done(struct rt_offload *o)
{
	struct offload_wait *w = container_of(o, struct offload_wait, offload);
	struct task *waiter = w->waiter;

	w->waiter = NULL;
	rt_wake(waiter);
}

int rt_offload(int (*fn)(void *arg), void *arg)
{
	struct offload_wait w = {
		.offload = { .fn = offload_wait_fn, .done = offload_wait_done },
		.fn = fn,
		.arg = arg,
		.waiter = rt_this_task,
	};

	rt_offload_start(&w.offload);
	while (w.waiter)
		rt_park("offload");
	return w.offload.res;
}

/* ---- a call from a task ----------------------------------------------------------------------- */

struct task_call {
	struct rt_msg msg;
	void (*fn)(void *arg);
	void *arg;
	struct task *waiter;
	unsigned int is_done; /* [atomic] */
};

static void task_call_arrived(struct rt_msg *m)
{
	struct task_call *c = container_of(m, struct task_call, msg);
	struct task *waiter = c->waiter;

	c->fn(c->arg);
	__atomic_store_n(&c->is_done, 1, __ATOMIC_RELEASE);
	rt_wake(waiter); /* @c may be gone: a task that is woken for another reason sees is_done */
}

static void call_from_task(unsigned int reactor, void (*fn)(void *arg), void *arg)
{
	struct task_call c = {
		.msg.fn = task_call_arrived,
		.fn = fn,
		.arg = arg,
		.waiter = rt_this_task,
	};

	rt_post(reactor, &c.msg);
	while (!__atomic_load_n(&c.is_done, __ATOMIC_ACQUIRE))
		rt_park("call");
}

/* ---- a call from a foreign thread ------------------------------------------------------------- */

enum call_state { CALL_QUEUED, CALL_TAKEN, CALL_GIVEN_UP };

struct thread_call {
	struct rt_msg msg;
	void (*fn)(void *arg);
	void *arg;
	unsigned int state; /* [atomic] */
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done; /* [lock] */
};

static void thread_call_free(struct thread_call *c)
{
	pthread_cond_destroy(&c->done);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* True: the state was CALL_QUEUED and is @to now. */
static bool thread_call_claim(struct thread_call *c, unsigned int to)
{
	unsigned int queued = CALL_QUEUED;

	return __atomic_compare_exchange_n(&c->state, &queued, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static void thread_call_arrived(struct rt_msg *m)
{
	struct thread_call *c = container_of(m, struct thread_call, msg);

	if (!thread_call_claim(c, CALL_TAKEN)) {
		thread_call_free(c);
		return;
	}
	c->fn(c->arg);
	pthread_mutex_lock(&c->lock);
	c->is_done = true;
	pthread_cond_signal(&c->done);
	pthread_mutex_unlock(&c->lock);
}

/* False: the time is over and @fn has not begun. */
static bool thread_call_wait(struct thread_call *c)
{
	struct timespec until;
	bool is_taken = true;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += CALL_TIMEOUT_S;
	pthread_mutex_lock(&c->lock);
	while (!c->is_done) {
		if (pthread_cond_timedwait(&c->done, &c->lock, &until) == 0)
			continue;
		is_taken = !thread_call_claim(c, CALL_GIVEN_UP);
		break;
	}
	while (is_taken && !c->is_done)
		pthread_cond_wait(&c->done, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return is_taken;
}

static struct thread_call *thread_call_create(void (*fn)(void *arg), void *arg)
{
	struct thread_call *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return NULL;
	c->msg.fn = thread_call_arrived;
	c->fn = fn;
	c->arg = arg;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->done, &attr);
	pthread_condattr_destroy(&attr);
	return c;
}

static int call_from_thread(unsigned int reactor, void (*fn)(void *arg), void *arg)
{
	struct thread_call *c = thread_call_create(fn, arg);

	if (!c)
		return -ENOMEM;
	rt_post_foreign(reactor, &c->msg);
	if (!thread_call_wait(c)) {
		log_warn("reactor %u: no answer to a call for %d s; see the task dump for what "
			 "keeps it",
			 reactor, CALL_TIMEOUT_S);
		return -ETIMEDOUT;
	}
	thread_call_free(c);
	return 0;
}

int rt_call_on(unsigned int reactor, void (*fn)(void *arg), void *arg)
{
	if (rt_this_reactor == RT_NO_REACTOR)
		return call_from_thread(reactor, fn, arg);
	blkfs_assert(rt_this_task != NULL);
	call_from_task(reactor, fn, arg);
	return 0;
}
