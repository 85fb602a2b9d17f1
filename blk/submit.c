/* SPDX-License-Identifier: MIT */
/*
 * submit.c - the front door: is this bio fit to be sent, and to which kind of device does it go?
 *
 * S1. Every bio that comes in ends exactly once, whatever is wrong with it.
 * S2. What a stacked device submits inside its submit_bio waits on the task's bio list and is sent
 *     when that returned, lower devices first: no recursion, at any depth of stacking.
 * S3. Before the task sleeps for a bio, a tag or a thaw, its bio list goes to a rescue task: what it
 *     waits for may depend on those bios.
 * Locks: none.
 */
#include <errno.h>

#include "base/log.h"

#include "mq.h"
#include "split.h"

static struct log_ratelimit refusal_log = LOG_RATELIMIT_INIT;

static void log_refusal(const struct bio *bio, const char *why)
{
	if (bio->bi_flags & BIO_QUIET || !log_ratelimit_ok(&refusal_log))
		return;
	log_err("%s: %s of %u bytes at sector %llu refused: %s", bdev_name(bio->bi_bdev),
		blk_op_name(bio->bi_opf), bio->bi_iter.bi_size,
		(unsigned long long)bio->bi_iter.bi_sector, why);
}

void blk_refuse_misaligned(const struct bio *bio, const char *limit)
{
	struct strbuf sb;
	char why[96];

	strbuf_init(&sb, why, sizeof(why));
	strbuf_printf(&sb, "it cannot be cut to the device's %s", limit);
	log_refusal(bio, why);
}

/* ---- checks ----------------------------------------------------------------------------------------- */

/* What the operation needs that the device may not have. */
static blk_status_t check_op(const struct bio *bio, const struct queue_limits *lim)
{
	switch (op_of(bio->bi_opf)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		return BLK_STS_OK;
	case REQ_OP_DISCARD:
		return lim->max_discard_sectors ? BLK_STS_OK : BLK_STS_NOTSUPP;
	case REQ_OP_SECURE_ERASE:
		return lim->max_secure_erase_sectors ? BLK_STS_OK : BLK_STS_NOTSUPP;
	case REQ_OP_WRITE_ZEROES:
		return lim->max_write_zeroes_sectors ? BLK_STS_OK : BLK_STS_NOTSUPP;
	case REQ_OP_ZONE_APPEND:
		return lim->max_zone_append_sectors ? BLK_STS_OK : BLK_STS_NOTSUPP;
	case REQ_OP_ZONE_OPEN:
	case REQ_OP_ZONE_CLOSE:
	case REQ_OP_ZONE_FINISH:
	case REQ_OP_ZONE_RESET:
	case REQ_OP_ZONE_RESET_ALL:
		return lim->features & BLK_FEAT_ZONED ? BLK_STS_OK : BLK_STS_NOTSUPP;
	case REQ_OP_FLUSH: /* made by flush.c only: an empty write with REQ_PREFLUSH asks for it */
	default:
		return BLK_STS_NOTSUPP;
	}
}

static blk_status_t check_range(const struct bio *bio, const struct queue_limits *lim)
{
	const struct block_device *bdev = bio->bi_bdev;
	sector_t end = READ_ONCE(bdev->bd_nr_sectors);
	sector_t nr = bio_sectors(bio);

	if (nr && (nr > end || bio->bi_iter.bi_sector > end - nr)) {
		log_refusal(bio, "it reaches beyond the end of the device");
		return BLK_STS_IOERR;
	}
	if ((bio->bi_iter.bi_size | sectors_to_bytes(bio->bi_iter.bi_sector)) &
	    (lim->logical_block_size - 1)) {
		log_refusal(bio, "it is not a multiple of the device's logical_block_size");
		return BLK_STS_INVAL;
	}
	return BLK_STS_OK;
}

static blk_status_t check(const struct bio *bio, const struct queue_limits *lim)
{
	blk_status_t status = check_op(bio, lim);

	if (status)
		return status;
	if (op_is_write(bio->bi_opf) && bio_sectors(bio) && READ_ONCE(bio->bi_bdev->bd_read_only)) {
		log_refusal(bio, "the device is read-only");
		return BLK_STS_IOERR;
	}
	if (!bio_sectors(bio) && !(bio->bi_opf & REQ_PREFLUSH) && op_has_data(bio->bi_opf)) {
		log_refusal(bio, "it has no data");
		return BLK_STS_INVAL;
	}
	if (!(bio->bi_flags & BIO_REMAPPED))
		return check_range(bio, lim);
	return BLK_STS_OK;
}

