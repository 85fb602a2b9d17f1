/* SPDX-License-Identifier: MIT */
/*
 * The life of a bio between submit and end_io, against a driver that follows a script.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "blk/blk.h"
#include "tests/blk/fake_dev.h"

enum { BATCH = 8 };

static void run(sim_fn fn)
{
	cr_assert_eq(sim_run(1, 1, fn, NULL), 0);
}

static void expect_order(const unsigned int *bios, unsigned int nr)
{
	sim_expect(fake.taken_nr == nr);
	for (unsigned int i = 0; i < nr; i++)
		sim_expect(fake.taken[i] == 16 * bios[i]);
}

static const unsigned int in_order[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

/* ---- batches ---------------------------------------------------------------------------------------- */

static int batch_case(void *arg)
{
	fake_create(NULL);
	fake.is_inline = true;
	fake_submit_plugged(BATCH);
	sim_expect(fake_ended_nr == BATCH); /* before finish_plug returned */
	fake_expect_all_ok(BATCH);
	expect_order(in_order, BATCH);
	sim_expect(fake.lasts_nr == 1 && fake.commits_nr == 0);
	fake_destroy();
	return 0;
}

Test(mq, a_plug_is_one_batch_in_order_and_its_last_request_says_so)
{
	run(batch_case);
}

static int resource_case(void *arg)
{
	for (unsigned int at = 0; at < BATCH; at++) {
		fake_create(NULL);
		fake.is_inline = true;
		fake.verdicts[at] = BLK_STS_RESOURCE;
		fake_submit_plugged(BATCH);
		sim_expect(fake.taken_nr == at);
		sim_expect(fake.commits_nr == (at > 0));
		rt_sleep_ns(2 * BLK_MQ_RESOURCE_DELAY_NS);
		fake_expect_all_ok(BATCH);
		expect_order(in_order, BATCH);
		sim_expect(fake.lasts_nr == 1);
		fake_destroy();
	}
	return 0;
}

Test(mq, resource_at_any_place_of_a_batch_keeps_the_order_and_loses_nothing)
{
	run(resource_case);
}

static int dev_resource_case(void *arg)
{
	for (unsigned int capacity = 1; capacity <= BATCH; capacity++) {
		fake_create(NULL);
		fake.capacity = capacity;
		fake_submit_plugged(BATCH);
		sim_expect(fake.held_nr == capacity);
		for (unsigned int i = 0; i < BATCH; i++) {
			settle();
			sim_expect(fake.held_nr == min(capacity, BATCH - i));
			fake_complete(0, BLK_STS_OK);
		}
		settle();
		fake_expect_all_ok(BATCH);
		expect_order(in_order, BATCH);
		fake_destroy();
	}
	return 0;
}

Test(mq, dev_resource_is_asked_again_when_a_request_ends)
{
	run(dev_resource_case);
}

static int error_case(void *arg)
{
	for (unsigned int at = 0; at < BATCH; at++) {
		fake_create(NULL);
		fake.is_inline = true;
		fake.verdicts[at] = BLK_STS_MEDIUM;
		fake_submit_plugged(BATCH);
		for (unsigned int i = 0; i < BATCH; i++) {
			sim_expect(fake_bios[i].ended_nr == 1);
			sim_expect(fake_bios[i].status == (i == at ? BLK_STS_MEDIUM : BLK_STS_OK));
		}
		sim_expect(fake.lasts_nr + fake.commits_nr == 1);
		fake_destroy();
	}
	return 0;
}

Test(mq, an_error_ends_one_request_and_the_batch_goes_on)
{
	run(error_case);
}

static int budget_case(void *arg)
{
	static const struct fake_config cfg = { .has_budget = true };

	fake_create(&cfg);
	fake.slots = 3;
	fake_submit_plugged(BATCH);
	while (fake_ended_nr < BATCH) {
		settle();
		sim_expect(fake.held_nr > 0 && fake.held_nr <= 3);
		fake_complete(0, BLK_STS_OK);
		settle();
	}
	expect_order(in_order, BATCH);
	sim_expect(fake.slots_used == 0 && fake.slots_peak == 3);
	fake_destroy();
	return 0;
}

