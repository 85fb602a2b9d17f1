/* SPDX-License-Identifier: MIT */
/*
 * view.c - see view.h.
 */
#include "tests/fs/ext4/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"

#include "blkfs/rt.h"
#include "tests/lib/sim.h"

enum { ATTR_BYTES = 65536, PATH_BYTES = 4096, DIGEST_INODES_MAX = 5000, READ_MAX = 4 << 20 };

/* ---- paths -------------------------------------------------------------------------------------- */

/* The number of @path's inode, its lookup kept. */
static int walk(struct fs *fs, const char *path, struct fs_stat *st)
{
	uint64_t dir = FS_ROOT_INO;
	int err = fs->ops->getattr(fs, dir, st);

	while (!err && *path) {
		size_t len = strcspn(path, "/");

		err = fs->ops->lookup(fs, dir, path, len, st);
		if (dir != FS_ROOT_INO)
			fs->ops->forget(fs, dir, 1);
		dir = st->ino;
		path += len + (path[len] == '/');
	}
	return err;
}

static void leave(struct fs *fs, const struct fs_stat *st)
{
	if (st->ino != FS_ROOT_INO)
		fs->ops->forget(fs, st->ino, 1);
}

static bool is_same_time(struct fs_time a, struct fs_time b)
{
	return a.sec == b.sec && a.nsec == b.nsec;
}

/* By members: what pads them is not anybody's. */
static bool is_same_stat(const struct fs_stat *a, const struct fs_stat *b)
{
	return a->ino == b->ino && a->generation == b->generation && a->size == b->size &&
	       a->blocks == b->blocks && is_same_time(a->atime, b->atime) &&
	       is_same_time(a->mtime, b->mtime) && is_same_time(a->ctime, b->ctime) &&
	       is_same_time(a->btime, b->btime) && a->mode == b->mode && a->nlink == b->nlink &&
	       a->uid == b->uid && a->gid == b->gid && a->blksize == b->blksize &&
	       a->rdev_major == b->rdev_major && a->rdev_minor == b->rdev_minor &&
	       a->flags == b->flags && a->has_btime == b->has_btime;
}

int view_stat(struct fs *fs, const char *path, struct fs_stat *out)
{
	struct fs_stat again;
	int err = walk(fs, path, out);

	if (err)
		return err;
	err = fs->ops->getattr(fs, out->ino, &again);
	sim_expect(err || is_same_stat(out, &again));
	leave(fs, out);
	return err;
}

/* ---- content ------------------------------------------------------------------------------------ */

static int read_pieces(struct fs *fs, struct fs_file *file, size_t piece, uint8_t *out, size_t size)
{
	size_t room = round_up(min(piece, size + 1), 4096);
	uint8_t *buf = rt_dma_alloc(room);
	ssize_t n = 1;
	size_t off = 0;

	while (n > 0) {
		struct fs_io io = { .off = off, .len = min(piece, room), .iov = { buf, room } };

		memset(buf, 0xA5, room); /* what is not overwritten shows */
		n = fs->ops->read(fs, file, &io);
		if (n <= 0)
			break;
		if (off + (size_t)n > size) {
			n = -EFBIG;
			break;
		}
		memcpy(out + off, buf, (size_t)n);
		off += (size_t)n;
	}
	rt_dma_free(buf, room);
	if (n < 0)
		return (int)n;
	return off == size ? 0 : -ENODATA;
}

static int read_ino(struct fs *fs, const struct fs_stat *st, size_t piece, uint8_t **out)
{
	struct fs_file *file;
	int err = fs->ops->open(fs, st->ino, O_RDONLY, &file);

	if (err)
		return err;
	*out = malloc(st->size + 1);
	err = *out ? read_pieces(fs, file, piece, *out, st->size) : -ENOMEM;
	if (err) {
		free(*out);
		*out = NULL;
	}
	fs->ops->release(fs, file);
	return err;
}

int view_read(struct fs *fs, const char *path, size_t piece, uint8_t **out, size_t *len)
{
	struct fs_stat st;
	int err = walk(fs, path, &st);

	if (err)
		return err;
	*len = st.size;
	err = read_ino(fs, &st, piece, out);
	leave(fs, &st);
	return err;
}

