/* SPDX-License-Identifier: MIT */
/*
 * sim.c - the simulator: one thread, virtual reactors, virtual time, all choices from a seed.
 *
 * Invariants: 1. Every virtual reactor runs its loop on a stack of its own, so that it can stand
 *                still at a switch point, in a task or a handler, while others go on. Tasks of one
 *                reactor never preempt one another.
 *             2. A reactor takes one step at a time: any ready task, defer, message or completion,
 *                or the earliest due timer. What may not come first in the ring may not here.
 *             3. Time passes when nothing can run, up to the next deadline; and now and then by a
 *                little, so that deadlines also come while there is work.
 *             4. When nothing can ever run again the run ends: all is done, or it is a deadlock.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

#define REALTIME_START_NS 1767225600000000000ull /* 2026-01-01 00:00:00 UTC */

enum {
	STEPS_MAX_DEFAULT = 100 * 1000 * 1000,
	IO_LATENCY_DEFAULT_NS = 100 * 1000,
	LOOP_STACK_BYTES = 256 * 1024,
	STEP_COST_MAX_NS = 200, /* what a step takes */
	CLOCK_COST_NS = 20,
	STALL_ODDS = 64, /* one step in so many is followed by a stall */
	STALL_MAX_NS = 50 * 1000,
	ISSUE_ODDS = 8,		     /* one step in so many ends the ready stage early */
	POLL_ODDS = 8,		     /* one step in so many is a poller's though there is work */
	POLL_PAUSE_MIN_NS = 500,     /* pollers alone: pauses double from here ... */
	POLL_PAUSE_MAX_NS = 1 << 20, /* ... to here */
};

/* One of these for each seed: bugs differ in how often one must switch to find them. */
static const unsigned int point_odds[] = { 2, 4, 8, 32 };

struct sim sim;
bool rt_sim_is_running;

/* ---- to the scheduler and back ------------------------------------------------------------------- */

/* On a reactor: let the scheduler choose who goes on. */
static void suspend(struct sim_reactor *sr, bool is_midway)
{
	sr->is_midway = is_midway;
	sr->task = rt_this_task;
	sr->at = sr->task ? &to_rt_task(sr->task)->fiber : &sr->loop;
	sr->now_ns = rt_this_now_ns;
	sr->errno_saved = errno;
	fiber_switch(sr->at, &sim.scheduler);
}

/* On the scheduler: let @sr go on until it suspends itself. */
static void resume(struct sim_reactor *sr)
{
	reactor_bind(sr->r, &sr->loop);
	rt_this_task = sr->task;
	reactor_stamp(sr->is_midway ? sr->now_ns : sim.now_ns);
	errno = sr->errno_saved;
	fiber_switch(&sim.scheduler, sr->at);
	reactor_bind(NULL, NULL);
	rt_this_task = NULL;
}

static bool is_out_of_steps(void)
{
	return sim.steps_nr > sim.cfg.steps_max;
}

void rt_sim_switch(void)
{
	if (!rt_self || sim.reactors_nr == 1)
		return;
	sim.steps_nr++;
	if (sim_choose(sim.point_odds) == 0 || is_out_of_steps())
		suspend(&sim.reactors[rt_self->id], true);
}

/* ---- a step of a reactor ------------------------------------------------------------------------- */

static struct list_head *nth_node(struct list_head *head, unsigned int nth)
{
	struct list_head *node = head->next;

	while (nth-- > 0)
		node = node->next;
	return node;
}

static void run_task(struct sim_reactor *sr, unsigned int nth)
{
	struct task *task = list_entry(nth_node(&sr->r->ready, nth), struct task, rt_node);

	sim_event("task", task->name, to_rt_task(task)->id);
	task_run(sr->r, to_rt_task(task));
}

static void run_defer(struct sim_reactor *sr, enum rt_stage stage, unsigned int nth)
{
	struct list_head *node = nth_node(&sr->r->defers[stage], nth);

	sim_event("defer", stage == RT_STAGE_READY ? "ready" : "issue", nth);
	defer_run(list_entry(node, struct rt_defer, node));
}

