/* SPDX-License-Identifier: MIT */
/* The driver contract: see driver_contract.h. Read the table of cases at the end first. */
#include "tests/contract/driver_contract.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"

enum {
	MIB = 1 << 20,
	BUF_BYTES = 4 * MIB,
	FLIGHT_MAX = 512, /* bios in flight at once */
	EXPECT_LINES_MAX = 20,
};

struct run {
	const struct driver_contract *c;
	struct gendisk *disk;
	struct block_device *bdev;
	uint32_t block;	   /* logical block size */
	uint8_t *out, *in; /* BUF_BYTES each */
	unsigned int failures_nr;
};

static void expect_failed(struct run *r, const char *what, int line, uint64_t detail)
{
	if (__atomic_fetch_add(&r->failures_nr, 1, __ATOMIC_RELAXED) < EXPECT_LINES_MAX)
		log_err("%s: line %d: expected %s (%llu)", r->c->name, line, what,
			(unsigned long long)detail);
}

#define expect_of(cond, detail)                                                                    \
	(likely(cond) ? (void)0 : expect_failed(r, #cond, __LINE__, (uint64_t)(detail)))
#define expect(cond) expect_of(cond, 0)

/* ---- patterns -------------------------------------------------------------------------------------- */

/* Every 8 bytes tell where they are and which round wrote them. */
static void fill(uint8_t *buf, size_t len, uint64_t at_byte, uint64_t round)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = hash_combine(round, at_byte + i);

		memcpy(buf + i, &v, 8);
	}
}

static bool is_filled(const uint8_t *buf, size_t len, uint64_t at_byte, uint64_t round)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = hash_combine(round, at_byte + i);

		if (memcmp(buf + i, &v, 8) != 0)
			return false;
	}
	return true;
}

static bool is_zeros(const uint8_t *buf, size_t len)
{
	return len == 0 || (buf[0] == 0 && memcmp(buf, buf + 1, len - 1) == 0);
}

static int write_at(struct run *r, uint64_t at_byte, size_t len, uint64_t round, blk_opf_t flags)
{
	fill(r->out, len, at_byte, round);
	return bdev_rw(r->bdev, REQ_OP_WRITE | flags, bytes_to_sectors(at_byte), r->out, len);
}

static int read_at(struct run *r, uint64_t at_byte, size_t len)
{
	memset(r->in, 0xa5, len + 64);
	return bdev_rw(r->bdev, REQ_OP_READ, bytes_to_sectors(at_byte), r->in, len);
}

/* What was written by @round is there, and the read touched nothing behind it. */
static void expect_content(struct run *r, uint64_t at_byte, size_t len, uint64_t round)
{
	expect_of(read_at(r, at_byte, len) == 0, at_byte);
	expect_of(r->in[len] == 0xa5 && r->in[len + 63] == 0xa5, at_byte + len);
	if (!r->c->has_no_data)
		expect_of(is_filled(r->in, len, at_byte, round), at_byte);
}

static void expect_zeros(struct run *r, uint64_t at_byte, size_t len)
{
	expect_of(read_at(r, at_byte, len) == 0, at_byte);
	if (!r->c->has_no_data)
		expect_of(is_zeros(r->in, len), at_byte);
}

static uint64_t disk_bytes(const struct run *r)
{
	return bdev_nr_bytes(r->bdev);
}

/* ---- one I/O at a time ------------------------------------------------------------------------------- */

static void what_was_written_is_read(struct run *r)
{
	const size_t blocks[] = { 1, 2, 3, 7, 8, 16, 31, 128, 200, 255 };
	uint64_t round = 1;

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		size_t len = blocks[i] * r->block;
		uint64_t last = round_down(disk_bytes(r) - len, r->block);
		const uint64_t at[] = { 0, r->block, 3ULL * r->block, 5 * 64 * 1024, last };

		for (size_t k = 0; k < ARRAY_SIZE(at); k++, round++) {
			expect_of(write_at(r, at[k], len, round, 0) == 0, at[k]);
			expect_content(r, at[k], len, round);
		}
	}
}

static void large_io_is_cut_to_the_limits(struct run *r)
{
	size_t len = BUF_BYTES - MIB;

	expect(write_at(r, r->block, len, 77, 0) == 0);
	expect_content(r, r->block, len, 77);
}

static void neighbours_stay_as_they_are(struct run *r)
{
	uint64_t at = 1 * MIB;

	expect(write_at(r, at, 8 * r->block, 1, 0) == 0);
	expect(write_at(r, at + 3 * r->block, 2 * r->block, 2, 0) == 0);
	expect_content(r, at, 3 * r->block, 1);
	expect_content(r, at + 3 * r->block, 2 * r->block, 2);
	expect_content(r, at + 5 * r->block, 3 * r->block, 1);
}

