/* SPDX-License-Identifier: MIT */
/*
 * cmd_umount.c - `blkfs umount` and `blkfs sync`.
 *
 * umount returns when the daemon has said that all is on the device and has ended.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"

static const char umount_help[] =
	"Usage: blkfs umount [-l] [-f] MOUNTPOINT|SOURCE\n\n"
	"Unmounts, waits until everything is on the device and the daemon has ended.\n\n"
	"  -l, --lazy    detach now; the daemon ends when the last open file is closed,\n"
	"                and this command does not wait for it\n"
	"  -f, --force   cut the users off first: they get 'Transport endpoint is not connected'\n";

/* Waits for the end of the process behind @pidfd. */
static void wait_for_exit(int pidfd)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

	while (poll(&pfd, 1, -1) < 0 && errno == EINTR)
		;
}

static int umount_target(const char *target, bool is_lazy, bool is_forced)
{
	json_object *req, *answer = NULL;
	struct client c;
	int pidfd, code = client_find(&c, "umount", target);

	if (code)
		return code;
	pidfd = (int)syscall(SYS_pidfd_open, c.pid, 0);
	req = client_request("umount");
	json_object_object_add(req, "lazy", json_object_new_boolean(is_lazy));
	json_object_object_add(req, "force", json_object_new_boolean(is_forced));
	code = client_do(&c, "umount", target, req, -1, &answer);
	json_object_put(answer);
	client_close(&c);
	if (!code && pidfd >= 0 && (!is_lazy || is_forced))
		wait_for_exit(pidfd);
	if (pidfd >= 0)
		close(pidfd);
	return code;
}

int cmd_umount(int argc, char **argv)
{
	static const struct option longs[] = { { "lazy", no_argument, NULL, 'l' },
					       { "force", no_argument, NULL, 'f' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	bool is_lazy = false, is_forced = false;
	int opt;

	/* umount(8) hands its helper -n -v -r -N ... too: nothing to do for them. */
	while ((opt = getopt_long(argc, argv, "lfnvrhN:t:", longs, NULL)) != -1) {
		switch (opt) {
		case 'l':
			is_lazy = true;
			break;
		case 'f':
			is_forced = true;
			break;
		case 'h':
			fputs(umount_help, stdout);
			return EXIT_OK;
		case '?':
			return usage_error("umount", "unknown option");
		default:
			break;
		}
	}
	if (argc - optind != 1)
		return usage_error("umount", "expected one MOUNTPOINT or SOURCE, got %d",
				   argc - optind);
	return umount_target(argv[optind], is_lazy, is_forced);
}

int cmd_sync(int argc, char **argv)
{
	json_object *answer = NULL;
	struct client c;
	int code;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		puts("Usage: blkfs sync MOUNTPOINT|SOURCE\n\n"
		     "Returns when everything written so far is on the device.");
		return EXIT_OK;
	}
	if (argc != 2)
		return usage_error("sync", "expected one MOUNTPOINT or SOURCE, got %d", argc - 1);
	code = client_find(&c, "sync", argv[1]);
	if (code)
		return code;
	code = client_do(&c, "sync", argv[1], client_request("sync"), -1, &answer);
	json_object_put(answer);
	client_close(&c);
	return code;
}
