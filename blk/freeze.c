/* SPDX-License-Identifier: MIT */
/*
 * freeze.c - standing still: freeze (nothing inside) and quiesce (nothing goes to the driver).
 *
 * Z1. Each reactor counts who entered and left on it in a plain counter of its own, which may go
 *     below zero; only the sum means something.
 * Z2. A freeze raises is_stalled, then has every reactor run a message: from then on nobody enters,
 *     so the counters only fall, and a sum of zero, however long the reading takes, is the truth.
 * Z3. Who leaves a stalled queue wakes the freezer after counting.
 * Z4. A quiesce raises is_quiesced, has every reactor run a message, and waits for the tasks that
 *     are inside queue_rq of a BLOCKING driver.
 * Locks: q->freeze_lock for the depths.
 */
#include "mq.h"

static void nothing(void *arg)
{
}

/* When it returns, every reactor has seen what was stored before. */
static void visit_reactors(const struct request_queue *q)
{
	for (unsigned int r = 0; r < q->nr_reactors; r++) {
		while (rt_call_on(r, nothing, NULL))
			;
	}
}

static bool is_drained(void *arg)
{
	const struct request_queue *q = arg;
	int64_t sum = 0;

	for (unsigned int r = 0; r < q->nr_reactors; r++) {
		rt_sim_point();
		sum += __atomic_load_n(&q->ctxs[r].usage, __ATOMIC_ACQUIRE);
	}
	return sum == 0;
}

void blk_freeze_wake(struct request_queue *q)
{
	if (rt_waitqueue_active(&q->freeze_wq))
		rt_waitqueue_wake_all(&q->freeze_wq);
}

static void update_stalled(struct request_queue *q)
{
	bool is_stalled = q->freeze_depth || queue_flag_test(q, QUEUE_FLAG_DYING);

	__atomic_store_n(&q->is_stalled, is_stalled, __ATOMIC_SEQ_CST);
	rt_waitqueue_wake_all(&q->thaw_wq); /* whoever is meant finds out by himself */
}

void blk_queue_start_dying(struct request_queue *q)
{
	rt_mutex_lock(&q->freeze_lock);
	queue_flag_set(q, QUEUE_FLAG_DYING);
	update_stalled(q);
	rt_mutex_unlock(&q->freeze_lock);
}

void blk_mq_freeze_queue(struct request_queue *q)
{
	rt_mutex_lock(&q->freeze_lock);
	WRITE_ONCE(q->freeze_depth, q->freeze_depth + 1);
	update_stalled(q);
	rt_mutex_unlock(&q->freeze_lock);
	visit_reactors(q);
	rt_wait_event(&q->freeze_wq, is_drained, q, "a queue to drain");
}

void blk_mq_unfreeze_queue(struct request_queue *q)
{
	rt_mutex_lock(&q->freeze_lock);
	blkfs_assert(q->freeze_depth > 0);
	WRITE_ONCE(q->freeze_depth, q->freeze_depth - 1);
	update_stalled(q);
	rt_mutex_unlock(&q->freeze_lock);
}

static bool is_thawed(void *arg)
{
	struct request_queue *q = arg;

	return !__atomic_load_n(&q->freeze_depth, __ATOMIC_SEQ_CST) ||
	       queue_flag_test(q, QUEUE_FLAG_DYING);
}

blk_status_t blk_queue_enter_slow(struct request_queue *q, blk_opf_t opf)
{
	while (__atomic_load_n(&q->is_stalled, __ATOMIC_ACQUIRE)) {
		if (queue_flag_test(q, QUEUE_FLAG_DYING))
			return BLK_STS_OFFLINE;
		if (opf & REQ_NOWAIT)
			return BLK_STS_AGAIN;
		blk_bio_list_hand_over();
		rt_wait_event(&q->thaw_wq, is_thawed, q, "a frozen queue");
	}
	blk_queue_usage_add(blk_mq_this_ctx(q), 1);
	return BLK_STS_OK;
}

/* ---- quiesce ------------------------------------------------------------------------------------------- */

static bool is_nobody_in_driver(void *arg)
{
	const struct request_queue *q = arg;

	for (unsigned int r = 0; r < q->nr_reactors; r++) {
		if (__atomic_load_n(&q->ctxs[r].blocking_nr, __ATOMIC_ACQUIRE))
			return false;
	}
	return true;
}

void blk_mq_quiesce_queue(struct request_queue *q)
{
	rt_mutex_lock(&q->freeze_lock);
	q->quiesce_depth++;
	__atomic_store_n(&q->is_quiesced, true, __ATOMIC_SEQ_CST);
	rt_mutex_unlock(&q->freeze_lock);
	visit_reactors(q);
	rt_wait_event(&q->quiesce_wq, is_nobody_in_driver, q, "the driver's tasks");
}

void blk_mq_unquiesce_queue(struct request_queue *q)
{
	bool is_last;

	rt_mutex_lock(&q->freeze_lock);
	blkfs_assert(q->quiesce_depth > 0);
	is_last = --q->quiesce_depth == 0;
	if (is_last)
		__atomic_store_n(&q->is_quiesced, false, __ATOMIC_SEQ_CST);
	rt_mutex_unlock(&q->freeze_lock);
	if (is_last)
		blk_mq_run_hw_queues(q);
}
