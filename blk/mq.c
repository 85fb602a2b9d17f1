/* SPDX-License-Identifier: MIT */
/*
 * mq.c - from a bio to queue_rq: request and tag, software queue, elevator, the issuing of batches.
 *
 * M1. queue_rq is called on a reactor of the request's hardware queue, never inside itself, and for
 *     one software queue in order: what came back stands at the head.
 * M2. A batch ends with a request marked last that the driver took, or with one commit_rqs.
 * M3. A software queue that waits has somebody who will run it: RESOURCE a timer, DEV_RESOURCE and
 *     budget the restart mask, a tag the tag waiter. The mask is set before the driver is asked
 *     once more, and looked at after a tag was given back: a completion between is not missed.
 * Locks: none; a software queue belongs to its reactor.
 */
#include "mq.h"

enum { TAG_BATCH_MAX = 16 }; /* tags taken at once in a plug that grows */

enum issue_result {
	ISSUE_ALL,	/* nothing is left */
	ISSUE_DEV_BUSY, /* until one of this queue's requests ends */
	ISSUE_BUSY,	/* for a while */
	ISSUE_NO_TAG,	/* until tag_waiter has one */
};

/* ---- requests ------------------------------------------------------------------------------------- */

static inline struct blk_mq_tags *rq_own_tags(const struct blk_mq_hw_ctx *hctx)
{
	return unlikely(hctx->sched_tags != NULL) ? hctx->sched_tags : hctx->tags;
}

static inline unsigned int *own_hint(struct blk_mq_sw_queue *sw)
{
	return unlikely(sw->hctx->sched_tags != NULL) ? &sw->sched_tag_hint : &sw->tag_hint;
}

static inline void rq_init(struct request *rq, struct request_queue *q, struct blk_mq_ctx *ctx,
			   struct blk_mq_hw_ctx *hctx, uint32_t rq_flags)
{
	blkfs_debug_assert(rq->state == MQ_RQ_IDLE);
	rq->q = q;
	rq->mq_ctx = ctx;
	WRITE_ONCE(rq->mq_hctx, hctx); /* this and reactor: other reactors look whose it is */
	rq->rq_flags = rq_flags;
	rq->generation++;
	WRITE_ONCE(rq->reactor, (uint16_t)ctx->reactor);
	rq->status = BLK_STS_OK;
	rq->timeout_ns = 0;
	rq->end_io = NULL;
	rq->start_time_ns = rt_this_now_ns;
}

/* An elevator orders what moves data or space; what belongs to flushes or drivers passes it by. */
static inline void rq_use_elevator(struct request *rq)
{
	struct elevator_queue *eq = rq->q->elevator;

	if (likely(!eq) || op_is_flush(rq->cmd_flags) || op_of(rq->cmd_flags) == REQ_OP_FLUSH ||
	    op_of(rq->cmd_flags) >= REQ_OP_DRV_IN)
		return;
	rq->rq_flags |= RQF_USE_SCHED;
	if (eq->type->ops.prepare_request)
		eq->type->ops.prepare_request(rq);
}

static inline void limit_depth(struct blk_mq_alloc_data *data)
{
	struct elevator_queue *eq = data->q->elevator;

	if (unlikely(eq) && eq->type->ops.limit_depth && !op_is_flush(data->cmd_flags) &&
	    !(data->flags & BLK_MQ_REQ_RESERVED))
		eq->type->ops.limit_depth(data->cmd_flags, data);
}

struct request *blk_mq_get_request(struct blk_mq_alloc_data *data)
{
	struct blk_mq_tags *tags = rq_own_tags(data->sw->hctx);
	unsigned long got;
	unsigned int base;
	struct request *rq;
	int tag;

	limit_depth(data);
	got = blk_mq_tags_take(tags, data->sw->hctx, own_hint(data->sw), 1, data, &base);
	if (likely(got))
		tag = (int)(base + (unsigned int)__builtin_ctzl(got));
	else if (data->flags & BLK_MQ_REQ_NOWAIT)
		return NULL;
	else
		tag = blk_mq_tag_wait(tags, data);
	rq = blk_mq_tags_rq(tags, (unsigned int)tag);
	rq_init(rq, data->q, data->ctx, data->sw->hctx,
		tags->rq_flags | (data->flags & BLK_MQ_REQ_RESERVED ? RQF_RESV : 0));
	rq->cmd_flags = data->cmd_flags;
	rq_use_elevator(rq);
	return rq;
}

