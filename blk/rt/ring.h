/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the ring back end's own: one io_uring, one thread and one door a reactor.
 *
 * Invariant: user_data is a pointer to a struct rt_io, or a tag of enum ring_tag (small numbers, in
 * the low bits; the target of a wake-up above them).
 */
#ifndef BLK_RT_RING_H
#define BLK_RT_RING_H

#include <liburing.h>
#include <pthread.h>

#include "backend.h"

enum ring_tag {
	RING_TAG_IGNORE = 1, /* a cancel's or a wake-up's own completion */
	RING_TAG_DOOR = 3,
	RING_TAG_WAKE = 5, /* a wake-up of ours failed: target << RING_TAG_SHIFT */
	RING_TAG_BITS = 7,
	RING_TAG_SHIFT = 8,
};

struct ring {
	struct reactor *r;
	struct io_uring uring;
	pthread_t thread;
	struct list_head done;	  /* struct rt_io done in place, their done() is due */
	struct list_head backlog; /* struct rt_io that found no submission entry */
	struct list_head cancels; /* struct rt_io in the kernel whose cancel found none */
	struct rt_msg *own_head;  /* messages to itself, oldest first */
	struct rt_msg **own_tail;
	unsigned int inflight_nr; /* operations that end by themselves: not commands and polls */
	int door_fd;		  /* eventfd: foreign threads knock here */
	uint64_t door_count;
	bool is_door_armed;
	uint64_t spin_max_ns;
	uint64_t spin_ns;  /* how long it spins now: adapts up to spin_max_ns */
	uint64_t event_ns; /* its last event */
};

static inline struct ring *to_ring(struct reactor *r)
{
	return r->backend;
}

/* io.c */
void ring_io_submit(struct reactor *self, struct rt_io *io);
void ring_io_cancel(struct reactor *self, struct rt_io *io);
/* Calls done of what was finished in place; true when there was any. */
bool ring_io_run_done(struct ring *g);
/* Gives entries to what waits for them. */
void ring_io_run_backlog(struct ring *g);
/* A completion that belongs to a struct rt_io. */
void ring_io_complete(struct ring *g, const struct io_uring_cqe *cqe);
/* NULL: the queue is full and the kernel takes nothing now. */
struct io_uring_sqe *ring_sqe_get(struct ring *g);

/* offload.c */
int __must_check offload_init(unsigned int threads_nr);
void offload_fini(void);
void offload_queue(struct rt_offload *o);

#endif
