/* SPDX-License-Identifier: MIT */
/*
 * cmd_mount.c - `blkfs mount`: arguments, background, runtime, then mounted_run().
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "blkfs/rt.h"

#include "cmd.h"
#include "daemon.h"
#include "mounted.h"
#include "rundir.h"
#include "unmounter.h"

/* One process mounts one thing. */
static struct mounted mounted;

static int print_mount_help(void)
{
	static char text[16384];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	mount_options_help(&sb);
	printf("Usage: blkfs mount [-f] [-v] [-o OPTIONS] SOURCE MOUNTPOINT\n\n"
	       "SOURCE is an image file, a block device, or mem:SIZE. Returns when the mount works.\n\n"
	       "  -f, --foreground   stay in front; Ctrl-C unmounts\n"
	       "  -v, --verbose      more messages\n"
	       "  -r, --read-only    as -o ro\n"
	       "  -o, --options      comma separated:\n%s",
	       text);
	return EXIT_OK;
}

struct mount_args {
	bool is_foreground;
	const char *source, *mountpoint;
};

static int take_list(struct mounted *m, const char *list)
{
	char text[512];
	struct strbuf why;

	strbuf_init(&why, text, sizeof(text));
	if (!mount_options_parse(&m->mo, list, &why))
		return -1;
	return usage_error("mount", "%s", text);
}

/* -1: go on; else the exit code. Operands may stand before the options, as mount(8) has it. */
static int parse_args(int argc, char **argv, struct mounted *m, struct mount_args *args)
{
	static const struct option longs[] = { { "foreground", no_argument, NULL, 'f' },
					       { "options", required_argument, NULL, 'o' },
					       { "read-only", no_argument, NULL, 'r' },
					       { "verbose", no_argument, NULL, 'v' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	/* mount(8) hands its helpers -s (sloppy), -n, -N and -t; and -f there means "pretend". */
	bool is_helper = strstr(argv[0], "mount.") != NULL;
	int opt, code = -1;

	while (code < 0 && (opt = getopt_long(argc, argv, "fo:rvhsnwN:t:", longs, NULL)) != -1) {
		switch (opt) {
		case 'f':
			if (is_helper)
				return EXIT_OK;
			args->is_foreground = true;
			break;
		case 'o':
			code = take_list(m, optarg);
			break;
		case 'r':
			code = take_list(m, "ro");
			break;
		case 'w':
			code = take_list(m, "rw");
			break;
		case 'v':
			log_set_level(LOG_LEVEL_DEBUG);
			break;
		case 'h':
			return print_mount_help();
		case '?':
			return usage_error("mount", "wrong option");
		default:
			break;
		}
	}
	if (code >= 0)
		return code;
	if (argc - optind != 2)
		return usage_error("mount", "expected SOURCE MOUNTPOINT, got %d arguments",
				   argc - optind);
	args->source = argv[optind];
	args->mountpoint = argv[optind + 1];
	return -1;
}

static int check_mountpoint(struct mounted *m, const char *given)
{
	struct stat st;
	char real[PATH_MAX];

	if (!realpath(given, real) || stat(real, &st)) {
		fprintf(stderr, "blkfs mount: mountpoint %s: %s%s\n", given, strerror(errno),
			errno == ENOENT	    ? "; make it with mkdir"
			: errno == ENOTCONN ? "; a dead mount is there: 'umount -l' it first"
					    : "");
		return EXIT_MOUNT;
	}
	if (!S_ISDIR(st.st_mode)) {
		fprintf(stderr, "blkfs mount: mountpoint %s is not a directory\n", given);
		return EXIT_MOUNT;
	}
	snprintf(m->mountpoint, sizeof(m->mountpoint), "%s", real);
	return -1;
}

static int check_source(struct mounted *m, const char *given)
{
	char text[512];
	struct strbuf why;

	strbuf_init(&why, text, sizeof(text));
	if (!source_parse(&m->src, given, m->mo.driver, &why))
		return -1;
	fprintf(stderr, "blkfs mount: source %s\n", text);
	return EXIT_MOUNT;
}

static int run(struct mounted *m)
{
	struct rt_config cfg = { .reactors_nr = m->mo.reactors, .spin_us = m->mo.spin_us };
	int err, code = EXIT_SYSTEM;

	unmounter_block_signals();
	daemon_log_to_terminal();
	err = unmounter_start(m, &m->unmounter);
	if (err) {
		log_err("starting the unmounter thread: %s", strerror(-err));
		return code;
	}
	err = rt_init(&cfg);
	if (!err) {
		code = rt_run(mounted_run, m);
		rt_fini();
	}
	unmounter_destroy(m->unmounter);
	return code;
}

int cmd_mount(int argc, char **argv)
{
	struct mount_args args = { 0 };
	struct mounted *m = &mounted;
	int code;

	mount_options_init(&m->mo);
	code = parse_args(argc, argv, m, &args);
	if (code < 0)
		code = check_mountpoint(m, args.mountpoint);
	if (code < 0)
		code = check_source(m, args.source);
	if (code >= 0)
		return code;
	mount_options_settle(&m->mo, geteuid() == 0);
	code = daemon_start(!args.is_foreground);
	return code >= 0 ? code : run(m);
}