/* Takes tags ahead for a plug; NULL: none at once. Each holds the queue, as the first does already. */
static struct request *get_batch(const struct blk_mq_alloc_data *data, struct blk_plug *plug)
{
	struct blk_mq_hw_ctx *hctx = data->sw->hctx;
	struct blk_mq_tags *tags = rq_own_tags(hctx);
	struct blk_mq_ctx *ctx = data->ctx;
	struct request_queue *q = data->q;
	/* As many as there are already: at most half of what is taken comes back unused. */
	unsigned int want = max_t(unsigned int, plug->rq_count + 1u, plug->nr_ios);
	struct request *first = NULL, **link = &first;
	unsigned long got;
	unsigned int base;

	want = min_t(unsigned int, want, TAG_BATCH_MAX);
	got = blk_mq_tags_take(tags, hctx, &data->sw->tag_hint, want, data, &base);
	if (!got)
		return NULL;
	blk_queue_usage_add(ctx, __builtin_popcountl(got) - 1);
	for (; got; got &= got - 1) {
		struct request *rq = blk_mq_tags_rq(tags, base + (unsigned int)__builtin_ctzl(got));

		rq_init(rq, q, ctx, hctx, 0);
		*link = rq;
		link = &rq->rq_next;
	}
	*link = NULL;
	plug->cached_rqs = first->rq_next;
	first->cmd_flags = data->cmd_flags;
	return first;
}

struct request *blk_mq_get_in_plug(struct blk_mq_alloc_data *data, struct blk_plug *plug)
{
	struct request *rq = NULL;

	if (!plug->cached_rqs && (plug->rq_count || plug->nr_ios > 1) && !data->q->elevator)
		rq = get_batch(data, plug);
	return rq ? rq : blk_mq_get_request(data);
}

void blk_mq_put_driver_tag(struct request *rq)
{
	if (!(rq->rq_flags & RQF_SCHED_TAGS) || rq->tag < 0)
		return;
	blk_mq_tag_put(rq->mq_hctx->tags, rq->mq_hctx, rq->tag);
	rq->tag = -1;
}

void blk_mq_free_request_now(struct request *rq)
{
	struct blk_mq_hw_ctx *hctx = rq->mq_hctx;
	struct request_queue *q = rq->q;

	WRITE_ONCE(rq->state, MQ_RQ_IDLE); /* who walks the tags looks at it */
	blk_mq_put_driver_tag(rq);
	if (rq->rq_flags & RQF_SCHED_TAGS)
		blk_mq_tag_put(hctx->sched_tags, hctx, rq->internal_tag);
	else
		blk_mq_tag_put(hctx->tags, hctx, rq->tag);
	blk_mq_check_restart(q);
	blk_queue_exit(blk_mq_this_ctx(q));
}

void blk_mq_free_merged(struct request *rq)
{
	struct elevator_queue *eq = rq->q->elevator;

	if ((rq->rq_flags & RQF_DONTPREP) && rq->q->mq_ops->cleanup_rq)
		rq->q->mq_ops->cleanup_rq(rq);
	if ((rq->rq_flags & RQF_USE_SCHED) && eq->type->ops.finish_request)
		eq->type->ops.finish_request(rq);
	blk_mq_free_request_now(rq);
}

/* ---- issuing ---------------------------------------------------------------------------------------- */

static void tag_waiter_got(struct blk_mq_tag_waiter *w)
{
	struct blk_mq_sw_queue *sw = container_of(w, struct blk_mq_sw_queue, tag_waiter);
	struct request *rq = list_first_entry(&sw->dispatch, struct request, queuelist);

	sw->is_waiting_for_tag = false;
	blkfs_assert(!list_empty(&sw->dispatch));
	if (rq->tag >= 0 || rq->mq_hctx->tags != w->tags) {
		blk_mq_tag_put(w->tags, w->hctx, w->tag); /* another came to the head meanwhile */
	} else {
		rq->tag = w->tag;
		__atomic_store_n(&w->tags->rqs[w->tag], rq, __ATOMIC_RELEASE);
	}
	blk_mq_run_sw_queue(sw);
}

