/* SPDX-License-Identifier: MIT */
/*
 * mq.h - the steps of a request's way, for the files that walk it: submit, plug, mq, complete.
 *
 * What a reactor gathers in a turn lies in its struct blk_reactor: requests to issue (the plugs of
 * sleeping tasks, and bios submitted without a plug) and requests that are done.
 */
#ifndef BLK_MQ_H
#define BLK_MQ_H

#include <string.h>

#include "account.h"
#include "blk.h"
#include "elevator.h"
#include "merge.h"
#include "tags.h"

/* ---- what belongs to a reactor, over all queues ------------------------------------------------- */

struct blk_reactor {
	struct blk_plug turn; /* requests to issue at the end of the turn */
	struct rt_defer turn_defer;
	struct request *done, **done_tail; /* completed, to be ended */
	struct rt_defer done_defer;
	unsigned int issue_depth; /* inside the issuing of a batch: it drains the done list */
	bool is_draining;
	bool is_ready;
	struct bio_list rescue; /* bios of tasks that sleep for a pool, a tag or a thaw */
	struct rt_work rescue_work;
} __cacheline_aligned;

extern struct blk_reactor blk_reactors[RT_REACTORS_MAX];

static inline struct blk_reactor *blk_this_reactor(void)
{
	return &blk_reactors[rt_reactor_id()];
}

/* Readies the reactor's part and the runtime's plug hook; may be called any number of times. */
void blk_reactors_init(void);

/* ---- freeze.c ------------------------------------------------------------------------------------- */

void blk_freeze_wake(struct request_queue *q);
/* From now on whoever enters, or waits to, gets BLK_STS_OFFLINE. Task. */
void blk_queue_start_dying(struct request_queue *q);

/* One bio or request more, or less, that a freeze of @q waits for. */
static inline void blk_queue_usage_add(struct blk_mq_ctx *ctx, int64_t n)
{
	WRITE_ONCE(ctx->usage, ctx->usage + n);
}

static inline void blk_queue_exit(struct blk_mq_ctx *ctx)
{
	blk_queue_usage_add(ctx, -1);
	if (unlikely(READ_ONCE(ctx->queue->is_stalled)))
		blk_freeze_wake(ctx->queue);
}

/*
 * Enter @q on this reactor, to be left with blk_queue_exit(). A task may sleep until it thaws.
 * BLK_STS_AGAIN with REQ_NOWAIT, BLK_STS_OFFLINE when it is dying.
 */
blk_status_t blk_queue_enter_slow(struct request_queue *q, blk_opf_t opf);

static inline blk_status_t blk_queue_enter(struct request_queue *q, blk_opf_t opf)
{
	/* Pairs with update_stalled(): what was changed while it stood still is seen from here on. */
	if (unlikely(__atomic_load_n(&q->is_stalled, __ATOMIC_ACQUIRE)))
		return blk_queue_enter_slow(q, opf);
	blk_queue_usage_add(blk_mq_this_ctx(q), 1);
	return BLK_STS_OK;
}

/* ---- submit.c --------------------------------------------------------------------------------------- */

/* The bios that the task has not yet sent on go to a task that sleeps for nobody. */
void blk_bio_list_hand_over(void);
void blk_rescue_init(struct blk_reactor *br);

static inline void bio_setup(struct bio *bio, struct block_device *bdev, struct bio_vec *vecs,
			     unsigned int max_vecs, blk_opf_t opf)
{
	memset(bio, 0, offsetof(struct bio, bi_bdev));
	bio->bi_bdev = bdev;
	bio->bi_opf = opf;
	bio->bi_reactor = 0;
	bio->bi_max_vecs = (uint16_t)max_vecs;
	bio->bi_io_vec = vecs;
}

/* ---- plug.c ----------------------------------------------------------------------------------------- */

/* The newest request of @q in @plug, NULL: none. */
struct request *blk_plug_newest(const struct blk_plug *plug, const struct request_queue *q);
void blk_plug_flush(struct blk_plug *plug);
void blk_plug_free_cached(struct blk_plug *plug);
/* @rq joins what this reactor issues at the end of the turn. */
void blk_turn_add(struct request *rq);

