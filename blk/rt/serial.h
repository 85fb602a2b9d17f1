/* SPDX-License-Identifier: MIT */
/*
 * serial.h - the one mechanism under mutex, rwsem, completion and wait queue.
 *
 * A state word holds a value (what is taken, or how many tokens there are) and three flags. What a
 * lone caller wants is one compare-and-swap of that word. Who must wait pushes a node; whoever then
 * finds no server becomes the server, admits waiters in the order of their arrival, and leaves.
 * Anybody else only leaves a mark in the word, which the server cannot miss, and goes on: nobody
 * waits for a server. Invariants S1-S4 are at the top of serial.c.
 */
#ifndef BLK_RT_SERIAL_H
#define BLK_RT_SERIAL_H

#include "blkfs/rt.h"

enum serial_kind {
	SERIAL_LOCK, /* value: readers, or SERIAL_TOP for a writer */
	SERIAL_TOKEN, /* value: tokens, each admits one and stays until taken; SERIAL_TOP: all, always */
	SERIAL_EVENT, /* the same, but what no waiter takes is void */
};

#define SERIAL_TOP 0x80000000u

enum serial_verdict {
	SERIAL_PENDING,
	SERIAL_ADMITTED,
	SERIAL_LEFT, /* by serial_leave() */
};

struct rt_waiter {
	struct rt_waiter *next; /* in arrivals, then in the server's list of verdicts */
	struct list_head node;	/* [server] in the queue */
	struct task *task;
	uint64_t ticket; /* [server] order of arrival; 0: none yet */
	bool is_reader;
	bool is_leaving;	     /* [atomic] */
	enum serial_verdict decided; /* [server] */
	unsigned int verdict;	     /* [atomic] what was decided; once set the node is dead */
};

void serial_init(struct rt_serial *s);
void serial_waiter_init(struct rt_waiter *w);

/* Take (a lock or a token) without waiting; false when that would overtake or is impossible. */
bool serial_try(struct rt_serial *s, enum serial_kind kind, bool is_reader);

/* Queue @w, for the current task; serial_wait() is then due, or serial_leave() and serial_wait(). */
void serial_enter(struct rt_serial *s, enum serial_kind kind, struct rt_waiter *w);

/* Ask to be taken off the queue; serial_wait() says which came first. */
void serial_leave(struct rt_serial *s, enum serial_kind kind, struct rt_waiter *w);

/* Sleep until the verdict. Context: task. */
enum serial_verdict serial_wait(struct rt_waiter *w, const char *on);

static inline bool serial_is_pending(struct rt_waiter *w)
{
	return __atomic_load_n(&w->verdict, __ATOMIC_ACQUIRE) == SERIAL_PENDING;
}

/* Give @s back, or @nr tokens to it (SERIAL_TOP: all). Task or handler; does not sleep. */
void serial_release(struct rt_serial *s, bool is_reader);
void serial_put(struct rt_serial *s, enum serial_kind kind, uint32_t nr);

#endif
