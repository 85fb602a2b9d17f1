/* SPDX-License-Identifier: MIT */
/*
 * jbd2.h - the journal of an ext4 file system, read side: what a crash left in it is brought into
 * view without writing to the device.
 *
 * Context: a task; sleeps for I/O.
 */
#ifndef FS_JBD2_JBD2_H
#define FS_JBD2_JBD2_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct block_device;
struct cache;

/* Where the journal is, in blocks of the file system. */
struct jbd2_source {
	struct block_device *bdev;
	uint32_t block_size;
	uint64_t fs_blocks_nr; /* a tag that names a later block is corrupt */
	uint32_t blocks_nr;    /* of the journal inode */
	/* The device block of @lblk, and in *@run how many from there on are contiguous. */
	int (*map)(void *ctx, uint32_t lblk, uint32_t *run, uint64_t *block);
	void *ctx;
};

struct jbd2_replay_stats {
	uint32_t blocks_nr;    /* of the journal, by its superblock */
	uint32_t first_seq;    /* the first transaction found */
	uint32_t transactions; /* complete ones */
	uint64_t blocks;       /* put into the overlay, counted once for each tag */
	uint64_t revoked;      /* tags skipped since their block was freed later */
	bool is_torn;	       /* the last transaction had no valid commit and was left out */
};

/*
 * jbd2_replay - put the committed transactions of the journal into @cache's overlay.
 *
 * An empty log is success with no transactions. The journal itself stays as it is.
 * Fails: -EUCLEAN (superblock, a descriptor or a copied block is corrupt), -EOPNOTSUPP (a feature
 *        we do not know, or fast commits to be replayed: both named in the log), -EIO, -ENOMEM.
 */
int __must_check jbd2_replay(const struct jbd2_source *src, struct cache *cache,
			     struct jbd2_replay_stats *out);

#endif