static void run_timer(struct sim_reactor *sr)
{
	struct rt_timer *t = timer_heap_pop(&sr->r->timers, sim.now_ns);

	sim_event("timer", NULL, t->expires_ns);
	t->fn(t);
}

static void run_pollers(struct sim_reactor *sr)
{
	unsigned int pollers_nr = (unsigned int)list_count_nodes(&sr->r->pollers);
	bool is_busy = false;

	/* One may remove itself, or another: then the rest waits for the next round. */
	for (unsigned int i = 0; i < list_count_nodes(&sr->r->pollers); i++) {
		struct rt_poller *p =
			list_entry(nth_node(&sr->r->pollers, i), struct rt_poller, node);

		if (p->poll(p)) {
			sim_event("poller", NULL, i);
			sim.is_polled = false;
			sim.poll_ns = POLL_PAUSE_MIN_NS;
		}
		if (list_count_nodes(&sr->r->pollers) != pollers_nr) {
			is_busy = true;
			break;
		}
		is_busy |= p->must_not_sleep && p->must_not_sleep(p);
	}
	sr->is_busy = is_busy;
	sr->must_poll = false;
}

enum step_kind {
	STEP_TASK,
	STEP_DEFER,
	STEP_TIMER,
	STEP_MSG,
	STEP_IO,
	STEP_OFFLOAD,
	STEP_KINDS_NR
};

/* How many steps of each kind the reactor could take; returns their sum. */
static unsigned int steps_ready(const struct sim_reactor *sr, unsigned int nr[STEP_KINDS_NR])
{
	const struct reactor *r = sr->r;
	unsigned int sum = 0;

	nr[STEP_TASK] = (unsigned int)list_count_nodes(&r->ready);
	nr[STEP_DEFER] = (unsigned int)list_count_nodes(&r->defers[RT_STAGE_READY]);
	nr[STEP_TIMER] = timer_heap_next_ns(&r->timers) <= sim.now_ns;
	nr[STEP_MSG] = sim_io_ready_nr(sr, SIM_MSG);
	nr[STEP_IO] = sim_io_ready_nr(sr, SIM_IO);
	nr[STEP_OFFLOAD] = sim_io_ready_nr(sr, SIM_OFFLOAD);
	for (unsigned int kind = 0; kind < STEP_KINDS_NR; kind++)
		sum += nr[kind];
	return sum;
}

static void run_one(struct sim_reactor *sr, enum step_kind kind, unsigned int nth)
{
	switch (kind) {
	case STEP_TASK:
		run_task(sr, nth);
		break;
	case STEP_DEFER:
		run_defer(sr, RT_STAGE_READY, nth);
		break;
	case STEP_TIMER:
		run_timer(sr);
		break;
	case STEP_MSG:
		sim_io_run(sr, SIM_MSG, nth);
		break;
	case STEP_IO:
		sim_io_run(sr, SIM_IO, nth);
		break;
	case STEP_OFFLOAD:
		sim_io_run(sr, SIM_OFFLOAD, nth);
		break;
	case STEP_KINDS_NR:
		break;
	}
}

/* A step; the scheduler has seen that there is one. */
static void step(struct sim_reactor *sr)
{
	unsigned int nr[STEP_KINDS_NR];
	unsigned int ready_nr = steps_ready(sr, nr);
	unsigned int issue_nr = (unsigned int)list_count_nodes(&sr->r->defers[RT_STAGE_ISSUE]);
	unsigned int nth, kind = 0;

	STAT_INC(sr->r->stats.turns);
	if (sr->must_poll) {
		run_pollers(sr);
		return;
	}
	if (issue_nr > 0 && (ready_nr == 0 || sim_choose(ISSUE_ODDS) == 0)) {
		run_defer(sr, RT_STAGE_ISSUE, (unsigned int)sim_choose(issue_nr));
		return;
	}
	nth = (unsigned int)sim_choose(ready_nr);
	while (nth >= nr[kind])
		nth -= nr[kind++];
	run_one(sr, kind, nth);
}

