/* SPDX-License-Identifier: MIT */
/*
 * The life of a request, from a transport to its task and back.
 *
 * Story: ff_req_start() counts it and gives it a task, or puts it on the pending list when the
 * reactor has none; req_task() serves it and ends it; req_end() hands the payload back and starts
 * the next that waits. All of it on one reactor, so the lists need no lock.
 *
 * An INTERRUPT can only shorten a request that has no task yet: once the op runs, the payload may
 * be at the device, and the answer comes when the op returns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#include "fs/fuse/front.h"

enum {
	IOPRIO_TTL_NS = 100 * 1000 * 1000, /* a changed priority is felt this much later */
	IOPRIO_WHO_PROCESS = 1,
};

#define STAT_ADD(counter, n) WRITE_ONCE(counter, (counter) + (n))

/* ---- answers ----------------------------------------------------------------------------------- */

int ff_req_send(struct ff_req *r, int err, const struct iovec *iov, int iov_nr)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = err, .unique = r->in.unique };

	blkfs_assert(!r->is_replied);
	r->is_replied = true;
	if (r->file)
		san_release(r->file);
	if (err)
		STAT_ADD(r->cpu->stats.errors, 1);
	for (int i = 0; i < iov_nr; i++)
		out.len += (uint32_t)iov[i].iov_len;
	return r->tr->reply(r, &out, iov, iov_nr);
}

/* ---- who asks ---------------------------------------------------------------------------------- */

/* The caller's I/O priority; asked of the kernel now and then, not for each request. */
static uint16_t ioprio_of(struct ff_cpu *cpu, pid_t pid)
{
	struct ff_ioprio_slot *slot = &cpu->ioprio[(unsigned int)pid % FF_IOPRIO_SLOTS];
	long prio;

	if (pid == 0)
		return 0;
	if (slot->pid == pid && rt_now() < slot->until_ns)
		return slot->ioprio;
	prio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pid);
	slot->pid = pid;
	slot->ioprio = prio > 0 ? (uint16_t)prio : 0;
	slot->until_ns = rt_now() + IOPRIO_TTL_NS;
	return slot->ioprio;
}

static bool is_data_op(uint32_t opcode)
{
	return opcode == FUSE_READ || opcode == FUSE_WRITE || opcode == FUSE_FSYNC;
}

/* ---- serving ----------------------------------------------------------------------------------- */

/* What libfuse does not decode, or not without a copy. The rest is its. */
static void (*const direct_ops[WIRE_OPCODES_NR])(struct ff_req *r) = {
	[FUSE_READ] = ff_op_read,	[FUSE_WRITE] = ff_op_write,
	[FUSE_READDIR] = ff_op_readdir, [FUSE_READDIRPLUS] = ff_op_readdir,
	[FUSE_SYNCFS] = ff_op_syncfs,	[WIRE_STATX] = ff_op_statx,
};

static bool wants_no_answer(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET;
}

static bool is_shut(const struct fuse_front *ff)
{
	return __atomic_load_n(&ff->is_closing, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&ff->is_aborted, __ATOMIC_ACQUIRE);
}

static void req_serve(struct ff_req *r)
{
	uint32_t opcode = r->in.opcode;

	if (r->is_interrupted)
		ff_reply_err(r, -EINTR);
	else if (is_shut(r->ff) && !wants_no_answer(opcode))
		ff_reply_err(r, -ENODEV);
	else if (opcode < WIRE_OPCODES_NR && direct_ops[opcode])
		direct_ops[opcode](r);
	else
		ff_session_decode(r);
	if (!r->is_replied && !wants_no_answer(opcode)) {
		log_err("fuse: %s (%u) was not answered by its op: EIO", wire_opcode_name(opcode),
			opcode);
		ff_reply_err(r, -EIO);
	}
}

static void req_task(void *arg);

static void pending_run(struct ff_cpu *cpu)
{
	struct ff_req *r;

	if (likely(list_empty(&cpu->pending)))
		return;
	r = list_first_entry(&cpu->pending, struct ff_req, node);
	if (rt_spawn(req_task, r, "fuse request") == 0)
		list_move_tail(&r->node, &cpu->inflight);
}

