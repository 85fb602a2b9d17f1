/* SPDX-License-Identifier: MIT */
/*
 * fifo_elevators.h - the two smallest elevators: first in, first out. One per reactor, one with a
 * home that also merges. They prove the framework and are the examples to elevator.h.
 */
#ifndef TESTS_BLK_FIFO_ELEVATORS_H
#define TESTS_BLK_FIFO_ELEVATORS_H

#include "blk/elevator.h"

extern const struct elevator_type fifo_elevator;      /* "fifo" */
extern const struct elevator_type fifo_home_elevator; /* "fifo-home", ELEVATOR_F_HOME, merges */

#endif
