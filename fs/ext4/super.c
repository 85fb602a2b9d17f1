/* SPDX-License-Identifier: MIT */
/*
 * super.c - find the superblock, decode it, check every number that others rely on.
 *
 * Invariants, after ext4_super_decode() returned 0:
 *   1. 1 KiB <= block_size <= 64 KiB, and blocks_nr blocks fit into the device.
 *   2. 128 <= inode_size <= block_size; inodes_nr == groups_nr * inodes_per_group.
 *   3. groups_nr * blocks_per_group covers [first_data_block, blocks_nr); a group's bitmaps are
 *      one block each.
 *   4. 32 <= desc_size <= block_size, a power of two.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"

#include "blkfs/blkdev.h"

#include "fs/ext4/super.h"

enum { READ_ALIGN_MIN = 4096 };

static int __must_check bad(const char *dev, const char *what, const char *expected, uint64_t found)
{
	log_err("ext4 %s: superblock: %s: expected %s, found %" PRIu64
		"; run e2fsck, or name a backup superblock with sb=",
		dev, what, expected, found);
	return -EUCLEAN;
}

static int check_csum(const char *dev, struct ext4_super *sb)
{
	const struct ext2_super_block *raw = &sb->raw;
	uint32_t sum;

	sb->has_csum = sb->ro_compat & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
	if (sb->has_csum) {
		if (raw->s_checksum_type != EXT2_CRC32C_CHKSUM)
			return bad(dev, "checksum type", "1 (crc32c)", raw->s_checksum_type);
		sum = crc32c(~0U, raw, offsetof(struct ext2_super_block, s_checksum));
		if (sum != le32_to_cpu(raw->s_checksum))
			return bad(dev, "checksum", "that of its content",
				   le32_to_cpu(raw->s_checksum));
	}
	if (sb->incompat & EXT4_FEATURE_INCOMPAT_CSUM_SEED)
		sb->csum_seed = le32_to_cpu(raw->s_checksum_seed);
	else
		sb->csum_seed = crc32c(~0U, raw->s_uuid, sizeof(raw->s_uuid));
	return 0;
}

static int decode_sizes(const char *dev, struct ext4_super *sb)
{
	const struct ext2_super_block *raw = &sb->raw;
	uint32_t log_block = le32_to_cpu(raw->s_log_block_size);
	uint32_t log_cluster = le32_to_cpu(raw->s_log_cluster_size);
	bool is_old = le32_to_cpu(raw->s_rev_level) == EXT2_GOOD_OLD_REV;

	if (log_block > EXT2_MAX_BLOCK_LOG_SIZE - EXT2_MIN_BLOCK_LOG_SIZE)
		return bad(dev, "log2 of the block size in KiB", "0 to 6", log_block);
	sb->block_bits = log_block + EXT2_MIN_BLOCK_LOG_SIZE;
	sb->block_size = 1U << sb->block_bits;
	if (sb->ro_compat & EXT4_FEATURE_RO_COMPAT_BIGALLOC) {
		if (log_cluster < log_block ||
		    log_cluster > EXT2_MAX_CLUSTER_LOG_SIZE - EXT2_MIN_CLUSTER_LOG_SIZE)
			return bad(dev, "log2 of the cluster size in KiB", "the block size's to 19",
				   log_cluster);
		sb->cluster_bits = log_cluster - log_block;
	}
	sb->inode_size = is_old ? EXT2_GOOD_OLD_INODE_SIZE : le16_to_cpu(raw->s_inode_size);
	if (!is_power_of_2(sb->inode_size) || sb->inode_size < EXT2_GOOD_OLD_INODE_SIZE ||
	    sb->inode_size > sb->block_size)
		return bad(dev, "inode size", "a power of two from 128 to the block size",
			   sb->inode_size);
	sb->first_ino = is_old ? EXT2_GOOD_OLD_FIRST_INO : le32_to_cpu(raw->s_first_ino);
	if (sb->first_ino < EXT2_GOOD_OLD_FIRST_INO)
		return bad(dev, "first inode that is not reserved", "11 or more", sb->first_ino);
	sb->desc_size = EXT2_MIN_DESC_SIZE;
	if (sb->incompat & EXT4_FEATURE_INCOMPAT_64BIT) {
		sb->desc_size = le16_to_cpu(raw->s_desc_size);
		if (!is_power_of_2(sb->desc_size) || sb->desc_size < EXT2_MIN_DESC_SIZE_64BIT ||
		    sb->desc_size > EXT2_MAX_DESC_SIZE)
			return bad(dev, "group descriptor size", "a power of two from 64 to 1024",
				   sb->desc_size);
	}
	sb->desc_per_block = sb->block_size / sb->desc_size;
	return 0;
}

static int decode_blocks(const char *dev, struct ext4_super *sb, uint64_t dev_bytes)
{
	const struct ext2_super_block *raw = &sb->raw;
	bool is_64bit = sb->incompat & EXT4_FEATURE_INCOMPAT_64BIT;
	uint32_t per_group_max = 8 * sb->block_size;

	sb->blocks_nr = join_lo_hi(le32_to_cpu(raw->s_blocks_count),
				   is_64bit ? le32_to_cpu(raw->s_blocks_count_hi) : 0);
	sb->reserved_blocks = join_lo_hi(le32_to_cpu(raw->s_r_blocks_count),
					 is_64bit ? le32_to_cpu(raw->s_r_blocks_count_hi) : 0);
	sb->first_data_block = le32_to_cpu(raw->s_first_data_block);
	sb->blocks_per_group = le32_to_cpu(raw->s_blocks_per_group);
	if (sb->blocks_nr > dev_bytes >> sb->block_bits) {
		log_err("ext4 %s: the file system has %" PRIu64
			" blocks of %u bytes, the device only "
			"%" PRIu64 ": the image is cut short, or the wrong partition was named",
			dev, sb->blocks_nr, sb->block_size, dev_bytes >> sb->block_bits);
		return -EUCLEAN;
	}
	if (sb->first_data_block > 1 ||
	    (sb->first_data_block && sb->block_size > EXT4_BLOCK_SIZE_MIN))
		return bad(dev, "first data block", "1 with 1 KiB blocks, else 0",
			   sb->first_data_block);
	if (sb->blocks_nr <= sb->first_data_block)
		return bad(dev, "blocks", "more than the first data block", sb->blocks_nr);
	if (sb->blocks_per_group >> sb->cluster_bits > per_group_max || sb->blocks_per_group < 8 ||
	    !is_aligned(sb->blocks_per_group, 1U << sb->cluster_bits))
		return bad(dev, "blocks per group", "8 to 8 times the block size",
			   sb->blocks_per_group);
	return 0;
}

static int decode_groups(const char *dev, struct ext4_super *sb)
{
	const struct ext2_super_block *raw = &sb->raw;
	uint32_t inodes_per_block = sb->block_size / sb->inode_size;
	uint64_t blocks = sb->blocks_nr - sb->first_data_block;
	uint64_t groups = (blocks + sb->blocks_per_group - 1) / sb->blocks_per_group;

	sb->inodes_nr = le32_to_cpu(raw->s_inodes_count);
	sb->inodes_per_group = le32_to_cpu(raw->s_inodes_per_group);
	if (sb->inodes_per_group < inodes_per_block || sb->inodes_per_group > 8 * sb->block_size)
		return bad(dev, "inodes per group", "one block of them to 8 times the block size",
			   sb->inodes_per_group);
	if (groups * sb->inodes_per_group != sb->inodes_nr)
		return bad(dev, "inodes", "groups times inodes per group", sb->inodes_nr);
	sb->groups_nr = (uint32_t)groups;
	sb->itable_blocks = (sb->inodes_per_group + inodes_per_block - 1) / inodes_per_block;
	if (sb->itable_blocks >= sb->blocks_nr)
		return bad(dev, "blocks of an inode table", "fewer than there are blocks",
			   sb->itable_blocks);
	sb->desc_blocks = (uint32_t)((groups + sb->desc_per_block - 1) / sb->desc_per_block);
	return 0;
}

int ext4_super_decode(const char *dev, const void *raw, uint64_t dev_bytes, struct ext4_super *sb)
{
	int err;

	*sb = (struct ext4_super){ 0 };
	memcpy(&sb->raw, raw, sizeof(sb->raw));
	if (le16_to_cpu(sb->raw.s_magic) != EXT2_SUPER_MAGIC)
		return -EINVAL;
	if (le32_to_cpu(sb->raw.s_rev_level) > EXT2_MAX_SUPP_REV)
		return bad(dev, "revision", "0 or 1", le32_to_cpu(sb->raw.s_rev_level));
	if (le32_to_cpu(sb->raw.s_rev_level) != EXT2_GOOD_OLD_REV) {
		sb->compat = le32_to_cpu(sb->raw.s_feature_compat);
		sb->incompat = le32_to_cpu(sb->raw.s_feature_incompat);
		sb->ro_compat = le32_to_cpu(sb->raw.s_feature_ro_compat);
	}
	err = ext4_features_check(dev, sb);
	if (!err)
		err = check_csum(dev, sb);
	if (!err)
		err = decode_sizes(dev, sb);
	if (!err)
		err = decode_blocks(dev, sb, dev_bytes);
	if (!err)
		err = decode_groups(dev, sb);
	for (int i = 0; i < 4; i++)
		sb->hash_seed[i] = le32_to_cpu(sb->raw.s_hash_seed[i]);
	sb->is_hash_unsigned = le32_to_cpu(sb->raw.s_flags) & EXT2_FLAGS_UNSIGNED_HASH;
	return err;
}

/* Reads the 1024 bytes at byte @off of the device. -EINVAL: the device is too small. */
static int read_raw(struct block_device *bdev, uint64_t off, void *out)
{
	uint32_t lbs = bdev_limits(bdev)->logical_block_size;
	uint32_t align = max_t(uint32_t, lbs, READ_ALIGN_MIN);
	uint64_t start = round_down(off, align);
	uint64_t dev_bytes = bdev_nr_bytes(bdev);
	uint8_t *buf;
	size_t len;
	int err;

	if (off >= dev_bytes || dev_bytes - off < EXT4_SUPER_BYTES)
		return -EINVAL;
	len = (size_t)min_t(uint64_t, align, round_down(dev_bytes - start, lbs));
	if (off - start + EXT4_SUPER_BYTES > len)
		return -EINVAL;
	buf = rt_dma_alloc(align);
	if (!buf)
		return -ENOMEM;
	err = bdev_rw(bdev, REQ_OP_READ | REQ_META, bytes_to_sectors(start), buf, len);
	if (!err)
		memcpy(out, buf + (off - start), EXT4_SUPER_BYTES);
	rt_dma_free(buf, align);
	return err;
}

