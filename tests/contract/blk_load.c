/* SPDX-License-Identifier: MIT */
/*
 * The model: a write is somewhere (issued), in the cache (done, in order of done_seq), or durable. A
 * flush makes durable what was done when it was issued.
 *
 * On the ring several reactors are in here at once. Two clocks order what the model compares, done_seq
 * and end_seq: a write takes its number before it shows it, so that who reads the clock later either
 * sees the number or may not rely on it yet. What only the owner of a bio or request touches is plain:
 * there the block layer's own hand-overs are on trial, and ThreadSanitizer looks on.
 */
#include "tests/contract/blk_load.h"

#include <errno.h>
#include <stdlib.h>

#include "blkfs/rt.h"
#include "tests/lib/sim.h"

enum { OP_BYTES = 4096, OP_SECTORS = OP_BYTES / SECTOR_SIZE };

struct load;

struct op {
	struct bio bio;
	struct bio_vec vec;
	struct load *load;
	uint64_t must;	   /* writes with end_seq up to it are to be durable before it */
	uint64_t end_seq;  /* [atomic] of a data write that ended well; 0: not yet */
	uint64_t done_seq; /* [atomic] 0: not in the device yet */
	bool is_durable;   /* [atomic] */
	unsigned int issued_nr;
	unsigned int ended_nr;
	bool is_retried; /* the command came back unfinished and may be issued again */
};

struct load {
	struct blk_load cfg;
	struct blk_load_result result;
	struct blk_mq_tag_set set;
	struct gendisk *disk;
	struct op *ops;
	unsigned int all_nr;
	uint64_t end_seq, done_seq; /* [atomic] the clocks */
	unsigned int inflight_nr;   /* [atomic] */
	unsigned int running_nr;    /* [atomic] tasks */
	unsigned int next_task;	    /* [atomic] */
	bool is_over;		    /* the main task's and meanwhile's: one reactor */
};

struct command {
	struct load *load;
	struct rt_timer timer;
	uint64_t covers; /* of a flush: done_seq up to which writes become durable */
};

static char buffer[OP_BYTES] __aligned(OP_BYTES);

static bool one_in(unsigned int n)
{
	return n && rt_random() % n == 0;
}

static uint64_t tick(uint64_t *clock)
{
	return __atomic_add_fetch(clock, 1, __ATOMIC_SEQ_CST);
}

static uint64_t get(const uint64_t *clock)
{
	return __atomic_load_n(clock, __ATOMIC_SEQ_CST);
}

static void set(uint64_t *clock, uint64_t to)
{
	__atomic_store_n(clock, to, __ATOMIC_SEQ_CST);
}

static void add(unsigned int *counter, unsigned int nr)
{
	__atomic_fetch_add(counter, nr, __ATOMIC_SEQ_CST);
}

static struct op *load_op(struct bio *bio)
{
	return container_of(bio, struct op, bio);
}

/* ---- the device --------------------------------------------------------------------------------- */

static void check_is_covered(const struct op *op)
{
	const struct load *load = op->load;

	for (unsigned int i = 0; op->must && i < load->all_nr; i++) {
		uint64_t end_seq = get(&load->ops[i].end_seq);

		sim_expect(!end_seq || end_seq > op->must ||
			   __atomic_load_n(&load->ops[i].is_durable, __ATOMIC_SEQ_CST));
	}
}

static void check_flags(const struct load *load, const struct request *rq)
{
	bool is_flush = req_op(rq) == REQ_OP_FLUSH;

	sim_expect(load->cfg.has_cache || !is_flush);
	sim_expect(is_flush || !(rq->cmd_flags & REQ_PREFLUSH));
	sim_expect((load->cfg.has_cache && load->cfg.has_fua) || !(rq->cmd_flags & REQ_FUA));
}

static void note_issue(struct load *load, struct request *rq)
{
	struct command *cmd = blk_mq_rq_to_pdu(rq);
	struct bio *bio;

	check_flags(load, rq);
	add(&load->inflight_nr, 1);
	add(&load->result.commands_nr, 1);
	cmd->covers = get(&load->done_seq);
	if (req_op(rq) == REQ_OP_FLUSH)
		add(&load->result.flushes_nr, 1);
	rq_for_each_bio(bio, rq) {
		struct op *op = load_op(bio);

		sim_expect(op->issued_nr == 0 || op->is_retried);
		op->issued_nr++;
		op->is_retried = false;
		add(&load->result.merged_nr, bio != rq->bio);
		check_is_covered(op);
	}
}

static void make_durable(struct load *load, uint64_t covers)
{
	for (unsigned int i = 0; i < load->all_nr; i++) {
		uint64_t done_seq = get(&load->ops[i].done_seq);

		if (done_seq && done_seq <= covers)
			__atomic_store_n(&load->ops[i].is_durable, true, __ATOMIC_SEQ_CST);
	}
}

