/* SPDX-License-Identifier: MIT */
/*
 * dir.h - within fs/ext4: directories, block by block, and their index.
 */
#ifndef FS_EXT4_DIR_H
#define FS_EXT4_DIR_H

#include "fs/ext4/inode.h"

/* A name as the kernel hands it over: not terminated. */
struct ext4_name {
	const char *name;
	size_t len;
};

/* An entry of a directory block, checked against the block's bounds. */
struct ext4_dirent {
	uint32_t ino; /* 0: unused space */
	uint32_t rec_len;
	uint32_t name_len;
	uint32_t type; /* EXT2_FT_* */
	const char *name;
};

static inline bool ext4_dir_has_index(const struct ext4_fs *fs, const struct ext4_inode *dir)
{
	return ext4_inode_has(dir, EXT2_INDEX_FL) &&
	       (fs->sb.compat & EXT2_FEATURE_COMPAT_DIR_INDEX);
}

/* ---- dirblock.c ---------------------------------------------------------------------------------- */

/*
 * ext4_dir_block_get - block @lblk of @dir with its checksum checked; cache_put() it.
 * *@is_index: a node of the index, which holds no names (the root's . and .. aside).
 */
int __must_check ext4_dir_block_get(struct ext4_fs *fs, struct ext4_inode *dir, uint32_t lblk,
				    bool *is_index, struct cache_buf **b);
uint32_t ext4_dir_blocks(const struct ext4_fs *fs, const struct ext4_inode *dir);
/* Starts reading @nr blocks from @lblk on. */
void ext4_dir_readahead(struct ext4_fs *fs, struct ext4_inode *dir, uint32_t lblk, uint32_t nr);

/* The entry at @off of @len bytes of entries at @bytes. @block is for messages. -EUCLEAN. */
int __must_check ext4_dirent_at(struct ext4_fs *fs, const struct ext4_inode *dir,
				const uint8_t *bytes, uint32_t len, uint32_t off, uint64_t block,
				struct ext4_dirent *out);
/* Searches the entries. 1: found, *@ino is set; 0: not there; or an error. */
int ext4_dirents_search(struct ext4_fs *fs, const struct ext4_inode *dir, const uint8_t *bytes,
			uint32_t len, uint64_t block, const struct ext4_name *name, uint32_t *ino);
/* The bytes of the directory block @b that are entries: all, or all but the checksum's. */
uint32_t ext4_dir_block_len(const struct ext4_fs *fs);

/* ---- htree.c ------------------------------------------------------------------------------------- */

/*
 * ext4_htree_search - as ext4_dirents_search, by the index.
 * -EOPNOTSUPP: a hash that is not known; search the directory from end to end.
 */
int ext4_htree_search(struct ext4_fs *fs, struct ext4_inode *dir, const struct ext4_name *name,
		      uint32_t *ino);

/* ---- dir.c, inline.c ----------------------------------------------------------------------------- */

/* 0, -ENOENT, or an error. */
int __must_check ext4_dir_lookup(struct ext4_fs *fs, struct ext4_inode *dir,
				 const struct ext4_name *name, uint32_t *ino);
int __must_check ext4_dir_read(struct ext4_fs *fs, struct ext4_inode *dir, uint64_t off,
			       fs_dirent_fn emit, void *ctx);
int ext4_inline_dir_search(struct ext4_fs *fs, struct ext4_inode *dir, const struct ext4_name *name,
			   uint32_t *ino); /* as ext4_dirents_search */
int __must_check ext4_inline_dir_read(struct ext4_fs *fs, struct ext4_inode *dir, uint64_t off,
				      fs_dirent_fn emit, void *ctx);
/* DT_* of an EXT2_FT_*. */
uint32_t ext4_dirent_dt(const struct ext4_fs *fs, uint32_t type);

#endif
