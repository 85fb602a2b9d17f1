/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (Castagnoli), as ext4 and jbd2 use it: no inversion before or after.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/compiler.h"

/*
 * crc32c - continue the checksum @seed over @len_bytes at @buf.
 *
 * ext4 starts with ~0 or with a checksum of the UUID and stores the result as it is; the check
 * value of RFC 3720 is ~crc32c(~0, ...). With the CPU's instruction where there is one.
 */
uint32_t crc32c(uint32_t seed, const void *buf, size_t len_bytes);

#endif
