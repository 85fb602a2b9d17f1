/* SPDX-License-Identifier: MIT */
/*
 * cmd.h - the subcommands of blkfs and what they share.
 *
 * Each command gets its own name as argv[0] and returns an exit code of mount(8).
 */
#ifndef BLKFS_TOOLS_CMD_H
#define BLKFS_TOOLS_CMD_H

#include <stdbool.h>
#include <stddef.h>

/* mount(8), EXIT STATUS */
enum exit_code {
	EXIT_OK = 0,
	EXIT_USAGE = 1,	 /* incorrect invocation or permissions */
	EXIT_SYSTEM = 2, /* out of memory, cannot fork, no runtime */
	EXIT_BUG = 4,
	EXIT_USER = 8,	 /* interrupted */
	EXIT_MOUNT = 32, /* the mount, or what was asked of it, failed */
};

int cmd_mount(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_sync(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_set(int argc, char **argv);

/* Prints "blkfs COMMAND: MESSAGE" and how to get help; returns EXIT_USAGE. */
int usage_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Takes --json and --help out of the arguments. -1: go on with what is left; else the exit code,
 * @help printed or the unknown option named.
 */
int cmd_take_flags(const char *command, int *argc, char **argv, bool *is_json, const char *help);

#endif
