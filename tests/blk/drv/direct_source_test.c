/* SPDX-License-Identifier: MIT */
/* Opening, locking and probing of files, without a disk on them. Devices: direct_system_test.c. */
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include <linux/magic.h>

#include "blk/drv/direct.h"
#include "tests/blk/drv/drv_test.h"

enum { MIB = 1 << 20 };

static int open_it(struct direct_source *src, const char *path, bool is_read_only)
{
	struct direct_config c = { .path = path };

	return direct_open(src, &c, is_read_only);
}

static int probe(struct direct_source *src, const char *path, uint64_t offset, uint64_t size)
{
	struct direct_config c = { .path = path, .offset_bytes = offset, .size_bytes = size };
	int ret = direct_open(src, &c, false);

	return ret ? ret : direct_probe(src, &c);
}

Test(direct_source, a_second_opener_is_refused_and_told_who_has_it)
{
	struct direct_source a, b;
	struct temp_file t;
	char who[64];

	temp_file_make(&t, NULL, MIB);
	cr_assert(open_it(&a, t.path, false) == 0 && direct_lock(&a) == 0);
	cr_assert(open_it(&b, t.path, false) == 0);
	cr_assert(direct_lock(&b) == -EWOULDBLOCK);
	direct_log_lock_holder(&b);
	snprintf(who, sizeof(who), "is locked by process %d", (int)getpid());
	cr_assert(log_says(who));
	direct_close(&b);

	cr_assert(open_it(&b, t.path, true) == 0);
	cr_assert(direct_lock(&b) == -EWOULDBLOCK, "a reader beside a writer is refused");
	direct_close(&a);
	cr_assert(direct_lock(&b) == 0, "the lock goes with its holder");
	direct_close(&b);
	temp_file_remove(&t);
}

Test(direct_source, readers_share)
{
	struct direct_source a, b, writer;
	struct temp_file t;

	temp_file_make(&t, NULL, MIB);
	cr_assert(open_it(&a, t.path, true) == 0 && direct_lock(&a) == 0);
	cr_assert(open_it(&b, t.path, true) == 0 && direct_lock(&b) == 0);
	cr_assert(open_it(&writer, t.path, false) == 0);
	cr_assert(direct_lock(&writer) == -EWOULDBLOCK);
	direct_close(&a);
	direct_close(&b);
	cr_assert(direct_lock(&writer) == 0);
	direct_close(&writer);
	temp_file_remove(&t);
}

Test(direct_source, the_lock_dies_with_the_process)
{
	struct direct_source src;
	struct temp_file t;
	int status;
	pid_t pid;

	temp_file_make(&t, NULL, MIB);
	pid = fork();
	if (pid == 0)
		_exit(open_it(&src, t.path, false) || direct_lock(&src));
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	cr_assert(open_it(&src, t.path, false) == 0 && direct_lock(&src) == 0);
	direct_close(&src);
	temp_file_remove(&t);
}

Test(direct_source, what_is_no_disk_is_refused_at_once)
{
	struct direct_source src;
	struct temp_file t;

	cr_assert(open_it(&src, "/nowhere/at/all", false) == -ENOENT);
	direct_close(&src);
	cr_assert(open_it(&src, "/", false) == -EISDIR);
	direct_close(&src);
	cr_assert(open_it(&src, "/dev/null", false) == -EINVAL);
	direct_close(&src);

	temp_file_make(&t, NULL, 0);
	temp_file_remove(&t);
	cr_assert(mkfifo(t.path, 0600) == 0);
	cr_assert(open_it(&src, t.path, false) == -EINVAL);
	direct_close(&src);
	temp_file_remove(&t);
}

Test(direct_source, sizes_and_parts)
{
	struct direct_source src;
	struct temp_file t;

	temp_file_make(&t, NULL, MIB + 100);
	cr_assert(probe(&src, t.path, 0, 0) == 0);
	cr_assert(src.size_bytes == MIB);
	cr_assert(log_says("the last 100 bytes do not fill a block of 512"));
	direct_close(&src);

	cr_assert(probe(&src, t.path, 4096, 8192) == 0);
	cr_assert(src.offset_bytes == 4096 && src.size_bytes == 8192);
	direct_close(&src);
	cr_assert(probe(&src, t.path, 4096, 0) == 0 && src.size_bytes == MIB - 4096);
	direct_close(&src);
	cr_assert(probe(&src, t.path, 0, 2 * MIB) == -EINVAL);
	direct_close(&src);
	cr_assert(probe(&src, t.path, UINT64_MAX - 511, 1024) == -EINVAL);
	direct_close(&src);
	cr_assert(probe(&src, t.path, 0, 1000) == -EINVAL);
	direct_close(&src);

	cr_assert(truncate(t.path, 300) == 0);
	cr_assert(probe(&src, t.path, 0, 0) == -EINVAL);
	cr_assert(log_says("less than one block"));
	direct_close(&src);
	temp_file_remove(&t);
}

Test(direct_source, the_page_cache_or_memory_is_told_from_a_disk)
{
	struct direct_source src;
	struct temp_file t;
	struct statfs sf;

	cr_assert(statfs("/dev/shm", &sf) == 0 && sf.f_type == TMPFS_MAGIC,
		  "/dev/shm must be a tmpfs");
	temp_file_make(&t, "/dev/shm", MIB);
	cr_assert(probe(&src, t.path, 0, 0) == 0);
	cr_assert(src.class == DIRECT_INLINE);
	cr_assert(!(src.lim.features & BLK_FEAT_WRITE_CACHE));
	direct_close(&src);
	temp_file_remove(&t);
}

Test(direct_source, a_file_has_the_limits_that_statx_tells)
{
	struct direct_source src;
	struct temp_file t;
	struct statx stx;

	temp_file_make(&t, NULL, MIB);
	cr_assert(statx(AT_FDCWD, t.path, 0, STATX_BASIC_STATS | STATX_DIOALIGN, &stx) == 0);
	cr_assert(probe(&src, t.path, 0, 0) == 0);
	if (!src.is_buffered && stx.stx_mask & STATX_DIOALIGN && stx.stx_dio_offset_align)
		cr_assert(src.lim.logical_block_size ==
			  max_t(uint32_t, stx.stx_dio_offset_align, 512));
	cr_assert(src.lim.physical_block_size >= src.lim.logical_block_size);
	cr_assert(src.lim.max_hw_discard_sectors > 0);
	direct_close(&src);
	temp_file_remove(&t);
}

Test(direct_source, the_parts_of_sysfs_lines_are_numbers_or_nothing)
{
	struct temp_file t;
	char dir[256], *name;
	uint64_t v = 1;
	FILE *f;

	temp_file_make(&t, NULL, 0);
	snprintf(dir, sizeof(dir), "%s", t.path);
	name = strrchr(dir, '/');
	*name++ = 0;
	f = fopen(t.path, "w");
	fputs("18446744073709551615\n", f);
	fclose(f);
	cr_assert(sysfs_read_u64(dir, name, &v) && v == UINT64_MAX);
	f = fopen(t.path, "w");
	fputs("none\n", f);
	fclose(f);
	cr_assert(!sysfs_read_u64(dir, name, &v));
	cr_assert(!sysfs_read_u64(dir, "no such file", &v));
	temp_file_remove(&t);
}
