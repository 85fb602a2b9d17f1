/* SPDX-License-Identifier: MIT */
/*
 * Histograms: bucket borders, the promised precision, percentiles and merging.
 */
#include "tests/lib/test.h"

#include "base/histogram.h"

Test(histogram, every_value_lies_in_its_bucket_within_the_promised_error)
{
	for (uint64_t value = 0; value < HISTOGRAM_MAX_NS; value += 1 + value / 97) {
		unsigned int bucket = histogram_bucket(value);

		cr_assert_lt(bucket, HISTOGRAM_BUCKETS_NR);
		cr_assert_geq(histogram_bucket_last(bucket), value);
		cr_assert_leq(histogram_bucket_last(bucket) - value, value / HISTOGRAM_SUB_NR);
		if (bucket > 0)
			cr_assert_lt(histogram_bucket_last(bucket - 1), value);
	}
}

Test(histogram, buckets_follow_one_another_without_gap)
{
	for (unsigned int bucket = 0; bucket + 1 < HISTOGRAM_BUCKETS_NR; bucket++)
		cr_assert_eq(histogram_bucket(histogram_bucket_last(bucket) + 1), bucket + 1);
	cr_assert_eq(histogram_bucket_last(HISTOGRAM_BUCKETS_NR - 1), HISTOGRAM_MAX_NS);
}

Test(histogram, values_beyond_the_end_count_in_the_last_bucket)
{
	struct histogram hist;

	histogram_init(&hist);
	histogram_record(&hist, UINT64_MAX);
	cr_assert_eq(hist.buckets[HISTOGRAM_BUCKETS_NR - 1], 1);
	cr_assert_eq(histogram_percentile(&hist, 50), UINT64_MAX);
}

Test(histogram, empty_one_answers_zero)
{
	struct histogram hist;

	histogram_init(&hist);
	cr_assert_eq(histogram_percentile(&hist, 99), 0);
	cr_assert_eq(histogram_mean(&hist), 0);
}

Test(histogram, percentiles_of_a_ramp_are_where_they_belong)
{
	struct histogram hist;

	histogram_init(&hist);
	for (uint64_t value = 1; value <= 100000; value++)
		histogram_record(&hist, value);
	cr_assert_eq(histogram_percentile(&hist, 0), 1);
	cr_assert_eq(histogram_percentile(&hist, 100), 100000);
	for (unsigned int percent = 1; percent < 100; percent++) {
		uint64_t exact = percent * 1000, read = histogram_percentile(&hist, percent);

		cr_assert_geq(read, exact);
		cr_assert_leq(read - exact, exact / HISTOGRAM_SUB_NR);
	}
	cr_assert_eq(histogram_mean(&hist), 50000);
}

Test(histogram, merged_one_is_as_if_all_had_been_recorded_in_it)
{
	struct histogram one, two, all;

	histogram_init(&one);
	histogram_init(&two);
	histogram_init(&all);
	for (uint64_t value = 10; value < 100000; value += 7) {
		histogram_record(value % 2 ? &one : &two, value);
		histogram_record(&all, value);
	}
	histogram_merge(&one, &two);
	cr_assert_arr_eq(&one, &all, sizeof(all));
	histogram_init(&two);
	histogram_merge(&one, &two);
	cr_assert_arr_eq(&one, &all, sizeof(all));
}
