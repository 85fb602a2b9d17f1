/* SPDX-License-Identifier: MIT */
/*
 * elevator_contract.h - what every elevator must stand, whatever it decides.
 *
 * @name is that of a registered type. Each call runs the seeds from @first on and fails the test at
 * the first where something was lost, came twice, or where a flush was out of order.
 */
#ifndef TESTS_CONTRACT_ELEVATOR_CONTRACT_H
#define TESTS_CONTRACT_ELEVATOR_CONTRACT_H

#include <stdint.h>

/* Any load: everything ends once, flushes are in order. */
void elevator_contract_load(const char *name, uint64_t first, uint64_t seeds);
/* The driver answers RESOURCE at any position of a batch, and gives commands back. */
void elevator_contract_resource(const char *name, uint64_t first, uint64_t seeds);
/* The queue is frozen, quiesced, and its depth changed at any moment. */
void elevator_contract_freeze(const char *name, uint64_t first, uint64_t seeds);
/* Switched to none and back at any moment. */
void elevator_contract_switch(const char *name, uint64_t first, uint64_t seeds);
/* All of these, @rounds of each, on two real reactors: what ThreadSanitizer is to see. */
void elevator_contract_ring(const char *name, uint64_t rounds);

#endif
