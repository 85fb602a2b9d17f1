/* SPDX-License-Identifier: MIT */
/*
 * Waiting and standing still: tags and who gets them, freeze, quiesce, removal, timeouts; and random
 * loads on two reactors with freezes in between, over many seeds.
 */
#include "tests/lib/test.h"

#include <errno.h>

#include "blk/blk.h"
#include "tests/blk/fake_dev.h"
#include "tests/contract/blk_load.h"

static void run(sim_fn fn)
{
	cr_assert_eq(sim_run(1, 1, fn, NULL), 0);
}

/* ---- tags ------------------------------------------------------------------------------------------- */

enum { WAITERS = 6 };

static unsigned int numbers[FAKE_MAX];

static void submit_one(void *arg)
{
	fake_submit(*(unsigned int *)arg);
}

static void spawn_submitters(unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		numbers[i] = i;
		sim_expect(rt_spawn(submit_one, &numbers[i], "submitter") == 0);
		settle();
	}
}

static int fair_case(void *arg)
{
	static const struct fake_config cfg = { .depth = 2 };

	fake_create(&cfg);
	spawn_submitters(0, WAITERS);
	for (unsigned int i = 0; i < WAITERS; i++) {
		sim_expect(fake.taken_nr == min(i + 2, (unsigned int)WAITERS));
		sim_expect(fake.taken[i] == 16 * i);
		fake_complete(0, BLK_STS_OK);
		settle();
	}
	fake_expect_all_ok(WAITERS);
	fake_destroy();
	return 0;
}

Test(still, tags_go_to_who_waits_longest)
{
	run(fair_case);
}

static void complete_soon(void *arg)
{
	while (fake_ended_nr < *(unsigned int *)arg) {
		settle();
		if (fake.held_nr)
			fake_complete(0, BLK_STS_OK);
	}
}

static int newcomer_case(void *arg)
{
	static unsigned int all = 3;
	static const struct fake_config cfg = { .depth = 1 };

	fake_create(&cfg);
	spawn_submitters(0, 2);
	sim_expect(rt_spawn(complete_soon, &all, "completer") == 0);
	fake_submit(2);
	while (fake_ended_nr < all)
		settle();
	sim_expect(fake.taken[1] == 16 && fake.taken[2] == 32);
	fake_destroy();
	return 0;
}

Test(still, who_comes_later_does_not_overtake_who_waits)
{
	run(newcomer_case);
}

static int nowait_case(void *arg)
{
	static const struct fake_config cfg = { .depth = 1 };

	fake_create(&cfg);
	fake_submit(0);
	settle();
	submit_bio(fake_bio(1, REQ_OP_READ | REQ_NOWAIT, 16));
	sim_expect(fake_bios[1].ended_nr == 1 && fake_bios[1].status == BLK_STS_AGAIN);
	fake_complete_all();
	settle();
	fake_expect_all_ok(1);
	fake_destroy();
	return 0;
}

Test(still, nowait_gets_again_instead_of_a_sleep)
{
	run(nowait_case);
}

static int plug_and_tags_case(void *arg)
{
	static unsigned int all = 8;
	static const struct fake_config cfg = { .depth = 4 };

	/* The plug holds all tags when it needs one more: it must be issued first. */
	fake_create(&cfg);
	sim_expect(rt_spawn(complete_soon, &all, "completer") == 0);
	fake_submit_plugged(all);
	while (fake_ended_nr < all)
		settle();
	fake_expect_all_ok(all);
	fake_destroy();
	return 0;
}

Test(still, a_plug_that_holds_all_tags_is_issued_before_it_waits_for_one)
{
	run(plug_and_tags_case);
}

static int nr_requests_case(void *arg)
{
	struct request_queue *q;

	fake_create(NULL);
	q = fake.disk->queue;
	rt_mutex_lock(&q->change_lock);
	sim_expect(blk_mq_update_nr_requests(q, 65) == -EINVAL);
	sim_expect(blk_mq_update_nr_requests(q, 0) == -EINVAL);
	sim_expect(blk_mq_update_nr_requests(q, 3) == 0);
	rt_mutex_unlock(&q->change_lock);
	spawn_submitters(0, 5);
	sim_expect(fake.held_nr == 3);
	fake_complete(0, BLK_STS_OK);
	settle();
	sim_expect(fake.held_nr == 3);
	while (fake.held_nr) {
		fake_complete(0, BLK_STS_OK);
		settle();
	}
	fake_expect_all_ok(5);
	fake_destroy();
	return 0;
}

Test(still, nr_requests_bounds_what_is_in_flight)
{
	run(nr_requests_case);
}

