/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of times in nanoseconds, of fixed size.
 *
 * Every power of two is cut into 32 equal buckets, so that a value read back is at most 1/32 above
 * the value recorded; below 32 ns it is exact. What is above HISTOGRAM_MAX_NS (about 18 minutes)
 * counts in the last bucket; max_ns remembers it as it was.
 *
 * Locks: none; one writer a histogram, histogram_merge() brings several together and may run while
 * @from is written: every field is whole, the fields together are of about the same moment.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include "base/compiler.h"

#define HISTOGRAM_SUB_BITS 5
#define HISTOGRAM_SUB_NR (1U << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_MAX_BITS 40
#define HISTOGRAM_MAX_NS ((1ULL << HISTOGRAM_MAX_BITS) - 1)
#define HISTOGRAM_BUCKETS_NR ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_NR)

/* All zero is an empty histogram. */
struct histogram {
	uint64_t values_nr;
	uint64_t sum_ns;
	uint64_t min_ns;
	uint64_t max_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS_NR];
};

void histogram_init(struct histogram *hist);

/* histogram_reset - the same by its writer, while others may read it. */
void histogram_reset(struct histogram *hist);

/* histogram_bucket - the bucket that @value_ns belongs to. */
static inline unsigned int histogram_bucket(uint64_t value_ns)
{
	unsigned int shift;

	if (value_ns < HISTOGRAM_SUB_NR)
		return (unsigned int)value_ns;
	value_ns = value_ns > HISTOGRAM_MAX_NS ? HISTOGRAM_MAX_NS : value_ns;
	shift = ilog2(value_ns) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (unsigned int)(value_ns >> shift);
}

/* histogram_bucket_last - the greatest value of @bucket. */
uint64_t histogram_bucket_last(unsigned int bucket);

/* histogram_record_many - @nr values of @value_ns. */
static inline void histogram_record_many(struct histogram *hist, uint64_t value_ns, uint64_t nr)
{
	uint64_t *bucket = &hist->buckets[histogram_bucket(value_ns)];

	if (hist->values_nr == 0 || value_ns < hist->min_ns)
		WRITE_ONCE(hist->min_ns, value_ns);
	if (value_ns > hist->max_ns)
		WRITE_ONCE(hist->max_ns, value_ns);
	WRITE_ONCE(hist->values_nr, hist->values_nr + nr);
	WRITE_ONCE(hist->sum_ns, hist->sum_ns + value_ns * nr);
	WRITE_ONCE(*bucket, *bucket + nr);
}

static inline void histogram_record(struct histogram *hist, uint64_t value_ns)
{
	histogram_record_many(hist, value_ns, 1);
}

/* histogram_merge - add what @from holds to @into. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* histogram_mean - 0 when empty. */
uint64_t histogram_mean(const struct histogram *hist);

/*
 * histogram_percentile - a value that @percent (0..100) of those recorded do not exceed.
 *
 * The top of the bucket, but never outside what was recorded. 0 when empty.
 */
uint64_t histogram_percentile(const struct histogram *hist, double percent);

#endif
