/* SPDX-License-Identifier: MIT */
/*
 * cache.c - buffers in shards: each a hash table, a list of free and a list of idle buffers.
 *
 * Invariants: 1. A block is in the table of its shard at most once.
 *             2. On the idle list (oldest first) are the hashed buffers with refs == 0, no others.
 *             3. A buffer that is being read is not reused, held or not; end_io takes no lock.
 *             4. A buffer's memory lives as long as the cache, so a late wake-up finds it.
 *             5. Content changes only between READING and VALID.
 * Locks:      shard->lock (LOCK_RANK_BUFFER) for table, lists and refs; state is atomic, stored
 *             with release after data and err, loaded with acquire before them.
 */
#include "fs/cache/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strbuf.h"

#include "blkfs/blkdev.h"
#include "blkfs/lock_order.h"
#include "blkfs/rt.h"

#include "fs/cache/overlay.h"

enum {
	SHARDS_MAX = 64,
	SHARD_BUFS_MIN = 32, /* fewer: fewer shards */
	JOURNAL_MAGIC = 0xC03B3998,
};

enum buf_state { BUF_READING, BUF_VALID, BUF_FAILED };

struct buf {
	struct cache_buf pub;
	struct cache *cache;
	struct buf *hash_next; /* [shard->lock]; of a free buffer the next free */
	struct list_head idle; /* [shard->lock] */
	unsigned int refs;     /* [shard->lock] */
	int err;	       /* of FAILED */
	unsigned int state;    /* [atomic] enum buf_state */
	bool is_escaped;
	struct rt_waitqueue wq;
	struct bio bio;
	struct bio_vec vec;
};

struct shard {
	struct rt_mutex lock;
	struct buf **table;
	unsigned int table_bits;
	struct buf *free;
	struct list_head idle;
} __cacheline_aligned;

struct counters { /* written by one reactor each */
	uint64_t hits, misses, readahead;
} __cacheline_aligned;

struct spill {
	struct spill *next;
	struct buf buf;
};

struct cache {
	struct block_device *bdev;
	uint32_t block_size;
	uint64_t blocks_nr;
	struct overlay overlay;
	size_t bufs_nr;
	size_t region_bytes;
	uint8_t *region;
	struct buf *bufs;
	struct spill *spills; /* [atomic] pushed only */
	uint64_t spills_nr;   /* [atomic] */
	unsigned int shards_nr;
	unsigned int inflight; /* [atomic] bios under way */
	struct counters counters[RT_REACTORS_MAX];
	struct shard shards[SHARDS_MAX];
};

static const struct rt_lock_class shard_lock_class = { "cache shard", LOCK_RANK_BUFFER };

static struct buf *to_buf(struct cache_buf *b)
{
	return container_of(b, struct buf, pub);
}

static unsigned int buf_state(const struct buf *b)
{
	return __atomic_load_n(&b->state, __ATOMIC_ACQUIRE);
}

static struct shard *shard_of(struct cache *c, uint64_t block)
{
	return &c->shards[hash_u64(block) & (c->shards_nr - 1)];
}

static struct buf **bucket_of(struct shard *s, uint64_t block)
{
	return &s->table[hash_bits(block, s->table_bits)];
}

static struct counters *counters_here(struct cache *c)
{
	return &c->counters[rt_reactor_id() % RT_REACTORS_MAX];
}

