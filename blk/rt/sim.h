/* SPDX-License-Identifier: MIT */
/*
 * sim.h - the parts of the simulator, to one another.
 *
 * sim.c chooses who goes on and when time passes, sim_io.c carries messages, I/O and offloads,
 * sim_trace.c keeps generator, digest and trace. One thread: no atomics, no locks.
 */
#ifndef BLK_RT_SIM_H
#define BLK_RT_SIM_H

#include <stdio.h>

#include "base/list.h"

#include "backend.h"

/* Messages of one sender to one target, in order. */
struct sim_lane {
	struct rt_msg *oldest;
	struct rt_msg **end;
};

struct sim_reactor {
	struct reactor *r;
	struct fiber loop; /* its thread, as it were */
	struct fiber *at;  /* where it goes on; the four that follow are its state there */
	struct task *task;
	uint64_t now_ns;
	int errno_saved;
	bool is_midway;	      /* it stands at a switch point, not between two steps */
	bool must_poll;	      /* nothing else is left to do: look at the pollers */
	bool is_busy;	      /* a poller forbids sleep */
	struct list_head ios; /* submitted, not done; see sim_io.c */
	struct list_head offloads;
	struct sim_lane *lanes; /* by sender; the last is for foreign threads */
};

struct sim {
	struct rt_sim_config cfg;
	unsigned int reactors_nr;
	struct sim_reactor *reactors;
	struct fiber scheduler; /* the caller of rt_run() */
	uint64_t now_ns;
	uint64_t steps_nr;
	uint64_t poll_ns;	 /* how long the pollers are left alone when they alone are busy */
	bool is_polled;		 /* all pollers have looked since something last happened */
	unsigned int point_odds; /* one switch point in so many switches */
	uint64_t choices;	 /* states of the generators */
	uint64_t randoms;
	uint64_t digest;
	FILE *trace;
};

extern struct sim sim;

/* ---- sim_trace.c ------------------------------------------------------------------------------- */

void sim_trace_open(uint64_t seed);
void sim_trace_close(void);
/* An event: to the digest and the trace. @what and @who are names that do not depend on addresses. */
void sim_event(const char *what, const char *who, uint64_t value);
/* A choice of the simulator: below @bound, which is not 0; part of the digest. */
uint64_t sim_choose(uint64_t bound);
/* What rt_random_bytes() answers: apart from the choices, so that asking for it moves none. */
void sim_random_bytes(void *buf, size_t len_bytes);

/* ---- sim_io.c ---------------------------------------------------------------------------------- */

enum sim_source { SIM_MSG, SIM_IO, SIM_OFFLOAD, SIM_SOURCES_NR };

int __must_check sim_io_init(struct sim_reactor *sr);
void sim_io_fini(struct sim_reactor *sr);
/* How many of @source could happen now. */
unsigned int sim_io_ready_nr(const struct sim_reactor *sr, enum sim_source source);
/* Let the @nth of them happen. */
void sim_io_run(struct sim_reactor *sr, enum sim_source source, unsigned int nth);
/* When the next I/O or offload is due; UINT64_MAX: never. */
uint64_t sim_io_next_ns(const struct sim_reactor *sr);

void sim_post(struct reactor *to, struct rt_msg *m);
void sim_post_foreign(struct reactor *to, struct rt_msg *m);
void sim_io_submit(struct reactor *self, struct rt_io *io);
void sim_io_cancel(struct reactor *self, struct rt_io *io);
void sim_offload(struct rt_offload *o);

#endif
