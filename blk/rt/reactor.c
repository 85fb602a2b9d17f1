/* SPDX-License-Identifier: MIT */
/*
 * The ring back end: reactors as threads, and their turn. Read turn() first, at the bottom.
 *
 * Invariants: 1. A reactor sleeps in one place, turn_wait(), after it has announced it in its inbox
 *                and found no mail (mailbox.h); a timer that is due bounds the sleep.
 *             2. One io_uring_enter a turn, but for a full submission queue.
 *             3. No spin is longer than spin_max_ns after the reactor's last event.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#include "ring.h"

enum {
	READY_PASSES = 8,     /* of the ready stage, before I/O is looked at again */
	CQ_PER_SQ = 4,	      /* completion entries for each submission entry */
	SPIN_SHRINK = 16,     /* a spin that never hits is this much shorter */
	STAMP_STEP_NS = 2000, /* the shared stamp is not written more often */
	RANDOM_POOL_BYTES = 256,
};

/* When any reactor last had an event: see spin_is_vain(). [atomic] */
static uint64_t last_event_ns __cacheline_aligned;

/* ---- clocks and randomness -------------------------------------------------------------------- */

static uint64_t read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t ring_clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static uint64_t ring_realtime_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

static void random_fill(void *buf, size_t len_bytes)
{
	char *pos = buf;

	while (len_bytes > 0) {
		ssize_t got = getrandom(pos, len_bytes, 0);

		if (got < 0) {
			blkfs_assert(errno == EINTR);
			continue;
		}
		pos += got;
		len_bytes -= (size_t)got;
	}
}

static void ring_random_bytes(void *buf, size_t len_bytes)
{
	static __thread unsigned char pool[RANDOM_POOL_BYTES];
	static __thread size_t left_bytes;

	if (len_bytes > sizeof(pool)) {
		random_fill(buf, len_bytes);
		return;
	}
	if (len_bytes > left_bytes) {
		random_fill(pool, sizeof(pool));
		left_bytes = sizeof(pool);
	}
	left_bytes -= len_bytes;
	memcpy(buf, pool + left_bytes, len_bytes);
	memset(pool + left_bytes, 0, len_bytes);
}

/* ---- messages and the door -------------------------------------------------------------------- */

static void door_knock(const struct ring *g)
{
	uint64_t one = 1;
	ssize_t res;

	do {
		res = write(g->door_fd, &one, sizeof(one));
	} while (res < 0 && errno == EINTR);
	/* EAGAIN: it has been knocked at 2^64 times, it will open. */
}

static void wake_by_ring(struct ring *from, struct ring *to)
{
	struct io_uring_sqe *sqe = ring_sqe_get(from);

	STAT_INC(from->r->stats.wakeups_sent);
	if (unlikely(!sqe)) {
		door_knock(to);
		return;
	}
	io_uring_prep_msg_ring(sqe, to->uring.ring_fd, 0, RING_TAG_IGNORE, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, RING_TAG_WAKE | (uint64_t)to->r->id << RING_TAG_SHIFT);
}

static void ring_post(struct reactor *to, struct rt_msg *m)
{
	struct ring *self = to_ring(rt_self);

	if (to == rt_self) {
		m->next = NULL;
		*self->own_tail = m;
		self->own_tail = &m->next;
		return;
	}
	if (mailbox_push(&to->inbox, m))
		wake_by_ring(self, to_ring(to));
}

static void ring_post_foreign(struct reactor *to, struct rt_msg *m)
{
	if (mailbox_push(&to->inbox, m))
		door_knock(to_ring(to));
}

static void door_arm(struct ring *g)
{
	struct io_uring_sqe *sqe = ring_sqe_get(g);

	if (!sqe)
		return; /* the next turn tries again; nobody sleeps behind a door that is shut */
	io_uring_prep_read(sqe, g->door_fd, &g->door_count, sizeof(g->door_count), 0);
	io_uring_sqe_set_data64(sqe, RING_TAG_DOOR);
	g->is_door_armed = true;
}

/* ---- stage 1: completions --------------------------------------------------------------------- */

