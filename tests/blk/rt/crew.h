/* SPDX-License-Identifier: MIT */
/*
 * crew.h - tasks on all reactors for a test, joined by the main task; with rt_park and rt_wake only,
 * since locks and completions are what is tested.
 */
#ifndef TESTS_BLK_RT_CREW_H
#define TESTS_BLK_RT_CREW_H

#include "blkfs/rt.h"

struct crew {
	void (*fn)(struct crew *crew, unsigned int nth);
	void *arg;
	struct task *boss;
	unsigned int hired_nr;	/* [atomic] */
	unsigned int left_nr;	/* [atomic] */
	unsigned int faults_nr; /* [atomic] what crew_expect() found */
};

#define crew_expect(crew, cond)                                                                    \
	((cond) ? (void)0 : (void)__atomic_fetch_add(&(crew)->faults_nr, 1, __ATOMIC_RELAXED))

static inline void crew_member(void *arg)
{
	struct crew *crew = arg;
	struct task *boss = crew->boss;

	crew->fn(crew, __atomic_fetch_add(&crew->hired_nr, 1, __ATOMIC_RELAXED));
	if (__atomic_sub_fetch(&crew->left_nr, 1, __ATOMIC_ACQ_REL) == 0)
		rt_wake(boss);
}

/* crew_hire - start @nr tasks, one reactor after the other. Returns 0 or an errno. */
static inline int crew_hire(struct crew *crew, unsigned int nr)
{
	crew->boss = rt_current();
	crew->hired_nr = 0;
	crew->left_nr = nr;
	for (unsigned int i = 0; i < nr; i++) {
		int err = rt_spawn_on(i % rt_reactor_nr(), crew_member, crew, "crew");

		if (err)
			return err;
	}
	return 0;
}

static inline int crew_join(struct crew *crew)
{
	while (__atomic_load_n(&crew->left_nr, __ATOMIC_ACQUIRE) > 0)
		rt_park("crew");
	return (int)crew->faults_nr;
}

/* crew_work - hire, join; 0 when nothing was wrong. */
static inline int crew_work(struct crew *crew, unsigned int nr)
{
	int err = crew_hire(crew, nr);

	return err ? err : crew_join(crew);
}

/* Rounds of a case: the simulator makes up for few by many seeds. */
static inline unsigned int crew_rounds(unsigned int in_ring)
{
	return rt_is_sim() ? 3 : in_ring;
}

#endif
