/* SPDX-License-Identifier: MIT */
/*
 * sim_io.c - messages, I/O and offloads of the simulator.
 *
 * Invariants: 1. Messages of one sender to one target arrive in order, those of several in any.
 *             2. An rt_io is due a random while after it was submitted; what is due may complete in
 *                any order. The system call is made when it completes (INLINE: when submitted):
 *                what overlaps in time thus takes effect in any order, as it may on a device.
 *             3. While it is pending, an rt_io's big_cqe holds when it is due and how it stands.
 *             4. An offload runs on no reactor, as in a thread of the pool, and takes its time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/hash.h"

#include "sim.h"

enum io_state { IO_PENDING, IO_CANCELLED, IO_PERFORMED };

enum { TAIL_ODDS = 32, TAIL_FACTOR = 16 }; /* one I/O in so many takes so much longer */

static uint64_t *io_due_ns(struct rt_io *io)
{
	return &io->big_cqe[0];
}

static uint64_t *io_state(struct rt_io *io)
{
	return &io->big_cqe[1];
}

static struct sim_reactor *to_sim(struct reactor *r)
{
	return &sim.reactors[r->id];
}

/* Between a quarter of the mean and seven quarters, now and then far beyond. */
static uint64_t random_latency_ns(void)
{
	uint64_t mean_ns = sim.cfg.io_latency_ns;
	uint64_t ns = mean_ns / 4 + sim_choose(mean_ns + mean_ns / 2 + 1);

	return sim_choose(TAIL_ODDS) == 0 ? ns * TAIL_FACTOR : ns;
}

int sim_io_init(struct sim_reactor *sr)
{
	INIT_LIST_HEAD(&sr->ios);
	INIT_LIST_HEAD(&sr->offloads);
	sr->lanes = calloc(rt_core.reactors_nr + 1, sizeof(*sr->lanes));
	if (!sr->lanes)
		return -ENOMEM;
	for (unsigned int i = 0; i <= rt_core.reactors_nr; i++)
		sr->lanes[i].end = &sr->lanes[i].oldest;
	return 0;
}

void sim_io_fini(struct sim_reactor *sr)
{
	free(sr->lanes);
}

/* ---- messages ---------------------------------------------------------------------------------- */

static void lane_push(struct sim_lane *lane, struct rt_msg *m)
{
	m->next = NULL;
	*lane->end = m;
	lane->end = &m->next;
}

void sim_post(struct reactor *to, struct rt_msg *m)
{
	rt_sim_point();
	lane_push(&to_sim(to)->lanes[rt_this_reactor], m);
}

void sim_post_foreign(struct reactor *to, struct rt_msg *m)
{
	lane_push(&to_sim(to)->lanes[sim.reactors_nr], m);
}

static unsigned int lanes_ready_nr(const struct sim_reactor *sr)
{
	unsigned int ready_nr = 0;

	for (unsigned int i = 0; i <= sim.reactors_nr; i++)
		ready_nr += sr->lanes[i].oldest != NULL;
	return ready_nr;
}

static void lane_run(struct sim_reactor *sr, unsigned int nth)
{
	struct sim_lane *lane = sr->lanes;
	struct rt_msg *m;

	while (!lane->oldest || nth-- > 0)
		lane++;
	m = lane->oldest;
	lane->oldest = m->next;
	if (!lane->oldest)
		lane->end = &lane->oldest;
	sim_event("message from", NULL, (uint64_t)(lane - sr->lanes));
	msg_run(sr->r, m);
}

/* ---- I/O --------------------------------------------------------------------------------------- */

static int64_t io_call(const struct rt_io *io)
{
	switch ((enum rt_io_op)io->op) {
	case RT_IO_READ:
		return preadv2(io->fd, io->iov, (int)io->iov_nr, (off_t)io->off, (int)io->rw_flags);
	case RT_IO_WRITE:
		return pwritev2(io->fd, io->iov, (int)io->iov_nr, (off_t)io->off,
				(int)io->rw_flags);
	case RT_IO_FSYNC:
		return io->flags & RT_IO_DATASYNC ? fdatasync(io->fd) : fsync(io->fd);
	case RT_IO_FALLOCATE:
		return fallocate(io->fd, io->falloc_mode, (off_t)io->off, (off_t)io->falloc_len);
	case RT_IO_POLL:
	case RT_IO_URING_CMD:
		break; /* the outside world has no place in a run that is to be replayed */
	}
	errno = EOPNOTSUPP;
	return -1;
}

