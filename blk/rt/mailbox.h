/* SPDX-License-Identifier: MIT */
/*
 * mailbox - messages of many senders to one reactor, without locks.
 *
 * Invariants: 1. Senders push on a stack with one compare-and-swap; the owner takes all of it with
 *                one exchange and reverses it, so messages of one sender keep their order.
 *             2. The owner sets @is_asleep, then looks for mail, then sleeps; a sender pushes, then
 *                looks at @is_asleep. All four are sequentially consistent: one of them sees the
 *                other. The sender that clears @is_asleep does the waking, nobody else.
 */
#ifndef BLK_RT_MAILBOX_H
#define BLK_RT_MAILBOX_H

#include "base/compiler.h"
#include "blkfs/rt.h"

struct mailbox {
	struct rt_msg *newest;	/* [atomic] */
	unsigned int is_asleep; /* [atomic] */
};

static inline void mailbox_init(struct mailbox *mb)
{
	mb->newest = NULL;
	mb->is_asleep = 0;
}

/* mailbox_push - any thread. True: the owner sleeps and the caller has to wake it. */
static inline bool __must_check mailbox_push(struct mailbox *mb, struct rt_msg *m)
{
	struct rt_msg *newest = __atomic_load_n(&mb->newest, __ATOMIC_RELAXED);

	do {
		m->next = newest;
	} while (!__atomic_compare_exchange_n(&mb->newest, &newest, m, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return __atomic_load_n(&mb->is_asleep, __ATOMIC_SEQ_CST) &&
	       __atomic_exchange_n(&mb->is_asleep, 0, __ATOMIC_SEQ_CST);
}

static inline bool mailbox_is_empty(const struct mailbox *mb)
{
	return __atomic_load_n(&mb->newest, __ATOMIC_SEQ_CST) == NULL;
}

/* mailbox_take - the owner takes all that has come, oldest first. */
static inline struct rt_msg *mailbox_take(struct mailbox *mb)
{
	struct rt_msg *oldest = NULL;
	struct rt_msg *m;

	if (READ_ONCE(mb->newest) == NULL)
		return NULL;
	m = __atomic_exchange_n(&mb->newest, NULL, __ATOMIC_ACQUIRE);
	while (m) {
		struct rt_msg *next = m->next;

		m->next = oldest;
		oldest = m;
		m = next;
	}
	return oldest;
}

/* mailbox_sleep - the owner announces its sleep. False: there is mail, do not sleep. */
static inline bool __must_check mailbox_sleep(struct mailbox *mb)
{
	__atomic_store_n(&mb->is_asleep, 1, __ATOMIC_SEQ_CST);
	if (mailbox_is_empty(mb))
		return true;
	__atomic_store_n(&mb->is_asleep, 0, __ATOMIC_RELAXED);
	return false;
}

static inline void mailbox_awake(struct mailbox *mb)
{
	__atomic_store_n(&mb->is_asleep, 0, __ATOMIC_RELAXED);
}

#endif
