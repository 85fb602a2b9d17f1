/* SPDX-License-Identifier: MIT */
/*
 * inline.c - small files and directories whose content is in the inode: 60 bytes where the block
 * map would be, the rest as the value of the attribute system.data.
 *
 * A directory begins with the number of its parent; . and .. are not stored. Its offsets: 0 is .,
 * 1 is .., and 2 + n the entry at byte n of the entries.
 * Source: Documentation/filesystems/ext4/inlinedata.rst.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "fs/ext4/dir.h"

enum {
	INDEX_SYSTEM = 7,
	PARENT_BYTES = 4,
	FIRST_ENTRY_COOKIE = 2,
	MAIN_BYTES = EXT4_I_BLOCK_BYTES - PARENT_BYTES,
	ENTRIES_MIN = 12, /* fewer bytes hold no entry */
};

/* 1: there is a rest; 0: all is in i_block; or an error. Put v->b back. */
static int rest_get(struct ext4_fs *fs, struct ext4_inode *inode, struct ext4_xattr_value *v)
{
	int err = ext4_xattr_find(fs, inode, INDEX_SYSTEM, "data", 4, v);

	if (err)
		return err == -ENODATA ? 0 : err;
	if (!v->inum)
		return 1;
	cache_put(fs->cache, v->b);
	return ext4_corrupt(fs, inode->ino, 0, "inline data: kept in another inode");
}

static int rest_read(struct ext4_fs *fs, struct ext4_inode *inode, uint64_t off, uint8_t *buf,
		     size_t len)
{
	struct ext4_xattr_value v;
	size_t have = 0;
	int ret = rest_get(fs, inode, &v);

	if (ret < 0)
		return ret;
	if (ret > 0) {
		if (off < v.size)
			have = min_t(uint64_t, len, v.size - off);
		memcpy(buf, v.bytes + (have ? off : 0), have);
		cache_put(fs->cache, v.b);
	}
	memset(buf + have, 0, len - have); /* a size beyond what is kept means zeros */
	return 0;
}

int ext4_inline_read(struct ext4_fs *fs, struct ext4_inode *inode, uint64_t off, void *buf,
		     size_t len)
{
	uint8_t *out = buf;
	size_t n = 0;

	if (off < EXT4_I_BLOCK_BYTES) {
		n = min_t(uint64_t, len, EXT4_I_BLOCK_BYTES - off);
		memcpy(out, inode->i_block + off, n);
	}
	if (n == len)
		return 0;
	return rest_read(fs, inode, off + n - EXT4_I_BLOCK_BYTES, out + n, len - n);
}

/* ---- directories ----------------------------------------------------------------------------------- */

/* What .. is. */
static int parent_get(struct ext4_fs *fs, const struct ext4_inode *dir, uint32_t *out)
{
	*out = get_unaligned_le32(dir->i_block);
	if (*out >= EXT2_ROOT_INO && *out <= fs->sb.inodes_nr)
		return 0;
	return ext4_corrupt(fs, dir->ino, dir->table_block,
			    "inline directory: parent: expected an inode up to %" PRIu32
			    ", found %" PRIu32,
			    fs->sb.inodes_nr, *out);
}

int ext4_inline_dir_search(struct ext4_fs *fs, struct ext4_inode *dir, const struct ext4_name *name,
			   uint32_t *ino)
{
	struct ext4_xattr_value v;
	int ret;

	if (name->len == 1 && name->name[0] == '.') {
		*ino = dir->ino;
		return 1;
	}
	if (name->len == 2 && !memcmp(name->name, "..", 2)) {
		ret = parent_get(fs, dir, ino);
		return ret ? ret : 1;
	}
	ret = ext4_dirents_search(fs, dir, dir->i_block + PARENT_BYTES, MAIN_BYTES,
				  dir->table_block, name, ino);
	if (ret)
		return ret;
	ret = rest_get(fs, dir, &v);
	if (ret <= 0)
		return ret;
	ret = v.size < ENTRIES_MIN
		      ? 0
		      : ext4_dirents_search(fs, dir, v.bytes, v.size, dir->table_block, name, ino);
	cache_put(fs->cache, v.b);
	return ret;
}

/* Emits the entries of one piece, which starts at @base. 1: the reader has enough. */
static int piece_emit(struct ext4_fs *fs, struct ext4_inode *dir, const uint8_t *bytes,
		      uint32_t len, uint64_t base, uint64_t off, fs_dirent_fn emit, void *ctx)
{
	struct ext4_dirent de;
	int err;

	for (uint32_t pos = 0; pos < len; pos += de.rec_len) {
		err = ext4_dirent_at(fs, dir, bytes, len, pos, dir->table_block, &de);
		if (err)
			return err;
		if (de.ino && base + pos >= off &&
		    emit(ctx, de.name, de.name_len, ext4_ino_to_fs(de.ino),
			 ext4_dirent_dt(fs, de.type), base + pos + de.rec_len))
			return 1;
	}
	return 0;
}

int ext4_inline_dir_read(struct ext4_fs *fs, struct ext4_inode *dir, uint64_t off,
			 fs_dirent_fn emit, void *ctx)
{
	struct ext4_xattr_value v;
	uint32_t parent;
	int ret = parent_get(fs, dir, &parent);

	if (ret)
		return ret;
	if (off < 1 && emit(ctx, ".", 1, ext4_ino_to_fs(dir->ino), DT_DIR, 1))
		return 0;
	if (off < 2 && emit(ctx, "..", 2, ext4_ino_to_fs(parent), DT_DIR, FIRST_ENTRY_COOKIE))
		return 0;
	ret = piece_emit(fs, dir, dir->i_block + PARENT_BYTES, MAIN_BYTES, FIRST_ENTRY_COOKIE, off,
			 emit, ctx);
	if (ret)
		return min(ret, 0);
	ret = rest_get(fs, dir, &v);
	if (ret <= 0)
		return ret;
	if (v.size >= ENTRIES_MIN)
		ret = piece_emit(fs, dir, v.bytes, v.size, FIRST_ENTRY_COOKIE + MAIN_BYTES, off,
				 emit, ctx);
	cache_put(fs->cache, v.b);
	return min(ret, 0);
}
