/* SPDX-License-Identifier: MIT */
/*
 * The in-memory double: see memfs.h. Small and slow on purpose, but for reads of `null`.
 *
 * Locks: one pthread mutex over the tree, held for memory work only, never over a task switch.
 * Nodes are never freed before unmount, so a number is never used twice.
 */
#include "tests/system/memfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/endian.h"
#include "base/list.h"

#include "blkfs/rt.h"

enum { XATTRS_MAX = 8, DATA_MAX = 64 << 20, PAGE = 4096 };

#define NULL_SIZE (4ULL << 30)
#define PATTERN_SIZE (1ULL << 30)

enum content { CONTENT_DATA, CONTENT_NULL, CONTENT_PATTERN, CONTENT_SLOW };

struct xattr {
	char *name;
	char *value;
	size_t size;
};

struct node {
	struct fs_stat st;
	enum content content;
	char *data; /* file bytes or symlink target */
	size_t cap;
	struct xattr xattrs[XATTRS_MAX];
	struct list_head names; /* struct name, of a directory */
	uint64_t nlookup;
	bool is_announced; /* to be looked up by number */
	uint64_t opens_nr;
	uint64_t parent;
	uint64_t next_cookie;
};

struct name {
	struct list_head node;
	char *name;
	size_t len;
	uint64_t ino;
	uint64_t cookie; /* readdir offset of the entry behind it */
};

struct memfs {
	struct fs fs;
	struct memfs_opts opts;
	pthread_mutex_t lock;
	struct node **table;
	size_t nodes_nr, table_cap;
};

struct fs_file {
	struct node *n;
};

static struct memfs *to_memfs(struct fs *fs)
{
	return container_of(fs, struct memfs, fs);
}

static struct fs_time now_time(void)
{
	uint64_t ns = rt_realtime();

	return (struct fs_time){ (int64_t)(ns / 1000000000), (uint32_t)(ns % 1000000000) };
}

/* ---- the tree; all under m->lock ---------------------------------------------------------------- */

static struct node *node_of(struct memfs *m, uint64_t ino)
{
	return ino >= 1 && ino <= m->nodes_nr ? m->table[ino - 1] : NULL;
}

static struct node *node_new(struct memfs *m, uint32_t mode)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	if (m->nodes_nr == m->table_cap) {
		size_t cap = m->table_cap ? m->table_cap * 2 : 1024;
		struct node **table = realloc(m->table, cap * sizeof(*table));

		if (!table) {
			free(n);
			return NULL;
		}
		m->table = table;
		m->table_cap = cap;
	}
	m->table[m->nodes_nr++] = n;
	INIT_LIST_HEAD(&n->names);
	n->st.ino = m->nodes_nr;
	n->st.mode = mode;
	n->st.nlink = S_ISDIR(mode) ? 2 : 1;
	n->st.blksize = PAGE;
	n->st.atime = n->st.mtime = n->st.ctime = n->st.btime = now_time();
	n->st.has_btime = true;
	n->next_cookie = 3;
	n->parent = FS_ROOT_INO;
	return n;
}

static struct name *name_find(struct node *dir, const char *name, size_t len)
{
	struct name *e;

	list_for_each_entry(e, &dir->names, node)
		if (e->len == len && memcmp(e->name, name, len) == 0)
			return e;
	return NULL;
}

static int name_add(struct node *dir, const char *name, size_t len, uint64_t ino)
{
	struct name *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->name = strndup(name, len);
	e->len = len;
	e->ino = ino;
	e->cookie = dir->next_cookie++;
	list_add_tail(&e->node, &dir->names);
	dir->st.mtime = dir->st.ctime = now_time();
	return 0;
}

static void name_del(struct name *e)
{
	list_del(&e->node);
	free(e->name);
	free(e);
}