static void note_success(struct load *load, struct request *rq)
{
	const struct command *cmd = blk_mq_rq_to_pdu(rq);
	struct bio *bio;

	if (req_op(rq) == REQ_OP_FLUSH)
		make_durable(load, cmd->covers);
	rq_for_each_bio(bio, rq) {
		struct op *op = load_op(bio);

		if (req_op(rq) != REQ_OP_WRITE)
			continue;
		if (!load->cfg.has_cache || (rq->cmd_flags & REQ_FUA))
			__atomic_store_n(&op->is_durable, true, __ATOMIC_SEQ_CST);
		set(&op->done_seq, tick(&load->done_seq));
	}
}

static void give_back(struct request *rq)
{
	struct bio *bio;

	rq_for_each_bio(bio, rq)
		load_op(bio)->is_retried = true;
	blk_mq_requeue_request(rq, true);
}

static void finish(struct request *rq)
{
	struct load *load = ((struct command *)blk_mq_rq_to_pdu(rq))->load;

	add(&load->inflight_nr, -1u);
	if (one_in(load->cfg.requeue_1in)) {
		give_back(rq);
	} else if (one_in(load->cfg.error_1in)) {
		blk_mq_complete_request(rq, BLK_STS_IOERR);
	} else {
		note_success(load, rq);
		blk_mq_complete_request(rq, BLK_STS_OK);
	}
}

static void timer_fires(struct rt_timer *timer)
{
	finish(blk_mq_rq_from_pdu(container_of(timer, struct command, timer)));
}

static blk_status_t load_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct load *load = hctx->driver_data;
	struct command *cmd = blk_mq_rq_to_pdu(bd->rq);

	if (one_in(load->cfg.resource_1in))
		return __atomic_load_n(&load->inflight_nr, __ATOMIC_SEQ_CST) && one_in(2)
			       ? BLK_STS_DEV_RESOURCE
			       : BLK_STS_RESOURCE;
	blk_mq_start_request(bd->rq);
	note_issue(load, bd->rq);
	if (one_in(4) && !load->cfg.requeue_1in)
		finish(bd->rq);
	else
		rt_timer_arm(&cmd->timer, rt_now() + 1000 + rt_random() % 50000);
	return BLK_STS_OK;
}

static int load_init_hctx(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int hctx_idx)
{
	hctx->driver_data = driver_data;
	return 0;
}

static int load_init_request(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_idx)
{
	struct command *cmd = blk_mq_rq_to_pdu(rq);

	cmd->load = set->driver_data;
	rt_timer_init(&cmd->timer, timer_fires);
	return 0;
}

static const struct blk_mq_ops load_ops = {
	.queue_rq = load_queue_rq,
	.init_hctx = load_init_hctx,
	.init_request = load_init_request,
};

/* ---- the load ------------------------------------------------------------------------------------ */

static void op_ended(struct bio *bio)
{
	struct op *op = load_op(bio);
	struct load *load = op->load;

	sim_expect(++op->ended_nr == 1);
	if (bio->bi_status) {
		sim_expect(load->cfg.error_1in && bio->bi_status == BLK_STS_IOERR);
		return;
	}
	if (!op_is_write(bio->bi_opf))
		return;
	if (!op->vec.bv_len) {
		check_is_covered(op);
		return;
	}
	sim_expect(op->issued_nr >= 1);
	sim_expect(!(bio->bi_opf & REQ_FUA) || __atomic_load_n(&op->is_durable, __ATOMIC_SEQ_CST));
	set(&op->end_seq, tick(&load->end_seq));
}

static blk_opf_t random_opf(const struct load *load, bool *is_empty)
{
	static const blk_opf_t kinds[] = {
		REQ_OP_READ,
		REQ_OP_WRITE,
		REQ_OP_WRITE,
		REQ_OP_WRITE | REQ_SYNC,
		REQ_OP_WRITE | REQ_PREFLUSH,
		REQ_OP_WRITE | REQ_FUA,
		REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA,
		REQ_OP_WRITE | REQ_PREFLUSH,
	};
	size_t kind = rt_random() % (load->cfg.has_flushes ? ARRAY_SIZE(kinds) : 4);

	*is_empty = kind == ARRAY_SIZE(kinds) - 1;
	return kinds[kind];
}

static void submit_op(struct load *load, unsigned int index)
{
	struct op *op = &load->ops[index];
	bool is_empty;
	blk_opf_t opf = random_opf(load, &is_empty);

	op->load = load;
	op->must = opf & REQ_PREFLUSH ? get(&load->end_seq) : 0;
	bio_init(&op->bio, &load->disk->part0, &op->vec, 1, opf);
	op->bio.bi_end_io = op_ended;
	if (!is_empty) {
		op->bio.bi_iter.bi_sector = (sector_t)index * OP_SECTORS;
		sim_expect(bio_add_vec(&op->bio, buffer, OP_BYTES) == OP_BYTES);
	} else {
		op->vec.bv_len = 0;
	}
	submit_bio(&op->bio);
}

