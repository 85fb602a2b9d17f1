/* SPDX-License-Identifier: MIT */
/*
 * The direct driver: files and block devices with O_DIRECT on the reactors' rings. Opening and
 * refusing is direct_claim.c, what the source can take direct_limits.c, one request direct_io.c.
 *
 * Invariants: 1. bi_end_io means that the memory is the caller's again, for errors as well. The
 *                kernel cannot abort what a device holds, and the pages are the caller's own: so a
 *                request that does not come back stays, with its tag and its memory.
 *             2. Therefore a timeout waits on and says so; nobody is told EIO for a slow disk.
 *             3. Who gives up (direct_disk_offline) gets back at once what can be cancelled. The
 *                rest is in quarantine: the owner of its memory answers whoever waits, and keeps
 *                the memory until the end. del_gendisk() waits for it.
 * Locks:      none; requests share the source, which does not change, and atomics.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

#include "direct.h"

enum {
	/* The locks of udev's probing are short; a user's are not. */
	LOCK_TRIES_BLOCK = 20,
	LOCK_RETRY_NS = 50000000,
};
#define SLOW_LINE_EVERY_NS (300 * 1000000000ULL)

/* One ring a reactor is one hardware queue; a disk that seeks is sorted as a whole, before one. */
static const struct {
	bool has_queue_per_reactor;
	unsigned int queue_depth;
} shapes[] = {
	[false] = { true, 64 }, [true] = { false, 32 }, /* rotational */
};

static blk_status_t direct_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct direct_disk *dd = hctx->driver_data;

	if (READ_ONCE(dd->is_offline))
		return BLK_STS_OFFLINE;
	blk_mq_start_request(bd->rq);
	direct_start(bd->rq);
	return BLK_STS_OK;
}

static enum blk_eh_timer_return direct_timeout(struct request *rq)
{
	struct direct_disk *dd = rq->mq_hctx->driver_data;
	uint64_t now_ns = rt_now(), said_ns = READ_ONCE(dd->said_slow_ns);

