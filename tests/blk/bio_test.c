/* SPDX-License-Identifier: MIT */
/*
 * Bios: pools and who waits for them, vectors, chains; stacked devices; whole operations; and a
 * completion that comes from a foreign thread, on the real runtime.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "blkfs/drivers.h"
#include "tests/blk/fake_dev.h"

static void run(sim_fn fn)
{
	cr_assert_eq(sim_run(1, 1, fn, NULL), 0);
}

/* ---- contents ----------------------------------------------------------------------------------- */

Test(bio, vectors_that_touch_are_one)
{
	static char memory[4096];
	struct bio_vec vecs[2];
	struct bio bio;

	bio_init(&bio, NULL, vecs, 2, REQ_OP_READ);
	cr_expect_eq(bio_add_vec(&bio, memory, 512), 512);
	cr_expect_eq(bio_add_vec(&bio, memory + 512, 512), 512);
	cr_expect_eq(bio.bi_vcnt, 1);
	cr_expect_eq(bio_add_vec(&bio, memory + 2048, 512), 512);
	cr_expect_eq(bio_add_vec(&bio, memory, 512), 0, "no room");
	cr_expect_eq(bio.bi_vcnt, 2);
	cr_expect_eq(bio.bi_iter.bi_size, 1536);
}

Test(bio, an_advance_crosses_vectors)
{
	static char memory[8192];
	struct bio_vec vecs[2];
	struct bio_vec bv;
	struct bio bio;

	bio_init(&bio, NULL, vecs, 2, REQ_OP_WRITE);
	bio_add_vec(&bio, memory, 1024);
	bio_add_vec(&bio, memory + 4096, 1024);
	bio_advance(&bio, 1536);
	bv = bio_iter_vec(&bio, bio.bi_iter);
	cr_expect_eq(bv.bv_addr, memory + 4096 + 512);
	cr_expect_eq(bv.bv_len, 512);
	cr_expect_eq(bio.bi_iter.bi_sector, 3);
	cr_expect_eq(bio.bi_iter.bi_size, 512);
}

Test(bio, every_status_has_an_errno_and_a_name)
{
	for (blk_status_t s = 1; s < BLK_STS_NR; s++) {
		cr_expect_lt(blk_status_to_errno(s), 0);
		cr_expect_str_neq(blk_status_name(s), "unknown");
	}
	cr_expect_eq(blk_status_to_errno(BLK_STS_OK), 0);
	cr_expect_eq(errno_to_blk_status(0), BLK_STS_OK);
	cr_expect_eq(errno_to_blk_status(-EIO), BLK_STS_IOERR);
	cr_expect_eq(errno_to_blk_status(-ENOSPC), BLK_STS_NOSPC);
	cr_expect_eq(errno_to_blk_status(-EXDEV), BLK_STS_IOERR, "what has no status of its own");
	cr_expect_str_eq(blk_op_name(REQ_OP_DISCARD | REQ_SYNC), "DISCARD");
	cr_expect_str_eq(blk_op_name(200), "UNKNOWN");
}

/* ---- pools ---------------------------------------------------------------------------------------- */

static struct bio_pool *pool;
static unsigned int got_nr;

static void take_one(void *arg)
{
	struct bio *bio = bio_alloc(NULL, 1, REQ_OP_READ, pool);

	sim_expect(bio != NULL);
	*(struct bio **)arg = bio;
	got_nr++;
}

static void put_there(void *arg)
{
	bio_put(arg);
}

static int pool_case(void *arg)
{
	struct bio *bios[4] = { NULL };

	got_nr = 0;
	sim_expect(bio_pool_create("test", 2, 1, &pool) == 0);
	take_one(&bios[0]);
	take_one(&bios[1]);
	sim_expect(!bio_alloc(NULL, 1, REQ_OP_READ | REQ_NOWAIT, pool));
	sim_expect(rt_spawn(take_one, &bios[2], "taker") == 0);
	sim_expect(rt_spawn(take_one, &bios[3], "taker") == 0);
	settle();
	sim_expect(got_nr == 2);
	bio_put(bios[0]);
	settle();
	sim_expect(got_nr == 3);
	sim_expect(rt_call_on(1, put_there, bios[1]) == 0);
	while (got_nr < 4)
		settle();
	sim_expect(bios[2] != bios[3]);
	bio_put(bios[2]);
	bio_put(bios[3]);
	bio_pool_destroy(pool);
	return 0;
}

