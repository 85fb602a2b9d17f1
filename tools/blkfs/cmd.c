/* SPDX-License-Identifier: MIT */
/*
 * cmd.c - what the commands share.
 */
#include "cmd.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int usage_error(const char *command, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "blkfs %s: ", command);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry 'blkfs %s --help'.\n", command);
	return EXIT_USAGE;
}

int cmd_take_flags(const char *command, int *argc, char **argv, bool *is_json, const char *help)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			*is_json = true;
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			puts(help);
			return EXIT_OK;
		} else if (argv[i][0] == '-' && argv[i][1] && !isdigit((unsigned char)argv[i][1])) {
			return usage_error(command, "unknown option '%s'", argv[i]);
		} else {
			argv[kept++] = argv[i];
		}
	}
	*argc = kept;
	return -1;
}
