/* SPDX-License-Identifier: MIT */
/*
 * socket.c - the second door: a thread that answers when every FUSE entry, task and tag is taken.
 *
 * S1. show, list, info, abort and umount are answered or begun by the thread itself. store and sync
 *     may sleep: one of STORE_TASKS tasks, which exist from the start, takes them; a `freeze` that
 *     never ends leaves others for the `thaw`.
 * S2. A client has one request under way; what it sends meanwhile waits in its socket.
 * S3. Clients, their pending lines and answers belong to the thread. Jobs go to reactor 0 by
 *     rt_post_foreign() and come back over the done list [cs->lock] and an eventfd.
 * S4. What hooks and files stand on may go when control_socket_close() has returned: the thread asks
 *     under `asking`, the jobs are waited for.
 * S5. A client that leaves does not end its job: the answer finds no client and is dropped.
 */
#include "socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum { STORE_TASKS = 4 };

/* ---- clients --------------------------------------------------------------------------------------------- */

static void drop(struct client *c)
{
	close(c->fd);
	free(c->line);
	free(c->answer);
	*c = (struct client){ .fd = -1 };
}

static bool may_ask(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) &&
	       (cred.uid == 0 || cred.uid == geteuid());
}

static void accept_client(struct control_socket *cs)
{
	int fd = accept4(cs->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (int i = 0; i < CLIENTS_MAX && may_ask(fd); i++) {
		struct client *c = &cs->clients[i];

		if (c->fd >= 0)
			continue;
		c->line = malloc(LINE_MAX_BYTES);
		if (!c->line)
			break;
		c->fd = fd;
		c->id = ++cs->next_id;
		return;
	}
	close(fd);
}

static void send_answer(struct client *c)
{
	ssize_t n = send(c->fd, c->answer + c->answer_sent, c->answer_len - c->answer_sent,
			 MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		drop(c);
		return;
	}
	c->answer_sent += n > 0 ? (size_t)n : 0;
	if (c->answer_sent == c->answer_len) {
		free(c->answer);
		c->answer = NULL;
	}
}

/* Works off what is complete; rule S2. */
static void go_on(struct control_socket *cs, struct client *c)
{
	while (c->fd >= 0 && !c->is_waiting && !c->answer) {
		char *end = memchr(c->line, '\n', c->line_len);

		if (!end) {
			if (c->line_len + 1 >= LINE_MAX_BYTES)
				drop(c);
			return;
		}
		control_take_line(cs, c, (size_t)(end - c->line));
		if (c->answer)
			send_answer(c);
		else if (!c->is_waiting)
			drop(c); /* no memory for an answer */
	}
}

static void read_client(struct control_socket *cs, struct client *c)
{
	ssize_t n = read(c->fd, c->line + c->line_len, LINE_MAX_BYTES - 1 - c->line_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	c->line_len += (size_t)n;
	go_on(cs, c);
}

static struct client *client_of(struct control_socket *cs, uint64_t id)
{
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (cs->clients[i].fd >= 0 && cs->clients[i].id == id)
			return &cs->clients[i];
	return NULL;
}

static void give_result(struct control_socket *cs, struct client *c, int err, const char *why)
{
	control_answer(c, err, why);
	if (!c->answer) {
		drop(c);
		return;
	}
	send_answer(c);
	go_on(cs, c);
}

static void take_results(struct control_socket *cs)
{
	LIST_HEAD(done);
	struct job *job, *next;
	bool is_unmount_known;
	uint64_t rung;

	if (read(cs->event_fd, &rung, sizeof(rung)) < 0 && errno != EAGAIN)
		log_warn("control: reading the bell: %s", strerror(errno));
	pthread_mutex_lock(&cs->lock);
	list_splice_tail_init(&cs->done, &done);
	is_unmount_known = cs->is_unmount_known;
	cs->is_unmount_known = false;
	pthread_mutex_unlock(&cs->lock);

	list_for_each_entry_safe(job, next, &done, node) {
		struct client *c = client_of(cs, job->client_id);

		if (c)
			give_result(cs, c, job->err, control_attr_why(job->err));
		control_job_free(job);
	}
	for (int i = 0; is_unmount_known && i < CLIENTS_MAX; i++)
		if (cs->clients[i].fd >= 0 && cs->clients[i].is_waiting_unmount)
			give_result(cs, &cs->clients[i], cs->unmount_err, cs->unmount_why);
}

static bool is_stopping(struct control_socket *cs)
{
	bool ret;

	pthread_mutex_lock(&cs->lock);
	ret = cs->is_stopping && !cs->is_unmount_known;
	pthread_mutex_unlock(&cs->lock);
	return ret;
}

static void *socket_main(void *arg)
{
	enum { LISTEN, BELL, FIRST };
	struct control_socket *cs = arg;
	struct pollfd fds[FIRST + CLIENTS_MAX];

	while (!is_stopping(cs)) {
		fds[LISTEN] = (struct pollfd){ .fd = cs->listen_fd, .events = POLLIN };
		fds[BELL] = (struct pollfd){ .fd = cs->event_fd, .events = POLLIN };
		for (int i = 0; i < CLIENTS_MAX; i++) {
			const struct client *c = &cs->clients[i];
			short events = c->answer ? POLLOUT : c->is_waiting ? 0 : POLLIN;

			fds[FIRST + i] = (struct pollfd){ .fd = c->fd, .events = events };
		}
		if (poll(fds, FIRST + CLIENTS_MAX, -1) < 0)
			continue;
		if (fds[BELL].revents)
			take_results(cs);
		for (int i = 0; i < CLIENTS_MAX; i++) {
			struct client *c = &cs->clients[i];

			if (!fds[FIRST + i].revents || c->fd != fds[FIRST + i].fd)
				continue;
			if (fds[FIRST + i].revents & (POLLHUP | POLLERR))
				drop(c);
			else if (c->answer)
				send_answer(c);
			else if (!c->is_waiting)
				read_client(cs, c);
			if (c->fd >= 0)
				go_on(cs, c);
		}
		if (fds[LISTEN].revents)
			accept_client(cs);
	}
	return NULL;
}

/* ---- up and down --------------------------------------------------------------------------------------- */

/* A mount that is detached and lives on may have had its path taken by the next one there. */
static void unlink_own(const struct control_socket *cs)
{
	struct stat st;

	if (!lstat(cs->addr.sun_path, &st) && st.st_ino == cs->ino)
		unlink(cs->addr.sun_path);
}

static int listen_at(struct control_socket *cs, const char *path)
{
	struct stat st;
	mode_t old;
	int err = 0;

	if (strlen(path) >= sizeof(cs->addr.sun_path))
		return -ENAMETOOLONG;
	cs->addr.sun_family = AF_UNIX;
	memcpy(cs->addr.sun_path, path, strlen(path) + 1);
	cs->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (cs->listen_fd < 0)
		return -errno;
	unlink(path);
	old = umask(0177);
	if (bind(cs->listen_fd, (struct sockaddr *)&cs->addr, sizeof(cs->addr)) ||
	    listen(cs->listen_fd, CLIENTS_MAX) || lstat(path, &st))
		err = -errno;
	umask(old);
	cs->ino = err ? 0 : st.st_ino;
	if (err)
		close(cs->listen_fd);
	return err;
}

static void end_tasks(struct control_socket *cs)
{
	if (!cs->tasks_nr)
		return;
	cs->tasks_must_end = true;
	rt_waitqueue_wake_all(&cs->wait);
	completion_wait(&cs->tasks_gone);
}

static int start_tasks(struct control_socket *cs)
{
	int err = 0;

	for (int i = 0; i < STORE_TASKS && !err; i++) {
		err = rt_spawn(control_store_task, cs, "control");
		cs->tasks_nr += !err;
	}
	return err;
}

int control_socket_start(const char *path, const struct control_hooks *hooks,
			 struct control_socket **out)
{
	struct control_socket *cs = calloc(1, sizeof(*cs));
	int err;

	if (!cs)
		return -ENOMEM;
	blkfs_assert(rt_reactor_id() == 0);
	cs->hooks = *hooks;
	pthread_mutex_init(&cs->lock, NULL);
	pthread_mutex_init(&cs->asking, NULL);
	INIT_LIST_HEAD(&cs->done);
	INIT_LIST_HEAD(&cs->todo);
	rt_waitqueue_init(&cs->wait);
	rt_waitqueue_init(&cs->idle);
	completion_init(&cs->tasks_gone);
	for (int i = 0; i < CLIENTS_MAX; i++)
		cs->clients[i].fd = -1;
	err = listen_at(cs, path);
	if (err)
		goto free_cs;
	cs->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = cs->event_fd < 0 ? -errno : start_tasks(cs);
	if (err)
		goto close_listen;
	*out = cs; /* before there is a thread whose hooks may look at it */
	err = -pthread_create(&cs->thread, NULL, socket_main, cs);
	if (err)
		goto clear_out;
	return 0;

clear_out:
	*out = NULL;
close_listen:
	end_tasks(cs);
	if (cs->event_fd >= 0)
		close(cs->event_fd);
	unlink_own(cs);
	close(cs->listen_fd);
free_cs:
	free(cs);
	return err;
}

void control_socket_unmounted(struct control_socket *cs, int err, const char *why)
{
	pthread_mutex_lock(&cs->lock);
	cs->is_unmount_known = true;
	cs->unmount_err = err;
	snprintf(cs->unmount_why, sizeof(cs->unmount_why), "%s", why ? why : "");
	pthread_mutex_unlock(&cs->lock);
	control_ring_bell(cs);
}

static int join_thread(void *arg)
{
	struct control_socket *cs = arg;

	return -pthread_join(cs->thread, NULL);
}

static bool is_idle(void *arg)
{
	struct control_socket *cs = arg;

	return __atomic_load_n(&cs->jobs_nr, __ATOMIC_SEQ_CST) == 0;
}

static int close_blocking(void *arg)
{
	struct control_socket *cs = arg;

	pthread_mutex_lock(&cs->asking);
	cs->is_closed = true;
	pthread_mutex_unlock(&cs->asking);
	return 0;
}

void control_socket_close(struct control_socket *cs)
{
	(void)rt_offload(close_blocking, cs);
	rt_wait_event(&cs->idle, is_idle, cs, "control requests");
}

/* The thread first: then no job is posted any more, and those that were can be waited for. */
void control_socket_stop(struct control_socket *cs)
{
	struct job *job, *next;

	pthread_mutex_lock(&cs->lock);
	cs->is_stopping = true;
	pthread_mutex_unlock(&cs->lock);
	control_ring_bell(cs);
	if (rt_offload(join_thread, cs))
		log_warn("control: the socket's thread could not be joined");
	rt_wait_event(&cs->idle, is_idle, cs, "control requests");
	end_tasks(cs);
	list_for_each_entry_safe(job, next, &cs->done, node)
		control_job_free(job);
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (cs->clients[i].fd >= 0)
			drop(&cs->clients[i]);
	unlink_own(cs);
	close(cs->event_fd);
	close(cs->listen_fd);
	pthread_mutex_destroy(&cs->lock);
	pthread_mutex_destroy(&cs->asking);
	free(cs);
}
