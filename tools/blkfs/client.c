/* SPDX-License-Identifier: MIT */
/*
 * client.c - one line of JSON there, one line back.
 */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd.h"
#include "rundir.h"

/* Who looks for one mount asks all: a daemon that is dead in all but name must not hold it up. */
enum { ANSWER_MAX = 16 << 20, SHOW_TIMEOUT_MS = 10000, SEARCH_TIMEOUT_MS = 2000 };

int client_open(struct client *c, const char *socket_path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	/* connect(2) waits where nobody accepts any more */
	struct timeval limit = { .tv_sec = SEARCH_TIMEOUT_MS / 1000 };
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int err;

	if (strlen(socket_path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, socket_path, strlen(socket_path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len)) {
		err = -errno;
		close(c->fd);
		if (err == -ECONNREFUSED)
			unlink(socket_path);
		return err;
	}
	c->pid = cred.pid;
	return 0;
}

void client_close(struct client *c)
{
	close(c->fd);
}

json_object *client_request(const char *op)
{
	json_object *req = json_object_new_object();

	json_object_object_add(req, "op", json_object_new_string(op));
	return req;
}

static int send_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads up to the newline; *@line is to be freed. */
static int read_line(int fd, int timeout_ms, char **line)
{
	size_t len = 0, cap = 4096;
	char *buf = malloc(cap);
	int err = buf ? 0 : -ENOMEM;

	while (!err) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int ready = poll(&pfd, 1, timeout_ms);
		ssize_t n;

		if (ready <= 0) {
			if (ready < 0 && errno == EINTR)
				continue;
			err = ready ? -errno : -ETIMEDOUT;
			break;
		}
		if (len + 1 == cap) {
			char *bigger = cap < ANSWER_MAX ? realloc(buf, cap *= 2) : NULL;

			if (!bigger) {
				err = -EMSGSIZE;
				break;
			}
			buf = bigger;
		}
		n = read(fd, buf + len, cap - len - 1);
		if (n <= 0) {
			err = n ? -errno : -EPIPE;
			break;
		}
		len += (size_t)n;
		buf[len] = 0;
		if (buf[len - 1] == '\n') {
			*line = buf;
			return 0;
		}
	}
	free(buf);
	return err;
}

int client_ask(struct client *c, json_object *request, int timeout_ms, json_object **answer)
{
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	char *line = NULL;
	int err = send_all(c->fd, text, strlen(text));

	if (!err)
		err = send_all(c->fd, "\n", 1);
	json_object_put(request);
	if (!err)
		err = read_line(c->fd, timeout_ms, &line);
	if (err)
		return err;
	*answer = json_tokener_parse(line);
	free(line);
	return json_object_is_type(*answer, json_type_object) ? 0 : -EPROTO;
}

int client_do(struct client *c, const char *command, const char *target, json_object *request,
	      int timeout_ms, json_object **answer)
{
	json_object *ok, *why;
	int err = client_ask(c, request, timeout_ms, answer);

	if (err) {
		fprintf(stderr, "blkfs %s: %s: the daemon (pid %d) does not answer: %s\n", command,
			target, c->pid, strerror(-err));
		return EXIT_MOUNT;
	}
	if (json_object_object_get_ex(*answer, "ok", &ok) && json_object_get_boolean(ok))
		return EXIT_OK;
	fprintf(stderr, "blkfs %s: %s: %s\n", command, target,
		json_object_object_get_ex(*answer, "error", &why) ? json_object_get_string(why)
								  : "refused");
	json_object_put(*answer);
	*answer = NULL;
	return EXIT_MOUNT;
}

char *client_show(struct client *c, const char *path)
{
	json_object *req = client_request("show"), *answer, *text;
	char *copy = NULL;

	json_object_object_add(req, "path", json_object_new_string(path));
	if (client_ask(c, req, SHOW_TIMEOUT_MS, &answer))
		return NULL;
	if (json_object_object_get_ex(answer, "text", &text))
		copy = strdup(json_object_get_string(text));
	json_object_put(answer);
	return copy;
}

struct search {
	struct client *client;
	const char *as_given, *absolute;
	bool is_found;
};

static bool info_matches(json_object *info, const struct search *s)
{
	static const char *const keys[] = { "mountpoint", "source" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *wants[] = { s->as_given, s->absolute };
		json_object *value;

		if (!json_object_object_get_ex(info, keys[i], &value))
			continue;
		for (size_t w = 0; w < ARRAY_SIZE(wants); w++)
			if (!strcmp(json_object_get_string(value), wants[w]))
				return true;
	}
	return false;
}

static int match_socket(void *ctx, const char *socket_path)
{
	struct search *s = ctx;
	json_object *answer, *info;

	if (client_open(s->client, socket_path))
		return 0;
	if (!client_ask(s->client, client_request("info"), SEARCH_TIMEOUT_MS, &answer)) {
		s->is_found = json_object_object_get_ex(answer, "info", &info) &&
			      info_matches(info, s);
		json_object_put(answer);
	}
	if (!s->is_found)
		client_close(s->client);
	return s->is_found;
}

int client_find(struct client *c, const char *command, const char *target)
{
	struct search s = { .client = c, .as_given = target };
	char dir[PATH_MAX], absolute[PATH_MAX], path[PATH_MAX];

	if (path_absolute(target, absolute, sizeof(absolute)))
		snprintf(absolute, sizeof(absolute), "%s", target);
	s.absolute = absolute;
	/* By name first: no other daemon need answer. */
	if (!rundir_path(dir, sizeof(dir), false) &&
	    !rundir_socket(dir, s.absolute, path, sizeof(path)))
		(void)match_socket(&s, path);
	if (!s.is_found)
		(void)rundir_each(match_socket, &s);
	if (s.is_found)
		return EXIT_OK;
	fprintf(stderr,
		"blkfs %s: %s: no mount of blkfs has this mountpoint or source%s\n"
		"'blkfs list' shows those there are.\n",
		command, target, geteuid() ? " among yours" : "");
	return EXIT_MOUNT;
}

void client_print(json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
}