static int make(struct memfs *m, uint64_t dir_ino, const char *name, size_t len, uint32_t mode,
		const struct fs_cred *cred, struct node **out)
{
	struct node *dir = node_of(m, dir_ino), *n;
	int err;

	if (m->fs.is_read_only)
		return -EROFS;
	if (!dir || !S_ISDIR(dir->st.mode) || dir->st.nlink == 0)
		return -ENOENT;
	if (name_find(dir, name, len))
		return -EEXIST;
	n = node_new(m, mode & ~(cred ? cred->umask : 0));
	if (!n)
		return -ENOMEM;
	if (cred) {
		n->st.uid = cred->uid;
		n->st.gid = cred->gid;
	}
	n->parent = dir_ino;
	err = name_add(dir, name, len, n->st.ino);
	*out = n;
	return err;
}

static void builtin(struct memfs *m, const char *name, enum content content, uint64_t size)
{
	struct node *n;
	bool was_read_only = m->fs.is_read_only;

	m->fs.is_read_only = false;
	if (make(m, FS_ROOT_INO, name, strlen(name), S_IFREG | 0644, NULL, &n) == 0) {
		n->content = content;
		n->st.size = size;
		n->st.blocks = size / 512;
	}
	m->fs.is_read_only = was_read_only;
}

/* ---- names --------------------------------------------------------------------------------------- */

static int mem_statfs(struct fs *fs, struct fs_statfs *out)
{
	*out = (struct fs_statfs){
		.blocks = 1 << 20,
		.bfree = 1 << 19,
		.bavail = 1 << 19,
		.files = 1 << 16,
		.ffree = 1 << 15,
		.bsize = PAGE,
		.frsize = PAGE,
		.namelen = FS_NAME_MAX,
	};
	return 0;
}

static int mem_lookup(struct fs *fs, uint64_t dir, const char *name, size_t len,
		      struct fs_stat *out)
{
	struct memfs *m = to_memfs(fs);
	struct node *d, *n;
	struct name *e;
	int err = -ENOENT;

	pthread_mutex_lock(&m->lock);
	d = node_of(m, dir);
	e = d ? name_find(d, name, len) : NULL;
	if (e) {
		n = node_of(m, e->ino);
		n->nlookup++;
		*out = n->st;
		err = 0;
	}
	pthread_mutex_unlock(&m->lock);
	return err;
}

/* Numbers that were announced; what is looked up by number must be among them. */
static void mem_will_lookup(struct fs *fs, const uint64_t *inos, unsigned int nr)
{
	struct memfs *m = to_memfs(fs);

	pthread_mutex_lock(&m->lock);
	for (unsigned int i = 0; i < nr; i++) {
		struct node *n = node_of(m, inos[i]);

		if (n)
			n->is_announced = true;
	}
	pthread_mutex_unlock(&m->lock);
}

static int mem_lookup_ino(struct fs *fs, uint64_t ino, struct fs_stat *out)
{
	struct memfs *m = to_memfs(fs);
	struct node *n;
	int err = -ESTALE;

	pthread_mutex_lock(&m->lock);
	n = node_of(m, ino);
	if (n && n->is_announced) {
		n->nlookup++;
		*out = n->st;
		err = 0;
	}
	pthread_mutex_unlock(&m->lock);
	return err;
}

static void mem_forget(struct fs *fs, uint64_t ino, uint64_t nlookup)
{
	struct memfs *m = to_memfs(fs);
	struct node *n;

	pthread_mutex_lock(&m->lock);
	n = node_of(m, ino);
	if (!n || n->nlookup < nlookup)
		fprintf(stderr, "memfs: forget of %llu: %llu of %llu\n", (unsigned long long)ino,
			(unsigned long long)nlookup, (unsigned long long)(n ? n->nlookup : 0));
	else
		n->nlookup -= nlookup;
	pthread_mutex_unlock(&m->lock);
}

static int mem_getattr(struct fs *fs, uint64_t ino, struct fs_stat *out)
{
	struct memfs *m = to_memfs(fs);
	struct node *n;

	pthread_mutex_lock(&m->lock);
	n = node_of(m, ino);
	if (n)
		*out = n->st;
	pthread_mutex_unlock(&m->lock);
	return n ? 0 : -ESTALE;
}

