/* SPDX-License-Identifier: MIT */
/*
 * Bounded text: see base/strbuf.h.
 */
#include "base/strbuf.h"

#include <stdio.h>
#include <string.h>

void strbuf_init(struct strbuf *sb, char *buf, size_t cap)
{
	blkfs_assert(cap > 0);
	sb->buf = buf;
	sb->cap = cap;
	strbuf_reset(sb);
}

void strbuf_reset(struct strbuf *sb)
{
	sb->len = 0;
	sb->overflow = false;
	sb->buf[0] = '\0';
}

void strbuf_vprintf(struct strbuf *sb, const char *fmt, va_list args)
{
	size_t room = strbuf_room(sb);
	int wanted = vsnprintf(sb->buf + sb->len, room + 1, fmt, args);

	blkfs_assert(wanted >= 0);
	if ((size_t)wanted > room)
		sb->overflow = true;
	sb->len += min((size_t)wanted, room);
}

void strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	strbuf_vprintf(sb, fmt, args);
	va_end(args);
}

void strbuf_write(struct strbuf *sb, const void *bytes, size_t len_bytes)
{
	size_t fits = min(len_bytes, strbuf_room(sb));

	memcpy(sb->buf + sb->len, bytes, fits);
	sb->len += fits;
	sb->buf[sb->len] = '\0';
	if (fits < len_bytes)
		sb->overflow = true;
}

void strbuf_puts(struct strbuf *sb, const char *text)
{
	strbuf_write(sb, text, strlen(text));
}

void strbuf_putc(struct strbuf *sb, char c)
{
	strbuf_write(sb, &c, 1);
}
