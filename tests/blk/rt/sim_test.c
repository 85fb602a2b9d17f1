/* SPDX-License-Identifier: MIT */
/* The simulator itself: replay, variety, legal orders, deadlocks, time, and that it finds bugs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/lib/sim.h"
#include "tests/lib/test.h"

#include "base/log.h"
#include "blkfs/lock_order.h"

#include "crew.h"

enum { SEEDS_NR = 500, CREW_NR = 4 };

static const struct rt_lock_class leaf = { "leaf", LOCK_RANK_LEAF };

/* ---- replay -------------------------------------------------------------------------------------- */

struct mixture {
	struct rt_mutex mutex;
	uint64_t sum;
	uint64_t digest;
};

static int pass_time(void *arg)
{
	return (int)(rt_now() % 7);
}

static void mixture_worker(struct crew *crew, unsigned int nth)
{
	struct mixture *m = crew->arg;

	for (unsigned int i = 0; i < 3; i++) {
		rt_mutex_lock(&m->mutex);
		m->sum = m->sum * 31 + nth;
		rt_mutex_unlock(&m->mutex);
		rt_sleep_ns(rt_random() % 5000);
		m->sum += (uint64_t)rt_offload(pass_time, NULL);
		rt_sim_note("sum", m->sum);
	}
}

static int mixture_main(void *arg)
{
	struct mixture *m = arg;
	struct crew crew = { .fn = mixture_worker, .arg = m };
	int err;

	m->sum = 1;
	rt_mutex_init(&m->mutex, &leaf);
	err = crew_work(&crew, CREW_NR);
	m->digest = rt_sim_digest();
	return err;
}

Test(sim, a_seed_replays_to_the_same_digest_and_outcome)
{
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct mixture first, second;

		cr_assert_eq(sim_run(seed, 3, mixture_main, &first), 0);
		cr_assert_eq(sim_run(seed, 3, mixture_main, &second), 0);
		cr_assert_eq(first.digest, second.digest);
		cr_assert_eq(first.sum, second.sum);
	}
}

/* The whole trace of @seed; the caller frees it. */
static char *trace_of(uint64_t seed)
{
	char path[] = "/tmp/blkfs-sim-trace-XXXXXX";
	struct mixture m;
	int fd = mkstemp(path);
	off_t len_bytes;
	char *text;

	cr_assert_geq(fd, 0);
	cr_assert_eq(setenv("BLKFS_SIM_TRACE", path, 1), 0);
	cr_assert_eq(sim_run(seed, 2, mixture_main, &m), 0);
	unsetenv("BLKFS_SIM_TRACE");
	len_bytes = lseek(fd, 0, SEEK_END);
	cr_assert_gt(len_bytes, 0);
	text = calloc(1, (size_t)len_bytes + 1);
	cr_assert(text != NULL);
	cr_assert_eq(pread(fd, text, (size_t)len_bytes, 0), len_bytes);
	close(fd);
	unlink(path);
	return text;
}

Test(sim, a_seed_replays_to_the_same_trace)
{
	char *first = trace_of(4711);
	char *second = trace_of(4711);

	cr_assert_str_eq(first, second);
	cr_assert(strstr(first, " note sum "), "notes are in the trace");
	free(first);
	free(second);
}

Test(sim, seeds_differ_in_order)
{
	struct mixture first, m;
	unsigned int different_nr = 0;

	cr_assert_eq(sim_run(0, 2, mixture_main, &first), 0);
	for (uint64_t seed = 1; seed <= 50; seed++) {
		cr_assert_eq(sim_run(seed, 2, mixture_main, &m), 0);
		cr_assert_neq(m.digest, first.digest);
		different_nr += m.sum != first.sum;
	}
	cr_assert_gt(different_nr, 25);
}

/* ---- ends ---------------------------------------------------------------------------------------- */

static int wait_for_ever(void *arg)
{
	struct completion never;

	completion_init(&never);
	completion_wait(&never);
	return 0;
}

Test(sim, a_deadlock_ends_the_run)
{
	cr_assert_eq(sim_run(1, 2, wait_for_ever, NULL), -EDEADLK);
}

static void wait_task(void *arg)
{
	(void)wait_for_ever(arg);
}

static int leave_a_task(void *arg)
{
	return rt_spawn(wait_task, NULL, "forgotten");
}

