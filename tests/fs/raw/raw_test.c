/* SPDX-License-Identifier: MIT */
/*
 * raw_test.c - the raw file against a plain byte array, in the simulator.
 *
 * Every byte of the device is compared with a model after random operations of several tasks on
 * overlapping blocks; each task owns its own byte ranges, so that the model stays exact while edges
 * of different owners share blocks.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "blkfs/drivers.h"
#include "blkfs/fs.h"
#include "fs/raw/range.h"
#include "tests/lib/sim.h"

enum {
	DISK_BYTES = 1 << 20,
	TASKS = 4,
	OPS_PER_TASK = 24,
	SLICE = 3000, /* not a multiple of a block: neighbours share one */
	LEN_MOST = 2 * SLICE,
};

static struct gendisk *disk;
static struct fs *fs;
static uint8_t model[DISK_BYTES];
static struct completion all_done;
static unsigned int left_nr;

static int raw_up(uint32_t block_bytes)
{
	struct mem_config mc = { .size_bytes = DISK_BYTES,
				 .logical_block_size = block_bytes,
				 .has_write_cache = true,
				 .latency_ns = 20000 };
	struct drv_config dc = { .name = "mem0" };
	struct fs_mount_opts opts = { 0 };
	int err = mem_disk_create(&dc, &mc, &disk);

	return err ? err : raw_fs_type.mount(&disk->part0, &opts, &fs);
}

static void raw_down(void)
{
	sim_expect(fs->ops->unmount(fs) == 0);
	del_gendisk(disk);
}

static struct fs_file *open_disk_file(void)
{
	struct fs_file *file = NULL;
	struct fs_stat st;

	sim_expect(fs->ops->lookup(fs, FS_ROOT_INO, "disk", 4, &st) == 0);
	sim_expect(st.size == DISK_BYTES);
	sim_expect(fs->ops->open(fs, st.ino, O_RDWR, &file) == 0);
	return file;
}

static ssize_t rw(struct fs_file *file, bool is_write, uint64_t off, void *buf, size_t len)
{
	struct fs_io io = { .off = off, .len = len, .iov = { buf, round_up(len, 4096) } };

	return is_write ? fs->ops->write(fs, file, &io) : fs->ops->read(fs, file, &io);
}

static void random_op(struct fs_file *file, uint64_t base, uint8_t *buf)
{
	uint64_t at = rt_random() % SLICE, len = 1 + rt_random() % (SLICE - at);
	uint64_t off = base + at;
	bool is_punch;

	switch (rt_random() % 4) {
	case 0:
		sim_expect(rw(file, false, off, buf, len) == (ssize_t)len);
		sim_expect(memcmp(buf, model + off, len) == 0);
		break;
	case 1:
		is_punch = rt_random() & 1;
		sim_expect(fs->ops->fallocate(fs, file,
					      is_punch ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
						       : FALLOC_FL_ZERO_RANGE,
					      (off_t)off, (off_t)len) == 0);
		memset(model + off, 0, len);
		break;
	default:
		rt_random_bytes(buf, len);
		memcpy(model + off, buf, len);
		sim_expect(rw(file, true, off, buf, len) == (ssize_t)len);
	}
}

static void owner_task(void *arg)
{
	uint64_t base = (uint64_t)(uintptr_t)arg * SLICE;
	uint8_t *buf = rt_dma_alloc(LEN_MOST);
	struct fs_file *file = open_disk_file();

	for (int i = 0; i < OPS_PER_TASK; i++)
		random_op(file, base, buf);
	fs->ops->release(fs, file);
	rt_dma_free(buf, LEN_MOST);
	if (__atomic_sub_fetch(&left_nr, 1, __ATOMIC_SEQ_CST) == 0)
		complete(&all_done);
}

static int model_main(void *arg)
{
	uint8_t *seen = malloc(DISK_BYTES);
	int err = raw_up(*(const uint32_t *)arg);

	sim_expect(err == 0);
	memset(model, 0, sizeof(model));
	completion_init(&all_done);
	left_nr = TASKS;
	for (uintptr_t i = 0; i < TASKS; i++)
		sim_expect(rt_spawn_on(i % rt_reactor_nr(), owner_task, (void *)i, "owner") == 0);
	completion_wait(&all_done);
	mem_snapshot(disk, seen);
	sim_expect(memcmp(seen, model, DISK_BYTES) == 0);
	free(seen);
	raw_down();
	return 0;
}

Test(raw, neighbours_in_one_block_lose_no_byte)
{
	uint32_t block = 512;

	sim_seeds(1, 300, 2, model_main, &block);
}

