/* SPDX-License-Identifier: MIT */
/*
 * read_test.c - images made from a folder by mkfs.ext4 -d, compared with the folder: every byte,
 * attribute, name and extended attribute, over block sizes and features.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fs/ext4/image.h"
#include "tests/fs/ext4/view.h"
#include "tests/lib/sim.h"

/* Most of what a tree can hold. LINK_MOST: the longest target that fits into a block. */
#define FILL_TREE                                                                                    \
	"mkdir -p $SRC/empty $SRC/sub/deep/er $SRC/acls\n"                                           \
	"for n in 0 1 59 60 61 511 512 513 1023 1024 4095 4096 4097 70000; do\n"                     \
	"  head -c $n /dev/urandom > $SRC/sub/size.$n; done\n"                                       \
	"head -c 102401 /dev/urandom > $SRC/big\n"                                                   \
	"truncate -s 40000000 $SRC/sparse\n"                                                         \
	"for at in 0 7 100 5000 9765; do dd if=/dev/urandom of=$SRC/sparse bs=4096 seek=$at \\\n"    \
	"  count=1 conv=notrunc status=none; done; truncate -s 40000000 $SRC/sparse\n"               \
	"truncate -s 1000000 $SRC/hole\n"                                                            \
	"for n in 1 58 59 60 61 200 $LINK_MOST; do ln -s $(printf '%0*d' $n 7) $SRC/link.$n; done\n" \
	"ln $SRC/sub/size.512 $SRC/sub/deep/second; ln $SRC/sub/size.512 $SRC/third\n"               \
	"mkfifo $SRC/fifo; touch $SRC/$(printf '%0255d' 1) $SRC/$(printf '\\303\\244 \\n')\n"        \
	"chmod 4755 $SRC/big; chmod 1777 $SRC/empty; touch -d '1950-01-02 03:04:05Z' $SRC/fifo\n"    \
	"setfattr -n user.small -v hello $SRC/big\n"                                                 \
	"setfattr -n user.empty $SRC/big; setfattr -n user.dir -v x $SRC/sub\n"                      \
	"setfattr -n user.large -v $(printf '%0600d' 3) $SRC/sub/size.1\n"                           \
	"for i in 1 2 3 4 5; do setfattr -n user.n$i -v $(printf '%050d' $i) $SRC/hole; done\n"      \
	"setfacl -m u:1234:rw-,g:77:r-x,m::rwx $SRC/acls; setfacl -d -m u:5:r $SRC/acls\n"           \
	"setfacl -m u:4000000000:x $SRC/sub/size.60\n"

enum { MANY = 100 };

static const char *host;

/* ---- comparing whole trees ---------------------------------------------------------------------- */

static char **paths;
static size_t paths_nr;

static int add_path(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	paths = realloc(paths, (paths_nr + 1) * sizeof(*paths));
	paths[paths_nr++] = strdup(path + strlen(host) + (path[strlen(host)] == '/'));
	return 0;
}

/* All in full; of very many, each by its attributes and some in full. */
static int compare_all(struct fs *fs, void *arg)
{
	for (size_t i = 0; i < paths_nr; i++) {
		struct fs_stat st;

		if (i < MANY || i % MANY == 0)
			view_compare(fs, host, paths[i]);
		else
			sim_expect(view_stat(fs, paths[i], &st) == 0 && S_ISREG(st.mode));
	}
	return 0;
}

static void compare_tree(const struct image *im, const struct fs_mount_opts *opts)
{
	host = im->src;
	cr_assert(nftw(im->src, add_path, 20, FTW_PHYS) == 0);
	cr_assert_eq(image_run(im, opts, compare_all, NULL), 0);
	for (size_t i = 0; i < paths_nr; i++)
		free(paths[i]);
	free(paths);
	paths = NULL;
	paths_nr = 0;
}

/* The same tree in an image that @mkfs makes. */
static void check_tree(const char *link_most, const char *mkfs)
{
	char script[6000];
	struct image im;

	snprintf(script, sizeof(script), "LINK_MOST=%s\n%s\n%s", link_most, FILL_TREE, mkfs);
	image_make(&im, script);
	compare_tree(&im, NULL);
	image_free(&im);
}

