/* SPDX-License-Identifier: MIT */
/*
 * client.h - asking a running mount over its socket.
 */
#ifndef BLKFS_TOOLS_CLIENT_H
#define BLKFS_TOOLS_CLIENT_H

#include <json-c/json.h>

#include "base/compiler.h"

struct client {
	int fd;
	pid_t pid; /* of the daemon */
};

/* Connects to @socket_path; a socket without a daemon behind it is removed. 0, -ECONNREFUSED... */
int __must_check client_open(struct client *c, const char *socket_path);
/*
 * Connects to the mount on, or of, @target (mountpoint or source). Says on stderr, as @command,
 * what is wrong. 0 or an exit code.
 */
int __must_check client_find(struct client *c, const char *command, const char *target);
void client_close(struct client *c);

/*
 * Sends @request (its reference is taken) and waits @timeout_ms (-1: for ever) for the answer.
 * 0 and *@answer (to be put), -ETIMEDOUT, -EPIPE (the daemon is gone), -EPROTO.
 */
int __must_check client_ask(struct client *c, json_object *request, int timeout_ms,
			    json_object **answer);

/* A request {"op":@op}. */
json_object *client_request(const char *op);

/* client_ask; a negative answer is printed as "blkfs COMMAND: TARGET: ...". 0 or an exit code. */
int __must_check client_do(struct client *c, const char *command, const char *target,
			   json_object *request, int timeout_ms, json_object **answer);

/* The text of one attribute, or NULL: it is not there or does not answer. To be freed. */
char *client_show(struct client *c, const char *path);

/* To stdout, indented. */
void client_print(json_object *o);

#endif