static bool get_driver_tag(struct blk_mq_sw_queue *sw, struct request *rq)
{
	struct blk_mq_alloc_data data = { .q = rq->q, .sw = sw };
	struct blk_mq_tags *tags = sw->hctx->tags;
	unsigned int base;
	unsigned long got;

	if (rq->rq_flags & RQF_RESV)
		data.flags = BLK_MQ_REQ_RESERVED;
	got = blk_mq_tags_take(tags, sw->hctx, &sw->tag_hint, 1, &data, &base);
	if (!got)
		return false;
	rq->tag = (int)(base + (unsigned int)__builtin_ctzl(got));
	__atomic_store_n(&tags->rqs[rq->tag], rq, __ATOMIC_RELEASE);
	return true;
}

static bool is_back_pressure(blk_status_t status)
{
	return status == BLK_STS_RESOURCE || status == BLK_STS_DEV_RESOURCE ||
	       status == BLK_STS_ZONE_RESOURCE;
}

/* The driver did not take @rq: as if it had never been asked. */
static void undo_start(struct request *rq)
{
	if (rq->budget_token >= 0) {
		rq->q->mq_ops->put_budget(rq->q, rq->budget_token);
		rq->budget_token = -1;
	}
	rq->rq_flags &= ~(uint32_t)RQF_STARTED;
	__atomic_store_n(&rq->state, MQ_RQ_IDLE, __ATOMIC_RELEASE);
}

static blk_status_t __noinline queue_with_budget(struct blk_mq_hw_ctx *hctx,
						 const struct blk_mq_queue_data *bd)
{
	struct request_queue *q = hctx->queue;

	bd->rq->budget_token = q->mq_ops->get_budget(q);
	if (bd->rq->budget_token < 0)
		return BLK_STS_DEV_RESOURCE;
	return q->mq_ops->queue_rq(hctx, bd);
}

/*
 * What was not taken goes to the head of the dispatch list, in its order; without driver tags of its
 * own, since one that is given back later may come before it and need the last.
 */
static void put_back(struct blk_mq_sw_queue *sw, struct request *list)
{
	LIST_HEAD(rest);

	for (; list; list = list->rq_next) {
		blk_mq_put_driver_tag(list);
		list_add_tail(&list->queuelist, &rest);
	}
	list_splice_init(&rest, &sw->dispatch);
}

static enum issue_result result_of(blk_status_t status)
{
	return status == BLK_STS_DEV_RESOURCE ? ISSUE_DEV_BUSY : ISSUE_BUSY;
}

/* The end of a batch that has no last request at the driver (M2). */
static void commit(struct blk_mq_hw_ctx *hctx, bool must_commit)
{
	if (must_commit && hctx->queue->mq_ops->commit_rqs)
		hctx->queue->mq_ops->commit_rqs(hctx);
}

/* Gives @list, requests of @sw's hardware queue, to the driver in order. */
static enum issue_result issue(struct blk_mq_sw_queue *sw, struct request *list)
{
	struct blk_mq_hw_ctx *hctx = sw->hctx;
	const struct blk_mq_ops *ops = hctx->queue->mq_ops;
	blk_status_t (*queue_rq)(struct blk_mq_hw_ctx * hctx, const struct blk_mq_queue_data *bd) =
		ops->get_budget ? queue_with_budget : ops->queue_rq;
	bool must_commit = false;

	while (list) {
		struct request *rq = list, *next = rq->rq_next;
		struct blk_mq_queue_data bd = { .rq = rq, .last = !next };
		blk_status_t status;

		if (unlikely(rq->tag < 0) && !get_driver_tag(sw, rq)) {
			put_back(sw, list);
			commit(hctx, must_commit);
			return ISSUE_NO_TAG;
		}
		list = next; /* the driver may be done with @rq when it returns */
		status = queue_rq(hctx, &bd);
		if (likely(status == BLK_STS_OK)) {
			must_commit = list != NULL;
			sw->dispatched_nr++;
			continue;
		}
		undo_start(rq);
		if (is_back_pressure(status)) {
			rq->rq_next = list;
			put_back(sw, rq);
			commit(hctx, must_commit);
			return result_of(status);
		}
		rq->status = status;
		blk_done_add(blk_this_reactor(), rq);
	}
	commit(hctx, must_commit);
	return ISSUE_ALL;
}

/* ---- software queues ---------------------------------------------------------------------------------- */

static struct request *chain_of(struct list_head *head)
{
	struct request *first = NULL, **link = &first;

