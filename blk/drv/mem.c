/* SPDX-License-Identifier: MIT */
/*
 * The mem driver: a RAM disk, plain or with the model of a volatile cache (mem_cache.c).
 *
 * Invariants: 1. A plain disk (no cache, no latency) does each request inside queue_rq.
 *             2. Else the disk has a home reactor, which alone touches the model, the list of what
 *                is in flight, and the timers; other reactors send it their requests. What is stuck
 *                waits there too, on any disk.
 *             3. A write reaches the readers' image when the device gets it, and the medium by the
 *                rules of the cache; without a volatile cache when it completes.
 *             4. A request's timeout and its completion race for pdu->state; the one that loses
 *                leaves the end to the other.
 * Locks:      none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/parse.h"
#include "blkfs/driver.h"
#include "blkfs/drivers.h"

#include "mem_cache.h"
#include "mem_fault.h"

enum {
	MEM_QUEUE_DEPTH = 64,
	MEM_SECTORS_MAX = 1024, /* of a read or write: bounds the pieces in flight */
	MEM_SEGMENTS = 128,
	MEM_RANGE_SECTORS_MAX = UINT32_MAX >> SECTOR_SHIFT,
	MEM_ZERO_BY_UNMAP_BYTES = 256 << 10, /* from here on memory is given back */
	MEM_SIZE_UNIT = 4096,
};

enum mem_rq_state { MEM_RQ_IDLE, MEM_RQ_RUNNING, MEM_RQ_ABORTING };

struct mem_rq {
	struct rt_msg msg, abort_msg;
	struct rt_timer timer;	/* [home] */
	struct list_head node;	/* [home] disk->in_flight */
	struct mem_write write; /* [home] */
	uint64_t flush_mark;	/* [home] */
	uint32_t state;		/* enum mem_rq_state [atomic] */
	blk_status_t verdict;
	bool is_stuck, is_finished;
};

struct mem_disk {
	struct blk_mq_tag_set set;
	uint64_t size_bytes;
	uint8_t *image;		 /* what readers see */
	struct mem_cache *cache; /* [home] NULL: plain */
	bool has_write_cache;
	uint64_t latency_ns;
	unsigned int home;
	struct list_head in_flight; /* [home] */
	bool is_dead;		    /* [atomic] */
	struct mem_faults faults;
};

/* ---- the data ---------------------------------------------------------------------------------- */

static void zero_range(uint8_t *p, size_t len)
{
	uint8_t *first = (uint8_t *)round_up((uintptr_t)p, MEM_SIZE_UNIT);
	uint8_t *end = (uint8_t *)round_down((uintptr_t)(p + len), MEM_SIZE_UNIT);

	/* rt_dma_alloc() is private memory: pages that are given back come again as zeros. */
	if (len < MEM_ZERO_BY_UNMAP_BYTES || madvise(first, (size_t)(end - first), MADV_DONTNEED)) {
		memset(p, 0, len);
		return;
	}
	memset(p, 0, (size_t)(first - p));
	memset(end, 0, (size_t)(p + len - end));
}

static void copy_rq(const struct mem_disk *md, const struct request *rq)
{
	uint8_t *at = md->image + sectors_to_bytes(blk_rq_pos(rq));
	bool is_write = op_is_write(rq->cmd_flags);
	const struct bio *bio;

	rq_for_each_bio(bio, rq) {
		struct bvec_iter it;
		struct bio_vec bv;

		bio_for_each_vec(bv, bio, it) {
			if (is_write)
				memcpy(at, bv.bv_addr, bv.bv_len);
			else
				memcpy(bv.bv_addr, at, bv.bv_len);
			at += bv.bv_len;
		}
	}
}

