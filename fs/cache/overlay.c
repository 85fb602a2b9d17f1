/* SPDX-License-Identifier: MIT */
/*
 * overlay.c - the table behind overlay.h.
 *
 * Invariants: 1. nr <= 2^bits / 2, so a probe always ends at an unused slot.
 *             2. A block is in the table once.
 */
#include "fs/cache/overlay.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

enum { OVERLAY_BITS_MIN = 6, OVERLAY_BITS_MAX = 31 };

void overlay_fini(struct overlay *o)
{
	free(o->table);
	*o = (struct overlay){ 0 };
}

/* The slot of @block, or the unused one where it belongs. */
static struct overlay_entry *slot_of(const struct overlay *o, uint64_t block)
{
	uint32_t mask = (1U << o->bits) - 1;
	uint32_t i = hash_bits(block, o->bits);

	while (o->table[i].is_used && o->table[i].block != block)
		i = (i + 1) & mask;
	return &o->table[i];
}

static int grow(struct overlay *o)
{
	struct overlay bigger = { .bits = o->table ? o->bits + 1 : OVERLAY_BITS_MIN, .nr = o->nr };

	if (bigger.bits > OVERLAY_BITS_MAX)
		return -ENOMEM;
	bigger.table = calloc((size_t)1 << bigger.bits, sizeof(*bigger.table));
	if (!bigger.table)
		return -ENOMEM;
	for (size_t i = 0; o->table && i < (size_t)1 << o->bits; i++) {
		if (o->table[i].is_used)
			*slot_of(&bigger, o->table[i].block) = o->table[i];
	}
	free(o->table);
	*o = bigger;
	return 0;
}

int overlay_add(struct overlay *o, uint64_t block, uint64_t source, bool is_escaped)
{
	struct overlay_entry *e;

	if (!o->table || o->nr + 1 > (1ULL << o->bits) / 2) {
		int err = grow(o);

		if (err)
			return err;
	}
	e = slot_of(o, block);
	o->nr += !e->is_used;
	*e = (struct overlay_entry){
		.block = block, .source = source, .is_used = true, .is_escaped = is_escaped
	};
	return 0;
}

const struct overlay_entry *overlay_find(const struct overlay *o, uint64_t block)
{
	const struct overlay_entry *e;

	if (likely(!o->table))
		return NULL;
	e = slot_of(o, block);
	return e->is_used ? e : NULL;
}
