/* SPDX-License-Identifier: MIT */
/*
 * Statistics of a block device: Linux's Documentation/block/stat.rst, field by field. account.h
 * counts, here it is summed.
 *
 * S1. A cell has one writer, its reactor; readers sum over all of them from any context.
 * S2. io_ticks advances by whole ticks, by whoever first sees a new one: by all of the time since
 *     the last look when a request ends or others are in flight, by none of it otherwise.
 */
#include <string.h>

#include "account.h"
#include "blk.h"

static const uint64_t NSEC_PER_MSEC = 1000000;

static uint64_t in_flight(const struct bdev_stats *stats, unsigned int is_write)
{
	int64_t sum = 0;

	for (unsigned int i = 0; i < stats->cells_nr; i++)
		sum += (int64_t)READ_ONCE(stats->cells[i].in_flight[is_write]);
	return sum > 0 ? (uint64_t)sum : 0;
}

void bdev_update_io_ticks(struct bdev_stats *stats, uint64_t now_ns, bool is_end)
{
	uint64_t stamp_ns = READ_ONCE(stats->stamp_ns);
	uint64_t tick_ns = now_ns - now_ns % BLK_TICK_NS;

	if (tick_ns <= stamp_ns)
		return;
	if (!__atomic_compare_exchange_n(&stats->stamp_ns, &stamp_ns, tick_ns, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	/* Who starts now is counted in flight already and was not before. */
	if (is_end || in_flight(stats, 0) + in_flight(stats, 1) > 1)
		__atomic_fetch_add(&stats->io_ticks_ns, tick_ns - stamp_ns, __ATOMIC_RELAXED);
}

/* The sums of all reactors but the histograms. */
struct sums {
	uint64_t ios[NR_STAT_GROUPS];
	uint64_t merges[NR_STAT_GROUPS];
	uint64_t sectors[NR_STAT_GROUPS];
	uint64_t nsecs[NR_STAT_GROUPS];
};

static void sum_up(const struct bdev_stats *stats, struct sums *sums)
{
	memset(sums, 0, sizeof(*sums));
	for (unsigned int i = 0; i < stats->cells_nr; i++) {
		const struct bdev_stats_cell *cell = &stats->cells[i];

		for (unsigned int g = 0; g < NR_STAT_GROUPS; g++) {
			sums->ios[g] += READ_ONCE(cell->ios[g]);
			sums->merges[g] += READ_ONCE(cell->merges[g]);
			sums->sectors[g] += READ_ONCE(cell->sectors[g]);
			sums->nsecs[g] += READ_ONCE(cell->nsecs[g]);
		}
	}
}

void bdev_inflight_read(const struct block_device *bdev, uint64_t out[2])
{
	out[0] = in_flight(bdev->bd_stats, 0);
	out[1] = in_flight(bdev->bd_stats, 1);
}

static uint64_t in_ms(uint64_t ns)
{
	return ns / NSEC_PER_MSEC;
}

void bdev_stats_read(const struct block_device *bdev, struct disk_stats *out)
{
	struct bdev_stats *stats = bdev->bd_stats;
	struct sums sums;
	uint64_t inflight[2];

	bdev_inflight_read(bdev, inflight);
	if (inflight[0] + inflight[1])
		bdev_update_io_ticks(stats, rt_now(), true);
	sum_up(stats, &sums);
	*out = (struct disk_stats){
		.read_ios = sums.ios[STAT_READ],
		.read_merges = sums.merges[STAT_READ],
		.read_sectors = sums.sectors[STAT_READ],
		.read_ticks = in_ms(sums.nsecs[STAT_READ]),
		.write_ios = sums.ios[STAT_WRITE],
		.write_merges = sums.merges[STAT_WRITE],
		.write_sectors = sums.sectors[STAT_WRITE],
		.write_ticks = in_ms(sums.nsecs[STAT_WRITE]),
		.in_flight = inflight[0] + inflight[1],
		.io_ticks = in_ms(READ_ONCE(stats->io_ticks_ns)),
		.time_in_queue = in_ms(sums.nsecs[STAT_READ] + sums.nsecs[STAT_WRITE] +
				       sums.nsecs[STAT_DISCARD] + sums.nsecs[STAT_FLUSH]),
		.discard_ios = sums.ios[STAT_DISCARD],
		.discard_merges = sums.merges[STAT_DISCARD],
		.discard_sectors = sums.sectors[STAT_DISCARD],
		.discard_ticks = in_ms(sums.nsecs[STAT_DISCARD]),
		.flush_ios = sums.ios[STAT_FLUSH],
		.flush_ticks = in_ms(sums.nsecs[STAT_FLUSH]),
	};
}

void bdev_latency_read(const struct block_device *bdev, enum stat_group group,
		       struct histogram *out)
{
	const struct bdev_stats *stats = bdev->bd_stats;

	for (unsigned int i = 0; i < stats->cells_nr; i++)
		histogram_merge(out, &stats->cells[i].latency[group]);
}

static void reset_here(void *arg)
{
	struct bdev_stats *stats = arg;

	for (unsigned int g = 0; g < NR_STAT_GROUPS; g++)
		histogram_reset(&stats->cells[rt_reactor_id()].latency[g]);
}

int bdev_latency_reset(const struct block_device *bdev)
{
	int err = 0;

	for (unsigned int i = 0; i < bdev->bd_stats->cells_nr && !err; i++)
		err = rt_call_on(i, reset_here, bdev->bd_stats);
	return err;
}
