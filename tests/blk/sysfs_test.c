/* SPDX-License-Identifier: MIT */
/*
 * queue/, mq/ and debug/: the names and modes of a loop device's queue in Linux 6.18, what a fresh
 * queue shows, and what each file answers to what is written.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/elevator.h"
#include "blkfs/attr.h"
#include "blkfs/driver.h"
#include "tests/blk/fifo_elevators.h"
#include "tests/lib/sim.h"

/* As `stat -c %a` and `cat` print them of /sys/block/loop0/queue on 6.18, but for what says what this
 * device is: depth, limits, schedulers, and no writeback throttling. */
static const struct {
	const char *name;
	uint16_t mode;
	const char *text; /* NULL: reading is -EINVAL */
} queue_files[] = {
	{ "add_random", 0644, "0\n" },
	{ "atomic_write_boundary_bytes", 0444, "0\n" },
	{ "atomic_write_max_bytes", 0444, "0\n" },
	{ "atomic_write_unit_max_bytes", 0444, "0\n" },
	{ "atomic_write_unit_min_bytes", 0444, "0\n" },
	{ "chunk_sectors", 0444, "0\n" },
	{ "dax", 0444, "0\n" },
	{ "discard_granularity", 0444, "4096\n" },
	{ "discard_max_bytes", 0644, "1048576\n" },
	{ "discard_max_hw_bytes", 0444, "1048576\n" },
	{ "discard_zeroes_data", 0444, "0\n" },
	{ "dma_alignment", 0444, "511\n" },
	{ "fua", 0444, "1\n" },
	{ "hw_sector_size", 0444, "512\n" },
	{ "io_poll", 0644, "0\n" },
	{ "io_poll_delay", 0644, "-1\n" },
	{ "iostats", 0644, "1\n" },
	{ "iostats_passthrough", 0644, "0\n" },
	{ "logical_block_size", 0444, "512\n" },
	{ "max_discard_segments", 0444, "1\n" },
	{ "max_hw_sectors_kb", 0444, "1280\n" },
	{ "max_integrity_segments", 0444, "0\n" },
	{ "max_sectors_kb", 0644, "1280\n" },
	{ "max_segment_size", 0444, "65536\n" },
	{ "max_segments", 0444, "128\n" },
	{ "max_write_streams", 0444, "0\n" },
	{ "minimum_io_size", 0444, "512\n" },
	{ "nomerges", 0644, "0\n" },
	{ "nr_requests", 0644, "64\n" },
	{ "nr_zones", 0444, "0\n" },
	{ "optimal_io_size", 0444, "0\n" },
	{ "physical_block_size", 0444, "512\n" },
	{ "read_ahead_kb", 0644, "128\n" },
	{ "rotational", 0644, "0\n" },
	{ "rq_affinity", 0644, "1\n" },
	{ "scheduler", 0644, "[none] fifo fifo-home \n" },
	{ "stable_writes", 0644, "0\n" },
	{ "virt_boundary_mask", 0444, "0\n" },
	{ "wbt_lat_usec", 0644, NULL },
	{ "write_cache", 0644, "write back\n" },
	{ "write_same_max_bytes", 0444, "0\n" },
	{ "write_stream_granularity", 0444, "0\n" },
	{ "write_zeroes_max_bytes", 0444, "0\n" },
	{ "write_zeroes_unmap_max_bytes", 0644, "0\n" },
	{ "write_zeroes_unmap_max_hw_bytes", 0444, "0\n" },
	{ "zone_append_max_bytes", 0444, "0\n" },
	{ "zone_write_granularity", 0444, "0\n" },
	{ "zoned", 0444, "none\n" },
};

