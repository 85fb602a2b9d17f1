/* SPDX-License-Identifier: MIT */
/*
 * lib.c - whole operations on a block device: submit and wait, ranges of any length.
 *
 * A range goes in pieces under one plug, and as many are in flight as the pool has bios: the first
 * error is kept, the rest is still waited for.
 */
#include <errno.h>
#include <string.h>

#include "blk.h"

enum { ZERO_BUF_BYTES = 64 << 10, WHOLE_OP_BIOS = 8 };

/* ---- one bio --------------------------------------------------------------------------------------- */

static void wait_endio(struct bio *bio)
{
	complete(bio->bi_private);
}

int submit_bio_wait(struct bio *bio)
{
	struct completion done;

	completion_init(&done);
	bio->bi_private = &done;
	bio->bi_end_io = wait_endio;
	bio->bi_opf |= REQ_SYNC;
	submit_bio(bio);
	completion_wait(&done);
	return blk_status_to_errno(bio->bi_status);
}

/* ---- ranges ----------------------------------------------------------------------------------------- */

/* Bios of one operation in flight; they live on the caller's stack. */
struct whole_op {
	struct completion done; /* once for each bio */
	blk_status_t status;	/* the first error */
	unsigned int in_flight;
	struct bio bios[WHOLE_OP_BIOS];
	struct bio_vec vecs[WHOLE_OP_BIOS];
	unsigned int next;
};

static void whole_op_endio(struct bio *bio)
{
	struct whole_op *op = bio->bi_private;

	if (bio->bi_status && !op->status)
		op->status = bio->bi_status;
	complete(&op->done);
}

static void whole_op_wait_one(struct whole_op *op)
{
	completion_wait(&op->done);
	op->in_flight--;
}

/* The next bio slot; all of a round are waited for before the next begins. */
static struct bio *whole_op_bio(struct whole_op *op, struct block_device *bdev, blk_opf_t opf,
				sector_t sector)
{
	struct bio *bio;

	if (op->next == WHOLE_OP_BIOS) {
		while (op->in_flight)
			whole_op_wait_one(op);
		op->next = 0;
	}
	bio = &op->bios[op->next];
	bio_init(bio, bdev, &op->vecs[op->next++], 1, opf);
	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = whole_op_endio;
	bio->bi_private = op;
	op->in_flight++;
	return bio;
}

static int whole_op_finish(struct whole_op *op)
{
	while (op->in_flight)
		whole_op_wait_one(op);
	return blk_status_to_errno(op->status);
}

static void whole_op_start(struct whole_op *op)
{
	completion_init(&op->done);
	op->status = BLK_STS_OK;
	op->in_flight = 0;
	op->next = 0;
}

int bdev_rw(struct block_device *bdev, blk_opf_t opf, sector_t sector, void *buf, size_t len_bytes)
{
	static const size_t piece_max = 1 << 30;
	struct whole_op op;
	struct blk_plug plug;
	char *pos = buf;

	if (!len_bytes || (len_bytes & (SECTOR_SIZE - 1)))
		return -EINVAL;
	whole_op_start(&op);
	blk_start_plug(&plug);
	while (len_bytes && !op.status) {
		unsigned int len = (unsigned int)min(len_bytes, piece_max);
		struct bio *bio = whole_op_bio(&op, bdev, opf | REQ_SYNC, sector);

		bio_add_vec(bio, pos, len);
		submit_bio(bio);
		pos += len;
		len_bytes -= len;
		sector += bytes_to_sectors(len);
	}
	blk_finish_plug(&plug);
	return whole_op_finish(&op);
}