static void io_perform(struct rt_io *io)
{
	int64_t res;

	do {
		res = io_call(io);
	} while (res < 0 && errno == EINTR);
	io->res = (int32_t)(res < 0 ? -errno : res);
	*io_state(io) = IO_PERFORMED;
}

/* Sorted by when they are due. */
static void io_insert(struct sim_reactor *sr, struct rt_io *io)
{
	struct list_head *pos = sr->ios.prev;

	while (pos != &sr->ios &&
	       *io_due_ns(list_entry(pos, struct rt_io, rt_node)) > *io_due_ns(io))
		pos = pos->prev;
	list_add(&io->rt_node, pos);
}

void sim_io_submit(struct reactor *self, struct rt_io *io)
{
	bool is_inline = io->flags & RT_IO_INLINE &&
			 (io->op == RT_IO_READ || io->op == RT_IO_WRITE);

	blkfs_assert(io->op <= RT_IO_URING_CMD);
	*io_due_ns(io) = sim.now_ns + (is_inline ? 0 : random_latency_ns());
	*io_state(io) = IO_PENDING;
	if (is_inline)
		io_perform(io);
	sim_event("submit op", NULL, io->op);
	io_insert(to_sim(self), io);
}

void sim_io_cancel(struct reactor *self, struct rt_io *io)
{
	struct sim_reactor *sr = to_sim(self);
	struct rt_io *pending;

	list_for_each_entry(pending, &sr->ios, rt_node) {
		if (pending != io)
			continue;
		if (*io_state(io) == IO_PENDING && sim_choose(2) == 0) {
			*io_state(io) = IO_CANCELLED;
			*io_due_ns(io) = sim.now_ns;
			list_del(&io->rt_node);
			io_insert(sr, io);
		}
		return;
	}
}

static unsigned int ios_ready_nr(const struct sim_reactor *sr)
{
	unsigned int ready_nr = 0;
	struct rt_io *io;

	list_for_each_entry(io, &sr->ios, rt_node) {
		if (*io_due_ns(io) > sim.now_ns)
			break;
		ready_nr++;
	}
	return ready_nr;
}

static void io_run(struct sim_reactor *sr, unsigned int nth)
{
	struct rt_io *io = list_first_entry(&sr->ios, struct rt_io, rt_node);

	while (nth-- > 0)
		io = list_next_entry(io, rt_node);
	list_del_init(&io->rt_node);
	if (*io_state(io) == IO_PENDING)
		io_perform(io);
	else if (*io_state(io) == IO_CANCELLED)
		io->res = -ECANCELED;
	io->big_cqe[0] = 0;
	io->big_cqe[1] = 0;
	sim_event("done op", NULL, hash_combine(io->op, (uint32_t)io->res));
	io->done(io);
}

/* ---- offloads ---------------------------------------------------------------------------------- */

static void offload_done(struct rt_msg *m)
{
	struct rt_offload *o = container_of(m, struct rt_offload, msg);

	o->done(o);
}

void sim_offload(struct rt_offload *o)
{
	list_add_tail(&o->node, &sim.reactors[o->reactor].offloads);
}

static void offload_run(struct sim_reactor *sr, unsigned int nth)
{
	struct rt_offload *o = list_first_entry(&sr->offloads, struct rt_offload, node);

	while (nth-- > 0)
		o = list_next_entry(o, node);
	list_del_init(&o->node);
	reactor_bind(NULL, NULL);
	sim_event("offload of", NULL, sr->r->id);
	sim.now_ns += random_latency_ns();
	o->res = o->fn(o);
	o->msg.fn = offload_done;
	sim_post_foreign(sr->r, &o->msg);
	reactor_bind(sr->r, &sr->loop);
}

/* ---- for the scheduler --------------------------------------------------------------------------- */

unsigned int sim_io_ready_nr(const struct sim_reactor *sr, enum sim_source source)
{
	if (source == SIM_MSG)
		return lanes_ready_nr(sr);
	if (source == SIM_IO)
		return ios_ready_nr(sr);
	return (unsigned int)list_count_nodes(&sr->offloads);
}

void sim_io_run(struct sim_reactor *sr, enum sim_source source, unsigned int nth)
{
	if (source == SIM_MSG)
		lane_run(sr, nth);
	else if (source == SIM_IO)
		io_run(sr, nth);
	else
		offload_run(sr, nth);
}

uint64_t sim_io_next_ns(const struct sim_reactor *sr)
{
	if (list_empty(&sr->ios))
		return UINT64_MAX;
	return *io_due_ns(list_first_entry(&sr->ios, struct rt_io, rt_node));
}
