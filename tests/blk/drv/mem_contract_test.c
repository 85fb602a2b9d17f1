/* SPDX-License-Identifier: MIT */
/* null, mem and record over mem hold the driver contract, on the ring and in the simulator. */
#include "tests/lib/test.h"

#include "blkfs/drivers.h"

#include "tests/contract/driver_contract.h"
#include "tests/lib/sim.h"

enum { DISK_BYTES = 8 << 20, SIM_SEEDS = 12 };

struct flavour {
	struct mem_config mem;
	struct drv_config drv;
	struct gendisk *below; /* of a record disk */
};

static int create_null(void *ctx, bool is_read_only, struct gendisk **out)
{
	struct null_config nc = {
		.size_bytes = DISK_BYTES,
		.completion_ns = *(const uint64_t *)ctx,
		.has_write_cache = true,
	};
	struct drv_config dc = { .name = "null", .is_read_only = is_read_only, .queue_depth = 16 };

	return null_disk_create(&dc, &nc, out);
}

static void destroy_null(void *ctx, struct gendisk *disk)
{
	del_gendisk(disk);
}

static int create_mem(void *ctx, bool is_read_only, struct gendisk **out)
{
	struct flavour *f = ctx;

	f->drv.name = "mem";
	f->drv.is_read_only = is_read_only;
	f->mem.size_bytes = DISK_BYTES;
	return mem_disk_create(&f->drv, &f->mem, out);
}

static void destroy_mem(void *ctx, struct gendisk *disk)
{
	del_gendisk(disk);
}

static int create_record(void *ctx, bool is_read_only, struct gendisk **out)
{
	struct flavour *f = ctx;
	struct drv_config dc = { .name = "record", .is_read_only = is_read_only };
	int ret = create_mem(ctx, is_read_only, &f->below);

	if (ret)
		return ret;
	ret = record_disk_create(&dc, &f->below->part0, 1000, out);
	if (ret)
		del_gendisk(f->below);
	return ret;
}

static void destroy_record(void *ctx, struct gendisk *disk)
{
	struct flavour *f = ctx;

	del_gendisk(disk);
	del_gendisk(f->below);
}

static int run_as_main(void *arg)
{
	return driver_contract_run(arg);
}

static void holds(const struct driver_contract *c)
{
	cr_assert(driver_contract_run_ring(c) == 0);
	sim_seeds(0, SIM_SEEDS, 1, run_as_main, (void *)c);
	sim_seeds(0, SIM_SEEDS, 2, run_as_main, (void *)c);
}

static void mem_holds(struct mem_config mem, unsigned int queue_depth)
{
	struct flavour f = { .mem = mem, .drv.queue_depth = queue_depth };
	struct driver_contract c = { "mem", &f, create_mem, destroy_mem, false };

	holds(&c);
}

static void null_holds(uint64_t completion_ns)
{
	struct driver_contract c = { "null", &completion_ns, create_null, destroy_null, true };

	holds(&c);
}

Test(drivers, null_holds_the_contract)
{
	null_holds(0);
}

Test(drivers, null_with_a_timer_holds_the_contract)
{
	null_holds(20000);
}

Test(drivers, plain_mem_holds_the_contract)
{
	mem_holds((struct mem_config){ .has_fua = false }, 0);
}

Test(drivers, mem_of_4096_byte_blocks_holds_the_contract)
{
	mem_holds((struct mem_config){ .logical_block_size = 4096 }, 8);
}

Test(drivers, mem_with_a_cache_and_fua_holds_the_contract)
{
	mem_holds((struct mem_config){ .has_write_cache = true, .has_fua = true }, 4);
}

Test(drivers, mem_with_a_cache_without_fua_and_latency_holds_the_contract)
{
	mem_holds((struct mem_config){ .has_write_cache = true, .latency_ns = 20000 }, 8);
}

Test(drivers, record_over_mem_holds_the_contract)
{
	struct flavour f = {
		.mem = { .has_write_cache = true, .has_fua = true, .latency_ns = 10000 },
		.drv.queue_depth = 8,
	};
	struct driver_contract c = { "record", &f, create_record, destroy_record, false };

	holds(&c);
}
