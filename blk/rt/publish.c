/* SPDX-License-Identifier: MIT */
/*
 * reactor/N/: what a reactor counts, one number a file.
 *
 * The reactor alone writes the counters; they are read here without asking it, whole but not all of
 * one moment.
 */
#include <inttypes.h>

#include "base/log.h"
#include "blkfs/attr.h"

#include "backend.h"

static struct attr_dir *dirs[RT_REACTORS_MAX];

static int show_number(struct strbuf *out, uint64_t value)
{
	strbuf_printf(out, "%" PRIu64 "\n", value);
	return 0;
}

static const struct reactor_stats *stats_of(void *obj)
{
	return &((struct reactor *)obj)->stats;
}

static int cpu_show(void *obj, struct strbuf *out)
{
	return show_number(out, ((struct reactor *)obj)->cpu);
}

static int turns_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->turns));
}

static int enters_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->enters));
}

static int sleeps_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->sleeps));
}

static int spin_ns_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->spin_ns));
}

static int spin_hits_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->spin_hits));
}

static int switches_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->switches));
}

static int msgs_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->msgs));
}

static int wakeups_sent_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->wakeups_sent));
}

static int ios_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->ios));
}

static int ios_inline_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->ios_inline));
}

static int offloads_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->offloads));
}

static int overflows_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->overflows));
}

static int tasks_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->tasks_nr));
}

static int tasks_peak_show(void *obj, struct strbuf *out)
{
	return show_number(out, READ_ONCE(stats_of(obj)->tasks_peak));
}

static const struct attr reactor_attrs[] = {
	{ .name = "cpu", .mode = 0444, .show = cpu_show },
	{ .name = "turns", .mode = 0444, .show = turns_show },
	{ .name = "enters", .mode = 0444, .show = enters_show },
	{ .name = "sleeps", .mode = 0444, .show = sleeps_show },
	{ .name = "spin_ns", .mode = 0444, .show = spin_ns_show },
	{ .name = "spin_hits", .mode = 0444, .show = spin_hits_show },
	{ .name = "switches", .mode = 0444, .show = switches_show },
	{ .name = "msgs", .mode = 0444, .show = msgs_show },
	{ .name = "wakeups", .mode = 0444, .show = wakeups_sent_show },
	{ .name = "ios", .mode = 0444, .show = ios_show },
	{ .name = "ios_inline", .mode = 0444, .show = ios_inline_show },
	{ .name = "offloads", .mode = 0444, .show = offloads_show },
	{ .name = "overflows", .mode = 0444, .show = overflows_show },
	{ .name = "tasks", .mode = 0444, .show = tasks_show },
	{ .name = "tasks_peak", .mode = 0444, .show = tasks_peak_show },
};

void publish_undo(void)
{
	for (unsigned int i = 0; i < RT_REACTORS_MAX; i++) {
		attr_dir_del(dirs[i]);
		dirs[i] = NULL;
	}
}

int rt_publish(struct attr_dir *root)
{
	for (unsigned int i = 0; i < rt_core.reactors_nr; i++) {
		struct strbuf path;
		char path_buf[32];
		int err;

		strbuf_init(&path, path_buf, sizeof(path_buf));
		strbuf_printf(&path, "reactor/%u", i);
		err = attr_dir_add(root, path_buf, reactor_attrs, ARRAY_SIZE(reactor_attrs),
				   rt_core.reactors[i], &dirs[i]);
		if (err) {
			log_err("runtime: cannot publish %s: error %d", path_buf, err);
			publish_undo();
			return err;
		}
	}
	return 0;
}
