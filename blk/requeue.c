/* SPDX-License-Identifier: MIT */
/*
 * requeue.c - back to the head: requests that a driver gives back for another try.
 *
 * R1. A request goes to the requeue list of its submitter's reactor, at the head: of several, the
 *     one given back last is sent first, all before what was never sent.
 * R2. The list moves to the dispatch list when it is kicked, at once or after a delay.
 * Locks: none; a requeue list belongs to its reactor.
 */
#include "mq.h"

static void move_to_dispatch(struct blk_mq_ctx *ctx)
{
	/* Backwards, each to the head: the list's order is kept. */
	while (!list_empty(&ctx->requeue_list)) {
		struct request *rq = list_last_entry(&ctx->requeue_list, struct request, queuelist);

		list_del_init(&rq->queuelist);
		blk_mq_insert_bypass(rq, true);
	}
}

static void kick_msg_fn(struct rt_msg *msg)
{
	struct blk_mq_ctx *ctx = container_of(msg, struct blk_mq_ctx, requeue_msg);
	uint64_t delay_ns;

	__atomic_store_n(&ctx->is_requeue_posted, false, __ATOMIC_SEQ_CST);
	delay_ns = __atomic_exchange_n(&ctx->requeue_delay_ns, 0, __ATOMIC_SEQ_CST);
	if (delay_ns)
		rt_timer_arm(&ctx->requeue_timer, rt_now() + delay_ns);
	else
		move_to_dispatch(ctx);
}

static void timer_fn(struct rt_timer *t)
{
	move_to_dispatch(container_of(t, struct blk_mq_ctx, requeue_timer));
}

static void kick(struct blk_mq_ctx *ctx)
{
	if (!__atomic_exchange_n(&ctx->is_requeue_posted, true, __ATOMIC_SEQ_CST))
		rt_post(ctx->reactor, &ctx->requeue_msg);
}

void blk_mq_kick_requeue_list(struct request_queue *q)
{
	blk_mq_delay_kick_requeue_list(q, 0);
}

void blk_mq_delay_kick_requeue_list(struct request_queue *q, uint64_t delay_ns)
{
	for (unsigned int r = 0; r < q->nr_reactors; r++) {
		__atomic_store_n(&q->ctxs[r].requeue_delay_ns, delay_ns, __ATOMIC_SEQ_CST);
		kick(&q->ctxs[r]);
	}
}

/* The kick is made where the request arrives: one that was on its way already may be ahead of it. */
static void requeue_here(struct request *rq)
{
	bool must_kick = rq->rq_flags & RQF_REQUEUE_KICK;

	rq->rq_flags &= ~(uint32_t)RQF_REQUEUE_KICK;
	list_add(&rq->queuelist, &rq->mq_ctx->requeue_list);
	if (must_kick)
		kick(rq->mq_ctx);
}

static void requeue_msg_fn(struct rt_msg *msg)
{
	requeue_here(container_of(msg, struct request, msg));
}

static void requeue_at_home_fn(struct rt_msg *msg)
{
	struct request *rq = container_of(msg, struct request, msg);

	rq->q->elevator->type->ops.requeue_request(rq);
	rq->msg.fn = requeue_msg_fn;
	rt_post(rq->reactor, &rq->msg);
}

void blk_mq_requeue_request(struct request *rq, bool kick_now)
{
	struct elevator_queue *eq = rq->q->elevator;
	unsigned int via = rq->reactor;

	trace(TRACE_R, rq, NULL);
	if (rq->budget_token >= 0) {
		rq->q->mq_ops->put_budget(rq->q, rq->budget_token);
		rq->budget_token = -1;
	}
	rq->rq_flags &= ~(uint32_t)(RQF_STARTED | RQF_TIMED_OUT);
	if (kick_now)
		rq->rq_flags |= RQF_REQUEUE_KICK;
	__atomic_store_n(&rq->state, MQ_RQ_IDLE, __ATOMIC_RELEASE);
	blk_mq_put_driver_tag(rq);
	blk_mq_check_restart(rq->q);
	rq->msg.fn = requeue_msg_fn;
	if ((rq->rq_flags & RQF_USE_SCHED) && eq->type->ops.requeue_request) {
		rq->msg.fn = requeue_at_home_fn;
		via = eq->type->flags & ELEVATOR_F_HOME ? eq->home : rq->reactor;
	}
	if (via == rt_reactor_id())
		rq->msg.fn(&rq->msg);
	else
		rt_post(via, &rq->msg);
}

void blk_mq_requeue_init(struct blk_mq_ctx *ctx)
{
	INIT_LIST_HEAD(&ctx->requeue_list);
	ctx->requeue_msg.fn = kick_msg_fn;
	rt_timer_init(&ctx->requeue_timer, timer_fn);
}
