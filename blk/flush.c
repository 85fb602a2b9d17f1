/* SPDX-License-Identifier: MIT */
/*
 * The flush machinery: PREFLUSH and FUA as a sequence of steps, and one flush for all who wait.
 *
 * Rules F1-F6 are below. Read it from the bottom: blk_insert_flush() begins a sequence.
 * Locks: none. pending and running belong to the home reactor; requests are posted there to wait and
 * posted back to go on. data_nr and waiting_nr are written and then read crosswise (seq_cst): of a
 * data step that ends and a waiter that arrives at least one sees the other and kicks.
 */
#include "flush.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#include "account.h"
#include "blk.h"

/*
 * F1. A request takes the steps that blk_flush_policy() names, in the order PRE, DATA, POST, one at
 *     a time; without a volatile cache there is only DATA, with FUA in the device there is no POST.
 * F2. A hardware queue has one flush in flight at most. Who arrives while it is, waits for the next:
 *     a flush covers only writes that were completed before it was issued.
 * F3. All who wait when a flush is issued share it. It is held back while data steps are in flight,
 *     since their POST could share it too, but not once the oldest has waited PENDING_MAX_NS.
 * F4. An error of a flush ends every request that waited for it with this status, and its later
 *     steps are not taken; an error of a data step ends that request alone.
 * F5. A data step does not begin before its PRE, nor end the request before its POST, came back.
 * F6. Steps and flushes are sent past the elevator, and may be refused, requeued, timed out like any
 *     request. The flush request is preallocated. Its tag is that of the first waiter, who has no
 *     command out; under an elevator, where waiters hold scheduler tags only, it takes its own.
 */
#define PENDING_MAX_NS (5 * 1000000000ULL)

struct blk_flush_queue {
	struct blk_mq_hw_ctx *hctx;
	unsigned int home;	   /* a reactor of hctx; 0 for one that nobody uses */
	struct request *flush_rq;  /* out when is_running */
	struct request *lender;	   /* [home] whose tag it has; NULL: its own */
	bool is_running;	   /* [home] */
	struct list_head pending;  /* [home] flush_node; wait for the next flush */
	struct list_head running;  /* [home] wait for the one that is out */
	uint64_t pending_since_ns; /* [home] the oldest of pending */
	unsigned int waiting_nr;   /* [atomic] length of pending */
	unsigned int data_nr;	   /* [atomic] data steps in flight */
	struct rt_msg kick_msg;
	bool is_kick_posted; /* [atomic] */
};

/* ---- the decision ----------------------------------------------------------------------------- */

unsigned int blk_flush_policy(struct flush_caps caps, blk_opf_t opf, bool has_data)
{
	unsigned int steps = has_data ? FLUSH_DATA : 0;

	if (!caps.has_cache)
		return steps;
	if (opf & REQ_PREFLUSH)
		steps |= FLUSH_PRE;
	if ((opf & REQ_FUA) && has_data && !caps.has_fua)
		steps |= FLUSH_POST;
	return steps;
}

blk_opf_t blk_flush_data_opf(struct flush_caps caps, blk_opf_t opf)
{
	opf &= ~REQ_PREFLUSH;
	if (!caps.has_cache || !caps.has_fua)
		opf &= ~REQ_FUA;
	return opf | REQ_SYNC;
}

/* ---- the flush itself, on the home reactor ---------------------------------------------------- */

static void flush_check(const struct blk_flush_queue *fq)
{
	blkfs_assert(rt_reactor_id() == fq->home);
	blkfs_debug_assert(fq->is_running == !list_empty(&fq->running));
	blkfs_debug_assert(list_count_nodes(&fq->pending) == READ_ONCE(fq->waiting_nr));
}

/* Who has tag @rq->tag: timeouts and drivers look commands up by it. */
static void own_tag(struct blk_mq_hw_ctx *hctx, struct request *rq)
{
	__atomic_store_n(&hctx->tags->rqs[rq->tag], rq, __ATOMIC_RELEASE);
}

/* It is not in flight on its own: who waits for it is. */
static void account_flush(const struct request *rq)
{
	struct bdev_stats_cell *cell = bdev_this_cell(&rq->q->disk->part0);
	uint64_t took_ns = rt_now() - rq->start_time_ns;

	if (queue_flag_test(rq->q, QUEUE_FLAG_NO_IO_STAT))
		return;
	stat_add(&cell->ios[STAT_FLUSH], 1);
	stat_add(&cell->nsecs[STAT_FLUSH], took_ns);
	histogram_record(&cell->latency[STAT_FLUSH], took_ns);
}

static void flush_end(struct request *flush_rq, blk_status_t status);

