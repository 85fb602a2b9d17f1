/* SPDX-License-Identifier: MIT */
/*
 * fake_dev.c - see fake_dev.h. One reactor at a time touches the device: tests see to that.
 */
#include "tests/blk/fake_dev.h"

#include <stdlib.h>
#include <string.h>

struct fake_dev fake;
struct fake_bio fake_bios[FAKE_MAX];
unsigned int fake_ended_nr;
char fake_page[FAKE_PAGE] __aligned(FAKE_PAGE);

static blk_status_t fake_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	unsigned int call = fake.calls_nr++;

	sim_expect(hctx->reactors & (1ULL << rt_reactor_id()));
	if (fake.must_sleep)
		rt_sleep_ns(1000);
	if (fake.capacity && fake.held_nr >= fake.capacity) {
		rt_sim_point(); /* what is held may complete elsewhere before this answer arrives */
		return BLK_STS_DEV_RESOURCE;
	}
	if (call < FAKE_MAX && fake.verdicts[call])
		return fake.verdicts[call];
	blk_mq_start_request(bd->rq);
	fake.lasts_nr += bd->last;
	if (fake.taken_nr < FAKE_MAX)
		fake.taken[fake.taken_nr] = blk_rq_pos(bd->rq);
	fake.taken_nr++;
	if (fake.is_inline) {
		blk_mq_complete_request(bd->rq, BLK_STS_OK);
	} else {
		sim_expect(fake.held_nr < FAKE_MAX);
		fake.held[fake.held_nr++] = bd->rq;
	}
	return BLK_STS_OK;
}

static void fake_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	fake.commits_nr++;
}

static int fake_get_budget(struct request_queue *q)
{
	if (fake.slots_used >= fake.slots)
		return -1;
	fake.slots_used++;
	fake.slots_peak = max(fake.slots_peak, fake.slots_used);
	return (int)fake.slots_used;
}

static void fake_put_budget(struct request_queue *q, int token)
{
	sim_expect(token > 0 && fake.slots_used > 0);
	fake.slots_used--;
}

static void forget(struct request *rq)
{
	for (unsigned int i = 0; i < fake.held_nr; i++) {
		if (fake.held[i] != rq)
			continue;
		memmove(&fake.held[i], &fake.held[i + 1],
			(--fake.held_nr - i) * sizeof(fake.held[0]));
		return;
	}
	sim_expect(!"a request that is held");
}

static enum blk_eh_timer_return fake_timeout(struct request *rq)
{
	fake.timeouts_nr++;
	if (fake.verdict_of_timeout == BLK_EH_DONE) {
		forget(rq);
		blk_mq_complete_request(rq, fake.status_at_timeout);
	}
	return fake.verdict_of_timeout;
}

static const struct blk_mq_ops fake_ops = {
	.queue_rq = fake_queue_rq,
	.commit_rqs = fake_commit_rqs,
	.timeout = fake_timeout,
};

static const struct blk_mq_ops fake_budget_ops = {
	.queue_rq = fake_queue_rq,
	.commit_rqs = fake_commit_rqs,
	.get_budget = fake_get_budget,
	.put_budget = fake_put_budget,
};

void fake_create(const struct fake_config *cfg)
{
	static const struct fake_config none;
	struct queue_limits lim;
	int err;

	if (!cfg)
		cfg = &none;
	memset(&fake, 0, sizeof(fake));
	memset(fake_bios, 0, sizeof(fake_bios));
	fake_ended_nr = 0;
	fake.set = (struct blk_mq_tag_set){
		.ops = cfg->has_budget ? &fake_budget_ops : &fake_ops,
		.nr_hw_queues = cfg->hw_queues ? cfg->hw_queues : 1,
		.queue_depth = cfg->depth ? cfg->depth : 64,
		.reserved_tags = cfg->reserved,
		.flags = cfg->flags,
		.timeout_ns = cfg->timeout_ns,
	};
	if (cfg->lim)
		lim = *cfg->lim;
	else
		blk_set_default_limits(&lim);
	err = blk_mq_alloc_tag_set(&fake.set);
	if (!err)
		err = blk_mq_alloc_disk(&fake.set, &lim, 1 << 20, "fake", NULL, NULL, &fake.disk);
	if (!err)
		err = elevator_switch(fake.disk->queue, "none");
	if (err)
		abort();
}

void fake_destroy(void)
{
	del_gendisk(fake.disk);
	blk_mq_free_tag_set(&fake.set);
}

void fake_complete(unsigned int i, blk_status_t status)
{
	struct request *rq = fake.held[i];

	forget(rq);
	blk_mq_complete_request(rq, status);
}

void fake_complete_all(void)
{
	while (fake.held_nr)
		fake_complete(0, BLK_STS_OK);
}

static void fake_endio(struct bio *bio)
{
	struct fake_bio *fb = container_of(bio, struct fake_bio, bio);

	fb->ended_nr++;
	fb->status = bio->bi_status;
	fb->end_reactor = rt_reactor_id();
	__atomic_fetch_add(&fake_ended_nr, 1, __ATOMIC_SEQ_CST);
}

struct bio *fake_bio(unsigned int i, blk_opf_t opf, sector_t sector)
{
	struct fake_bio *fb = &fake_bios[i];

	*fb = (struct fake_bio){ .end_reactor = RT_NO_REACTOR };
	bio_init(&fb->bio, &fake.disk->part0, &fb->vec, 1, opf);
	fb->bio.bi_iter.bi_sector = sector;
	fb->bio.bi_end_io = fake_endio;
	bio_add_vec(&fb->bio, fake_page, FAKE_PAGE);
	return &fb->bio;
}

void fake_submit(unsigned int i)
{
	submit_bio(fake_bio(i, REQ_OP_READ, 16 * i));
}

void fake_submit_plugged(unsigned int nr)
{
	struct blk_plug plug;

	blk_start_plug(&plug);
	for (unsigned int i = 0; i < nr; i++)
		fake_submit(i);
	blk_finish_plug(&plug);
}

void fake_expect_all_ok(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		sim_expect(fake_bios[i].ended_nr == 1);
		sim_expect(fake_bios[i].status == BLK_STS_OK);
	}
}

void settle(void)
{
	rt_sleep_ns(100000);
}
