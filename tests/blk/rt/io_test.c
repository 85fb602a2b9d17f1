/* SPDX-License-Identifier: MIT */
/* struct rt_io on the ring: every operation, cancelling, and more of them than the ring has room. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/blk/rt/rt_test.h"

enum { BLOCK = 4096 };

static int temp_file(void)
{
	char path[] = "/tmp/blkfs-rt-io-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	unlink(path);
	return fd;
}

static int rw(int fd, uint8_t op, uint8_t flags, uint64_t off, struct iovec *iov, unsigned int nr)
{
	struct rt_io io = {
		.op = op, .flags = flags, .fd = fd, .off = off, .iov = iov, .iov_nr = nr
	};

	return rt_io_wait(&io);
}

/* ---- operations ------------------------------------------------------------------------------- */

static void read_write(int fd, uint8_t flags)
{
	static char out[2][BLOCK], in[2][BLOCK];
	struct iovec iov_out[2] = { { out[0], BLOCK }, { out[1], BLOCK } };
	struct iovec iov_in[2] = { { in[0], BLOCK }, { in[1], BLOCK } };

	memset(out[0], 'a' + flags, BLOCK);
	memset(out[1], 'A' + flags, BLOCK);
	memset(in, 0, sizeof(in));
	cr_expect_eq(rw(fd, RT_IO_WRITE, flags, BLOCK, iov_out, 2), 2 * BLOCK);
	cr_expect_eq(rw(fd, RT_IO_READ, flags, BLOCK, iov_in, 2), 2 * BLOCK);
	cr_expect_eq(memcmp(out, in, sizeof(in)), 0);
	cr_expect_eq(rw(fd, RT_IO_READ, flags, 2 * BLOCK, iov_in, 2), BLOCK, "the file ends there");
	cr_expect_eq(rw(-1, RT_IO_READ, flags, 0, iov_in, 2), -EBADF);
}

static int operations_main(void *arg)
{
	int fd = *(int *)arg;
	struct rt_io sync = { .op = RT_IO_FSYNC, .flags = RT_IO_DATASYNC, .fd = fd };
	struct rt_io grow = { .op = RT_IO_FALLOCATE, .fd = fd, .falloc_len = 100 * BLOCK };
	struct stat st;

	read_write(fd, 0);
	read_write(fd, RT_IO_INLINE);
	read_write(fd, RT_IO_NOWAIT_FIRST);
	cr_expect_eq(rt_io_wait(&sync), 0);
	sync.flags = 0;
	cr_expect_eq(rt_io_wait(&sync), 0);
	cr_expect_eq(rt_io_wait(&grow), 0);
	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_size, 100 * BLOCK);
	return 0;
}

Test(io, reads_writes_syncs_and_allocates)
{
	int fd = temp_file();

	cr_assert_eq(rt_test_run(1, operations_main, &fd), 0);
	close(fd);
}

/* A socket's command through the 80 byte area: Linux 6.7 has SIOCINQ there, older ones refuse. */
static int command_main(void *arg)
{
	struct rt_io io = { .op = RT_IO_URING_CMD, .fd = *(int *)arg, .cmd_op = 0 };
	int res = rt_io_wait(&io);

	cr_expect_eq(res, -EOPNOTSUPP, "a file without commands answered %d", res);
	return 0;
}

Test(io, a_command_reaches_the_file)
{
	int fd = temp_file();

	cr_assert_eq(rt_test_run(1, command_main, &fd), 0);
	close(fd);
}

/* ---- done is never called inside -------------------------------------------------------------- */

static unsigned int done_nr;
static struct task *waiter;

static void count_done(struct rt_io *io)
{
	done_nr++;
	rt_wake(waiter);
}

static int later_main(void *arg)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	struct rt_io io = {
		.op = RT_IO_READ,
		.flags = RT_IO_INLINE,
		.fd = *(int *)arg,
		.iov = &iov,
		.iov_nr = 1,
		.done = count_done,
	};

	done_nr = 0;
	waiter = rt_current();
	rt_io_submit(&io);
	cr_expect_eq(done_nr, 0);
	while (done_nr == 0)
		rt_park("read");
	cr_expect_eq(io.res, 0);
	return 0;
}

