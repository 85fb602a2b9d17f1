/* SPDX-License-Identifier: MIT */
/*
 * The transport over io_uring: requests and answers on the reactor's own ring.
 *
 * A queue belongs to a CPU (qid), the queues of CPUs without a reactor to the nearest one. An entry
 * is with the kernel (its REGISTER or COMMIT_AND_FETCH is pending), or with us (a request runs).
 * Its payload is what the device reads into; WIRE_HEADROOM bytes lie before it for libfuse's sake.
 * The kernel copies a payload in the thread whose ring carries the command: a big request is handed
 * to a reactor with less to do, which commits it; the entry stays there while that pays, else it
 * goes home.
 *
 * Invariants: 1. Each possible CPU's queue has an entry, or the kernel sends nothing to any ring.
 *             2. COMMIT goes out after the op returned: from then on the payload is the kernel's.
 *             3. An entry holds one ff_live_get() from REGISTER to its error completion.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#include "fs/fuse/front.h"

enum {
	FOREIGN_DEPTH = 4, /* entries of a CPU without a reactor: our threads do not run there */
	BIG_BYTES = 64 * 1024, /* the copy takes longer than waking another reactor */
};

struct uring_entry {
	struct ff_req req; /* first: they are one thing */
	struct rt_io io;
	struct uring_queue *queue;
	struct wire_uring_headers *hdr;
	struct iovec iov[2];
	struct rt_msg msg;  /* to another reactor, or home */
	bool is_registered; /* a completion has come without error */
	bool is_big;	    /* the request it carries */
};

struct uring_queue {
	uint16_t qid;
	struct ff_cpu *home;
	unsigned int entries_nr;
	struct uring_entry *entries;
	struct wire_uring_headers *hdrs;
	char *payloads; /* rt_dma_alloc */
	size_t payloads_len;
	struct uring_queue *next;
};

struct uring_cpu {
	struct ff_cpu *cpu;
	struct uring_queue *queues;
};

static size_t payload_stride(const struct fuse_front *ff)
{
	return WIRE_HEADROOM + ff->max_write;
}

/* ---- commands ---------------------------------------------------------------------------------- */

static void entry_submit(struct uring_entry *e, uint32_t cmd_op, uint64_t commit_id)
{
	struct wire_uring_cmd cmd = { .commit_id = commit_id, .qid = e->queue->qid };

	e->io.cmd_op = cmd_op;
	memcpy(e->io.cmd, &cmd, sizeof(cmd));
	rt_io_submit(&e->io);
}

static int uring_reply(struct ff_req *r, const struct fuse_out_header *out, const struct iovec *iov,
		       int iov_nr)
{
	struct uring_entry *e = container_of(r, struct uring_entry, req);
	size_t pos = 0;

	for (int i = 0; i < iov_nr; i++) {
		if (iov[i].iov_len > r->payload_cap - pos)
			return -EMSGSIZE;
		if (iov[i].iov_base != (char *)r->payload + pos)
			memmove((char *)r->payload + pos, iov[i].iov_base, iov[i].iov_len);
		pos += iov[i].iov_len;
	}
	memcpy(e->hdr->in_out, out, sizeof(*out));
	e->hdr->ent.payload_sz = (uint32_t)pos;
	return 0;
}

static void entry_commit(struct uring_entry *e)
{
	entry_submit(e, WIRE_URING_COMMIT_AND_FETCH, e->hdr->ent.commit_id);
}

static void entry_commit_msg(struct rt_msg *m)
{
	entry_commit(container_of(m, struct uring_entry, msg));
}

static unsigned int cpu_load(const struct ff_cpu *cpu)
{
	return READ_ONCE(cpu->inflight_nr) + READ_ONCE(cpu->handed_nr);
}

static void uring_release(struct ff_req *r)
{
	struct uring_entry *e = container_of(r, struct uring_entry, req);
	struct ff_cpu *home = e->queue->home;

	if (!r->is_replied) { /* it needed none; the ring does */
		struct fuse_out_header out = { .len = sizeof(out), .unique = r->in.unique };

		(void)uring_reply(r, &out, NULL, 0);
	}
	if (r->cpu == home || (e->is_big && cpu_load(home) >= cpu_load(r->cpu))) {
		entry_commit(e);
	} else {
		e->msg.fn = entry_commit_msg;
		rt_post(home->reactor, &e->msg);
	}
}

static const struct ff_transport uring_transport = {
	.reply = uring_reply,
	.release = uring_release,
};

/* ---- completions ------------------------------------------------------------------------------- */

/* The connection is gone, or the kernel does not want this entry. */
static void entry_lost(struct uring_entry *e, int err)
{
	struct fuse_front *ff = e->req.ff;
	bool is_end = err == -ENOTCONN || err == -ENODEV || err == -ECONNABORTED ||
		      err == -ECANCELED || READ_ONCE(ff->is_aborted) || READ_ONCE(ff->is_closing);

	if (!e->is_registered && !is_end)
		ff_uring_failed(ff, err);
	else if (!is_end)
		log_warn("fuse: ring entry of queue %u lost: %s; %u are left on this queue at most",
			 e->queue->qid, strerror(-err), e->queue->entries_nr - 1);
	ff_live_put(ff);
}

static bool is_big(const struct wire_msg *m)
{
	const struct fuse_read_in *in = m->arg;

	return m->data_len >= BIG_BYTES ||
	       (m->in->opcode == FUSE_READ && m->arg_len >= sizeof(*in) && in->size >= BIG_BYTES);
}

/* A reactor that would still have less to do than @from with one request more; NULL: none. */
static struct ff_cpu *idler_cpu(const struct ff_cpu *from)
{
	struct fuse_front *ff = from->ff;
	unsigned int least = cpu_load(from);
	struct ff_cpu *idler = NULL;

