/* SPDX-License-Identifier: MIT */
/*
 * bounce.c - a few buffers for each reactor, for reads that do not start or end on a sector.
 *
 * Invariants: 1. A task holds one buffer at most, so whoever waits will get one.
 *             2. A reactor's list is touched by its own tasks only, which do not sleep meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blkfs/rt.h"

#include "fs/ext4/file.h"

enum { BUFFERS_NR = 4 };

struct bounce_reactor {
	void *free[BUFFERS_NR]; /* [reactor] */
	unsigned int free_nr;	/* [reactor] */
	struct rt_waitqueue wq;
};

struct bounce_pool {
	uint8_t *region; /* resident when used */
	size_t region_bytes;
	unsigned int reactors_nr;
	struct bounce_reactor reactors[];
};

int bounce_pool_create(struct bounce_pool **out)
{
	unsigned int nr = rt_reactor_nr();
	struct bounce_pool *p = calloc(1, sizeof(*p) + nr * sizeof(p->reactors[0]));

	if (!p)
		return -ENOMEM;
	p->reactors_nr = nr;
	p->region_bytes = (size_t)nr * BUFFERS_NR * BOUNCE_BYTES;
	p->region = rt_dma_alloc(p->region_bytes);
	if (!p->region) {
		free(p);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < nr * BUFFERS_NR; i++) {
		struct bounce_reactor *r = &p->reactors[i / BUFFERS_NR];

		if (i % BUFFERS_NR == 0)
			rt_waitqueue_init(&r->wq);
		r->free[r->free_nr++] = p->region + (size_t)i * BOUNCE_BYTES;
	}
	*out = p;
	return 0;
}

void bounce_pool_destroy(struct bounce_pool *p)
{
	if (!p)
		return;
	rt_dma_free(p->region, p->region_bytes);
	free(p);
}

static bool has_free(void *arg)
{
	return ((struct bounce_reactor *)arg)->free_nr > 0;
}

void *bounce_get(struct bounce_pool *p)
{
	struct bounce_reactor *r = &p->reactors[rt_reactor_id()];

	while (!r->free_nr)
		rt_wait_event(&r->wq, has_free, r, "bounce buffer");
	return r->free[--r->free_nr];
}

void bounce_put(struct bounce_pool *p, void *buf)
{
	struct bounce_reactor *r = &p->reactors[rt_reactor_id()];

	r->free[r->free_nr++] = buf;
	rt_waitqueue_wake_one(&r->wq);
}