static void reactor_loop(void *arg)
{
	struct sim_reactor *sr = arg;

	fiber_entered(&sr->loop, &sim.scheduler);
	for (;;) {
		step(sr);
		suspend(sr, false);
	}
}

/* ---- the scheduler ------------------------------------------------------------------------------- */

static bool is_runnable(const struct sim_reactor *sr)
{
	unsigned int nr[STEP_KINDS_NR];

	return sr->is_midway || sr->must_poll || steps_ready(sr, nr) > 0 ||
	       !list_empty(&sr->r->defers[RT_STAGE_ISSUE]);
}

/* NULL: there is nothing to do at this time. */
static struct sim_reactor *choose_reactor(void)
{
	struct sim_reactor *runnable[RT_REACTORS_MAX];
	unsigned int runnable_nr = 0;

	for (unsigned int i = 0; i < sim.reactors_nr; i++)
		if (is_runnable(&sim.reactors[i]))
			runnable[runnable_nr++] = &sim.reactors[i];
	return runnable_nr ? runnable[sim_choose(runnable_nr)] : NULL;
}

/* True: there are pollers, and they are to look before time passes. */
static bool ask_pollers(void)
{
	bool is_asked = false;

	if (sim.is_polled)
		return false;
	for (unsigned int i = 0; i < sim.reactors_nr; i++) {
		struct sim_reactor *sr = &sim.reactors[i];

		sr->is_busy = false;
		sr->must_poll = !list_empty(&sr->r->pollers);
		is_asked |= sr->must_poll;
	}
	sim.is_polled = true;
	return is_asked;
}

/* While others work, pollers have their turn too. */
static void ask_poller_at_random(void)
{
	struct sim_reactor *sr;

	if (sim_choose(POLL_ODDS) != 0)
		return;
	sr = &sim.reactors[sim_choose(sim.reactors_nr)];
	sr->must_poll |= !sr->is_midway && !list_empty(&sr->r->pollers);
}

static uint64_t next_deadline_ns(void)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned int i = 0; i < sim.reactors_nr; i++) {
		const struct sim_reactor *sr = &sim.reactors[i];

		next_ns = min(next_ns, timer_heap_next_ns(&sr->r->timers));
		next_ns = min(next_ns, sim_io_next_ns(sr));
		if (sr->is_busy)
			next_ns = min(next_ns, sim.now_ns + sim.poll_ns);
	}
	return next_ns;
}

/* Nothing can run now: let time pass. False: nothing will ever run. */
static bool advance(void)
{
	uint64_t next_ns = next_deadline_ns();

	if (next_ns == UINT64_MAX)
		return false;
	if (next_ns > sim.now_ns)
		sim.now_ns = next_ns;
	sim.poll_ns = min_t(uint64_t, sim.poll_ns * 2, POLL_PAUSE_MAX_NS);
	sim.is_polled = false;
	sim_event("time", NULL, sim.now_ns);
	return true;
}

static bool is_all_done(void)
{
	if (!rt_core.is_main_done || tasks_running_nr() > 0)
		return false;
	for (unsigned int i = 0; i < sim.reactors_nr; i++)
		if (!list_empty(&sim.reactors[i].ios))
			return false;
	return true;
}

static void let_step_take_time(void)
{
	sim.now_ns += sim_choose(STEP_COST_MAX_NS);
	if (sim_choose(STALL_ODDS) == 0)
		sim.now_ns += sim_choose(STALL_MAX_NS);
}

static int end_badly(int err, const char *why)
{
	rt_sim_is_running = false;
	log_err("simulator: seed %llu: %s at step %llu, %llu ns; the tasks:",
		(unsigned long long)sim.cfg.seed, why, (unsigned long long)sim.steps_nr,
		(unsigned long long)sim.now_ns);
	rt_tasks_dump();
	return err;
}

