/* SPDX-License-Identifier: MIT */
/*
 * extent.c - the extent tree on disk.
 *
 * Invariants: 1. A walk goes down one level a step, the depth in each header must say so, and a
 *                root deeper than EXT4_DEPTH_MAX is refused: no walk is longer.
 *             2. A node's entries are searched after node_check() found them sorted, disjoint and
 *                inside the file system; while the block stays in memory it is not checked again.
 * Source: Documentation/filesystems/ext4/ifork.rst, "Extent Tree".
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"

#include "blkfs/blkdev.h"

#include "fs/ext4/inode.h"

enum { ENTRY_BYTES = 12, HEADER_BYTES = 12, AHEAD_MAX = 32 /* nodes of a tree */ };

BUILD_BUG_ON(sizeof(struct ext3_extent) != ENTRY_BYTES);
BUILD_BUG_ON(sizeof(struct ext3_extent_idx) != ENTRY_BYTES);
BUILD_BUG_ON(sizeof(struct ext3_extent_header) != HEADER_BYTES);

/* A node in memory, its header decoded. */
struct node {
	const uint8_t *bytes;
	uint64_t block; /* 0: the root, in the inode */
	uint32_t entries_nr, max_nr, depth;
};

static struct ext4_extent leaf_entry(const struct node *n, uint32_t i)
{
	struct ext3_extent d;
	uint32_t len;

	memcpy(&d, n->bytes + HEADER_BYTES + (size_t)i * ENTRY_BYTES, sizeof(d));
	len = le16_to_cpu(d.ee_len);
	return (struct ext4_extent){
		.lblk = le32_to_cpu(d.ee_block),
		.len = len > EXT_INIT_MAX_LEN ? len - EXT_INIT_MAX_LEN : len,
		.is_unwritten = len > EXT_INIT_MAX_LEN,
		.pblk = join_lo_hi(le32_to_cpu(d.ee_start), le16_to_cpu(d.ee_start_hi)),
	};
}

/* An index entry as an extent without length: where it starts, and the block below. */
static struct ext4_extent index_entry(const struct node *n, uint32_t i)
{
	struct ext3_extent_idx d;

	memcpy(&d, n->bytes + HEADER_BYTES + (size_t)i * ENTRY_BYTES, sizeof(d));
	return (struct ext4_extent){
		.lblk = le32_to_cpu(d.ei_block),
		.pblk = join_lo_hi(le32_to_cpu(d.ei_leaf), le16_to_cpu(d.ei_leaf_hi)),
	};
}

static struct ext4_extent entry(const struct node *n, uint32_t i)
{
	return n->depth ? index_entry(n, i) : leaf_entry(n, i);
}

/* ---- checking ------------------------------------------------------------------------------------ */

static int header_decode(struct ext4_fs *fs, const struct ext4_inode *inode, size_t room,
			 struct node *n)
{
	struct ext3_extent_header h;
	uint32_t magic;

	memcpy(&h, n->bytes, sizeof(h));
	magic = le16_to_cpu(h.eh_magic);
	n->entries_nr = le16_to_cpu(h.eh_entries);
	n->max_nr = le16_to_cpu(h.eh_max);
	n->depth = le16_to_cpu(h.eh_depth);
	if (magic != EXT3_EXT_MAGIC)
		return ext4_corrupt(fs, inode->ino, n->block,
				    "extent node: magic: expected 0x%x, found 0x%" PRIx32,
				    EXT3_EXT_MAGIC, magic);
	if (n->max_nr == 0 || n->max_nr > (room - HEADER_BYTES) / ENTRY_BYTES)
		return ext4_corrupt(fs, inode->ino, n->block,
				    "extent node: capacity: expected 1 to %zu, found %" PRIu32,
				    (room - HEADER_BYTES) / ENTRY_BYTES, n->max_nr);
	if (n->entries_nr > n->max_nr || (n->entries_nr == 0 && n->depth > 0))
		return ext4_corrupt(fs, inode->ino, n->block,
				    "extent node: entries: expected up to %" PRIu32
				    ", found %" PRIu32,
				    n->max_nr, n->entries_nr);
	return 0;
}

