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
 * torn at sector borders, and loses the rest; FUA writes and flushed data survive.
 */
struct mem_config {
	uint64_t size_bytes;
	uint32_t logical_block_size; /* 0: 512 */
	bool has_write_cache, has_fua;
	uint64_t latency_ns; /* mean; 0: completes in the same turn */
	uint8_t *medium;     /* start from these size_bytes (copied); NULL: zeros */
};
int __must_check mem_disk_create(const struct drv_config *dc, const struct mem_config *mc,
				 struct gendisk **out);
/* The device stops: in-flight and later I/O ends BLK_STS_OFFLINE. What survived is copied to
 * @medium_out (size_bytes). @seed chooses what of the cache survived. */
void mem_power_cut(struct gendisk *disk, uint64_t seed, uint8_t *medium_out);
/* The whole content as a reader sees it now (cache included). */
void mem_snapshot(struct gendisk *disk, uint8_t *out);

/* direct: a file or a block device with O_DIRECT on the reactors' rings. */
struct direct_config {
	const char *path;
	uint64_t offset_bytes, size_bytes; /* part of it; 0, 0: whole */
	bool is_fuseblk_claimed; /* the kernel's mount claims the device: do not open it O_EXCL */
	bool must_write_through; /* O_DSYNC on each write: for tests of FUA emulation */
};
int __must_check direct_disk_create(const struct drv_config *dc, const struct direct_config *c,
				    struct gendisk **out);

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
size_t record_read(struct gendisk *disk, struct record_entry *out, size_t max);

#endif