/* Step by step, until all is done. */
static int schedule(void)
{
	for (;;) {
		struct sim_reactor *sr;

		if (is_out_of_steps())
			return end_badly(-ETIME, "out of steps");
		ask_poller_at_random();
		sr = choose_reactor();
		if (sr) {
			sim.steps_nr++;
			sim.is_polled &= sr->must_poll;
			resume(sr);
			if (!sr->is_midway)
				let_step_take_time();
		} else if (is_all_done()) {
			return 0;
		} else if (!ask_pollers() && !advance()) {
			return end_badly(-EDEADLK, "deadlock, nothing can ever run again");
		}
	}
}

static int sim_run(void)
{
	int res;

	fiber_adopt(&sim.scheduler);
	rt_sim_is_running = true;
	res = schedule();
	rt_sim_is_running = false;
	return res;
}

/* ---- life ---------------------------------------------------------------------------------------- */

/* Reading the clock takes time: who reads it until a deadline comes gets there. */
static uint64_t sim_clock_ns(void)
{
	if (rt_sim_is_running)
		sim.now_ns += CLOCK_COST_NS;
	return sim.now_ns;
}

static uint64_t sim_realtime_ns(void)
{
	return REALTIME_START_NS + sim.now_ns;
}

static int sim_reactor_init(struct sim_reactor *sr, struct reactor *r)
{
	int err;

	sr->r = r;
	r->cpu = r->id;
	sr->at = &sr->loop;
	err = sim_io_init(sr);
	if (err)
		return err;
	err = fiber_create(&sr->loop, LOOP_STACK_BYTES * SAN_STACK_FACTOR, reactor_loop, sr);
	if (err)
		sim_io_fini(sr);
	return err;
}

static void sim_fini(void)
{
	while (sim.reactors_nr > 0) {
		struct sim_reactor *sr = &sim.reactors[--sim.reactors_nr];

		fiber_destroy(&sr->loop);
		sim_io_fini(sr);
	}
	free(sim.reactors);
	sim.reactors = NULL;
	sim_trace_close();
}

static const struct rt_backend sim_backend = {
	.is_sim = true,
	.run = sim_run,
	.fini = sim_fini,
	.clock_ns = sim_clock_ns,
	.realtime_ns = sim_realtime_ns,
	.random_bytes = sim_random_bytes,
	.post = sim_post,
	.post_foreign = sim_post_foreign,
	.io_submit = sim_io_submit,
	.io_cancel = sim_io_cancel,
	.offload = sim_offload,
};

static void sim_set_up(const struct rt_sim_config *cfg)
{
	sim = (struct sim){ .cfg = *cfg, .now_ns = 1, .poll_ns = POLL_PAUSE_MIN_NS };
	if (sim.cfg.steps_max == 0)
		sim.cfg.steps_max = STEPS_MAX_DEFAULT;
	if (sim.cfg.io_latency_ns == 0)
		sim.cfg.io_latency_ns = IO_LATENCY_DEFAULT_NS;
	sim_trace_open(cfg->seed);
	sim.point_odds = point_odds[sim_choose(ARRAY_SIZE(point_odds))];
}

int rt_init_sim(const struct rt_sim_config *cfg)
{
	const struct rt_config core_cfg = {
		.reactors_nr = cfg->reactors_nr,
		.task_stack_bytes = cfg->task_stack_bytes,
	};
	int err;

	fiber_keep_stacks(); /* runs are short and many */
	err = rt_core_init(&sim_backend, &core_cfg);
	if (err)
		return err;
	sim_set_up(cfg);
	sim.reactors = calloc(rt_core.reactors_nr, sizeof(*sim.reactors));
	if (!sim.reactors) {
		err = -ENOMEM;
		goto fini;
	}
	for (unsigned int i = 0; i < rt_core.reactors_nr; i++) {
		err = sim_reactor_init(&sim.reactors[i], rt_core.reactors[i]);
		if (err)
			goto fini;
		sim.reactors_nr++;
	}
	return 0;

fini:
	log_err("simulator: no memory for %u reactors", rt_core.reactors_nr);
	rt_fini();
	return err;
}
