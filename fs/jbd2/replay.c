/* SPDX-License-Identifier: MIT */
/*
 * replay.c - three passes over the log: find its end, collect what was revoked, show the rest.
 *
 * Invariants: 1. A pass visits at most as many blocks as the log has: it cannot go round twice.
 *             2. Only transactions before end_seq, found by the first pass, are replayed.
 *             3. A copy that a transaction of the same or a later number revoked is not.
 *             4. The device is not written; the last copy of a block wins in the overlay.
 */
#include "fs/jbd2/jbd2.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"

#include "fs/cache/cache.h"
#include "fs/jbd2/journal.h"

enum pass { PASS_SCAN, PASS_REVOKE, PASS_REPLAY };

struct replay {
	struct journal j;
	struct cache *cache;
	struct revoke_table revoked;
	struct jbd2_replay_stats *stats;
	enum pass pass;
	uint32_t end_seq; /* after PASS_SCAN: the first transaction that is not there */
	/* where the walk stands */
	uint32_t lblk, seq;
	uint32_t left; /* blocks that may still be visited */
	/* PASS_SCAN, of the current transaction */
	uint32_t crc32;	 /* v1: over descriptors and copies */
	bool is_suspect; /* a bad block checksum: stale, or corrupt, as the commit's time tells */
	uint64_t commit_sec; /* of the transaction before */
};

static void step(struct replay *r, uint32_t blocks)
{
	r->lblk = journal_next(&r->j, r->lblk, blocks);
	r->left -= min(r->left, blocks);
}

static int __must_check corrupt(const struct replay *r, const char *what)
{
	log_err("%s: journal: transaction %u, block %u: %s; run e2fsck, or mount with norecovery to "
		"see the disk as it is",
		r->j.dev, r->seq, r->lblk, what);
	return -EUCLEAN;
}

/* ---- descriptor blocks ------------------------------------------------------------------------ */

/* v1 checksums go over the descriptor and everything that it describes. */
static int sum_copies(struct replay *r, const uint8_t *descriptor, uint32_t nr)
{
	const uint8_t *copy;
	int err;

	r->crc32 = journal_crc32_be(r->crc32, descriptor, r->j.block_size);
	for (uint32_t i = 0; i < nr; i++) {
		err = journal_read(&r->j, journal_next(&r->j, r->lblk, i + 1), &copy);
		if (err)
			return err;
		r->crc32 = journal_crc32_be(r->crc32, copy, r->j.block_size);
	}
	return 0;
}

static int replay_copy(struct replay *r, const struct journal_tag *tag)
{
	const uint8_t *copy;
	uint32_t run = 1;
	uint64_t source;
	int err;

	if (tag->block >= r->j.src->fs_blocks_nr)
		return corrupt(r, "a tag names a block beyond the end of the file system");
	if (revoke_test(&r->revoked, tag->block, r->seq)) {
		r->stats->revoked++;
		return 0;
	}
	err = journal_read(&r->j, r->lblk, &copy);
	if (err)
		return err;
	if (!journal_tag_is_good(&r->j, tag, r->seq, copy))
		return corrupt(r, "checksum of a copied block");
	err = r->j.src->map(r->j.src->ctx, r->lblk, &run, &source);
	if (err)
		return err;
	r->stats->blocks++;
	return cache_overlay_add(r->cache, tag->block, source, tag->flags & JBD2_TAG_ESCAPE);
}

static int replay_copies(struct replay *r)
{
	uint32_t pos = sizeof(struct jbd2_header);
	struct journal_tag tag;
	int err;

	while (journal_tag_next(&r->j, r->j.descriptor, &pos, &tag)) {
		step(r, 1);
		err = replay_copy(r, &tag);
		if (err)
			return err;
	}
	step(r, 1);
	return 0;
}

static int do_descriptor(struct replay *r, const uint8_t *block)
{
	uint32_t nr;
	int err = 0;

	memcpy(r->j.descriptor, block, r->j.block_size);
	if (!journal_tail_is_good(&r->j, block)) {
		if (r->pass != PASS_SCAN)
			return corrupt(r, "checksum of a descriptor block");
		r->is_suspect = true;
	}
	nr = journal_tag_count(&r->j, r->j.descriptor);
	if (r->pass == PASS_REPLAY)
		return replay_copies(r);
	if (r->pass == PASS_SCAN && (r->j.compat & JBD2_COMPAT_CHECKSUM) &&
	    !journal_has_csum(&r->j))
		err = sum_copies(r, r->j.descriptor, nr);
	step(r, nr + 1);
	return err;
}

/* ---- revoke blocks ---------------------------------------------------------------------------- */

static int collect_revoked(struct replay *r, const uint8_t *block)
{
	uint32_t bytes = r->j.incompat & JBD2_INCOMPAT_64BIT ? 8 : 4;
	uint32_t end = get_unaligned_be32(block + offsetof(struct jbd2_revoke, r_count));
	uint32_t room = r->j.block_size;
	int err;

	if (journal_has_csum(&r->j))
		room -= sizeof(struct jbd2_tail);
	if (end < sizeof(struct jbd2_revoke) || end > room)
		return corrupt(r, "length of a revoke block");
	for (uint32_t pos = sizeof(struct jbd2_revoke); pos + bytes <= end; pos += bytes) {
		uint64_t freed = bytes == 8 ? get_unaligned_be64(block + pos)
					    : get_unaligned_be32(block + pos);

		err = revoke_add(&r->revoked, freed, r->seq);
		if (err)
			return err;
	}
	return 0;
}

