/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - going into the background, and where messages go before and after.
 *
 * The terminal's process waits until the mount stands or has failed, so that `blkfs mount && ls`
 * works; messages go to the terminal until then, to syslog after.
 */
#ifndef BLKFS_TOOLS_DAEMON_H
#define BLKFS_TOOLS_DAEMON_H

#include <stdbool.h>

#include "base/compiler.h"

/*
 * daemon_start - fork when @is_background. Before any thread exists.
 *
 * Returns in the process that is to mount with -1; in the waiting one with the exit code to end
 * with, once daemon_ready() was called or the daemon ended. Fails: an exit code, after a message.
 */
int daemon_start(bool is_background);

/* The mount stands: lets the waiting process go, and in the background changes to syslog. */
void daemon_ready(void);

/* Sets the log's clock and sink for the terminal. */
void daemon_log_to_terminal(void);

#endif
