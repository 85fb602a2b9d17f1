/* SPDX-License-Identifier: MIT */
/*
 * The power cut, through the whole block layer and over many seeds.
 *
 * Writers own ranges of sectors and write them again and again, each sector full of {its number,
 * its version}. At some moment the power goes. Then of each sector the medium has one version,
 * whole, none that was never written, and none older than what a flush or FUA promised.
 */
#include <string.h>

#include "tests/lib/test.h"

#include "blkfs/drivers.h"

#include "tests/lib/sim.h"

enum {
	SECTORS_NR = 256,
	DISK_BYTES = SECTORS_NR * SECTOR_SIZE,
	WRITERS_NR = 4,
	RANGE_SECTORS = SECTORS_NR / WRITERS_NR,
	WRITE_SECTORS_MAX = 24,
	SEEDS_NR = 600,
};

struct world {
	struct mem_config mc;
	struct block_device *bdev;
	uint32_t written[SECTORS_NR];	/* last version given to the disk */
	uint32_t completed[SECTORS_NR]; /* last version that was acknowledged */
	uint32_t durable[SECTORS_NR];	/* last version that was promised */
	struct completion done;
	uint8_t medium[DISK_BYTES];
};

struct writer {
	struct world *world;
	unsigned int idx;
	uint8_t buf[WRITE_SECTORS_MAX * SECTOR_SIZE] __aligned(SECTOR_SIZE);
};

/* What all seeds together have shown. */
static struct {
	uint64_t lost_nr, early_nr, durable_nr;
} seen;

static void stamp(uint8_t *sector, uint32_t nr, uint32_t version)
{
	for (size_t i = 0; i < SECTOR_SIZE; i += 8) {
		memcpy(sector + i, &nr, 4);
		memcpy(sector + i + 4, &version, 4);
	}
}

static int write_some(struct writer *w)
{
	struct world *world = w->world;
	uint32_t nr = 1 + (uint32_t)(rt_random() % WRITE_SECTORS_MAX);
	uint32_t first = w->idx * RANGE_SECTORS + (uint32_t)(rt_random() % (RANGE_SECTORS - nr));
	bool is_fua = rt_random() % 8 == 0;
	int ret;

	for (uint32_t s = 0; s < nr; s++)
		stamp(w->buf + s * SECTOR_SIZE, first + s, ++world->written[first + s]);
	ret = bdev_rw(world->bdev, REQ_OP_WRITE | (is_fua ? REQ_FUA : 0), first, w->buf,
		      nr * SECTOR_SIZE);
	for (uint32_t s = first; s < first + nr && !ret; s++) {
		world->completed[s] = world->written[s];
		if (is_fua)
			world->durable[s] = world->written[s];
	}
	return ret;
}

/* A flush covers what anybody was told is complete before it began. */
static int flush_all(struct world *world)
{
	uint32_t covered[SECTORS_NR];
	int ret;

	memcpy(covered, world->completed, sizeof(covered));
	ret = blkdev_issue_flush(world->bdev);
	for (unsigned int s = 0; s < SECTORS_NR && !ret; s++)
		world->durable[s] = max(world->durable[s], covered[s]);
	return ret;
}

static void writer_runs(void *arg)
{
	struct writer *w = arg;
	int ret = 0;

	while (!ret)
		ret = rt_random() % 6 == 0 ? flush_all(w->world) : write_some(w);
	sim_expect(ret == blk_status_to_errno(BLK_STS_OFFLINE));
	complete(&w->world->done);
}

static void check_sector(const struct world *world, uint32_t s)
{
	const uint8_t *sector = world->medium + s * SECTOR_SIZE;
	uint8_t expected[SECTOR_SIZE] = { 0 };
	uint32_t version;

	memcpy(&version, sector + 4, 4);
	if (version)
		stamp(expected, s, version);
	sim_expect(memcmp(sector, expected, SECTOR_SIZE) == 0);
	sim_expect(version <= world->written[s]);
	sim_expect(version >= world->durable[s]);
	seen.lost_nr += version < world->completed[s];
	seen.early_nr += version > world->durable[s];
	seen.durable_nr += world->durable[s] > 0;
}

