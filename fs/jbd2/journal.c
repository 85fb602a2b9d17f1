/* SPDX-License-Identifier: MIT */
/*
 * journal.c - open a journal: its superblock checked field by field, and a window to read through.
 *
 * Invariants: 1. After journal_open(): 1 <= first < last <= blocks_nr <= the inode's blocks.
 *             2. journal_read() serves blocks below blocks_nr only.
 */
#include "fs/jbd2/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"

#include "blkfs/blkdev.h"
#include "blkfs/rt.h"

enum { WINDOW_BYTES = 256 << 10, INCOMPAT_KNOWN = 0x3f };

static const struct {
	uint32_t bit;
	const char *name;
} incompat_names[] = {
	{ JBD2_INCOMPAT_REVOKE, "journal_incompat_revoke" },
	{ JBD2_INCOMPAT_64BIT, "journal_64bit" },
	{ JBD2_INCOMPAT_ASYNC_COMMIT, "journal_async_commit" },
	{ JBD2_INCOMPAT_CSUM_V2, "journal_checksum_v2" },
	{ JBD2_INCOMPAT_CSUM_V3, "journal_checksum_v3" },
	{ JBD2_INCOMPAT_FAST_COMMIT, "fast_commit" },
};

static int __must_check corrupt(const struct journal *j, const char *what, uint64_t expected,
				uint64_t found)
{
	log_err("%s: journal superblock: %s: expected %" PRIu64 ", found %" PRIu64
		"; run e2fsck, or mount with norecovery to see the disk as it is",
		j->dev, what, expected, found);
	return -EUCLEAN;
}

int journal_read(struct journal *j, uint32_t lblk, const uint8_t **out)
{
	uint32_t run = j->win_max;
	uint64_t block;
	int err;

	if (lblk - j->win_lblk < j->win_nr) {
		*out = j->win + (size_t)(lblk - j->win_lblk) * j->block_size;
		return 0;
	}
	err = j->src->map(j->src->ctx, lblk, &run, &block);
	if (err)
		return err;
	run = min(min(run, j->win_max), j->blocks_nr - lblk);
	j->win_nr = 0;
	err = bdev_rw(j->src->bdev, REQ_OP_READ | REQ_META, bytes_to_sectors(block * j->block_size),
		      j->win, (size_t)run * j->block_size);
	if (err) {
		log_err("%s: journal: cannot read block %u (device block %" PRIu64 "): %s", j->dev,
			lblk, block, strerror(-err));
		return err;
	}
	j->win_lblk = lblk;
	j->win_nr = run;
	*out = j->win;
	return 0;
}

uint32_t journal_next(const struct journal *j, uint32_t lblk, uint32_t steps)
{
	uint32_t log_nr = j->last - j->first;

	return j->first + (uint32_t)(((uint64_t)(lblk - j->first) + steps) % log_nr);
}

static uint32_t tag_bytes(uint32_t incompat)
{
	uint32_t bytes = sizeof(struct jbd2_tag);

	if (incompat & JBD2_INCOMPAT_CSUM_V3)
		return sizeof(struct jbd2_tag3);
	if (incompat & JBD2_INCOMPAT_CSUM_V2)
		bytes += sizeof(__be16);
	if (!(incompat & JBD2_INCOMPAT_64BIT))
		bytes -= sizeof(__be32);
	return bytes;
}

static int check_features(const struct journal *j, const struct jbd2_super *sb)
{
	uint32_t unknown = j->incompat & ~(uint32_t)INCOMPAT_KNOWN;

	if (unknown) {
		log_err("%s: journal feature 0x%x is not known here: run e2fsck to replay the journal, "
			"or mount with norecovery",
			j->dev, unknown);
		return -EOPNOTSUPP;
	}
	if ((j->incompat & JBD2_INCOMPAT_CSUM_V2) && (j->incompat & JBD2_INCOMPAT_CSUM_V3))
		return corrupt(j, "checksum v2 and v3 at once", 1, 2);
	if (journal_has_csum(j) && sb->s_checksum_type != JBD2_CHECKSUM_CRC32C)
		return corrupt(j, "checksum type", JBD2_CHECKSUM_CRC32C, sb->s_checksum_type);
	return 0;
}

