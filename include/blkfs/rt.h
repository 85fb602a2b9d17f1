/* SPDX-License-Identifier: MIT */
/*
 * rt.h - the runtime: reactors, tasks, time, order and I/O.
 *
 * Two back ends stand behind this face: the ring (one pinned thread and one io_uring a reactor)
 * and the simulator (one thread, virtual time, every choice drawn from a seed). A room that takes
 * time, randomness and order from here only runs unchanged in both.
 *
 * Defaults of this header. Contexts: "task" is code running in a task of a reactor, and may sleep;
 * "handler" is a completion, timer, message, defer or poller callback on a reactor, without a
 * task: it may not sleep; "thread" is a foreign thread. Where nothing is said, a function is for
 * tasks and handlers, does not sleep and cannot fail. All times are nanoseconds.
 */
#ifndef BLKFS_RT_H
#define BLKFS_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/list.h"

struct attr_dir;
struct bio_list;
struct blk_plug;
struct reactor;
struct rt_lock_class;

/* ---- life of the runtime: one a process ------------------------------------------------- */

enum { RT_REACTORS_MAX = 64 };

struct rt_config {
	unsigned int reactors_nr;  /* 0: one for each CPU of the affinity mask */
	unsigned int ring_entries; /* submission entries of each ring; 0: 1024 */
	unsigned int spin_us;	   /* longest spin before a reactor sleeps; 0: never spin */
	unsigned int offload_nr;   /* threads for what blocks; 0: 2 */
	unsigned int tasks_max;	   /* tasks of one reactor; 0: 4096 */
	size_t task_stack_bytes;   /* without the guard page; 0: 64 KiB */
	bool is_unpinned;	   /* leave the threads where the scheduler puts them */
};

struct rt_sim_config {
	uint64_t seed;
	unsigned int reactors_nr; /* 0: 1 */
	uint64_t steps_max;	/* end the run with -ETIME after so many choices; 0: 100 million */
	uint64_t io_latency_ns; /* mean latency of an rt_io; 0: 100 us */
	size_t task_stack_bytes;
};

/*
 * rt_init / rt_init_sim - make the runtime ready; rt_fini undoes it.
 *
 * Context: thread (the one that will call rt_run).
 * Fails:   -EINVAL, -ENOMEM, -ENOSYS (no io_uring), -EPERM (io_uring forbidden), -EBUSY (exists);
 *          a line in the log says what to do.
 */
int __must_check rt_init(const struct rt_config *cfg);
int __must_check rt_init_sim(const struct rt_sim_config *cfg);
void rt_fini(void);

/*
 * rt_run - run @main_fn as the first task, on reactor 0, until it returns.
 *
 * The caller's thread becomes reactor 0; the others are started and joined here. When @main_fn has
 * returned, every other task must have ended: a task that is left is our bug and is dumped.
 * Returns @main_fn's value; the simulator -EDEADLK when nothing can ever run again (all tasks are
 * dumped to the log), -ETIME past steps_max.
 */
int __must_check rt_run(int (*main_fn)(void *arg), void *arg);

bool rt_is_sim(void);

/* A digest of every choice and event since rt_run began: equal for equal seeds of one binary. */
uint64_t rt_sim_digest(void);

/* Adds @value to the digest and, where BLKFS_SIM_TRACE is set in the environment, a line to it. */
void rt_sim_note(const char *what, uint64_t value);

/*
 * A point where the simulator may let another reactor run. Code that is correct only because of an
 * atomic operation calls it before that operation; what is in this header does so by itself. Any
 * context of a reactor; tasks of the same reactor do not run meanwhile. One predictable branch in
 * the ring back end.
 */
extern bool rt_sim_is_running;
void rt_sim_switch(void);

static inline void rt_sim_point(void)
{
	if (unlikely(rt_sim_is_running))
		rt_sim_switch();
}

/* ---- reactors ----------------------------------------------------------------------------- */

extern __thread unsigned int rt_this_reactor; /* RT_NO_REACTOR on a foreign thread */
extern __thread uint64_t rt_this_now_ns;
extern __thread struct task *rt_this_task;

#define RT_NO_REACTOR (~0u)

static inline unsigned int rt_reactor_id(void)
{
	return rt_this_reactor;
}

unsigned int rt_reactor_nr(void);
/* The reactor nearest to a CPU: its own, or one that serves it (@cpu may be any possible CPU). */
unsigned int rt_reactor_of_cpu(unsigned int cpu);
/* The CPU a reactor is pinned to. */
unsigned int rt_reactor_cpu(unsigned int reactor);

/* Publishes reactor/N/{turns,enters,sleeps,...} under @root, until rt_fini. */
int __must_check rt_publish(struct attr_dir *root);

