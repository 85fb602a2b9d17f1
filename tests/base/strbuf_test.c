/* SPDX-License-Identifier: MIT */
/*
 * Bounded text: what fits is there, what does not is cut, nothing is written outside.
 */
#include "tests/lib/test.h"

#include "base/strbuf.h"

Test(strbuf, pieces_follow_one_another)
{
	char buf[32];
	struct strbuf sb;

	strbuf_init(&sb, buf, sizeof(buf));
	cr_assert_str_eq(buf, "");
	strbuf_puts(&sb, "a=");
	strbuf_printf(&sb, "%d,", 7);
	strbuf_putc(&sb, 'x');
	strbuf_write(&sb, "yz!", 2);
	cr_assert_str_eq(buf, "a=7,xyz");
	cr_assert_eq(sb.len, 7);
	cr_assert_eq(strbuf_room(&sb), 24);
	cr_assert(!sb.overflow);
}

Test(strbuf, overflow_is_cut_remembered_and_stays_inside)
{
	for (int way = 0; way < 3; way++) {
		char buf[8] = "#######";
		struct strbuf sb;

		strbuf_init(&sb, buf, 6);
		if (way == 0)
			strbuf_printf(&sb, "%s", "123456");
		else if (way == 1)
			strbuf_puts(&sb, "123456");
		else
			for (char c = '1'; c <= '6'; c++)
				strbuf_putc(&sb, c);
		cr_assert_str_eq(buf, "12345");
		cr_assert(sb.overflow);
		cr_assert_eq(buf[6], '#');
		strbuf_puts(&sb, "");
		cr_assert(sb.overflow);
		strbuf_reset(&sb);
		cr_assert(!sb.overflow);
		cr_assert_str_eq(buf, "");
	}
}

Test(strbuf, exact_fit_is_no_overflow)
{
	char buf[4];
	struct strbuf sb;

	strbuf_init(&sb, buf, sizeof(buf));
	strbuf_printf(&sb, "%s", "abc");
	cr_assert(!sb.overflow);
	cr_assert_eq(strbuf_room(&sb), 0);
	strbuf_puts(&sb, "");
	cr_assert(!sb.overflow);
}
