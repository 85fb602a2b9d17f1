/* SPDX-License-Identifier: MIT */
/*
 * The direct driver on block devices, as root: the contract on a loop device, who is refused and
 * what he is told, memory speed, and a write that the kernel holds back.
 */
#include <errno.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "blkfs/attr.h"

#include "blk/drv/direct.h"
#include "tests/blk/drv/drv_test.h"
#include "tests/contract/driver_contract.h"

enum { MIB = 1 << 20, DISK_BYTES = 64 * MIB, BLOCK = 4096 };

static unsigned int failures_nr;

#define expect(cond)                                                                               \
	(likely(cond) ? (void)0                                                                    \
		      : (void)(failures_nr++, log_err("line %d: expected %s", __LINE__, #cond)))

static int __printf(1, 2) shell(const char *fmt, ...)
{
	char line[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	return system(line);
}

struct fixture {
	struct temp_file image;
	char loop[64], dir[300];
	int loop_fd;
	uint8_t *buf;
	bool is_mounted;
};

static struct fixture fx;

/* The first line of what @cmd prints. */
static void ask(char *out, size_t size, const char *cmd)
{
	FILE *f = popen(cmd, "r");

	cr_assert(f && fgets(out, (int)size, f), "%s says nothing", cmd);
	out[strcspn(out, "\n")] = 0;
	pclose(f);
}

static void attach_loop(const char *options)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "losetup --show -f %s %s", options, fx.image.path);
	ask(fx.loop, sizeof(fx.loop), cmd);
}

static void setup(void)
{
	cr_assert(geteuid() == 0, "system tests need root");
	temp_file_make(&fx.image, NULL, DISK_BYTES);
	snprintf(fx.dir, sizeof(fx.dir), "%s.d", fx.image.path);
	cr_assert(mkdir(fx.dir, 0700) == 0);
	fx.buf = rt_dma_alloc(MIB);
	failures_nr = 0;
}

static void teardown(void)
{
	if (fx.is_mounted)
		umount2(fx.dir, MNT_DETACH);
	if (fx.loop[0])
		shell("losetup -d %s", fx.loop);
	rmdir(fx.dir);
	temp_file_remove(&fx.image);
}

static void mount_it(void)
{
	cr_assert(shell("mkfs.ext4 -q -F %s", fx.loop) == 0);
	cr_assert(mount(fx.loop, fx.dir, "ext4", 0, NULL) == 0);
	fx.is_mounted = true;
}

static void unmount_it(void)
{
	cr_assert(umount(fx.dir) == 0);
	fx.is_mounted = false;
}

static int create(const char *path, bool is_read_only, struct gendisk **out)
{
	struct drv_config dc = { .name = "direct", .is_read_only = is_read_only };
	struct direct_config c = { .path = path };

	return direct_disk_create(&dc, &c, out);
}

static int create_loop(void *ctx, bool is_read_only, struct gendisk **out)
{
	return create(fx.loop, is_read_only, out);
}

static void destroy_loop(void *ctx, struct gendisk *disk)
{
	del_gendisk(disk);
}

/* ---- the contract ---------------------------------------------------------------------------------- */

static void loop_holds(const char *options)
{
	struct driver_contract c = { "direct on loop", NULL, create_loop, destroy_loop, false };

	attach_loop(options);
	cr_assert(driver_contract_run_ring(&c) == 0);
}

Test(direct_system, a_loop_device_holds_the_driver_contract, .init = setup, .fini = teardown)
{
	loop_holds("");
}

Test(direct_system, a_loop_device_of_4096_byte_blocks_holds_the_driver_contract, .init = setup,
     .fini = teardown)
{
	loop_holds("-b 4096 --direct-io=on");
}

/* ---- refusals ---------------------------------------------------------------------------------------- */

/* What create says to @path from a fresh runtime; a disk that comes is removed. */
struct attempt {
	const char *path;
	bool is_read_only;
	int ret;
};

static int attempt_in_task(void *arg)
{
	struct attempt *a = arg;
	struct gendisk *disk;

	a->ret = create(a->path, a->is_read_only, &disk);
	if (!a->ret)
		del_gendisk(disk);
	return 0;
}

static int attempt(const char *path, bool is_read_only)
{
	struct attempt a = { path, is_read_only, 1 };

	cr_assert(drv_test_run(1, attempt_in_task, &a) == 0);
	return a.ret;
}

Test(direct_system, a_mounted_device_is_refused_with_its_mount_point, .init = setup,
     .fini = teardown)
{
	attach_loop("");
	mount_it();
	cr_assert(attempt(fx.loop, false) == -EBUSY);
	cr_assert(log_says("it is mounted on") && log_says(fx.dir));
	cr_assert(attempt(fx.loop, true) == -EBUSY);
	unmount_it();
	cr_assert(attempt(fx.loop, false) == 0);
}

Test(direct_system, an_image_below_a_loop_device_is_refused_with_its_name, .init = setup,
     .fini = teardown)
{
	char told[128];

	attach_loop("");
	cr_assert(attempt(fx.image.path, false) == -EBUSY);
	snprintf(told, sizeof(told), "the loop device %s is set up over it", fx.loop);
	cr_assert(log_says(told));
	cr_assert(attempt(fx.image.path, true) == -EBUSY);
	shell("losetup -d %s", fx.loop);
	cr_assert(attempt(fx.image.path, false) == 0);
	attach_loop("-r");
	cr_assert(attempt(fx.image.path, true) == 0, "two readers do no harm");
	cr_assert(attempt(fx.image.path, false) == -EBUSY);
}

/* A partition as a partition editor makes it: this kernel may know no table format. */
static void add_partition(const char *disk)
{
	struct blkpg_partition part = {
		.start = MIB,
		.length = DISK_BYTES - MIB,
		.pno = 1,
	};
	struct blkpg_ioctl_arg arg = {
		.op = BLKPG_ADD_PARTITION,
		.datalen = sizeof(part),
		.data = &part,
	};
	int fd = open(disk, O_RDWR);

	cr_assert(fd >= 0 && ioctl(fd, BLKPG, &arg) == 0, "no partition can be added to %s", disk);
	close(fd);
}

Test(direct_system, a_disk_with_a_mounted_partition_is_refused, .init = setup, .fini = teardown)
{
	char whole[64];

	attach_loop("-P");
	add_partition(fx.loop);
	snprintf(whole, sizeof(whole), "%s", fx.loop);
	snprintf(fx.loop, sizeof(fx.loop), "%.50sp1", whole);
	for (int i = 0; i < 100 && access(fx.loop, F_OK); i++)
		usleep(20000);
	mount_it();
	snprintf(fx.loop, sizeof(fx.loop), "%s", whole);
	cr_assert(attempt(whole, false) == -EBUSY);
	cr_assert(log_says("(its partition loop"));
	unmount_it();
	cr_assert(attempt(whole, false) == 0);
}

Test(direct_system, swap_is_refused, .init = setup, .fini = teardown)
{
	cr_assert(shell("fallocate -l %d %s && chmod 600 %s && mkswap -q %s 2>/dev/null && "
			"swapon %s",
			DISK_BYTES, fx.image.path, fx.image.path, fx.image.path,
			fx.image.path) == 0);
	int ret = attempt(fx.image.path, true);

	shell("swapoff %s", fx.image.path);
	cr_assert(ret == -EBUSY);
	cr_assert(log_says("the system swaps to it"));
}

Test(direct_system, a_device_that_somebody_holds_exclusively_is_refused, .init = setup,
     .fini = teardown)
{
	int fd;

	attach_loop("");
	fd = open(fx.loop, O_RDONLY | O_EXCL);
	cr_assert(fd >= 0);
	cr_assert(attempt(fx.loop, false) == -EBUSY);
	cr_assert(log_says("holds it exclusively"));
	close(fd);
	cr_assert(attempt(fx.loop, false) == 0);
}

static int mount_cannot_take_it(void *arg)
{
	struct gendisk *disk;
	int ret = create(fx.loop, false, &disk);

	if (ret)
		return ret;
	expect(mount(fx.loop, fx.dir, "ext4", 0, NULL) == -1 && errno == EBUSY);
	del_gendisk(disk);
	return 0;
}

Test(direct_system, what_we_hold_nobody_can_mount, .init = setup, .fini = teardown)
{
	attach_loop("");
	cr_assert(shell("mkfs.ext4 -q -F %s", fx.loop) == 0);
	cr_assert(drv_test_run(1, mount_cannot_take_it, NULL) == 0);
	cr_assert(failures_nr == 0);
}

static int claimed_by_the_kernel(void *arg)
{
	struct drv_config dc = { .name = "direct" };
	struct direct_config c = { .path = fx.loop, .is_fuseblk_claimed = true };
	struct gendisk *disk, *second;
	int fd, ret = direct_disk_create(&dc, &c, &disk);

	if (ret)
		return ret;
	fd = open(fx.loop, O_RDONLY | O_EXCL);
	expect(fd >= 0);
	expect(direct_disk_create(&dc, &c, &second) == -EBUSY);
	close(fd);
	expect(direct_disk_create(&dc, &c, &second) == -EBUSY);
	del_gendisk(disk);
	return 0;
}

Test(direct_system, a_claimed_device_leaves_o_excl_to_the_mount, .init = setup, .fini = teardown)
{
	attach_loop("");
	cr_assert(drv_test_run(1, claimed_by_the_kernel, NULL) == 0);
	cr_assert(failures_nr == 0);
}

/* ---- limits and class ----------------------------------------------------------------------------------- */

static void probe(struct direct_source *src, const char *path)
{
	struct direct_config c = { .path = path };

	cr_assert(direct_open(src, &c, false) == 0 && direct_probe(src, &c) == 0);
}

Test(direct_system, limits_are_those_of_the_device, .init = setup, .fini = teardown)
{
	struct direct_source src;
	char dir[SYSFS_DIR_MAX];
	uint64_t v;

	attach_loop("-b 4096 --direct-io=on");
	probe(&src, fx.loop);
	cr_assert(src.lim.logical_block_size == 4096);
	cr_assert(src.class == DIRECT_RING);
	cr_assert(sysfs_disk_dir(src.dev, dir, sizeof(dir)));
	cr_assert(sysfs_read_u64(dir, "queue/max_hw_sectors_kb", &v));
	cr_assert(src.lim.max_hw_sectors == 2 * v);
	cr_assert(sysfs_read_u64(dir, "queue/write_zeroes_max_bytes", &v));
	cr_assert((src.lim.max_write_zeroes_sectors > 0) == (v > 0));
	direct_close(&src);
}

Test(direct_system, a_ram_disk_and_a_file_on_it_are_memory, .init = setup, .fini = teardown)
{
	struct direct_source src;
	char number[16], file[320];

	ask(number, sizeof(number), "cat /sys/class/zram-control/hot_add");
	cr_assert(shell("echo 64M > /sys/block/zram%s/disksize", number) == 0);
	snprintf(fx.loop, sizeof(fx.loop), "/dev/zram%.10s", number);
	for (int i = 0; i < 100 && access(fx.loop, F_OK); i++)
		usleep(20000);
	probe(&src, fx.loop);
	bool is_inline = src.class == DIRECT_INLINE;

	direct_close(&src);
	mount_it();
	snprintf(file, sizeof(file), "%s/file", fx.dir);
	cr_assert(shell("fallocate -l 8M %s", file) == 0);
	probe(&src, file);
	is_inline = is_inline && src.class == DIRECT_INLINE;
	direct_close(&src);
	unmount_it();
	fx.loop[0] = 0;
	shell("echo 1 > /sys/block/zram%s/reset; echo %s > /sys/class/zram-control/hot_remove",
	      number, number);
	cr_assert(is_inline);
}

/* ---- a write that does not come back ---------------------------------------------------------------------- */

static unsigned int ends_nr;
static struct completion ended;

static void stuck_end_io(struct bio *bio)
{
	__atomic_add_fetch(&ends_nr, 1, __ATOMIC_RELAXED);
	complete(&ended);
}

static int frozen(void *arg)
{
	struct drv_config dc = { .name = "frozen" };
	struct direct_config c = { .path = arg };
	struct gendisk *disk;
	struct bio_vec vec;
	struct bio bio;
	int ret = attr_dir_add(attr_root(), "frozen", NULL, 0, NULL, &dc.attrs);

	if (!ret)
		ret = direct_disk_create(&dc, &c, &disk);
	if (ret)
		return ret;
	expect(attr_store("frozen/queue/io_timeout", "50", 2) == 0);
	completion_init(&ended);
	expect(shell("fsfreeze -f %s", fx.dir) == 0);
	bio_init(&bio, &disk->part0, &vec, 1, REQ_OP_WRITE);
	bio_add_vec(&bio, fx.buf, BLOCK);
	bio.bi_end_io = stuck_end_io;
	submit_bio(&bio);
	rt_sleep_ns(200000000);
	expect(ends_nr == 0);
	expect(log_says("does not answer"));
	direct_disk_offline(disk);
	rt_sleep_ns(200000000);
	expect(bdev_rw(&disk->part0, REQ_OP_READ, 0, fx.buf + BLOCK, BLOCK) ==
	       blk_status_to_errno(BLK_STS_OFFLINE));
	/* Cancelled or not: the end comes once, and not while the kernel has the memory. */
	shell("fsfreeze -u %s", fx.dir);
	completion_wait(&ended);
	expect(ends_nr == 1);
	del_gendisk(disk);
	attr_dir_del(dc.attrs);
	return 0;
}

Test(direct_system, what_the_kernel_holds_back_ends_once_and_offline_answers_at_once, .init = setup,
     .fini = teardown)
{
	char file[320];

	attach_loop("");
	mount_it();
	snprintf(file, sizeof(file), "%s/file", fx.dir);
	cr_assert(shell("fallocate -l 8M %s", file) == 0);
	cr_assert(drv_test_run(2, frozen, file) == 0);
	shell("fsfreeze -u %s 2>/dev/null", fx.dir);
	cr_assert(failures_nr == 0);
	unmount_it();
}

static int device_vanishes(void *arg)
{
	struct gendisk *disk;
	int ret = create(fx.loop, false, &disk);

	if (ret)
		return ret;
	expect(bdev_rw(&disk->part0, REQ_OP_READ, 0, fx.buf, BLOCK) == 0);
	expect(truncate(fx.image.path, 0) == 0);
	expect(bdev_rw(&disk->part0, REQ_OP_READ, 2048, fx.buf, BLOCK) < 0);
	del_gendisk(disk);
	return 0;
}

Test(direct_system, a_device_whose_medium_is_gone_gives_errors, .init = setup, .fini = teardown)
{
	attach_loop("--direct-io=on");
	cr_assert(drv_test_run(1, device_vanishes, NULL) == 0);
	cr_assert(failures_nr == 0);
}