/* ---- names -------------------------------------------------------------------------------------- */

struct names {
	char **v;
	size_t nr, room;
	size_t stop_after; /* names a call, to come back by offset */
	size_t here;
	uint64_t next_off;
};

static int collect(void *ctx, const char *name, size_t name_len, uint64_t ino, uint32_t d_type,
		   uint64_t next_off)
{
	struct names *n = ctx;

	if (n->here == n->stop_after)
		return 1;
	if (n->nr == n->room) {
		n->room = n->room ? 2 * n->room : 64;
		n->v = realloc(n->v, n->room * sizeof(*n->v));
	}
	n->v[n->nr++] = strndup(name, name_len);
	n->here++;
	n->next_off = next_off;
	sim_expect(ino != 0 && d_type <= DT_WHT);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_free(struct names *n)
{
	for (size_t i = 0; i < n->nr; i++)
		free(n->v[i]);
	free(n->v);
}

static int list_ino(struct fs *fs, uint64_t ino, struct names *n)
{
	struct fs_file *dir;
	int err = fs->ops->opendir(fs, ino, &dir);

	if (err)
		return err;
	n->stop_after = 37;
	do {
		n->here = 0;
		err = fs->ops->readdir(fs, dir, n->next_off, collect, n);
	} while (!err && n->here);
	fs->ops->release(fs, dir);
	if (n->nr)
		qsort(n->v, n->nr, sizeof(*n->v), by_name);
	return err;
}

int view_list(struct fs *fs, const char *path, char **out, size_t *nr)
{
	struct names n = { 0 };
	struct fs_stat st;
	size_t len = 0;
	int err = walk(fs, path, &st);

	if (err)
		return err;
	err = list_ino(fs, st.ino, &n);
	leave(fs, &st);
	*nr = 0;
	*out = calloc(1, n.nr * (FS_NAME_MAX + 1) + 1);
	for (size_t i = 0; i < n.nr; i++) {
		if (!strcmp(n.v[i], ".") || !strcmp(n.v[i], ".."))
			continue;
		memcpy(*out + len, n.v[i], strlen(n.v[i]));
		len += strlen(n.v[i]) + 1;
		(*nr)++;
	}
	names_free(&n);
	if (err)
		free(*out);
	return err;
}

/* ---- comparison with the host ------------------------------------------------------------------- */

static bool is_same(const char *path, const char *what, uint64_t host, uint64_t ours)
{
	if (host == ours)
		return true;
	log_err("%s: %s: the host has %llu, the image %llu", path, what, (unsigned long long)host,
		(unsigned long long)ours);
	sim_expect(host == ours);
	return false;
}

static void compare_stat(const char *path, const struct stat *h, const struct fs_stat *st)
{
	is_same(path, "mode", h->st_mode, st->mode);
	is_same(path, "uid", h->st_uid, st->uid);
	is_same(path, "gid", h->st_gid, st->gid);
	if (*path) /* mkfs gives the root a time of its own */
		is_same(path, "mtime", (uint64_t)h->st_mtim.tv_sec, (uint64_t)st->mtime.sec);
	if (!S_ISDIR(h->st_mode)) {
		is_same(path, "links", h->st_nlink, st->nlink);
		is_same(path, "size", (uint64_t)h->st_size, st->size);
	}
	if (S_ISCHR(h->st_mode) || S_ISBLK(h->st_mode)) {
		is_same(path, "major", major(h->st_rdev), st->rdev_major);
		is_same(path, "minor", minor(h->st_rdev), st->rdev_minor);
	}
}

static void compare_content(struct fs *fs, const char *host, const char *path, size_t size,
			    size_t piece)
{
	uint8_t *ours = NULL, *theirs = malloc(size + 1);
	int fd = open(host, O_RDONLY | O_CLOEXEC), err;
	size_t len = 0;

	sim_expect(fd >= 0 && read(fd, theirs, size) == (ssize_t)size);
	close(fd);
	err = view_read(fs, path, piece, &ours, &len);
	if (is_same(path, "error of read", 0, (uint64_t)-err) && len == size &&
	    memcmp(ours, theirs, size)) {
		size_t at = 0;

		while (ours[at] == theirs[at])
			at++;
		log_err("%s: content differs from byte %zu of %zu on", path, at, size);
		sim_expect(!"content");
	}
	free(ours);
	free(theirs);
}

static void compare_target(struct fs *fs, const char *host, const char *path,
			   const struct fs_stat *st)
{
	char theirs[PATH_BYTES], ours[PATH_BYTES];
	ssize_t n = readlink(host, theirs, sizeof(theirs));
	ssize_t m = fs->ops->readlink(fs, st->ino, ours, sizeof(ours));

	if (is_same(path, "length of the target", (uint64_t)n, (uint64_t)m))
		sim_expect(memcmp(ours, theirs, (size_t)n) == 0);
}

static void compare_names(struct fs *fs, const char *host, const char *path)
{
	char *list = NULL, *at;
	size_t nr = 0, host_nr = 0;
	DIR *d = opendir(host);
	struct dirent *de;
	int err = view_list(fs, path, &list, &nr);

	if (!is_same(path, "error of readdir", 0, (uint64_t)-err)) {
		closedir(d);
		return;
	}
	while ((de = readdir(d)) != NULL)
		host_nr += strcmp(de->d_name, ".") && strcmp(de->d_name, "..");
	closedir(d);
	at = list;
	for (size_t i = 0; i < nr; i++, at += strlen(at) + 1)
		host_nr += !strcmp(path, "") && !strcmp(at, "lost+found");
	is_same(path, "names", host_nr, nr);
	free(list);
}

static size_t names_in(const char *list, ssize_t len)
{
	size_t nr = 0;

	for (ssize_t i = 0; i < len; i++)
		nr += list[i] == '\0';
	return nr;
}

static void compare_xattrs(struct fs *fs, const char *host, const char *path,
			   const struct fs_stat *st)
{
	static char theirs[ATTR_BYTES], ours[ATTR_BYTES];
	static uint8_t their_value[ATTR_BYTES], our_value[ATTR_BYTES];
	ssize_t n = llistxattr(host, theirs, sizeof(theirs));
	ssize_t m = fs->ops->listxattr(fs, st->ino, ours, sizeof(ours));

	if (!is_same(path, "attributes", names_in(theirs, n), names_in(ours, m)))
		return;
	is_same(path, "size of the list", (uint64_t)m,
		(uint64_t)fs->ops->listxattr(fs, st->ino, NULL, 0));
	for (char *name = theirs; n > 0 && name < theirs + n; name += strlen(name) + 1) {
		ssize_t a = lgetxattr(host, name, their_value, sizeof(their_value));
		ssize_t b = fs->ops->getxattr(fs, st->ino, name, our_value, sizeof(our_value));

		is_same(name, "asked for its size", (uint64_t)a,
			(uint64_t)fs->ops->getxattr(fs, st->ino, name, NULL, 0));
		if (is_same(name, "attribute size", (uint64_t)a, (uint64_t)b))
			sim_expect(memcmp(their_value, our_value, (size_t)a) == 0);
	}
}

void view_compare(struct fs *fs, const char *host, const char *path)
{
	static const size_t pieces[] = { 1 << 20, 4096, 3000, 65536, 131072 + 513 };
	char full[PATH_BYTES];
	struct fs_stat st;
	struct stat h;
	int err;

	snprintf(full, sizeof(full), "%s/%s", host, path);
	sim_expect(lstat(full, &h) == 0);
	err = walk(fs, path, &st);
	if (!is_same(path, "error of lookup", 0, (uint64_t)-err))
		return;
	compare_stat(path, &h, &st);
	if (S_ISREG(h.st_mode)) {
		for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
			if ((size_t)h.st_size / pieces[i] < 3000)
				compare_content(fs, full, path, (size_t)h.st_size, pieces[i]);
		}
	} else if (S_ISLNK(h.st_mode)) {
		compare_target(fs, full, path, &st);
	} else if (S_ISDIR(h.st_mode)) {
		compare_names(fs, full, path);
	}
	if (strcmp(path, ""))
		compare_xattrs(fs, full, path, &st);
	leave(fs, &st);
}

