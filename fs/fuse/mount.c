/* SPDX-License-Identifier: MIT */
/*
 * The mount itself: mount(2) as fuseblk or fuse, fusermount3 for those who are not root, the loop
 * device under an image, umount, and cutting the connection.
 *
 * Context of everything here: a thread of the offload pool (system calls that block), or a foreign
 * one. fusermount3 is started with posix_spawn(), which shares our memory until exec: no page of a
 * transfer in flight is copied.
 */
#include <errno.h>
#include <limits.h>
#include <linux/loop.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/strbuf.h"

#include "fs/fuse/front.h"

enum {
	OPTS_MAX = 4096 + 256,
	LOOP_TRIES = 32,       /* others claim the free one before us */
	BLK_SIZE = 4096,       /* of the superblock; files say their own */
	CONNECTION_SHIFT = 20, /* the kernel's dev_t: 12 bits major, 20 bits minor */
};

static const struct {
	unsigned long flag;
	const char *name;
} flag_names[] = {
	{ MS_RDONLY, "ro" },	   { MS_NOSUID, "nosuid" },    { MS_NODEV, "nodev" },
	{ MS_NOEXEC, "noexec" },   { MS_SYNCHRONOUS, "sync" }, { MS_DIRSYNC, "dirsync" },
	{ MS_NOATIME, "noatime" },
};

/* ---- loop devices ------------------------------------------------------------------------------- */