static inline void blk_plug_init(struct blk_plug *plug, unsigned short nr_ios)
{
	*plug = (struct blk_plug){ .nr_ios = nr_ios };
}

static inline void blk_plug_append(struct blk_plug *plug, struct request *rq)
{
	rq->rq_next = NULL;
	if (!plug->mq_list) {
		plug->mq_list = rq;
	} else {
		if (plug->mq_tail->mq_hctx != rq->mq_hctx)
			plug->is_multiple_queues = true;
		plug->mq_tail->rq_next = rq;
	}
	plug->mq_tail = rq;
	plug->rq_count++;
	plug->has_elevator |= (rq->rq_flags & RQF_USE_SCHED) != 0;
}

/* ---- mq.c ------------------------------------------------------------------------------------------- */

/*
 * blk_mq_send_list - a batch in order (rq_next), of one hardware queue: to the driver at once where
 * nothing stands before it, else to the elevator or the software queue, which then runs.
 */
void blk_mq_send_list(struct request *list);

/* Frees a request whose bios have ended or never were; its tags, and its hold on the queue. */
void blk_mq_free_request_now(struct request *rq);

/* A request ended or a budget came back: run who waits for it. */
void blk_mq_restart(struct request_queue *q);

static inline void blk_mq_check_restart(struct request_queue *q)
{
	if (unlikely(__atomic_load_n(&q->restart, __ATOMIC_SEQ_CST)))
		blk_mq_restart(q);
}

/* Ask the reactors of @hctx to run their software queues of it. */
void blk_mq_run_hw_queue(struct blk_mq_hw_ctx *hctx);

/* Make @sw's part; free it. */
void blk_mq_sw_init(struct blk_mq_sw_queue *sw, struct blk_mq_ctx *ctx, struct blk_mq_hw_ctx *hctx);
void blk_mq_sw_fini(struct blk_mq_sw_queue *sw);

/* A request of @data->q for the operation, without bios. NULL: BLK_MQ_REQ_NOWAIT and no tag. */
struct request *blk_mq_get_request(struct blk_mq_alloc_data *data);
/* The same for a bio in @plug, which has no request taken ahead that fits: takes more ahead. */
struct request *blk_mq_get_in_plug(struct blk_mq_alloc_data *data, struct blk_plug *plug);

/* ---- complete.c --------------------------------------------------------------------------------------- */

/* @rq, whose status is set, is ended when the batch is over, or in the turn's next ready stage. */
static inline void blk_done_add(struct blk_reactor *br, struct request *rq)
{
	rq->rq_next = NULL;
	*br->done_tail = rq;
	br->done_tail = &rq->rq_next;
	if (unlikely(!br->issue_depth) && !br->is_draining)
		rt_defer_queue(&br->done_defer, RT_STAGE_READY);
}

void blk_done_drain(struct blk_reactor *br);

/* ---- requeue.c ---------------------------------------------------------------------------------------- */

void blk_mq_requeue_init(struct blk_mq_ctx *ctx);

/* ---- timeout.c ---------------------------------------------------------------------------------------- */

/* The one timer of a tag set (set->core). */
struct blk_timeouts {
	bool is_armed; /* [atomic] */
	unsigned int home;
	bool is_arm_posted; /* [atomic] */
	struct rt_msg arm_msg;
	uint64_t shortest_ns;	 /* [atomic] the shortest timeout that any request has */
	unsigned int scans_left; /* [home] reactors that have not answered */
	uint64_t next_ns;	 /* [home] the earliest deadline seen by them */
	struct blk_timeout_scan *scans;
	struct blk_mq_tag_set *set;
};

int __must_check blk_timeouts_create(struct blk_mq_tag_set *set);
void blk_timeouts_destroy(struct blk_mq_tag_set *set);
void blk_timeouts_arm(struct blk_timeouts *to);
/* Requests with so short a timeout will come. */
void blk_timeouts_shorten(struct blk_mq_tag_set *set, uint64_t timeout_ns);

#endif
