/* SPDX-License-Identifier: MIT */
/*
 * merge.h - may these two be one request, and make it so.
 *
 * Context: the reactor of the request (all that is merged was submitted on one reactor, so that
 * every bio ends where it was submitted), or the elevator's home.
 */
#ifndef BLK_MERGE_H
#define BLK_MERGE_H

#include "blk.h"
#include "elevator.h"

/* Flags and operations that stand alone. */
static inline bool op_is_mergeable(blk_opf_t opf)
{
	enum req_op op = op_of(opf);

	return !(opf & (REQ_NOMERGE | REQ_PREFLUSH | REQ_FUA | REQ_POLLED)) &&
	       (op == REQ_OP_READ || op == REQ_OP_WRITE || op == REQ_OP_DISCARD);
}

static inline bool rq_mergeable(const struct request *rq)
{
	return op_is_mergeable(rq->cmd_flags) && rq->bio &&
	       !(rq->rq_flags & (RQF_STARTED | RQF_FLUSH_SEQ | RQF_SPECIAL_PAYLOAD));
}

/* Everything but position and size: same device, operation, priority, hint, reactor. */
bool blk_rq_merge_ok(const struct request *rq, const struct bio *bio);

/* On which side of @rq @bio lies. */
enum elv_merge blk_try_merge(const struct request *rq, const struct bio *bio);

/*
 * bio_attempt_merge - merge @bio (of @nr_segs segments) into @rq if all rules allow it.
 *
 * Returns which merge was done; ELEVATOR_NO_MERGE: none, nothing changed.
 * Owns: @bio, if merged.
 */
enum elv_merge bio_attempt_merge(struct request *rq, struct bio *bio, unsigned int nr_segs);

/*
 * blk_attempt_req_merge - append @next to @rq if they touch and all rules allow it.
 *
 * true: @next's bios are @rq's; @next is empty and is to be freed with blk_mq_free_merged().
 */
bool blk_attempt_req_merge(struct request *rq, struct request *next);

#endif
