/* SPDX-License-Identifier: MIT */
/*
 * replay_test.c - journals as crashes leave them, replayed in memory by us and on a copy by e2fsck:
 * a file whose blocks are in the journal must read the same.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/hash.h"

#include "tests/fs/ext4/view.h"
#include "tests/fs/jbd2/builder.h"
#include "tests/lib/sim.h"

enum {
	FILE_BLOCKS = 60,
	FILE_BYTES = FILE_BLOCKS * BUILDER_BLOCK,
	WRITE_MAX = 12,
	MAGIC = 0xC03B3998,
};

#define MAKE                                                                                       \
	"head -c 61440 /dev/urandom > $SRC/f\n"                                                    \
	"mkfs.ext4 -q -F -b 1024 -J size=1 -d $SRC $IMG 8M\n"

static uint64_t state;

static uint32_t roll(uint32_t below)
{
	state = hash_combine(state, 1);
	return (uint32_t)(state % below);
}

/* ---- what is seen ------------------------------------------------------------------------------- */

static int read_file(struct fs *fs, void *arg)
{
	uint8_t *bytes = NULL;
	size_t len = 0;

	sim_expect(view_read(fs, "f", 8192, &bytes, &len) == 0 && len == FILE_BYTES);
	if (bytes && len == FILE_BYTES)
		memcpy(arg, bytes, FILE_BYTES);
	free(bytes);
	return 0;
}

static int read_by_us(const struct image *im, uint8_t *out)
{
	return image_run(im, NULL, read_file, out);
}

/* Replays a copy with e2fsck and reads the blocks there. */
static void read_by_e2fsck(struct image *im, const uint32_t *blocks, uint8_t *out)
{
	uint8_t *dirty = im->bytes;
	FILE *f = fopen(im->img, "we");

	cr_assert(f && fwrite(im->bytes, im->size, 1, f) == 1 && fclose(f) == 0);
	im->bytes = NULL;
	image_script(im, "e2fsck -E journal_only -fy $IMG || [ $? -le 1 ]");
	for (uint32_t i = 0; i < FILE_BLOCKS; i++)
		memcpy(out + (size_t)i * BUILDER_BLOCK,
		       im->bytes + (size_t)blocks[i] * BUILDER_BLOCK, BUILDER_BLOCK);
	free(im->bytes);
	im->bytes = dirty;
}

/* ---- random journals ------------------------------------------------------------------------------ */

static void random_write(struct builder *b, const uint32_t *blocks)
{
	static uint8_t content[WRITE_MAX * BUILDER_BLOCK];
	uint32_t chosen[WRITE_MAX], nr = 1 + roll(WRITE_MAX), first = roll(FILE_BLOCKS - WRITE_MAX);

	for (uint32_t i = 0; i < nr; i++) {
		uint8_t *p = content + (size_t)i * BUILDER_BLOCK;

		chosen[i] = blocks[first + i];
		for (uint32_t j = 0; j < BUILDER_BLOCK; j += 4)
			put_unaligned_le32(roll(UINT32_MAX), p + j);
		if (roll(4) == 0)
			put_unaligned_be32(MAGIC, p);
	}
	builder_write(b, chosen, nr, content);
}

static void random_transaction(struct builder *b, const uint32_t *blocks)
{
	uint32_t revoked[3];

	for (uint32_t i = 1 + roll(3); i > 0; i--)
		random_write(b, blocks);
	if (roll(2)) {
		for (uint32_t i = 0; i < 3; i++)
			revoked[i] = blocks[roll(FILE_BLOCKS)];
		builder_revoke(b, revoked, 1 + roll(3));
	}
}

/* What a cut leaves of the last transaction. */
static void random_end(struct builder *b, const uint32_t *blocks)
{
	switch (roll(4)) {
	case 0:
		break;
	case 1: /* no commit */
		random_transaction(b, blocks);
		memset(builder_last(b), 0x5a, BUILDER_BLOCK);
		break;
	case 2: /* a commit of another transaction, from an earlier round of the log */
		random_transaction(b, blocks);
		builder_commit(b);
		put_unaligned_be32(7, builder_last(b) + 8);
		break;
	default: /* a commit with a wrong checksum, where there is one */
		random_transaction(b, blocks);
		builder_commit(b);
		builder_last(b)[17] ^= b->csum != CSUM_NONE;
	}
}

/* Returns whether the journal changed anything. */
static bool compare_random(struct image *im, const uint8_t *clean, const uint32_t *blocks,
			   uint64_t seed)
{
	static uint8_t ours[FILE_BYTES], theirs[FILE_BYTES];
	static struct builder b;
	int err;

	state = seed;
	memcpy(im->bytes, clean, im->size);
	builder_init(&b, im, (enum builder_csum)(seed % 4), seed / 4 % 2,
		     seed % 3 ? 1 + roll(900) : 1000 + roll(20),
		     roll(2) ? UINT32_MAX - 2 : 1 + roll(99));
	for (uint32_t i = 1 + roll(6); i > 0; i--) {
		random_transaction(&b, blocks);
		builder_commit(&b);
	}
	random_end(&b, blocks);
	builder_finish(&b);
	err = read_by_us(im, ours);
	cr_assert_eq(err, 0, "seed %llu: %d", (unsigned long long)seed, err);
	read_by_e2fsck(im, blocks, theirs);
	for (uint32_t i = 0; i < FILE_BLOCKS; i++)
		cr_assert_eq(memcmp(ours + (size_t)i * BUILDER_BLOCK,
				    theirs + (size_t)i * BUILDER_BLOCK, BUILDER_BLOCK),
			     0, "seed %llu: block %u of the file", (unsigned long long)seed, i);
	return memcmp(ours, clean + (size_t)blocks[0] * BUILDER_BLOCK, BUILDER_BLOCK) != 0 ||
	       memcmp(ours + FILE_BYTES / 2,
		      clean + (size_t)blocks[FILE_BLOCKS / 2] * BUILDER_BLOCK, BUILDER_BLOCK) != 0;
}