static int data_resize(struct node *n, uint64_t size)
{
	if (n->content != CONTENT_DATA || size > DATA_MAX)
		return -EFBIG;
	if (size > n->cap) {
		size_t cap = roundup_pow_of_two(size);
		char *data = realloc(n->data, cap);

		if (!data)
			return -ENOMEM;
		memset(data + n->cap, 0, cap - n->cap);
		n->data = data;
		n->cap = cap;
	}
	if (size < n->st.size)
		memset(n->data + size, 0, n->st.size - size);
	n->st.size = size;
	n->st.blocks = (size + 511) / 512;
	return 0;
}

static int mem_setattr(struct fs *fs, uint64_t ino, struct fs_file *file, unsigned int set,
		       const struct fs_stat *attr, const struct fs_cred *cred, struct fs_stat *out)
{
	struct memfs *m = to_memfs(fs);
	struct node *n;
	int err = 0;

	if (fs->is_read_only)
		return -EROFS;
	pthread_mutex_lock(&m->lock);
	n = node_of(m, ino);
	if (set & FS_SET_SIZE)
		err = data_resize(n, attr->size);
	if (set & FS_SET_MODE)
		n->st.mode = (n->st.mode & S_IFMT) | (attr->mode & 07777);
	if (set & FS_SET_UID)
		n->st.uid = attr->uid;
	if (set & FS_SET_GID)
		n->st.gid = attr->gid;
	if (set & FS_SET_KILL_SUID)
		n->st.mode &= ~(uint32_t)(S_ISUID | (n->st.mode & S_IXGRP ? S_ISGID : 0));
	if (set & (FS_SET_ATIME | FS_SET_ATIME_NOW))
		n->st.atime = set & FS_SET_ATIME_NOW ? now_time() : attr->atime;
	if (set & (FS_SET_MTIME | FS_SET_MTIME_NOW))
		n->st.mtime = set & FS_SET_MTIME_NOW ? now_time() : attr->mtime;
	n->st.ctime = set & FS_SET_CTIME ? attr->ctime : now_time();
	*out = n->st;
	pthread_mutex_unlock(&m->lock);
	return err;
}

static int made(struct memfs *m, struct node *n, int err, struct fs_stat *out)
{
	if (!err) {
		n->nlookup++;
		*out = n->st;
	}
	pthread_mutex_unlock(&m->lock);
	return err;
}

static int mem_mknod(struct fs *fs, uint64_t dir, const char *name, size_t len, mode_t mode,
		     dev_t rdev, const struct fs_cred *cred, struct fs_stat *out)
{
	struct memfs *m = to_memfs(fs);
	struct node *n = NULL;
	int err;

	pthread_mutex_lock(&m->lock);
	err = make(m, dir, name, len, mode, cred, &n);
	if (!err) {
		n->st.rdev_major = major(rdev);
		n->st.rdev_minor = minor(rdev);
	}
	return made(m, n, err, out);
}

static int mem_mkdir(struct fs *fs, uint64_t dir, const char *name, size_t len, mode_t mode,
		     const struct fs_cred *cred, struct fs_stat *out)
{
	struct memfs *m = to_memfs(fs);
	struct node *n = NULL;
	int err;

	pthread_mutex_lock(&m->lock);
	err = make(m, dir, name, len, S_IFDIR | mode, cred, &n);
	if (!err)
		node_of(m, dir)->st.nlink++;
	return made(m, n, err, out);
}

static int mem_symlink(struct fs *fs, uint64_t dir, const char *name, size_t len,
		       const char *target, const struct fs_cred *cred, struct fs_stat *out)
{
	struct memfs *m = to_memfs(fs);
	struct node *n = NULL;
	int err;

	pthread_mutex_lock(&m->lock);
	err = make(m, dir, name, len, S_IFLNK | 0777, cred, &n);
	if (!err) {
		n->st.mode = S_IFLNK | 0777;
		n->data = strdup(target);
		n->st.size = strlen(target);
	}
	return made(m, n, err, out);
}

static int mem_link(struct fs *fs, uint64_t ino, uint64_t dir, const char *name, size_t len,
		    struct fs_stat *out)
{
	struct memfs *m = to_memfs(fs);
	struct node *n, *d;
	int err;

