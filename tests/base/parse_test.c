/* SPDX-License-Identifier: MIT */
/*
 * Strict parsing: tables of what is accepted, what is refused and how.
 */
#include "tests/lib/test.h"

#include <errno.h>

#include "base/parse.h"

Test(parse, u64_takes_decimal_numbers_and_nothing_else)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "42\n", 0, 42 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "99999999999999999999999x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "\n", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1\n\n", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "4k", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value = 1234;

		cr_expect_eq(parse_u64(rows[i].text, 0, UINT64_MAX, &value), rows[i].err, "'%s'",
			     rows[i].text);
		cr_expect_eq(value, rows[i].err ? 1234 : rows[i].value, "'%s'", rows[i].text);
	}
}

Test(parse, bounds_are_inclusive)
{
	uint64_t value;
	int64_t number;

	cr_assert_eq(parse_u64("4", 4, 8, &value), 0);
	cr_assert_eq(parse_u64("8", 4, 8, &value), 0);
	cr_assert_eq(parse_u64("3", 4, 8, &value), -ERANGE);
	cr_assert_eq(parse_u64("9", 4, 8, &value), -ERANGE);
	cr_assert_eq(parse_i64("-4", -4, 8, &number), 0);
	cr_assert_eq(parse_i64("-5", -4, 8, &number), -ERANGE);
}

Test(parse, i64_reaches_both_ends)
{
	int64_t value;

	cr_assert_eq(parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &value), 0);
	cr_assert_eq(value, INT64_MIN);
	cr_assert_eq(parse_i64("9223372036854775807", INT64_MIN, INT64_MAX, &value), 0);
	cr_assert_eq(value, INT64_MAX);
	cr_assert_eq(parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &value), -ERANGE);
	cr_assert_eq(parse_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &value), -ERANGE);
	cr_assert_eq(parse_i64("-", INT64_MIN, INT64_MAX, &value), -EINVAL);
	cr_assert_eq(parse_i64("--1", INT64_MIN, INT64_MAX, &value), -EINVAL);
}

Test(parse, size_takes_a_binary_suffix)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} rows[] = {
		{ "512", 0, 512 },	     { "4k", 0, 4096 },	      { "4K\n", 0, 4096 },
		{ "3M", 0, 3 << 20 },	     { "2g", 0, 2ULL << 30 }, { "1T", 0, 1ULL << 40 },
		{ "1KB", -EINVAL, 0 },	     { "K", -EINVAL, 0 },     { "1 K", -EINVAL, 0 },
		{ "16777216T", -ERANGE, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value = 0;

		cr_expect_eq(parse_size(rows[i].text, 0, UINT64_MAX, &value), rows[i].err, "'%s'",
			     rows[i].text);
		cr_expect_eq(value, rows[i].value, "'%s'", rows[i].text);
	}
}

Test(parse, bool_takes_the_usual_words)
{
	bool value;

	cr_assert_eq(parse_bool("1\n", &value), 0);
	cr_assert(value);
	cr_assert_eq(parse_bool("Off", &value), 0);
	cr_assert(!value);
	cr_assert_eq(parse_bool("YES", &value), 0);
	cr_assert(value);
	cr_assert_eq(parse_bool("2", &value), -EINVAL);
	cr_assert_eq(parse_bool("", &value), -EINVAL);
	cr_assert_eq(parse_bool("yess", &value), -EINVAL);
}

Test(parse, word_is_found_whole_and_exactly)
{
	static const char *const words[] = { "none", "mq-deadline", "kyber" };

	cr_assert_eq(parse_word("none", words, 3), 0);
	cr_assert_eq(parse_word("kyber\n", words, 3), 2);
	cr_assert_eq(parse_word("mq", words, 3), -EINVAL);
	cr_assert_eq(parse_word("nonesuch", words, 3), -EINVAL);
	cr_assert_eq(parse_word("None", words, 3), -EINVAL);
	cr_assert_eq(parse_word("", words, 3), -EINVAL);
}
