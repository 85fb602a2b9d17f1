/* SPDX-License-Identifier: MIT */
/*
 * socket_test.c - the socket answers what it can whatever the tasks do.
 *
 * The client side runs in a thread of its own, the daemon's in the runtime.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "blkfs/control.h"
#include "tests/blk/rt/rt_test.h"

enum { STUCK_STORES = 3 };

static char socket_path[64];
static struct control_socket *cs;
static struct completion thaw;
static unsigned int stuck_nr; /* [atomic] */
static bool has_umount_come, has_abort_come;

static int value_show(void *obj, struct strbuf *out)
{
	strbuf_puts(out, "[none]\n");
	return 0;
}

static int value_store(void *obj, const char *buf, size_t len)
{
	return strcmp(buf, "none") ? -EINVAL : 0;
}

static int stuck_store(void *obj, const char *buf, size_t len)
{
	__atomic_add_fetch(&stuck_nr, 1, __ATOMIC_SEQ_CST);
	completion_wait(&thaw);
	return 0;
}

static int thaw_store(void *obj, const char *buf, size_t len)
{
	complete_all(&thaw);
	return 0;
}

static const struct attr attrs[] = {
	{ "scheduler", 0644, value_show, value_store },
	{ "stuck", 0200, NULL, stuck_store },
	{ "thaw", 0200, NULL, thaw_store },
};

static void hook_info(void *ctx, struct json *out)
{
	json_u64(out, "pid", 42);
}

static int hook_sync(void *ctx)
{
	return -EIO;
}

static int hook_abort(void *ctx)
{
	has_abort_come = true;
	return 0;
}

static int hook_umount(void *ctx, bool is_lazy, bool is_forced)
{
	has_umount_come = true;
	control_socket_unmounted(cs, is_forced ? 0 : -EBUSY, "in use");
	return 0;
}

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", socket_path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0, "%s", strerror(errno));
	return fd;
}

static void say(int fd, const char *line)
{
	cr_assert_eq(write(fd, line, strlen(line)), (ssize_t)strlen(line));
}

static const char *hear(int fd)
{
	static _Thread_local char line[65536];
	size_t len = 0;

	while (len + 1 < sizeof(line) && read(fd, line + len, 1) == 1 && line[len++] != '\n')
		;
	line[len] = 0;
	return line;
}

static void expect_answer(int fd, const char *request, const char *wanted)
{
	const char *got;

	say(fd, request);
	got = hear(fd);
	cr_expect(strstr(got, wanted), "%s got %s instead of %s", request, got, wanted);
}

struct client_run {
	void (*body)(void);
	struct rt_msg done;
	struct completion is_done;
};

static void client_done(struct rt_msg *msg)
{
	complete(&container_of(msg, struct client_run, done)->is_done);
}

static void *client_main(void *arg)
{
	struct client_run *run = arg;

	run->body();
	rt_post_foreign(0, &run->done);
	return NULL;
}