	pthread_mutex_lock(&m->lock);
	n = node_of(m, ino);
	d = node_of(m, dir);
	err = m->fs.is_read_only ? -EROFS : name_find(d, name, len) ? -EEXIST : 0;
	if (!err)
		err = name_add(d, name, len, ino);
	if (!err)
		n->st.nlink++;
	return made(m, n, err, out);
}

static int mem_remove(struct memfs *m, uint64_t dir, const char *name, size_t len, bool is_rmdir)
{
	struct node *d = node_of(m, dir);
	struct name *e = name_find(d, name, len);
	struct node *n = e ? node_of(m, e->ino) : NULL;

	if (m->fs.is_read_only)
		return -EROFS;
	if (!n)
		return -ENOENT;
	if (is_rmdir && !S_ISDIR(n->st.mode))
		return -ENOTDIR;
	if (is_rmdir && !list_empty(&n->names))
		return -ENOTEMPTY;
	if (!is_rmdir && S_ISDIR(n->st.mode))
		return -EISDIR;
	n->st.nlink -= is_rmdir ? 2 : 1;
	if (is_rmdir)
		d->st.nlink--;
	name_del(e);
	return 0;
}

static int mem_unlink(struct fs *fs, uint64_t dir, const char *name, size_t len)
{
	struct memfs *m = to_memfs(fs);
	int err;

	pthread_mutex_lock(&m->lock);
	err = mem_remove(m, dir, name, len, false);
	pthread_mutex_unlock(&m->lock);
	return err;
}

static int mem_rmdir(struct fs *fs, uint64_t dir, const char *name, size_t len)
{
	struct memfs *m = to_memfs(fs);
	int err;

	pthread_mutex_lock(&m->lock);
	err = mem_remove(m, dir, name, len, true);
	pthread_mutex_unlock(&m->lock);
	return err;
}

static int mem_rename(struct fs *fs, uint64_t dir, const char *name, size_t len, uint64_t new_dir,
		      const char *new_name, size_t new_len, unsigned int flags)
{
	struct memfs *m = to_memfs(fs);
	struct name *from, *to;
	uint64_t ino;
	int err = 0;

	pthread_mutex_lock(&m->lock);
	from = name_find(node_of(m, dir), name, len);
	to = name_find(node_of(m, new_dir), new_name, new_len);
	if (!from) {
		err = -ENOENT;
	} else if (flags & RENAME_EXCHANGE) {
		err = to ? 0 : -ENOENT;
		if (to) {
			ino = from->ino;
			from->ino = to->ino;
			to->ino = ino;
		}
	} else if (to && (flags & RENAME_NOREPLACE)) {
		err = -EEXIST;
	} else {
		ino = from->ino;
		if (to)
			name_del(to);
		name_del(from);
		err = name_add(node_of(m, new_dir), new_name, new_len, ino);
	}
	pthread_mutex_unlock(&m->lock);
	return err;
}

static ssize_t mem_readlink(struct fs *fs, uint64_t ino, char *buf, size_t size)
{
	struct node *n = node_of(to_memfs(fs), ino);
	size_t len = min(strlen(n->data), size);

	memcpy(buf, n->data, len);
	return (ssize_t)len;
}

/* ---- xattrs -------------------------------------------------------------------------------------- */

static struct xattr *xattr_find(struct node *n, const char *name)
{
	for (size_t i = 0; i < XATTRS_MAX; i++)
		if (n->xattrs[i].name && strcmp(n->xattrs[i].name, name) == 0)
			return &n->xattrs[i];
	return NULL;
}

static ssize_t mem_getxattr(struct fs *fs, uint64_t ino, const char *name, void *buf, size_t size)
{
	struct xattr *x = xattr_find(node_of(to_memfs(fs), ino), name);

	if (!x)
		return -ENODATA;
	if (size == 0)
		return (ssize_t)x->size;
	if (size < x->size)
		return -ERANGE;
	memcpy(buf, x->value, x->size);
	return (ssize_t)x->size;
}