/* In this order on one queue; what Linux 6.18 answered on a loop device, where it has the file. */
static const struct {
	const char *name, *written;
	int err;
	const char *text; /* afterwards */
} writes[] = {
	{ "nomerges", "3\n", 0, "1\n" },
	{ "nomerges", "2", 0, "2\n" },
	{ "nomerges", "-1", -EINVAL, "2\n" },
	{ "nomerges", "0x1", -EINVAL, "2\n" },
	{ "nomerges", " 1", -EINVAL, "2\n" },
	{ "nomerges", "+1", 0, "1\n" },
	{ "nomerges", "4294967296", -EINVAL, "1\n" },
	{ "nomerges", "0", 0, "0\n" },
	{ "nr_requests", "3", 0, "4\n" },
	{ "nr_requests", "65", -EINVAL, "4\n" },
	{ "nr_requests", "64", 0, "64\n" },
	{ "rq_affinity", "5", 0, "1\n" },
	{ "rq_affinity", "2", 0, "2\n" },
	{ "rq_affinity", "0", 0, "0\n" },
	{ "rq_affinity", "1", 0, "1\n" },
	{ "max_sectors_kb", "3", -EINVAL, "1280\n" },
	{ "max_sectors_kb", "4", 0, "4\n" },
	{ "max_sectors_kb", "5000", 0, "1280\n" },
	{ "max_sectors_kb", "64", 0, "64\n" },
	{ "max_sectors_kb", "0", 0, "1280\n" },
	{ "read_ahead_kb", "5", 0, "4\n" },
	{ "read_ahead_kb", "x", -EINVAL, "4\n" },
	{ "write_cache", "foo", -EINVAL, "write back\n" },
	{ "write_cache", "write through\n", 0, "write through\n" },
	{ "write_cache", "write back\n", 0, "write back\n" },
	{ "write_cache", "none", 0, "write through\n" },
	{ "add_random", "5", 0, "1\n" },
	{ "rotational", "7", 0, "1\n" },
	{ "rotational", "0", 0, "0\n" },
	{ "stable_writes", "1", 0, "1\n" },
	{ "discard_max_bytes", "513", -EINVAL, "1048576\n" },
	{ "discard_max_bytes", "8192", 0, "8192\n" },
	{ "discard_max_bytes", "0", 0, "0\n" },
	{ "wbt_lat_usec", "2000", -EINVAL, NULL },
	{ "io_poll", "1", -EINVAL, "0\n" },
	{ "io_poll_delay", "x", 0, "-1\n" },
	{ "iostats", "0", 0, "0\n" },
	{ "iostats", "9", 0, "1\n" },
	{ "iostats_passthrough", "1", 0, "1\n" },
	{ "write_zeroes_unmap_max_bytes", "512", -EINVAL, "0\n" },
	{ "write_zeroes_unmap_max_bytes", "0", 0, "0\n" },
	{ "chunk_sectors", "1", -EACCES, "0\n" },
	{ "scheduler", "foo", -EINVAL, "[none] fifo fifo-home \n" },
	{ "scheduler", "fifoh\n", 0, "none fifo [fifo-home] \n" },
	{ "iosched/batch", "1", -EACCES, "16\n" },
	{ "nr_requests", "2049", -EINVAL, "128\n" },
	{ "nr_requests", "2048", 0, "2048\n" },
	{ "scheduler", " fifo ", 0, "none [fifo] fifo-home \n" },
	{ "nr_requests", "1", 0, "4\n" },
	{ "scheduler", "none", 0, "[none] fifo fifo-home \n" },
	{ "nr_requests", "128", -EINVAL, "64\n" },
};

/* ---- a disk that is never asked for anything -------------------------------------------------------- */

static blk_status_t idle_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	return BLK_STS_IOERR;
}

static enum blk_eh_timer_return idle_timeout(struct request *rq)
{
	return BLK_EH_RESET_TIMER;
}

static const struct blk_mq_ops idle_ops = { .queue_rq = idle_queue_rq };
static const struct blk_mq_ops timeout_ops = { .queue_rq = idle_queue_rq, .timeout = idle_timeout };

