/* SPDX-License-Identifier: MIT */
/*
 * sync_cases.h - properties of locks, completions and wait queues, as main tasks that return 0. The
 * same cases run in the simulator over many seeds and on the ring under load.
 */
#ifndef TESTS_BLK_RT_SYNC_CASES_H
#define TESTS_BLK_RT_SYNC_CASES_H

struct sync_case {
	const char *name;
	int (*fn)(void *arg);
};

/* Any number of reactors. */
extern const struct sync_case sync_cases[];
extern const unsigned int sync_cases_nr;

#endif
