/* SPDX-License-Identifier: MIT */
/*
 * map.c - from a file's blocks to the device's, without a lock where it matters.
 *
 * Most files have few extents. The first look at a file whose tree does not fit into its inode
 * gathers all of them into a sorted list, which is published once and then only read. Files with
 * more than LIST_MAX extents, or when all lists together reach LISTS_BYTES_MAX, go by the tree.
 *
 * Invariants: 1. A published list is sorted, disjoint and complete, and does not change.
 * Locks:      inode->map_lock while a list is made; fs->extent_bytes is atomic.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ext4/inode.h"

enum { LIST_MAX = 4096, LIST_FIRST = 64, LISTS_BYTES_MAX = 32 << 20 };

struct list {
	struct ext4_extent *e;
	uint32_t nr, room;
};

/* ---- making a list ------------------------------------------------------------------------------- */

static bool continues(const struct ext4_extent *e, const struct ext4_map *m)
{
	return e->lblk + e->len == m->lblk && e->pblk + e->len == m->pblk &&
	       e->is_unwritten == (m->kind == EXT4_MAP_UNWRITTEN) &&
	       (uint64_t)e->len + m->len <= INT32_MAX;
}

/* -E2BIG: it would be longer than a list may be. */
static int list_append(struct list *l, const struct ext4_map *m)
{
	if (l->nr && continues(&l->e[l->nr - 1], m)) {
		l->e[l->nr - 1].len = (l->e[l->nr - 1].len + m->len) & INT32_MAX;
		return 0;
	}
	if (l->nr == LIST_MAX)
		return -E2BIG;
	if (l->nr == l->room) {
		uint32_t room = l->room ? 2 * l->room : LIST_FIRST;
		struct ext4_extent *e = realloc(l->e, room * sizeof(*e));

		if (!e)
			return -ENOMEM;
		l->e = e;
		l->room = room;
	}
	l->e[l->nr++] = (struct ext4_extent){
		.lblk = m->lblk,
		.len = m->len & INT32_MAX,
		.is_unwritten = m->kind == EXT4_MAP_UNWRITTEN,
		.pblk = m->pblk,
	};
	return 0;
}

static int list_gather(struct ext4_fs *fs, struct ext4_inode *inode, struct list *l)
{
	struct ext4_map m;
	int err;

	for (uint32_t lblk = 0; lblk < UINT32_MAX; lblk = m.lblk + m.len) {
		err = ext4_extent_find(fs, inode, lblk, &m);
		if (!err && m.kind != EXT4_MAP_HOLE)
			err = list_append(l, &m);
		if (err)
			return err;
	}
	return 0;
}

static void list_publish(struct ext4_fs *fs, struct ext4_inode *inode, struct list *l)
{
	size_t bytes = l->nr * sizeof(*l->e);
	struct ext4_extent *fit = realloc(l->e, bytes ? bytes : 1);

	l->e = fit ? fit : l->e;
	inode->extents_nr = l->nr;
	__atomic_add_fetch(&fs->extent_bytes, bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&inode->extents, l->e, __ATOMIC_RELEASE);
}

/* Too long, or no memory: remembered, and the tree serves. */
static int list_make_locked(struct ext4_fs *fs, struct ext4_inode *inode)
{
	struct list l = { 0 };
	int err;

	if (inode->extents || inode->is_list_refused)
		return 0;
	WRITE_ONCE(inode->is_list_refused, true);
	if (READ_ONCE(fs->extent_bytes) >= LISTS_BYTES_MAX)
		return 0;
	ext4_extent_readahead(fs, inode);
	err = list_gather(fs, inode, &l);
	if (!err) {
		list_publish(fs, inode, &l);
		return 0;
	}
	free(l.e);
	return err == -E2BIG || err == -ENOMEM ? 0 : err;
}

static int list_make(struct ext4_fs *fs, struct ext4_inode *inode)
{
	int err;

	rt_mutex_lock(&inode->map_lock);
	err = list_make_locked(fs, inode);
	/* A tree with a bad node somewhere still gives the blocks of its good ones. */
	if (err == -EUCLEAN || err == -EIO)
		err = 0;
	rt_mutex_unlock(&inode->map_lock);
	return err;
}

/* ---- looking up ----------------------------------------------------------------------------------- */

static void list_find(const struct ext4_extent *e, uint32_t nr, uint32_t lblk, struct ext4_map *out)
{
	uint32_t lo = 0, hi = nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (e[mid].lblk <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	*out = (struct ext4_map){ .lblk = lblk, .kind = EXT4_MAP_HOLE };
	out->len = (lo < nr ? e[lo].lblk : UINT32_MAX) - lblk;
	if (lo > 0 && lblk - e[lo - 1].lblk < e[lo - 1].len) {
		const struct ext4_extent *at = &e[lo - 1];

		out->kind = at->is_unwritten ? EXT4_MAP_UNWRITTEN : EXT4_MAP_DATA;
		out->pblk = at->pblk + (lblk - at->lblk);
		out->len = at->len - (lblk - at->lblk);
	}
}

static int find(struct ext4_fs *fs, struct ext4_inode *inode, uint32_t lblk, uint32_t max_len,
		struct ext4_map *out)
{
	const struct ext4_extent *e = __atomic_load_n(&inode->extents, __ATOMIC_ACQUIRE);
	int err;

	if (unlikely(!e && !ext4_inode_has(inode, EXT4_EXTENTS_FL)))
		return ext4_indirect_find(fs, inode, lblk, max_len, out);
	if (unlikely(!e && !READ_ONCE(inode->is_list_refused))) {
		err = list_make(fs, inode);
		if (err)
			return err;
		e = __atomic_load_n(&inode->extents, __ATOMIC_ACQUIRE);
	}
	if (unlikely(!e))
		return ext4_extent_find(fs, inode, lblk, out);
	list_find(e, inode->extents_nr, lblk, out);
	return 0;
}

int ext4_map_blocks(struct ext4_fs *fs, struct ext4_inode *inode, uint32_t lblk, uint32_t max_len,
		    struct ext4_map *out)
{
	int err = find(fs, inode, lblk, max_len, out);

	if (!err && out->len > max_len)
		out->len = max_len;
	return err;
}
