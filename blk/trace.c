/* SPDX-License-Identifier: MIT */
/*
 * trace.c - who listens to the points of trace.h. Nobody, until somebody sets it.
 */
#include "blkfs/trace.h"

trace_fn trace_hook;
