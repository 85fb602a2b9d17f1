/* SPDX-License-Identifier: MIT */
/*
 * account.h - what the hot path counts; stat.c reads it.
 *
 * 1. A cell is written by its reactor only, so counting is a plain add. A merge under an elevator
 *    with a home may take from another cell than the start gave to: only sums mean something.
 * 2. io_ticks is Linux's: the time between two events with something in flight, cut to a tick when
 *    a request starts on an idle device.
 */
#ifndef BLK_ACCOUNT_H
#define BLK_ACCOUNT_H

#include "blk.h"

#define BLK_TICK_NS 4000000ULL /* a jiffy of HZ=250, what Linux's io_ticks counts in */

static inline enum stat_group op_stat_group(blk_opf_t opf)
{
	if (unlikely(op_is_discard(opf)))
		return STAT_DISCARD;
	return op_is_write(opf) ? STAT_WRITE : STAT_READ;
}

static inline struct bdev_stats_cell *bdev_this_cell(const struct block_device *bdev)
{
	return &bdev->bd_stats->cells[rt_reactor_id()];
}

static inline void stat_add(uint64_t *counter, uint64_t value)
{
	WRITE_ONCE(*counter, *counter + value);
}

/* Brings io_ticks up to @now_ns; in stat of the whole disk. */
void bdev_update_io_ticks(struct bdev_stats *stats, uint64_t now_ns, bool is_end);

static inline void blk_account_ticks(const struct block_device *bdev, struct bdev_stats_cell *cell,
				     uint64_t now_ns, bool is_end)
{
	if (cell->ticked_ns == now_ns)
		return;
	cell->ticked_ns = now_ns;
	bdev_update_io_ticks(bdev->bd_stats, now_ns, is_end);
}

static inline void bdev_account_start(const struct block_device *bdev, bool is_write,
				      uint64_t now_ns)
{
	struct bdev_stats_cell *cell = bdev_this_cell(bdev);

	stat_add(&cell->in_flight[is_write], 1);
	blk_account_ticks(bdev, cell, now_ns, false);
}

/* @nr requests of @sectors together, each begun @took_ns ago. */
static inline void bdev_account_done(const struct block_device *bdev, blk_opf_t opf,
				     uint64_t sectors, unsigned int nr, uint64_t took_ns,
				     uint64_t now_ns)
{
	struct bdev_stats_cell *cell = bdev_this_cell(bdev);
	enum stat_group group = op_stat_group(opf);

	blk_account_ticks(bdev, cell, now_ns, true);
	stat_add(&cell->ios[group], nr);
	stat_add(&cell->sectors[group], sectors);
	stat_add(&cell->nsecs[group], took_ns * nr);
	stat_add(&cell->in_flight[op_is_write(opf)], -(uint64_t)nr);
	histogram_record_many(&cell->latency[group], took_ns, nr);
}

/* @rq is of the whole disk. */
static inline void blk_account_start_disk(struct request *rq, uint64_t now_ns)
{
	struct bdev_stats_cell *cell = rq->mq_ctx->cell;

	if (unlikely(queue_flag_test(rq->q, QUEUE_FLAG_NO_IO_STAT)))
		return;
	rq->rq_flags |= RQF_IO_STAT;
	stat_add(&cell->in_flight[op_is_write(rq->cmd_flags)], 1);
	if (unlikely(cell->ticked_ns != now_ns))
		blk_account_ticks(&rq->q->disk->part0, cell, now_ns, false);
}

static inline void blk_account_start(struct request *rq, uint64_t now_ns)
{
	blk_account_start_disk(rq, now_ns);
	if (rq->part->bd_partno && (rq->rq_flags & RQF_IO_STAT))
		bdev_account_start(rq->part, op_is_write(rq->cmd_flags), now_ns);
}

/* Completions of one kind that took as long: counted together. */
struct account_batch {
	const struct block_device *part; /* NULL: empty */
	blk_opf_t op;
	unsigned int nr;
	uint64_t start_time_ns;
	uint64_t sectors;
	uint64_t now_ns;
};

static inline void account_batch_flush(struct account_batch *ab)
{
	const struct block_device *part = ab->part;
	uint64_t took_ns = ab->now_ns - ab->start_time_ns;

	if (!part)
		return;
	bdev_account_done(part, ab->op, ab->sectors, ab->nr, took_ns, ab->now_ns);
	if (unlikely(part->bd_partno))
		bdev_account_done(&part->bd_disk->part0, ab->op, ab->sectors, ab->nr, took_ns,
				  ab->now_ns);
	ab->part = NULL;
}

static inline void account_batch_add(struct account_batch *ab, const struct request *rq)
{
	if (unlikely(ab->part != rq->part || ab->start_time_ns != rq->start_time_ns ||
		     ab->op != (rq->cmd_flags & REQ_OP_MASK))) {
		account_batch_flush(ab);
		ab->part = rq->part;
		ab->op = rq->cmd_flags & REQ_OP_MASK;
		ab->start_time_ns = rq->start_time_ns;
		ab->nr = 0;
		ab->sectors = 0;
	}
	ab->nr++;
	ab->sectors += blk_rq_sectors(rq);
}

static inline void blk_account_done(const struct request *rq, uint64_t now_ns)
{
	struct account_batch ab = { .now_ns = now_ns };

	account_batch_add(&ab, rq);
	account_batch_flush(&ab);
}

static inline void blk_account_merges(const struct request *rq)
{
	enum stat_group group = op_stat_group(rq->cmd_flags);

	stat_add(&bdev_this_cell(rq->part)->merges[group], 1);
	if (unlikely(rq->part->bd_partno))
		stat_add(&bdev_this_cell(&rq->q->disk->part0)->merges[group], 1);
}

static inline void blk_account_bio_merge(const struct request *rq)
{
	if (rq->rq_flags & RQF_IO_STAT)
		blk_account_merges(rq);
}

/* @next's bios are @rq's now: one in flight less. */
static inline void blk_account_rq_merge(const struct request *rq, const struct request *next)
{
	bool is_write = op_is_write(next->cmd_flags);

	if (!(next->rq_flags & RQF_IO_STAT))
		return;
	blk_account_merges(rq);
	stat_add(&bdev_this_cell(next->part)->in_flight[is_write], (uint64_t)-1);
	if (unlikely(next->part->bd_partno))
		stat_add(&bdev_this_cell(&next->q->disk->part0)->in_flight[is_write], (uint64_t)-1);
}

#endif
