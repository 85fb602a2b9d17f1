/* SPDX-License-Identifier: MIT */
/*
 * attrs.c - what is published in fs/: names and formats of /sys/fs/ext4/<dev>/ where there are
 * such, then our own.
 *
 * Errors add up what the superblock remembers and what this mount found: the first is the disk's
 * if it has one, the last is ours if there is one.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/strbuf.h"

#include "fs/ext4/inode.h"

static void put_u64(struct strbuf *out, uint64_t value)
{
	strbuf_printf(out, "%" PRIu64 "\n", value);
}

static const struct ext2_super_block *raw_of(const void *obj)
{
	return &((const struct ext4_fs *)obj)->sb.raw;
}

/* The value of the disk, unless it has none; or ours, unless we have none. */
static uint64_t first_of(struct ext4_fs *fs, uint64_t disk, uint64_t ours)
{
	return fs->sb.raw.s_error_count ? disk : ours;
}

static uint64_t last_of(struct ext4_fs *fs, uint64_t disk, uint64_t ours)
{
	return READ_ONCE(fs->errors.count) ? ours : disk;
}

/* ---- errors ------------------------------------------------------------------------------------------- */

static int errors_count_show(void *obj, struct strbuf *out)
{
	struct ext4_fs *fs = obj;

	put_u64(out,
		(uint64_t)le32_to_cpu(raw_of(obj)->s_error_count) + READ_ONCE(fs->errors.count));
	return 0;
}

static int first_error_time_show(void *obj, struct strbuf *out)
{
	struct ext4_fs *fs = obj;
	const struct ext2_super_block *raw = raw_of(obj);

	put_u64(out, first_of(fs,
			      join_lo_hi(le32_to_cpu(raw->s_first_error_time),
					 raw->s_first_error_time_hi),
			      READ_ONCE(fs->errors.first_time)));
	return 0;
}

static int last_error_time_show(void *obj, struct strbuf *out)
{
	struct ext4_fs *fs = obj;
	const struct ext2_super_block *raw = raw_of(obj);

	put_u64(out,
		last_of(fs,
			join_lo_hi(le32_to_cpu(raw->s_last_error_time), raw->s_last_error_time_hi),
			READ_ONCE(fs->errors.last_time)));
	return 0;
}

static int first_error_ino_show(void *obj, struct strbuf *out)
{
	struct ext4_fs *fs = obj;

	put_u64(out, first_of(fs, le32_to_cpu(raw_of(obj)->s_first_error_ino),
			      READ_ONCE(fs->errors.first_ino)));
	return 0;
}

static int last_error_ino_show(void *obj, struct strbuf *out)
{
	struct ext4_fs *fs = obj;

	put_u64(out, last_of(fs, le32_to_cpu(raw_of(obj)->s_last_error_ino),
			     READ_ONCE(fs->errors.last_ino)));
	return 0;
}

static int first_error_block_show(void *obj, struct strbuf *out)
{
	struct ext4_fs *fs = obj;

	put_u64(out, first_of(fs, le64_to_cpu(raw_of(obj)->s_first_error_block),
			      READ_ONCE(fs->errors.first_block)));
	return 0;
}

static int last_error_block_show(void *obj, struct strbuf *out)
{
	struct ext4_fs *fs = obj;

	put_u64(out, last_of(fs, le64_to_cpu(raw_of(obj)->s_last_error_block),
			     READ_ONCE(fs->errors.last_block)));
	return 0;
}

/* ---- what the superblock says --------------------------------------------------------------------------- */

static int lifetime_write_kbytes_show(void *obj, struct strbuf *out)
{
	put_u64(out, le64_to_cpu(raw_of(obj)->s_kbytes_written));
	return 0;
}

/* A mount that cannot write has written nothing. */
static int session_write_kbytes_show(void *obj, struct strbuf *out)
{
	put_u64(out, 0);
	return 0;
}

static int block_size_show(void *obj, struct strbuf *out)
{
	put_u64(out, ((struct ext4_fs *)obj)->sb.block_size);
	return 0;
}

