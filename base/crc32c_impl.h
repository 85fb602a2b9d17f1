/* SPDX-License-Identifier: MIT */
/*
 * The two ways to compute CRC-32C, for base/crc32c.c and its test. CMake picks one file that
 * defines the hardware way: crc32c_x86.c, crc32c_arm.c or crc32c_nohw.c.
 */
#ifndef BASE_CRC32C_IMPL_H
#define BASE_CRC32C_IMPL_H

#include "base/compiler.h"

/* crc32c_hw_present - has this CPU the instruction? crc32c_hw may be called only if so. */
bool crc32c_hw_present(void);
uint32_t crc32c_hw(uint32_t crc, const void *buf, size_t len_bytes);

uint32_t crc32c_table(uint32_t crc, const void *buf, size_t len_bytes);

#endif
