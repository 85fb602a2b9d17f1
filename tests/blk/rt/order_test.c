/* SPDX-License-Identifier: MIT */
/*
 * Who comes first: seen on one reactor, where a task reaches the queue without being preempted, so
 * that the order of the calls is the order of arrival.
 */
#include <errno.h>

#include "tests/lib/sim.h"
#include "tests/lib/test.h"

#include "blkfs/lock_order.h"

#include "crew.h"

enum { SEEDS_NR = 500, CREW_NR = 8 };

static const struct rt_lock_class leaf = { "leaf", LOCK_RANK_LEAF };

struct line {
	struct rt_mutex mutex;
	struct rt_rwsem sem;
	struct completion completion;
	struct rt_waitqueue wq;
	unsigned int called[CREW_NR];
	unsigned int called_nr;
	unsigned int served_nr;
	unsigned int free_nr;
	unsigned int looks_nr;
};

static void called(struct line *line, unsigned int nth)
{
	line->called[line->called_nr++] = nth;
}

static void served(struct line *line, unsigned int nth)
{
	sim_expect(line->called[line->served_nr] == nth);
	line->served_nr++;
}

/* All have called and sleep before the first is served. */
static int line_up(struct crew *crew, struct line *line, unsigned int nr)
{
	int err = crew_hire(crew, nr);

	while (!err && line->called_nr < nr)
		rt_yield();
	return err;
}

static void mutex_caller(struct crew *crew, unsigned int nth)
{
	struct line *line = crew->arg;

	called(line, nth);
	rt_mutex_lock(&line->mutex);
	served(line, nth);
	if (nth % 2)
		rt_yield();
	rt_mutex_unlock(&line->mutex);
}

static int mutex_main(void *arg)
{
	struct line line = { .called_nr = 0 };
	struct crew crew = { .fn = mutex_caller, .arg = &line };
	int err;

	rt_mutex_init(&line.mutex, &leaf);
	rt_mutex_lock(&line.mutex);
	err = line_up(&crew, &line, CREW_NR);
	sim_expect(!rt_mutex_trylock(&line.mutex));
	rt_mutex_unlock(&line.mutex);
	sim_expect(!rt_mutex_trylock(&line.mutex)); /* it was handed over, not let go */
	return err ? err : crew_join(&crew);
}

Test(order, a_mutex_is_handed_over_first_come_first_served)
{
	sim_seeds(0, SEEDS_NR, 1, mutex_main, NULL);
}

/* Every third writes. */
static void rwsem_caller(struct crew *crew, unsigned int nth)
{
	struct line *line = crew->arg;

	called(line, nth);
	if (nth % 3 == 0) {
		rt_rwsem_down_write(&line->sem);
		served(line, nth);
		rt_yield();
		rt_rwsem_up_write(&line->sem);
		return;
	}
	rt_rwsem_down_read(&line->sem);
	line->served_nr++;
	rt_sleep_ns(1000000);
	rt_rwsem_up_read(&line->sem);
}

/* A writer is served when all who called before it were, and nobody after it. */
static int rwsem_main(void *arg)
{
	struct line line = { .called_nr = 0 };
	struct crew crew = { .fn = rwsem_caller, .arg = &line };
	int err;

	rt_rwsem_init(&line.sem, &leaf);
	rt_rwsem_down_read(&line.sem);
	err = line_up(&crew, &line, CREW_NR);
	sim_expect(!rt_rwsem_try_down_write(&line.sem));
	rt_rwsem_up_read(&line.sem);
	return err ? err : crew_join(&crew);
}

Test(order, nobody_overtakes_a_waiting_writer)
{
	sim_seeds(0, SEEDS_NR, 1, rwsem_main, NULL);
}

/* Two readers behind a writer are in at the same time. */
static void reader(struct crew *crew, unsigned int nth)
{
	struct line *line = crew->arg;

	called(line, nth);
	rt_rwsem_down_read(&line->sem);
	line->free_nr++;
	while (line->free_nr < CREW_NR)
		rt_yield();
	rt_rwsem_up_read(&line->sem);
}

