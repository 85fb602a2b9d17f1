/* SPDX-License-Identifier: MIT */
/*
 * The front on a real mount, both transports: what applications see. Needs root and /dev/fuse.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/endian.h"

#include "tests/lib/test.h"
#include "tests/system/fuse_mount.h"

enum { BIG = 3 << 20, NOBODY = 65534 };

TestSuite(fuse_ops, .fini = mount_fini);

static const char *const transports[] = { "transport=uring", "transport=classic" };

#define EACH_TRANSPORT(t)                                                                          \
	for (size_t t##_i = 0; t##_i < ARRAY_SIZE(transports); t##_i++)                            \
		for (const char *t = transports[t##_i]; t; t = NULL)

static void mount_with(struct mount *m, const char *transport, const char *words)
{
	char all[256];

	snprintf(all, sizeof(all), "%s %s", transport, words);
	mount_start(m, false, all);
}

static void expect_pattern(const char *buf, uint64_t off, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t word = cpu_to_le64((off + i) & ~7ULL);

		if (buf[i] != ((const char *)&word)[(off + i) & 7])
			cr_assert_fail("byte %llu is wrong", (unsigned long long)(off + i));
	}
}

/* ---- data ---------------------------------------------------------------------------------------- */

Test(fuse_ops, any_offset_and_length_reads_what_is_there_in_each_mode)
{
	static const char *const modes[] = { "mode=auto", "mode=buffered", "mode=direct",
					     "mode=auto ro=1", "mode=direct ro=1" };
	static const struct {
		uint64_t off;
		size_t len;
	} reads[] = { { 0, 1 }, { 4095, 2 }, { 12345, 100000 }, { 1 << 20, BIG }, { 7, BIG } };
	char *buf = malloc(BIG);
	struct mount m;

	EACH_TRANSPORT(t) for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
	{
		int fd;

		mount_with(&m, t, modes[i]);
		fd = open(mount_path(&m, "pattern"), O_RDONLY);
		cr_assert(fd >= 0, "%s", strerror(errno));
		for (size_t r = 0; r < ARRAY_SIZE(reads); r++) {
			cr_assert_eq(pread(fd, buf, reads[r].len, (off_t)reads[r].off),
				     (ssize_t)reads[r].len);
			expect_pattern(buf, reads[r].off, reads[r].len);
		}
		cr_expect_eq(pread(fd, buf, 100, (1 << 30) - 10), 10);
		cr_expect_eq(pread(fd, buf, 100, 1 << 30), 0);
		close(fd);
		mount_end(&m);
	}
	free(buf);
}

Test(fuse_ops, an_o_direct_file_is_held_to_the_devices_alignment_and_no_other_is)
{
	char *buf = aligned_alloc(4096, 16384);
	struct mount m;

	EACH_TRANSPORT(t) for (int is_ro = 0; is_ro < 2; is_ro++)
	{
		int fd;
		char *map;

		mount_with(&m, t, is_ro ? "align=4096 ro=1" : "align=4096");
		fd = open(mount_path(&m, "pattern"), O_RDONLY | O_DIRECT);
		cr_assert(fd >= 0);
		cr_expect_eq(pread(fd, buf, 4096, 8192), 4096);
		expect_pattern(buf, 8192, 4096);
		cr_expect(pread(fd, buf, 512, 0) == -1 && errno == EINVAL);
		cr_expect(pread(fd, buf, 4096, 512) == -1 && errno == EINVAL);
		map = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
		cr_assert(map != MAP_FAILED, "%s", strerror(errno));
		expect_pattern(map, 0, 1 << 20);
		munmap(map, 1 << 20);
		close(fd);
		fd = open(mount_path(&m, "pattern"), O_RDONLY);
		cr_expect_eq(pread(fd, buf, 512, 3), 512);
		close(fd);
		mount_end(&m);
	}
	free(buf);
}

Test(fuse_ops, what_was_written_is_read_back_in_each_mode)
{
	static const char *const modes[] = { "mode=auto", "mode=buffered", "mode=direct" };
	char *out = malloc(BIG), *in = malloc(BIG);
	struct mount m;

	for (size_t i = 0; i < BIG; i++)
		out[i] = (char)(i * 7 + i / 4096);
	EACH_TRANSPORT(t) for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
	{
		struct stat st;
		int fd;

		mount_with(&m, t, modes[i]);
		fd = open(mount_path(&m, "file"), O_RDWR | O_CREAT, 0640);
		cr_assert(fd >= 0, "%s", strerror(errno));
		cr_assert_eq(pwrite(fd, out, BIG, 0), BIG);
		cr_assert_eq(pwrite(fd, out, 100, BIG + 5), 100);
		cr_assert_eq(fsync(fd), 0);
		cr_assert_eq(fstat(fd, &st), 0);
		cr_expect_eq(st.st_size, BIG + 105);
		close(fd);
		fd = open(mount_path(&m, "file"), O_RDONLY);
		cr_assert_eq(pread(fd, in, BIG, 0), BIG);
		cr_expect_eq(memcmp(in, out, BIG), 0);
		cr_assert_eq(pread(fd, in, 200, BIG), 105);
		cr_expect_eq(memcmp(in, "\0\0\0\0\0", 5), 0);
		cr_expect_eq(memcmp(in + 5, out, 100), 0);
		close(fd);
		mount_end(&m);
	}
	free(out);
	free(in);
}