/* ---- time and randomness ------------------------------------------------------------------ */

uint64_t rt_now_thread(void); /* the slow half of rt_now() */

/* Monotonic; read once at each stage of a turn, so that a stamp costs a load. Any context; a
 * thread gets the clock itself. */
static inline uint64_t rt_now(void)
{
	return likely(rt_this_reactor != RT_NO_REACTOR) ? rt_this_now_ns : rt_now_thread();
}

/* Reads the clock anew (20-30 ns) and refreshes what rt_now() answers. */
uint64_t rt_now_fresh(void);

/* Wall clock, ns since 1970, for time stamps on disk and in logs. Any context. */
uint64_t rt_realtime(void);

/* From the kernel's generator, or the seed. */
uint64_t rt_random(void);
void rt_random_bytes(void *buf, size_t len_bytes);

/* ---- tasks -------------------------------------------------------------------------------- */

/* Who an I/O is done for: what priority and accounting go by. */
struct rt_ioctx {
	pid_t pid;	 /* thread id of the caller; 0: unknown or our own work */
	uint16_t ioprio; /* IOPRIO_PRIO_VALUE; 0: none */
};

enum { RT_LOCKS_HELD_MAX = 8 }; /* by one task; what is above goes unchecked */

/*
 * struct task - a stackful coroutine. It stays on its reactor for life.
 *
 * The first fields belong to the rooms that they name; what follows is blk/rt's.
 */
struct task {
	struct blk_plug *plug;	   /* blk/: what the task gathered, NULL when not plugged */
	struct bio_list *bio_list; /* blk/: bios submitted below a stacked submit_bio */
	struct rt_ioctx ioc;	   /* the front that started the task */
	const char *name;
	struct list_head rt_node; /* blk/rt: ready list, idle pool */
	unsigned int reactor;
	unsigned int rt_state;	 /* blk/rt, [atomic] */
	void *rt_wait;		 /* blk/rt: what it sleeps on, for dumps */
	unsigned int locks_held; /* debug builds and simulator: the lock order check */
	const struct rt_lock_class *locks[RT_LOCKS_HELD_MAX];
	unsigned int locks_nr[RT_LOCKS_HELD_MAX]; /* of that class; more than 1: LOCK_ORDERED */
};

static inline struct task *rt_current(void)
{
	return rt_this_task;
}

/*
 * rt_spawn / rt_spawn_on - start a task running @fn(@arg), here or on another reactor.
 *
 * It runs in a later step, never inside the call. @name is a string constant.
 * Fails:   -EAGAIN when tasks_max run already; -ENOMEM. rt_spawn_on reports only what the calling
 *          reactor can see and otherwise waits there for a free task.
 */
int __must_check rt_spawn(void (*fn)(void *arg), void *arg, const char *name);
int __must_check rt_spawn_on(unsigned int reactor, void (*fn)(void *arg), void *arg,
			     const char *name);

/* Let others run; back in a later step of this reactor. Context: task. */
void rt_yield(void);

/* Context: task. */
void rt_sleep_ns(uint64_t ns);

/*
 * rt_park - sleep until rt_wake(); a wake that came first is remembered (one of them).
 * Callers loop over their condition. @on says what is waited for in dumps.
 *
 * rt_wake - make a parked task ready. Any reactor (not threads: rt_post_foreign).
 */
void rt_park(const char *on);
void rt_wake(struct task *task);

/*
 * Called each time a task that has a plug is about to sleep, in that task, so that what it
 * gathered goes to the turn list and nothing sleeps on an unissued plug. Set once, by blk/.
 */
void rt_set_plug_hook(void (*fn)(struct task *task));

/* Logs every task: name, state, what it waits for and since when. Any context. */
void rt_tasks_dump(void);

/* ---- locks and waiting: between tasks of any reactors; first come first served -------------- */
/* None of them ever spins on another reactor. Locks have a class with a rank; in debug builds and
 * in the simulator taking a lower or equal rank under a higher one is reported with both names. */

struct rt_lock_class {
	const char *name;
	unsigned int rank; /* from lock_order.h, LOCK_ORDERED or not */
};

/* How often the lock order was violated since rt_init; each time is in the log too. */
unsigned int rt_lock_violations(void);

struct rt_waiter; /* on the sleeper's stack */

/* What all of them are made of: see blk/rt/serial.h. */
struct rt_serial {
	uint64_t state;		    /* [atomic] */
	struct rt_waiter *arrivals; /* [atomic] newest first */
	struct list_head queue;	    /* [server] oldest first */
	uint64_t tickets;	    /* [server] given out */
};

