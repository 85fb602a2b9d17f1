/* SPDX-License-Identifier: MIT */
/*
 * The log: see base/log.h.
 *
 * Invariants: 1. ring.lines[n % LOG_RING_LINES] is the n-th line ever written; written_nr counts.
 * Locks:      log_lock guards the ring, the sink, the clock and every log_ratelimit; it is a leaf
 *             lock, held for a copy, never across the sink. The clock is called under it.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct log_line {
	uint64_t when_ns;
	enum log_level level;
	char text[LOG_LINE_MAX];
};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	struct log_line lines[LOG_RING_LINES]; /* [log_lock] */
	uint64_t written_nr;		       /* [log_lock] */
} ring;

static struct {
	log_sink_fn sink;	  /* [log_lock] */
	void *sink_ctx;		  /* [log_lock] */
	log_clock_fn clock;	  /* [log_lock] */
	enum log_level max_level; /* [atomic] */
} config = { .max_level = LOG_LEVEL_INFO };

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "error",
	[LOG_LEVEL_WARN] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

static void sink_stderr(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
	fprintf(stderr, "blkfs: %s: %s\n", log_level_name(level), line);
}

/* One line of text stays one line, whatever bytes a file name brought. */
static void defuse(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++)
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
}

static uint64_t now_locked(void)
{
	return config.clock != NULL ? config.clock() : 0;
}

static void ring_add_locked(const struct log_line *line)
{
	struct log_line *slot = &ring.lines[ring.written_nr % LOG_RING_LINES];

	slot->when_ns = line->when_ns;
	slot->level = line->level;
	memcpy(slot->text, line->text, strlen(line->text) + 1);
	ring.written_nr++;
}

static void log_write(enum log_level level, const char *fmt, va_list args)
{
	struct log_line line = { .level = level };
	struct strbuf text;
	log_sink_fn sink;
	void *ctx;

	if (level > log_get_level())
		return;
	strbuf_init(&text, line.text, sizeof(line.text));
	strbuf_vprintf(&text, fmt, args);
	defuse(line.text);

	pthread_mutex_lock(&log_lock);
	line.when_ns = now_locked();
	ring_add_locked(&line);
	sink = config.sink != NULL ? config.sink : sink_stderr;
	ctx = config.sink_ctx;
	pthread_mutex_unlock(&log_lock);

	sink(ctx, level, line.when_ns, line.text);
}

void log_err(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_write(LOG_LEVEL_ERR, fmt, args);
	va_end(args);
}

void log_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_write(LOG_LEVEL_WARN, fmt, args);
	va_end(args);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_write(LOG_LEVEL_INFO, fmt, args);
	va_end(args);
}

void log_debug(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_write(LOG_LEVEL_DEBUG, fmt, args);
	va_end(args);
}

void log_set_sink(log_sink_fn sink, void *ctx)
{
	pthread_mutex_lock(&log_lock);
	config.sink = sink;
	config.sink_ctx = ctx;
	pthread_mutex_unlock(&log_lock);
}

void log_set_clock(log_clock_fn now_ns)
{
	pthread_mutex_lock(&log_lock);
	config.clock = now_ns;
	pthread_mutex_unlock(&log_lock);
}

void log_set_level(enum log_level level)
{
	WRITE_ONCE(config.max_level, level);
}

enum log_level log_get_level(void)
{
	return READ_ONCE(config.max_level);
}

/* Without @out, only measure. Returns the length of the line as it is printed. */
static size_t render(const struct log_line *line, struct strbuf *out)
{
	char text[LOG_LINE_MAX + 64];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	strbuf_printf(&sb, "[%5llu.%06llu] %s: %s\n",
		      (unsigned long long)(line->when_ns / 1000000000),
		      (unsigned long long)(line->when_ns / 1000 % 1000000),
		      log_level_name(line->level), line->text);
	if (out != NULL)
		strbuf_write(out, sb.buf, sb.len);
	return sb.len;
}

/* The number of the oldest line from which on everything fits into @room characters. */
static uint64_t oldest_fitting_locked(size_t room)
{
	uint64_t oldest = ring.written_nr;
	uint64_t kept_nr = min_t(uint64_t, ring.written_nr, LOG_RING_LINES);

	while (ring.written_nr - oldest < kept_nr) {
		size_t len = render(&ring.lines[(oldest - 1) % LOG_RING_LINES], NULL);

		if (len > room)
			break;
		room -= len;
		oldest--;
	}
	return oldest;
}

void log_copy(struct strbuf *out)
{
	pthread_mutex_lock(&log_lock);
	for (uint64_t n = oldest_fitting_locked(strbuf_room(out)); n < ring.written_nr; n++)
		render(&ring.lines[n % LOG_RING_LINES], out);
	pthread_mutex_unlock(&log_lock);
}

bool log_ratelimit_ok(struct log_ratelimit *limit)
{
	unsigned int suppressed_nr = 0;
	uint64_t now_ns;
	bool is_ok;

	pthread_mutex_lock(&log_lock);
	now_ns = now_locked();
	if (now_ns - limit->begin_ns >= limit->interval_ns) {
		limit->begin_ns = now_ns;
		limit->passed_nr = 0;
	}
	is_ok = limit->passed_nr < limit->burst_nr;
	if (is_ok) {
		limit->passed_nr++;
		suppressed_nr = limit->suppressed_nr;
		limit->suppressed_nr = 0;
	} else {
		limit->suppressed_nr++;
	}
	pthread_mutex_unlock(&log_lock);

	if (suppressed_nr > 0)
		log_warn("%u similar messages were not shown", suppressed_nr);
	return is_ok;
}