/* ---- names and attributes -------------------------------------------------------------------------- */

static void names_play(const struct mount *m)
{
	struct stat st;
	char buf[64];

	cr_assert_eq(mkdir(mount_path(m, "d"), 0751), 0);
	cr_assert_eq(mknod(mount_path(m, "d/f"), S_IFREG | 0600, 0), 0);
	cr_assert_eq(mknod(mount_path(m, "d/dev"), S_IFBLK | 0600, makedev(259, 70000)), 0);
	cr_assert_eq(stat(mount_path(m, "d/dev"), &st), 0);
	cr_expect_eq(st.st_rdev, makedev(259, 70000));
	cr_assert_eq(symlink("to/nowhere", mount_path(m, "d/s")), 0);
	cr_assert_eq(readlink(mount_path(m, "d/s"), buf, sizeof(buf)), 10);
	cr_expect_eq(memcmp(buf, "to/nowhere", 10), 0);
	cr_assert_eq(link(mount_path(m, "d/f"), mount_path(m, "g")), 0);
	cr_assert_eq(stat(mount_path(m, "g"), &st), 0);
	cr_expect_eq(st.st_nlink, 2);
	cr_expect(renameat2(AT_FDCWD, mount_path(m, "g"), AT_FDCWD, mount_path(m, "d/f"),
			    RENAME_NOREPLACE) == -1 &&
		  errno == EEXIST);
	cr_expect_eq(renameat2(AT_FDCWD, mount_path(m, "g"), AT_FDCWD, mount_path(m, "d/s"),
			       RENAME_EXCHANGE),
		     0);
	cr_assert_eq(lstat(mount_path(m, "g"), &st), 0);
	cr_expect(S_ISLNK(st.st_mode));
	cr_expect(rmdir(mount_path(m, "d")) == -1 && errno == ENOTEMPTY);
	cr_expect_eq(rename(mount_path(m, "g"), mount_path(m, "h")), 0);
	cr_expect(stat(mount_path(m, "g"), &st) == -1 && errno == ENOENT);
	cr_expect_eq(unlink(mount_path(m, "d/f")) | unlink(mount_path(m, "d/s")) |
			     unlink(mount_path(m, "d/dev")) | rmdir(mount_path(m, "d")),
		     0);
	cr_expect(unlink(mount_path(m, "none")) == -1 && errno == ENOENT);
}

static void attributes_play(const struct mount *m)
{
	struct timespec times[2] = { { -5, 1 }, { 1234567890, 987654321 } };
	struct statx stx;
	struct statfs sfs;
	struct stat st;
	int fd = open(mount_path(m, "a"), O_RDWR | O_CREAT, 0644);
	unsigned int flags = FS_NODUMP_FL;
	char buf[128];

	cr_assert(fd >= 0);
	cr_expect_eq(futimens(fd, times), 0);
	cr_expect_eq(fchmod(fd, 04711), 0);
	cr_expect_eq(fchown(fd, 12, 34), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_atim.tv_sec, -5);
	cr_expect_eq(st.st_mtim.tv_nsec, 987654321);
	cr_expect(st.st_uid == 12 && st.st_gid == 34);
	cr_assert_eq(statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_ALL, &stx), 0);
	cr_expect((stx.stx_mask & STATX_BTIME) && stx.stx_btime.tv_sec > 1600000000);
	cr_expect_eq(fsetxattr(fd, "user.k", "value", 5, 0), 0);
	cr_expect_eq(fgetxattr(fd, "user.k", NULL, 0), 5);
	cr_expect_eq(fgetxattr(fd, "user.k", buf, sizeof(buf)), 5);
	cr_expect_eq(memcmp(buf, "value", 5), 0);
	cr_expect(fgetxattr(fd, "user.k", buf, 2) == -1 && errno == ERANGE);
	cr_expect_eq(flistxattr(fd, buf, sizeof(buf)), 7);
	cr_expect_eq(fremovexattr(fd, "user.k"), 0);
	cr_expect(fgetxattr(fd, "user.k", buf, sizeof(buf)) == -1 && errno == ENODATA);
	cr_expect_eq(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
	flags = 0;
	cr_expect_eq(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
	cr_expect_eq(flags, FS_NODUMP_FL);
	cr_expect_eq(ftruncate(fd, 10000), 0);
	cr_expect_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
	cr_expect_eq(fallocate(fd, 0, 0, 20000), 0);
	cr_expect_eq(lseek(fd, 5, SEEK_DATA), 5);
	cr_expect_eq(lseek(fd, 5, SEEK_HOLE), 20000);
	cr_assert_eq(fstatfs(fd, &sfs), 0);
	cr_expect_eq(sfs.f_namelen, 255);
	close(fd);
}

Test(fuse_ops, names_and_attributes_do_what_posix_says)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		mount_with(&m, t, "");
		names_play(&m);
		attributes_play(&m);
		mount_end(&m);
	}
}