static void req_end(struct ff_req *r)
{
	struct ff_cpu *cpu = r->cpu;

	bool is_writeback = r->is_writeback;

	list_del(&r->node);
	r->tr->release(r);
	if (is_writeback)
		__atomic_store_n(&cpu->writebacks_nr, cpu->writebacks_nr - 1, __ATOMIC_RELEASE);
	__atomic_store_n(&cpu->inflight_nr, cpu->inflight_nr - 1, __ATOMIC_RELEASE);
	pending_run(cpu);
}

static void req_task(void *arg)
{
	struct ff_req *r = arg;
	struct task *task = rt_current();

	task->name = wire_opcode_name(r->in.opcode);
	task->ioc.pid = (pid_t)r->in.pid;
	task->ioc.ioprio = is_data_op(r->in.opcode) ? ioprio_of(r->cpu, (pid_t)r->in.pid) : 0;
	req_serve(r);
	req_end(r);
}

/* ---- INTERRUPT --------------------------------------------------------------------------------- */

struct interrupt {
	struct rt_msg msg;
	struct ff_cpu *cpu;
	uint64_t unique;
};

static void interrupt_arrived(struct rt_msg *m)
{
	struct interrupt *intr = container_of(m, struct interrupt, msg);
	struct ff_req *r;

	list_for_each_entry(r, &intr->cpu->pending, node)
		if (r->in.unique == intr->unique)
			r->is_interrupted = true;
	free(intr);
}

/* The request may be on any reactor; each looks for itself. Lost for want of memory it is as if it
 * had come a moment later. */
static void interrupt_spread(struct ff_req *r)
{
	const struct fuse_interrupt_in *in = r->msg.arg;
	struct fuse_front *ff = r->ff;

	STAT_ADD(r->cpu->stats.interrupts, 1);
	if (r->msg.arg_len < sizeof(*in))
		return;
	for (unsigned int i = 0; i < ff->cpus_nr; i++) {
		struct interrupt *intr = malloc(sizeof(*intr));

		if (!intr)
			return;
		intr->msg.fn = interrupt_arrived;
		intr->cpu = &ff->cpus[i];
		intr->unique = in->unique;
		rt_post(intr->cpu->reactor, &intr->msg);
	}
}

/* ---- the way in -------------------------------------------------------------------------------- */

static bool is_writeback(const struct ff_req *r)
{
	const struct fuse_write_in *in = r->msg.arg;

	return r->in.opcode == FUSE_WRITE && r->msg.arg_len >= sizeof(*in) &&
	       (in->write_flags & FUSE_WRITE_CACHE);
}

static void writeback_begin(struct ff_cpu *cpu)
{
	__atomic_store_n(&cpu->writebacks_nr, cpu->writebacks_nr + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&cpu->stats.writebacks, cpu->stats.writebacks + 1, __ATOMIC_RELEASE);
}

void ff_req_start(struct ff_req *r)
{
	struct ff_cpu *cpu = r->cpu;

	r->in = *r->msg.in;
	r->lf = NULL;
	r->file = NULL;
	r->is_replied = false;
	r->is_interrupted = false;
	STAT_ADD(cpu->stats.requests[min_t(uint32_t, r->in.opcode, WIRE_OPCODES_NR - 1)], 1);
	if (unlikely(r->in.opcode == FUSE_INTERRUPT)) {
		interrupt_spread(r);
		r->tr->release(r);
		return;
	}
	__atomic_store_n(&cpu->inflight_nr, cpu->inflight_nr + 1, __ATOMIC_RELAXED);
	r->is_writeback = is_writeback(r);
	if (r->is_writeback)
		writeback_begin(cpu);
	if (likely(list_empty(&cpu->pending) && rt_spawn(req_task, r, "fuse request") == 0)) {
		list_add_tail(&r->node, &cpu->inflight);
	} else {
		STAT_ADD(cpu->stats.waited_for_task, 1);
		list_add_tail(&r->node, &cpu->pending);
	}
}

/* ---- ends -------------------------------------------------------------------------------------- */

unsigned int ff_inflight_nr(const struct fuse_front *ff)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < ff->cpus_nr; i++)
		nr += __atomic_load_n(&ff->cpus[i].inflight_nr, __ATOMIC_ACQUIRE);
	return nr;
}

void ff_live_get(struct fuse_front *ff)
{
	__atomic_add_fetch(&ff->live_nr, 1, __ATOMIC_RELAXED);
}

void ff_live_put(struct fuse_front *ff)
{
	if (__atomic_sub_fetch(&ff->live_nr, 1, __ATOMIC_ACQ_REL) == 0)
		complete_all(&ff->ended);
}