static void take_tagged(struct ring *g, const struct io_uring_cqe *cqe)
{
	switch (cqe->user_data & RING_TAG_BITS) {
	case RING_TAG_DOOR:
		g->is_door_armed = false;
		break;
	case RING_TAG_WAKE:
		door_knock(to_ring(rt_core.reactors[cqe->user_data >> RING_TAG_SHIFT]));
		break;
	default:
		break;
	}
}

/* Completions that reach the ring only when we ask: overflown, or in work left to our thread. */
static bool kernel_has_more(const struct ring *g)
{
	unsigned int flags = IO_URING_READ_ONCE(*g->uring.sq.kflags);

	return flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}

static void ask_for_more(struct ring *g)
{
	if (io_uring_cq_has_overflow(&g->uring))
		STAT_INC(g->r->stats.overflows);
	STAT_INC(g->r->stats.enters);
	(void)io_uring_get_events(
		&g->uring); /* an error leaves the flag: the next turn asks again */
}

/* True: something came. A handler may submit, so an entry is given back before the next is read. */
static bool take_completions(struct ring *g)
{
	struct io_uring_cqe *cqe;
	unsigned int left_nr;
	bool is_any;

	if (unlikely(kernel_has_more(g)))
		ask_for_more(g);
	left_nr = io_uring_cq_ready(&g->uring);
	is_any = left_nr > 0;
	while (left_nr-- > 0 && io_uring_peek_cqe(&g->uring, &cqe) == 0) {
		if (unlikely(cqe->user_data & RING_TAG_BITS))
			take_tagged(g, cqe);
		else
			ring_io_complete(g, cqe);
		io_uring_cqe_seen(&g->uring, cqe);
	}
	return ring_io_run_done(g) || is_any;
}

/* ---- stage 2: ready tasks, defers, messages, timers ------------------------------------------- */

static bool run_msgs(struct reactor *r, struct rt_msg *m)
{
	bool is_any = m != NULL;

	while (m) {
		struct rt_msg *next = m->next;

		msg_run(r, m);
		m = next;
	}
	return is_any;
}

static struct rt_msg *own_msgs_take(struct ring *g)
{
	struct rt_msg *m = g->own_head;

	g->own_head = NULL;
	g->own_tail = &g->own_head;
	return m;
}

static void run_timers(struct reactor *r)
{
	struct rt_timer *t;

	while ((t = timer_heap_pop(&r->timers, rt_this_now_ns)) != NULL)
		t->fn(t);
}

/* Those that are queued now; what they queue runs in the next pass. */
static bool run_defers(struct list_head *head)
{
	LIST_HEAD(due);

	if (list_empty(head))
		return false;
	list_splice_init(head, &due);
	while (!list_empty(&due))
		defer_run(list_first_entry(&due, struct rt_defer, node));
	return true;
}

static bool run_tasks(struct reactor *r)
{
	LIST_HEAD(due);

	if (list_empty(&r->ready))
		return false;
	list_splice_init(&r->ready, &due);
	while (!list_empty(&due))
		task_run(r, to_rt_task(list_first_entry(&due, struct task, rt_node)));
	return true;
}

/* True: messages came from elsewhere. */
static bool run_ready(struct ring *g)
{
	struct reactor *r = g->r;
	bool is_mail = false;

	run_timers(r);
	for (int pass = 0; pass < READY_PASSES; pass++) {
		bool is_busy = run_msgs(r, mailbox_take(&r->inbox));

		is_mail |= is_busy;
		is_busy |= run_msgs(r, own_msgs_take(g));
		is_busy |= run_defers(&r->defers[RT_STAGE_READY]);
		is_busy |= run_tasks(r);
		if (!is_busy)
			break;
	}
	return is_mail;
}

/* ---- stage 4: pollers ------------------------------------------------------------------------- */

static bool run_pollers(struct reactor *r)
{
	struct rt_poller *p, *next;
	bool is_any = false;

	list_for_each_entry_safe(p, next, &r->pollers, node)
		is_any |= p->poll(p);
	return is_any;
}

static bool pollers_forbid_sleep(struct reactor *r)
{
	struct rt_poller *p;

	list_for_each_entry(p, &r->pollers, node)
		if (p->must_not_sleep && p->must_not_sleep(p))
			return true;
	return false;
}

