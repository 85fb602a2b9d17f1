/* SPDX-License-Identifier: MIT */
/*
 * queue/: the settings of a queue, by the names, formats, modes and errors of Linux 6.18.
 *
 * The table at the end is the room: a file is a row. What is read is read without a lock, and what
 * changes how requests are handled is changed through the core's own functions, under freeze.
 * Numbers are taken as Linux takes them: decimal, one newline; where Linux quietly bounds a value or
 * ignores a write, so do we. A refused value is -EINVAL and a line in the log.
 * Locks: none here; a store may wait for change_lock and a freeze.
 */
#include "sysfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/parse.h"

#include "blk.h"
#include "debugfs.h"
#include "elevator.h"
#include "mq.h"

enum {
	BLKDEV_MIN_RQ = 4,	  /* a smaller nr_requests is taken as this */
	MAX_SCHED_RQ = 16 * 128,  /* the largest under an elevator */
	MIN_SEGMENT_BYTES = 4096, /* max_sectors_kb may not forbid one page */
	RA_PAGE_KB = 4,		  /* read-ahead counts in pages */
	DEFAULT_READ_AHEAD_KB = 128,
	NSEC_PER_MSEC = 1000000,
};

/* One file: what it is for a kind of row, and the attribute that shows it. */
struct queue_attr {
	struct attr attr;
	bool is_mq_only;       /* not there for a device without requests */
	bool is_inverted;      /* the flag means off */
	uint16_t offset, size; /* of a field of queue_limits */
	int8_t shift;	       /* left, to the unit shown; negative: right */
	uint32_t bit;	       /* of features or queue_flags */
	const char *text;      /* what is always so */
	const char *allowed;   /* for the log */
};

struct queue_file {
	struct request_queue *q;
	const struct queue_attr *desc;
};

/* ---- taking what was written ---------------------------------------------------------------------- */

static int refuse(const struct queue_file *f, const char *buf)
{
	int len = (int)strcspn(buf, "\n");

	log_err("%s: cannot set queue/%s to \"%.*s\": allowed is %s", f->q->disk->disk_name,
		f->desc->attr.name, min(len, 40), buf, f->desc->allowed);
	return -EINVAL;
}

/* As kstrtoul does: a plus sign is no mistake. */
static int parse_number(const struct queue_file *f, const char *buf, uint64_t max, uint64_t *out)
{
	const char *digits = buf[0] == '+' && buf[1] != '+' ? buf + 1 : buf;

	return parse_u64(digits, 0, max, out) ? refuse(f, buf) : 0;
}

static int parse_u32(const struct queue_file *f, const char *buf, uint32_t *out)
{
	uint64_t value;
	int err = parse_number(f, buf, UINT32_MAX, &value);

	if (!err)
		*out = (uint32_t)value;
	return err;
}

/* ---- rows of one kind ------------------------------------------------------------------------------- */

static int show_text(void *obj, struct strbuf *out)
{
	const struct queue_file *f = obj;

	strbuf_printf(out, "%s\n", f->desc->text);
	return 0;
}

static uint64_t read_limit(const struct queue_file *f)
{
	const char *field = (const char *)&f->q->limits + f->desc->offset;

	switch (f->desc->size) {
	case sizeof(uint16_t):
		return READ_ONCE(*(const uint16_t *)(const void *)field);
	case sizeof(uint32_t):
		return READ_ONCE(*(const uint32_t *)(const void *)field);
	default:
		return READ_ONCE(*(const uint64_t *)(const void *)field);
	}
}

static int show_limit(void *obj, struct strbuf *out)
{
	const struct queue_file *f = obj;
	uint64_t value = read_limit(f);

	value = f->desc->shift < 0 ? value >> -f->desc->shift : value << f->desc->shift;
	strbuf_printf(out, "%llu\n", (unsigned long long)value);
	return 0;
}

static int show_feature(void *obj, struct strbuf *out)
{
	const struct queue_file *f = obj;

	strbuf_puts(out, READ_ONCE(f->q->limits.features) & f->desc->bit ? "1\n" : "0\n");
	return 0;
}

