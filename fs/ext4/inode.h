/* SPDX-License-Identifier: MIT */
/*
 * inode.h - within fs/ext4: inodes in memory.
 *
 * ext4_iget() gives a reference, ext4_iput() takes it back; what the front has looked up counts
 * too. An inode nobody refers to stays for a while (icache.c). Of a read-only mount nothing below
 * changes after ext4_iget() but what names a guard.
 */
#ifndef FS_EXT4_INODE_H
#define FS_EXT4_INODE_H

#include "fs/ext4/super.h"

/* A run of blocks of a file. */
struct ext4_extent {
	uint32_t lblk;
	uint32_t len : 31;
	uint32_t is_unwritten : 1;
	uint64_t pblk;
};

struct ext4_inode {
	uint32_t ino, generation;
	uint32_t mode, nlink, uid, gid, flags, projid;
	uint64_t size;
	uint64_t blocks; /* of 512 bytes */
	uint64_t xattr_block;
	struct fs_time atime, mtime, ctime, btime;
	bool has_btime;
	uint32_t csum_seed;
	uint64_t table_block; /* where it is on disk */
	uint32_t table_off;
	uint32_t extra_isize;
	uint8_t i_block[EXT4_I_BLOCK_BYTES];

	/* Sorted extents for lookups without a lock; NULL: go by the tree. [atomic] */
	struct ext4_extent *extents;
	uint32_t extents_nr;  /* valid once extents is seen */
	bool is_list_refused; /* [map_lock] too many extents, or no memory left for lists */
	struct rt_mutex map_lock;
	struct ext4_extent root_extents[4];

	/* [icache shard] */
	struct ext4_inode *hash_next;
	struct list_head idle;
	uint64_t refs; /* open files, running operations */
};

static inline bool ext4_inode_has(const struct ext4_inode *inode, uint32_t flag)
{
	return inode->flags & flag;
}

/* ---- icache.c ---------------------------------------------------------------------------------- */

int __must_check ext4_icache_create(struct icache **out);
void ext4_icache_destroy(struct ext4_fs *fs);

/*
 * ext4_iget - the inode numbered @ino, loaded if it must be.
 *
 * @may_be_special admits the reserved inodes (the journal).
 * Fails: -EUCLEAN (out of range, deleted, inconsistent: logged), -EIO, -ENOMEM.
 */
int __must_check ext4_iget(struct ext4_fs *fs, uint32_t ino, bool may_be_special,
			   struct ext4_inode **out);
void ext4_iput(struct ext4_fs *fs, struct ext4_inode *inode);
/* Inodes in memory; any context. */
uint64_t ext4_icache_nr(const struct icache *ic);

/* ---- inode.c ----------------------------------------------------------------------------------- */

/* Reads and checks inode @ino into zeroed memory. Fails as ext4_iget(). */
int __must_check ext4_inode_load(struct ext4_fs *fs, uint32_t ino, struct ext4_inode *out);
void ext4_inode_fini(struct ext4_fs *fs, struct ext4_inode *inode);
void ext4_inode_stat(const struct ext4_fs *fs, const struct ext4_inode *inode, struct fs_stat *out);
/* The seconds and nanoseconds that ext4 stores in two words; the pure part. */
struct fs_time ext4_time_decode(uint32_t sec, uint32_t extra);
/* The bytes of @inode on disk, inode_size of them at *@raw, while the buffer is held. */
int __must_check ext4_inode_raw_get(struct ext4_fs *fs, const struct ext4_inode *inode,
				    struct cache_buf **b, const uint8_t **raw);

/* The number that fs.h knows an inode by: the root is 1 there, and ext4's 1 is hidden. */
static inline uint64_t ext4_ino_to_fs(uint32_t ino)
{
	return ino == EXT2_ROOT_INO ? FS_ROOT_INO : ino;
}

/* 0: no inode has that number. */
static inline uint32_t ext4_ino_from_fs(const struct ext4_fs *fs, uint64_t ino)
{
	if (ino == FS_ROOT_INO)
		return EXT2_ROOT_INO;
	return ino > EXT2_ROOT_INO && ino <= fs->sb.inodes_nr ? (uint32_t)ino : 0;
}

/* ---- itable.c ----------------------------------------------------------------------------------- */

