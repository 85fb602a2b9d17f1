/* SPDX-License-Identifier: MIT */
/*
 * hostile_test.c - images with wrong bytes: never a crash, a hang or a lie.
 *
 * With metadata_csum a wrong byte in metadata is found or was of no consequence. Without, anything
 * may be read, but every walk ends and every error is one of those that a disk may cause.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/hash.h"

#include "tests/fs/ext4/image.h"
#include "tests/fs/ext4/view.h"
#include "tests/lib/sim.h"

enum {
	BLOCK = 1024,
	FLIPS_EACH_MAX = 8,
	ROUNDS_DIVISOR =
		BLKFS_TSAN ? 20 : 1, /* ThreadSanitizer is slow, and sees nothing in one thread */
};

/* File data and long targets are all 'D', so that they are known from metadata. Indexed, linear and inline content. */
#define FILL                                                                                                    \
	"for n in 1 100 1024 3000 20000; do head -c $n /dev/zero | tr '\\0' D > $SRC/f.$n; done\n"              \
	"mkdir $SRC/idx $SRC/lin; (cd $SRC/idx; seq -f 'some-longer-name-%%.0f' 150 | xargs touch)\n"           \
	"touch $SRC/lin/a $SRC/lin/b; ln -s short $SRC/s; ln -s $(head -c 200 /dev/zero | tr '\\0' D) $SRC/l\n" \
	"python3 -c \"import os\nf=os.open('$SRC/frag',65)\n"                                                   \
	"for i in range(300): os.pwrite(f,b'D'*(i+1),8192*i)\"\n"                                               \
	"setfattr -n user.a -v $(printf '%%0300d' 1) $SRC/f.1\n"                                                \
	"setfattr -n user.b -v b $SRC/f.1; setfacl -m u:5:r $SRC/f.100\n"                                       \
	"mkfs.ext4 -q -F -b 1024 %s -d $SRC $IMG 3M\n"                                                          \
	"e2fsck -fyD $IMG >log || [ $? -le 1 ]\n"

struct outcome {
	uint64_t digest;
	int err;
};

static int take_digest(struct fs *fs, void *arg)
{
	struct outcome *o = arg;

	o->digest = view_digest(fs, &o->err);
	return 0;
}

static struct outcome look_at(const struct image *im)
{
	struct outcome o = { 0 };
	int err = image_run(im, NULL, take_digest, &o);

	cr_assert_neq(err, -EILSEQ, "an expectation failed");
	cr_assert_neq(err, -ETIME, "it has no end");
	cr_assert_neq(err, -EDEADLK, "it hangs");
	if (err)
		o.err = err;
	return o;
}

static bool is_errno_of_a_disk(int err)
{
	switch (err) {
	case 0:
	case -EUCLEAN:
	case -EIO:
	case -EOPNOTSUPP:
	case -EINVAL:
	case -ENOENT:
	case -ENOTDIR:
	case -ENOMEM: /* a size of terabytes is not read into memory by the test */
	case -ENODATA:
		return true;
	default:
		return false;
	}
}

static bool is_metadata(const struct image *im, size_t block)
{
	const uint8_t *p = im->bytes + block * BLOCK;
	size_t data = 0, zero = 0;

	for (size_t i = 0; i < BLOCK; i++) {
		data += p[i] == 'D';
		zero += p[i] == 0;
	}
	return zero != BLOCK && data + zero != BLOCK;
}

static uint64_t rolled(uint64_t *state)
{
	*state = hash_combine(*state, 1);
	return *state;
}

/* Random bytes of random metadata blocks, sometimes set to what is extreme. */
static void spoil(struct image *im, const size_t *blocks, size_t blocks_nr, uint64_t seed,
		  unsigned int flips)
{
	static const uint8_t extremes[] = { 0, 0xff, 0x80, 0x7f, 1 };
	uint64_t state = seed;

	while (flips-- > 0) {
		size_t block = blocks[rolled(&state) % blocks_nr];
		uint8_t *p = im->bytes + block * BLOCK + rolled(&state) % BLOCK;

		if (rolled(&state) % 3)
			*p ^= (uint8_t)(1 + rolled(&state) % 255);
		else
			*p = extremes[rolled(&state) % sizeof(extremes)];
	}
}

