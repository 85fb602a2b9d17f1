/* SPDX-License-Identifier: MIT */
/*
 * record_log.h - what a record disk writes down, as lines of text in a file.
 *
 * The file is whole at any moment and stays when the process is killed.
 */
#ifndef BLKFS_DRV_RECORD_LOG_H
#define BLKFS_DRV_RECORD_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "blkfs/drivers.h"

struct record_log;

/* Room for @entries_max lines in @path, which is replaced. 0 or what open(2) or fallocate(2) say. */
int __must_check record_log_open(const char *path, size_t entries_max, struct record_log **out);

/* The line of @e, at its place. Any thread, never waits. */
void record_log_put(struct record_log *log, const struct record_entry *e, uint64_t now_ns);

/* Cuts the file to @lines_nr lines. NULL is nothing. */
void record_log_close(struct record_log *log, size_t lines_nr);

#endif
