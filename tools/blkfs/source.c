/* SPDX-License-Identifier: MIT */
/*
 * source.c - the table of kinds of source.
 */
#include "source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/parse.h"
#include "blkfs/drivers.h"

/* Larger than any disk; keeps sums in 64 bits. */
static const uint64_t size_most = 1ull << 60;

/* Two for each request; 12 MB of file. */
enum { RECORD_ENTRIES_MAX = 1 << 17 };

static const struct {
	const char *prefix;
	enum source_kind kind;
	uint32_t driver; /* the only driver= that fits, beside auto */
} prefixes[] = {
	{ "mem:", SOURCE_MEM, OPT_DRIVER_MEM },
	{ "null:", SOURCE_NULL, OPT_DRIVER_NULL },
};

static int parse_sized(struct source *src, const char *text, size_t row, struct strbuf *why)
{
	const char *size = text + strlen(prefixes[row].prefix);

	src->kind = prefixes[row].kind;
	if (parse_size(size, SECTOR_SIZE, size_most, &src->size_bytes) || src->size_bytes % 4096) {
		strbuf_printf(why,
			      "%s: '%s' is not a size in multiples of 4096 bytes, as 64M or 1G",
			      text, size);
		return -EINVAL;
	}
	snprintf(src->name, sizeof(src->name), "%s", text);
	return 0;
}

static int parse_path(struct source *src, const char *text, struct strbuf *why)
{
	struct stat st;

	src->kind = SOURCE_PATH;
	if (!realpath(text, src->name) || stat(src->name, &st)) {
		strbuf_printf(why, "%s: %s", text, strerror(errno));
		return -errno;
	}
	src->is_blkdev = S_ISBLK(st.st_mode);
	if (src->is_blkdev || S_ISREG(st.st_mode))
		return 0;
	strbuf_printf(why, "%s: %s; expected an image file or a block device", text,
		      S_ISDIR(st.st_mode)   ? "is a directory"
		      : S_ISCHR(st.st_mode) ? "is a character device"
					    : "is no file");
	return -EINVAL;
}

int source_parse(struct source *src, const char *text, uint32_t driver, struct strbuf *why)
{
	*src = (struct source){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (strncmp(text, prefixes[i].prefix, strlen(prefixes[i].prefix)) != 0)
			continue;
		if (driver != OPT_DRIVER_AUTO && driver != prefixes[i].driver) {
			strbuf_printf(why, "%s: another driver than driver= says", text);
			return -EINVAL;
		}
		return parse_sized(src, text, i, why);
	}
	if (driver != OPT_DRIVER_AUTO && driver != OPT_DRIVER_DIRECT) {
		strbuf_printf(why, "%s: driver=null and driver=mem want null:SIZE or mem:SIZE",
			      text);
		return -EINVAL;
	}
	return parse_path(src, text, why);
}

const char *source_blk_path(const struct source *src)
{
	return src->kind == SOURCE_PATH ? src->name : NULL;
}

static int open_driver(const struct source *src, const struct drv_config *dc, bool is_fuseblk,
		       struct gendisk **out)
{
	struct mem_config mem = { .size_bytes = src->size_bytes,
				  .has_write_cache = true,
				  .has_fua = true };
	struct null_config null = { .size_bytes = src->size_bytes };
	struct direct_config direct = { .path = src->name,
					.is_fuseblk_claimed = is_fuseblk && src->is_blkdev };

	switch (src->kind) {
	case SOURCE_MEM:
		return mem_disk_create(dc, &mem, out);
	case SOURCE_NULL:
		return null_disk_create(dc, &null, out);
	case SOURCE_PATH:
		return direct_disk_create(dc, &direct, out);
	}
	return -EINVAL;
}

/* A record disk above @below, which it keeps only on success. */
static int open_record(struct source *src, const struct drv_config *dc, const char *path,
		       struct gendisk *below, struct gendisk **out)
{
	int err = record_disk_create(dc, &below->part0, RECORD_ENTRIES_MAX, out);

	if (err)
		return err;
	err = record_log_to(*out, path);
	if (err)
		del_gendisk(*out);
	else
		src->below = below;
	return err;
}

int source_open(struct source *src, const struct mount_options *mo, bool is_fuseblk,
		struct attr_dir *attrs, struct gendisk **out)
{
	const char *slash = strrchr(src->name, '/');
	bool is_recorded = mo->record[0];
	struct drv_config dc = { .name = slash ? slash + 1 : src->name,
				 .hw_queues = mo->hw_queues,
				 .queue_depth = mo->queue_depth,
				 .is_read_only = mo->fs.is_read_only,
				 .attrs = is_recorded ? NULL : attrs };
	struct gendisk *below;
	int err = open_driver(src, &dc, is_fuseblk, is_recorded ? &below : out);

	if (err || !is_recorded)
		return err;
	dc.attrs = attrs;
	err = open_record(src, &dc, mo->record, below, out);
	if (err)
		del_gendisk(below);
	return err;
}

void source_close(struct source *src, struct gendisk *disk)
{
	del_gendisk(disk);
	if (src->below)
		del_gendisk(src->below);
	src->below = NULL;
}