Test(mq, no_more_is_sent_than_there_is_budget_for)
{
	run(budget_case);
}

static int requeue_case(void *arg)
{
	static const unsigned int order[] = { 0, 1, 2, 3, 2, 0, 4 };
	struct request *rq0, *rq2;

	fake_create(NULL);
	fake_submit_plugged(4);
	rq0 = fake.held[0];
	rq2 = fake.held[2];
	memmove(&fake.held[2], &fake.held[3], sizeof(fake.held[0]));
	memmove(&fake.held[0], &fake.held[1], 2 * sizeof(fake.held[0]));
	fake.held_nr = 2;
	blk_mq_requeue_request(rq0, false);
	blk_mq_requeue_request(rq2, false);
	settle();
	sim_expect(fake.taken_nr == 4); /* not before the kick */
	fake_submit(4);
	blk_mq_kick_requeue_list(fake.disk->queue);
	settle();
	expect_order(order, ARRAY_SIZE(order));
	fake_complete_all();
	settle();
	fake_expect_all_ok(5);
	fake_destroy();
	return 0;
}

Test(mq, what_is_given_back_is_sent_first_the_last_of_it_foremost)
{
	run(requeue_case);
}

static int blocking_case(void *arg)
{
	static const struct fake_config cfg = { .flags = BLK_MQ_F_BLOCKING };

	fake_create(&cfg);
	fake.is_inline = true;
	fake.must_sleep = true;
	fake_submit_plugged(BATCH);
	settle();
	fake_expect_all_ok(BATCH);
	expect_order(in_order, BATCH);
	fake_destroy();
	return 0;
}

Test(mq, a_driver_that_sleeps_is_called_in_a_task_and_in_order)
{
	run(blocking_case);
}

/* ---- where it ends ------------------------------------------------------------------------------------- */

static void complete_there(void *arg)
{
	fake_complete_all();
}

static int other_reactor_case(void *arg)
{
	fake_create(NULL);
	fake_submit_plugged(BATCH);
	sim_expect(fake.held_nr == BATCH);
	sim_expect(rt_call_on(1, complete_there, NULL) == 0);
	while (fake_ended_nr < BATCH)
		settle();
	fake_expect_all_ok(BATCH);
	for (unsigned int i = 0; i < BATCH; i++)
		sim_expect(fake_bios[i].end_reactor == 0);
	fake_destroy();
	return 0;
}

Test(mq, a_bio_ends_on_its_reactor_wherever_it_completed)
{
	sim_seeds(1, 100, 2, other_reactor_case, NULL);
}

static void submit_there(void *arg)
{
	fake_submit(1);
}

/* The one place of the device is reactor 0's, and is given up while reactor 1 asks for it. */
static int race_case(void *arg)
{
	fake_create(NULL);
	fake.capacity = 1;
	fake_submit(0);
	settle();
	sim_expect(rt_spawn_on(1, submit_there, NULL, "submitter") == 0);
	for (uint64_t steps = rt_random() % 8; steps > 0; steps--)
		rt_yield();
	fake_complete(0, BLK_STS_OK);
	settle();
	sim_expect(fake.taken_nr == 2);
	fake_complete_all();
	settle();
	fake_expect_all_ok(2);
	fake_destroy();
	return 0;
}

Test(mq, a_completion_between_dev_resource_and_its_noting_is_not_missed)
{
	sim_seeds(1, 2000, 2, race_case, NULL);
}

/* ---- plugs --------------------------------------------------------------------------------------------- */

