/* SPDX-License-Identifier: MIT */
/*
 * Log-linear histograms: see base/histogram.h.
 */
#include "base/histogram.h"

#include <string.h>

void histogram_init(struct histogram *hist)
{
	memset(hist, 0, sizeof(*hist));
}

void histogram_reset(struct histogram *hist)
{
	WRITE_ONCE(hist->values_nr, 0);
	WRITE_ONCE(hist->sum_ns, 0);
	WRITE_ONCE(hist->min_ns, 0);
	WRITE_ONCE(hist->max_ns, 0);
	for (unsigned int b = 0; b < HISTOGRAM_BUCKETS_NR; b++)
		WRITE_ONCE(hist->buckets[b], 0);
}

uint64_t histogram_bucket_last(unsigned int bucket)
{
	unsigned int shift;
	uint64_t first;

	if (bucket < HISTOGRAM_SUB_NR)
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	first = (uint64_t)(HISTOGRAM_SUB_NR + (bucket & (HISTOGRAM_SUB_NR - 1))) << shift;
	return first + (1ULL << shift) - 1;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	uint64_t values_nr = READ_ONCE(from->values_nr);
	uint64_t min_ns = READ_ONCE(from->min_ns);

	if (values_nr == 0)
		return;
	if (into->values_nr == 0 || min_ns < into->min_ns)
		into->min_ns = min_ns;
	into->max_ns = max(into->max_ns, READ_ONCE(from->max_ns));
	into->values_nr += values_nr;
	into->sum_ns += READ_ONCE(from->sum_ns);
	for (unsigned int b = 0; b < HISTOGRAM_BUCKETS_NR; b++)
		into->buckets[b] += READ_ONCE(from->buckets[b]);
}

uint64_t histogram_mean(const struct histogram *hist)
{
	return hist->values_nr != 0 ? hist->sum_ns / hist->values_nr : 0;
}

/* How many of @values_nr values make @percent of them: rounded up, at least one. */
static uint64_t rank_of(uint64_t values_nr, double percent)
{
	double exact = (double)values_nr * percent / 100.0;
	uint64_t rank = (uint64_t)exact;

	if ((double)rank < exact)
		rank++;
	return clamp_t(uint64_t, rank, 1, values_nr);
}

uint64_t histogram_percentile(const struct histogram *hist, double percent)
{
	uint64_t seen_nr = 0, rank;

	if (hist->values_nr == 0)
		return 0;
	rank = rank_of(hist->values_nr, percent);
	if (rank == hist->values_nr)
		return hist->max_ns;
	for (unsigned int b = 0; b < HISTOGRAM_BUCKETS_NR; b++) {
		seen_nr += hist->buckets[b];
		if (seen_nr >= rank)
			return clamp_t(uint64_t, histogram_bucket_last(b), hist->min_ns,
				       hist->max_ns);
	}
	return hist->max_ns;
}
