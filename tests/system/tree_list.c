/* SPDX-License-Identifier: MIT */
/*
 * tree_list [--read=plain|direct|odd|mmap] DIR: everything a reader can learn about a mounted tree,
 * as text, so that `diff` compares two mounts of one image.
 *
 * One line per fact, each beginning with the path: statx with birth time, flags, generation, xattrs,
 * link target, map of holes, a checksum per MiB of content, names with types and numbers, what
 * statfs says. What one user may not see is in the list as its error.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/endian.h"

enum {
	MIB = 1 << 20,
	WHOLE_MAX = 48 * MIB, /* larger files are read where they have data, and around it */
	EDGE = 16 << 10,
	XATTR_MAX = 1 << 16,
	DENTS_SIZE = 1000, /* small, so that a directory is continued often */
};

enum how { HOW_PLAIN, HOW_DIRECT, HOW_ODD, HOW_MMAP };

static const char *const how_names[] = { "plain", "direct", "odd", "mmap" };
static enum how how;
static char *buf; /* MIB bytes, aligned */

struct entry {
	char *name;
	uint64_t ino;
	unsigned int type;
};

struct listing {
	struct entry *entries;
	size_t nr, cap;
};

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* Two checksums say "damaged" with two numbers: the kernel's ext4 uses EBADMSG for some. */
static const char *error_name(void)
{
	return strerrorname_np(errno == EBADMSG ? EUCLEAN : errno);
}

/* Names hold any byte; a line must not. */
static void put_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c > ' ' && c < 127 && c != '\\')
			putchar(c);
		else
			printf("\\%03o", c);
	}
}

static void put_path(const char *path, const char *fact)
{
	put_text(path, strlen(path));
	printf(" %s", fact);
}

static void put_error(const char *path, const char *fact)
{
	const char *name = error_name();

	put_path(path, fact);
	printf(" %s\n", name);
}

static void put_time(const char *name, const struct statx_timestamp *t)
{
	printf(" %s=%" PRId64 ".%09u", name, (int64_t)t->tv_sec, t->tv_nsec);
}

/* ---- one object -------------------------------------------------------------------------------------- */

static int list_stat(int dir, const char *name, const char *path, struct statx *st)
{
	if (statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, st)) {
		put_error(path, "stat");
		return -errno;
	}
	put_path(path, "stat");
	printf(" ino=%" PRIu64 " mode=%o nlink=%u uid=%u gid=%u rdev=%u:%u size=%" PRIu64
	       " blocks=%" PRIu64 " blksize=%u",
	       (uint64_t)st->stx_ino, st->stx_mode, st->stx_nlink, st->stx_uid, st->stx_gid,
	       st->stx_rdev_major, st->stx_rdev_minor, (uint64_t)st->stx_size,
	       (uint64_t)st->stx_blocks, st->stx_blksize);
	put_time("atime", &st->stx_atime);
	put_time("mtime", &st->stx_mtime);
	put_time("ctime", &st->stx_ctime);
	if (st->stx_mask & STATX_BTIME)
		put_time("btime", &st->stx_btime);
	putchar('\n');
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* @proc is /proc/self/fd/N of an O_PATH descriptor: the l- calls would not go through it. */
static void list_xattrs(const char *proc, const char *path)
{
	static char names[XATTR_MAX], value[XATTR_MAX];
	const char *sorted[4096];
	size_t nr = 0;
	ssize_t len = listxattr(proc, names, sizeof(names));

	if (len < 0) {
		put_error(path, "xattrs");
		return;
	}
	for (char *name = names; name < names + len && nr < 4096; name += strlen(name) + 1)
		sorted[nr++] = name;
	qsort(sorted, nr, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < nr; i++) {
		ssize_t size = getxattr(proc, sorted[i], value, sizeof(value));

		put_path(path, "xattr ");
		put_text(sorted[i], strlen(sorted[i]));
		if (size < 0) {
			printf(" %s\n", error_name());
			continue;
		}
		printf(" size=%zd crc=%08x exact=%zd\n", size, crc32c(~0u, value, (size_t)size),
		       size ? getxattr(proc, sorted[i], value, (size_t)size) : size);
	}
	/* Names that are not there, and a buffer that is too small. */
	if (getxattr(proc, "user.not-there", value, sizeof(value)) >= 0 || errno != ENODATA)
		put_error(path, "xattr not-there");
	if (len > 1 && (listxattr(proc, names, 1) >= 0 || errno != ERANGE))
		put_error(path, "xattr too-small");
}

