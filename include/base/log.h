/* SPDX-License-Identifier: MIT */
/*
 * The one log: four levels, one sink, and the last LOG_RING_LINES lines kept in memory.
 *
 * A message is one line without '\n'; control characters in it (a hostile file name) come out as
 * '?'. A line longer than LOG_LINE_MAX is cut. All functions may be called from any thread and do
 * not allocate; the sink runs in the caller's thread with no lock held, so two lines may reach it
 * in either order; the ring has them in one order.
 *
 * The log asks nobody for the time: without log_set_clock() every line carries 0.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/compiler.h"
#include "base/strbuf.h"

#define LOG_RING_LINES 256
#define LOG_LINE_MAX 480

enum log_level {
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* @line is NUL-terminated and valid during the call only. */
typedef void (*log_sink_fn)(void *ctx, enum log_level level, uint64_t when_ns, const char *line);
typedef uint64_t (*log_clock_fn)(void);

void log_err(const char *fmt, ...) __printf(1, 2) __cold;
void log_warn(const char *fmt, ...) __printf(1, 2) __cold;
void log_info(const char *fmt, ...) __printf(1, 2) __cold;
void log_debug(const char *fmt, ...) __printf(1, 2) __cold;

/* log_level_name - "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);

/* log_set_sink - where lines go; NULL is the default, "blkfs: level: line" on stderr. */
void log_set_sink(log_sink_fn sink, void *ctx);

/* log_set_level - drop what is less urgent than @level (default LOG_LEVEL_INFO). */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* log_set_clock - who stamps the lines; NULL for nobody. */
void log_set_clock(log_clock_fn now_ns);

/*
 * log_copy - append the kept lines to @out, oldest first, each "[sssss.uuuuuu] level: line\n".
 *
 * If they do not all fit, the oldest are left out: @out never overflows and ends with the newest.
 */
void log_copy(struct strbuf *out);

/*
 * A limit for messages that a bad disk or a client could repeat without end: at most @burst_nr in
 * each @interval_ns, by the log's clock. Starts zeroed but for these two.
 */
struct log_ratelimit {
	uint64_t interval_ns;
	unsigned int burst_nr;
	unsigned int passed_nr;	    /* [log lock] in this interval */
	unsigned int suppressed_nr; /* [log lock] since the last that passed */
	uint64_t begin_ns;	    /* [log lock] of this interval */
};

#define LOG_RATELIMIT_INIT                                                                         \
	{                                                                                          \
		.interval_ns = 5000000000ULL, .burst_nr = 10                                       \
	}

/*
 * log_ratelimit_ok - may this message be written?
 *
 * When true after some were suppressed, a line that says how many is logged first. With no clock
 * set, @burst_nr pass and no more.
 */
bool log_ratelimit_ok(struct log_ratelimit *limit);

#endif
