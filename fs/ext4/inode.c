/* SPDX-License-Identifier: MIT */
/*
 * inode.c - an inode from its bytes on disk: where it is, whether it is sound, what it says.
 *
 * Source: Documentation/filesystems/ext4/inodes.rst, checksums.rst.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

#include "fs/ext4/inode.h"

enum { NSEC_PER_SEC = 1000000000 };

struct fs_time ext4_time_decode(uint32_t sec, uint32_t extra)
{
	uint32_t nsec = extra >> EXT4_EPOCH_BITS;

	return (struct fs_time){
		.sec = (int64_t)(int32_t)sec + ((int64_t)(extra & EXT4_EPOCH_MASK) << 32),
		.nsec = min_t(uint32_t, nsec, NSEC_PER_SEC - 1),
	};
}

/* ---- checking ------------------------------------------------------------------------------------ */

static bool has_field(const struct ext4_inode *inode, size_t end)
{
	return EXT2_GOOD_OLD_INODE_SIZE + inode->extra_isize >= end;
}

#define INODE_HAS(inode, field)                                                                    \
	has_field(inode, offsetof(struct ext2_inode_large, field) +                                \
				 sizeof_field(struct ext2_inode_large, field))

/* Bytes [from, to) of @raw; the 16 bits at @hole, if within, count as zeros. */
static uint32_t sum_around(uint32_t sum, const uint8_t *raw, size_t from, size_t to, size_t hole)
{
	static const uint16_t zero;

	if (hole < from || hole + sizeof(zero) > to)
		return crc32c(sum, raw + from, to - from);
	sum = crc32c(sum, raw + from, hole - from);
	sum = crc32c(sum, &zero, sizeof(zero));
	return crc32c(sum, raw + hole + sizeof(zero), to - hole - sizeof(zero));
}

static int check_csum(struct ext4_fs *fs, struct ext4_inode *inode, const uint8_t *raw)
{
	const size_t lo = offsetof(struct ext2_inode, i_checksum_lo);
	const size_t hi = offsetof(struct ext2_inode_large, i_checksum_hi);
	__le32 number = cpu_to_le32(inode->ino), gen = cpu_to_le32(inode->generation);
	bool has_hi = INODE_HAS(inode, i_checksum_hi);
	uint32_t sum, found;

	inode->csum_seed = crc32c(fs->sb.csum_seed, &number, sizeof(number));
	inode->csum_seed = crc32c(inode->csum_seed, &gen, sizeof(gen));
	if (!fs->sb.has_csum)
		return 0;
	found = get_unaligned_le16(raw + lo);
	sum = sum_around(inode->csum_seed, raw, 0, EXT2_GOOD_OLD_INODE_SIZE, lo);
	if (fs->sb.inode_size > EXT2_GOOD_OLD_INODE_SIZE)
		sum = sum_around(sum, raw, EXT2_GOOD_OLD_INODE_SIZE, fs->sb.inode_size,
				 has_hi ? hi : 0);
	if (has_hi)
		found |= (uint32_t)get_unaligned_le16(raw + hi) << 16;
	else
		sum &= 0xffff;
	if (sum != found)
		return ext4_corrupt(fs, inode->ino, inode->table_block,
				    "inode checksum: expected 0x%08x, found 0x%08x", sum, found);
	return 0;
}

static int decode_extra_isize(struct ext4_fs *fs, struct ext4_inode *inode, const uint8_t *raw)
{
	uint32_t room = fs->sb.inode_size - EXT2_GOOD_OLD_INODE_SIZE;

	if (!room)
		return 0;
	inode->extra_isize =
		get_unaligned_le16(raw + offsetof(struct ext2_inode_large, i_extra_isize));
	if (inode->extra_isize > room || inode->extra_isize & 3)
		return ext4_corrupt(fs, inode->ino, inode->table_block,
				    "extra size: expected a multiple of 4 up to %" PRIu32
				    ", found %" PRIu32,
				    room, inode->extra_isize);
	return 0;
}

/* ---- decoding ------------------------------------------------------------------------------------ */

