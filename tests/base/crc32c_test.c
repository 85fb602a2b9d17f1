/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C and CRC-16 against published vectors, and the two CRC-32C ways against each other.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "base/crc16.h"
#include "base/crc32c.h"

#include "base/crc32c_impl.h"

static void fill(uint8_t *buf, size_t len)
{
	uint32_t state = 12345;

	for (size_t i = 0; i < len; i++) {
		state = state * 1664525 + 1013904223;
		buf[i] = (uint8_t)(state >> 24);
	}
}

Test(crc32c, matches_the_check_value_of_the_polynomial)
{
	cr_assert_eq(~crc32c(~0U, "123456789", 9), 0xE3069283U);
}

/* RFC 3720, appendix B.4. */
Test(crc32c, matches_the_vectors_of_iscsi)
{
	uint8_t buf[32];

	memset(buf, 0, sizeof(buf));
	cr_assert_eq(~crc32c(~0U, buf, sizeof(buf)), 0x8A9136AAU);
	memset(buf, 0xff, sizeof(buf));
	cr_assert_eq(~crc32c(~0U, buf, sizeof(buf)), 0x62A8AB43U);
	for (uint8_t i = 0; i < sizeof(buf); i++)
		buf[i] = i;
	cr_assert_eq(~crc32c(~0U, buf, sizeof(buf)), 0x46DD794EU);
}

Test(crc32c, of_nothing_is_the_seed)
{
	cr_assert_eq(crc32c(0x12345678, "", 0), 0x12345678U);
}

Test(crc32c, continues_where_it_was_cut)
{
	uint8_t buf[300];
	uint32_t whole;

	fill(buf, sizeof(buf));
	whole = crc32c(7, buf, sizeof(buf));
	for (size_t cut = 0; cut <= sizeof(buf); cut++)
		cr_assert_eq(crc32c(crc32c(7, buf, cut), buf + cut, sizeof(buf) - cut), whole);
}

Test(crc32c, hardware_and_table_agree_at_every_length_and_alignment)
{
	uint8_t buf[128];

	if (!crc32c_hw_present())
		return;
	fill(buf, sizeof(buf));
	for (size_t start = 0; start < 16; start++)
		for (size_t len = 0; len + start <= sizeof(buf); len++)
			cr_assert_eq(crc32c_hw(99, buf + start, len),
				     crc32c_table(99, buf + start, len));
}

Test(crc32c, table_matches_the_check_value)
{
	cr_assert_eq(~crc32c_table(~0U, "123456789", 9), 0xE3069283U);
}

/* The catalogue names them CRC-16/ARC (seed 0) and CRC-16/MODBUS (seed 0xffff). */
Test(crc16, matches_the_check_values)
{
	cr_assert_eq(crc16(0, "123456789", 9), 0xBB3D);
	cr_assert_eq(crc16(0xffff, "123456789", 9), 0x4B37);
}
