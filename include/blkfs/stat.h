/* SPDX-License-Identifier: MIT */
/*
 * stat.h - what is counted, in the units of Linux's Documentation/block/stat.rst.
 */
#ifndef BLKFS_STAT_H
#define BLKFS_STAT_H

#include <stdint.h>

#include "base/compiler.h"

struct block_device;
struct histogram;

enum stat_group { STAT_READ, STAT_WRITE, STAT_DISCARD, STAT_FLUSH, NR_STAT_GROUPS };

/* The 17 fields of /sys/block/X/stat, in order; ticks are milliseconds. */
struct disk_stats {
	uint64_t read_ios, read_merges, read_sectors, read_ticks;
	uint64_t write_ios, write_merges, write_sectors, write_ticks;
	uint64_t in_flight, io_ticks, time_in_queue;
	uint64_t discard_ios, discard_merges, discard_sectors, discard_ticks;
	uint64_t flush_ios, flush_ticks;
};

/* Sums all reactors' counters. Any context. */
void bdev_stats_read(const struct block_device *bdev, struct disk_stats *out);
/* Requests between accounting start and completion: reads, writes (with all else). */
void bdev_inflight_read(const struct block_device *bdev, uint64_t out[2]);
/* Merges every reactor's latency histogram (ns, submit to completion) of @group into @out. */
void bdev_latency_read(const struct block_device *bdev, enum stat_group group,
		       struct histogram *out);
/* Empties the histograms. Context: task or thread. -ETIMEDOUT: a reactor did not answer. */
int __must_check bdev_latency_reset(const struct block_device *bdev);

#endif
