/* SPDX-License-Identifier: MIT */
/*
 * timeout.c - requests that a driver keeps too long: one timer a tag set, the driver's verdict.
 *
 * X1. is_armed is cleared before the reactors look: a request that starts later arms again by
 *     itself, one that started earlier is seen by the reactor that started it.
 * X2. Every reactor looks at all requests for the earliest deadline, but gives the driver only its
 *     own that are past it: those end on it, so they cannot go away meanwhile.
 * X3. A verdict is asked for once a deadline; BLK_EH_RESET_TIMER gives another.
 * Locks: none; the timer and what the reactors answered belong to the home reactor.
 */
#include "mq.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

enum { TIMEOUT_SLACK_NS = 1000000 };

/* A reactor's look at the requests of the set. */
struct blk_timeout_scan {
	struct rt_msg msg;
	struct blk_timeouts *to;
	unsigned int reactor;
	uint64_t next_ns; /* the earliest deadline that it saw */
};

static struct log_ratelimit timeout_log = LOG_RATELIMIT_INIT;

static void reset_deadline(struct request *rq)
{
	uint64_t timeout_ns = rq->timeout_ns ? rq->timeout_ns : rq->q->timeout_ns;

	WRITE_ONCE(rq->deadline_ns, rt_now() + timeout_ns);
}

static void ask_driver(struct request *rq)
{
	const struct blk_mq_ops *ops = rq->q->mq_ops;

	if (rq->rq_flags & RQF_TIMED_OUT)
		return; /* in the driver's hands already */
	if (log_ratelimit_ok(&timeout_log))
		log_warn("%s: %s of %u bytes at sector %llu, tag %d, has not completed for %llu ms",
			 rq->q->disk->disk_name, blk_op_name(rq->cmd_flags), blk_rq_bytes(rq),
			 (unsigned long long)blk_rq_pos(rq), rq->tag,
			 (unsigned long long)((rt_now() - rq->io_start_time_ns) / 1000000));
	if (ops->timeout) {
		uint32_t generation = rq->generation;

		rq->rq_flags |= RQF_TIMED_OUT;
		if (ops->timeout(rq) == BLK_EH_DONE)
			return;
		if (rq->generation != generation || READ_ONCE(rq->state) != MQ_RQ_IN_FLIGHT)
			return; /* it completed while the driver thought */
		rq->rq_flags &= ~(uint32_t)RQF_TIMED_OUT;
	}
	reset_deadline(rq);
}

static bool look_at(struct request *rq, void *arg)
{
	struct blk_timeout_scan *scan = arg;

	if (READ_ONCE(rq->deadline_ns) <= rt_now() && READ_ONCE(rq->reactor) == scan->reactor)
		ask_driver(rq);
	if (READ_ONCE(rq->state) == MQ_RQ_IN_FLIGHT)
		scan->next_ns = min(scan->next_ns,
				    max(READ_ONCE(rq->deadline_ns), rt_now() + TIMEOUT_SLACK_NS));
	return true;
}

static void arm_at(struct blk_timeouts *to, uint64_t expires_ns)
{
	if (!rt_timer_is_armed(&to->set->timer) || to->set->timer.expires_ns > expires_ns)
		rt_timer_arm(&to->set->timer, expires_ns);
}

static void answer_fn(struct rt_msg *msg)
{
	struct blk_timeout_scan *scan = container_of(msg, struct blk_timeout_scan, msg);
	struct blk_timeouts *to = scan->to;

	to->next_ns = min(to->next_ns, scan->next_ns);
	if (--to->scans_left || to->next_ns == UINT64_MAX)
		return;
	__atomic_store_n(&to->is_armed, true, __ATOMIC_SEQ_CST);
	arm_at(to, to->next_ns);
}

static void scan_fn(struct rt_msg *msg)
{
	struct blk_timeout_scan *scan = container_of(msg, struct blk_timeout_scan, msg);

	scan->next_ns = UINT64_MAX;
	blk_mq_tagset_busy_iter(scan->to->set, look_at, scan);
	scan->msg.fn = answer_fn;
	rt_post(scan->to->home, &scan->msg);
}

static void timer_fn(struct rt_timer *t)
{
	struct blk_mq_tag_set *set = container_of(t, struct blk_mq_tag_set, timer);
	struct blk_timeouts *to = set->core;

	if (to->scans_left) { /* a reactor is slow to answer */
		rt_timer_arm(t, rt_now() + TIMEOUT_SLACK_NS);
		return;
	}
	__atomic_store_n(&to->is_armed, false, __ATOMIC_SEQ_CST);
	to->scans_left = rt_reactor_nr();
	to->next_ns = UINT64_MAX;
	for (unsigned int r = 0; r < rt_reactor_nr(); r++) {
		to->scans[r].msg.fn = scan_fn;
		rt_post(r, &to->scans[r].msg);
	}
}

static void arm_msg_fn(struct rt_msg *msg)
{
	struct blk_timeouts *to = container_of(msg, struct blk_timeouts, arm_msg);

	__atomic_store_n(&to->is_arm_posted, false, __ATOMIC_SEQ_CST);
	arm_at(to, rt_now() + __atomic_load_n(&to->shortest_ns, __ATOMIC_SEQ_CST));
}

void blk_timeouts_arm(struct blk_timeouts *to)
{
	__atomic_store_n(&to->is_armed, true, __ATOMIC_SEQ_CST);
	if (!__atomic_exchange_n(&to->is_arm_posted, true, __ATOMIC_SEQ_CST))
		rt_post(to->home, &to->arm_msg);
}

void blk_timeouts_shorten(struct blk_mq_tag_set *set, uint64_t timeout_ns)
{
	struct blk_timeouts *to = set->core;

	if (timeout_ns >= __atomic_load_n(&to->shortest_ns, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&to->shortest_ns, timeout_ns, __ATOMIC_SEQ_CST);
	blk_timeouts_arm(to);
}

int blk_timeouts_create(struct blk_mq_tag_set *set)
{
	struct blk_timeouts *to = calloc(1, sizeof(*to));

	if (!to)
		return -ENOMEM;
	to->scans = calloc(rt_reactor_nr(), sizeof(*to->scans));
	if (!to->scans) {
		free(to);
		return -ENOMEM;
	}
	for (unsigned int r = 0; r < rt_reactor_nr(); r++) {
		to->scans[r].to = to;
		to->scans[r].reactor = r;
	}
	to->set = set;
	to->home = rt_reactor_id();
	to->shortest_ns = set->timeout_ns;
	to->arm_msg.fn = arm_msg_fn;
	rt_timer_init(&set->timer, timer_fn);
	set->core = to;
	return 0;
}

static void cancel_fn(void *arg)
{
	struct blk_timeouts *to = arg;

	rt_timer_cancel(&to->set->timer);
}

void blk_timeouts_destroy(struct blk_mq_tag_set *set)
{
	struct blk_timeouts *to = set->core;

	if (!to)
		return;
	/* No request is left, so nothing arms any more; what is on its way answers home. */
	do {
		while (rt_call_on(to->home, cancel_fn, to))
			;
	} while (__atomic_load_n(&to->is_arm_posted, __ATOMIC_SEQ_CST) ||
		 __atomic_load_n(&to->scans_left, __ATOMIC_SEQ_CST));
	while (rt_call_on(to->home, cancel_fn, to))
		;
	free(to->scans);
	free(to);
	set->core = NULL;
}
