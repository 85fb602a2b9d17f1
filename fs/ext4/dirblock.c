/* SPDX-License-Identifier: MIT */
/*
 * dirblock.c - one block of a directory: its checksum, its entries.
 *
 * Every step from entry to entry is checked against the block's end, whatever the checksum said.
 * Source: Documentation/filesystems/ext4/directory.rst, checksums.rst.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"

#include "fs/ext4/dir.h"

enum {
	REC_LEN_MIN = 12,
	ROOT_COUNT_OFF = 32, /* dx_countlimit in the root, behind ., .. and the root info */
	NODE_COUNT_OFF = 8,  /* in a node, behind an unused entry that spans the block */
	DX_ENTRY_BYTES = 8,
	DX_TAIL_BYTES = 8,
};

uint32_t ext4_dir_blocks(const struct ext4_fs *fs, const struct ext4_inode *dir)
{
	uint64_t blocks = dir->size >> fs->sb.block_bits;

	return (uint32_t)min_t(uint64_t, blocks, UINT32_MAX - 1);
}

uint32_t ext4_dir_block_len(const struct ext4_fs *fs)
{
	return fs->sb.block_size - (fs->sb.has_csum ? EXT4_DIR_TAIL_BYTES : 0);
}

/* ---- entries ------------------------------------------------------------------------------------- */

/* With 64 KiB blocks a record may be as long as 16 bits cannot say. */
static uint32_t rec_len_decode(const struct ext4_fs *fs, uint32_t disk)
{
	if (fs->sb.block_size < EXT4_BLOCK_SIZE_MAX)
		return disk;
	if (disk == 0 || disk == 0xffff)
		return fs->sb.block_size;
	return (disk & 0xfffc) | (disk & 3) << 16;
}

static const char *dirent_problem(const struct ext4_fs *fs, const struct ext4_dirent *de,
				  uint32_t room)
{
	if (de->rec_len < REC_LEN_MIN || de->rec_len & 3 || de->rec_len > room)
		return "length of the record";
	if (EXT4_DIRENT_HEADER + de->name_len > de->rec_len)
		return "length of the name";
	if (de->ino > fs->sb.inodes_nr)
		return "inode number";
	if (de->ino && (de->name_len == 0 || memchr(de->name, '/', de->name_len) ||
			memchr(de->name, '\0', de->name_len)))
		return "name";
	return NULL;
}

int ext4_dirent_at(struct ext4_fs *fs, const struct ext4_inode *dir, const uint8_t *bytes,
		   uint32_t len, uint32_t off, uint64_t block, struct ext4_dirent *out)
{
	const uint8_t *p = bytes + off;
	const char *problem = "length of the record";

	*out = (struct ext4_dirent){ 0 };
	if (len - off >= EXT4_DIRENT_HEADER) {
		out->ino = get_unaligned_le32(p);
		out->rec_len = rec_len_decode(fs, get_unaligned_le16(p + 4));
		out->name_len = p[6];
		out->type = p[7];
		out->name = (const char *)p + EXT4_DIRENT_HEADER;
		/* Before filetype the name's length has 16 bits. */
		if (!ext4_has_incompat(fs, EXT2_FEATURE_INCOMPAT_FILETYPE)) {
			out->name_len |= out->type << 8;
			out->type = EXT2_FT_UNKNOWN;
		}
		problem = dirent_problem(fs, out, len - off);
	}
	if (!problem)
		return 0;
	return ext4_corrupt(fs, dir->ino, block,
			    "directory entry at byte %" PRIu32 ": %s: found inode %" PRIu32
			    ", record %" PRIu32 ", name %" PRIu32 " of %" PRIu32 " bytes",
			    off, problem, out->ino, out->rec_len, out->name_len, len - off);
}

int ext4_dirents_search(struct ext4_fs *fs, const struct ext4_inode *dir, const uint8_t *bytes,
			uint32_t len, uint64_t block, const struct ext4_name *name, uint32_t *ino)
{
	struct ext4_dirent de;
	int err;

	for (uint32_t off = 0; off < len; off += de.rec_len) {
		err = ext4_dirent_at(fs, dir, bytes, len, off, block, &de);
		if (err)
			return err;
		if (de.ino && de.name_len == name->len && !memcmp(de.name, name->name, name->len)) {
			*ino = de.ino;
			return 1;
		}
	}
	return 0;
}

/* ---- checksums ----------------------------------------------------------------------------------- */