static int plug_count_case(void *arg)
{
	struct blk_plug plug;

	fake_create(NULL);
	fake.is_inline = true;
	blk_start_plug(&plug);
	for (unsigned int i = 0; i < 32; i++)
		fake_submit(i);
	sim_expect(fake.taken_nr == 0);
	fake_submit(32);
	sim_expect(fake.taken_nr == 32);
	blk_finish_plug(&plug);
	sim_expect(fake.taken_nr == 33);
	fake_expect_all_ok(33);
	fake_destroy();
	return 0;
}

Test(mq, a_plug_is_flushed_by_the_33rd_request)
{
	run(plug_count_case);
}

static int plug_size_case(void *arg)
{
	struct queue_limits lim;
	struct fake_config cfg = { .lim = &lim };
	struct blk_plug plug;

	blk_set_default_limits(&lim);
	lim.max_hw_sectors = 1024;
	fake_create(&cfg);
	fake.is_inline = true;
	blk_start_plug(&plug);
	for (unsigned int i = 0; i < 32; i++)
		submit_bio(fake_bio(i, REQ_OP_READ, 8 * i)); /* one request of 128 KiB */
	sim_expect(fake.taken_nr == 0);
	submit_bio(fake_bio(32, REQ_OP_READ, 5000));
	sim_expect(fake.taken_nr == 1);
	blk_finish_plug(&plug);
	sim_expect(fake.taken_nr == 2);
	fake_expect_all_ok(33);
	fake_destroy();
	return 0;
}

Test(mq, a_plug_is_flushed_behind_128_kib)
{
	run(plug_size_case);
}

static int plug_sleep_case(void *arg)
{
	struct blk_plug plug;

	fake_create(NULL);
	blk_start_plug(&plug);
	for (unsigned int i = 0; i < 4; i++)
		fake_submit(i);
	sim_expect(fake.taken_nr == 0);
	settle();
	sim_expect(fake.taken_nr == 4);
	sim_expect(fake.lasts_nr == 1); /* one batch */
	fake_submit(4);
	sim_expect(fake.taken_nr == 4); /* still plugged */
	blk_finish_plug(&plug);
	sim_expect(fake.taken_nr == 5);
	fake_complete_all();
	settle();
	fake_expect_all_ok(5);
	fake_destroy();
	return 0;
}

Test(mq, the_plug_of_a_task_that_sleeps_is_issued)
{
	run(plug_sleep_case);
}

static void submit_one(void *arg)
{
	fake_submit(*(unsigned int *)arg);
}

static int turn_case(void *arg)
{
	static unsigned int numbers[] = { 0, 1, 2, 3 };

	fake_create(NULL);
	for (unsigned int i = 0; i < 4; i++)
		sim_expect(rt_spawn(submit_one, &numbers[i], "submitter") == 0);
	settle();
	sim_expect(fake.taken_nr == 4);
	fake_complete_all();
	settle();
	fake_expect_all_ok(4);
	fake_destroy();
	return 0;
}

Test(mq, bios_without_a_plug_are_gathered_by_the_turn)
{
	sim_seeds(1, 50, 1, turn_case, NULL);
}

static int nomerges_case(void *arg)
{
	static const uint32_t flags[] = { 0, QUEUE_FLAG_NOXMERGES, QUEUE_FLAG_NOMERGES };
	static const unsigned int requests[] = { 1, 1, 4 };

	for (unsigned int k = 0; k < ARRAY_SIZE(flags); k++) {
		struct blk_plug plug;

		fake_create(NULL);
		fake.is_inline = true;
		queue_flag_set(fake.disk->queue, flags[k]);
		blk_start_plug(&plug);
		for (unsigned int i = 0; i < 4; i++)
			submit_bio(fake_bio(i, REQ_OP_READ, 8 * i));
		blk_finish_plug(&plug);
		sim_expect(fake.taken_nr == requests[k]);
		fake_expect_all_ok(4);
		fake_destroy();
	}
	return 0;
}

Test(mq, nomerges_2_leaves_bios_as_they_are)
{
	run(nomerges_case);
}

