/* SPDX-License-Identifier: MIT */
/*
 * raw_io.c - aligned transfers without a copy, unaligned ones through a bounce buffer.
 *
 * I1. The device sees only whole logical blocks at aligned memory.
 * I2. A write with an edge reads the edge's block and writes it back alone in its range, so that
 *     no neighbour's bytes are lost to it; whole-block writes share the range.
 * I3. A task holds at most one bounce buffer, and takes it after the range: waiting for a buffer
 *     always ends.
 */
#include "raw_io.h"

#include <errno.h>
#include <string.h>

static bool is_whole_blocks(const struct raw_io *rio, uint64_t off, uint64_t len)
{
	return is_aligned(off | len, rio->block_bytes);
}

struct bounce_want {
	struct raw_io *rio;
	char *got;
};

static bool bounce_take(void *arg)
{
	struct bounce_want *want = arg;
	struct raw_io *rio = want->rio;
	uint32_t free = __atomic_load_n(&rio->bounces_free, __ATOMIC_RELAXED);

	while (free) {
		uint32_t bit = free & -free;

		if (__atomic_compare_exchange_n(&rio->bounces_free, &free, free & ~bit, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			want->got = rio->bounces + (size_t)__builtin_ctz(bit) * RAW_BOUNCE_BYTES;
			return true;
		}
	}
	return false;
}

static char *bounce_get(struct raw_io *rio)
{
	struct bounce_want want = { .rio = rio };

	if (!bounce_take(&want))
		rt_wait_event(&rio->bounce_wait, bounce_take, &want, "raw bounce buffer");
	return want.got;
}

static void bounce_put(struct raw_io *rio, char *buf)
{
	uint32_t bit = 1u << ((size_t)(buf - rio->bounces) / RAW_BOUNCE_BYTES);

	__atomic_fetch_or(&rio->bounces_free, bit, __ATOMIC_SEQ_CST);
	if (rt_waitqueue_active(&rio->bounce_wait))
		rt_waitqueue_wake_one(&rio->bounce_wait);
}

static int transfer(struct raw_io *rio, blk_opf_t opf, uint64_t off, void *buf, size_t len)
{
	return bdev_rw(rio->bdev, opf, bytes_to_sectors(off), buf, len);
}

int raw_io_read(struct raw_io *rio, uint64_t off, void *buf, size_t len)
{
	char *bounce, *to = buf;
	int err = 0;

	if (is_whole_blocks(rio, off, len))
		return transfer(rio, REQ_OP_READ, off, buf, len);

	bounce = bounce_get(rio);
	while (len && !err) {
		uint64_t from = round_down(off, rio->block_bytes);
		size_t part = min_t(size_t, len, RAW_BOUNCE_BYTES - (off - from));

		err = transfer(rio, REQ_OP_READ, from, bounce,
			       round_up(off + part, rio->block_bytes) - from);
		if (err)
			break;
		memcpy(to, bounce + (off - from), part);
		off += part;
		to += part;
		len -= part;
	}
	bounce_put(rio, bounce);
	return err;
}

/* One bounce buffer's worth: the edge blocks are read, the new bytes laid over, all written. */
static int write_part(struct raw_io *rio, blk_opf_t opf, uint64_t off, const void *from, size_t len,
		      char *bounce)
{
	uint64_t start = round_down(off, rio->block_bytes),
		 end = round_up(off + len, rio->block_bytes);
	uint64_t last = end - rio->block_bytes;
	int err = 0;

	if (off != start)
		err = transfer(rio, REQ_OP_READ, start, bounce, rio->block_bytes);
	if (!err && off + len != end && (last != start || off == start))
		err = transfer(rio, REQ_OP_READ, last, bounce + (last - start), rio->block_bytes);
	if (err)
		return err;
	if (from)
		memcpy(bounce + (off - start), from, len);
	else
		memset(bounce + (off - start), 0, len);
	return transfer(rio, opf, start, bounce, end - start);
}

/* @from NULL writes zeros. The caller holds the range alone. */
static int write_bounced(struct raw_io *rio, blk_opf_t opf, uint64_t off, const char *from,
			 uint64_t len)
{
	char *bounce = bounce_get(rio);
	int err = 0;

	while (len && !err) {
		size_t room = RAW_BOUNCE_BYTES - (off - round_down(off, rio->block_bytes));
		size_t part = min_t(uint64_t, len, room);

		err = write_part(rio, opf, off, from, part, bounce);
		off += part;
		from = from ? from + part : NULL;
		len -= part;
	}
	bounce_put(rio, bounce);
	return err;
}

int raw_io_write(struct raw_io *rio, blk_opf_t opf, uint64_t off, const void *buf, size_t len)
{
	bool is_alone = !is_whole_blocks(rio, off, len);
	int err;

	opf |= REQ_OP_WRITE;
	range_lock_begin(&rio->ranges, off, len, is_alone);
	if (is_alone)
		err = write_bounced(rio, opf, off, buf, len);
	else
		err = transfer(rio, opf, off, (void *)buf, len);
	range_lock_end(&rio->ranges, off, len, is_alone);
	return err;
}

static int zero_range(struct raw_io *rio, uint64_t off, uint64_t len, bool is_kept)
{
	uint64_t first = round_up(off, rio->block_bytes),
		 end = round_down(off + len, rio->block_bytes);
	int err = 0;

	if (first >= end)
		return write_bounced(rio, REQ_OP_WRITE, off, NULL, len);
	if (off != first)
		err = write_bounced(rio, REQ_OP_WRITE, off, NULL, first - off);
	if (!err)
		err = blkdev_issue_zeroout(rio->bdev, bytes_to_sectors(first),
					   bytes_to_sectors(end - first),
					   is_kept ? BLKDEV_ZERO_NOUNMAP : 0);
	if (!err && off + len != end)
		err = write_bounced(rio, REQ_OP_WRITE, end, NULL, off + len - end);
	return err;
}

int raw_io_zero(struct raw_io *rio, uint64_t off, uint64_t len, bool is_kept)
{
	bool is_alone = !is_whole_blocks(rio, off, len);
	int err;

	range_lock_begin(&rio->ranges, off, len, is_alone);
	err = zero_range(rio, off, len, is_kept);
	range_lock_end(&rio->ranges, off, len, is_alone);
	return err;
}

int raw_io_init(struct raw_io *rio, struct block_device *bdev)
{
	rio->bdev = bdev;
	rio->block_bytes = bdev_limits(bdev)->logical_block_size;
	if (rio->block_bytes > RAW_BOUNCE_BYTES)
		return -EOPNOTSUPP;
	rio->bounces = rt_dma_alloc((size_t)RAW_BOUNCES * RAW_BOUNCE_BYTES);
	if (!rio->bounces)
		return -ENOMEM;
	rio->bounces_free = (1u << RAW_BOUNCES) - 1;
	rt_waitqueue_init(&rio->bounce_wait);
	range_lock_init(&rio->ranges);
	return 0;
}

void raw_io_fini(struct raw_io *rio)
{
	rt_dma_free(rio->bounces, (size_t)RAW_BOUNCES * RAW_BOUNCE_BYTES);
}