static unsigned int held_of(const struct gendisk *disk)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < fake.held_nr; i++)
		nr += fake.held[i]->q == disk->queue;
	return nr;
}

static void complete_one_of(const struct gendisk *disk)
{
	for (unsigned int i = 0; i < fake.held_nr; i++) {
		if (fake.held[i]->q == disk->queue) {
			fake_complete(i, BLK_STS_OK);
			return;
		}
	}
}

static struct gendisk *second;

static void submit_to_second(void *arg)
{
	unsigned int i = *(unsigned int *)arg;
	struct bio *bio = fake_bio(i, REQ_OP_READ, 16 * i);

	bio->bi_bdev = &second->part0;
	submit_bio(bio);
}

static int share_case(void *arg)
{
	static const struct fake_config cfg = { .depth = 16 };
	struct queue_limits lim;

	fake_create(&cfg);
	blk_set_default_limits(&lim);
	sim_expect(blk_mq_alloc_disk(&fake.set, &lim, 1 << 20, "second", NULL, NULL, &second) == 0);
	sim_expect(elevator_switch(second->queue, "none") == 0);
	spawn_submitters(0, 32);
	sim_expect(held_of(fake.disk) == 16); /* alone it has all */
	for (unsigned int i = 32; i < 44; i++) {
		numbers[i] = i;
		sim_expect(rt_spawn(submit_to_second, &numbers[i], "submitter") == 0);
	}
	settle();
	sim_expect(held_of(second) == 0);
	for (unsigned int i = 1; i <= 8; i++) {
		complete_one_of(fake.disk);
		settle();
		sim_expect(held_of(second) == i && held_of(fake.disk) == 16 - i);
	}
	complete_one_of(fake.disk); /* from here on each has its half */
	settle();
	sim_expect(held_of(second) == 8 && held_of(fake.disk) == 8);
	while (fake.held_nr) {
		fake_complete(0, BLK_STS_OK);
		settle();
	}
	fake_expect_all_ok(44);
	del_gendisk(second);
	spawn_submitters(0, 16);
	sim_expect(held_of(fake.disk) == 16); /* alone again */
	fake_complete_all();
	settle();
	fake_destroy();
	return 0;
}

Test(still, queues_that_share_tags_have_fair_parts_of_them)
{
	run(share_case);
}

/* ---- freeze ------------------------------------------------------------------------------------------------- */

static bool is_frozen, is_thawed;

static void freezer(void *arg)
{
	blk_mq_freeze_queue(fake.disk->queue);
	is_frozen = true;
	while (!is_thawed)
		rt_sleep_ns(10000);
	blk_mq_unfreeze_queue(fake.disk->queue);
}

static int freeze_case(void *arg)
{
	static const struct fake_config cfg = { .depth = 2 };

	fake_create(&cfg);
	is_frozen = is_thawed = false;
	spawn_submitters(0, 4); /* two at the driver, two wait for tags */
	sim_expect(rt_spawn(freezer, NULL, "freezer") == 0);
	settle();
	spawn_submitters(4, 6); /* wait for the thaw */
	submit_bio(fake_bio(6, REQ_OP_READ | REQ_NOWAIT, 0));
	sim_expect(fake_bios[6].status == BLK_STS_AGAIN);
	for (unsigned int i = 0; i < 4; i++) {
		sim_expect(!is_frozen);
		fake_complete(0, BLK_STS_OK);
		settle();
	}
	sim_expect(is_frozen && fake.taken_nr == 4);
	is_thawed = true;
	settle();
	sim_expect(fake.taken_nr == 6);
	fake_complete_all();
	settle();
	fake_expect_all_ok(6);
	fake_destroy();
	return 0;
}

Test(still, a_freeze_waits_for_what_is_inside_and_holds_what_comes)
{
	run(freeze_case);
}

static int quiesce_case(void *arg)
{
	struct request_queue *q;

	fake_create(NULL);
	q = fake.disk->queue;
	blk_mq_quiesce_queue(q);
	blk_mq_quiesce_queue(q);
	fake_submit_plugged(4);
	blk_mq_run_hw_queues(q);
	blk_mq_unquiesce_queue(q);
	settle();
	sim_expect(fake.calls_nr == 0);
	blk_mq_unquiesce_queue(q);
	settle();
	sim_expect(fake.taken_nr == 4);
	fake_complete_all();
	settle();
	fake_expect_all_ok(4);
	fake_destroy();
	return 0;
}

Test(still, nothing_goes_to_a_driver_while_its_queue_is_quiesced)
{
	run(quiesce_case);
}

static void remover(void *arg)
{
	fake_destroy();
	is_frozen = true;
}