static void decode_times(struct ext4_inode *inode, const struct ext2_inode_large *d)
{
	uint32_t at = INODE_HAS(inode, i_atime_extra) ? le32_to_cpu(d->i_atime_extra) : 0;
	uint32_t mt = INODE_HAS(inode, i_mtime_extra) ? le32_to_cpu(d->i_mtime_extra) : 0;
	uint32_t ct = INODE_HAS(inode, i_ctime_extra) ? le32_to_cpu(d->i_ctime_extra) : 0;
	uint32_t bt = INODE_HAS(inode, i_crtime_extra) ? le32_to_cpu(d->i_crtime_extra) : 0;

	inode->atime = ext4_time_decode(le32_to_cpu(d->i_atime), at);
	inode->mtime = ext4_time_decode(le32_to_cpu(d->i_mtime), mt);
	inode->ctime = ext4_time_decode(le32_to_cpu(d->i_ctime), ct);
	inode->has_btime = INODE_HAS(inode, i_crtime);
	if (inode->has_btime)
		inode->btime = ext4_time_decode(le32_to_cpu(d->i_crtime), bt);
}

static void decode_blocks(const struct ext4_fs *fs, struct ext4_inode *inode,
			  const struct ext2_inode_large *d)
{
	inode->blocks = le32_to_cpu(d->i_blocks);
	if (!(fs->sb.ro_compat & EXT4_FEATURE_RO_COMPAT_HUGE_FILE))
		return;
	inode->blocks |= (uint64_t)le16_to_cpu(d->osd2.linux2.l_i_blocks_hi) << 32;
	if (ext4_inode_has(inode, EXT4_HUGE_FILE_FL))
		inode->blocks <<= fs->sb.block_bits - 9;
}

static void decode(const struct ext4_fs *fs, struct ext4_inode *inode,
		   const struct ext2_inode_large *d)
{
	uint32_t size_hi = le32_to_cpu(d->i_size_high);

	inode->mode = le16_to_cpu(d->i_mode);
	inode->nlink = le16_to_cpu(d->i_links_count);
	inode->uid = le16_to_cpu(d->i_uid) | (uint32_t)le16_to_cpu(d->osd2.linux2.l_i_uid_high)
						     << 16;
	inode->gid = le16_to_cpu(d->i_gid) | (uint32_t)le16_to_cpu(d->osd2.linux2.l_i_gid_high)
						     << 16;
	inode->flags = le32_to_cpu(d->i_flags);
	if (INODE_HAS(inode, i_projid))
		inode->projid = le32_to_cpu(d->i_projid);
	if (!S_ISREG(inode->mode) && !ext4_has_incompat(fs, EXT4_FEATURE_INCOMPAT_LARGEDIR))
		size_hi = 0;
	inode->size = join_lo_hi(le32_to_cpu(d->i_size), size_hi);
	inode->xattr_block = le32_to_cpu(d->i_file_acl);
	if (fs->sb.incompat & EXT4_FEATURE_INCOMPAT_64BIT)
		inode->xattr_block |= (uint64_t)le16_to_cpu(d->osd2.linux2.l_i_file_acl_high) << 32;
	memcpy(inode->i_block, d->i_block, sizeof(inode->i_block));
	decode_times(inode, d);
	decode_blocks(fs, inode, d);
}

static bool is_known_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

/* What the decoded fields say about each other. */
static int check_fields(struct ext4_fs *fs, const struct ext4_inode *inode)
{
	uint64_t at = inode->table_block;

	if (inode->nlink == 0)
		return ext4_corrupt(fs, inode->ino, at, "a name leads to a deleted inode");
	if (!is_known_type(inode->mode))
		return ext4_corrupt(fs, inode->ino, at, "mode: expected a file type, found 0%o",
				    inode->mode);
	if (inode->size > INT64_MAX)
		return ext4_corrupt(fs, inode->ino, at, "size: expected below 2^63, found %" PRIu64,
				    inode->size);
	if (inode->xattr_block && !ext4_blocks_are_valid(&fs->sb, inode->xattr_block, 1))
		return ext4_corrupt(fs, inode->ino, at,
				    "attribute block: expected below %" PRIu64 ", found %" PRIu64,
				    fs->sb.blocks_nr, inode->xattr_block);
	if (ext4_inode_has(inode, EXT4_INLINE_DATA_FL) &&
	    !ext4_has_incompat(fs, EXT4_FEATURE_INCOMPAT_INLINE_DATA))
		return ext4_corrupt(fs, inode->ino, at,
				    "inline data without the feature inline_data");
	if (S_ISDIR(inode->mode) && inode->ino == EXT2_ROOT_INO && !inode->size)
		return ext4_corrupt(fs, inode->ino, at, "the root directory is empty");
	return 0;
}

