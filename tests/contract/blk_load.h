/* SPDX-License-Identifier: MIT */
/*
 * blk_load.h - a random load on a model device that knows which writes are durable, in the simulator
 * and on the ring.
 *
 * The device refuses, fails and reorders as it is told to. Checked, with sim_expect(): every bio ends
 * once; a data write reaches the device once; what had ended before a PREFLUSH was submitted is
 * durable when that one's data is issued, or its empty bio ends; a FUA write is durable when it ends;
 * the device sees no flush without a cache, no FUA without one, and no PREFLUSH but as REQ_OP_FLUSH.
 */
#ifndef TESTS_CONTRACT_BLK_LOAD_H
#define TESTS_CONTRACT_BLK_LOAD_H

#include <stdbool.h>

#include "blkfs/driver.h"

struct blk_load {
	unsigned int hw_queues;
	unsigned int queue_depth;
	bool has_cache, has_fua;
	const char *elevator;	   /* NULL: the default */
	unsigned int tasks_nr;	   /* spread over the reactors */
	unsigned int ops_nr;	   /* of each task */
	unsigned int resource_1in; /* the driver answers RESOURCE or DEV_RESOURCE; 0: never */
	unsigned int error_1in;	   /* a command fails; 0: never */
	unsigned int requeue_1in;  /* the driver gives a command back instead of completing it */
	bool has_flushes;
	bool is_published; /* the disk's files are in the root of the attr tree */
	/* Optional: called over and over while the load runs, in a task; it may sleep. */
	void (*meanwhile)(struct gendisk *disk);
};

struct blk_load_result {
	unsigned int flushes_nr; /* that the device saw */
	unsigned int commands_nr;
	unsigned int merged_nr; /* bios that were not the first of their request */
};

/* Runs it; the disk is gone on return. Context: the main task of a sim_fn. 0 or -errno. */
int __must_check blk_load_run(const struct blk_load *load, struct blk_load_result *result);

/* A load whose every knob but elevator and meanwhile is drawn from rt_random(). */
struct blk_load blk_load_random(void);

#endif
