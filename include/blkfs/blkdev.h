/* SPDX-License-Identifier: MIT */
/*
 * blkdev.h - block devices as their users see them: file systems above, stacked devices.
 *
 * Context: tasks, and all may sleep, unless said otherwise.
 */
#ifndef BLKFS_BLKDEV_H
#define BLKFS_BLKDEV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "blkfs/bio.h"

struct gendisk;
struct request_queue;
struct bdev_stats;

enum blk_features {
	BLK_FEAT_WRITE_CACHE = 1 << 0, /* volatile cache: flushes mean something */
	BLK_FEAT_FUA = 1 << 1,
	BLK_FEAT_ROTATIONAL = 1 << 2,
	BLK_FEAT_STABLE_WRITES = 1 << 3,
	BLK_FEAT_POLL = 1 << 4,
	BLK_FEAT_NOWAIT = 1 << 5,
	BLK_FEAT_ZONED = 1 << 6,
	BLK_FEAT_DISCARD_ZEROES = 1 << 7, /* discarded ranges read as zeros */
};

/*
 * Linux's names (6.18); bytes unless the name says sectors. 0 means "no such limit" only where
 * noted, "not supported" for discard, write zeroes, secure erase.
 */
struct queue_limits {
	uint32_t features;
	uint64_t seg_boundary_mask;  /* a segment does not cross it; ~0: none */
	uint64_t virt_boundary_mask; /* gaps between segments only on it; 0: none */
	uint32_t max_hw_sectors;
	uint32_t max_sectors;	   /* <= max_hw_sectors */
	uint32_t max_user_sectors; /* written to max_sectors_kb; 0: none */
	uint32_t chunk_sectors;	   /* no I/O crosses a multiple; 0: none */
	uint32_t max_segment_size;
	uint16_t max_segments;
	uint16_t max_discard_segments;
	uint32_t logical_block_size;
	uint32_t physical_block_size;
	uint32_t alignment_offset;
	uint32_t io_min;
	uint32_t io_opt;
	uint32_t dma_alignment; /* mask for memory addresses, 511: sector aligned */
	uint32_t max_hw_discard_sectors;
	uint32_t max_user_discard_sectors;
	uint32_t max_discard_sectors; /* min of the two */
	uint32_t discard_granularity;
	uint32_t discard_alignment;
	uint32_t max_secure_erase_sectors;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_zone_append_sectors;
};

/* Linux's defaults for a device that says nothing. */
void blk_set_default_limits(struct queue_limits *lim);
/*
 * Checks and completes @lim (derived fields, powers of two, minima).
 * Fails: -EINVAL and a log line that names the limit.
 */
int __must_check blk_validate_limits(struct queue_limits *lim);
/* Narrows @top so that what it allows @bottom allows too, @bottom starting at sector @start.
 * -1 when alignments cannot be reconciled (noted in @top as in Linux). */
int blk_stack_limits(struct queue_limits *top, const struct queue_limits *bottom, sector_t start);

/* A disk or a partition of one. */
struct block_device {
	struct gendisk *bd_disk;
	struct request_queue *bd_queue;
	sector_t bd_start_sect;
	sector_t bd_nr_sectors; /* [atomic] */
	uint8_t bd_partno;	/* 0: the whole disk */
	bool bd_read_only;	/* [atomic] */
	struct bdev_stats *bd_stats;
};

const struct queue_limits *bdev_limits(const struct block_device *bdev);
const char *bdev_name(const struct block_device *bdev);
bool bdev_write_cache(const struct block_device *bdev); /* as the write_cache file says now */
bool bdev_nonrot(const struct block_device *bdev);

static inline uint64_t bdev_nr_bytes(const struct block_device *bdev)
{
	return sectors_to_bytes(__atomic_load_n(&bdev->bd_nr_sectors, __ATOMIC_RELAXED));
}

/* ---- submitting -------------------------------------------------------------------------------- */

/*
 * submit_bio - give @bio to its device.
 *
 * Never fails here: any error is bi_status at bi_end_io, which may come before this returns.
 * Context: task; may sleep for a tag, a pool or a freeze (REQ_NOWAIT: BLK_STS_AGAIN instead).
 */
void submit_bio(struct bio *bio);

/* submit_bio_wait - the same, and sleep until it has ended. 0 or negative errno.
 * bi_end_io and bi_private are overwritten; the bio is not put. */
int __must_check submit_bio_wait(struct bio *bio);

/* A plug gathers the task's requests until it is finished, fills up, or the task sleeps. */
struct blk_plug {
	struct request *mq_list, *mq_tail; /* in order of submission (rq_next) */
	uint16_t rq_count;
	bool has_elevator;
	bool is_multiple_queues;
	struct request *cached_rqs; /* taken ahead, not used yet */
	uint16_t nr_ios;	    /* announced by blk_start_plug_nr_ios */
};

void blk_start_plug(struct blk_plug *plug);
void blk_start_plug_nr_ios(struct blk_plug *plug, unsigned short nr_ios);
void blk_finish_plug(struct blk_plug *plug);

/* ---- whole operations; 0 or negative errno ---------------------------------------------------- */

int __must_check bdev_rw(struct block_device *bdev, blk_opf_t opf, sector_t sector, void *buf,
			 size_t len_bytes);
int __must_check blkdev_issue_flush(struct block_device *bdev);
int __must_check blkdev_issue_discard(struct block_device *bdev, sector_t sector,
				      sector_t nr_sects);
/*
 * Zeros that read back as zeros, by WRITE_ZEROES, or by writing where the device has none.
 * Fails: -EOPNOTSUPP with BLKDEV_ZERO_NOFALLBACK where the device has none.
 */
enum { BLKDEV_ZERO_NOUNMAP = 1, BLKDEV_ZERO_NOFALLBACK = 2 };
int __must_check blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t nr_sects,
				      unsigned int flags);

#endif
