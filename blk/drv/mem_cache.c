/* SPDX-License-Identifier: MIT */
/*
 * The volatile cache of the mem driver: an image that readers see and a medium that survives;
 * between them pieces, each a few sectors of one write.
 *
 * Invariants: 1. A sector of the medium is never older than what a flush or FUA promised: it keeps
 *                the number of the write it came from, and no earlier write reaches it again.
 *             2. A sector is the unit of tearing; nothing smaller is ever half there.
 *             3. Flushed is only what had completed when the flush began; what was in flight then
 *                may survive, or not.
 *             4. Pieces never run out: there are twice as many as can be in flight, and a completed
 *                one may go to the medium at any time (the oldest does).
 * Locks:      none, see the header.
 */
#include "mem_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/compiler.h"
#include "base/hash.h"

enum { PIECE_BYTES = MEM_PIECE_SECTORS * SECTOR_SIZE };

struct piece {
	struct list_head node; /* mem_write.pieces, cache->completed or cache->unused */
	uint64_t write_seq;    /* order of issue: which of two writes is newer */
	uint64_t done_seq;     /* order of completion */
	sector_t sector;
	sector_t sectors_nr;
	bool is_zeros; /* any length, no data */
};

struct mem_cache {
	uint8_t *current;
	uint8_t *medium;
	uint64_t *medium_seq; /* of each sector: the write it came from */
	sector_t sectors_nr;
	struct piece *pieces;
	uint8_t *data;	      /* PIECE_BYTES of each piece */
	struct piece **order; /* room to sort all pieces */
	unsigned int pieces_nr;
	unsigned int touched_nr; /* pieces from here on were never used */
	struct list_head unused;
	struct list_head completed; /* by done_seq */
	struct list_head in_flight; /* of struct mem_write */
	uint64_t write_seq, done_seq;
};

/* ---- pieces ------------------------------------------------------------------------------------ */

static uint8_t *piece_data(const struct mem_cache *cache, const struct piece *p)
{
	return cache->data + (size_t)(p - cache->pieces) * PIECE_BYTES;
}

static void sector_to_medium(struct mem_cache *cache, const struct piece *p, sector_t i)
{
	uint8_t *to = cache->medium + sectors_to_bytes(p->sector + i);

	if (p->is_zeros)
		memset(to, 0, SECTOR_SIZE);
	else
		memcpy(to, piece_data(cache, p) + sectors_to_bytes(i), SECTOR_SIZE);
}

static bool is_sector_newer(const struct mem_cache *cache, const struct piece *p, sector_t i)
{
	return p->write_seq > cache->medium_seq[p->sector + i];
}

/* The piece is on the medium for good; its place is free. */
static void piece_settle(struct mem_cache *cache, struct piece *p)
{
	for (sector_t i = 0; i < p->sectors_nr; i++) {
		if (!is_sector_newer(cache, p, i))
			continue;
		sector_to_medium(cache, p, i);
		cache->medium_seq[p->sector + i] = p->write_seq;
	}
	list_move(&p->node, &cache->unused);
}

static struct piece *piece_get(struct mem_cache *cache)
{
	struct piece *p;

	if (list_empty(&cache->unused) && cache->touched_nr < cache->pieces_nr) {
		p = &cache->pieces[cache->touched_nr++];
		INIT_LIST_HEAD(&p->node);
		return p;
	}
	if (list_empty(&cache->unused)) {
		blkfs_assert(!list_empty(&cache->completed));
		piece_settle(cache, list_first_entry(&cache->completed, struct piece, node));
	}
	p = list_first_entry(&cache->unused, struct piece, node);
	list_del_init(&p->node);
	return p;
}

static void piece_add(struct mem_cache *cache, struct mem_write *w, sector_t sector,
		      sector_t sectors_nr, bool is_zeros)
{
	struct piece *p = piece_get(cache);

	p->write_seq = cache->write_seq;
	p->sector = sector;
	p->sectors_nr = sectors_nr;
	p->is_zeros = is_zeros;
	if (!is_zeros)
		memcpy(piece_data(cache, p), cache->current + sectors_to_bytes(sector),
		       sectors_to_bytes(sectors_nr));
	list_add_tail(&p->node, &w->pieces);
}

/* ---- the life of a write ------------------------------------------------------------------------- */

void mem_cache_write(struct mem_cache *cache, struct mem_write *w, sector_t sector,
		     sector_t sectors_nr, bool is_zeros)
{
	sector_t end = sector + sectors_nr;

	blkfs_assert(end <= cache->sectors_nr);
	cache->write_seq++;
	INIT_LIST_HEAD(&w->pieces);
	list_add_tail(&w->node, &cache->in_flight);
	if (is_zeros) {
		piece_add(cache, w, sector, sectors_nr, true);
		return;
	}
	for (; sector < end; sector += MEM_PIECE_SECTORS)
		piece_add(cache, w, sector, min_t(sector_t, end - sector, MEM_PIECE_SECTORS),
			  false);
}

void mem_cache_complete(struct mem_cache *cache, struct mem_write *w, bool is_durable)
{
	struct piece *p, *next;

	cache->done_seq++;
	list_for_each_entry_safe(p, next, &w->pieces, node) {
		p->done_seq = cache->done_seq;
		if (is_durable)
			piece_settle(cache, p);
		else
			list_move_tail(&p->node, &cache->completed);
	}
	list_del_init(&w->node);
}