static bool is_main_done(void)
{
	return __atomic_load_n(&rt_core.is_main_done, __ATOMIC_ACQUIRE);
}

/* ---- stage 5: submit, spin, sleep ------------------------------------------------------------- */

static bool ring_is_quiet(struct ring *g)
{
	return reactor_is_quiet(g->r) && list_empty(&g->done) && list_empty(&g->backlog) &&
	       list_empty(&g->cancels) && !g->own_head && mailbox_is_empty(&g->r->inbox) &&
	       io_uring_cq_ready(&g->uring) == 0 && !kernel_has_more(g);
}

static void enter_failed(struct ring *g, int err)
{
	static struct log_ratelimit limit = LOG_RATELIMIT_INIT;

	if (err == -EINTR || err == -ETIME)
		return;
	/* No memory, or completions to take first: what was not taken is still queued. */
	if (err != -EAGAIN && err != -EBUSY && log_ratelimit_ok(&limit))
		log_err("reactor %u: io_uring_enter: %s; trying again", g->r->id, strerror(-err));
	sched_yield();
}

static void ring_submit(struct ring *g)
{
	int res;

	STAT_INC(g->r->stats.enters);
	res = io_uring_submit(&g->uring);
	if (unlikely(res < 0))
		enter_failed(g, res);
}

static void event_stamp(struct ring *g, uint64_t now_ns)
{
	g->event_ns = now_ns;
	if (now_ns - READ_ONCE(last_event_ns) > STAMP_STEP_NS)
		WRITE_ONCE(last_event_ns, now_ns);
}

/* Nothing of ours is on its way and others have events since: the application runs on their CPU. */
static bool spin_is_vain(const struct ring *g)
{
	return g->inflight_nr == 0 && READ_ONCE(last_event_ns) > g->event_ns + g->spin_ns / 4;
}

/*
 * Look at the ring for a while before sleeping. True: something came.
 *
 * sched_yield() lets the application run that shares the CPU, and the kernel deliver completions.
 * A spin that hits makes the next full length, one that does not makes it shorter.
 */
static bool turn_spin(struct ring *g)
{
	uint64_t begin_ns = rt_now_fresh();
	uint64_t now_ns = begin_ns;
	bool is_hit = false;

	while (now_ns - g->event_ns < g->spin_ns && now_ns < timer_heap_next_ns(&g->r->timers) &&
	       !spin_is_vain(g)) {
		sched_yield();
		now_ns = rt_now_fresh();
		if (run_pollers(g->r) || !ring_is_quiet(g)) {
			is_hit = true;
			break;
		}
	}
	STAT_ADD(g->r->stats.spin_ns, now_ns - begin_ns);
	if (is_hit) {
		STAT_INC(g->r->stats.spin_hits);
		event_stamp(g, now_ns);
		g->spin_ns = g->spin_max_ns;
	} else if (now_ns != begin_ns) {
		g->spin_ns = max_t(uint64_t, g->spin_ns / 2, g->spin_max_ns / SPIN_SHRINK);
	}
	return is_hit;
}

/* The one place where a reactor sleeps. */
static void turn_sleep(struct ring *g)
{
	uint64_t next_ns = timer_heap_next_ns(&g->r->timers);
	uint64_t now_ns = rt_now_fresh();
	struct __kernel_timespec ts;
	struct io_uring_cqe *cqe;
	int res;

	if (!g->is_door_armed || next_ns <= now_ns || pollers_forbid_sleep(g->r) ||
	    !mailbox_sleep(&g->r->inbox))
		return;
	ts.tv_sec = (long long)((next_ns - now_ns) / 1000000000);
	ts.tv_nsec = (long long)((next_ns - now_ns) % 1000000000);
	STAT_INC(g->r->stats.sleeps);
	STAT_INC(g->r->stats.enters);
	res = io_uring_submit_and_wait_timeout(&g->uring, &cqe, 1,
					       next_ns == UINT64_MAX ? NULL : &ts, NULL);
	mailbox_awake(&g->r->inbox);
	if (unlikely(res < 0))
		enter_failed(g, res);
	/* It would have been worth a spin. */
	if (rt_now_fresh() - now_ns < g->spin_max_ns)
		g->spin_ns = g->spin_max_ns;
}

