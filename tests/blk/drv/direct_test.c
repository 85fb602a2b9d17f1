/* SPDX-License-Identifier: MIT */
/* The direct driver on files: the contract, parts, what happens when the file shrinks or goes. */
#include <errno.h>

#include "blkfs/drivers.h"
#include "tests/blk/drv/drv_test.h"
#include "tests/contract/driver_contract.h"

enum { MIB = 1 << 20, DISK_BYTES = 16 * MIB, BLOCK = 4096, CROWD = 64 };

/* Expectations inside a task: counted, not jumped out of. */
static unsigned int failures_nr;

#define expect(cond)                                                                               \
	(likely(cond) ? (void)0                                                                    \
		      : (void)(failures_nr++, log_err("line %d: expected %s", __LINE__, #cond)))

static int create(const char *path, bool is_read_only, struct gendisk **out)
{
	struct drv_config dc = { .name = "direct", .is_read_only = is_read_only };
	struct direct_config c = { .path = path };

	return direct_disk_create(&dc, &c, out);
}

/* ---- the contract -------------------------------------------------------------------------------- */

static int create_file(void *ctx, bool is_read_only, struct gendisk **out)
{
	const struct temp_file *t = ctx;

	return create(t->path, is_read_only, out);
}

static void destroy_file(void *ctx, struct gendisk *disk)
{
	del_gendisk(disk);
}

static void holds(const char *dir)
{
	struct temp_file t;
	struct driver_contract c = { "direct", &t, create_file, destroy_file, false };

	temp_file_make(&t, dir, DISK_BYTES);
	cr_assert(driver_contract_run_ring(&c) == 0);
	temp_file_remove(&t);
}

Test(direct, a_file_holds_the_driver_contract)
{
	holds(NULL);
}

Test(direct, a_file_in_memory_holds_the_driver_contract)
{
	holds("/dev/shm");
}

/* ---- one disk, one case ----------------------------------------------------------------------------- */

struct fixture {
	struct temp_file t;
	uint8_t *buf;
};

static void run_case(int (*fn)(void *arg), unsigned int reactors_nr)
{
	struct fixture f;

	temp_file_make(&f.t, NULL, DISK_BYTES);
	f.buf = rt_dma_alloc(MIB);
	cr_assert(f.buf != NULL);
	failures_nr = 0;
	cr_assert(drv_test_run(reactors_nr, fn, &f) == 0);
	cr_assert(failures_nr == 0);
	rt_dma_free(f.buf, MIB);
	temp_file_remove(&f.t);
}

static int part_is_used(void *arg)
{
	struct fixture *f = arg;
	struct drv_config dc = { .name = "part" };
	struct direct_config c = { f->t.path, .offset_bytes = MIB, .size_bytes = 2 * MIB };
	struct gendisk *disk;
	int fd, ret = direct_disk_create(&dc, &c, &disk);

	if (ret)
		return ret;
	expect(bdev_nr_bytes(&disk->part0) == 2 * MIB);
	memset(f->buf, 0x11, BLOCK);
	expect(bdev_rw(&disk->part0, REQ_OP_WRITE, 0, f->buf, BLOCK) == 0);
	expect(bdev_rw(&disk->part0, REQ_OP_WRITE, bytes_to_sectors(2 * MIB - BLOCK), f->buf,
		       BLOCK) == 0);
	expect(blkdev_issue_zeroout(&disk->part0, 0, 1, 0) == 0);
	del_gendisk(disk);

	fd = open(f->t.path, O_RDONLY);
	expect(pread(fd, f->buf, 2 * BLOCK, MIB - BLOCK) == 2 * BLOCK);
	expect(f->buf[BLOCK - 1] == 0 && f->buf[BLOCK] == 0 && f->buf[BLOCK + 512] == 0x11);
	expect(pread(fd, f->buf, 2 * BLOCK, 3 * MIB - BLOCK) == 2 * BLOCK);
	expect(f->buf[0] == 0x11 && f->buf[BLOCK] == 0);
	close(fd);
	return 0;
}

Test(direct, a_part_of_a_file_is_a_disk_and_nothing_else_is_touched)
{
	run_case(part_is_used, 1);
}

static int second_is_refused(void *arg)
{
	struct fixture *f = arg;
	struct gendisk *a, *b;
	int ret = create(f->t.path, false, &a);

	if (ret)
		return ret;
	expect(create(f->t.path, false, &b) == -EBUSY);
	expect(create(f->t.path, true, &b) == -EBUSY);
	del_gendisk(a);
	expect(create(f->t.path, true, &a) == 0);
	expect(create(f->t.path, true, &b) == 0);
	del_gendisk(a);
	del_gendisk(b);
	expect(create(f->t.path, false, &a) == 0);
	del_gendisk(a);
	return 0;
}

Test(direct, a_second_disk_on_a_file_is_refused_until_the_first_is_gone)
{
	run_case(second_is_refused, 1);
	cr_assert(log_says("is locked by process"));
}

static int file_shrinks(void *arg)
{
	struct fixture *f = arg;
	struct gendisk *disk;
	int ret = create(f->t.path, false, &disk);

	if (ret)
		return ret;
	expect(truncate(f->t.path, MIB + BLOCK) == 0);
	expect(bdev_rw(&disk->part0, REQ_OP_READ, bytes_to_sectors(MIB), f->buf, BLOCK) == 0);
	expect(bdev_rw(&disk->part0, REQ_OP_READ, bytes_to_sectors(MIB), f->buf, 2 * BLOCK) ==
	       -EIO);
	expect(bdev_rw(&disk->part0, REQ_OP_READ, bytes_to_sectors(4 * MIB), f->buf, BLOCK) ==
	       -EIO);
	expect(bdev_rw(&disk->part0, REQ_OP_READ, 0, f->buf, BLOCK) == 0);
	del_gendisk(disk);
	return 0;
}

Test(direct, a_file_that_shrinks_gives_errors_and_no_hang)
{
	run_case(file_shrinks, 1);
	cr_assert(log_says("became shorter"));
}

static int write_through_has_no_cache(void *arg)
{
	struct fixture *f = arg;
	struct drv_config dc = { .name = "sync" };
	struct direct_config c = { f->t.path, .must_write_through = true };
	struct gendisk *disk;
	int ret = direct_disk_create(&dc, &c, &disk);

	if (ret)
		return ret;
	expect(!bdev_write_cache(&disk->part0));
	expect(bdev_rw(&disk->part0, REQ_OP_WRITE | REQ_FUA, 0, f->buf, BLOCK) == 0);
	del_gendisk(disk);
	return 0;
}

Test(direct, write_through_leaves_no_cache_to_flush)
{
	run_case(write_through_has_no_cache, 1);
}

/* ---- going offline ---------------------------------------------------------------------------------- */

static struct {
	struct bio bio[CROWD];
	struct bio_vec vec[CROWD];
	unsigned int ends_nr[CROWD];
	struct completion ended;
} crowd;

static void crowd_end_io(struct bio *bio)
{
	crowd.ends_nr[bio - crowd.bio]++;
	complete(&crowd.ended);
}

static int goes_offline(void *arg)
{
	struct fixture *f = arg;
	struct gendisk *disk;
	int ret = create(f->t.path, false, &disk);

	if (ret)
		return ret;
	completion_init(&crowd.ended);
	memset(crowd.ends_nr, 0, sizeof(crowd.ends_nr));
	for (unsigned int i = 0; i < CROWD; i++) {
		struct bio *bio = &crowd.bio[i];

		bio_init(bio, &disk->part0, &crowd.vec[i], 1, REQ_OP_WRITE);
		bio->bi_iter.bi_sector = bytes_to_sectors((uint64_t)i * 2 * BLOCK);
		bio_add_vec(bio, f->buf + (size_t)i * BLOCK, BLOCK);
		bio->bi_end_io = crowd_end_io;
		submit_bio(bio);
	}
	direct_disk_offline(disk);
	for (unsigned int i = 0; i < CROWD; i++)
		completion_wait(&crowd.ended);
	for (unsigned int i = 0; i < CROWD; i++)
		expect(crowd.ends_nr[i] == 1 && (crowd.bio[i].bi_status == BLK_STS_OK ||
						 crowd.bio[i].bi_status == BLK_STS_OFFLINE));
	expect(bdev_rw(&disk->part0, REQ_OP_READ, 0, f->buf, BLOCK) ==
	       blk_status_to_errno(BLK_STS_OFFLINE));
	del_gendisk(disk);
	return 0;
}

Test(direct, going_offline_ends_all_and_takes_no_more)
{
	run_case(goes_offline, 1);
	run_case(goes_offline, 2);
}
