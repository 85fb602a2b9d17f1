/* SPDX-License-Identifier: MIT */
/*
 * bio.h - the unit of block I/O.
 *
 * Names, flags and rules are Linux's (include/linux/blk_types.h, bio.h of 6.x); there are no pages
 * here, so a bio_vec is an address and a length. A sector is 512 bytes everywhere.
 *
 * Context: tasks and handlers; nothing here sleeps but bio_alloc().
 * Ownership: submit_bio() takes the bio and all memory it points to; bi_end_io gives it back,
 * exactly once, on the reactor that submitted it, as a handler.
 */
#ifndef BLKFS_BIO_H
#define BLKFS_BIO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct block_device;
struct bio;
struct bio_pool;
struct bio_pool_part;

typedef uint64_t sector_t;
typedef uint32_t blk_opf_t;

enum { SECTOR_SHIFT = 9, SECTOR_SIZE = 1 << SECTOR_SHIFT };

static inline sector_t bytes_to_sectors(uint64_t len_bytes)
{
	return len_bytes >> SECTOR_SHIFT;
}

static inline uint64_t sectors_to_bytes(sector_t sectors)
{
	return sectors << SECTOR_SHIFT;
}

/* ---- the outcome of one I/O ------------------------------------------------------------------ */

typedef uint8_t blk_status_t;

enum {
	BLK_STS_OK = 0,
	BLK_STS_NOTSUPP,
	BLK_STS_TIMEOUT,
	BLK_STS_NOSPC,
	BLK_STS_TRANSPORT,
	BLK_STS_TARGET,
	BLK_STS_RESV_CONFLICT,
	BLK_STS_MEDIUM,
	BLK_STS_PROTECTION,
	BLK_STS_RESOURCE, /* from queue_rq only: the core asks again later */
	BLK_STS_IOERR,
	BLK_STS_DM_REQUEUE,
	BLK_STS_AGAIN,	      /* REQ_NOWAIT and it would have had to wait */
	BLK_STS_DEV_RESOURCE, /* from queue_rq only: asked again when one of its requests completes */
	BLK_STS_ZONE_RESOURCE,
	BLK_STS_ZONE_OPEN_RESOURCE,
	BLK_STS_ZONE_ACTIVE_RESOURCE,
	BLK_STS_OFFLINE,
	BLK_STS_DURATION_LIMIT,
	BLK_STS_INVAL, /* misaligned, or beyond a limit that a bio cannot be split to */
	BLK_STS_NR,
};

int blk_status_to_errno(blk_status_t status); /* 0 or negative */
blk_status_t errno_to_blk_status(int err);    /* of 0 or negative */
const char *blk_status_name(blk_status_t status);

/* ---- operation and flags ------------------------------------------------------------------ */

enum req_op {
	REQ_OP_READ = 0,
	REQ_OP_WRITE = 1,
	REQ_OP_FLUSH = 2,
	REQ_OP_DISCARD = 3,
	REQ_OP_SECURE_ERASE = 5,
	REQ_OP_ZONE_APPEND = 7,
	REQ_OP_WRITE_ZEROES = 9,
	REQ_OP_ZONE_OPEN = 11,
	REQ_OP_ZONE_CLOSE = 13,
	REQ_OP_ZONE_FINISH = 15,
	REQ_OP_ZONE_RESET = 17,
	REQ_OP_ZONE_RESET_ALL = 19,
	REQ_OP_DRV_IN = 34,
	REQ_OP_DRV_OUT = 35,
	REQ_OP_LAST = 36,
};

#define REQ_OP_BITS 8
#define REQ_OP_MASK ((1u << REQ_OP_BITS) - 1)

enum {
	REQ_SYNC = 1u << 8, /* somebody waits for it */
	REQ_META = 1u << 9, /* metadata */
	REQ_PRIO = 1u << 10,
	REQ_NOMERGE = 1u << 11,
	REQ_IDLE = 1u << 12,	 /* anticipate more after it */
	REQ_FUA = 1u << 13,	 /* on the medium before it completes */
	REQ_PREFLUSH = 1u << 14, /* what completed before it reaches the medium first */
	REQ_RAHEAD = 1u << 15,	 /* may fail at any time */
	REQ_BACKGROUND = 1u << 16,
	REQ_NOWAIT = 1u << 17, /* BLK_STS_AGAIN rather than sleep */
	REQ_POLLED = 1u << 18,
	REQ_NOUNMAP = 1u << 19, /* WRITE_ZEROES: keep the blocks allocated */
	REQ_INTEGRITY = 1u << 20,
	REQ_SWAP = 1u << 21,
};

