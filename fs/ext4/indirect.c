/* SPDX-License-Identifier: MIT */
/*
 * indirect.c - the block map of ext2 and ext3: 12 direct blocks, then trees of one to three levels.
 *
 * The blocks of the map have no checksum and no header: each pointer is checked when it is used.
 * Source: Documentation/filesystems/ext4/ifork.rst, "Direct/Indirect Block Addressing".
 */
#include <errno.h>
#include <inttypes.h>

#include "fs/ext4/inode.h"

/* Where a file block is: the slot in i_block, and the index at each level below it. */
struct path {
	uint32_t slot;
	uint32_t levels;
	uint32_t index[3];
};

static bool path_of(uint32_t lblk, unsigned int ptr_bits, struct path *p)
{
	uint64_t rest = lblk;

	*p = (struct path){ .slot = lblk };
	if (rest < EXT2_NDIR_BLOCKS)
		return true;
	rest -= EXT2_NDIR_BLOCKS;
	for (uint32_t levels = 1; levels <= 3; levels++) {
		uint64_t span = 1ULL << (ptr_bits * levels);

		if (rest >= span) {
			rest -= span;
			continue;
		}
		p->slot = EXT2_NDIR_BLOCKS + levels - 1;
		p->levels = levels;
		for (uint32_t i = levels; i-- > 0; rest >>= ptr_bits)
			p->index[i] = (uint32_t)(rest & ((1U << ptr_bits) - 1));
		return true;
	}
	return false;
}

/* The run of equal kind that starts at ptrs[i]: consecutive blocks, or a hole. */
static int run_at(struct ext4_fs *fs, struct ext4_inode *inode, const uint8_t *ptrs, uint32_t i,
		  uint32_t ptrs_nr, struct ext4_map *out)
{
	uint32_t first = get_unaligned_le32(ptrs + 4 * (size_t)i), len = 1;

	while (i + len < ptrs_nr && len < out->len &&
	       get_unaligned_le32(ptrs + 4 * (size_t)(i + len)) == (first ? first + len : 0))
		len++;
	out->len = len;
	out->pblk = first;
	out->kind = first ? EXT4_MAP_DATA : EXT4_MAP_HOLE;
	if (first && !ext4_blocks_are_valid(&fs->sb, first, len))
		return ext4_corrupt(fs, inode->ino, 0,
				    "block map: expected blocks below %" PRIu64 ", found %" PRIu32,
				    fs->sb.blocks_nr, first);
	return 0;
}

int ext4_indirect_find(struct ext4_fs *fs, struct ext4_inode *inode, uint32_t lblk,
		       uint32_t max_len, struct ext4_map *out)
{
	unsigned int ptr_bits = fs->sb.block_bits - 2;
	struct cache_buf *b = NULL;
	uint32_t block;
	struct path p;
	int err;

	*out = (struct ext4_map){ .lblk = lblk, .len = max_len, .kind = EXT4_MAP_HOLE };
	if (!path_of(lblk, ptr_bits, &p))
		return 0;
	if (!p.levels)
		return run_at(fs, inode, inode->i_block, p.slot, EXT2_NDIR_BLOCKS, out);
	block = get_unaligned_le32(inode->i_block + 4 * (size_t)p.slot);
	for (uint32_t level = 0; level < p.levels; level++) {
		uint64_t below = 1ULL << (ptr_bits * (p.levels - 1 - level)); /* blocks a pointer */

		if (!block) { /* everything below this pointer is a hole */
			uint64_t span = below << ptr_bits;
			uint64_t at = 0;

			for (uint32_t l = level; l < p.levels; l++)
				at = at << ptr_bits | p.index[l];
			out->len = (uint32_t)min_t(uint64_t, max_len, span - at);
			return 0;
		}
		err = ext4_block_get(fs, inode->ino, block, "indirect block", &b);
		if (err)
			return err;
		if (level == p.levels - 1)
			err = run_at(fs, inode, b->data, p.index[level], 1U << ptr_bits, out);
		else
			block = get_unaligned_le32(b->data + 4 * (size_t)p.index[level]);
		cache_put(fs->cache, b);
		if (err)
			return err;
	}
	return 0;
}
