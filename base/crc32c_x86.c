/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C with the crc32 instruction of SSE 4.2.
 */
#include <nmmintrin.h>

#include "base/endian.h"

#include "crc32c_impl.h"

bool crc32c_hw_present(void)
{
	return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) uint32_t crc32c_hw(uint32_t crc, const void *buf,
						     size_t len_bytes)
{
	const uint8_t *p = buf;
	uint64_t crc64 = crc;

	for (; len_bytes >= 8; len_bytes -= 8, p += 8)
		crc64 = _mm_crc32_u64(crc64, get_unaligned_le64(p));
	crc = (uint32_t)crc64;
	while (len_bytes-- > 0)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}
