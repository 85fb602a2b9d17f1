/* SPDX-License-Identifier: MIT */
/*
 * image.c - see image.h. Commands run before and after the simulator, never inside.
 */
#include "tests/fs/ext4/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#include "blkfs/drivers.h"
#include "tests/lib/sim.h"
#include "tests/lib/test.h"

enum { CACHE_BYTES = 1 << 20 };

/* ---- commands ----------------------------------------------------------------------------------- */

static void load(struct image *im)
{
	struct stat st;
	int fd = open(im->img, O_RDONLY | O_CLOEXEC);
	size_t done = 0;

	cr_assert(fd >= 0 && fstat(fd, &st) == 0, "cannot open %s: %s", im->img, strerror(errno));
	free(im->bytes);
	im->size = (size_t)st.st_size;
	im->bytes = malloc(im->size);
	while (done < im->size) {
		ssize_t n = read(fd, im->bytes + done, im->size - done);

		cr_assert(n > 0, "cannot read %s", im->img);
		done += (size_t)n;
	}
	close(fd);
}

void image_script(struct image *im, const char *script)
{
	char path[128], command[700];
	FILE *f;
	int status;

	snprintf(path, sizeof(path), "%s/script", im->dir);
	f = fopen(path, "we");
	cr_assert(f, "cannot write %s", path);
	fprintf(f,
		"set -eu\nexport PATH=$PATH:/usr/sbin:/sbin LC_ALL=C\nSRC=%s IMG=%s\ncd %s\n%s\n",
		im->src, im->img, im->dir, script);
	fclose(f);
	snprintf(command, sizeof(command),
		 "timeout 100 bash %s >%s/out 2>&1 </dev/null || { cat %s/out >&2; false; }", path,
		 im->dir, im->dir);
	status = system(command);
	cr_assert(status == 0, "the script that makes the image failed:\n%s", script);
	load(im);
}

void image_make(struct image *im, const char *script)
{
	memset(im, 0, sizeof(*im));
	snprintf(im->dir, sizeof(im->dir), "%s", "/tmp/blkfs-ext4-test.XXXXXX");
	cr_assert(mkdtemp(im->dir), "cannot make a folder in /tmp");
	snprintf(im->src, sizeof(im->src), "%s/src", im->dir);
	snprintf(im->img, sizeof(im->img), "%s/img", im->dir);
	cr_assert(mkdir(im->src, 0755) == 0);
	image_script(im, script);
}

void image_free(struct image *im)
{
	char command[100];

	free(im->bytes);
	im->bytes = NULL;
	snprintf(command, sizeof(command), "rm -rf %s", im->dir);
	cr_assert(system(command) == 0);
}

void image_ask(const struct image *im, const char *command, char *out, size_t size)
{
	char line[600];
	FILE *f;

	snprintf(line, sizeof(line), "cd %s; PATH=$PATH:/usr/sbin:/sbin; IMG=%s; %s", im->dir,
		 im->img, command);
	f = popen(line, "re");
	cr_assert(f && fgets(out, (int)size, f), "no answer from: %s", command);
	pclose(f);
	out[strcspn(out, "\n")] = '\0';
}

/* ---- mounts ------------------------------------------------------------------------------------- */

struct run {
	const struct image *im;
	const struct fs_mount_opts *opts;
	image_fn fn;
	void *arg;
};

static int run_main(void *arg)
{
	const struct run *r = arg;
	const struct drv_config dc = { .name = "mem0" };
	const struct mem_config mc = { .size_bytes = r->im->size, .medium = r->im->bytes };
	struct gendisk *disk;
	struct fs *fs;
	int err = mem_disk_create(&dc, &mc, &disk);

	if (err)
		return err;
	err = ext4_fs_type.mount(&disk->part0, r->opts, &fs);
	if (!err) {
		err = r->fn(fs, r->arg);
		sim_expect(fs->ops->unmount(fs) == 0);
	}
	del_gendisk(disk);
	return err;
}

int image_run_seed(const struct image *im, const struct fs_mount_opts *opts, uint64_t seed,
		   image_fn fn, void *arg)
{
	const struct fs_mount_opts plain = { .is_read_only = true, .cache_bytes = CACHE_BYTES };
	struct run r = { im, opts ? opts : &plain, fn, arg };

	return sim_run(seed, 2, run_main, &r);
}

int image_run_ring(const struct image *im, const struct fs_mount_opts *opts, image_fn fn, void *arg)
{
	const struct rt_config cfg = { .reactors_nr = 2, .is_unpinned = true };
	struct run r = { im, opts, fn, arg };
	int err = rt_init(&cfg);

	if (err)
		return err;
	err = rt_run(run_main, &r);
	rt_fini();
	return err;
}

int image_run(const struct image *im, const struct fs_mount_opts *opts, image_fn fn, void *arg)
{
	return image_run_seed(im, opts, 1, fn, arg);
}

static void drop_line(void *ctx, enum log_level level, uint64_t when_ns, const char *line)
{
}

void image_quiet(bool is_quiet)
{
	log_set_sink(is_quiet ? drop_line : NULL, NULL);
}
