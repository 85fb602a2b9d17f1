/* SPDX-License-Identifier: MIT */
/*
 * icache.c - inodes in memory by number: one object each while anybody refers to it, and the
 * recently used ones a while longer.
 *
 * A lookup of the front holds nothing: its number leads back to the inode, so what the kernel
 * remembers costs no memory here.
 *
 * Invariants: 1. An inode number is in its shard's table at most once.
 *             2. On the idle list (oldest first) are the inodes with refs == 0; at most IDLE_MAX.
 *             3. Nothing is read with the shard's lock held: two tasks may load the same inode, the
 *                second throws its copy away.
 * Locks:      shard->lock, a leaf.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"

#include "blkfs/lock_order.h"

#include "fs/ext4/inode.h"

enum { SHARDS_NR = 64, BUCKET_BITS = 8, IDLE_MAX = 64 };

struct ishard {
	struct rt_mutex lock;
	struct ext4_inode *table[1 << BUCKET_BITS];
	struct list_head idle;
	unsigned int idle_nr;
	uint64_t nr; /* [atomic] read by anybody */
} __cacheline_aligned;

struct icache {
	struct ishard shards[SHARDS_NR];
};

static const struct rt_lock_class ishard_lock_class = { "inode table", LOCK_RANK_LEAF };
static const struct rt_lock_class map_lock_class = { "inode map", LOCK_RANK_INODE_MAP };

static struct ishard *shard_of(struct icache *ic, uint32_t ino)
{
	return &ic->shards[hash_u64(ino) % SHARDS_NR];
}

static struct ext4_inode **bucket_of(struct ishard *s, uint32_t ino)
{
	return &s->table[hash_bits(ino, BUCKET_BITS)];
}

int ext4_icache_create(struct icache **out)
{
	struct icache *ic = aligned_alloc(BLKFS_CACHELINE, sizeof(*ic));

	if (!ic)
		return -ENOMEM;
	memset(ic, 0, sizeof(*ic));
	for (int i = 0; i < SHARDS_NR; i++) {
		rt_mutex_init(&ic->shards[i].lock, &ishard_lock_class);
		INIT_LIST_HEAD(&ic->shards[i].idle);
	}
	*out = ic;
	return 0;
}

static void inode_free(struct ext4_fs *fs, struct ext4_inode *inode)
{
	ext4_inode_fini(fs, inode);
	free(inode);
}

/* Whatever a lost RELEASE left ends here. */
void ext4_icache_destroy(struct ext4_fs *fs)
{
	for (int i = 0; fs->icache && i < SHARDS_NR; i++) {
		struct ishard *s = &fs->icache->shards[i];

		for (int b = 0; b < 1 << BUCKET_BITS; b++) {
			while (s->table[b]) {
				struct ext4_inode *inode = s->table[b];

				s->table[b] = inode->hash_next;
				inode_free(fs, inode);
			}
		}
	}
	free(fs->icache);
	fs->icache = NULL;
}

static struct ext4_inode *find_locked(struct ishard *s, uint32_t ino)
{
	struct ext4_inode *inode = *bucket_of(s, ino);

	while (inode && inode->ino != ino)
		inode = inode->hash_next;
	return inode;
}

static void hold_locked(struct ishard *s, struct ext4_inode *inode)
{
	if (inode->refs++ == 0) {
		list_del(&inode->idle);
		s->idle_nr--;
	}
}

static void remove_locked(struct ishard *s, struct ext4_inode *inode)
{
	struct ext4_inode **link = bucket_of(s, inode->ino);

	while (*link != inode)
		link = &(*link)->hash_next;
	*link = inode->hash_next;
	list_del(&inode->idle);
	s->idle_nr--;
	WRITE_ONCE(s->nr, s->nr - 1);
}

/* Drops a reference. Returns an inode that the caller frees without the lock, or NULL. */
static struct ext4_inode *drop_locked(struct ishard *s, struct ext4_inode *inode)
{
	struct ext4_inode *oldest;

	blkfs_assert(inode->refs > 0);
	if (--inode->refs)
		return NULL;
	list_add_tail(&inode->idle, &s->idle);
	if (++s->idle_nr <= IDLE_MAX)
		return NULL;
	oldest = list_first_entry(&s->idle, struct ext4_inode, idle);
	remove_locked(s, oldest);
	return oldest;
}

static struct ext4_inode *find_and_hold(struct ishard *s, uint32_t ino)
{
	struct ext4_inode *inode;

	rt_mutex_lock(&s->lock);
	inode = find_locked(s, ino);
	if (inode)
		hold_locked(s, inode);
	rt_mutex_unlock(&s->lock);
	return inode;
}

/* Owns: @loaded, which goes into the table, or is freed when another was quicker. */
static struct ext4_inode *insert_or_hold(struct ext4_fs *fs, struct ishard *s,
					 struct ext4_inode *loaded)
{
	struct ext4_inode **bucket = bucket_of(s, loaded->ino);
	struct ext4_inode *inode;

	rt_mutex_lock(&s->lock);
	inode = find_locked(s, loaded->ino);
	if (inode) {
		hold_locked(s, inode);
	} else {
		loaded->refs = 1;
		loaded->hash_next = *bucket;
		*bucket = loaded;
		WRITE_ONCE(s->nr, s->nr + 1);
	}
	rt_mutex_unlock(&s->lock);
	if (!inode)
		return loaded;
	inode_free(fs, loaded);
	return inode;
}

/* Reserved inodes have no names, but the root. */
static bool is_number_good(const struct ext4_fs *fs, uint32_t ino, bool may_be_special)
{
	if (ino == EXT2_ROOT_INO)
		return true;
	return ino <= fs->sb.inodes_nr &&
	       ino >= (may_be_special ? EXT2_ROOT_INO : fs->sb.first_ino);
}

int ext4_iget(struct ext4_fs *fs, uint32_t ino, bool may_be_special, struct ext4_inode **out)
{
	struct ishard *s = shard_of(fs->icache, ino);
	struct ext4_inode *inode;
	int err;

	if (!is_number_good(fs, ino, may_be_special))
		return ext4_corrupt(fs, ino, 0, "inode number: expected %" PRIu32 " to %" PRIu32,
				    fs->sb.first_ino, fs->sb.inodes_nr);
	*out = find_and_hold(s, ino);
	if (*out)
		return 0;
	inode = calloc(1, sizeof(*inode));
	if (!inode)
		return -ENOMEM;
	rt_mutex_init(&inode->map_lock, &map_lock_class);
	err = ext4_inode_load(fs, ino, inode);
	if (err) {
		inode_free(fs, inode);
		return err;
	}
	*out = insert_or_hold(fs, s, inode);
	return 0;
}

void ext4_iput(struct ext4_fs *fs, struct ext4_inode *inode)
{
	struct ishard *s = shard_of(fs->icache, inode->ino);
	struct ext4_inode *victim;

	rt_mutex_lock(&s->lock);
	victim = drop_locked(s, inode);
	rt_mutex_unlock(&s->lock);
	if (victim)
		inode_free(fs, victim);
}

uint64_t ext4_icache_nr(const struct icache *ic)
{
	uint64_t nr = 0;

	for (int i = 0; i < SHARDS_NR; i++)
		nr += READ_ONCE(ic->shards[i].nr);
	return nr;
}
