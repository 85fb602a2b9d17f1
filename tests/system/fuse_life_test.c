/* SPDX-License-Identifier: MIT */
/*
 * The front's life on a real mount, both transports: unmounts that wait, kills, aborts, and what is
 * left afterwards: nothing. Needs root, /dev/fuse and a free loop device.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"

#include "tests/lib/test.h"
#include "tests/system/fuse_mount.h"

enum { READERS = 40, NOBODY = 65534 };

TestSuite(fuse_life, .fini = mount_fini);

static const char *const transports[] = { "transport=uring", "transport=classic" };

#define EACH_TRANSPORT(t)                                                                          \
	for (size_t t##_i = 0; t##_i < ARRAY_SIZE(transports); t##_i++)                            \
		for (const char *t = transports[t##_i]; t; t = NULL)

static void mount_with(struct mount *m, bool is_blk, const char *transport, const char *words)
{
	char all[256];

	snprintf(all, sizeof(all), "%s %s", transport, words);
	mount_start(m, is_blk, all);
}

/* A child that reads one block of `slow`, directly; it leaves with the errno. */
static pid_t reader_start(const struct mount *m, int block)
{
	const char *path = mount_path(m, "slow");
	pid_t pid = fork();

	if (pid == 0) {
		char *buf = aligned_alloc(4096, 4096);
		int fd = open(path, O_RDONLY | O_DIRECT);

		_exit(fd < 0 || pread(fd, buf, 4096, block * 4096L) < 0 ? errno : 0);
	}
	return pid;
}

/* The child's end within @limit_ms; what it left with, or -signal; -ETIMEDOUT. */
static int child_join(pid_t pid, uint64_t limit_ms)
{
	uint64_t end_ms = mono_ms() + limit_ms;
	int status;

	while (mono_ms() < end_ms) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
		usleep(5000);
	}
	return -ETIMEDOUT;
}

/* ---- who waits for whom ---------------------------------------------------------------------------- */

Test(fuse_life, syncfs_and_umount_of_a_fuseblk_mount_wait_for_the_file_system)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		uint64_t begin_ms;
		int fd;

		mount_with(&m, true, t, "sync_ms=400");
		fd = open(m.dir, O_RDONLY);
		begin_ms = mono_ms();
		cr_expect_eq(syncfs(fd), 0);
		cr_expect_geq(mono_ms() - begin_ms, 400, "%s: syncfs did not wait", t);
		close(fd);
		begin_ms = mono_ms();
		cr_assert_eq(umount2(m.dir, 0), 0, "%s", strerror(errno));
		cr_expect_geq(mono_ms() - begin_ms, 400, "%s: umount did not wait", t);
		cr_expect_eq(mount_join(&m), 0);
		cr_expect(strstr(m.said, "unmount") != NULL);
		mount_clean(&m);
	}
}

Test(fuse_life, the_loop_device_of_an_image_is_given_back)
{
	struct mount m;
	char cmd[512];

	mount_with(&m, true, transports[0], "");
	snprintf(cmd, sizeof(cmd), "losetup -j %s | grep -q loop", m.image);
	cr_expect_eq(system(cmd), 0);
	cr_assert_eq(umount2(m.dir, 0), 0);
	cr_expect_eq(mount_join(&m), 0);
	for (int i = 0; i < 100 && system(cmd) == 0; i++)
		usleep(20000); /* the kernel clears it after the last close */
	cr_expect_neq(system(cmd), 0);
	mount_clean(&m);
}

Test(fuse_life, files_left_open_by_a_lazy_unmount_end_when_they_are_closed)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		char byte;
		int fd;

		mount_with(&m, false, t, "");
		fd = open(mount_path(&m, "pattern"), O_RDONLY);
		cr_assert(fd >= 0);
		cr_assert_eq(kill(m.pid, SIGTERM), 0);
		usleep(100000);
		cr_expect_eq(pread(fd, &byte, 1, 8 << 20), 1, "%s: %s", t, strerror(errno));
		close(fd);
		cr_expect_eq(mount_join(&m), 0, "%s", m.said);
		mount_clean(&m);
	}
}

/* /dev/fuse is root's alone on some machines: opened for the test, put back in any case. */
static mode_t dev_fuse_mode;

static void dev_fuse_open(void)
{
	struct stat st;

	cr_assert_eq(stat("/dev/fuse", &st), 0);
	dev_fuse_mode = st.st_mode & 07777;
	cr_assert_eq(chmod("/dev/fuse", 0666), 0);
}

static void dev_fuse_restore(void)
{
	chmod("/dev/fuse", dev_fuse_mode);
}

Test(fuse_life, without_root_fusermount3_mounts_for_the_user_alone, .init = dev_fuse_open,
     .fini = dev_fuse_restore)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		struct stat st;

		mount_start_as(&m, NOBODY, t);
		cr_expect(stat(mount_path(&m, "pattern"), &st) == -1 && errno == EACCES);
		cr_assert_eq(kill(m.pid, SIGTERM), 0);
		cr_expect_eq(mount_join(&m), 0, "%s", m.said);
		cr_expect(strstr(m.said, "unmount") != NULL);
		mount_clean(&m);
	}
}

