/* SPDX-License-Identifier: MIT */
/*
 * What Criterion 2.4.1 leaves out: its --timeout is read and never applied, and the process of a
 * test outlives a runner that is killed.
 *
 * BLKFS_TEST_TIMEOUT is the limit in seconds of a test that names none; one that does gets its
 * own, times BLKFS_TIMEOUT_SCALE (sanitizers are slow). ctest sets both.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <criterion/hooks.h>

#include "tests/lib/test.h"

static double number_of(const char *variable, double otherwise)
{
	const char *text = getenv(variable);

	return text != NULL ? strtod(text, NULL) : otherwise;
}

ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
	double default_s = number_of("BLKFS_TEST_TIMEOUT", 0);
	double scale = number_of("BLKFS_TIMEOUT_SCALE", 1);

	FOREACH_SET(struct criterion_suite_set *suite, set->suites) {
		if (suite->tests == NULL)
			continue;
		FOREACH_SET(struct criterion_test *test, suite->tests)
			test->data->timeout = test->data->timeout > 0 ? test->data->timeout * scale
								      : default_s;
	}
}

/* Criterion starts a test's process by executing the binary again, with this variable. */
static void __attribute__((constructor)) end_with_the_runner(void)
{
	if (getenv("BXFI_MAP") != NULL)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
}