uint64_t mem_cache_mark(const struct mem_cache *cache)
{
	return cache->done_seq;
}

void mem_cache_flush(struct mem_cache *cache, uint64_t mark)
{
	struct piece *p, *next;

	list_for_each_entry_safe(p, next, &cache->completed, node) {
		if (p->done_seq > mark)
			break;
		piece_settle(cache, p);
	}
}

/* ---- the power cut ------------------------------------------------------------------------------- */

/* What becomes of one write. A cut leans to one of them, so that the extremes are seen as well. */
enum fate { FATE_LOST, FATE_WHOLE, FATE_HEAD, FATE_SCATTERED, FATES_NR };

static enum fate write_fate(uint64_t seed, uint64_t write_seq)
{
	uint64_t draw = hash_combine(hash_combine(seed, 1), write_seq);
	enum fate leaning = (enum fate)(hash_combine(seed, 2) % FATES_NR);

	return draw & 1 ? leaning : (enum fate)((draw >> 1) % FATES_NR);
}

static bool is_sector_kept(uint64_t seed, const struct piece *p, sector_t i)
{
	uint64_t write = hash_combine(hash_combine(seed, 3), p->write_seq);

	switch (write_fate(seed, p->write_seq)) {
	case FATE_WHOLE:
		return true;
	case FATE_HEAD: /* of each 64 KiB, cut at one place */
		return (p->sector + i) % 128 < write % 128;
	case FATE_SCATTERED:
		return hash_combine(write, p->sector + i) & 1;
	default:
		return false;
	}
}

static int piece_order(const void *a, const void *b, void *arg)
{
	const struct piece *pa = *(struct piece *const *)a;
	const struct piece *pb = *(struct piece *const *)b;
	uint64_t seed = hash_combine(*(const uint64_t *)arg, 4);
	uint64_t ka = hash_combine(seed, pa->write_seq), kb = hash_combine(seed, pb->write_seq);

	return ka < kb ? -1 : ka > kb;
}

static unsigned int gather(struct mem_cache *cache)
{
	struct mem_write *w;
	struct piece *p;
	unsigned int nr = 0;

	list_for_each_entry(p, &cache->completed, node)
		cache->order[nr++] = p;
	list_for_each_entry(w, &cache->in_flight, node)
		list_for_each_entry(p, &w->pieces, node)
			cache->order[nr++] = p;
	return nr;
}

const uint8_t *mem_cache_cut(struct mem_cache *cache, uint64_t seed)
{
	unsigned int nr = gather(cache);

	qsort_r(cache->order, nr, sizeof(*cache->order), piece_order, &seed);
	for (unsigned int n = 0; n < nr; n++) {
		const struct piece *p = cache->order[n];

		for (sector_t i = 0; i < p->sectors_nr; i++)
			if (is_sector_newer(cache, p, i) && is_sector_kept(seed, p, i))
				sector_to_medium(cache, p, i);
	}
	return cache->medium;
}

/* ---- life ------------------------------------------------------------------------------------------ */

/* Zeroed small pages, resident only where touched: most of it never is. */
static void *alloc(size_t nr, size_t size)
{
	void *p = MAP_FAILED;

	if (nr <= SIZE_MAX / size)
		p = mmap(NULL, nr * size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void release(void *p, size_t nr, size_t size)
{
	if (p)
		munmap(p, nr * size);
}

int mem_cache_create(uint8_t *current, sector_t sectors_nr, unsigned int pieces_in_flight,
		     bool is_zeros, struct mem_cache **out)
{
	struct mem_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->current = current;
	cache->sectors_nr = sectors_nr;
	cache->pieces_nr = 2 * pieces_in_flight;
	INIT_LIST_HEAD(&cache->unused);
	INIT_LIST_HEAD(&cache->completed);
	INIT_LIST_HEAD(&cache->in_flight);
	cache->medium = alloc(sectors_nr, SECTOR_SIZE);
	cache->medium_seq = alloc(sectors_nr, sizeof(*cache->medium_seq));
	cache->pieces = alloc(cache->pieces_nr, sizeof(*cache->pieces));
	cache->order = alloc(cache->pieces_nr, sizeof(struct piece *));
	cache->data = alloc(cache->pieces_nr, PIECE_BYTES);
	if (!cache->medium || !cache->medium_seq || !cache->pieces || !cache->order ||
	    !cache->data) {
		mem_cache_destroy(cache);
		return -ENOMEM;
	}
	if (!is_zeros)
		memcpy(cache->medium, current, sectors_to_bytes(sectors_nr));
	*out = cache;
	return 0;
}

void mem_cache_destroy(struct mem_cache *cache)
{
	release(cache->medium, cache->sectors_nr, SECTOR_SIZE);
	release(cache->medium_seq, cache->sectors_nr, sizeof(*cache->medium_seq));
	release(cache->pieces, cache->pieces_nr, sizeof(*cache->pieces));
	release(cache->order, cache->pieces_nr, sizeof(struct piece *));
	release(cache->data, cache->pieces_nr, PIECE_BYTES);
	free(cache);
}
