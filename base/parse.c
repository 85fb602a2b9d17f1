/* SPDX-License-Identifier: MIT */
/*
 * Strict parsing: see base/parse.h.
 */
#include "base/parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_end(const char *text)
{
	return text[0] == '\0' || (text[0] == '\n' && text[1] == '\0');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Takes the digits at *@text and moves it behind them; all of them even if the value is too big. */
static int take_digits(const char **text, uint64_t *out)
{
	const char *p = *text;
	bool is_too_big = false;
	uint64_t value = 0;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			is_too_big = true;
	*text = p;
	*out = value;
	return is_too_big ? -ERANGE : 0;
}

/* The shift that the suffix at *@text stands for; moves behind it. */
static unsigned int take_suffix(const char **text)
{
	static const char suffixes[] = "kmgt";
	const char *found = **text == '\0' ? NULL : strchr(suffixes, **text | 0x20);

	if (found == NULL)
		return 0;
	(*text)++;
	return 10 * (unsigned int)(found - suffixes + 1);
}

static int parse_unsigned(const char *text, bool may_have_suffix, uint64_t *out)
{
	int err = take_digits(&text, out);
	unsigned int shift = 0;

	if (err == -EINVAL)
		return err;
	if (may_have_suffix)
		shift = take_suffix(&text);
	if (!is_end(text))
		return -EINVAL;
	if (err != 0 || *out > UINT64_MAX >> shift)
		return -ERANGE;
	*out <<= shift;
	return 0;
}

static int parse_bounded(const char *text, bool may_have_suffix, uint64_t lo, uint64_t hi,
			 uint64_t *out)
{
	uint64_t value = 0;
	int err = parse_unsigned(text, may_have_suffix, &value);

	if (err != 0)
		return err;
	if (value < lo || value > hi)
		return -ERANGE;
	*out = value;
	return 0;
}

int parse_u64(const char *text, uint64_t lo, uint64_t hi, uint64_t *out)
{
	return parse_bounded(text, false, lo, hi, out);
}

int parse_size(const char *text, uint64_t lo, uint64_t hi, uint64_t *out)
{
	return parse_bounded(text, true, lo, hi, out);
}

int parse_i64(const char *text, int64_t lo, int64_t hi, int64_t *out)
{
	bool is_negative = text[0] == '-';
	uint64_t magnitude = 0;
	int64_t value;
	int err = parse_unsigned(text + is_negative, false, &magnitude);

	if (err != 0)
		return err;
	if (magnitude > (uint64_t)INT64_MAX + is_negative)
		return -ERANGE;
	value = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	if (value < lo || value > hi)
		return -ERANGE;
	*out = value;
	return 0;
}

/* Compares without the one '\n' that @text may end with. */
static bool is_word(const char *text, const char *word,
		    int (*compare)(const char *, const char *, size_t))
{
	size_t len = strlen(word);

	return compare(text, word, len) == 0 && is_end(text + len);
}

int parse_bool(const char *text, bool *out)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "0", false },	 { "1", true },	  { "n", false },   { "y", true },
		{ "no", false }, { "yes", true }, { "off", false }, { "on", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (is_word(text, words[i].word, strncasecmp)) {
			*out = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

int parse_word(const char *text, const char *const *words, size_t words_nr)
{
	for (size_t i = 0; i < words_nr; i++)
		if (is_word(text, words[i], strncmp))
			return (int)i;
	return -EINVAL;
}
