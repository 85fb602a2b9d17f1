/* SPDX-License-Identifier: MIT */
/*
 * Memory that devices read and write. From HUGE_BYTES on it is aligned to huge pages, so that the
 * advice can be taken.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"
#include "blkfs/rt.h"

enum { HUGE_BYTES = 2 << 20 };

static size_t map_bytes_of(size_t len_bytes)
{
	return round_up(len_bytes, (size_t)sysconf(_SC_PAGESIZE));
}

void *rt_dma_alloc(size_t len_bytes)
{
	size_t map_bytes = map_bytes_of(len_bytes);
	size_t slack_bytes = map_bytes >= HUGE_BYTES ? HUGE_BYTES : 0;
	size_t head_bytes;
	char *map, *p;

	if (len_bytes == 0 || map_bytes + slack_bytes < len_bytes)
		return NULL;
	map = mmap(NULL, map_bytes + slack_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	head_bytes = slack_bytes ? round_up((uintptr_t)map, HUGE_BYTES) - (uintptr_t)map : 0;
	p = map + head_bytes;
	if (head_bytes)
		munmap(map, head_bytes);
	if (slack_bytes - head_bytes)
		munmap(p + map_bytes, slack_bytes - head_bytes);
	/* Advice: a kernel that does not know it leaves small pages, or a copy after fork. */
	(void)madvise(p, map_bytes, MADV_DONTFORK);
	if (slack_bytes)
		(void)madvise(p, map_bytes, MADV_HUGEPAGE);
	return p;
}

void rt_dma_free(void *p, size_t len_bytes)
{
	if (p)
		munmap(p, map_bytes_of(len_bytes));
}