static inline enum req_op op_of(blk_opf_t opf)
{
	return (enum req_op)(opf & REQ_OP_MASK);
}

static inline bool op_is_write(blk_opf_t opf)
{
	return opf & 1;
}

/* Carries no data of its own (FLUSH, DISCARD, WRITE_ZEROES, zone management). */
static inline bool op_has_data(blk_opf_t opf)
{
	enum req_op op = op_of(opf);

	return op == REQ_OP_READ || op == REQ_OP_WRITE || op == REQ_OP_ZONE_APPEND ||
	       op == REQ_OP_DRV_IN || op == REQ_OP_DRV_OUT;
}

static inline bool op_is_flush(blk_opf_t opf)
{
	return opf & (REQ_FUA | REQ_PREFLUSH);
}

static inline bool op_is_discard(blk_opf_t opf)
{
	return op_of(opf) == REQ_OP_DISCARD;
}

static inline bool op_is_sync(blk_opf_t opf)
{
	return op_of(opf) == REQ_OP_READ || (opf & (REQ_SYNC | REQ_FUA | REQ_PREFLUSH));
}

const char *blk_op_name(blk_opf_t opf); /* "READ", as debugfs prints it */

/* Linux's ioprio: class in the top 3 of 16 bits, level in the low 13. */
enum { IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE };

#define IOPRIO_CLASS_SHIFT 13
#define IOPRIO_PRIO_CLASS(ioprio) (((ioprio) >> IOPRIO_CLASS_SHIFT) & 7)
#define IOPRIO_PRIO_LEVEL(ioprio) ((ioprio)&7)
#define IOPRIO_PRIO_VALUE(class, level) ((uint16_t)(((class) << IOPRIO_CLASS_SHIFT) | (level)))

/* ---- bio ------------------------------------------------------------------------------------ */

struct bio_vec {
	void *bv_addr;
	uint32_t bv_len; /* bytes */
};

struct bvec_iter {
	sector_t bi_sector;
	uint32_t bi_size;      /* bytes left; of a DISCARD or WRITE_ZEROES the range */
	uint32_t bi_idx;       /* current bio_vec */
	uint32_t bi_bvec_done; /* bytes done of it */
};

typedef void (*bio_end_io_t)(struct bio *bio);

enum bio_flags {
	BIO_CLONED = 1 << 0,   /* bi_io_vec belongs to another bio */
	BIO_CHAIN = 1 << 1,    /* bi_remaining counts */
	BIO_QUIET = 1 << 2,    /* no log line on error */
	BIO_REMAPPED = 1 << 3, /* bi_sector counts from the whole disk already */
};

struct bio {
	struct bio *bi_next; /* free list, request's list, bio_list */
	struct bvec_iter bi_iter;
	bio_end_io_t bi_end_io;
	void *bi_private;
	uint64_t bi_ino; /* whose data it is, for traces; 0: unknown */
	uint16_t bi_flags;
	uint16_t bi_ioprio;
	uint16_t bi_vcnt;
	uint8_t bi_write_hint;
	blk_status_t bi_status;
	uint32_t bi_remaining; /* [atomic] with BIO_CHAIN: who must end before it does */
	/* up to here all is zero in a new bio */
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	uint16_t bi_reactor; /* that submitted it and gets bi_end_io */
	uint16_t bi_max_vecs;
	struct bio_vec *bi_io_vec;
	struct bio_pool_part *bi_pool; /* where it came from; NULL: the caller's memory */
};

struct bio_list {
	struct bio *head, *tail;
};

enum { BIO_MAX_VECS = 256 };

/* For a bio in the caller's memory (@vecs too). It must be uninitialised or completed. */
void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *vecs,
	      unsigned int max_vecs, blk_opf_t opf);

/*
 * Pools: one for each level that allocates, since a pool that is waited for must be refilled by
 * bios that depend on lower levels only. Preallocated a reactor each; never malloc on the I/O path.
 */
