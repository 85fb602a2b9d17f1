/* SPDX-License-Identifier: MIT */
/*
 * Mixing for in-memory hash tables. Not for anything stored, not against an attacker who can see
 * the results: a table whose keys a hostile party chooses seeds it from rt_random().
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/compiler.h"
#include "base/endian.h"

/* hash_u64 - every bit of @x reaches every bit of the result; a bijection. */
static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	return x;
}

/* hash_bits - a bucket number below 2^@bits for the key @x; @bits is 1..32. */
static inline uint32_t hash_bits(uint64_t x, unsigned int bits)
{
	return (uint32_t)(hash_u64(x) >> (64 - bits));
}

static inline uint64_t hash_combine(uint64_t seed, uint64_t x)
{
	return hash_u64(seed ^ (x + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2)));
}

static inline uint64_t hash_bytes(uint64_t seed, const void *buf, size_t len_bytes)
{
	const uint8_t *p = buf;
	uint64_t hash = hash_combine(seed, len_bytes);
	uint64_t tail = 0;

	for (; len_bytes >= 8; len_bytes -= 8, p += 8)
		hash = hash_combine(hash, get_unaligned_le64(p));
	for (size_t i = 0; i < len_bytes; i++)
		tail |= (uint64_t)p[i] << (8 * i);
	return hash_combine(hash, tail);
}

#endif