static void list_link(int fd, const char *path)
{
	ssize_t len = readlinkat(fd, "", buf, MIB);

	if (len < 0) {
		put_error(path, "link");
		return;
	}
	put_path(path, "link ");
	put_text(buf, (size_t)len);
	putchar('\n');
}

static void list_flags(int fd, const char *path)
{
	unsigned int flags = 0, generation = 0;
	struct fsxattr fa = { 0 };

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		put_error(path, "flags");
	if (ioctl(fd, FS_IOC_GETVERSION, &generation))
		put_error(path, "generation");
	if (ioctl(fd, FS_IOC_FSGETXATTR, &fa))
		put_error(path, "fsxattr");
	put_path(path, "flags");
	printf(" %x generation=%x xflags=%x project=%u\n", flags, generation, fa.fsx_xflags,
	       fa.fsx_projid);
}

/* ---- content ------------------------------------------------------------------------------------------- */

/* Lengths that fit nothing, from a fixed sequence. */
static size_t odd_length(void)
{
	static uint32_t state = 12345;

	state = state * 1664525 + 1013904223;
	return 1 + (state >> 8) % 70001;
}

/* Reads [off, off + len) into buf by the way asked for; returns bytes or -1. */
static ssize_t read_range(int fd, uint64_t off, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t want = len - done;
		ssize_t got;

		if (how == HOW_ODD && odd_length() < want)
			want = odd_length() % want + 1;
		if (how == HOW_DIRECT)
			want = (want + 4095) & ~(size_t)4095;
		got = pread(fd, buf + done, want, (off_t)(off + done));
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)(done < len ? done : len);
}

static ssize_t map_range(int fd, uint64_t off, size_t len)
{
	void *map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, (off_t)off);

	if (map == MAP_FAILED)
		return -1;
	memcpy(buf, map, len);
	munmap(map, len);
	return (ssize_t)len;
}

