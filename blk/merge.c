/* SPDX-License-Identifier: MIT */
/*
 * merge.c - the rules by which bios and requests become one.
 *
 * 1. Never across a flush (PREFLUSH, FUA), an operation, an ioprio, a write hint, a device, or a
 *    reactor (a bio ends where it was submitted).
 * 2. What results must be something that split.c would not have cut: max_sectors, chunk_sectors,
 *    max_segments, and no gap that virt_boundary_mask forbids.
 * 3. Discards merge by touching, or, where the device takes several ranges, in any place.
 * Locks: none.
 */
#include "merge.h"
#include "account.h"

bool blk_rq_merge_ok(const struct request *rq, const struct bio *bio)
{
	return rq_mergeable(rq) && op_is_mergeable(bio->bi_opf) &&
	       op_of(rq->cmd_flags) == op_of(bio->bi_opf) && rq->part == bio->bi_bdev &&
	       rq->ioprio == bio->bi_ioprio && rq->write_hint == bio->bi_write_hint &&
	       rq->reactor == bio->bi_reactor;
}

static bool takes_ranges(const struct request *rq)
{
	return op_is_discard(rq->cmd_flags) && rq->q->limits.max_discard_segments > 1;
}

enum elv_merge blk_try_merge(const struct request *rq, const struct bio *bio)
{
	if (takes_ranges(rq))
		return ELEVATOR_DISCARD_MERGE;
	if (blk_rq_pos(rq) + blk_rq_sectors(rq) == bio->bi_iter.bi_sector)
		return ELEVATOR_BACK_MERGE;
	if (bio_end_sector(bio) == blk_rq_pos(rq))
		return ELEVATOR_FRONT_MERGE;
	return ELEVATOR_NO_MERGE;
}

/* ---- limits ----------------------------------------------------------------------------------- */

/* Sectors that a request of @op beginning at @sector may have. */
static uint32_t max_rq_sectors(const struct queue_limits *lim, enum req_op op, sector_t sector)
{
	uint32_t max_sectors = op == REQ_OP_DISCARD ? lim->max_discard_sectors : lim->max_sectors;

	if (!lim->chunk_sectors || op == REQ_OP_DISCARD)
		return max_sectors;
	return min(max_sectors, lim->chunk_sectors - (uint32_t)(sector % lim->chunk_sectors));
}

static struct bio_vec first_vec(const struct bio *bio)
{
	return bio_iter_vec(bio, bio->bi_iter);
}

static struct bio_vec last_vec(const struct bio *bio)
{
	struct bio_vec bv = { NULL, 0 };
	struct bvec_iter it;

	if (bio->bi_vcnt == bio->bi_iter.bi_idx + 1)
		return first_vec(bio);
	bio_for_each_vec(bv, bio, it)
		;
	return bv;
}

/* Would @next after @prev leave a gap in memory that the device cannot do? */
static bool leaves_gap(const struct queue_limits *lim, const struct bio *prev,
		       const struct bio *next)
{
	struct bio_vec a, b;

	if (!lim->virt_boundary_mask || !op_has_data(prev->bi_opf))
		return false;
	a = last_vec(prev);
	b = first_vec(next);
	return (((uintptr_t)a.bv_addr + a.bv_len) | (uintptr_t)b.bv_addr) & lim->virt_boundary_mask;
}

static bool limits_allow(const struct request *rq, sector_t start, uint32_t sectors_more,
			 unsigned int segs_more)
{
	const struct queue_limits *lim = &rq->q->limits;
	enum req_op op = op_of(rq->cmd_flags);

	if (op != REQ_OP_DISCARD && rq->nr_phys_segments + segs_more > lim->max_segments)
		return false;
	return blk_rq_sectors(rq) + sectors_more <= max_rq_sectors(lim, op, start);
}

/* ---- bio into request --------------------------------------------------------------------------- */

static bool back_merge(struct request *rq, struct bio *bio, unsigned int nr_segs)
{
	if (leaves_gap(&rq->q->limits, rq->biotail, bio) ||
	    !limits_allow(rq, blk_rq_pos(rq), bio_sectors(bio), nr_segs))
		return false;
	trace(TRACE_M, rq, bio);
	rq->biotail->bi_next = bio;
	rq->biotail = bio;
	return true;
}

