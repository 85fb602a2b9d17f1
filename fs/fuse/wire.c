/* SPDX-License-Identifier: MIT */
/*
 * The FUSE wire: what is asked for at INIT, and structures in and out. See wire.h.
 *
 * All that crosses is in the machine's byte order. Lengths from the kernel are checked before
 * anything behind them is looked at.
 */
#include "fs/fuse/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

BUILD_BUG_ON(sizeof(struct wire_uring_headers) != 288);
BUILD_BUG_ON(sizeof(struct wire_uring_cmd) != 24);
BUILD_BUG_ON(sizeof(struct wire_statx) != 256);
BUILD_BUG_ON(sizeof(struct wire_statx_out) != 288);
BUILD_BUG_ON(sizeof(struct fuse_init_out) != 64);

/* ---- INIT -------------------------------------------------------------------------------------- */

enum init_when {
	INIT_ALWAYS,
	INIT_WRITEBACK,
	INIT_ACL,
	INIT_FIXED,
	INIT_URING,
};

/*
 * Not asked for, and why: ATOMIC_O_TRUNC (the kernel's SETATTR does it in order), AUTO_INVAL_DATA
 * (nobody else changes the disk), SPLICE_* (payloads stay in place), EXPORT_SUPPORT, POSIX_LOCKS and
 * FLOCK_LOCKS (locks stay in the kernel), NO_OPEN_SUPPORT (open decides the mode), ALLOW_IDMAP (it
 * takes the caller's uid from every request).
 */
static const struct {
	uint64_t flag;
	enum init_when when;
} init_flags[] = {
	{ FUSE_INIT_EXT, INIT_ALWAYS },
	{ FUSE_ASYNC_READ, INIT_ALWAYS },
	{ FUSE_BIG_WRITES, INIT_ALWAYS },
	{ FUSE_HAS_IOCTL_DIR, INIT_ALWAYS },
	{ FUSE_DO_READDIRPLUS, INIT_ALWAYS },
	{ FUSE_READDIRPLUS_AUTO, INIT_ALWAYS },
	{ FUSE_ASYNC_DIO, INIT_ALWAYS },
	{ FUSE_PARALLEL_DIROPS, INIT_ALWAYS },
	{ FUSE_HANDLE_KILLPRIV_V2, INIT_ALWAYS },
	{ FUSE_ABORT_ERROR, INIT_ALWAYS },
	{ FUSE_MAX_PAGES, INIT_ALWAYS },
	{ FUSE_EXPLICIT_INVAL_DATA, INIT_ALWAYS },
	{ WIRE_DIRECT_IO_ALLOW_MMAP, INIT_ALWAYS },
	{ WIRE_NO_EXPORT_SUPPORT, INIT_ALWAYS },
	{ FUSE_WRITEBACK_CACHE, INIT_WRITEBACK },
	{ FUSE_POSIX_ACL, INIT_ACL },
	{ FUSE_DONT_MASK, INIT_ACL },
	{ FUSE_CACHE_SYMLINKS, INIT_FIXED },
	{ WIRE_OVER_IO_URING, INIT_URING },
};

static bool init_is_wanted(enum init_when when, const struct wire_init_policy *p)
{
	switch (when) {
	case INIT_ALWAYS:
		return true;
	case INIT_WRITEBACK:
		return p->wants_writeback;
	case INIT_ACL:
		return p->wants_acl;
	case INIT_FIXED:
		return p->is_fixed_content;
	case INIT_URING:
		return p->wants_uring;
	}
	return false;
}

int wire_init_reply(const void *in, size_t in_len, const struct wire_init_policy *p,
		    struct fuse_init_out *out, struct wire_init_result *res)
{
	struct fuse_init_in req = { 0 };
	uint64_t offered, flags = 0;

