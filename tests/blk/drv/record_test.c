/* SPDX-License-Identifier: MIT */
/* What a record disk writes down, and that the flush machinery above it keeps its order. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "base/log.h"
#include "blkfs/drivers.h"

#include "tests/lib/sim.h"

enum { DISK_BYTES = 1 << 20, ENTRIES_MAX = 4000, WRITERS_NR = 4, ROUNDS_NR = 12 };

struct pair {
	struct gendisk *below, *disk;
};

static int make_pair(struct pair *p, struct mem_config mc, size_t entries_max)
{
	struct drv_config below = { .name = "mem", .queue_depth = 8 };
	struct drv_config dc = { .name = "record", .queue_depth = 8 };
	int ret;

	mc.size_bytes = DISK_BYTES;
	ret = mem_disk_create(&below, &mc, &p->below);
	if (!ret)
		ret = record_disk_create(&dc, &p->below->part0, entries_max, &p->disk);
	return ret;
}

static void remove_pair(struct pair *p)
{
	del_gendisk(p->disk);
	del_gendisk(p->below);
}

static int entries_tell_the_story(void *arg)
{
	static uint8_t buf[4096] __aligned(4096);
	const struct mem_config mc = { .has_write_cache = true, .has_fua = true };
	struct record_entry e[8];
	struct pair p;
	int ret = make_pair(&p, mc, 6);

	if (ret)
		return ret;
	sim_expect(bdev_rw(&p.disk->part0, REQ_OP_WRITE, 16, buf, 4096) == 0);
	sim_expect(record_read(p.disk, e, 8) == 2);
	sim_expect(e[0].what == 'D' && op_of(e[0].opf) == REQ_OP_WRITE && e[0].sector == 16 &&
		   e[0].len_bytes == 4096 && e[0].seq == 0);
	sim_expect(e[1].what == 'C' && e[1].sector == 16 && e[1].status == BLK_STS_OK);
	sim_expect(blkdev_issue_flush(&p.disk->part0) == 0);
	sim_expect(record_read(p.disk, e, 8) == 4);
	sim_expect(e[2].what == 'D' && op_of(e[2].opf) == REQ_OP_FLUSH);
	sim_expect(record_dropped(p.disk) == 0);
	for (int i = 0; i < 3; i++)
		sim_expect(bdev_rw(&p.disk->part0, REQ_OP_READ, 0, buf, 512) == 0);
	sim_expect(record_read(p.disk, e, 8) == 6);
	sim_expect(record_read(p.disk, e, 1) == 1);
	sim_expect(record_dropped(p.disk) == 4);
	record_clear(p.disk);
	sim_expect(record_read(p.disk, e, 8) == 0 && record_dropped(p.disk) == 0);
	remove_pair(&p);
	return 0;
}

Test(record, entries_say_what_was_issued_and_what_completed)
{
	sim_seeds(1, 30, 2, entries_tell_the_story, NULL);
}

/* ---- the file ---------------------------------------------------------------------------------------- */

static char log_path[] = "/tmp/blkfs-record-test.XXXXXX";

/* The file as it is now; how many bytes. */
static size_t slurp(char *out, size_t size)
{
	FILE *f = fopen(log_path, "re");
	size_t len = f ? fread(out, 1, size - 1, f) : 0;

	if (f)
		fclose(f);
	out[len] = 0;
	return len;
}

static int lines_are_there_while_it_runs(void *arg)
{
	static uint8_t buf[4096] __aligned(4096);
	static char text[4096];
	const struct mem_config mc = { .has_write_cache = true, .has_fua = true };
	struct pair p;
	unsigned long long seq, sector, bytes, status;
	char what, op[16], flags[8];
	int ret = make_pair(&p, mc, 8);

	if (ret)
		return ret;
	sim_expect(record_log_to(p.disk, "/nonexistent/log") == -ENOENT);
	sim_expect(record_log_to(p.disk, log_path) == 0);
	sim_expect(bdev_rw(&p.disk->part0, REQ_OP_WRITE | REQ_FUA, 16, buf, 4096) == 0);
	slurp(text, sizeof(text));
	sim_expect(sscanf(text, "%c %llu %*u %15s %7s %llu %llu %llu", &what, &seq, op, flags,
			  &sector, &bytes, &status) == 7);
	sim_expect(what == 'D' && seq == 0 && !strcmp(op, "WRITE") && strchr(flags, 'U') &&
		   sector == 16 && bytes == 4096 && status == 0);
	sim_expect(strchr(text, '\n') && strchr(text, '\n')[1] == 'C');
	remove_pair(&p);
	sim_expect(slurp(text, sizeof(text)) == 2 * (size_t)(strchr(text, '\n') + 1 - text));
	return 0;
}