static void scattered_memory_is_one_io(struct run *r)
{
	struct bio_vec vecs[8];
	struct bio bio;

	fill(r->out, 8 * r->block, 2 * MIB, 9);
	bio_init(&bio, r->bdev, vecs, 8, REQ_OP_WRITE);
	bio.bi_iter.bi_sector = bytes_to_sectors(2 * MIB);
	/* The second half of the memory holds a copy, from which every other piece is taken. */
	memcpy(r->out + MIB, r->out, 8 * r->block);
	for (unsigned int i = 0; i < 8; i++)
		expect(bio_add_vec(&bio, r->out + (i & 1 ? MIB : 0) + i * r->block, r->block) ==
		       r->block);
	expect(submit_bio_wait(&bio) == 0);
	expect_content(r, 2 * MIB, 8 * r->block, 9);
}

static void flush_and_fua_end_well(struct run *r)
{
	expect(blkdev_issue_flush(r->bdev) == 0);
	expect(write_at(r, 0, 4 * r->block, 5, REQ_FUA | REQ_SYNC) == 0);
	expect_content(r, 0, 4 * r->block, 5);
	expect(write_at(r, 0, 4 * r->block, 6, REQ_PREFLUSH | REQ_SYNC) == 0);
	expect(write_at(r, 64 * r->block, 4 * r->block, 7, REQ_PREFLUSH | REQ_FUA) == 0);
	expect_content(r, 0, 4 * r->block, 6);
	expect_content(r, 64 * r->block, 4 * r->block, 7);
	expect(blkdev_issue_flush(r->bdev) == 0);
}

static void expect_zeroout(struct run *r, size_t len, unsigned int flags, uint64_t round)
{
	uint64_t at = 1 * MIB, zeros_at = at + 5 * r->block;

	expect(write_at(r, at, 512 * 1024, round, 0) == 0);
	expect(blkdev_issue_zeroout(r->bdev, bytes_to_sectors(zeros_at), bytes_to_sectors(len),
				    flags) == 0);
	expect_content(r, at, 5 * r->block, round);
	expect_zeros(r, zeros_at, len);
	expect_content(r, zeros_at + len, 16 * r->block, round);
	expect(write_at(r, at, 512 * 1024, round + 1, 0) == 0);
	expect_content(r, at, 512 * 1024, round + 1);
}

static void zeroout_reads_as_zeros(struct run *r)
{
	const size_t lens[] = { r->block, 11 * r->block, 256 * 1024 + r->block };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		expect_zeroout(r, lens[i], 0, 100 + 10 * i);
		expect_zeroout(r, lens[i], BLKDEV_ZERO_NOUNMAP, 200 + 10 * i);
	}
}

static void discard_spares_the_neighbours(struct run *r)
{
	const struct queue_limits *lim = bdev_limits(r->bdev);
	uint64_t at = 2 * MIB;
	int ret;

	expect(write_at(r, at - 64 * 1024, 1 * MIB, 3, 0) == 0);
	ret = blkdev_issue_discard(r->bdev, bytes_to_sectors(at), bytes_to_sectors(512 * 1024));
	expect_of(ret == (lim->max_discard_sectors ? 0 : -EOPNOTSUPP), -ret);
	expect_content(r, at - 64 * 1024, 64 * 1024, 3);
	expect_content(r, at + 512 * 1024, 64 * 1024, 3);
	if (!ret && lim->features & BLK_FEAT_DISCARD_ZEROES)
		expect_zeros(r, at, 512 * 1024);
	expect(write_at(r, at, 512 * 1024, 4, 0) == 0);
	expect_content(r, at, 512 * 1024, 4);
}

/* ---- refusals -------------------------------------------------------------------------------------------- */

static void beyond_the_end_is_an_error(struct run *r)
{
	uint64_t end = disk_bytes(r);

	expect(read_at(r, end, r->block) < 0);
	expect(read_at(r, end - r->block, 2 * r->block) < 0);
	expect(write_at(r, end, r->block, 1, 0) < 0);
	expect(write_at(r, end + 1024 * MIB, r->block, 1, 0) < 0);
	expect(read_at(r, end - r->block, r->block) == 0);
}

static void a_part_of_a_block_is_an_error(struct run *r)
{
	if (r->block == SECTOR_SIZE)
		return;
	expect(read_at(r, SECTOR_SIZE, r->block) < 0);
	expect(read_at(r, 0, SECTOR_SIZE) < 0);
	expect(write_at(r, SECTOR_SIZE, SECTOR_SIZE, 1, 0) < 0);
}

