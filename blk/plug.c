/* SPDX-License-Identifier: MIT */
/*
 * plug.c - gathering: what a task submits while plugged, and what a reactor gathers in a turn.
 *
 * P1. A plug is flushed when it is finished, by the request after the 32nd, or by the one after a
 *     request of 128 KiB. In order of submission; a batch for each hardware queue.
 * P2. A task that sleeps gives its plug to its reactor's turn, which is issued at the end of the
 *     turn as one batch. So does every bio that is submitted without a plug.
 * P3. Tags taken ahead never outlive the task's run: they go back before it sleeps.
 * Locks: none; a turn belongs to its reactor.
 */
#include "mq.h"

struct blk_reactor blk_reactors[RT_REACTORS_MAX];

struct request *blk_plug_newest(const struct blk_plug *plug, const struct request_queue *q)
{
	struct request *newest = NULL;

	for (struct request *rq = plug->mq_list; rq; rq = rq->rq_next) {
		if (rq->q == q)
			newest = rq;
	}
	return newest;
}

static bool is_same_batch(const struct request *a, const struct request *b)
{
	return a->mq_hctx == b->mq_hctx && !((a->rq_flags ^ b->rq_flags) & RQF_USE_SCHED);
}

/* Cuts the requests of the first one's hardware queue out of *@list; both keep their order. */
static struct request *cut_batch(struct request **list)
{
	struct request *first = *list, *rest = NULL;
	struct request **batch_link = &first->rq_next, **rest_link = &rest;

	for (struct request *rq = first->rq_next; rq; rq = rq->rq_next) {
		if (is_same_batch(first, rq)) {
			*batch_link = rq;
			batch_link = &rq->rq_next;
		} else {
			*rest_link = rq;
			rest_link = &rq->rq_next;
		}
	}
	*batch_link = NULL;
	*rest_link = NULL;
	*list = rest;
	return first;
}

void blk_plug_flush(struct blk_plug *plug)
{
	struct request *list = plug->mq_list;
	bool is_one_batch = !plug->is_multiple_queues && !plug->has_elevator;

	if (!list)
		return;
	trace(TRACE_U, list, NULL);
	plug->mq_list = plug->mq_tail = NULL;
	plug->rq_count = 0;
	plug->is_multiple_queues = plug->has_elevator = false;
	if (likely(is_one_batch)) {
		blk_mq_send_list(list);
		return;
	}
	while (list)
		blk_mq_send_list(cut_batch(&list));
}

void blk_plug_free_cached(struct blk_plug *plug)
{
	while (plug->cached_rqs) {
		struct request *rq = plug->cached_rqs;

		plug->cached_rqs = rq->rq_next;
		blk_mq_free_request_now(rq);
	}
}

/* ---- the turn ---------------------------------------------------------------------------------------- */

static void turn_defer_fn(struct rt_defer *d)
{
	blk_plug_flush(&container_of(d, struct blk_reactor, turn_defer)->turn);
}

void blk_turn_add(struct request *rq)
{
	struct blk_reactor *br = blk_this_reactor();

	if (!br->turn.mq_list)
		rt_defer_queue(&br->turn_defer, RT_STAGE_ISSUE);
	blk_plug_append(&br->turn, rq);
}

/* A task with a plug is about to sleep (P2, P3). */
static void plug_hook(struct task *task)
{
	struct blk_plug *plug = task->plug;
	struct request *rq = plug->mq_list, *next;

	blk_plug_free_cached(plug);
	plug->mq_list = plug->mq_tail = NULL;
	plug->rq_count = 0;
	plug->is_multiple_queues = plug->has_elevator = false;
	for (; rq; rq = next) {
		next = rq->rq_next;
		blk_turn_add(rq);
	}
}

static void done_defer_fn(struct rt_defer *d)
{
	blk_done_drain(container_of(d, struct blk_reactor, done_defer));
}

void blk_reactors_init(void)
{
	rt_set_plug_hook(plug_hook);
	for (unsigned int r = 0; r < rt_reactor_nr(); r++) {
		struct blk_reactor *br = &blk_reactors[r];

		if (__atomic_exchange_n(&br->is_ready, true, __ATOMIC_SEQ_CST))
			continue;
		br->done_tail = &br->done;
		rt_defer_init(&br->turn_defer, turn_defer_fn);
		rt_defer_init(&br->done_defer, done_defer_fn);
		blk_rescue_init(br);
	}
}

/* ---- what tasks call ----------------------------------------------------------------------------------- */

void blk_start_plug_nr_ios(struct blk_plug *plug, unsigned short nr_ios)
{
	struct task *task = rt_current();

	blk_plug_init(plug, nr_ios);
	if (!task->plug) /* an inner plug leaves it to the outer one */
		task->plug = plug;
}

void blk_start_plug(struct blk_plug *plug)
{
	blk_start_plug_nr_ios(plug, 1);
}

void blk_finish_plug(struct blk_plug *plug)
{
	struct task *task = rt_current();

	if (task->plug != plug)
		return;
	task->plug = NULL;
	blk_plug_flush(plug);
	if (unlikely(plug->cached_rqs))
		blk_plug_free_cached(plug);
}
