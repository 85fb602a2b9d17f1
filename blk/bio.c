/* SPDX-License-Identifier: MIT */
/*
 * bio.c - pools of bios, and what can be done with one: fill, clone, split, chain, end.
 *
 * 1. A pool has a part for each reactor. A bio goes back to the part that it came from: by a plain
 *    list on its own reactor, by a lock-free stack from any other.
 * 2. Only the owner of a part takes from it, so the stack is emptied as a whole and has no ABA.
 * 3. bio_endio() walks up a chain in a loop; nothing recurses.
 * Locks: none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blkfs/bio.h"
#include "blkfs/rt.h"

#include "mq.h"

struct bio_pool_part {
	struct bio *free;     /* [reactor] */
	struct bio *returned; /* [atomic] from other reactors */
	unsigned int reactor;
	unsigned int vecs_max;
	unsigned int waiters_nr; /* [reactor] */
	struct rt_waitqueue wq;	 /* tasks of this reactor */
	void *mem;
} __aligned(2 * BLKFS_CACHELINE);

struct bio_pool {
	const char *name;
	unsigned int vecs_max;
	unsigned int bios_nr; /* of each part */
	unsigned int parts_nr;
	struct bio_pool_part parts[];
};

void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *vecs,
	      unsigned int max_vecs, blk_opf_t opf)
{
	bio_setup(bio, bdev, vecs, max_vecs, opf);
	bio->bi_pool = NULL;
}

/* ---- pools ------------------------------------------------------------------------------------ */

static int pool_part_fill(struct bio_pool *pool, unsigned int reactor)
{
	struct bio_pool_part *part = &pool->parts[reactor];
	size_t stride = round_up(sizeof(struct bio) + pool->vecs_max * sizeof(struct bio_vec),
				 BLKFS_CACHELINE);
	char *mem = aligned_alloc(BLKFS_CACHELINE, stride * pool->bios_nr);

	if (!mem)
		return -ENOMEM;
	memset(mem, 0, stride * pool->bios_nr);
	rt_waitqueue_init(&part->wq);
	part->reactor = reactor;
	part->vecs_max = pool->vecs_max;
	part->mem = mem;
	for (unsigned int i = pool->bios_nr; i-- > 0;) {
		struct bio *bio = (struct bio *)(mem + i * stride);

		bio->bi_pool = part;
		bio->bi_next = part->free;
		part->free = bio;
	}
	return 0;
}

int bio_pool_create(const char *name, unsigned int bios_per_reactor, unsigned int vecs_max,
		    struct bio_pool **out)
{
	unsigned int parts_nr = rt_reactor_nr();
	size_t size = round_up(sizeof(struct bio_pool) + parts_nr * sizeof(struct bio_pool_part),
			       2 * BLKFS_CACHELINE);
	struct bio_pool *pool;

	if (!bios_per_reactor || vecs_max > BIO_MAX_VECS)
		return -EINVAL;
	pool = aligned_alloc(2 * BLKFS_CACHELINE, size);
	if (!pool)
		return -ENOMEM;
	memset(pool, 0, size);
	pool->name = name;
	pool->vecs_max = vecs_max;
	pool->bios_nr = bios_per_reactor;
	for (unsigned int r = 0; r < parts_nr; r++) {
		int err = pool_part_fill(pool, r);

		if (err) {
			bio_pool_destroy(pool);
			return err;
		}
		pool->parts_nr++;
	}
	*out = pool;
	return 0;
}

void bio_pool_destroy(struct bio_pool *pool)
{
	if (!pool)
		return;
	for (unsigned int r = 0; r < pool->parts_nr; r++) {
		struct bio_pool_part *part = &pool->parts[r];
		unsigned int free_nr = 0;

		for (struct bio *b = part->free; b; b = b->bi_next)
			free_nr++;
		for (struct bio *b = __atomic_load_n(&part->returned, __ATOMIC_ACQUIRE); b;
		     b = b->bi_next)
			free_nr++;
		if (free_nr != pool->bios_nr)
			log_err("bio pool %s: destroyed with %u of %u bios of reactor %u still out",
				pool->name, pool->bios_nr - free_nr, pool->bios_nr, r);
		blkfs_assert(free_nr == pool->bios_nr);
		free(part->mem);
	}
	free(pool);
}

static bool pool_part_refill(void *arg)
{
	struct bio_pool_part *part = arg;

	if (!part->free)
		part->free = __atomic_exchange_n(&part->returned, NULL, __ATOMIC_ACQUIRE);
	return part->free != NULL;
}

/* From other reactors' returns, or after a sleep. NULL: may not sleep. */
static struct bio *__noinline bio_alloc_slow(struct block_device *bdev, unsigned int nr_vecs,
					     blk_opf_t opf, struct bio_pool *pool)
{
	struct bio_pool_part *part = &pool->parts[rt_reactor_id()];

	if (!pool_part_refill(part)) {
		if ((opf & REQ_NOWAIT) || !rt_current())
			return NULL;
		blk_bio_list_hand_over();
		part->waiters_nr++;
		rt_wait_event(&part->wq, pool_part_refill, part, "a bio of the pool");
		part->waiters_nr--;
	}
	return bio_alloc(bdev, nr_vecs, opf, pool);
}

struct bio *bio_alloc(struct block_device *bdev, unsigned int nr_vecs, blk_opf_t opf,
		      struct bio_pool *pool)
{
	struct bio_pool_part *part = &pool->parts[rt_reactor_id()];
	struct bio *bio = part->free;

