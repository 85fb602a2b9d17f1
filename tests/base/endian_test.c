/* SPDX-License-Identifier: MIT */
/*
 * Byte order: what is in memory, byte for byte, whatever the machine's order is.
 */
#include "tests/lib/test.h"

#include "base/endian.h"

static const uint8_t bytes[] = { 0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08 };

Test(endian, unaligned_reads_take_bytes_in_the_named_order)
{
	const uint8_t *p = bytes + 1;

	cr_assert_eq(get_unaligned_le16(p), 0x0201);
	cr_assert_eq(get_unaligned_be16(p), 0x0102);
	cr_assert_eq(get_unaligned_le32(p), 0x04030201);
	cr_assert_eq(get_unaligned_be32(p), 0x01020304);
	cr_assert_eq(get_unaligned_le64(p), 0x0807060504030201);
	cr_assert_eq(get_unaligned_be64(p), 0x0102030405060708);
}

Test(endian, unaligned_writes_are_read_back_and_touch_nothing_else)
{
	uint8_t buf[10] = { 0 };

	put_unaligned_be32(0x01020304, buf + 3);
	cr_assert_arr_eq(buf, ((uint8_t[]){ 0, 0, 0, 1, 2, 3, 4, 0, 0, 0 }), sizeof(buf));
	put_unaligned_le64(0x1122334455667788, buf + 1);
	cr_assert_eq(get_unaligned_le64(buf + 1), 0x1122334455667788);
	cr_assert_eq(buf[9], 0);
}

Test(endian, conversions_undo_each_other)
{
	cr_assert_eq(le16_to_cpu(cpu_to_le16(0x1234)), 0x1234);
	cr_assert_eq(be32_to_cpu(cpu_to_be32(0x12345678)), 0x12345678);
	cr_assert_eq(be64_to_cpu(cpu_to_be64(0x123456789abcdef0)), 0x123456789abcdef0);
}

Test(endian, addition_in_place_carries_and_wraps)
{
	__le16 small = cpu_to_le16(0xffff);
	__be32 big = cpu_to_be32(0xff);

	le16_add_cpu(&small, 2);
	be32_add_cpu(&big, 1);
	cr_assert_eq(le16_to_cpu(small), 1);
	cr_assert_eq(be32_to_cpu(big), 0x100);
}
