/* SPDX-License-Identifier: MIT */
/*
 * journal.h - within fs/jbd2: an open journal, its blocks, and the walk over its log.
 */
#ifndef FS_JBD2_JOURNAL_H
#define FS_JBD2_JOURNAL_H

#include "fs/jbd2/format.h"
#include "fs/jbd2/jbd2.h"

struct journal {
	const struct jbd2_source *src;
	const char *dev; /* for messages */
	uint32_t block_size;
	uint32_t first, last; /* the log is [first, last) */
	uint32_t blocks_nr;
	uint32_t start, sequence; /* of the superblock */
	uint32_t compat, incompat;
	uint32_t csum_seed;
	uint32_t tag_bytes;
	/* A window onto the journal: [win_lblk, win_lblk + win_nr) is in win. */
	uint8_t *win;
	uint32_t win_lblk, win_nr, win_max;
	uint8_t *descriptor; /* one block, kept while the window moves on */
};

/* One tag of a descriptor block, decoded. */
struct journal_tag {
	uint64_t block;
	uint32_t flags;
	uint32_t checksum;
};

int __must_check journal_open(const struct jbd2_source *src, struct journal *j);
void journal_close(struct journal *j);

/* The content of journal block @lblk, valid until the next call. */
int __must_check journal_read(struct journal *j, uint32_t lblk, const uint8_t **out);
/* The block behind @lblk, going round. */
uint32_t journal_next(const struct journal *j, uint32_t lblk, uint32_t steps);

static inline bool journal_has_csum(const struct journal *j)
{
	return j->incompat & (JBD2_INCOMPAT_CSUM_V2 | JBD2_INCOMPAT_CSUM_V3);
}

/* Checksums over bytes of the disk; @block is a whole journal block. */
bool journal_tail_is_good(const struct journal *j, const uint8_t *block);
bool journal_commit_is_good(const struct journal *j, const uint8_t *block);
bool journal_tag_is_good(const struct journal *j, const struct journal_tag *tag, uint32_t sequence,
			 const uint8_t *block);
/* CRC-32 with the polynomial 0x04C11DB7, most significant bit first: v1 commit checksums. */
uint32_t journal_crc32_be(uint32_t seed, const uint8_t *p, size_t len_bytes);

/*
 * journal_tag_next - decode the tag at *@pos of a descriptor block and move *@pos behind it.
 * 1: a tag; 0: that was all.
 */
int journal_tag_next(const struct journal *j, const uint8_t *descriptor, uint32_t *pos,
		     struct journal_tag *out);
uint32_t journal_tag_count(const struct journal *j, const uint8_t *descriptor);

/* ---- revoke.c: which blocks were freed, and up to which transaction --------------------------- */

struct revoke_entry;

struct revoke_table {
	struct revoke_entry *table;
	unsigned int bits;
	size_t nr;
};

void revoke_fini(struct revoke_table *t);
/* Copies of @block in transactions up to and with @sequence are not to be replayed. */
int __must_check revoke_add(struct revoke_table *t, uint64_t block, uint32_t sequence);
bool revoke_test(const struct revoke_table *t, uint64_t block, uint32_t sequence);

/* @a is not older than @b; transaction numbers wrap around. */
static inline bool tid_geq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

#endif