/* One try; -EBUSY: somebody was faster. */
static int loop_claim(int control_fd, int image_fd, bool is_read_only, char *path, size_t path_size)
{
	struct loop_config cfg = {
		.fd = (uint32_t)image_fd,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR |
				      (is_read_only ? LO_FLAGS_READ_ONLY : 0) },
	};
	int nr = ioctl(control_fd, LOOP_CTL_GET_FREE);
	int fd, err;

	if (nr < 0)
		return -errno;
	snprintf(path, path_size, "/dev/loop%d", nr);
	fd = open(path, (is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_CONFIGURE, &cfg) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The descriptor keeps the loop device until the mount holds it: it clears itself afterwards. */
static int loop_open(const char *image, bool is_read_only, char *path, size_t path_size)
{
	int image_fd = open(image, (is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	int control_fd, res = -EBUSY;

	if (image_fd < 0)
		return -errno;
	control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control_fd < 0) {
		res = -errno;
		close(image_fd);
		return res;
	}
	for (int i = 0; i < LOOP_TRIES && res == -EBUSY; i++)
		res = loop_claim(control_fd, image_fd, is_read_only, path, path_size);
	close(control_fd);
	close(image_fd);
	return res;
}

/* Where to mount on: @path itself or a loop device over it. *out_fd holds it, or is -1. */
static int blk_source(struct fuse_front *ff, const char *path, const char **source, int *out_fd)
{
	struct stat st;
	int fd;

	*out_fd = -1;
	if (stat(path, &st) < 0)
		return -errno;
	*source = path;
	if (S_ISBLK(st.st_mode))
		return 0;
	if (!S_ISREG(st.st_mode))
		return -ENOTBLK;
	fd = loop_open(path, ff->mount_flags & MS_RDONLY, ff->loop_path, sizeof(ff->loop_path));
	if (fd < 0) {
		ff->loop_path[0] = 0;
		log_err("mount: no loop device for %s: %s; check /dev/loop-control and losetup -a",
			path, strerror(-fd));
		return fd;
	}
	*source = ff->loop_path;
	*out_fd = fd;
	return 0;
}

/* ---- root: mount(2) ----------------------------------------------------------------------------- */

static void kernel_opts(const struct fuse_front *ff, struct strbuf *sb)
{
	struct stat st;

	if (stat(ff->mountpoint, &st) < 0)
		st.st_mode = S_IFDIR;
	strbuf_printf(sb, "fd=%d,rootmode=%o,user_id=%u,group_id=%u,max_read=%u", ff->fd,
		      st.st_mode & S_IFMT, geteuid(), getegid(), ff->max_write);
	if (ff->is_blk)
		strbuf_printf(sb, ",blksize=%d", BLK_SIZE);
	if (ff->allow_other)
		strbuf_puts(sb, ",allow_other");
	if (ff->default_permissions)
		strbuf_puts(sb, ",default_permissions");
}

static void mount_failed(const struct fuse_front *ff, const char *source, const char *type, int err)
{
	const char *advice = err == -EBUSY    ? "it is mounted or in use: findmnt, losetup -a"
			     : err == -EPERM  ? "root is needed (CAP_SYS_ADMIN)"
			     : err == -ENODEV ? "the kernel has no FUSE: modprobe fuse"
			     : err == -EACCES ? "the device is read-only: mount with -o ro"
					      : "see the kernel log (dmesg)";

	log_err("mount: %s on %s as type %s: %s; %s", source, ff->mountpoint, type, strerror(-err),
		advice);
}

static int mount_root(struct fuse_front *ff, const struct fuse_front_config *cfg)
{
	const char *source = cfg->source;
	char type[64], buf[OPTS_MAX];
	int hold_fd = -1, err = 0;
	struct strbuf opts;

	ff->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (ff->fd < 0) {
		err = -errno;
		log_err("mount: cannot open /dev/fuse: %s; modprobe fuse", strerror(-err));
		return err;
	}
	ff->is_blk = cfg->blk_path != NULL;
	if (ff->is_blk)
		err = blk_source(ff, cfg->blk_path, &source, &hold_fd);
	if (err)
		return err;
	snprintf(type, sizeof(type), "%s%s%s", ff->is_blk ? "fuseblk" : "fuse",
		 cfg->subtype ? "." : "", cfg->subtype ? cfg->subtype : "");
	strbuf_init(&opts, buf, sizeof(buf));
	kernel_opts(ff, &opts);
	if (mount(source, ff->mountpoint, type, ff->mount_flags, buf) < 0) {
		err = -errno;
		mount_failed(ff, source, type, err);
	}
	if (hold_fd >= 0)
		close(hold_fd);
	return err;
}

/* ---- others: fusermount3 ------------------------------------------------------------------------ */

/* Its exit status, or a negative errno. */
static int fusermount_run(char *const argv[], char *const env[])
{
	int status, err;
	pid_t pid;

	err = -posix_spawnp(&pid, "fusermount3", NULL, NULL, argv, env);
	if (err)
		return err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EPROTO;
}

static int fd_receive(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cm;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return -EPERM;
	cm = CMSG_FIRSTHDR(&msg);
	if (!cm || cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS ||
	    cm->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	return fd;
}

static void fusermount_opts(const struct fuse_front *ff, const struct fuse_front_config *cfg,
			    struct strbuf *sb)
{
	strbuf_printf(sb, "max_read=%u", ff->max_write);
	if (cfg->source) {
		strbuf_puts(sb, ",fsname=");
		for (const char *c = cfg->source; *c; c++) {
			if (*c == ',' || *c == '\\')
				strbuf_putc(sb, '\\');
			strbuf_putc(sb, *c);
		}
	}
	if (cfg->subtype)
		strbuf_printf(sb, ",subtype=%s", cfg->subtype);
	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
		if (ff->mount_flags & flag_names[i].flag)
			strbuf_printf(sb, ",%s", flag_names[i].name);
	if (ff->allow_other)
		strbuf_puts(sb, ",allow_other");
	if (ff->default_permissions)
		strbuf_puts(sb, ",default_permissions");
}

/* Our environment and the socket's number. NULL: no memory. */
static char **env_with_commfd(char *commfd)
{
	size_t vars_nr = 0;
	char **env;

	while (environ[vars_nr])
		vars_nr++;
	env = calloc(vars_nr + 2, sizeof(*env));
	if (!env)
		return NULL;
	env[0] = commfd;
	for (size_t i = 0; i < vars_nr; i++)
		env[i + 1] = environ[i];
	return env;
}

static int mount_fusermount(struct fuse_front *ff, const struct fuse_front_config *cfg)
{
	char opts_buf[OPTS_MAX], commfd[32];
	char *argv[] = { "fusermount3", "-o", opts_buf, "--", ff->mountpoint, NULL };
	struct strbuf opts;
	char **env;
	int sv[2], res;

	strbuf_init(&opts, opts_buf, sizeof(opts_buf));
	fusermount_opts(ff, cfg, &opts);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return -errno;
	fcntl(sv[1], F_SETFD, FD_CLOEXEC); /* ours; fusermount3 inherits sv[0] */
	snprintf(commfd, sizeof(commfd), "_FUSE_COMMFD=%d", sv[0]);
	env = env_with_commfd(commfd);
	res = env ? fusermount_run(argv, env) : -ENOMEM;
	free(env);
	close(sv[0]);
	if (res == 0)
		res = fd_receive(sv[1]);
	else if (res > 0)
		res = -EPERM; /* it has said why on stderr */
	close(sv[1]);
	if (res < 0) {
		log_err("mount: fusermount3 on %s: %s; it must be installed (package fuse3), own "
			"the mountpoint and be able to open /dev/fuse",
			ff->mountpoint, strerror(-res));
		return res;
	}
	ff->fd = res;
	fcntl(ff->fd, F_SETFL, O_RDWR | O_NONBLOCK);
	return 0;
}

/* ---- the number of the connection ---------------------------------------------------------------- */

/* mountinfo writes blanks and backslashes as \ooo. */
static void octal_unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = 0;
}

/* From mountinfo: a stat() of the mountpoint would be a request to ourselves. */
static uint64_t connection_of(const char *mountpoint)
{
	char line[2 * FF_PATH_MAX], path[FF_PATH_MAX];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned int major_nr, minor_nr;
	uint64_t connection = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %u:%u %*s %4095s", &major_nr, &minor_nr, path) != 3)
			continue;
		octal_unescape(path);
		if (strcmp(path, mountpoint) == 0) /* the last one is on top */
			connection = (uint64_t)major_nr << CONNECTION_SHIFT | minor_nr;
	}
	if (f)
		fclose(f);
	return connection;
}

/* ---- the number of queues -------------------------------------------------------------------------- */

/* How many CPUs a list as "0-3,8" names. */
static unsigned int cpu_list_count(const char *list)
{
	unsigned int first, last, nr = 0;
	int used;

	while (sscanf(list, "%u%n", &first, &used) == 1) {
		list += used;
		last = first;
		if (sscanf(list, "-%u%n", &last, &used) == 1)
			list += used;
		nr += last >= first ? last - first + 1 : 0;
		if (*list == ',')
			list++;
	}
	return nr;
}

/* sysconf() knows those that are present; the kernel has a queue for each possible one. */
static unsigned int possible_cpus(void)
{
	FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
	char line[1024] = "";
	unsigned int nr;

	if (f) {
		if (!fgets(line, sizeof(line), f))
			line[0] = 0;
		fclose(f);
	}
	nr = cpu_list_count(line);
	return nr ? nr : (unsigned int)sysconf(_SC_NPROCESSORS_CONF);
}

/* ---- the page cache's opinion of us --------------------------------------------------------------- */

static void bdi_set(const struct fuse_front *ff, const char *name, unsigned int value)
{
	unsigned int minor_nr = (unsigned int)(ff->connection & ((1 << CONNECTION_SHIFT) - 1));
	unsigned int major_nr = (unsigned int)(ff->connection >> CONNECTION_SHIFT);
	char path[128], text[16];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u%s/%s", major_nr, minor_nr,
		 ff->is_blk ? "-fuseblk" : "", name);
	snprintf(text, sizeof(text), "%u", value);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* an older kernel has no such file: as it was */
	if (write(fd, text, strlen(text)) < 0)
		log_warn("mount: %s: %s; buffered I/O may be slower", path, strerror(errno));
	close(fd);
}

