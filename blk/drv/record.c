/* SPDX-License-Identifier: MIT */
/*
 * The record driver: passes every request to another disk and writes down what was issued to it and
 * what completed, in order. What stands above it (plug, elevator, flush machinery) is seen as a
 * device would see it.
 *
 * Invariants: 1. An issue is written down before the disk below can see the request, a completion
 *                after the disk below is done with it and before anybody above knows.
 *             2. An entry's place is drawn once; its what is stored last and tells that it is whole.
 * Locks:      none: places are drawn by an atomic counter. queue_rq may sleep (BLK_MQ_F_BLOCKING),
 *             for a tag of the disk below.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blkfs/driver.h"
#include "blkfs/drivers.h"

#include "record_log.h"

enum { RECORD_QUEUE_DEPTH = 64, RECORD_SEGMENTS = 64 };

/* What of a request's flags the disk below is told. */
static const blk_opf_t record_passed_flags = REQ_OP_MASK | REQ_SYNC | REQ_META | REQ_PRIO |
					     REQ_IDLE | REQ_FUA | REQ_RAHEAD | REQ_BACKGROUND |
					     REQ_NOUNMAP;

struct record_rq {
	struct bio bio;
	struct bio_vec vecs[RECORD_SEGMENTS];
	struct iovec iov[RECORD_SEGMENTS];
};

struct record_disk {
	struct blk_mq_tag_set set;
	struct block_device *below;
	struct record_entry *entries;
	size_t entries_max;
	struct record_log *log; /* NULL: none */
	uint64_t next; /* [atomic] place of the next entry; beyond entries_max it counts on */
};

static void record(struct record_disk *rd, uint8_t what, const struct request *rq,
		   blk_status_t status)
{
	struct record_entry *e, now = { .what = what,
					.status = status,
					.opf = rq->cmd_flags,
					.sector = blk_rq_pos(rq),
					.len_bytes = blk_rq_bytes(rq) };
	uint64_t place;

	rt_sim_point();
	place = __atomic_fetch_add(&rd->next, 1, __ATOMIC_ACQ_REL);
	if (place >= rd->entries_max)
		return;
	now.seq = place;
	if (rd->log)
		record_log_put(rd->log, &now, rt_now());
	e = &rd->entries[place];
	e->seq = place;
	e->status = now.status;
	e->opf = now.opf;
	e->sector = now.sector;
	e->len_bytes = now.len_bytes;
	__atomic_store_n(&e->what, what, __ATOMIC_RELEASE);
}

static void record_end_io(struct bio *bio)
{
	struct request *rq = bio->bi_private;

	record(rq->mq_hctx->driver_data, 'C', rq, bio->bi_status);
	blk_mq_complete_request(rq, bio->bi_status);
}

static void fill_bio(const struct record_disk *rd, struct request *rq, struct record_rq *pdu)
{
	blk_opf_t opf = rq->cmd_flags & record_passed_flags;
	struct bio *bio = &pdu->bio;
	unsigned int nr = 0;

	/* A bio asks for a flush by a flag; the operation is between core and driver. */
	if (req_op(rq) == REQ_OP_FLUSH)
		opf = REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC;
	else if (op_has_data(opf))
		nr = blk_rq_map_iov(rq, pdu->iov, RECORD_SEGMENTS);
	bio_init(bio, rd->below, pdu->vecs, RECORD_SEGMENTS, opf);
	for (unsigned int i = 0; i < nr; i++)
		bio_add_vec(bio, pdu->iov[i].iov_base, (unsigned int)pdu->iov[i].iov_len);
	if (req_op(rq) != REQ_OP_FLUSH) {
		bio->bi_iter.bi_sector = blk_rq_pos(rq);
		bio->bi_iter.bi_size = blk_rq_bytes(rq);
	}
	bio->bi_ioprio = rq->ioprio;
	bio->bi_private = rq;
	bio->bi_end_io = record_end_io;
}

static blk_status_t record_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct record_disk *rd = hctx->driver_data;
	struct record_rq *pdu = blk_mq_rq_to_pdu(bd->rq);

	blk_mq_start_request(bd->rq);
	fill_bio(rd, bd->rq, pdu);
	record(rd, 'D', bd->rq, BLK_STS_OK);
	submit_bio(&pdu->bio);
	return BLK_STS_OK;
}

