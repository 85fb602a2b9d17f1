/* SPDX-License-Identifier: MIT */
/*
 * source.h - SOURCE on the command line to a disk.
 *
 *   PATH        a file or block device, by the direct driver
 *   mem:SIZE    RAM, with a volatile cache (mem driver)
 *   null:SIZE   nothing at all: what is written is gone, reads leave memory as it is
 */
#ifndef BLKFS_TOOLS_SOURCE_H
#define BLKFS_TOOLS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "blkfs/attr.h"
#include "options.h"

struct gendisk;

enum source_kind { SOURCE_PATH, SOURCE_MEM, SOURCE_NULL };

struct source {
	enum source_kind kind;
	char name[4096]; /* absolute path, or as given */
	uint64_t size_bytes;
	bool is_blkdev;
	struct gendisk *below; /* under a record disk; NULL: not recorded */
};

/* Pure but for a stat of the path. -EINVAL, -errno; @why says what is wrong. */
int __must_check source_parse(struct source *src, const char *text, uint32_t driver,
			      struct strbuf *why);

/* Context: task. The driver logs what went wrong. */
int __must_check source_open(struct source *src, const struct mount_options *mo, bool is_fuseblk,
			     struct attr_dir *attrs, struct gendisk **out);
/* del_gendisk() for what source_open() gave. */
void source_close(struct source *src, struct gendisk *disk);

/* The path that a fuseblk mount may claim, or NULL. */
const char *source_blk_path(const struct source *src);

#endif
