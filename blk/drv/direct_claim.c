/* SPDX-License-Identifier: MIT */
/*
 * Opening a source for the direct driver, and making sure that it is ours alone.
 *
 * Three fences, since each stops others: O_EXCL keeps mounts, device mapper and swap off a block
 * device; flock keeps a second blkfs off, and udev's probing; and what O_EXCL does not know about a
 * file (a loop device over it, swap in it) is looked up. /proc and /sys are asked who it is, so that
 * a refusal can name the user. A mount in another namespace is stopped by O_EXCL, but not named.
 *
 * Context: thread; everything here may block.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "base/strbuf.h"

#include "direct.h"

enum { WHO_MAX = 256, SYSFS_PATH_MAX = 512 };

/* ---- who uses it --------------------------------------------------------------------------------- */

/* Calls @look for each line of @path until it says yes. */
static bool any_line(const char *path, bool (*look)(const char *line, void *arg), void *arg)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	if (!f)
		return false;
	while (!found && getline(&line, &size, f) > 0)
		found = look(line, arg);
	free(line);
	fclose(f);
	return found;
}

struct search {
	dev_t dev;
	ino_t ino; /* 0: a block device */
	struct strbuf *who;
};

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime ... - ext4 /dev/root rw": proc_pid_mountinfo(5) */
static bool is_mount_of(const char *line, void *arg)
{
	const struct search *s = arg;
	unsigned int major, minor;
	char point[WHO_MAX];

	if (sscanf(line, "%*u %*u %u:%u %*s %255s", &major, &minor, point) != 3 ||
	    makedev(major, minor) != s->dev)
		return false;
	strbuf_printf(s->who, "it is mounted on %s: unmount that first", point);
	return true;
}

/* "/swapfile  file  1048572  0  -2": proc(5), below a line of headings */
static bool is_swap_of(const char *line, void *arg)
{
	const struct search *s = arg;
	char path[WHO_MAX];
	struct stat st;

	if (sscanf(line, "%255s", path) != 1 || stat(path, &st))
		return false;
	if (s->ino ? st.st_dev != s->dev || st.st_ino != s->ino
		   : !S_ISBLK(st.st_mode) || st.st_rdev != s->dev)
		return false;
	strbuf_printf(s->who, "the system swaps to it: swapoff %s first", path);
	return true;
}

/* Calls @look for each name in @dir until it says yes. */
static bool any_entry(const char *dir, bool (*look)(const char *dir, const char *name, void *arg),
		      void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	if (!d)
		return false;
	while (!found && (e = readdir(d)))
		found = e->d_name[0] != '.' && look(dir, e->d_name, arg);
	closedir(d);
	return found;
}

static bool is_holder(const char *dir, const char *name, void *arg)
{
	const struct search *s = arg;

	strbuf_printf(s->who, "%s is built on it: take that down first (lsblk shows it)", name);
	return true;
}

static bool is_device_used(const struct search *s)
{
	char dir[SYSFS_DIR_MAX], holders[SYSFS_PATH_MAX];

	if (any_line("/proc/self/mountinfo", is_mount_of, (void *)s) ||
	    any_line("/proc/swaps", is_swap_of, (void *)s))
		return true;
	if (!sysfs_block_dir(s->dev, dir, sizeof(dir)))
		return false;
	snprintf(holders, sizeof(holders), "%s/holders", dir);
	return any_entry(holders, is_holder, (void *)s);
}

/* A folder of a disk with a "dev" file is a partition. */
static bool is_partition_used(const char *dir, const char *name, void *arg)
{
	const struct search *s = arg;
	char part[SYSFS_PATH_MAX], number[32];
	struct search of_part = *s;
	unsigned int major, minor;

	snprintf(part, sizeof(part), "%s/%s", dir, name);
	if (!sysfs_read_line(part, "partition", number, sizeof(number)) ||
	    !sysfs_read_line(part, "dev", number, sizeof(number)) ||
	    sscanf(number, "%u:%u", &major, &minor) != 2)
		return false;
	of_part.dev = makedev(major, minor);
	if (!is_device_used(&of_part))
		return false;
	strbuf_printf(s->who, " (its partition %s)", name);
	return true;
}

