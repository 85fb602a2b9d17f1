/* SPDX-License-Identifier: MIT */
/*
 * mem_cache.h - the model of a disk with a volatile cache: what a reader sees, what a power cut
 * leaves.
 *
 * Context: one reactor, or a caller that keeps the others away; nothing sleeps or allocates but
 * create.
 */
#ifndef BLK_DRV_MEM_CACHE_H
#define BLK_DRV_MEM_CACHE_H

#include "base/list.h"
#include "blkfs/bio.h"

struct mem_cache;

/* A write from issue to completion; the caller's memory. */
struct mem_write {
	struct list_head pieces;
	struct list_head node; /* cache->in_flight */
};

enum { MEM_PIECE_SECTORS = 8 };

/*
 * @current: the caller's image of @sectors_nr sectors, which every write has reached when
 * mem_cache_write() is called; the medium starts as a copy of it (@is_zeros: nothing to copy).
 * @pieces_in_flight: the most that can be in flight, at MEM_PIECE_SECTORS (or one range of zeros)
 * a piece. -ENOMEM.
 */
int __must_check mem_cache_create(uint8_t *current, sector_t sectors_nr,
				  unsigned int pieces_in_flight, bool is_zeros,
				  struct mem_cache **out);
void mem_cache_destroy(struct mem_cache *cache);

/* @w begins: @current holds its data. With @is_zeros it is a range of zeros. */
void mem_cache_write(struct mem_cache *cache, struct mem_write *w, sector_t sector,
		     sector_t sectors_nr, bool is_zeros);
/* @w completes; with @is_durable it is on the medium. */
void mem_cache_complete(struct mem_cache *cache, struct mem_write *w, bool is_durable);

/* Where in the order of completions we are: what a flush that begins now covers. */
uint64_t mem_cache_mark(const struct mem_cache *cache);
/* Puts on the medium what had completed at @mark. */
void mem_cache_flush(struct mem_cache *cache, uint64_t mark);

/* The power goes: @seed chooses what of cache and flight reaches the medium, and in what order. */
const uint8_t *mem_cache_cut(struct mem_cache *cache, uint64_t seed);

#endif
