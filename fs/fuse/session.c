/* SPDX-License-Identifier: MIT */
/*
 * libfuse: what it decodes for us, and the two places where its answers pass through our hands.
 *
 * The message that libfuse is given carries the address of our request as its `unique`, so that the
 * answer names it; ff_req_send() puts the kernel's number back. libfuse calls the op on the stack of
 * the task that decodes, with names pointing into the message, so nothing is copied.
 *
 * Invariant: between `decoding = r` and the op's ff_req_adopt() the task does not switch.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fuse3/fuse_lowlevel.h>

#include "base/log.h"

#include "blkfs/fuse_front.h"

#include "fs/fuse/front.h"

static __thread struct ff_req *decoding;

struct ff_req *ff_req_adopt(struct fuse_req *lf)
{
	struct ff_req *r = decoding;

	blkfs_assert(r != NULL);
	decoding = NULL;
	r->lf = lf;
	return r;
}

/* ---- answers ----------------------------------------------------------------------------------- */

/* A request that libfuse decoded is answered through libfuse, which frees its own half. */
int ff_reply_err(struct ff_req *r, int err)
{
	struct fuse_req *lf = r->lf;

	blkfs_debug_assert(err <= 0);
	if (!lf)
		return ff_req_send(r, err, NULL, 0);
	r->lf = NULL;
	return fuse_reply_err(lf, -err);
}

int ff_reply_buf(struct ff_req *r, const void *buf, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct fuse_req *lf = r->lf;

	if (!lf)
		return ff_req_send(r, 0, &iov, len > 0);
	r->lf = NULL;
	return fuse_reply_buf(lf, buf, len);
}

static void init_patch(struct ff_req *r, const struct fuse_out_header *out, struct iovec *body)
{
	struct fuse_front *ff = r->ff;
	const struct fs *fs = ff->fs;
	struct wire_init_policy policy = {
		.wants_uring = ff->transport != FUSE_FRONT_TRANSPORT_CLASSIC,
		.wants_writeback = !fs->is_read_only && fs->is_cacheable && fs->ops->write &&
				   READ_ONCE(ff->mode) != FUSE_FRONT_MODE_DIRECT,
		.wants_acl = ff->default_permissions && fs->ops->getxattr,
		.is_fixed_content = fs->has_fixed_content,
		.max_write = ff->max_write,
		.max_background = ff->depth * ff->cpus_nr,
	};

	ff->init_err = out->error;
	if (!ff->init_err && body->iov_len < sizeof(struct fuse_init_out))
		ff->init_err = -EPROTO;
	if (!ff->init_err)
		ff->init_err = wire_init_reply(r->msg.arg, r->msg.arg_len, &policy, body->iov_base,
					       &ff->init);
}

/* libfuse's "write to /dev/fuse": an answer (unique is our request) or a notification (0). */
static ssize_t session_writev(int fd, struct iovec *iov, int iov_nr, void *userdata)
{
	struct fuse_front *ff = userdata;
	const struct fuse_out_header *out = iov[0].iov_base;
	struct ff_req *r = (struct ff_req *)(uintptr_t)out->unique;
	uint32_t len = out->len;
	int err;

	if (!r)
		return writev(ff->fd, iov, iov_nr);
	if (r->in.opcode == FUSE_INIT) {
		init_patch(r, out, &iov[1]);
		err = ff_req_send(r, ff->init_err, iov + 1, ff->init_err ? 0 : iov_nr - 1);
		complete(&ff->init_done);
	} else {
		err = ff_req_send(r, out->error, iov + 1, iov_nr - 1);
	}
	if (!err)
		return len;
	errno = -err;
	return -1;
}

/* Our transports read; libfuse only insists on having it. */
static ssize_t session_read(int fd, void *buf, size_t buf_len, void *userdata)
{
	errno = ENOTSUP;
	return -1;
}

/* ---- questions --------------------------------------------------------------------------------- */

/* In header, operation and names in one piece: as classic read them, or built before the payload. */
static struct fuse_in_header *message_join(const struct ff_req *r)
{
	const struct wire_msg *m = &r->msg;
	char *start;