Test(ext4_read, a_tree_in_4k_blocks_is_the_folder_it_was_made_from)
{
	check_tree("4000", "mkfs.ext4 -q -F -b 4096 -d $SRC $IMG 16M");
}

Test(ext4_read, a_tree_in_1k_blocks_is_the_folder_it_was_made_from)
{
	check_tree("1000", "mkfs.ext4 -q -F -b 1024 -d $SRC $IMG 16M");
}

Test(ext4_read, a_tree_in_64k_blocks_is_the_folder_it_was_made_from)
{
	check_tree("4000", "mkfs.ext4 -q -F -b 65536 -O ^has_journal -d $SRC $IMG 32M");
}

Test(ext4_read, small_inodes_without_checksums_are_read)
{
	check_tree("1000",
		   "mkfs.ext4 -q -F -b 1024 -I 128 -O ^metadata_csum,uninit_bg -d $SRC $IMG 16M"
		   " && ! touch -d 1950-01-01 x; touch -h -d 2001-01-01 $SRC/fifo $SRC/third;"
		   "for f in fifo third sub/size.512 sub/deep/second; do"
		   " debugfs -w -R \"sif $f mtime $(stat -c @%Y $SRC/$f)\" $IMG; done");
}

Test(ext4_read, block_maps_of_ext2_are_read)
{
	check_tree("1000", "mke2fs -q -F -t ext2 -I 256 -b 1024 -d $SRC $IMG 16M");
}

Test(ext4_read, inline_data_is_read)
{
	check_tree("4000", "mkfs.ext4 -q -F -b 4096 -O inline_data -d $SRC $IMG 16M");
}

static int check_large_value(struct fs *fs, void *arg)
{
	static uint8_t value[1024];
	struct fs_stat st;

	sim_expect(fs->ops->lookup(fs, FS_ROOT_INO, "f", 1, &st) == 0);
	sim_expect(fs->ops->getxattr(fs, st.ino, "user.large", value, 1023) == -ERANGE);
	sim_expect(fs->ops->getxattr(fs, st.ino, "user.large", value, 1024) == 1024);
	for (size_t i = 0; i < sizeof(value); i++)
		sim_expect(value[i] == 'v');
	return 0;
}

Test(ext4_read, large_attributes_in_inodes_of_their_own_are_read)
{
	struct image im;

	image_make(&im, "echo x > $SRC/f; mkfs.ext4 -q -F -b 1024 -O ea_inode -d $SRC $IMG 8M\n"
			"head -c 1024 /dev/zero | tr '\\0' v > value\n"
			"debugfs -w -R 'ea_set -f value f user.large' $IMG\n");
	cr_assert_eq(image_run(&im, NULL, check_large_value, NULL), 0);
	image_free(&im);
}

Test(ext4_read, other_layouts_of_groups_are_read)
{
	check_tree("4000",
		   "mkfs.ext4 -q -F -b 4096 -O meta_bg,^resize_inode,metadata_csum_seed -g 1024 "
		   "-d $SRC $IMG 16M");
	check_tree("4000",
		   "mkfs.ext4 -q -F -b 4096 -O bigalloc,sparse_super2 -C 16384 -d $SRC $IMG 16M");
	check_tree(
		"4000",
		"mkfs.ext4 -q -F -b 4096 -O ^64bit,^flex_bg,^sparse_super,^resize_inode -g 2048 -d $SRC $IMG 16M");
}

Test(ext4_read, an_indexed_directory_of_6000_names_finds_each)
{
	struct image im;

	image_make(&im,
		   "mkdir $SRC/d; (cd $SRC/d; seq -f 'a-longer-name-%.0f' 6000 | xargs touch)\n"
		   "mkfs.ext4 -q -F -b 1024 -N 8000 -d $SRC $IMG 24M\n"
		   "e2fsck -fyD $IMG >log || [ $? -le 1 ]\n"
		   "debugfs -R 'htree_dump d' $IMG 2>/dev/null | grep -q 'Indirect levels: 1'\n"
		   "e2fsck -fn $IMG");
	compare_tree(&im, NULL);
	image_free(&im);
}

enum { LOOKED_UP_NR = 6000, INODES_CACHED_MOST = 4096 };

