/* SPDX-License-Identifier: MIT */
/* Timers, defers, pollers, messages, calls and the door, on the ring back end. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/blk/rt/rt_test.h"

/* ---- timers ----------------------------------------------------------------------------------- */

enum { TIMERS_NR = 300 };

static struct rt_timer timers[TIMERS_NR];
static unsigned int fired_nr;
static uint64_t fired_last_ns;
static bool is_late_order, is_early;

static void timer_fired(struct rt_timer *t)
{
	is_late_order |= t->expires_ns < fired_last_ns;
	is_early |= rt_now() < t->expires_ns;
	fired_last_ns = t->expires_ns;
	fired_nr++;
}

static int timers_main(void *arg)
{
	uint64_t begin_ns = rt_now_fresh();
	unsigned int cancelled_nr = 0;

	for (unsigned int i = 0; i < TIMERS_NR; i++) {
		rt_timer_init(&timers[i], timer_fired);
		rt_timer_arm(&timers[i], begin_ns + 1000000 + i * 7919 % 1000 * 1000);
	}
	for (unsigned int i = 0; i < TIMERS_NR; i += 3)
		cancelled_nr += rt_timer_cancel(&timers[i]);
	for (unsigned int i = 1; i < TIMERS_NR; i += 3)
		rt_timer_arm(&timers[i], begin_ns + 1000000 + i * 104729 % 1000 * 1000);
	cr_expect_eq(cancelled_nr, TIMERS_NR / 3);
	rt_sleep_ns(4000000);
	cr_expect_eq(fired_nr, TIMERS_NR - cancelled_nr);
	cr_expect_not(is_late_order);
	cr_expect_not(is_early);
	cr_expect_not(rt_timer_cancel(&timers[1]), "it has fired");
	cr_expect_not(rt_timer_is_armed(&timers[1]));
	return 0;
}

Test(reactor, timers_fire_in_order_not_early_and_cancelled_ones_never)
{
	cr_assert_eq(rt_test_run(1, timers_main, NULL), 0);
}

/* ---- defers and pollers ----------------------------------------------------------------------- */

static char trail[32];
static size_t trail_len;

static void trail_add(char c)
{
	trail[trail_len++] = c;
}

static void defer_ready(struct rt_defer *d)
{
	trail_add('r');
}

static void defer_issue(struct rt_defer *d)
{
	trail_add('i');
}

static bool poll_once(struct rt_poller *p)
{
	trail_add('p');
	rt_poller_del(p);
	return true;
}

static int defers_main(void *arg)
{
	struct rt_defer ready, issue, never;
	struct rt_poller poller = { .poll = poll_once };

	rt_defer_init(&ready, defer_ready);
	rt_defer_init(&issue, defer_issue);
	rt_defer_init(&never, defer_ready);
	rt_poller_add(&poller);
	rt_defer_queue(&issue, RT_STAGE_ISSUE);
	rt_defer_queue(&ready, RT_STAGE_READY);
	rt_defer_queue(&ready, RT_STAGE_READY);
	rt_defer_queue(&never, RT_STAGE_READY);
	cr_expect(rt_defer_cancel(&never));
	cr_expect_not(rt_defer_cancel(&never));
	rt_sleep_ns(100000);
	cr_expect_str_eq(trail, "rip");
	return 0;
}

Test(reactor, a_turn_runs_ready_then_issue_then_pollers)
{
	cr_assert_eq(rt_test_run(1, defers_main, NULL), 0);
}

/* ---- messages --------------------------------------------------------------------------------- */

enum { MSGS_NR = 5000 };

struct numbered_msg {
	struct rt_msg msg;
	unsigned int number;
};

static struct numbered_msg msgs[MSGS_NR];
static unsigned int next_number; /* on the target */
static unsigned int disorder_nr;
static unsigned int is_all_there; /* [atomic] */

static void numbered_arrived(struct rt_msg *m)
{
	struct numbered_msg *n = container_of(m, struct numbered_msg, msg);

	disorder_nr += n->number != next_number++;
	if (next_number == MSGS_NR)
		__atomic_store_n(&is_all_there, 1, __ATOMIC_RELEASE);
}

