/* SPDX-License-Identifier: MIT */
/*
 * The JSON writer: the text it makes, and that hostile strings cannot break out of it.
 */
#include "tests/lib/test.h"

#include <math.h>
#include <signal.h>

#include "base/json.h"

static char buf[4096];
static struct strbuf out;
static struct json js;

static void begin(void)
{
	strbuf_init(&out, buf, sizeof(buf));
	json_begin(&js, &out);
}

TestSuite(json, .init = begin);

static void expect_string(const char *text, const char *written)
{
	begin();
	json_string(&js, NULL, text);
	cr_assert_str_eq(buf, written);
}

Test(json, object_with_every_kind_of_value)
{
	json_object_begin(&js, NULL);
	json_string(&js, "name", "disk");
	json_u64(&js, "big", UINT64_MAX);
	json_i64(&js, "small", INT64_MIN);
	json_double(&js, "ratio", 0.1);
	json_boolean(&js, "ro", true);
	json_null(&js, "nothing");
	json_array_begin(&js, "list");
	json_u64(&js, NULL, 1);
	json_u64(&js, NULL, 2);
	json_array_end(&js);
	json_object_begin(&js, "empty");
	json_object_end(&js);
	json_object_end(&js);
	json_end(&js);
	cr_assert_str_eq(buf, "{\n"
			      "\t\"name\": \"disk\",\n"
			      "\t\"big\": 18446744073709551615,\n"
			      "\t\"small\": -9223372036854775808,\n"
			      "\t\"ratio\": 0.1,\n"
			      "\t\"ro\": true,\n"
			      "\t\"nothing\": null,\n"
			      "\t\"list\": [\n"
			      "\t\t1,\n"
			      "\t\t2\n"
			      "\t],\n"
			      "\t\"empty\": {}\n"
			      "}\n");
	cr_assert(!out.overflow);
}

Test(json, control_characters_and_quotes_are_escaped)
{
	expect_string("a\"b\\c\n\t\x01\x7f", "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\"");
}

Test(json, utf8_passes_and_what_is_not_is_replaced)
{
	expect_string("\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xbe",
		      "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xbe\"");
	expect_string("a\xff", "\"a\\ufffd\"");
	/* A lead byte without its followers, an overlong slash, a surrogate, one above U+10FFFF. */
	expect_string("\xe2\x82", "\"\\ufffd\\ufffd\"");
	expect_string("\xc0\xaf", "\"\\ufffd\\ufffd\"");
	expect_string("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
	expect_string("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

Test(json, null_pointer_and_infinite_numbers_are_null)
{
	json_array_begin(&js, NULL);
	json_string(&js, NULL, NULL);
	json_double(&js, NULL, INFINITY);
	json_double(&js, NULL, NAN);
	json_array_end(&js);
	cr_assert_str_eq(buf, "[\n\tnull,\n\tnull,\n\tnull\n]");
}

Test(json, doubles_read_back_as_they_were)
{
	static const double values[] = { 0.1, 1.0 / 3, 1e300, 5e-324, 123456789.125 };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		begin();
		json_double(&js, NULL, values[i]);
		cr_assert_eq(strtod(buf, NULL), values[i]);
	}
}

Test(json, value_without_a_key_in_an_object_is_our_bug, .signal = SIGABRT)
{
	json_object_begin(&js, NULL);
	json_u64(&js, NULL, 1);
}

Test(json, object_closed_as_an_array_is_our_bug, .signal = SIGABRT)
{
	json_object_begin(&js, NULL);
	json_array_end(&js);
}

Test(json, document_left_open_is_our_bug, .signal = SIGABRT)
{
	json_array_begin(&js, NULL);
	json_end(&js);
}

Test(json, one_line_form_has_no_line_break_but_the_last)
{
	strbuf_init(&out, buf, sizeof(buf));
	json_begin_line(&js, &out);
	json_object_begin(&js, NULL);
	json_string(&js, "text", "a\nb");
	json_array_begin(&js, "list");
	json_u64(&js, NULL, 1);
	json_u64(&js, NULL, 2);
	json_array_end(&js);
	json_object_end(&js);
	json_end(&js);
	cr_assert_str_eq(buf, "{\"text\": \"a\\nb\",\"list\": [1,2]}\n");
}