	while (!list_empty(head)) {
		struct request *rq = list_first_entry(head, struct request, queuelist);

		list_del_init(&rq->queuelist);
		rq->rq_next = NULL;
		*link = rq;
		link = &rq->rq_next;
	}
	return first;
}

/* Where this reactor sends requests of @hctx; NULL: it may not. */
static struct blk_mq_sw_queue *sw_here(struct blk_mq_ctx *ctx, const struct blk_mq_hw_ctx *hctx)
{
	for (unsigned int t = 0; t < HCTX_MAX_TYPES; t++) {
		if (ctx->sw_of[t]->hctx == hctx)
			return ctx->sw_of[t];
	}
	return NULL;
}

static void send_there_fn(struct rt_msg *msg)
{
	blk_mq_insert_bypass(container_of(msg, struct request, msg), false);
}

/* A request of another hardware queue: by that queue here, or by its own reactor. */
static void send_elsewhere(struct blk_mq_sw_queue *sw, struct request *rq)
{
	struct blk_mq_sw_queue *here = sw_here(sw->ctx, rq->mq_hctx);

	if (!here) {
		rq->msg.fn = send_there_fn;
		rt_post(rq->reactor, &rq->msg);
		return;
	}
	list_add_tail(&rq->queuelist, &here->dispatch);
	rt_defer_queue(&here->run_defer, RT_STAGE_ISSUE);
}

/*
 * Pulls from the elevator until it or the device has enough. Requests of one batch are gathered
 * while there are tags for them, so that the driver sees where the batch ends.
 */
static enum issue_result dispatch_elevator(struct blk_mq_sw_queue *sw, struct elevator_queue *eq)
{
	enum issue_result res = ISSUE_ALL;

	while (res == ISSUE_ALL) {
		struct request *batch = NULL, **link = &batch, *rq = NULL;
		unsigned int nr = 0;
		bool is_full = false;

		while (!is_full && nr++ < BLK_MAX_REQUEST_COUNT) {
			rq = eq->type->ops.dispatch_request(sw->hctx);
			if (!rq || rq->mq_hctx != sw->hctx)
				break;
			rq->rq_next = NULL;
			*link = rq;
			link = &rq->rq_next;
			is_full = sw->hctx->queue->mq_ops->get_budget || !get_driver_tag(sw, rq);
			rq = NULL;
		}
		if (!batch && !rq)
			break;
		if (batch)
			res = issue(sw, batch);
		if (rq)
			send_elsewhere(sw, rq);
	}
	return res;
}

/* Sends what waits in @sw, as far as the driver takes it. */
static enum issue_result dispatch(struct blk_mq_sw_queue *sw)
{
	struct request_queue *q = sw->hctx->queue;
	enum issue_result res;

	sw->run_nr++;
	if (__atomic_load_n(&q->is_quiesced, __ATOMIC_ACQUIRE) || READ_ONCE(sw->hctx->is_stopped))
		return ISSUE_ALL; /* who ends that runs us */
	if (sw->is_waiting_for_tag)
		return ISSUE_ALL; /* tag_waiter_got() runs us */
	if (!list_empty(&sw->dispatch)) {
		res = issue(sw, chain_of(&sw->dispatch));
		if (res != ISSUE_ALL)
			return res;
	}
	if (q->elevator && elevator_is_here(q->elevator)) {
		res = dispatch_elevator(sw, q->elevator);
		if (res != ISSUE_ALL)
			return res;
	}
	if (!list_empty(&sw->rq_list))
		return issue(sw, chain_of(&sw->rq_list));
	return ISSUE_ALL;
}

static void mark_restart(struct blk_mq_sw_queue *sw)
{
	rt_sim_point();
	__atomic_fetch_or(&sw->hctx->queue->restart, 1ULL << sw->ctx->reactor, __ATOMIC_SEQ_CST);
	rt_sim_point();
}

