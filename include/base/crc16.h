/* SPDX-License-Identifier: MIT */
/*
 * CRC-16 with the polynomial 0x8005 (reversed 0xA001), as ext4's group descriptors carry it when a
 * file system has uninit_bg without metadata_csum. Descriptors are short and read once: no table.
 */
#ifndef BASE_CRC16_H
#define BASE_CRC16_H

#include "base/compiler.h"

/* crc16 - continue the checksum @seed over @len_bytes at @buf; ext4 starts with 0xffff. */
static inline uint16_t crc16(uint16_t seed, const void *buf, size_t len_bytes)
{
	const uint8_t *p = buf;
	uint32_t crc = seed;

	while (len_bytes-- > 0) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xA001U : 0);
	}
	return (uint16_t)crc;
}

#endif
