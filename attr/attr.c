/* SPDX-License-Identifier: MIT */
/*
 * The tree of attributes.
 *
 * A1. A name is in a directory once, be it a file or a directory.
 * A2. A number is never used again; what is in the tree is in `index` under its number, and only
 *     that.
 * A3. show and store run without the lock, between files_get and files_put. What is unlinked is
 *     freed when its users are gone, and nobody can become a user after the unlink.
 * A4. An implicit directory (made for a path) has a child.
 * Locks: tree_lock guards all of it; held for moments, never while anything is called.
 */
#include "blkfs/attr.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/list.h"
#include "base/rbtree.h"

/* The numbers [first, first + nr) of one directory (files NULL) or of one set of files. */
struct ino_range {
	struct rb_node node;
	uint64_t first;
	uint64_t nr;
	struct attr_dir *dir;
	struct attr_files *files;
};

struct attr_files {
	struct list_head node;
	const struct attr *attrs;
	size_t attrs_nr;
	void *obj;
	unsigned int users_nr; /* shows and stores that are running */
	struct ino_range range;
};

struct attr_dir {
	struct attr_dir *parent; /* NULL: the root */
	struct list_head node;
	struct list_head dirs;
	struct list_head files;
	struct ino_range range;
	bool is_implicit;
	char *name;
};

struct entry {
	struct attr_dir *dir;	  /* the directory, or the one that holds the file */
	struct attr_files *files; /* NULL: a directory */
	const struct attr *attr;
};

static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t users_gone = PTHREAD_COND_INITIALIZER;
static void (*pause_fn)(void);
static uint64_t next_ino = 2;
static struct attr_dir root = {
	.dirs = LIST_HEAD_INIT(root.dirs),
	.files = LIST_HEAD_INIT(root.files),
	.range = { .first = 1, .nr = 1, .dir = &root },
	.name = (char[]){ "" },
};
static struct rb_root index_root = { &root.range.node };

/* ---- numbers ------------------------------------------------------------------------------- */

static bool range_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct ino_range, node)->first <
	       rb_entry(b, struct ino_range, node)->first;
}

static int range_cmp(const void *key, const struct rb_node *node)
{
	const struct ino_range *range = rb_entry(node, struct ino_range, node);
	uint64_t ino = *(const uint64_t *)key;

	if (ino < range->first)
		return -1;
	return ino >= range->first + range->nr;
}

static void range_add(struct ino_range *range, uint64_t nr, struct attr_dir *dir,
		      struct attr_files *files)
{
	range->first = next_ino;
	range->nr = nr;
	range->dir = dir;
	range->files = files;
	next_ino += nr;
	rb_add(&range->node, &index_root, range_less);
}

/* ---- looking up, under the lock -------------------------------------------------------------- */

static bool name_is(const char *name, const char *text, size_t len)
{
	return strncmp(name, text, len) == 0 && name[len] == '\0';
}

static struct attr_dir *find_dir(const struct attr_dir *dir, const char *name, size_t len)
{
	struct attr_dir *child;

	list_for_each_entry(child, &dir->dirs, node)
		if (name_is(child->name, name, len))
			return child;
	return NULL;
}

static bool find_file(struct attr_dir *dir, const char *name, size_t len, struct entry *out)
{
	struct attr_files *files;

	list_for_each_entry(files, &dir->files, node)
		for (size_t i = 0; i < files->attrs_nr; i++)
			if (name_is(files->attrs[i].name, name, len)) {
				*out = (struct entry){ dir, files, &files->attrs[i] };
				return true;
			}
	return false;
}

static int walk(const char *path, struct entry *out)
{
	struct attr_dir *dir = &root;
	size_t len;

	while (*path) {
		struct attr_dir *child;

		len = strcspn(path, "/");
		child = find_dir(dir, path, len);
		if (!child && !find_file(dir, path, len, out))
			return -ENOENT;
		path += len;
		if (!child)
			return *path ? -ENOTDIR : 0;
		if (*path && !*++path)
			return -ENOENT;
		dir = child;
	}
	*out = (struct entry){ .dir = dir };
	return 0;
}

static void fill_info(const struct entry *e, const char *name, struct attr_info *out)
{
	out->name = name;
	if (e->attr) {
		out->mode = S_IFREG | e->attr->mode;
		out->ino = e->files->range.first + (uint64_t)(e->attr - e->files->attrs);
	} else {
		out->mode = S_IFDIR | 0555;
		out->ino = e->dir->range.first;
	}
}

