/* SPDX-License-Identifier: MIT */
/*
 * htree.c - the index of a large directory: names by hash.
 *
 * Invariants: 1. The walk down has at most LEVELS_MAX nodes, as the root says and is checked.
 *             2. The walk along leaves of one hash moves forward only, and ends after as many
 *                leaves as the directory has blocks.
 * Source: Documentation/filesystems/ext4/directory.rst, "Hash Tree Directories". The hash is
 * libext2fs's.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "fs/ext4/dir.h"

enum {
	LEVELS_MAX = 3, /* the root and two below it, with large_dir */
	ROOT_INFO_OFF = 24,
	ROOT_ENTRIES_OFF = 32,
	NODE_ENTRIES_OFF = 8,
	DX_BYTES = 8,
};

/* A node on the way down, and which of its entries was taken. */
struct frame {
	struct cache_buf *b;
	uint32_t off; /* of entry 0 */
	uint32_t count;
	uint32_t at;
};

struct htree {
	struct ext4_fs *fs;
	struct ext4_inode *dir;
	uint32_t hash;
	uint32_t levels; /* of nodes: 1 to LEVELS_MAX */
	struct frame frames[LEVELS_MAX];
};

static uint32_t entry_hash(const struct frame *f, uint32_t i)
{
	return get_unaligned_le32(f->b->data + f->off + (size_t)i * DX_BYTES);
}

static uint32_t entry_block(const struct frame *f, uint32_t i)
{
	return get_unaligned_le32(f->b->data + f->off + (size_t)i * DX_BYTES + 4) &
	       EXT4_DX_BLOCK_MASK;
}

static int __must_check hash_of(struct ext4_fs *fs, uint32_t version, const struct ext4_name *name,
				uint32_t *out)
{
	ext2_dirhash_t hash, minor;

	if (version > EXT2_HASH_TEA)
		return -EOPNOTSUPP;
	if (fs->sb.is_hash_unsigned)
		version += EXT2_HASH_LEGACY_UNSIGNED;
	if (ext2fs_dirhash2((int)version, name->name, (int)name->len, NULL, 0, fs->sb.hash_seed,
			    &hash, &minor))
		return -EOPNOTSUPP;
	*out = hash & ~1U;
	return 0;
}

/* Reads the node at @lblk into @f. */
static int frame_get(struct htree *t, uint32_t lblk, uint32_t off, struct frame *f)
{
	uint32_t limit, room = (t->fs->sb.block_size - off) / DX_BYTES;
	bool is_index;
	int err;

	if (lblk >= ext4_dir_blocks(t->fs, t->dir))
		return ext4_corrupt(t->fs, t->dir->ino, 0,
				    "directory index: block: expected below %" PRIu32
				    ", found %" PRIu32,
				    ext4_dir_blocks(t->fs, t->dir), lblk);
	err = ext4_dir_block_get(t->fs, t->dir, lblk, &is_index, &f->b);
	if (err)
		return err;
	f->off = off;
	limit = get_unaligned_le16(f->b->data + off);
	f->count = get_unaligned_le16(f->b->data + off + 2);
	if (is_index && limit <= room && f->count >= 1 && f->count <= limit)
		return 0;
	err = ext4_corrupt(t->fs, t->dir->ino, f->b->block,
			   "directory index: entries: expected 1 to %" PRIu32 ", found %" PRIu32
			   " of %" PRIu32,
			   room, f->count, limit);
	cache_put(t->fs->cache, f->b);
	f->b = NULL;
	return err;
}

static void frames_put(struct htree *t, uint32_t from)
{
	for (uint32_t i = from; i < LEVELS_MAX; i++) {
		if (t->frames[i].b)
			cache_put(t->fs->cache, t->frames[i].b);
		t->frames[i].b = NULL;
	}
}