/* ---- digest ------------------------------------------------------------------------------------- */

struct digest {
	struct fs *fs;
	uint64_t sum;
	int err;
	uint64_t dirs[DIGEST_INODES_MAX]; /* to be visited; a hostile tree may be endless */
	size_t dirs_nr, visited;
};

static void note_error(struct digest *d, int err)
{
	if (err < 0 && !d->err)
		d->err = err;
	d->sum = hash_combine(d->sum, (uint64_t)(err < 0 ? err : 0));
}

static void digest_xattrs(struct digest *d, const struct fs_stat *st)
{
	static char list[ATTR_BYTES];
	static uint8_t value[ATTR_BYTES];
	ssize_t n = d->fs->ops->listxattr(d->fs, st->ino, list, sizeof(list));

	note_error(d, (int)n);
	for (char *name = list; n > 0 && name < list + n; name += strlen(name) + 1) {
		ssize_t len = d->fs->ops->getxattr(d->fs, st->ino, name, value, sizeof(value));

		note_error(d, (int)len);
		d->sum = hash_bytes(d->sum, name, strlen(name));
		d->sum = hash_bytes(d->sum, value, len > 0 ? (size_t)len : 0);
	}
}

static void digest_content(struct digest *d, const struct fs_stat *st)
{
	struct fs_stat clipped = *st;
	char target[PATH_BYTES];
	struct fs_file *file;
	uint8_t *bytes = NULL;
	ssize_t n;

	if (S_ISLNK(st->mode)) {
		n = d->fs->ops->readlink(d->fs, st->ino, target, sizeof(target));
		note_error(d, (int)n);
		d->sum = hash_bytes(d->sum, target, n > 0 ? (size_t)n : 0);
		return;
	}
	if (!S_ISREG(st->mode))
		return;
	if (st->size <= READ_MAX) {
		note_error(d, read_ino(d->fs, &clipped, 65536, &bytes));
		if (bytes)
			d->sum = hash_bytes(d->sum, bytes, st->size);
		free(bytes);
		return;
	}
	if (d->fs->ops->open(d->fs, st->ino, O_RDONLY, &file) == 0) {
		d->fs->ops->release(d->fs, file);
		d->sum = hash_combine(d->sum, st->size);
	}
}