/* @first is one of those who wait for it. */
static void prepare_flush_rq(struct blk_flush_queue *fq, struct request *first)
{
	struct request *rq = fq->flush_rq;

	rq->cmd_flags = REQ_OP_FLUSH | REQ_PREFLUSH | (first->cmd_flags & REQ_POLLED);
	rq->rq_flags = RQF_FLUSH_SEQ;
	WRITE_ONCE(rq->state, MQ_RQ_IDLE); /* who walks the tags looks at it */
	rq->status = BLK_STS_OK;
	rq->generation++;
	rq->ioprio = first->ioprio;
	rq->start_time_ns = rt_now();
	rq->timeout_ns = 0;
	rq->budget_token = -1;
	rq->end_io = flush_end;
	rq->end_io_data = fq;
	fq->lender = first->internal_tag < 0 ? first : NULL;
	if (fq->lender) {
		rq->tag = first->tag;
		own_tag(fq->hctx, rq);
	} else {
		rq->tag = -1;
		rq->rq_flags |= RQF_SCHED_TAGS;
	}
}

static void issue_flush(struct blk_flush_queue *fq)
{
	prepare_flush_rq(fq, list_first_entry(&fq->pending, struct request, flush_node));
	fq->is_running = true;
	list_splice_tail_init(&fq->pending, &fq->running);
	__atomic_store_n(&fq->waiting_nr, 0, __ATOMIC_SEQ_CST);
	blk_mq_insert_bypass(fq->flush_rq, false);
}

/* Rules F2 and F3. */
static bool may_issue(const struct blk_flush_queue *fq)
{
	if (fq->is_running || list_empty(&fq->pending))
		return false;
	return !__atomic_load_n(&fq->data_nr, __ATOMIC_SEQ_CST) ||
	       rt_now() >= fq->pending_since_ns + PENDING_MAX_NS;
}

static void kick_here(struct blk_flush_queue *fq)
{
	flush_check(fq);
	if (may_issue(fq))
		issue_flush(fq);
}

static void kick_msg_fn(struct rt_msg *msg)
{
	struct blk_flush_queue *fq = container_of(msg, struct blk_flush_queue, kick_msg);

	__atomic_store_n(&fq->is_kick_posted, false, __ATOMIC_SEQ_CST);
	kick_here(fq);
}

/* A data step ended: who was held back because of it may go on. Any reactor. */
static void kick(struct blk_flush_queue *fq)
{
	if (!__atomic_load_n(&fq->waiting_nr, __ATOMIC_SEQ_CST))
		return;
	if (rt_reactor_id() == fq->home)
		kick_here(fq);
	else if (!__atomic_exchange_n(&fq->is_kick_posted, true, __ATOMIC_SEQ_CST))
		rt_post(fq->home, &fq->kick_msg);
}

/* ---- the steps of a request ------------------------------------------------------------------- */

static struct blk_flush_queue *fq_of(const struct request *rq)
{
	return rq->mq_hctx->fq;
}

/* On @rq's reactor. */
static void end_sequence(struct request *rq)
{
	rq->rq_flags &= ~RQF_FLUSH_SEQ;
	rq->end_io = rq->saved_end_io;
	blk_mq_end_request(rq, rq->status);
}

static void join_here(struct request *rq)
{
	struct blk_flush_queue *fq = fq_of(rq);

	if (list_empty(&fq->pending))
		fq->pending_since_ns = rt_now();
	list_add_tail(&rq->flush_node, &fq->pending);
	__atomic_fetch_add(&fq->waiting_nr, 1, __ATOMIC_SEQ_CST);
	kick_here(fq);
}

static void join_msg_fn(struct rt_msg *msg)
{
	join_here(container_of(msg, struct request, msg));
}

/* @rq's next step is a flush: it waits for one at the home reactor. */
static void wait_for_flush(struct request *rq)
{
	struct blk_flush_queue *fq = fq_of(rq);

	if (rt_reactor_id() == fq->home) {
		join_here(rq);
		return;
	}
	rq->msg.fn = join_msg_fn;
	rt_post(fq->home, &rq->msg);
}

/* The data step is counted before it is on its way, wherever that was decided. */
static void count_data_step(struct request *rq)
{
	__atomic_fetch_add(&fq_of(rq)->data_nr, 1, __ATOMIC_SEQ_CST);
}

/* On @rq's reactor, its flush step behind it: data or the end. */
static void go_on(struct request *rq)
{
	if (rq->flush_seq & FLUSH_DATA)
		blk_mq_insert_bypass(rq, false);
	else
		end_sequence(rq);
}

static void go_on_msg_fn(struct rt_msg *msg)
{
	go_on(container_of(msg, struct request, msg));
}

/* The flush that @rq waited for came back (home reactor). */
static void flush_step_done(struct request *rq, blk_status_t status)
{
	rq->flush_seq &= rq->flush_seq & FLUSH_PRE ? ~FLUSH_PRE : ~FLUSH_POST;
	if (unlikely(status)) {
		rq->status = status;
		rq->flush_seq = 0;
	}
	if (rq->flush_seq & FLUSH_DATA)
		count_data_step(rq);
	if (rt_reactor_id() == rq->reactor) {
		go_on(rq);
		return;
	}
	rq->msg.fn = go_on_msg_fn;
	rt_post(rq->reactor, &rq->msg);
}

