/* SPDX-License-Identifier: MIT */
/*
 * overlay.h - which blocks have their newest copy elsewhere on the device.
 *
 * A table that is filled before the mount is used and only read after: no lock. Open addressing,
 * at most half full.
 */
#ifndef FS_CACHE_OVERLAY_H
#define FS_CACHE_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct overlay_entry {
	uint64_t block;
	uint64_t source;
	bool is_used, is_escaped;
};

struct overlay {
	struct overlay_entry *table; /* NULL: empty */
	unsigned int bits;
	uint64_t nr;
};

void overlay_fini(struct overlay *o);
int __must_check overlay_add(struct overlay *o, uint64_t block, uint64_t source, bool is_escaped);
/* NULL: the block is where its number says. */
const struct overlay_entry *overlay_find(const struct overlay *o, uint64_t block);

#endif
