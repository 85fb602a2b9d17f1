/* SPDX-License-Identifier: MIT */
/*
 * file.c - reading a file: its extents become bios whose memory is the caller's.
 *
 * Invariants: 1. A batch's bios are on the reading task's stack, and the task does not return
 *                before the last of them has ended.
 *             2. end_io runs on the task's own reactor: the batch needs no atomics.
 *             3. Bytes of holes and unwritten extents are zeros; no byte of the answer is stale.
 * Locks:      none where the inode has its extent list.
 */
#include "fs/ext4/file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "blkfs/blkdev.h"

enum { BATCH_MAX = 16 };

struct batch {
	struct ext4_fs *fs;
	uint32_t ino;
	struct task *task;
	unsigned int nr, pending;
	int err;
	struct bio bios[BATCH_MAX];
	struct bio_vec vecs[BATCH_MAX];
};

/* ---- batches of bios ------------------------------------------------------------------------------ */

static void batch_end_io(struct bio *bio)
{
	struct batch *b = bio->bi_private;

	if (unlikely(bio->bi_status) && !b->err)
		b->err = blk_status_to_errno(bio->bi_status);
	if (--b->pending == 0)
		rt_wake(b->task);
}

/* The sleep gives the plug to the reactor's turn, where it meets what other tasks gathered. */
static void batch_wait(struct batch *b)
{
	while (b->pending)
		rt_park("file data");
	b->nr = 0;
}

static void batch_read(struct batch *b, uint64_t byte, void *addr, uint32_t len)
{
	struct bio *bio;

	if (b->nr == BATCH_MAX)
		batch_wait(b);
	bio = &b->bios[b->nr];
	bio_init(bio, b->fs->fs.bdev, &b->vecs[b->nr], 1, REQ_OP_READ);
	bio->bi_iter.bi_sector = bytes_to_sectors(byte);
	bio->bi_end_io = batch_end_io;
	bio->bi_private = b;
	bio->bi_ino = b->ino;
	blkfs_assert(bio_add_vec(bio, addr, len) == len);
	b->nr++;
	b->pending++;
	submit_bio(bio);
}

/* ---- pieces of a file ------------------------------------------------------------------------------ */

/* Blocks of which the journal has a newer copy go through the cache, which knows where it is. */
static int overlay_read(struct batch *b, uint64_t pblk, uint32_t in_block, void *addr, uint32_t len)
{
	struct cache_buf *buf;
	int err = ext4_block_get(b->fs, b->ino, pblk, "file data", &buf);

	if (err)
		return err;
	memcpy(addr, buf->data + in_block, len);
	cache_put(b->fs->cache, buf);
	return 0;
}

/* @len bytes at @in_block of the run of blocks from @pblk on. */
static int data_read(struct batch *b, uint64_t pblk, uint32_t in_block, uint8_t *addr, uint32_t len)
{
	unsigned int bits = b->fs->sb.block_bits;

	while (len) {
		uint32_t blocks = (in_block + len - 1) / b->fs->sb.block_size + 1;
		uint32_t clear = cache_overlay_clear_run(b->fs->cache, pblk, blocks);
		uint32_t here = clear ? clear : 1;
		uint32_t n = (uint32_t)min_t(uint64_t, len, ((uint64_t)here << bits) - in_block);
		int err = 0;

		if (likely(clear))
			batch_read(b, (pblk << bits) + in_block, addr, n);
		else
			err = overlay_read(b, pblk, in_block, addr, n);
		if (err)
			return err;
		addr += n;
		len -= n;
		pblk += here;
		in_block = 0;
	}
	return 0;
}

/* [@off, @off+@len) of the file, both multiples of the device's sector, to @addr. */
static int range_read(struct batch *b, struct ext4_inode *inode, uint64_t off, uint8_t *addr,
		      size_t len)
{
	struct ext4_fs *fs = b->fs;

	while (len) {
		uint64_t lblk = off >> fs->sb.block_bits;
		uint32_t in_block = (uint32_t)(off & (fs->sb.block_size - 1));
		uint64_t blocks = ((in_block + len - 1) >> fs->sb.block_bits) + 1;
		struct ext4_map m;
		uint32_t n;
		int err;

		if (lblk >= UINT32_MAX) { /* no extent reaches there */
			memset(addr, 0, len);
			return 0;
		}
		blocks = min_t(uint64_t, blocks, UINT32_MAX - lblk);
		err = ext4_map_blocks(fs, inode, (uint32_t)lblk, (uint32_t)blocks, &m);
		if (err)
			return err;
		n = (uint32_t)min_t(uint64_t, len,
				    ((uint64_t)m.len << fs->sb.block_bits) - in_block);
		if (m.kind == EXT4_MAP_DATA)
			err = data_read(b, m.pblk, in_block, addr, n);
		else
			memset(addr, 0, n);
		if (err)
			return err;
		off += n;
		addr += n;
		len -= n;
	}
	return 0;
}