/* Flags that change nothing about the way to the device. */
static const blk_opf_t plain_flags = REQ_SYNC | REQ_META | REQ_PRIO | REQ_IDLE | REQ_RAHEAD |
				     REQ_BACKGROUND | REQ_NOWAIT;

/* Plain reads and writes of a whole disk, inside it and on its blocks: nothing to look closer at. */
static inline bool is_plain(const struct bio *bio, const struct request_queue *q)
{
	const struct block_device *bdev = bio->bi_bdev;
	sector_t end = READ_ONCE(bdev->bd_nr_sectors);
	sector_t nr = bio_sectors(bio);

	return (bio->bi_opf & ~plain_flags) <= REQ_OP_WRITE && !bdev->bd_partno && nr - 1 < end &&
	       bio->bi_iter.bi_sector <= end - nr &&
	       !((bio->bi_iter.bi_size | (uint32_t)sectors_to_bytes(bio->bi_iter.bi_sector)) &
		 (q->limits.logical_block_size - 1)) &&
	       !(op_is_write(bio->bi_opf) && READ_ONCE(bdev->bd_read_only));
}

static void remap_partition(struct bio *bio)
{
	if (!bio->bi_bdev->bd_partno || (bio->bi_flags & BIO_REMAPPED))
		return;
	bio->bi_iter.bi_sector += bio->bi_bdev->bd_start_sect;
	bio->bi_flags |= BIO_REMAPPED;
}

/*
 * What is not plain: check it, shape it for the device. false: it ends with *@status. The queue is
 * held, so that its limits stand still.
 */
static bool __noinline prepare(struct bio *bio, const struct request_queue *q, blk_status_t *status)
{
	*status = check(bio, &q->limits);
	if (*status)
		return false;
	remap_partition(bio);
	if (!(q->limits.features & BLK_FEAT_POLL))
		bio->bi_opf &= ~(blk_opf_t)REQ_POLLED;
	/* Stacked devices pass flushes down, where it is known whether there is a cache. */
	if (q->mq_ops && op_is_flush(bio->bi_opf) && !READ_ONCE(q->has_write_cache)) {
		bio->bi_opf &= ~(blk_opf_t)(REQ_PREFLUSH | REQ_FUA);
		if (!bio_sectors(bio))
			return false;
	}
	return true;
}

/* ---- to a device with requests --------------------------------------------------------------------------------------------- */

/* Into what waits in the software queue or the elevator. */
static bool __noinline merge_into_queue(struct request_queue *q, struct blk_mq_sw_queue *sw,
					struct bio *bio, unsigned int nr_segs)
{
	struct elevator_queue *eq = q->elevator;
	unsigned int tries = BLK_MQ_SCHED_MERGE_DEPTH;
	struct request *rq;

	if (eq)
		return elevator_is_here(eq) && eq->type->ops.bio_merge &&
		       eq->type->ops.bio_merge(q, bio, nr_segs);
	list_for_each_entry_reverse(rq, &sw->rq_list, queuelist) {
		if (!tries--)
			return false;
		if (bio_attempt_merge(rq, bio, nr_segs) != ELEVATOR_NO_MERGE)
			return true;
	}
	return false;
}

static inline bool lie_together(const struct request *rq, const struct bio *bio)
{
	return blk_rq_pos(rq) + blk_rq_sectors(rq) == bio->bi_iter.bi_sector ||
	       bio_end_sector(bio) == blk_rq_pos(rq);
}

static inline bool merge_bio(struct request_queue *q, struct blk_mq_sw_queue *sw,
			     const struct blk_plug *plug, struct bio *bio, unsigned int nr_segs)
{
	struct request *newest = plug->mq_tail;

	if (unlikely(!op_is_mergeable(bio->bi_opf) || queue_flag_test(q, QUEUE_FLAG_NOMERGES)))
		return false;
	if (unlikely(plug->is_multiple_queues))
		newest = blk_plug_newest(plug, q);
	if (newest && newest->q == q && (lie_together(newest, bio) || op_is_discard(bio->bi_opf)) &&
	    bio_attempt_merge(newest, bio, nr_segs) != ELEVATOR_NO_MERGE)
		return true;
	if (likely(list_empty(&sw->rq_list) && !q->elevator) ||
	    queue_flag_test(q, QUEUE_FLAG_NOXMERGES))
		return false;
	return merge_into_queue(q, sw, bio, nr_segs);
}

static inline void rq_of_bio(struct request *rq, struct bio *bio, unsigned int nr_segs)
{
	rq->cmd_flags = bio->bi_opf;
	rq->bio = rq->biotail = bio;
	rq->sector = bio->bi_iter.bi_sector;
	rq->data_len = bio->bi_iter.bi_size;
	rq->nr_phys_segments = (uint16_t)nr_segs;
	rq->nr_discard_segments = 0;
	rq->ioprio = bio->bi_ioprio;
	rq->write_hint = bio->bi_write_hint;
	rq->part = bio->bi_bdev;
}

