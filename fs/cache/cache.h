/* SPDX-License-Identifier: MIT */
/*
 * cache.h - metadata blocks of one block device, kept in a bounded amount of memory.
 *
 * A buffer is named by its block number, read once however many wait for it, and stays at its
 * address with its content while somebody holds it. All memory is set aside when the cache is
 * made; it becomes resident when used. A block that the journal has a newer copy of is read from
 * there (the overlay), so whoever asks for a block gets what the file system means by it.
 *
 * Context: tasks of any reactor; everything may sleep unless said otherwise.
 */
#ifndef FS_CACHE_CACHE_H
#define FS_CACHE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct attr_dir;
struct block_device;
struct cache;
struct strbuf;

/* Held: what cache_get() gave and cache_put() takes back. Fields are for reading only. */
struct cache_buf {
	uint64_t block;
	uint8_t *data;	   /* block_size bytes */
	uint64_t verified; /* [atomic] who checked the content, see below; 0: nobody */
};

struct cache_config {
	struct block_device *bdev;
	uint32_t block_size; /* a power of two, a multiple of the logical block size */
	uint64_t cap_bytes;
	uint64_t blocks_nr; /* blocks from here on do not exist */
};

/* Fails: -ENOMEM; -EINVAL when the device cannot be read in blocks of that size. */
int __must_check cache_create(const struct cache_config *cfg, struct cache **out);

/* All buffers are back and nobody asks for more; waits for read-ahead under way. */
void cache_destroy(struct cache *c);

/*
 * cache_get - the buffer of @block, read if it must be. Put it back.
 *
 * Fails: -EUCLEAN beyond the last block, -EIO and what else the device answers, -ENOMEM when every
 *        buffer is held and memory is out.
 */
int __must_check cache_get(struct cache *c, uint64_t block, struct cache_buf **out);
void cache_put(struct cache *c, struct cache_buf *b);

/* Starts reading what is missing of @nr blocks from @block on, and does not wait for it. */
void cache_readahead(struct cache *c, uint64_t block, uint32_t nr);

/* Is @block in memory, or on its way? A guess: it may have gone when the answer comes. */
bool cache_holds(struct cache *c, uint64_t block);

/* Forgets every block that nobody holds. */
void cache_drop(struct cache *c);

/*
 * The overlay: reading @block means reading @source. With @is_escaped the first four bytes there
 * were the journal's magic and have been replaced by zeros. A later call for a block wins.
 *
 * Context: before the mount is used; does not sleep; cache_drop() follows when all are in.
 * Fails:   -ENOMEM.
 */
int __must_check cache_overlay_add(struct cache *c, uint64_t block, uint64_t source,
				   bool is_escaped);
/* How many blocks of [@block, @block + @nr) are not in the overlay before the first that is. */
uint32_t cache_overlay_clear_run(const struct cache *c, uint64_t block, uint32_t nr);
uint64_t cache_overlay_nr(const struct cache *c);

/*
 * A block's checksum and structure are checked once for as long as it stays in memory: who did it
 * leaves a tag that names what the block was taken for (its kind and its owner).
 */
static inline bool cache_buf_is_verified(const struct cache_buf *b, uint64_t tag)
{
	return __atomic_load_n(&b->verified, __ATOMIC_RELAXED) == tag;
}

static inline void cache_buf_set_verified(struct cache_buf *b, uint64_t tag)
{
	__atomic_store_n(&b->verified, tag, __ATOMIC_RELAXED);
}

struct cache_stats {
	uint64_t hits, misses; /* cache_get() */
	uint64_t readahead;    /* blocks read before they were asked for */
	uint64_t blocks;       /* set aside */
	uint64_t spilled;      /* allocated beyond that, since all of a shard were held at once */
};

/* Any context; does not sleep. */
void cache_stats_read(const struct cache *c, struct cache_stats *out);
void cache_dump(const struct cache *c, struct strbuf *out);

#endif
