/* SPDX-License-Identifier: MIT */
/*
 * front.h - what the files of fs/fuse share.
 *
 * A request's way: a transport fills a struct ff_req -> ff_req_start() gives it a task -> decoded by
 * libfuse (session.c) or by wire.c (READ, WRITE, directories) -> an fs op -> ff_reply_*() puts the
 * answer where the transport wants it -> ff_req's release gives the payload back, after the op.
 *
 * Invariants: 1. A request lives and ends on one reactor; its lists are that reactor's.
 *             2. Each request is answered once at most; its payload is released once, after its op.
 *             3. Errors are negative everywhere; session.c and request.c turn the sign, once.
 */
#ifndef FS_FUSE_FRONT_H
#define FS_FUSE_FRONT_H

#include <errno.h>
#include <fcntl.h>

#include "base/list.h"
#include "base/sanitize.h"

#include "blkfs/fs.h"
#include "blkfs/fuse_front.h"
#include "blkfs/lock_order.h"
#include "blkfs/rt.h"

#include "fs/fuse/wire.h"

struct fuse_session;
struct fuse_req;
struct ff_req;
struct uring_cpu;
struct classic_chan;

#define FF_CONTROL_NAME ".blkfs"
#define FF_CONTROL_BIT (1ULL << 63) /* in node ids of the control tree */

enum { FF_IOPRIO_SLOTS = 64, FF_PATH_MAX = 4096, FF_TEXT_MAX = 192 };

/* Where a request came from and how its answer goes back. */
struct ff_transport {
	/* Puts the answer (header, then @iov) in its place. -ENOENT: nobody waits for it any more.
	 * Context: task of the request. */
	int (*reply)(struct ff_req *r, const struct fuse_out_header *out, const struct iovec *iov,
		     int iov_nr);
	/* The op has returned: the payload is the transport's again. @r is gone. Task or handler. */
	void (*release)(struct ff_req *r);
};

struct ff_req {
	struct fuse_front *ff;
	struct ff_cpu *cpu;
	const struct ff_transport *tr;
	struct wire_msg msg;	  /* valid until the answer or the release */
	struct fuse_in_header in; /* a copy: the answer may overwrite the original */
	void *payload;		  /* page aligned; WIRE_HEADROOM bytes before it are ours too */
	size_t payload_cap;
	struct fuse_req *lf;  /* libfuse's request while it decodes this one */
	struct ff_file *file; /* the open file it opens or names; NULL: none */
	bool is_replied;
	bool is_writeback;     /* a WRITE that the page cache sends */
	bool is_interrupted;   /* seen before it had a task: it comes back with EINTR */
	struct list_head node; /* [reactor] cpu->inflight or cpu->pending */
};

/* An open file or directory; its address is the kernel's fh. */
struct ff_file {
	struct fs *fs;
	struct fs_file *file;
	struct ff_cpu *cpu;    /* whose list it is on */
	struct list_head node; /* [reactor of cpu] */
	struct rt_msg msg;     /* takes it off that list */
	uint64_t nodeid;
	bool is_dir;
};

struct ff_ioprio_slot {
	pid_t pid;
	uint16_t ioprio;
	uint64_t until_ns;
};

struct ff_stats {
	uint64_t requests[WIRE_OPCODES_NR];
	uint64_t errors;
	uint64_t interrupts;
	uint64_t read_bytes;
	uint64_t write_bytes;
	uint64_t waited_for_task;
	uint64_t writebacks; /* WRITEs that came from the page cache */
};

/* One reactor's part. Written by its reactor only; counters are read from anywhere. */
struct ff_cpu {
	struct fuse_front *ff;
	unsigned int reactor;
	unsigned int inflight_nr;   /* [atomic], written by its reactor */
	unsigned int writebacks_nr; /* [atomic] WRITEs from the page cache, part of inflight_nr */
	unsigned int handed_nr;	    /* [atomic] requests on their way from other reactors */
	struct list_head inflight;  /* have a task */
	struct list_head pending;   /* wait for one */
	struct list_head files;
	struct classic_chan *chan; /* NULL: none here */
	struct uring_cpu *uring;   /* NULL: none */
	struct ff_ioprio_slot ioprio[FF_IOPRIO_SLOTS];
	struct ff_stats stats;
} __cacheline_aligned;

