/* SPDX-License-Identifier: MIT */
/*
 * builder.c - see builder.h. Source: Documentation/filesystems/ext4/journal.rst.
 */
#include "tests/fs/jbd2/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"

#include "tests/lib/test.h"

enum {
	MAGIC = 0xC03B3998,
	DESCRIPTOR = 1,
	COMMIT = 2,
	REVOKE = 5,
	FLAG_ESCAPE = 1,
	FLAG_SAME_UUID = 2,
	FLAG_LAST = 8,
	EXT4_SUPER = 1024,
	INCOMPAT_RECOVER = 4,
};

uint32_t builder_file_blocks(const struct image *im, const char *file, uint32_t *out, uint32_t max)
{
	static char line[1 << 16];
	char command[200], *at = line;
	uint32_t nr = 0;

	snprintf(command, sizeof(command), "debugfs -R 'blocks %s' $IMG 2>/dev/null", file);
	image_ask(im, command, line, sizeof(line));
	while (nr < max) {
		char *end;
		unsigned long block = strtoul(at, &end, 10);

		if (end == at)
			break;
		out[nr++] = (uint32_t)block;
		at = end;
	}
	return nr;
}

static uint8_t *block_at(struct builder *b, uint32_t lblk)
{
	return b->im->bytes + (size_t)b->journal[lblk] * BUILDER_BLOCK;
}

void builder_init(struct builder *b, struct image *im, enum builder_csum csum, bool is_64bit,
		  uint32_t start, uint32_t seq)
{
	uint32_t nr = builder_file_blocks(im, "<8>", b->journal, BUILDER_BLOCKS_MAX);

	b->im = im;
	b->csum = csum;
	b->is_64bit = is_64bit;
	b->pos = b->start = start;
	b->seq = b->first_seq = seq;
	b->commit_sec = 1000;
	b->crc32 = ~0U;
	/* debugfs lists the blocks of the extent tree too; the journal superblock tells how many. */
	b->journal_nr = get_unaligned_be32(im->bytes + (size_t)b->journal[0] * BUILDER_BLOCK + 16);
	cr_assert(b->journal_nr <= nr && b->journal_nr > start);
}

static uint32_t uuid_seed(struct builder *b)
{
	return crc32c(~0U, block_at(b, 0) + 48, 16);
}

static uint32_t crc32_be(uint32_t crc, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= (uint32_t)p[i] << 24;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x80000000U ? crc << 1 ^ 0x04C11DB7U : crc << 1;
	}
	return crc;
}

static bool has_tails(const struct builder *b)
{
	return b->csum == CSUM_V2 || b->csum == CSUM_V3;
}

static void seal(struct builder *b, uint8_t *block)
{
	if (!has_tails(b))
		return;
	put_unaligned_be32(0, block + BUILDER_BLOCK - 4);
	put_unaligned_be32(crc32c(uuid_seed(b), block, BUILDER_BLOCK), block + BUILDER_BLOCK - 4);
}

/* The next block of the log, cleared. */
static uint8_t *next_block(struct builder *b)
{
	uint8_t *p = block_at(b, b->pos);

	b->pos = b->pos + 1 == b->journal_nr ? 1 : b->pos + 1;
	memset(p, 0, BUILDER_BLOCK);
	return p;
}

uint8_t *builder_last(struct builder *b)
{
	return block_at(b, b->pos == 1 ? b->journal_nr - 1 : b->pos - 1);
}

static uint8_t *next_headed(struct builder *b, uint32_t type)
{
	uint8_t *p = next_block(b);

	put_unaligned_be32(MAGIC, p);
	put_unaligned_be32(type, p + 4);
	put_unaligned_be32(b->seq, p + 8);
	return p;
}

