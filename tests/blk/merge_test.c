/* SPDX-License-Identifier: MIT */
/*
 * What may be one request: each rule by a table row, and what a merge leaves behind.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "blk/merge.h"

static struct request_queue q;
static struct blk_mq_ctx ctx;
static struct block_device bdev, other_bdev;
static struct request rq;
static struct bio first, second;
static struct bio_vec vec_a, vec_b;
static char memory[16384] __aligned(4096);

/* @rq has the bio @first of 8 sectors at 100; @second of 8 is wherever the row puts it. */
static void setup(void)
{
	memset(&q, 0, sizeof(q));
	memset(&rq, 0, sizeof(rq));
	memset(&first, 0, sizeof(first));
	q.limits = (struct queue_limits){ .max_hw_sectors = 64, .max_segments = 8 };
	q.limits.max_user_discard_sectors = UINT32_MAX;
	q.limits.max_hw_discard_sectors = 64;
	cr_assert_eq(blk_validate_limits(&q.limits), 0);
	bdev.bd_queue = other_bdev.bd_queue = &q;
	ctx.queue = &q;
	vec_a = (struct bio_vec){ memory, 4096 };
	vec_b = (struct bio_vec){ memory + 8192, 4096 };
	first = (struct bio){ .bi_bdev = &bdev, .bi_vcnt = 1, .bi_io_vec = &vec_a };
	first.bi_iter = (struct bvec_iter){ .bi_sector = 100, .bi_size = 4096 };
	second = first;
	second.bi_io_vec = &vec_b;
	second.bi_iter.bi_sector = 108;
	rq.q = &q;
	rq.mq_ctx = &ctx;
	rq.part = &bdev;
	rq.bio = rq.biotail = &first;
	rq.sector = 100;
	rq.data_len = 4096;
	rq.nr_phys_segments = 1;
}

TestSuite(merge, .init = setup);

Test(merge, behind_is_a_back_merge)
{
	cr_expect_eq(bio_attempt_merge(&rq, &second, 1), ELEVATOR_BACK_MERGE);
	cr_expect_eq(rq.sector, 100);
	cr_expect_eq(rq.data_len, 8192);
	cr_expect_eq(rq.nr_phys_segments, 2);
	cr_expect_eq(rq.bio, &first);
	cr_expect_eq(rq.biotail, &second);
	cr_expect_eq(first.bi_next, &second);
}

Test(merge, before_is_a_front_merge)
{
	second.bi_iter.bi_sector = 92;
	cr_expect_eq(bio_attempt_merge(&rq, &second, 1), ELEVATOR_FRONT_MERGE);
	cr_expect_eq(rq.sector, 92);
	cr_expect_eq(rq.data_len, 8192);
	cr_expect_eq(rq.bio, &second);
	cr_expect_eq(rq.biotail, &first);
}

static void apart(void)
{
	second.bi_iter.bi_sector = 109;
}

static void other_op(void)
{
	second.bi_opf = REQ_OP_WRITE;
}

static void preflush(void)
{
	rq.cmd_flags = REQ_OP_WRITE;
	second.bi_opf = REQ_OP_WRITE | REQ_PREFLUSH;
}

static void fua_below(void)
{
	rq.cmd_flags = REQ_OP_WRITE | REQ_FUA;
	second.bi_opf = REQ_OP_WRITE;
}

static void nomerge(void)
{
	second.bi_opf |= REQ_NOMERGE;
}

static void other_priority(void)
{
	second.bi_ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 0);
}

static void other_hint(void)
{
	second.bi_write_hint = 3;
}

static void other_partition(void)
{
	second.bi_bdev = &other_bdev;
}

static void other_reactor(void)
{
	second.bi_reactor = 1;
}

static void started(void)
{
	rq.rq_flags = RQF_STARTED;
}

static void flush_step(void)
{
	rq.rq_flags = RQF_FLUSH_SEQ;
}

static void too_long(void)
{
	q.limits.max_sectors = 15;
}

static void too_many_segments(void)
{
	q.limits.max_segments = 1;
}

