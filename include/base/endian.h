/* SPDX-License-Identifier: MIT */
/*
 * Byte order of what is on disk or on the wire.
 *
 * The types __le16 ... __be64 are the kernel's own (linux/types.h): plain integers whose name says
 * that they are read with leXX_to_cpu and written with cpu_to_leXX. get_unaligned_* and
 * put_unaligned_* take any address.
 */
#ifndef BASE_ENDIAN_H
#define BASE_ENDIAN_H

#include <endian.h>
#include <linux/types.h>
#include <stdint.h>
#include <string.h>

/* One row makes the five functions of one width and order. */
#define BASE_ENDIAN_FUNCTIONS(order, bits, from, to)                                               \
	static inline uint##bits##_t order##bits##_to_cpu(__##order##bits x)                       \
	{                                                                                          \
		return from(x);                                                                    \
	}                                                                                          \
	static inline __##order##bits cpu_to_##order##bits(uint##bits##_t x)                       \
	{                                                                                          \
		return to(x);                                                                      \
	}                                                                                          \
	static inline uint##bits##_t get_unaligned_##order##bits(const void *p)                    \
	{                                                                                          \
		uint##bits##_t raw;                                                                \
                                                                                                   \
		memcpy(&raw, p, sizeof(raw));                                                      \
		return from(raw);                                                                  \
	}                                                                                          \
	static inline void put_unaligned_##order##bits(uint##bits##_t x, void *p)                  \
	{                                                                                          \
		uint##bits##_t raw = to(x);                                                        \
                                                                                                   \
		memcpy(p, &raw, sizeof(raw));                                                      \
	}                                                                                          \
	static inline void order##bits##_add_cpu(__##order##bits *x, uint##bits##_t add)           \
	{                                                                                          \
		*x = to((uint##bits##_t)(from(*x) + add));                                         \
	}

BASE_ENDIAN_FUNCTIONS(le, 16, le16toh, htole16)
BASE_ENDIAN_FUNCTIONS(le, 32, le32toh, htole32)
BASE_ENDIAN_FUNCTIONS(le, 64, le64toh, htole64)
BASE_ENDIAN_FUNCTIONS(be, 16, be16toh, htobe16)
BASE_ENDIAN_FUNCTIONS(be, 32, be32toh, htobe32)
BASE_ENDIAN_FUNCTIONS(be, 64, be64toh, htobe64)

#undef BASE_ENDIAN_FUNCTIONS

#endif
