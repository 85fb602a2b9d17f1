/* SPDX-License-Identifier: MIT */
/*
 * cmd_stat.c - `blkfs stat` and `blkfs set`: files of .blkfs, read and written over the socket.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "cmd.h"

enum { SET_TIMEOUT_MS = 60000 };

/* Documentation/block/stat.rst, in its order. */
static const char *const stat_fields[] = {
	"read_ios",	 "read_merges",	  "read_sectors",   "read_ticks",      "write_ios",
	"write_merges",	 "write_sectors", "write_ticks",    "in_flight",       "io_ticks",
	"time_in_queue", "discard_ios",	  "discard_merges", "discard_sectors", "discard_ticks",
	"flush_ios",	 "flush_ticks",
};

enum { STAT_FIELDS_NR = ARRAY_SIZE(stat_fields) };

static const char *const queue_files[] = { "scheduler",	  "nr_requests",    "nomerges",
					   "rq_affinity", "max_sectors_kb", "logical_block_size",
					   "write_cache", "rotational" };

static int read_fields(struct client *c, unsigned long long *out)
{
	char *text = client_show(c, "stat"), *at = text;
	int n = 0;

	for (; text && n < STAT_FIELDS_NR; n++) {
		char *end;

		out[n] = strtoull(at, &end, 10);
		if (end == at)
			break;
		at = end;
	}
	free(text);
	return n == STAT_FIELDS_NR ? 0 : -EPROTO;
}

static void print_group(const unsigned long long *f, const char *name, int ios)
{
	printf("%-9s%12llu%12llu%14llu%12llu%12.1f\n", name, f[ios], f[ios + 1], f[ios + 2],
	       f[ios + 3], f[ios] ? (double)f[ios + 3] * 1000 / (double)f[ios] : 0.0);
}

static void print_stat(struct client *c, const unsigned long long *f)
{
	char *latency = client_show(c, "latency");

	printf("%-9s%12s%12s%14s%12s%12s\n", "", "ios", "merges", "sectors", "ticks_ms", "avg_us");
	print_group(f, "read", 0);
	print_group(f, "write", 4);
	print_group(f, "discard", 11);
	printf("%-9s%12llu%12s%14s%12llu%12.1f\n", "flush", f[15], "-", "-", f[16],
	       f[15] ? (double)f[16] * 1000 / (double)f[15] : 0.0);
	printf("in_flight %llu  io_ticks %llu ms  time_in_queue %llu ms\n", f[8], f[9], f[10]);
	for (size_t i = 0; i < ARRAY_SIZE(queue_files); i++) {
		char path[64], *text;

		snprintf(path, sizeof(path), "queue/%s", queue_files[i]);
		text = client_show(c, path);
		printf("%-20s %s", queue_files[i], text ? text : "-\n");
		free(text);
	}
	if (latency)
		printf("%s", latency);
	free(latency);
}

static void print_stat_json(struct client *c, const unsigned long long *f)
{
	json_object *o = json_object_new_object(), *queue = json_object_new_object();
	char *latency = client_show(c, "latency_json");

	for (int i = 0; i < STAT_FIELDS_NR; i++)
		json_object_object_add(o, stat_fields[i], json_object_new_uint64(f[i]));
	for (size_t i = 0; i < ARRAY_SIZE(queue_files); i++) {
		char path[64], *text;

		snprintf(path, sizeof(path), "queue/%s", queue_files[i]);
		text = client_show(c, path);
		if (text)
			text[strcspn(text, "\n")] = 0;
		json_object_object_add(queue, queue_files[i],
				       text ? json_object_new_string(text) : NULL);
		free(text);
	}
	json_object_object_add(o, "queue", queue);
	if (latency)
		json_object_object_add(o, "latency", json_tokener_parse(latency));
	free(latency);
	client_print(o);
	json_object_put(o);
}

static int stat_queue(struct client *c, const char *target, bool is_json)
{
	unsigned long long fields[STAT_FIELDS_NR];

	if (read_fields(c, fields)) {
		fprintf(stderr,
			"blkfs stat: %s: the daemon (pid %d) does not give its statistics\n",
			target, c->pid);
		return EXIT_MOUNT;
	}
	if (is_json)
		print_stat_json(c, fields);
	else
		print_stat(c, fields);
	return EXIT_OK;
}

static int stat_file(struct client *c, const char *target, const char *path, json_object *all)
{
	json_object *req = client_request("show"), *answer, *text;
	int code;

	json_object_object_add(req, "path", json_object_new_string(path));
	code = client_do(c, "stat", target, req, SET_TIMEOUT_MS, &answer);
	if (code)
		return code;
	if (json_object_object_get_ex(answer, "text", &text)) {
		if (all)
			json_object_object_add(all, path, json_object_get(text));
		else
			fputs(json_object_get_string(text), stdout);
	}
	json_object_put(answer);
	return EXIT_OK;
}

int cmd_stat(int argc, char **argv)
{
	json_object *all;
	struct client c;
	bool is_json = false;
	int code = cmd_take_flags("stat", &argc, argv, &is_json,
				  "Usage: blkfs stat [--json] MOUNTPOINT|SOURCE [FILE...]\n\n"
				  "Queue statistics; with FILE, that file of .blkfs, as in "
				  "'blkfs stat /mnt queue/scheduler'.");

	if (code >= 0)
		return code;
	if (argc < 2)
		return usage_error("stat", "expected a MOUNTPOINT or SOURCE");
	code = client_find(&c, "stat", argv[1]);
	if (code)
		return code;
	if (argc == 2) {
		code = stat_queue(&c, argv[1], is_json);
	} else {
		all = is_json ? json_object_new_object() : NULL;
		for (int i = 2; i < argc && !code; i++)
			code = stat_file(&c, argv[1], argv[i], all);
		if (all && !code)
			client_print(all);
		json_object_put(all);
	}
	client_close(&c);
	return code;
}

int cmd_set(int argc, char **argv)
{
	json_object *req, *answer = NULL;
	struct client c;
	bool is_json = false;
	int code = cmd_take_flags(
		"set", &argc, argv, &is_json,
		"Usage: blkfs set MOUNTPOINT|SOURCE FILE VALUE\n\n"
		"Writes a file of .blkfs, as in 'blkfs set /mnt queue/nr_requests 64', "
		"without a FUSE request.");

	if (code >= 0)
		return code;
	if (argc != 4)
		return usage_error("set", "expected MOUNTPOINT FILE VALUE, got %d arguments",
				   argc - 1);
	code = client_find(&c, "set", argv[1]);
	if (code)
		return code;
	req = client_request("store");
	json_object_object_add(req, "path", json_object_new_string(argv[2]));
	json_object_object_add(req, "text", json_object_new_string(argv[3]));
	code = client_do(&c, "set", argv[1], req, SET_TIMEOUT_MS, &answer);
	json_object_put(answer);
	client_close(&c);
	return code;
}