	memcpy(&req, in, min(in_len, sizeof(req)));
	if (in_len < offsetof(struct fuse_init_in, unused) || req.major != FUSE_KERNEL_VERSION ||
	    req.minor < WIRE_MINOR_MIN || !(req.flags & FUSE_INIT_EXT))
		return -EPROTO;
	offered = req.flags | (uint64_t)req.flags2 << 32;
	for (size_t i = 0; i < ARRAY_SIZE(init_flags); i++)
		if (init_is_wanted(init_flags[i].when, p))
			flags |= offered & init_flags[i].flag;
	out->flags = (uint32_t)flags;
	out->flags2 = (uint32_t)(flags >> 32);
	out->max_readahead = req.max_readahead;
	out->max_background = (uint16_t)min(p->max_background, 65535u);
	out->congestion_threshold = (uint16_t)(out->max_background * 3 / 4);
	out->max_write = p->max_write;
	out->max_pages = (uint16_t)(p->max_write / 4096);
	out->time_gran = 1;
	res->minor = min(out->minor, req.minor);
	res->was_uring_offered = offered & WIRE_OVER_IO_URING;
	res->has_uring = flags & WIRE_OVER_IO_URING;
	res->has_writeback = flags & FUSE_WRITEBACK_CACHE;
	return 0;
}

/* ---- attributes -------------------------------------------------------------------------------- */

/* The kernel's 32 bit form of a device number: 12 bits major, 20 bits minor, interleaved. */
static uint32_t rdev_encode(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~0xffu) << 12;
}

void wire_attr_fill(struct fuse_attr *out, const struct fs_stat *st, uint64_t node)
{
	*out = (struct fuse_attr){
		.ino = node,
		.size = st->size,
		.blocks = st->blocks,
		.atime = (uint64_t)st->atime.sec,
		.mtime = (uint64_t)st->mtime.sec,
		.ctime = (uint64_t)st->ctime.sec,
		.atimensec = st->atime.nsec,
		.mtimensec = st->mtime.nsec,
		.ctimensec = st->ctime.nsec,
		.mode = st->mode,
		.nlink = st->nlink,
		.uid = st->uid,
		.gid = st->gid,
		.rdev = rdev_encode(st->rdev_major, st->rdev_minor),
		.blksize = st->blksize,
	};
}

void wire_attr_out_fill(struct fuse_attr_out *out, const struct fs_stat *st, uint64_t node,
			const struct wire_ttl *ttl)
{
	*out = (struct fuse_attr_out){ .attr_valid = ttl->attr_sec };
	wire_attr_fill(&out->attr, st, node);
}

void wire_entry_fill(struct fuse_entry_out *out, const struct fs_stat *st, uint64_t node,
		     const struct wire_ttl *ttl)
{
	*out = (struct fuse_entry_out){
		.nodeid = node,
		.generation = st->generation,
		.entry_valid = ttl->entry_sec,
		.attr_valid = ttl->attr_sec,
	};
	wire_attr_fill(&out->attr, st, node);
}

void wire_statfs_fill(struct fuse_statfs_out *out, const struct fs_statfs *st)
{
	*out = (struct fuse_statfs_out){
		.st = {
			.blocks = st->blocks,
			.bfree = st->bfree,
			.bavail = st->bavail,
			.files = st->files,
			.ffree = st->ffree,
			.bsize = st->bsize,
			.namelen = st->namelen,
			.frsize = st->frsize,
		},
	};
}

static struct wire_sx_time sx_time(const struct fs_time *t)
{
	return (struct wire_sx_time){ .tv_sec = t->sec, .tv_nsec = t->nsec };
}

void wire_statx_fill(struct wire_statx_out *out, const struct fs_stat *st, uint64_t node,
		     const struct wire_ttl *ttl)
{
	*out = (struct wire_statx_out){
		.attr_valid = ttl->attr_sec,
		.stat = {
			.mask = STATX_BASIC_STATS | (st->has_btime ? STATX_BTIME : 0),
			.blksize = st->blksize,
			.nlink = st->nlink,
			.uid = st->uid,
			.gid = st->gid,
			.mode = (uint16_t)st->mode,
			.ino = node,
			.size = st->size,
			.blocks = st->blocks,
			.atime = sx_time(&st->atime),
			.btime = sx_time(&st->btime),
			.ctime = sx_time(&st->ctime),
			.mtime = sx_time(&st->mtime),
			.rdev_major = st->rdev_major,
			.rdev_minor = st->rdev_minor,
		},
	};
}

