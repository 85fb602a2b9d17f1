/* SPDX-License-Identifier: MIT */
/*
 * What a disk shows: stat, inflight, diskstats, latency, mq/N, and with them queue/ (sysfs.c) and
 * debug/ (debugfs.c).
 *
 * The formats are those of /sys/block/X and /proc/diskstats; latency is our own. All of it may be
 * read from any thread and waits for nothing. The root directory may be shared with other rooms:
 * only what was put there is taken back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/histogram.h"
#include "base/json.h"

#include "blk.h"
#include "debugfs.h"
#include "sysfs.h"

static const char *const group_names[NR_STAT_GROUPS] = { "read", "write", "discard", "flush" };

static const struct {
	const char *name;
	double percent;
} percentiles[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99.9", 99.9 } };

/* ---- the disk's own files ---------------------------------------------------------------------- */

static const struct block_device *bdev_of(const void *obj)
{
	return &((const struct gendisk *)obj)->part0;
}

/* The fields in their order. struct disk_stats is nothing but them. */
static const uint64_t *fields_of(const struct disk_stats *stats, size_t *nr)
{
	*nr = sizeof(*stats) / sizeof(uint64_t);
	return &stats->read_ios;
}

static int show_stat(void *obj, struct strbuf *out)
{
	struct disk_stats stats;
	const uint64_t *fields;
	size_t nr;

	bdev_stats_read(bdev_of(obj), &stats);
	fields = fields_of(&stats, &nr);
	for (size_t i = 0; i < nr; i++)
		strbuf_printf(out, i ? " %8llu" : "%8llu", (unsigned long long)fields[i]);
	strbuf_putc(out, '\n');
	return 0;
}

static int show_diskstats(void *obj, struct strbuf *out)
{
	struct disk_stats stats;
	const uint64_t *fields;
	size_t nr;

	bdev_stats_read(bdev_of(obj), &stats);
	fields = fields_of(&stats, &nr);
	strbuf_printf(out, "%4d %7d %s", 0, 0, ((const struct gendisk *)obj)->disk_name);
	for (size_t i = 0; i < nr; i++)
		strbuf_printf(out, " %llu", (unsigned long long)fields[i]);
	strbuf_putc(out, '\n');
	return 0;
}

static int show_inflight(void *obj, struct strbuf *out)
{
	uint64_t inflight[2];

	bdev_inflight_read(bdev_of(obj), inflight);
	strbuf_printf(out, "%8llu %8llu\n", (unsigned long long)inflight[0],
		      (unsigned long long)inflight[1]);
	return 0;
}

/* ---- latency ------------------------------------------------------------------------------------ */

static void put_us(struct strbuf *out, uint64_t ns)
{
	strbuf_printf(out, " %11.1f", (double)ns / 1000);
}

static void latency_row(const char *name, const struct histogram *hist, struct strbuf *out)
{
	strbuf_printf(out, "%-8s %10llu", name, (unsigned long long)hist->values_nr);
	put_us(out, histogram_mean(hist));
	put_us(out, hist->min_ns);
	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++)
		put_us(out, histogram_percentile(hist, percentiles[i].percent));
	put_us(out, hist->max_ns);
	strbuf_putc(out, '\n');
}

/* A histogram is too big for a task's stack. */
static int each_histogram(const struct block_device *bdev,
			  void (*fn)(const char *name, const struct histogram *hist, void *arg),
			  void *arg)
{
	struct histogram *hist = malloc(sizeof(*hist));

	if (!hist)
		return -ENOMEM;
	for (unsigned int g = 0; g < NR_STAT_GROUPS; g++) {
		histogram_init(hist);
		bdev_latency_read(bdev, g, hist);
		fn(group_names[g], hist, arg);
	}
	free(hist);
	return 0;
}

static void put_row(const char *name, const struct histogram *hist, void *arg)
{
	latency_row(name, hist, arg);
}

static int show_latency(void *obj, struct strbuf *out)
{
	strbuf_printf(out, "%-8s %10s %11s %11s", "us", "count", "mean", "min");
	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++)
		strbuf_printf(out, " %11s", percentiles[i].name);
	strbuf_printf(out, " %11s\n", "max");
	return each_histogram(bdev_of(obj), put_row, out);
}

static void put_object(const char *name, const struct histogram *hist, void *arg)
{
	struct json *js = arg;

	json_object_begin(js, name);
	json_u64(js, "count", hist->values_nr);
	json_u64(js, "mean_ns", histogram_mean(hist));
	json_u64(js, "min_ns", hist->min_ns);
	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++) {
		char key[16];

		snprintf(key, sizeof(key), "%s_ns", percentiles[i].name);
		json_u64(js, key, histogram_percentile(hist, percentiles[i].percent));
	}
	json_u64(js, "max_ns", hist->max_ns);
	json_object_end(js);
}