Test(sim, a_task_that_is_left_over_is_a_deadlock)
{
	cr_assert_eq(sim_run(1, 2, leave_a_task, NULL), -EDEADLK);
}

static int yield_for_ever(void *arg)
{
	while (!arg)
		rt_yield();
	return 0;
}

Test(sim, steps_max_ends_the_run)
{
	const struct rt_sim_config cfg = { .seed = 1, .reactors_nr = 2, .steps_max = 10000 };

	cr_assert_eq(sim_run_cfg(&cfg, yield_for_ever, NULL), -ETIME);
	cr_assert_eq(sim_run(1, 1, wait_for_ever, NULL), -EDEADLK, "and the next run is sane");
}

static int return_arg(void *arg)
{
	return *(int *)arg;
}

Test(sim, the_result_is_that_of_the_main_task)
{
	cr_assert_eq(sim_run(1, 1, return_arg, &(int){ 42 }), 42);
}

static int expect_wrong(void *arg)
{
	sim_expect(arg != NULL);
	return 0;
}

Test(sim, an_expectation_that_fails_fails_the_run)
{
	cr_assert_eq(sim_run(1, 1, expect_wrong, NULL), -EILSEQ);
}

/* ---- it finds bugs ------------------------------------------------------------------------------- */

/* A sleeper that looks, then announces itself: the wake between the two is lost. */
struct careless {
	bool is_ready;	      /* [atomic] */
	struct task *sleeper; /* [atomic] */
};

static void careless_worker(struct crew *crew, unsigned int nth)
{
	struct careless *c = crew->arg;

	rt_sim_point();
	if (nth == 1) {
		struct task *sleeper;

		__atomic_store_n(&c->is_ready, true, __ATOMIC_SEQ_CST);
		rt_sim_point();
		sleeper = __atomic_load_n(&c->sleeper, __ATOMIC_SEQ_CST);
		if (sleeper)
			rt_wake(sleeper);
	} else if (!__atomic_load_n(&c->is_ready, __ATOMIC_SEQ_CST)) {
		rt_sim_point();
		__atomic_store_n(&c->sleeper, rt_current(), __ATOMIC_SEQ_CST);
		rt_park("careless");
	}
}

static int careless_main(void *arg)
{
	struct careless c = { .is_ready = false };
	struct crew crew = { .fn = careless_worker, .arg = &c };

	return crew_work(&crew, 2);
}

static void drop_line(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
}

/* How many of the seeds end in @err. */
static unsigned int seeds_that_end_in(int err, unsigned int reactors_nr, sim_fn fn)
{
	unsigned int found_nr = 0;

	log_set_sink(drop_line, NULL);
	for (uint64_t seed = 0; seed < SEEDS_NR; seed++) {
		int res = sim_run(seed, reactors_nr, fn, NULL);

		cr_assert(res == err || res == 0, "seed %d: %d", (int)seed, res);
		found_nr += res == err;
	}
	log_set_sink(NULL, NULL);
	return found_nr;
}

Test(sim, finds_a_lost_wake_up)
{
	unsigned int found_nr = seeds_that_end_in(-EDEADLK, 2, careless_main);

	cr_log_info("found by %u of %d seeds", found_nr, SEEDS_NR);
	cr_assert_gt(found_nr, SEEDS_NR / 100);
	cr_assert_lt(found_nr, SEEDS_NR);
}

static void unguarded_worker(struct crew *crew, unsigned int nth)
{
	unsigned int *count = crew->arg;
	unsigned int seen = READ_ONCE(*count);

	rt_sim_point();
	WRITE_ONCE(*count, seen + 1);
}

static int unguarded_main(void *arg)
{
	unsigned int count = 0;
	struct crew crew = { .fn = unguarded_worker, .arg = &count };
	int err = crew_work(&crew, CREW_NR);

	sim_expect(count == CREW_NR);
	return err;
}

Test(sim, finds_an_update_lost_between_reactors)
{
	cr_assert_gt(seeds_that_end_in(-EILSEQ, 2, unguarded_main), SEEDS_NR / 100);
}

Test(sim, tasks_of_one_reactor_do_not_preempt_one_another)
{
	cr_assert_eq(seeds_that_end_in(-EILSEQ, 1, unguarded_main), 0);
}

/* ---- legal orders -------------------------------------------------------------------------------- */

enum { MSGS_NR = 8 };

struct letter {
	struct rt_msg msg;
	struct post *post;
	unsigned int sender;
	unsigned int nth;
};