Test(bio, who_finds_a_pool_empty_waits_for_a_bio_from_any_reactor)
{
	sim_seeds(1, 300, 2, pool_case, NULL);
}

/* ---- chains ---------------------------------------------------------------------------------------- */

static unsigned int parents_ended;
static blk_status_t parent_status;

static void parent_endio(struct bio *bio)
{
	parents_ended++;
	parent_status = bio->bi_status;
}

static int chain_case(void *arg)
{
	struct bio *child[3], parent;

	parents_ended = 0;
	sim_expect(bio_pool_create("test", 4, 0, &pool) == 0);
	bio_init(&parent, NULL, NULL, 0, REQ_OP_READ);
	parent.bi_end_io = parent_endio;
	for (unsigned int i = 0; i < 3; i++) {
		child[i] = bio_alloc(NULL, 0, REQ_OP_READ, pool);
		bio_chain(child[i], i ? child[i - 1] : &parent); /* a chain of chains */
	}
	bio_end_status(child[2], BLK_STS_MEDIUM);
	bio_endio(&parent);
	bio_endio(child[0]);
	sim_expect(parents_ended == 0);
	bio_endio(child[1]);
	sim_expect(parents_ended == 1 && parent_status == BLK_STS_MEDIUM);
	bio_pool_destroy(pool); /* and says so if one were not back */
	return 0;
}

Test(bio, a_chain_ends_with_its_last_part_and_any_error)
{
	run(chain_case);
}

/* ---- stacked ---------------------------------------------------------------------------------------- */

static struct bio_pool *stack_pool;
static unsigned int stack_depth, stack_depth_peak;

/* Cuts every bio in the middle and sends both parts to the fake, the second from sector 4096 on. */
static void stacked_submit(struct bio *bio)
{
	unsigned int half = bio_sectors(bio) / 2;
	struct bio *front;

	stack_depth_peak = max(stack_depth_peak, ++stack_depth);
	front = bio_split(bio, half, stack_pool);
	bio_chain(front, bio);
	front->bi_bdev = bio->bi_bdev = bio->bi_bdev->bd_disk->private_data;
	bio->bi_iter.bi_sector += 4096;
	submit_bio(front);
	submit_bio(bio);
	stack_depth--;
}

static const struct block_device_operations stacked_fops = { .submit_bio = stacked_submit };

static int stacked_case(void *arg)
{
	static const sector_t order[] = { 0, 4098, 4100, 8198 };
	struct gendisk *mid, *top;
	struct queue_limits lim;
	struct bio *bio;

	stack_depth = stack_depth_peak = 0;
	fake_create(NULL);
	blk_set_default_limits(&lim);
	sim_expect(bio_pool_create("stack", 8, 0, &stack_pool) == 0);
	sim_expect(blk_alloc_disk(&stacked_fops, &lim, 1 << 20, "mid", &fake.disk->part0, NULL,
				  &mid) == 0);
	sim_expect(blk_alloc_disk(&stacked_fops, &lim, 1 << 20, "top", &mid->part0, NULL, &top) ==
		   0);
	bio = fake_bio(0, REQ_OP_READ | REQ_NOMERGE, 0);
	bio->bi_bdev = &top->part0;
	submit_bio(bio);
	settle();
	sim_expect(fake.taken_nr == 4 && stack_depth_peak == 1);
	for (unsigned int i = 0; i < 4; i++)
		sim_expect(fake.taken[i] == order[i]);
	while (fake.held_nr) {
		sim_expect(fake_ended_nr == 0);
		fake_complete(0, fake.held_nr == 2 ? BLK_STS_IOERR : BLK_STS_OK);
		settle();
	}
	sim_expect(fake_ended_nr == 1 && fake_bios[0].status == BLK_STS_IOERR);
	del_gendisk(top);
	del_gendisk(mid);
	bio_pool_destroy(stack_pool);
	fake_destroy();
	return 0;
}