static ssize_t mem_listxattr(struct fs *fs, uint64_t ino, char *buf, size_t size)
{
	struct node *n = node_of(to_memfs(fs), ino);
	size_t len = 0;

	for (size_t i = 0; i < XATTRS_MAX; i++) {
		size_t name_len = n->xattrs[i].name ? strlen(n->xattrs[i].name) + 1 : 0;

		if (size && len + name_len > size)
			return -ERANGE;
		if (size && name_len)
			memcpy(buf + len, n->xattrs[i].name, name_len);
		len += name_len;
	}
	return (ssize_t)len;
}

static int mem_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value,
			size_t size, int flags)
{
	struct node *n = node_of(to_memfs(fs), ino);
	struct xattr *x = xattr_find(n, name);

	if (fs->is_read_only)
		return -EROFS;
	for (size_t i = 0; !x && i < XATTRS_MAX; i++)
		if (!n->xattrs[i].name)
			x = &n->xattrs[i];
	if (!x)
		return -ENOSPC;
	free(x->name);
	free(x->value);
	x->name = strdup(name);
	x->value = malloc(size + 1);
	memcpy(x->value, value, size);
	x->size = size;
	return 0;
}

static int mem_removexattr(struct fs *fs, uint64_t ino, const char *name)
{
	struct xattr *x = xattr_find(node_of(to_memfs(fs), ino), name);

	if (!x)
		return -ENODATA;
	free(x->name);
	free(x->value);
	*x = (struct xattr){ 0 };
	return 0;
}

/* ---- files --------------------------------------------------------------------------------------- */

static int mem_open(struct fs *fs, uint64_t ino, int flags, struct fs_file **out)
{
	struct memfs *m = to_memfs(fs);
	struct fs_file *f = malloc(sizeof(*f));
	struct node *n;

	if (!f)
		return -ENOMEM;
	pthread_mutex_lock(&m->lock);
	n = node_of(m, ino);
	n->opens_nr++;
	pthread_mutex_unlock(&m->lock);
	f->n = n;
	*out = f;
	return 0;
}

static void mem_release(struct fs *fs, struct fs_file *file)
{
	struct memfs *m = to_memfs(fs);

	pthread_mutex_lock(&m->lock);
	file->n->opens_nr--;
	pthread_mutex_unlock(&m->lock);
	free(file);
}

static int mem_create(struct fs *fs, uint64_t dir, const char *name, size_t len, mode_t mode,
		      int flags, const struct fs_cred *cred, struct fs_stat *out,
		      struct fs_file **file)
{
	int err = mem_mknod(fs, dir, name, len, S_IFREG | mode, 0, cred, out);

	return err ? err : mem_open(fs, out->ino, flags, file);
}

static void pattern_fill(uint64_t off, char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t word = cpu_to_le64((off + i) & ~7ULL);

		buf[i] = ((const char *)&word)[(off + i) & 7];
	}
}

static ssize_t mem_read(struct fs *fs, struct fs_file *file, struct fs_io *io)
{
	struct memfs *m = to_memfs(fs);
	struct node *n = file->n;
	uint64_t size = n->content == CONTENT_DATA ? 0 : n->st.size; /* that of data changes */
	size_t len = io->off >= size ? 0 : min_t(uint64_t, io->len, size - io->off);

	switch (n->content) {
	case CONTENT_NULL:
		if (m->opts.latency_us)
			rt_sleep_ns(m->opts.latency_us * 1000ULL);
		break;
	case CONTENT_SLOW:
		rt_sleep_ns(m->opts.slow_ms * 1000000ULL);
		pattern_fill(io->off, io->iov.iov_base, len);
		break;
	case CONTENT_PATTERN:
		pattern_fill(io->off, io->iov.iov_base, len);
		break;
	case CONTENT_DATA:
		pthread_mutex_lock(&m->lock);
		size = n->st.size;
		len = io->off >= size ? 0 : min_t(uint64_t, io->len, size - io->off);
		if (len)
			memcpy(io->iov.iov_base, n->data + io->off, len);
		pthread_mutex_unlock(&m->lock);
		break;
	}
	return (ssize_t)len;
}

