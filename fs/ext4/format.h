/* SPDX-License-Identifier: MIT */
/*
 * format.h - ext4 on disk: the structures of libext2fs's headers, and what these lack.
 *
 * The fields of those structures are plain integers in disk order: they are read through
 * leXX_to_cpu() like every other field of a disk.
 * Source: the kernel's Documentation/filesystems/ext4/.
 */
#ifndef FS_EXT4_FORMAT_H
#define FS_EXT4_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include <ext2fs/ext2_ext_attr.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext3_extents.h>

#include "base/compiler.h"
#include "base/endian.h"

enum {
	EXT4_SUPER_OFFSET = 1024,
	EXT4_SUPER_BYTES = 1024,
	EXT4_BLOCK_SIZE_MIN = 1024,
	EXT4_BLOCK_SIZE_MAX = 65536,
	EXT4_DEPTH_MAX = 5,	 /* of an extent tree */
	EXT4_I_BLOCK_BYTES = 60, /* i_block of an inode */
	EXT4_DIRENT_HEADER = 8,
	EXT4_DIR_TAIL_BYTES = 12,
	EXT4_DIR_TAIL_TYPE = 0xDE,
	EXT4_XATTR_MAGIC = 0xEA020000,
	EXT4_FL_VISIBLE = 0x725BDFFF, /* what chattr and lsattr know of i_flags */
};

BUILD_BUG_ON(sizeof(struct ext2_super_block) != EXT4_SUPER_BYTES);
BUILD_BUG_ON(sizeof(struct ext2_inode) != EXT2_GOOD_OLD_INODE_SIZE);
BUILD_BUG_ON(sizeof(struct ext4_group_desc) != EXT2_MIN_DESC_SIZE_64BIT);

static inline uint64_t join_lo_hi(uint32_t lo, uint32_t hi)
{
	return (uint64_t)hi << 32 | lo;
}

#endif
