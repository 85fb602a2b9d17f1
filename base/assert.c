/* SPDX-License-Identifier: MIT */
/*
 * What happens when an assertion of ours does not hold: one log line, then abort().
 */
#include "base/compiler.h"

#include <stdlib.h>

#include "base/log.h"

void blkfs_assert_fail(const char *expr, const char *file, int line, const char *func)
{
	log_err("%s:%d: %s: assertion failed: %s (a bug in blkfs)", file, line, func, expr);
	abort();
}
