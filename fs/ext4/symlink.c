/* SPDX-License-Identifier: MIT */
/*
 * symlink.c - where a symbolic link points: in the inode itself (fast), or in its first block.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "fs/ext4/inode.h"

bool ext4_symlink_is_fast(const struct ext4_fs *fs, const struct ext4_inode *inode)
{
	uint64_t xattr_blocks = 0;

	if (ext4_has_incompat(fs, EXT4_FEATURE_INCOMPAT_EA_INODE))
		return inode->size < EXT4_I_BLOCK_BYTES;
	if (inode->xattr_block)
		xattr_blocks = (1ULL << (fs->sb.block_bits + fs->sb.cluster_bits)) >> 9;
	return inode->blocks == xattr_blocks;
}

static ssize_t slow_read(struct ext4_fs *fs, struct ext4_inode *inode, char *buf, size_t len)
{
	struct cache_buf *b;
	struct ext4_map m;
	int err = ext4_map_blocks(fs, inode, 0, 1, &m);

	if (err)
		return err;
	if (m.kind != EXT4_MAP_DATA)
		return ext4_corrupt(fs, inode->ino, 0, "symbolic link: its block is a hole");
	err = ext4_block_get(fs, inode->ino, m.pblk, "symbolic link", &b);
	if (err)
		return err;
	memcpy(buf, b->data, len);
	cache_put(fs->cache, b);
	return (ssize_t)len;
}

ssize_t ext4_symlink_read(struct ext4_fs *fs, struct ext4_inode *inode, char *buf, size_t size)
{
	bool is_inline = ext4_inode_has(inode, EXT4_INLINE_DATA_FL);
	bool is_in_inode = !is_inline && ext4_symlink_is_fast(fs, inode);
	uint64_t room = is_in_inode ? EXT4_I_BLOCK_BYTES : fs->sb.block_size;
	size_t len;
	int err;

	if (!S_ISLNK(inode->mode))
		return -EINVAL;
	if (inode->size == 0 || inode->size >= room)
		return ext4_corrupt(fs, inode->ino, 0,
				    "symbolic link: length: expected 1 to %" PRIu64
				    ", found %" PRIu64,
				    room - 1, inode->size);
	len = min_t(uint64_t, size, inode->size);
	if (is_inline) {
		err = ext4_inline_read(fs, inode, 0, buf, len);
		return err ? err : (ssize_t)len;
	}
	if (!is_in_inode)
		return slow_read(fs, inode, buf, len);
	memcpy(buf, inode->i_block, len);
	return (ssize_t)len;
}