static void count(uint64_t *counter)
{
	WRITE_ONCE(*counter, *counter + 1);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void buf_read_end(struct bio *bio)
{
	struct buf *b = bio->bi_private;
	struct cache *c = b->cache;

	b->err = blk_status_to_errno(bio->bi_status);
	if (!b->err && b->is_escaped)
		put_unaligned_be32(JOURNAL_MAGIC, b->pub.data);
	__atomic_store_n(&b->state, b->err ? BUF_FAILED : BUF_VALID, __ATOMIC_RELEASE);
	rt_waitqueue_wake_all(&b->wq);
	__atomic_sub_fetch(&c->inflight, 1, __ATOMIC_RELEASE);
}

/* Owns: @b in READING, until buf_read_end(). */
static void buf_read_start(struct buf *b, blk_opf_t flags)
{
	struct cache *c = b->cache;
	const struct overlay_entry *e = overlay_find(&c->overlay, b->pub.block);
	uint64_t source = e ? e->source : b->pub.block;

	b->is_escaped = e && e->is_escaped;
	bio_init(&b->bio, c->bdev, &b->vec, 1, REQ_OP_READ | REQ_META | flags);
	b->bio.bi_iter.bi_sector = bytes_to_sectors(source * c->block_size);
	b->bio.bi_end_io = buf_read_end;
	b->bio.bi_private = b;
	blkfs_assert(bio_add_vec(&b->bio, b->pub.data, c->block_size) == c->block_size);
	__atomic_add_fetch(&c->inflight, 1, __ATOMIC_RELAXED);
	submit_bio(&b->bio);
}

static bool buf_is_settled(void *arg)
{
	return buf_state(arg) != BUF_READING;
}

/* ---- the shard's lists; its lock is held ------------------------------------------------------ */

static struct buf *find_locked(struct shard *s, uint64_t block)
{
	struct buf *b = *bucket_of(s, block);

	while (b && b->pub.block != block)
		b = b->hash_next;
	return b;
}

static void unhash_locked(struct shard *s, struct buf *b)
{
	struct buf **link = bucket_of(s, b->pub.block);

	while (*link != b)
		link = &(*link)->hash_next;
	*link = b->hash_next;
}

/* The oldest idle buffer that is not being read, out of table and list. */
static struct buf *reclaim_locked(struct shard *s)
{
	struct buf *b;

	list_for_each_entry(b, &s->idle, idle) {
		if (buf_state(b) == BUF_READING)
			continue;
		list_del(&b->idle);
		unhash_locked(s, b);
		return b;
	}
	return NULL;
}

static void buf_init(struct cache *c, struct buf *b, uint8_t *data)
{
	b->cache = c;
	b->pub.data = data;
	rt_waitqueue_init(&b->wq);
}

/* Every buffer of the shard is held or being read: one more, which stays. */
static struct buf *spill_alloc(struct cache *c)
{
	struct spill *sp = calloc(1, sizeof(*sp));
	uint8_t *data = sp ? rt_dma_alloc(c->block_size) : NULL;

	if (!data) {
		free(sp);
		return NULL;
	}
	buf_init(c, &sp->buf, data);
	sp->next = __atomic_load_n(&c->spills, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&c->spills, &sp->next, sp, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	__atomic_add_fetch(&c->spills_nr, 1, __ATOMIC_RELAXED);
	return &sp->buf;
}

/* A buffer for @block, hashed, in READING, with no reference and on no list. NULL: no memory. */
static struct buf *claim_locked(struct cache *c, struct shard *s, uint64_t block, bool may_spill)
{
	struct buf **bucket = bucket_of(s, block);
	struct buf *b = s->free;

	if (b)
		s->free = b->hash_next;
	else
		b = reclaim_locked(s);
	if (!b && may_spill)
		b = spill_alloc(c);
	if (!b)
		return NULL;
	b->pub.block = block;
	b->pub.verified = 0;
	b->refs = 0;
	b->state = BUF_READING;
	b->hash_next = *bucket;
	*bucket = b;
	return b;
}

static void hold_locked(struct buf *b)
{
	if (b->refs++ == 0)
		list_del(&b->idle);
}

/* ---- the face ----------------------------------------------------------------------------------- */

static int get_held(struct cache *c, uint64_t block, struct buf **out, bool *must_read)
{
	struct shard *s = shard_of(c, block);
	struct buf *b;

	rt_mutex_lock(&s->lock);
	b = find_locked(s, block);
	*must_read = !b;
	if (b) {
		hold_locked(b);
		if (buf_state(b) == BUF_FAILED) { /* try again */
			b->state = BUF_READING;
			*must_read = true;
		}
	} else {
		b = claim_locked(c, s, block, true);
		if (b)
			b->refs = 1;
	}
	rt_mutex_unlock(&s->lock);
	*out = b;
	return b ? 0 : -ENOMEM;
}

int cache_get(struct cache *c, uint64_t block, struct cache_buf **out)
{
	struct counters *n = counters_here(c);
	struct buf *b;
	bool must_read;
	int err;

	if (block >= c->blocks_nr)
		return -EUCLEAN;
	err = get_held(c, block, &b, &must_read);
	if (err)
		return err;
	count(must_read ? &n->misses : &n->hits);
	if (must_read)
		buf_read_start(b, 0);
	if (!buf_is_settled(b))
		rt_wait_event(&b->wq, buf_is_settled, b, "metadata block");
	if (unlikely(buf_state(b) == BUF_FAILED)) {
		err = b->err;
		cache_put(c, &b->pub);
		return err;
	}
	*out = &b->pub;
	return 0;
}

void cache_put(struct cache *c, struct cache_buf *pub)
{
	struct buf *b = to_buf(pub);
	struct shard *s = shard_of(c, pub->block);

	rt_mutex_lock(&s->lock);
	blkfs_assert(b->refs > 0);
	if (--b->refs == 0)
		list_add_tail(&b->idle, &s->idle);
	rt_mutex_unlock(&s->lock);
}

/* NULL: it is there, or there is no room. */
static struct buf *claim_for_readahead(struct cache *c, uint64_t block)
{
	struct shard *s = shard_of(c, block);
	struct buf *b = NULL;

	rt_mutex_lock(&s->lock);
	if (!find_locked(s, block))
		b = claim_locked(c, s, block, false);
	if (b)
		list_add_tail(&b->idle, &s->idle);
	rt_mutex_unlock(&s->lock);
	return b;
}

void cache_readahead(struct cache *c, uint64_t block, uint32_t nr)
{
	struct blk_plug plug;
	uint64_t end = min(block + nr, c->blocks_nr);

	blk_start_plug(&plug);
	for (; block < end; block++) {
		struct buf *b = claim_for_readahead(c, block);

		if (!b)
			continue;
		count(&counters_here(c)->readahead);
		buf_read_start(b, REQ_RAHEAD);
	}
	blk_finish_plug(&plug);
}

bool cache_holds(struct cache *c, uint64_t block)
{
	struct shard *s = shard_of(c, block);
	bool is_there;

	rt_mutex_lock(&s->lock);
	is_there = find_locked(s, block) != NULL;
	rt_mutex_unlock(&s->lock);
	return is_there;
}

void cache_drop(struct cache *c)
{
	for (unsigned int i = 0; i < c->shards_nr; i++) {
		struct shard *s = &c->shards[i];
		struct buf *b;

		rt_mutex_lock(&s->lock);
		while ((b = reclaim_locked(s)) != NULL) {
			b->hash_next = s->free;
			s->free = b;
		}
		rt_mutex_unlock(&s->lock);
	}
}

int cache_overlay_add(struct cache *c, uint64_t block, uint64_t source, bool is_escaped)
{
	return overlay_add(&c->overlay, block, source, is_escaped);
}

uint32_t cache_overlay_clear_run(const struct cache *c, uint64_t block, uint32_t nr)
{
	uint32_t i = 0;

	if (likely(c->overlay.nr == 0))
		return nr;
	while (i < nr && !overlay_find(&c->overlay, block + i))
		i++;
	return i;
}

uint64_t cache_overlay_nr(const struct cache *c)
{
	return c->overlay.nr;
}

void cache_stats_read(const struct cache *c, struct cache_stats *out)
{
	*out = (struct cache_stats){ .blocks = c->bufs_nr };
	out->spilled = __atomic_load_n(&c->spills_nr, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < RT_REACTORS_MAX; i++) {
		out->hits += READ_ONCE(c->counters[i].hits);
		out->misses += READ_ONCE(c->counters[i].misses);
		out->readahead += READ_ONCE(c->counters[i].readahead);
	}
}

void cache_dump(const struct cache *c, struct strbuf *out)
{
	struct cache_stats st;

	cache_stats_read(c, &st);
	strbuf_printf(out, "block_size %u blocks %llu shards %u hits %llu misses %llu ",
		      c->block_size, (unsigned long long)st.blocks, c->shards_nr,
		      (unsigned long long)st.hits, (unsigned long long)st.misses);
	strbuf_printf(out, "readahead %llu spilled %llu overlay %llu inflight %u\n",
		      (unsigned long long)st.readahead, (unsigned long long)st.spilled,
		      (unsigned long long)c->overlay.nr,
		      __atomic_load_n(&c->inflight, __ATOMIC_RELAXED));
}

/* ---- life ----------------------------------------------------------------------------------------- */

static int shard_init(struct cache *c, struct shard *s, struct buf *bufs, size_t nr)
{
	rt_mutex_init(&s->lock, &shard_lock_class);
	INIT_LIST_HEAD(&s->idle);
	s->table_bits = ilog2(roundup_pow_of_two(nr)) + 1;
	s->table = calloc((size_t)1 << s->table_bits, sizeof(*s->table));
	if (!s->table)
		return -ENOMEM;
	for (size_t i = nr; i-- > 0;) {
		bufs[i].hash_next = s->free;
		s->free = &bufs[i];
	}
	return 0;
}

static void cache_free(struct cache *c)
{
	while (c->spills) {
		struct spill *sp = c->spills;

		c->spills = sp->next;
		rt_dma_free(sp->buf.pub.data, c->block_size);
		free(sp);
	}
	for (unsigned int i = 0; i < c->shards_nr; i++)
		free(c->shards[i].table);
	if (c->region)
		rt_dma_free(c->region, c->region_bytes);
	free(c->bufs);
	overlay_fini(&c->overlay);
	free(c);
}

static int check_config(const struct cache_config *cfg)
{
	uint32_t lbs = bdev_limits(cfg->bdev)->logical_block_size;

	if (is_power_of_2(cfg->block_size) && cfg->block_size >= lbs)
		return 0;
	log_err("%s: cannot read blocks of %u bytes: the device reads multiples of %u; copy the file "
		"system to a device with smaller sectors, or make it with a larger block size",
		bdev_name(cfg->bdev), cfg->block_size, lbs);
	return -EINVAL;
}

static int alloc_buffers(struct cache *c)
{
	size_t per_shard = c->bufs_nr / c->shards_nr;

	c->region_bytes = c->bufs_nr * c->block_size;
	c->region = rt_dma_alloc(c->region_bytes);
	c->bufs = calloc(c->bufs_nr, sizeof(*c->bufs));
	if (!c->region || !c->bufs)
		return -ENOMEM;
	for (size_t i = 0; i < c->bufs_nr; i++)
		buf_init(c, &c->bufs[i], c->region + i * c->block_size);
	for (unsigned int i = 0; i < c->shards_nr; i++) {
		int err = shard_init(c, &c->shards[i], &c->bufs[i * per_shard], per_shard);

		if (err)
			return err;
	}
	return 0;
}

int cache_create(const struct cache_config *cfg, struct cache **out)
{
	uint64_t bufs_nr = max_t(uint64_t, cfg->cap_bytes / cfg->block_size, SHARD_BUFS_MIN);
	struct cache *c;
	int err = check_config(cfg);

	if (err)
		return err;
	c = aligned_alloc(BLKFS_CACHELINE, round_up(sizeof(*c), BLKFS_CACHELINE));
	if (!c)
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	c->bdev = cfg->bdev;
	c->block_size = cfg->block_size;
	c->blocks_nr = cfg->blocks_nr;
	c->shards_nr = min_t(unsigned int, 1U << ilog2(bufs_nr / SHARD_BUFS_MIN), SHARDS_MAX);
	c->bufs_nr = bufs_nr - bufs_nr % c->shards_nr;
	err = alloc_buffers(c);
	if (err) {
		log_err("%s: no memory for a metadata cache of %llu bytes: give a smaller cache=",
			bdev_name(cfg->bdev), (unsigned long long)cfg->cap_bytes);
		cache_free(c);
		return err;
	}
	*out = c;
	return 0;
}

static void do_nothing(void *arg)
{
}

void cache_destroy(struct cache *c)
{
	if (!c)
		return;
	while (__atomic_load_n(&c->inflight, __ATOMIC_ACQUIRE))
		rt_sleep_ns(100000);
	/* The last handlers may still stand in buf_read_end(): a call behind them finds them gone. */
	for (unsigned int i = 0; i < rt_reactor_nr(); i++) {
		int err = rt_call_on(i, do_nothing, NULL);

		blkfs_assert(!err);
	}
	cache_free(c);
}