static void over_a_chunk(void)
{
	q.limits.chunk_sectors = 108;
}

static void gap_in_memory(void)
{
	q.limits.virt_boundary_mask = 4095;
	vec_a.bv_len = 2048;
	first.bi_iter.bi_size = rq.data_len = 2048;
	second.bi_iter.bi_sector = 104;
}

static void two_write_zeroes(void)
{
	rq.cmd_flags = second.bi_opf = REQ_OP_WRITE_ZEROES;
}

Test(merge, nothing_that_differs_or_exceeds_a_limit_is_merged)
{
	static const struct {
		const char *what;
		void (*change)(void);
	} rows[] = {
		{ "apart", apart },
		{ "another operation", other_op },
		{ "a PREFLUSH", preflush },
		{ "into FUA", fua_below },
		{ "NOMERGE", nomerge },
		{ "another ioprio", other_priority },
		{ "another write hint", other_hint },
		{ "another partition", other_partition },
		{ "another reactor", other_reactor },
		{ "into what is at the driver", started },
		{ "into a step of a flush", flush_step },
		{ "max_sectors", too_long },
		{ "max_segments", too_many_segments },
		{ "chunk_sectors", over_a_chunk },
		{ "virt_boundary_mask", gap_in_memory },
		{ "write zeroes", two_write_zeroes },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t len;

		setup();
		rows[i].change();
		len = rq.data_len;
		cr_expect_eq(bio_attempt_merge(&rq, &second, 1), ELEVATOR_NO_MERGE, "%s",
			     rows[i].what);
		cr_expect_eq(rq.biotail, &first, "%s", rows[i].what);
		cr_expect_eq(rq.data_len, len, "%s", rows[i].what);
	}
}

static void make_discards(void)
{
	rq.cmd_flags = first.bi_opf = second.bi_opf = REQ_OP_DISCARD;
	rq.nr_phys_segments = 1;
	rq.nr_discard_segments = 1;
}

Test(merge, discards_merge_where_they_touch)
{
	make_discards();
	cr_expect_eq(bio_attempt_merge(&rq, &second, 1), ELEVATOR_BACK_MERGE);
	cr_expect_eq(rq.data_len, 8192);
	cr_expect_eq(rq.nr_phys_segments, 1);
}

Test(merge, discards_apart_merge_only_where_the_device_takes_ranges)
{
	make_discards();
	second.bi_iter.bi_sector = 1000;
	cr_expect_eq(bio_attempt_merge(&rq, &second, 1), ELEVATOR_NO_MERGE);
	q.limits.max_discard_segments = 2;
	cr_expect_eq(bio_attempt_merge(&rq, &second, 1), ELEVATOR_DISCARD_MERGE);
	cr_expect_eq(rq.nr_discard_segments, 2);
	cr_expect_eq(rq.sector, 100);
}

Test(merge, ranges_of_a_discard_are_limited)
{
	make_discards();
	q.limits.max_discard_segments = 2;
	rq.nr_discard_segments = 2;
	cr_expect_eq(bio_attempt_merge(&rq, &second, 1), ELEVATOR_NO_MERGE);
}

Test(merge, requests_that_touch_become_one_with_the_older_start)
{
	struct request next = rq;

	next.bio = next.biotail = &second;
	next.sector = 108;
	rq.start_time_ns = 20;
	next.start_time_ns = 10;
	cr_expect(blk_attempt_req_merge(&rq, &next));
	cr_expect_eq(rq.data_len, 8192);
	cr_expect_eq(rq.biotail, &second);
	cr_expect_eq(rq.nr_phys_segments, 2);
	cr_expect_eq(rq.start_time_ns, 10);
	cr_expect_null(next.bio);
}

Test(merge, requests_apart_stay_two)
{
	struct request next = rq;

	next.bio = next.biotail = &second;
	next.sector = 109;
	cr_expect_not(blk_attempt_req_merge(&rq, &next));
	cr_expect_eq(rq.biotail, &first);
}