static void digest_name(struct digest *d, uint64_t dir, const char *name)
{
	struct fs_stat st;
	int err = d->fs->ops->lookup(d->fs, dir, name, strlen(name), &st);

	d->sum = hash_bytes(d->sum, name, strlen(name));
	note_error(d, err);
	if (err)
		return;
	d->sum = hash_bytes(d->sum, &st.size,
			    offsetof(struct fs_stat, has_btime) - offsetof(struct fs_stat, size));
	digest_xattrs(d, &st);
	digest_content(d, &st);
	if (S_ISDIR(st.mode) && strcmp(name, ".") && strcmp(name, "..") &&
	    d->dirs_nr < DIGEST_INODES_MAX)
		d->dirs[d->dirs_nr++] = st.ino;
	d->fs->ops->forget(d->fs, st.ino, 1);
}

uint64_t view_digest(struct fs *fs, int *err)
{
	struct digest *d = calloc(1, sizeof(*d));
	struct fs_statfs sfs;
	uint64_t sum;

	d->fs = fs;
	d->dirs[d->dirs_nr++] = FS_ROOT_INO;
	note_error(d, fs->ops->statfs(fs, &sfs));
	while (d->visited < d->dirs_nr && d->visited < 200) {
		uint64_t dir = d->dirs[d->visited++];
		struct names n = { 0 };

		note_error(d, list_ino(fs, dir, &n));
		for (size_t i = 0; i < n.nr && i < 1000; i++)
			digest_name(d, dir, n.v[i]);
		names_free(&n);
	}
	*err = d->err;
	sum = d->sum;
	free(d);
	return sum;
}
