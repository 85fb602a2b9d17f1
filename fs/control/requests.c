/* SPDX-License-Identifier: MIT */
/*
 * requests.c - what a line over the socket asks for: answered at once by the thread, or handed to a
 * task where it may sleep. Rules S1-S5 are in socket.c; the protocol is in blkfs/control.h.
 */
#include "socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "blkfs/attr.h"

#include "render.h"

enum {
	ANSWER_SLACK = 4096, /* of an answer beside its text */
	JSON_GROWTH = 6,     /* \u00XX for a byte, at the worst */
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

void control_answer(struct client *c, int err, const char *why)
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

const char *control_attr_why(int err)
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
		answer_error(c, err, control_attr_why(err));
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
		answer_error(c, err, control_attr_why(err));
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
		control_answer(c, err, err == -EBUSY ? "an unmount is under way already" : NULL);
		return;
	}
	c->is_waiting = c->is_waiting_unmount = true;
}

/* ---- requests that sleep ------------------------------------------------------------------------------ */

void control_job_free(struct job *job)
{
	free(job->path);
	free(job->text);
	free(job);
}

void control_ring_bell(struct control_socket *cs)
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

void control_store_task(void *arg)
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
		control_ring_bell(cs);
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
			control_job_free(job);
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
		control_answer(c, cs->hooks.abort(cs->hooks.ctx), NULL);
	else if (!strcmp(op, "umount"))
		do_umount(cs, c, req);
	else
		answer_error(c, -EPROTO, "unknown \"op\", or a member of it is missing");
}

void control_take_line(struct control_socket *cs, struct client *c, size_t len)
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
