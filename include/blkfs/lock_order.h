/* SPDX-License-Identifier: MIT */
/*
 * lock_order.h - the one order in which task locks are taken.
 *
 * A task that holds a lock may take one of a higher rank only. Two of one rank (two directories in
 * a rename) are taken in inode order and say so with their own rank; of a LOCK_ORDERED
 * class whose locks these are takes several in an order of its own. Checked in debug builds and in the simulator. Nothing
 * here is held across a driver call, an end_io or a FUSE reply.
 */
#ifndef BLKFS_LOCK_ORDER_H
#define BLKFS_LOCK_ORDER_H

enum rt_lock_rank {
	LOCK_RANK_MOUNT = 10,	/* fs/fuse: mode changes, unmount */
	LOCK_RANK_CONTROL = 20, /* fs/control: one writer of control files at a time */
	LOCK_RANK_RENAME = 30,
	LOCK_RANK_INODE_PARENT = 40,
	LOCK_RANK_INODE = 50,	  /* names, attributes, size */
	LOCK_RANK_INODE_MAP = 60, /* block map; held by data I/O for reading */
	LOCK_RANK_JOURNAL = 70,
	LOCK_RANK_BUFFER = 80, /* one metadata buffer while it is read */
	LOCK_RANK_QUEUE = 90,  /* blk: elevator switch, limits, freeze */
	LOCK_RANK_LEAF = 100,

	LOCK_ORDERED = 1 << 16, /* added to a rank: several of the class at once */
};

#endif
