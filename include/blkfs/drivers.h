/* SPDX-License-Identifier: MIT */
/*
 * drivers.h - how the drivers in blk/drv are made. Each gives a gendisk; del_gendisk() ends it.
 *
 * Context: task (disks are made inside the runtime). All return 0 or -errno and log what was
 * tried, on what, why it failed and what to do.
 */
#ifndef BLKFS_DRIVERS_H
#define BLKFS_DRIVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "blkfs/blkdev.h"
#include "blkfs/driver.h"

/* What the mount options say of any driver; 0: the driver's default. */
struct drv_config {
	const char *name; /* disk name for logs and attr files */
	unsigned int hw_queues;
	unsigned int queue_depth;
	bool is_read_only;
	struct attr_dir *attrs; /* where the disk publishes; NULL: nowhere */
};

/* null: completes what it is given without doing it. Reads leave memory as it is. */
struct null_config {
	uint64_t size_bytes;
	uint32_t logical_block_size; /* 0: 512 */
	bool has_write_cache, has_fua;
	uint64_t completion_ns; /* 0: inside queue_rq */
};
int __must_check null_disk_create(const struct drv_config *dc, const struct null_config *nc,
				  struct gendisk **out);

/*
 * mem: RAM with a model of a volatile cache. With has_write_cache, what was written and not
 * flushed lives in the cache; mem_power_cut() applies a random subset of it in random order,
 * torn at sector borders, and loses the rest; FUA writes and flushed data survive. A flush covers
 * the writes that had completed when the device got it. Discards and zeroes are writes of zeros.
 */
struct mem_config {
	uint64_t size_bytes;
	uint32_t logical_block_size; /* 0: 512 */
	bool has_write_cache, has_fua;
	uint64_t latency_ns;   /* mean; 0: completes in the same turn */
	const uint8_t *medium; /* start from these size_bytes (copied); NULL: zeros */
};
int __must_check mem_disk_create(const struct drv_config *dc, const struct mem_config *mc,
				 struct gendisk **out);
/* Is @source "mem:SIZE"? Its size, a multiple of 4096. -EINVAL with a log line, -ENOENT: no mem. */
int __must_check mem_source_parse(const char *source, uint64_t *size_bytes);
/* The device stops: in-flight and later I/O ends BLK_STS_OFFLINE. What survived is copied to
 * @medium_out (size_bytes; NULL: nowhere). @seed chooses what of the cache survived. */
void mem_power_cut(struct gendisk *disk, uint64_t seed, uint8_t *medium_out);
/* The whole content as a reader sees it now (cache included). */
void mem_snapshot(struct gendisk *disk, uint8_t *out);

/*
 * What a mem disk is to do wrong. A request matches by operation and by any sector in common; the
 * first @nth - 1 matches go well, the @count after them are hit.
 */
enum mem_fault_what {
	MEM_FAULT_STATUS, /* the request ends with @status, nothing done */
	MEM_FAULT_STUCK,  /* it is done but never completes, until timeout, clear or power cut */
	MEM_FAULT_BUSY,	  /* queue_rq answers @status: BLK_STS_RESOURCE or BLK_STS_DEV_RESOURCE */
};

enum { MEM_FAULTS_MAX = 8, MEM_FAULT_ANY_OP = -1 };

struct mem_fault {
	enum mem_fault_what what;
	blk_status_t status;
	int op; /* enum req_op, or MEM_FAULT_ANY_OP */
	sector_t sector;
	sector_t nr_sectors; /* 0: to the end */
	uint64_t nth;	     /* 0 and 1: the next */
	uint64_t count;	     /* 0: for ever */
};
/* Adds a fault. -ENOSPC: MEM_FAULTS_MAX are set; -EINVAL. The first that is hit counts. */
int __must_check mem_fault_set(struct gendisk *disk, const struct mem_fault *fault);
/* Removes all faults; what was stuck completes as if nothing had been. How often any was hit. */
uint64_t mem_fault_clear(struct gendisk *disk);

/*
 * direct: a file or a block device with O_DIRECT on the reactors' rings.
 *
 * A source that anybody else writes is refused, and is locked (flock) while the disk lives;
 * read-only openers share. Create the disk before the mount or the loop device that belongs to it:
 * both count as users of the source.
 * Fails: -EBUSY (in use: the log says by whom), -EINVAL (no file or block device, or offset and
 * size do not fit), -ENXIO, -EROFS, -EACCES and what else open(2) says.
 */
struct direct_config {
	const char *path;
	uint64_t offset_bytes, size_bytes; /* part of it; size 0: to the end */
	bool is_fuseblk_claimed; /* the kernel's mount claims the device: do not hold it O_EXCL */
	bool must_write_through; /* O_DSYNC: the disk has no volatile cache, flushes vanish */
};
int __must_check direct_disk_create(const struct drv_config *dc, const struct direct_config *c,
				    struct gendisk **out);

/*
 * direct_disk_offline - no more I/O: what is new ends BLK_STS_OFFLINE, what is in the kernel is
 * cancelled. A request that the kernel will not give back does not end: its memory is still the
 * kernel's. Whoever waits must be answered by the owner of that memory, which keeps it until then.
 * Context: task.
 */
void direct_disk_offline(struct gendisk *disk);

/*
 * record: a driver that passes everything to another disk and writes down, in order, what was
 * submitted and what completed. For tests and for watching what flushes order.
 */
struct record_entry {
	uint64_t seq;
	uint8_t what; /* 'D' issued to the device, 'C' completed */
	blk_status_t status;
	blk_opf_t opf;
	sector_t sector;
	uint32_t len_bytes;
};
int __must_check record_disk_create(const struct drv_config *dc, struct block_device *below,
				    size_t entries_max, struct gendisk **out);
/*
 * Each entry also as a line of text in the file @path, which is replaced; readable at any time, and
 * what was written stays when the process is killed. Before the first I/O. 0 or -errno, logged.
 *   D|C  seq  time_ns  operation  flags (FUA is U, SYNC is S, ...)  sector  bytes  status
 */
int __must_check record_log_to(struct gendisk *disk, const char *path);
/* Copies the oldest @max entries to @out; how many. Any time, also while I/O runs. */
size_t record_read(struct gendisk *disk, struct record_entry *out, size_t max);
/* Entries that found no room after the first entries_max. */
uint64_t record_dropped(struct gendisk *disk);
/* Forgets all entries. No I/O may be in flight. */
void record_clear(struct gendisk *disk);

#endif
