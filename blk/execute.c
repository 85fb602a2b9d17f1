/* SPDX-License-Identifier: MIT */
/*
 * execute.c - a driver's own commands, through the same tags and queues as everybody's.
 */
#include "mq.h"

struct request *blk_mq_alloc_request(struct request_queue *q, blk_opf_t opf, unsigned int flags)
{
	blk_opf_t nowait = flags & BLK_MQ_REQ_NOWAIT ? REQ_NOWAIT : 0;
	struct blk_mq_alloc_data data = { .q = q, .cmd_flags = opf, .flags = flags };
	struct request *rq;

	if (blk_queue_enter(q, opf | nowait) != BLK_STS_OK)
		return NULL;
	data.ctx = blk_mq_this_ctx(q);
	data.sw = data.ctx->sw_of[blk_mq_hctx_type(opf)];
	rq = blk_mq_get_request(&data);
	if (!rq) {
		blk_queue_exit(data.ctx);
		return NULL;
	}
	rq->bio = rq->biotail = NULL;
	rq->sector = 0;
	rq->data_len = 0;
	rq->nr_phys_segments = rq->nr_discard_segments = 0;
	rq->ioprio = 0;
	rq->write_hint = 0;
	rq->part = &q->disk->part0;
	return rq;
}

void blk_mq_free_request(struct request *rq)
{
	blk_mq_free_request_now(rq);
}

static void execute_end_io(struct request *rq, blk_status_t status)
{
	complete(rq->end_io_data);
}

blk_status_t blk_execute_rq(struct request *rq)
{
	struct completion done;

	completion_init(&done);
	rq->end_io = execute_end_io;
	rq->end_io_data = &done;
	blk_mq_insert_bypass(rq, false);
	completion_wait(&done);
	return rq->status;
}
