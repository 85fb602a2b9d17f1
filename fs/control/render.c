/* SPDX-License-Identifier: MIT */
/*
 * render.c - shows an attribute into a buffer that grows until it fits.
 */
#include "render.h"

#include <errno.h>
#include <stdlib.h>

#include "blkfs/attr.h"

enum { RENDER_FIRST = 16 << 10 };

int render_attr(const char *path, char **text, size_t *len)
{
	for (size_t cap = RENDER_FIRST;; cap *= 4) {
		char *buf = malloc(cap);
		struct strbuf sb;
		int err;

		if (!buf)
			return -ENOMEM;
		strbuf_init(&sb, buf, cap);
		err = attr_show(path, &sb);
		if (!err && (!sb.overflow || cap >= RENDER_MAX)) {
			*text = buf;
			*len = sb.len;
			return 0;
		}
		free(buf);
		if (err)
			return err;
	}
}