int blkdev_issue_flush(struct block_device *bdev)
{
	struct bio bio;

	bio_init(&bio, bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	return submit_bio_wait(&bio);
}

/* An operation on ranges without data, in pieces that fit bi_size and end on @align sectors. */
static int range_op(struct block_device *bdev, blk_opf_t opf, sector_t sector, sector_t nr_sects,
		    sector_t align)
{
	const sector_t piece_max = UINT32_MAX >> SECTOR_SHIFT;
	struct whole_op op;
	struct blk_plug plug;

	whole_op_start(&op);
	blk_start_plug(&plug);
	while (nr_sects && !op.status) {
		sector_t nr = min(nr_sects, piece_max);
		struct bio *bio;

		if (nr < nr_sects) {
			sector_t beyond = (sector + nr) % align;

			nr -= beyond < nr ? beyond : 0;
		}
		bio = whole_op_bio(&op, bdev, opf, sector);
		bio->bi_iter.bi_size = (uint32_t)sectors_to_bytes(nr);
		submit_bio(bio);
		sector += nr;
		nr_sects -= nr;
	}
	blk_finish_plug(&plug);
	return whole_op_finish(&op);
}

static bool is_on_blocks(const struct block_device *bdev, sector_t sector, sector_t nr_sects)
{
	return is_aligned(sector | nr_sects,
			  bytes_to_sectors(bdev_limits(bdev)->logical_block_size));
}

int blkdev_issue_discard(struct block_device *bdev, sector_t sector, sector_t nr_sects)
{
	const struct queue_limits *lim = bdev_limits(bdev);

	if (!lim->max_discard_sectors)
		return -EOPNOTSUPP;
	if (!is_on_blocks(bdev, sector, nr_sects))
		return -EINVAL;
	return range_op(bdev, REQ_OP_DISCARD, sector, nr_sects,
			max_t(sector_t, bytes_to_sectors(lim->discard_granularity), 1));
}

static int write_zeros(struct block_device *bdev, sector_t sector, sector_t nr_sects)
{
	/* Page aligned for any device's dma_alignment; never written. */
	static char zeros[ZERO_BUF_BYTES] __aligned(4096);
	struct whole_op op;
	struct blk_plug plug;

	whole_op_start(&op);
	blk_start_plug(&plug);
	while (nr_sects && !op.status) {
		sector_t nr = min_t(sector_t, nr_sects, bytes_to_sectors(ZERO_BUF_BYTES));
		struct bio *bio = whole_op_bio(&op, bdev, REQ_OP_WRITE, sector);

		bio_add_vec(bio, zeros, (unsigned int)sectors_to_bytes(nr));
		submit_bio(bio);
		sector += nr;
		nr_sects -= nr;
	}
	blk_finish_plug(&plug);
	return whole_op_finish(&op);
}

int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t nr_sects,
			 unsigned int flags)
{
	blk_opf_t opf = REQ_OP_WRITE_ZEROES;
	int err = -EOPNOTSUPP;

	if (!is_on_blocks(bdev, sector, nr_sects))
		return -EINVAL;
	if (flags & BLKDEV_ZERO_NOUNMAP)
		opf |= REQ_NOUNMAP;
	if (bdev_limits(bdev)->max_write_zeroes_sectors)
		err = range_op(bdev, opf, sector, nr_sects,
			       bytes_to_sectors(bdev_limits(bdev)->logical_block_size));
	if (err != -EOPNOTSUPP || (flags & BLKDEV_ZERO_NOFALLBACK))
		return err;
	return write_zeros(bdev, sector, nr_sects);
}

/* Joins @v to the last of @iov where the memory goes on; the number of vectors after it. */
static unsigned int iov_append(struct iovec *iov, unsigned int nr, struct bio_vec v)
{
	if (nr && (char *)iov[nr - 1].iov_base + iov[nr - 1].iov_len == v.bv_addr) {
		iov[nr - 1].iov_len += v.bv_len;
		return nr;
	}
	iov[nr] = (struct iovec){ v.bv_addr, v.bv_len };
	return nr + 1;
}

unsigned int blk_rq_map_iov(const struct request *rq, struct iovec *iov, unsigned int iov_max)
{
	struct bvec_iter it;
	struct bio_vec v;
	struct bio *bio;
	unsigned int nr = 0;

	if (!op_has_data(rq->cmd_flags))
		return 0;
	rq_for_each_bio(bio, rq) {
		bio_for_each_vec(v, bio, it) {
			blkfs_assert(nr < iov_max ||
				     (char *)iov[nr - 1].iov_base + iov[nr - 1].iov_len ==
					     v.bv_addr);
			nr = iov_append(iov, nr, v);
		}
	}
	return nr;
}