Test(record, lines_of_a_file_say_the_same_at_any_time)
{
	int fd = mkstemp(log_path);

	cr_assert(fd >= 0);
	close(fd);
	cr_expect_eq(sim_run(1, 1, lines_are_there_while_it_runs, NULL), 0);
	unlink(log_path);
}

/* ---- order ------------------------------------------------------------------------------------------- */

struct writers {
	struct pair p;
	struct completion done;
	struct {
		uint64_t acked_at;   /* entries when the write was acknowledged */
		uint64_t flushed_at; /* and when a flush that began after that had ended */
	} rounds[WRITERS_NR][ROUNDS_NR];
};

struct writer {
	struct writers *all;
	unsigned int idx;
};

static uint64_t entries_nr(struct gendisk *disk)
{
	static struct record_entry entries[ENTRIES_MAX];

	return record_read(disk, entries, ENTRIES_MAX);
}

static void writer_runs(void *arg)
{
	struct writer *w = arg;
	struct gendisk *disk = w->all->p.disk;
	uint8_t buf[SECTOR_SIZE] __aligned(SECTOR_SIZE) = { 0 };

	for (unsigned int i = 0; i < ROUNDS_NR; i++) {
		sector_t sector = w->idx * 100 + i * 2;

		sim_expect(bdev_rw(&disk->part0, REQ_OP_WRITE, sector, buf, SECTOR_SIZE) == 0);
		w->all->rounds[w->idx][i].acked_at = entries_nr(disk);
		if (i % 2)
			sim_expect(blkdev_issue_flush(&disk->part0) == 0);
		else
			sim_expect(bdev_rw(&disk->part0, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA,
					   sector + 1, buf, SECTOR_SIZE) == 0);
		w->all->rounds[w->idx][i].flushed_at = entries_nr(disk);
	}
	complete(&w->all->done);
}

/* Between @from and @to a flush was issued, and completed. */
static bool has_flush_between(const struct record_entry *e, uint64_t from, uint64_t to)
{
	bool is_issued = false;

	for (uint64_t i = from; i < to; i++) {
		if (op_of(e[i].opf) != REQ_OP_FLUSH)
			continue;
		if (e[i].what == 'D')
			is_issued = true;
		else if (is_issued)
			return true;
	}
	return false;
}

static int flushes_are_in_order(void *arg)
{
	static struct record_entry entries[ENTRIES_MAX];
	static struct writers all;
	struct writer writers[WRITERS_NR];
	int ret = make_pair(&all.p, *(const struct mem_config *)arg, ENTRIES_MAX);

	if (ret)
		return ret;
	completion_init(&all.done);
	for (unsigned int i = 0; i < WRITERS_NR; i++) {
		writers[i] = (struct writer){ &all, i };
		sim_expect(rt_spawn_on(i % rt_reactor_nr(), writer_runs, &writers[i], "writer") ==
			   0);
	}
	for (unsigned int i = 0; i < WRITERS_NR; i++)
		completion_wait(&all.done);
	record_read(all.p.disk, entries, ENTRIES_MAX);
	sim_expect(record_dropped(all.p.disk) == 0);
	for (unsigned int i = 0; i < WRITERS_NR; i++)
		for (unsigned int k = 0; k < ROUNDS_NR; k++)
			sim_expect(has_flush_between(entries, all.rounds[i][k].acked_at,
						     all.rounds[i][k].flushed_at));
	remove_pair(&all.p);
	return 0;
}

Test(record, an_acknowledged_flush_was_issued_after_what_it_covers_and_has_completed)
{
	struct mem_config with_fua = {
		.has_write_cache = true,
		.has_fua = true,
		.latency_ns = 15000,
	};
	struct mem_config without_fua = { .has_write_cache = true, .latency_ns = 15000 };

	sim_seeds(1, 150, 2, flushes_are_in_order, &with_fua);
	sim_seeds(1, 150, 1, flushes_are_in_order, &without_fua);
}
