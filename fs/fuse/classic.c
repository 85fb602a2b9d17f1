/* SPDX-License-Identifier: MIT */
/*
 * The transport that every kernel has: read(2) and writev(2) on /dev/fuse, nonblocking.
 *
 * A channel is one descriptor on one reactor. Where it carries everything it is a poller: looked at
 * each turn and while spinning, with a one-shot poll armed only before the reactor sleeps. Beside
 * the rings it carries INIT, FORGET and INTERRUPT alone and only wakes by its poll.
 *
 * Invariants: 1. What a descriptor delivered is answered on it.
 *             2. A message is read so that a WRITE's bytes begin on a page: the payload.
 *             3. A channel holds one ff_live_get() until it is dead and no poll is armed.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"

#include "fs/fuse/front.h"

enum {
	READ_BATCH = 16, /* messages of one look, before tasks run */
	SPARE_BUFS = 16, /* beyond the depth, so that control finds one */
	MESSAGE_HEAD = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in),
	REPLY_IOV_MAX = 8,
};

struct classic_buf {
	struct ff_req req; /* first */
	struct classic_chan *chan;
	struct list_head free_node;
};

struct classic_chan {
	struct ff_cpu *cpu;
	int fd;
	bool owns_fd;
	bool is_spinning;
	bool is_armed;	 /* poll_io is in the ring */
	bool is_starved; /* no buffer was free: the next release looks again */
	bool is_dead;
	struct rt_io poll_io;
	struct rt_poller poller;
	struct rt_defer drain;
	struct list_head free_bufs;
	unsigned int bufs_nr;
	struct classic_buf *bufs;
	char *payloads;
	size_t payloads_len;
};

/* ---- answers ----------------------------------------------------------------------------------- */

static int classic_reply(struct ff_req *r, const struct fuse_out_header *out,
			 const struct iovec *iov, int iov_nr)
{
	struct classic_buf *b = container_of(r, struct classic_buf, req);
	struct iovec all[REPLY_IOV_MAX] = { { (void *)(uintptr_t)out, sizeof(*out) } };

	if (iov_nr >= REPLY_IOV_MAX)
		return -EMSGSIZE;
	for (int i = 0; i < iov_nr; i++)
		all[i + 1] = iov[i];
	while (writev(b->chan->fd, all, iov_nr + 1) < 0) {
		if (errno == EINTR)
			continue;
		/* ENOENT: the caller was killed or the connection cut, which is no error. */
		if (errno != ENOENT && errno != ENODEV && errno != ENOTCONN)
			log_err("fuse: answer to %s: %s; its caller waits until abort or unmount",
				wire_opcode_name(r->in.opcode), strerror(errno));
		return -ENOENT;
	}
	return 0;
}

static void classic_release(struct ff_req *r)
{
	struct classic_buf *b = container_of(r, struct classic_buf, req);
	struct classic_chan *chan = b->chan;

	list_add(&b->free_node, &chan->free_bufs);
	if (unlikely(chan->is_starved)) {
		chan->is_starved = false;
		rt_defer_queue(&chan->drain, RT_STAGE_READY);
	}
}

static const struct ff_transport classic_transport = {
	.reply = classic_reply,
	.release = classic_release,
};

/* ---- questions --------------------------------------------------------------------------------- */

static void chan_dead(struct classic_chan *chan, int err)
{
	if (chan->is_dead)
		return;
	if (err != -ENODEV && err != -ECONNABORTED && err != -ENOTCONN)
		log_err("fuse: reading /dev/fuse: %s; no more requests come this way",
			strerror(-err));
	chan->is_dead = true;
	if (!chan->is_armed)
		ff_live_put(chan->cpu->ff);
}

/* 1: a request was started; 0: there is none; or the channel is dead. */
static int chan_read_one(struct classic_chan *chan)
{
	struct classic_buf *b = list_first_entry(&chan->free_bufs, struct classic_buf, free_node);
	struct ff_req *r = &b->req;
	char *message = (char *)r->payload - MESSAGE_HEAD;
	ssize_t len = read(chan->fd, message, MESSAGE_HEAD + r->payload_cap);

	if (len < 0) {
		/* ENOENT: interrupted before we took it. */
		if (errno == EINTR || errno == ENOENT)
			return 1;
		if (errno != EAGAIN)
			chan_dead(chan, -errno);
		return 0;
	}
	if (wire_classic_decode(message, (size_t)len, &r->msg)) {
		log_err("fuse: message of %zd bytes from /dev/fuse makes no sense; dropped", len);
		return 1;
	}
	list_del(&b->free_node);
	ff_req_start(r);
	return 1;
}

/* Whether anything was read. */
static bool chan_read(struct classic_chan *chan)
{
	unsigned int read_nr = 0;

	while (!chan->is_dead && read_nr < READ_BATCH) {
		if (list_empty(&chan->free_bufs)) {
			chan->is_starved = true;
			break;
		}
		if (!chan_read_one(chan))
			break;
		read_nr++;
	}
	return read_nr > 0;
}