static void read_only_refuses_writes(struct run *r)
{
	struct gendisk *disk;
	struct run ro = *r;

	/* Some sources can be had once only. */
	r->c->destroy(r->c->ctx, r->disk);
	expect(r->c->create(r->c->ctx, true, &disk) == 0);
	ro.bdev = &disk->part0;
	expect(write_at(&ro, 0, r->block, 1, 0) < 0);
	expect(blkdev_issue_zeroout(ro.bdev, 0, bytes_to_sectors(r->block), 0) < 0);
	expect(blkdev_issue_discard(ro.bdev, 0, bytes_to_sectors(r->block)) < 0);
	expect(read_at(&ro, 0, r->block) == 0);
	expect(blkdev_issue_flush(ro.bdev) == 0);
	r->c->destroy(r->c->ctx, disk);
	expect(r->c->create(r->c->ctx, false, &r->disk) == 0);
	r->bdev = &r->disk->part0;
}

/* ---- many at once ---------------------------------------------------------------------------------------- */

struct flight {
	struct bio bio;
	struct bio_vec vec;
	unsigned int ends_nr; /* [atomic] */
	blk_status_t status;
	struct crowd *crowd;
};

struct crowd {
	struct run *r;
	struct flight flights[FLIGHT_MAX];
	unsigned int left_nr; /* [atomic] */
	struct completion done;
};

static struct crowd crowd; /* one run at a time; too large for a task's stack */

static void flight_ends(struct bio *bio)
{
	struct flight *f = bio->bi_private;

	f->status = bio->bi_status;
	__atomic_add_fetch(&f->ends_nr, 1, __ATOMIC_RELAXED);
	if (__atomic_sub_fetch(&f->crowd->left_nr, 1, __ATOMIC_ACQ_REL) == 0)
		complete(&f->crowd->done);
}

/* @nr bios of a block each, at places that a permutation draws, from memory of their own. */
static void crowd_submit(struct run *r, unsigned int nr, blk_opf_t opf)
{
	struct blk_plug plug;

	crowd.r = r;
	crowd.left_nr = nr;
	completion_init(&crowd.done);
	blk_start_plug(&plug);
	for (unsigned int i = 0; i < nr; i++) {
		struct flight *f = &crowd.flights[i];
		unsigned int place = (i * 173) % nr;
		uint8_t *mem = op_is_write(opf) ? r->out : r->in;

		*f = (struct flight){ .crowd = &crowd };
		bio_init(&f->bio, r->bdev, &f->vec, 1, opf);
		f->bio.bi_iter.bi_sector = bytes_to_sectors((uint64_t)place * r->block);
		bio_add_vec(&f->bio, mem + (size_t)place * r->block, r->block);
		f->bio.bi_private = f;
		f->bio.bi_end_io = flight_ends;
		submit_bio(&f->bio);
	}
	blk_finish_plug(&plug);
}

static void expect_crowd_ended(struct run *r, unsigned int nr, bool may_be_offline)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct flight *f = &crowd.flights[i];

		expect_of(f->ends_nr == 1, f->ends_nr);
		expect_of(f->status == BLK_STS_OK ||
				  (may_be_offline && f->status == BLK_STS_OFFLINE),
			  f->status);
	}
}

static void more_than_the_depth_all_end_once(struct run *r)
{
	size_t len = (size_t)FLIGHT_MAX * r->block;

	fill(r->out, len, 0, 21);
	crowd_submit(r, FLIGHT_MAX, REQ_OP_WRITE);
	completion_wait(&crowd.done);
	expect_crowd_ended(r, FLIGHT_MAX, false);
	memset(r->in, 0, len);
	crowd_submit(r, FLIGHT_MAX, REQ_OP_READ);
	completion_wait(&crowd.done);
	expect_crowd_ended(r, FLIGHT_MAX, false);
	if (!r->c->has_no_data)
		expect(is_filled(r->in, len, 0, 21));
}

static void removal_ends_what_is_in_flight(struct run *r)
{
	const unsigned int nr = 16;

	fill(r->out, nr * r->block, 0, 22);
	crowd_submit(r, nr, REQ_OP_WRITE);
	r->c->destroy(r->c->ctx, r->disk);
	completion_wait(&crowd.done);
	expect_crowd_ended(r, nr, true);
	expect(r->c->create(r->c->ctx, false, &r->disk) == 0);
	r->bdev = &r->disk->part0;
}