struct fuse_front {
	/* from the configuration */
	struct fs *fs;
	struct fs *control; /* NULL: not shown */
	enum fuse_front_control control_show;
	enum fuse_front_transport transport;
	unsigned int depth;
	unsigned int max_write;
	unsigned long mount_flags;
	bool allow_other;
	bool default_permissions;
	void (*on_cut)(void *ctx); /* NULL: nobody asks */
	void *ctx;
	char mountpoint[FF_PATH_MAX];

	/* from the mount, fixed since */
	int fd; /* /dev/fuse; libfuse's session closes it */
	struct fuse_session *se;
	bool is_blk;
	char loop_path[32];
	uint64_t connection;
	unsigned int possible_nr; /* CPUs that may ever be: as many queues has the kernel */
	uid_t owner;
	struct wire_init_result init;
	int init_err;
	struct completion init_done;

	/* changes while it runs */
	unsigned int mode;	/* [atomic] enum fuse_front_mode */
	unsigned int uring_err; /* [atomic] the errno that made a REGISTER fail */
	unsigned int live_nr;	/* [atomic] channels and ring entries that may still deliver */
	bool is_uring;		/* [atomic] the rings carry requests */
	bool is_closing;	/* [atomic] nothing is started any more */
	bool is_aborted;	/* [atomic] */
	bool is_fs_gone;	/* fs and control are unmounted */
	unsigned int
		syncs_nr; /* [atomic] fuse_front_sync() is at fs, or about to look at is_closing */
	int unmount_res;
	struct completion ended;  /* live_nr came to 0 */
	struct rt_io cut_io;	  /* hears that the connection is cut, whatever else is stuck */
	char reason[FF_TEXT_MAX]; /* why this transport; written before mount returns */
	struct attr_dir *attr_dir;

	unsigned int cpus_nr;
	struct ff_cpu *cpus;
};

/* Which file system a node id belongs to, and its number there. */
struct ff_node {
	struct fs *fs;
	uint64_t ino;
	uint64_t bit; /* FF_CONTROL_BIT or 0: put on each number told to the kernel */
};

static inline struct ff_node ff_node(const struct fuse_front *ff, uint64_t nodeid)
{
	uint64_t bit = nodeid & FF_CONTROL_BIT;

	return (struct ff_node){ bit && ff->control ? ff->control : ff->fs, nodeid & ~bit, bit };
}

/* The number that users see: the kernel knows the root as 1, its file system perhaps otherwise. */
static inline uint64_t ff_shown_ino(const struct ff_node *n, uint64_t ino)
{
	return (ino == FS_ROOT_INO && n->fs->shown_root_ino ? n->fs->shown_root_ino : ino) | n->bit;
}

/*
 * The handle that @r names. What one request did with it happens before the next one that names it:
 * the kernel orders them, which ThreadSanitizer is told here and in ff_req_send().
 */
static inline struct ff_file *ff_req_file(struct ff_req *r, uint64_t fh)
{
	r->file = (struct ff_file *)(uintptr_t)fh;
	san_acquire(r->file);
	return r->file;
}

static inline struct fs_cred ff_cred(const struct ff_req *r)
{
	return (struct fs_cred){ .uid = r->in.uid, .gid = r->in.gid, .pid = (pid_t)r->in.pid };
}

/* An op that @fs does not have: what the kernel is told for one that changes something. */
static inline int ff_no_change_op(const struct fs *fs, int otherwise)
{
	return fs->is_read_only ? -EROFS : otherwise;
}

/* ---- request.c --------------------------------------------------------------------------------- */

/* Takes a filled request (ff, cpu, tr, msg, payload) to its task. Context: handler. */
void ff_req_start(struct ff_req *r);
/* Answer; @err is 0 or negative. -ENOENT: the caller has gone, what was given is to be undone. */
int ff_reply_err(struct ff_req *r, int err);
int ff_reply_buf(struct ff_req *r, const void *buf, size_t len);
/* The low level of both: @out->unique is set here. */
int ff_req_send(struct ff_req *r, int err, const struct iovec *iov, int iov_nr);
/* Something that may deliver requests has gone (live_nr). */
void ff_live_put(struct fuse_front *ff);
void ff_live_get(struct fuse_front *ff);
/* Requests that have not ended, over all reactors. */
unsigned int ff_inflight_nr(const struct fuse_front *ff);
/*
 * Nothing is started any more; waits until @own_nr requests are left (1: the DESTROY that calls),
 * releases what the kernel left open, unmounts both file systems. Later calls do nothing.
 */
