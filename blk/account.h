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

static inline void bdev_account_done(const struct block_device *bdev, const struct request *rq,
				     uint64_t now_ns)
{
	struct bdev_stats_cell *cell = bdev_this_cell(bdev);
	enum stat_group group = op_stat_group(rq->cmd_flags);
	uint64_t took_ns = now_ns - rq->start_time_ns;

	blk_account_ticks(bdev, cell, now_ns, true);
	stat_add(&cell->ios[group], 1);
	stat_add(&cell->sectors[group], blk_rq_sectors(rq));
	stat_add(&cell->nsecs[group], took_ns);
	stat_add(&cell->in_flight[op_is_write(rq->cmd_flags)], (uint64_t)-1);
	histogram_record(&cell->latency[group], took_ns);
}

static inline void blk_account_start(struct request *rq, uint64_t now_ns)
{
	if (unlikely(queue_flag_test(rq->q, QUEUE_FLAG_NO_IO_STAT)))
		return;
	rq->rq_flags |= RQF_IO_STAT;
	bdev_account_start(rq->part, op_is_write(rq->cmd_flags), now_ns);
	if (unlikely(rq->part->bd_partno))
		bdev_account_start(&rq->q->disk->part0, op_is_write(rq->cmd_flags), now_ns);
}

static inline void blk_account_done(const struct request *rq, uint64_t now_ns)
{
	if (!(rq->rq_flags & RQF_IO_STAT))
		return;
	bdev_account_done(rq->part, rq, now_ns);
	if (unlikely(rq->part->bd_partno))
		bdev_account_done(&rq->q->disk->part0, rq, now_ns);
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
