/* SPDX-License-Identifier: MIT */
/* mem_fault.h - which requests of a mem disk are to go wrong; the words are in drivers.h. */
#ifndef BLK_DRV_MEM_FAULT_H
#define BLK_DRV_MEM_FAULT_H

#include "blkfs/drivers.h"

struct mem_faults {
	struct mem_fault fault[MEM_FAULTS_MAX];
	uint64_t seen_nr[MEM_FAULTS_MAX]; /* [atomic] matches so far */
	uint64_t hits_nr;		  /* [atomic] */
	unsigned int nr;		  /* [atomic] valid ones */
};

/* The fault that hits @rq, or NULL. Any reactor, when a request comes to queue_rq. */
const struct mem_fault *mem_faults_match(struct mem_faults *faults, const struct request *rq);

/* Context: task; one at a time. */
int __must_check mem_faults_add(struct mem_faults *faults, const struct mem_fault *fault);
uint64_t mem_faults_clear(struct mem_faults *faults);

/* Every reactor has left the handler that it was in. Context: task. */
void mem_reactors_sync(void);

#endif
