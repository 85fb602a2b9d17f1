/* SPDX-License-Identifier: MIT */
/*
 * The null driver: ends what it is given without doing it. The smallest driver there is, and the
 * example to driver.h: read null_disk_create() first, then the ops table, then queue_rq.
 *
 * Invariants: 1. A request that was started is completed exactly once: inside queue_rq, or by the
 *                timer in its pdu.
 *             2. A timer is armed and fires on the reactor that ran queue_rq.
 * Locks:      none; requests share nothing but the configuration, which does not change.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "blkfs/driver.h"
#include "blkfs/drivers.h"

enum { NULL_QUEUE_DEPTH = 128, NULL_RANGE_SECTORS_MAX = UINT32_MAX >> SECTOR_SHIFT };

struct null_disk {
	struct blk_mq_tag_set set;
	uint64_t completion_ns;
};

/* What the driver keeps of each request: tag_set.cmd_size bytes behind struct request. */
struct null_rq {
	struct rt_timer timer;
};

static void null_timer_fires(struct rt_timer *timer)
{
	struct null_rq *pdu = container_of(timer, struct null_rq, timer);

	blk_mq_complete_request(blk_mq_rq_from_pdu(pdu), BLK_STS_OK);
}

static blk_status_t null_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct null_disk *nd = hctx->driver_data;
	struct null_rq *pdu = blk_mq_rq_to_pdu(bd->rq);

	blk_mq_start_request(bd->rq);
	if (nd->completion_ns)
		rt_timer_arm(&pdu->timer, rt_now() + nd->completion_ns);
	else
		blk_mq_complete_request(bd->rq, BLK_STS_OK);
	return BLK_STS_OK;
}

static int null_init_hctx(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int hctx_idx)
{
	hctx->driver_data = driver_data;
	return 0;
}

static int null_init_request(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_idx)
{
	struct null_rq *pdu = blk_mq_rq_to_pdu(rq);

	rt_timer_init(&pdu->timer, null_timer_fires);
	return 0;
}

static void null_free_disk(struct gendisk *disk)
{
	struct null_disk *nd = disk->private_data;

	blk_mq_free_tag_set(&nd->set);
	free(nd);
}

static const struct blk_mq_ops null_ops = {
	.queue_rq = null_queue_rq,
	.init_hctx = null_init_hctx,
	.init_request = null_init_request,
	.free_disk = null_free_disk,
};

static void null_limits(const struct null_config *nc, struct queue_limits *lim)
{
	blk_set_default_limits(lim);
	lim->logical_block_size = nc->logical_block_size ? nc->logical_block_size : SECTOR_SIZE;
	lim->physical_block_size = lim->logical_block_size;
	lim->discard_granularity = lim->logical_block_size;
	lim->max_hw_discard_sectors = NULL_RANGE_SECTORS_MAX;
	lim->max_write_zeroes_sectors = NULL_RANGE_SECTORS_MAX;
	lim->features |= (nc->has_write_cache ? BLK_FEAT_WRITE_CACHE : 0) |
			 (nc->has_fua ? BLK_FEAT_FUA : 0);
}

int null_disk_create(const struct drv_config *dc, const struct null_config *nc,
		     struct gendisk **out)
{
	struct null_disk *nd = calloc(1, sizeof(*nd));
	struct queue_limits lim;
	int ret;

	if (!nd)
		return -ENOMEM;
	nd->completion_ns = nc->completion_ns;
	nd->set = (struct blk_mq_tag_set){
		.ops = &null_ops,
		.nr_hw_queues = dc->hw_queues ? dc->hw_queues : rt_reactor_nr(),
		.queue_depth = dc->queue_depth ? dc->queue_depth : NULL_QUEUE_DEPTH,
		.cmd_size = sizeof(struct null_rq),
		.driver_data = nd,
	};
	ret = blk_mq_alloc_tag_set(&nd->set);
	if (ret)
		goto free_null;

	null_limits(nc, &lim);
	ret = blk_mq_alloc_disk(&nd->set, &lim, bytes_to_sectors(nc->size_bytes), dc->name, nd,
				dc->attrs, out);
	if (ret)
		goto free_set;
	set_disk_ro(*out, dc->is_read_only);
	return 0;

free_set:
	blk_mq_free_tag_set(&nd->set);
free_null:
	free(nd);
	log_err("null disk %s of %llu bytes cannot be made: error %d; look at queue_depth, "
		"hw_queues and the block size",
		dc->name, (unsigned long long)nc->size_bytes, -ret);
	return ret;
}