/* A lock may be freed by whoever holds it last: an unlock does not touch it once it is free. */
struct rt_mutex {
	struct rt_serial serial;
	struct task *owner; /* [atomic] */
	const struct rt_lock_class *class;
};

void rt_mutex_init(struct rt_mutex *m, const struct rt_lock_class *class);
void rt_mutex_lock(struct rt_mutex *m);
bool __must_check rt_mutex_trylock(struct rt_mutex *m);
void rt_mutex_unlock(struct rt_mutex *m); /* by the task that locked it */

/* A reader that comes after a waiting writer waits behind it: no recursive reading. */
struct rt_rwsem {
	struct rt_serial serial;
	const struct rt_lock_class *class;
};

void rt_rwsem_init(struct rt_rwsem *s, const struct rt_lock_class *class);
void rt_rwsem_down_read(struct rt_rwsem *s);
void rt_rwsem_up_read(struct rt_rwsem *s); /* ups by the task that went down */
void rt_rwsem_down_write(struct rt_rwsem *s);
void rt_rwsem_up_write(struct rt_rwsem *s);
bool __must_check rt_rwsem_try_down_read(struct rt_rwsem *s);
bool __must_check rt_rwsem_try_down_write(struct rt_rwsem *s);

/*
 * Done once or counted: each complete() lets one waiter through, complete_all() all for ever.
 *
 * It may live on the stack of the one task that waits: complete() does not touch it once the
 * waiter can return. Where several wait, it may go when all of them have returned.
 */
struct completion {
	struct rt_serial serial;
};

void completion_init(struct completion *c);
void completion_wait(struct completion *c);
/* 0, or -ETIMEDOUT when @deadline_ns came first. */
int __must_check completion_wait_until(struct completion *c, uint64_t deadline_ns);
void complete(struct completion *c);	 /* task or handler */
void complete_all(struct completion *c); /* task or handler */

/*
 * Wait for a condition. The condition is evaluated by the sleeper after it is queued, so a change
 * made before rt_waitqueue_wake_*() is never missed; use rt_wait_event(). A sleeper whose condition
 * turns out false again keeps its place. Unlike a completion it must outlive its wakers, who look
 * at it after they have changed the condition.
 */
struct rt_waitqueue {
	struct rt_serial serial;
};

void rt_waitqueue_init(struct rt_waitqueue *wq);
/* Sleep until @cond(@arg) is true; it is called with no lock held and may take what it tests for. */
void rt_wait_event(struct rt_waitqueue *wq, bool (*cond)(void *arg), void *arg, const char *on);
void rt_waitqueue_wake_one(struct rt_waitqueue *wq); /* the oldest; task or handler */
void rt_waitqueue_wake_all(struct rt_waitqueue *wq);
/* Does anybody wait? For wakers that have changed the condition: orders that before the look. */
static inline bool rt_waitqueue_active(struct rt_waitqueue *wq)
{
	rt_sim_point();
	smp_mb();
	return __atomic_load_n(&wq->serial.state, __ATOMIC_RELAXED) != 0;
}

/* ---- work outside the caller's stack -------------------------------------------------------- */

/*
 * A defer runs once on this reactor without a task, in the ready stage or in the issue stage of
 * the turn. Queued twice before it runs, it runs once. It may be queued again from its own fn.
 */
enum rt_stage { RT_STAGE_READY, RT_STAGE_ISSUE };

struct rt_defer {
	struct list_head node; /* self-linked when not queued */
	void (*fn)(struct rt_defer *d);
};

void rt_defer_init(struct rt_defer *d, void (*fn)(struct rt_defer *d));
void rt_defer_queue(struct rt_defer *d, enum rt_stage stage);
bool rt_defer_cancel(struct rt_defer *d); /* true: it was queued and will not run */

/* Work runs once on this reactor in a pooled task: it may sleep and submit bios. */
struct rt_work {
	struct list_head node;
	void (*fn)(struct rt_work *w);
};

void rt_work_init(struct rt_work *w, void (*fn)(struct rt_work *w));
void rt_work_queue(struct rt_work *w);

/* A poller is looked at every turn, while spinning too. It returns whether it did anything. */
struct rt_poller {
	struct list_head node;
	bool (*poll)(struct rt_poller *p);
	/* Optional. Called before the reactor sleeps in the ring: true forbids it (there is work
	 * that no completion will announce). */
	bool (*must_not_sleep)(struct rt_poller *p);
};

void rt_poller_add(struct rt_poller *p); /* on the calling reactor */
void rt_poller_del(struct rt_poller *p);

/* ---- timers ------------------------------------------------------------------------------- */

/* Belongs to the reactor that armed it; fn is a handler there. The caller owns the memory. */
struct rt_timer {
	void (*fn)(struct rt_timer *t);
	uint64_t expires_ns;
	unsigned int heap_idx; /* 0: not armed */
	unsigned int reactor;
};