static int check_checksum(struct journal *j, const struct jbd2_super *sb)
{
	struct jbd2_super copy = *sb;
	uint32_t sum;

	if (!journal_has_csum(j))
		return 0;
	copy.s_checksum = 0;
	sum = crc32c(~0U, &copy, sizeof(copy));
	if (sum != be32_to_cpu(sb->s_checksum))
		return corrupt(j, "checksum", sum, be32_to_cpu(sb->s_checksum));
	j->csum_seed = crc32c(~0U, sb->s_uuid, sizeof(sb->s_uuid));
	return 0;
}

static int check_geometry(struct journal *j, const struct jbd2_super *sb)
{
	uint32_t maxlen = be32_to_cpu(sb->s_maxlen), fc_nr = 0;

	if (be32_to_cpu(sb->s_blocksize) != j->block_size)
		return corrupt(j, "block size", j->block_size, be32_to_cpu(sb->s_blocksize));
	if (maxlen < 2 || maxlen > j->src->blocks_nr)
		return corrupt(j, "length in blocks (the inode's at most)", j->src->blocks_nr,
			       maxlen);
	j->blocks_nr = maxlen;
	j->first = be32_to_cpu(sb->s_first);
	j->last = maxlen;
	if (j->incompat & JBD2_INCOMPAT_FAST_COMMIT) {
		fc_nr = be32_to_cpu(sb->s_num_fc_blks);
		fc_nr = fc_nr ? fc_nr : JBD2_FC_BLOCKS_DEFAULT;
	}
	if (fc_nr >= maxlen)
		return corrupt(j, "fast commit blocks (less than)", maxlen, fc_nr);
	j->last -= fc_nr;
	if (j->first < 1 || j->first >= j->last)
		return corrupt(j, "first block of the log (below)", j->last, j->first);
	j->start = be32_to_cpu(sb->s_start);
	if (j->start && (j->start < j->first || j->start >= j->last))
		return corrupt(j, "start of the log (below)", j->last, j->start);
	return 0;
}

static int check_super(struct journal *j, const struct jbd2_super *sb)
{
	uint32_t type = be32_to_cpu(sb->s_header.h_blocktype);
	int err;

	if (be32_to_cpu(sb->s_header.h_magic) != JBD2_MAGIC)
		return corrupt(j, "magic", JBD2_MAGIC, be32_to_cpu(sb->s_header.h_magic));
	if (type != JBD2_BLOCK_SUPER_V1 && type != JBD2_BLOCK_SUPER_V2)
		return corrupt(j, "block type", JBD2_BLOCK_SUPER_V2, type);
	if (type == JBD2_BLOCK_SUPER_V2) {
		j->compat = be32_to_cpu(sb->s_feature_compat);
		j->incompat = be32_to_cpu(sb->s_feature_incompat);
	}
	err = check_features(j, sb);
	if (!err)
		err = check_checksum(j, sb);
	if (!err)
		err = check_geometry(j, sb);
	j->sequence = be32_to_cpu(sb->s_sequence);
	j->tag_bytes = tag_bytes(j->incompat);
	return err;
}

int journal_open(const struct jbd2_source *src, struct journal *j)
{
	const uint8_t *block;
	struct jbd2_super sb;
	int err;

	*j = (struct journal){ .src = src,
			       .dev = bdev_name(src->bdev),
			       .block_size = src->block_size };
	if (src->blocks_nr < 2)
		return corrupt(j, "the inode has too few blocks", 1024, src->blocks_nr);
	j->blocks_nr = 1; /* until the superblock tells */
	j->win_max = WINDOW_BYTES / j->block_size;
	j->win = rt_dma_alloc(WINDOW_BYTES);
	j->descriptor = malloc(j->block_size);
	if (!j->win || !j->descriptor) {
		journal_close(j);
		return -ENOMEM;
	}
	err = journal_read(j, 0, &block);
	if (!err) {
		memcpy(&sb, block, sizeof(sb));
		err = check_super(j, &sb);
	}
	if (err) {
		journal_close(j);
		return err;
	}
	for (size_t i = 0; i < ARRAY_SIZE(incompat_names); i++) {
		if (j->incompat & incompat_names[i].bit)
			log_debug("%s: journal has %s", j->dev, incompat_names[i].name);
	}
	return 0;
}

void journal_close(struct journal *j)
{
	if (j->win)
		rt_dma_free(j->win, WINDOW_BYTES);
	free(j->descriptor);
	j->win = NULL;
	j->descriptor = NULL;
}
