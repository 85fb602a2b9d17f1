/* SPDX-License-Identifier: MIT */
/*
 * error.c - one way to say that the disk is not what it should be.
 *
 * Invariants: 1. Every -EUCLEAN of this room has passed through ext4_corrupt().
 *             2. A message never stops an operation of another inode, but errors=panic does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/strbuf.h"

#include "fs/ext4/super.h"

static void remember(struct ext4_errors *e, uint32_t ino, uint64_t block)
{
	uint64_t now = rt_realtime() / 1000000000ULL;

	if (__atomic_fetch_add(&e->count, 1, __ATOMIC_RELAXED) == 0) {
		WRITE_ONCE(e->first_time, now);
		WRITE_ONCE(e->first_block, block);
		WRITE_ONCE(e->first_ino, ino);
	}
	WRITE_ONCE(e->last_time, now);
	WRITE_ONCE(e->last_block, block);
	WRITE_ONCE(e->last_ino, ino);
}

/* A read-only mount has nothing to protect by errors=remount-ro. */
static void react(struct ext4_fs *fs)
{
	if (fs->on_error != FS_ERRORS_PANIC)
		return;
	if (__atomic_exchange_n(&fs->is_shutdown, true, __ATOMIC_RELAXED))
		return;
	log_err("ext4 %s: errors=panic: the mount is cut off; unmount it and run e2fsck", fs->dev);
	if (fs->fs.front_ops)
		fs->fs.front_ops->abort(fs->fs.front);
}

int ext4_corrupt(struct ext4_fs *fs, uint32_t ino, uint64_t block, const char *fmt, ...)
{
	char text[256], where[64];
	struct strbuf what, at;
	va_list args;

	strbuf_init(&what, text, sizeof(text));
	strbuf_init(&at, where, sizeof(where));
	va_start(args, fmt);
	strbuf_vprintf(&what, fmt, args);
	va_end(args);
	if (ino)
		strbuf_printf(&at, "inode %" PRIu32 ", ", ino);
	if (block)
		strbuf_printf(&at, "block %" PRIu64 ", ", block);
	remember(&fs->errors, ino, block);
	if (log_ratelimit_ok(&fs->errors.limit))
		log_err("ext4 %s: %s%s; run e2fsck", fs->dev, where, text);
	react(fs);
	return -EUCLEAN;
}

int ext4_block_get(struct ext4_fs *fs, uint32_t ino, uint64_t block, const char *what,
		   struct cache_buf **out)
{
	int err;

	if (!ext4_blocks_are_valid(&fs->sb, block, 1))
		return ext4_corrupt(fs, ino, block, "%s: expected a block below %" PRIu64, what,
				    fs->sb.blocks_nr);
	err = cache_get(fs->cache, block, out);
	if (unlikely(err) && log_ratelimit_ok(&fs->errors.limit))
		log_err("ext4 %s: inode %" PRIu32 ": cannot read %s, block %" PRIu64 ": %s",
			fs->dev, ino, what, block, strerror(-err));
	return err;
}

bool ext4_blocks_are_valid(const struct ext4_super *sb, uint64_t block, uint64_t nr)
{
	return block > sb->first_data_block && block < sb->blocks_nr && nr <= sb->blocks_nr - block;
}
