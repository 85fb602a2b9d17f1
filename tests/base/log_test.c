/* SPDX-License-Identifier: MIT */
/*
 * The log: levels, sink, ring, clock, rate limit, several threads.
 */
#include "tests/lib/test.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"

#define THREADS_NR 4
#define LINES_PER_THREAD 200

static struct {
	unsigned int lines_nr;
	enum log_level level;
	uint64_t when_ns;
	char line[LOG_LINE_MAX];
} seen;

static uint64_t fake_now_ns;
static char copy[LOG_RING_LINES * (LOG_LINE_MAX + 64)];
static struct strbuf out;

static void record(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
	struct strbuf sb;

	seen.lines_nr++;
	seen.level = level;
	seen.when_ns = when_ns;
	strbuf_init(&sb, seen.line, sizeof(seen.line));
	strbuf_puts(&sb, line);
}

static uint64_t fake_clock(void)
{
	return fake_now_ns;
}

static void begin(void)
{
	log_set_sink(record, NULL);
	log_set_clock(fake_clock);
	strbuf_init(&out, copy, sizeof(copy));
}

TestSuite(log, .init = begin);

Test(log, line_reaches_the_sink_with_level_and_time)
{
	fake_now_ns = 1234567890;
	log_warn("block %d of %s", 7, "inode 12");
	cr_assert_eq(seen.lines_nr, 1);
	cr_assert_eq(seen.level, LOG_LEVEL_WARN);
	cr_assert_eq(seen.when_ns, 1234567890);
	cr_assert_str_eq(seen.line, "block 7 of inode 12");
}

Test(log, less_urgent_than_the_level_is_dropped)
{
	log_debug("no");
	cr_assert_eq(seen.lines_nr, 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("yes");
	cr_assert_eq(seen.lines_nr, 1);
	log_set_level(LOG_LEVEL_ERR);
	log_warn("no");
	log_err("yes");
	cr_assert_eq(seen.lines_nr, 2);
	log_copy(&out);
	cr_assert_null(strstr(copy, "no"));
}

Test(log, hostile_name_cannot_forge_a_line)
{
	log_err("file '%s'", "x\nblkfs: error: forged\x1b[31m");
	cr_assert_str_eq(seen.line, "file 'x?blkfs: error: forged?[31m'");
}

Test(log, long_line_is_cut)
{
	char big[2 * LOG_LINE_MAX];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_err("%s", big);
	cr_assert_eq(strlen(seen.line), LOG_LINE_MAX - 1);
}

Test(log, ring_keeps_the_newest_lines_in_order)
{
	for (int i = 0; i < LOG_RING_LINES + 10; i++)
		log_info("number %d", i);
	log_copy(&out);
	cr_assert(!out.overflow);
	cr_assert_null(strstr(copy, "number 9\n"));
	cr_assert(strncmp(copy, "[    0.000000] info: number 10\n", 31) == 0);
	cr_assert_not_null(strstr(copy, "number 264\n[    0.000000] info: number 265\n"));
}

Test(log, copy_into_little_room_keeps_whole_newest_lines)
{
	char small[64];

	strbuf_init(&out, small, sizeof(small));
	log_copy(&out);
	cr_assert_str_eq(small, "");
	fake_now_ns = 2000001000;
	for (int i = 0; i < 5; i++)
		log_info("number %d", i);
	log_copy(&out);
	cr_assert(!out.overflow);
	cr_assert_str_eq(small, "[    2.000001] info: number 3\n[    2.000001] info: number 4\n");
}

Test(log, ratelimit_passes_a_burst_an_interval_and_says_what_it_dropped)
{
	struct log_ratelimit limit = { .interval_ns = 1000, .burst_nr = 2 };
	int passed_nr = 0;

	fake_now_ns = 5000;
	for (int i = 0; i < 7; i++)
		passed_nr += log_ratelimit_ok(&limit);
	cr_assert_eq(passed_nr, 2);
	cr_assert_eq(seen.lines_nr, 0);
	fake_now_ns = 6000;
	cr_assert(log_ratelimit_ok(&limit));
	cr_assert_str_eq(seen.line, "5 similar messages were not shown");
	cr_assert(log_ratelimit_ok(&limit));
	cr_assert_eq(seen.lines_nr, 1);
}

static void ignore(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
	__atomic_fetch_add(&seen.lines_nr, 1, __ATOMIC_RELAXED);
}

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES_PER_THREAD; i++)
		log_info("line %d", i);
	return NULL;
}

Test(log, lines_of_several_threads_all_arrive_whole)
{
	pthread_t threads[THREADS_NR];
	size_t lines_nr = 0;

	log_set_sink(ignore, NULL);
	for (int i = 0; i < THREADS_NR; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
	for (int i = 0; i < THREADS_NR; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(seen.lines_nr, THREADS_NR * LINES_PER_THREAD);
	log_copy(&out);
	for (const char *p = copy; *p != '\0'; p = strchr(p, '\n') + 1) {
		cr_assert(strncmp(p, "[    0.000000] info: line ", 26) == 0);
		lines_nr++;
	}
	cr_assert_eq(lines_nr, LOG_RING_LINES);
}
