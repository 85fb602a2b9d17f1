/* SPDX-License-Identifier: MIT */
/*
 * What applications wrote and the kernel's page cache still holds is made to come.
 *
 * syncfs(2), by sync(1), begins it. For fuseblk it also waits for our answers; for type fuse the kernel waits for
 * nobody, so we do: until no write-back is with us and none can be under way.
 *
 * W1. The kernel keeps a WRITE back only while every ring entry or buffer of its queue is with us, or
 *     while as many as max_background are: then some are counted here.
 * W2. What it has handed out reaches us within the turn in which a reactor next enters its ring. So two
 *     looks at the counters, with turns of every reactor between, that find nothing under way and
 *     nothing new prove that there is nothing.
 *
 * Context: a thread that is no reactor.
 */
#include <errno.h>
#include <semaphore.h>
#include <time.h>

#include "fs/fuse/front.h"

enum {
	TURNS_NR = 2,	       /* of every reactor between two looks */
	STEP_NS = 1000 * 1000, /* between two turns, and before another try */
};

struct turn {
	struct rt_msg msg;
	sem_t taken;
};

static void turn_taken(struct rt_msg *m)
{
	sem_post(&container_of(m, struct turn, msg)->taken);
}

static void wait_a_step(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = STEP_NS }, NULL);
}

static void wait_for_turns(const struct fuse_front *ff)
{
	struct turn turn = { .msg = { .fn = turn_taken } };

	sem_init(&turn.taken, 0, 0);
	for (unsigned int round = 0; round < TURNS_NR; round++) {
		for (unsigned int i = 0; i < ff->cpus_nr; i++) {
			rt_post_foreign(ff->cpus[i].reactor, &turn.msg);
			while (sem_wait(&turn.taken) < 0 && errno == EINTR)
				;
		}
		wait_a_step();
	}
	sem_destroy(&turn.taken);
}

/* Rule W1, at one look. @*seen: how many have come so far. */
static bool is_quiet(const struct fuse_front *ff, uint64_t *seen)
{
	bool is_quiet = true;

	*seen = 0;
	for (unsigned int i = 0; i < ff->cpus_nr; i++) {
		const struct ff_cpu *cpu = &ff->cpus[i];

		*seen += READ_ONCE(cpu->stats.writebacks);
		if (__atomic_load_n(&cpu->writebacks_nr, __ATOMIC_ACQUIRE) ||
		    __atomic_load_n(&cpu->handed_nr, __ATOMIC_ACQUIRE) ||
		    __atomic_load_n(&cpu->inflight_nr, __ATOMIC_ACQUIRE) >= ff->depth)
			is_quiet = false;
	}
	return is_quiet;
}

/* Rule W2. */
static bool is_all_here(const struct fuse_front *ff)
{
	uint64_t before, after;

	if (!is_quiet(ff, &before))
		return false;
	wait_for_turns(ff);
	return is_quiet(ff, &after) && before == after;
}

int ff_write_back(struct fuse_front *ff)
{
	char *argv[] = { "sync", "-f", "--", ff->mountpoint, NULL };
	int err = ff_run_program(argv);

	if (err > 0)
		err = -EIO;
	while (!err && !ff->is_blk && !is_all_here(ff)) {
		if (__atomic_load_n(&ff->is_aborted, __ATOMIC_ACQUIRE))
			err = -ENOTCONN;
		wait_a_step();
	}
	return err;
}
