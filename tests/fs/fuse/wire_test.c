/* SPDX-License-Identifier: MIT */
/*
 * The wire file: what is asked for at INIT, what is read from a message, what is written into one.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/lib/test.h"

#include "fs/fuse/wire.h"

/* ---- INIT ---------------------------------------------------------------------------------------- */

static const uint64_t all_flags = ~0ULL;

static uint64_t init_flags_for(uint64_t offered, const struct wire_init_policy *p,
			       struct wire_init_result *res)
{
	struct fuse_init_in in = {
		.major = 7,
		.minor = 45,
		.max_readahead = 131072,
		.flags = (uint32_t)offered,
		.flags2 = (uint32_t)(offered >> 32),
	};
	struct fuse_init_out out = { .major = 7, .minor = 38 };

	cr_assert_eq(wire_init_reply(&in, sizeof(in), p, &out, res), 0);
	cr_assert_eq(out.max_write, p->max_write);
	cr_assert_eq(out.max_pages, p->max_write / 4096);
	return out.flags | (uint64_t)out.flags2 << 32;
}

Test(wire, init_asks_for_the_ring_only_where_it_is_offered_and_wanted)
{
	struct wire_init_policy p = { .wants_uring = true, .max_write = 1 << 20 };
	struct wire_init_result res;

	cr_expect(init_flags_for(all_flags, &p, &res) & WIRE_OVER_IO_URING);
	cr_expect(res.has_uring && res.was_uring_offered);
	cr_expect_not(init_flags_for(all_flags & ~WIRE_OVER_IO_URING, &p, &res) &
		      WIRE_OVER_IO_URING);
	cr_expect(!res.has_uring && !res.was_uring_offered);
	p.wants_uring = false;
	cr_expect_not(init_flags_for(all_flags, &p, &res) & WIRE_OVER_IO_URING);
	cr_expect(!res.has_uring && res.was_uring_offered);
}

Test(wire, init_never_answers_a_flag_that_was_not_offered)
{
	struct wire_init_policy p = { true, true, true, true, 1 << 20, 128 };
	struct wire_init_result res;

	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t offered = 1ULL << bit | FUSE_INIT_EXT;

		cr_expect_eq(init_flags_for(offered, &p, &res) & ~offered, 0, "bit %u", bit);
	}
}

Test(wire, init_keeps_writeback_acl_and_cached_links_to_their_conditions)
{
	static const struct {
		struct wire_init_policy p;
		uint64_t flags;
	} rows[] = {
		{ { .wants_writeback = true }, FUSE_WRITEBACK_CACHE },
		{ { .wants_acl = true }, FUSE_POSIX_ACL | FUSE_DONT_MASK },
		{ { .is_fixed_content = true }, FUSE_CACHE_SYMLINKS },
	};
	struct wire_init_policy none = { .max_write = 65536 };
	struct wire_init_result res;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wire_init_policy p = rows[i].p;

		p.max_write = 65536;
		cr_expect_eq(init_flags_for(all_flags, &p, &res) & rows[i].flags, rows[i].flags);
		cr_expect_eq(init_flags_for(all_flags, &none, &res) & rows[i].flags, 0);
	}
}

Test(wire, init_leaves_locks_truncation_and_export_to_the_kernel)
{
	struct wire_init_policy p = { true, true, true, true, 1 << 20, 128 };
	struct wire_init_result res;

	cr_expect_eq(init_flags_for(all_flags, &p, &res) &
			     (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_ATOMIC_O_TRUNC |
			      FUSE_EXPORT_SUPPORT | FUSE_AUTO_INVAL_DATA | FUSE_SPLICE_READ),
		     0);
}

Test(wire, init_of_an_old_or_cut_kernel_message_is_refused)
{
	struct wire_init_policy p = { .max_write = 1 << 20 };
	struct fuse_init_in in = { .major = 7, .minor = 35, .flags = FUSE_INIT_EXT };
	struct fuse_init_out out = { .minor = 38 };
	struct wire_init_result res;

	cr_expect_eq(wire_init_reply(&in, sizeof(in), &p, &out, &res), -EPROTO);
	in.minor = 36;
	cr_expect_eq(wire_init_reply(&in, sizeof(in), &p, &out, &res), 0);
	cr_expect_eq(wire_init_reply(&in, 16, &p, &out, &res), -EPROTO);
	in.flags = 0;
	cr_expect_eq(wire_init_reply(&in, sizeof(in), &p, &out, &res), -EPROTO);
}