static void turn_wait(struct ring *g)
{
	if (unlikely(!g->is_door_armed))
		door_arm(g);
	if (!ring_is_quiet(g) || is_main_done()) {
		if (io_uring_sq_ready(&g->uring))
			ring_submit(g);
		return;
	}
	if (g->spin_max_ns > 0) {
		if (io_uring_sq_ready(&g->uring))
			ring_submit(g);
		if (turn_spin(g) || !ring_is_quiet(g))
			return;
	}
	turn_sleep(g);
}

/* ---- the story -------------------------------------------------------------------------------- */

static void turn(struct ring *g)
{
	struct reactor *r = g->r;
	bool is_event;

	STAT_INC(r->stats.turns);
	rt_now_fresh();
	is_event = take_completions(g);
	ring_io_run_backlog(g);
	is_event |= run_ready(g);
	rt_now_fresh();
	run_defers(&r->defers[RT_STAGE_ISSUE]);
	is_event |= run_pollers(r);
	if (is_event)
		event_stamp(g, rt_this_now_ns);
	turn_wait(g);
}

static bool is_over(struct ring *g)
{
	return is_main_done() && reactor_is_quiet(g->r) && list_empty(&g->done) && !g->own_head &&
	       mailbox_is_empty(&g->r->inbox);
}

static void reactor_loop(struct ring *g)
{
	struct fiber loop;

	fiber_adopt(&loop);
	reactor_bind(g->r, &loop);
	rt_now_fresh();
	while (!is_over(g))
		turn(g);
	reactor_bind(NULL, NULL);
}

/* ---- threads ---------------------------------------------------------------------------------- */

static void pin(const struct reactor *r)
{
	cpu_set_t set;

	if (rt_core.cfg.is_unpinned)
		return;
	CPU_ZERO(&set);
	CPU_SET(r->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		log_warn("reactor %u: cannot be pinned to CPU %u: %s; it runs anywhere", r->id,
			 r->cpu, strerror(errno));
}

static void *reactor_thread(void *arg)
{
	struct ring *g = arg;
	char name[16];

	snprintf(name, sizeof(name), "reactor/%u", g->r->id);
	pthread_setname_np(pthread_self(), name);
	pin(g->r);
	reactor_loop(g);
	return NULL;
}

/* Those that sleep when the main task returns are woken to see it. */
static void nothing(struct rt_msg *m)
{
}

static void reactors_join(unsigned int first, unsigned int started_nr)
{
	static struct rt_msg msgs[RT_REACTORS_MAX];

	for (unsigned int i = first; i < started_nr; i++) {
		msgs[i].fn = nothing;
		ring_post_foreign(rt_core.reactors[i], &msgs[i]);
	}
	for (unsigned int i = first; i < started_nr; i++)
		pthread_join(to_ring(rt_core.reactors[i])->thread, NULL);
}

/* Mail that came after a reactor's last look: run here, so that whoever sent it has it back. */
static void late_mail_run(void)
{
	for (unsigned int i = 0; i < rt_core.reactors_nr; i++) {
		struct reactor *r = rt_core.reactors[i];

		reactor_bind(r, NULL);
		run_msgs(r, mailbox_take(&r->inbox));
	}
	reactor_bind(NULL, NULL);
}

static int ring_run(void)
{
	cpu_set_t caller_set;
	unsigned int started_nr;
	int err = 0;

	for (started_nr = 1; started_nr < rt_core.reactors_nr; started_nr++) {
		struct ring *g = to_ring(rt_core.reactors[started_nr]);

		err = -pthread_create(&g->thread, NULL, reactor_thread, g);
		if (err) {
			log_err("reactor %u: cannot start its thread: %s; ask for fewer reactors",
				started_nr, strerror(-err));
			__atomic_store_n(&rt_core.is_main_done, 1, __ATOMIC_RELEASE);
			break;
		}
	}
	if (!err) {
		bool is_set_known = sched_getaffinity(0, sizeof(caller_set), &caller_set) == 0;

		pin(rt_core.reactors[0]);
		reactor_loop(to_ring(rt_core.reactors[0]));
		if (is_set_known)
			sched_setaffinity(0, sizeof(caller_set), &caller_set);
	}
	reactors_join(1, started_nr);
	late_mail_run();
	return err;
}

/* ---- life ------------------------------------------------------------------------------------- */

static void ring_destroy(struct ring *g)
{
	io_uring_queue_exit(&g->uring);
	close(g->door_fd);
	free(g);
}

static void ring_fini(void)
{
	offload_fini();
	for (unsigned int i = 0; i < rt_core.reactors_nr; i++)
		if (rt_core.reactors[i]->backend)
			ring_destroy(to_ring(rt_core.reactors[i]));
}

static int uring_setup(struct io_uring *uring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CLAMP,
		.cq_entries = rt_core.cfg.ring_entries * CQ_PER_SQ,
	};

	return io_uring_queue_init_params(rt_core.cfg.ring_entries, uring, &params);
}

