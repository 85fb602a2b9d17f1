/* SPDX-License-Identifier: MIT */
/*
 * complete.c - a request at its driver: started, completed, ended.
 *
 * C1. A completion only notes the status and queues the request on its submitter's reactor. The end
 *     comes from the done list: when the batch that is being issued is over, or in the next ready
 *     stage. So nothing recurses, neither into the driver nor into end_io.
 * C2. Statistics are written before the bios end: who waits for them may read them.
 * C3. Tags of one batch and one word go back together.
 * Locks: none; a done list belongs to its reactor.
 */
#include "mq.h"

/* ---- start ----------------------------------------------------------------------------------------- */

void blk_mq_start_request(struct request *rq)
{
	struct blk_timeouts *to = rq->q->tag_set->core;
	uint64_t now_ns = rt_now();

	trace(TRACE_D, rq, NULL);
	rq->io_start_time_ns = now_ns;
	rq->rq_flags |= RQF_STARTED;
	WRITE_ONCE(rq->deadline_ns,
		   now_ns + (unlikely(rq->timeout_ns) ? rq->timeout_ns : rq->q->timeout_ns));
	__atomic_store_n(&rq->state, MQ_RQ_IN_FLIGHT, __ATOMIC_RELEASE);
	if (unlikely(!READ_ONCE(to->is_armed)))
		blk_timeouts_arm(to);
}

/* ---- completion -------------------------------------------------------------------------------------- */

void blk_done_add(struct request *rq)
{
	struct blk_reactor *br = blk_this_reactor();

	rq->rq_next = NULL;
	if (br->done_head) {
		br->done_tail->rq_next = rq;
	} else {
		br->done_head = rq;
		if (!br->issue_depth && !br->is_draining)
			rt_defer_queue(&br->done_defer, RT_STAGE_READY);
	}
	br->done_tail = rq;
}

static void done_msg_fn(struct rt_msg *msg)
{
	blk_done_add(container_of(msg, struct request, msg));
}

static inline void note_completion(struct request *rq, blk_status_t status)
{
	blkfs_assert(rq->state == MQ_RQ_IN_FLIGHT);
	rq->status = status;
	__atomic_store_n(&rq->state, MQ_RQ_COMPLETE, __ATOMIC_RELEASE);
}

void blk_mq_complete_request(struct request *rq, blk_status_t status)
{
	note_completion(rq, status);
	if (likely(rq->reactor == rt_reactor_id())) {
		blk_done_add(rq);
		return;
	}
	rq->msg.fn = done_msg_fn;
	rt_post(rq->reactor, &rq->msg);
}

void blk_mq_complete_request_foreign(struct request *rq, blk_status_t status)
{
	note_completion(rq, status);
	rq->msg.fn = done_msg_fn;
	rt_post_foreign(rq->reactor, &rq->msg);
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* Tags of one word on their way back. */
struct tag_batch {
	struct blk_mq_hw_ctx *hctx;
	unsigned int base;
	unsigned long mask;
};

static void tag_batch_put(struct tag_batch *tb)
{
	if (!tb->mask)
		return;
	blk_mq_tags_put(tb->hctx->tags, tb->hctx, tb->base, tb->mask);
	tb->mask = 0;
	blk_mq_check_restart(tb->hctx->queue);
}

static inline void tag_batch_add(struct tag_batch *tb, struct request *rq)
{
	struct blk_mq_hw_ctx *hctx = rq->mq_hctx;
	unsigned int size = 1u << hctx->tags->word_shift;
	unsigned int bit = (unsigned int)rq->tag & (size - 1);
	unsigned int base = (unsigned int)rq->tag - bit;

	if (unlikely(tb->base != base || tb->hctx != hctx)) {
		tag_batch_put(tb);
		tb->base = base;
		tb->hctx = hctx;
	}
	tb->mask |= 1UL << bit;
}

static inline void end_bios(struct request *rq, blk_status_t status)
{
	struct bio *bio = rq->bio;

	rq->bio = rq->biotail = NULL;
	while (bio) {
		struct bio *next = bio->bi_next;

		bio->bi_next = NULL;
		if (unlikely(status))
			bio->bi_status = status;
		bio_endio(bio);
		bio = next;
	}
}

/* The elevator is told, on its home, and the request freed there. */
static void finish_at_home(struct request *rq)
{
	const struct elevator_mq_ops *ops = &rq->q->elevator->type->ops;

	if (ops->completed_request && (rq->rq_flags & RQF_STARTED))
		ops->completed_request(rq, rt_now());
	if (ops->finish_request)
		ops->finish_request(rq);
	blk_mq_free_request_now(rq);
}

static void finish_msg_fn(struct rt_msg *msg)
{
	finish_at_home(container_of(msg, struct request, msg));
}

static void __noinline finish_with_elevator(struct request *rq)
{
	struct elevator_queue *eq = rq->q->elevator;

	if (elevator_is_here(eq)) {
		finish_at_home(rq);
		return;
	}
	blk_mq_put_driver_tag(rq);
	blk_mq_check_restart(rq->q);
	rq->msg.fn = finish_msg_fn;
	rt_post(eq->home, &rq->msg);
}

static void __noinline put_budget(struct request *rq)
{
	rq->q->mq_ops->put_budget(rq->q, rq->budget_token);
	rq->budget_token = -1;
}

/* @tb NULL: the tag goes back at once. */
static inline void end_request(struct request *rq, blk_status_t status, struct tag_batch *tb)
{
	struct blk_mq_ctx *ctx;

	if (unlikely(rq->budget_token >= 0))
		put_budget(rq);
	if (unlikely(rq->end_io != NULL)) {
		blk_mq_check_restart(rq->q); /* the device has room, though no tag comes back */
		rq->status = status;
		rq->end_io(rq, status);
		return;
	}
	trace(TRACE_C, rq, NULL);
	blk_account_done(rq, rt_now());
	end_bios(rq, status);
	if (unlikely(rq->rq_flags & RQF_USE_SCHED)) {
		finish_with_elevator(rq);
		return;
	}
	if (unlikely(!tb || rq->internal_tag >= 0)) {
		blk_mq_free_request_now(rq);
		return;
	}
	ctx = rq->mq_ctx;
	rq->state = MQ_RQ_IDLE;
	tag_batch_add(tb, rq);
	blk_queue_exit(ctx);
}

void blk_mq_end_request(struct request *rq, blk_status_t status)
{
	blkfs_debug_assert(rq->reactor == rt_reactor_id());
	end_request(rq, status, NULL);
}

void blk_done_drain(struct blk_reactor *br)
{
	struct tag_batch tb = { 0 };
	struct request *rq;

	if (br->is_draining)
		return;
	br->is_draining = true;
	while ((rq = br->done_head)) {
		br->done_head = NULL;
		while (rq) {
			struct request *next = rq->rq_next;

			__builtin_prefetch(next);
			if (rq->state == MQ_RQ_COMPLETE && rq->q->mq_ops->complete)
				rq->q->mq_ops->complete(rq);
			else
				end_request(rq, rq->status, &tb);
			rq = next;
		}
		tag_batch_put(&tb);
	}
	br->is_draining = false;
}
