/* SPDX-License-Identifier: MIT */
/*
 * What a source can take, and how it is best asked: block sizes, maxima, cache, size, class.
 *
 * 1. A block device is described by its ioctls and by sysfs (of the whole disk, for a partition);
 *    what sysfs does not have keeps Linux's default.
 * 2. A file is described by statx. The kernel cuts what is too large for the disk under it, so a
 *    file has no maximum but that of one system call.
 * 3. Alignment is not believed but tried: a read that is refused widens it, up to a page.
 * 4. Memory speed is known by the device's name. A driver of another name without NOWAIT, which
 *    io_uring would hand to a worker thread, counts as memory when it answers as fast as memory.
 *
 * Context: thread; everything here may block.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"

#include "direct.h"

enum {
	RW_SECTORS_MAX = 0x7ffff000 >> SECTOR_SHIFT, /* one read or write: MAX_RW_COUNT */
	RANGE_SECTORS_MAX = (UINT32_MAX >> SECTOR_SHIFT) & ~0xfff, /* one bio: bi_size */
	PROBE_BYTES = 64 << 10,
	PROBE_READS = 16,
	PROBE_MEMORY_NS = 4000, /* an interrupt and a wake-up alone take longer */
};

/* ---- sysfs ----------------------------------------------------------------------------------- */

bool sysfs_read_line(const char *dir, const char *name, char *line, size_t line_size)
{
	char path[PATH_MAX];
	ssize_t len;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, line, line_size - 1);
	close(fd);
	if (len <= 0)
		return false;
	line[len] = 0;
	line[strcspn(line, "\n")] = 0;
	return true;
}

bool sysfs_read_u64(const char *dir, const char *name, uint64_t *out)
{
	char line[32];
	char *end;
	unsigned long long value;

	if (!sysfs_read_line(dir, name, line, sizeof(line)))
		return false;
	errno = 0;
	value = strtoull(line, &end, 10);
	if (errno || end == line || *end)
		return false;
	*out = value;
	return true;
}

bool sysfs_block_dir(dev_t dev, char *dir, size_t dir_size)
{
	snprintf(dir, dir_size, "/sys/dev/block/%u:%u", major(dev), minor(dev));
	return access(dir, F_OK) == 0;
}

bool sysfs_disk_dir(dev_t dev, char *dir, size_t dir_size)
{
	char number[32];

	if (!sysfs_block_dir(dev, dir, dir_size))
		return false;
	if (!sysfs_read_line(dir, "partition", number, sizeof(number)))
		return true;
	snprintf(dir, dir_size, "/sys/dev/block/%u:%u/..", major(dev), minor(dev));
	return true;
}

/* ---- a block device ------------------------------------------------------------------------------ */

static uint32_t as_sectors(uint64_t sectors, uint64_t limit)
{
	return (uint32_t)(sectors < limit ? sectors : limit);
}

/* The files that hold one number for one field of the limits. */
static const struct {
	const char *name;
	size_t field;
} sysfs_u32s[] = {
	{ "queue/chunk_sectors", offsetof(struct queue_limits, chunk_sectors) },
	{ "queue/minimum_io_size", offsetof(struct queue_limits, io_min) },
	{ "queue/optimal_io_size", offsetof(struct queue_limits, io_opt) },
	{ "queue/max_segment_size", offsetof(struct queue_limits, max_segment_size) },
	{ "queue/dma_alignment", offsetof(struct queue_limits, dma_alignment) },
	{ "queue/discard_granularity", offsetof(struct queue_limits, discard_granularity) },
};

static void sysfs_features(const char *disk_dir, struct queue_limits *lim)
{
	char cache[32];
	uint64_t v;

	if (sysfs_read_u64(disk_dir, "queue/rotational", &v) && v)
		lim->features |= BLK_FEAT_ROTATIONAL;
	if (sysfs_read_u64(disk_dir, "queue/stable_writes", &v) && v)
		lim->features |= BLK_FEAT_STABLE_WRITES;
	if (sysfs_read_u64(disk_dir, "queue/fua", &v) && v)
		lim->features |= BLK_FEAT_FUA;
	/* Not to be known counts as a cache: a flush too many does no harm. */
	if (!sysfs_read_line(disk_dir, "queue/write_cache", cache, sizeof(cache)) ||
	    strcmp(cache, "write through") != 0)
		lim->features |= BLK_FEAT_WRITE_CACHE;
}