/* The block of its group's table that has inode @ino, and where in it. -EUCLEAN, -EIO. */
int __must_check ext4_itable_locate(struct ext4_fs *fs, uint32_t ino, uint64_t *block,
				    uint32_t *off);
/* A missing block of a table is asked for next: starts reading it and its neighbours. */
void ext4_itable_read_around(struct ext4_fs *fs, uint64_t block);
/* Starts reading what these inodes, numbered as in fs.h, need; wrong numbers are skipped. */
void ext4_itable_readahead(struct ext4_fs *fs, const uint64_t *inos, unsigned int nr);

/* ---- map.c, extent.c, indirect.c ---------------------------------------------------------------- */

/* A piece of a file: len blocks from lblk on are at pblk, or a hole, or allocated and unwritten. */
struct ext4_map {
	uint32_t lblk;
	uint32_t len; /* at least 1 */
	uint64_t pblk;
	enum ext4_map_kind { EXT4_MAP_HOLE, EXT4_MAP_DATA, EXT4_MAP_UNWRITTEN } kind;
};

/*
 * ext4_map_blocks - what is at @lblk and in how many blocks behind it (at most @max_len).
 * No lock where the inode's extent list is there. Fails: -EUCLEAN, -EIO.
 */
int __must_check ext4_map_blocks(struct ext4_fs *fs, struct ext4_inode *inode, uint32_t lblk,
				 uint32_t max_len, struct ext4_map *out);

/* The same from the tree on disk. */
int __must_check ext4_extent_find(struct ext4_fs *fs, struct ext4_inode *inode, uint32_t lblk,
				  struct ext4_map *out);
/* Starts reading the nodes below the root, and the leaves below those, a bounded number of them. */
void ext4_extent_readahead(struct ext4_fs *fs, struct ext4_inode *inode);
/* Checks the root in the inode; with a tree of depth 0 makes its extents the list. */
int __must_check ext4_extent_root_load(struct ext4_fs *fs, struct ext4_inode *inode);
int __must_check ext4_indirect_find(struct ext4_fs *fs, struct ext4_inode *inode, uint32_t lblk,
				    uint32_t max_len, struct ext4_map *out);

/* ---- xattr.c, acl.c -------------------------------------------------------------------------------- */

/* Where the value of an attribute is, while the buffer is held; or the inode that holds it. */
struct ext4_xattr_value {
	struct cache_buf *b;
	const uint8_t *bytes;
	uint32_t size;
	uint32_t inum; /* 0: at bytes */
};

/* @name without its prefix, which @index stands for. Put v->b back. -ENODATA, -EUCLEAN, -EIO. */
int __must_check ext4_xattr_find(struct ext4_fs *fs, struct ext4_inode *inode, uint8_t index,
				 const char *name, size_t name_len, struct ext4_xattr_value *v);
/* The value's size, or -ENODATA, -ERANGE (@size is not 0 and too small), -EUCLEAN, -EIO. */
ssize_t ext4_xattr_get(struct ext4_fs *fs, struct ext4_inode *inode, const char *name, void *buf,
		       size_t size);
ssize_t ext4_xattr_list(struct ext4_fs *fs, struct ext4_inode *inode, char *buf, size_t size);

/*
 * ext4_acl_to_xattr - ext4's short form of an ACL to the form of system.posix_acl_*.
 * Returns its size, also when @size is 0 and nothing is stored; -ERANGE; -EUCLEAN (not logged).
 */
ssize_t ext4_acl_to_xattr(const uint8_t *disk, size_t disk_len, uint8_t *out, size_t size);

/* ---- inline.c, symlink.c, ioctl.c ---------------------------------------------------------------- */

/* Bytes [@off, @off+@len) of an inline file; the caller has clipped them to its size. */
int __must_check ext4_inline_read(struct ext4_fs *fs, struct ext4_inode *inode, uint64_t off,
				  void *buf, size_t len);

/* As the kernel tells: nothing is allocated but perhaps a block of attributes. */
bool ext4_symlink_is_fast(const struct ext4_fs *fs, const struct ext4_inode *inode);
ssize_t ext4_symlink_read(struct ext4_fs *fs, struct ext4_inode *inode, char *buf, size_t size);

int ext4_inode_ioctl(struct ext4_fs *fs, struct ext4_inode *inode, unsigned int cmd, void *out,
		     size_t *out_len);

#endif