void ff_fs_end(struct fuse_front *ff, unsigned int own_nr);

/* ---- session.c: libfuse ------------------------------------------------------------------------- */

int __must_check ff_session_create(struct fuse_front *ff);
void ff_session_destroy(struct fuse_front *ff);
/* Lets libfuse decode @r and call the op. Context: task. */
void ff_session_decode(struct ff_req *r);
/* In an op that libfuse calls, first of all: whose request this is. */
struct ff_req *ff_req_adopt(struct fuse_req *lf);
extern const struct fs_front_ops ff_front_ops;

/* ---- ops: names.c, file.c, dir.c ---------------------------------------------------------------- */

struct fuse_lowlevel_ops;
void ff_names_ops(struct fuse_lowlevel_ops *ops);
void ff_file_ops(struct fuse_lowlevel_ops *ops);
void ff_dir_ops(struct fuse_lowlevel_ops *ops);
struct wire_ttl ff_ttl(const struct fs *fs);
/* May @r's caller see the control tree? */
bool ff_may_control(const struct ff_req *r);
int ff_reply_entry(struct ff_req *r, const struct ff_node *dir, const struct fs_stat *st);
/* file.c: a new handle, on this reactor's list. Owns @file when it returns 0. */
int __must_check ff_file_open(struct ff_req *r, const struct ff_node *n, struct fs_file *file,
			      bool is_dir, struct ff_file **out);
void ff_file_release(struct ff_file *f);
uint32_t ff_fopen_flags(const struct fuse_front *ff, const struct fs *fs, int flags);

/* Decoded without libfuse. */
void ff_op_read(struct ff_req *r);
void ff_op_write(struct ff_req *r);
void ff_op_readdir(struct ff_req *r);
void ff_op_syncfs(struct ff_req *r);
void ff_op_statx(struct ff_req *r);

/* ---- transports --------------------------------------------------------------------------------- */

/* classic.c. Context: task; the channel is the calling reactor's. @fd -1: a clone of ff->fd. */
int __must_check ff_classic_start(struct ff_cpu *cpu, int fd);
/* From now on it carries all: look at it each turn. */
void ff_classic_spin(struct ff_cpu *cpu);
void ff_classic_stop(struct ff_cpu *cpu); /* after it is dead */

/* uring.c. Context: task of @cpu's reactor. */
int __must_check ff_uring_start(struct ff_cpu *cpu);
void ff_uring_stop(struct ff_cpu *cpu);
/* front.c: a REGISTER failed; the kernel goes back to /dev/fuse. Handler. */
void ff_uring_failed(struct fuse_front *ff, int err);

/* ---- mount.c: the system calls, in an offload thread ---------------------------------------------- */

/* Sets ff->fd, is_blk, loop_path, connection, possible_nr, mountpoint. */
int __must_check ff_mount(struct fuse_front *ff, const struct fuse_front_config *cfg);
/* Context: thread. */
int __must_check ff_umount(struct fuse_front *ff, unsigned int flags);
void ff_conn_abort(struct fuse_front *ff);
/*
 * For what waits for our own answers: a thread of ours, or a process with our memory (the rings are
 * mapped there), would keep /dev/fuse open when the daemon is killed meanwhile, and wait for ever.
 * The exit status or -errno. Context: thread.
 */
int ff_run_program(char *const argv[]);

/* writeback.c: see fuse_front_write_back(). Context: thread. */
int ff_write_back(struct fuse_front *ff);

/* Root, after INIT: the page cache limits of an ordinary FUSE mount are those of a stranger's. */
void ff_bdi_tune(struct fuse_front *ff);

/* ---- attrs.c -------------------------------------------------------------------------------------- */

int __must_check ff_attrs_add(struct fuse_front *ff, struct attr_dir *parent);

#endif
