/* SPDX-License-Identifier: MIT */
/* Tasks on the ring back end: spawn, park, wake, yield, work, on one reactor and between two. */
#include <errno.h>
#include <string.h>

#include "tests/lib/test.h"

#include "blkfs/rt.h"

static int run(unsigned int reactors_nr, int (*fn)(void *arg), void *arg)
{
	struct rt_config cfg = { .reactors_nr = reactors_nr, .spin_us = 20, .tasks_max = 64 };
	int res;

	cr_assert_eq(rt_init(&cfg), 0);
	res = rt_run(fn, arg);
	rt_fini();
	return res;
}

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
	cr_assert_eq(rt_spawn(three_steps, "a", "a"), 0);
	cr_assert_eq(rt_spawn(three_steps, "b", "b"), 0);
	cr_assert_eq(order.len, 0, "a spawn never runs the task inside");
	order_wait();
	return 7;
}

Test(task, take_turns_when_they_yield)
{
	cr_assert_eq(run(1, yield_main, NULL), 7);
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
	cr_assert_eq(run(1, early_wake_main, NULL), 0);
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
	cr_assert_eq(rt_spawn_on(*(unsigned int *)arg, pong_fn, &p, "pong"), 0);
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
	cr_assert_eq(run(1, ping_main, &(unsigned int){ 0 }), 0);
}

Test(task, wake_one_another_between_two_reactors)
{
	cr_assert_eq(run(2, ping_main, &(unsigned int){ 1 }), 0);
}
