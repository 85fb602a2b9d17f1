/* SPDX-License-Identifier: MIT */
/*
 * range.c - striped range locks of the raw file.
 *
 * Locks: all stripes have one rank; a caller takes them in index order in one go, and nothing else
 * while it holds them but what the block layer needs.
 */
#include "range.h"

#include "blkfs/lock_order.h"

static const struct rt_lock_class range_class = { "raw range", LOCK_RANK_INODE_MAP + LOCK_ORDERED };

void range_lock_init(struct range_lock *rl)
{
	for (unsigned int i = 0; i < RANGE_STRIPES; i++)
		rt_rwsem_init(&rl->stripes[i], &range_class);
}

uint64_t range_lock_mask(uint64_t off, uint64_t len)
{
	uint64_t first = off >> RANGE_STRIPE_SHIFT;
	uint64_t last = (off + (len ? len - 1 : 0)) >> RANGE_STRIPE_SHIFT;
	uint64_t mask = 0;

	if (last - first >= RANGE_STRIPES - 1)
		return ~0ull;
	for (uint64_t s = first; s <= last; s++)
		mask |= 1ull << (s % RANGE_STRIPES);
	return mask;
}

void range_lock_begin(struct range_lock *rl, uint64_t off, uint64_t len, bool is_alone)
{
	for (uint64_t mask = range_lock_mask(off, len); mask; mask &= mask - 1) {
		struct rt_rwsem *s = &rl->stripes[__builtin_ctzll(mask)];

		if (is_alone)
			rt_rwsem_down_write(s);
		else
			rt_rwsem_down_read(s);
	}
}

void range_lock_end(struct range_lock *rl, uint64_t off, uint64_t len, bool is_alone)
{
	for (uint64_t mask = range_lock_mask(off, len); mask; mask &= mask - 1) {
		struct rt_rwsem *s = &rl->stripes[__builtin_ctzll(mask)];

		if (is_alone)
			rt_rwsem_up_write(s);
		else
			rt_rwsem_up_read(s);
	}
}