/* @last is the newest of this task's; all must have ended, or just it. */
static void wait_for(struct load *load, unsigned int first, unsigned int last)
{
	for (unsigned int i = first; i <= last; i++)
		while (!load->ops[i].ended_nr)
			rt_sleep_ns(1000 + rt_random() % 20000);
}

static void load_task(void *arg)
{
	struct load *load = arg;
	unsigned int nth = __atomic_fetch_add(&load->next_task, 1, __ATOMIC_SEQ_CST);
	unsigned int first = nth * load->cfg.ops_nr;
	unsigned int i = first, end = first + load->cfg.ops_nr;

	while (i < end) {
		unsigned int batch = 1 + (unsigned int)(rt_random() % 6);
		struct blk_plug plug;

		if (one_in(2)) {
			submit_op(load, i++);
		} else {
			blk_start_plug(&plug);
			for (; batch-- && i < end; i++)
				submit_op(load, i);
			blk_finish_plug(&plug);
		}
		if (one_in(4))
			wait_for(load, i - 1, i - 1);
		else if (one_in(2))
			rt_sleep_ns(rt_random() % 30000);
	}
	wait_for(load, first, end - 1);
	add(&load->running_nr, -1u);
}

static void meanwhile_task(void *arg)
{
	struct load *load = arg;

	while (!load->is_over) {
		load->cfg.meanwhile(load->disk);
		rt_sleep_ns(rt_random() % 40000);
	}
	load->is_over = false;
}

static int load_create(struct load *load)
{
	struct queue_limits lim;
	int err;

	load->all_nr = load->cfg.tasks_nr * load->cfg.ops_nr;
	load->ops = calloc(load->all_nr, sizeof(*load->ops));
	if (!load->ops)
		return -ENOMEM;
	load->set = (struct blk_mq_tag_set){
		.ops = &load_ops,
		.nr_hw_queues = load->cfg.hw_queues,
		.queue_depth = load->cfg.queue_depth,
		.cmd_size = sizeof(struct command),
		.driver_data = load,
	};
	blk_set_default_limits(&lim);
	lim.features |= (load->cfg.has_cache ? BLK_FEAT_WRITE_CACHE : 0) |
			(load->cfg.has_fua ? BLK_FEAT_FUA : 0);
	err = blk_mq_alloc_tag_set(&load->set);
	if (err)
		return err;
	err = blk_mq_alloc_disk(&load->set, &lim, (sector_t)load->all_nr * OP_SECTORS, "load", load,
				load->cfg.is_published ? attr_root() : NULL, &load->disk);
	if (err)
		blk_mq_free_tag_set(&load->set);
	return err;
}

static int load_run(struct load *load)
{
	int err = 0;

	if (load->cfg.elevator)
		err = elevator_switch(load->disk->queue, load->cfg.elevator);
	if (err)
		return err;
	for (unsigned int i = 0; i < load->cfg.tasks_nr; i++) {
		add(&load->running_nr, 1);
		err = rt_spawn_on(i % rt_reactor_nr(), load_task, load, "load");
		if (err)
			return err;
	}
	if (load->cfg.meanwhile)
		err = rt_spawn(meanwhile_task, load, "meanwhile");
	while (__atomic_load_n(&load->running_nr, __ATOMIC_SEQ_CST))
		rt_sleep_ns(100000);
	load->is_over = true;
	while (load->cfg.meanwhile && load->is_over)
		rt_sleep_ns(10000);
	for (unsigned int i = 0; i < load->all_nr; i++)
		sim_expect(load->ops[i].ended_nr == 1);
	return err;
}

int blk_load_run(const struct blk_load *cfg, struct blk_load_result *result)
{
	struct load *load = calloc(1, sizeof(*load));
	int err;

	if (!load)
		return -ENOMEM;
	load->cfg = *cfg;
	err = load_create(load);
	if (!err) {
		err = load_run(load);
		del_gendisk(load->disk);
		blk_mq_free_tag_set(&load->set);
	}
	if (result)
		*result = load->result;
	free(load->ops);
	free(load);
	return err;
}

struct blk_load blk_load_random(void)
{
	static const unsigned int depths[] = { 1, 2, 3, 8, 64 };

	return (struct blk_load){
		.hw_queues = 1 + (unsigned int)(rt_random() % 2),
		.queue_depth = depths[rt_random() % ARRAY_SIZE(depths)],
		.has_cache = !one_in(4),
		.has_fua = one_in(2),
		.tasks_nr = 1 + (unsigned int)(rt_random() % 5),
		.ops_nr = 8 + (unsigned int)(rt_random() % 16),
		.resource_1in = one_in(2) ? 3 : 0,
		.error_1in = one_in(3) ? 6 : 0,
		.requeue_1in = one_in(3) ? 5 : 0,
		.has_flushes = true,
	};
}
