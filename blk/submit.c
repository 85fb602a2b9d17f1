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

/* Plain reads and writes of a whole disk, inside it and on its blocks: nothing to look closer at. */
static inline bool is_plain(const struct bio *bio, const struct request_queue *q)
{
	const struct block_device *bdev = bio->bi_bdev;
	sector_t end = READ_ONCE(bdev->bd_nr_sectors);
	sector_t nr = bio_sectors(bio);

	return op_of(bio->bi_opf) <= REQ_OP_WRITE &&
	       !(bio->bi_opf & (REQ_PREFLUSH | REQ_FUA | REQ_POLLED)) && !bdev->bd_partno && nr &&
	       nr <= end && bio->bi_iter.bi_sector <= end - nr &&
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

/* What is not plain: check it, shape it for the device. false: it has ended. */
static bool __noinline prepare(struct bio *bio, const struct request_queue *q)
{
	blk_status_t status = check(bio, &q->limits);

	if (status) {
		bio_end_status(bio, status);
		return false;
	}
	remap_partition(bio);
	if (!(q->limits.features & BLK_FEAT_POLL))
		bio->bi_opf &= ~(blk_opf_t)REQ_POLLED;
	/* Stacked devices pass flushes down, where it is known whether there is a cache. */
	if (q->mq_ops && op_is_flush(bio->bi_opf) && !READ_ONCE(q->has_write_cache)) {
		bio->bi_opf &= ~(blk_opf_t)(REQ_PREFLUSH | REQ_FUA);
		if (!bio_sectors(bio)) {
			bio_endio(bio);
			return false;
		}
	}
	return true;
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
	if (likely(q->mq_ops != NULL))
		blk_mq_submit_bio(bio);
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

/* ---- the story -------------------------------------------------------------------------------------------- */

void submit_bio(struct bio *bio)
{
	struct request_queue *q = bio->bi_bdev->bd_queue;
	struct task *task = rt_current();

	bio->bi_reactor = (uint16_t)rt_reactor_id();
	if (!bio->bi_ioprio)
		bio->bi_ioprio = task->ioc.ioprio;
	trace(TRACE_Q, NULL, bio);
	if (unlikely(!is_plain(bio, q)) && !prepare(bio, q))
		return;
	if (unlikely(task->bio_list != NULL))
		bio_list_add(task->bio_list, bio);
	else if (likely(q->mq_ops != NULL))
		enter_and_send(bio);
	else
		send_with_list(bio);
}
