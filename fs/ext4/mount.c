/* SPDX-License-Identifier: MIT */
/*
 * mount.c - from a block device to a file system whose root can be read, and back.
 *
 * Order: superblock, cache, journal (which may bring newer blocks into view, so that everything
 * read before it is forgotten), superblock again, root.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#include "blkfs/blkdev.h"
#include "blkfs/lock_order.h"

#include "fs/ext4/dir.h"
#include "fs/ext4/file.h"
#include "fs/jbd2/jbd2.h"

enum { CACHE_BYTES_DEFAULT = 32 << 20 };

static const struct rt_lock_class totals_lock_class = { "group totals", LOCK_RANK_INODE_MAP };

void ext4_fs_free(struct ext4_fs *fs)
{
	attr_dir_del(fs->attrs);
	ext4_icache_destroy(fs);
	cache_destroy(fs->cache);
	bounce_pool_destroy(fs->bounce);
	free(fs);
}

/* ---- the journal ------------------------------------------------------------------------------------- */

struct journal_map {
	struct ext4_fs *fs;
	struct ext4_inode *inode;
};

static int journal_map(void *ctx, uint32_t lblk, uint32_t *run, uint64_t *block)
{
	struct journal_map *jm = ctx;
	struct ext4_map m;
	int err = ext4_map_blocks(jm->fs, jm->inode, lblk, *run, &m);

	if (!err && m.kind != EXT4_MAP_DATA)
		err = ext4_corrupt(jm->fs, jm->inode->ino, 0,
				   "journal: block %" PRIu32 " is a hole", lblk);
	if (err)
		return err;
	*run = m.len;
	*block = m.pblk;
	return 0;
}

static int replay_from(struct ext4_fs *fs, struct ext4_inode *inode)
{
	struct journal_map jm = { fs, inode };
	struct jbd2_source src = {
		.bdev = fs->fs.bdev,
		.block_size = fs->sb.block_size,
		.fs_blocks_nr = fs->sb.blocks_nr,
		.blocks_nr =
			(uint32_t)min_t(uint64_t, inode->size >> fs->sb.block_bits, UINT32_MAX - 1),
		.map = journal_map,
		.ctx = &jm,
	};
	struct jbd2_replay_stats st;
	int err = jbd2_replay(&src, fs->cache, &st);

	if (err)
		return err;
	if (st.is_torn)
		log_warn("ext4 %s: the last transaction in the journal is torn and was left out",
			 fs->dev);
	log_info("ext4 %s: was not unmounted: %" PRIu32 " transactions replayed in memory (%" PRIu64
		 " blocks, %" PRIu64 " revoked); the device stays as it is",
		 fs->dev, st.transactions, cache_overlay_nr(fs->cache), st.revoked);
	return 0;
}

/* What was read before the replay may be old: forget it, and read the superblock anew. */
static int reload(struct ext4_fs *fs)
{
	uint64_t off = fs->sb.logical_sb_block ? 0 : EXT4_SUPER_OFFSET;
	uint64_t where = fs->sb.logical_sb_block;
	struct cache_buf *b;
	int err;

	ext4_icache_destroy(fs);
	cache_drop(fs->cache);
	err = ext4_icache_create(&fs->icache);
	if (!err)
		err = cache_get(fs->cache, where, &b);
	if (err)
		return err;
	err = ext4_super_decode(fs->dev, b->data + off, bdev_nr_bytes(fs->fs.bdev), &fs->sb);
	fs->sb.logical_sb_block = where;
	cache_put(fs->cache, b);
	return err == -EINVAL ? -EUCLEAN : err;
}

static int replay_journal(struct ext4_fs *fs)
{
	uint32_t inum = le32_to_cpu(fs->sb.raw.s_journal_inum);
	struct ext4_inode *inode;
	int err = ext4_iget(fs, inum, true, &inode);

	if (err)
		return err;
	err = S_ISREG(inode->mode)
		      ? replay_from(fs, inode)
		      : ext4_corrupt(fs, inum, 0, "journal: not a regular file, mode 0%o",
				     inode->mode);
	ext4_iput(fs, inode);
	return err ? err : reload(fs);
}

