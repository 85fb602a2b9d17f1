/* SPDX-License-Identifier: MIT */
/*
 * The core: life of the runtime, and the part of rt.h that is the same for both back ends.
 *
 * Story: rt_init*() -> rt_core_init() makes the reactors, the back end adds its own; rt_run() starts
 * the main task and hands over to the back end's loop; what is left afterwards is dumped.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#include "backend.h"
#include "lockdep.h"

enum {
	RING_ENTRIES_DEFAULT = 1024,
	RING_ENTRIES_MAX = 32768,
	OFFLOAD_DEFAULT = 2,
	OFFLOAD_MAX = 64,
	TASKS_DEFAULT = 4096,
	TASKS_MAX = 1 << 20,
	STACK_DEFAULT = 64 * 1024,
	STACK_MIN = 16 * 1024,
};

struct rt_core rt_core;
__thread struct reactor *rt_self;
__thread unsigned int rt_this_reactor = RT_NO_REACTOR;
__thread uint64_t rt_this_now_ns;
__thread struct task *rt_this_task;

/* ---- life ------------------------------------------------------------------------------------- */

static void config_set_defaults(struct rt_config *cfg)
{
	if (cfg->reactors_nr == 0)
		cfg->reactors_nr = 1;
	if (cfg->ring_entries == 0)
		cfg->ring_entries = RING_ENTRIES_DEFAULT;
	if (cfg->offload_nr == 0)
		cfg->offload_nr = OFFLOAD_DEFAULT;
	if (cfg->tasks_max == 0)
		cfg->tasks_max = TASKS_DEFAULT;
	if (cfg->task_stack_bytes == 0)
		cfg->task_stack_bytes = STACK_DEFAULT;
}

static int config_check(const struct rt_config *cfg)
{
	if (cfg->reactors_nr > RT_REACTORS_MAX) {
		log_err("runtime: %u reactors asked for, %d is the most", cfg->reactors_nr,
			RT_REACTORS_MAX);
		return -EINVAL;
	}
	if (cfg->ring_entries > RING_ENTRIES_MAX || cfg->offload_nr > OFFLOAD_MAX ||
	    cfg->tasks_max > TASKS_MAX || cfg->task_stack_bytes < STACK_MIN) {
		log_err("runtime: ring entries %u (most %d), offload threads %u (most %d), tasks %u "
			"(most %d), stack %zu (least %d): out of range",
			cfg->ring_entries, RING_ENTRIES_MAX, cfg->offload_nr, OFFLOAD_MAX,
			cfg->tasks_max, TASKS_MAX, cfg->task_stack_bytes, STACK_MIN);
		return -EINVAL;
	}
	return 0;
}

static void reactor_destroy(struct reactor *r)
{
	tasks_fini(r);
	timer_heap_fini(&r->timers);
	free(r);
}

static int reactor_create(unsigned int id, struct reactor **out)
{
	struct reactor *r = aligned_alloc(BLKFS_CACHELINE, sizeof(*r));
	int err = -ENOMEM;

	if (!r)
		return err;
	memset(r, 0, sizeof(*r));
	r->id = id;
	INIT_LIST_HEAD(&r->defers[RT_STAGE_READY]);
	INIT_LIST_HEAD(&r->defers[RT_STAGE_ISSUE]);
	INIT_LIST_HEAD(&r->pollers);
	mailbox_init(&r->inbox);
	err = timer_heap_init(&r->timers);
	if (err)
		goto free_reactor;
	err = tasks_init(r);
	if (err)
		goto fini_timers;
	*out = r;
	return 0;

fini_timers:
	timer_heap_fini(&r->timers);
free_reactor:
	free(r);
	return err;
}

int rt_core_init(const struct rt_backend *be, const struct rt_config *cfg)
{
	int err;

	if (rt_core.be) {
		log_err("runtime: it exists already, one a process; rt_fini() first");
		return -EBUSY;
	}
	rt_core.cfg = *cfg;
	config_set_defaults(&rt_core.cfg);
	err = config_check(&rt_core.cfg);
	if (err)
		return err;
	rt_core.cfg.tasks_max = min_t(unsigned int, rt_core.cfg.tasks_max,
				      SAN_STACKS_MAX / rt_core.cfg.reactors_nr);
	for (unsigned int i = 0; i < rt_core.cfg.reactors_nr; i++) {
		err = reactor_create(i, &rt_core.reactors[i]);
		if (err) {
			log_err("runtime: no memory for reactor %u", i);
			rt_core_fini();
			return err;
		}
		rt_core.reactors_nr++;
	}
	rt_core.be = be;
	lockdep_start(BLKFS_DEBUG || be->is_sim);
	return 0;
}