struct post {
	struct letter letters[2][MSGS_NR];
	unsigned int next[2];
	unsigned int arrived_nr;
	bool is_mixed; /* a letter of one sender came between two of the other */
	unsigned int last_sender;
	struct task *boss;
};

static bool was_mixed;

static void letter_arrived(struct rt_msg *m)
{
	struct letter *l = container_of(m, struct letter, msg);
	struct post *post = l->post;

	sim_expect(rt_current() == NULL && rt_reactor_id() == 0);
	sim_expect(post->next[l->sender]++ == l->nth);
	if (post->arrived_nr > 0 && post->last_sender != l->sender && l->nth > 0)
		post->is_mixed = true;
	post->last_sender = l->sender;
	if (++post->arrived_nr == 2 * MSGS_NR)
		rt_wake(post->boss);
}

static void letters_post(void *arg)
{
	struct post *post = arg;
	unsigned int sender = rt_reactor_id();

	for (unsigned int i = 0; i < MSGS_NR; i++) {
		post->letters[sender][i] = (struct letter){
			.msg.fn = letter_arrived,
			.post = post,
			.sender = sender,
			.nth = i,
		};
		rt_post(0, &post->letters[sender][i].msg);
	}
}

static int letters_main(void *arg)
{
	struct post post = { .boss = rt_current() };

	for (unsigned int i = 0; i < 2; i++) {
		int err = rt_spawn_on(i, letters_post, &post, "sender");

		if (err)
			return err;
	}
	while (post.arrived_nr < 2 * MSGS_NR)
		rt_park("letters");
	was_mixed |= post.is_mixed;
	return 0;
}

Test(sim, messages_of_one_sender_keep_their_order)
{
	was_mixed = false;
	sim_seeds(0, SEEDS_NR, 2, letters_main, NULL);
	cr_assert(was_mixed, "those of two senders mix");
}

static int sleep_main(void *arg)
{
	uint64_t begin_ns = rt_now_fresh();

	rt_sleep_ns(3600ull * 1000000000);
	sim_expect(rt_now_fresh() >= begin_ns + 3600ull * 1000000000);
	return 0;
}

Test(sim, an_hour_passes_in_no_time)
{
	sim_seeds(0, SEEDS_NR, 2, sleep_main, NULL);
}

/* ---- I/O ----------------------------------------------------------------------------------------- */

enum { IOS_NR = 4, IO_BYTES = 512 };

struct ios {
	int fd;
	char buf[IOS_NR][IO_BYTES];
	struct iovec iov[IOS_NR];
	struct rt_io io[IOS_NR];
	struct completion done;
	unsigned int order; /* the numbers of those done, as digits */
};

static struct ios ios;

static void ios_done(struct rt_io *io)
{
	ios.order = ios.order * 10 + (unsigned int)(io - ios.io);
	complete(&ios.done);
}

static void ios_submit(uint8_t op, uint8_t flags)
{
	completion_init(&ios.done);
	ios.order = 0;
	for (unsigned int i = 0; i < IOS_NR; i++) {
		ios.iov[i] = (struct iovec){ ios.buf[i], IO_BYTES };
		ios.io[i] = (struct rt_io){
			.op = op,
			.flags = flags,
			.fd = ios.fd,
			.off = (uint64_t)i * IO_BYTES,
			.iov = &ios.iov[i],
			.iov_nr = 1,
			.done = ios_done,
		};
		rt_io_submit(&ios.io[i]);
	}
	sim_expect(ios.order == 0);
	for (unsigned int i = 0; i < IOS_NR; i++)
		completion_wait(&ios.done);
}

static int ios_main(void *arg)
{
	struct rt_io sync = { .op = RT_IO_FSYNC, .fd = ios.fd, .flags = RT_IO_DATASYNC };
	unsigned int *orders = arg;

	for (unsigned int i = 0; i < IOS_NR; i++)
		memset(ios.buf[i], (int)('a' + i), IO_BYTES);
	ios_submit(RT_IO_WRITE, 0);
	*orders = ios.order;
	sim_expect(rt_io_wait(&sync) == 0);
	memset(ios.buf, 0, sizeof(ios.buf));
	ios_submit(RT_IO_READ, RT_IO_INLINE);
	for (unsigned int i = 0; i < IOS_NR; i++) {
		sim_expect(ios.io[i].res == IO_BYTES);
		sim_expect(ios.buf[i][0] == (char)('a' + i));
	}
	return 0;
}