/* Writes a tag at @p; returns its size. */
static uint32_t put_tag(struct builder *b, uint8_t *p, uint32_t block, uint32_t flags, uint32_t sum)
{
	uint32_t bytes = b->is_64bit ? 12 : 8;

	put_unaligned_be32(block, p);
	if (b->csum == CSUM_V3) {
		put_unaligned_be32(flags, p + 4);
		put_unaligned_be32(sum, p + 12);
		return 16;
	}
	put_unaligned_be16(b->csum == CSUM_V2 ? (uint16_t)sum : 0, p + 4);
	put_unaligned_be16((uint16_t)flags, p + 6);
	return bytes + (b->csum == CSUM_V2 ? 2 : 0);
}

void builder_write(struct builder *b, const uint32_t *blocks, uint32_t nr, const uint8_t *content)
{
	uint8_t *desc = next_headed(b, DESCRIPTOR), *p = desc + 12;
	__be32 seq = cpu_to_be32(b->seq);
	uint32_t first = b->pos;

	for (uint32_t i = 0; i < nr; i++) {
		uint8_t *copy = next_block(b);
		uint32_t flags = i ? FLAG_SAME_UUID : 0, sum;

		memcpy(copy, content + (size_t)i * BUILDER_BLOCK, BUILDER_BLOCK);
		if (get_unaligned_be32(copy) == MAGIC) {
			put_unaligned_be32(0, copy);
			flags |= FLAG_ESCAPE;
		}
		flags |= i == nr - 1 ? FLAG_LAST : 0;
		sum = crc32c(crc32c(uuid_seed(b), &seq, 4), copy, BUILDER_BLOCK);
		p += put_tag(b, p, blocks[i], flags, sum);
		if (!i) { /* the journal's UUID */
			memcpy(p, block_at(b, 0) + 48, 16);
			p += 16;
		}
	}
	seal(b, desc);
	b->crc32 = crc32_be(b->crc32, desc, BUILDER_BLOCK);
	for (uint32_t i = 0; i < nr; i++, first = first + 1 == b->journal_nr ? 1 : first + 1)
		b->crc32 = crc32_be(b->crc32, block_at(b, first), BUILDER_BLOCK);
}

void builder_revoke(struct builder *b, const uint32_t *blocks, uint32_t nr)
{
	uint8_t *p = next_headed(b, REVOKE);
	uint32_t bytes = b->is_64bit ? 8 : 4;

	put_unaligned_be32(16 + nr * bytes, p + 12);
	for (uint32_t i = 0; i < nr; i++)
		put_unaligned_be32(blocks[i], p + 16 + (size_t)(i + 1) * bytes - 4);
	seal(b, p);
}

void builder_commit(struct builder *b)
{
	uint8_t *p = next_headed(b, COMMIT);

	put_unaligned_be64(b->commit_sec++, p + 48);
	if (b->csum == CSUM_V1) {
		p[12] = 1;
		p[13] = 4;
		put_unaligned_be32(b->crc32, p + 16);
	} else if (has_tails(b)) {
		put_unaligned_be32(crc32c(uuid_seed(b), p, BUILDER_BLOCK), p + 16);
	}
	b->crc32 = ~0U;
	b->seq++;
}

void builder_finish(struct builder *b)
{
	static const uint32_t csum_bits[] = { [CSUM_V2] = 8, [CSUM_V3] = 16 };
	uint8_t *sb = block_at(b, 0), *ext4 = b->im->bytes + EXT4_SUPER;
	uint32_t incompat = 1 | (b->is_64bit ? 2 : 0) | (has_tails(b) ? csum_bits[b->csum] : 0);

	put_unaligned_be32(b->first_seq, sb + 24);
	put_unaligned_be32(b->start, sb + 28);
	put_unaligned_be32(b->csum == CSUM_V1, sb + 36);
	put_unaligned_be32(incompat, sb + 40);
	sb[80] = has_tails(b) ? 4 : 0;
	put_unaligned_be32(0, sb + 252);
	if (has_tails(b))
		put_unaligned_be32(crc32c(~0U, sb, 1024), sb + 252);
	put_unaligned_le32(get_unaligned_le32(ext4 + 96) | INCOMPAT_RECOVER, ext4 + 96);
	put_unaligned_le32(crc32c(~0U, ext4, 1020), ext4 + 1020);
}
