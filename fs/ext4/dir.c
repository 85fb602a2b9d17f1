/* SPDX-License-Identifier: MIT */
/*
 * dir.c - directories as fs.h wants them: find a name, list the names.
 *
 * An offset of readdir is the byte where the next entry starts; blocks of the index hold nothing
 * but unused space in that sense, so one way serves directories with and without an index.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "fs/ext4/dir.h"

enum { DIR_READAHEAD_BYTES = 128 << 10 };

uint32_t ext4_dirent_dt(const struct ext4_fs *fs, uint32_t type)
{
	static const uint8_t dt[EXT2_FT_MAX] = {
		[EXT2_FT_UNKNOWN] = DT_UNKNOWN, [EXT2_FT_REG_FILE] = DT_REG,
		[EXT2_FT_DIR] = DT_DIR,		[EXT2_FT_CHRDEV] = DT_CHR,
		[EXT2_FT_BLKDEV] = DT_BLK,	[EXT2_FT_FIFO] = DT_FIFO,
		[EXT2_FT_SOCK] = DT_SOCK,	[EXT2_FT_SYMLINK] = DT_LNK,
	};

	return type < EXT2_FT_MAX ? dt[type] : DT_UNKNOWN;
}

static uint32_t readahead_blocks(const struct ext4_fs *fs)
{
	return max_t(uint32_t, DIR_READAHEAD_BYTES >> fs->sb.block_bits, 1);
}

/* ---- lookup -------------------------------------------------------------------------------------- */

static int block_search(struct ext4_fs *fs, struct ext4_inode *dir, uint32_t lblk,
			const struct ext4_name *name, uint32_t *ino)
{
	uint32_t len = ext4_dir_block_len(fs);
	struct cache_buf *b;
	bool is_index;
	int ret = ext4_dir_block_get(fs, dir, lblk, &is_index, &b);

	if (ret)
		return ret;
	/* The entries of an index block end with one that spans the rest of it. */
	if (is_index)
		len = fs->sb.block_size;
	ret = ext4_dirents_search(fs, dir, b->data, len, b->block, name, ino);
	cache_put(fs->cache, b);
	return ret;
}

static int linear_search(struct ext4_fs *fs, struct ext4_inode *dir, const struct ext4_name *name,
			 uint32_t *ino)
{
	uint32_t blocks = ext4_dir_blocks(fs, dir), ahead = readahead_blocks(fs);
	int ret = 0;

	for (uint32_t lblk = 0; lblk < blocks && !ret; lblk++) {
		if (lblk % ahead == 0 && blocks > 1)
			ext4_dir_readahead(fs, dir, lblk, ahead);
		ret = block_search(fs, dir, lblk, name, ino);
	}
	return ret;
}

static bool is_dot_name(const struct ext4_name *name)
{
	return (name->len == 1 && name->name[0] == '.') ||
	       (name->len == 2 && name->name[0] == '.' && name->name[1] == '.');
}

int ext4_dir_lookup(struct ext4_fs *fs, struct ext4_inode *dir, const struct ext4_name *name,
		    uint32_t *ino)
{
	bool has_index = ext4_dir_has_index(fs, dir);
	int ret;

	if (ext4_inode_has(dir, EXT4_INLINE_DATA_FL)) {
		ret = ext4_inline_dir_search(fs, dir, name, ino);
	} else if (has_index && is_dot_name(name)) { /* they are in the root of the index only */
		ret = block_search(fs, dir, 0, name, ino);
	} else {
		ret = has_index ? ext4_htree_search(fs, dir, name, ino) : -EOPNOTSUPP;
		if (ret == -EOPNOTSUPP)
			ret = linear_search(fs, dir, name, ino);
	}
	if (ret < 0)
		return ret;
	return ret ? 0 : -ENOENT;
}

/* ---- readdir ------------------------------------------------------------------------------------- */

/* Emits what starts at @off of the block at byte @base or later. 1: the reader has enough. */
static int block_emit(struct ext4_fs *fs, struct ext4_inode *dir, const struct cache_buf *b,
		      uint32_t len, uint64_t base, uint64_t off, fs_dirent_fn emit, void *ctx)
{
	struct ext4_dirent de;
	int err;

	for (uint32_t pos = 0; pos < len; pos += de.rec_len) {
		uint64_t next = base + pos;

		err = ext4_dirent_at(fs, dir, b->data, len, pos, b->block, &de);
		if (err)
			return err;
		if (!de.ino || next < off)
			continue;
		next += de.rec_len;
		if (pos + de.rec_len >= len) /* the checksum is no place to go on at */
			next = base + fs->sb.block_size;
		if (emit(ctx, de.name, de.name_len, ext4_ino_to_fs(de.ino),
			 ext4_dirent_dt(fs, de.type), next))
			return 1;
	}
	return 0;
}

static int block_read(struct ext4_fs *fs, struct ext4_inode *dir, uint32_t lblk, uint64_t off,
		      fs_dirent_fn emit, void *ctx)
{
	uint32_t len = ext4_dir_block_len(fs);
	struct cache_buf *b;
	bool is_index;
	int ret = ext4_dir_block_get(fs, dir, lblk, &is_index, &b);

	if (ret)
		return ret;
	if (is_index)
		len = fs->sb.block_size;
	ret = block_emit(fs, dir, b, len, (uint64_t)lblk << fs->sb.block_bits, off, emit, ctx);
	cache_put(fs->cache, b);
	return ret;
}

int ext4_dir_read(struct ext4_fs *fs, struct ext4_inode *dir, uint64_t off, fs_dirent_fn emit,
		  void *ctx)
{
	uint32_t blocks = ext4_dir_blocks(fs, dir), ahead = readahead_blocks(fs);
	uint64_t first = off >> fs->sb.block_bits;
	int ret = 0;

	if (ext4_inode_has(dir, EXT4_INLINE_DATA_FL))
		return ext4_inline_dir_read(fs, dir, off, emit, ctx);
	for (uint64_t lblk = first; lblk < blocks && !ret; lblk++) {
		if (lblk == 0 && blocks > 1)
			ext4_dir_readahead(fs, dir, 0, 2 * ahead);
		else if (lblk % ahead == 0 && lblk + ahead < blocks)
			ext4_dir_readahead(fs, dir, (uint32_t)lblk + ahead, ahead);
		ret = block_read(fs, dir, (uint32_t)lblk, off, emit, ctx);
	}
	return ret < 0 ? ret : 0;
}
