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
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/list.h"
#include "base/log.h"
#include "blkfs/attr.h"
#include "blkfs/control.h"
#include "blkfs/rt.h"

#include "render.h"

enum {
	CLIENTS_MAX = 32,
	STORE_TASKS = 4,
	LINE_MAX_BYTES = 256 << 10,
	ANSWER_SLACK = 4096, /* of an answer beside its text */
	JSON_GROWTH = 6,     /* \u00XX for a byte, at the worst */
};

struct client {
	int fd; /* -1: free slot */
	uint64_t id;
	char *line; /* LINE_MAX_BYTES */
	size_t line_len;
	char *answer;
	size_t answer_len, answer_sent;
	bool is_waiting; /* for a job, or for the unmount */
	bool is_waiting_unmount;
};

struct job {
	struct list_head node;
	uint64_t client_id;
	bool is_sync;
	char *path, *text;
	int err;
};

struct control_socket {
	struct control_hooks hooks;
	struct sockaddr_un addr;
	int listen_fd, event_fd;
	pthread_t thread;
	struct client clients[CLIENTS_MAX];
	uint64_t next_id;

	pthread_mutex_t asking; /* held by the thread while it asks hooks and files */
	bool is_closed;		/* [asking] */

	pthread_mutex_t lock;  /* done, unmount_*, is_stopping */
	struct list_head done; /* jobs with their result */
	bool is_unmount_known;
	int unmount_err;
	char unmount_why[256];
	bool is_stopping;

	struct list_head todo;	  /* [reactor 0] */
	struct rt_waitqueue wait; /* of the store tasks */
	unsigned int tasks_nr;	  /* [reactor 0] */
	struct completion tasks_gone;
	bool tasks_must_end;	  /* [reactor 0] */
	unsigned int jobs_nr;	  /* [atomic] posted and not done */
	struct rt_waitqueue idle; /* for jobs_nr to become 0 */
};

/* ---- answers ----------------------------------------------------------------------------------- */

typedef void (*answer_fn)(struct json *js, const void *arg);

/* Makes the client's answer: {"ok":...,...}; @size_hint bounds the text that @fill puts in. */
static void answer(struct client *c, size_t size_hint, answer_fn fill, const void *arg)
{
	size_t cap = size_hint * JSON_GROWTH + ANSWER_SLACK;
	struct strbuf sb;
	struct json js;

	c->answer = malloc(cap);
	c->answer_sent = c->answer_len = 0;
	c->is_waiting = c->is_waiting_unmount = false;
	if (!c->answer)
		return; /* the client sees its connection closed */
	strbuf_init(&sb, c->answer, cap);
	json_begin_line(&js, &sb);
	json_object_begin(&js, NULL);
	fill(&js, arg);
	json_object_end(&js);
	json_end(&js);
	c->answer_len = sb.len;
}

static void fill_ok(struct json *js, const void *arg)
{
	json_boolean(js, "ok", true);
}

struct failure {
	int err;
	const char *why;
};

static void fill_failure(struct json *js, const void *arg)
{
	const struct failure *f = arg;

	json_boolean(js, "ok", false);
	json_i64(js, "errno", -f->err);
	json_string(js, "error", f->why);
}

static void answer_error(struct client *c, int err, const char *why)
{
	struct failure f = { err, why ? why : strerror(-err) };

	answer(c, strlen(f.why), fill_failure, &f);
}

static void answer_result(struct client *c, int err, const char *why)
{
	if (err)
		answer_error(c, err, why);
	else
		answer(c, 0, fill_ok, NULL);
}

/* ---- requests that the thread answers itself ------------------------------------------------------ */

static void fill_text(struct json *js, const void *arg)
{
	json_boolean(js, "ok", true);
	json_string(js, "text", arg);
}

static const char *attr_why(int err)
{
	switch (err) {
	case -ENOENT:
		return "no such file in .blkfs";
	case -EISDIR:
		return "is a directory of .blkfs";
	case -EACCES:
		return "this file of .blkfs cannot be used that way";
	case -EINVAL:
		return "the value is not allowed; the log says what is";
	default:
		return NULL;
	}
}