/* The last entry whose hash is not above ours; entry 0 has no hash and starts at 0. */
static uint32_t entry_for(const struct frame *f, uint32_t hash)
{
	uint32_t lo = 1, hi = f->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (entry_hash(f, mid) <= hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

static int root_get(struct htree *t, const struct ext4_name *name)
{
	uint32_t deepest = ext4_has_incompat(t->fs, EXT4_FEATURE_INCOMPAT_LARGEDIR) ? 3 : 2;
	const uint8_t *info;
	int err = frame_get(t, 0, ROOT_ENTRIES_OFF, &t->frames[0]);

	if (err)
		return err;
	info = t->frames[0].b->data + ROOT_INFO_OFF;
	if (get_unaligned_le32(info) || info[5] != DX_BYTES || info[6] >= deepest ||
	    info[7] & EXT2_HASH_FLAG_INCOMPAT)
		return ext4_corrupt(t->fs, t->dir->ino, t->frames[0].b->block,
				    "directory index: root: found length %u, levels %u, flags 0x%x",
				    info[5], info[6], info[7]);
	t->levels = info[6] + 1U;
	return hash_of(t->fs, info[4], name, &t->hash);
}

/* Fills the frames below @from, taking the first entries of new nodes or those for the hash. */
static int descend(struct htree *t, uint32_t from, bool is_first)
{
	int err = 0;

	for (uint32_t i = from; i < t->levels && !err; i++) {
		uint32_t lblk = entry_block(&t->frames[i - 1], t->frames[i - 1].at);

		err = frame_get(t, lblk, NODE_ENTRIES_OFF, &t->frames[i]);
		if (!err)
			t->frames[i].at = is_first ? 0 : entry_for(&t->frames[i], t->hash);
	}
	return err;
}

/* To the next leaf, if names of this hash go on there. 1: yes; 0: no; or an error. */
static int next_leaf(struct htree *t)
{
	uint32_t i = t->levels, next;
	int err;

	while (i > 0 && t->frames[i - 1].at + 1 >= t->frames[i - 1].count)
		i--;
	if (i == 0)
		return 0;
	next = entry_hash(&t->frames[i - 1], t->frames[i - 1].at + 1);
	if (!(next & 1) || (next & ~1U) != t->hash)
		return 0;
	t->frames[i - 1].at++;
	frames_put(t, i);
	err = descend(t, i, true);
	return err ? err : 1;
}

static int leaf_search(struct htree *t, const struct ext4_name *name, uint32_t *ino)
{
	const struct frame *f = &t->frames[t->levels - 1];
	uint32_t lblk = entry_block(f, f->at);
	struct cache_buf *b;
	bool is_index;
	int ret;

	if (lblk >= ext4_dir_blocks(t->fs, t->dir))
		return ext4_corrupt(t->fs, t->dir->ino, f->b->block,
				    "directory index: leaf: expected below %" PRIu32
				    ", found %" PRIu32,
				    ext4_dir_blocks(t->fs, t->dir), lblk);
	ret = ext4_dir_block_get(t->fs, t->dir, lblk, &is_index, &b);
	if (ret)
		return ret;
	/* Without a checksum at its end an emptied leaf looks like a node. */
	if (is_index && (lblk == 0 || t->fs->sb.has_csum))
		ret = ext4_corrupt(t->fs, t->dir->ino, b->block,
				   "directory index: a leaf was expected, a node found");
	else
		ret = ext4_dirents_search(t->fs, t->dir, b->data, ext4_dir_block_len(t->fs),
					  b->block, name, ino);
	cache_put(t->fs->cache, b);
	return ret;
}

static int search(struct htree *t, const struct ext4_name *name, uint32_t *ino)
{
	uint32_t leaves_max = ext4_dir_blocks(t->fs, t->dir);
	int ret = root_get(t, name);

	if (ret)
		return ret;
	t->frames[0].at = entry_for(&t->frames[0], t->hash);
	ret = descend(t, 1, false);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < leaves_max; i++) {
		ret = leaf_search(t, name, ino);
		if (ret)
			return ret;
		ret = next_leaf(t);
		if (ret <= 0)
			return ret;
	}
	return ext4_corrupt(t->fs, t->dir->ino, 0, "directory index: it has no end");
}

int ext4_htree_search(struct ext4_fs *fs, struct ext4_inode *dir, const struct ext4_name *name,
		      uint32_t *ino)
{
	struct htree t = { .fs = fs, .dir = dir };
	int ret = search(&t, name, ino);

	frames_put(&t, 0);
	return ret;
}