/* ---- READ and WRITE ------------------------------------------------------------------------------ */

Test(wire, a_read_is_direct_only_when_the_application_made_it)
{
	static const struct {
		uint32_t flags, read_flags;
		bool is_direct;
	} rows[] = {
		{ O_RDONLY, FUSE_READ_LOCKOWNER, false },
		{ O_DIRECT, FUSE_READ_LOCKOWNER, true },
		{ O_DIRECT, 0, false }, /* readahead of a mapping */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fuse_read_in in = {
			.size = 4096,
			.flags = rows[i].flags,
			.read_flags = rows[i].read_flags,
		};
		struct wire_rw rw;

		cr_assert_eq(wire_read_decode(&in, sizeof(in), 1 << 20, &rw), 0);
		cr_expect_eq(rw.is_direct, rows[i].is_direct, "row %zu", i);
	}
}

Test(wire, a_write_from_the_page_cache_is_neither_direct_nor_synchronous)
{
	struct fuse_write_in in = {
		.size = 4096,
		.flags = O_DIRECT | O_SYNC | O_RDWR,
		.write_flags = FUSE_WRITE_CACHE | FUSE_WRITE_LOCKOWNER,
	};
	struct wire_rw rw;

	cr_assert_eq(wire_write_decode(&in, sizeof(in), 4096, &rw), 0);
	cr_expect(rw.is_writeback && !rw.is_direct && !rw.is_sync && !rw.is_dsync);
	in.write_flags = FUSE_WRITE_LOCKOWNER | FUSE_WRITE_KILL_SUIDGID;
	cr_assert_eq(wire_write_decode(&in, sizeof(in), 4096, &rw), 0);
	cr_expect(!rw.is_writeback && rw.is_direct && rw.is_sync && rw.is_dsync && rw.kills_suid);
	in.flags = O_DSYNC;
	cr_assert_eq(wire_write_decode(&in, sizeof(in), 4096, &rw), 0);
	cr_expect(rw.is_dsync && !rw.is_sync);
}

Test(wire, sizes_that_contradict_the_message_are_refused)
{
	struct fuse_write_in w = { .size = 4096 };
	struct fuse_read_in r = { .size = 8193 };
	struct wire_rw rw;

	cr_expect_eq(wire_write_decode(&w, sizeof(w), 4095, &rw), -EINVAL);
	cr_expect_eq(wire_write_decode(&w, sizeof(w) - 1, 4096, &rw), -EINVAL);
	cr_expect_eq(wire_read_decode(&r, sizeof(r), 8192, &rw), -EINVAL);
	cr_expect_eq(wire_read_decode(&r, 8, 1 << 20, &rw), -EINVAL);
}

/* ---- messages ------------------------------------------------------------------------------------ */

Test(wire, a_ring_message_is_taken_apart_by_its_lengths)
{
	static char payload[64];
	static const struct {
		uint32_t len, payload_sz;
		int err;
		size_t arg_len, data_len;
	} rows[] = {
		{ 40, 0, 0, 0, 0 },
		{ 40 + 40, 0, 0, 40, 0 },
		{ 40 + 8 + 5, 5, 0, 8, 5 },
		{ 40 + 5, 5, 0, 0, 5 },
		{ 39, 0, -EBADMSG, 0, 0 },	   /* shorter than its header */
		{ 40 + 4, 5, -EBADMSG, 0, 0 },	   /* payload beyond the message */
		{ 40 + 65, 65, -EBADMSG, 0, 0 },   /* payload beyond the entry */
		{ 40 + 129, 0, -EBADMSG, 0, 0 },   /* operation beyond its place */
		{ 40 + 128 + 64, 64, 0, 128, 64 }, /* all places full */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wire_uring_headers h = { .ent.payload_sz = rows[i].payload_sz };
		struct fuse_in_header in = { .len = rows[i].len };
		struct wire_msg m;

		memcpy(h.in_out, &in, sizeof(in));
		cr_assert_eq(wire_uring_decode(&h, payload, sizeof(payload), &m), rows[i].err,
			     "row %zu", i);
		if (rows[i].err)
			continue;
		cr_expect_eq(m.arg_len, rows[i].arg_len, "row %zu", i);
		cr_expect_eq(m.data_len, rows[i].data_len, "row %zu", i);
	}
}

