/* SPDX-License-Identifier: MIT */
/* Tasks on the ring back end: spawn, park, wake, yield, work, on one reactor and between two. */
#include <errno.h>
#include <string.h>

#include "tests/blk/rt/rt_test.h"

/* ---- order ------------------------------------------------------------------------------------ */

struct order {
	char text[64];
	size_t len;
	unsigned int running_nr;
	struct task *waiter;
};

static struct order order;

static void order_add(char c)
{
	order.text[order.len++] = c;
}

static void order_end(void)
{
	if (--order.running_nr == 0)
		rt_wake(order.waiter);
}

static void order_wait(void)
{
	while (order.running_nr > 0)
		rt_park("others");
}

static void three_steps(void *arg)
{
	for (int i = 0; i < 3; i++) {
		order_add(*(char *)arg);
		rt_yield();
	}
	order_end();
}

static int yield_main(void *arg)
{
	order = (struct order){ .running_nr = 2, .waiter = rt_current() };
	cr_expect_eq(rt_spawn(three_steps, "a", "a"), 0);
	cr_expect_eq(rt_spawn(three_steps, "b", "b"), 0);
	cr_expect_eq(order.len, 0, "a spawn never runs the task inside");
	order_wait();
	return 7;
}

Test(task, take_turns_when_they_yield)
{
	cr_assert_eq(rt_test_run(1, yield_main, NULL), 7);
	cr_assert_str_eq(order.text, "ababab");
}

/* ---- park and wake ---------------------------------------------------------------------------- */

static int early_wake_main(void *arg)
{
	rt_wake(rt_current());
	rt_wake(rt_current());
	rt_park("nothing"); /* returns: a wake came first */
	return 0;
}

Test(task, a_wake_that_came_first_is_remembered)
{
	cr_assert_eq(rt_test_run(1, early_wake_main, NULL), 0);
}

struct pong {
	struct task *ping;
	struct task *pong; /* [atomic] */
	unsigned int turn; /* [atomic] */
};

enum { ROUNDS = 2000 };

static void pass_to(struct pong *p, unsigned int turn, struct task *task)
{
	__atomic_store_n(&p->turn, turn, __ATOMIC_RELEASE);
	rt_wake(task);
}

static void pong_fn(void *arg)
{
	struct pong *p = arg;

	__atomic_store_n(&p->pong, rt_current(), __ATOMIC_RELEASE);
	rt_wake(p->ping);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		while (__atomic_load_n(&p->turn, __ATOMIC_ACQUIRE) != 2 * i + 1)
			rt_park("ping");
		pass_to(p, 2 * i + 2, p->ping);
	}
}

static int ping_main(void *arg)
{
	static struct pong p;

	p = (struct pong){ .ping = rt_current() };
	cr_expect_eq(rt_spawn_on(*(unsigned int *)arg, pong_fn, &p, "pong"), 0);
	while (!__atomic_load_n(&p.pong, __ATOMIC_ACQUIRE))
		rt_park("pong");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		pass_to(&p, 2 * i + 1, p.pong);
		while (__atomic_load_n(&p.turn, __ATOMIC_ACQUIRE) != 2 * i + 2)
			rt_park("pong");
	}
	rt_sleep_ns(1000000); /* pong ends */
	return 0;
}

Test(task, wake_one_another_on_one_reactor)
{
	cr_assert_eq(rt_test_run(1, ping_main, &(unsigned int){ 0 }), 0);
}

Test(task, wake_one_another_between_two_reactors)
{
	cr_assert_eq(rt_test_run(2, ping_main, &(unsigned int){ 1 }), 0);
}

/* ---- the pool --------------------------------------------------------------------------------- */

static struct task *sleeper;
static unsigned int asleep_nr;
static bool is_time_up;

static void sleep_until_told(void *arg)
{
	asleep_nr++;
	while (!is_time_up)
		rt_yield();
	if (--asleep_nr == 0)
		rt_wake(sleeper);
}

static void work_count(struct rt_work *w)
{
	rt_yield(); /* it has a task */
	asleep_nr += 1000;
}

static void do_nothing(void *arg)
{
}

static int full_pool_main(void *arg)
{
	struct rt_work work;
	unsigned int spawned_nr = 0;
	int err;

	sleeper = rt_current();
	asleep_nr = 0;
	is_time_up = false;
	while ((err = rt_spawn(sleep_until_told, NULL, "sleeper")) == 0)
		spawned_nr++;
	cr_expect_eq(err, -EAGAIN);
	cr_expect_eq(spawned_nr, RT_TEST_TASKS_MAX - 1);
	rt_work_init(&work, work_count);
	rt_work_queue(&work);
	while (asleep_nr < spawned_nr + 1000)
		rt_yield();
	asleep_nr -= 1000;
	is_time_up = true;
	while (asleep_nr > 0)
		rt_park("sleepers");
	cr_expect_eq(rt_spawn(do_nothing, NULL, "again"), 0, "the pool has room again");
	rt_yield();
	return 0;
}

Test(task, a_full_pool_refuses_a_spawn_but_work_still_runs)
{
	cr_assert_eq(rt_test_run(1, full_pool_main, NULL), 0);
}

static unsigned int arrived_nr; /* [atomic] */

static void arrive(void *arg)
{
	__atomic_fetch_add(&arrived_nr, 1, __ATOMIC_RELAXED);
	if (*(int *)arg)
		rt_sleep_ns(1000);
}

/* More than tasks_max: those that find no task over there wait for one. */
static int spawn_on_main(void *arg)
{
	static int is_slow = 1;
	const unsigned int spawn_nr = 3 * RT_TEST_TASKS_MAX;

	arrived_nr = 0;
	for (unsigned int i = 0; i < spawn_nr; i++)
		cr_expect_eq(rt_spawn_on(1, arrive, &is_slow, "arrive"), 0);
	while (__atomic_load_n(&arrived_nr, __ATOMIC_RELAXED) < spawn_nr)
		rt_sleep_ns(10000);
	rt_sleep_ns(2000000);
	return 0;
}

Test(task, spawned_on_a_full_reactor_waits_there)
{
	cr_assert_eq(rt_test_run(2, spawn_on_main, NULL), 0);
}

/* ---- plug hook -------------------------------------------------------------------------------- */

static unsigned int unplugged_nr;

static void unplug(struct task *task)
{
	unplugged_nr++;
	task->plug = NULL;
}

static int plug_main(void *arg)
{
	rt_set_plug_hook(unplug);
	unplugged_nr = 0;
	rt_sleep_ns(1000);
	cr_expect_eq(unplugged_nr, 0, "no plug, no call");
	rt_current()->plug = (struct blk_plug *)&unplugged_nr;
	rt_yield();
	cr_expect_eq(unplugged_nr, 0, "a yield is no sleep");
	rt_sleep_ns(1000);
	cr_expect_eq(unplugged_nr, 1);
	return 0;
}

Test(task, with_a_plug_calls_the_hook_before_it_sleeps)
{
	cr_assert_eq(rt_test_run(1, plug_main, NULL), 0);
}
