/* SPDX-License-Identifier: MIT */
/*
 * fuse/... in the control tree: what the front is, and what it counted.
 *
 * Counters are summed over the reactors when they are read; each is written by its reactor alone.
 */
#include "blkfs/attr.h"

#include "fs/fuse/front.h"

static uint64_t stat_sum(const struct fuse_front *ff, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < ff->cpus_nr; i++) {
		const char *stats = (const char *)&ff->cpus[i].stats;

		sum += READ_ONCE(*(const uint64_t *)(stats + offset));
	}
	return sum;
}

static int requests_show(void *obj, struct strbuf *out)
{
	for (unsigned int op = 0; op < WIRE_OPCODES_NR; op++) {
		size_t offset = offsetof(struct ff_stats, requests) + op * sizeof(uint64_t);
		uint64_t nr = stat_sum(obj, offset);

		if (nr)
			strbuf_printf(out, "%s %llu\n", wire_opcode_name(op),
				      (unsigned long long)nr);
	}
	return 0;
}

static int sum_show(const struct fuse_front *ff, size_t offset, struct strbuf *out)
{
	strbuf_printf(out, "%llu\n", (unsigned long long)stat_sum(ff, offset));
	return 0;
}

static int errors_show(void *obj, struct strbuf *out)
{
	return sum_show(obj, offsetof(struct ff_stats, errors), out);
}

static int interrupts_show(void *obj, struct strbuf *out)
{
	return sum_show(obj, offsetof(struct ff_stats, interrupts), out);
}

static int read_bytes_show(void *obj, struct strbuf *out)
{
	return sum_show(obj, offsetof(struct ff_stats, read_bytes), out);
}

static int write_bytes_show(void *obj, struct strbuf *out)
{
	return sum_show(obj, offsetof(struct ff_stats, write_bytes), out);
}

static int waited_show(void *obj, struct strbuf *out)
{
	return sum_show(obj, offsetof(struct ff_stats, waited_for_task), out);
}

static int inflight_show(void *obj, struct strbuf *out)
{
	strbuf_printf(out, "%u\n", ff_inflight_nr(obj));
	return 0;
}

static int transport_show(void *obj, struct strbuf *out)
{
	struct fuse_front_info info;

	fuse_front_get_info(obj, &info);
	strbuf_printf(out, "%s: %s\n", info.transport, info.transport_reason);
	return 0;
}

static int connection_show(void *obj, struct strbuf *out)
{
	struct fuse_front_info info;

	fuse_front_get_info(obj, &info);
	strbuf_printf(out,
		      "type %s\nprotocol %u.%u\nconnection %llu\nloop %s\ndepth %u\n"
		      "max_write %u\nwriteback %d\n",
		      info.type, info.proto_major, info.proto_minor,
		      (unsigned long long)info.connection, info.loop_device, info.depth,
		      info.max_write, info.has_writeback);
	return 0;
}

static const struct attr front_attrs[] = {
	{ .name = "requests", .mode = 0444, .show = requests_show },
	{ .name = "inflight", .mode = 0444, .show = inflight_show },
	{ .name = "errors", .mode = 0444, .show = errors_show },
	{ .name = "interrupts", .mode = 0444, .show = interrupts_show },
	{ .name = "read_bytes", .mode = 0444, .show = read_bytes_show },
	{ .name = "write_bytes", .mode = 0444, .show = write_bytes_show },
	{ .name = "waited_for_task", .mode = 0444, .show = waited_show },
	{ .name = "transport", .mode = 0444, .show = transport_show },
	{ .name = "connection", .mode = 0444, .show = connection_show },
};

int ff_attrs_add(struct fuse_front *ff, struct attr_dir *parent)
{
	if (!parent)
		return 0;
	return attr_dir_add(parent, "fuse", front_attrs, ARRAY_SIZE(front_attrs), ff,
			    &ff->attr_dir);
}