static int show_latency_json(void *obj, struct strbuf *out)
{
	struct json js;
	int err;

	json_begin(&js, out);
	json_object_begin(&js, NULL);
	err = each_histogram(bdev_of(obj), put_object, &js);
	json_object_end(&js);
	json_end(&js);
	return err;
}

/* Whatever is written. */
static int store_latency(void *obj, const char *buf, size_t len)
{
	return bdev_latency_reset(bdev_of(obj));
}

static const struct attr disk_attrs[] = {
	{ "stat", 0444, show_stat, NULL },
	{ "inflight", 0444, show_inflight, NULL },
	{ "diskstats", 0444, show_diskstats, NULL },
	{ "latency", 0644, show_latency, store_latency },
	{ "latency_json", 0644, show_latency_json, store_latency },
};

/* ---- mq/N ----------------------------------------------------------------------------------------- */

static int show_cpu_list(void *obj, struct strbuf *out)
{
	const struct blk_mq_hw_ctx *hctx = obj;
	const char *comma = "";

	for (unsigned int r = 0; r < rt_reactor_nr(); r++) {
		if (!(hctx->reactors >> r & 1))
			continue;
		strbuf_printf(out, "%s%u", comma, rt_reactor_cpu(r));
		comma = ", ";
	}
	strbuf_putc(out, '\n');
	return 0;
}

static int show_nr_tags(void *obj, struct strbuf *out)
{
	strbuf_printf(out, "%u\n", ((const struct blk_mq_hw_ctx *)obj)->tags->nr_tags);
	return 0;
}

static int show_nr_reserved_tags(void *obj, struct strbuf *out)
{
	strbuf_printf(out, "%u\n", ((const struct blk_mq_hw_ctx *)obj)->tags->nr_reserved);
	return 0;
}

static const struct attr mq_attrs[] = {
	{ "cpu_list", 0444, show_cpu_list, NULL },
	{ "nr_tags", 0444, show_nr_tags, NULL },
	{ "nr_reserved_tags", 0444, show_nr_reserved_tags, NULL },
};

/* mq/N, and in it an empty directory for each CPU as in Linux. */
static int publish_hctx(struct request_queue *q, struct blk_mq_hw_ctx *hctx)
{
	struct attr_dir *dir, *cpu;
	char name[24];
	int err;

	snprintf(name, sizeof(name), "%u", hctx->queue_num);
	err = attr_dir_add(q->attr_mq, name, mq_attrs, ARRAY_SIZE(mq_attrs), hctx, &dir);
	for (unsigned int r = 0; r < rt_reactor_nr() && !err; r++) {
		if (!(hctx->reactors >> r & 1))
			continue;
		snprintf(name, sizeof(name), "cpu%u", rt_reactor_cpu(r));
		err = attr_dir_add(dir, name, NULL, 0, NULL, &cpu);
		/* Reactors that are not pinned may name one CPU twice. */
		if (err == -EEXIST)
			err = 0;
	}
	return err;
}

static int publish_mq(struct request_queue *q, struct attr_dir *root)
{
	int err = attr_dir_add(root, "mq", NULL, 0, NULL, &q->attr_mq);

	for (unsigned int i = 0; i < q->nr_hw_queues && !err; i++)
		err = publish_hctx(q, q->hctxs[i]);
	return err;
}

/* ---- a disk ---------------------------------------------------------------------------------------- */

/* Waiting for a show that is running must not stop the tasks that it may need. */
static void pause_task_or_thread(void)
{
	static const struct timespec moment = { .tv_nsec = 100000 };

	if (rt_current())
		rt_sleep_ns((uint64_t)moment.tv_nsec);
	else
		nanosleep(&moment, NULL);
}

int blk_publish_disk(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;
	struct attr_dir *root = disk->attr_root;
	int err;

	attr_set_pause(pause_task_or_thread);
	err = attr_dir_fill(root, disk_attrs, ARRAY_SIZE(disk_attrs), disk);
	if (!err)
		err = blk_sysfs_publish(q, root);
	if (!err && q->mq_ops)
		err = publish_mq(q, root);
	if (!err && q->mq_ops)
		err = blk_debugfs_publish(q, root);
	if (err)
		blk_unpublish_disk(disk);
	return err;
}

void blk_unpublish_disk(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;

	blk_debugfs_unpublish(q);
	attr_dir_del(q->attr_mq);
	q->attr_mq = NULL;
	blk_sysfs_unpublish(q);
	attr_dir_unfill(disk->attr_root, disk_attrs, disk);
}
