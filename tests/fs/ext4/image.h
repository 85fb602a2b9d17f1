/* SPDX-License-Identifier: MIT */
/*
 * image.h - file system images for tests: made by mke2fs and debugfs at test time, mounted from
 * memory in the simulator.
 *
 * A script is run by bash -eu in a new folder with SRC (an empty folder to fill) and IMG (the image
 * to make) set; what it prints is shown when it fails.
 */
#ifndef TESTS_FS_EXT4_IMAGE_H
#define TESTS_FS_EXT4_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "blkfs/fs.h"

struct image {
	char dir[64]; /* removed by image_free() */
	char src[80];
	char img[80];
	uint8_t *bytes;
	size_t size;
};

/* The test fails when the script does. */
void image_make(struct image *im, const char *script);
/* Another script in the same folder; the image is loaded again. */
void image_script(struct image *im, const char *script);
void image_free(struct image *im);

/* One line of what a command prints, in the image's folder; without the newline. */
void image_ask(const struct image *im, const char *command, char *out, size_t size);

typedef int (*image_fn)(struct fs *fs, void *arg);

/*
 * image_run - mount the image in the simulator, call @fn in the main task, unmount.
 * Returns what the mount answered, else what @fn did; -EILSEQ when an expectation failed.
 */
int __must_check image_run(const struct image *im, const struct fs_mount_opts *opts, image_fn fn,
			   void *arg);
int __must_check image_run_seed(const struct image *im, const struct fs_mount_opts *opts,
				uint64_t seed, image_fn fn, void *arg);

/* On two real reactors, for what the simulator's one thread cannot show. */
int __must_check image_run_ring(const struct image *im, const struct fs_mount_opts *opts,
				image_fn fn, void *arg);

/* No lines on the terminal from here on, or again. */
void image_quiet(bool is_quiet);

#endif