static void __noinline refuse_bio(struct request_queue *q, struct bio *bio, blk_status_t status)
{
	blk_queue_exit(blk_mq_this_ctx(q));
	bio_end_status(bio, status);
}

/* A request from the tags; may sleep. NULL: @bio has ended, for it may not wait. */
static struct request *__noinline get_request_for(struct request_queue *q, struct blk_mq_ctx *ctx,
						  struct blk_mq_sw_queue *sw, struct bio *bio,
						  struct blk_plug *plug)
{
	struct blk_mq_alloc_data data = {
		.q = q,
		.cmd_flags = bio->bi_opf,
		.ctx = ctx,
		.sw = sw,
		.flags = bio->bi_opf & REQ_NOWAIT ? BLK_MQ_REQ_NOWAIT : 0,
	};
	struct request *rq = plug ? blk_mq_get_in_plug(&data, plug) : blk_mq_get_request(&data);

	if (!rq)
		refuse_bio(q, bio, BLK_STS_AGAIN);
	return rq;
}

static void __noinline send_special(struct request *rq)
{
	if (!op_is_flush(rq->cmd_flags) || !blk_insert_flush(rq))
		blk_turn_add(rq);
}

/* One bio that the device can take as it is. */
static void send_bio(struct request_queue *q, struct bio *bio, unsigned int nr_segs)
{
	struct blk_mq_ctx *ctx = blk_mq_this_ctx(q);
	struct blk_mq_sw_queue *sw = ctx->sw_of[blk_mq_hctx_type(bio->bi_opf)];
	struct blk_plug *plug = rt_current()->plug;
	struct request *rq;

	if (merge_bio(q, sw, plug ? plug : &blk_this_reactor()->turn, bio, nr_segs)) {
		blk_queue_exit(ctx);
		return;
	}
	rq = plug ? plug->cached_rqs : NULL;
	if (rq && rq->mq_hctx == sw->hctx) {
		plug->cached_rqs = rq->rq_next;
		blk_queue_usage_add(ctx, -1); /* it held the queue itself */
	} else {
		rq = get_request_for(q, ctx, sw, bio, plug);
		if (unlikely(!rq))
			return;
	}
	rq_of_bio(rq, bio, nr_segs);
	rq->nr_discard_segments = op_is_discard(bio->bi_opf);
	trace(TRACE_G, rq, bio);
	blk_account_start(rq, rq->start_time_ns);
	/* A task that slept for its tag has given its plug to the turn, and goes on with it. */
	if (unlikely(!plug || op_is_flush(bio->bi_opf))) {
		send_special(rq);
		return;
	}
	if (unlikely(plug->rq_count >= BLK_MAX_REQUEST_COUNT ||
		     (plug->mq_tail && blk_rq_bytes(plug->mq_tail) >= BLK_PLUG_FLUSH_SIZE)))
		blk_plug_flush(plug);
	blk_plug_append(plug, rq);
}

/* Cuts @bio into what the device can take; each piece holds the queue. */
static void __noinline split_and_send(struct request_queue *q, struct bio *bio)
{
	for (;;) {
		const char *limit = NULL;
		unsigned int nr_segs;
		int cut = bio_split_decide(bio, &q->limits, &nr_segs, &limit);
		struct bio *front;

		if (cut < 0) {
			blk_refuse_misaligned(bio, limit);
			refuse_bio(q, bio, BLK_STS_INVAL);
			return;
		}
		if (!cut) {
			send_bio(q, bio, nr_segs);
			return;
		}
		/* The rest might have to wait, when the first part is on its way already. */
		if (bio->bi_opf & REQ_NOWAIT) {
			refuse_bio(q, bio, BLK_STS_AGAIN);
			return;
		}
		front = bio_split(bio, (unsigned int)cut, q->bio_split);
		bio_chain(front, bio);
		front->bi_opf |= REQ_NOMERGE;
		trace(TRACE_X, NULL, front);
		blk_queue_usage_add(blk_mq_this_ctx(q), 1);
		send_bio(q, front, nr_segs);
	}
}

/* @bio, checked, which holds the queue. */
static inline void send_to_queue(struct request_queue *q, struct bio *bio)
{
	if (op_has_data(bio->bi_opf) && bio_fits_simply(bio, &q->limits, q->simple_bytes))
		send_bio(q, bio, 1);
	else
		split_and_send(q, bio);
}

