/* SPDX-License-Identifier: MIT */
/*
 * Tasks: spawn, park, wake, yield, and the pool they come from.
 *
 * Invariants: 1. A task switches to its reactor's loop and is switched to from there only.
 *             2. rt_state goes RUNNING -> PARKED in the task alone, PARKED -> WOKEN in one waker
 *                alone; that waker owns wake_msg and rt_node until the task is on the ready list.
 *             3. A waker on another reactor may see PARKED before the task has left its stack: the
 *                message it sends is looked at only after that, by the same thread.
 *             4. rt_work may use WORK_RESERVE tasks beyond tasks_max, so that tasks waiting for
 *                work cannot keep it from running.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/log.h"

#include "backend.h"

enum {
	WORK_RESERVE = 64,
	PREMADE = 8, /* tasks made with the reactor: the first work always finds one */
};

/* A spawn on another reactor: kept in the free list of the reactor where it ran. */
struct spawn_req {
	struct rt_msg msg;
	struct list_head node;
	void (*fn)(void *arg);
	void *arg;
	const char *name;
};

static const char *const state_names[] = {
	[TASK_RUNNING] = "ready",
	[TASK_PARKED] = "parked",
	[TASK_WOKEN] = "woken",
	[TASK_IDLE] = "idle",
};

/* ---- switching -------------------------------------------------------------------------------- */

static void task_set_ready(struct reactor *r, struct rt_task *t)
{
	list_add_tail(&t->task.rt_node, &r->ready);
}

static void task_leave(struct reactor *r, struct rt_task *t)
{
	fiber_switch(&t->fiber, r->loop);
}

void task_run(struct reactor *r, struct rt_task *t)
{
	list_del(&t->task.rt_node);
	STAT_INC(r->stats.switches);
	rt_this_task = &t->task;
	fiber_switch(r->loop, &t->fiber);
	rt_this_task = NULL;
}

static void task_assign(struct rt_task *t, void (*fn)(void *arg), void *arg, const char *name)
{
	struct task *task = &t->task;

	t->fn = fn;
	t->arg = arg;
	WRITE_ONCE(task->name, name);
	task->plug = NULL;
	task->bio_list = NULL;
	task->ioc = (struct rt_ioctx){ 0 };
	task->locks_held = 0;
	WRITE_ONCE(task->rt_wait, NULL);
	WRITE_ONCE(t->since_ns, rt_this_now_ns);
	__atomic_store_n(&task->rt_state, TASK_RUNNING, __ATOMIC_RELEASE);
}

static void work_entry(void *arg)
{
	struct rt_work *w = arg;

	w->fn(w);
}

/* The task ended: what waited for one has it, works first; else it goes to the pool. */
static void task_end(struct reactor *r, struct rt_task *t)
{
	blkfs_assert(t->task.plug == NULL);
	blkfs_assert(t->task.locks_held == 0);
	if (!list_empty(&r->work_wait)) {
		struct rt_work *w = list_first_entry(&r->work_wait, struct rt_work, node);

		list_del_init(&w->node);
		task_assign(t, work_entry, w, "work");
		task_set_ready(r, t);
	} else if (!list_empty(&r->spawn_wait) && r->stats.tasks_nr <= rt_core.cfg.tasks_max) {
		struct spawn_req *req = list_first_entry(&r->spawn_wait, struct spawn_req, node);

		list_move(&req->node, &r->spawn_free);
		task_assign(t, req->fn, req->arg, req->name);
		task_set_ready(r, t);
	} else {
		__atomic_store_n(&t->task.rt_state, TASK_IDLE, __ATOMIC_RELEASE);
		list_add(&t->task.rt_node, &r->idle);
		WRITE_ONCE(r->stats.tasks_nr, r->stats.tasks_nr - 1);
	}
}

static void task_entry(void *arg)
{
	struct rt_task *t = arg;
	struct reactor *r = rt_core.reactors[t->task.reactor];

	fiber_entered(&t->fiber, r->loop);
	for (;;) {
		t->fn(t->arg);
		task_end(r, t);
		task_leave(r, t);
	}
}

/* ---- the pool -------------------------------------------------------------------------------------- */

static struct rt_task *task_create(struct reactor *r)
{
	struct rt_task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	if (fiber_create(&t->fiber, rt_core.cfg.task_stack_bytes * SAN_STACK_FACTOR, task_entry,
			 t) != 0) {
		free(t);
		return NULL;
	}
	t->id = r->tasks_nr;
	t->task.reactor = r->id;
	t->task.rt_state = TASK_IDLE;
	r->tasks[t->id] = t;
	__atomic_store_n(&r->tasks_nr, r->tasks_nr + 1, __ATOMIC_RELEASE);
	return t;
}

