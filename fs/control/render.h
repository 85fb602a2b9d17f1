/* SPDX-License-Identifier: MIT */
/*
 * render.h - an attribute's text, however long it is.
 */
#ifndef BLKFS_CONTROL_RENDER_H
#define BLKFS_CONTROL_RENDER_H

#include <stddef.h>

#include "base/compiler.h"

/* What one attribute may say at the most; longer text is cut there, as a page cuts sysfs. */
enum { RENDER_MAX = 8 << 20 };

/* Context: as attr_show(). *@text is NUL-terminated and to be freed. 0, -ENOMEM, attr_show()'s. */
int __must_check render_attr(const char *path, char **text, size_t *len);

#endif