	if (unlikely(!bio))
		return bio_alloc_slow(bdev, nr_vecs, opf, pool);
	blkfs_assert(nr_vecs <= part->vecs_max);
	part->free = bio->bi_next;
	bio_setup(bio, bdev, (struct bio_vec *)(bio + 1), nr_vecs, opf);
	return bio;
}

/* On another reactor, or with somebody waiting for it. */
static void __noinline bio_put_slow(struct bio *bio)
{
	struct bio_pool_part *part = bio->bi_pool;
	struct bio *head = READ_ONCE(part->returned);

	do {
		bio->bi_next = head;
	} while (!__atomic_compare_exchange_n(&part->returned, &head, bio, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	if (rt_waitqueue_active(&part->wq))
		rt_waitqueue_wake_one(&part->wq);
}

void bio_put(struct bio *bio)
{
	struct bio_pool_part *part = bio->bi_pool;

	if (!part)
		return;
	if (unlikely(part->reactor != rt_reactor_id() || part->waiters_nr)) {
		bio_put_slow(bio);
		return;
	}
	bio->bi_next = part->free;
	part->free = bio;
}

/* ---- contents --------------------------------------------------------------------------------- */

unsigned int bio_add_vec(struct bio *bio, void *addr, unsigned int len)
{
	struct bio_vec *last;

	blkfs_debug_assert(!(bio->bi_flags & BIO_CLONED));
	if (!bio->bi_vcnt && bio->bi_max_vecs) {
		bio->bi_io_vec[0] = (struct bio_vec){ addr, len };
		bio->bi_vcnt = 1;
		bio->bi_iter.bi_size = len;
		return len;
	}
	if (len > UINT32_MAX - bio->bi_iter.bi_size)
		return 0;
	last = bio->bi_vcnt ? &bio->bi_io_vec[bio->bi_vcnt - 1] : NULL;
	if (last && (char *)last->bv_addr + last->bv_len == (char *)addr &&
	    len <= UINT32_MAX - last->bv_len) {
		last->bv_len += len;
	} else {
		if (bio->bi_vcnt >= bio->bi_max_vecs)
			return 0;
		bio->bi_io_vec[bio->bi_vcnt++] = (struct bio_vec){ addr, len };
	}
	bio->bi_iter.bi_size += len;
	return len;
}

void bio_advance(struct bio *bio, unsigned int len)
{
	blkfs_assert(len <= bio->bi_iter.bi_size);
	bio_iter_advance(bio, &bio->bi_iter, len);
}

struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *src, blk_opf_t extra_opf,
			    struct bio_pool *pool)
{
	struct bio *bio = bio_alloc(bdev, 0, src->bi_opf | extra_opf, pool);

	if (!bio)
		return NULL;
	bio->bi_flags = BIO_CLONED | (src->bi_flags & BIO_QUIET);
	if (bdev == src->bi_bdev)
		bio->bi_flags |= src->bi_flags & BIO_REMAPPED;
	bio->bi_ioprio = src->bi_ioprio;
	bio->bi_write_hint = src->bi_write_hint;
	bio->bi_reactor = src->bi_reactor;
	bio->bi_ino = src->bi_ino;
	bio->bi_iter = src->bi_iter;
	bio->bi_io_vec = src->bi_io_vec;
	bio->bi_vcnt = src->bi_vcnt;
	return bio;
}

struct bio *bio_split(struct bio *bio, unsigned int sectors, struct bio_pool *pool)
{
	struct bio *split;

	blkfs_assert(sectors > 0 && sectors < bio_sectors(bio));
	split = bio_alloc_clone(bio->bi_bdev, bio, 0, pool);
	if (!split)
		return NULL;
	split->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	bio_advance(bio, split->bi_iter.bi_size);
	return split;
}

/* ---- the end ---------------------------------------------------------------------------------- */

/* Marks a chained bio; bio_endio() does its work in its loop. */
static void bio_chain_endio(struct bio *bio)
{
	blkfs_assert(!bio);
}

void bio_chain(struct bio *bio, struct bio *parent)
{
	blkfs_assert(!bio->bi_private && !bio->bi_end_io);
	bio->bi_private = parent;
	bio->bi_end_io = bio_chain_endio;
	if (!(parent->bi_flags & BIO_CHAIN)) {
		parent->bi_flags |= BIO_CHAIN;
		parent->bi_remaining = 1;
	}
	__atomic_fetch_add(&parent->bi_remaining, 1, __ATOMIC_RELAXED);
}

/* Up the chain, as far as @bio was the last that its parents waited for. */
static void __noinline chain_end(struct bio *bio)
{
	for (;;) {
		struct bio *parent = bio->bi_private;

		if ((bio->bi_flags & BIO_CHAIN) &&
		    __atomic_sub_fetch(&bio->bi_remaining, 1, __ATOMIC_ACQ_REL) != 0)
			return;
		if (bio->bi_end_io != bio_chain_endio)
			break;
		if (bio->bi_status)
			WRITE_ONCE(parent->bi_status, bio->bi_status);
		bio_put(bio);
		bio = parent;
	}
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

void bio_endio(struct bio *bio)
{
	bio_end_io_t end_io = bio->bi_end_io;

	if (likely(!(bio->bi_flags & BIO_CHAIN) && end_io && end_io != bio_chain_endio))
		end_io(bio);
	else
		chain_end(bio);
}

void bio_end_status(struct bio *bio, blk_status_t status)
{
	bio->bi_status = status;
	bio_endio(bio);
}