/* Where the count of index entries is; 0: this is a block of names. */
static uint32_t index_count_off(const struct ext4_fs *fs, const struct ext4_inode *dir,
				uint32_t lblk, const uint8_t *bytes)
{
	uint32_t first_len = rec_len_decode(fs, get_unaligned_le16(bytes + 4));

	if (!ext4_dir_has_index(fs, dir))
		return 0;
	if (lblk == 0)
		return ROOT_COUNT_OFF;
	if (get_unaligned_le32(bytes) == 0 && bytes[6] == 0 && first_len == fs->sb.block_size)
		return NODE_COUNT_OFF;
	return 0;
}

static int index_csum_check(struct ext4_fs *fs, const struct ext4_inode *dir,
			    const struct cache_buf *b, uint32_t count_off)
{
	uint32_t limit = get_unaligned_le16(b->data + count_off);
	uint32_t count = get_unaligned_le16(b->data + count_off + 2);
	uint32_t tail_off = count_off + limit * DX_ENTRY_BYTES;
	uint32_t zero = 0, sum, found;

	if (tail_off + DX_TAIL_BYTES > fs->sb.block_size || count > limit)
		return ext4_corrupt(fs, dir->ino, b->block,
				    "directory index: %" PRIu32 " of %" PRIu32
				    " entries leave no room for the checksum",
				    count, limit);
	sum = crc32c(dir->csum_seed, b->data, count_off + count * DX_ENTRY_BYTES);
	sum = crc32c(sum, b->data + tail_off, sizeof(uint32_t));
	sum = crc32c(sum, &zero, sizeof(zero));
	found = get_unaligned_le32(b->data + tail_off + 4);
	if (sum != found)
		return ext4_corrupt(fs, dir->ino, b->block,
				    "directory index: checksum: expected 0x%08x, found 0x%08x", sum,
				    found);
	return 0;
}

static int leaf_csum_check(struct ext4_fs *fs, const struct ext4_inode *dir,
			   const struct cache_buf *b)
{
	uint32_t off = ext4_dir_block_len(fs);
	const uint8_t *tail = b->data + off;
	uint32_t sum, found = get_unaligned_le32(tail + 8);

	if (get_unaligned_le32(tail) != 0 || get_unaligned_le16(tail + 4) != EXT4_DIR_TAIL_BYTES ||
	    tail[6] != 0 || tail[7] != EXT4_DIR_TAIL_TYPE)
		return ext4_corrupt(fs, dir->ino, b->block,
				    "directory block: its checksum is missing");
	sum = crc32c(dir->csum_seed, b->data, off);
	if (sum != found)
		return ext4_corrupt(fs, dir->ino, b->block,
				    "directory block: checksum: expected 0x%08x, found 0x%08x", sum,
				    found);
	return 0;
}

static int csum_check(struct ext4_fs *fs, const struct ext4_inode *dir, struct cache_buf *b,
		      uint32_t count_off)
{
	uint64_t tag = ext4_block_tag(EXT4_BLOCK_DIR, dir->ino);
	int err;

	if (!fs->sb.has_csum || cache_buf_is_verified(b, tag))
		return 0;
	err = count_off ? index_csum_check(fs, dir, b, count_off) : leaf_csum_check(fs, dir, b);
	if (!err)
		cache_buf_set_verified(b, tag);
	return err;
}

/* ---- blocks -------------------------------------------------------------------------------------- */

void ext4_dir_readahead(struct ext4_fs *fs, struct ext4_inode *dir, uint32_t lblk, uint32_t nr)
{
	uint32_t blocks = ext4_dir_blocks(fs, dir);
	uint32_t end = lblk + min(nr, blocks - min(lblk, blocks));
	struct ext4_map m;

	while (lblk < end && !ext4_map_blocks(fs, dir, lblk, end - lblk, &m)) {
		if (m.kind == EXT4_MAP_DATA)
			cache_readahead(fs->cache, m.pblk, m.len);
		lblk += m.len;
	}
}

int ext4_dir_block_get(struct ext4_fs *fs, struct ext4_inode *dir, uint32_t lblk, bool *is_index,
		       struct cache_buf **b)
{
	struct ext4_map m;
	uint32_t count_off;
	int err = ext4_map_blocks(fs, dir, lblk, 1, &m);

	if (err)
		return err;
	if (m.kind != EXT4_MAP_DATA)
		return ext4_corrupt(fs, dir->ino, 0, "directory: block %" PRIu32 " is a hole",
				    lblk);
	err = ext4_block_get(fs, dir->ino, m.pblk, "directory block", b);
	if (err)
		return err;
	count_off = index_count_off(fs, dir, lblk, (*b)->data);
	err = csum_check(fs, dir, *b, count_off);
	if (err)
		cache_put(fs->cache, *b);
	*is_index = count_off != 0;
	return err;
}