/* ---- directories ------------------------------------------------------------------------------- */

size_t wire_dirent_size(size_t name_len, bool is_plus)
{
	size_t head = is_plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;

	return FUSE_DIRENT_ALIGN(head + name_len);
}

size_t wire_dirent_put(void *buf, const struct wire_dirent *d, bool is_plus,
		       const struct fs_stat *st, const struct wire_ttl *ttl)
{
	size_t size = wire_dirent_size(d->name_len, is_plus);
	struct fuse_dirent *de = buf;

	memset(buf, 0, size);
	if (is_plus) {
		struct fuse_direntplus *plus = buf;

		if (st)
			wire_entry_fill(&plus->entry_out, st, d->node, ttl);
		de = &plus->dirent;
	}
	de->ino = d->node;
	de->off = d->next_off;
	de->namelen = (uint32_t)d->name_len;
	de->type = d->d_type;
	memcpy((char *)de + FUSE_NAME_OFFSET, d->name, d->name_len);
	return size;
}

/* ---- READ, WRITE, SETATTR ---------------------------------------------------------------------- */

/*
 * A transfer through the page cache carries no lock owner, an application's own direct one does:
 * so the readahead of a mapping of an O_DIRECT file is told from its reads.
 */
int wire_read_decode(const void *arg, size_t arg_len, size_t size_max, struct wire_rw *out)
{
	const struct fuse_read_in *in = arg;

	if (arg_len < sizeof(*in) || in->size > size_max)
		return -EINVAL;
	*out = (struct wire_rw){
		.fh = in->fh,
		.off = in->offset,
		.size = in->size,
		.is_direct = (in->flags & O_DIRECT) && (in->read_flags & FUSE_READ_LOCKOWNER),
	};
	return 0;
}

int wire_write_decode(const void *arg, size_t arg_len, size_t data_len, struct wire_rw *out)
{
	const struct fuse_write_in *in = arg;
	bool is_cache;

	if (arg_len < sizeof(*in) || in->size != data_len)
		return -EINVAL;
	is_cache = in->write_flags & FUSE_WRITE_CACHE;
	*out = (struct wire_rw){
		.fh = in->fh,
		.off = in->offset,
		.size = in->size,
		.is_direct = !is_cache && (in->flags & O_DIRECT) &&
			     (in->write_flags & FUSE_WRITE_LOCKOWNER),
		.is_sync = !is_cache && (in->flags & O_SYNC) == O_SYNC,
		.is_dsync = !is_cache && (in->flags & O_DSYNC),
		.is_writeback = is_cache,
		.kills_suid = in->write_flags & FUSE_WRITE_KILL_SUIDGID,
	};
	return 0;
}

unsigned int wire_setattr_set(unsigned int valid)
{
	static const struct {
		unsigned int fattr, set;
	} map[] = {
		{ FATTR_MODE, FS_SET_MODE },   { FATTR_UID, FS_SET_UID },
		{ FATTR_GID, FS_SET_GID },     { FATTR_SIZE, FS_SET_SIZE },
		{ FATTR_ATIME, FS_SET_ATIME }, { FATTR_ATIME_NOW, FS_SET_ATIME_NOW },
		{ FATTR_MTIME, FS_SET_MTIME }, { FATTR_MTIME_NOW, FS_SET_MTIME_NOW },
		{ FATTR_CTIME, FS_SET_CTIME }, { FATTR_KILL_SUIDGID, FS_SET_KILL_SUID },
	};
	unsigned int set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (valid & map[i].fattr)
			set |= map[i].set;
	return set;
}

/* ---- messages ---------------------------------------------------------------------------------- */

int wire_uring_decode(const struct wire_uring_headers *h, const void *payload, size_t payload_cap,
		      struct wire_msg *out)
{
	const struct fuse_in_header *in = (const void *)h->in_out;
	size_t data_len = h->ent.payload_sz;

