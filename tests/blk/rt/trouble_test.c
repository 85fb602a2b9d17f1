/* SPDX-License-Identifier: MIT */
/* What happens in trouble, and what is seen from outside: overflow, dumps, idleness, counters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/blk/rt/rt_test.h"

#include "base/log.h"
#include "blkfs/attr.h"

/* ---- stack overflow --------------------------------------------------------------------------- */

static volatile unsigned int depth_stop = ~0u;

static __noinline unsigned int dive(unsigned int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	if (depth == depth_stop)
		return 0;
	return dive(depth + 1) + (unsigned int)frame[0];
}

static int dive_main(void *arg)
{
	return (int)dive(0);
}

static __noreturn void overflow_child(void)
{
	struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	close(STDERR_FILENO); /* a sanitizer's report */
	_exit(rt_test_run(1, dive_main, NULL) < 0 ? 101 : 102);
}

Test(trouble, a_stack_overflow_ends_the_process_at_the_guard_page)
{
	pid_t child = fork();
	int status;

	cr_assert_geq(child, 0);
	if (child == 0)
		overflow_child();
	cr_assert_eq(waitpid(child, &status, 0), child);
	/* A sanitizer turns the signal into an exit code of its own. */
	cr_assert(WIFSIGNALED(status) || (WEXITSTATUS(status) != 101 && WEXITSTATUS(status) != 102),
		  "status %x", status);
}

/* ---- dumps ------------------------------------------------------------------------------------ */

static char log_text[8192];
static size_t log_len;

static void log_catch(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
	size_t len = strlen(line);

	if (log_len + len + 2 > sizeof(log_text))
		return;
	memcpy(log_text + log_len, line, len);
	log_len += len;
	log_text[log_len++] = '\n';
}

static struct task *lost_task;

static void wait_for_nothing(void *arg)
{
	lost_task = rt_current();
	rt_park("something that never comes");
	lost_task = NULL;
}

static int dump_main(void *arg)
{
	cr_expect_eq(rt_spawn(wait_for_nothing, NULL, "lost"), 0);
	rt_yield();
	log_set_sink(log_catch, NULL);
	rt_tasks_dump();
	log_set_sink(NULL, NULL);
	rt_wake(lost_task);
	rt_yield();
	return 0;
}

Test(trouble, a_dump_says_who_waits_for_what)
{
	log_len = 0;
	cr_assert_eq(rt_test_run(1, dump_main, NULL), 0);
	cr_expect_not_null(strstr(log_text, "lost: parked on something that never comes"), "%s",
			   log_text);
	cr_expect_not_null(strstr(log_text, "main: ready"), "%s", log_text);
}

static int leave_main(void *arg)
{
	cr_expect_eq(rt_spawn(wait_for_nothing, NULL, "lost"), 0);
	rt_yield();
	return 9;
}

Test(trouble, a_task_that_is_left_at_the_end_is_named)
{
	log_len = 0;
	log_set_sink(log_catch, NULL);
	cr_assert_eq(rt_test_run(1, leave_main, NULL), 9);
	log_set_sink(NULL, NULL);
	cr_expect_not_null(strstr(log_text, "1 tasks have not ended"), "%s", log_text);
	cr_expect_not_null(strstr(log_text, "lost: parked on"), "%s", log_text);
}

/* ---- idleness and counters -------------------------------------------------------------------- */

static uint64_t attr_number(const char *path)
{
	struct strbuf out;
	char buf[64];

	strbuf_init(&out, buf, sizeof(buf));
	cr_expect_eq(attr_show(path, &out), 0, "%s", path);
	return strtoull(buf, NULL, 10);
}

static uint64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int idle_main(void *arg)
{
	uint64_t begin_us, turns;

	cr_expect_eq(rt_publish(attr_root()), 0);
	rt_sleep_ns(50000000); /* what the start stirred up settles */
	begin_us = cpu_us();
	turns = attr_number("reactor/0/turns") + attr_number("reactor/1/turns");
	rt_sleep_ns(300000000);
	turns = attr_number("reactor/0/turns") + attr_number("reactor/1/turns") - turns;
	cr_expect_lt(cpu_us() - begin_us, 15000, "5 %% of the time at most");
	cr_expect_leq(turns, 4);
	return 0;
}

Test(trouble, an_idle_runtime_uses_no_cpu)
{
	struct rt_config cfg = { .reactors_nr = 2, .spin_us = 50, .tasks_max = 8 };

	cr_assert_eq(rt_test_run_cfg(&cfg, idle_main, NULL), 0);
}

static void nothing(void *arg)
{
}

static int counters_main(void *arg)
{
	cr_expect_eq(rt_publish(attr_root()), 0);
	for (int i = 0; i < 10; i++)
		cr_expect_eq(rt_call_on(1, nothing, NULL), 0);
	cr_expect_eq(rt_spawn(nothing, NULL, "nothing"), 0);
	cr_expect_eq(attr_number("reactor/0/tasks"), 2);
	rt_yield();
	cr_expect_eq(attr_number("reactor/0/tasks"), 1);
	cr_expect_eq(attr_number("reactor/0/tasks_peak"), 2);
	cr_expect_geq(attr_number("reactor/1/msgs"), 10);
	cr_expect_geq(attr_number("reactor/0/msgs"), 10, "the wake-ups");
	cr_expect_gt(attr_number("reactor/1/turns"), 0);
	cr_expect_gt(attr_number("reactor/1/sleeps"), 0);
	cr_expect_gt(attr_number("reactor/0/wakeups"), 0);
	return 0;
}

Test(trouble, counters_are_published_until_the_end)
{
	struct rt_config cfg = { .reactors_nr = 2, .tasks_max = 8 };
	struct strbuf out;
	char buf[64];

	cr_assert_eq(rt_test_run_cfg(&cfg, counters_main, NULL), 0);
	strbuf_init(&out, buf, sizeof(buf));
	cr_assert_eq(attr_show("reactor/0/turns", &out), -ENOENT);
}