/* ---- users of a set of files (A3) ------------------------------------------------------------ */

static void files_put(struct attr_files *files)
{
	pthread_mutex_lock(&tree_lock);
	if (--files->users_nr == 0)
		pthread_cond_broadcast(&users_gone);
	pthread_mutex_unlock(&tree_lock);
}

/* On success the file cannot go until files_put(). */
static int files_get(const char *path, struct entry *out)
{
	int err;

	pthread_mutex_lock(&tree_lock);
	err = walk(path, out);
	if (!err && !out->attr)
		err = -EISDIR;
	if (!err)
		out->files->users_nr++;
	pthread_mutex_unlock(&tree_lock);
	return err;
}

/* The lock is held on entry and return, not between. */
static void files_drain_and_free(struct attr_files *files)
{
	while (files->users_nr) {
		void (*pause)(void) = pause_fn;

		if (!pause) {
			pthread_cond_wait(&users_gone, &tree_lock);
			continue;
		}
		pthread_mutex_unlock(&tree_lock);
		pause();
		pthread_mutex_lock(&tree_lock);
	}
	free(files);
}

/* ---- building and taking down, under the lock ------------------------------------------------ */

static bool is_good_name(const char *name, size_t len)
{
	return len && !memchr(name, '/', len) && strncmp(name, ".", len) != 0 &&
	       strncmp(name, "..", len) != 0;
}

static bool is_good_path(const char *path)
{
	size_t len = strcspn(path, "/");

	return is_good_name(path, len) && (!path[len] || is_good_path(path + len + 1));
}

/* May @attrs join @dir? */
static int check_attrs(struct attr_dir *dir, const struct attr *attrs, size_t attrs_nr)
{
	struct entry e;

	for (size_t i = 0; i < attrs_nr; i++) {
		const char *name = attrs[i].name;
		size_t len = name ? strlen(name) : 0;

		if (!len || !is_good_name(name, len))
			return -EINVAL;
		if (find_dir(dir, name, len) || find_file(dir, name, len, &e))
			return -EEXIST;
		for (size_t j = 0; j < i; j++)
			if (strcmp(attrs[j].name, name) == 0)
				return -EEXIST;
	}
	return 0;
}