int __must_check bio_pool_create(const char *name, unsigned int bios_per_reactor,
				 unsigned int vecs_max, struct bio_pool **out);
void bio_pool_destroy(struct bio_pool *pool); /* all bios must be back */

/*
 * bio_alloc - a bio of @pool with room for @nr_vecs (<= the pool's vecs_max).
 * Context: task; sleeps until one is free, its plug issued first. With REQ_NOWAIT in @opf, or in a
 * handler, NULL when none is free.
 */
struct bio *bio_alloc(struct block_device *bdev, unsigned int nr_vecs, blk_opf_t opf,
		      struct bio_pool *pool);
void bio_put(struct bio *bio); /* back to its pool, on any reactor */

/*
 * bio_add_vec - append memory; extends the last vector where the memory is contiguous.
 * Returns @len, or 0 when there is no room (submit it and go on with another).
 */
unsigned int bio_add_vec(struct bio *bio, void *addr, unsigned int len);

/* Moves the iterator on by @len bytes (<= bi_size). */
void bio_advance(struct bio *bio, unsigned int len);

/* Shares @src's vectors and iterator; the clone must end before @src does. */
struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *src, blk_opf_t extra_opf,
			    struct bio_pool *pool);

/*
 * bio_split - cut the first @sectors off: returns a new bio for them, @bio keeps the rest.
 * bio_chain - @parent's end waits for @bio, whose error it inherits.
 */
struct bio *bio_split(struct bio *bio, unsigned int sectors, struct bio_pool *pool);
void bio_chain(struct bio *bio, struct bio *parent);

/* Completes @bio with its bi_status; chained parents with it. Handler or task; once. */
void bio_endio(struct bio *bio);
void bio_end_status(struct bio *bio, blk_status_t status);

static inline unsigned int bio_sectors(const struct bio *bio)
{
	return bio->bi_iter.bi_size >> SECTOR_SHIFT;
}

static inline sector_t bio_end_sector(const struct bio *bio)
{
	return bio->bi_iter.bi_sector + bio_sectors(bio);
}

/* The memory at the iterator: at most what is left of this vector. */
static inline struct bio_vec bio_iter_vec(const struct bio *bio, struct bvec_iter it)
{
	const struct bio_vec *v = &bio->bi_io_vec[it.bi_idx];
	uint32_t left = v->bv_len - it.bi_bvec_done;

	return (struct bio_vec){ (char *)v->bv_addr + it.bi_bvec_done,
				 left < it.bi_size ? left : it.bi_size };
}

static inline void bio_iter_advance(const struct bio *bio, struct bvec_iter *it, uint32_t len)
{
	it->bi_sector += len >> SECTOR_SHIFT;
	it->bi_size -= len;
	if (!op_has_data(bio->bi_opf))
		return;
	len += it->bi_bvec_done;
	while (len && it->bi_idx < bio->bi_vcnt && len >= bio->bi_io_vec[it->bi_idx].bv_len)
		len -= bio->bi_io_vec[it->bi_idx++].bv_len;
	it->bi_bvec_done = len;
}

/* Each piece of memory of @bio, from its iterator on: struct bio_vec @bv, struct bvec_iter @it. */
#define bio_for_each_vec(bv, bio, it)                                                              \
	for ((it) = (bio)->bi_iter; (it).bi_size && ((bv) = bio_iter_vec((bio), (it)), 1);         \
	     bio_iter_advance((bio), &(it), (bv).bv_len))

static inline void bio_list_init(struct bio_list *bl)
{
	bl->head = bl->tail = NULL;
}

static inline bool bio_list_empty(const struct bio_list *bl)
{
	return !bl->head;
}

static inline void bio_list_add(struct bio_list *bl, struct bio *bio)
{
	bio->bi_next = NULL;
	if (bl->tail)
		bl->tail->bi_next = bio;
	else
		bl->head = bio;
	bl->tail = bio;
}

static inline struct bio *bio_list_pop(struct bio_list *bl)
{
	struct bio *bio = bl->head;

	if (bio) {
		bl->head = bio->bi_next;
		if (!bl->head)
			bl->tail = NULL;
		bio->bi_next = NULL;
	}
	return bio;
}

#endif