static int entries_check(struct ext4_fs *fs, const struct ext4_inode *inode, const struct node *n)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < n->entries_nr; i++) {
		struct ext4_extent e = entry(n, i);
		uint32_t len = n->depth ? 1 : e.len;

		if (e.lblk < next)
			return ext4_corrupt(fs, inode->ino, n->block,
					    "extent %" PRIu32 ": file block: expected from %" PRIu64
					    ", found %" PRIu32,
					    i, next, e.lblk);
		if (len == 0 || (uint64_t)e.lblk + len > UINT32_MAX)
			return ext4_corrupt(fs, inode->ino, n->block,
					    "extent %" PRIu32 ": length: found %" PRIu32
					    " at file block %" PRIu32,
					    i, len, e.lblk);
		if (!ext4_blocks_are_valid(&fs->sb, e.pblk, len))
			return ext4_corrupt(fs, inode->ino, n->block,
					    "extent %" PRIu32 ": blocks: expected below %" PRIu64
					    ", found %" PRIu64 " and %" PRIu32 " more",
					    i, fs->sb.blocks_nr, e.pblk, len - 1);
		next = (uint64_t)e.lblk + len;
	}
	return 0;
}

static int csum_check(struct ext4_fs *fs, const struct ext4_inode *inode, const struct node *n)
{
	size_t off = HEADER_BYTES + (size_t)n->max_nr * ENTRY_BYTES;
	uint32_t sum, found;

	if (!fs->sb.has_csum)
		return 0;
	if (off + sizeof(found) > fs->sb.block_size)
		return ext4_corrupt(fs, inode->ino, n->block,
				    "extent node: no room for its checksum");
	sum = crc32c(inode->csum_seed, n->bytes, off);
	found = get_unaligned_le32(n->bytes + off);
	if (sum != found)
		return ext4_corrupt(fs, inode->ino, n->block,
				    "extent node: checksum: expected 0x%08x, found 0x%08x", sum,
				    found);
	return 0;
}

static int node_check(struct ext4_fs *fs, const struct ext4_inode *inode, struct cache_buf *b,
		      uint32_t depth, struct node *n)
{
	uint64_t tag = ext4_block_tag(EXT4_BLOCK_EXTENT, inode->ino);
	int err;

	*n = (struct node){ .bytes = b->data, .block = b->block };
	err = header_decode(fs, inode, fs->sb.block_size, n);
	if (err)
		return err;
	if (n->depth != depth)
		return ext4_corrupt(fs, inode->ino, n->block,
				    "extent node: depth: expected %" PRIu32 ", found %" PRIu32,
				    depth, n->depth);
	if (cache_buf_is_verified(b, tag))
		return 0;
	err = csum_check(fs, inode, n);
	if (!err)
		err = entries_check(fs, inode, n);
	if (!err)
		cache_buf_set_verified(b, tag);
	return err;
}

static int root_decode(struct ext4_fs *fs, const struct ext4_inode *inode, struct node *n)
{
	int err;

	*n = (struct node){ .bytes = inode->i_block };
	err = header_decode(fs, inode, EXT4_I_BLOCK_BYTES, n);
	if (!err && n->depth > EXT4_DEPTH_MAX)
		return ext4_corrupt(fs, inode->ino, 0,
				    "extent tree: depth: expected up to %d, found %" PRIu32,
				    EXT4_DEPTH_MAX, n->depth);
	return err;
}

