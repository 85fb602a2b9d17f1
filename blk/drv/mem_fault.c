/* SPDX-License-Identifier: MIT */
/*
 * The faults of a mem disk.
 *
 * Invariants: 1. A fault is not changed while a reactor may look at it: it is written before nr
 *                counts it, and nr is 0 and every reactor has passed a step before it is reused.
 * Locks:      none. seen_nr is counted atomically, so that `nth` is exact with many reactors; which
 *             request is the nth is then their race.
 */
#include "mem_fault.h"

#include <errno.h>

#include "base/log.h"

static bool is_matching(const struct mem_fault *f, const struct request *rq)
{
	sector_t end = f->nr_sectors ? f->sector + f->nr_sectors : ~(sector_t)0;

	if (f->op != MEM_FAULT_ANY_OP && f->op != (int)req_op(rq))
		return false;
	return req_op(rq) == REQ_OP_FLUSH ||
	       (blk_rq_pos(rq) < end && blk_rq_pos(rq) + blk_rq_sectors(rq) > f->sector);
}

const struct mem_fault *mem_faults_match(struct mem_faults *faults, const struct request *rq)
{
	unsigned int nr = __atomic_load_n(&faults->nr, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < nr; i++) {
		const struct mem_fault *f = &faults->fault[i];
		uint64_t seen;

		if (!is_matching(f, rq))
			continue;
		seen = __atomic_add_fetch(&faults->seen_nr[i], 1, __ATOMIC_RELAXED);
		if (seen < f->nth || (f->count && seen >= f->nth + f->count))
			continue;
		__atomic_add_fetch(&faults->hits_nr, 1, __ATOMIC_RELAXED);
		return f;
	}
	return NULL;
}

static bool is_valid(const struct mem_fault *f)
{
	bool is_busy = f->status == BLK_STS_RESOURCE || f->status == BLK_STS_DEV_RESOURCE;

	switch (f->what) {
	case MEM_FAULT_STATUS:
		return f->status != BLK_STS_OK && f->status < BLK_STS_NR && !is_busy;
	case MEM_FAULT_STUCK:
		return true;
	case MEM_FAULT_BUSY:
		return is_busy;
	}
	return false;
}

int mem_faults_add(struct mem_faults *faults, const struct mem_fault *fault)
{
	unsigned int nr = faults->nr;

	if (!is_valid(fault)) {
		log_err("mem fault %d with status %s makes no sense: STATUS takes a final status, "
			"BUSY takes RESOURCE or DEV_RESOURCE",
			(int)fault->what, blk_status_name(fault->status));
		return -EINVAL;
	}
	if (nr == MEM_FAULTS_MAX) {
		log_err("no room for another mem fault, %d are set: clear them first",
			MEM_FAULTS_MAX);
		return -ENOSPC;
	}
	faults->fault[nr] = *fault;
	if (!fault->nth)
		faults->fault[nr].nth = 1;
	__atomic_store_n(&faults->seen_nr[nr], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&faults->nr, nr + 1, __ATOMIC_RELEASE);
	return 0;
}

static void do_nothing(void *arg)
{
}

void mem_reactors_sync(void)
{
	for (unsigned int r = 0; r < rt_reactor_nr(); r++)
		if (rt_call_on(r, do_nothing, NULL))
			log_warn("reactor %u does not answer", r);
}

uint64_t mem_faults_clear(struct mem_faults *faults)
{
	__atomic_store_n(&faults->nr, 0, __ATOMIC_RELEASE);
	mem_reactors_sync();
	return __atomic_exchange_n(&faults->hits_nr, 0, __ATOMIC_RELAXED);
}