Test(raw, neighbours_in_one_block_of_4096_lose_no_byte)
{
	uint32_t block = 4096;

	sim_seeds(1000, 300, 2, model_main, &block);
}

static int edges_main(void *arg)
{
	static const int bad_modes[] = { FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
					 FALLOC_FL_PUNCH_HOLE };
	uint8_t *buf = rt_dma_alloc(8192);
	struct fs_stat st, attr = { .size = 5 };
	struct fs_file *file;

	sim_expect(raw_up(512) == 0);
	file = open_disk_file();
	sim_expect(rw(file, false, DISK_BYTES - 10, buf, 100) == 10);
	sim_expect(rw(file, false, DISK_BYTES, buf, 100) == 0);
	sim_expect(rw(file, false, UINT64_MAX - 5, buf, 100) == 0);
	sim_expect(rw(file, true, DISK_BYTES - 10, buf, 100) == 10);
	sim_expect(rw(file, true, DISK_BYTES, buf, 100) == -ENOSPC);
	sim_expect(rw(file, true, DISK_BYTES, buf, 0) == 0);
	sim_expect(fs->ops->fallocate(fs, file, 0, 0, DISK_BYTES) == 0);
	sim_expect(fs->ops->fallocate(fs, file, 0, 0, DISK_BYTES + 1) == -ENOSPC);
	sim_expect(fs->ops->fallocate(fs, file, 0, 0, 0) == -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad_modes); i++)
		sim_expect(fs->ops->fallocate(fs, file, bad_modes[i], 0, 512) == -EOPNOTSUPP);
	sim_expect(fs->ops->setattr(fs, 2, file, FS_SET_SIZE, &attr, NULL, &st) == 0);
	sim_expect(st.size == DISK_BYTES);
	sim_expect(fs->ops->setattr(fs, 2, file, FS_SET_MODE, &attr, NULL, &st) == -EPERM);
	sim_expect(fs->ops->lookup(fs, FS_ROOT_INO, "dis", 3, &st) == -ENOENT);
	sim_expect(fs->ops->lookup(fs, 2, "disk", 4, &st) == -ENOTDIR);
	sim_expect(fs->ops->getattr(fs, 3, &st) == -ENOENT);
	fs->ops->release(fs, file);
	raw_down();
	rt_dma_free(buf, 8192);
	return 0;
}

Test(raw, the_end_of_the_device_and_what_a_disk_cannot_do)
{
	sim_seeds(1, 3, 1, edges_main, NULL);
}

static int durable_main(void *arg)
{
	uint8_t *buf = rt_dma_alloc(4096), *medium = malloc(DISK_BYTES);
	struct fs_io io = { .off = 8192, .len = 4096, .iov = { buf, 4096 }, .is_dsync = true };
	struct fs_file *file;

	sim_expect(raw_up(512) == 0);
	file = open_disk_file();
	memset(buf, 0xab, 4096);
	sim_expect(rw(file, true, 0, buf, 4096) == 4096);
	sim_expect(fs->ops->fsync(fs, file, true) == 0);
	sim_expect(fs->ops->write(fs, file, &io) == 4096);
	fs->ops->release(fs, file);
	mem_power_cut(disk, rt_random(), medium);
	sim_expect(memcmp(medium, buf, 4096) == 0);
	sim_expect(memcmp(medium + 8192, buf, 4096) == 0);
	sim_expect(fs->ops->unmount(fs) != 0);
	del_gendisk(disk);
	free(medium);
	rt_dma_free(buf, 4096);
	return 0;
}

Test(raw, what_was_synced_survives_a_power_cut)
{
	sim_seeds(1, 300, 2, durable_main, NULL);
}

Test(range, a_mask_covers_every_stripe_of_the_range)
{
	const uint64_t stripe = 1ull << RANGE_STRIPE_SHIFT;

	cr_expect_eq(range_lock_mask(0, 1), 1u);
	cr_expect_eq(range_lock_mask(stripe - 1, 1), 1u);
	cr_expect_eq(range_lock_mask(stripe - 1, 2), 3u);
	cr_expect_eq(range_lock_mask(63 * stripe, 2 * stripe), (1ull << 63) | 1);
	cr_expect_eq(range_lock_mask(5 * stripe, 64 * stripe), ~0ull);
	cr_expect_eq(range_lock_mask(0, UINT64_MAX), ~0ull);
	cr_expect_eq(range_lock_mask(7 * stripe, 0), 1u << 7);
}