/* The same, and wait for it. */
static int range_read_wait(struct ext4_fs *fs, struct ext4_inode *inode, uint64_t off, void *addr,
			   size_t len)
{
	struct blk_plug plug;
	struct batch b;
	int err;

	b.fs = fs;
	b.ino = inode->ino;
	b.task = rt_current();
	b.nr = b.pending = 0;
	b.err = 0;
	blk_start_plug(&plug);
	err = range_read(&b, inode, off, addr, len);
	batch_wait(&b);
	blk_finish_plug(&plug);
	return err ? err : b.err;
}

/* Any range, through a bounce buffer. */
static int bounced_read(struct ext4_fs *fs, struct ext4_inode *inode, uint64_t off, uint8_t *addr,
			size_t len)
{
	uint32_t lbs = bdev_limits(fs->fs.bdev)->logical_block_size;
	uint8_t *buf = bounce_get(fs->bounce);
	int err = 0;

	while (len && !err) {
		uint64_t start = round_down(off, lbs);
		size_t skip = off - start;
		size_t n = min_t(size_t, len, BOUNCE_BYTES - skip);

		err = range_read_wait(fs, inode, start, buf, round_up(skip + n, lbs));
		if (!err)
			memcpy(addr, buf + skip, n);
		off += n;
		addr += n;
		len -= n;
	}
	bounce_put(fs->bounce, buf);
	return err;
}

/*
 * In place as far as the device's alignment allows. A tail that ends within a sector is read up to
 * the sector's end where the memory has room for it.
 */
static int read_blocks(struct ext4_fs *fs, struct ext4_inode *inode, uint64_t off, uint8_t *addr,
		       size_t len, size_t room)
{
	const struct queue_limits *lim = bdev_limits(fs->fs.bdev);
	uint32_t lbs = lim->logical_block_size;
	size_t in_place = round_up(len, lbs);
	int err = 0;

	if (!is_aligned(off, lbs) || ((uintptr_t)addr & lim->dma_alignment))
		return bounced_read(fs, inode, off, addr, len);
	if (in_place > room)
		in_place = round_down(len, lbs);
	if (in_place)
		err = range_read_wait(fs, inode, off, addr, in_place);
	if (!err && in_place < len)
		err = bounced_read(fs, inode, off + in_place, addr + in_place, len - in_place);
	return err;
}

ssize_t ext4_file_read(struct ext4_fs *fs, struct ext4_inode *inode, struct fs_io *io)
{
	size_t len;
	int err;

	if (io->off >= inode->size)
		return 0;
	len = min_t(uint64_t, io->len, inode->size - io->off);
	if (ext4_inode_has(inode, EXT4_INLINE_DATA_FL))
		err = ext4_inline_read(fs, inode, io->off, io->iov.iov_base, len);
	else
		err = read_blocks(fs, inode, io->off, io->iov.iov_base, len, io->iov.iov_len);
	return err ? err : (ssize_t)len;
}

/* ---- holes ---------------------------------------------------------------------------------------- */

off_t ext4_file_seek(struct ext4_fs *fs, struct ext4_inode *inode, uint64_t off, bool is_data)
{
	uint64_t end = inode->size, blocks = (end + fs->sb.block_size - 1) >> fs->sb.block_bits;
	struct ext4_map m;
	int err;

	if (off >= end)
		return -ENXIO;
	if (ext4_inode_has(inode, EXT4_INLINE_DATA_FL))
		return (off_t)(is_data ? off : end);
	blocks = min_t(uint64_t, blocks, UINT32_MAX);
	for (uint64_t lblk = off >> fs->sb.block_bits; lblk < blocks; lblk += m.len) {
		err = ext4_map_blocks(fs, inode, (uint32_t)lblk, (uint32_t)(blocks - lblk), &m);
		if (err)
			return err;
		if ((m.kind == EXT4_MAP_DATA) == is_data)
			return (off_t)min(end, max(off, lblk << fs->sb.block_bits));
	}
	return is_data ? -ENXIO : (off_t)end;
}