static struct blk_mq_tag_set set;
static struct gendisk *disk;

static int create_with(const struct blk_mq_ops *ops, unsigned int hw_queues, uint32_t flags)
{
	struct queue_limits lim;
	int err;

	set = (struct blk_mq_tag_set){
		.ops = ops, .nr_hw_queues = hw_queues, .queue_depth = 64, .flags = flags
	};
	blk_set_default_limits(&lim);
	lim.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	lim.max_hw_sectors = 2560;
	lim.max_sectors = 0;
	lim.max_hw_discard_sectors = 2048;
	lim.discard_granularity = 4096;
	lim.dma_alignment = 511;
	err = blk_mq_alloc_tag_set(&set);
	if (err)
		return err;
	return blk_mq_alloc_disk(&set, &lim, 1 << 20, "idle", NULL, attr_root(), &disk);
}

static int create(const struct blk_mq_ops *ops)
{
	return create_with(ops, 2, 0);
}

static void destroy(void)
{
	del_gendisk(disk);
	blk_mq_free_tag_set(&set);
}

static bool shows(const char *path, const char *expected)
{
	char text[4096];
	struct strbuf out;
	int err;

	strbuf_init(&out, text, sizeof(text));
	err = attr_show(path, &out);
	if (expected ? !err && strcmp(text, expected) == 0 : err == -EINVAL)
		return true;
	log_err("%s shows \"%s\" (%d), expected \"%s\"", path, text, err,
		expected ? expected : "-EINVAL");
	return false;
}

static const char *queue_path(const char *name)
{
	static char path[64];
	struct strbuf sb;

	strbuf_init(&sb, path, sizeof(path));
	strbuf_printf(&sb, "queue/%s", name);
	return path;
}

static void in_simulator(sim_fn fn)
{
	cr_assert_eq(elv_register(&fifo_elevator), 0);
	cr_assert_eq(elv_register(&fifo_home_elevator), 0);
	cr_assert_eq(sim_run(1, 2, fn, NULL), 0);
	elv_unregister(&fifo_elevator);
	elv_unregister(&fifo_home_elevator);
}

/* ---- queue/ --------------------------------------------------------------------------------------------- */

static int check_listed(void *ctx, const struct attr_info *info)
{
	size_t *next = ctx;

	sim_expect(*next < ARRAY_SIZE(queue_files) &&
		   strcmp(info->name, queue_files[*next].name) == 0 &&
		   (info->mode & 0777) == queue_files[*next].mode);
	++*next;
	return 0;
}

static int names_case(void *arg)
{
	size_t next = 0;
	int err = create(&idle_ops);

	if (err)
		return err;
	err = attr_list("queue", check_listed, &next);
	sim_expect(next == ARRAY_SIZE(queue_files));
	for (size_t i = 0; i < ARRAY_SIZE(queue_files); i++)
		sim_expect(shows(queue_path(queue_files[i].name), queue_files[i].text));
	destroy();
	return err;
}

Test(sysfs, the_files_are_those_of_linux_with_their_modes_and_formats)
{
	in_simulator(names_case);
}

static int writes_case(void *arg)
{
	int err = create(&idle_ops);

	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		err = attr_store(queue_path(writes[i].name), writes[i].written,
				 strlen(writes[i].written));
		if (err != writes[i].err)
			log_err("row %zu: %s <- \"%s\": %d", i, writes[i].name, writes[i].written,
				err);
		sim_expect(err == writes[i].err);
		sim_expect(shows(queue_path(writes[i].name), writes[i].text));
	}
	destroy();
	return 0;
}

Test(sysfs, what_is_written_is_taken_or_refused_as_linux_does)
{
	in_simulator(writes_case);
}