static int interleaved_case(void *arg)
{
	struct blk_plug plug;

	fake_create(NULL);
	fake.is_inline = true;
	blk_start_plug(&plug);
	for (unsigned int i = 0; i < 4; i++)
		submit_bio(fake_bio(i, REQ_OP_READ, (i % 2) * 1000 + 8 * (i / 2)));
	blk_finish_plug(&plug);
	sim_expect(fake.taken_nr == 4); /* only the newest is tried */
	fake_destroy();
	return 0;
}

Test(mq, a_plug_merges_with_its_newest_request_only)
{
	run(interleaved_case);
}

/* ---- refused bios ----------------------------------------------------------------------------------------- */

static blk_status_t end_of(struct bio *bio)
{
	struct fake_bio *fb = container_of(bio, struct fake_bio, bio);

	submit_bio(bio);
	settle();
	fake_complete_all();
	settle();
	sim_expect(fb->ended_nr == 1);
	return fb->status;
}

static int refused_case(void *arg)
{
	sector_t end;
	struct bio *bio;

	fake_create(NULL);
	end = get_capacity(fake.disk);
	sim_expect(end_of(fake_bio(0, REQ_OP_READ, end - 8)) == BLK_STS_OK);
	sim_expect(end_of(fake_bio(0, REQ_OP_READ, end - 7)) == BLK_STS_IOERR);
	sim_expect(end_of(fake_bio(0, REQ_OP_READ, end)) == BLK_STS_IOERR);
	sim_expect(end_of(fake_bio(0, REQ_OP_READ, UINT64_MAX - 3)) == BLK_STS_IOERR);
	sim_expect(end_of(fake_bio(0, REQ_OP_DISCARD, 0)) == BLK_STS_NOTSUPP);
	sim_expect(end_of(fake_bio(0, REQ_OP_WRITE_ZEROES, 0)) == BLK_STS_NOTSUPP);
	sim_expect(end_of(fake_bio(0, REQ_OP_ZONE_RESET, 0)) == BLK_STS_NOTSUPP);
	sim_expect(end_of(fake_bio(0, REQ_OP_FLUSH, 0)) == BLK_STS_NOTSUPP);
	sim_expect(end_of(fake_bio(0, 77, 0)) == BLK_STS_NOTSUPP);
	bio = fake_bio(0, REQ_OP_READ, 0);
	bio->bi_iter.bi_size = 0;
	sim_expect(end_of(bio) == BLK_STS_INVAL);
	bio = fake_bio(0, REQ_OP_READ, 0);
	bio->bi_iter.bi_size = 700;
	sim_expect(end_of(bio) == BLK_STS_INVAL);
	bio = fake_bio(0, REQ_OP_READ, 0);
	fake_bios[0].vec.bv_addr = fake_page + 1;
	sim_expect(end_of(bio) == BLK_STS_INVAL);
	set_disk_ro(fake.disk, true);
	sim_expect(end_of(fake_bio(0, REQ_OP_WRITE, 0)) == BLK_STS_IOERR);
	sim_expect(end_of(fake_bio(0, REQ_OP_READ, 0)) == BLK_STS_OK);
	blk_mark_disk_dead(fake.disk);
	sim_expect(end_of(fake_bio(0, REQ_OP_READ, 0)) == BLK_STS_OFFLINE);
	sim_expect(fake.taken_nr == 2);
	fake_destroy();
	return 0;
}

Test(mq, a_bio_that_the_device_cannot_take_ends_with_the_reason)
{
	run(refused_case);
}

/* ---- splits ------------------------------------------------------------------------------------------------ */