/* What readers see after the request; the core has checked its range. */
static blk_status_t image_apply(const struct mem_disk *md, const struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		copy_rq(md, rq);
		return BLK_STS_OK;
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		zero_range(md->image + sectors_to_bytes(blk_rq_pos(rq)), blk_rq_bytes(rq));
		return BLK_STS_OK;
	case REQ_OP_FLUSH:
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

/* ---- the model: on the home reactor -------------------------------------------------------------- */

static void model_begin(struct mem_disk *md, struct request *rq, struct mem_rq *pdu)
{
	pdu->verdict = image_apply(md, rq);
	if (pdu->verdict || !md->cache)
		return;
	if (req_op(rq) == REQ_OP_FLUSH)
		pdu->flush_mark = mem_cache_mark(md->cache);
	else if (op_is_write(rq->cmd_flags))
		mem_cache_write(md->cache, &pdu->write, blk_rq_pos(rq), blk_rq_sectors(rq),
				!op_has_data(rq->cmd_flags));
}

static void model_end(struct mem_disk *md, struct request *rq, struct mem_rq *pdu)
{
	if (pdu->verdict || !md->cache)
		return;
	if (req_op(rq) == REQ_OP_FLUSH)
		mem_cache_flush(md->cache, pdu->flush_mark);
	else if (op_is_write(rq->cmd_flags))
		mem_cache_complete(md->cache, &pdu->write,
				   !md->has_write_cache || (rq->cmd_flags & REQ_FUA));
}

static void end_rq(struct mem_rq *pdu, blk_status_t status)
{
	list_del_init(&pdu->node);
	rt_timer_cancel(&pdu->timer);
	__atomic_store_n(&pdu->state, MEM_RQ_IDLE, __ATOMIC_RELEASE);
	blk_mq_complete_request(blk_mq_rq_from_pdu(pdu), status);
}

/* A dead disk's model is what the cut left: nothing more goes in. */
static void finish_rq(struct mem_disk *md, struct mem_rq *pdu)
{
	uint32_t running = MEM_RQ_RUNNING;

	if (READ_ONCE(md->is_dead))
		pdu->verdict = BLK_STS_OFFLINE;
	model_end(md, blk_mq_rq_from_pdu(pdu), pdu);
	pdu->is_finished = true;
	rt_sim_point();
	if (__atomic_compare_exchange_n(&pdu->state, &running, MEM_RQ_IDLE, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		end_rq(pdu, pdu->verdict);
}

static struct mem_disk *disk_of(struct mem_rq *pdu)
{
	return blk_mq_rq_from_pdu(pdu)->mq_hctx->driver_data;
}

static void mem_timer_fires(struct rt_timer *timer)
{
	struct mem_rq *pdu = container_of(timer, struct mem_rq, timer);

	finish_rq(disk_of(pdu), pdu);
}

/* Half the mean to one and a half; one in sixteen takes eight times as long. */
static uint64_t draw_latency_ns(const struct mem_disk *md)
{
	uint64_t draw = rt_random();
	uint64_t ns = md->latency_ns / 2 + (draw >> 4) % (md->latency_ns + 1);

	return draw % 16 ? ns : 8 * ns;
}

static void start_at_home(struct mem_disk *md, struct mem_rq *pdu)
{
	struct request *rq = blk_mq_rq_from_pdu(pdu);

	list_add_tail(&pdu->node, &md->in_flight);
	if (READ_ONCE(md->is_dead))
		pdu->verdict = BLK_STS_OFFLINE;
	if (!pdu->verdict)
		model_begin(md, rq, pdu);
	if (pdu->is_stuck && !READ_ONCE(md->is_dead))
		return;
	if (md->latency_ns)
		rt_timer_arm(&pdu->timer, rt_now() + draw_latency_ns(md));
	else
		finish_rq(md, pdu);
}

static void start_msg(struct rt_msg *msg)
{
	struct mem_rq *pdu = container_of(msg, struct mem_rq, msg);

	start_at_home(disk_of(pdu), pdu);
}

/* ---- timeouts -------------------------------------------------------------------------------------- */

static void abort_msg(struct rt_msg *msg)
{
	struct mem_rq *pdu = container_of(msg, struct mem_rq, abort_msg);
	blk_status_t status = BLK_STS_TIMEOUT;

	if (pdu->is_finished)
		status = pdu->verdict;
	else
		model_end(disk_of(pdu), blk_mq_rq_from_pdu(pdu), pdu);
	end_rq(pdu, status);
}

/* The model's device can be told to abort. Its home ends the request. */
static enum blk_eh_timer_return mem_timeout(struct request *rq)
{
	struct mem_disk *md = rq->mq_hctx->driver_data;
	struct mem_rq *pdu = blk_mq_rq_to_pdu(rq);
	uint32_t running = MEM_RQ_RUNNING;

	rt_sim_point();
	if (__atomic_compare_exchange_n(&pdu->state, &running, MEM_RQ_ABORTING, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		rt_post(md->home, &pdu->abort_msg);
	return BLK_EH_DONE;
}

/* ---- the way in -------------------------------------------------------------------------------------- */

static blk_status_t mem_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct mem_disk *md = hctx->driver_data;
	struct request *rq = bd->rq;
	struct mem_rq *pdu = blk_mq_rq_to_pdu(rq);
	const struct mem_fault *fault = mem_faults_match(&md->faults, rq);

	rt_sim_point();
	if (READ_ONCE(md->is_dead))
		return BLK_STS_OFFLINE;
	if (fault && fault->what == MEM_FAULT_BUSY)
		return fault->status;

	blk_mq_start_request(rq);
	pdu->is_stuck = fault && fault->what == MEM_FAULT_STUCK;
	pdu->verdict = fault && fault->what == MEM_FAULT_STATUS ? fault->status : BLK_STS_OK;
	if (!md->cache && !pdu->is_stuck) {
		blk_mq_complete_request(rq, pdu->verdict ? pdu->verdict : image_apply(md, rq));
		return BLK_STS_OK;
	}
	pdu->is_finished = false;
	__atomic_store_n(&pdu->state, MEM_RQ_RUNNING, __ATOMIC_RELEASE);
	if (rt_reactor_id() == md->home)
		start_at_home(md, pdu);
	else
		rt_post(md->home, &pdu->msg);
	return BLK_STS_OK;
}

static int mem_init_hctx(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int hctx_idx)
{
	hctx->driver_data = driver_data;
	return 0;
}

static int mem_init_request(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_idx)
{
	struct mem_rq *pdu = blk_mq_rq_to_pdu(rq);

	*pdu = (struct mem_rq){ .msg.fn = start_msg, .abort_msg.fn = abort_msg };
	rt_timer_init(&pdu->timer, mem_timer_fires);
	INIT_LIST_HEAD(&pdu->node);
	return 0;
}

static void destroy(struct mem_disk *md)
{
	if (md->cache)
		mem_cache_destroy(md->cache);
	if (md->image)
		rt_dma_free(md->image, md->size_bytes);
	free(md);
}

static void mem_free_disk(struct gendisk *disk)
{
	struct mem_disk *md = disk->private_data;

	blk_mq_free_tag_set(&md->set);
	destroy(md);
}

static const struct blk_mq_ops mem_ops = {
	.queue_rq = mem_queue_rq,
	.timeout = mem_timeout,
	.init_hctx = mem_init_hctx,
	.init_request = mem_init_request,
	.free_disk = mem_free_disk,
};

/* ---- power and faults ---------------------------------------------------------------------------------- */

struct cut {
	struct mem_disk *md;
	uint64_t seed;
	uint8_t *out;
};

static void finish_all(struct mem_disk *md, bool stuck_only)
{
	struct mem_rq *pdu, *next;

	list_for_each_entry_safe(pdu, next, &md->in_flight, node)
		if (!pdu->is_finished && (!stuck_only || pdu->is_stuck))
			finish_rq(md, pdu);
}

static void cut_at_home(void *arg)
{
	struct cut *cut = arg;
	struct mem_disk *md = cut->md;
	const uint8_t *left = md->cache ? mem_cache_cut(md->cache, cut->seed) : md->image;

	if (cut->out)
		memcpy(cut->out, left, md->size_bytes);
	finish_all(md, false);
}

void mem_power_cut(struct gendisk *disk, uint64_t seed, uint8_t *medium_out)
{
	struct mem_disk *md = disk->private_data;
	struct cut cut = { md, seed, medium_out };

	/* After the sync no reactor is inside queue_rq of a living disk. */
	__atomic_store_n(&md->is_dead, true, __ATOMIC_SEQ_CST);
	mem_reactors_sync();
	if (rt_call_on(md->home, cut_at_home, &cut))
		log_err("power cut of mem disk %s: its reactor does not answer", disk->disk_name);
}

static void snapshot_at_home(void *arg)
{
	struct cut *cut = arg;

	memcpy(cut->out, cut->md->image, cut->md->size_bytes);
}

void mem_snapshot(struct gendisk *disk, uint8_t *out)
{
	struct mem_disk *md = disk->private_data;
	struct cut cut = { md, 0, out };

	if (rt_call_on(md->home, snapshot_at_home, &cut))
		log_err("snapshot of mem disk %s: its reactor does not answer", disk->disk_name);
}

int mem_fault_set(struct gendisk *disk, const struct mem_fault *fault)
{
	struct mem_disk *md = disk->private_data;

	return mem_faults_add(&md->faults, fault);
}

static void free_stuck_at_home(void *arg)
{
	finish_all(arg, true);
}

uint64_t mem_fault_clear(struct gendisk *disk)
{
	struct mem_disk *md = disk->private_data;
	uint64_t hits_nr = mem_faults_clear(&md->faults);

	if (rt_call_on(md->home, free_stuck_at_home, md))
		log_err("clearing faults of mem disk %s: its reactor does not answer",
			disk->disk_name);
	return hits_nr;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

int mem_source_parse(const char *source, uint64_t *size_bytes)
{
	int ret;

	if (strncmp(source, "mem:", 4) != 0)
		return -ENOENT;
	ret = parse_size(source + 4, MEM_SIZE_UNIT, 1ULL << 50, size_bytes);
	if (!ret && is_aligned(*size_bytes, MEM_SIZE_UNIT))
		return 0;
	log_err("source '%s' is no size: write mem:64M or mem:1G, a multiple of %d bytes", source,
		MEM_SIZE_UNIT);
	return -EINVAL;
}

static void mem_limits(const struct mem_config *mc, struct queue_limits *lim)
{
	blk_set_default_limits(lim);
	lim->logical_block_size = mc->logical_block_size ? mc->logical_block_size : SECTOR_SIZE;
	lim->physical_block_size = lim->logical_block_size;
	lim->max_hw_sectors = MEM_SECTORS_MAX;
	lim->max_segments = MEM_SEGMENTS;
	lim->discard_granularity = lim->logical_block_size;
	lim->max_hw_discard_sectors = MEM_RANGE_SECTORS_MAX;
	lim->max_write_zeroes_sectors = MEM_RANGE_SECTORS_MAX;
	lim->features |= BLK_FEAT_DISCARD_ZEROES |
			 (mc->has_write_cache ? BLK_FEAT_WRITE_CACHE : 0) |
			 (mc->has_fua ? BLK_FEAT_FUA : 0);
}

/* Memory for the image and, where there is one, the model. */
static int make_memory(struct mem_disk *md, const struct mem_config *mc)
{
	unsigned int requests_nr = md->set.nr_hw_queues * md->set.queue_depth;

	md->image = rt_dma_alloc(md->size_bytes);
	if (!md->image)
		return -ENOMEM;
	if (mc->medium)
		memcpy(md->image, mc->medium, md->size_bytes);
	if (!md->has_write_cache && !md->latency_ns)
		return 0;
	return mem_cache_create(md->image, bytes_to_sectors(md->size_bytes),
				requests_nr * (MEM_SECTORS_MAX / MEM_PIECE_SECTORS), !mc->medium,
				&md->cache);
}

static int make_disk(struct mem_disk *md, const struct drv_config *dc, const struct mem_config *mc,
		     struct gendisk **out)
{
	struct queue_limits lim;
	int ret;

	ret = make_memory(md, mc);
	if (ret)
		return ret;
	ret = blk_mq_alloc_tag_set(&md->set);
	if (ret)
		return ret;
	mem_limits(mc, &lim);
	ret = blk_mq_alloc_disk(&md->set, &lim, bytes_to_sectors(md->size_bytes), dc->name, md,
				dc->attrs, out);
	if (ret) {
		blk_mq_free_tag_set(&md->set);
		return ret;
	}
	set_disk_ro(*out, dc->is_read_only);
	return 0;
}

int mem_disk_create(const struct drv_config *dc, const struct mem_config *mc, struct gendisk **out)
{
	struct mem_disk *md = calloc(1, sizeof(*md));
	int ret;

	if (!md)
		return -ENOMEM;
	md->size_bytes = mc->size_bytes;
	md->has_write_cache = mc->has_write_cache;
	md->latency_ns = mc->latency_ns;
	md->home = rt_reactor_id();
	INIT_LIST_HEAD(&md->in_flight);
	md->set = (struct blk_mq_tag_set){
		.ops = &mem_ops,
		.nr_hw_queues = dc->hw_queues ? dc->hw_queues : rt_reactor_nr(),
		.queue_depth = dc->queue_depth ? dc->queue_depth : MEM_QUEUE_DEPTH,
		.cmd_size = sizeof(struct mem_rq),
		.driver_data = md,
	};
	ret = make_disk(md, dc, mc, out);
	if (ret) {
		destroy(md);
		log_err("mem disk %s of %llu bytes cannot be made: error %d; is there so much memory, "
			"and is the block size a power of two from 512 to 65536?",
			dc->name, (unsigned long long)mc->size_bytes, -ret);
	}
	return ret;
}