static void sysfs_limits(const char *own_dir, const char *disk_dir, struct queue_limits *lim)
{
	uint64_t v;

	for (size_t i = 0; i < ARRAY_SIZE(sysfs_u32s); i++)
		if (sysfs_read_u64(disk_dir, sysfs_u32s[i].name, &v))
			*(uint32_t *)((char *)lim + sysfs_u32s[i].field) =
				as_sectors(v, UINT32_MAX);
	if (sysfs_read_u64(disk_dir, "queue/max_hw_sectors_kb", &v))
		lim->max_hw_sectors = as_sectors(v < RW_SECTORS_MAX ? v * 2 : v, RW_SECTORS_MAX);
	if (sysfs_read_u64(disk_dir, "queue/max_segments", &v))
		lim->max_segments = (uint16_t)(v < DIRECT_SEGMENTS ? v : DIRECT_SEGMENTS);
	if (sysfs_read_u64(disk_dir, "queue/virt_boundary_mask", &v))
		lim->virt_boundary_mask = v;
	if (sysfs_read_u64(disk_dir, "queue/discard_max_hw_bytes", &v) ||
	    sysfs_read_u64(disk_dir, "queue/discard_max_bytes", &v))
		lim->max_hw_discard_sectors = as_sectors(bytes_to_sectors(v), RANGE_SECTORS_MAX);
	if (sysfs_read_u64(disk_dir, "queue/write_zeroes_max_bytes", &v))
		lim->max_write_zeroes_sectors = as_sectors(bytes_to_sectors(v), RANGE_SECTORS_MAX);
	if (sysfs_read_u64(own_dir, "alignment_offset", &v))
		lim->alignment_offset = as_sectors(v, UINT32_MAX);
	if (sysfs_read_u64(own_dir, "discard_alignment", &v))
		lim->discard_alignment = as_sectors(v, UINT32_MAX);
	sysfs_features(disk_dir, lim);
}

static int probe_block(struct direct_source *src)
{
	char own[SYSFS_DIR_MAX], disk[SYSFS_DIR_MAX], zoned[32];
	unsigned int physical = 0;
	int logical = 0;
	uint64_t size = 0;

	if (ioctl(src->fd, BLKGETSIZE64, &size) || ioctl(src->fd, BLKSSZGET, &logical) ||
	    ioctl(src->fd, BLKPBSZGET, &physical)) {
		int err = errno;

		log_err("%s does not tell its size: %s", src->path, strerror(err));
		return -err;
	}
	src->size_bytes = size;
	src->lim.logical_block_size = (uint32_t)logical;
	src->lim.physical_block_size = physical;
	if (!sysfs_block_dir(src->dev, own, sizeof(own)) ||
	    !sysfs_disk_dir(src->dev, disk, sizeof(disk))) {
		log_warn("%s is not in /sys/dev/block; its limits are taken to be Linux's defaults",
			 src->path);
		src->lim.features |= BLK_FEAT_WRITE_CACHE;
		return 0;
	}
	if (sysfs_read_line(disk, "queue/zoned", zoned, sizeof(zoned)) &&
	    strcmp(zoned, "host-managed") == 0) {
		log_err("%s is a host-managed zoned device, which the direct driver cannot write; "
			"use a conventional device",
			src->path);
		return -EOPNOTSUPP;
	}
	sysfs_limits(own, disk, &src->lim);
	return 0;
}

/* ---- a file ------------------------------------------------------------------------------------------ */

static int probe_file(struct direct_source *src)
{
	char disk[SYSFS_DIR_MAX];
	struct statfs sf;
	struct statx stx;
	uint64_t v;

	if (statx(src->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_DIOALIGN, &stx) ||
	    fstatfs(src->fd, &sf)) {
		int err = errno;

		log_err("%s cannot be examined: %s", src->path, strerror(err));
		return -err;
	}
	src->size_bytes = stx.stx_size;
	if (!src->is_buffered && stx.stx_mask & STATX_DIOALIGN && stx.stx_dio_offset_align) {
		src->lim.logical_block_size =
			max_t(uint32_t, stx.stx_dio_offset_align, SECTOR_SIZE);
		src->lim.dma_alignment = stx.stx_dio_mem_align ? stx.stx_dio_mem_align - 1 : 511;
	}
	src->lim.physical_block_size =
		max_t(uint32_t,
		      is_power_of_2(stx.stx_blksize) ? min_t(uint32_t, stx.stx_blksize, 65536) : 0,
		      src->lim.logical_block_size);
	src->lim.max_hw_sectors = RW_SECTORS_MAX;
	src->lim.max_segment_size = UINT32_MAX;
	src->lim.discard_granularity = src->lim.physical_block_size;
	src->lim.max_hw_discard_sectors = RANGE_SECTORS_MAX;
	src->lim.max_write_zeroes_sectors = RANGE_SECTORS_MAX;
	src->lim.features |= BLK_FEAT_DISCARD_ZEROES;
	src->is_memory_fs = sf.f_type == TMPFS_MAGIC || sf.f_type == RAMFS_MAGIC;
	if (!src->is_memory_fs)
		src->lim.features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	if (sysfs_disk_dir(src->dev, disk, sizeof(disk)) &&
	    sysfs_read_u64(disk, "queue/rotational", &v) && v)
		src->lim.features |= BLK_FEAT_ROTATIONAL;
	return 0;
}

/* ---- by reading -------------------------------------------------------------------------------------- */

/* The first block of the source. */
static ssize_t probe_read(const struct direct_source *src, void *buf, int rw_flags)
{
	struct iovec iov = { buf, src->lim.logical_block_size };
	ssize_t len = preadv2(src->fd, &iov, 1, 0, rw_flags);

	return len < 0 ? -errno : len;
}

