/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps in words of the machine: bit n is bit n % BITS_PER_LONG of word n / BITS_PER_LONG.
 *
 * Nothing here is atomic. A search returns the size it was given when it finds nothing.
 */
#ifndef BASE_BITMAP_H
#define BASE_BITMAP_H

#include "base/compiler.h"

#define BITS_PER_LONG (8 * sizeof(unsigned long))
#define BITS_TO_LONGS(bits) DIV_ROUND_UP(bits, BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

static inline unsigned long bitmap_bit_mask(size_t bit)
{
	return 1UL << (bit % BITS_PER_LONG);
}

static inline bool bitmap_test_bit(const unsigned long *map, size_t bit)
{
	return map[bit / BITS_PER_LONG] & bitmap_bit_mask(bit);
}

static inline void bitmap_set_bit(unsigned long *map, size_t bit)
{
	map[bit / BITS_PER_LONG] |= bitmap_bit_mask(bit);
}

static inline void bitmap_clear_bit(unsigned long *map, size_t bit)
{
	map[bit / BITS_PER_LONG] &= ~bitmap_bit_mask(bit);
}

/* bitmap_word_mask - the bits of the word @word that lie in [@start, @end). */
static inline unsigned long bitmap_word_mask(size_t word, size_t start, size_t end)
{
	size_t first = word * BITS_PER_LONG;
	unsigned long mask = ~0UL;

	if (start > first)
		mask &= ~0UL << (start - first);
	if (end < first + BITS_PER_LONG)
		mask &= ~(~0UL << (end - first));
	return mask;
}

/* bitmap_set, bitmap_clear - @bits_nr bits from @start on. */
static inline void bitmap_set(unsigned long *map, size_t start, size_t bits_nr)
{
	size_t end = start + bits_nr;

	for (size_t w = start / BITS_PER_LONG; w * BITS_PER_LONG < end; w++)
		map[w] |= bitmap_word_mask(w, start, end);
}

static inline void bitmap_clear(unsigned long *map, size_t start, size_t bits_nr)
{
	size_t end = start + bits_nr;

	for (size_t w = start / BITS_PER_LONG; w * BITS_PER_LONG < end; w++)
		map[w] &= ~bitmap_word_mask(w, start, end);
}

static inline void bitmap_zero(unsigned long *map, size_t bits_nr)
{
	for (size_t w = 0; w < BITS_TO_LONGS(bits_nr); w++)
		map[w] = 0;
}

/* bitmap_find - first bit in [@start, @size) of the words xor @flip; @flip is 0 or ~0. */
static inline size_t bitmap_find(const unsigned long *map, size_t size, size_t start,
				 unsigned long flip)
{
	for (size_t w = start / BITS_PER_LONG; w * BITS_PER_LONG < size; w++) {
		unsigned long word = (map[w] ^ flip) & bitmap_word_mask(w, start, size);

		if (word)
			return w * BITS_PER_LONG + (size_t)__builtin_ctzl(word);
	}
	return size;
}

static inline size_t find_next_bit(const unsigned long *map, size_t size, size_t start)
{
	return bitmap_find(map, size, start, 0);
}

static inline size_t find_next_zero_bit(const unsigned long *map, size_t size, size_t start)
{
	return bitmap_find(map, size, start, ~0UL);
}

static inline size_t find_first_bit(const unsigned long *map, size_t size)
{
	return bitmap_find(map, size, 0, 0);
}

static inline size_t find_first_zero_bit(const unsigned long *map, size_t size)
{
	return bitmap_find(map, size, 0, ~0UL);
}

#define for_each_set_bit(bit, map, size)                                                           \
	for ((bit) = find_first_bit(map, size); (bit) < (size);                                    \
	     (bit) = find_next_bit(map, size, (bit) + 1))

/* bitmap_weight - how many of the first @bits_nr bits are set. */
static inline size_t bitmap_weight(const unsigned long *map, size_t bits_nr)
{
	size_t weight = 0;

	for (size_t w = 0; w * BITS_PER_LONG < bits_nr; w++)
		weight += (size_t)__builtin_popcountl(map[w] & bitmap_word_mask(w, 0, bits_nr));
	return weight;
}

#endif
