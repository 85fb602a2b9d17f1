/* SPDX-License-Identifier: MIT */
/*
 * cmd_list.c - `blkfs list` and `blkfs info`: what the daemons say of themselves.
 */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "rundir.h"

enum { INFO_TIMEOUT_MS = 2000 };

static const char *const list_keys[] = { "pid",	 "source",    "mountpoint", "fs",
					 "mode", "transport", "scheduler" };

struct list_ctx {
	json_object *rows;
};

static int add_row(void *ctx, const char *socket_path)
{
	struct list_ctx *list = ctx;
	json_object *answer, *info;
	struct client c;

	if (client_open(&c, socket_path))
		return 0;
	if (!client_ask(&c, client_request("info"), INFO_TIMEOUT_MS, &answer)) {
		if (json_object_object_get_ex(answer, "info", &info))
			json_object_array_add(list->rows, json_object_get(info));
		json_object_put(answer);
	} else {
		fprintf(stderr, "blkfs list: the daemon with pid %d does not answer\n", c.pid);
	}
	client_close(&c);
	return 0;
}

static const char *cell(json_object *row, const char *key)
{
	json_object *value;

	return json_object_object_get_ex(row, key, &value) ? json_object_get_string(value) : "-";
}

static void print_rows(json_object *rows)
{
	size_t width[ARRAY_SIZE(list_keys)];

	for (size_t k = 0; k < ARRAY_SIZE(list_keys); k++) {
		width[k] = strlen(list_keys[k]);
		for (size_t i = 0; i < json_object_array_length(rows); i++)
			width[k] = max_t(
				size_t, width[k],
				strlen(cell(json_object_array_get_idx(rows, i), list_keys[k])));
	}
	for (size_t k = 0; k < ARRAY_SIZE(list_keys); k++)
		printf("%-*s%s", (int)width[k], list_keys[k],
		       k + 1 < ARRAY_SIZE(list_keys) ? "  " : "\n");
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		for (size_t k = 0; k < ARRAY_SIZE(list_keys); k++)
			printf("%-*s%s", (int)width[k],
			       cell(json_object_array_get_idx(rows, i), list_keys[k]),
			       k + 1 < ARRAY_SIZE(list_keys) ? "  " : "\n");
}

int cmd_list(int argc, char **argv)
{
	struct list_ctx list;
	bool is_json = false;
	int code =
		cmd_take_flags("list", &argc, argv, &is_json,
			       "Usage: blkfs list [--json]\n\nOne line a mount; root sees those of "
			       "all users.");

	if (code >= 0)
		return code;
	if (argc != 1)
		return usage_error("list", "takes no argument, got '%s'", argv[1]);
	list.rows = json_object_new_array();
	(void)rundir_each(add_row, &list);
	if (is_json)
		client_print(list.rows);
	else if (json_object_array_length(list.rows))
		print_rows(list.rows);
	else
		fputs("no mount of blkfs is running\n", stderr);
	json_object_put(list.rows);
	return EXIT_OK;
}

int cmd_info(int argc, char **argv)
{
	json_object *answer, *info;
	struct client c;
	bool is_json = false;
	int code = cmd_take_flags(
		"info", &argc, argv, &is_json,
		"Usage: blkfs info [--json] MOUNTPOINT|SOURCE\n\nWhat the mount is made "
		"of: source, file system, mode, transport and why, elevator.");

	if (code >= 0)
		return code;
	if (argc != 2)
		return usage_error("info", "expected one MOUNTPOINT or SOURCE, got %d", argc - 1);
	code = client_find(&c, "info", argv[1]);
	if (code)
		return code;
	code = client_do(&c, "info", argv[1], client_request("info"), INFO_TIMEOUT_MS, &answer);
	client_close(&c);
	if (code)
		return code;
	if (json_object_object_get_ex(answer, "info", &info)) {
		if (is_json) {
			client_print(info);
		} else {
			json_object_object_foreach(info, key, value)
				printf("%-18s %s\n", key, json_object_get_string(value));
		}
	}
	json_object_put(answer);
	return EXIT_OK;
}