static int fill(struct attr_dir *dir, const struct attr *attrs, size_t attrs_nr, void *obj)
{
	struct attr_files *files;
	int err = check_attrs(dir, attrs, attrs_nr);

	if (err || !attrs_nr)
		return err;
	files = calloc(1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	files->attrs = attrs;
	files->attrs_nr = attrs_nr;
	files->obj = obj;
	list_add_tail(&files->node, &dir->files);
	range_add(&files->range, attrs_nr, dir, files);
	return 0;
}

static struct attr_dir *make_dir(struct attr_dir *parent, const char *name, size_t len)
{
	struct attr_dir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return NULL;
	dir->name = strndup(name, len);
	if (!dir->name) {
		free(dir);
		return NULL;
	}
	INIT_LIST_HEAD(&dir->dirs);
	INIT_LIST_HEAD(&dir->files);
	dir->parent = parent;
	dir->is_implicit = true;
	list_add_tail(&dir->node, &parent->dirs);
	range_add(&dir->range, 1, dir, NULL);
	return dir;
}

/* A4, from @dir upwards. */
static void prune(struct attr_dir *dir)
{
	while (dir->is_implicit && list_empty(&dir->dirs)) {
		struct attr_dir *parent = dir->parent;

		list_del(&dir->node);
		rb_erase(&dir->range.node, &index_root);
		free(dir->name);
		free(dir);
		dir = parent;
	}
}

/* Walks @path below @dir, making what is missing. -EEXIST: a file is in the way. */
static int make_path(struct attr_dir **dir, const char *path)
{
	struct entry e;

	for (;;) {
		size_t len = strcspn(path, "/");
		struct attr_dir *child = find_dir(*dir, path, len);

		if (!child && find_file(*dir, path, len, &e))
			return -EEXIST;
		if (!child)
			child = make_dir(*dir, path, len);
		if (!child)
			return -ENOMEM;
		*dir = child;
		if (!path[len])
			return 0;
		path += len + 1;
	}
}

/* Out of reach: nobody finds @dir or its files any more. */
static void unlink_tree(struct attr_dir *dir)
{
	struct attr_dir *child;
	struct attr_files *files;

	list_for_each_entry(child, &dir->dirs, node)
		unlink_tree(child);
	list_for_each_entry(files, &dir->files, node)
		rb_erase(&files->range.node, &index_root);
	if (dir != &root)
		rb_erase(&dir->range.node, &index_root);
}

static void free_tree(struct list_head *dirs, struct list_head *filess)
{
	while (!list_empty(dirs)) {
		struct attr_dir *dir = list_first_entry(dirs, struct attr_dir, node);

		list_del(&dir->node);
		free_tree(&dir->dirs, &dir->files);
		free(dir->name);
		free(dir);
	}
	while (!list_empty(filess)) {
		struct attr_files *files = list_first_entry(filess, struct attr_files, node);

		list_del(&files->node);
		files_drain_and_free(files);
	}
}

/* ---- for rooms -------------------------------------------------------------------------------- */

struct attr_dir *attr_root(void)
{
	return &root;
}

void attr_set_pause(void (*pause)(void))
{
	pthread_mutex_lock(&tree_lock);
	pause_fn = pause;
	pthread_mutex_unlock(&tree_lock);
}

int attr_dir_fill(struct attr_dir *dir, const struct attr *attrs, size_t attrs_nr, void *obj)
{
	int err;

	pthread_mutex_lock(&tree_lock);
	err = fill(dir, attrs, attrs_nr, obj);
	pthread_mutex_unlock(&tree_lock);
	return err;
}

int attr_dir_add(struct attr_dir *parent, const char *name, const struct attr *attrs,
		 size_t attrs_nr, void *obj, struct attr_dir **out)
{
	struct attr_dir *dir = parent;
	int err;

	if (!is_good_path(name))
		return -EINVAL;
	pthread_mutex_lock(&tree_lock);
	err = make_path(&dir, name);
	if (!err && !dir->is_implicit)
		err = -EEXIST;
	if (!err)
		err = fill(dir, attrs, attrs_nr, obj);
	if (err) {
		prune(dir);
	} else {
		dir->is_implicit = false;
		*out = dir;
	}
	pthread_mutex_unlock(&tree_lock);
	return err;
}

void attr_dir_unfill(struct attr_dir *dir, const struct attr *attrs, void *obj)
{
	struct attr_files *files;

	pthread_mutex_lock(&tree_lock);
	list_for_each_entry(files, &dir->files, node)
		if (files->attrs == attrs && files->obj == obj) {
			list_del(&files->node);
			rb_erase(&files->range.node, &index_root);
			files_drain_and_free(files);
			break;
		}
	pthread_mutex_unlock(&tree_lock);
}

void attr_dir_del(struct attr_dir *dir)
{
	LIST_HEAD(dirs);
	LIST_HEAD(files);

	if (!dir)
		return;
	pthread_mutex_lock(&tree_lock);
	unlink_tree(dir);
	if (dir == &root) {
		list_splice_init(&root.dirs, &dirs);
		list_splice_init(&root.files, &files);
	} else {
		list_move(&dir->node, &dirs);
		prune(dir->parent);
	}
	free_tree(&dirs, &files);
	pthread_mutex_unlock(&tree_lock);
}

/* ---- for renderers ---------------------------------------------------------------------------- */

int attr_lookup(const char *path, struct attr_info *out)
{
	const char *slash = strrchr(path, '/');
	struct entry e;
	int err;

	pthread_mutex_lock(&tree_lock);
	err = walk(path, &e);
	if (!err)
		fill_info(&e, slash ? slash + 1 : path, out);
	pthread_mutex_unlock(&tree_lock);
	return err;
}

/* Puts "@name/" in front of what @path holds from *@at on; false: no room. */
static bool prepend(char *path, size_t *at, const char *name)
{
	size_t len = strlen(name);
	bool is_last = path[*at] == '\0';

	if (len + !is_last > *at)
		return false;
	if (!is_last)
		path[--*at] = '/';
	*at -= len;
	memcpy(path + *at, name, len);
	return true;
}

static int render_path(const struct entry *e, char *path, size_t path_size)
{
	size_t at = path_size - 1;
	bool fits = true;

	path[at] = '\0';
	if (e->attr)
		fits = prepend(path, &at, e->attr->name);
	for (const struct attr_dir *dir = e->dir; fits && dir->parent; dir = dir->parent)
		fits = prepend(path, &at, dir->name);
	if (!fits)
		return -ENAMETOOLONG;
	memmove(path, path + at, path_size - at);
	return 0;
}

int attr_path_of(uint64_t ino, char *path, size_t path_size, struct attr_info *out)
{
	struct rb_node *node;
	int err = -ENOENT;

	pthread_mutex_lock(&tree_lock);
	node = rb_find(&ino, &index_root, range_cmp);
	if (node) {
		struct ino_range *range = rb_entry(node, struct ino_range, node);
		struct entry e = { .dir = range->dir, .files = range->files };

		if (e.files)
			e.attr = &e.files->attrs[ino - range->first];
		err = render_path(&e, path, path_size);
		if (!err) {
			const char *slash = strrchr(path, '/');

			fill_info(&e, slash ? slash + 1 : path, out);
		}
	}
	pthread_mutex_unlock(&tree_lock);
	return err;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* By characters, but runs of digits by their value. */
static int natural_cmp(const char *a, const char *b)
{
	while (*a && *b) {
		if (is_digit(*a) && is_digit(*b)) {
			char *a_end, *b_end;
			unsigned long long x = strtoull(a, &a_end, 10), y = strtoull(b, &b_end, 10);

			if (x != y)
				return x < y ? -1 : 1;
			a = a_end;
			b = b_end;
			continue;
		}
		if (*a != *b)
			break;
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

static int info_cmp(const void *a, const void *b)
{
	const struct attr_info *x = a, *y = b;
	int order = natural_cmp(x->name, y->name);

	return order ? order : strcmp(x->name, y->name);
}

/* What a listing copied, so that @emit runs without the lock. */
struct listing {
	struct attr_info *infos;
	size_t infos_nr;
	size_t infos_max;
};

static int listing_add(struct listing *l, const struct entry *e, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	if (l->infos_nr == l->infos_max) {
		size_t more = l->infos_max ? 2 * l->infos_max : 64;
		struct attr_info *infos = realloc(l->infos, more * sizeof(*infos));

		if (!infos) {
			free(copy);
			return -ENOMEM;
		}
		l->infos = infos;
		l->infos_max = more;
	}
	fill_info(e, copy, &l->infos[l->infos_nr++]);
	return 0;
}

static int listing_read(struct listing *l, struct attr_dir *dir)
{
	struct attr_dir *child;
	struct attr_files *files;
	int err = 0;

	list_for_each_entry(child, &dir->dirs, node) {
		struct entry e = { .dir = child };

		err = err ? err : listing_add(l, &e, child->name);
	}
	list_for_each_entry(files, &dir->files, node)
		for (size_t i = 0; i < files->attrs_nr && !err; i++) {
			struct entry e = { dir, files, &files->attrs[i] };

			err = listing_add(l, &e, e.attr->name);
		}
	return err;
}

int attr_list(const char *path, int (*emit)(void *ctx, const struct attr_info *info), void *ctx)
{
	struct listing l = { 0 };
	struct entry e;
	int err;

	pthread_mutex_lock(&tree_lock);
	err = walk(path, &e);
	if (!err)
		err = e.attr ? -ENOTDIR : listing_read(&l, e.dir);
	pthread_mutex_unlock(&tree_lock);
	if (!err && l.infos_nr)
		qsort(l.infos, l.infos_nr, sizeof(*l.infos), info_cmp);
	for (size_t i = 0; i < l.infos_nr; i++) {
		if (!err)
			err = emit(ctx, &l.infos[i]);
		free((void *)(uintptr_t)l.infos[i].name);
	}
	free(l.infos);
	return err;
}

int attr_store(const char *path, const char *buf, size_t len)
{
	struct entry e;
	int err = files_get(path, &e);

	if (err)
		return err;
	err = e.attr->store ? e.attr->store(e.files->obj, buf, len) : -EACCES;
	files_put(e.files);
	return err;
}

int attr_show(const char *path, struct strbuf *out)
{
	struct entry e;
	int err = files_get(path, &e);

	if (err)
		return err;
	err = e.attr->show ? e.attr->show(e.files->obj, out) : -EACCES;
	files_put(e.files);
	return err;
}