static uint64_t super_offset(uint64_t sb_block)
{
	return sb_block ? sb_block * 1024 : EXT4_SUPER_OFFSET;
}

int ext4_super_read(struct block_device *bdev, uint64_t sb_block, struct ext4_super *out)
{
	const char *dev = bdev_name(bdev);
	struct ext2_super_block raw;
	int err = -EINVAL;

	if (sb_block <= bdev_nr_bytes(bdev) / 1024)
		err = read_raw(bdev, super_offset(sb_block), &raw);
	if (!err)
		err = ext4_super_decode(dev, &raw, bdev_nr_bytes(bdev), out);
	if (err == -EINVAL)
		log_err("ext4 %s: no superblock at byte %" PRIu64
			": not an ext4 file system, or its "
			"first superblock is lost: name a backup with sb=",
			dev, super_offset(sb_block));
	else if (err && err != -EUCLEAN && err != -EOPNOTSUPP)
		log_err("ext4 %s: cannot read the superblock: %s", dev, strerror(-err));
	if (err)
		return err;
	out->logical_sb_block = super_offset(sb_block) >> out->block_bits;
	return 0;
}

int ext4_super_probe(struct block_device *bdev)
{
	struct ext2_super_block raw;
	int err = read_raw(bdev, EXT4_SUPER_OFFSET, &raw);

	if (err)
		return err;
	return le16_to_cpu(raw.s_magic) == EXT2_SUPER_MAGIC ? 0 : -EINVAL;
}
