/* SPDX-License-Identifier: MIT */
/*
 * memfs.h - a file system in memory: the double behind fs.h with which a front is tested alone.
 *
 * What is in it from the start: `null` (4 GiB, reads leave the buffer as it is), `pattern` (1 GiB,
 * each 8 bytes are their own offset), `slow` (as pattern, each read takes slow_ms), `many/` with
 * names_nr names. Everything else can be made, written, linked, renamed, removed.
 */
#ifndef TESTS_SYSTEM_MEMFS_H
#define TESTS_SYSTEM_MEMFS_H

#include "blkfs/fs.h"

struct memfs_opts {
	const char *type;
	bool is_read_only;
	bool is_uncached; /* as a control tree: nothing may be remembered */
	unsigned int slow_ms;
	unsigned int latency_us; /* of reads of null */
	unsigned int sync_ms;
	unsigned int names_nr;
	uint32_t dio_align_bytes;
	void (*event)(const char *what); /* "sync", "unmount"; may be NULL */
};

int __must_check memfs_create(const struct memfs_opts *opts, struct fs **out);

#endif