static int msgs_main(void *arg)
{
	unsigned int target = *(unsigned int *)arg;

	next_number = disorder_nr = is_all_there = 0;
	for (unsigned int i = 0; i < MSGS_NR; i++) {
		msgs[i] = (struct numbered_msg){ .msg.fn = numbered_arrived, .number = i };
		rt_post(target, &msgs[i].msg);
		if (i % 100 == 0)
			rt_sleep_ns(10000); /* the target falls asleep now and then */
	}
	while (!__atomic_load_n(&is_all_there, __ATOMIC_ACQUIRE))
		rt_sleep_ns(10000);
	cr_expect_eq(disorder_nr, 0);
	return 0;
}

Test(reactor, messages_keep_their_order)
{
	cr_assert_eq(rt_test_run(2, msgs_main, &(unsigned int){ 1 }), 0);
	cr_assert_eq(rt_test_run(1, msgs_main, &(unsigned int){ 0 }), 0);
}

/* ---- foreign threads -------------------------------------------------------------------------- */

static void *knock(void *arg)
{
	for (unsigned int i = 0; i < MSGS_NR; i++) {
		msgs[i] = (struct numbered_msg){ .msg.fn = numbered_arrived, .number = i };
		rt_post_foreign(1, &msgs[i].msg);
	}
	return NULL;
}

static int door_main(void *arg)
{
	pthread_t thread;

	next_number = disorder_nr = is_all_there = 0;
	cr_expect_eq(pthread_create(&thread, NULL, knock, NULL), 0);
	while (!__atomic_load_n(&is_all_there, __ATOMIC_ACQUIRE))
		rt_sleep_ns(100000);
	pthread_join(thread, NULL);
	cr_expect_eq(disorder_nr, 0);
	return 0;
}

Test(reactor, foreign_threads_come_in_by_the_door)
{
	cr_assert_eq(rt_test_run(2, door_main, NULL), 0);
}

static void note_reactor(void *arg)
{
	*(unsigned int *)arg = rt_reactor_id();
}

static int call_main(void *arg)
{
	unsigned int where = RT_NO_REACTOR;

	for (unsigned int i = 0; i < 200; i++) {
		cr_expect_eq(rt_call_on(i % 2, note_reactor, &where), 0);
		cr_expect_eq(where, i % 2);
	}
	return 0;
}

Test(reactor, a_task_calls_on_any_reactor)
{
	cr_assert_eq(rt_test_run(2, call_main, NULL), 0);
}

struct thread_call_test {
	unsigned int where;
	int res;
	unsigned int is_done; /* [atomic] */
};