static bool front_merge(struct request *rq, struct bio *bio, unsigned int nr_segs)
{
	if (leaves_gap(&rq->q->limits, bio, rq->bio) ||
	    !limits_allow(rq, bio->bi_iter.bi_sector, bio_sectors(bio), nr_segs))
		return false;
	trace(TRACE_F, rq, bio);
	bio->bi_next = rq->bio;
	rq->bio = bio;
	rq->sector = bio->bi_iter.bi_sector;
	return true;
}

static bool discard_merge(struct request *rq, struct bio *bio)
{
	const struct queue_limits *lim = &rq->q->limits;

	if (rq->nr_discard_segments >= lim->max_discard_segments ||
	    blk_rq_sectors(rq) + bio_sectors(bio) > lim->max_discard_sectors)
		return false;
	trace(TRACE_M, rq, bio);
	rq->biotail->bi_next = bio;
	rq->biotail = bio;
	rq->nr_discard_segments++;
	return true;
}

static bool merge_at(enum elv_merge type, struct request *rq, struct bio *bio, unsigned int nr_segs)
{
	switch (type) {
	case ELEVATOR_BACK_MERGE:
		return back_merge(rq, bio, nr_segs);
	case ELEVATOR_FRONT_MERGE:
		return front_merge(rq, bio, nr_segs);
	case ELEVATOR_DISCARD_MERGE:
		return discard_merge(rq, bio);
	case ELEVATOR_NO_MERGE:
		break;
	}
	return false;
}

enum elv_merge bio_attempt_merge(struct request *rq, struct bio *bio, unsigned int nr_segs)
{
	enum elv_merge type = blk_try_merge(rq, bio);

	if (type == ELEVATOR_NO_MERGE || !blk_rq_merge_ok(rq, bio) ||
	    !merge_at(type, rq, bio, nr_segs))
		return ELEVATOR_NO_MERGE;
	rq->data_len += bio->bi_iter.bi_size;
	if (!op_is_discard(rq->cmd_flags))
		rq->nr_phys_segments += (uint16_t)nr_segs;
	blk_account_bio_merge(rq);
	return type;
}

/* ---- request into request ----------------------------------------------------------------------- */

static bool requests_touch(const struct request *rq, const struct request *next)
{
	return takes_ranges(rq) || blk_rq_pos(rq) + blk_rq_sectors(rq) == blk_rq_pos(next);
}

static bool rq_limits_allow(const struct request *rq, const struct request *next)
{
	if (takes_ranges(rq))
		return rq->nr_discard_segments + next->nr_discard_segments <=
			       rq->q->limits.max_discard_segments &&
		       blk_rq_sectors(rq) + blk_rq_sectors(next) <=
			       rq->q->limits.max_discard_sectors;
	return !leaves_gap(&rq->q->limits, rq->biotail, next->bio) &&
	       limits_allow(rq, blk_rq_pos(rq), blk_rq_sectors(next), next->nr_phys_segments);
}

bool blk_attempt_req_merge(struct request *rq, struct request *next)
{
	if (!rq_mergeable(rq) || !rq_mergeable(next) || rq->q != next->q ||
	    op_of(rq->cmd_flags) != op_of(next->cmd_flags) || rq->part != next->part ||
	    rq->ioprio != next->ioprio || rq->write_hint != next->write_hint ||
	    rq->reactor != next->reactor || !requests_touch(rq, next) || !rq_limits_allow(rq, next))
		return false;
	trace(TRACE_M, rq, next->bio);
	rq->biotail->bi_next = next->bio;
	rq->biotail = next->biotail;
	rq->data_len += next->data_len;
	if (!op_is_discard(rq->cmd_flags))
		rq->nr_phys_segments += next->nr_phys_segments;
	else if (takes_ranges(rq))
		rq->nr_discard_segments += next->nr_discard_segments;
	rq->start_time_ns = min(rq->start_time_ns, next->start_time_ns);
	blk_account_rq_merge(rq, next);
	next->bio = next->biotail = NULL;
	return true;
}