static int store_feature(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	struct queue_limits lim = f->q->limits;
	uint32_t value;
	int err = parse_u32(f, buf, &value);

	if (err)
		return err;
	if (value)
		lim.features |= f->desc->bit;
	else
		lim.features &= ~f->desc->bit;
	return queue_limits_set(f->q, &lim);
}

static int show_flag(void *obj, struct strbuf *out)
{
	const struct queue_file *f = obj;

	strbuf_puts(out,
		    queue_flag_test(f->q, f->desc->bit) != f->desc->is_inverted ? "1\n" : "0\n");
	return 0;
}

static int store_flag(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	uint32_t value;
	int err = parse_u32(f, buf, &value);

	if (err)
		return err;
	if ((value != 0) != f->desc->is_inverted)
		queue_flag_set(f->q, f->desc->bit);
	else
		queue_flag_clear(f->q, f->desc->bit);
	return 0;
}

/* ---- rows of their own ------------------------------------------------------------------------------- */

static int show_nomerges(void *obj, struct strbuf *out)
{
	const struct request_queue *q = ((const struct queue_file *)obj)->q;

	strbuf_printf(out, "%d\n",
		      2 * queue_flag_test(q, QUEUE_FLAG_NOMERGES) +
			      queue_flag_test(q, QUEUE_FLAG_NOXMERGES));
	return 0;
}

static int store_nomerges(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	uint32_t value;
	int err = parse_u32(f, buf, &value);

	if (err)
		return err;
	queue_flag_clear(f->q, QUEUE_FLAG_NOMERGES | QUEUE_FLAG_NOXMERGES);
	if (value == 2)
		queue_flag_set(f->q, QUEUE_FLAG_NOMERGES);
	else if (value)
		queue_flag_set(f->q, QUEUE_FLAG_NOXMERGES);
	return 0;
}

static int show_rq_affinity(void *obj, struct strbuf *out)
{
	const struct request_queue *q = ((const struct queue_file *)obj)->q;
	int same = queue_flag_test(q, QUEUE_FLAG_SAME_COMP);

	strbuf_printf(out, "%d\n", same << queue_flag_test(q, QUEUE_FLAG_SAME_FORCE));
	return 0;
}

/* Another number changes nothing and is no error. */
static int store_rq_affinity(void *obj, const char *buf, size_t len)
{
	static const uint32_t flags_of[] = { 0, QUEUE_FLAG_SAME_COMP,
					     QUEUE_FLAG_SAME_COMP | QUEUE_FLAG_SAME_FORCE };
	const struct queue_file *f = obj;
	uint32_t value;
	int err = parse_u32(f, buf, &value);

	if (err || value >= ARRAY_SIZE(flags_of))
		return err;
	queue_flag_clear(f->q, (QUEUE_FLAG_SAME_COMP | QUEUE_FLAG_SAME_FORCE) & ~flags_of[value]);
	queue_flag_set(f->q, flags_of[value]);
	return 0;
}

static int store_max_sectors_kb(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	struct queue_limits lim = f->q->limits;
	uint32_t kb;
	int err = parse_u32(f, buf, &kb);

	if (err)
		return err;
	if (kb && kb < MIN_SEGMENT_BYTES / 1024)
		return refuse(f, buf);
	lim.max_user_sectors = min_t(uint32_t, kb, UINT32_MAX / 2) * 2;
	return queue_limits_set(f->q, &lim);
}

static int store_discard_max_bytes(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	struct queue_limits lim = f->q->limits;
	uint64_t bytes;
	int err = parse_number(f, buf, UINT64_MAX, &bytes);

	if (err)
		return err;
	/* A device that discards nothing has no granularity, and only 0 is a multiple of that. */
	if ((bytes & (lim.discard_granularity - 1)) || bytes_to_sectors(bytes) > UINT32_MAX)
		return refuse(f, buf);
	lim.max_user_discard_sectors = (uint32_t)bytes_to_sectors(bytes);
	return queue_limits_set(f->q, &lim);
}

static int store_zero(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	uint32_t value;
	int err = parse_u32(f, buf, &value);

	if (!err && value)
		err = refuse(f, buf);
	return err;
}

static int show_nr_requests(void *obj, struct strbuf *out)
{
	const struct queue_file *f = obj;

	strbuf_printf(out, "%u\n", READ_ONCE(f->q->nr_requests));
	return 0;
}

