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
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/test.h"

enum { WORDS_MAX = 24, IMAGE_BYTES = 32 << 20, PATHS_NR = 8, COPY_BYTES = 65536 };

/* The mount that a failing test leaves; "" for none. One test has one mount at a time. */
static char left_dir[MOUNT_PATH_MAX];

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
	char *argv[WORDS_MAX + 4] = { (char *)(uintptr_t)m->binary, (char *)(uintptr_t)m->dir };
	int argc = 2;
	char *word;

	while ((word = strsep(&words, " ")) != NULL && argc < WORDS_MAX)
		if (*word)
			argv[argc++] = word;
	if (m->uid && (setgid(m->uid) || setuid(m->uid)))
		_exit(126);
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

static void dir_make(struct mount *m)
{
	memset(m, 0, sizeof(*m));
	snprintf(m->dir, sizeof(m->dir), "/tmp/fuse_test.XXXXXX");
	cr_assert(mkdtemp(m->dir) != NULL);
	memcpy(left_dir, m->dir, sizeof(left_dir));
	snprintf(m->binary, sizeof(m->binary), "%s", FUSE_DOUBLE_PATH);
}

static void daemon_start(struct mount *m, const char *words)
{
	char copy[512];
	int fds[2];

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

void mount_start(struct mount *m, bool is_blk, const char *words)
{
	dir_make(m);
	if (is_blk)
		image_make(m);
	daemon_start(m, words);
}

/* Where anybody can run it: a build folder may be its owner's alone. */
static void binary_copy(struct mount *m)
{
	int from = open(FUSE_DOUBLE_PATH, O_RDONLY | O_CLOEXEC), to;
	char *buf = malloc(COPY_BYTES);
	ssize_t len;

	snprintf(m->binary, sizeof(m->binary), "/tmp/fuse_test_binary.XXXXXX");
	to = mkstemp(m->binary);
	cr_assert(from >= 0 && to >= 0 && buf);
	while ((len = read(from, buf, COPY_BYTES)) > 0)
		cr_assert_eq(write(to, buf, (size_t)len), len);
	cr_assert_eq(fchmod(to, 0755), 0);
	close(from);
	close(to);
	free(buf);
}

void mount_start_as(struct mount *m, uid_t uid, const char *words)
{
	dir_make(m);
	binary_copy(m);
	m->uid = uid;
	cr_assert_eq(chown(m->dir, uid, uid), 0);
	daemon_start(m, words);
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
	if (m->uid)
		unlink(m->binary);
	left_dir[0] = 0;
}

void mount_fini(void)
{
	if (left_dir[0]) {
		umount2(left_dir, MNT_DETACH);
		rmdir(left_dir);
	}
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
