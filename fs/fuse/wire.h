/* SPDX-License-Identifier: MIT */
/*
 * wire.h - the FUSE wire where stock libfuse 3.14 cannot say it: INIT, open flags, attributes with
 * their nanoseconds, STATX, SYNCFS, FUSE over io_uring, and READ/WRITE without a detour.
 *
 * Source: the kernel's uapi/linux/fuse.h. Structures up to protocol 7.38 come from the installed
 * header; what is newer is defined here under names of our own (WIRE_, wire_).
 * Context: any; pure functions of their arguments.
 */
#ifndef FS_FUSE_WIRE_H
#define FS_FUSE_WIRE_H

#include <linux/fuse.h>

#include "base/compiler.h"

#include "blkfs/fs.h"

#define WIRE_NO_EXPORT_SUPPORT (1ULL << 38)
#define WIRE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#define WIRE_OVER_IO_URING (1ULL << 41)

enum {
	WIRE_MINOR_MIN = 36, /* Linux 5.17: flags2; 6.1, the oldest that we promise, has 37 */
	WIRE_STATX = 52,
	WIRE_OPCODES_NR = 64, /* for counters: all known opcodes are below */
	WIRE_BATCH_MAX = 65536,
	WIRE_HEADROOM = 4096, /* in front of each payload: headers for libfuse, page aligned */
};

/* ---- INIT -------------------------------------------------------------------------------------- */

struct wire_init_policy {
	bool wants_uring;
	bool wants_writeback;
	bool wants_acl; /* the fs has xattrs and the kernel checks permissions */
	bool is_fixed_content;
	unsigned int max_write; /* bytes, whole pages */
	unsigned int max_background;
};

/* What came of it. */
struct wire_init_result {
	unsigned int minor; /* the lower of the two sides */
	bool has_uring;
	bool has_writeback;
	bool was_uring_offered;
};

/*
 * wire_init_reply - turn libfuse's INIT reply @out into ours.
 *
 * @in is the kernel's request of @in_len bytes behind its fuse_in_header.
 * Fails: -EPROTO: the kernel's protocol is older than WIRE_MINOR_MIN, or @in is cut.
 */
int __must_check wire_init_reply(const void *in, size_t in_len, const struct wire_init_policy *p,
				 struct fuse_init_out *out, struct wire_init_result *res);

/* ---- attributes -------------------------------------------------------------------------------- */

/* How long the kernel may believe an answer. */
struct wire_ttl {
	uint32_t entry_sec;
	uint32_t attr_sec;
};

/* @node is the FUSE node id and inode number that the kernel is told. */
void wire_attr_fill(struct fuse_attr *out, const struct fs_stat *st, uint64_t node);
void wire_attr_out_fill(struct fuse_attr_out *out, const struct fs_stat *st, uint64_t node,
			const struct wire_ttl *ttl);
void wire_entry_fill(struct fuse_entry_out *out, const struct fs_stat *st, uint64_t node,
		     const struct wire_ttl *ttl);
void wire_statfs_fill(struct fuse_statfs_out *out, const struct fs_statfs *st);

struct wire_sx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct wire_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t spare0;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct wire_sx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor;
	uint32_t dev_major, dev_minor;
	uint64_t spare2[14];
};

struct wire_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags;
	uint32_t sx_mask;
};

struct wire_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct wire_statx stat;
};

void wire_statx_fill(struct wire_statx_out *out, const struct fs_stat *st, uint64_t node,
		     const struct wire_ttl *ttl);

/* ---- directories ------------------------------------------------------------------------------- */

struct wire_dirent {
	const char *name;
	size_t name_len;
	uint64_t node;
	uint32_t d_type; /* DT_* */
	uint64_t next_off;
};

/* Bytes that the entry takes, with padding. */
size_t wire_dirent_size(size_t name_len, bool is_plus);
/*
 * Appends an entry at @buf; it must fit. @st NULL in a plus reply: the kernel looks it up itself.
 * Returns its size.
 */
size_t wire_dirent_put(void *buf, const struct wire_dirent *d, bool is_plus,
		       const struct fs_stat *st, const struct wire_ttl *ttl);

/* ---- READ and WRITE ---------------------------------------------------------------------------- */

struct wire_rw {
	uint64_t fh;
	uint64_t off;
	uint32_t size;
	bool is_direct; /* the application's own transfer on an O_DIRECT descriptor */
	bool is_sync, is_dsync;
	bool is_writeback; /* WRITE: from the kernel's page cache */
	bool kills_suid;
};

/* -EINVAL: cut short, or @size above @size_max. WRITE: @data_len must be its size. */
int __must_check wire_read_decode(const void *arg, size_t arg_len, size_t size_max,
				  struct wire_rw *out);
int __must_check wire_write_decode(const void *arg, size_t arg_len, size_t data_len,
				   struct wire_rw *out);

/* FS_SET_* of a SETATTR's valid bits. */
unsigned int wire_setattr_set(unsigned int valid);

/* ---- FUSE over io_uring ------------------------------------------------------------------------ */

enum { WIRE_URING_REGISTER = 1, WIRE_URING_COMMIT_AND_FETCH = 2 };

struct wire_uring_ent {
	uint64_t flags;
	uint64_t commit_id;
	uint32_t payload_sz;
	uint32_t padding;
	uint64_t reserved;
};

struct wire_uring_headers {
	char in_out[128];
	char op_in[128];
	struct wire_uring_ent ent;
};

struct wire_uring_cmd {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t qid;
	uint8_t padding[6];
};

/* The parts of a request, wherever its transport put them. */
struct wire_msg {
	const struct fuse_in_header *in;
	const void *arg; /* the operation's first structure (classic: and all that follows) */
	size_t arg_len;
	const void *data; /* the rest: names; a WRITE's bytes */
	size_t data_len;
};

/*
 * wire_uring_decode - find the parts of what the kernel put into an entry.
 * Fails: -EBADMSG: lengths contradict one another or what the entry can hold.
 */
int __must_check wire_uring_decode(const struct wire_uring_headers *h, const void *payload,
				   size_t payload_cap, struct wire_msg *out);
/*
 * wire_classic_decode - the same for @len bytes read from /dev/fuse at @buf.
 */
int __must_check wire_classic_decode(const void *buf, size_t len, struct wire_msg *out);

/* "READ"; "?" for a number that is none. */
const char *wire_opcode_name(unsigned int opcode);

#endif