static int record_init_hctx(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int hctx_idx)
{
	hctx->driver_data = driver_data;
	return 0;
}

static void destroy(struct record_disk *rd)
{
	free(rd->entries);
	free(rd);
}

static void record_free_disk(struct gendisk *disk)
{
	struct record_disk *rd = disk->private_data;

	blk_mq_free_tag_set(&rd->set);
	record_log_close(rd->log, min_t(uint64_t, rd->next, rd->entries_max));
	destroy(rd);
}

static const struct blk_mq_ops record_ops = {
	.queue_rq = record_queue_rq,
	.init_hctx = record_init_hctx,
	.free_disk = record_free_disk,
};

int record_log_to(struct gendisk *disk, const char *path)
{
	struct record_disk *rd = disk->private_data;
	int err = record_log_open(path, rd->entries_max, &rd->log);

	if (err)
		log_err("record disk %s: cannot write %zu lines to %s: %s", disk->disk_name,
			rd->entries_max, path, strerror(-err));
	return err;
}

size_t record_read(struct gendisk *disk, struct record_entry *out, size_t max)
{
	const struct record_disk *rd = disk->private_data;
	size_t nr = min_t(uint64_t, __atomic_load_n(&rd->next, __ATOMIC_ACQUIRE), rd->entries_max);
	size_t n;

	for (n = 0; n < nr && n < max; n++) {
		if (!__atomic_load_n(&rd->entries[n].what, __ATOMIC_ACQUIRE))
			break;
		out[n] = rd->entries[n];
	}
	return n;
}

uint64_t record_dropped(struct gendisk *disk)
{
	const struct record_disk *rd = disk->private_data;
	uint64_t next = __atomic_load_n(&rd->next, __ATOMIC_ACQUIRE);

	return next > rd->entries_max ? next - rd->entries_max : 0;
}

void record_clear(struct gendisk *disk)
{
	struct record_disk *rd = disk->private_data;

	for (size_t n = 0; n < rd->entries_max; n++)
		__atomic_store_n(&rd->entries[n].what, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&rd->next, 0, __ATOMIC_RELEASE);
}

static int make_disk(struct record_disk *rd, const struct drv_config *dc, struct gendisk **out)
{
	struct queue_limits lim = *bdev_limits(rd->below);
	int ret;

	lim.max_segments = min_t(uint16_t, lim.max_segments, RECORD_SEGMENTS);
	lim.features &= ~(uint32_t)(BLK_FEAT_POLL | BLK_FEAT_NOWAIT);
	ret = blk_mq_alloc_tag_set(&rd->set);
	if (ret)
		return ret;
	ret = blk_mq_alloc_disk(&rd->set, &lim, bytes_to_sectors(bdev_nr_bytes(rd->below)),
				dc->name, rd, dc->attrs, out);
	if (ret) {
		blk_mq_free_tag_set(&rd->set);
		return ret;
	}
	set_disk_ro(*out, dc->is_read_only || READ_ONCE(rd->below->bd_read_only));
	return 0;
}

int record_disk_create(const struct drv_config *dc, struct block_device *below, size_t entries_max,
		       struct gendisk **out)
{
	struct record_disk *rd = calloc(1, sizeof(*rd));
	int ret = -ENOMEM;

	if (!rd)
		return -ENOMEM;
	rd->below = below;
	rd->entries_max = entries_max;
	rd->entries = calloc(entries_max ? entries_max : 1, sizeof(*rd->entries));
	rd->set = (struct blk_mq_tag_set){
		.ops = &record_ops,
		.nr_hw_queues = dc->hw_queues ? dc->hw_queues : rt_reactor_nr(),
		.queue_depth = dc->queue_depth ? dc->queue_depth : RECORD_QUEUE_DEPTH,
		.cmd_size = sizeof(struct record_rq),
		.flags = BLK_MQ_F_BLOCKING,
		.driver_data = rd,
	};
	if (rd->entries)
		ret = make_disk(rd, dc, out);
	if (ret) {
		destroy(rd);
		log_err("record disk %s over %s cannot be made: error %d; try fewer entries than "
			"%zu or a smaller queue_depth",
			dc->name, bdev_name(below), -ret, entries_max);
	}
	return ret;
}