static int recover(struct ext4_fs *fs, const struct fs_mount_opts *opts)
{
	bool must_replay = ext4_has_incompat(fs, EXT3_FEATURE_INCOMPAT_RECOVER);

	if (!(fs->sb.compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL))
		return 0;
	if (opts->norecovery) {
		if (must_replay)
			log_warn("ext4 %s: was not unmounted and is shown without its journal "
				 "(norecovery): expect inconsistencies",
				 fs->dev);
		return 0;
	}
	if (!fs->sb.raw.s_journal_inum) {
		log_err("ext4 %s: cannot mount: the journal is on another device, which is not "
			"supported: use the kernel's ext4, or mount with norecovery after e2fsck",
			fs->dev);
		return -EOPNOTSUPP;
	}
	return must_replay ? replay_journal(fs) : 0;
}

/* ---- mount ------------------------------------------------------------------------------------------- */

static enum fs_errors errors_of(const struct ext4_super *sb, enum fs_errors opt)
{
	if (opt != FS_ERRORS_DEFAULT)
		return opt;
	switch (le16_to_cpu(sb->raw.s_errors)) {
	case EXT2_ERRORS_PANIC:
		return FS_ERRORS_PANIC;
	case EXT2_ERRORS_RO:
		return FS_ERRORS_REMOUNT_RO;
	default:
		return FS_ERRORS_CONTINUE;
	}
}

static int alloc_parts(struct ext4_fs *fs, const struct fs_mount_opts *opts)
{
	struct cache_config cfg = {
		.bdev = fs->fs.bdev,
		.block_size = fs->sb.block_size,
		.cap_bytes = opts->cache_bytes ? opts->cache_bytes : CACHE_BYTES_DEFAULT,
		.blocks_nr = fs->sb.blocks_nr,
	};
	int err = cache_create(&cfg, &fs->cache);

	if (!err)
		err = ext4_icache_create(&fs->icache);
	if (!err)
		err = bounce_pool_create(&fs->bounce);
	return err;
}

static int check_root(struct ext4_fs *fs)
{
	struct ext4_inode *root;
	int err = ext4_iget(fs, EXT2_ROOT_INO, false, &root);

	if (err)
		return err;
	if (!S_ISDIR(root->mode))
		err = ext4_corrupt(fs, EXT2_ROOT_INO, 0,
				   "root: expected a directory, found mode 0%o", root->mode);
	ext4_iput(fs, root);
	return err;
}

static void warn_about_state(const struct ext4_fs *fs, const struct fs_mount_opts *opts)
{
	if (!opts->is_read_only)
		log_warn(
			"ext4 %s: writing to ext4 does not exist yet: mounted read-only; say ro to "
			"mount without this warning",
			fs->dev);
	if (le16_to_cpu(fs->sb.raw.s_state) & EXT2_ERROR_FS)
		log_warn("ext4 %s: the file system is marked as having errors: run e2fsck",
			 fs->dev);
}

static int fill(struct ext4_fs *fs, const struct fs_mount_opts *opts)
{
	int err = ext4_super_read(fs->fs.bdev, opts->sb_block, &fs->sb);

	if (!err)
		err = alloc_parts(fs, opts);
	if (!err)
		err = recover(fs, opts);
	if (err)
		return err;
	fs->on_error = errors_of(&fs->sb, opts->errors);
	err = check_root(fs);
	if (!err && opts->attrs)
		err = ext4_attrs_publish(fs, opts->attrs);
	if (!err)
		warn_about_state(fs, opts);
	return err;
}

static int ext4_mount(struct block_device *bdev, const struct fs_mount_opts *opts, struct fs **out)
{
	struct ext4_fs *fs = calloc(1, sizeof(*fs));
	int err;

	if (!fs)
		return -ENOMEM;
	fs->fs = (struct fs){
		.ops = &ext4_fs_ops,
		.type = ext4_fs_type.name,
		.bdev = bdev,
		.is_read_only = true,
		.has_fixed_content = true,
		.is_cacheable = true,
		.dio_align_bytes = bdev_limits(bdev)->logical_block_size,
		.shown_root_ino = EXT2_ROOT_INO,
	};
	fs->dev = bdev_name(bdev);
	fs->is_fakeroot = opts->is_fakeroot;
	fs->fake_uid = opts->uid;
	fs->fake_gid = opts->gid;
	fs->errors.limit = (struct log_ratelimit)LOG_RATELIMIT_INIT;
	rt_mutex_init(&fs->totals_lock, &totals_lock_class);
	err = fill(fs, opts);
	if (err) {
		ext4_fs_free(fs);
		return err;
	}
	*out = &fs->fs;
	return 0;
}

const struct fs_type ext4_fs_type = {
	.name = "ext4",
	.probe = ext4_super_probe,
	.mount = ext4_mount,
};
