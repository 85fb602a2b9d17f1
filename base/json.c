/* SPDX-License-Identifier: MIT */
/*
 * A JSON writer: see base/json.h.
 *
 * Invariants: 1. levels[0] is the top, which holds one value; levels[depth] is what is open now.
 *             2. Text that is not UTF-8 (RFC 3629) never reaches the output.
 */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_begin(struct json *js, struct strbuf *out)
{
	memset(js, 0, sizeof(*js));
	js->out = out;
}

void json_begin_line(struct json *js, struct strbuf *out)
{
	json_begin(js, out);
	js->is_one_line = true;
}

void json_end(struct json *js)
{
	blkfs_assert(js->depth == 0);
	blkfs_assert(js->levels[0].has_members);
	strbuf_putc(js->out, '\n');
}

/*
 * The length of the UTF-8 sequence at @text, 0 if it is none: overlong forms, surrogates and what
 * is above U+10FFFF are none.
 */
static size_t utf8_length(const unsigned char *text)
{
	static const struct {
		unsigned char lead_first, lead_last, second_first, second_last;
		size_t length;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (text[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (text[0] < forms[i].lead_first || text[0] > forms[i].lead_last)
			continue;
		if (text[1] < forms[i].second_first || text[1] > forms[i].second_last)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((text[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

static void put_ascii(struct strbuf *out, unsigned char c)
{
	static const char shorts[][2] = {
		{ '"', '"' },  { '\\', '\\' }, { '\n', 'n' }, { '\t', 't' },
		{ '\r', 'r' }, { '\b', 'b' },  { '\f', 'f' },
	};

	for (size_t i = 0; i < ARRAY_SIZE(shorts); i++) {
		if (shorts[i][0] == (char)c) {
			strbuf_putc(out, '\\');
			strbuf_putc(out, shorts[i][1]);
			return;
		}
	}
	if (c < 0x20 || c == 0x7f)
		strbuf_printf(out, "\\u%04x", c);
	else
		strbuf_putc(out, (char)c);
}

static void put_quoted(struct strbuf *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	strbuf_putc(out, '"');
	while (*p != '\0') {
		size_t length = utf8_length(p);

		if (length == 1)
			put_ascii(out, *p);
		else if (length == 0)
			strbuf_puts(out, "\\ufffd");
		else
			strbuf_write(out, p, length);
		p += max(length, (size_t)1);
	}
	strbuf_putc(out, '"');
}

static void put_newline(struct json *js)
{
	if (js->is_one_line)
		return;
	strbuf_putc(js->out, '\n');
	for (unsigned int i = 0; i < js->depth; i++)
		strbuf_putc(js->out, '\t');
}

/* What stands before a value: comma, line, key. */
static void put_lead(struct json *js, const char *key)
{
	bool is_top = js->depth == 0;

	blkfs_assert((key != NULL) == js->levels[js->depth].is_object);
	blkfs_assert(!is_top || !js->levels[0].has_members);
	if (js->levels[js->depth].has_members)
		strbuf_putc(js->out, ',');
	js->levels[js->depth].has_members = true;
	if (!is_top)
		put_newline(js);
	if (key != NULL) {
		put_quoted(js->out, key);
		strbuf_puts(js->out, ": ");
	}
}

static void open_level(struct json *js, const char *key, bool is_object)
{
	put_lead(js, key);
	blkfs_assert(js->depth + 1 < JSON_DEPTH_MAX);
	js->depth++;
	js->levels[js->depth].is_object = is_object;
	js->levels[js->depth].has_members = false;
	strbuf_putc(js->out, is_object ? '{' : '[');
}

static void close_level(struct json *js, bool is_object)
{
	bool has_members = js->levels[js->depth].has_members;

	blkfs_assert(js->depth > 0);
	blkfs_assert(js->levels[js->depth].is_object == is_object);
	js->depth--;
	if (has_members)
		put_newline(js);
	strbuf_putc(js->out, is_object ? '}' : ']');
}

void json_object_begin(struct json *js, const char *key)
{
	open_level(js, key, true);
}

void json_object_end(struct json *js)
{
	close_level(js, true);
}

void json_array_begin(struct json *js, const char *key)
{
	open_level(js, key, false);
}

void json_array_end(struct json *js)
{
	close_level(js, false);
}

void json_string(struct json *js, const char *key, const char *text)
{
	if (text == NULL) {
		json_null(js, key);
		return;
	}
	put_lead(js, key);
	put_quoted(js->out, text);
}

void json_u64(struct json *js, const char *key, uint64_t value)
{
	put_lead(js, key);
	strbuf_printf(js->out, "%" PRIu64, value);
}

void json_i64(struct json *js, const char *key, int64_t value)
{
	put_lead(js, key);
	strbuf_printf(js->out, "%" PRId64, value);
}

/* The shortest of %.15g and %.17g that reads back as the same value. */
void json_double(struct json *js, const char *key, double value)
{
	char text[40];
	struct strbuf sb;

	if (!isfinite(value)) {
		json_null(js, key);
		return;
	}
	strbuf_init(&sb, text, sizeof(text));
	strbuf_printf(&sb, "%.15g", value);
	if (strtod(text, NULL) != value) {
		strbuf_reset(&sb);
		strbuf_printf(&sb, "%.17g", value);
	}
	put_lead(js, key);
	strbuf_puts(js->out, text);
}

void json_boolean(struct json *js, const char *key, bool value)
{
	put_lead(js, key);
	strbuf_puts(js->out, value ? "true" : "false");
}

void json_null(struct json *js, const char *key)
{
	put_lead(js, key);
	strbuf_puts(js->out, "null");
}