/* ---- from every reactor ---------------------------------------------------------------------------------- */

struct worker {
	struct run r; /* memory of its own */
	unsigned int idx;
	struct completion *done;
};

enum { WORKER_IOS = 60, WORKER_BYTES = 64 << 10 };

static void worker_runs(void *arg)
{
	struct worker *w = arg;
	struct run *r = &w->r;
	uint64_t base = (uint64_t)w->idx * MIB, draw = w->idx;

	for (unsigned int i = 0; i < WORKER_IOS; i++) {
		size_t len;
		uint64_t at;

		draw = hash_combine(draw, i);
		len = (1 + draw % (WORKER_BYTES / r->block)) * r->block;
		at = base + (draw >> 20) % 16 * WORKER_BYTES / 2;
		expect_of(write_at(r, at, len, draw, i % 16 == 15 ? REQ_FUA : 0) == 0, at);
		if (i % 8 == 7)
			expect(blkdev_issue_flush(r->bdev) == 0);
		expect_content(r, at, len, draw);
	}
	complete(w->done);
}

static void reactors_use_it_together(struct run *r)
{
	static struct worker workers[4];
	struct completion done;

	completion_init(&done);
	for (unsigned int i = 0; i < ARRAY_SIZE(workers); i++) {
		workers[i] = (struct worker){ .r = *r, .idx = i, .done = &done };
		workers[i].r.failures_nr = 0;
		workers[i].r.out = r->out + i * MIB;
		workers[i].r.in = r->in + i * MIB;
		expect(rt_spawn_on(i % rt_reactor_nr(), worker_runs, &workers[i], "worker") == 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(workers); i++)
		completion_wait(&done);
	for (unsigned int i = 0; i < ARRAY_SIZE(workers); i++)
		r->failures_nr += workers[i].r.failures_nr;
}

/* ---- all cases --------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(struct run *r);
} cases[] = {
	{ "what was written is read", what_was_written_is_read },
	{ "large I/O is cut to the limits", large_io_is_cut_to_the_limits },
	{ "neighbours stay as they are", neighbours_stay_as_they_are },
	{ "scattered memory is one I/O", scattered_memory_is_one_io },
	{ "flush and FUA end well", flush_and_fua_end_well },
	{ "zeroout reads as zeros", zeroout_reads_as_zeros },
	{ "discard spares the neighbours", discard_spares_the_neighbours },
	{ "beyond the end is an error", beyond_the_end_is_an_error },
	{ "a part of a block is an error", a_part_of_a_block_is_an_error },
	{ "read-only refuses writes", read_only_refuses_writes },
	{ "more than the depth all end once", more_than_the_depth_all_end_once },
	{ "removal ends what is in flight", removal_ends_what_is_in_flight },
	{ "reactors use it together", reactors_use_it_together },
};

static void run_cases(struct run *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int before_nr = r->failures_nr;

		cases[i].run(r);
		if (r->failures_nr != before_nr)
			log_err("%s breaks the contract: %s", r->c->name, cases[i].name);
	}
}

int driver_contract_run(const struct driver_contract *c)
{
	struct run r = { .c = c };
	int ret = c->create(c->ctx, false, &r.disk);

	if (ret) {
		log_err("%s: no disk to test: error %d", c->name, -ret);
		return ret;
	}
	r.bdev = &r.disk->part0;
	r.block = bdev_limits(r.bdev)->logical_block_size;
	r.out = rt_dma_alloc(BUF_BYTES + 4096);
	r.in = rt_dma_alloc(BUF_BYTES + 4096);
	if (r.out && r.in && disk_bytes(&r) >= 8 * MIB)
		run_cases(&r);
	else
		expect_failed(&r, "memory, and a disk of 8 MiB", __LINE__, disk_bytes(&r));
	c->destroy(c->ctx, r.disk);
	rt_dma_free(r.out, BUF_BYTES + 4096);
	rt_dma_free(r.in, BUF_BYTES + 4096);
	return r.failures_nr ? -EILSEQ : 0;
}

static int run_as_main(void *arg)
{
	return driver_contract_run(arg);
}

int driver_contract_run_ring(const struct driver_contract *c)
{
	int ret = 0;

	for (unsigned int reactors_nr = 1; reactors_nr <= 2 && !ret; reactors_nr++) {
		const struct rt_config cfg = {
			.reactors_nr = reactors_nr,
			.spin_us = 20,
			.tasks_max = 64,
		};

		ret = rt_init(&cfg);
		if (ret)
			break;
		ret = rt_run(run_as_main, (void *)c);
		rt_fini();
	}
	return ret;
}