static int serve(void *arg)
{
	struct control_hooks hooks = {
		.info = hook_info, .sync = hook_sync, .abort = hook_abort, .umount = hook_umount
	};
	struct client_run run = { .body = arg, .done.fn = client_done };
	struct attr_dir *dir;
	struct stat st;
	pthread_t thread;

	snprintf(socket_path, sizeof(socket_path), "/tmp/blkfs-socket-test-%d", getpid());
	completion_init(&thaw);
	completion_init(&run.is_done);
	cr_assert_eq(attr_dir_add(attr_root(), "queue", attrs, ARRAY_SIZE(attrs), NULL, &dir), 0);
	cr_assert_eq(control_socket_start(socket_path, &hooks, &cs), 0);
	cr_expect_eq(stat(socket_path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600u);
	cr_assert_eq(pthread_create(&thread, NULL, client_main, &run), 0);
	completion_wait(&run.is_done);
	pthread_join(thread, NULL);
	control_socket_stop(cs);
	attr_dir_del(dir);
	cr_expect_neq(stat(socket_path, &st), 0, "the socket is gone");
	return 0;
}

static void ask_everything(void)
{
	int fd = dial();

	expect_answer(fd, "{\"op\":\"show\",\"path\":\"queue/scheduler\"}\n", "\"[none]\\n\"");
	expect_answer(fd, "{\"op\":\"show\",\"path\":\"queue/nothing\"}\n", "\"errno\": 2");
	expect_answer(fd, "{\"op\":\"store\",\"path\":\"queue/scheduler\",\"text\":\"none\"}\n",
		      "\"ok\": true");
	expect_answer(fd, "{\"op\":\"store\",\"path\":\"queue/scheduler\",\"text\":\"magic\"}\n",
		      "\"errno\": 22");
	expect_answer(fd, "{\"op\":\"list\",\"path\":\"queue\"}\n", "\"name\": \"stuck\"");
	expect_answer(fd, "{\"op\":\"list\",\"path\":\"queue/stuck\"}\n", "\"errno\": 20");
	expect_answer(fd, "{\"op\":\"info\"}\n", "\"info\": {\"pid\": 42}");
	expect_answer(fd, "{\"op\":\"sync\"}\n", "\"errno\": 5");
	expect_answer(fd, "{\"op\":\"abort\"}\n", "\"ok\": true");
	expect_answer(fd, "{\"op\":\"umount\"}\n", "\"error\": \"in use\"");
	expect_answer(fd, "{\"op\":\"umount\",\"force\":true}\n", "\"ok\": true");
	cr_expect(has_abort_come);
	cr_expect(has_umount_come);
	close(fd);
}

Test(control_socket, every_request_has_its_answer)
{
	rt_test_run(2, serve, ask_everything);
}

static void talk_nonsense(void)
{
	static const char *const lines[] = {
		"\n",
		"hello\n",
		"[]\n",
		"{}\n",
		"{\"op\":7}\n",
		"{\"op\":\"show\"}\n",
		"{\"op\":\"store\",\"path\":\"queue/scheduler\"}\n",
		"{\"op\":\"fly\"}\n",
		"{\"op\":\"show\",\"path\":[\"queue\"]}\n",
		"{\"op\":\"show\",\"path\":\"../..\"}\n",
	};
	static char flood[512 << 10];
	int fd = dial();

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		expect_answer(fd, lines[i], "\"ok\": false");
	/* Two requests in one write, the second cut in two. */
	say(fd, "{\"op\":\"info\"}\n{\"op\":");
	cr_expect(strstr(hear(fd), "\"pid\": 42"));
	expect_answer(fd, "\"info\"}\n", "\"pid\": 42");
	/* A line without an end is not kept for ever: the connection is closed. */
	memset(flood, 'x', sizeof(flood));
	(void)!send(fd, flood, sizeof(flood), MSG_NOSIGNAL);
	cr_expect_str_eq(hear(fd), "");
	close(fd);
	fd = dial();
	expect_answer(fd, "{\"op\":\"info\"}\n", "\"pid\": 42");
	close(fd);
}

Test(control_socket, nonsense_is_answered_and_hurts_nobody)
{
	rt_test_run(2, serve, talk_nonsense);
}

static void get_stuck_and_thaw(void)
{
	int stuck[STUCK_STORES], fd = dial();

	for (int i = 0; i < STUCK_STORES; i++) {
		stuck[i] = dial();
		say(stuck[i], "{\"op\":\"store\",\"path\":\"queue/stuck\",\"text\":\"\"}\n");
	}
	while (__atomic_load_n(&stuck_nr, __ATOMIC_SEQ_CST) < STUCK_STORES)
		expect_answer(fd, "{\"op\":\"info\"}\n", "\"pid\": 42");
	expect_answer(fd, "{\"op\":\"show\",\"path\":\"queue/scheduler\"}\n", "\"[none]\\n\"");
	close(stuck[0]); /* a client that leaves does not end its store */
	expect_answer(fd, "{\"op\":\"store\",\"path\":\"queue/thaw\",\"text\":\"\"}\n",
		      "\"ok\": true");
	for (int i = 1; i < STUCK_STORES; i++) {
		cr_expect(strstr(hear(stuck[i]), "\"ok\": true"));
		close(stuck[i]);
	}
	close(fd);
}

Test(control_socket, stores_that_hang_leave_room_for_the_one_that_frees_them)
{
	rt_test_run(1, serve, get_stuck_and_thaw);
}

/* A detached mount lives on while the next one at its place has a socket of the same name. */
static int succeed_each_other(void *arg)
{
	struct control_hooks hooks = { .info = hook_info };
	struct control_socket *older, *newer;
	struct stat st;

	snprintf(socket_path, sizeof(socket_path), "/tmp/blkfs-socket-test-%d", getpid());
	cr_assert_eq(control_socket_start(socket_path, &hooks, &older), 0);
	cr_assert_eq(control_socket_start(socket_path, &hooks, &newer), 0);
	control_socket_stop(older);
	cr_expect_eq(stat(socket_path, &st), 0, "the newer socket keeps its name");
	control_socket_stop(newer);
	cr_expect_neq(stat(socket_path, &st), 0, "the socket is gone");
	return 0;
}

Test(control_socket, an_older_one_leaves_the_name_to_the_newer)
{
	rt_test_run(1, succeed_each_other, NULL);
}
