/* SPDX-License-Identifier: MIT */
/*
 * socket.h - what socket.c (who is there, and the thread) and requests.c (what they ask for) share.
 * Rules S1-S5 are in socket.c. Context: the socket's thread, unless said otherwise.
 */
#ifndef BLKFS_CONTROL_SOCKET_H
#define BLKFS_CONTROL_SOCKET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "base/list.h"
#include "blkfs/control.h"
#include "blkfs/rt.h"

enum {
	CLIENTS_MAX = 32,
	LINE_MAX_BYTES = 256 << 10,
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
	ino_t ino; /* of the socket's name: another daemon may have taken the path since */
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

/* The complete line of @len bytes in front of what @c sent: answered, or begun (c->is_waiting). */
void control_take_line(struct control_socket *cs, struct client *c, size_t len);

/* Makes @c's answer: ok, or the failure @err and @why (NULL: strerror). */
void control_answer(struct client *c, int err, const char *why);
/* What an errno of an attribute means to its user; NULL: what strerror says. */
const char *control_attr_why(int err);

void control_job_free(struct job *job);
/* One of STORE_TASKS tasks: works off cs->todo until tasks_must_end. Context: task of reactor 0. */
void control_store_task(void *arg);
/* Wakes the thread. Any context. */
void control_ring_bell(struct control_socket *cs);

#endif
