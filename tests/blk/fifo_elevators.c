/* SPDX-License-Identifier: MIT */
/*
 * fifo: a list for each reactor of each hardware queue. fifo-home: one list for the queue, with the
 * merge hash and the sorted tree, as mq-deadline will use them.
 */
#include "tests/blk/fifo_elevators.h"

#include <errno.h>
#include <stdlib.h>

#include "blk/blk.h"
#include "blk/merge.h"
#include "blkfs/rt.h"

/* ---- fifo ---------------------------------------------------------------------------------------- */

static struct list_head *list_here(struct blk_mq_hw_ctx *hctx)
{
	return &((struct list_head *)hctx->sched_data)[rt_reactor_id()];
}

static int fifo_init_sched(struct request_queue *q, struct elevator_queue *eq)
{
	return 0;
}

static int fifo_init_hctx(struct blk_mq_hw_ctx *hctx, unsigned int hctx_idx)
{
	struct list_head *lists = calloc(rt_reactor_nr(), sizeof(*lists));

	if (!lists)
		return -ENOMEM;
	for (unsigned int r = 0; r < rt_reactor_nr(); r++)
		INIT_LIST_HEAD(&lists[r]);
	hctx->sched_data = lists;
	return 0;
}

static void fifo_exit_hctx(struct blk_mq_hw_ctx *hctx, unsigned int hctx_idx)
{
	const struct list_head *lists = hctx->sched_data;

	for (unsigned int r = 0; r < rt_reactor_nr(); r++)
		blkfs_assert(list_empty(&lists[r]));
	free(hctx->sched_data);
	hctx->sched_data = NULL;
}

static void fifo_insert_requests(struct blk_mq_hw_ctx *hctx, struct list_head *list, bool at_head)
{
	if (at_head)
		list_splice_init(list, list_here(hctx));
	else
		list_splice_tail_init(list, list_here(hctx));
}

static struct request *fifo_dispatch_request(struct blk_mq_hw_ctx *hctx)
{
	struct request *rq = list_first_entry_or_null(list_here(hctx), struct request, queuelist);

	if (rq)
		list_del_init(&rq->queuelist);
	return rq;
}

static bool fifo_has_work(struct blk_mq_hw_ctx *hctx)
{
	return !list_empty(list_here(hctx));
}

const struct elevator_type fifo_elevator = {
	.elevator_name = "fifo",
	.ops = {
		.init_sched = fifo_init_sched,
		.init_hctx = fifo_init_hctx,
		.exit_hctx = fifo_exit_hctx,
		.insert_requests = fifo_insert_requests,
		.dispatch_request = fifo_dispatch_request,
		.has_work = fifo_has_work,
	},
};

/* ---- fifo-home ------------------------------------------------------------------------------------ */

struct home_data {
	struct list_head fifo;
	struct rb_root sorted;
	unsigned int batch; /* iosched/batch: a tunable to be seen and set */
};

static struct home_data *home_of(const struct request_queue *q)
{
	blkfs_assert(rt_reactor_id() == q->elevator->home);
	return q->elevator->elevator_data;
}

static int home_init_sched(struct request_queue *q, struct elevator_queue *eq)
{
	struct home_data *hd = calloc(1, sizeof(*hd));

	if (!hd)
		return -ENOMEM;
	INIT_LIST_HEAD(&hd->fifo);
	hd->sorted = RB_ROOT;
	hd->batch = 16;
	eq->elevator_data = hd;
	return 0;
}

static void home_exit_sched(struct elevator_queue *eq)
{
	struct home_data *hd = eq->elevator_data;

	blkfs_assert(list_empty(&hd->fifo) && RB_EMPTY_ROOT(&hd->sorted));
	free(hd);
}

static void home_prepare_request(struct request *rq)
{
	RB_CLEAR_NODE(&rq->rb_node);
	INIT_LIST_HEAD(&rq->queuelist);
}

