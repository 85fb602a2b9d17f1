/* SPDX-License-Identifier: MIT */
/*
 * backend.h - what the two back ends share, and the table in which they differ.
 *
 * The core (core.c, task.c, timer.c) keeps the lists of every reactor: ready tasks, defers, pollers,
 * timers. A back end decides *when* and *in which order* they run, by calling the steps below from
 * its own loop, and carries messages and I/O. The ring runs each list first in, first out; the
 * simulator may pick any member.
 *
 * Everything in a struct reactor belongs to that reactor's thread, but for what says otherwise.
 */
#ifndef BLK_RT_BACKEND_H
#define BLK_RT_BACKEND_H

#include <stdarg.h>

#include "base/list.h"
#include "blkfs/rt.h"

#include "fiber.h"
#include "mailbox.h"

struct reactor;

/* ---- the table ------------------------------------------------------------------------------ */

/*
 * All slots are mandatory. "self" is the reactor that the caller runs on.
 */
struct rt_backend {
	bool is_sim;
	/* Run until rt_core.is_main_done and nothing is left; 0 or what rt_run() is to return. */
	int (*run)(void);
	/* Undo what the back end's init did. The tasks are freed by the core afterwards. */
	void (*fini)(void);
	/* The clocks themselves; any thread. */
	uint64_t (*clock_ns)(void);
	uint64_t (*realtime_ns)(void);
	/* Any thread. */
	void (*random_bytes)(void *buf, size_t len_bytes);
	/* From a reactor, to any, itself included: @m->fn runs as a handler there, in a later step. */
	void (*post)(struct reactor *to, struct rt_msg *m);
	/* From a thread that is no reactor. */
	void (*post_foreign)(struct reactor *to, struct rt_msg *m);
	/* io->done must not run inside. */
	void (*io_submit)(struct reactor *self, struct rt_io *io);
	void (*io_cancel)(struct reactor *self, struct rt_io *io);
	/* o->reactor is set; run o->fn where it may block, then post o->msg to that reactor. */
	void (*offload)(struct rt_offload *o);
};

/* ---- timers of one reactor: a binary heap, earliest first ------------------------------------- */

struct timer_heap {
	struct rt_timer **slots; /* from 1; a mapping that is resident where used */
	unsigned int timers_nr;
};

int __must_check timer_heap_init(struct timer_heap *h);
void timer_heap_fini(struct timer_heap *h);
/* The earliest deadline; UINT64_MAX when no timer is armed. */
static inline uint64_t timer_heap_next_ns(const struct timer_heap *h)
{
	return h->timers_nr ? h->slots[1]->expires_ns : UINT64_MAX;
}
/* Takes the earliest timer off the heap if it is due at @now_ns; NULL: none is. */
struct rt_timer *timer_heap_pop(struct timer_heap *h, uint64_t now_ns);

/* ---- tasks ------------------------------------------------------------------------------------ */

enum task_state {
	TASK_RUNNING, /* or ready */
	TASK_PARKED,
	TASK_WOKEN, /* running or ready, and its next park returns at once */
	TASK_IDLE,  /* in the pool */
};

struct rt_task {
	struct task task; /* first */
	struct fiber fiber;
	struct rt_msg wake_msg; /* owned by who turned TASK_PARKED into TASK_WOKEN */
	void (*fn)(void *arg);
	void *arg;
	uint64_t since_ns; /* [atomic] when it began to wait, for dumps */
	unsigned int id;   /* place in reactor->tasks */
};

static inline struct rt_task *to_rt_task(struct task *task)
{
	return container_of(task, struct rt_task, task);
}

/* ---- a reactor -------------------------------------------------------------------------------- */

/* Read by anyone, written by the reactor: STAT_INC and STAT_ADD. */
struct reactor_stats {
	uint64_t turns;
	uint64_t enters;
	uint64_t sleeps;
	uint64_t spin_ns;
	uint64_t spin_hits;
	uint64_t switches;
	uint64_t msgs;
	uint64_t wakeups_sent;
	uint64_t ios;
	uint64_t ios_inline;
	uint64_t offloads;
	uint64_t overflows;
	unsigned int tasks_nr;
	unsigned int tasks_peak;
};

