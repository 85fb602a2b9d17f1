/* SPDX-License-Identifier: MIT */
/*
 * Text built in the caller's memory, bounded.
 *
 * Invariants: 1. len < cap and buf[len] == 0 at all times (cap is at least 1).
 *             2. What does not fit is cut, and overflow stays true until strbuf_reset().
 * Locks:      none.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>

#include "base/compiler.h"

struct strbuf {
	char *buf;
	size_t cap;
	size_t len;
	bool overflow;
};

/* strbuf_init - start empty in @cap bytes at @buf, which the caller keeps owning. */
void strbuf_init(struct strbuf *sb, char *buf, size_t cap);
void strbuf_reset(struct strbuf *sb);

void strbuf_printf(struct strbuf *sb, const char *fmt, ...) __printf(2, 3);
void strbuf_vprintf(struct strbuf *sb, const char *fmt, va_list args) __printf(2, 0);
void strbuf_puts(struct strbuf *sb, const char *text);
void strbuf_putc(struct strbuf *sb, char c);
void strbuf_write(struct strbuf *sb, const void *bytes, size_t len_bytes);

/* strbuf_room - how many more characters fit. */
static inline size_t strbuf_room(const struct strbuf *sb)
{
	return sb->cap - 1 - sb->len;
}

#endif
