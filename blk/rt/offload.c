/* SPDX-License-Identifier: MIT */
/*
 * The pool of threads for what blocks.
 *
 * Lock: pool.lock guards the queue and is_stopping; it is never held while fn runs. Reactors take it
 * to queue, for a few instructions: this is not a path of I/O that is fast.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#include "ring.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list_head queue; /* [lock] struct rt_offload */
	bool is_stopping;	/* [lock] */
	pthread_t *threads;
	unsigned int threads_nr;
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
	.queue = LIST_HEAD_INIT(pool.queue),
};

static void offload_done(struct rt_msg *m)
{
	struct rt_offload *o = container_of(m, struct rt_offload, msg);

	o->done(o);
}

/* NULL: stopping. */
static struct rt_offload *pool_take(void)
{
	struct rt_offload *o = NULL;

	pthread_mutex_lock(&pool.lock);
	while (list_empty(&pool.queue) && !pool.is_stopping)
		pthread_cond_wait(&pool.more, &pool.lock);
	if (!list_empty(&pool.queue)) {
		o = list_first_entry(&pool.queue, struct rt_offload, node);
		list_del(&o->node);
	}
	pthread_mutex_unlock(&pool.lock);
	return o;
}

static void *pool_thread(void *arg)
{
	struct rt_offload *o;

	pthread_setname_np(pthread_self(), "offload");
	while ((o = pool_take()) != NULL) {
		o->res = o->fn(o);
		o->msg.fn = offload_done;
		rt_post_foreign(o->reactor, &o->msg);
	}
	return NULL;
}

void offload_queue(struct rt_offload *o)
{
	pthread_mutex_lock(&pool.lock);
	list_add_tail(&o->node, &pool.queue);
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}

/* Signals are for the program's own threads. */
static int pool_thread_start(pthread_t *thread)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(thread, NULL, pool_thread, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

int offload_init(unsigned int threads_nr)
{
	int err = 0;

	pool.is_stopping = false;
	pool.threads = calloc(threads_nr, sizeof(*pool.threads));
	if (!pool.threads)
		return -ENOMEM;
	while (pool.threads_nr < threads_nr && !err) {
		err = pool_thread_start(&pool.threads[pool.threads_nr]);
		if (!err)
			pool.threads_nr++;
	}
	if (err)
		log_err("runtime: cannot start offload thread %u: %s; ask for fewer",
			pool.threads_nr, strerror(-err));
	return err;
}

void offload_fini(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.is_stopping = true;
	pthread_cond_broadcast(&pool.more);
	pthread_mutex_unlock(&pool.lock);
	while (pool.threads_nr > 0)
		pthread_join(pool.threads[--pool.threads_nr], NULL);
	free(pool.threads);
	pool.threads = NULL;
}