static int readers_main(void *arg)
{
	struct line line = { .called_nr = 0 };
	struct crew crew = { .fn = reader, .arg = &line };
	int err;

	rt_rwsem_init(&line.sem, &leaf);
	rt_rwsem_down_write(&line.sem);
	err = line_up(&crew, &line, CREW_NR);
	rt_rwsem_up_write(&line.sem);
	return err ? err : crew_join(&crew);
}

Test(order, readers_that_waited_are_in_together)
{
	sim_seeds(0, SEEDS_NR, 1, readers_main, NULL);
}

static void completion_caller(struct crew *crew, unsigned int nth)
{
	struct line *line = crew->arg;

	called(line, nth);
	completion_wait(&line->completion);
	line->free_nr += nth + 1; /* who is in what was served so far */
	line->served_nr++;
}

/* After k complete() the first k who waited are through, in whatever order they run. */
static int completion_main(void *arg)
{
	struct line line = { .called_nr = 0 };
	struct crew crew = { .fn = completion_caller, .arg = &line };
	unsigned int expected = 0;
	int err;

	completion_init(&line.completion);
	err = line_up(&crew, &line, CREW_NR);
	for (unsigned int k = 1; !err && k <= CREW_NR; k++) {
		complete(&line.completion);
		while (line.served_nr < k)
			rt_yield();
		expected += line.called[k - 1] + 1;
		sim_expect(line.free_nr == expected);
	}
	return err ? err : crew_join(&crew);
}

Test(order, a_completion_lets_the_oldest_waiter_through)
{
	sim_seeds(0, SEEDS_NR, 1, completion_main, NULL);
}

static bool take_one(void *arg)
{
	struct line *line = arg;

	if (line->free_nr == 0)
		return false;
	line->free_nr--;
	return true;
}

static void event_caller(struct crew *crew, unsigned int nth)
{
	struct line *line = crew->arg;

	called(line, nth);
	rt_wait_event(&line->wq, take_one, line, "one");
	served(line, nth);
}

/* Every other wake is for nothing: who was woken has kept its place all the same. */
static int event_main(void *arg)
{
	struct line line = { .called_nr = 0 };
	struct crew crew = { .fn = event_caller, .arg = &line };
	int err;

	rt_waitqueue_init(&line.wq);
	err = line_up(&crew, &line, CREW_NR);
	for (unsigned int k = 1; !err && k <= CREW_NR; k++) {
		rt_waitqueue_wake_one(&line.wq);
		rt_sleep_ns(1000000);
		line.free_nr = 1;
		rt_waitqueue_wake_one(&line.wq);
		while (line.served_nr < k)
			rt_sleep_ns(1000);
	}
	sim_expect(!rt_waitqueue_active(&line.wq));
	return err ? err : crew_join(&crew);
}

Test(order, a_wait_queue_wakes_the_oldest_who_keeps_its_place)
{
	sim_seeds(0, SEEDS_NR, 1, event_main, NULL);
}

/* Queued, it finds its condition true by itself, while a wake that another needs reaches it. */
static bool find_by_itself(void *arg)
{
	struct line *line = arg;

	if (line->looks_nr++ == 0)
		return false;
	while (line->called_nr < 2)
		rt_yield();
	line->free_nr = 1;
	rt_waitqueue_wake_one(&line->wq);
	return true;
}

static void lucky_caller(struct crew *crew, unsigned int nth)
{
	struct line *line = crew->arg;

	if (nth == 0) {
		called(line, nth);
		rt_wait_event(&line->wq, find_by_itself, line, "luck");
		return;
	}
	while (line->looks_nr < 2)
		rt_yield();
	called(line, nth);
	rt_wait_event(&line->wq, take_one, line, "one");
}

static int lucky_main(void *arg)
{
	struct line line = { .called_nr = 0 };
	struct crew crew = { .fn = lucky_caller, .arg = &line };
	int err;

	rt_waitqueue_init(&line.wq);
	err = crew_work(&crew, 2);
	sim_expect(!rt_waitqueue_active(&line.wq));
	return err;
}

Test(order, a_wake_that_is_not_needed_is_passed_on)
{
	sim_seeds(0, SEEDS_NR, 1, lucky_main, NULL);
}
