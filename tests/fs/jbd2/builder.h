/* SPDX-License-Identifier: MIT */
/*
 * builder.h - writes transactions into the journal of an image, as a crash would leave them.
 *
 * It knows the format from its description, not from fs/jbd2; e2fsck says whether it is right.
 */
#ifndef TESTS_FS_JBD2_BUILDER_H
#define TESTS_FS_JBD2_BUILDER_H

#include "tests/fs/ext4/image.h"

enum builder_csum { CSUM_NONE, CSUM_V1, CSUM_V2, CSUM_V3 };

enum { BUILDER_BLOCK = 1024, BUILDER_BLOCKS_MAX = 4096 };

struct builder {
	struct image *im;
	uint32_t journal[BUILDER_BLOCKS_MAX]; /* device blocks of the journal inode */
	uint32_t journal_nr;
	enum builder_csum csum;
	bool is_64bit;
	uint32_t pos, seq; /* where the next block goes, the next transaction */
	uint32_t start, first_seq;
	uint64_t commit_sec;
	uint32_t crc32; /* v1, of the transaction being written */
};

/* Blocks of a file, by debugfs. Returns how many. */
uint32_t builder_file_blocks(const struct image *im, const char *file, uint32_t *out, uint32_t max);

/* The log will start at block @start of the journal with transaction @seq. */
void builder_init(struct builder *b, struct image *im, enum builder_csum csum, bool is_64bit,
		  uint32_t start, uint32_t seq);

/* One descriptor and the copies it describes: BUILDER_BLOCK bytes each, up to 50. */
void builder_write(struct builder *b, const uint32_t *blocks, uint32_t nr, const uint8_t *content);
void builder_revoke(struct builder *b, const uint32_t *blocks, uint32_t nr);
void builder_commit(struct builder *b);
/* The bytes of the last block written, to spoil them. */
uint8_t *builder_last(struct builder *b);
/* Superblocks of journal and file system say that there is something to replay. */
void builder_finish(struct builder *b);

#endif
