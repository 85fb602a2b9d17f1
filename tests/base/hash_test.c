/* SPDX-License-Identifier: MIT */
/*
 * Hashes: equal input gives equal output, neighbours spread over the buckets.
 */
#include "tests/lib/test.h"

#include "base/hash.h"

#define BUCKET_BITS 8
#define KEYS_NR 4096

/* The fullest bucket of KEYS_NR keys that are @stride apart. */
static unsigned int fullest_bucket(uint64_t stride)
{
	unsigned int counts[1 << BUCKET_BITS] = { 0 }, fullest = 0;

	for (uint64_t i = 0; i < KEYS_NR; i++) {
		unsigned int count = ++counts[hash_bits(i * stride, BUCKET_BITS)];

		fullest = max(fullest, count);
	}
	return fullest;
}

Test(hash, keys_at_any_stride_spread_over_the_buckets)
{
	static const uint64_t strides[] = { 1, 8, 512, 4096, 1ULL << 32, 1ULL << 40 };

	for (size_t i = 0; i < ARRAY_SIZE(strides); i++)
		cr_assert_lt(fullest_bucket(strides[i]), 3 * KEYS_NR >> BUCKET_BITS);
}

Test(hash, of_bytes_depends_on_content_length_and_seed)
{
	cr_assert_eq(hash_bytes(1, "lost+found", 10), hash_bytes(1, "lost+found", 10));
	cr_assert_neq(hash_bytes(1, "lost+found", 10), hash_bytes(2, "lost+found", 10));
	cr_assert_neq(hash_bytes(1, "lost+found", 10), hash_bytes(1, "lost+founD", 10));
	cr_assert_neq(hash_bytes(1, "\0\0", 1), hash_bytes(1, "\0\0", 2));
}

Test(hash, of_bytes_does_not_depend_on_alignment)
{
	const char text[] = "xa directory entry's name";

	for (size_t len = 0; len < 20; len++) {
		char copy[32];

		memcpy(copy, text + 1, len);
		cr_assert_eq(hash_bytes(0, copy, len), hash_bytes(0, text + 1, len));
	}
}