/* Each of 10000 names once, with the attributes of what it names. */
static void list_many(struct mount *m)
{
	static unsigned char seen[10000];
	struct dirent *de;
	struct stat st;
	size_t nr = 0;
	DIR *dir = opendir(mount_path(m, "many"));

	cr_assert(dir != NULL);
	memset(seen, 0, sizeof(seen));
	while ((de = readdir(dir)) != NULL) {
		unsigned int i;

		if (sscanf(de->d_name, "name-%u", &i) != 1)
			continue;
		cr_assert(i < 10000 && !seen[i], "%s", de->d_name);
		seen[i] = 1;
		nr++;
		if (i % 97)
			continue;
		cr_assert_eq(fstatat(dirfd(dir), de->d_name, &st, 0), 0);
		cr_expect_eq(st.st_size, i);
		cr_expect_eq(st.st_ino, de->d_ino);
	}
	cr_expect_eq(nr, 10000);
	closedir(dir);
}

Test(fuse_ops, ten_thousand_names_are_listed_once_each_and_known_afterwards)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		mount_with(&m, t, "names=10000");
		list_many(&m);
		mount_end(&m);
	}
}

Test(fuse_ops, fixed_content_is_listed_with_attributes_by_number)
{
	struct mount m;

	EACH_TRANSPORT(t)
	{
		mount_with(&m, t, "names=10000,ro=1");
		list_many(&m);
		mount_end(&m);
	}
}

/* In a child as somebody else: 0, or the errno of what failed. */
static int as_nobody(int (*fn)(const char *path), const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(255);
		_exit(fn(path) < 0 ? errno : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int write_byte(const char *path)
{
	int fd = open(path, O_WRONLY);

	return fd < 0 ? -1 : (int)write(fd, "x", 1);
}

static int look(const char *path)
{
	struct stat st;

	return stat(path, &st);
}

Test(fuse_ops, a_write_by_another_user_takes_setuid_away)
{
	static const char *const modes[] = { "allow_other=1 mode=auto",
					     "allow_other=1 mode=direct" };
	struct mount m;

	EACH_TRANSPORT(t) for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
	{
		struct stat st;
		int fd;

		mount_with(&m, t, modes[i]);
		fd = open(mount_path(&m, "prog"), O_RDWR | O_CREAT, 0777);
		cr_assert(fd >= 0 && fchmod(fd, 06777) == 0);
		close(fd);
		cr_expect_eq(as_nobody(write_byte, mount_path(&m, "prog")), 0);
		cr_assert_eq(stat(mount_path(&m, "prog"), &st), 0);
		cr_expect_eq(st.st_mode & 07777, 0777, "%s %s: %o", t, modes[i], st.st_mode);
		mount_end(&m);
	}
}

/* ---- the control tree ------------------------------------------------------------------------------ */

static bool root_lists(const struct mount *m, const char *name)
{
	DIR *dir = opendir(m->dir);
	struct dirent *de;
	bool is_there = false;

	cr_assert(dir != NULL);
	while ((de = readdir(dir)) != NULL)
		is_there |= strcmp(de->d_name, name) == 0;
	closedir(dir);
	return is_there;
}

Test(fuse_ops, the_control_tree_is_there_hidden_listed_or_off)
{
	static const struct {
		const char *words;
		bool is_there, is_listed;
	} rows[] = {
		{ "control=hidden allow_other=1", true, false },
		{ "control=list allow_other=1 ro=1", true, true },
		{ "control=off allow_other=1", false, false },
	};
	struct mount m;

	EACH_TRANSPORT(t) for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
	{
		struct stat st, root;
		char buf[64];
		int fd;

		mount_with(&m, t, rows[i].words);
		cr_expect_eq(root_lists(&m, ".blkfs"), rows[i].is_listed, "%s", rows[i].words);
		cr_expect_eq(stat(mount_path(&m, ".blkfs"), &st) == 0, rows[i].is_there);
		if (rows[i].is_there) {
			cr_assert_eq(stat(m.dir, &root), 0);
			cr_expect_neq(st.st_ino, root.st_ino);
			fd = open(mount_path(&m, ".blkfs/pattern"), O_RDONLY);
			cr_assert(fd >= 0);
			cr_assert_eq(pread(fd, buf, 64, 64), 64);
			expect_pattern(buf, 64, 64);
			close(fd);
			cr_expect(mkdir(mount_path(&m, ".blkfs"), 0700) == -1);
			cr_expect(rename(mount_path(&m, ".blkfs"), mount_path(&m, "x")) == -1);
			cr_expect(link(mount_path(&m, ".blkfs/pattern"), mount_path(&m, "x")) ==
				  -1);
			cr_expect_eq(as_nobody(look, mount_path(&m, ".blkfs")), EACCES);
		}
		mount_end(&m);
	}
}