static int store_nr_requests(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	struct request_queue *q = f->q;
	uint32_t nr;
	int err = parse_u32(f, buf, &nr);

	if (err)
		return err;
	nr = max_t(uint32_t, nr, BLKDEV_MIN_RQ);
	rt_mutex_lock(&q->change_lock);
	if (nr > (q->elevator ? (unsigned int)MAX_SCHED_RQ : q->tag_set->queue_depth)) {
		err = refuse(f, buf);
	} else {
		blk_debugfs_hide_requests(q);
		blk_mq_freeze_queue(q);
		err = blk_mq_update_nr_requests(q, nr);
		blk_mq_unfreeze_queue(q);
		blk_debugfs_show_requests(q);
	}
	rt_mutex_unlock(&q->change_lock);
	return err;
}

static int show_scheduler(void *obj, struct strbuf *out)
{
	elevator_show(((const struct queue_file *)obj)->q, out);
	return 0;
}

static int store_scheduler(void *obj, const char *buf, size_t len)
{
	return elevator_switch(((const struct queue_file *)obj)->q, buf);
}

static int show_read_ahead_kb(void *obj, struct strbuf *out)
{
	const struct queue_file *f = obj;

	strbuf_printf(out, "%u\n", READ_ONCE(f->q->read_ahead_kb));
	return 0;
}

static int store_read_ahead_kb(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	uint32_t kb;
	int err = parse_u32(f, buf, &kb);

	if (!err)
		WRITE_ONCE(f->q->read_ahead_kb, kb - kb % RA_PAGE_KB);
	return err;
}

static int show_write_cache(void *obj, struct strbuf *out)
{
	const struct request_queue *q = ((const struct queue_file *)obj)->q;

	strbuf_puts(out, READ_ONCE(q->has_write_cache) ? "write back\n" : "write through\n");
	return 0;
}

