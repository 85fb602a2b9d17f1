/* SPDX-License-Identifier: MIT */
/*
 * statfs.c - the numbers of statfs(2), the kernel's to the block.
 */
#include "fs/ext4/super.h"

enum { RESERVED_SHARE = 50, RESERVED_MAX = 4096 };

/* Clusters that the kernel keeps back for extents: one in fifty, 4096 at most. */
static uint64_t clusters_held_back(const struct ext4_super *sb)
{
	if (!(sb->incompat & EXT3_FEATURE_INCOMPAT_EXTENTS))
		return 0;
	return min_t(uint64_t, (sb->blocks_nr >> sb->cluster_bits) / RESERVED_SHARE, RESERVED_MAX);
}

void ext4_statfs_fill(const struct ext4_fs *fs, const struct ext4_totals *t, struct fs_statfs *out)
{
	const struct ext4_super *sb = &fs->sb;
	uint64_t held = sb->reserved_blocks + (clusters_held_back(sb) << sb->cluster_bits);

	*out = (struct fs_statfs){
		.blocks = sb->blocks_nr - t->overhead,
		.bfree = t->free_clusters << sb->cluster_bits,
		.files = sb->inodes_nr,
		.ffree = t->free_inodes,
		.fsid = get_unaligned_le64(sb->raw.s_uuid) ^ get_unaligned_le64(sb->raw.s_uuid + 8),
		.bsize = sb->block_size,
		.frsize = sb->block_size,
		.namelen = FS_NAME_MAX,
	};
	out->bavail = out->bfree > held ? out->bfree - held : 0;
}
