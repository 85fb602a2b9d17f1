/* SPDX-License-Identifier: MIT */
/* The faults of a mem disk, as the block layer's users feel them. */
#include <errno.h>
#include <string.h>

#include "tests/lib/test.h"

#include "base/log.h"
#include "blkfs/drivers.h"

#include "tests/lib/sim.h"

enum { DISK_BYTES = 1 << 20 };

static uint8_t buf[4096] __aligned(4096);

static struct gendisk *make_disk(const struct mem_config *how)
{
	struct mem_config mc = how ? *how : (struct mem_config){ 0 };
	struct drv_config dc = { .name = "mem", .queue_depth = 4 };
	struct gendisk *disk = NULL;

	mc.size_bytes = DISK_BYTES;
	sim_expect(mem_disk_create(&dc, &mc, &disk) == 0);
	return disk;
}

static int write_sector(struct gendisk *disk, sector_t sector)
{
	return bdev_rw(&disk->part0, REQ_OP_WRITE, sector, buf, SECTOR_SIZE);
}

static int read_sector(struct gendisk *disk, sector_t sector)
{
	return bdev_rw(&disk->part0, REQ_OP_READ, sector, buf, SECTOR_SIZE);
}

static int nth_write_fails(void *arg)
{
	struct gendisk *disk = make_disk(NULL);
	struct mem_fault f = {
		.what = MEM_FAULT_STATUS,
		.status = BLK_STS_MEDIUM,
		.op = REQ_OP_WRITE,
		.sector = 8,
		.nr_sectors = 8,
		.nth = 3,
		.count = 2,
	};

	sim_expect(mem_fault_set(disk, &f) == 0);
	for (int i = 1; i <= 6; i++) {
		int expected = i == 3 || i == 4 ? blk_status_to_errno(BLK_STS_MEDIUM) : 0;

		sim_expect(write_sector(disk, 15) == expected);
		sim_expect(write_sector(disk, 16) == 0);
		sim_expect(read_sector(disk, 15) == 0);
	}
	sim_expect(mem_fault_clear(disk) == 2);
	del_gendisk(disk);
	return 0;
}

Test(mem_fault, the_nth_matching_request_fails_and_no_other)
{
	sim_seeds(1, 20, 2, nth_write_fails, NULL);
}

static int busy_is_asked_again(void *arg)
{
	const struct mem_config mc = { .latency_ns = 10000 };
	struct gendisk *disk = make_disk(&mc);

	for (uint64_t nth = 1; nth <= 5; nth++) {
		struct mem_fault f = {
			.what = MEM_FAULT_BUSY,
			.status = BLK_STS_RESOURCE,
			.op = MEM_FAULT_ANY_OP,
			.nth = nth,
			.count = 3,
		};

		sim_expect(mem_fault_set(disk, &f) == 0);
		for (int i = 0; i < 5; i++)
			sim_expect(write_sector(disk, (sector_t)i) == 0);
		sim_expect(mem_fault_clear(disk) == 3);
	}
	del_gendisk(disk);
	return 0;
}

Test(mem_fault, a_busy_device_is_asked_again_until_it_takes_the_request)
{
	sim_seeds(1, 20, 2, busy_is_asked_again, NULL);
}

static int stuck_times_out(void *arg)
{
	struct gendisk *disk = make_disk(arg);
	struct mem_fault f = {
		.what = MEM_FAULT_STUCK,
		.op = REQ_OP_READ,
		.nth = 1,
		.count = 1,
	};
	uint64_t start_ns = rt_now();

	sim_expect(mem_fault_set(disk, &f) == 0);
	sim_expect(read_sector(disk, 3) == blk_status_to_errno(BLK_STS_TIMEOUT));
	sim_expect(rt_now() - start_ns >= 29000000000ULL);
	sim_expect(read_sector(disk, 3) == 0);
	del_gendisk(disk);
	return 0;
}

