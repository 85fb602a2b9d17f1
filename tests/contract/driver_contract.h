/* SPDX-License-Identifier: MIT */
/*
 * driver_contract.h - what every driver and stacked device must do, whoever it is.
 *
 * The suite makes disks with @create, uses them as a file system would (blkdev.h), and destroys
 * them. It runs in a task, in both back ends of the runtime. What does not hold is logged and
 * counted; it does not jump out of a task.
 */
#ifndef TESTS_CONTRACT_DRIVER_CONTRACT_H
#define TESTS_CONTRACT_DRIVER_CONTRACT_H

#include "blkfs/driver.h"

struct driver_contract {
	const char *name;
	void *ctx;
	/* A disk of 8 MiB or more. 0 or -errno. */
	int (*create)(void *ctx, bool is_read_only, struct gendisk **out);
	/* del_gendisk() of it and of what it stands on. */
	void (*destroy)(void *ctx, struct gendisk *disk);
	bool has_no_data; /* reads give nothing: what was written is not compared */
};

/* Runs all cases; 0, or -EILSEQ when something did not hold. Context: task. */
int __must_check driver_contract_run(const struct driver_contract *c);

/* The same on a ring runtime of its own, with one reactor and with two. Context: thread. */
int __must_check driver_contract_run_ring(const struct driver_contract *c);

#endif
