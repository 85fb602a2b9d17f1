/* SPDX-License-Identifier: MIT */
/*
 * The contract suite of elevators: random loads, with one thing made difficult at a time. What is
 * checked is in blk_load.h.
 */
#include "tests/contract/elevator_contract.h"

#include <string.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "blkfs/attr.h"
#include "tests/contract/blk_load.h"
#include "tests/lib/sim.h"
#include "tests/lib/test.h"

enum { REACTORS = 2 };

static const char *tested;

static int load_case(void *arg)
{
	struct blk_load load = blk_load_random();

	load.elevator = tested;
	return blk_load_run(&load, NULL);
}

static int resource_case(void *arg)
{
	struct blk_load load = blk_load_random();

	load.elevator = tested;
	load.resource_1in = 2;
	load.requeue_1in = 3;
	return blk_load_run(&load, NULL);
}

static void set_depth(void)
{
	char text[16];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	strbuf_printf(&sb, "%u\n", 4 + (unsigned int)(rt_random() % 60));
	sim_expect(attr_store("queue/nr_requests", text, sb.len) == 0);
}

static void disturb(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;

	switch (rt_random() % 3) {
	case 0:
		blk_mq_freeze_queue(q);
		rt_sleep_ns(rt_random() % 20000);
		blk_mq_unfreeze_queue(q);
		break;
	case 1:
		blk_mq_quiesce_queue(q);
		rt_sleep_ns(rt_random() % 20000);
		blk_mq_unquiesce_queue(q);
		break;
	default:
		set_depth();
		break;
	}
}

static int freeze_case(void *arg)
{
	struct blk_load load = blk_load_random();

	load.elevator = tested;
	load.is_published = true;
	load.meanwhile = disturb;
	return blk_load_run(&load, NULL);
}

static void switch_it(struct gendisk *disk)
{
	const char *name = rt_random() % 2 ? tested : "none\n";

	sim_expect(attr_store("queue/scheduler", name, strlen(name)) == 0);
}

static int switch_case(void *arg)
{
	struct blk_load load = blk_load_random();

	load.elevator = tested;
	load.is_published = true;
	load.meanwhile = switch_it;
	return blk_load_run(&load, NULL);
}

static void run(const char *name, uint64_t first, uint64_t seeds, sim_fn fn)
{
	tested = name;
	log_set_level(LOG_LEVEL_WARN);
	sim_seeds(first, seeds, REACTORS, fn, NULL);
}

void elevator_contract_ring(const char *name, uint64_t rounds)
{
	static const sim_fn cases[] = { load_case, resource_case, freeze_case, switch_case };

	tested = name;
	log_set_level(LOG_LEVEL_WARN);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ring_rounds(rounds, REACTORS, cases[i], NULL);
}

void elevator_contract_load(const char *name, uint64_t first, uint64_t seeds)
{
	run(name, first, seeds, load_case);
}

void elevator_contract_resource(const char *name, uint64_t first, uint64_t seeds)
{
	run(name, first, seeds, resource_case);
}

void elevator_contract_freeze(const char *name, uint64_t first, uint64_t seeds)
{
	run(name, first, seeds, freeze_case);
}

void elevator_contract_switch(const char *name, uint64_t first, uint64_t seeds)
{
	run(name, first, seeds, switch_case);
}
