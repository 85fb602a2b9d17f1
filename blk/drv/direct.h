/* SPDX-License-Identifier: MIT */
/*
 * direct.h - what the parts of the direct driver share: the opened source, its disk, its requests.
 *
 * The source is opened and probed by functions that may block: context thread (rt_offload).
 */
#ifndef BLK_DRV_DIRECT_H
#define BLK_DRV_DIRECT_H

#include <sys/types.h>

#include "blkfs/driver.h"
#include "blkfs/drivers.h"

enum { DIRECT_SEGMENTS = 128 };

/* How the data of reads and writes is best moved. */
enum direct_class {
	DIRECT_RING,	     /* a device that takes time: the ring */
	DIRECT_INLINE,	     /* memory behind it: a system call in place is the quickest */
	DIRECT_NOWAIT_FIRST, /* a page cache: what it holds comes at once, the rest by the ring */
};

struct direct_source {
	char *path;
	int fd;
	dev_t dev; /* block device: its own number; file: of its file system */
	ino_t ino;
	bool is_block, is_read_only, is_buffered;
	bool is_memory_fs; /* nothing to flush: what is written is as safe as it gets */
	uint64_t offset_bytes, size_bytes; /* the part that is the disk */
	enum direct_class class;
	struct queue_limits lim;
};

/* ---- direct_claim.c ---- */

/* Opens the source and makes sure that it is nobody else's. Logs; 0 or -errno. */
int __must_check direct_open(struct direct_source *src, const struct direct_config *c,
			     bool is_read_only);
/* Takes the lock. -EWOULDBLOCK: another has it (nothing is logged); else 0 or -errno. */
int __must_check direct_lock(const struct direct_source *src);
/* Says in the log who holds the lock, and what to do. */
void direct_log_lock_holder(const struct direct_source *src);
void direct_close(struct direct_source *src);

/* ---- direct_limits.c ---- */

/* Alignment, limits, size and class, from the device and by a read. Logs; 0 or -errno. */
int __must_check direct_probe(struct direct_source *src, const struct direct_config *c);

enum { SYSFS_DIR_MAX = 64 };

/* "/sys/dev/block/8:1", and that of the disk which a partition is of. False: not in sysfs. */
bool sysfs_block_dir(dev_t dev, char *dir, size_t dir_size);
bool sysfs_disk_dir(dev_t dev, char *dir, size_t dir_size);
/* The first line of @dir/@name; a number in it. False: not there, or no number. */
bool sysfs_read_line(const char *dir, const char *name, char *line, size_t line_size);
bool sysfs_read_u64(const char *dir, const char *name, uint64_t *out);

/* ---- direct_io.c ---- */

struct direct_disk {
	struct blk_mq_tag_set set;
	struct direct_source src;
	bool is_offline;	/* [atomic] */
	bool no_punch, no_zero; /* [atomic] fallocate said that it cannot */
	uint64_t said_slow_ns;	/* [atomic] when a line about a slow device was logged */
};

struct direct_rq {
	struct rt_io io;
	struct rt_offload offload;
	struct iovec iov[DIRECT_SEGMENTS];
	struct rt_timer retry;
	unsigned int iov_nr;
	unsigned int iov_idx; /* first vector that is not done */
	uint32_t left_bytes;
	unsigned int tries_nr; /* after EAGAIN and ENOMEM */
	unsigned int reactor;  /* [atomic] that has io in the kernel; RT_NO_REACTOR: none */
};

void direct_init_pdu(struct direct_rq *pdu);
/* Sends a started @rq; its end comes by blk_mq_complete_request(), also from inside. Handler. */
void direct_start(struct request *rq);

#endif