static void do_show(struct client *c, const char *path)
{
	char *text;
	size_t len;
	int err = render_attr(path, &text, &len);

	if (err) {
		answer_error(c, err, attr_why(err));
		return;
	}
	answer(c, len, fill_text, text);
	free(text);
}

static int fill_entry(void *ctx, const struct attr_info *info)
{
	struct json *js = ctx;

	json_object_begin(js, NULL);
	json_string(js, "name", info->name);
	json_boolean(js, "dir", S_ISDIR(info->mode));
	json_u64(js, "mode", info->mode & 07777);
	json_object_end(js);
	return 0;
}

static void fill_list(struct json *js, const void *arg)
{
	int err;

	json_boolean(js, "ok", true);
	json_array_begin(js, "entries");
	err = attr_list(arg, fill_entry, js);
	json_array_end(js);
	if (err) /* went away between the look-up and the walk */
		json_i64(js, "errno", -err);
}

static void do_list(struct client *c, const char *path)
{
	static const size_t listing_max = 64 << 10;
	struct attr_info info;
	int err = attr_lookup(path, &info);

	if (!err && !S_ISDIR(info.mode))
		err = -ENOTDIR;
	if (err)
		answer_error(c, err, attr_why(err));
	else
		answer(c, listing_max, fill_list, path);
}

static void fill_info(struct json *js, const void *arg)
{
	const struct control_hooks *hooks = arg;

	json_boolean(js, "ok", true);
	json_object_begin(js, "info");
	hooks->info(hooks->ctx, js);
	json_object_end(js);
}

static void do_umount(struct control_socket *cs, struct client *c, json_object *req)
{
	json_object *lazy, *force;
	bool is_lazy = json_object_object_get_ex(req, "lazy", &lazy) &&
		       json_object_get_boolean(lazy);
	bool is_forced = json_object_object_get_ex(req, "force", &force) &&
			 json_object_get_boolean(force);
	int err;

	/* An earlier failure must not answer this one. */
	pthread_mutex_lock(&cs->lock);
	cs->is_unmount_known = false;
	pthread_mutex_unlock(&cs->lock);
	err = cs->hooks.umount(cs->hooks.ctx, is_lazy, is_forced);
	if (err || (is_lazy && !is_forced)) {
		answer_result(c, err, err == -EBUSY ? "an unmount is under way already" : NULL);
		return;
	}
	c->is_waiting = c->is_waiting_unmount = true;
}

/* ---- requests that sleep ------------------------------------------------------------------------------ */

static void job_free(struct job *job)
{
	free(job->path);
	free(job->text);
	free(job);
}

static void ring_bell(struct control_socket *cs)
{
	uint64_t one = 1;

	if (write(cs->event_fd, &one, sizeof(one)) != sizeof(one))
		log_debug("control: the bell rings already");
}

static bool has_todo(void *arg)
{
	struct control_socket *cs = arg;

	return cs->tasks_must_end || !list_empty(&cs->todo);
}

static void store_task(void *arg)
{
	struct control_socket *cs = arg;

	for (;;) {
		struct job *job;

		rt_wait_event(&cs->wait, has_todo, cs, "control request");
		if (list_empty(&cs->todo))
			break;
		job = list_first_entry(&cs->todo, struct job, node);
		list_del(&job->node);
		job->err = job->is_sync ? cs->hooks.sync(cs->hooks.ctx)
					: attr_store(job->path, job->text, strlen(job->text));
		pthread_mutex_lock(&cs->lock);
		list_add_tail(&job->node, &cs->done);
		pthread_mutex_unlock(&cs->lock);
		ring_bell(cs);
		if (__atomic_sub_fetch(&cs->jobs_nr, 1, __ATOMIC_SEQ_CST) == 0)
			rt_waitqueue_wake_all(&cs->idle);
	}
	if (--cs->tasks_nr == 0)
		complete(&cs->tasks_gone);
}

struct job_msg {
	struct rt_msg msg;
	struct control_socket *cs;
	struct job *job;
};

static void job_arrives(struct rt_msg *msg)
{
	struct job_msg *jm = container_of(msg, struct job_msg, msg);

	list_add_tail(&jm->job->node, &jm->cs->todo);
	rt_waitqueue_wake_one(&jm->cs->wait);
	free(jm);
}

