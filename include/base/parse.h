/* SPDX-License-Identifier: MIT */
/*
 * Numbers and words that a user wrote, taken strictly: the whole string must be the value, one
 * trailing '\n' (echo) is allowed, nothing else around it.
 *
 * All return 0, -EINVAL for what is no such value, -ERANGE for one that is outside the bounds;
 * @out is written on success only.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include "base/compiler.h"

/* parse_u64 - a decimal number between @lo and @hi inclusive. */
int parse_u64(const char *text, uint64_t lo, uint64_t hi, uint64_t *out) __must_check;

/* parse_i64 - the same with an optional '-'. */
int parse_i64(const char *text, int64_t lo, int64_t hi, int64_t *out) __must_check;

/* parse_size - bytes: a decimal number, then nothing or one of K M G T (powers of 1024), any case. */
int parse_size(const char *text, uint64_t lo, uint64_t hi, uint64_t *out) __must_check;

/* parse_bool - 0 1 n y no yes off on, any case. */
int parse_bool(const char *text, bool *out) __must_check;

/* parse_word - the index of @text among the @words_nr @words, or -EINVAL. */
int parse_word(const char *text, const char *const *words, size_t words_nr) __must_check;

#endif