void ff_bdi_tune(struct fuse_front *ff)
{
	bdi_set(ff, "strict_limit", 0);
	bdi_set(ff, "max_ratio", 100);
	bdi_set(ff, "read_ahead_kb", ff->max_write / 1024);
}

/* ---- story ------------------------------------------------------------------------------------- */

int ff_mount(struct fuse_front *ff, const struct fuse_front_config *cfg)
{
	char *real = realpath(cfg->mountpoint, NULL);
	int err = real ? 0 : -errno;

	if (!err && strlen(real) >= sizeof(ff->mountpoint))
		err = -ENAMETOOLONG;
	if (err) {
		log_err("mount: mountpoint %s: %s", cfg->mountpoint, strerror(-err));
		free(real);
		return err;
	}
	memcpy(ff->mountpoint, real, strlen(real) + 1);
	free(real);
	err = geteuid() == 0 ? mount_root(ff, cfg) : mount_fusermount(ff, cfg);
	ff->connection = err ? 0 : connection_of(ff->mountpoint);
	ff->possible_nr = possible_cpus();
	return err;
}

/* ---- what waits for ourselves ---------------------------------------------------------------------- */

/* Its messages are not ours: the exit status is all that is heard. */
int ff_run_program(char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int status, err;
	pid_t pid;

	err = -posix_spawn_file_actions_init(&actions);
	if (err)
		return err;
	err = -posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (!err)
		err = -posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		return err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

/* umount(8) does not say why; in use is why, nearly always. */
static int umount_root(const char *mountpoint, bool is_lazy)
{
	char *argv[] = { "umount", "-i", "-n", "--", (char *)(uintptr_t)mountpoint, NULL };
	char *lazy_argv[] = {
		"umount", "-i", "-n", "-l", "--", (char *)(uintptr_t)mountpoint, NULL
	};
	int res;

	res = ff_run_program(is_lazy ? lazy_argv : argv);
	return res > 0 ? -EBUSY : res;
}

int ff_umount(struct fuse_front *ff, unsigned int flags)
{
	bool is_lazy = flags & FUSE_FRONT_UNMOUNT_LAZY;
	char *argv[] = { "fusermount3", "-u", "-q", "--", ff->mountpoint, NULL };
	char *lazy_argv[] = { "fusermount3", "-u", "-q", "-z", "--", ff->mountpoint, NULL };
	int res;

	if (flags & FUSE_FRONT_UNMOUNT_FORCE)
		ff_conn_abort(ff);
	if (connection_of(ff->mountpoint) != ff->connection)
		return -ENOENT;
	if (geteuid() == 0)
		return umount_root(ff->mountpoint, is_lazy);
	res = fusermount_run(is_lazy ? lazy_argv : argv, environ);
	return res > 0 ? -EBUSY : res;
}

/*
 * The connection's abort file where fusectl is mounted; root has umount's force, which aborts and
 * then fails. One of them works or the requests still waiting are answered by us (is_aborted).
 */
void ff_conn_abort(struct fuse_front *ff)
{
	char path[64];
	int fd;

	__atomic_store_n(&ff->is_aborted, true, __ATOMIC_RELEASE);
	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%llu/abort",
		 (unsigned long long)ff->connection);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t res = write(fd, "1", 1);

		close(fd);
		if (res == 1)
			return;
	}
	if (geteuid() == 0 && connection_of(ff->mountpoint) == ff->connection) {
		(void)umount2(ff->mountpoint, UMOUNT_NOFOLLOW | MNT_FORCE);
		return;
	}
	log_warn("abort: %s: %s; new requests are refused by blkfs itself (mount fusectl on "
		 "/sys/fs/fuse/connections to cut the connection)",
		 path, strerror(errno));
}