	if ((const char *)m->in + sizeof(*m->in) == (const char *)m->arg)
		return (struct fuse_in_header *)(uintptr_t)m->in;
	blkfs_debug_assert(m->data == r->payload);
	start = (char *)r->payload - m->arg_len - sizeof(*m->in);
	memcpy(start + sizeof(*m->in), m->arg, m->arg_len);
	memcpy(start, m->in, sizeof(*m->in));
	return (struct fuse_in_header *)start;
}

void ff_session_decode(struct ff_req *r)
{
	struct fuse_in_header *in = message_join(r);
	struct fuse_buf buf = { .size = in->len, .mem = in };

	in->unique = (uint64_t)(uintptr_t)r;
	decoding = r;
	fuse_session_process_buf(r->ff->se, &buf);
}

/* ---- life -------------------------------------------------------------------------------------- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fuse_front *ff = userdata;

	/* Flags are decided in wire.c; libfuse itself looks at this one. */
	conn->want = conn->capable & FUSE_CAP_IOCTL_DIR;
	conn->max_write = ff->max_write;
	conn->time_gran = 1;
}

/* The kernel waits for the answer (fuseblk) in umount(2). */
static void op_destroy(void *userdata)
{
	struct fuse_front *ff = userdata;

	ff_fs_end(ff, 1);
}

int ff_session_create(struct fuse_front *ff)
{
	static const struct fuse_custom_io io = { .writev = session_writev, .read = session_read };
	struct fuse_lowlevel_ops ops = { .init = op_init, .destroy = op_destroy };
	char name[] = "blkfs";
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	int err;

	ff_names_ops(&ops);
	ff_file_ops(&ops);
	ff_dir_ops(&ops);
	ff->se = fuse_session_new(&args, &ops, sizeof(ops), ff);
	fuse_opt_free_args(&args);
	if (!ff->se) {
		log_err("fuse: libfuse cannot make a session: no memory");
		return -ENOMEM;
	}
	err = fuse_session_custom_io(ff->se, &io, ff->fd);
	if (err) {
		log_err("fuse: libfuse refuses our transport: %s", strerror(-err));
		fuse_session_destroy(ff->se);
		ff->se = NULL;
	}
	return err;
}

void ff_session_destroy(struct fuse_front *ff)
{
	if (ff->se)
		fuse_session_destroy(ff->se);
	else if (ff->fd >= 0)
		close(ff->fd);
	ff->se = NULL;
	ff->fd = -1;
}

/* ---- notifications ----------------------------------------------------------------------------- */

struct notification {
	struct fuse_front *ff;
	uint64_t node;
	uint64_t off;
	uint64_t len;
	const char *name;
	size_t name_len;
};

/* Context: thread; the kernel may wait here until writeback that we serve has ended. */
static int notify_inode(void *arg)
{
	const struct notification *n = arg;

	return fuse_lowlevel_notify_inval_inode(n->ff->se, n->node, (off_t)n->off, (off_t)n->len);
}

static int notify_entry(void *arg)
{
	const struct notification *n = arg;

	return fuse_lowlevel_notify_inval_entry(n->ff->se, n->node, n->name, n->name_len);
}

static void front_inval_inode(void *front, uint64_t ino, uint64_t off, uint64_t len)
{
	struct notification n = { .ff = front, .node = ino, .off = off, .len = len };

	/* -ENOENT: the kernel does not know it: nothing is stale. */
	(void)rt_offload(notify_inode, &n);
}

static void front_inval_entry(void *front, uint64_t dir, const char *name, size_t name_len)
{
	struct notification n = { .ff = front, .node = dir, .name = name, .name_len = name_len };

	(void)rt_offload(notify_entry, &n);
}

static void front_abort(void *front)
{
	fuse_front_abort(front);
}

const struct fs_front_ops ff_front_ops = {
	.inval_inode = front_inval_inode,
	.inval_entry = front_inval_entry,
	.abort = front_abort,
};
