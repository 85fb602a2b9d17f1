/* SPDX-License-Identifier: MIT */
/*
 * group.c - group descriptors: where they are, whether they are sound, and what they add up to.
 *
 * Descriptors are read when asked for, through the cache: a mount of a large file system costs
 * nothing for the groups that nobody visits.
 * Source: Documentation/filesystems/ext4/group_descr.rst, blockgroup.rst (META_BG).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/crc16.h"
#include "base/crc32c.h"

#include "fs/ext4/super.h"

enum { TOTALS_READAHEAD = 256 /* blocks */ };

/* sparse_super: copies are in groups 0, 1 and the powers of 3, 5 and 7. */
static bool is_power_of(uint32_t group, uint32_t base)
{
	uint64_t power = base;

	while (power < group)
		power *= base;
	return power == group;
}

static bool group_has_super(const struct ext4_super *sb, uint32_t group)
{
	if (group == 0)
		return true;
	if (sb->compat & EXT4_FEATURE_COMPAT_SPARSE_SUPER2)
		return group == le32_to_cpu(sb->raw.s_backup_bgs[0]) ||
		       group == le32_to_cpu(sb->raw.s_backup_bgs[1]);
	if (group <= 1 || !(sb->ro_compat & EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER))
		return true;
	return is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

static bool is_in_meta_bg(const struct ext4_super *sb, uint32_t desc_block)
{
	return (sb->incompat & EXT2_FEATURE_INCOMPAT_META_BG) &&
	       desc_block >= le32_to_cpu(sb->raw.s_first_meta_bg);
}

/* The block that holds the @desc_block-th block of descriptors. */
static uint64_t desc_location(const struct ext4_super *sb, uint32_t desc_block)
{
	uint64_t group = (uint64_t)desc_block * sb->desc_per_block, block;

	if (!is_in_meta_bg(sb, desc_block))
		return sb->logical_sb_block + 1 + desc_block;
	block = sb->first_data_block + group * sb->blocks_per_group;
	if (group_has_super(sb, (uint32_t)group))
		block++;
	/* Opened by a backup: each meta group has its own copy in its second group. */
	if (sb->logical_sb_block > sb->first_data_block && group + 1 < sb->groups_nr)
		block += sb->blocks_per_group;
	return block;
}

static uint16_t desc_csum(const struct ext4_super *sb, uint32_t group, const uint8_t *desc)
{
	size_t off = offsetof(struct ext4_group_desc, bg_checksum);
	__le32 number = cpu_to_le32(group);
	uint16_t zero = 0, crc;
	uint32_t sum;

	if (sb->has_csum) {
		sum = crc32c(sb->csum_seed, &number, sizeof(number));
		sum = crc32c(sum, desc, off);
		sum = crc32c(sum, &zero, sizeof(zero));
		if (sb->desc_size > off + sizeof(zero))
			sum = crc32c(sum, desc + off + 2, sb->desc_size - off - 2);
		return (uint16_t)sum;
	}
	crc = crc16(0xffff, sb->raw.s_uuid, sizeof(sb->raw.s_uuid));
	crc = crc16(crc, &number, sizeof(number));
	crc = crc16(crc, desc, off);
	if (sb->desc_size > off + sizeof(zero))
		crc = crc16(crc, desc + off + 2, sb->desc_size - off - 2);
	return crc;
}

static int desc_decode(struct ext4_fs *fs, uint32_t group, uint64_t block, const uint8_t *raw,
		       struct ext4_group *out)
{
	const struct ext4_super *sb = &fs->sb;
	struct ext4_group_desc d = { 0 };
	uint16_t sum;

	memcpy(&d, raw, min_t(size_t, sizeof(d), sb->desc_size));
	if (sb->has_csum || (sb->ro_compat & EXT4_FEATURE_RO_COMPAT_GDT_CSUM)) {
		sum = desc_csum(sb, group, raw);
		if (sum != le16_to_cpu(d.bg_checksum))
			return ext4_corrupt(fs, 0, block,
					    "descriptor of group %" PRIu32
					    ": checksum: expected 0x%x, found 0x%x",
					    group, sum, le16_to_cpu(d.bg_checksum));
	}
	out->inode_table =
		join_lo_hi(le32_to_cpu(d.bg_inode_table), le32_to_cpu(d.bg_inode_table_hi));
	out->free_clusters = le16_to_cpu(d.bg_free_blocks_count) |
			     (uint32_t)le16_to_cpu(d.bg_free_blocks_count_hi) << 16;
	out->free_inodes = le16_to_cpu(d.bg_free_inodes_count) |
			   (uint32_t)le16_to_cpu(d.bg_free_inodes_count_hi) << 16;
	if (!ext4_blocks_are_valid(sb, out->inode_table, sb->itable_blocks))
		return ext4_corrupt(fs, 0, block,
				    "descriptor of group %" PRIu32
				    ": inode table: expected within %" PRIu64
				    " blocks, found at %" PRIu64,
				    group, sb->blocks_nr, out->inode_table);
	return 0;
}

int ext4_group_get(struct ext4_fs *fs, uint32_t group, struct ext4_group *out)
{
	const struct ext4_super *sb = &fs->sb;
	uint32_t desc_block = group / sb->desc_per_block;
	struct cache_buf *b;
	int err;

	if (group >= sb->groups_nr)
		return ext4_corrupt(fs, 0, 0, "group: expected below %" PRIu32 ", found %" PRIu32,
				    sb->groups_nr, group);
	err = ext4_block_get(fs, 0, desc_location(sb, desc_block), "group descriptors", &b);
	if (err)
		return err;
	err = desc_decode(fs, group, b->block,
			  b->data + (size_t)(group % sb->desc_per_block) * sb->desc_size, out);
	cache_put(fs->cache, b);
	return err;
}

/* ---- totals --------------------------------------------------------------------------------------- */

/* Blocks of @group that hold the file system's own structures, as the kernel counts them. */
static uint64_t group_overhead(const struct ext4_super *sb, uint32_t group)
{
	uint32_t desc_block = group / sb->desc_per_block;
	uint64_t blocks = sb->itable_blocks + 2;
	bool has_super = group_has_super(sb, group);

	if (has_super)
		blocks += 1 + le16_to_cpu(sb->raw.s_reserved_gdt_blocks);
	if (is_in_meta_bg(sb, desc_block)) {
		uint32_t i = group % sb->desc_per_block;

		blocks += i <= 1 || i == sb->desc_per_block - 1;
	} else if (has_super) {
		blocks += sb->incompat & EXT2_FEATURE_INCOMPAT_META_BG
				  ? le32_to_cpu(sb->raw.s_first_meta_bg)
				  : sb->desc_blocks;
	}
	return blocks;
}

/* Blocks of the journal inode, of its size in the superblock's copy of it. */
static uint64_t journal_overhead(const struct ext4_super *sb)
{
	const struct ext2_super_block *raw = &sb->raw;

	if (!(sb->compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL) || !raw->s_journal_inum)
		return 0;
	return join_lo_hi(le32_to_cpu(raw->s_jnl_blocks[16]), le32_to_cpu(raw->s_jnl_blocks[15])) >>
	       sb->block_bits;
}

static uint64_t overhead(const struct ext4_super *sb)
{
	uint64_t blocks = sb->first_data_block + journal_overhead(sb);
	uint64_t known = le32_to_cpu(sb->raw.s_overhead_clusters);

	/* With bigalloc structures share clusters: the number that mke2fs left is what counts. */
	if (sb->cluster_bits)
		return known << sb->cluster_bits < sb->blocks_nr ? known << sb->cluster_bits : 0;
	for (uint32_t group = 0; group < sb->groups_nr; group++)
		blocks += group_overhead(sb, group);
	return min(blocks, sb->blocks_nr);
}

static int sum_groups(struct ext4_fs *fs, struct ext4_totals *t)
{
	const struct ext4_super *sb = &fs->sb;
	struct ext4_group g;
	int err;

	for (uint32_t group = 0; group < sb->groups_nr; group++) {
		uint32_t desc_block = group / sb->desc_per_block;

		if (group % (TOTALS_READAHEAD * sb->desc_per_block) == 0 &&
		    !is_in_meta_bg(sb, desc_block))
			cache_readahead(fs->cache, desc_location(sb, desc_block),
					min_t(uint32_t, TOTALS_READAHEAD,
					      sb->desc_blocks - desc_block));
		err = ext4_group_get(fs, group, &g);
		if (err)
			return err;
		t->free_clusters += g.free_clusters;
		t->free_inodes += g.free_inodes;
	}
	return 0;
}

int ext4_totals_get(struct ext4_fs *fs, struct ext4_totals *out)
{
	int err = 0;

	if (!__atomic_load_n(&fs->has_totals, __ATOMIC_ACQUIRE)) {
		rt_mutex_lock(&fs->totals_lock);
		if (!fs->has_totals) {
			fs->totals = (struct ext4_totals){ .overhead = overhead(&fs->sb) };
			err = sum_groups(fs, &fs->totals);
			__atomic_store_n(&fs->has_totals, !err, __ATOMIC_RELEASE);
		}
		rt_mutex_unlock(&fs->totals_lock);
	}
	if (!err)
		*out = fs->totals;
	return err;
}
