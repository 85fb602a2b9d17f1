/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C with the CRC32 extension of ARMv8. This file is compiled with -march=armv8-a+crc.
 */
#include <arm_acle.h>
#include <sys/auxv.h>

#include "base/endian.h"

#include "crc32c_impl.h"

/* HWCAP_CRC32 of asm/hwcap.h: part of the kernel's ABI on aarch64. */
#define ARM_HWCAP_CRC32 (1UL << 7)

bool crc32c_hw_present(void)
{
	return getauxval(AT_HWCAP) & ARM_HWCAP_CRC32;
}

uint32_t crc32c_hw(uint32_t crc, const void *buf, size_t len_bytes)
{
	const uint8_t *p = buf;

	for (; len_bytes >= 8; len_bytes -= 8, p += 8)
		crc = __crc32cd(crc, get_unaligned_le64(p));
	while (len_bytes-- > 0)
		crc = __crc32cb(crc, *p++);
	return crc;
}
