/* SPDX-License-Identifier: MIT */
/*
 * The plain runner: every test in a fork() of its own, one after another, Criterion's options.
 *
 * Invariants: 1. The runner starts no thread, so that fork() is safe under ThreadSanitizer.
 *             2. A test passes only if it ended the way its options say and no assertion failed.
 *             3. A test that outlives its limit is killed with the processes of its group.
 */
#include "tests/lib/test_plain.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_PASSED = 0, EXIT_FAILED = 1, EXIT_SKIPPED = 113 };

static struct plain_test *tests;
static struct plain_test **tests_tail = &tests;
static struct plain_suite *suites;
static double default_timeout_s;
static double timeout_scale = 1;
static bool has_failed; /* in the test's process */

void plain_register(struct plain_test *test)
{
	*tests_tail = test;
	tests_tail = &test->next;
}

void plain_register_suite(struct plain_suite *suite)
{
	suite->next = suites;
	suites = suite;
}

/* The test's own way out: exit handlers run, so that leaks and races are reported. */
static void leave(int code)
{
	fflush(NULL);
	exit(code);
}

void plain_fail(bool is_fatal, const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: assertion failed: %s", file, line, what);
	/* The format comes with a space before it. */
	if (fmt[1] != '\0') {
		va_start(args, fmt);
		fputc(':', stderr);
		vfprintf(stderr, fmt, args);
		va_end(args);
	}
	fputc('\n', stderr);
	has_failed = true;
	if (is_fatal)
		leave(EXIT_FAILED);
}

void plain_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("skipped:", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	leave(EXIT_SKIPPED);
	abort();
}

void plain_log(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

static const struct plain_options *suite_options(const struct plain_test *test)
{
	static const struct plain_options none;

	for (const struct plain_suite *suite = suites; suite != NULL; suite = suite->next)
		if (strcmp(suite->name, test->suite) == 0)
			return &suite->options;
	return &none;
}

static void run_in_child(const struct plain_test *test, const struct plain_options *suite)
{
	void (*init)(void) = test->options.init != NULL ? test->options.init : suite->init;
	void (*fini)(void) = test->options.fini != NULL ? test->options.fini : suite->fini;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (init != NULL)
		init();
	test->run();
	if (fini != NULL)
		fini();
	leave(has_failed ? EXIT_FAILED : EXIT_PASSED);
}

/* Waits for @child at most @limit_s seconds (0: for ever). Returns whether it had to be killed. */
static bool wait_or_kill(pid_t child, double limit_s, int *status)
{
	const struct timespec nap = { .tv_nsec = 2000000 };
	struct timespec begin, now;
	bool is_late = false;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (waitpid(child, status, WNOHANG) == 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		is_late = limit_s > 0 && (double)(now.tv_sec - begin.tv_sec) > limit_s;
		if (is_late) {
			kill(-child, SIGKILL);
			kill(child, SIGKILL);
			waitpid(child, status, 0);
			break;
		}
		nanosleep(&nap, NULL);
	}
	return is_late;
}

/* Did the test end as @options say? Prints what was wrong otherwise. */
static bool judge(const struct plain_options *options, int status, bool is_late, double limit_s)
{
	if (is_late) {
		fprintf(stderr, "killed after %.0f s\n", limit_s);
		return false;
	}
	if (WIFSIGNALED(status)) {
		if (WTERMSIG(status) == options->signal)
			return true;
		fprintf(stderr, "died of signal %d (%s)\n", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
		return false;
	}
	if (options->signal != 0) {
		fprintf(stderr, "did not die of signal %d\n", options->signal);
		return false;
	}
	if (WEXITSTATUS(status) == EXIT_SKIPPED && options->exit_code == 0)
		return true;
	if (WEXITSTATUS(status) != options->exit_code)
		fprintf(stderr, "exit code %d, expected %d\n", WEXITSTATUS(status),
			options->exit_code);
	return WEXITSTATUS(status) == options->exit_code;
}

static bool run_test(const struct plain_test *test)
{
	const struct plain_options *suite = suite_options(test);
	double limit_s = test->options.timeout > 0 ? test->options.timeout * timeout_scale
						   : default_timeout_s;
	bool is_late, has_passed;
	int status = 0;
	pid_t child;

	if (test->options.disabled || suite->disabled)
		return true;
	fflush(NULL);
	child = fork();
	if (child < 0) {
		perror("fork");
		return false;
	}
	if (child == 0)
		run_in_child(test, suite);
	is_late = wait_or_kill(child, limit_s, &status);
	has_passed = judge(&test->options, status, is_late, limit_s);
	printf("[%s] %s::%s\n", has_passed ? "PASS" : "FAIL", test->suite, test->name);
	return has_passed;
}

static double number_of(const char *variable, double otherwise)
{
	const char *text = getenv(variable);

	return text != NULL ? strtod(text, NULL) : otherwise;
}

/* The arguments of Criterion that blkfs uses: --filter PATTERN and --list. */
int main(int argc, char **argv)
{
	const char *filter = "*";
	unsigned int tested_nr = 0, failed_nr = 0;
	bool is_list = false;

	default_timeout_s = number_of("BLKFS_TEST_TIMEOUT", 0);
	timeout_scale = number_of("BLKFS_TIMEOUT_SCALE", 1);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
			filter = argv[++i];
		else if (strcmp(argv[i], "--list") == 0)
			is_list = true;
	}
	for (const struct plain_test *test = tests; test != NULL; test = test->next) {
		char name[256];

		snprintf(name, sizeof(name), "%s/%s", test->suite, test->name);
		if (fnmatch(filter, name, 0) != 0)
			continue;
		if (is_list) {
			puts(name);
			continue;
		}
		tested_nr++;
		failed_nr += !run_test(test);
	}
	printf("Tested: %u | Passing: %u | Failing: %u\n", tested_nr, tested_nr - failed_nr,
	       failed_nr);
	return failed_nr != 0;
}