#define STAT_ADD(counter, n) WRITE_ONCE(counter, (counter) + (n))
#define STAT_INC(counter) STAT_ADD(counter, 1)

struct reactor {
	unsigned int id;
	unsigned int cpu;
	struct fiber *loop;	     /* where a task switches to: the back end's loop */
	struct list_head ready;	     /* struct task by rt_node, oldest first */
	struct list_head defers[2];  /* struct rt_defer by enum rt_stage */
	struct list_head pollers;    /* struct rt_poller */
	struct list_head idle;	     /* tasks in the pool */
	struct list_head work_wait;  /* struct rt_work that found no task */
	struct list_head spawn_wait; /* struct spawn_req that found no task */
	struct list_head spawn_free;
	struct timer_heap timers;
	struct rt_task **tasks; /* all that were ever made */
	unsigned int tasks_nr;	/* [atomic] entries of it */
	struct reactor_stats stats;
	void *backend; /* the back end's own */
	struct mailbox inbox __cacheline_aligned;
};

/* ---- the runtime ------------------------------------------------------------------------------ */

struct rt_core {
	const struct rt_backend *be; /* NULL: rt_init was not called */
	struct rt_config cfg;	     /* defaults filled in */
	unsigned int reactors_nr;
	struct reactor *reactors[RT_REACTORS_MAX];
	void (*plug_hook)(struct task *task);
	int (*main_fn)(void *arg);
	void *main_arg;
	int main_res;
	unsigned int is_main_done; /* [atomic] set on reactor 0 */
};

extern struct rt_core rt_core;
extern __thread struct reactor *rt_self; /* NULL on a foreign thread */

/*
 * rt_core_init - the part of rt_init*() that is the same: defaults, reactors, task pools.
 *
 * The caller then sets reactor->backend and may fail and call rt_core_fini(). Fails: -EBUSY,
 * -EINVAL, -ENOMEM.
 */
int __must_check rt_core_init(const struct rt_backend *be, const struct rt_config *cfg);
void rt_core_fini(void);

/*
 * reactor_bind - the calling thread acts for @r from now on (NULL: for nobody).
 *
 * @loop: the adopted fiber of this thread. Sets rt_self and rt_this_reactor. The simulator calls
 * it before every step.
 */
void reactor_bind(struct reactor *r, struct fiber *loop);

static inline void reactor_stamp(uint64_t now_ns)
{
	rt_this_now_ns = now_ns;
}

/* ---- steps: called from a back end's loop, on the reactor they are about, without a task ------ */

/* Starts rt_run()'s main task on reactor 0. */
int __must_check task_start_main(void);
/* Takes @t off the ready list and runs it until it parks, yields or ends. */
void task_run(struct reactor *r, struct rt_task *t);
/* Takes @d off its list and runs it. */
void defer_run(struct rt_defer *d);
/* Runs @m: the memory is the sender's again inside. */
static inline void msg_run(struct reactor *r, struct rt_msg *m)
{
	STAT_INC(r->stats.msgs);
	m->fn(m);
}
/* Nothing of it wants to run: no ready task, no defer. Messages and timers are not looked at. */
static inline bool reactor_is_quiet(const struct reactor *r)
{
	return list_empty(&r->ready) && list_empty(&r->defers[RT_STAGE_READY]) &&
	       list_empty(&r->defers[RT_STAGE_ISSUE]);
}

/* ---- within the core -------------------------------------------------------------------------- */

int __must_check tasks_init(struct reactor *r);
void tasks_fini(struct reactor *r);
/* How many tasks of all reactors have not ended. */
unsigned int tasks_running_nr(void);
/* Takes back what rt_publish() added. */
void publish_undo(void);

#endif