static int look_up_many(struct fs *fs, void *arg)
{
	char text[32], name[32];
	struct strbuf sb;
	struct fs_stat dir, st;

	sim_expect(view_stat(fs, "d", &dir) == 0);
	for (int i = 0; i < LOOKED_UP_NR; i++) {
		snprintf(name, sizeof(name), "%d", i);
		sim_expect(fs->ops->lookup(fs, dir.ino, name, strlen(name), &st) == 0);
	}
	strbuf_init(&sb, text, sizeof(text));
	sim_expect(attr_show("fs/inodes_cached", &sb) == 0);
	sim_expect(strtoul(text, NULL, 10) <= INODES_CACHED_MOST);
	sim_expect(fs->ops->getattr(fs, st.ino, &st) == 0);
	fs->ops->forget(fs, st.ino, 1);
	sim_expect(fs->ops->getattr(fs, st.ino, &st) == 0);
	return 0;
}

Test(ext4_read, what_the_kernel_remembers_costs_us_no_memory)
{
	const struct fs_mount_opts opts = { .is_read_only = true, .attrs = attr_root() };
	struct image im;

	image_make(&im, "mkdir $SRC/d; (cd $SRC/d; seq 0 5999 | xargs touch)\n"
			"mkfs.ext4 -q -F -b 1024 -N 8000 -d $SRC $IMG 24M");
	cr_assert_eq(image_run(&im, &opts, look_up_many, NULL), 0);
	image_free(&im);
}

/* ---- reading ahead ------------------------------------------------------------------------------- */

static unsigned long shown(const char *attr)
{
	char text[32];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	sim_expect(attr_show(attr, &sb) == 0);
	return strtoul(text, NULL, 10);
}

/* Blocks that were read before they were asked for, so far. */
static unsigned long readahead_nr(void)
{
	char text[512];
	const char *at;
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	sim_expect(attr_show("fs/cache_state", &sb) == 0);
	at = strstr(text, "readahead ");
	sim_expect(at != NULL);
	return at ? strtoul(at + strlen("readahead "), NULL, 10) : 0;
}

struct listed {
	uint64_t inos[LOOKED_UP_NR];
	char names[LOOKED_UP_NR][8];
	unsigned int nr;
};

static int listed_add(void *ctx, const char *name, size_t len, uint64_t ino, uint32_t d_type,
		      uint64_t next_off)
{
	struct listed *l = ctx;

	if (name[0] == '.')
		return 0;
	sim_expect(l->nr < LOOKED_UP_NR && len < sizeof(l->names[0]));
	memcpy(l->names[l->nr], name, len);
	l->names[l->nr][len] = '\0';
	l->inos[l->nr++] = ino;
	return 0;
}

/* What was announced is there when it is asked for, and is what the names stand for. */
static int look_up_listed(struct fs *fs, void *arg)
{
	static struct listed l;
	const uint64_t wrong[] = { 0, 2, UINT32_MAX, UINT64_MAX };
	struct fs_stat d, st, by_name;
	struct fs_file *dir;
	unsigned long misses, ahead;

	l.nr = 0;
	sim_expect(view_stat(fs, "d", &d) == 0);
	sim_expect(fs->ops->opendir(fs, d.ino, &dir) == 0);
	sim_expect(fs->ops->readdir(fs, dir, 0, listed_add, &l) == 0);
	fs->ops->release(fs, dir);
	sim_expect(l.nr == LOOKED_UP_NR);
	fs->ops->will_lookup(fs, l.inos, l.nr);
	misses = shown("fs/cache_misses");
	ahead = readahead_nr();
	for (unsigned int i = 0; i < l.nr; i++) {
		sim_expect(fs->ops->lookup_ino(fs, l.inos[i], &st) == 0 && st.ino == l.inos[i]);
		fs->ops->forget(fs, st.ino, 1);
	}
	sim_expect(shown("fs/cache_misses") == misses && readahead_nr() == ahead);
	for (unsigned int i = 0; i < l.nr; i += MANY) {
		sim_expect(fs->ops->lookup_ino(fs, l.inos[i], &st) == 0);
		sim_expect(fs->ops->lookup(fs, d.ino, l.names[i], strlen(l.names[i]), &by_name) ==
			   0);
		sim_expect(st.ino == by_name.ino && st.mode == by_name.mode &&
			   st.generation == by_name.generation &&
			   st.ctime.nsec == by_name.ctime.nsec);
	}
	fs->ops->will_lookup(fs, wrong, ARRAY_SIZE(wrong));
	sim_expect(fs->ops->lookup_ino(fs, UINT64_MAX, &st) == -ESTALE);
	return 0;
}

