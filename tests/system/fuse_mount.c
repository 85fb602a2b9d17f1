/* SPDX-License-Identifier: MIT */
/*
 * A mount of the in-memory double for one test: see fuse_mount.h.
 */
#include "tests/system/fuse_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/test.h"

enum { WORDS_MAX = 24, IMAGE_BYTES = 32 << 20, PATHS_NR = 8 };

uint64_t mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

const char *mount_path(const struct mount *m, const char *name)
{
	static char paths[PATHS_NR][2 * MOUNT_PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % PATHS_NR];

	snprintf(path, sizeof(paths[0]), "%s/%s", m->dir, name);
	return path;
}

static void image_make(struct mount *m)
{
	int fd;

	snprintf(m->image, sizeof(m->image), "/tmp/fuse_test_image.XXXXXX");
	fd = mkstemp(m->image);
	cr_assert(fd >= 0, "%s: %s", m->image, strerror(errno));
	cr_assert_eq(ftruncate(fd, IMAGE_BYTES), 0);
	close(fd);
}

static void daemon_exec(const struct mount *m, char *words, int out_fd)
{
	static char blk[MOUNT_PATH_MAX + 8];
	char *argv[WORDS_MAX + 4] = { FUSE_DOUBLE_PATH, (char *)(uintptr_t)m->dir };
	int argc = 2;
	char *word;

	while ((word = strsep(&words, " ")) != NULL && argc < WORDS_MAX)
		if (*word)
			argv[argc++] = word;
	snprintf(blk, sizeof(blk), "blk=%s", m->image);
	if (m->image[0])
		argv[argc++] = blk;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out_fd, STDOUT_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

static bool line_take(struct mount *m)
{
	size_t len = strlen(m->said);

	return fgets(m->said + len, (int)(sizeof(m->said) - len), m->out) != NULL;
}

void mount_start(struct mount *m, bool is_blk, const char *words)
{
	char copy[512];
	int fds[2];

	memset(m, 0, sizeof(*m));
	snprintf(m->dir, sizeof(m->dir), "/tmp/fuse_test.XXXXXX");
	cr_assert(mkdtemp(m->dir) != NULL);
	if (is_blk)
		image_make(m);
	snprintf(copy, sizeof(copy), "%s", words);
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	m->pid = fork();
	if (m->pid == 0)
		daemon_exec(m, copy, fds[1]);
	close(fds[1]);
	m->out = fdopen(fds[0], "r");
	while (!strstr(m->said, "ready"))
		cr_assert(line_take(m), "fuse_double %s %s: not mounted", m->dir, words);
}

int mount_join(struct mount *m)
{
	int status;

	while (line_take(m))
		;
	fclose(m->out);
	cr_assert_eq(waitpid(m->pid, &status, 0), m->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void mount_clean(struct mount *m)
{
	umount2(m->dir, MNT_DETACH);
	rmdir(m->dir);
	if (m->image[0])
		unlink(m->image);
}

void mount_end(struct mount *m)
{
	int res = umount2(m->dir, 0);

	/* A handle that was closed a moment ago may still be on its way. */
	for (int i = 0; i < 50 && res < 0 && errno == EBUSY; i++) {
		usleep(20000);
		res = umount2(m->dir, 0);
	}
	cr_assert_eq(res, 0, "umount %s: %s", m->dir, strerror(errno));
	cr_assert_eq(mount_join(m), 0, "the daemon said: %s", m->said);
	mount_clean(m);
}