static int cut_and_check(void *arg)
{
	static struct writer writers[WRITERS_NR];
	static struct world world;
	struct drv_config dc = { .name = "mem", .queue_depth = 8 };
	struct gendisk *disk;
	int ret;

	memset(&world, 0, sizeof(world));
	world.mc = *(const struct mem_config *)arg;
	world.mc.size_bytes = DISK_BYTES;
	completion_init(&world.done);
	ret = mem_disk_create(&dc, &world.mc, &disk);
	if (ret)
		return ret;
	world.bdev = &disk->part0;
	for (unsigned int i = 0; i < WRITERS_NR; i++) {
		writers[i].world = &world;
		writers[i].idx = i;
		ret = rt_spawn_on(i % rt_reactor_nr(), writer_runs, &writers[i], "writer");
		sim_expect(ret == 0);
	}
	rt_sleep_ns(rt_random() % 2000000);
	mem_power_cut(disk, rt_random(), world.medium);
	for (unsigned int i = 0; i < WRITERS_NR; i++)
		completion_wait(&world.done);
	for (uint32_t s = 0; s < SECTORS_NR; s++)
		check_sector(&world, s);
	del_gendisk(disk);
	return 0;
}

static void cuts(struct mem_config mc, unsigned int reactors_nr)
{
	memset(&seen, 0, sizeof(seen));
	sim_seeds(1, SEEDS_NR, reactors_nr, cut_and_check, &mc);
	cr_log_info("lost %llu, early %llu, promised %llu sectors",
		    (unsigned long long)seen.lost_nr, (unsigned long long)seen.early_nr,
		    (unsigned long long)seen.durable_nr);
	cr_assert(seen.durable_nr > 0);
}

Test(mem_power, what_was_flushed_or_fua_survives_the_rest_may)
{
	cuts((struct mem_config){ .has_write_cache = true, .has_fua = true, .latency_ns = 20000 },
	     2);
	cr_assert(BLKFS_TSAN || (seen.lost_nr > 0 && seen.early_nr > 0));
}

Test(mem_power, fua_that_the_core_emulates_survives)
{
	cuts((struct mem_config){ .has_write_cache = true, .latency_ns = 20000 }, 1);
	cr_assert(BLKFS_TSAN || (seen.lost_nr > 0 && seen.early_nr > 0));
}

Test(mem_power, without_a_cache_nothing_acknowledged_is_lost)
{
	cuts((struct mem_config){ .latency_ns = 20000 }, 2);
	cr_assert(seen.lost_nr == 0);
}

static int medium_is_taken_over(void *arg)
{
	static uint8_t medium[DISK_BYTES], out[DISK_BYTES];
	static uint8_t buf[SECTOR_SIZE] __aligned(SECTOR_SIZE);
	struct mem_config mc = {
		.size_bytes = DISK_BYTES,
		.has_write_cache = true,
		.medium = medium,
	};
	struct drv_config dc = { .name = "mem" };
	struct gendisk *disk;
	int ret;

	for (size_t i = 0; i < sizeof(medium); i++)
		medium[i] = (uint8_t)(i * 7);
	ret = mem_disk_create(&dc, &mc, &disk);
	if (ret)
		return ret;
	mem_snapshot(disk, out);
	sim_expect(memcmp(out, medium, sizeof(medium)) == 0);
	memset(buf, 1, sizeof(buf));
	sim_expect(bdev_rw(&disk->part0, REQ_OP_WRITE, 5, buf, sizeof(buf)) == 0);
	mem_snapshot(disk, out);
	sim_expect(memcmp(out + 5 * SECTOR_SIZE, buf, sizeof(buf)) == 0);
	sim_expect(memcmp(out, medium, 5 * SECTOR_SIZE) == 0);
	mem_power_cut(disk, 0, out);
	sim_expect(memcmp(out + 6 * SECTOR_SIZE, medium + 6 * SECTOR_SIZE,
			  sizeof(medium) - 6 * SECTOR_SIZE) == 0);
	sim_expect(bdev_rw(&disk->part0, REQ_OP_READ, 5, buf, sizeof(buf)) ==
		   blk_status_to_errno(BLK_STS_OFFLINE));
	del_gendisk(disk);
	return 0;
}

Test(mem_power, a_disk_starts_from_the_medium_that_a_cut_left)
{
	sim_seeds(1, 20, 2, medium_is_taken_over, NULL);
}