Test(wire, a_classic_write_has_its_bytes_behind_the_operation)
{
	struct {
		struct fuse_in_header in;
		struct fuse_write_in write;
		char data[16];
	} msg = { .in = { .len = sizeof(msg), .opcode = FUSE_WRITE } };
	struct wire_msg m;

	cr_assert_eq(wire_classic_decode(&msg, sizeof(msg), &m), 0);
	cr_expect_eq(m.data, msg.data);
	cr_expect_eq(m.data_len, sizeof(msg.data));
	cr_expect_eq(m.arg_len, sizeof(msg.write));
	cr_expect_eq(wire_classic_decode(&msg, sizeof(msg) - 1, &m), -EBADMSG);
	cr_expect_eq(wire_classic_decode(&msg, 8, &m), -EBADMSG);
}

/* ---- out ----------------------------------------------------------------------------------------- */

Test(wire, attributes_keep_nanoseconds_devices_and_birth_time)
{
	struct fs_stat st = {
		.ino = 12,
		.size = 5,
		.blocks = 8,
		.mode = S_IFBLK | 0600,
		.nlink = 1,
		.blksize = 4096,
		.mtime = { -2, 999999999 },
		.btime = { 77, 5 },
		.has_btime = true,
		.rdev_major = 259,
		.rdev_minor = 70000,
	};
	struct wire_ttl ttl = { 3, 4 };
	struct wire_statx_out sx;
	struct fuse_entry_out e;

	wire_entry_fill(&e, &st, 12, &ttl);
	cr_expect_eq((int64_t)e.attr.mtime, -2);
	cr_expect_eq(e.attr.mtimensec, 999999999);
	cr_expect_eq(e.entry_valid, 3);
	cr_expect_eq(e.attr_valid, 4);
	/* new_encode_dev(): major 259 = 0x103, minor 70000 = 0x11170 */
	cr_expect_eq(e.attr.rdev, 0x70u | 0x103u << 8 | 0x11100u << 12);
	wire_statx_fill(&sx, &st, 12, &ttl);
	cr_expect_eq(sx.stat.btime.tv_sec, 77);
	cr_expect_eq(sx.stat.rdev_minor, 70000);
	cr_expect(sx.stat.mask & STATX_BTIME);
	st.has_btime = false;
	wire_statx_fill(&sx, &st, 12, &ttl);
	cr_expect_not(sx.stat.mask & STATX_BTIME);
}

Test(wire, directory_entries_are_padded_and_say_where_to_go_on)
{
	_Alignas(8) char buf[512];
	struct wire_dirent d = {
		.name = "abc", .name_len = 3, .node = 9, .d_type = 4, .next_off = 7
	};
	struct fs_stat st = { .ino = 9, .mode = S_IFDIR };
	struct wire_ttl ttl = { 1, 1 };
	const struct fuse_direntplus *plus = (const void *)buf;
	const struct fuse_dirent *de = (const void *)buf;

	memset(buf, 0xff, sizeof(buf));
	cr_expect_eq(wire_dirent_put(buf, &d, false, NULL, NULL), 32);
	cr_expect_eq(de->off, 7);
	cr_expect_eq(de->namelen, 3);
	cr_expect_eq(memcmp(de->name, "abc\0\0\0\0\0", 8), 0);
	cr_expect_eq(wire_dirent_put(buf, &d, true, &st, &ttl), 128 + 32);
	cr_expect_eq(plus->entry_out.nodeid, 9);
	cr_expect_eq(plus->dirent.ino, 9);
	wire_dirent_put(buf, &d, true, NULL, NULL);
	cr_expect_eq(plus->entry_out.nodeid, 0);
}

Test(wire, setattr_bits_are_translated_one_by_one)
{
	cr_expect_eq(wire_setattr_set(0), 0);
	cr_expect_eq(wire_setattr_set(FATTR_MODE | FATTR_FH), FS_SET_MODE);
	cr_expect_eq(wire_setattr_set(FATTR_CTIME | FATTR_KILL_SUIDGID),
		     FS_SET_CTIME | FS_SET_KILL_SUID);
	cr_expect_eq(wire_setattr_set(FATTR_ATIME_NOW | FATTR_SIZE),
		     FS_SET_ATIME_NOW | FS_SET_SIZE);
}

Test(wire, every_opcode_has_a_name_or_a_question_mark)
{
	cr_expect_str_eq(wire_opcode_name(FUSE_READ), "READ");
	cr_expect_str_eq(wire_opcode_name(WIRE_STATX), "STATX");
	cr_expect_str_eq(wire_opcode_name(0), "?");
	cr_expect_str_eq(wire_opcode_name(4096), "?");
}