/* Sees to it that @sw will be run again (M3). true: ask the driver again at once. */
static bool wait_for(struct blk_mq_sw_queue *sw, enum issue_result res, bool is_second)
{
	switch (res) {
	case ISSUE_ALL:
		return false;
	case ISSUE_NO_TAG:
		sw->is_waiting_for_tag = true;
		sw->tag_waiter.hctx = sw->hctx;
		sw->tag_waiter.got = tag_waiter_got;
		blk_mq_tag_wait_async(sw->hctx->tags, &sw->tag_waiter);
		return false;
	case ISSUE_DEV_BUSY:
		mark_restart(sw);
		return !is_second;
	case ISSUE_BUSY:
		mark_restart(sw);
		rt_timer_arm(&sw->run_timer, rt_now() + BLK_MQ_RESOURCE_DELAY_NS);
		return false;
	}
	return false;
}

static void run_until_blocked(struct blk_mq_sw_queue *sw, enum issue_result res)
{
	bool is_second = false;

	for (;;) {
		is_second = wait_for(sw, res, is_second);
		if (!is_second && !sw->must_rerun)
			return;
		sw->must_rerun = false;
		res = dispatch(sw);
	}
}

/* Issue @list, which may be NULL, then what else waits in @sw. */
static void run_now(struct blk_mq_sw_queue *sw, struct request *list)
{
	struct blk_reactor *br = blk_this_reactor();
	enum issue_result res;

	sw->is_running = true;
	br->issue_depth++;
	res = list ? issue(sw, list) : dispatch(sw);
	if (unlikely(res != ISSUE_ALL || sw->must_rerun))
		run_until_blocked(sw, res);
	sw->is_running = false;
	if (--br->issue_depth == 0)
		blk_done_drain(br);
}

/* BLK_MQ_F_BLOCKING: in a task; what completes meanwhile is ended by the done defer. */
static void run_work_fn(struct rt_work *work)
{
	struct blk_mq_sw_queue *sw = container_of(work, struct blk_mq_sw_queue, run_work);
	struct request_queue *q = sw->hctx->queue;

	run_until_blocked(sw, dispatch(sw));
	WRITE_ONCE(sw->ctx->blocking_nr, sw->ctx->blocking_nr - 1);
	sw->is_running = false;
	rt_waitqueue_wake_all(&q->quiesce_wq);
}

/* It counts as running from here on: the work is queued once, and a quiesce waits for it. */
static void run_in_task(struct blk_mq_sw_queue *sw)
{
	if (sw->is_running) {
		sw->must_rerun = true;
		return;
	}
	sw->is_running = true;
	WRITE_ONCE(sw->ctx->blocking_nr, sw->ctx->blocking_nr + 1);
	rt_work_queue(&sw->run_work);
}

void blk_mq_run_sw_queue(struct blk_mq_sw_queue *sw)
{
	if (unlikely(queue_flag_test(sw->hctx->queue, QUEUE_FLAG_BLOCKING))) {
		run_in_task(sw);
		return;
	}
	if (sw->is_running)
		rt_defer_queue(&sw->run_defer, RT_STAGE_READY);
	else
		run_now(sw, NULL);
}

static void run_defer_fn(struct rt_defer *d)
{
	blk_mq_run_sw_queue(container_of(d, struct blk_mq_sw_queue, run_defer));
}

static void run_timer_fn(struct rt_timer *t)
{
	blk_mq_run_sw_queue(container_of(t, struct blk_mq_sw_queue, run_timer));
}

static void run_msg_fn(struct rt_msg *msg)
{
	struct blk_mq_sw_queue *sw = container_of(msg, struct blk_mq_sw_queue, run_msg);

	__atomic_store_n(&sw->is_run_posted, false, __ATOMIC_SEQ_CST);
	blk_mq_run_sw_queue(sw);
}

/* Have @sw's reactor run it, whichever that is. */
static void kick(struct blk_mq_sw_queue *sw)
{
	if (!__atomic_exchange_n(&sw->is_run_posted, true, __ATOMIC_SEQ_CST))
		rt_post(sw->ctx->reactor, &sw->run_msg);
}

static void kick_all(struct request_queue *q, const struct blk_mq_hw_ctx *hctx, uint64_t reactors)
{
	for (unsigned int r = 0; r < q->nr_reactors; r++) {
		if (!(reactors & (1ULL << r)))
			continue;
		for (unsigned int t = 0; t < HCTX_MAX_TYPES; t++) {
			struct blk_mq_sw_queue *sw = &q->ctxs[r].sw[t];

			if (sw->hctx && (!hctx || sw->hctx == hctx))
				kick(sw);
		}
	}
}