	for (unsigned int i = 0; i < ff->cpus_nr && least > 0; i++) {
		unsigned int load = cpu_load(&ff->cpus[i]);

		if (&ff->cpus[i] != from && load < least && READ_ONCE(ff->cpus[i].uring)) {
			least = load;
			idler = &ff->cpus[i];
		}
	}
	return idler;
}

static void entry_handed(struct rt_msg *m)
{
	struct uring_entry *e = container_of(m, struct uring_entry, msg);

	__atomic_sub_fetch(&e->req.cpu->handed_nr, 1, __ATOMIC_RELAXED);
	ff_req_start(&e->req);
}

static void entry_start(struct uring_entry *e)
{
	struct ff_req *r = &e->req;
	struct ff_cpu *idler;

	r->cpu = &r->ff->cpus[rt_reactor_id()];
	e->is_big = is_big(&r->msg);
	idler = e->is_big ? idler_cpu(r->cpu) : NULL;
	if (!idler) {
		ff_req_start(r);
		return;
	}
	r->cpu = idler;
	__atomic_add_fetch(&idler->handed_nr, 1, __ATOMIC_RELAXED);
	e->msg.fn = entry_handed;
	rt_post(idler->reactor, &e->msg);
}

static void entry_done(struct rt_io *io)
{
	struct uring_entry *e = container_of(io, struct uring_entry, io);
	struct ff_req *r = &e->req;
	int err = io->res;

	if (unlikely(err < 0)) {
		entry_lost(e, err);
		return;
	}
	e->is_registered = true;
	err = wire_uring_decode(e->hdr, r->payload, r->payload_cap, &r->msg);
	if (unlikely(err)) {
		const struct fuse_in_header *in = (const void *)e->hdr->in_out;

		log_err("fuse: ring message of queue %u: length %u with payload %u makes no sense",
			e->queue->qid, in->len, e->hdr->ent.payload_sz);
		r->in = *in;
		r->is_replied = false;
		(void)ff_req_send(r, -EIO, NULL, 0);
		entry_commit(e);
		return;
	}
	entry_start(e);
}

/* ---- life -------------------------------------------------------------------------------------- */

static void entry_init(struct uring_entry *e, struct uring_queue *q, struct ff_cpu *cpu,
		       unsigned int i)
{
	struct fuse_front *ff = cpu->ff;
	char *payload = q->payloads + i * payload_stride(ff) + WIRE_HEADROOM;

	e->queue = q;
	e->hdr = &q->hdrs[i];
	e->req = (struct ff_req){
		.ff = ff,
		.cpu = cpu,
		.tr = &uring_transport,
		.payload = payload,
		.payload_cap = ff->max_write,
	};
	e->iov[0] = (struct iovec){ e->hdr, sizeof(*e->hdr) };
	e->iov[1] = (struct iovec){ payload, ff->max_write };
	e->io = (struct rt_io){
		.op = RT_IO_URING_CMD,
		.fd = ff->fd,
		.cmd_addr = (uint64_t)(uintptr_t)e->iov,
		.cmd_len = 2,
		.done = entry_done,
	};
}

static void queue_free(struct uring_queue *q)
{
	if (q->payloads)
		rt_dma_free(q->payloads, q->payloads_len);
	free(q->hdrs);
	free(q->entries);
	free(q);
}

static int queue_add(struct uring_cpu *uc, uint16_t qid, unsigned int entries_nr)
{
	struct uring_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->qid = qid;
	q->home = uc->cpu;
	q->entries_nr = entries_nr;
	q->entries = calloc(entries_nr, sizeof(*q->entries));
	q->hdrs = calloc(entries_nr, sizeof(*q->hdrs));
	q->payloads_len = entries_nr * payload_stride(uc->cpu->ff);
	q->payloads = rt_dma_alloc(q->payloads_len);
	if (!q->entries || !q->hdrs || !q->payloads) {
		queue_free(q);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < entries_nr; i++)
		entry_init(&q->entries[i], q, uc->cpu, i);
	q->next = uc->queues;
	uc->queues = q;
	return 0;
}

static void queues_register(struct uring_cpu *uc)
{
	for (struct uring_queue *q = uc->queues; q; q = q->next) {
		for (unsigned int i = 0; i < q->entries_nr; i++) {
			ff_live_get(uc->cpu->ff);
			entry_submit(&q->entries[i], WIRE_URING_REGISTER, 0);
		}
	}
}

int ff_uring_start(struct ff_cpu *cpu)
{
	struct fuse_front *ff = cpu->ff;
	struct uring_cpu *uc = calloc(1, sizeof(*uc));
	int err = uc ? 0 : -ENOMEM;

	if (uc)
		uc->cpu = cpu;
	cpu->uring = uc;
	for (unsigned int qid = 0; !err && qid < ff->possible_nr; qid++) {
		bool is_home = rt_reactor_cpu(cpu->reactor) == qid;

		if (rt_reactor_of_cpu(qid) == cpu->reactor)
			err = queue_add(uc, (uint16_t)qid,
					is_home ? ff->depth : min(ff->depth, FOREIGN_DEPTH + 0u));
	}
	if (err)
		ff_uring_stop(cpu);
	else
		queues_register(uc);
	return err;
}

void ff_uring_stop(struct ff_cpu *cpu)
{
	struct uring_cpu *uc = cpu->uring;

	cpu->uring = NULL;
	while (uc && uc->queues) {
		struct uring_queue *q = uc->queues;

		uc->queues = q->next;
		queue_free(q);
	}
	free(uc);
}
