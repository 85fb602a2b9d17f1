/* SPDX-License-Identifier: MIT */
/*
 * A kernel that takes no submissions for a while: io_uring_submit() is wrapped by the linker and
 * refuses as often as told.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/blk/rt/rt_test.h"

enum { POLLS_NR = 40 };

/* The linker's names for the wrapper and the wrapped. */
int __wrap_io_uring_submit(struct io_uring *uring);
int __real_io_uring_submit(struct io_uring *uring);

static unsigned int refusals_nr;

int __wrap_io_uring_submit(struct io_uring *uring)
{
	if (refusals_nr > 0) {
		refusals_nr--;
		return -EAGAIN;
	}
	return __real_io_uring_submit(uring);
}

static struct rt_io polls[POLLS_NR];
static unsigned int done_nr, cancelled_nr;
static struct task *waiter;

static void count_done(struct rt_io *io)
{
	done_nr++;
	cancelled_nr += io->res == -ECANCELED;
	rt_wake(waiter);
}

static void submit_polls(int fd)
{
	done_nr = cancelled_nr = 0;
	waiter = rt_current();
	for (unsigned int i = 0; i < POLLS_NR; i++) {
		polls[i] = (struct rt_io){
			.op = RT_IO_POLL, .fd = fd, .poll_events = POLLIN, .done = count_done
		};
		rt_io_submit(&polls[i]);
	}
}

static int refused_main(void *arg)
{
	int fd = eventfd(1, EFD_CLOEXEC);

	refusals_nr = 100;
	submit_polls(fd);
	while (done_nr < POLLS_NR)
		rt_park("polls");
	cr_expect_eq(refusals_nr, 0);
	cr_expect_eq(cancelled_nr, 0);
	close(fd);
	return 0;
}

/* Eight fit in the queue, the others wait outside: both kinds, and each asked for twice. */
static int cancel_main(void *arg)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	refusals_nr = 300;
	submit_polls(fd);
	for (unsigned int round = 0; round < 2; round++)
		for (unsigned int i = 0; i < POLLS_NR; i++)
			rt_io_cancel(&polls[i]);
	while (done_nr < POLLS_NR)
		rt_park("cancels");
	cr_expect_eq(cancelled_nr, POLLS_NR);
	close(fd);
	return 0;
}

static const struct rt_config small_ring = {
	.reactors_nr = 1, .ring_entries = 8, .tasks_max = 8, .spin_us = 10
};

Test(backlog, what_the_kernel_refuses_goes_later)
{
	cr_assert_eq(rt_test_run_cfg(&small_ring, refused_main, NULL), 0);
}

Test(backlog, what_waits_for_the_kernel_can_be_cancelled)
{
	cr_assert_eq(rt_test_run_cfg(&small_ring, cancel_main, NULL), 0);
}