void blk_mq_restart(struct request_queue *q)
{
	uint64_t reactors = __atomic_exchange_n(&q->restart, 0, __ATOMIC_SEQ_CST);

	kick_all(q, NULL, reactors);
}

void blk_mq_run_hw_queue(struct blk_mq_hw_ctx *hctx)
{
	kick_all(hctx->queue, hctx, ~0ULL);
}

void blk_mq_run_hw_queues(struct request_queue *q)
{
	kick_all(q, NULL, ~0ULL);
}

void blk_mq_stop_hw_queue(struct blk_mq_hw_ctx *hctx)
{
	WRITE_ONCE(hctx->is_stopped, true);
}

void blk_mq_start_stopped_hw_queue(struct blk_mq_hw_ctx *hctx)
{
	if (__atomic_exchange_n(&hctx->is_stopped, false, __ATOMIC_SEQ_CST))
		blk_mq_run_hw_queue(hctx);
}

void blk_mq_sw_init(struct blk_mq_sw_queue *sw, struct blk_mq_ctx *ctx, struct blk_mq_hw_ctx *hctx)
{
	sw->ctx = ctx;
	sw->hctx = hctx;
	INIT_LIST_HEAD(&sw->rq_list);
	INIT_LIST_HEAD(&sw->dispatch);
	rt_defer_init(&sw->run_defer, run_defer_fn);
	rt_timer_init(&sw->run_timer, run_timer_fn);
	rt_work_init(&sw->run_work, run_work_fn);
	sw->run_msg.fn = run_msg_fn;
}

/* ---- inserting ------------------------------------------------------------------------------------------ */

void blk_mq_insert_bypass(struct request *rq, bool at_head)
{
	struct blk_mq_sw_queue *sw = blk_mq_rq_sw(rq);

	blkfs_assert(rq->reactor == rt_reactor_id());
	trace(TRACE_I, rq, NULL);
	/* The head may wait for a tag that is on its way to it: nobody may come before it then. */
	if (at_head && sw->is_waiting_for_tag)
		list_add(&rq->queuelist, sw->dispatch.next);
	else if (at_head)
		list_add(&rq->queuelist, &sw->dispatch);
	else
		list_add_tail(&rq->queuelist, &sw->dispatch);
	rt_defer_queue(&sw->run_defer, RT_STAGE_ISSUE);
}

static void insert_into_elevator(struct request *list)
{
	struct request *first = list, *next;
	struct elevator_queue *eq = first->q->elevator;
	struct blk_mq_hw_ctx *hctx = first->mq_hctx;
	struct blk_mq_sw_queue *sw = sw_here(blk_mq_this_ctx(first->q), hctx);
	LIST_HEAD(rqs);

	for (struct request *rq = list; rq; rq = next) {
		next = rq->rq_next;
		trace(TRACE_I, rq, NULL);
		list_add_tail(&rq->queuelist, &rqs);
	}
	eq->type->ops.insert_requests(hctx, &rqs, false);
	if (!sw) /* the home may not send to this hardware queue; it dispatches all the same */
		sw = blk_mq_this_ctx(eq->q)->sw_of[HCTX_TYPE_DEFAULT];
	blk_mq_run_sw_queue(sw);
}

static void insert_at_home_fn(struct rt_msg *msg)
{
	insert_into_elevator(container_of(msg, struct request, msg));
}

void blk_mq_send_list(struct request *list)
{
	struct blk_mq_sw_queue *sw = blk_mq_rq_sw(list);
	struct request_queue *q = list->q;

	if (unlikely(list->rq_flags & RQF_USE_SCHED)) {
		if (elevator_is_here(q->elevator)) {
			insert_into_elevator(list);
		} else {
			list->msg.fn = insert_at_home_fn;
			rt_post(q->elevator->home, &list->msg);
		}
		return;
	}
	if (likely(!sw->is_running && list_empty(&sw->dispatch) && list_empty(&sw->rq_list) &&
		   !READ_ONCE(q->is_quiesced) && !READ_ONCE(sw->hctx->is_stopped) &&
		   !queue_flag_test(q, QUEUE_FLAG_BLOCKING))) {
		run_now(sw, list);
		return;
	}
	for (struct request *rq = list; rq; rq = rq->rq_next) {
		trace(TRACE_I, rq, NULL);
		list_add_tail(&rq->queuelist, &sw->rq_list);
	}
	blk_mq_run_sw_queue(sw);
}
