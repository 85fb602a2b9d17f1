/* SPDX-License-Identifier: MIT */
/*
 * completion.c - completions and wait queues.
 *
 * A completion is a serial of kind TOKEN, a wait queue one of kind EVENT: serial.c promises that
 * complete() does not touch what its waiter may free, and that a timeout and a complete() agree on
 * one outcome. Rule of the wait queue: a wake that reaches a sleeper whose condition had come true
 * without it is passed on, since somebody behind may be the one it was meant for.
 */
#include <errno.h>

#include "blk/rt/serial.h"

/* A sleeper with a deadline. */
struct timed_waiter {
	struct rt_waiter waiter;
	struct rt_timer timer;
	bool is_late;
};

void completion_init(struct completion *c)
{
	serial_init(&c->serial);
}

void completion_wait(struct completion *c)
{
	struct rt_waiter w;

	if (serial_try(&c->serial, SERIAL_TOKEN, false))
		return;
	serial_waiter_init(&w);
	serial_enter(&c->serial, SERIAL_TOKEN, &w);
	serial_wait(&w, "completion");
}

static void deadline_passed(struct rt_timer *timer)
{
	struct timed_waiter *tw = container_of(timer, struct timed_waiter, timer);

	tw->is_late = true;
	rt_wake(tw->waiter.task);
}

int completion_wait_until(struct completion *c, uint64_t deadline_ns)
{
	struct timed_waiter tw = { .is_late = false };
	enum serial_verdict verdict;

	if (serial_try(&c->serial, SERIAL_TOKEN, false))
		return 0;
	serial_waiter_init(&tw.waiter);
	rt_timer_init(&tw.timer, deadline_passed);
	rt_timer_arm(&tw.timer, deadline_ns);
	serial_enter(&c->serial, SERIAL_TOKEN, &tw.waiter);
	while (serial_is_pending(&tw.waiter) && !tw.is_late)
		rt_park("completion with deadline");
	if (serial_is_pending(&tw.waiter))
		serial_leave(&c->serial, SERIAL_TOKEN, &tw.waiter);
	verdict = serial_wait(&tw.waiter, "completion past its deadline");
	rt_timer_cancel(&tw.timer);
	return verdict == SERIAL_ADMITTED ? 0 : -ETIMEDOUT;
}

void complete(struct completion *c)
{
	serial_put(&c->serial, SERIAL_TOKEN, 1);
}

void complete_all(struct completion *c)
{
	serial_put(&c->serial, SERIAL_TOKEN, SERIAL_TOP);
}

/* ---- wait queue ---------------------------------------------------------------------------------- */

void rt_waitqueue_init(struct rt_waitqueue *wq)
{
	serial_init(&wq->serial);
}

void rt_wait_event(struct rt_waitqueue *wq, bool (*cond)(void *arg), void *arg, const char *on)
{
	uint64_t ticket = 0;

	while (!cond(arg)) {
		struct rt_waiter w;

		serial_waiter_init(&w);
		w.ticket = ticket;
		serial_enter(&wq->serial, SERIAL_EVENT, &w);
		if (cond(arg)) {
			serial_leave(&wq->serial, SERIAL_EVENT, &w);
			if (serial_wait(&w, on) == SERIAL_ADMITTED)
				rt_waitqueue_wake_one(wq);
			return;
		}
		serial_wait(&w, on);
		ticket = w.ticket;
	}
}

void rt_waitqueue_wake_one(struct rt_waitqueue *wq)
{
	if (rt_waitqueue_active(wq))
		serial_put(&wq->serial, SERIAL_EVENT, 1);
}

void rt_waitqueue_wake_all(struct rt_waitqueue *wq)
{
	if (rt_waitqueue_active(wq))
		serial_put(&wq->serial, SERIAL_EVENT, SERIAL_TOP);
}
