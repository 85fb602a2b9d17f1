/* SPDX-License-Identifier: MIT */
/*
 * Stacks: mapped, guarded, touched only where used.
 *
 * The tops of stacks are staggered: all of them on one page offset would fight for the same few
 * cache sets.
 */
#include "fiber.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"

enum {
	STAGGER_STEPS = 16, /* cache lines a stack's top moves down, in turn */
	STACK_ALIGN = 16,
	KEPT_MAX = 128,
};

#if defined(__x86_64__)
enum { FRAME_WORDS = 7, FRAME_ENTRY = 2, FRAME_ARG = 3, FRAME_PC = 6 };
#elif defined(__aarch64__)
enum { FRAME_WORDS = 20, FRAME_ENTRY = 0, FRAME_ARG = 1, FRAME_PC = 11 };
#else
#error "blk/rt/switch_<arch>.S exists for x86_64 and aarch64 only"
#endif

static unsigned int stagger_next; /* [atomic] */

/* Mappings with their guard page, for the next fibers of this thread. */
static __thread struct {
	unsigned int max; /* 0: keep none */
	unsigned int nr;
	struct {
		void *map;
		size_t map_bytes;
	} maps[KEPT_MAX];
} kept;

/* The frame that fiber_switch_stack() pops: fiber_start() finds entry and argument in registers. */
static void *frame_build(char *top, void (*entry)(void *arg), void *arg)
{
	void **frame = (void **)(void *)top - FRAME_WORDS;

	memset(frame, 0, FRAME_WORDS * sizeof(*frame));
	frame[FRAME_ENTRY] = (void *)(uintptr_t)entry;
	frame[FRAME_ARG] = arg;
	frame[FRAME_PC] = (void *)(uintptr_t)fiber_start;
	return frame;
}

void fiber_keep_stacks(void)
{
	kept.max = KEPT_MAX;
}

static void *kept_take(size_t map_bytes)
{
	for (unsigned int i = kept.nr; i-- > 0;) {
		void *map = kept.maps[i].map;

		if (kept.maps[i].map_bytes != map_bytes)
			continue;
		kept.maps[i] = kept.maps[--kept.nr];
		return map;
	}
	return NULL;
}

/* NULL: no memory. */
static void *stack_map(size_t map_bytes, size_t guard_bytes)
{
	void *map = kept_take(map_bytes);

	if (map)
		return map;
	map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	if (mprotect(map, guard_bytes, PROT_NONE) != 0) {
		munmap(map, map_bytes);
		return NULL;
	}
	return map;
}

static void stack_unmap(void *map, size_t map_bytes)
{
	if (kept.nr == kept.max) {
		munmap(map, map_bytes);
		return;
	}
	kept.maps[kept.nr].map = map;
	kept.maps[kept.nr].map_bytes = map_bytes;
	kept.nr++;
}

int fiber_create(struct fiber *f, size_t stack_bytes, void (*entry)(void *arg), void *arg)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t usable_bytes = round_up(stack_bytes, page_bytes);
	unsigned int step = __atomic_fetch_add(&stagger_next, 1, __ATOMIC_RELAXED) % STAGGER_STEPS;
	char *map = stack_map(usable_bytes + page_bytes, page_bytes);

	if (!map)
		return -ENOMEM;
	f->map = map;
	f->map_bytes = usable_bytes + page_bytes;
	f->sp = frame_build(map + f->map_bytes - STACK_ALIGN - (size_t)step * BLKFS_CACHELINE,
			    entry, arg);
	san_stack_create(&f->san, map + page_bytes, usable_bytes);
	return 0;
}

void fiber_destroy(struct fiber *f)
{
	san_stack_destroy(&f->san);
	stack_unmap(f->map, f->map_bytes);
	f->map = NULL;
}
