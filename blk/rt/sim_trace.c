/* SPDX-License-Identifier: MIT */
/*
 * sim_trace.c - the simulator's generator, digest and trace.
 *
 * Invariant: everything that decides the course of a run goes through sim_choose(), everything that
 * happens through sim_event(); both are in the digest, and no address is. So equal digests mean
 * equal runs, and a seed gives the same trace to the byte.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"

#include "sim.h"

#define TRACE_ENV "BLKFS_SIM_TRACE"

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014 (SplitMix64). */
static uint64_t splitmix64(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

void sim_trace_open(uint64_t seed)
{
	const char *path = getenv(TRACE_ENV);

	sim.choices = seed;
	sim.randoms = hash_u64(~seed);
	sim.digest = hash_u64(seed);
	sim.trace = NULL;
	if (!path || !*path)
		return;
	sim.trace = fopen(path, "we");
	if (!sim.trace)
		log_warn("simulator: cannot write the trace %s (from " TRACE_ENV "): %s", path,
			 strerror(errno));
}

void sim_trace_close(void)
{
	if (sim.trace && fclose(sim.trace) != 0)
		log_warn("simulator: the trace is not complete: %s", strerror(errno));
	sim.trace = NULL;
}

void sim_event(const char *what, const char *who, uint64_t value)
{
	sim.digest = hash_bytes(hash_combine(sim.digest, value), what, strlen(what));
	if (who)
		sim.digest = hash_bytes(sim.digest, who, strlen(who));
	if (likely(!sim.trace))
		return;
	fprintf(sim.trace, "%" PRIu64 " %" PRIu64 " ", sim.steps_nr, sim.now_ns);
	if (rt_this_reactor == RT_NO_REACTOR)
		fputs("- ", sim.trace);
	else
		fprintf(sim.trace, "r%u ", rt_this_reactor);
	fprintf(sim.trace, "%s%s%s %" PRIu64 "\n", what, who ? " " : "", who ? who : "", value);
}

uint64_t sim_choose(uint64_t bound)
{
	uint64_t value = splitmix64(&sim.choices) % bound;

	sim.digest = hash_combine(sim.digest, value);
	return value;
}

void sim_random_bytes(void *buf, size_t len_bytes)
{
	uint8_t *p = buf;

	while (len_bytes > 0) {
		uint64_t word = splitmix64(&sim.randoms);
		size_t part = min_t(size_t, len_bytes, sizeof(word));

		memcpy(p, &word, part);
		p += part;
		len_bytes -= part;
	}
}

uint64_t rt_sim_digest(void)
{
	return sim.digest;
}

void rt_sim_note(const char *what, uint64_t value)
{
	if (rt_sim_is_running)
		sim_event("note", what, value);
}