Test(io, done_comes_after_submit_even_in_place)
{
	int fd = temp_file();

	cr_assert_eq(rt_test_run(1, later_main, &fd), 0);
	close(fd);
}

/* ---- poll and cancel -------------------------------------------------------------------------- */

static int poll_main(void *arg)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct rt_io io = {
		.op = RT_IO_POLL,
		.fd = fd,
		.poll_events = POLLIN,
		.done = count_done,
	};

	done_nr = 0;
	waiter = rt_current();
	rt_io_submit(&io);
	rt_sleep_ns(100000);
	cr_expect_eq(done_nr, 0);
	cr_expect_eq(eventfd_write(fd, 1), 0);
	while (done_nr == 0)
		rt_park("poll");
	cr_expect(io.res & POLLIN);
	eventfd_read(fd, &(eventfd_t){ 0 });

	rt_io_submit(&io);
	rt_io_cancel(&io); /* in one turn with its submission */
	while (done_nr == 1)
		rt_park("cancel");
	cr_expect_eq(io.res, -ECANCELED);

	rt_io_submit(&io);
	rt_sleep_ns(100000);
	rt_io_cancel(&io);
	while (done_nr == 2)
		rt_park("cancel");
	cr_expect_eq(io.res, -ECANCELED);
	close(fd);
	return 0;
}

Test(io, a_poll_waits_and_can_be_cancelled)
{
	cr_assert_eq(rt_test_run(1, poll_main, NULL), 0);
}

/* ---- more than there is room for -------------------------------------------------------------- */

enum { MANY = 2000 };

static struct rt_io many[MANY];
static char many_bytes[MANY];
static struct iovec many_iov[MANY];

static int many_main(void *arg)
{
	unsigned int bad_nr = 0;

	done_nr = 0;
	waiter = rt_current();
	for (unsigned int i = 0; i < MANY; i++) {
		many_iov[i] = (struct iovec){ &many_bytes[i], 1 };
		many[i] = (struct rt_io){
			.op = RT_IO_READ,
			.fd = *(int *)arg,
			.off = i,
			.iov = &many_iov[i],
			.iov_nr = 1,
			.done = count_done,
		};
		rt_io_submit(&many[i]);
	}
	while (done_nr < MANY)
		rt_park("reads");
	for (unsigned int i = 0; i < MANY; i++)
		bad_nr += many[i].res != 1 || many_bytes[i] != (char)(i * 31);
	cr_expect_eq(bad_nr, 0);
	return 0;
}

Test(io, more_than_the_queues_hold_all_come_back)
{
	struct rt_config cfg = { .reactors_nr = 1, .ring_entries = 8, .tasks_max = 16 };
	int fd = temp_file();

	for (unsigned int i = 0; i < MANY; i++)
		many_bytes[i] = (char)(i * 31);
	cr_assert_eq(write(fd, many_bytes, MANY), MANY);
	memset(many_bytes, 0, MANY);
	cr_assert_eq(rt_test_run_cfg(&cfg, many_main, &fd), 0);
	close(fd);
}

/* All of them stay in the kernel until their event: more than the completion queue has room for. */
static int flood_main(void *arg)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	done_nr = 0;
	waiter = rt_current();
	for (unsigned int i = 0; i < MANY; i++) {
		many[i] = (struct rt_io){
			.op = RT_IO_POLL, .fd = fd, .poll_events = POLLIN, .done = count_done
		};
		rt_io_submit(&many[i]);
	}
	rt_sleep_ns(1000000);
	cr_expect_eq(done_nr, 0);
	cr_expect_eq(eventfd_write(fd, 1), 0);
	while (done_nr < MANY)
		rt_park("polls");
	close(fd);
	return 0;
}

Test(io, a_flood_of_completions_loses_none)
{
	struct rt_config cfg = { .reactors_nr = 1, .ring_entries = 8, .tasks_max = 16 };

	cr_assert_eq(rt_test_run_cfg(&cfg, flood_main, NULL), 0);
}