static void chan_arm(struct classic_chan *chan)
{
	if (chan->is_armed || chan->is_dead || chan->is_starved)
		return;
	chan->is_armed = true;
	rt_io_submit(&chan->poll_io);
}

/* All there is, then wait for more; a full batch lets others run first. */
static void chan_drain(struct rt_defer *d)
{
	struct classic_chan *chan = container_of(d, struct classic_chan, drain);

	if (chan_read(chan))
		rt_defer_queue(d, RT_STAGE_READY);
	else if (!chan->is_spinning)
		chan_arm(chan);
}

static void chan_polled(struct rt_io *io)
{
	struct classic_chan *chan = container_of(io, struct classic_chan, poll_io);

	chan->is_armed = false;
	if (chan->is_dead)
		ff_live_put(chan->cpu->ff);
	else if (io->res < 0 && io->res != -ECANCELED)
		chan_dead(chan, io->res);
	else
		chan_drain(&chan->drain);
}

static bool chan_poll(struct rt_poller *p)
{
	struct classic_chan *chan = container_of(p, struct classic_chan, poller);

	return chan_read(chan);
}

/* The reactor is about to sleep: what comes now must wake it. */
static bool chan_must_not_sleep(struct rt_poller *p)
{
	chan_arm(container_of(p, struct classic_chan, poller));
	return false;
}

/* ---- life -------------------------------------------------------------------------------------- */

static void chan_free(struct classic_chan *chan)
{
	if (chan->owns_fd)
		close(chan->fd);
	if (chan->payloads)
		rt_dma_free(chan->payloads, chan->payloads_len);
	free(chan->bufs);
	free(chan);
}

static int chan_alloc_bufs(struct classic_chan *chan)
{
	struct fuse_front *ff = chan->cpu->ff;
	size_t stride = WIRE_HEADROOM + ff->max_write;

	BUILD_BUG_ON((size_t)MESSAGE_HEAD > (size_t)WIRE_HEADROOM);
	chan->bufs_nr = ff->depth + SPARE_BUFS;
	chan->bufs = calloc(chan->bufs_nr, sizeof(*chan->bufs));
	chan->payloads_len = chan->bufs_nr * stride;
	chan->payloads = rt_dma_alloc(chan->payloads_len);
	if (!chan->bufs || !chan->payloads)
		return -ENOMEM;
	for (unsigned int i = 0; i < chan->bufs_nr; i++) {
		struct classic_buf *b = &chan->bufs[i];

		b->chan = chan;
		b->req = (struct ff_req){
			.ff = ff,
			.cpu = chan->cpu,
			.tr = &classic_transport,
			.payload = chan->payloads + i * stride + WIRE_HEADROOM,
			.payload_cap = ff->max_write,
		};
		list_add_tail(&b->free_node, &chan->free_bufs);
	}
	return 0;
}

/* Each reactor its own queue of answers; where /dev/fuse may not be opened they share one. */
static void chan_clone(struct classic_chan *chan)
{
	uint32_t master = (uint32_t)chan->cpu->ff->fd;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, FUSE_DEV_IOC_CLONE, &master) == 0) {
		chan->fd = fd;
		chan->owns_fd = true;
		return;
	}
	log_info(
		"fuse: reactor %u shares the descriptor of the mount: /dev/fuse cannot be cloned: %s",
		chan->cpu->reactor, strerror(errno));
	if (fd >= 0)
		close(fd);
	chan->fd = chan->cpu->ff->fd;
}

int ff_classic_start(struct ff_cpu *cpu, int fd)
{
	struct classic_chan *chan = calloc(1, sizeof(*chan));
	int err;

	if (!chan)
		return -ENOMEM;
	chan->cpu = cpu;
	chan->fd = fd;
	INIT_LIST_HEAD(&chan->free_bufs);
	rt_defer_init(&chan->drain, chan_drain);
	chan->poller = (struct rt_poller){
		.poll = chan_poll,
		.must_not_sleep = chan_must_not_sleep,
	};
	err = chan_alloc_bufs(chan);
	if (err) {
		chan_free(chan);
		return err;
	}
	if (fd < 0)
		chan_clone(chan);
	chan->poll_io = (struct rt_io){
		.op = RT_IO_POLL,
		.fd = chan->fd,
		.poll_events = POLLIN,
		.done = chan_polled,
	};
	cpu->chan = chan;
	ff_live_get(cpu->ff);
	chan_arm(chan);
	return 0;
}

void ff_classic_spin(struct ff_cpu *cpu)
{
	struct classic_chan *chan = cpu->chan;

	if (chan->is_spinning)
		return;
	chan->is_spinning = true;
	rt_poller_add(&chan->poller);
}

void ff_classic_stop(struct ff_cpu *cpu)
{
	struct classic_chan *chan = cpu->chan;

	if (!chan)
		return;
	if (chan->is_spinning)
		rt_poller_del(&chan->poller);
	(void)rt_defer_cancel(&chan->drain);
	cpu->chan = NULL;
	chan_free(chan);
}