Test(mem_fault, what_is_stuck_ends_by_timeout)
{
	struct mem_config with_cache = { .has_write_cache = true, .latency_ns = 1000 };

	sim_seeds(1, 20, 2, stuck_times_out, NULL);
	sim_seeds(1, 20, 2, stuck_times_out, &with_cache);
}

struct sleeper {
	struct gendisk *disk;
	struct completion done;
	int ret;
};

static void sleeper_reads(void *arg)
{
	struct sleeper *s = arg;

	s->ret = read_sector(s->disk, 7);
	complete(&s->done);
}

static int stuck_is_let_go(void *arg)
{
	struct mem_fault f = { .what = MEM_FAULT_STUCK, .op = MEM_FAULT_ANY_OP };
	bool is_cut = *(bool *)arg;
	struct sleeper s = { .disk = make_disk(NULL) };

	completion_init(&s.done);
	sim_expect(mem_fault_set(s.disk, &f) == 0);
	sim_expect(rt_spawn_on(rt_reactor_nr() - 1, sleeper_reads, &s, "sleeper") == 0);
	sim_expect(completion_wait_until(&s.done, rt_now() + 1000000000) == -ETIMEDOUT);
	if (is_cut)
		mem_power_cut(s.disk, 1, NULL);
	else
		sim_expect(mem_fault_clear(s.disk) == 1);
	completion_wait(&s.done);
	sim_expect(s.ret == (is_cut ? blk_status_to_errno(BLK_STS_OFFLINE) : 0));
	del_gendisk(s.disk);
	return 0;
}

Test(mem_fault, what_is_stuck_goes_on_when_the_faults_are_cleared)
{
	bool is_cut = false;

	sim_seeds(1, 20, 2, stuck_is_let_go, &is_cut);
}

Test(mem_fault, what_is_stuck_ends_with_the_power)
{
	bool is_cut = true;

	sim_seeds(1, 20, 2, stuck_is_let_go, &is_cut);
}

static int nonsense_is_refused(void *arg)
{
	struct gendisk *disk = make_disk(NULL);
	struct mem_fault ok = { .what = MEM_FAULT_STATUS,
				.status = BLK_STS_IOERR,
				.op = REQ_OP_FLUSH };
	struct mem_fault no_status = { .what = MEM_FAULT_STATUS };
	struct mem_fault not_busy = { .what = MEM_FAULT_BUSY, .status = BLK_STS_IOERR };

	sim_expect(mem_fault_set(disk, &no_status) == -EINVAL);
	sim_expect(mem_fault_set(disk, &not_busy) == -EINVAL);
	for (int i = 0; i < MEM_FAULTS_MAX; i++)
		sim_expect(mem_fault_set(disk, &ok) == 0);
	sim_expect(mem_fault_set(disk, &ok) == -ENOSPC);
	sim_expect(mem_fault_clear(disk) == 0);
	sim_expect(mem_fault_set(disk, &ok) == 0);
	del_gendisk(disk);
	return 0;
}

Test(mem_fault, faults_that_make_no_sense_are_refused)
{
	cr_assert(sim_run(1, 1, nonsense_is_refused, NULL) == 0);
}

Test(mem_source, sizes_are_parsed_strictly)
{
	uint64_t size;

	cr_assert(mem_source_parse("mem:64M", &size) == 0 && size == 64 << 20);
	cr_assert(mem_source_parse("mem:1G", &size) == 0 && size == 1 << 30);
	cr_assert(mem_source_parse("mem:8192", &size) == 0 && size == 8192);
	cr_assert(mem_source_parse("/dev/sda", &size) == -ENOENT);
	cr_assert(mem_source_parse("mem:", &size) == -EINVAL);
	cr_assert(mem_source_parse("mem:64MB", &size) == -EINVAL);
	cr_assert(mem_source_parse("mem:1000", &size) == -EINVAL);
	cr_assert(mem_source_parse("mem:0", &size) == -EINVAL);
}