/* Widens the alignment until the kernel takes it; @buf is aligned to PROBE_BYTES. */
static int verify_alignment(struct direct_source *src, void *buf)
{
	struct queue_limits *lim = &src->lim;
	ssize_t len = probe_read(src, buf, 0);

	while (len == -EINVAL && lim->logical_block_size < 4096) {
		lim->logical_block_size *= 2;
		len = probe_read(src, buf, 0);
	}
	if (len >= 0) {
		lim->physical_block_size = max(lim->physical_block_size, lim->logical_block_size);
		return 0;
	}
	log_err("%s: its first block (%u bytes) cannot be read: %s", src->path,
		lim->logical_block_size, strerror((int)-len));
	return (int)len;
}

static bool is_memory_device(dev_t dev)
{
	static const char *const names[] = { "ram", "zram", "pmem" };
	char dir[SYSFS_DIR_MAX], target[PATH_MAX];
	const char *name;
	ssize_t len;

	snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	len = readlink(dir, target, sizeof(target) - 1);
	if (len <= 0)
		return false;
	target[len] = 0;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t prefix = strlen(names[i]);

		if (strncmp(name, names[i], prefix) == 0 && name[prefix] >= '0' &&
		    name[prefix] <= '9')
			return true;
	}
	return false;
}

/* The quickest of a few reads: what else runs on this machine must not decide. */
static bool is_fast_as_memory(const struct direct_source *src, void *buf)
{
	uint64_t best_ns = UINT64_MAX;

	for (int i = 0; i < PROBE_READS; i++) {
		uint64_t start_ns = rt_now();

		if (probe_read(src, buf, 0) < 0)
			return false;
		best_ns = min_t(uint64_t, best_ns, rt_now() - start_ns);
	}
	return best_ns < PROBE_MEMORY_NS;
}

static enum direct_class probe_class(const struct direct_source *src, void *buf)
{
	if (src->is_memory_fs || is_memory_device(src->dev))
		return DIRECT_INLINE;
	if (src->is_buffered)
		return DIRECT_NOWAIT_FIRST;
	if (src->is_block && probe_read(src, buf, RWF_NOWAIT) == -EOPNOTSUPP &&
	    is_fast_as_memory(src, buf))
		return DIRECT_INLINE;
	return DIRECT_RING;
}

/* ---- all together ------------------------------------------------------------------------------------ */

static int take_part(struct direct_source *src, const struct direct_config *c)
{
	uint64_t block = src->lim.logical_block_size, whole = src->size_bytes;
	uint64_t size = c->size_bytes;

	if (c->offset_bytes > whole || size > whole - c->offset_bytes ||
	    !is_aligned(c->offset_bytes, block) || !is_aligned(size, block)) {
		log_err("%s has %llu bytes in blocks of %llu: a part of %llu at %llu does not fit",
			src->path, (unsigned long long)whole, (unsigned long long)block,
			(unsigned long long)size, (unsigned long long)c->offset_bytes);
		return -EINVAL;
	}
	if (!size)
		size = round_down(whole - c->offset_bytes, block);
	if (!size) {
		log_err("%s has %llu bytes, less than one block of %llu: make it larger "
			"(truncate -s)",
			src->path, (unsigned long long)whole, (unsigned long long)block);
		return -EINVAL;
	}
	if (!c->size_bytes && c->offset_bytes + size < whole)
		log_warn("%s: the last %llu bytes do not fill a block of %llu and are left out",
			 src->path, (unsigned long long)(whole - c->offset_bytes - size),
			 (unsigned long long)block);
	src->size_bytes = size;
	return 0;
}

static const char *class_name(const struct direct_source *src)
{
	switch (src->class) {
	case DIRECT_INLINE:
		return "memory speed: in place";
	case DIRECT_NOWAIT_FIRST:
		return "page cache: in place where it can, else the ring";
	default:
		return "ring";
	}
}

int direct_probe(struct direct_source *src, const struct direct_config *c)
{
	void *buf = aligned_alloc(PROBE_BYTES, PROBE_BYTES);
	int ret;

	if (!buf)
		return -ENOMEM;
	blk_set_default_limits(&src->lim);
	src->lim.seg_boundary_mask = UINT64_MAX;
	src->offset_bytes = c->offset_bytes;
	ret = src->is_block ? probe_block(src) : probe_file(src);
	if (!ret)
		ret = verify_alignment(src, buf);
	if (!ret)
		ret = take_part(src, c);
	if (!ret) {
		if (c->must_write_through)
			src->lim.features &= ~(uint32_t)(BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA);
		src->class = probe_class(src, buf);
		log_debug("%s: %llu bytes, blocks of %u/%u, %s", src->path,
			  (unsigned long long)src->size_bytes, src->lim.logical_block_size,
			  src->lim.physical_block_size, class_name(src));
	}
	free(buf);
	return ret;
}
