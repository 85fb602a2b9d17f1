/* SPDX-License-Identifier: MIT */
/*
 * super.h - within fs/ext4: the mounted file system, its superblock decoded, and its errors.
 *
 * Everything that is decoded has been checked: see super_check() for the bounds one may rely on.
 */
#ifndef FS_EXT4_SUPER_H
#define FS_EXT4_SUPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

#include "blkfs/fs.h"
#include "blkfs/rt.h"

#include "fs/cache/cache.h"
#include "fs/ext4/format.h"

struct bounce_pool;
struct icache;

/* The superblock in the CPU's order. */
struct ext4_super {
	struct ext2_super_block raw; /* as read */
	uint32_t compat, incompat, ro_compat;
	uint32_t block_size;
	unsigned int block_bits;
	unsigned int cluster_bits; /* blocks of a cluster, as a shift */
	uint64_t blocks_nr;
	uint64_t reserved_blocks;
	uint32_t first_data_block;
	uint32_t blocks_per_group, inodes_per_group;
	uint32_t itable_blocks; /* of one group's inode table */
	uint32_t groups_nr;
	uint32_t inodes_nr, first_ino;
	uint32_t inode_size, desc_size;
	uint32_t desc_per_block, desc_blocks;
	uint64_t
		logical_sb_block; /* where this superblock is: backup descriptors follow a backup */
	uint32_t csum_seed;
	uint32_t hash_seed[4];
	bool is_hash_unsigned;
	bool has_csum; /* metadata_csum */
};

struct ext4_totals { /* of the group descriptors, and what statfs(2) wants of them */
	uint64_t free_clusters, free_inodes, overhead;
};

/* What has gone wrong since the mount. */
struct ext4_errors {
	struct log_ratelimit limit;
	uint32_t count; /* [atomic] */
	/* [atomic] each; the first is set once */
	uint64_t first_time, last_time; /* seconds since 1970 */
	uint64_t first_block, last_block;
	uint32_t first_ino, last_ino;
};

struct ext4_fs {
	struct fs fs;
	struct ext4_super sb;
	struct cache *cache;
	struct icache *icache;
	struct bounce_pool *bounce;
	const char *dev; /* name of the device, for messages */
	bool is_fakeroot;
	uint32_t fake_uid, fake_gid;
	enum fs_errors on_error;
	bool is_shutdown; /* [atomic] errors=panic has struck: -EIO from now on */
	struct ext4_errors errors;
	struct rt_mutex totals_lock;
	bool has_totals;	   /* [atomic] totals may be read */
	struct ext4_totals totals; /* [totals_lock] until has_totals */
	uint64_t extent_bytes;	   /* [atomic] memory of all inodes' extent lists */
	struct attr_dir *attrs;
};

static inline struct ext4_fs *ext4_of(struct fs *fs)
{
	return container_of(fs, struct ext4_fs, fs);
}

static inline bool ext4_has_incompat(const struct ext4_fs *fs, uint32_t bit)
{
	return fs->sb.incompat & bit;
}

/* ---- super.c --------------------------------------------------------------------------------- */

/*
 * ext4_super_read - read and check the superblock at @sb_block (in 1 KiB units, 0: the primary).
 * Fails: -EINVAL (no ext4), -EOPNOTSUPP (a feature, by name), -EUCLEAN, -EIO.
 */
int __must_check ext4_super_read(struct block_device *bdev, uint64_t sb_block,
				 struct ext4_super *out);
/* The pure part: decodes and checks 1024 bytes of a disk for a device of @dev_bytes. */
int __must_check ext4_super_decode(const char *dev, const void *raw, uint64_t dev_bytes,
				   struct ext4_super *sb);
/* The magic is there. 0, -EINVAL, or an I/O error. */
int __must_check ext4_super_probe(struct block_device *bdev);

/* ---- feature.c --------------------------------------------------------------------------------- */

/* 0, or -EOPNOTSUPP with the names of what cannot be read in the log. */
int __must_check ext4_features_check(const char *dev, const struct ext4_super *sb);
/* Appends the names of all features that are on, separated by blanks. */
void ext4_features_show(const struct ext4_super *sb, struct strbuf *out);

/* ---- group.c ----------------------------------------------------------------------------------- */

/* Group @group's descriptor, checked. */
struct ext4_group {
	uint64_t inode_table; /* itable_blocks from here on are in the file system */
	uint32_t free_clusters, free_inodes;
};

int __must_check ext4_group_get(struct ext4_fs *fs, uint32_t group, struct ext4_group *out);
/* Sums all groups once; later calls are free. */
int __must_check ext4_totals_get(struct ext4_fs *fs, struct ext4_totals *out);

/* ---- error.c ----------------------------------------------------------------------------------- */

/*
 * ext4_corrupt - log that the disk contradicts itself, count it, do what errors= says.
 *
 * @ino and @block say where (0: not known), the text what, what was expected and what found.
 * Returns -EUCLEAN. Context: any task.
 */
int ext4_corrupt(struct ext4_fs *fs, uint32_t ino, uint64_t block, const char *fmt, ...)
	__printf(4, 5) __must_check __cold;

static inline bool ext4_is_shutdown(const struct ext4_fs *fs)
{
	return __atomic_load_n(&fs->is_shutdown, __ATOMIC_RELAXED);
}

/* The buffer of a metadata block; an error is logged with what it was read for. */
int __must_check ext4_block_get(struct ext4_fs *fs, uint32_t ino, uint64_t block, const char *what,
				struct cache_buf **out);

/* @nr blocks from @block on lie in the file system and do not hold its superblock. */
bool ext4_blocks_are_valid(const struct ext4_super *sb, uint64_t block, uint64_t nr);

/* What a block has been checked as: the tag of cache_buf_set_verified(). */
enum ext4_block_kind {
	EXT4_BLOCK_GROUP_DESC = 1,
	EXT4_BLOCK_INODE_TABLE,
	EXT4_BLOCK_EXTENT,
	EXT4_BLOCK_DIR,
	EXT4_BLOCK_XATTR,
};

static inline uint64_t ext4_block_tag(enum ext4_block_kind kind, uint32_t ino)
{
	return (uint64_t)kind << 32 | ino;
}

/* ---- mount.c, ops.c, attrs.c, statfs.c ----------------------------------------------------------- */

extern const struct fs_ops ext4_fs_ops;

/* Also of what a failed mount has so far. */
void ext4_fs_free(struct ext4_fs *fs);
int __must_check ext4_attrs_publish(struct ext4_fs *fs, struct attr_dir *parent);
void ext4_statfs_fill(const struct ext4_fs *fs, const struct ext4_totals *totals,
		      struct fs_statfs *out);

#endif