static void setup_failed(int err)
{
	const char *advice =
		err == -EPERM || err == -EACCES
			? "allow it: sysctl kernel.io_uring_disabled=0, or the container's "
			  "seccomp profile"
		: err == -ENOMEM ? "raise the locked memory limit (ulimit -l)"
				 : "Linux 6.1 or newer with io_uring is needed";

	log_err("runtime: io_uring_setup of %u entries: %s; %s", rt_core.cfg.ring_entries,
		strerror(-err), advice);
}

static int ring_create(struct reactor *r)
{
	struct ring *g = calloc(1, sizeof(*g));
	int err = -ENOMEM;

	if (!g)
		return err;
	g->r = r;
	INIT_LIST_HEAD(&g->done);
	INIT_LIST_HEAD(&g->backlog);
	INIT_LIST_HEAD(&g->cancels);
	g->own_tail = &g->own_head;
	g->spin_max_ns = (uint64_t)rt_core.cfg.spin_us * 1000;
	g->spin_ns = g->spin_max_ns;
	g->door_fd = eventfd(0, EFD_CLOEXEC);
	if (g->door_fd < 0) {
		err = -errno;
		log_err("runtime: eventfd: %s; raise the limit of open files", strerror(errno));
		goto free_ring;
	}
	err = uring_setup(&g->uring);
	if (err) {
		setup_failed(err);
		goto close_door;
	}
	r->backend = g;
	return 0;

close_door:
	close(g->door_fd);
free_ring:
	free(g);
	return err;
}

/* Reactor i serves the i-th CPU of the affinity mask, round and round. */
static void cpus_assign(const cpu_set_t *set)
{
	unsigned int cpu = CPU_SETSIZE - 1;

	for (unsigned int i = 0; i < rt_core.reactors_nr; i++) {
		do {
			cpu = (cpu + 1) % CPU_SETSIZE;
		} while (!CPU_ISSET(cpu, set));
		rt_core.reactors[i]->cpu = cpu;
	}
}

static const struct rt_backend ring_backend = {
	.is_sim = false,
	.run = ring_run,
	.fini = ring_fini,
	.clock_ns = ring_clock_ns,
	.realtime_ns = ring_realtime_ns,
	.random_bytes = ring_random_bytes,
	.post = ring_post,
	.post_foreign = ring_post_foreign,
	.io_submit = ring_io_submit,
	.io_cancel = ring_io_cancel,
	.offload = offload_queue,
};

int rt_init(const struct rt_config *cfg)
{
	struct rt_config filled = *cfg;
	cpu_set_t set;
	int err;

	if (sched_getaffinity(0, sizeof(set), &set) != 0) {
		log_err("runtime: sched_getaffinity: %s", strerror(errno));
		return -EINVAL;
	}
	if (filled.reactors_nr == 0)
		filled.reactors_nr =
			min_t(unsigned int, (unsigned int)CPU_COUNT(&set), RT_REACTORS_MAX);
	err = rt_core_init(&ring_backend, &filled);
	if (err)
		return err;
	cpus_assign(&set);
	for (unsigned int i = 0; i < rt_core.reactors_nr && !err; i++)
		err = ring_create(rt_core.reactors[i]);
	if (!err)
		err = offload_init(rt_core.cfg.offload_nr);
	if (err)
		rt_fini();
	return err;
}