static bool is_block_used(const struct search *s)
{
	char dir[SYSFS_DIR_MAX];

	return is_device_used(s) || (sysfs_block_dir(s->dev, dir, sizeof(dir)) &&
				     any_entry(dir, is_partition_used, (void *)s));
}

/* ---- files: loop devices and swap ---------------------------------------------------------------- */

struct loop_search {
	struct search s;
	bool may_share; /* a loop device that cannot write does no harm */
};

static bool is_loop_over(const char *dir, const char *name, void *arg)
{
	const struct loop_search *l = arg;
	char block[SYSFS_PATH_MAX], backing[PATH_MAX];
	uint64_t is_ro = 0;
	struct stat st;

	snprintf(block, sizeof(block), "%s/%s", dir, name);
	if (strncmp(name, "loop", 4) != 0 ||
	    !sysfs_read_line(block, "loop/backing_file", backing, sizeof(backing)) ||
	    stat(backing, &st) || st.st_dev != l->s.dev || st.st_ino != l->s.ino)
		return false;
	if (l->may_share && sysfs_read_u64(block, "ro", &is_ro) && is_ro)
		return false;
	strbuf_printf(l->s.who,
		      "the loop device /dev/%s is set up over it: losetup -d /dev/%s, "
		      "or use /dev/%s itself",
		      name, name, name);
	return true;
}

static bool is_file_used(const struct search *s, bool is_read_only)
{
	struct loop_search l = { *s, is_read_only };

	return any_entry("/sys/block", is_loop_over, &l) ||
	       any_line("/proc/swaps", is_swap_of, (void *)s);
}

static int refuse_if_used(const struct direct_source *src, int errno_of_open)
{
	char text[WHO_MAX + 128];
	struct strbuf who;
	struct search s = { src->dev, src->is_block ? 0 : src->ino, &who };
	bool is_used;

	strbuf_init(&who, text, sizeof(text));
	is_used = src->is_block ? is_block_used(&s) : is_file_used(&s, src->is_read_only);
	if (!is_used && !errno_of_open)
		return 0;
	log_err("%s is in use: %s", src->path,
		is_used ? text : "another program holds it exclusively; fuser -v may tell which");
	return -EBUSY;
}

/* ---- the lock -------------------------------------------------------------------------------------- */

int direct_lock(const struct direct_source *src)
{
	if (!flock(src->fd, (src->is_read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK)
		return -EWOULDBLOCK;
	log_err("%s cannot be locked against a second opener: %s; does its file system have flock?",
		src->path, strerror(errno));
	return -errno;
}

/* "1: FLOCK  ADVISORY  WRITE 1234 fe:00:12345 0 EOF": proc_locks(5), device in hex */
static bool is_lock_of(const char *line, void *arg)
{
	const struct search *s = arg;
	unsigned int major, minor;
	unsigned long ino;
	char comm_dir[32], comm[64] = "?";
	int pid;

	if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &ino) != 4 ||
	    makedev(major, minor) != s->dev || ino != s->ino)
		return false;
	snprintf(comm_dir, sizeof(comm_dir), "/proc/%d", pid);
	sysfs_read_line(comm_dir, "comm", comm, sizeof(comm));
	strbuf_printf(s->who, "process %d (%s)", pid, comm);
	return true;
}

