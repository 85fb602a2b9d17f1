/* SPDX-License-Identifier: MIT */
/*
 * trace.h - points in the life of a request, under blktrace's letters.
 *
 * A point that is off costs a load and a branch. The consumer is set for the whole process.
 */
#ifndef BLKFS_TRACE_H
#define BLKFS_TRACE_H

#include <stdint.h>

#include "base/compiler.h"

struct bio;
struct request;

enum trace_point {
	TRACE_Q = 'Q', /* bio queued */
	TRACE_G = 'G', /* got a request */
	TRACE_X = 'X', /* split */
	TRACE_M = 'M', /* back merge */
	TRACE_F = 'F', /* front merge */
	TRACE_I = 'I', /* inserted */
	TRACE_D = 'D', /* issued to the driver */
	TRACE_C = 'C', /* completed */
	TRACE_R = 'R', /* requeued */
	TRACE_P = 'P', /* plugged */
	TRACE_U = 'U', /* unplugged */
	TRACE_S = 'S', /* sleeps for a request */
};

/* Called on the reactor where it happens, as a handler; @rq or @bio may be NULL. */
typedef void (*trace_fn)(enum trace_point point, const struct request *rq, const struct bio *bio);

extern trace_fn trace_hook; /* NULL: off */

static inline void trace(enum trace_point point, const struct request *rq, const struct bio *bio)
{
	trace_fn fn = trace_hook;

	if (unlikely(fn != NULL))
		fn(point, rq, bio);
}

#endif