Test(jbd2_replay, a_journal_replayed_in_memory_shows_what_e2fsck_writes)
{
	uint32_t blocks[FILE_BLOCKS];
	uint64_t changed_nr = 0;
	struct image im;
	uint8_t *clean;

	image_make(&im, MAKE);
	/* A map of 60 blocks in one or two extents: no block of the tree among them. */
	cr_assert_eq(builder_file_blocks(&im, "f", blocks, FILE_BLOCKS), FILE_BLOCKS);
	clean = malloc(im.size);
	memcpy(clean, im.bytes, im.size);
	image_quiet(true);
	for (uint64_t seed = 1; seed <= 40; seed++)
		changed_nr += compare_random(&im, clean, blocks, seed);
	cr_assert_gt(changed_nr, 10);
	image_quiet(false);
	free(clean);
	image_free(&im);
}

/* ---- single cases ----------------------------------------------------------------------------------- */

/* One transaction with block @n of the file, all bytes @c. */
static void write_one(struct builder *b, const uint32_t *blocks, uint32_t n, char c)
{
	uint8_t content[BUILDER_BLOCK];

	memset(content, c, sizeof(content));
	builder_write(b, &blocks[n], 1, content);
	builder_commit(b);
}

struct one {
	struct image im;
	struct builder b;
	uint32_t blocks[FILE_BLOCKS];
	uint8_t before[FILE_BYTES], seen[FILE_BYTES];
};

static struct one *one_make(enum builder_csum csum)
{
	struct one *o = calloc(1, sizeof(*o));

	image_make(&o->im, MAKE);
	builder_file_blocks(&o->im, "f", o->blocks, FILE_BLOCKS);
	cr_assert_eq(read_by_us(&o->im, o->before), 0);
	builder_init(&o->b, &o->im, csum, true, 1, 5);
	return o;
}

static void one_free(struct one *o)
{
	image_quiet(false);
	image_free(&o->im);
	free(o);
}

Test(jbd2_replay, norecovery_shows_the_disk_as_it_is)
{
	const struct fs_mount_opts opts = { .is_read_only = true, .norecovery = true };
	struct one *o = one_make(CSUM_V3);

	image_quiet(true);
	write_one(&o->b, o->blocks, 3, 'N');
	builder_finish(&o->b);
	cr_assert_eq(read_by_us(&o->im, o->seen), 0);
	cr_assert_eq(o->seen[3 * BUILDER_BLOCK], 'N');
	cr_assert_neq(memcmp(o->seen, o->before, FILE_BYTES), 0);
	cr_assert_eq(image_run(&o->im, &opts, read_file, o->seen), 0);
	cr_assert_eq(memcmp(o->seen, o->before, FILE_BYTES), 0);
	one_free(o);
}

Test(jbd2_replay, a_copied_block_with_a_wrong_checksum_refuses_the_mount)
{
	struct one *o = one_make(CSUM_V3);
	uint8_t *copy;

	image_quiet(true);
	write_one(&o->b, o->blocks, 3, 'N');
	copy = o->im.bytes + (size_t)o->b.journal[2] * BUILDER_BLOCK;
	cr_assert_eq(copy[0], 'N');
	copy[77] ^= 4;
	builder_finish(&o->b);
	cr_assert_eq(read_by_us(&o->im, o->seen), -EUCLEAN);
	one_free(o);
}

Test(jbd2_replay, a_tag_beyond_the_end_of_the_device_refuses_the_mount)
{
	uint8_t content[BUILDER_BLOCK] = { 0 };
	struct one *o = one_make(CSUM_NONE);
	uint32_t far = 0x7fffffff;

	image_quiet(true);
	builder_write(&o->b, &far, 1, content);
	builder_commit(&o->b);
	builder_finish(&o->b);
	cr_assert_eq(read_by_us(&o->im, o->seen), -EUCLEAN);
	one_free(o);
}

Test(jbd2_replay, a_journal_of_any_bytes_ends_in_a_mount_or_an_error)
{
	struct one *o = one_make(CSUM_NONE);
	uint8_t *dirty;

	image_quiet(true);
	for (uint32_t i = 0; i < 5; i++) {
		random_transaction(&o->b, o->blocks);
		builder_commit(&o->b);
	}
	builder_finish(&o->b);
	dirty = malloc(o->im.size);
	memcpy(dirty, o->im.bytes, o->im.size);
	for (uint64_t seed = 1; seed <= 150; seed++) {
		int err;

		state = seed;
		for (uint32_t i = 1 + roll(6); i > 0; i--) {
			uint32_t lblk = roll(3) ? roll(40) : 0;
			size_t at = (size_t)o->b.journal[lblk] * BUILDER_BLOCK +
				    roll(roll(2) ? 96 : 1024);

			o->im.bytes[at] = (uint8_t)roll(256);
		}
		err = read_by_us(&o->im, o->seen);
		cr_assert(err == 0 || err == -EUCLEAN || err == -EOPNOTSUPP, "seed %llu: %d",
			  (unsigned long long)seed, err);
		memcpy(o->im.bytes, dirty, o->im.size);
	}
	free(dirty);
	one_free(o);
}
