/* SPDX-License-Identifier: MIT */
/*
 * What the sanitizers and valgrind must be told about stacks that are not a thread's own.
 *
 * A switch is: san_switch_start() on the old stack, the switch, san_switch_finish() on the new one.
 * In a build without sanitizers all of this is empty but the valgrind request at creation.
 */
#ifndef BASE_SANITIZE_H
#define BASE_SANITIZE_H

#include "base/compiler.h"

#if BLKFS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if BLKFS_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

/* Frames are larger in sanitizer builds: what a stack size is multiplied by. */
#if BLKFS_ASAN
#define SAN_STACK_FACTOR 4
#elif BLKFS_TSAN
#define SAN_STACK_FACTOR 2
#else
#define SAN_STACK_FACTOR 1
#endif

/* The stacks a process may have in all; ThreadSanitizer keeps 8128 contexts, threads included. */
#define SAN_STACKS_MAX (BLKFS_TSAN ? 8000 : 1 << 24)

struct san_stack {
	const void *bottom; /* lowest byte; NULL: a thread's own stack, not seen from outside yet */
	size_t size_bytes;
	void *fake_stack;
	void *fiber;
	unsigned int valgrind_id;
};

/* san_stack_adopt - @s stands for the calling thread's own stack. */
static inline void san_stack_adopt(struct san_stack *s)
{
	*s = (struct san_stack){ 0 };
#if BLKFS_TSAN
	s->fiber = __tsan_get_current_fiber();
#endif
}

static inline void san_stack_create(struct san_stack *s, void *bottom, size_t size_bytes)
{
	*s = (struct san_stack){ .bottom = bottom, .size_bytes = size_bytes };
#if BLKFS_ASAN
	__lsan_register_root_region(bottom, size_bytes);
#endif
#if BLKFS_TSAN
	s->fiber = __tsan_create_fiber(0);
#endif
#ifdef VALGRIND_STACK_REGISTER
	s->valgrind_id = VALGRIND_STACK_REGISTER(bottom, (char *)bottom + size_bytes);
#endif
}

static inline void san_stack_destroy(struct san_stack *s)
{
#if BLKFS_ASAN
	__lsan_unregister_root_region(s->bottom, s->size_bytes);
	__asan_unpoison_memory_region(s->bottom, s->size_bytes);
#endif
#if BLKFS_TSAN
	__tsan_destroy_fiber(s->fiber);
#endif
#ifdef VALGRIND_STACK_DEREGISTER
	VALGRIND_STACK_DEREGISTER(s->valgrind_id);
#endif
}

static inline void san_switch_start(struct san_stack *from, struct san_stack *to)
{
#if BLKFS_ASAN
	__sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size_bytes);
#endif
#if BLKFS_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* san_switch_finish - @self runs again. @prev, when given, learns the bounds of its stack. */
static inline void san_switch_finish(struct san_stack *self, struct san_stack *prev)
{
#if BLKFS_ASAN
	const void *bottom;
	size_t size_bytes;

	__sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size_bytes);
	if (prev) {
		prev->bottom = bottom;
		prev->size_bytes = size_bytes;
	}
#endif
}

/*
 * san_release, san_acquire - a hand-over that ThreadSanitizer cannot see (through the kernel): what
 * was done before the release of @addr happened before what follows its acquire.
 */
static inline void san_release(void *addr)
{
#if BLKFS_TSAN
	__tsan_release(addr);
#endif
}

static inline void san_acquire(void *addr)
{
#if BLKFS_TSAN
	__tsan_acquire(addr);
#endif
}

#endif