Test(ext4_read, what_a_listing_named_is_read_before_it_is_looked_up)
{
	const struct fs_mount_opts opts = { .is_read_only = true, .attrs = attr_root() };
	struct image im;

	image_make(&im, "mkdir $SRC/d; (cd $SRC/d; seq 0 5999 | xargs touch)\n"
			"mkfs.ext4 -q -F -b 1024 -N 8000 -d $SRC $IMG 24M");
	cr_assert_eq(image_run(&im, &opts, look_up_listed, NULL), 0);
	image_free(&im);
}

/* The leaves of the tree come together: the first read waits for none of them on its own. */
static int read_behind_leaves(struct fs *fs, void *arg)
{
	unsigned long misses;
	struct fs_stat st;
	uint8_t *bytes;
	size_t len;

	sim_expect(view_stat(fs, "f", &st) == 0);
	misses = shown("fs/cache_misses");
	sim_expect(view_read(fs, "f", 1 << 20, &bytes, &len) == 0 && len == st.size);
	free(bytes);
	sim_expect(shown("fs/cache_misses") == misses);
	return 0;
}

Test(ext4_read, extent_leaves_are_read_ahead_together)
{
	const struct fs_mount_opts opts = { .is_read_only = true, .attrs = attr_root() };
	struct image im;

	image_make(&im, "python3 - $SRC/f <<'E'\n"
			"import os,sys\nf=os.open(sys.argv[1],os.O_CREAT|os.O_WRONLY)\n"
			"for i in range(2000): os.pwrite(f,os.urandom(4096),8192*i)\n"
			"E\nmkfs.ext4 -q -F -b 1024 -d $SRC $IMG 40M\n");
	cr_assert_eq(image_run(&im, &opts, read_behind_leaves, NULL), 0);
	image_free(&im);
}

Test(ext4_read, a_file_of_2000_extents_is_read_by_list_and_by_tree)
{
	const char *script = "python3 - $SRC/f <<'E'\n"
			     "import os,sys\nf=os.open(sys.argv[1],os.O_CREAT|os.O_WRONLY)\n"
			     "for i in range(%d): os.pwrite(f,os.urandom(4096),8192*i)\n"
			     "E\nmkfs.ext4 -q -F -b %d -d $SRC $IMG 40M\n";
	char text[500];
	struct image im;

	snprintf(text, sizeof(text), script, 2000, 4096);
	image_make(&im, text);
	compare_tree(&im, NULL);
	image_free(&im);
	snprintf(text, sizeof(text), script, 5000, 1024); /* more than a list holds */
	image_make(&im, text);
	compare_tree(&im, NULL);
	image_free(&im);
}

/* ---- single facts ------------------------------------------------------------------------------- */

static int check_facts(struct fs *fs, void *arg)
{
	struct fs_stat st;
	uint32_t flags = 0;
	struct fsxattr fa;
	size_t len = sizeof(flags);

	sim_expect(view_stat(fs, "old", &st) == 0);
	sim_expect(st.rdev_major == 5 && st.rdev_minor == 1 && S_ISCHR(st.mode));
	sim_expect(view_stat(fs, "new", &st) == 0);
	sim_expect(st.rdev_major == 259 && st.rdev_minor == 7000 && S_ISBLK(st.mode));
	sim_expect(view_stat(fs, "f", &st) == 0);
	sim_expect(st.mtime.sec == 0x1ffffffff && st.mtime.nsec == 123456789);
	sim_expect(st.atime.sec == -2 && st.atime.nsec == 0);
	sim_expect(st.has_btime && st.btime.sec == 1000000000);
	sim_expect(st.generation == 77);
	sim_expect(fs->ops->ioctl(fs, st.ino, FS_IOC_GETFLAGS, NULL, NULL, 0, &flags, &len) == 0);
	sim_expect(len == 4 && (flags & FS_IMMUTABLE_FL) && (flags & FS_EXTENT_FL));
	len = sizeof(fa);
	sim_expect(fs->ops->ioctl(fs, st.ino, FS_IOC_FSGETXATTR, NULL, NULL, 0, &fa, &len) == 0);
	sim_expect(fa.fsx_xflags == FS_XFLAG_IMMUTABLE);
	sim_expect(view_stat(fs, "none", &st) == -ENOENT);
	sim_expect(view_stat(fs, "f/none", &st) == -ENOTDIR);
	sim_expect(fs->ops->getattr(fs, 2, &st) == -ESTALE);
	sim_expect(fs->is_read_only);
	return 0;
}