static void home_remove(struct request_queue *q, struct request *rq)
{
	list_del_init(&rq->queuelist);
	if (!RB_EMPTY_NODE(&rq->rb_node))
		elv_rb_del(&home_of(q)->sorted, rq);
	elv_rqhash_del(q, rq);
}

static void home_add(struct request_queue *q, struct request *rq, struct list_head *behind)
{
	struct home_data *hd = home_of(q);

	list_add_tail(&rq->queuelist, behind);
	elv_rb_add(&hd->sorted, rq);
	if (rq_mergeable(rq))
		elv_rqhash_add(q, rq);
}

static void home_insert_requests(struct blk_mq_hw_ctx *hctx, struct list_head *list, bool at_head)
{
	struct request_queue *q = hctx->queue;
	struct list_head *behind = &home_of(q)->fifo;

	/* At the head they keep their order, before what is first now. */
	behind = at_head ? behind->next : behind;
	while (!list_empty(list)) {
		struct request *rq = list_first_entry(list, struct request, queuelist);

		list_del_init(&rq->queuelist);
		if (elv_attempt_insert_merge(q, rq))
			blk_mq_free_merged(rq);
		else
			home_add(q, rq, behind);
	}
}

static struct request *home_dispatch_request(struct blk_mq_hw_ctx *hctx)
{
	struct home_data *hd = home_of(hctx->queue);
	struct request *rq = list_first_entry_or_null(&hd->fifo, struct request, queuelist);

	if (rq)
		home_remove(hctx->queue, rq);
	return rq;
}

static bool home_has_work(struct blk_mq_hw_ctx *hctx)
{
	return !list_empty(&home_of(hctx->queue)->fifo);
}

static bool home_bio_merge(struct request_queue *q, struct bio *bio, unsigned int nr_segs)
{
	struct request *rq = NULL;
	enum elv_merge type = elv_merge(q, &rq, bio);

	if (type == ELEVATOR_NO_MERGE || bio_attempt_merge(rq, bio, nr_segs) == ELEVATOR_NO_MERGE)
		return false;
	elv_merged_request(q, rq, type);
	return true;
}

static enum elv_merge home_request_merge(struct request_queue *q, struct request **rq,
					 struct bio *bio)
{
	struct request *found = elv_rb_find(&home_of(q)->sorted, bio_end_sector(bio));

	if (!found || !blk_rq_merge_ok(found, bio))
		return ELEVATOR_NO_MERGE;
	*rq = found;
	return ELEVATOR_FRONT_MERGE;
}

/* A front merge moved the request in the sorted order. */
static void home_request_merged(struct request_queue *q, struct request *rq, enum elv_merge type)
{
	if (type != ELEVATOR_FRONT_MERGE)
		return;
	elv_rb_del(&home_of(q)->sorted, rq);
	elv_rb_add(&home_of(q)->sorted, rq);
}

static void home_requests_merged(struct request_queue *q, struct request *rq, struct request *next)
{
	home_remove(q, next);
}

static int show_batch(void *obj, struct strbuf *out)
{
	const struct home_data *hd = ((const struct elevator_queue *)obj)->elevator_data;

	strbuf_printf(out, "%u\n", READ_ONCE(hd->batch));
	return 0;
}

static const struct attr home_attrs[] = { { "batch", 0444, show_batch, NULL } };

const struct elevator_type fifo_home_elevator = {
	.elevator_name = "fifo-home",
	.elevator_alias = "fifoh",
	.flags = ELEVATOR_F_HOME,
	.ops = {
		.init_sched = home_init_sched,
		.exit_sched = home_exit_sched,
		.bio_merge = home_bio_merge,
		.request_merge = home_request_merge,
		.request_merged = home_request_merged,
		.requests_merged = home_requests_merged,
		.prepare_request = home_prepare_request,
		.insert_requests = home_insert_requests,
		.dispatch_request = home_dispatch_request,
		.has_work = home_has_work,
		.former_request = elv_rb_former_request,
		.next_request = elv_rb_latter_request,
	},
	.attrs = home_attrs,
	.attrs_nr = ARRAY_SIZE(home_attrs),
};
