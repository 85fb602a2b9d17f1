/* SPDX-License-Identifier: MIT */
/*
 * Lines of one length in a mapped file, so that who reads it needs nobody's help and nobody who
 * writes waits for a system call.
 *
 * Invariant: a line is whole when its first byte is not 0; that byte is stored last.
 * Locks:     none: every line has one writer.
 */
#include "record_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "blkfs/bio.h"

enum { LINE_BYTES = 96 };

struct record_log {
	int fd;
	size_t lines_max;
	char *lines;
};

static const struct {
	blk_opf_t flag;
	char letter;
} flag_letters[] = {
	{ REQ_PREFLUSH, 'F' }, { REQ_FUA, 'U' },    { REQ_SYNC, 'S' },
	{ REQ_META, 'M' },     { REQ_RAHEAD, 'A' }, { REQ_NOUNMAP, 'Z' },
};

static void flags_text(blk_opf_t opf, char out[ARRAY_SIZE(flag_letters) + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flag_letters); i++)
		if (opf & flag_letters[i].flag)
			out[n++] = flag_letters[i].letter;
	if (!n)
		out[n++] = '-';
	out[n] = 0;
}

void record_log_put(struct record_log *log, const struct record_entry *e, uint64_t now_ns)
{
	char text[LINE_BYTES + 1], flags[ARRAY_SIZE(flag_letters) + 1];
	char *line = log->lines + e->seq * LINE_BYTES;

	flags_text(e->opf, flags);
	snprintf(text, sizeof(text), "%c %8llu %14llu %-12s %-6s %14llu %9u %3u", (char)e->what,
		 (unsigned long long)e->seq, (unsigned long long)now_ns, blk_op_name(e->opf), flags,
		 (unsigned long long)e->sector, e->len_bytes, (unsigned int)e->status);
	memset(text + strlen(text), ' ', LINE_BYTES - strlen(text));
	text[LINE_BYTES - 1] = '\n';
	memcpy(line + 1, text + 1, LINE_BYTES - 1);
	__atomic_store_n(line, text[0], __ATOMIC_RELEASE);
}

/* Blocks are allocated at once: a full disk is an error here, not a signal later. */
static int map_file(struct record_log *log, const char *path)
{
	size_t len = log->lines_max * LINE_BYTES;
	int err;

	log->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log->fd < 0)
		return -errno;
	err = -posix_fallocate(log->fd, 0, (off_t)len);
	if (!err) {
		log->lines = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
		if (log->lines != MAP_FAILED)
			return 0;
		err = -errno;
	}
	close(log->fd);
	return err;
}

int record_log_open(const char *path, size_t entries_max, struct record_log **out)
{
	struct record_log *log = calloc(1, sizeof(*log));
	int err;

	if (!log)
		return -ENOMEM;
	log->lines_max = entries_max;
	err = map_file(log, path);
	if (err) {
		free(log);
		return err;
	}
	*out = log;
	return 0;
}

void record_log_close(struct record_log *log, size_t lines_nr)
{
	size_t len;

	if (!log)
		return;
	len = log->lines_max * LINE_BYTES;
	munmap(log->lines, len);
	if (lines_nr < log->lines_max && ftruncate(log->fd, (off_t)(lines_nr * LINE_BYTES)))
		log_warn("record: cannot cut the file behind its %zu lines: %s; zeroes follow them",
			 lines_nr, strerror(errno));
	close(log->fd);
	free(log);
}
