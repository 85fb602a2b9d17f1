/* SPDX-License-Identifier: MIT */
/*
 * fiber - a stack with a guard page below it, and the switch from one to another.
 *
 * Invariant: a fiber runs on one thread for life. A switch saves what the ABI asks a callee to keep,
 * nothing else: floating point control words and the signal mask are the thread's.
 */
#ifndef BLK_RT_FIBER_H
#define BLK_RT_FIBER_H

#include "base/sanitize.h"

struct fiber {
	void *sp; /* saved stack pointer while it does not run */
	void *map;
	size_t map_bytes; /* guard page included */
	struct san_stack san;
};

/*
 * fiber_create - a stack of @stack_bytes on which @entry(@arg) starts at the first switch.
 *
 * @entry never returns. Fails: -ENOMEM.
 */
int __must_check fiber_create(struct fiber *f, size_t stack_bytes, void (*entry)(void *arg),
			      void *arg);
void fiber_destroy(struct fiber *f);

/* fiber_keep_stacks - from now on this thread keeps some stacks of destroyed fibers for new ones. */
void fiber_keep_stacks(void);

/* In switch_<arch>.S. */
void fiber_switch_stack(void **save_sp, void *load_sp);
void fiber_start(void);

/* fiber_adopt - @f stands for the calling thread's own stack; nothing to destroy. */
static inline void fiber_adopt(struct fiber *f)
{
	f->map = NULL;
	san_stack_adopt(&f->san);
}

/* fiber_entered - the first thing an entry function does; @from switched to it. */
static inline void fiber_entered(struct fiber *self, struct fiber *from)
{
	san_switch_finish(&self->san, &from->san);
}

/* Returns when something switches back to @from. */
static inline void fiber_switch(struct fiber *from, struct fiber *to)
{
	san_switch_start(&from->san, &to->san);
	fiber_switch_stack(&from->sp, to->sp);
	san_switch_finish(&from->san, NULL);
}

#endif