static int features_show(void *obj, struct strbuf *out)
{
	char text[700];
	struct strbuf names;

	strbuf_init(&names, text, sizeof(text));
	ext4_features_show(&((struct ext4_fs *)obj)->sb, &names);
	strbuf_printf(out, "%s\n", text);
	return 0;
}

static int uuid_show(void *obj, struct strbuf *out)
{
	const uint8_t *u = raw_of(obj)->s_uuid;

	for (int i = 0; i < 16; i++)
		strbuf_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      u[i]);
	strbuf_putc(out, '\n');
	return 0;
}

/* The label is what somebody wrote there: anything but text comes out as '?'. */
static int label_show(void *obj, struct strbuf *out)
{
	const uint8_t *label = raw_of(obj)->s_volume_name;

	for (int i = 0; i < EXT2_LABEL_LEN && label[i]; i++)
		strbuf_putc(out, label[i] < ' ' || label[i] == 0x7f ? '?' : (char)label[i]);
	strbuf_putc(out, '\n');
	return 0;
}

static int type_show(void *obj, struct strbuf *out)
{
	strbuf_printf(out, "%s\n", ((struct ext4_fs *)obj)->fs.type);
	return 0;
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

static int cache_hits_show(void *obj, struct strbuf *out)
{
	struct cache_stats st;

	cache_stats_read(((struct ext4_fs *)obj)->cache, &st);
	put_u64(out, st.hits);
	return 0;
}

static int cache_misses_show(void *obj, struct strbuf *out)
{
	struct cache_stats st;

	cache_stats_read(((struct ext4_fs *)obj)->cache, &st);
	put_u64(out, st.misses);
	return 0;
}

static int cache_state_show(void *obj, struct strbuf *out)
{
	cache_dump(((struct ext4_fs *)obj)->cache, out);
	return 0;
}

static int journal_replayed_blocks_show(void *obj, struct strbuf *out)
{
	put_u64(out, cache_overlay_nr(((struct ext4_fs *)obj)->cache));
	return 0;
}

static int inodes_cached_show(void *obj, struct strbuf *out)
{
	put_u64(out, ext4_icache_nr(((struct ext4_fs *)obj)->icache));
	return 0;
}

static int extent_lists_bytes_show(void *obj, struct strbuf *out)
{
	put_u64(out, READ_ONCE(((struct ext4_fs *)obj)->extent_bytes));
	return 0;
}

static const struct attr ext4_attrs[] = {
	/* as in /sys/fs/ext4/<dev>/ */
	{ "errors_count", 0444, errors_count_show, NULL },
	{ "first_error_time", 0444, first_error_time_show, NULL },
	{ "last_error_time", 0444, last_error_time_show, NULL },
	{ "first_error_ino", 0444, first_error_ino_show, NULL },
	{ "last_error_ino", 0444, last_error_ino_show, NULL },
	{ "first_error_block", 0444, first_error_block_show, NULL },
	{ "last_error_block", 0444, last_error_block_show, NULL },
	{ "lifetime_write_kbytes", 0444, lifetime_write_kbytes_show, NULL },
	{ "session_write_kbytes", 0444, session_write_kbytes_show, NULL },
	/* ours */
	{ "type", 0444, type_show, NULL },
	{ "block_size", 0444, block_size_show, NULL },
	{ "features", 0444, features_show, NULL },
	{ "uuid", 0444, uuid_show, NULL },
	{ "label", 0444, label_show, NULL },
	{ "cache_hits", 0444, cache_hits_show, NULL },
	{ "cache_misses", 0444, cache_misses_show, NULL },
	{ "cache_state", 0444, cache_state_show, NULL },
	{ "inodes_cached", 0444, inodes_cached_show, NULL },
	{ "extent_lists_bytes", 0444, extent_lists_bytes_show, NULL },
	{ "journal_replayed_blocks", 0444, journal_replayed_blocks_show, NULL },
};

int ext4_attrs_publish(struct ext4_fs *fs, struct attr_dir *parent)
{
	return attr_dir_add(parent, "fs", ext4_attrs, ARRAY_SIZE(ext4_attrs), fs, &fs->attrs);
}