Test(ext4_read, devices_times_flags_and_generations_are_decoded)
{
	struct image im;

	image_make(
		&im,
		"echo x > $SRC/f; mkfs.ext4 -q -F -b 4096 -d $SRC $IMG 8M; debugfs -w -f - $IMG <<E\n"
		"mknod old c 5 1\nmknod new b 259 7000\nsif f mtime @0xffffffff\n"
		"sif f mtime_extra 0x1d6f3456\nsif f atime @-2\nsif f atime_extra 0\n"
		"sif f crtime @1000000000\nsif f generation 77\nsif f flags 0x80010\nE\n");
	cr_assert_eq(image_run(&im, NULL, check_facts, NULL), 0);
	image_free(&im);
}

static int check_seek(struct fs *fs, void *arg)
{
	static const struct {
		off_t from, data, hole;
	} facts[] = {
		{ 0, 8192, 0 },		  { 8191, 8192, 8191 },	    { 8192, 8192, 16384 },
		{ 9000, 9000, 16384 },	  { 16384, 65536, 16384 },  { 65540, 65540, 69632 },
		{ 69632, -ENXIO, 69632 }, { 99999, -ENXIO, 99999 }, { 100000, -ENXIO, -ENXIO },
	};
	struct fs_stat st;
	struct fs_file *file;

	sim_expect(fs->ops->lookup(fs, FS_ROOT_INO, "f", 1, &st) == 0);
	sim_expect(fs->ops->open(fs, st.ino, O_RDONLY, &file) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		sim_expect(fs->ops->lseek(fs, file, facts[i].from, SEEK_DATA) == facts[i].data);
		sim_expect(fs->ops->lseek(fs, file, facts[i].from, SEEK_HOLE) == facts[i].hole);
	}
	fs->ops->release(fs, file);
	return 0;
}

Test(ext4_read, seeking_finds_data_and_holes)
{
	struct image im;

	image_make(&im,
		   "truncate -s 100000 $SRC/f\n"
		   "printf x | dd of=$SRC/f bs=1 seek=8192 conv=notrunc\n"
		   "printf x | dd of=$SRC/f bs=1 seek=12288 conv=notrunc\n"
		   "printf x | dd of=$SRC/f bs=1 seek=65536 conv=notrunc\n"
		   "mkfs.ext4 -q -F -b 4096 -d $SRC $IMG 8M\n"
		   "debugfs -w -R 'fallocate f 20 22' $IMG\n"); /* unwritten: reads as a hole */
	cr_assert_eq(image_run(&im, NULL, check_seek, NULL), 0);
	image_free(&im);
}

static int check_unwritten(struct fs *fs, void *arg)
{
	uint8_t *bytes;
	size_t len;

	sim_expect(view_read(fs, "f", 4096, &bytes, &len) == 0);
	sim_expect(len == 40960 && bytes[0] == 'x');
	for (size_t i = 1; i < len; i++)
		sim_expect(bytes[i] == 0);
	free(bytes);
	return 0;
}

Test(ext4_read, unwritten_extents_read_as_zeros)
{
	struct image im;

	image_make(&im,
		   "printf x > $SRC/f; mkfs.ext4 -q -F -b 4096 -d $SRC $IMG 8M\n"
		   "debugfs -w -R 'fallocate f 1 9' $IMG; debugfs -w -R 'sif f size 40960' $IMG\n"
		   "B=$(debugfs -R 'bmap f 5' $IMG 2>/dev/null); tr '\\0' '\\377' </dev/zero | "
		   "dd of=$IMG bs=4096 seek=${B%% *} count=1 conv=notrunc iflag=fullblock\n");
	cr_assert_eq(image_run(&im, NULL, check_unwritten, NULL), 0);
	image_free(&im);
}

