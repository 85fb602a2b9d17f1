/* SPDX-License-Identifier: MIT */
/*
 * The flush machinery: the decision by table, the rules one by one against a device that is answered
 * by hand, and thousands of random loads on a model that knows what is durable.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "blk/flush.h"
#include "blkfs/driver.h"
#include "tests/contract/blk_load.h"
#include "tests/lib/sim.h"

/* ---- F1: which steps ------------------------------------------------------------------------------ */

#define PRE FLUSH_PRE
#define DATA FLUSH_DATA
#define POST FLUSH_POST

static const struct {
	struct flush_caps caps;
	blk_opf_t opf;
	bool has_data;
	unsigned int steps;
	blk_opf_t data_opf; /* of PREFLUSH and FUA, what the device sees */
} decisions[] = {
	/* no cache: nothing to flush, nothing to force */
	{ { false, false }, 0, true, DATA, 0 },
	{ { false, false }, REQ_FUA, true, DATA, 0 },
	{ { false, false }, REQ_PREFLUSH, true, DATA, 0 },
	{ { false, false }, REQ_PREFLUSH | REQ_FUA, true, DATA, 0 },
	{ { false, false }, REQ_PREFLUSH, false, 0, 0 },
	{ { false, false }, REQ_PREFLUSH | REQ_FUA, false, 0, 0 },
	{ { false, true }, REQ_FUA, true, DATA, 0 },
	{ { false, true }, REQ_PREFLUSH | REQ_FUA, true, DATA, 0 },
	{ { false, true }, REQ_PREFLUSH, false, 0, 0 },
	/* a cache and no FUA: FUA is a flush behind */
	{ { true, false }, 0, true, DATA, 0 },
	{ { true, false }, REQ_FUA, true, DATA | POST, 0 },
	{ { true, false }, REQ_PREFLUSH, true, PRE | DATA, 0 },
	{ { true, false }, REQ_PREFLUSH | REQ_FUA, true, PRE | DATA | POST, 0 },
	{ { true, false }, REQ_PREFLUSH, false, PRE, 0 },
	{ { true, false }, REQ_PREFLUSH | REQ_FUA, false, PRE, 0 },
	/* a cache and FUA: the device does that part */
	{ { true, true }, 0, true, DATA, 0 },
	{ { true, true }, REQ_FUA, true, DATA, REQ_FUA },
	{ { true, true }, REQ_PREFLUSH, true, PRE | DATA, 0 },
	{ { true, true }, REQ_PREFLUSH | REQ_FUA, true, PRE | DATA, REQ_FUA },
	{ { true, true }, REQ_PREFLUSH, false, PRE, 0 },
	{ { true, true }, REQ_PREFLUSH | REQ_FUA, false, PRE, REQ_FUA },
};

Test(flush, steps_follow_from_cache_fua_and_flags)
{
	for (size_t i = 0; i < ARRAY_SIZE(decisions); i++) {
		blk_opf_t opf = REQ_OP_WRITE | decisions[i].opf;

		cr_expect_eq(blk_flush_policy(decisions[i].caps, opf, decisions[i].has_data),
			     decisions[i].steps, "row %zu", i);
		cr_expect_eq(blk_flush_data_opf(decisions[i].caps, opf) & (REQ_PREFLUSH | REQ_FUA),
			     decisions[i].data_opf, "row %zu", i);
	}
}

/* ---- a device that is answered by hand --------------------------------------------------------------- */

enum { HELD_MAX = 16, BIOS_MAX = 8 };

struct hand_device {
	struct blk_mq_tag_set set;
	struct gendisk *disk;
	struct request *held[HELD_MAX]; /* issued and not answered, in order */
	unsigned int held_nr;
	unsigned int refuse_nr; /* so many of the next are refused with RESOURCE */
	struct bio bios[BIOS_MAX];
	struct bio_vec vecs[BIOS_MAX];
	int ended[BIOS_MAX]; /* -1: not yet; else bi_status */
};

static struct hand_device hand;
static char page[4096] __aligned(4096);

static blk_status_t hand_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	if (hand.refuse_nr) {
		hand.refuse_nr--;
		return BLK_STS_RESOURCE;
	}
	blk_mq_start_request(bd->rq);
	blkfs_assert(hand.held_nr < HELD_MAX);
	hand.held[hand.held_nr++] = bd->rq;
	return BLK_STS_OK;
}

