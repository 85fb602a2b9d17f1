/* SPDX-License-Identifier: MIT */
/*
 * unmounter.h - the thread that takes the mount away, on a signal or when asked over the socket.
 *
 * umount(2) blocks until the kernel has heard from the reactors, so neither a reactor nor the
 * control thread may call it.
 */
#ifndef BLKFS_TOOLS_UNMOUNTER_H
#define BLKFS_TOOLS_UNMOUNTER_H

#include <stdbool.h>

#include "base/compiler.h"

struct mounted;
struct unmounter;

/* Blocks the signals for the whole process; before any other thread is started. */
void unmounter_block_signals(void);

/* Context: thread. Signals that came since the block are acted on once the front is there. */
int __must_check unmounter_start(struct mounted *m, struct unmounter **out);

/* The mount stands (or a signal came first: then -EINTR, and it is to be taken down). Task. */
int __must_check unmounter_arm(struct unmounter *um);

/* Any context. -EBUSY: one is under way and @is_forced was not said. */
int unmounter_ask(struct unmounter *um, bool is_lazy, bool is_forced);

/* Nothing is unmounted, and the front not looked at, when it has returned. Blocks. Context: thread. */
void unmounter_stop(struct unmounter *um);

/* Stops it and frees it; when no reactor runs any more: one may be on the way to a thaw. */
void unmounter_destroy(struct unmounter *um);

#endif
