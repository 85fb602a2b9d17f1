/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C by tables of eight bytes a step, and the choice between them and the CPU's instruction.
 *
 * Invariants: 1. tables[k][b] is the checksum of byte b followed by k zero bytes.
 * Locks:      none; the tables are filled before main() and only read after.
 */
#include "base/crc32c.h"

#include "base/endian.h"

#include "crc32c_impl.h"

/* The polynomial 0x1EDC6F41 with its bits reversed. */
#define CRC32C_POLY 0x82F63B78U
#define CRC32C_STEP_BYTES 8

static uint32_t tables[CRC32C_STEP_BYTES][256];

static void __attribute__((constructor)) fill_tables(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? CRC32C_POLY : 0);
		tables[0][b] = crc;
	}
	for (int k = 1; k < CRC32C_STEP_BYTES; k++)
		for (int b = 0; b < 256; b++)
			tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
}

uint32_t crc32c_table(uint32_t crc, const void *buf, size_t len_bytes)
{
	const uint8_t *p = buf;

	for (; len_bytes >= CRC32C_STEP_BYTES; len_bytes -= CRC32C_STEP_BYTES) {
		uint64_t word = get_unaligned_le64(p) ^ crc;

		crc = 0;
		for (int k = 0; k < CRC32C_STEP_BYTES; k++)
			crc ^= tables[CRC32C_STEP_BYTES - 1 - k][(word >> (8 * k)) & 0xff];
		p += CRC32C_STEP_BYTES;
	}
	while (len_bytes-- > 0)
		crc = (crc >> 8) ^ tables[0][(crc ^ *p++) & 0xff];
	return crc;
}

uint32_t crc32c(uint32_t seed, const void *buf, size_t len_bytes)
{
	if (likely(crc32c_hw_present()))
		return crc32c_hw(seed, buf, len_bytes);
	return crc32c_table(seed, buf, len_bytes);
}