static ssize_t mem_write(struct fs *fs, struct fs_file *file, struct fs_io *io)
{
	struct memfs *m = to_memfs(fs);
	struct node *n = file->n;
	int err = 0;

	if (n->content == CONTENT_NULL)
		return (ssize_t)io->len;
	if (n->content == CONTENT_SLOW)
		rt_sleep_ns(m->opts.slow_ms * 1000000ULL);
	pthread_mutex_lock(&m->lock);
	if (io->off + io->len > n->st.size)
		err = data_resize(n, io->off + io->len);
	if (n->content != CONTENT_DATA)
		err = -EPERM;
	if (!err) {
		memcpy(n->data + io->off, io->iov.iov_base, io->len);
		n->st.mtime = n->st.ctime = now_time();
	}
	pthread_mutex_unlock(&m->lock);
	return err ? err : (ssize_t)io->len;
}

static int mem_fsync(struct fs *fs, struct fs_file *file, bool is_datasync)
{
	return 0;
}

static int mem_fallocate(struct fs *fs, struct fs_file *file, int mode, off_t off, off_t len)
{
	struct memfs *m = to_memfs(fs);
	struct node *n = file->n;
	uint64_t end = (uint64_t)off + (uint64_t)len;
	int err = 0;

	pthread_mutex_lock(&m->lock);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		uint64_t stop = min(end, n->st.size);

		if ((uint64_t)off < stop)
			memset(n->data + off, 0, stop - (uint64_t)off);
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > n->st.size)
		err = data_resize(n, end);
	pthread_mutex_unlock(&m->lock);
	return err;
}

static off_t mem_lseek(struct fs *fs, struct fs_file *file, off_t off, int whence)
{
	struct memfs *m = to_memfs(fs);
	off_t size;

	pthread_mutex_lock(&m->lock);
	size = (off_t)file->n->st.size;
	pthread_mutex_unlock(&m->lock);
	if (off < 0 || off >= size)
		return -ENXIO;
	return whence == SEEK_HOLE ? size : off;
}

static int mem_ioctl(struct fs *fs, uint64_t ino, unsigned int cmd, const struct fs_cred *cred,
		     const void *in, size_t in_len, void *out, size_t *out_len)
{
	struct node *n = node_of(to_memfs(fs), ino);

	if (cmd == (unsigned int)FS_IOC_GETFLAGS && *out_len >= sizeof(n->st.flags)) {
		memcpy(out, &n->st.flags, sizeof(n->st.flags));
		*out_len = sizeof(n->st.flags);
		return 0;
	}
	/* The kernel asks for it before it changes the flags. */
	if (cmd == (unsigned int)FS_IOC_FSGETXATTR && *out_len >= sizeof(struct fsxattr)) {
		memset(out, 0, sizeof(struct fsxattr));
		*out_len = sizeof(struct fsxattr);
		return 0;
	}
	if (cmd == (unsigned int)FS_IOC_SETFLAGS && in_len >= sizeof(n->st.flags)) {
		memcpy(&n->st.flags, in, sizeof(n->st.flags));
		*out_len = 0;
		return 0;
	}
	return -ENOTTY;
}

/* ---- directories ---------------------------------------------------------------------------------- */

static int mem_opendir(struct fs *fs, uint64_t ino, struct fs_file **out)
{
	return mem_open(fs, ino, O_RDONLY, out);
}