static void do_later(struct control_socket *cs, struct client *c, bool is_sync, const char *path,
		     const char *text)
{
	struct job_msg *jm = calloc(1, sizeof(*jm));
	struct job *job = calloc(1, sizeof(*job));

	if (job) {
		job->client_id = c->id;
		job->is_sync = is_sync;
		job->path = strdup(path);
		job->text = strdup(text);
	}
	if (!jm || !job || !job->path || !job->text) {
		free(jm);
		if (job)
			job_free(job);
		answer_error(c, -ENOMEM, NULL);
		return;
	}
	*jm = (struct job_msg){ .msg.fn = job_arrives, .cs = cs, .job = job };
	c->is_waiting = true;
	__atomic_add_fetch(&cs->jobs_nr, 1, __ATOMIC_SEQ_CST);
	rt_post_foreign(0, &jm->msg);
}

/* ---- one line ---------------------------------------------------------------------------------------- */

static const char *member(json_object *req, const char *key)
{
	json_object *value;

	if (!json_object_object_get_ex(req, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

static void dispatch(struct control_socket *cs, struct client *c, json_object *req)
{
	const char *op = member(req, "op"), *path = member(req, "path"),
		   *text = member(req, "text");

	if (!op)
		answer_error(c, -EPROTO, "the request has no \"op\"");
	else if (!strcmp(op, "show") && path)
		do_show(c, path);
	else if (!strcmp(op, "list") && path)
		do_list(c, path);
	else if (!strcmp(op, "store") && path && text)
		do_later(cs, c, false, path, text);
	else if (!strcmp(op, "info"))
		answer(c, ANSWER_SLACK * 4, fill_info, &cs->hooks);
	else if (!strcmp(op, "sync"))
		do_later(cs, c, true, "", "");
	else if (!strcmp(op, "abort"))
		answer_result(c, cs->hooks.abort(cs->hooks.ctx), NULL);
	else if (!strcmp(op, "umount"))
		do_umount(cs, c, req);
	else
		answer_error(c, -EPROTO, "unknown \"op\", or a member of it is missing");
}

static void take_line(struct control_socket *cs, struct client *c, size_t len)
{
	json_object *req;

	c->line[len] = 0;
	req = json_tokener_parse(c->line);
	pthread_mutex_lock(&cs->asking);
	if (!json_object_is_type(req, json_type_object))
		answer_error(c, -EPROTO, "expected one JSON object a line");
	else if (cs->is_closed)
		answer_error(c, -ESHUTDOWN, "the mount is being taken down");
	else
		dispatch(cs, c, req);
	pthread_mutex_unlock(&cs->asking);
	json_object_put(req);
	c->line_len -= len + 1;
	memmove(c->line, c->line + len + 1, c->line_len);
}

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
		take_line(cs, c, (size_t)(end - c->line));
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
	answer_result(c, err, why);
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
			give_result(cs, c, job->err, attr_why(job->err));
		job_free(job);
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

static int listen_at(struct control_socket *cs, const char *path)
{
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
	    listen(cs->listen_fd, CLIENTS_MAX))
		err = -errno;
	umask(old);
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
		err = rt_spawn(store_task, cs, "control");
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
	err = -pthread_create(&cs->thread, NULL, socket_main, cs);
	if (err)
		goto close_listen;
	*out = cs;
	return 0;

close_listen:
	end_tasks(cs);
	if (cs->event_fd >= 0)
		close(cs->event_fd);
	close(cs->listen_fd);
	unlink(path);
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
	ring_bell(cs);
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
	ring_bell(cs);
	if (rt_offload(join_thread, cs))
		log_warn("control: the socket's thread could not be joined");
	rt_wait_event(&cs->idle, is_idle, cs, "control requests");
	end_tasks(cs);
	list_for_each_entry_safe(job, next, &cs->done, node)
		job_free(job);
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (cs->clients[i].fd >= 0)
			drop(&cs->clients[i]);
	unlink(cs->addr.sun_path);
	close(cs->event_fd);
	close(cs->listen_fd);
	pthread_mutex_destroy(&cs->lock);
	pthread_mutex_destroy(&cs->asking);
	free(cs);
}
