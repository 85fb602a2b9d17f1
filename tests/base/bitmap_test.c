/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps against an array of bools, at sizes on both sides of a word's border.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "base/bitmap.h"

#define BITS_NR 200

static const size_t sizes[] = { 1, 2, 63, 64, 65, 127, 128, 129, BITS_NR };

/* A map and its model with every third bit of a pattern set. */
static void fill(unsigned long *map, bool *model, uint32_t seed)
{
	bitmap_zero(map, BITS_NR);
	for (size_t i = 0; i < BITS_NR; i++) {
		seed = seed * 1664525 + 1013904223;
		model[i] = (seed >> 24) % 3 == 0;
		if (model[i])
			bitmap_set_bit(map, i);
	}
}

static size_t model_find(const bool *model, size_t size, size_t start, bool wanted)
{
	for (size_t i = start; i < size; i++)
		if (model[i] == wanted)
			return i;
	return size;
}

Test(bitmap, searches_agree_with_a_plain_array)
{
	DECLARE_BITMAP(map, BITS_NR);
	bool model[BITS_NR];

	for (uint32_t seed = 0; seed < 20; seed++) {
		fill(map, model, seed);
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			for (size_t start = 0; start <= sizes[s]; start++) {
				cr_assert_eq(find_next_bit(map, sizes[s], start),
					     model_find(model, sizes[s], start, true));
				cr_assert_eq(find_next_zero_bit(map, sizes[s], start),
					     model_find(model, sizes[s], start, false));
			}
		}
	}
}

Test(bitmap, search_that_finds_nothing_returns_the_size)
{
	DECLARE_BITMAP(map, BITS_NR);

	bitmap_zero(map, BITS_NR);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		cr_assert_eq(find_first_bit(map, sizes[s]), sizes[s]);
	bitmap_set(map, 0, BITS_NR);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		cr_assert_eq(find_first_zero_bit(map, sizes[s]), sizes[s]);
}

Test(bitmap, ranges_touch_their_bits_and_no_others)
{
	for (size_t start = 0; start < BITS_NR; start++) {
		for (size_t len = 0; start + len <= BITS_NR; len++) {
			DECLARE_BITMAP(map, BITS_NR);

			bitmap_zero(map, BITS_NR);
			bitmap_set(map, start, len);
			cr_assert_eq(bitmap_weight(map, BITS_NR), len);
			cr_assert_eq(bitmap_weight(map, start), 0);
			cr_assert(len == 0 || bitmap_test_bit(map, start + len - 1));
			memset(map, 0xff, sizeof(map));
			bitmap_clear(map, start, len);
			cr_assert_eq(bitmap_weight(map, BITS_NR), BITS_NR - len);
			cr_assert_eq(bitmap_weight(map, start), start);
		}
	}
}

Test(bitmap, every_set_bit_is_visited_once)
{
	DECLARE_BITMAP(map, BITS_NR);
	bool model[BITS_NR];
	size_t bit;

	fill(map, model, 77);
	for_each_set_bit(bit, map, BITS_NR) {
		cr_assert(model[bit]);
		model[bit] = false;
		bitmap_clear_bit(map, bit);
	}
	cr_assert_eq(model_find(model, BITS_NR, 0, true), BITS_NR);
	cr_assert_eq(bitmap_weight(map, BITS_NR), 0);
}