	if ((!said_ns || now_ns - said_ns > SLOW_LINE_EVERY_NS) &&
	    __atomic_compare_exchange_n(&dd->said_slow_ns, &said_ns, now_ns, false,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		log_warn(
			"%s does not answer: %s of %u bytes at sector %llu for %llu s; it is waited "
			"for, look at the kernel's log",
			dd->src.path, blk_op_name(rq->cmd_flags), blk_rq_bytes(rq),
			(unsigned long long)blk_rq_pos(rq),
			(unsigned long long)((now_ns - rq->io_start_time_ns) / 1000000000));
	return BLK_EH_RESET_TIMER;
}

static int direct_init_hctx(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int hctx_idx)
{
	hctx->driver_data = driver_data;
	return 0;
}

static int direct_init_request(struct blk_mq_tag_set *set, struct request *rq,
			       unsigned int hctx_idx)
{
	direct_init_pdu(blk_mq_rq_to_pdu(rq));
	return 0;
}

static int close_source(void *arg)
{
	direct_close(arg);
	return 0;
}

static void direct_free_disk(struct gendisk *disk)
{
	struct direct_disk *dd = disk->private_data;

	blk_mq_free_tag_set(&dd->set);
	rt_offload(close_source, &dd->src);
	free(dd);
}

static const struct blk_mq_ops direct_ops = {
	.queue_rq = direct_queue_rq,
	.timeout = direct_timeout,
	.init_hctx = direct_init_hctx,
	.init_request = direct_init_request,
	.free_disk = direct_free_disk,
};

/* ---- giving up ----------------------------------------------------------------------------------- */

static bool cancel_if_mine(struct request *rq, void *arg)
{
	struct direct_rq *pdu = blk_mq_rq_to_pdu(rq);

	if (__atomic_load_n(&pdu->reactor, __ATOMIC_RELAXED) == rt_reactor_id())
		rt_io_cancel(&pdu->io);
	return true;
}

static void cancel_all_here(void *arg)
{
	struct direct_disk *dd = arg;

	blk_mq_tagset_busy_iter(&dd->set, cancel_if_mine, NULL);
}

void direct_disk_offline(struct gendisk *disk)
{
	struct direct_disk *dd = disk->private_data;

	__atomic_store_n(&dd->is_offline, true, __ATOMIC_SEQ_CST);
	blk_mark_disk_dead(disk);
	for (unsigned int r = 0; r < rt_reactor_nr(); r++)
		if (rt_call_on(r, cancel_all_here, dd))
			log_err("%s goes offline, but reactor %u does not answer", dd->src.path, r);
}

/* ---- life ------------------------------------------------------------------------------------------ */

struct opening {
	struct direct_source *src;
	const struct direct_config *c;
	bool is_read_only;
};

static int open_source(void *arg)
{
	struct opening *o = arg;

	return direct_open(o->src, o->c, o->is_read_only);
}

static int lock_source(void *arg)
{
	struct opening *o = arg;

	return direct_lock(o->src);
}

static int log_lock_holder(void *arg)
{
	struct opening *o = arg;

	direct_log_lock_holder(o->src);
	return -EBUSY;
}

static int probe_source(void *arg)
{
	struct opening *o = arg;

	return direct_probe(o->src, o->c);
}

static int lock_patiently(struct opening *o)
{
	int tries_nr = o->src->is_block ? LOCK_TRIES_BLOCK : 1;
	int ret;

	for (;;) {
		ret = rt_offload(lock_source, o);
		if (ret != -EWOULDBLOCK)
			return ret;
		if (--tries_nr == 0)
			return rt_offload(log_lock_holder, o);
		rt_sleep_ns(LOCK_RETRY_NS);
	}
}

static int make_source(struct direct_source *src, const struct direct_config *c, bool is_read_only)
{
	struct opening o = { src, c, is_read_only };
	int ret;

	ret = rt_offload(open_source, &o);
	if (!ret)
		ret = lock_patiently(&o);
	if (!ret)
		ret = rt_offload(probe_source, &o);
	return ret;
}

static int make_disk(struct direct_disk *dd, const struct drv_config *dc, struct gendisk **out)
{
	bool is_rotational = dd->src.lim.features & BLK_FEAT_ROTATIONAL;
	unsigned int queues_nr = shapes[is_rotational].has_queue_per_reactor ? rt_reactor_nr() : 1;
	int ret;

	dd->set = (struct blk_mq_tag_set){
		.ops = &direct_ops,
		.nr_hw_queues = dc->hw_queues ? dc->hw_queues : queues_nr,
		.queue_depth = dc->queue_depth ? dc->queue_depth
					       : shapes[is_rotational].queue_depth,
		.cmd_size = sizeof(struct direct_rq),
		.driver_data = dd,
	};
	ret = blk_mq_alloc_tag_set(&dd->set);
	if (!ret) {
		ret = blk_mq_alloc_disk(&dd->set, &dd->src.lim,
					bytes_to_sectors(dd->src.size_bytes), dc->name, dd,
					dc->attrs, out);
		if (ret)
			blk_mq_free_tag_set(&dd->set);
	}
	if (ret) {
		log_err("no disk %s can be made of %s: error %d; look at queue_depth and hw_queues",
			dc->name, dd->src.path, -ret);
		return ret;
	}
	set_disk_ro(*out, dc->is_read_only);
	return 0;
}

int direct_disk_create(const struct drv_config *dc, const struct direct_config *c,
		       struct gendisk **out)
{
	struct direct_disk *dd = calloc(1, sizeof(*dd));
	int ret;

	if (!dd)
		return -ENOMEM;
	ret = make_source(&dd->src, c, dc->is_read_only);
	if (!ret)
		ret = make_disk(dd, dc, out);
	if (ret) {
		rt_offload(close_source, &dd->src);
		free(dd);
	}
	return ret;
}