/* ---- ends by force ---------------------------------------------------------------------------------- */

Test(fuse_life, a_killed_reader_is_gone_when_its_request_is)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		pid_t pid;

		mount_with(&m, false, t, "slow_ms=600");
		pid = reader_start(&m, 0);
		usleep(150000);
		kill(pid, SIGKILL);
		cr_expect_eq(child_join(pid, 2000), -SIGKILL, "%s: it stays", t);
		cr_expect_eq(access(mount_path(&m, "pattern"), R_OK), 0);
		mount_end(&m);
	}
}

Test(fuse_life, the_control_tree_answers_while_many_requests_are_stuck)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		pid_t pids[READERS];
		uint64_t begin_ms;
		struct stat st;

		mount_with(&m, false, t, "slow_ms=1500");
		for (int i = 0; i < READERS; i++)
			pids[i] = reader_start(&m, i);
		usleep(300000);
		begin_ms = mono_ms();
		cr_expect_eq(stat(mount_path(&m, ".blkfs/pattern"), &st), 0);
		cr_expect_lt(mono_ms() - begin_ms, 700, "%s", t);
		for (int i = 0; i < READERS; i++)
			cr_expect_eq(child_join(pids[i], 5000), 0);
		mount_end(&m);
	}
}

Test(fuse_life, umount_by_force_fails_the_waiting_and_ends_the_daemon_cleanly)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		pid_t pid;
		int res;

		mount_with(&m, false, t, "slow_ms=500");
		pid = reader_start(&m, 0);
		usleep(150000);
		umount2(m.dir, MNT_FORCE); /* EBUSY, but the connection is cut */
		res = child_join(pid, 3000);
		cr_expect(res == ECONNABORTED || res == ENOTCONN, "%s: reader left with %d", t,
			  res);
		umount2(m.dir, MNT_DETACH);
		cr_expect_eq(mount_join(&m), 0, "%s", m.said);
		mount_clean(&m);
	}
}

Test(fuse_life, abort_from_inside_fails_the_waiting_and_ends)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		pid_t pid;
		int res;

		mount_with(&m, true, t, "slow_ms=500");
		pid = reader_start(&m, 0);
		usleep(150000);
		kill(m.pid, SIGUSR1);
		res = child_join(pid, 3000);
		cr_expect(res == ECONNABORTED || res == ENOTCONN, "%s: reader left with %d", t,
			  res);
		cr_expect_eq(mount_join(&m), 0, "%s", m.said);
		mount_clean(&m);
	}
}

Test(fuse_life, the_daemon_killed_leaves_errors_and_a_directory_that_unmounts)
{
	struct mount m;

	EACH_TRANSPORT(t) for (int is_blk = 0; is_blk < 2; is_blk++)
	{
		struct stat st;
		pid_t pid;

		mount_with(&m, is_blk, t, "slow_ms=60000");
		pid = reader_start(&m, 0);
		usleep(150000);
		kill(m.pid, SIGKILL);
		cr_expect_gt(child_join(pid, 5000), 0, "%s: the reader hangs", t);
		cr_expect_eq(mount_join(&m), -SIGKILL);
		cr_expect(stat(mount_path(&m, "pattern"), &st) == -1 && errno == ENOTCONN);
		cr_expect_eq(umount2(m.dir, 0), 0, "%s", strerror(errno));
		mount_clean(&m);
	}
}

Test(fuse_life, sigterm_under_load_ends_with_everything_released)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		pid_t pids[8];

		mount_with(&m, false, t, "slow_ms=20");
		for (int i = 0; i < 8; i++) {
			const char *path = mount_path(&m, "slow");

			pids[i] = fork();
			if (pids[i] == 0) {
				char buf[4096];
				int fd = open(path, O_RDONLY);

				for (int n = 0; n < 50; n++)
					if (pread(fd, buf, 4096, (n * 8 + i) * 1048576L) < 0)
						_exit(errno);
				_exit(0);
			}
		}
		usleep(200000);
		cr_assert_eq(kill(m.pid, SIGTERM), 0);
		for (int i = 0; i < 8; i++)
			cr_expect_eq(child_join(pids[i], 10000), 0);
		cr_expect_eq(mount_join(&m), 0, "%s", m.said);
		mount_clean(&m);
	}
}

/* ---- at rest ----------------------------------------------------------------------------------------- */

static unsigned long cpu_ticks(pid_t pid)
{
	unsigned long user = 0, sys = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	cr_assert(f != NULL);
	cr_assert_eq(fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &sys),
		     2);
	fclose(f);
	return user + sys;
}

Test(fuse_life, an_idle_mount_uses_no_cpu)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		unsigned long before;

		mount_with(&m, false, t, "");
		cr_expect_eq(access(mount_path(&m, "pattern"), R_OK), 0);
		usleep(300000);
		before = cpu_ticks(m.pid);
		usleep(1000000);
		cr_expect_leq(cpu_ticks(m.pid) - before, 1, "%s", t);
		mount_end(&m);
	}
}
