/* SPDX-License-Identifier: MIT */
/*
 * checksum.c - the checksums of the journal's blocks: v1 (one for a transaction, in its commit
 * block), v2 and v3 (each block, each copied block by its tag). Bytes in, verdict out.
 *
 * Source: journal.rst, "Descriptor Block", "Commit Block", "Block Tail".
 */
#include "fs/jbd2/journal.h"

#include <string.h>

#include "base/crc32c.h"

static const uint32_t zero;

bool journal_tail_is_good(const struct journal *j, const uint8_t *block)
{
	size_t off = j->block_size - sizeof(struct jbd2_tail);
	uint32_t sum;

	if (!journal_has_csum(j))
		return true;
	sum = crc32c(j->csum_seed, block, off);
	sum = crc32c(sum, &zero, sizeof(zero));
	return sum == get_unaligned_be32(block + off);
}

bool journal_commit_is_good(const struct journal *j, const uint8_t *block)
{
	size_t off = offsetof(struct jbd2_commit, h_chksum);
	uint32_t sum;

	if (!journal_has_csum(j))
		return true;
	sum = crc32c(j->csum_seed, block, off);
	sum = crc32c(sum, &zero, sizeof(zero));
	sum = crc32c(sum, block + off + sizeof(zero), j->block_size - off - sizeof(zero));
	return sum == get_unaligned_be32(block + off);
}

bool journal_tag_is_good(const struct journal *j, const struct journal_tag *tag, uint32_t sequence,
			 const uint8_t *block)
{
	__be32 seq = cpu_to_be32(sequence);
	uint32_t sum;

	if (!journal_has_csum(j))
		return true;
	sum = crc32c(j->csum_seed, &seq, sizeof(seq));
	sum = crc32c(sum, block, j->block_size);
	if (!(j->incompat & JBD2_INCOMPAT_CSUM_V3))
		sum &= 0xffff;
	return sum == tag->checksum;
}

uint32_t journal_crc32_be(uint32_t seed, const uint8_t *p, size_t len_bytes)
{
	uint32_t crc = seed;

	while (len_bytes-- > 0) {
		crc ^= (uint32_t)*p++ << 24;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x80000000U ? 0x04C11DB7U : 0);
	}
	return crc;
}

static void tag_decode(const struct journal *j, const uint8_t *p, struct journal_tag *out)
{
	if (j->incompat & JBD2_INCOMPAT_CSUM_V3) {
		out->flags = get_unaligned_be32(p + offsetof(struct jbd2_tag3, t_flags));
		out->checksum = get_unaligned_be32(p + offsetof(struct jbd2_tag3, t_checksum));
	} else {
		out->flags = get_unaligned_be16(p + offsetof(struct jbd2_tag, t_flags));
		out->checksum = get_unaligned_be16(p + offsetof(struct jbd2_tag, t_checksum));
	}
	out->block = get_unaligned_be32(p);
	/* Both kinds have the high half at the same place. */
	if (j->incompat & JBD2_INCOMPAT_64BIT)
		out->block |= (uint64_t)get_unaligned_be32(p + 8) << 32;
}

/*
 * The position that follows the last tag is the end of the block, so that a caller's loop needs
 * no state of its own.
 */
int journal_tag_next(const struct journal *j, const uint8_t *descriptor, uint32_t *pos,
		     struct journal_tag *out)
{
	uint32_t end = j->block_size;

	if (journal_has_csum(j))
		end -= sizeof(struct jbd2_tail);
	if (*pos + j->tag_bytes > end)
		return 0;
	tag_decode(j, descriptor + *pos, out);
	*pos += j->tag_bytes;
	if (!(out->flags & JBD2_TAG_SAME_UUID))
		*pos += 16;
	if (out->flags & JBD2_TAG_LAST)
		*pos = j->block_size;
	return 1;
}

uint32_t journal_tag_count(const struct journal *j, const uint8_t *descriptor)
{
	uint32_t pos = sizeof(struct jbd2_header);
	struct journal_tag tag;
	uint32_t nr = 0;

	while (journal_tag_next(j, descriptor, &pos, &tag))
		nr++;
	return nr;
}