static void *call_thread(void *arg)
{
	struct thread_call_test *t = arg;

	t->res = rt_call_on(1, note_reactor, &t->where);
	__atomic_store_n(&t->is_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void thread_call(struct thread_call_test *t)
{
	pthread_t thread;

	*t = (struct thread_call_test){ .where = RT_NO_REACTOR };
	cr_expect_eq(pthread_create(&thread, NULL, call_thread, t), 0);
	while (!__atomic_load_n(&t->is_done, __ATOMIC_ACQUIRE))
		rt_sleep_ns(1000000);
	pthread_join(thread, NULL);
}

static int thread_call_main(void *arg)
{
	struct thread_call_test t;

	thread_call(&t);
	cr_expect_eq(t.res, 0);
	cr_expect_eq(t.where, 1);
	return 0;
}

Test(reactor, a_thread_calls_on_a_reactor)
{
	cr_assert_eq(rt_test_run(2, thread_call_main, NULL), 0);
}

/* A reactor that is stuck in one task until told. */
static unsigned int is_stuck, is_freed; /* [atomic] */

static void stuck(void *arg)
{
	__atomic_store_n(&is_stuck, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&is_freed, __ATOMIC_ACQUIRE))
		;
}

static int timeout_main(void *arg)
{
	struct thread_call_test t;

	is_stuck = is_freed = 0;
	cr_expect_eq(rt_spawn_on(1, stuck, NULL, "stuck"), 0);
	while (!__atomic_load_n(&is_stuck, __ATOMIC_ACQUIRE))
		rt_sleep_ns(100000);
	thread_call(&t);
	cr_expect_eq(t.res, -ETIMEDOUT);
	__atomic_store_n(&is_freed, 1, __ATOMIC_RELEASE);
	cr_expect_eq(rt_call_on(1, note_reactor, &(unsigned int){ 0 }), 0);
	cr_expect_eq(t.where, RT_NO_REACTOR, "a call that was given up never runs");
	return 0;
}

Test(reactor, a_thread_gives_up_a_reactor_that_does_not_answer)
{
	cr_assert_eq(rt_test_run(2, timeout_main, NULL), 0);
}

/* ---- offload ---------------------------------------------------------------------------------- */

static int square(void *arg)
{
	cr_expect_eq(rt_reactor_id(), RT_NO_REACTOR);
	return *(int *)arg * *(int *)arg;
}

struct offload_test {
	struct rt_offload o;
	unsigned int *done_nr;
	struct task *waiter;
};

static int offload_fn(struct rt_offload *o)
{
	return 42;
}

static void offload_done(struct rt_offload *o)
{
	struct offload_test *t = container_of(o, struct offload_test, o);

	cr_expect_eq(o->res, 42);
	cr_expect_eq(rt_reactor_id(), 0);
	++*t->done_nr;
	rt_wake(t->waiter);
}

static int offload_main(void *arg)
{
	struct offload_test tests[20];
	unsigned int done_nr = 0;

	for (int i = 0; i < 50; i++)
		cr_expect_eq(rt_offload(square, &i), i * i);
	for (unsigned int i = 0; i < 20; i++) {
		tests[i].o = (struct rt_offload){ .fn = offload_fn, .done = offload_done };
		tests[i].done_nr = &done_nr;
		tests[i].waiter = rt_current();
		rt_offload_start(&tests[i].o);
	}
	while (done_nr < 20)
		rt_park("offloads");
	return 0;
}

Test(reactor, what_blocks_runs_in_a_thread_and_comes_home)
{
	cr_assert_eq(rt_test_run(1, offload_main, NULL), 0);
}

/* ---- life ------------------------------------------------------------------------------------- */

static int answer_main(void *arg)
{
	uint64_t a = rt_random();
	uint64_t b = rt_random();

	cr_expect_neq(a, b);
	cr_expect_neq(rt_realtime(), 0);
	cr_expect_eq(rt_reactor_of_cpu(rt_reactor_cpu(0)), 0);
	cr_expect_lt(rt_reactor_of_cpu(4000), rt_reactor_nr());
	return 5;
}

Test(reactor, the_runtime_can_be_made_again)
{
	struct rt_config cfg = { .tasks_max = RT_TEST_TASKS_MAX };

	for (int i = 0; i < 3; i++)
		cr_assert_eq(rt_test_run_cfg(&cfg, answer_main, NULL), 5);
	cr_assert_eq(rt_init(&cfg), 0);
	cr_assert_eq(rt_init(&cfg), -EBUSY);
	cr_assert_eq(rt_run(answer_main, NULL), 5);
	cr_assert_eq(rt_run(answer_main, NULL), 5);
	rt_fini();
	rt_fini();
}

Test(reactor, a_configuration_out_of_range_is_refused)
{
	struct rt_config too_many = { .reactors_nr = RT_REACTORS_MAX + 1 };
	struct rt_config small_stack = { .task_stack_bytes = 100 };

	cr_assert_eq(rt_init(&too_many), -EINVAL);
	cr_assert_eq(rt_init(&small_stack), -EINVAL);
}

static int no_main(void *arg)
{
	char *p = rt_dma_alloc(5 << 20);
	char *small = rt_dma_alloc(100);

	cr_expect_not_null(p);
	cr_expect_eq((uintptr_t)p % (2 << 20), 0);
	cr_expect_eq((uintptr_t)small % 4096, 0);
	p[0] = p[(5 << 20) - 1] = 1;
	rt_dma_free(p, 5 << 20);
	rt_dma_free(small, 100);
	rt_dma_free(NULL, 100);
	cr_expect_null(rt_dma_alloc(0));
	cr_expect_null(rt_dma_alloc(SIZE_MAX - 100));
	return 0;
}

Test(reactor, device_memory_is_aligned_for_huge_pages)
{
	cr_assert_eq(no_main(NULL), 0);
}