static int check_fakeroot(struct fs *fs, void *arg)
{
	struct fs_stat st;

	sim_expect(view_stat(fs, "f", &st) == 0 && st.uid == 12 && st.gid == 34);
	sim_expect(view_stat(fs, "", &st) == 0 && st.uid == 12 && st.gid == 34);
	return 0;
}

Test(ext4_read, fakeroot_owns_every_inode)
{
	const struct fs_mount_opts opts = {
		.is_read_only = true, .is_fakeroot = true, .uid = 12, .gid = 34
	};
	struct image im;

	image_make(&im, "touch $SRC/f; mkfs.ext4 -q -F -b 4096 -d $SRC $IMG 8M\n");
	cr_assert_eq(image_run(&im, &opts, check_fakeroot, NULL), 0);
	image_free(&im);
}

Test(ext4_read, a_backup_superblock_serves_when_the_first_is_lost)
{
	const struct fs_mount_opts opts = { .is_read_only = true,
					    .sb_block = 8193,
					    .cache_bytes = 1 << 20 };
	struct image im;

	image_make(&im, "echo hello > $SRC/f; mkfs.ext4 -q -F -b 1024 -d $SRC $IMG 20M\n"
			"dd if=/dev/zero of=$IMG bs=1024 seek=1 count=4 conv=notrunc\n");
	image_quiet(true);
	cr_assert_eq(image_run(&im, NULL, compare_all, NULL), -EINVAL);
	image_quiet(false);
	compare_tree(&im, &opts);
	image_free(&im);
}

/* ---- several readers ------------------------------------------------------------------------------ */

static struct completion readers_done;
static unsigned int readers_left;
static struct fs *readers_fs;

static unsigned int readers_bad;

/* Counted, since the expectations of the simulator mean nothing outside it. */
static void must(bool is_good)
{
	if (!is_good)
		__atomic_add_fetch(&readers_bad, 1, __ATOMIC_SEQ_CST);
}

static void reader(void *arg)
{
	for (size_t i = 0; i < paths_nr; i++) {
		struct fs_stat st;
		size_t at = (i * 7 + (uintptr_t)arg) % paths_nr, len;
		uint8_t *bytes;

		must(view_stat(readers_fs, paths[at], &st) == 0);
		if (S_ISREG(st.mode)) {
			must(view_read(readers_fs, paths[at], 50000, &bytes, &len) == 0);
			free(bytes);
		}
	}
	if (__atomic_sub_fetch(&readers_left, 1, __ATOMIC_SEQ_CST) == 0)
		complete(&readers_done);
}

static int read_together(struct fs *fs, void *arg)
{
	completion_init(&readers_done);
	readers_fs = fs;
	readers_left = 6;
	for (uintptr_t i = 0; i < 6; i++)
		sim_expect(rt_spawn_on(i % 2, reader, (void *)i, "reader") == 0);
	completion_wait(&readers_done);
	return readers_bad ? -EILSEQ : 0;
}

Test(ext4_read, readers_on_two_reactors_share_a_small_cache)
{
	const struct fs_mount_opts opts = { .is_read_only = true,
					    .cache_bytes = 32 << 10 }; /* far less than is read */
	struct image im;

	image_make(&im, "for d in 1 2 3 4 5 6 7 8 9; do mkdir $SRC/$d; for f in 1 2 3 4 5; do\n"
			"head -c 40000 /dev/urandom > $SRC/$d/$f; done; done\n"
			"mkfs.ext4 -q -F -b 1024 -d $SRC $IMG 16M\n");
	host = im.src;
	cr_assert(nftw(im.src, add_path, 20, FTW_PHYS) == 0);
	for (uint64_t seed = 1; seed <= 20; seed++)
		cr_assert_eq(image_run_seed(&im, &opts, seed, read_together, NULL), 0);
	cr_assert_eq(image_run_ring(&im, &opts, read_together, NULL), 0);
	image_free(&im);
}