static int split_case(void *arg)
{
	for (unsigned int bad = 0; bad <= 4; bad++) {
		static char big[4 * FAKE_PAGE] __aligned(FAKE_PAGE);
		struct queue_limits lim;
		struct fake_config cfg = { .lim = &lim };
		struct bio *bio;

		blk_set_default_limits(&lim);
		lim.max_hw_sectors = 8;
		fake_create(&cfg);
		bio = fake_bio(0, REQ_OP_READ, 0);
		fake_bios[0].vec = (struct bio_vec){ big, sizeof(big) };
		bio->bi_iter.bi_size = sizeof(big);
		submit_bio(bio);
		settle();
		sim_expect(fake.held_nr == 4);
		for (unsigned int i = 0; i < 4; i++) {
			sim_expect(fake.taken[i] == 8 * i && fake_ended_nr == 0);
			fake_complete(0, i == bad ? BLK_STS_MEDIUM : BLK_STS_OK);
			settle();
		}
		sim_expect(fake_bios[0].ended_nr == 1);
		sim_expect(fake_bios[0].status == (bad < 4 ? BLK_STS_MEDIUM : BLK_STS_OK));
		fake_destroy();
	}
	return 0;
}

Test(mq, a_bio_that_was_cut_ends_once_with_the_error_of_any_part)
{
	run(split_case);
}

static int split_nowait_case(void *arg)
{
	struct queue_limits lim;
	struct fake_config cfg = { .lim = &lim };
	struct bio *bio;

	blk_set_default_limits(&lim);
	lim.max_hw_sectors = 8;
	fake_create(&cfg);
	bio = fake_bio(0, REQ_OP_READ | REQ_NOWAIT, 0);
	bio->bi_iter.bi_size = fake_bios[0].vec.bv_len = 2 * FAKE_PAGE;
	sim_expect(end_of(bio) == BLK_STS_AGAIN);
	sim_expect(fake.taken_nr == 0);
	fake_destroy();
	return 0;
}

Test(mq, a_nowait_bio_is_not_cut)
{
	run(split_nowait_case);
}

/* ---- a driver's own requests ----------------------------------------------------------------------------------- */

static void complete_later(void *arg)
{
	settle();
	fake_complete(0, BLK_STS_TARGET);
}

static int execute_case(void *arg)
{
	static const struct fake_config cfg = { .depth = 3, .reserved = 1 };
	struct request_queue *q;
	struct request *rq;

	fake_create(&cfg);
	q = fake.disk->queue;
	rq = blk_mq_alloc_request(q, REQ_OP_DRV_IN, 0);
	sim_expect(rt_spawn(complete_later, NULL, "completer") == 0);
	sim_expect(blk_execute_rq(rq) == BLK_STS_TARGET);
	blk_mq_free_request(rq);
	/* two ordinary tags and a reserved one */
	fake_submit(0);
	fake_submit(1);
	settle();
	sim_expect(!blk_mq_alloc_request(q, REQ_OP_DRV_IN, BLK_MQ_REQ_NOWAIT));
	rq = blk_mq_alloc_request(q, REQ_OP_DRV_IN, BLK_MQ_REQ_NOWAIT | BLK_MQ_REQ_RESERVED);
	sim_expect(rq && rq->tag == 0);
	blk_mq_free_request(rq);
	fake_complete_all();
	settle();
	fake_expect_all_ok(2);
	fake_destroy();
	return 0;
}

Test(mq, a_driver_executes_its_own_commands_and_has_reserved_tags)
{
	run(execute_case);
}

static int stopped_case(void *arg)
{
	struct blk_mq_hw_ctx *hctx;

	fake_create(NULL);
	fake.is_inline = true;
	hctx = fake.disk->queue->hctxs[0];
	blk_mq_stop_hw_queue(hctx);
	fake_submit_plugged(4);
	settle();
	sim_expect(fake.calls_nr == 0);
	blk_mq_start_stopped_hw_queue(hctx);
	settle();
	fake_expect_all_ok(4);
	expect_order(in_order, 4);
	fake_destroy();
	return 0;
}

Test(mq, a_stopped_hardware_queue_gets_nothing_until_it_is_started)
{
	run(stopped_case);
}