static size_t tasks_map_bytes(void)
{
	return (rt_core.cfg.tasks_max + WORK_RESERVE) * sizeof(struct rt_task *);
}

static void spawn_reqs_free(struct list_head *head)
{
	struct spawn_req *req, *next;

	list_for_each_entry_safe(req, next, head, node)
		free(req);
	INIT_LIST_HEAD(head);
}

void tasks_fini(struct reactor *r)
{
	for (unsigned int i = 0; i < r->tasks_nr; i++) {
		fiber_destroy(&r->tasks[i]->fiber);
		free(r->tasks[i]);
	}
	spawn_reqs_free(&r->spawn_wait);
	spawn_reqs_free(&r->spawn_free);
	munmap(r->tasks, tasks_map_bytes());
}

int tasks_init(struct reactor *r)
{
	void *map = mmap(NULL, tasks_map_bytes(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return -ENOMEM;
	r->tasks = map;
	r->tasks_nr = 0;
	INIT_LIST_HEAD(&r->ready);
	INIT_LIST_HEAD(&r->idle);
	INIT_LIST_HEAD(&r->work_wait);
	INIT_LIST_HEAD(&r->spawn_wait);
	INIT_LIST_HEAD(&r->spawn_free);
	for (unsigned int i = 0; i < PREMADE; i++) {
		struct rt_task *t = task_create(r);

		if (!t) {
			tasks_fini(r);
			return -ENOMEM;
		}
		list_add(&t->task.rt_node, &r->idle);
	}
	return 0;
}

/* ---- spawn ------------------------------------------------------------------------------------ */

static int task_start(struct reactor *r, unsigned int tasks_max, void (*fn)(void *arg), void *arg,
		      const char *name)
{
	struct rt_task *t;

	if (r->stats.tasks_nr >= tasks_max)
		return -EAGAIN;
	if (likely(!list_empty(&r->idle))) {
		t = list_first_entry(&r->idle, struct rt_task, task.rt_node);
		list_del(&t->task.rt_node);
	} else {
		t = task_create(r);
		if (!t)
			return -ENOMEM;
	}
	STAT_INC(r->stats.tasks_nr);
	if (r->stats.tasks_nr > r->stats.tasks_peak)
		WRITE_ONCE(r->stats.tasks_peak, r->stats.tasks_nr);
	task_assign(t, fn, arg, name);
	task_set_ready(r, t);
	return 0;
}

int rt_spawn(void (*fn)(void *arg), void *arg, const char *name)
{
	return task_start(rt_self, rt_core.cfg.tasks_max, fn, arg, name);
}

static void spawn_arrived(struct rt_msg *m)
{
	struct spawn_req *req = container_of(m, struct spawn_req, msg);
	struct reactor *r = rt_self;

	if (list_empty(&r->spawn_wait) && rt_spawn(req->fn, req->arg, req->name) == 0)
		list_add(&req->node, &r->spawn_free);
	else
		list_add_tail(&req->node, &r->spawn_wait);
}

int rt_spawn_on(unsigned int reactor, void (*fn)(void *arg), void *arg, const char *name)
{
	struct reactor *r = rt_self;
	struct spawn_req *req;

	blkfs_assert(reactor < rt_core.reactors_nr);
	if (reactor == r->id)
		return rt_spawn(fn, arg, name);
	if (!list_empty(&r->spawn_free)) {
		req = list_first_entry(&r->spawn_free, struct spawn_req, node);
		list_del(&req->node);
	} else {
		req = malloc(sizeof(*req));
		if (!req)
			return -ENOMEM;
	}
	req->msg.fn = spawn_arrived;
	req->fn = fn;
	req->arg = arg;
	req->name = name;
	rt_post(reactor, &req->msg);
	return 0;
}

static void main_entry(void *arg)
{
	rt_core.main_res = rt_core.main_fn(rt_core.main_arg);
	__atomic_store_n(&rt_core.is_main_done, 1, __ATOMIC_RELEASE);
}

int task_start_main(void)
{
	return task_start(rt_core.reactors[0], rt_core.cfg.tasks_max, main_entry, NULL, "main");
}

/* ---- work ------------------------------------------------------------------------------------- */

void rt_work_init(struct rt_work *w, void (*fn)(struct rt_work *w))
{
	INIT_LIST_HEAD(&w->node);
	w->fn = fn;
}

void rt_work_queue(struct rt_work *w)
{
	struct reactor *r = rt_self;

	if (!list_empty(&r->work_wait) ||
	    task_start(r, rt_core.cfg.tasks_max + WORK_RESERVE, work_entry, w, "work") != 0)
		list_add_tail(&w->node, &r->work_wait); /* a task that ends takes it */
}

/* ---- park and wake ---------------------------------------------------------------------------- */

void rt_park(const char *on)
{
	struct task *task = rt_this_task;
	struct rt_task *t = to_rt_task(task);
	unsigned int running = TASK_RUNNING;

	blkfs_assert(task != NULL);
	if (unlikely(task->plug != NULL) && rt_core.plug_hook)
		rt_core.plug_hook(task);
	WRITE_ONCE(task->rt_wait, (void *)(uintptr_t)on);
	WRITE_ONCE(t->since_ns, rt_this_now_ns);
	rt_sim_point();
	if (__atomic_compare_exchange_n(&task->rt_state, &running, TASK_PARKED, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		task_leave(rt_self, t);
	WRITE_ONCE(task->rt_wait, NULL);
	/* Wakes until here are seen by whoever loops over its condition now. */
	(void)__atomic_exchange_n(&task->rt_state, TASK_RUNNING, __ATOMIC_ACQ_REL);
}

static void wake_arrived(struct rt_msg *m)
{
	task_set_ready(rt_self, container_of(m, struct rt_task, wake_msg));
}

void rt_wake(struct task *task)
{
	struct rt_task *t = to_rt_task(task);

	blkfs_assert(rt_self != NULL);
	rt_sim_point();
	if (__atomic_exchange_n(&task->rt_state, TASK_WOKEN, __ATOMIC_ACQ_REL) != TASK_PARKED)
		return;
	if (task->reactor == rt_self->id) {
		task_set_ready(rt_self, t);
		return;
	}
	t->wake_msg.fn = wake_arrived;
	rt_core.be->post(rt_core.reactors[task->reactor], &t->wake_msg);
}

void rt_yield(void)
{
	struct rt_task *t = to_rt_task(rt_this_task);

	task_set_ready(rt_self, t);
	task_leave(rt_self, t);
}

struct sleeper {
	struct rt_timer timer;
	struct task *task;
	bool is_over;
};

static void sleep_over(struct rt_timer *timer)
{
	struct sleeper *s = container_of(timer, struct sleeper, timer);

	s->is_over = true;
	rt_wake(s->task);
}

void rt_sleep_ns(uint64_t ns)
{
	struct sleeper s = { .task = rt_this_task };

	rt_timer_init(&s.timer, sleep_over);
	rt_timer_arm(&s.timer, rt_now_fresh() + ns);
	while (!s.is_over)
		rt_park("sleep");
}

void rt_set_plug_hook(void (*fn)(struct task *task))
{
	rt_core.plug_hook = fn;
}

/* ---- dump ------------------------------------------------------------------------------------- */

unsigned int tasks_running_nr(void)
{
	unsigned int running_nr = 0;

	for (unsigned int i = 0; i < rt_core.reactors_nr; i++)
		running_nr += READ_ONCE(rt_core.reactors[i]->stats.tasks_nr);
	return running_nr;
}

static void task_dump(const struct rt_task *t, uint64_t now_ns)
{
	unsigned int state = __atomic_load_n(&t->task.rt_state, __ATOMIC_ACQUIRE);
	const char *on = READ_ONCE(t->task.rt_wait);
	uint64_t since_ns = READ_ONCE(t->since_ns);

	if (state == TASK_IDLE)
		return;
	log_info("task %u/%u %s: %s%s%s, %llu us", t->task.reactor, t->id, READ_ONCE(t->task.name),
		 state_names[state], on ? " on " : "", on ? on : "",
		 (unsigned long long)(now_ns > since_ns ? (now_ns - since_ns) / 1000 : 0));
}

void rt_tasks_dump(void)
{
	uint64_t now_ns = rt_now();

	for (unsigned int i = 0; i < rt_core.reactors_nr; i++) {
		const struct reactor *r = rt_core.reactors[i];
		unsigned int tasks_nr = __atomic_load_n(&r->tasks_nr, __ATOMIC_ACQUIRE);

		log_info("reactor %u: %u tasks, %u at most", i, READ_ONCE(r->stats.tasks_nr),
			 READ_ONCE(r->stats.tasks_peak));
		for (unsigned int n = 0; n < tasks_nr; n++)
			task_dump(r->tasks[n], now_ns);
	}
}
