/* SPDX-License-Identifier: MIT */
/*
 * rundir.c - the runtime directory.
 */
#include "rundir.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"

static const char root_dir[] = "/run/blkfs";
/* Where root finds the mounts of others. */
static const char *const user_dirs[] = { "/run/user/*/blkfs", "/tmp/blkfs-*" };
static const char socket_tail[] = ".sock";

static int own_dir(char *path, bool is_wanted)
{
	struct stat st;

	if (is_wanted && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	if (lstat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return -EACCES;
	return 0;
}

int rundir_path(char *path, size_t size, bool is_wanted)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int len;

	if (geteuid() == 0)
		len = snprintf(path, size, "%s", root_dir);
	else if (xdg && *xdg == '/')
		len = snprintf(path, size, "%s/blkfs", xdg);
	else
		len = snprintf(path, size, "/tmp/blkfs-%u", geteuid());
	if (len < 0 || (size_t)len >= size)
		return -ENAMETOOLONG;
	return own_dir(path, is_wanted);
}

static uint64_t path_hash(const char *path)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a, 64 bits */

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 0x100000001b3ull;
	return h;
}

int rundir_socket(const char *dir, const char *mountpoint, char *path, size_t size)
{
	int len = snprintf(path, size, "%s/%016" PRIx64 "%s", dir, path_hash(mountpoint),
			   socket_tail);

	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

static int each_socket(const char *dir, int (*fn)(void *ctx, const char *socket_path), void *ctx)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int ret = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!ret && (e = readdir(d))) {
		size_t len = strlen(e->d_name), tail = strlen(socket_tail);
		char path[PATH_MAX];

		if (len <= tail || strcmp(e->d_name + len - tail, socket_tail) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		ret = fn(ctx, path);
	}
	closedir(d);
	return ret;
}

int rundir_each(int (*fn)(void *ctx, const char *socket_path), void *ctx)
{
	char own[PATH_MAX];
	glob_t users = { 0 };
	int ret = 0;

	if (!rundir_path(own, sizeof(own), false))
		ret = each_socket(own, fn, ctx);
	if (ret || geteuid())
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(user_dirs); i++)
		(void)glob(user_dirs[i], i ? GLOB_APPEND : 0, NULL, &users);
	for (size_t i = 0; i < users.gl_pathc && !ret; i++)
		ret = each_socket(users.gl_pathv[i], fn, ctx);
	globfree(&users);
	return ret;
}

int path_absolute(const char *path, char *out, size_t size)
{
	char text[PATH_MAX], real[PATH_MAX];
	size_t len = strlen(path);
	char *slash;
	const char *tail;
	int n;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (!len || len >= sizeof(text))
		return len ? -ENAMETOOLONG : -ENOENT;
	memcpy(text, path, len);
	text[len] = 0;
	slash = strrchr(text, '/');
	tail = slash ? slash + 1 : text;
	if (!*tail || !strcmp(tail, ".") || !strcmp(tail, "..")) {
		n = realpath(text, real) ? snprintf(out, size, "%s", real) : -errno;
	} else {
		if (slash)
			*slash = 0;
		if (!realpath(!slash ? "." : *text ? text : "/", real))
			return -errno;
		n = snprintf(out, size, "%s%s%s", real, real[1] ? "/" : "", tail);
	}
	if (n < 0)
		return n;
	return (size_t)n >= size ? -ENAMETOOLONG : 0;
}
