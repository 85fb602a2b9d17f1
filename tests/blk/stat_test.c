/* SPDX-License-Identifier: MIT */
/*
 * Statistics: the 17 fields after known I/O, on a device that takes ten milliseconds for each command.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/histogram.h"
#include "base/log.h"
#include "blk/account.h"
#include "blkfs/attr.h"
#include "blkfs/driver.h"
#include "blkfs/stat.h"
#include "tests/lib/sim.h"

enum { COMMAND_MS = 10 };
#define MS 1000000ULL

static char page[8192] __aligned(4096);
static struct blk_mq_tag_set set;
static struct gendisk *disk;

static void fires(struct rt_timer *timer)
{
	blk_mq_complete_request(blk_mq_rq_from_pdu(timer), BLK_STS_OK);
}

static blk_status_t slow_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	blk_mq_start_request(bd->rq);
	rt_timer_arm(blk_mq_rq_to_pdu(bd->rq), rt_now() + COMMAND_MS * MS);
	return BLK_STS_OK;
}

static int slow_init_request(struct blk_mq_tag_set *s, struct request *rq, unsigned int hctx_idx)
{
	rt_timer_init(blk_mq_rq_to_pdu(rq), fires);
	return 0;
}

static const struct blk_mq_ops slow_ops = { .queue_rq = slow_queue_rq,
					    .init_request = slow_init_request };

static int create(void)
{
	struct queue_limits lim;
	int err;

	set = (struct blk_mq_tag_set){ .ops = &slow_ops,
				       .nr_hw_queues = 1,
				       .queue_depth = 8,
				       .cmd_size = sizeof(struct rt_timer) };
	blk_set_default_limits(&lim);
	lim.features = BLK_FEAT_WRITE_CACHE;
	lim.max_hw_discard_sectors = 2048;
	lim.discard_granularity = 512;
	err = blk_mq_alloc_tag_set(&set);
	if (err)
		return err;
	return blk_mq_alloc_disk(&set, &lim, 1 << 20, "slow", NULL, attr_root(), &disk);
}

static void destroy(void)
{
	del_gendisk(disk);
	blk_mq_free_tag_set(&set);
}

static struct disk_stats stats_now(void)
{
	struct disk_stats stats;

	bdev_stats_read(&disk->part0, &stats);
	return stats;
}

static bool is_about(uint64_t value, uint64_t expected)
{
	if (value + 1 >= expected && value <= expected + 1)
		return true;
	log_err("%llu is not about %llu", (unsigned long long)value, (unsigned long long)expected);
	return false;
}

/* ---- fields ------------------------------------------------------------------------------------------ */

static int fields_case(void *arg)
{
	struct disk_stats stats;
	int err = create();

	if (err)
		return err;
	sim_expect(bdev_rw(&disk->part0, REQ_OP_READ, 0, page, 4096) == 0);
	rt_sleep_ns(100 * MS);
	sim_expect(bdev_rw(&disk->part0, REQ_OP_WRITE, 8, page, 8192) == 0);
	sim_expect(blkdev_issue_discard(&disk->part0, 64, 32) == 0);
	sim_expect(blkdev_issue_flush(&disk->part0) == 0);
	stats = stats_now();
	sim_expect(stats.read_ios == 1 && stats.read_sectors == 8 && stats.read_merges == 0);
	/* The one who waits for a flush is a write without sectors, as in Linux. */
	sim_expect(stats.write_ios == 2 && stats.write_sectors == 16);
	sim_expect(stats.discard_ios == 1 && stats.discard_sectors == 32);
	sim_expect(stats.flush_ios == 1 && stats.in_flight == 0);
	sim_expect(is_about(stats.read_ticks, COMMAND_MS));
	sim_expect(is_about(stats.write_ticks, 2 * COMMAND_MS));
	sim_expect(is_about(stats.discard_ticks, COMMAND_MS));
	sim_expect(is_about(stats.flush_ticks, COMMAND_MS));
	sim_expect(is_about(stats.time_in_queue, 5 * COMMAND_MS));
	/* Four commands one after the other; the pause does not count. A tick is lost or won at each. */
	sim_expect(stats.io_ticks >= 4 * COMMAND_MS - 4 * BLK_TICK_NS / MS &&
		   stats.io_ticks <= 4 * COMMAND_MS + 4 * BLK_TICK_NS / MS);
	destroy();
	return 0;
}