/* ---- stacked devices ------------------------------------------------------------------------------------ */

static void send_to_stacked(struct bio *bio)
{
	struct request_queue *q = bio->bi_bdev->bd_queue;

	q->disk->fops->submit_bio(bio);
	blk_queue_exit(blk_mq_this_ctx(q));
}

static void enter_and_send(struct bio *bio)
{
	struct request_queue *q = bio->bi_bdev->bd_queue;
	blk_status_t status = blk_queue_enter(q, bio->bi_opf);

	if (unlikely(status)) {
		bio_end_status(bio, status);
		return;
	}
	if (unlikely(!is_plain(bio, q) && !prepare(bio, q, &status))) {
		refuse_bio(q, bio, status);
		return;
	}
	if (likely(q->mq_ops != NULL))
		send_to_queue(q, bio);
	else
		send_to_stacked(bio);
}

/*
 * Sends @bio and all that comes of it. The bios of one submit_bio go before those that were waiting
 * (S2): the list is taken aside while it runs and put behind what it added.
 */
static void __noinline send_with_list(struct bio *bio)
{
	struct task *task = rt_current();
	struct bio_list added, waiting;

	bio_list_init(&added);
	task->bio_list = &added;
	for (;;) {
		waiting = added;
		bio_list_init(&added);
		enter_and_send(bio);
		if (waiting.head) {
			if (added.tail)
				added.tail->bi_next = waiting.head;
			else
				added.head = waiting.head;
			added.tail = waiting.tail;
		}
		bio = bio_list_pop(&added);
		if (!bio)
			break;
	}
	task->bio_list = NULL;
}

static void rescue_work_fn(struct rt_work *work)
{
	struct blk_reactor *br = container_of(work, struct blk_reactor, rescue_work);
	struct bio *bio;

	while ((bio = bio_list_pop(&br->rescue)))
		send_with_list(bio);
}

void blk_rescue_init(struct blk_reactor *br)
{
	bio_list_init(&br->rescue);
	rt_work_init(&br->rescue_work, rescue_work_fn);
}

void blk_bio_list_hand_over(void)
{
	struct task *task = rt_current();
	struct blk_reactor *br = blk_this_reactor();
	struct bio *bio;

	if (!task || !task->bio_list || bio_list_empty(task->bio_list))
		return;
	while ((bio = bio_list_pop(task->bio_list)))
		bio_list_add(&br->rescue, bio);
	rt_work_queue(&br->rescue_work);
}

/* @bio: now, or when the submit_bio around us has returned. */
static void __noinline send(struct bio *bio)
{
	struct task *task = rt_current();

	if (task->bio_list)
		bio_list_add(task->bio_list, bio);
	else if (bio->bi_bdev->bd_queue->mq_ops)
		enter_and_send(bio);
	else
		send_with_list(bio);
}

/* ---- the short way ----------------------------------------------------------------------------------------- */

/*
 * A plain bio of one segment in a plug that has a request for it at hand, and nothing to merge with:
 * what send_bio() does then, without entering the queue, which the request holds already. false:
 * the long way.
 */
static inline bool send_shortly(struct request_queue *q, struct bio *bio, struct blk_plug *plug)
{
	struct request *rq, *newest;

	if (!plug || !(rq = plug->cached_rqs) || rq->q != q || !is_plain(bio, q) ||
	    !bio_fits_simply(bio, &q->limits, q->simple_bytes) ||
	    plug->rq_count >= BLK_MAX_REQUEST_COUNT || !list_empty(&rq->mq_ctx->sw[0].rq_list))
		return false;
	newest = plug->mq_tail;
	if (newest && (lie_together(newest, bio) || newest->q != q ||
		       blk_rq_bytes(newest) >= BLK_PLUG_FLUSH_SIZE))
		return false;
	plug->cached_rqs = rq->rq_next;
	rq_of_bio(rq, bio, 1);
	blk_account_start_disk(rq, rq->start_time_ns);
	rq->rq_next = NULL;
	if (newest)
		newest->rq_next = rq;
	else
		plug->mq_list = rq;
	plug->mq_tail = rq;
	plug->rq_count++;
	return true;
}

/* ---- the story -------------------------------------------------------------------------------------------- */

void submit_bio(struct bio *bio)
{
	struct request_queue *q = bio->bi_bdev->bd_queue;
	struct task *task = rt_current();

	bio->bi_reactor = (uint16_t)rt_reactor_id();
	if (!bio->bi_ioprio)
		bio->bi_ioprio = task->ioc.ioprio;
	if (likely(!trace_hook && send_shortly(q, bio, task->plug)))
		return;
	trace(TRACE_Q, NULL, bio);
	send(bio);
}