static int do_revoke(struct replay *r, const uint8_t *block)
{
	int err = 0;

	if (!journal_tail_is_good(&r->j, block)) {
		if (r->pass != PASS_SCAN)
			return corrupt(r, "checksum of a revoke block");
		r->is_suspect = true;
	}
	if (r->pass == PASS_REVOKE)
		err = collect_revoked(r, block);
	step(r, 1);
	return err;
}

/* ---- commit blocks ------------------------------------------------------------------------------ */

static bool v1_sum_is_good(const struct replay *r, const struct jbd2_commit *c)
{
	if (!(r->j.compat & JBD2_COMPAT_CHECKSUM) || journal_has_csum(&r->j))
		return true;
	if (c->h_chksum_type == 0 && c->h_chksum_size == 0 && c->h_chksum[0] == 0)
		return true; /* written before the feature was on */
	return c->h_chksum_type == JBD2_CHECKSUM_CRC32 && c->h_chksum_size == 4 &&
	       be32_to_cpu(c->h_chksum[0]) == r->crc32;
}

/* 1: go on; 0: the log ends before this transaction. */
static int scan_commit(struct replay *r, const uint8_t *block)
{
	struct jbd2_commit c;
	uint64_t sec;

	memcpy(&c, block, sizeof(c));
	sec = be64_to_cpu(c.h_commit_sec);
	if (r->is_suspect || !v1_sum_is_good(r, &c) || !journal_commit_is_good(&r->j, block)) {
		/* An older commit is what an earlier round of the log left here. */
		if (sec < r->commit_sec)
			return 0;
		if (r->is_suspect)
			return corrupt(r, "checksum of a descriptor or revoke block");
		r->stats->is_torn = true;
		return 0;
	}
	r->commit_sec = sec;
	return 1;
}

static int do_commit(struct replay *r, const uint8_t *block)
{
	if (r->pass == PASS_SCAN) {
		int go_on = scan_commit(r, block);

		if (go_on <= 0)
			return go_on;
		r->stats->transactions++;
	}
	r->seq++;
	r->crc32 = ~0U;
	r->is_suspect = false;
	step(r, 1);
	return 1;
}

/* ---- the walk ----------------------------------------------------------------------------------- */

/* 1: the block belonged to the log; 0: the log ends here; or an error. */
static int visit(struct replay *r)
{
	struct jbd2_header h;
	const uint8_t *block;
	int err = journal_read(&r->j, r->lblk, &block);

	if (err)
		return err;
	memcpy(&h, block, sizeof(h));
	if (be32_to_cpu(h.h_magic) != JBD2_MAGIC || be32_to_cpu(h.h_sequence) != r->seq)
		return 0;
	switch (be32_to_cpu(h.h_blocktype)) {
	case JBD2_BLOCK_DESCRIPTOR:
		err = do_descriptor(r, block);
		return err ? err : 1;
	case JBD2_BLOCK_REVOKE:
		err = do_revoke(r, block);
		return err ? err : 1;
	case JBD2_BLOCK_COMMIT:
		return do_commit(r, block);
	default:
		return 0;
	}
}

static int walk(struct replay *r, enum pass pass)
{
	int go_on = 1;

	r->pass = pass;
	r->lblk = r->j.start;
	r->seq = r->j.sequence;
	r->left = r->j.last - r->j.first;
	r->crc32 = ~0U;
	r->is_suspect = false;
	while (go_on > 0 && r->left > 0 && (pass == PASS_SCAN || !tid_geq(r->seq, r->end_seq)))
		go_on = visit(r);
	if (pass == PASS_SCAN)
		r->end_seq = r->seq;
	return go_on < 0 ? go_on : 0;
}

/* Fast commits that continue the log would have to be replayed: refuse rather than show less. */
static int check_fast_commits(struct replay *r)
{
	struct jbd2_fc_head head;
	const uint8_t *block;
	int err;

	if (!(r->j.incompat & JBD2_INCOMPAT_FAST_COMMIT))
		return 0;
	err = journal_read(&r->j, r->j.last, &block);
	if (err)
		return err;
	memcpy(&head, block, sizeof(head));
	if (le16_to_cpu(head.fc_tag) != JBD2_FC_TAG_HEAD || le32_to_cpu(head.fc_tid) != r->end_seq)
		return 0;
	log_err("%s: the journal holds changes in the fast_commit format, which cannot be replayed "
		"here: run e2fsck, or mount with norecovery to see the disk without them",
		r->j.dev);
	return -EOPNOTSUPP;
}

static int replay_log(struct replay *r)
{
	int err = walk(r, PASS_SCAN);

	if (!err)
		err = check_fast_commits(r);
	if (!err)
		err = walk(r, PASS_REVOKE);
	if (!err)
		err = walk(r, PASS_REPLAY);
	return err;
}

int jbd2_replay(const struct jbd2_source *src, struct cache *cache, struct jbd2_replay_stats *out)
{
	struct replay r = { .cache = cache, .stats = out };
	int err = journal_open(src, &r.j);

	*out = (struct jbd2_replay_stats){ 0 };
	if (err)
		return err;
	out->blocks_nr = r.j.blocks_nr;
	out->first_seq = r.j.sequence;
	if (r.j.start)
		err = replay_log(&r);
	revoke_fini(&r.revoked);
	journal_close(&r.j);
	return err;
}
