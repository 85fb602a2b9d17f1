/* SPDX-License-Identifier: MIT */
/*
 * main.c - finds the command that is meant.
 *
 * `blkfs COMMAND ...`; `blkfs SOURCE MOUNTPOINT -o ...` as mount.fuse3 calls it; and the names
 * mount.fuse.blkfs and umount.fuse.blkfs, by which mount(8) and umount(8) do.
 */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

#include "cmd.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *args;
	const char *help;
};

static const struct command commands[] = {
	{ "mount", cmd_mount, "[-f] [-o OPTIONS] SOURCE MOUNTPOINT",
	  "mount an ext4 image, a device, or mem:SIZE" },
	{ "umount", cmd_umount, "[-l] [-f] MOUNTPOINT|SOURCE",
	  "unmount; returns when all is on the device" },
	{ "sync", cmd_sync, "MOUNTPOINT|SOURCE", "make everything durable" },
	{ "list", cmd_list, "[--json]", "all mounts of this user (root: of all)" },
	{ "info", cmd_info, "[--json] MOUNTPOINT|SOURCE", "what one mount is made of" },
	{ "stat", cmd_stat, "[--json] MOUNTPOINT|SOURCE [FILE...]",
	  "queue statistics, or files of .blkfs" },
	{ "set", cmd_set, "MOUNTPOINT|SOURCE FILE VALUE", "write a file of .blkfs" },
};

static void print_help(FILE *to)
{
	fputs("blkfs: ext4 images and devices mounted in user space, through a block layer that can "
	      "be watched\n\nUsage:\n",
	      to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  blkfs %-7s%-43s %s\n", commands[i].name, commands[i].args,
			commands[i].help);
	fputs("  blkfs --help | --version\n\n"
	      "'blkfs COMMAND --help' says more; blkfs(1) says all.\n",
	      to);
}

static const struct command *command_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
	const char *self = base_name(argc ? argv[0] : "blkfs");
	const struct command *cmd;

	if (!strncmp(self, "mount.", 6))
		return cmd_mount(argc, argv);
	if (!strncmp(self, "umount.", 7))
		return cmd_umount(argc, argv);
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("blkfs %s\n", BLKFS_VERSION);
		return EXIT_OK;
	}
	cmd = command_of(argv[1]);
	if (cmd)
		return cmd->run(argc - 1, argv + 1);
	/* mount.fuse3 calls the program itself: SOURCE MOUNTPOINT [-o ...] */
	if (argc >= 3 && (strchr(argv[1], '/') || strchr(argv[1], ':')))
		return cmd_mount(argc, argv);
	fprintf(stderr, "blkfs: unknown command '%s'\nTry 'blkfs --help'.\n", argv[1]);
	return EXIT_USAGE;
}