/* end_io of a data step, on @rq's reactor. */
static void flush_data_end(struct request *rq, blk_status_t status)
{
	struct blk_flush_queue *fq = fq_of(rq);

	rq->flush_seq &= ~FLUSH_DATA;
	rq->status = status;
	if (status)
		rq->flush_seq = 0;
	__atomic_fetch_sub(&fq->data_nr, 1, __ATOMIC_SEQ_CST);
	if (rq->flush_seq) {
		blk_mq_put_driver_tag(rq);
		wait_for_flush(rq);
		return;
	}
	kick(fq);
	end_sequence(rq);
}

/* end_io of the flush request (home reactor). */
static void flush_end(struct request *flush_rq, blk_status_t status)
{
	struct blk_flush_queue *fq = flush_rq->end_io_data;
	LIST_HEAD(done);

	flush_check(fq);
	account_flush(flush_rq);
	if (fq->lender)
		own_tag(fq->hctx, fq->lender);
	else
		blk_mq_put_driver_tag(flush_rq);
	flush_rq->tag = -1;
	fq->lender = NULL;
	fq->is_running = false;
	list_splice_tail_init(&fq->running, &done);
	while (!list_empty(&done)) {
		struct request *rq = list_first_entry(&done, struct request, flush_node);

		list_del(&rq->flush_node);
		flush_step_done(rq, status);
	}
	kick_here(fq);
}

bool blk_insert_flush(struct request *rq)
{
	const struct flush_caps caps = { rq->q->has_write_cache, rq->q->has_fua };
	unsigned int steps = blk_flush_policy(caps, rq->cmd_flags, blk_rq_bytes(rq) != 0);

	rq->cmd_flags = blk_flush_data_opf(caps, rq->cmd_flags);
	if (steps == FLUSH_DATA)
		return false;
	if (!steps) {
		blk_mq_end_request(rq, BLK_STS_OK);
		return true;
	}
	rq->flush_seq = steps;
	rq->saved_end_io = rq->end_io;
	rq->end_io = flush_data_end;
	rq->rq_flags |= RQF_FLUSH_SEQ;
	rq->status = BLK_STS_OK;
	if (steps & FLUSH_PRE) {
		wait_for_flush(rq);
	} else {
		count_data_step(rq);
		blk_mq_insert_bypass(rq, false);
	}
	return true;
}

/* ---- making and freeing ----------------------------------------------------------------------- */

static int alloc_flush_rq(struct blk_flush_queue *fq)
{
	struct blk_mq_hw_ctx *hctx = fq->hctx;
	struct request_queue *q = hctx->queue;
	struct blk_mq_tag_set *set = q->tag_set;
	size_t size = round_up(sizeof(struct request) + set->cmd_size, BLKFS_CACHELINE);
	struct request *rq = aligned_alloc(BLKFS_CACHELINE, size);
	int err = 0;

	if (!rq)
		return -ENOMEM;
	memset(rq, 0, size);
	rq->q = q;
	rq->mq_hctx = hctx;
	rq->mq_ctx = &q->ctxs[fq->home];
	rq->reactor = (uint16_t)fq->home;
	rq->tag = rq->internal_tag = -1;
	INIT_LIST_HEAD(&rq->queuelist);
	if (set->ops->init_request)
		err = set->ops->init_request(set, rq, hctx->queue_num);
	if (err) {
		free(rq);
		return err;
	}
	fq->flush_rq = rq;
	return 0;
}

int blk_alloc_flush_queue(struct blk_mq_hw_ctx *hctx)
{
	struct blk_flush_queue *fq = calloc(1, sizeof(*fq));
	int err;

	if (!fq)
		return -ENOMEM;
	fq->hctx = hctx;
	fq->home = hctx->reactors ? (unsigned int)__builtin_ctzll(hctx->reactors) : 0;
	fq->kick_msg.fn = kick_msg_fn;
	INIT_LIST_HEAD(&fq->pending);
	INIT_LIST_HEAD(&fq->running);
	err = alloc_flush_rq(fq);
	if (err) {
		free(fq);
		return err;
	}
	hctx->fq = fq;
	return 0;
}

static void nothing(void *arg)
{
}

/* The last waiter may have ended before the handler that ended it, or a posted kick, is over. */
static void settle(struct blk_flush_queue *fq)
{
	while (__atomic_load_n(&fq->is_kick_posted, __ATOMIC_SEQ_CST))
		rt_sleep_ns(1000);
	while (rt_call_on(fq->home, nothing, NULL))
		log_warn(
			"reactor %u does not answer while the flush queue of hctx %u is freed; waiting",
			fq->home, fq->hctx->queue_num);
}

void blk_free_flush_queue(struct blk_mq_hw_ctx *hctx)
{
	struct blk_flush_queue *fq = hctx->fq;
	struct blk_mq_tag_set *set = hctx->queue->tag_set;

	if (!fq)
		return;
	settle(fq);
	blkfs_assert(!fq->is_running && list_empty(&fq->pending));
	if (set->ops->exit_request)
		set->ops->exit_request(set, fq->flush_rq, hctx->queue_num);
	free(fq->flush_rq);
	free(fq);
	hctx->fq = NULL;
}