Test(stat, the_fields_are_those_of_linux)
{
	cr_assert_eq(sim_run(1, 1, fields_case, NULL), 0);
}

/* ---- in flight, merges, iostats -------------------------------------------------------------------------- */

static unsigned int ended_nr;

static void ended(struct bio *bio)
{
	ended_nr++;
}

/* Submits bios of one page from sector 0 on, in one plug, which merges them. */
static void submit_row(struct bio *bios, struct bio_vec *vecs, unsigned int nr, blk_opf_t opf)
{
	struct blk_plug plug;

	blk_start_plug(&plug);
	for (unsigned int i = 0; i < nr; i++) {
		bio_init(&bios[i], &disk->part0, &vecs[i], 1, opf);
		bios[i].bi_iter.bi_sector = 8 * i;
		bios[i].bi_end_io = ended;
		sim_expect(bio_add_vec(&bios[i], page, 4096) == 4096);
		submit_bio(&bios[i]);
	}
	blk_finish_plug(&plug);
}

static int merge_case(void *arg)
{
	struct bio bios[4];
	struct bio_vec vecs[4];
	struct disk_stats stats;
	uint64_t inflight[2];
	int err = create();

	if (err)
		return err;
	ended_nr = 0;
	submit_row(bios, vecs, 4, REQ_OP_READ);
	rt_sleep_ns(COMMAND_MS * MS / 2);
	bdev_inflight_read(&disk->part0, inflight);
	sim_expect(inflight[0] == 1 && inflight[1] == 0);
	rt_sleep_ns(COMMAND_MS * MS);
	stats = stats_now();
	sim_expect(ended_nr == 4);
	sim_expect(stats.read_ios == 1 && stats.read_merges == 3 && stats.read_sectors == 32);
	sim_expect(attr_store("queue/iostats", "0", 1) == 0);
	sim_expect(bdev_rw(&disk->part0, REQ_OP_READ, 0, page, 4096) == 0);
	sim_expect(blkdev_issue_flush(&disk->part0) == 0);
	stats = stats_now();
	sim_expect(stats.read_ios == 1 && stats.flush_ios == 0 && stats.in_flight == 0);
	destroy();
	return 0;
}

Test(stat, merges_and_what_is_in_flight_are_counted_unless_switched_off)
{
	cr_assert_eq(sim_run(1, 1, merge_case, NULL), 0);
}

/* ---- latency ------------------------------------------------------------------------------------------------ */

static int latency_case(void *arg)
{
	static struct histogram hist;
	char text[2048];
	struct strbuf out;
	int err = create();

	if (err)
		return err;
	sim_expect(bdev_rw(&disk->part0, REQ_OP_READ, 0, page, 4096) == 0);
	histogram_init(&hist);
	bdev_latency_read(&disk->part0, STAT_READ, &hist);
	sim_expect(hist.values_nr == 1 && is_about(hist.max_ns / MS, COMMAND_MS));
	strbuf_init(&out, text, sizeof(text));
	sim_expect(attr_show("latency", &out) == 0 && strstr(text, "p99.9") && !out.overflow);
	strbuf_reset(&out);
	sim_expect(attr_show("latency_json", &out) == 0 && strstr(text, "\"p99_ns\""));
	sim_expect(attr_store("latency", "reset\n", 6) == 0);
	histogram_init(&hist);
	bdev_latency_read(&disk->part0, STAT_READ, &hist);
	sim_expect(hist.values_nr == 0);
	destroy();
	return 0;
}

Test(stat, latencies_are_kept_by_group_until_reset)
{
	cr_assert_eq(sim_run(1, 2, latency_case, NULL), 0);
}