static size_t find_metadata(const struct image *im, size_t *blocks, size_t max)
{
	size_t nr = 0;

	for (size_t b = 1; b < im->size / BLOCK && nr < max; b++) {
		if (is_metadata(im, b))
			blocks[nr++] = b;
	}
	return nr;
}

static void make(struct image *im, const char *options)
{
	char script[2500];

	snprintf(script, sizeof(script), FILL, options);
	image_make(im, script);
}

static void spoil_and_look(const char *options, unsigned int rounds, bool must_find)
{
	struct image im;
	struct outcome clean, o;
	uint8_t *good;
	size_t *blocks, nr;

	make(&im, options);
	clean = look_at(&im);
	cr_assert_eq(clean.err, 0, "the image is not sound: %d", clean.err);
	blocks = calloc(im.size / BLOCK, sizeof(*blocks));
	nr = find_metadata(&im, blocks, im.size / BLOCK);
	cr_assert_gt(nr, 20);
	good = malloc(im.size);
	memcpy(good, im.bytes, im.size);
	image_quiet(true);
	for (unsigned int i = 0; i < rounds / ROUNDS_DIVISOR; i++) {
		spoil(&im, blocks, nr, i, must_find ? 1 : 1 + i % FLIPS_EACH_MAX);
		o = look_at(&im);
		cr_assert(is_errno_of_a_disk(o.err), "round %u of '%s': errno %d", i, options,
			  o.err);
		if (must_find && !o.err)
			cr_assert_eq(o.digest, clean.digest,
				     "round %u of '%s': a wrong byte was believed", i, options);
		memcpy(im.bytes, good, im.size);
	}
	image_quiet(false);
	free(good);
	free(blocks);
	image_free(&im);
}

Test(ext4_hostile, with_checksums_a_wrong_byte_is_found_or_harmless)
{
	spoil_and_look("", 200, true);
}

Test(ext4_hostile, without_checksums_every_walk_ends)
{
	spoil_and_look("-O ^metadata_csum,^uninit_bg", 300, false);
}

Test(ext4_hostile, block_maps_and_inline_data_of_any_bytes_are_survived)
{
	spoil_and_look("-O ^metadata_csum,^uninit_bg,^extent,^64bit,^flex_bg", 100, false);
	spoil_and_look("-O ^metadata_csum,^uninit_bg,inline_data", 100, false);
}

/* ---- what is refused ------------------------------------------------------------------------------ */

static int never_called(struct fs *fs, void *arg)
{
	sim_expect(!"mounted");
	return 0;
}

static void check_refused(const char *mkfs, int expected)
{
	char script[300];
	struct image im;

	snprintf(script, sizeof(script), "%s", mkfs);
	image_make(&im, script);
	image_quiet(true);
	cr_assert_eq(image_run(&im, NULL, never_called, NULL), expected, "%s", mkfs);
	image_quiet(false);
	image_free(&im);
}

Test(ext4_hostile, what_cannot_be_read_is_refused)
{
	check_refused("mkfs.ext4 -q -F -O encrypt $IMG 4M", -EOPNOTSUPP);
	check_refused("mkfs.ext4 -q -F -O casefold $IMG 4M", -EOPNOTSUPP);
	check_refused("mke2fs -q -F -O journal_dev $IMG 4M", -EOPNOTSUPP);
	check_refused(
		"mkfs.ext4 -q -F $IMG 4M; debugfs -w -R 'ssv feature_incompat 0x80000242' $IMG",
		-EOPNOTSUPP);
	check_refused("mkfs.ext4 -q -F $IMG 4M; truncate -s 3M $IMG", -EUCLEAN);
	check_refused("truncate -s 1M $IMG", -EINVAL);
	check_refused("truncate -s 512 $IMG", -EINVAL);
}

static int is_mounted(struct fs *fs, void *arg)
{
	struct fs_stat st;

	return fs->ops->getattr(fs, FS_ROOT_INO, &st);
}