static int timeout_case(void *arg)
{
	int err = create(&timeout_ops);

	if (err)
		return err;
	sim_expect(shows("queue/io_timeout", "30000\n"));
	sim_expect(attr_store("queue/io_timeout", "0", 1) == -EINVAL);
	sim_expect(attr_store("queue/io_timeout", "1500", 4) == 0);
	sim_expect(shows("queue/io_timeout", "1500\n"));
	destroy();
	return 0;
}

Test(sysfs, io_timeout_is_there_where_the_driver_has_a_say)
{
	in_simulator(timeout_case);
}

/* ---- what a queue starts with ------------------------------------------------------------------------------ */

static const struct {
	unsigned int hw_queues;
	uint32_t flags;
	const char *scheduler, *nr_requests;
} defaults[] = {
	{ 1, 0, "none fifo fifo-home [mq-deadline] \n", "128\n" },
	{ 2, 0, "[none] fifo fifo-home mq-deadline \n", "64\n" },
	{ 1, BLK_MQ_F_NO_SCHED_BY_DEFAULT, "[none] fifo fifo-home mq-deadline \n", "64\n" },
	{ 1, BLK_MQ_F_NO_SCHED, "none\n", "64\n" },
};

static int defaults_case(void *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		int err = create_with(&idle_ops, defaults[i].hw_queues, defaults[i].flags);

		if (err)
			return err;
		sim_expect(shows("queue/scheduler", defaults[i].scheduler));
		sim_expect(shows("queue/nr_requests", defaults[i].nr_requests));
		destroy();
	}
	return 0;
}

Test(sysfs, one_hardware_queue_starts_with_mq_deadline_where_it_exists)
{
	struct elevator_type type = fifo_home_elevator;

	type.elevator_name = "mq-deadline";
	type.elevator_alias = "deadline";
	cr_assert_eq(elv_register(&fifo_elevator), 0);
	cr_assert_eq(elv_register(&fifo_home_elevator), 0);
	cr_assert_eq(elv_register(&type), 0);
	cr_assert_eq(sim_run(1, 2, defaults_case, NULL), 0);
	elv_unregister(&type);
	elv_unregister(&fifo_home_elevator);
	elv_unregister(&fifo_elevator);
}

/* ---- the rest ------------------------------------------------------------------------------------------------- */

static int others_case(void *arg)
{
	struct attr_info info;
	int err = create(&idle_ops);

	if (err)
		return err;
	sim_expect(shows("stat", "       0        0        0        0        0        0        0"
				 "        0        0        0        0        0        0        0"
				 "        0        0        0\n"));
	sim_expect(shows("inflight", "       0        0\n"));
	sim_expect(shows("diskstats", "   0       0 idle 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"));
	sim_expect(shows("mq/0/nr_tags", "64\n"));
	sim_expect(shows("mq/1/nr_reserved_tags", "0\n"));
	sim_expect(shows("debug/state", "SAME_COMP|INIT_DONE|REGISTERED\n"));
	sim_expect(shows("debug/hctx0/type", "default\n"));
	sim_expect(shows("debug/hctx0/flags", "\n"));
	sim_expect(shows("debug/hctx0/busy", ""));
	sim_expect(shows("debug/hctx0/dispatch", ""));
	sim_expect(shows("debug/hctx0/cpu0/default_rq_list", ""));
	sim_expect(shows("debug/hctx1/tags_bitmap", "00000000: 0000 0000 0000 0000\n"));
	sim_expect(attr_store("debug/state", "kick\n", 5) == 0);
	sim_expect(attr_store("debug/state", "jump\n", 5) == -EINVAL);
	destroy();
	sim_expect(attr_lookup("stat", &info) == -ENOENT);
	sim_expect(attr_lookup("queue", &info) == -ENOENT);
	sim_expect(attr_lookup("debug", &info) == -ENOENT);
	sim_expect(attr_lookup("mq", &info) == -ENOENT);
	return 0;
}

Test(sysfs, a_disk_shows_itself_and_takes_all_back)
{
	in_simulator(others_case);
}
