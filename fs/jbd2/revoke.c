/* SPDX-License-Identifier: MIT */
/*
 * revoke.c - the revoke table of one replay: block -> the latest transaction that freed it.
 *
 * Invariants: 1. nr <= 2^bits / 2, so a probe always ends at an unused slot.
 *             2. A block is in the table once, with its latest transaction.
 */
#include "fs/jbd2/journal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

enum { REVOKE_BITS_MIN = 8, REVOKE_BITS_MAX = 30 };

struct revoke_entry {
	uint64_t block;
	uint32_t sequence;
	bool is_used;
};

void revoke_fini(struct revoke_table *t)
{
	free(t->table);
	*t = (struct revoke_table){ 0 };
}

static struct revoke_entry *slot_of(const struct revoke_table *t, uint64_t block)
{
	uint32_t mask = (1U << t->bits) - 1;
	uint32_t i = hash_bits(block, t->bits);

	while (t->table[i].is_used && t->table[i].block != block)
		i = (i + 1) & mask;
	return &t->table[i];
}

static int grow(struct revoke_table *t)
{
	struct revoke_table bigger = { .bits = t->table ? t->bits + 1 : REVOKE_BITS_MIN,
				       .nr = t->nr };

	if (bigger.bits > REVOKE_BITS_MAX)
		return -ENOMEM;
	bigger.table = calloc((size_t)1 << bigger.bits, sizeof(*bigger.table));
	if (!bigger.table)
		return -ENOMEM;
	for (size_t i = 0; t->table && i < (size_t)1 << t->bits; i++) {
		if (t->table[i].is_used)
			*slot_of(&bigger, t->table[i].block) = t->table[i];
	}
	free(t->table);
	*t = bigger;
	return 0;
}

int revoke_add(struct revoke_table *t, uint64_t block, uint32_t sequence)
{
	struct revoke_entry *e;

	if (!t->table || t->nr + 1 > ((size_t)1 << t->bits) / 2) {
		int err = grow(t);

		if (err)
			return err;
	}
	e = slot_of(t, block);
	if (e->is_used && tid_geq(e->sequence, sequence))
		return 0;
	t->nr += !e->is_used;
	*e = (struct revoke_entry){ .block = block, .sequence = sequence, .is_used = true };
	return 0;
}

bool revoke_test(const struct revoke_table *t, uint64_t block, uint32_t sequence)
{
	const struct revoke_entry *e = t->table ? slot_of(t, block) : NULL;

	return e && e->is_used && tid_geq(e->sequence, sequence);
}