static void list_content(int fd, const char *path, uint64_t from, uint64_t to)
{
	for (uint64_t off = from; off < to;) {
		uint64_t stop = (off / MIB + 1) * MIB;
		size_t len = (size_t)((stop < to ? stop : to) - off);
		ssize_t got = how == HOW_MMAP ? map_range(fd, off, len) : read_range(fd, off, len);

		if (got < 0) {
			put_error(path, "read");
			return;
		}
		put_path(path, "data");
		printf(" %" PRIu64 "+%zd %08x\n", off, got, crc32c(~0u, buf, (size_t)got));
		off += len;
	}
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The map of holes, and for a file too large to read whole its data with an edge of zeroes around. */
static void list_holes(int fd, const char *path, uint64_t size)
{
	uint64_t seen = 0;
	off_t data = 0, hole;

	while ((data = lseek(fd, data, SEEK_DATA)) >= 0) {
		hole = lseek(fd, data, SEEK_HOLE);
		put_path(path, "map");
		printf(" %jd-%jd\n", (intmax_t)data, (intmax_t)hole);
		if (hole < 0)
			break;
		if (size > WHOLE_MAX) {
			uint64_t from = (uint64_t)data > EDGE ? ((uint64_t)data - EDGE) & ~4095ull
							      : 0;
			uint64_t to = min_u64(((uint64_t)hole + EDGE) & ~4095ull, size);

			from = from < seen ? seen : from;
			if (from < to)
				list_content(fd, path, from, to);
			seen = to;
		}
		data = hole;
	}
	if (errno != ENXIO)
		put_error(path, "map");
}

static void list_file(const char *proc, const char *path, const struct statx *st)
{
	int fd = open(proc, O_RDONLY | O_CLOEXEC | (how == HOW_DIRECT ? O_DIRECT : 0));

	if (fd < 0) {
		put_error(path, "open");
		return;
	}
	list_flags(fd, path);
	list_holes(fd, path, st->stx_size);
	if (st->stx_size <= WHOLE_MAX)
		list_content(fd, path, 0, st->stx_size);
	if (how != HOW_DIRECT && pread(fd, buf, 4096, (off_t)st->stx_size) != 0)
		put_error(path, "read-at-end");
	close(fd);
}

/* ---- directories ------------------------------------------------------------------------------------------ */

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void listing_add(struct listing *l, const struct dirent64 *d)
{
	if (l->nr == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->entries = realloc(l->entries, l->cap * sizeof(*l->entries));
		if (!l->entries)
			die("memory");
	}
	l->entries[l->nr++] = (struct entry){ strdup(d->d_name), d->d_ino, d->d_type };
}

/* Reads the whole directory through a small buffer; false: an error was listed. */
static bool read_dir(int fd, const char *path, struct listing *l)
{
	char dents[DENTS_SIZE] __attribute__((aligned(8)));
	ssize_t got;

	while ((got = getdents64(fd, dents, sizeof(dents))) > 0) {
		for (ssize_t at = 0; at < got;) {
			const struct dirent64 *d = (const struct dirent64 *)(dents + at);

			listing_add(l, d);
			at += d->d_reclen;
		}
	}
	if (got < 0)
		put_error(path, "readdir");
	return got == 0;
}

static void list_tree(int dir, const char *name, const char *path);

static void list_dir(const char *proc, const char *path)
{
	struct listing l = { 0 };
	int fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		put_error(path, "open");
		return;
	}
	list_flags(fd, path);
	read_dir(fd, path, &l);
	if (l.nr)
		qsort(l.entries, l.nr, sizeof(*l.entries), compare_entries);
	for (size_t i = 0; i < l.nr; i++) {
		put_path(path, "name ");
		put_text(l.entries[i].name, strlen(l.entries[i].name));
		/* What is above the root is the mount's. */
		printf(" %" PRIu64 " type=%u\n",
		       strcmp(path, ".") == 0 && strcmp(l.entries[i].name, "..") == 0
			       ? 0
			       : l.entries[i].ino,
		       l.entries[i].type);
	}
	if (faccessat(fd, "not-there", F_OK, 0) == 0 || (errno != ENOENT && errno != EACCES))
		put_error(path, "lookup not-there");
	for (size_t i = 0; i < l.nr; i++) {
		const char *name = l.entries[i].name;
		char *child = NULL;

		if (strcmp(name, ".") && strcmp(name, "..")) {
			if (asprintf(&child, "%s/%s", path, name) < 0)
				die("memory");
			list_tree(fd, name, child);
			free(child);
		}
		free(l.entries[i].name);
	}
	free(l.entries);
	close(fd);
}

static void list_tree(int dir, const char *name, const char *path)
{
	struct statx st;
	char proc[64];
	int fd;

	if (list_stat(dir, name, path, &st))
		return;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		put_error(path, "path");
		return;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	list_xattrs(proc, path);
	switch (st.stx_mode & S_IFMT) {
	case S_IFLNK:
		list_link(fd, path);
		break;
	case S_IFREG:
		list_file(proc, path, &st);
		break;
	case S_IFDIR:
		list_dir(proc, path);
		break;
	default:
		break;
	}
	close(fd);
}

static void list_statfs(void)
{
	struct statvfs st;

	if (statvfs(".", &st))
		die("statvfs");
	printf("statfs bsize=%lu frsize=%lu blocks=%ju bfree=%ju bavail=%ju files=%ju ffree=%ju"
	       " namemax=%lu\n",
	       st.f_bsize, st.f_frsize, (uintmax_t)st.f_blocks, (uintmax_t)st.f_bfree,
	       (uintmax_t)st.f_bavail, (uintmax_t)st.f_files, (uintmax_t)st.f_ffree, st.f_namemax);
}

static int usage(void)
{
	fprintf(stderr, "usage: tree_list [--read=plain|direct|odd|mmap] DIR\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *dir = argv[argc - 1];

	if (argc == 3) {
		for (how = 0; how < ARRAY_SIZE(how_names); how++) {
			if (strncmp(argv[1], "--read=", 7) == 0 &&
			    strcmp(argv[1] + 7, how_names[how]) == 0)
				break;
		}
		if (how == ARRAY_SIZE(how_names))
			return usage();
	} else if (argc != 2) {
		return usage();
	}
	buf = aligned_alloc(4096, MIB + 4096);
	if (!buf || chdir(dir))
		die(dir);
	list_statfs();
	list_tree(AT_FDCWD, ".", ".");
	return fflush(stdout) ? 2 : 0;
}