Test(ext4_hostile, an_unknown_ro_compat_feature_does_not_forbid_reading)
{
	struct image im;

	image_make(&im, "mkfs.ext4 -q -F -O ^metadata_csum $IMG 4M\n"
			"debugfs -w -R 'ssv feature_ro_compat 0x8000006b' $IMG");
	cr_assert_eq(image_run(&im, NULL, is_mounted, NULL), 0);
	image_free(&im);
}

static unsigned int aborts_nr;

static void count_abort(void *front)
{
	aborts_nr++;
}

static const struct fs_front_ops panic_front = { .abort = count_abort };

static int check_panic(struct fs *fs, void *arg)
{
	struct fs_stat st;

	fs->front_ops = &panic_front;
	sim_expect(fs->ops->getattr(fs, FS_ROOT_INO, &st) == 0);
	sim_expect(view_stat(fs, "f", &st) == -EUCLEAN);
	sim_expect(fs->ops->getattr(fs, FS_ROOT_INO, &st) == -EIO);
	sim_expect(view_stat(fs, "f", &st) == -EIO);
	sim_expect(aborts_nr == 1);
	return 0;
}

Test(ext4_hostile, errors_panic_ends_all_service_after_the_first_error)
{
	const struct fs_mount_opts opts = { .is_read_only = true, .errors = FS_ERRORS_PANIC };
	struct image im;

	image_make(
		&im,
		"echo x > $SRC/f; mkfs.ext4 -q -F -b 1024 -d $SRC $IMG 4M\n"
		"set -- $(debugfs -R 'imap f' $IMG 2>/dev/null | grep -o 'block [0-9]*, offset 0x.*' "
		"| tr -d ,)\n"
		"printf '\\377' | dd of=$IMG bs=1 seek=$(($2 * 1024 + $4 + 4)) conv=notrunc\n");
	image_quiet(true);
	cr_assert_eq(image_run(&im, &opts, check_panic, NULL), 0);
	image_quiet(false);
	image_free(&im);
}

static int check_orphaned(struct fs *fs, void *arg)
{
	struct fs_stat st;
	char *names = NULL;
	size_t nr;

	sim_expect(view_stat(fs, "d", &st) == 0);
	sim_expect(view_list(fs, "d", &names, &nr) == -EUCLEAN);
	sim_expect(view_stat(fs, "d/..", &st) == -EUCLEAN);
	return 0;
}

Test(ext4_hostile, an_inline_directory_without_a_parent_is_not_listed)
{
	struct image im;

	image_make(&im, "mkdir $SRC/d; touch $SRC/d/f\n"
			"mkfs.ext4 -q -F -b 1024 -O inline_data,^metadata_csum -d $SRC $IMG 4M\n"
			"debugfs -w -R 'sif d block[0] 0' $IMG");
	image_quiet(true);
	cr_assert_eq(image_run(&im, NULL, check_orphaned, NULL), 0);
	image_quiet(false);
	image_free(&im);
}

/* Flips a bit at @off of the first block that starts with the four bytes @magic under @mask. */
static void flip_in(struct image *im, uint32_t magic, uint32_t mask, size_t off)
{
	for (size_t at = 0; at < im->size; at += BLOCK) {
		if ((get_unaligned_le32(im->bytes + at) & mask) != magic)
			continue;
		im->bytes[at + off] ^= 0x10;
		return;
	}
	cr_assert(false, "no block starts with 0x%x", magic);
}

Test(ext4_hostile, checksums_of_extent_and_attribute_blocks_cover_bytes_that_mean_nothing)
{
	static const struct {
		uint32_t magic, mask;
		size_t off;
	} blocks[] = {
		{ 0xF30A, 0xffff, 8 },		/* the generation of an extent node */
		{ 0xEA020000, 0xffffffff, 20 }, /* reserved words of an attribute block */
	};
	struct image im;

	make(&im, "-I 128");
	image_quiet(true);
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		cr_assert_eq(look_at(&im).err, 0);
		flip_in(&im, blocks[i].magic, blocks[i].mask, blocks[i].off);
		cr_assert_eq(look_at(&im).err, -EUCLEAN, "magic 0x%x", blocks[i].magic);
		flip_in(&im, blocks[i].magic, blocks[i].mask, blocks[i].off);
	}
	image_quiet(false);
	image_free(&im);
}