static const struct blk_mq_ops hand_ops = { .queue_rq = hand_queue_rq };

static int hand_create(bool has_fua, unsigned int depth)
{
	struct queue_limits lim;
	int err;

	memset(&hand, 0, sizeof(hand));
	hand.set = (struct blk_mq_tag_set){ .ops = &hand_ops,
					    .nr_hw_queues = 1,
					    .queue_depth = depth };
	blk_set_default_limits(&lim);
	lim.features |= BLK_FEAT_WRITE_CACHE | (has_fua ? BLK_FEAT_FUA : 0);
	err = blk_mq_alloc_tag_set(&hand.set);
	if (err)
		return err;
	return blk_mq_alloc_disk(&hand.set, &lim, 1 << 20, "hand", &hand, NULL, &hand.disk);
}

static void hand_destroy(void)
{
	del_gendisk(hand.disk);
	blk_mq_free_tag_set(&hand.set);
}

static void hand_ended(struct bio *bio)
{
	sim_expect(hand.ended[bio - hand.bios] == -1);
	hand.ended[bio - hand.bios] = bio->bi_status;
}

/* Lets everything run that can. */
static void settle(void)
{
	rt_sleep_ns(100000);
}

/* Bio @i: a write of sector 8 * i with @flags, or with no data. */
static void submit(unsigned int i, blk_opf_t flags, bool has_data)
{
	struct bio *bio = &hand.bios[i];

	hand.ended[i] = -1;
	bio_init(bio, &hand.disk->part0, &hand.vecs[i], 1, REQ_OP_WRITE | flags);
	bio->bi_end_io = hand_ended;
	if (has_data) {
		bio->bi_iter.bi_sector = 8 * i;
		sim_expect(bio_add_vec(bio, page, sizeof(page)) == sizeof(page));
	}
	submit_bio(bio);
	settle();
}

/* What is held, as words: "F" a flush, "W3" the data of bio 3, "W3!" with FUA. */
static bool held_is(const char *expected)
{
	char text[128];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	for (unsigned int i = 0; i < hand.held_nr; i++) {
		const struct request *rq = hand.held[i];

		if (i)
			strbuf_putc(&sb, ' ');
		if (req_op(rq) == REQ_OP_FLUSH)
			strbuf_puts(&sb, "F");
		else
			strbuf_printf(&sb, "W%u%s", (unsigned int)blk_rq_pos(rq) / 8,
				      rq->cmd_flags & REQ_FUA ? "!" : "");
	}
	if (strcmp(text, expected) != 0)
		log_err("the device holds \"%s\", expected \"%s\"", text, expected);
	return strcmp(text, expected) == 0;
}

static void complete_held(unsigned int i, blk_status_t status)
{
	struct request *rq = hand.held[i];

	hand.held_nr--;
	memmove(&hand.held[i], &hand.held[i + 1], (hand.held_nr - i) * sizeof(hand.held[0]));
	blk_mq_complete_request(rq, status);
	settle();
}

static void in_simulator(sim_fn fn)
{
	cr_assert_eq(sim_run(1, 1, fn, NULL), 0);
}

/* ---- F1, F5: the order of steps ------------------------------------------------------------------------ */