static int removal_case(void *arg)
{
	fake_create(NULL);
	is_frozen = false;
	spawn_submitters(0, 2);
	sim_expect(rt_spawn(remover, NULL, "remover") == 0);
	settle();
	spawn_submitters(2, 3);
	sim_expect(fake_bios[2].ended_nr == 1 && fake_bios[2].status == BLK_STS_OFFLINE);
	sim_expect(!is_frozen);
	fake_complete_all();
	settle();
	sim_expect(is_frozen);
	fake_expect_all_ok(2);
	return 0;
}

Test(still, a_disk_that_goes_drains_first_and_takes_nothing_new)
{
	run(removal_case);
}

/* ---- timeouts ------------------------------------------------------------------------------------------------ */

enum { SECOND = 1000000000 };

static int timeout_done_case(void *arg)
{
	static const struct fake_config cfg = { .timeout_ns = SECOND };

	fake_create(&cfg);
	fake.verdict_of_timeout = BLK_EH_DONE;
	fake.status_at_timeout = BLK_STS_TIMEOUT;
	fake_submit(0);
	rt_sleep_ns(SECOND * 9ULL / 10);
	sim_expect(fake.timeouts_nr == 0);
	fake_submit(1);
	rt_sleep_ns(SECOND * 5ULL / 10);
	sim_expect(fake.timeouts_nr == 1);
	sim_expect(fake_bios[0].ended_nr == 1 && fake_bios[0].status == BLK_STS_TIMEOUT);
	sim_expect(fake_bios[1].ended_nr == 0);
	fake_complete_all();
	rt_sleep_ns(3ULL * SECOND);
	sim_expect(fake.timeouts_nr == 1 && fake_bios[1].status == BLK_STS_OK);
	fake_submit(2); /* the timer had gone to sleep */
	rt_sleep_ns(3ULL * SECOND);
	sim_expect(fake.timeouts_nr == 2 && fake_bios[2].status == BLK_STS_TIMEOUT);
	fake_destroy();
	return 0;
}

Test(still, a_request_past_its_deadline_is_the_drivers_to_judge)
{
	run(timeout_done_case);
}

static int timeout_reset_case(void *arg)
{
	static const struct fake_config cfg = { .timeout_ns = SECOND };

	fake_create(&cfg);
	fake.verdict_of_timeout = BLK_EH_RESET_TIMER;
	fake_submit(0);
	rt_sleep_ns(SECOND * 35ULL / 10);
	sim_expect(fake.timeouts_nr == 3);
	sim_expect(fake_bios[0].ended_nr == 0);
	fake_complete_all();
	settle();
	fake_expect_all_ok(1);
	fake_destroy();
	return 0;
}

Test(still, a_verdict_to_wait_gives_another_deadline)
{
	run(timeout_reset_case);
}

/* ---- random loads ----------------------------------------------------------------------------------------------- */

static void freeze_a_while(struct gendisk *disk)
{
	rt_sleep_ns(rt_random() % 300000);
	blk_mq_freeze_queue(disk->queue);
	if (rt_random() % 2)
		rt_sleep_ns(rt_random() % 50000);
	blk_mq_unfreeze_queue(disk->queue);
}

static void quiesce_a_while(struct gendisk *disk)
{
	rt_sleep_ns(rt_random() % 300000);
	blk_mq_quiesce_queue(disk->queue);
	rt_sleep_ns(rt_random() % 50000);
	blk_mq_unquiesce_queue(disk->queue);
}

static void resize_a_while(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;

	rt_sleep_ns(rt_random() % 300000);
	rt_mutex_lock(&q->change_lock);
	if (blk_mq_update_nr_requests(q, 1 + (unsigned int)(rt_random() % q->tag_set->queue_depth)))
		sim_expect(!"a depth that the tag set has");
	rt_mutex_unlock(&q->change_lock);
}

static int load_case(void *arg)
{
	static void (*const meanwhile[])(struct gendisk * disk) = {
		freeze_a_while,
		quiesce_a_while,
		resize_a_while,
		NULL,
	};
	struct blk_load load = blk_load_random();
	struct blk_load_result result;

	load.elevator = "none";
	load.meanwhile = meanwhile[rt_random() % ARRAY_SIZE(meanwhile)];
	return blk_load_run(&load, &result);
}

Test(still, nothing_is_lost_or_done_twice_on_two_reactors_with_freezes, .timeout = 60)
{
	sim_seeds(1, 3000, 2, load_case, NULL);
}

Test(still, nor_on_three, .timeout = 60)
{
	sim_seeds(10000, 1500, 3, load_case, NULL);
}