static bool starts_with(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

/* It cannot give a device a cache: "write back" only ends an earlier "write through". */
static int store_write_cache(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	struct queue_limits lim = f->q->limits;

	if (starts_with(buf, "write back"))
		queue_flag_clear(f->q, QUEUE_FLAG_WC_OFF);
	else if (starts_with(buf, "write through") || starts_with(buf, "none"))
		queue_flag_set(f->q, QUEUE_FLAG_WC_OFF);
	else
		return refuse(f, buf);
	return queue_limits_set(f->q, &lim);
}

static int show_io_timeout(void *obj, struct strbuf *out)
{
	const struct queue_file *f = obj;
	uint64_t timeout_ns = READ_ONCE(f->q->timeout_ns);

	strbuf_printf(out, "%llu\n", (unsigned long long)(timeout_ns / NSEC_PER_MSEC));
	return 0;
}

static int store_io_timeout(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;
	uint32_t ms;
	int err = parse_u32(f, buf, &ms);

	if (!err && !ms)
		err = refuse(f, buf);
	if (!err) {
		WRITE_ONCE(f->q->timeout_ns, (uint64_t)ms * NSEC_PER_MSEC);
		blk_timeouts_shorten(f->q->tag_set, (uint64_t)ms * NSEC_PER_MSEC);
	}
	return err;
}

static int store_io_poll(void *obj, const char *buf, size_t len)
{
	const struct queue_file *f = obj;

	if (!(READ_ONCE(f->q->limits.features) & BLK_FEAT_POLL))
		return refuse(f, buf);
	log_info("%s: writes to queue/io_poll are ignored; poll_queues= at mount is what counts",
		 f->q->disk->disk_name);
	return 0;
}

static int store_ignored(void *obj, const char *buf, size_t len)
{
	return 0;
}

/* Writeback throttling is not built: what Linux answers where it is configured out. */
static int show_wbt(void *obj, struct strbuf *out)
{
	return -EINVAL;
}

static int store_wbt(void *obj, const char *buf, size_t len)
{
	return refuse(obj, buf);
}

/* ---- the table --------------------------------------------------------------------------------------- */

#define OF_LIMIT(field)                                                                            \
	.offset = offsetof(struct queue_limits, field),                                            \
	.size = sizeof(((struct queue_limits *)0)->field)

#define NUMBER "a number from 0 to 4294967295"

static const struct queue_attr queue_attrs[] = {
	{ { "add_random", 0644, show_flag, store_flag },
	  .bit = QUEUE_FLAG_ADD_RANDOM,
	  .allowed = NUMBER },
	{ { "atomic_write_boundary_bytes", 0444, show_text, NULL }, .text = "0" },
	{ { "atomic_write_max_bytes", 0444, show_text, NULL }, .text = "0" },
	{ { "atomic_write_unit_max_bytes", 0444, show_text, NULL }, .text = "0" },
	{ { "atomic_write_unit_min_bytes", 0444, show_text, NULL }, .text = "0" },
	{ { "chunk_sectors", 0444, show_limit, NULL }, OF_LIMIT(chunk_sectors) },
	{ { "dax", 0444, show_text, NULL }, .text = "0" },
	{ { "discard_granularity", 0444, show_limit, NULL }, OF_LIMIT(discard_granularity) },
	{ { "discard_max_bytes", 0644, show_limit, store_discard_max_bytes },
	  OF_LIMIT(max_discard_sectors),
	  .shift = SECTOR_SHIFT,
	  .allowed = "a multiple of discard_granularity, below 2 TiB; 0 switches discards off" },
	{ { "discard_max_hw_bytes", 0444, show_limit, NULL },
	  OF_LIMIT(max_hw_discard_sectors),
	  .shift = SECTOR_SHIFT },
	{ { "discard_zeroes_data", 0444, show_text, NULL }, .text = "0" },
	{ { "dma_alignment", 0444, show_limit, NULL }, OF_LIMIT(dma_alignment) },
	{ { "fua", 0444, show_feature, NULL }, .bit = BLK_FEAT_FUA },
	{ { "hw_sector_size", 0444, show_limit, NULL }, OF_LIMIT(logical_block_size) },
	{ { "io_poll", 0644, show_feature, store_io_poll },
	  .bit = BLK_FEAT_POLL,
	  .allowed = "nothing: the driver of this device does not poll" },
	{ { "io_poll_delay", 0644, show_text, store_ignored }, .text = "-1" },
	{ { "io_timeout", 0644, show_io_timeout, store_io_timeout },
	  .is_mq_only = true,
	  .allowed = "milliseconds from 1 to 4294967295" },
	{ { "iostats", 0644, show_flag, store_flag },
	  .bit = QUEUE_FLAG_NO_IO_STAT,
	  .is_inverted = true,
	  .allowed = NUMBER },
	{ { "iostats_passthrough", 0644, show_flag, store_flag },
	  .bit = QUEUE_FLAG_IOSTATS_PASSTHROUGH,
	  .allowed = NUMBER },
	{ { "logical_block_size", 0444, show_limit, NULL }, OF_LIMIT(logical_block_size) },
	{ { "max_discard_segments", 0444, show_limit, NULL }, OF_LIMIT(max_discard_segments) },
	{ { "max_hw_sectors_kb", 0444, show_limit, NULL }, OF_LIMIT(max_hw_sectors), .shift = -1 },
	{ { "max_integrity_segments", 0444, show_text, NULL }, .text = "0" },
	{ { "max_sectors_kb", 0644, show_limit, store_max_sectors_kb },
	  OF_LIMIT(max_sectors),
	  .shift = -1,
	  .allowed = "4 or more; above max_hw_sectors_kb it is taken as that; 0: the default" },
	{ { "max_segment_size", 0444, show_limit, NULL }, OF_LIMIT(max_segment_size) },
	{ { "max_segments", 0444, show_limit, NULL }, OF_LIMIT(max_segments) },
	{ { "max_write_streams", 0444, show_text, NULL }, .text = "0" },
	{ { "minimum_io_size", 0444, show_limit, NULL }, OF_LIMIT(io_min) },
	{ { "nomerges", 0644, show_nomerges, store_nomerges },
	  .allowed = "0 (merge), 1 (simple merges only) or 2 (none)" },
	{ { "nr_requests", 0644, show_nr_requests, store_nr_requests },
	  .is_mq_only = true,
	  .allowed = "up to the driver's queue depth, or 2048 with a scheduler" },
	{ { "nr_zones", 0444, show_text, NULL }, .text = "0" },
	{ { "optimal_io_size", 0444, show_limit, NULL }, OF_LIMIT(io_opt) },
	{ { "physical_block_size", 0444, show_limit, NULL }, OF_LIMIT(physical_block_size) },
	{ { "read_ahead_kb", 0644, show_read_ahead_kb, store_read_ahead_kb }, .allowed = NUMBER },
	{ { "rotational", 0644, show_feature, store_feature },
	  .bit = BLK_FEAT_ROTATIONAL,
	  .allowed = NUMBER },
	{ { "rq_affinity", 0644, show_rq_affinity, store_rq_affinity },
	  .is_mq_only = true,
	  .allowed = "0, 1 or 2" },
	{ { "scheduler", 0644, show_scheduler, store_scheduler }, .allowed = "a name of the list" },
	{ { "stable_writes", 0644, show_feature, store_feature },
	  .bit = BLK_FEAT_STABLE_WRITES,
	  .allowed = NUMBER },
	{ { "virt_boundary_mask", 0444, show_limit, NULL }, OF_LIMIT(virt_boundary_mask) },
	{ { "wbt_lat_usec", 0644, show_wbt, store_wbt },
	  .is_mq_only = true,
	  .allowed = "nothing: there is no writeback throttling" },
	{ { "write_cache", 0644, show_write_cache, store_write_cache },
	  .allowed = "\"write back\", \"write through\" or \"none\"" },
	{ { "write_same_max_bytes", 0444, show_text, NULL }, .text = "0" },
	{ { "write_stream_granularity", 0444, show_text, NULL }, .text = "0" },
	{ { "write_zeroes_max_bytes", 0444, show_limit, NULL },
	  OF_LIMIT(max_write_zeroes_sectors),
	  .shift = SECTOR_SHIFT },
	{ { "write_zeroes_unmap_max_bytes", 0644, show_text, store_zero },
	  .text = "0",
	  .allowed = "0 or the value of write_zeroes_unmap_max_hw_bytes" },
	{ { "write_zeroes_unmap_max_hw_bytes", 0444, show_text, NULL }, .text = "0" },
	{ { "zone_append_max_bytes", 0444, show_limit, NULL },
	  OF_LIMIT(max_zone_append_sectors),
	  .shift = SECTOR_SHIFT },
	{ { "zone_write_granularity", 0444, show_text, NULL }, .text = "0" },
	{ { "zoned", 0444, show_text, NULL }, .text = "none" },
};

/* ---- publishing --------------------------------------------------------------------------------------- */

static bool is_there(const struct request_queue *q, const struct queue_attr *desc)
{
	if (desc->is_mq_only && !q->mq_ops)
		return false;
	/* As in Linux: a driver that has no say in timeouts shows none. */
	return desc->attr.show != show_io_timeout || q->mq_ops->timeout;
}

static int fill_queue(struct request_queue *q)
{
	for (size_t i = 0; i < ARRAY_SIZE(queue_attrs); i++) {
		int err;

		q->queue_files[i] = (struct queue_file){ q, &queue_attrs[i] };
		if (!is_there(q, &queue_attrs[i]))
			continue;
		err = attr_dir_fill(q->attr_queue, &queue_attrs[i].attr, 1, &q->queue_files[i]);
		if (err)
			return err;
	}
	return elevator_publish(q);
}

int blk_sysfs_publish(struct request_queue *q, struct attr_dir *root)
{
	int err = -ENOMEM;

	q->read_ahead_kb = DEFAULT_READ_AHEAD_KB;
	q->queue_files = calloc(ARRAY_SIZE(queue_attrs), sizeof(*q->queue_files));
	if (q->queue_files)
		err = attr_dir_add(root, "queue", NULL, 0, NULL, &q->attr_queue);
	if (!err)
		err = fill_queue(q);
	if (err)
		blk_sysfs_unpublish(q);
	return err;
}

void blk_sysfs_unpublish(struct request_queue *q)
{
	elevator_unpublish(q);
	attr_dir_del(q->attr_queue);
	q->attr_queue = NULL;
	free(q->queue_files);
	q->queue_files = NULL;
}
