/* SPDX-License-Identifier: MIT */
/*
 * attr.h - how a room publishes what can be read or set.
 *
 * A room describes its files as a const array of {name, mode, show, store} and registers it with
 * the object that they speak of. fs/control renders the tree as files below .blkfs/ and over the
 * socket, and knows nobody. The tree is a registry of one process.
 *
 * Context: register and unregister from tasks and threads, and from a show or store of other files.
 * show may be called by any task or control thread, several at once: it reads atomics or what does
 * not change, asks rt_call_on() for what a reactor owns, and never waits for I/O. store runs in a
 * task that holds no FUSE request, no tag and no lock; it may sleep.
 * An unregister returns when no show or store of the directory is running any more.
 */
#ifndef BLKFS_ATTR_H
#define BLKFS_ATTR_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/strbuf.h"

struct attr {
	const char *name;
	uint16_t mode; /* 0444, 0644, 0200 */
	/* Appends the text, as Linux formats it, newline included. 0 or -errno. */
	int (*show)(void *obj, struct strbuf *out);
	/*
	 * @buf is NUL-terminated, @len without it; one trailing newline may be there. 0 or -errno
	 * as Linux answers a bad value; the room logs a line that says what is allowed.
	 */
	int (*store)(void *obj, const char *buf, size_t len);
};

struct attr_dir;

/* The root: `.blkfs/` itself. */
struct attr_dir *attr_root(void);

/*
 * attr_dir_add - a directory @name ("queue", or a path "mq/0") below @parent with the files of
 * @attrs. Missing directories on the path are made and stay until their last child goes; one that
 * was made so may be added in its own name later.
 * The strings and @attrs live as long as the directory; @name is copied.
 * Fails: -EEXIST, -ENOMEM, -EINVAL (a name with '/' in an attr, or empty).
 */
int __must_check attr_dir_add(struct attr_dir *parent, const char *name, const struct attr *attrs,
			      size_t attrs_nr, void *obj, struct attr_dir **out);

/* More files in an existing directory (two rooms may fill queue/). Gone with the directory, or by
 * attr_dir_unfill, which takes the same @attrs and @obj back. */
int __must_check attr_dir_fill(struct attr_dir *dir, const struct attr *attrs, size_t attrs_nr,
			       void *obj);
void attr_dir_unfill(struct attr_dir *dir, const struct attr *attrs, void *obj);

/* Removes the directory with all below it. NULL is nothing; the root is emptied and stays. */
void attr_dir_del(struct attr_dir *dir);

/*
 * attr_set_pause - how an unregister that meets a running show or store waits: @pause is called
 * until none is left. Without it the thread blocks, which must not happen to a thread that the
 * show itself needs to go on.
 */
void attr_set_pause(void (*pause)(void));

/* ---- for renderers ------------------------------------------------------------------------ */

struct attr_info {
	const char *name;
	uint16_t mode; /* with S_IFDIR or S_IFREG */
	uint64_t ino;  /* unique in the tree, stable while the entry lives; the root is 1 */
};

/* @path relative to the root, "" for it. 0, -ENOENT, -ENOTDIR. name in @out is the path's tail. */
int __must_check attr_lookup(const char *path, struct attr_info *out);
/* The entry numbered @ino: its path is put in @path. -ENOENT when it is gone, -ENAMETOOLONG. */
int __must_check attr_path_of(uint64_t ino, char *path, size_t path_size, struct attr_info *out);
/* Calls @emit for each entry that a directory has at this moment, "hctx9" before "hctx10"; no lock
 * is held. A non-zero return of @emit ends the walk and is returned. -ENOENT, -ENOTDIR, -ENOMEM. */
int __must_check attr_list(const char *path, int (*emit)(void *ctx, const struct attr_info *info),
			   void *ctx);
/* -EISDIR, -ENOENT, -EACCES (no show / no store), or what show/store answered. */
int __must_check attr_show(const char *path, struct strbuf *out);
int __must_check attr_store(const char *path, const char *buf, size_t len);

#endif