void direct_log_lock_holder(const struct direct_source *src)
{
	char text[WHO_MAX];
	struct strbuf who;
	struct search s = { 0, 0, &who };
	struct stat st;

	strbuf_init(&who, text, sizeof(text));
	if (!fstat(src->fd, &st)) {
		s.dev = st.st_dev;
		s.ino = st.st_ino;
	}
	if (!any_line("/proc/locks", is_lock_of, &s))
		strbuf_puts(&who, "another program");
	log_err("%s is locked by %s: it is mounted there already, or being checked; end that first%s",
		src->path, text, src->is_read_only ? "" : " (read-only users may share: -o ro)");
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static int open_flags(const struct direct_source *src, const struct direct_config *c)
{
	return (src->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY |
	       (c->must_write_through ? O_DSYNC : 0);
}

/* What it is, before it is opened for real: opening a fifo would wait, a tape would rewind. */
static int look_at(struct direct_source *src)
{
	struct stat st;

	if (stat(src->path, &st)) {
		int err = errno;

		log_err("%s cannot be opened: %s", src->path, strerror(err));
		return -err;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		log_err("%s is neither a file nor a block device; name an image file, /dev/sdX or "
			"mem:SIZE",
			src->path);
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	src->is_block = S_ISBLK(st.st_mode);
	src->dev = src->is_block ? st.st_rdev : st.st_dev;
	src->ino = st.st_ino;
	return 0;
}

static const char *open_advice(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		return "; mount it read-only (-o ro), or as a user who may write it";
	case EROFS:
		return "; mount it read-only: -o ro";
	case ENXIO:
	case ENODEV:
	case ENOMEDIUM:
		return "; the device is gone, or has no medium";
	default:
		return "";
	}
}

/* Files whose file system has no O_DIRECT go through the page cache. */
static int open_as_is(struct direct_source *src, int flags)
{
	src->fd = open(src->path, flags | O_DIRECT);
	if (src->fd < 0 && errno == EINVAL && !src->is_block) {
		src->fd = open(src->path, flags);
		src->is_buffered = src->fd >= 0;
		if (src->is_buffered)
			log_warn("%s: its file system has no O_DIRECT; the page cache is used and "
				 "flushes are fdatasync",
				 src->path);
	}
	return src->fd < 0 ? -errno : 0;
}

/* The mount that will claim the device could not if we held it; look whether anybody has it now. */
static int try_exclusive(const struct direct_source *src)
{
	int fd = open(src->path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Between looking and opening the name may have come to mean something else. */
static int check_same(const struct direct_source *src)
{
	struct stat st;

	if (!fstat(src->fd, &st) && S_ISBLK(st.st_mode) == src->is_block &&
	    (src->is_block ? st.st_rdev : st.st_dev) == src->dev && st.st_ino == src->ino)
		return 0;
	log_err("%s was replaced while it was opened; try again", src->path);
	return -EAGAIN;
}

int direct_open(struct direct_source *src, const struct direct_config *c, bool is_read_only)
{
	int flags, ret;

	*src = (struct direct_source){ .fd = -1, .is_read_only = is_read_only };
	src->path = strdup(c->path);
	if (!src->path)
		return -ENOMEM;
	ret = look_at(src);
	if (ret)
		return ret;

	flags = open_flags(src, c);
	if (src->is_block && c->is_fuseblk_claimed)
		ret = try_exclusive(src);
	else if (src->is_block)
		flags |= O_EXCL;
	if (!ret)
		ret = open_as_is(src, flags);
	if (ret == -EBUSY)
		return refuse_if_used(src, ret);
	if (ret) {
		log_err("%s cannot be opened for %s: %s%s", src->path,
			is_read_only ? "reading" : "reading and writing", strerror(-ret),
			open_advice(-ret));
		return ret;
	}
	ret = check_same(src);
	/* A file that another blkfs holds may be behind its loop device: the lock's owner is named. */
	if (ret || (!src->is_block && direct_lock(src) == -EWOULDBLOCK))
		return ret;
	return refuse_if_used(src, 0);
}

void direct_close(struct direct_source *src)
{
	if (src->fd >= 0)
		close(src->fd);
	src->fd = -1;
	free(src->path);
	src->path = NULL;
}