void rt_core_fini(void)
{
	while (rt_core.reactors_nr > 0)
		reactor_destroy(rt_core.reactors[--rt_core.reactors_nr]);
	rt_core = (struct rt_core){ 0 };
}

void rt_fini(void)
{
	if (!rt_core.be)
		return;
	publish_undo();
	rt_core.be->fini();
	rt_core_fini();
}

int rt_run(int (*main_fn)(void *arg), void *arg)
{
	int err;

	blkfs_assert(rt_core.be != NULL && rt_self == NULL);
	rt_core.main_fn = main_fn;
	rt_core.main_arg = arg;
	rt_core.is_main_done = 0;
	err = task_start_main();
	if (!err)
		err = rt_core.be->run();
	if (err)
		return err;
	if (tasks_running_nr() > 0) {
		log_err("runtime: the main task has returned but %u tasks have not ended",
			tasks_running_nr());
		rt_tasks_dump();
	}
	return rt_core.main_res;
}

bool rt_is_sim(void)
{
	return rt_core.be && rt_core.be->is_sim;
}

/* ---- reactors --------------------------------------------------------------------------------- */

void reactor_bind(struct reactor *r, struct fiber *loop)
{
	rt_self = r;
	rt_this_reactor = r ? r->id : RT_NO_REACTOR;
	if (r)
		r->loop = loop;
}

unsigned int rt_reactor_nr(void)
{
	return rt_core.reactors_nr;
}

unsigned int rt_reactor_of_cpu(unsigned int cpu)
{
	for (unsigned int i = 0; i < rt_core.reactors_nr; i++)
		if (rt_core.reactors[i]->cpu == cpu)
			return i;
	return cpu % rt_core.reactors_nr;
}

unsigned int rt_reactor_cpu(unsigned int reactor)
{
	blkfs_assert(reactor < rt_core.reactors_nr);
	return rt_core.reactors[reactor]->cpu;
}

/* ---- time and randomness ---------------------------------------------------------------------- */

uint64_t rt_now_thread(void)
{
	struct timespec ts;

	if (rt_core.be)
		return rt_core.be->clock_ns();
	clock_gettime(CLOCK_MONOTONIC, &ts); /* a log line before rt_init */
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t rt_now_fresh(void)
{
	uint64_t now_ns = rt_core.be->clock_ns();

	reactor_stamp(now_ns);
	return now_ns;
}

uint64_t rt_realtime(void)
{
	return rt_core.be->realtime_ns();
}

uint64_t rt_random(void)
{
	uint64_t value;

	rt_core.be->random_bytes(&value, sizeof(value));
	return value;
}

void rt_random_bytes(void *buf, size_t len_bytes)
{
	rt_core.be->random_bytes(buf, len_bytes);
}

/* ---- defers and pollers ----------------------------------------------------------------------- */

void rt_defer_init(struct rt_defer *d, void (*fn)(struct rt_defer *d))
{
	INIT_LIST_HEAD(&d->node);
	d->fn = fn;
}

void rt_defer_queue(struct rt_defer *d, enum rt_stage stage)
{
	if (list_empty(&d->node))
		list_add_tail(&d->node, &rt_self->defers[stage]);
}

bool rt_defer_cancel(struct rt_defer *d)
{
	if (list_empty(&d->node))
		return false;
	list_del_init(&d->node);
	return true;
}

void defer_run(struct rt_defer *d)
{
	list_del_init(&d->node);
	d->fn(d);
}

void rt_poller_add(struct rt_poller *p)
{
	list_add_tail(&p->node, &rt_self->pollers);
}

void rt_poller_del(struct rt_poller *p)
{
	list_del_init(&p->node);
}

/* ---- messages and I/O ------------------------------------------------------------------------- */

void rt_post(unsigned int reactor, struct rt_msg *m)
{
	blkfs_assert(reactor < rt_core.reactors_nr && rt_self != NULL);
	rt_core.be->post(rt_core.reactors[reactor], m);
}

void rt_post_foreign(unsigned int reactor, struct rt_msg *m)
{
	blkfs_assert(reactor < rt_core.reactors_nr);
	rt_core.be->post_foreign(rt_core.reactors[reactor], m);
}

void rt_io_submit(struct rt_io *io)
{
	STAT_INC(rt_self->stats.ios);
	rt_core.be->io_submit(rt_self, io);
}

void rt_io_cancel(struct rt_io *io)
{
	rt_core.be->io_cancel(rt_self, io);
}

void rt_offload_start(struct rt_offload *o)
{
	STAT_INC(rt_self->stats.offloads);
	o->reactor = rt_self->id;
	rt_core.be->offload(o);
}