static int emulated_case(void *arg)
{
	int err = hand_create(false, 8);

	if (err)
		return err;
	submit(0, REQ_PREFLUSH | REQ_FUA, true);
	sim_expect(held_is("F"));
	complete_held(0, BLK_STS_OK);
	sim_expect(held_is("W0"));
	complete_held(0, BLK_STS_OK);
	sim_expect(held_is("F") && hand.ended[0] == -1);
	complete_held(0, BLK_STS_OK);
	sim_expect(held_is("") && hand.ended[0] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, without_fua_a_write_is_between_two_flushes)
{
	in_simulator(emulated_case);
}

static int fua_case(void *arg)
{
	int err = hand_create(true, 8);

	if (err)
		return err;
	submit(0, REQ_FUA, true);
	sim_expect(held_is("W0!"));
	submit(1, REQ_PREFLUSH | REQ_FUA, true);
	sim_expect(held_is("W0! F"));
	complete_held(1, BLK_STS_OK);
	sim_expect(held_is("W0! W1!"));
	complete_held(1, BLK_STS_OK);
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[0] == BLK_STS_OK && hand.ended[1] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, with_fua_the_device_does_it)
{
	in_simulator(fua_case);
}

/* ---- F2, F3: sharing --------------------------------------------------------------------------------------- */

static int share_case(void *arg)
{
	int err = hand_create(false, 8);

	if (err)
		return err;
	submit(0, REQ_PREFLUSH, false);
	sim_expect(held_is("F"));
	submit(1, REQ_PREFLUSH, false);
	submit(2, REQ_PREFLUSH, false);
	submit(3, REQ_PREFLUSH, true);
	sim_expect(held_is("F"));
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[0] == BLK_STS_OK && hand.ended[1] == -1 && hand.ended[2] == -1);
	sim_expect(held_is("F"));
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[1] == BLK_STS_OK && hand.ended[2] == BLK_STS_OK);
	sim_expect(held_is("W3"));
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[3] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, who_comes_while_one_is_out_shares_the_next)
{
	in_simulator(share_case);
}

