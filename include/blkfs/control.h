/* SPDX-License-Identifier: MIT */
/*
 * control.h - the two doors of the attribute tree: `.blkfs/` as a file system, and a socket.
 *
 * The socket is served by a thread of its own, so that it answers when every FUSE entry, task and
 * tag is taken. One request is one line of JSON, one answer one line:
 *
 *   {"op":"show","path":"queue/scheduler"}              -> {"ok":true,"text":"[none]\n"}
 *   {"op":"store","path":"queue/scheduler","text":"none"} -> {"ok":true}
 *   {"op":"list","path":"queue"}                        -> {"ok":true,"entries":[{"name":..,"dir":..,"mode":..}]}
 *   {"op":"info"}                                       -> {"ok":true,"info":{...}}
 *   {"op":"sync"} {"op":"abort"}                        -> {"ok":true}
 *   {"op":"umount","lazy":bool,"force":bool}            -> {"ok":true} when all is stable, then the
 *                                                          daemon ends
 *   a failure                                           -> {"ok":false,"errno":22,"error":"..."}
 *
 * Only the owner of the daemon and root are answered (SO_PEERCRED).
 */
#ifndef BLKFS_CONTROL_H
#define BLKFS_CONTROL_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/json.h"
#include "blkfs/fs.h"

struct control_socket;

/* What the daemon does on command. */
struct control_hooks {
	void *ctx;
	/* The members of the info object. Context: control thread; may not wait. */
	void (*info)(void *ctx, struct json *out);
	/* Context: a task that holds no FUSE request and no tag; may sleep. 0 or -errno. */
	int (*sync)(void *ctx);
	/* Ends the connection with the kernel: what waits gets errors. Context: control thread. */
	int (*abort)(void *ctx);
	/* Asks the main task to unmount; its result comes by control_socket_unmounted(), and until
	 * then other requests are still answered. Context: control thread. -EBUSY: asked already
	 * and not forced. */
	int (*umount)(void *ctx, bool is_lazy, bool is_forced);
};

/* Context: task. @path is made with mode 0600 (a stale one is replaced) and unlinked at stop. */
int __must_check control_socket_start(const char *path, const struct control_hooks *hooks,
				      struct control_socket **out);
/* Answers those who asked for the unmount: 0 or why it failed (then it may be asked again). */
void control_socket_unmounted(struct control_socket *cs, int err, const char *why);
/* From its return on no hook and no file is asked for: clients get ESHUTDOWN, but for the result of the
 * unmount. Context: task; sleeps until what is under way has ended. */
void control_socket_close(struct control_socket *cs);
void control_socket_stop(struct control_socket *cs);

#endif
