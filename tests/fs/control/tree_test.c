/* SPDX-License-Identifier: MIT */
/*
 * tree_test.c - the attribute registry seen as a file system.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkfs/fs.h"
#include "tests/blk/rt/rt_test.h"

enum { LONG_LINES = 20000 };

static int number = 7;
static int shows_nr;

static int number_show(void *obj, struct strbuf *out)
{
	shows_nr++;
	strbuf_printf(out, "%d\n", *(int *)obj);
	return 0;
}

static int number_store(void *obj, const char *buf, size_t len)
{
	if (buf[0] < '0' || buf[0] > '9')
		return -EINVAL;
	*(int *)obj = atol(buf);
	return 0;
}

static int long_show(void *obj, struct strbuf *out)
{
	for (int i = 0; i < LONG_LINES; i++)
		strbuf_printf(out, "line %d\n", i);
	return 0;
}

static const struct attr attrs[] = {
	{ "nr_requests", 0644, number_show, number_store },
	{ "long", 0444, long_show, NULL },
};

static struct fs *fs;

static uint64_t ino_of(uint64_t dir, const char *name)
{
	struct fs_stat st;

	cr_assert_eq(fs->ops->lookup(fs, dir, name, strlen(name), &st), 0, "%s", name);
	return st.ino;
}

static ssize_t read_at(struct fs_file *file, uint64_t off, char *buf, size_t len)
{
	struct fs_io io = { .off = off, .len = len, .iov = { buf, len } };

	return fs->ops->read(fs, file, &io);
}

static ssize_t write_text(struct fs_file *file, uint64_t off, const char *text)
{
	struct fs_io io = { .off = off,
			    .len = strlen(text),
			    .iov = { (void *)text, strlen(text) } };

	return fs->ops->write(fs, file, &io);
}

static int in_tree(int (*body)(void))
{
	struct attr_dir *dir;
	int ret;

	cr_assert_eq(attr_dir_add(attr_root(), "queue", attrs, ARRAY_SIZE(attrs), &number, &dir),
		     0);
	cr_assert_eq(control_fs_create(&fs), 0);
	ret = body();
	cr_assert_eq(fs->ops->unmount(fs), 0);
	attr_dir_del(dir);
	return ret;
}

static int names_and_stats(void)
{
	struct fs_stat st;
	uint64_t queue = ino_of(FS_ROOT_INO, "queue");

	cr_expect_eq(fs->ops->getattr(fs, FS_ROOT_INO, &st), 0);
	cr_expect_eq(st.mode, (uint32_t)(S_IFDIR | 0700), "owner only: %o", st.mode);
	cr_expect_eq(fs->ops->getattr(fs, ino_of(queue, "nr_requests"), &st), 0);
	cr_expect_eq(st.mode, (uint32_t)(S_IFREG | 0644));
	cr_expect_eq(fs->ops->lookup(fs, queue, "nothing", 7, &st), -ENOENT);
	cr_expect_eq(fs->ops->lookup(fs, ino_of(queue, "long"), "x", 1, &st), -ENOTDIR);
	cr_expect_eq(fs->ops->getattr(fs, 123456789, &st), -ENOENT);
	return 0;
}

static int names_main(void *arg)
{
	return in_tree(names_and_stats);
}

Test(control_tree, names_lead_to_files_and_wrong_ones_to_errors)
{
	rt_test_run(1, names_main, NULL);
}

static int reads_and_writes(void)
{
	uint64_t ino = ino_of(ino_of(FS_ROOT_INO, "queue"), "nr_requests");
	struct fs_file *file;
	char buf[16] = "";

	cr_assert_eq(fs->ops->open(fs, ino, 0, &file), 0);
	number = 7;
	shows_nr = 0;
	cr_expect_eq(read_at(file, 0, buf, 1), 1);
	number = 8;
	cr_expect_eq(read_at(file, 1, buf + 1, 10), 1, "the rest of what was shown first");
	cr_expect_str_eq(buf, "7\n");
	cr_expect_eq(shows_nr, 1);
	cr_expect_eq(read_at(file, 2, buf, 10), 0);
	cr_expect_eq(write_text(file, 0, "64\n"), 3);
	cr_expect_eq(number, 64);
	cr_expect_eq(write_text(file, 0, "many\n"), -EINVAL);
	cr_expect_eq(write_text(file, 3, "5\n"), -EINVAL, "a store is one write");
	cr_expect_eq(number, 64);
	fs->ops->release(fs, file);
	return 0;
}

static int reads_main(void *arg)
{
	return in_tree(reads_and_writes);
}

Test(control_tree, a_reader_in_pieces_sees_one_moment_and_a_write_is_a_store)
{
	rt_test_run(1, reads_main, NULL);
}

static int long_text(void)
{
	struct fs_file *file;
	static char buf[65536];
	uint64_t off = 0;
	ssize_t n;

	cr_assert_eq(fs->ops->open(fs, ino_of(ino_of(FS_ROOT_INO, "queue"), "long"), 0, &file), 0);
	while ((n = read_at(file, off, buf, sizeof(buf) - 1)) > 0) {
		off += (uint64_t)n;
		buf[n] = 0;
	}
	cr_expect_eq(n, 0);
	cr_expect_gt(off, 200000u, "not cut: %llu bytes", (unsigned long long)off);
	cr_expect(strstr(buf, "line 19999\n"), "the end is there");
	fs->ops->release(fs, file);
	return 0;
}

static int long_main(void *arg)
{
	return in_tree(long_text);
}

Test(control_tree, long_text_is_whole)
{
	rt_test_run(1, long_main, NULL);
}

struct names {
	char text[256];
	int room;
};

static int take_name(void *ctx, const char *name, size_t len, uint64_t ino, uint32_t type,
		     uint64_t next)
{
	struct names *names = ctx;
	size_t used = strlen(names->text);

	if (!names->room--)
		return 1;
	snprintf(names->text + used, sizeof(names->text) - used, "%.*s=%u:%u ", (int)len, name,
		 type, (unsigned int)next);
	return 0;
}

static int listing(void)
{
	struct names names = { .room = 100 };
	struct fs_file *dir;

	cr_assert_eq(fs->ops->opendir(fs, ino_of(FS_ROOT_INO, "queue"), &dir), 0);
	cr_expect_eq(fs->ops->readdir(fs, dir, 0, take_name, &names), 0);
	cr_expect_str_eq(names.text, ".=4:1 ..=4:2 long=8:3 nr_requests=8:4 ");
	names = (struct names){ .room = 1 };
	cr_expect_eq(fs->ops->readdir(fs, dir, 2, take_name, &names), 0);
	cr_expect_str_eq(names.text, "long=8:3 ");
	names = (struct names){ .room = 100 };
	cr_expect_eq(fs->ops->readdir(fs, dir, 4, take_name, &names), 0);
	cr_expect_str_eq(names.text, "");
	fs->ops->release(fs, dir);
	return 0;
}

static int listing_main(void *arg)
{
	return in_tree(listing);
}

Test(control_tree, a_listing_can_be_taken_up_anywhere)
{
	rt_test_run(1, listing_main, NULL);
}