static int held_back_case(void *arg)
{
	int err = hand_create(false, 8);

	if (err)
		return err;
	submit(0, REQ_FUA, true);
	submit(1, REQ_FUA, true);
	sim_expect(held_is("W0 W1"));
	complete_held(0, BLK_STS_OK); /* its flush waits for the other's */
	submit(2, REQ_PREFLUSH, false);
	sim_expect(held_is("W1"));
	complete_held(0, BLK_STS_OK);
	sim_expect(held_is("F"));
	complete_held(0, BLK_STS_OK);
	for (unsigned int i = 0; i < 3; i++)
		sim_expect(hand.ended[i] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, a_flush_waits_for_data_steps_that_will_need_one)
{
	in_simulator(held_back_case);
}

static int old_case(void *arg)
{
	int err = hand_create(false, 8);

	if (err)
		return err;
	submit(0, REQ_FUA, true);
	submit(1, REQ_PREFLUSH, false);
	sim_expect(held_is("W0"));
	rt_sleep_ns(5100000000);
	submit(2, REQ_PREFLUSH, false);
	sim_expect(held_is("W0 F"));
	complete_held(1, BLK_STS_OK);
	sim_expect(hand.ended[1] == BLK_STS_OK && hand.ended[2] == BLK_STS_OK);
	complete_held(0, BLK_STS_OK);
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[0] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, one_that_waited_five_seconds_is_held_back_no_longer)
{
	in_simulator(old_case);
}

/* ---- F4: errors ------------------------------------------------------------------------------------------------ */

static int flush_error_case(void *arg)
{
	int err = hand_create(false, 8);

	if (err)
		return err;
	submit(0, REQ_PREFLUSH, false);
	submit(1, REQ_PREFLUSH | REQ_FUA, true);
	submit(2, REQ_PREFLUSH, false);
	complete_held(0, BLK_STS_OK);
	sim_expect(held_is("F"));
	complete_held(0, BLK_STS_MEDIUM);
	sim_expect(held_is("") && hand.ended[0] == BLK_STS_OK);
	sim_expect(hand.ended[1] == BLK_STS_MEDIUM && hand.ended[2] == BLK_STS_MEDIUM);
	hand_destroy();
	return 0;
}

Test(flush, its_error_reaches_every_waiter_and_ends_their_steps)
{
	in_simulator(flush_error_case);
}

static int data_error_case(void *arg)
{
	int err = hand_create(false, 8);

	if (err)
		return err;
	submit(0, REQ_FUA, true);
	submit(1, REQ_FUA, true);
	complete_held(0, BLK_STS_IOERR);
	sim_expect(hand.ended[0] == BLK_STS_IOERR && hand.ended[1] == -1);
	complete_held(0, BLK_STS_OK);
	sim_expect(held_is("F"));
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[1] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, an_error_of_data_is_its_own)
{
	in_simulator(data_error_case);
}

/* ---- F6: refused and given back ------------------------------------------------------------------------------------ */

static int refused_case(void *arg)
{
	struct request *rq;
	int err = hand_create(false, 1);

	if (err)
		return err;
	hand.refuse_nr = 1;
	submit(0, REQ_PREFLUSH | REQ_FUA, true);
	sim_expect(held_is(""));
	rt_sleep_ns(20000000);
	sim_expect(held_is("F"));
	rq = hand.held[0];
	hand.held_nr = 0;
	blk_mq_requeue_request(rq, true);
	settle();
	sim_expect(held_is("F"));
	complete_held(0, BLK_STS_OK);
	hand.refuse_nr = 0;
	rq = hand.held[0];
	hand.held_nr = 0;
	blk_mq_requeue_request(rq, true);
	settle();
	sim_expect(held_is("W0"));
	hand.refuse_nr = 1;
	complete_held(0, BLK_STS_OK);
	rt_sleep_ns(20000000);
	sim_expect(held_is("F"));
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[0] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, every_step_may_be_refused_or_given_back)
{
	in_simulator(refused_case);
}

static int tag_case(void *arg)
{
	int err = hand_create(false, 1);

	if (err)
		return err;
	submit(0, REQ_PREFLUSH, false);
	sim_expect(held_is("F"));
	/* The flush goes under the waiter's number, so that one tag is enough. */
	sim_expect(hand.held[0]->tag == 0);
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[0] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, one_tag_is_enough)
{
	in_simulator(tag_case);
}

/* ---- a device that dies, a queue that stands still ------------------------------------------------------------------- */

static int frozen_done;

static void freeze_task(void *arg)
{
	blk_mq_freeze_queue(hand.disk->queue);
	frozen_done = 1;
	blk_mq_unfreeze_queue(hand.disk->queue);
}

static int freeze_case(void *arg)
{
	int err = hand_create(false, 8);

	if (err)
		return err;
	frozen_done = 0;
	submit(0, REQ_PREFLUSH | REQ_FUA, true);
	err = rt_spawn(freeze_task, NULL, "freeze");
	if (err)
		return err;
	for (unsigned int step = 0; step < 3; step++) {
		settle();
		sim_expect(!frozen_done && hand.held_nr == 1);
		complete_held(0, BLK_STS_OK);
	}
	settle();
	sim_expect(frozen_done && hand.ended[0] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, a_freeze_waits_for_the_whole_sequence)
{
	in_simulator(freeze_case);
}

static int quiesce_case(void *arg)
{
	int err = hand_create(false, 8);

	if (err)
		return err;
	submit(0, REQ_PREFLUSH, true);
	blk_mq_quiesce_queue(hand.disk->queue);
	complete_held(0, BLK_STS_OK);
	sim_expect(held_is(""));
	blk_mq_unquiesce_queue(hand.disk->queue);
	settle();
	sim_expect(held_is("W0"));
	complete_held(0, BLK_STS_OK);
	sim_expect(hand.ended[0] == BLK_STS_OK);
	hand_destroy();
	return 0;
}

Test(flush, a_quiesced_queue_sends_no_step)
{
	in_simulator(quiesce_case);
}

/* ---- random loads ------------------------------------------------------------------------------------------------------ */

static int random_case(void *arg)
{
	struct blk_load load = blk_load_random();

	return blk_load_run(&load, NULL);
}

Test(flush, no_write_is_before_what_it_must_follow_in_any_order_of_events)
{
	log_set_level(LOG_LEVEL_WARN);
	sim_seeds(1, 3000, 2, random_case, NULL);
}

static int sharing_case(void *arg)
{
	struct blk_load_result result;
	struct blk_load load = { .hw_queues = 1,
				 .queue_depth = 64,
				 .has_cache = true,
				 .tasks_nr = 8,
				 .ops_nr = 16,
				 .has_flushes = true };
	int err = blk_load_run(&load, &result);

	/* Half of the 128 operations need a flush or two. */
	sim_expect(result.flushes_nr > 0 && result.flushes_nr < 64);
	return err;
}

Test(flush, tasks_on_two_reactors_share_flushes)
{
	sim_seeds(1, 20, 2, sharing_case, NULL);
}

/* ---- real reactors: what ThreadSanitizer is to see --------------------------------------------------- */

Test(flush, no_write_is_before_what_it_must_follow_on_two_real_reactors)
{
	log_set_level(LOG_LEVEL_WARN);
	ring_rounds(50, 2, random_case, NULL);
}

Test(flush, tasks_on_two_real_reactors_share_flushes)
{
	ring_rounds(10, 2, sharing_case, NULL);
}
