/* SPDX-License-Identifier: MIT */
/*
 * Timers of a reactor: a binary heap of pointers to the callers' timers.
 *
 * Invariants: 1. slots[t->heap_idx] == t for every armed timer; heap_idx 0 is "not armed".
 *             2. No parent expires after its children.
 *             3. Arming cannot fail: the slots are reserved address space, resident where used.
 */
#include <errno.h>
#include <sys/mman.h>

#include "backend.h"

enum { TIMERS_MAX = 1 << 20 };

static const size_t map_bytes = (TIMERS_MAX + 1) * sizeof(struct rt_timer *);

int timer_heap_init(struct timer_heap *h)
{
	void *map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return -ENOMEM;
	h->slots = map;
	h->timers_nr = 0;
	return 0;
}

void timer_heap_fini(struct timer_heap *h)
{
	munmap(h->slots, map_bytes);
}

static void slot_set(struct timer_heap *h, unsigned int idx, struct rt_timer *t)
{
	h->slots[idx] = t;
	t->heap_idx = idx;
}

static void sift_up(struct timer_heap *h, unsigned int idx, struct rt_timer *t)
{
	while (idx > 1 && h->slots[idx / 2]->expires_ns > t->expires_ns) {
		slot_set(h, idx, h->slots[idx / 2]);
		idx /= 2;
	}
	slot_set(h, idx, t);
}

static void sift_down(struct timer_heap *h, unsigned int idx, struct rt_timer *t)
{
	for (;;) {
		unsigned int child = idx * 2;

		if (child > h->timers_nr)
			break;
		if (child < h->timers_nr &&
		    h->slots[child + 1]->expires_ns < h->slots[child]->expires_ns)
			child++;
		if (h->slots[child]->expires_ns >= t->expires_ns)
			break;
		slot_set(h, idx, h->slots[child]);
		idx = child;
	}
	slot_set(h, idx, t);
}

static void heap_remove(struct timer_heap *h, struct rt_timer *t)
{
	unsigned int idx = t->heap_idx;
	struct rt_timer *last = h->slots[h->timers_nr--];

	t->heap_idx = 0;
	if (last == t)
		return;
	if (idx > 1 && h->slots[idx / 2]->expires_ns > last->expires_ns)
		sift_up(h, idx, last);
	else
		sift_down(h, idx, last);
}

struct rt_timer *timer_heap_pop(struct timer_heap *h, uint64_t now_ns)
{
	struct rt_timer *t;

	if (timer_heap_next_ns(h) > now_ns)
		return NULL;
	if (h->timers_nr == 0)
		return NULL;
	t = h->slots[1];
	heap_remove(h, t);
	return t;
}

void rt_timer_init(struct rt_timer *t, void (*fn)(struct rt_timer *t))
{
	*t = (struct rt_timer){ .fn = fn, .reactor = RT_NO_REACTOR };
}

void rt_timer_arm(struct rt_timer *t, uint64_t expires_ns)
{
	struct reactor *r = rt_self;

	if (rt_timer_is_armed(t)) {
		blkfs_assert(t->reactor == r->id);
		heap_remove(&r->timers, t);
	}
	blkfs_assert(r->timers.timers_nr < TIMERS_MAX);
	t->reactor = r->id;
	t->expires_ns = expires_ns;
	sift_up(&r->timers, ++r->timers.timers_nr, t);
}

bool rt_timer_cancel(struct rt_timer *t)
{
	if (!rt_timer_is_armed(t))
		return false;
	blkfs_assert(t->reactor == rt_self->id);
	heap_remove(&rt_self->timers, t);
	return true;
}