static int mem_readdir(struct fs *fs, struct fs_file *dir, uint64_t off, fs_dirent_fn emit,
		       void *ctx)
{
	struct memfs *m = to_memfs(fs);
	struct node *d = dir->n;
	struct name *e;
	int stop = 0;

	if (off < 1 && emit(ctx, ".", 1, d->st.ino, DT_DIR, 1))
		return 0;
	if (off < 2 && emit(ctx, "..", 2, d->parent, DT_DIR, 2))
		return 0;
	pthread_mutex_lock(&m->lock);
	list_for_each_entry(e, &d->names, node) {
		if (e->cookie <= off)
			continue;
		stop = emit(ctx, e->name, e->len, e->ino,
			    (node_of(m, e->ino)->st.mode & S_IFMT) >> 12, e->cookie);
		if (stop)
			break;
	}
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static void event(struct memfs *m, const char *what)
{
	if (m->opts.event)
		m->opts.event(what);
}

static int mem_sync(struct fs *fs)
{
	struct memfs *m = to_memfs(fs);

	if (m->opts.sync_ms)
		rt_sleep_ns(m->opts.sync_ms * 1000000ULL);
	event(m, "sync");
	return 0;
}

/* An open file or a directory walk that is left here is a bug of the front. */
static int mem_unmount(struct fs *fs)
{
	struct memfs *m = to_memfs(fs);
	int err = 0;

	for (size_t i = 0; i < m->nodes_nr; i++) {
		struct node *n = m->table[i];

		if (n->opens_nr) {
			fprintf(stderr, "memfs: node %zu is still open %llu times\n", i + 1,
				(unsigned long long)n->opens_nr);
			err = -EBUSY;
		}
		while (!list_empty(&n->names))
			name_del(list_first_entry(&n->names, struct name, node));
		for (size_t x = 0; x < XATTRS_MAX; x++) {
			free(n->xattrs[x].name);
			free(n->xattrs[x].value);
		}
		free(n->data);
		free(n);
	}
	event(m, "unmount");
	free(m->table);
	free(m);
	return err;
}

static const struct fs_ops mem_ops = {
	.statfs = mem_statfs,
	.lookup = mem_lookup,
	.will_lookup = mem_will_lookup,
	.lookup_ino = mem_lookup_ino,
	.forget = mem_forget,
	.getattr = mem_getattr,
	.open = mem_open,
	.release = mem_release,
	.read = mem_read,
	.opendir = mem_opendir,
	.readdir = mem_readdir,
	.sync = mem_sync,
	.unmount = mem_unmount,
	.readlink = mem_readlink,
	.getxattr = mem_getxattr,
	.listxattr = mem_listxattr,
	.lseek = mem_lseek,
	.ioctl = mem_ioctl,
	.write = mem_write,
	.fsync = mem_fsync,
	.fallocate = mem_fallocate,
	.setattr = mem_setattr,
	.create = mem_create,
	.mknod = mem_mknod,
	.mkdir = mem_mkdir,
	.symlink = mem_symlink,
	.link = mem_link,
	.unlink = mem_unlink,
	.rmdir = mem_rmdir,
	.rename = mem_rename,
	.setxattr = mem_setxattr,
	.removexattr = mem_removexattr,
};

static void many_fill(struct memfs *m)
{
	struct node *dir, *n;
	char name[32];

	if (make(m, FS_ROOT_INO, "many", 4, S_IFDIR | 0755, NULL, &dir))
		return;
	for (unsigned int i = 0; i < m->opts.names_nr; i++) {
		int len = snprintf(name, sizeof(name), "name-%05u", i);

		if (make(m, dir->st.ino, name, (size_t)len, S_IFREG | 0644, NULL, &n))
			return;
		n->st.size = i;
	}
}

int memfs_create(const struct memfs_opts *opts, struct fs **out)
{
	struct memfs *m = calloc(1, sizeof(*m));

	if (!m || !node_new(m, S_IFDIR | 0755)) {
		free(m);
		return -ENOMEM;
	}
	m->fs.ops = &mem_ops;
	m->fs.type = opts->type;
	m->fs.is_cacheable = !opts->is_uncached;
	m->fs.has_fixed_content = opts->is_read_only && !opts->is_uncached;
	m->fs.dio_align_bytes = opts->dio_align_bytes;
	m->opts = *opts;
	pthread_mutex_init(&m->lock, NULL);
	many_fill(m);
	builtin(m, "null", CONTENT_NULL, NULL_SIZE);
	builtin(m, "pattern", CONTENT_PATTERN, PATTERN_SIZE);
	builtin(m, "slow", CONTENT_SLOW, PATTERN_SIZE);
	m->fs.is_read_only = opts->is_read_only;
	*out = &m->fs;
	return 0;
}
