/* SPDX-License-Identifier: MIT */
/*
 * complete.c - a request at its driver: started, completed, ended.
 *
 * C1. A completion only notes the status and queues the request on its submitter's reactor. The end
 *     comes from the done list: when the batch that is being issued is over, or in the next ready
 *     stage. So nothing recurses, neither into the driver nor into end_io.
 * C2. Statistics are written before a task that waits for the bios can run.
 * C3. What a batch gives back - tags of one word, counts of one kind - goes back together.
 * Locks: none; a done list belongs to its reactor.
 */
#include "mq.h"

/* ---- start ----------------------------------------------------------------------------------------- */

static void __noinline start_slow(struct request *rq)
{
	trace(TRACE_D, rq, NULL);
	if (rq->timeout_ns)
		WRITE_ONCE(rq->deadline_ns, rq->io_start_time_ns + rq->timeout_ns);
	if (!READ_ONCE(rq->q->timeouts->is_armed))
		blk_timeouts_arm(rq->q->timeouts);
}

void blk_mq_start_request(struct request *rq)
{
	struct request_queue *q = rq->q;
	uint64_t now_ns = rt_this_now_ns;

	rq->io_start_time_ns = now_ns;
	rq->rq_flags |= RQF_STARTED;
	WRITE_ONCE(rq->deadline_ns, now_ns + q->timeout_ns);
	__atomic_store_n(&rq->state, MQ_RQ_IN_FLIGHT, __ATOMIC_RELEASE);
	if (unlikely(trace_hook || rq->timeout_ns || !READ_ONCE(q->timeouts->is_armed)))
		start_slow(rq);
}

/* ---- completion -------------------------------------------------------------------------------------- */

static void done_msg_fn(struct rt_msg *msg)
{
	blk_done_add(blk_this_reactor(), container_of(msg, struct request, msg));
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
		blk_done_add(blk_this_reactor(), rq);
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
	if (rq->budget_token < 0)
		return;
	rq->q->mq_ops->put_budget(rq->q, rq->budget_token);
	rq->budget_token = -1;
}

void blk_mq_end_request(struct request *rq, blk_status_t status)
{
	blkfs_debug_assert(rq->reactor == rt_reactor_id());
	put_budget(rq);
	if (unlikely(rq->end_io != NULL)) {
		blk_mq_check_restart(rq->q); /* the device has room, though no tag comes back */
		rq->status = status;
		rq->end_io(rq, status);
		return;
	}
	trace(TRACE_C, rq, NULL);
	if (rq->rq_flags & RQF_IO_STAT)
		blk_account_done(rq, rt_now());
	end_bios(rq, status);
	if (unlikely(rq->rq_flags & RQF_USE_SCHED))
		finish_with_elevator(rq);
	else
		blk_mq_free_request_now(rq);
}

/* ---- batches of plain requests -------------------------------------------------------------------------- */

/* What a batch gives back, once for all of its requests of one kind. */
struct end_batch {
	struct blk_mq_hw_ctx *hctx;
	void (*complete)(struct request *rq); /* the driver's, NULL: none */
	bool has_budget;
	unsigned int in_word; /* mask of a tag's place in its word */
	unsigned int tag_base;
	unsigned long tag_mask;
	unsigned int ended_nr; /* holds on the queue */
	struct account_batch account;
};

static void end_batch_flush(struct end_batch *eb)
{
	struct blk_mq_ctx *ctx;

	if (!eb->ended_nr)
		return;
	account_batch_flush(&eb->account);
	ctx = blk_mq_this_ctx(eb->hctx->queue);
	if (eb->tag_mask)
		blk_mq_tags_put(eb->hctx->tags, eb->hctx, eb->tag_base, eb->tag_mask);
	blk_mq_check_restart(eb->hctx->queue);
	blk_queue_usage_add(ctx, -(int64_t)eb->ended_nr);
	eb->tag_mask = 0;
	eb->ended_nr = 0;
	if (unlikely(READ_ONCE(ctx->queue->is_stalled)))
		blk_freeze_wake(ctx->queue);
}

/* @rq is not of the batch's hardware queue or word of tags: what was gathered goes back first. */
static void __noinline end_batch_turn(struct end_batch *eb, struct request *rq)
{
	const struct blk_mq_tags *tags = rq->mq_hctx->tags;

	if (eb->hctx != rq->mq_hctx) {
		end_batch_flush(eb);
		eb->hctx = rq->mq_hctx;
		eb->in_word = (1u << tags->word_shift) - 1;
		eb->complete = rq->q->mq_ops->complete;
		eb->has_budget = rq->q->mq_ops->put_budget;
	} else if (eb->tag_mask) {
		blk_mq_tags_put(eb->hctx->tags, eb->hctx, eb->tag_base, eb->tag_mask);
	}
	eb->tag_mask = 0;
	eb->tag_base = (unsigned int)rq->tag & ~eb->in_word;
}

/* No elevator, no end_io: what blk_mq_end_request() does, but at the batch's end. */
static inline void end_plain(struct request *rq, struct end_batch *eb)
{
	if (unlikely(eb->has_budget))
		put_budget(rq);
	trace(TRACE_C, rq, NULL);
	if (likely(rq->rq_flags & RQF_IO_STAT))
		account_batch_add(&eb->account, rq);
	end_bios(rq, rq->status);
	WRITE_ONCE(rq->state, MQ_RQ_IDLE); /* who walks the tags looks at it */
	eb->tag_mask |= 1UL << ((unsigned int)rq->tag - eb->tag_base);
	eb->ended_nr++;
}

static inline bool is_plain(const struct request *rq)
{
	return !(rq->rq_flags & (RQF_USE_SCHED | RQF_SCHED_TAGS)) && !rq->end_io;
}

/* One of the done list. What queue_rq refused with an error never was the driver's to complete. */
static inline void end_one(struct request *rq, struct end_batch *eb)
{
	if (unlikely(eb->hctx != rq->mq_hctx ||
		     ((unsigned int)rq->tag & ~eb->in_word) != eb->tag_base))
		end_batch_turn(eb, rq);
	if (unlikely(eb->complete != NULL) && rq->state == MQ_RQ_COMPLETE)
		eb->complete(rq);
	else if (likely(is_plain(rq)))
		end_plain(rq, eb);
	else
		blk_mq_end_request(rq, rq->status);
}

void blk_done_drain(struct blk_reactor *br)
{
	struct end_batch eb = { .account.now_ns = rt_now() };

	if (br->is_draining)
		return;
	br->is_draining = true;
	while (br->done) {
		struct request *rq = br->done, *next;

		br->done = NULL;
		br->done_tail = &br->done;
		for (; rq; rq = next) {
			next = rq->rq_next;
			end_one(rq, &eb);
		}
		end_batch_flush(&eb);
	}
	br->is_draining = false;
}