int ext4_extent_root_load(struct ext4_fs *fs, struct ext4_inode *inode)
{
	struct node root;
	int err = root_decode(fs, inode, &root);

	if (!err)
		err = entries_check(fs, inode, &root);
	if (err || root.depth)
		return err;
	for (uint32_t i = 0; i < root.entries_nr; i++)
		inode->root_extents[i] = leaf_entry(&root, i);
	inode->extents_nr = root.entries_nr;
	inode->extents = inode->root_extents;
	return 0;
}

/* ---- reading ahead ------------------------------------------------------------------------------ */

/* Starts reading up to @room children of an index node; how many. */
static uint32_t children_readahead(struct ext4_fs *fs, const struct node *n, uint32_t room)
{
	uint32_t nr = min(n->entries_nr, room);
	struct blk_plug plug;

	blk_start_plug(&plug);
	for (uint32_t i = 0; i < nr; i++)
		if (ext4_blocks_are_valid(&fs->sb, index_entry(n, i).pblk, 1))
			cache_readahead(fs->cache, index_entry(n, i).pblk, 1);
	blk_finish_plug(&plug);
	return nr;
}

/* A bad node is found again, and said, by who walks through it. */
void ext4_extent_readahead(struct ext4_fs *fs, struct ext4_inode *inode)
{
	uint32_t room = AHEAD_MAX;
	struct node root, n;

	if (root_decode(fs, inode, &root) || root.depth == 0)
		return;
	room -= children_readahead(fs, &root, room);
	if (root.depth == 1)
		return;
	for (uint32_t i = 0; i < root.entries_nr && room; i++) {
		struct cache_buf *b;

		if (ext4_block_get(fs, inode->ino, index_entry(&root, i).pblk, "extent node", &b))
			return;
		if (!node_check(fs, inode, b, root.depth - 1, &n))
			room -= children_readahead(fs, &n, room);
		cache_put(fs->cache, b);
	}
}

/* ---- searching ----------------------------------------------------------------------------------- */

/* How many entries start at or before @lblk. */
static uint32_t entries_up_to(const struct node *n, uint32_t lblk)
{
	uint32_t lo = 0, hi = n->entries_nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (entry(n, mid).lblk <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void leaf_find(const struct node *n, uint32_t lblk, uint32_t end, struct ext4_map *out)
{
	uint32_t i = entries_up_to(n, lblk);

	if (i < n->entries_nr)
		end = min(end, leaf_entry(n, i).lblk);
	*out = (struct ext4_map){ .lblk = lblk, .len = end - lblk, .kind = EXT4_MAP_HOLE };
	if (i > 0) {
		struct ext4_extent e = leaf_entry(n, i - 1);

		if (lblk - e.lblk >= e.len)
			return;
		out->kind = e.is_unwritten ? EXT4_MAP_UNWRITTEN : EXT4_MAP_DATA;
		out->pblk = e.pblk + (lblk - e.lblk);
		out->len = e.len - (lblk - e.lblk);
	}
}

int ext4_extent_find(struct ext4_fs *fs, struct ext4_inode *inode, uint32_t lblk,
		     struct ext4_map *out)
{
	uint32_t end = UINT32_MAX; /* where the subtree's part of the file ends */
	struct cache_buf *b = NULL;
	struct node n;
	int err = root_decode(fs, inode, &n);

	while (!err && n.depth > 0) {
		struct cache_buf *child;
		uint32_t i = entries_up_to(&n, lblk), depth = n.depth - 1;

		if (i < n.entries_nr)
			end = min(end, index_entry(&n, i).lblk);
		if (i == 0) { /* before the first: a hole */
			n.entries_nr = 0;
			break;
		}
		err = ext4_block_get(fs, inode->ino, index_entry(&n, i - 1).pblk, "extent node",
				     &child);
		if (b)
			cache_put(fs->cache, b);
		b = err ? NULL : child;
		if (!err)
			err = node_check(fs, inode, child, depth, &n);
	}
	if (!err)
		leaf_find(&n, lblk, end, out);
	if (b)
		cache_put(fs->cache, b);
	return err;
}