void rt_timer_init(struct rt_timer *t, void (*fn)(struct rt_timer *t));
/* Arms, or moves an armed timer. */
void rt_timer_arm(struct rt_timer *t, uint64_t expires_ns);
/* On the arming reactor. true: it was armed and will not fire. */
bool rt_timer_cancel(struct rt_timer *t);
static inline bool rt_timer_is_armed(const struct rt_timer *t)
{
	return t->heap_idx != 0;
}

/* ---- between reactors, and from foreign threads --------------------------------------------- */

/*
 * A message: fn runs as a handler on the target. The sender owns the memory again when fn runs.
 * Messages of one sender to one target keep their order. To the own reactor it runs in the next
 * ready stage.
 */
struct rt_msg {
	struct rt_msg *next;
	void (*fn)(struct rt_msg *m);
};

void rt_post(unsigned int reactor, struct rt_msg *m);
void rt_post_foreign(unsigned int reactor, struct rt_msg *m); /* context: thread */

/*
 * rt_call_on - run @fn(@arg) as a handler on @reactor and wait for it.
 *
 * For what is owned by one reactor and asked for elsewhere (control files).
 * Context: task (sleeps) or thread (blocks, 2 s at most).
 * Fails:   -ETIMEDOUT from a thread when the reactor does not answer: @fn will then not run.
 */
int __must_check rt_call_on(unsigned int reactor, void (*fn)(void *arg), void *arg);

/*
 * rt_offload - run @fn(@arg), which may block, in a thread of the small pool; sleep meanwhile.
 * The simulator runs it in place and lets virtual time pass. Returns @fn's value.
 */
int rt_offload(int (*fn)(void *arg), void *arg);

/* The same for handlers: done runs as a handler on the reactor that started it. */
struct rt_offload {
	struct rt_msg msg;
	int (*fn)(struct rt_offload *o);    /* context: thread */
	void (*done)(struct rt_offload *o); /* result in o->res */
	int res;
	unsigned int reactor;
	struct list_head node;
};

void rt_offload_start(struct rt_offload *o);

/* ---- I/O on the reactor's ring -------------------------------------------------------------- */

enum rt_io_op {
	RT_IO_READ,  /* preadv2 */
	RT_IO_WRITE, /* pwritev2 */
	RT_IO_FSYNC, /* fdatasync with RT_IO_DATASYNC */
	RT_IO_FALLOCATE,
	RT_IO_POLL,	 /* one shot: completes when fd has poll_events */
	RT_IO_URING_CMD, /* IORING_OP_URING_CMD, 80 byte command area */
};

enum rt_io_flags {
	RT_IO_INLINE =
		1 << 0, /* READ/WRITE: call it in place (memory speed); done still comes later */
	RT_IO_DATASYNC = 1 << 1,
	RT_IO_NOWAIT_FIRST = 1 << 2, /* try in place with RWF_NOWAIT, then the ring */
};

/*
 * One operation. The caller owns the memory, which stays untouched until done; all pointers too.
 * done is a handler on the submitting reactor, never called inside rt_io_submit(). res is what
 * the system call returns: >= 0 or negative errno.
 */
struct rt_io {
	uint8_t op;
	uint8_t flags;
	int fd;
	uint64_t off;
	union {
		struct {
			const struct iovec *iov;
			uint32_t iov_nr;
			uint32_t rw_flags; /* RWF_* */
		};
		struct {
			int falloc_mode;
			uint64_t falloc_len;
		};
		uint32_t poll_events;
		struct {
			uint32_t cmd_op;
			uint32_t cmd_len;  /* sqe->len */
			uint64_t cmd_addr; /* sqe->addr */
			uint8_t cmd[80];
		};
	};
	void (*done)(struct rt_io *io);
	int32_t res;
	uint64_t big_cqe[2];
	struct list_head rt_node; /* blk/rt */
	struct task *rt_waiter;	  /* blk/rt: who is in rt_io_wait() */
};

/* Goes to the kernel with the turn's one io_uring_enter. */
void rt_io_submit(struct rt_io *io);
/* Submit and sleep; returns res. Context: task. io->done is not used. */
int rt_io_wait(struct rt_io *io);
/* Asks for cancellation; done still comes, with -ECANCELED or the real result. */
void rt_io_cancel(struct rt_io *io);

/*
 * Memory that devices read and write: page aligned, huge pages advised, not inherited by fork
 * (a fork while O_DIRECT is in flight would split pages), resident only when touched.
 * Any context. NULL: no memory.
 */
void *rt_dma_alloc(size_t len_bytes);
void rt_dma_free(void *p, size_t len_bytes);

#endif
