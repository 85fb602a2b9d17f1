/* SPDX-License-Identifier: MIT */
/*
 * daemon.c - one fork, one pipe, two places for the log.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#include "cmd.h"

static int ready_fd = -1; /* the daemon's end of the pipe; -1 in the foreground */

static void to_terminal(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
	if (level == LOG_LEVEL_INFO)
		fprintf(stderr, "blkfs: %s\n", line);
	else
		fprintf(stderr, "blkfs: %s: %s\n", log_level_name(level), line);
}

static void to_syslog(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

	syslog(priorities[level], "%s", line);
}

/* Lines carry the time since boot, as the kernel's do. */
static uint64_t boot_time_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void daemon_log_to_terminal(void)
{
	log_set_clock(boot_time_ns);
	log_set_sink(to_terminal, NULL);
}

/* Hands signals of the terminal on, so that Ctrl-C ends a mount that has not come up yet. */
static pid_t waited_for;

static void pass_on(int sig)
{
	kill(waited_for, sig);
}

static int wait_until_ready(pid_t child, int fd)
{
	struct sigaction sa = { .sa_handler = pass_on };
	char code;
	ssize_t n;
	int status;

	waited_for = child;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	do
		n = read(fd, &code, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return EXIT_OK;
	/* The pipe closed without a word: the daemon has ended, and said why. */
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_MOUNT;
	fprintf(stderr, "blkfs mount: the daemon ended by signal %d (%s) before the mount stood\n",
		WTERMSIG(status), strsignal(WTERMSIG(status)));
	return EXIT_BUG;
}

int daemon_start(bool is_background)
{
	int fds[2];
	pid_t child;

	if (!is_background)
		return -1;
	if (pipe2(fds, O_CLOEXEC)) {
		fprintf(stderr, "blkfs mount: no pipe to the daemon: %s\n", strerror(errno));
		return EXIT_SYSTEM;
	}
	child = fork();
	if (child < 0) {
		fprintf(stderr, "blkfs mount: cannot start the daemon: %s\n", strerror(errno));
		close(fds[0]);
		close(fds[1]);
		return EXIT_SYSTEM;
	}
	if (child) {
		int code;

		close(fds[1]);
		code = wait_until_ready(child, fds[0]);
		close(fds[0]);
		return code;
	}
	close(fds[0]);
	ready_fd = fds[1];
	setsid();
	return -1;
}

void daemon_ready(void)
{
	int null;

	if (ready_fd < 0)
		return;
	openlog("blkfs", LOG_PID, LOG_DAEMON);
	log_set_sink(to_syslog, NULL);
	if (chdir("/"))
		log_warn("the daemon keeps its working directory busy: %s", strerror(errno));
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		close(null);
	if (write(ready_fd, "", 1) != 1)
		log_warn("who started the mount is gone");
	close(ready_fd);
	ready_fd = -1;
}
