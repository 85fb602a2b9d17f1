/* SPDX-License-Identifier: MIT */
/*
 * struct rt_io on the ring: prepared, submitted, tried in place, cancelled, completed.
 *
 * Invariants: 1. done runs from the loop only, never inside rt_io_submit().
 *             2. An operation is in one place: the backlog, the done list, or the kernel. One that
 *                the kernel has may be on the list of cancels which found no submission entry.
 *             3. The backlog goes out in order; while it is not empty everything joins its end.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "ring.h"

struct io_uring_sqe *ring_sqe_get(struct ring *g)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&g->uring);

	if (likely(sqe != NULL))
		return sqe;
	STAT_INC(g->r->stats.enters);
	io_uring_submit(&g->uring);
	return io_uring_get_sqe(&g->uring);
}

/* ---- in place --------------------------------------------------------------------------------- */

static int32_t rw_in_place(const struct rt_io *io, int extra_flags)
{
	int rw_flags = (int)io->rw_flags | extra_flags;
	ssize_t res;

	do {
		if (io->op == RT_IO_READ)
			res = preadv2(io->fd, io->iov, (int)io->iov_nr, (off_t)io->off, rw_flags);
		else
			res = pwritev2(io->fd, io->iov, (int)io->iov_nr, (off_t)io->off, rw_flags);
	} while (res < 0 && errno == EINTR);
	return res < 0 ? -errno : (int32_t)res;
}

static size_t iov_len_bytes(const struct iovec *iov, uint32_t iov_nr)
{
	size_t len_bytes = 0;

	for (uint32_t i = 0; i < iov_nr; i++)
		len_bytes += iov[i].iov_len;
	return len_bytes;
}

/* True: done in place, io->res is set. A part that NOWAIT got is done again, whole, by the ring. */
static bool io_try_in_place(struct rt_io *io)
{
	if (io->op != RT_IO_READ && io->op != RT_IO_WRITE)
		return false;
	if (io->flags & RT_IO_INLINE) {
		io->res = rw_in_place(io, 0);
		return true;
	}
	if (!(io->flags & RT_IO_NOWAIT_FIRST))
		return false;
	io->res = rw_in_place(io, RWF_NOWAIT);
	if (io->res >= 0)
		return (size_t)io->res == iov_len_bytes(io->iov, io->iov_nr);
	return io->res != -EAGAIN && io->res != -EOPNOTSUPP;
}

/* ---- to the ring ------------------------------------------------------------------------------ */

static void prep_uring_cmd(struct io_uring_sqe *sqe, const struct rt_io *io)
{
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, io->fd, NULL, io->cmd_len, 0);
	sqe->addr = io->cmd_addr;
	sqe->cmd_op = io->cmd_op;
	/* The command area is the second half of a 128 byte entry and what precedes it. */
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd), io->cmd, sizeof(io->cmd));
}

static void sqe_prep(struct io_uring_sqe *sqe, struct rt_io *io)
{
	switch ((enum rt_io_op)io->op) {
	case RT_IO_READ:
		io_uring_prep_readv2(sqe, io->fd, io->iov, io->iov_nr, io->off, (int)io->rw_flags);
		break;
	case RT_IO_WRITE:
		io_uring_prep_writev2(sqe, io->fd, io->iov, io->iov_nr, io->off, (int)io->rw_flags);
		break;
	case RT_IO_FSYNC:
		io_uring_prep_fsync(sqe, io->fd,
				    io->flags & RT_IO_DATASYNC ? IORING_FSYNC_DATASYNC : 0);
		break;
	case RT_IO_FALLOCATE:
		io_uring_prep_fallocate(sqe, io->fd, io->falloc_mode, (off_t)io->off,
					(off_t)io->falloc_len);
		break;
	case RT_IO_POLL:
		io_uring_prep_poll_add(sqe, io->fd, io->poll_events);
		break;
	case RT_IO_URING_CMD:
		prep_uring_cmd(sqe, io);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
}

/* Commands and polls may stay for ever: whether something will come soon is told by the others. */
static bool io_ends_by_itself(const struct rt_io *io)
{
	return io->op != RT_IO_POLL && io->op != RT_IO_URING_CMD;
}

static bool io_to_ring(struct ring *g, struct rt_io *io)
{
	struct io_uring_sqe *sqe = ring_sqe_get(g);

	if (unlikely(!sqe))
		return false;
	INIT_LIST_HEAD(&io->rt_node);
	sqe_prep(sqe, io);
	g->inflight_nr += io_ends_by_itself(io);
	san_release(io);
	return true;
}

void ring_io_submit(struct reactor *self, struct rt_io *io)
{
	struct ring *g = to_ring(self);

	blkfs_assert(io->op <= RT_IO_URING_CMD);
	if (io_try_in_place(io)) {
		STAT_INC(self->stats.ios_inline);
		list_add_tail(&io->rt_node, &g->done);
		return;
	}
	if (!list_empty(&g->backlog) || !io_to_ring(g, io))
		list_add_tail(&io->rt_node, &g->backlog);
}

static bool cancel_to_ring(struct ring *g, struct rt_io *io)
{
	struct io_uring_sqe *sqe = ring_sqe_get(g);

	if (unlikely(!sqe))
		return false;
	io_uring_prep_cancel(sqe, io, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, RING_TAG_IGNORE);
	return true;
}

void ring_io_run_backlog(struct ring *g)
{
	while (!list_empty(&g->backlog)) {
		struct rt_io *io = list_first_entry(&g->backlog, struct rt_io, rt_node);

		list_del(&io->rt_node);
		if (!io_to_ring(g, io)) {
			list_add(&io->rt_node, &g->backlog);
			return;
		}
	}
	while (!list_empty(&g->cancels)) {
		struct rt_io *io = list_first_entry(&g->cancels, struct rt_io, rt_node);

		if (!cancel_to_ring(g, io))
			return;
		list_del_init(&io->rt_node);
	}
}

static bool is_on_list(const struct rt_io *io, const struct list_head *head)
{
	const struct list_head *pos;

	for (pos = head->next; pos != head; pos = pos->next)
		if (pos == &io->rt_node)
			return true;
	return false;
}

void ring_io_cancel(struct reactor *self, struct rt_io *io)
{
	struct ring *g = to_ring(self);

	if (is_on_list(io, &g->done) || is_on_list(io, &g->cancels))
		return;
	if (is_on_list(io, &g->backlog)) {
		io->res = -ECANCELED;
		list_move_tail(&io->rt_node, &g->done);
		return;
	}
	if (!cancel_to_ring(g, io))
		list_add_tail(&io->rt_node, &g->cancels);
}

/* ---- back ------------------------------------------------------------------------------------- */

void ring_io_complete(struct ring *g, const struct io_uring_cqe *cqe)
{
	struct rt_io *io = io_uring_cqe_get_data(cqe);

	san_acquire(io);
	io->res = cqe->res;
	io->big_cqe[0] = cqe->big_cqe[0];
	io->big_cqe[1] = cqe->big_cqe[1];
	g->inflight_nr -= io_ends_by_itself(io);
	if (unlikely(!list_empty(&io->rt_node)))
		list_del_init(&io->rt_node); /* nothing left to cancel */
	io->done(io);
}

bool ring_io_run_done(struct ring *g)
{
	LIST_HEAD(done);

	if (list_empty(&g->done))
		return false;
	list_splice_init(&g->done, &done);
	while (!list_empty(&done)) {
		struct rt_io *io = list_first_entry(&done, struct rt_io, rt_node);

		list_del_init(&io->rt_node);
		io->done(io);
	}
	return true;
}