static int scratch_file(void)
{
	char path[] = "/tmp/blkfs-sim-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	unlink(path);
	return fd;
}

Test(sim, writes_and_reads_a_file_in_any_order_of_completion)
{
	bool seen[4000] = { false };
	unsigned int orders_nr = 0;

	ios.fd = scratch_file();
	for (uint64_t seed = 0; seed < 200; seed++) {
		unsigned int order = 0;

		cr_assert_eq(sim_run(seed, 1, ios_main, &order), 0);
		cr_assert_lt(order, ARRAY_SIZE(seen));
		orders_nr += !seen[order];
		seen[order] = true;
	}
	close(ios.fd);
	cr_assert_gt(orders_nr, 12, "of the 24 orders that there are");
}

static int io_errors_main(void *arg)
{
	struct rt_io poll = { .op = RT_IO_POLL, .fd = 0 };
	struct rt_io cmd = { .op = RT_IO_URING_CMD, .fd = 0 };
	struct rt_io bad = { .op = RT_IO_FSYNC, .fd = -1 };
	struct rt_io full = { .op = RT_IO_FALLOCATE, .fd = -1, .falloc_len = 1 };

	sim_expect(rt_io_wait(&poll) == -EOPNOTSUPP);
	sim_expect(rt_io_wait(&cmd) == -EOPNOTSUPP);
	sim_expect(rt_io_wait(&bad) == -EBADF);
	sim_expect(rt_io_wait(&full) == -EBADF);
	return 0;
}

Test(sim, io_reports_what_the_system_says)
{
	sim_seeds(0, 20, 1, io_errors_main, NULL);
}

static bool was_cancelled, was_too_late;

static int cancel_main(void *arg)
{
	struct rt_io io = { .op = RT_IO_FSYNC, .fd = ios.fd, .done = ios_done };

	completion_init(&ios.done);
	rt_io_submit(&io);
	rt_io_cancel(&io);
	completion_wait(&ios.done);
	sim_expect(io.res == -ECANCELED || io.res == 0);
	was_cancelled |= io.res == -ECANCELED;
	was_too_late |= io.res == 0;
	return 0;
}

Test(sim, a_cancelled_io_is_done_once_with_either_result)
{
	was_cancelled = was_too_late = false;
	ios.fd = scratch_file();
	sim_seeds(0, 1000, 1, cancel_main, NULL);
	close(ios.fd);
	cr_assert(was_cancelled && was_too_late);
}

/* ---- the rest of rt.h ---------------------------------------------------------------------------- */

static void note_reactor(void *arg)
{
	*(unsigned int *)arg = rt_reactor_id();
	sim_expect(rt_current() == NULL);
}

static int no_reactor(void *arg)
{
	sim_expect(rt_reactor_id() == RT_NO_REACTOR && rt_current() == NULL);
	return *(int *)arg;
}

static int calls_main(void *arg)
{
	unsigned int reactor = RT_NO_REACTOR;

	sim_expect(rt_call_on(1, note_reactor, &reactor) == 0);
	sim_expect(reactor == 1);
	sim_expect(rt_offload(no_reactor, &(int){ 7 }) == 7);
	sim_expect(rt_reactor_id() == 0 && rt_is_sim());
	return 0;
}

Test(sim, calls_and_offloads_run_where_they_belong)
{
	sim_seeds(0, SEEDS_NR, 2, calls_main, NULL);
}

/* A device that only its poller sees: ready at a time of its own. */
struct device {
	struct rt_poller poller;
	uint64_t ready_ns;
	struct completion done;
	bool has_work;
};

static bool device_poll(struct rt_poller *p)
{
	struct device *d = container_of(p, struct device, poller);

	if (!d->has_work || rt_now_fresh() < d->ready_ns)
		return false;
	d->has_work = false;
	complete(&d->done);
	return true;
}

static bool device_must_not_sleep(struct rt_poller *p)
{
	return container_of(p, struct device, poller)->has_work;
}

static int device_main(void *arg)
{
	struct device d = {
		.poller = { .poll = device_poll, .must_not_sleep = device_must_not_sleep },
		.has_work = true,
		.ready_ns = rt_now_fresh() + 10 * 1000 * 1000,
	};

	completion_init(&d.done);
	rt_poller_add(&d.poller);
	completion_wait(&d.done);
	sim_expect(rt_now_fresh() >= d.ready_ns);
	sim_expect(rt_now_fresh() < d.ready_ns + 5 * 1000 * 1000);
	rt_poller_del(&d.poller);
	return 0;
}

