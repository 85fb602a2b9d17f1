/* SPDX-License-Identifier: MIT */
/* What the tests of the direct driver share: files that go away, a log that is remembered. */
#ifndef TESTS_BLK_DRV_DRV_TEST_H
#define TESTS_BLK_DRV_DRV_TEST_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "blkfs/rt.h"

struct temp_file {
	char path[256];
};

static inline void temp_file_make(struct temp_file *t, const char *dir, off_t size)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	snprintf(t->path, sizeof(t->path), "%s/blkfs-drv-XXXXXX", dir ? dir : tmp ? tmp : "/tmp");
	fd = mkstemp(t->path);
	cr_assert(fd >= 0, "no file can be made at %s", t->path);
	cr_assert(ftruncate(fd, size) == 0);
	close(fd);
}

static inline void temp_file_remove(struct temp_file *t)
{
	unlink(t->path);
}

/* Does a line of the log hold @text? */
static inline bool log_says(const char *text)
{
	static char lines[LOG_RING_LINES * LOG_LINE_MAX];
	struct strbuf sb;

	strbuf_init(&sb, lines, sizeof(lines));
	log_copy(&sb);
	return strstr(lines, text) != NULL;
}

static inline int drv_test_run(unsigned int reactors_nr, int (*fn)(void *arg), void *arg)
{
	const struct rt_config cfg = { .reactors_nr = reactors_nr, .tasks_max = 64 };
	int ret = rt_init(&cfg);

	if (ret == 0) {
		ret = rt_run(fn, arg);
		rt_fini();
	}
	return ret;
}

#endif
