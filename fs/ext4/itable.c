/* SPDX-License-Identifier: MIT */
/*
 * itable.c - where an inode lies in its group's table, and reading tables ahead.
 *
 * Neighbours are asked for next, since a directory's inodes were made together: a block that is
 * missing is read with the window around it. What a listing has named is read in one go, in the
 * order of the disk; when its inodes are scattered, their blocks alone, or most of what is read
 * would be thrown away unseen.
 */
#include "blkfs/blkdev.h"

#include "fs/ext4/inode.h"

enum {
	WINDOW_BYTES = 32 << 10,
	BATCH_NR = 256,
	SCATTERED_NR = 32, /* runs in a batch */
	GAP_MAX = 4,	   /* blocks read unasked rather than start another run */
};

struct run {
	uint64_t first, last;
};

static uint32_t window_blocks(const struct ext4_fs *fs)
{
	return max_t(uint32_t, WINDOW_BYTES >> fs->sb.block_bits, 1);
}

/* Both ends go to the borders of their windows: of blocks of the disk, so that windows meet. */
static void run_read(struct ext4_fs *fs, const struct run *r, uint32_t window)
{
	uint64_t first = round_down(r->first, (uint64_t)window);
	uint64_t end = round_up(r->last + 1, (uint64_t)window);

	first = max_t(uint64_t, first, fs->sb.first_data_block);
	cache_readahead(fs->cache, first, (uint32_t)(end - first));
}

int ext4_itable_locate(struct ext4_fs *fs, uint32_t ino, uint64_t *block, uint32_t *off)
{
	const struct ext4_super *sb = &fs->sb;
	uint32_t index = (ino - 1) % sb->inodes_per_group;
	uint32_t per_block = sb->block_size / sb->inode_size;
	struct ext4_group g;
	int err = ext4_group_get(fs, (ino - 1) / sb->inodes_per_group, &g);

	if (err)
		return err;
	*block = g.inode_table + index / per_block;
	*off = index % per_block * sb->inode_size;
	return 0;
}

void ext4_itable_read_around(struct ext4_fs *fs, uint64_t block)
{
	struct run r = { block, block };

	if (!cache_holds(fs->cache, block))
		run_read(fs, &r, window_blocks(fs));
}

/* ---- what a listing named ----------------------------------------------------------------------- */

/* In place, without memory; what comes is mostly in order already. */
static void sort_blocks(uint64_t *blocks, unsigned int nr)
{
	static const unsigned int gaps[] = { 132, 57, 23, 10, 4, 1 };

	for (size_t g = 0; g < ARRAY_SIZE(gaps); g++) {
		for (unsigned int i = gaps[g]; i < nr; i++) {
			uint64_t block = blocks[i];
			unsigned int j = i;

			for (; j >= gaps[g] && blocks[j - gaps[g]] > block; j -= gaps[g])
				blocks[j] = blocks[j - gaps[g]];
			blocks[j] = block;
		}
	}
}

/* Blocks of the inodes, not sorted, neighbours in the list once. A wrong number is the lookup's. */
static unsigned int blocks_of(struct ext4_fs *fs, const uint64_t *inos, unsigned int nr,
			      uint64_t *blocks)
{
	uint32_t per_block = fs->sb.block_size / fs->sb.inode_size, known = 0, off;
	unsigned int found = 0;

	for (unsigned int i = 0; i < nr; i++) {
		uint32_t ino = ext4_ino_from_fs(fs, inos[i]);

		/* A group's share of inodes fills whole blocks, but perhaps for its last one. */
		if (!ino || (ino - 1) / per_block + 1 == known)
			continue;
		if (ext4_itable_locate(fs, ino, &blocks[found], &off))
			continue;
		known = fs->sb.inodes_per_group % per_block ? 0 : (ino - 1) / per_block + 1;
		found++;
	}
	return found;
}

static unsigned int runs_of(const uint64_t *blocks, unsigned int nr, struct run *runs)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (n && blocks[i] - runs[n - 1].last <= GAP_MAX)
			runs[n - 1].last = blocks[i];
		else
			runs[n++] = (struct run){ blocks[i], blocks[i] };
	}
	return n;
}

static void batch_read(struct ext4_fs *fs, const uint64_t *inos, unsigned int nr)
{
	uint64_t blocks[BATCH_NR];
	struct run runs[BATCH_NR];
	struct blk_plug plug;
	unsigned int runs_nr;
	uint32_t window;

	nr = blocks_of(fs, inos, nr, blocks);
	sort_blocks(blocks, nr);
	runs_nr = runs_of(blocks, nr, runs);
	window = runs_nr > SCATTERED_NR ? 1 : window_blocks(fs);
	blk_start_plug(&plug);
	for (unsigned int i = 0; i < runs_nr; i++)
		run_read(fs, &runs[i], window);
	blk_finish_plug(&plug);
}

void ext4_itable_readahead(struct ext4_fs *fs, const uint64_t *inos, unsigned int nr)
{
	for (; nr > BATCH_NR; inos += BATCH_NR, nr -= BATCH_NR)
		batch_read(fs, inos, BATCH_NR);
	batch_read(fs, inos, nr);
}