Test(bio, stacked_devices_do_not_recurse_and_lower_parts_go_first)
{
	run(stacked_case);
}

/* ---- whole operations ---------------------------------------------------------------------------------- */

enum { DISK_BYTES = 8 << 20, AREA = 3 << 20 };

static int whole_case(void *arg)
{
	static char wrote[AREA] __aligned(4096), seen[AREA] __aligned(4096);
	const struct drv_config dc = { .name = "mem0" };
	const struct mem_config mc = { .size_bytes = DISK_BYTES, .has_write_cache = true };
	struct block_device *bdev;
	struct gendisk *disk;

	sim_expect(mem_disk_create(&dc, &mc, &disk) == 0);
	bdev = &disk->part0;
	for (size_t i = 0; i < sizeof(wrote); i++)
		wrote[i] = (char)(i * 7 + i / 4096);
	sim_expect(bdev_rw(bdev, REQ_OP_WRITE, 16, wrote, sizeof(wrote)) == 0);
	sim_expect(blkdev_issue_flush(bdev) == 0);
	sim_expect(bdev_rw(bdev, REQ_OP_READ, 16, seen, sizeof(seen)) == 0);
	sim_expect(memcmp(wrote, seen, sizeof(seen)) == 0);
	sim_expect(blkdev_issue_zeroout(bdev, 16 + 8, 2048, BLKDEV_ZERO_NOUNMAP) == 0);
	memset(wrote + 4096, 0, 1 << 20);
	sim_expect(bdev_rw(bdev, REQ_OP_READ, 16, seen, sizeof(seen)) == 0);
	sim_expect(memcmp(wrote, seen, sizeof(seen)) == 0);
	sim_expect(bdev_rw(bdev, REQ_OP_READ, 0, seen, 100) == -EINVAL);
	sim_expect(bdev_rw(bdev, REQ_OP_READ, bytes_to_sectors(DISK_BYTES), seen, 512) == -EIO);
	del_gendisk(disk);
	return 0;
}

Test(bio, what_was_written_zeroed_and_flushed_is_read_back)
{
	run(whole_case);
}

static int zeroout_case(void *arg)
{
	fake_create(NULL); /* has no WRITE_ZEROES and no discard */
	fake.is_inline = true;
	sim_expect(blkdev_issue_zeroout(&fake.disk->part0, 0, 1024, BLKDEV_ZERO_NOFALLBACK) ==
		   -EOPNOTSUPP);
	sim_expect(fake.taken_nr == 0);
	sim_expect(blkdev_issue_zeroout(&fake.disk->part0, 0, 1024, 0) == 0);
	sim_expect(fake.taken_nr > 0);
	sim_expect(blkdev_issue_discard(&fake.disk->part0, 0, 1024) == -EOPNOTSUPP);
	fake_destroy();
	return 0;
}

Test(bio, zeros_are_written_where_the_device_has_no_write_zeroes)
{
	run(zeroout_case);
}

/* ---- the foreign door ------------------------------------------------------------------------------------ */

static void *completer(void *arg)
{
	struct request *rq = arg;

	blk_mq_complete_request_foreign(rq, BLK_STS_TRANSPORT);
	return NULL;
}

static int foreign_main(void *arg)
{
	pthread_t thread;

	fake_create(NULL);
	fake_submit(0);
	while (!fake.held_nr)
		rt_yield();
	sim_expect(pthread_create(&thread, NULL, completer, fake.held[0]) == 0);
	while (__atomic_load_n(&fake_ended_nr, __ATOMIC_SEQ_CST) == 0)
		rt_sleep_ns(1000);
	pthread_join(thread, NULL);
	fake.held_nr = 0;
	sim_expect(fake_bios[0].status == BLK_STS_TRANSPORT && fake_bios[0].end_reactor == 0);
	fake_destroy();
	return fake_bios[0].status == BLK_STS_TRANSPORT ? 0 : -EIO;
}

Test(bio, a_foreign_thread_completes_through_the_door)
{
	const struct rt_config cfg = { .reactors_nr = 1, .is_unpinned = true };

	cr_assert_eq(rt_init(&cfg), 0);
	cr_assert_eq(rt_run(foreign_main, NULL), 0);
	rt_fini();
}