static bool has_extent_root(const struct ext4_fs *fs, const struct ext4_inode *inode)
{
	if (!ext4_inode_has(inode, EXT4_EXTENTS_FL) || ext4_inode_has(inode, EXT4_INLINE_DATA_FL))
		return false;
	return S_ISREG(inode->mode) || S_ISDIR(inode->mode) ||
	       (S_ISLNK(inode->mode) && !ext4_symlink_is_fast(fs, inode));
}

static int load_from(struct ext4_fs *fs, struct ext4_inode *inode, const uint8_t *raw)
{
	struct ext2_inode_large d = { 0 };
	int err;

	memcpy(&d, raw, min_t(size_t, sizeof(d), fs->sb.inode_size));
	inode->generation = le32_to_cpu(d.i_generation);
	err = decode_extra_isize(fs, inode, raw);
	if (!err)
		err = check_csum(fs, inode, raw);
	if (err)
		return err;
	decode(fs, inode, &d);
	err = check_fields(fs, inode);
	if (!err && has_extent_root(fs, inode))
		err = ext4_extent_root_load(fs, inode);
	return err;
}

/* ---- the face ------------------------------------------------------------------------------------ */

int ext4_inode_raw_get(struct ext4_fs *fs, const struct ext4_inode *inode, struct cache_buf **b,
		       const uint8_t **raw)
{
	int err = ext4_block_get(fs, inode->ino, inode->table_block, "inode table", b);

	if (!err)
		*raw = (*b)->data + inode->table_off;
	return err;
}

int ext4_inode_load(struct ext4_fs *fs, uint32_t ino, struct ext4_inode *out)
{
	struct cache_buf *b;
	const uint8_t *raw;
	int err;

	out->ino = ino;
	err = ext4_itable_locate(fs, ino, &out->table_block, &out->table_off);
	if (err)
		return err;
	ext4_itable_read_around(fs, out->table_block);
	err = ext4_inode_raw_get(fs, out, &b, &raw);
	if (err)
		return err;
	err = load_from(fs, out, raw);
	cache_put(fs->cache, b);
	return err;
}

void ext4_inode_fini(struct ext4_fs *fs, struct ext4_inode *inode)
{
	if (!inode->extents || inode->extents == inode->root_extents)
		return;
	__atomic_sub_fetch(&fs->extent_bytes, inode->extents_nr * sizeof(*inode->extents),
			   __ATOMIC_RELAXED);
	free(inode->extents);
}

/* Old (16 bit) or new (32 bit) encoding, as the kernel tells them apart. */
static void stat_device(const struct ext4_inode *inode, struct fs_stat *out)
{
	uint32_t old = get_unaligned_le32(inode->i_block);
	uint32_t new = get_unaligned_le32(inode->i_block + 4);

	if (old) {
		out->rdev_major = old >> 8 & 0xff;
		out->rdev_minor = old & 0xff;
	} else {
		out->rdev_major = new >> 8 & 0xfff;
		out->rdev_minor = (new & 0xff) | (new >> 12 & 0xfff00);
	}
}

void ext4_inode_stat(const struct ext4_fs *fs, const struct ext4_inode *inode, struct fs_stat *out)
{
	*out = (struct fs_stat){
		.ino = ext4_ino_to_fs(inode->ino),
		.generation = inode->generation,
		.size = inode->size,
		.blocks = inode->blocks,
		.atime = inode->atime,
		.mtime = inode->mtime,
		.ctime = inode->ctime,
		.btime = inode->btime,
		.has_btime = inode->has_btime,
		.mode = inode->mode,
		.nlink = inode->nlink,
		.uid = fs->is_fakeroot ? fs->fake_uid : inode->uid,
		.gid = fs->is_fakeroot ? fs->fake_gid : inode->gid,
		.blksize = fs->sb.block_size,
		.flags = inode->flags & EXT4_FL_VISIBLE,
	};
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		stat_device(inode, out);
	/* As the kernel: a file without blocks is not one of holes only. */
	if (S_ISREG(inode->mode) && ext4_inode_has(inode, EXT4_INLINE_DATA_FL))
		out->blocks += (inode->size + 511) >> 9;
}
