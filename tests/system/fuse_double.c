/* SPDX-License-Identifier: MIT */
/*
 * A daemon that mounts the in-memory double through the FUSE front: fuse_double MOUNTPOINT [WORD=VALUE...]
 *
 * Prints "ready TRANSPORT" when the mount works, "sync" and "unmount" as they happen, and leaves with
 * 0 when the file system was unmounted. SIGTERM unmounts. See the table of words below.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "blkfs/attr.h"
#include "blkfs/fs.h"
#include "blkfs/fuse_front.h"
#include "blkfs/rt.h"

#include "tests/system/memfs.h"

static struct fuse_front_config cfg = { .source = "double", .subtype = "double" };
static struct memfs_opts opts = { .type = "memfs", .names_nr = 100, .slow_ms = 1000 };
static struct rt_config rt_cfg = { .spin_us = 50 };
static unsigned int stats;

static void say(const char *what)
{
	printf("%s\n", what);
	fflush(stdout);
}

static unsigned int number(const char *value)
{
	return (unsigned int)strtoul(value, NULL, 0);
}

static int word_apply(const char *word, const char *value)
{
	if (!strcmp(word, "transport"))
		cfg.transport = !strcmp(value, "uring")	    ? FUSE_FRONT_TRANSPORT_URING
				: !strcmp(value, "classic") ? FUSE_FRONT_TRANSPORT_CLASSIC
							    : FUSE_FRONT_TRANSPORT_AUTO;
	else if (!strcmp(word, "mode"))
		return fuse_front_mode_parse(value, &cfg.mode);
	else if (!strcmp(word, "blk"))
		cfg.blk_path = value;
	else if (!strcmp(word, "control"))
		cfg.control_show = !strcmp(value, "list")  ? FUSE_FRONT_CONTROL_LIST
				   : !strcmp(value, "off") ? FUSE_FRONT_CONTROL_OFF
							   : FUSE_FRONT_CONTROL_HIDDEN;
	else if (!strcmp(word, "ro"))
		opts.is_read_only = number(value);
	else if (!strcmp(word, "depth"))
		cfg.fuse_depth = number(value);
	else if (!strcmp(word, "slow_ms"))
		opts.slow_ms = number(value);
	else if (!strcmp(word, "latency_us"))
		opts.latency_us = number(value);
	else if (!strcmp(word, "sync_ms"))
		opts.sync_ms = number(value);
	else if (!strcmp(word, "names"))
		opts.names_nr = number(value);
	else if (!strcmp(word, "align"))
		opts.dio_align_bytes = number(value);
	else if (!strcmp(word, "reactors"))
		rt_cfg.reactors_nr = number(value);
	else if (!strcmp(word, "spin_us"))
		rt_cfg.spin_us = number(value);
	else if (!strcmp(word, "allow_other"))
		cfg.allow_other = cfg.default_permissions = number(value);
	else if (!strcmp(word, "stats"))
		stats = number(value);
	else
		return -EINVAL;
	return 0;
}

static void *signal_thread(void *arg)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	for (;;) {
		sigwait(&set, &sig);
		if (sig == SIGUSR1)
			fuse_front_abort(arg);
		else if (fuse_front_unmount(arg, FUSE_FRONT_UNMOUNT_LAZY))
			say("unmount failed");
	}
	return NULL;
}

static int serve(void *arg)
{
	struct memfs_opts control_opts = { .type = "control", .is_uncached = true };
	struct fuse_front_info info;
	struct fuse_front *ff;
	pthread_t thread;
	int err;

	opts.event = say;
	err = memfs_create(&opts, &cfg.fs);
	if (!err)
		err = memfs_create(&control_opts, &cfg.control);
	if (!err)
		err = fuse_front_mount(&cfg, &ff);
	if (err)
		return err;
	pthread_create(&thread, NULL, signal_thread, ff);
	fuse_front_get_info(ff, &info);
	printf("ready %s\n", info.transport);
	fflush(stdout);
	err = fuse_front_wait(ff);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	if (stats) {
		static char text[4096];
		struct strbuf sb;

		strbuf_init(&sb, text, sizeof(text));
		if (attr_show("fuse/requests", &sb) == 0)
			say(text);
	}
	fuse_front_destroy(ff);
	return err;
}

int main(int argc, char **argv)
{
	sigset_t set;
	int err = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: fuse_double MOUNTPOINT [WORD=VALUE...]\n");
		return 2;
	}
	cfg.mountpoint = argv[1];
	for (int i = 2; i < argc && !err; i++) {
		char *eq = strchr(argv[i], '=');

		if (eq)
			*eq = 0;
		err = eq ? word_apply(argv[i], eq + 1) : -EINVAL;
		if (err)
			fprintf(stderr, "fuse_double: %s?\n", argv[i]);
	}
	if (err)
		return 2;
	cfg.attrs = attr_root();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rt_init(&rt_cfg))
		return 1;
	err = rt_run(serve, NULL);
	rt_fini();
	return err ? 1 : 0;
}