Test(sim, pollers_move_time_while_they_have_work)
{
	sim_seeds(0, SEEDS_NR, 2, device_main, NULL);
}

static int idle_device_main(void *arg)
{
	struct device d = {
		.poller = { .poll = device_poll, .must_not_sleep = device_must_not_sleep },
	};

	completion_init(&d.done);
	rt_poller_add(&d.poller);
	completion_wait(&d.done);
	return 0;
}

Test(sim, a_poller_without_work_does_not_hide_a_deadlock)
{
	cr_assert_eq(sim_run(1, 2, idle_device_main, NULL), -EDEADLK);
}

/* ---- lock order ---------------------------------------------------------------------------------- */

static const struct rt_lock_class queue = { "queue", LOCK_RANK_QUEUE };
static char last_error[LOG_LINE_MAX];

static void keep_error(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
	if (level == LOG_LEVEL_ERR)
		snprintf(last_error, sizeof(last_error), "%s", line);
}

static int wrong_order_main(void *arg)
{
	struct rt_mutex upper, lower;

	rt_mutex_init(&upper, &leaf);
	rt_mutex_init(&lower, &queue);
	rt_mutex_lock(&lower);
	rt_mutex_lock(&upper);
	sim_expect(rt_lock_violations() == 0);
	rt_mutex_unlock(&lower);
	rt_mutex_lock(&lower);
	rt_mutex_unlock(&lower);
	rt_mutex_unlock(&upper);
	return rt_lock_violations() == 1 ? 0 : 1;
}

Test(sim, locks_taken_against_their_order_are_reported_with_both_names)
{
	log_set_sink(keep_error, NULL);
	cr_assert_eq(sim_run(1, 1, wrong_order_main, NULL), -EILSEQ);
	log_set_sink(NULL, NULL);
	cr_assert_str_eq(last_error, "lock order: task main takes queue (rank 90) while it holds "
				     "leaf (rank 100)");
}

static int ordered_class_main(void *arg)
{
	static const struct rt_lock_class stripes = { "stripes", LOCK_RANK_LEAF + LOCK_ORDERED };
	struct rt_rwsem s[2 * RT_LOCKS_HELD_MAX];
	struct rt_mutex lower;

	for (unsigned int i = 0; i < ARRAY_SIZE(s); i++)
		rt_rwsem_init(&s[i], &stripes);
	rt_mutex_init(&lower, &queue);
	rt_mutex_lock(&lower);
	for (unsigned int i = 0; i < ARRAY_SIZE(s); i++)
		rt_rwsem_down_write(&s[i]);
	rt_mutex_unlock(&lower);
	for (unsigned int i = 1; i < ARRAY_SIZE(s); i++)
		rt_rwsem_up_write(&s[i]);
	sim_expect(rt_lock_violations() == 0);
	rt_mutex_lock(&lower);
	rt_mutex_unlock(&lower);
	rt_rwsem_up_write(&s[0]);
	sim_expect(rt_lock_violations() == 1);
	rt_mutex_lock(&lower);
	rt_mutex_unlock(&lower);
	return rt_lock_violations() == 1 ? 0 : 1;
}

Test(sim, many_locks_of_an_ordered_class_are_one_in_the_lock_order)
{
	log_set_sink(keep_error, NULL);
	cr_assert_eq(sim_run(1, 1, ordered_class_main, NULL), -EILSEQ);
	log_set_sink(NULL, NULL);
	cr_assert_str_eq(last_error, "lock order: task main takes queue (rank 90) while it holds "
				     "stripes (rank 100)");
}

static int try_order_main(void *arg)
{
	struct rt_mutex upper;
	struct rt_rwsem lower;

	rt_mutex_init(&upper, &leaf);
	rt_rwsem_init(&lower, &queue);
	rt_mutex_lock(&upper);
	if (!rt_rwsem_try_down_read(&lower))
		return 1;
	rt_rwsem_up_read(&lower);
	rt_mutex_unlock(&upper);
	return 0;
}

Test(sim, trying_a_lock_may_go_against_the_order)
{
	cr_assert_eq(sim_run(1, 1, try_order_main, NULL), 0);
}