	if (data_len > payload_cap || in->len < sizeof(*in) + data_len ||
	    in->len - sizeof(*in) - data_len > sizeof(h->op_in))
		return -EBADMSG;
	*out = (struct wire_msg){
		.in = in,
		.arg = h->op_in,
		.arg_len = in->len - sizeof(*in) - data_len,
		.data = payload,
		.data_len = data_len,
	};
	return 0;
}

int wire_classic_decode(const void *buf, size_t len, struct wire_msg *out)
{
	const struct fuse_in_header *in = buf;

	if (len < sizeof(*in) || in->len != len)
		return -EBADMSG;
	*out = (struct wire_msg){ .in = in, .arg = in + 1, .arg_len = len - sizeof(*in) };
	if (in->opcode == FUSE_WRITE && out->arg_len >= sizeof(struct fuse_write_in)) {
		out->data = (const char *)out->arg + sizeof(struct fuse_write_in);
		out->data_len = out->arg_len - sizeof(struct fuse_write_in);
		out->arg_len = sizeof(struct fuse_write_in);
	}
	return 0;
}

static const char *const opcode_names[WIRE_OPCODES_NR] = {
	[FUSE_LOOKUP] = "LOOKUP",
	[FUSE_FORGET] = "FORGET",
	[FUSE_GETATTR] = "GETATTR",
	[FUSE_SETATTR] = "SETATTR",
	[FUSE_READLINK] = "READLINK",
	[FUSE_SYMLINK] = "SYMLINK",
	[FUSE_MKNOD] = "MKNOD",
	[FUSE_MKDIR] = "MKDIR",
	[FUSE_UNLINK] = "UNLINK",
	[FUSE_RMDIR] = "RMDIR",
	[FUSE_RENAME] = "RENAME",
	[FUSE_LINK] = "LINK",
	[FUSE_OPEN] = "OPEN",
	[FUSE_READ] = "READ",
	[FUSE_WRITE] = "WRITE",
	[FUSE_STATFS] = "STATFS",
	[FUSE_RELEASE] = "RELEASE",
	[FUSE_FSYNC] = "FSYNC",
	[FUSE_SETXATTR] = "SETXATTR",
	[FUSE_GETXATTR] = "GETXATTR",
	[FUSE_LISTXATTR] = "LISTXATTR",
	[FUSE_REMOVEXATTR] = "REMOVEXATTR",
	[FUSE_FLUSH] = "FLUSH",
	[FUSE_INIT] = "INIT",
	[FUSE_OPENDIR] = "OPENDIR",
	[FUSE_READDIR] = "READDIR",
	[FUSE_RELEASEDIR] = "RELEASEDIR",
	[FUSE_FSYNCDIR] = "FSYNCDIR",
	[FUSE_GETLK] = "GETLK",
	[FUSE_SETLK] = "SETLK",
	[FUSE_SETLKW] = "SETLKW",
	[FUSE_ACCESS] = "ACCESS",
	[FUSE_CREATE] = "CREATE",
	[FUSE_INTERRUPT] = "INTERRUPT",
	[FUSE_BMAP] = "BMAP",
	[FUSE_DESTROY] = "DESTROY",
	[FUSE_IOCTL] = "IOCTL",
	[FUSE_POLL] = "POLL",
	[FUSE_NOTIFY_REPLY] = "NOTIFY_REPLY",
	[FUSE_BATCH_FORGET] = "BATCH_FORGET",
	[FUSE_FALLOCATE] = "FALLOCATE",
	[FUSE_READDIRPLUS] = "READDIRPLUS",
	[FUSE_RENAME2] = "RENAME2",
	[FUSE_LSEEK] = "LSEEK",
	[FUSE_COPY_FILE_RANGE] = "COPY_FILE_RANGE",
	[FUSE_SYNCFS] = "SYNCFS",
	[FUSE_TMPFILE] = "TMPFILE",
	[WIRE_STATX] = "STATX",
};

const char *wire_opcode_name(unsigned int opcode)
{
	if (opcode >= WIRE_OPCODES_NR || !opcode_names[opcode])
		return "?";
	return opcode_names[opcode];
}
