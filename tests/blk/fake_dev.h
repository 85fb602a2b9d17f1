/* SPDX-License-Identifier: MIT */
/*
 * fake_dev.h - a driver that does as it is told: each queue_rq takes the next verdict of a script,
 * what it takes it completes at once or holds until the test says how it ends.
 *
 * For tests in the simulator with one disk at a time.
 */
#ifndef TESTS_BLK_FAKE_DEV_H
#define TESTS_BLK_FAKE_DEV_H

#include "blkfs/driver.h"
#include "tests/lib/sim.h"

enum { FAKE_MAX = 256, FAKE_PAGE = 4096 };

struct fake_dev {
	struct blk_mq_tag_set set;
	struct gendisk *disk;

	/* what to do: set by the test */
	bool is_inline;			 /* complete inside queue_rq */
	unsigned int capacity;		 /* DEV_RESOURCE beyond so many held; 0: no limit */
	blk_status_t verdicts[FAKE_MAX]; /* by number of the call; BLK_STS_OK: take it */
	bool must_sleep;		 /* with BLK_MQ_F_BLOCKING */
	unsigned int slots;		 /* budget; 0: none is asked for */

	/* what happened */
	unsigned int calls_nr, taken_nr, commits_nr, lasts_nr, timeouts_nr, slots_used, slots_peak;
	sector_t taken[FAKE_MAX];	/* sectors in the order taken */
	struct request *held[FAKE_MAX]; /* taken and not completed, oldest first */
	unsigned int held_nr;
	enum blk_eh_timer_return verdict_of_timeout;
	blk_status_t status_at_timeout; /* EH_DONE: completed with it */
};

extern struct fake_dev fake;

struct fake_config {
	unsigned int depth; /* 0: 64 */
	unsigned int hw_queues;
	unsigned int reserved;
	uint32_t flags;
	uint64_t timeout_ns;
	bool has_budget;
	const struct queue_limits *lim; /* NULL: the defaults */
};

/* Makes the device anew; @cfg NULL: all defaults. */
void fake_create(const struct fake_config *cfg);
void fake_destroy(void);
/* Completes the @i-th that is held. */
void fake_complete(unsigned int i, blk_status_t status);
void fake_complete_all(void);

/* Bios of the test: number @i reads 4 KiB at sector 16 * @i (apart: they do not merge). */
struct fake_bio {
	struct bio bio;
	struct bio_vec vec;
	unsigned int ended_nr;
	unsigned int end_reactor;
	blk_status_t status;
};

extern struct fake_bio fake_bios[FAKE_MAX];
extern unsigned int fake_ended_nr;
extern char fake_page[FAKE_PAGE];

struct bio *fake_bio(unsigned int i, blk_opf_t opf, sector_t sector);
void fake_submit(unsigned int i);
/* Bios [0, @nr) in one plug. */
void fake_submit_plugged(unsigned int nr);
/* Every bio below @nr ended once, with OK. */
void fake_expect_all_ok(unsigned int nr);
/* Lets everything run that can, short of timers of a millisecond. */
void settle(void);

#endif
