/* SPDX-License-Identifier: MIT */
/*
 * elevator.h - what an I/O scheduler gives to the block layer; slots and names are Linux's.
 *
 * Where the slots run. Without ELEVATOR_F_HOME everything about a request happens on the reactor
 * that submitted it, and the elevator keeps its data per reactor (hctx->sched_data is shared by the
 * reactors of the hctx: index it by rt_reactor_id()). With ELEVATOR_F_HOME (it orders globally) the
 * slots marked [home] run on q->elevator->home only; the core posts requests there and back.
 * Slots are handlers: they do not sleep, but for init and exit, which run in a task while the queue
 * is frozen.
 */
#ifndef BLK_ELEVATOR_H
#define BLK_ELEVATOR_H

#include "blkfs/attr.h"
#include "blkfs/driver.h"

struct blk_mq_alloc_data;
struct elevator_queue;
struct elevator_type;

enum elv_merge {
	ELEVATOR_NO_MERGE,
	ELEVATOR_FRONT_MERGE,
	ELEVATOR_BACK_MERGE,
	ELEVATOR_DISCARD_MERGE,
};

enum elevator_flags {
	ELEVATOR_F_HOME = 1 << 0, /* orders globally: everything is posted to its home reactor */
};

struct elevator_mq_ops {
	/* Mandatory. Sets eq->elevator_data. Task, frozen. 0 or -errno. */
	int (*init_sched)(struct request_queue *q, struct elevator_queue *eq);
	/* Optional. Task, frozen: no request is left. */
	void (*exit_sched)(struct elevator_queue *eq);
	int (*init_hctx)(struct blk_mq_hw_ctx *hctx, unsigned int hctx_idx);
	void (*exit_hctx)(struct blk_mq_hw_ctx *hctx, unsigned int hctx_idx);
	/* Optional. q->nr_requests changed. Task, frozen. */
	void (*depth_updated)(struct request_queue *q);

	/* Optional [home]. May @bio be merged into @rq? (beyond the core's own rules) */
	bool (*allow_merge)(struct request_queue *q, struct request *rq, struct bio *bio);
	/* Optional [home]. Try to merge @bio into what is queued: true if merged. Without it the
	 * core calls elv_merge() and request_merge() itself. */
	bool (*bio_merge)(struct request_queue *q, struct bio *bio, unsigned int nr_segs);
	/* Optional [home]. Find a queued request that @bio can be merged with (front merges: the
	 * core finds back merges in the hash). */
	enum elv_merge (*request_merge)(struct request_queue *q, struct request **rq,
					struct bio *bio);
	/* Optional [home]. A bio was merged into @rq; @next was merged into @rq and goes away (it may
	 * not have been inserted yet). */
	void (*request_merged)(struct request_queue *q, struct request *rq, enum elv_merge type);
	void (*requests_merged)(struct request_queue *q, struct request *rq, struct request *next);

	/* Optional, on the submitter's reactor. May lower data->shallow_depth. */
	void (*limit_depth)(blk_opf_t opf, struct blk_mq_alloc_data *data);
	/* Optional, on the submitter's reactor. @rq is new: clear its elv_priv. */
	void (*prepare_request)(struct request *rq);
	/* Optional [home]. @rq ended or was merged away; it will be reused. */
	void (*finish_request)(struct request *rq);

	/* Mandatory [home]. Takes all requests of @list (queuelist), in order. */
	void (*insert_requests)(struct blk_mq_hw_ctx *hctx, struct list_head *list, bool at_head);
	/* Mandatory [home]. The next request to send, off all its lists; NULL: none now. With a
	 * home it may be of any hctx of the queue. */
	struct request *(*dispatch_request)(struct blk_mq_hw_ctx *hctx);
	/* Mandatory [home]. Would dispatch_request give one? */
	bool (*has_work)(struct blk_mq_hw_ctx *hctx);
	/* Optional [home]. The device completed @rq at @now_ns. */
	void (*completed_request)(struct request *rq, uint64_t now_ns);
	/* Optional [home]. @rq goes back to the dispatch list after all. */
	void (*requeue_request)(struct request *rq);
	/* Optional [home]. Neighbours by sector, for merging request with request. */
	struct request *(*former_request)(struct request_queue *q, struct request *rq);
	struct request *(*next_request)(struct request_queue *q, struct request *rq);
	/* Optional [home]. A task's first I/O; see rt_ioctx. */
	void (*init_icq)(struct request_queue *q, const struct rt_ioctx *ioc);
};

/* Immutable; one in each file of blk/elv, listed in elevator.c. */
struct elevator_type {
	const char *elevator_name;
	const char *elevator_alias; /* NULL: none */
	uint32_t flags;		    /* ELEVATOR_F_* */
	struct elevator_mq_ops ops;
	const struct attr *attrs; /* iosched/; obj is the struct elevator_queue */
	size_t attrs_nr;
};

enum { ELV_HASH_BITS = 6 };

/* One instance; made and freed under freeze. */
struct elevator_queue {
	const struct elevator_type *type;
	struct request_queue *q;
	void *elevator_data;
	unsigned int home;			   /* reactor, with ELEVATOR_F_HOME */
	struct attr_dir *attr_dir;		   /* iosched/ */
	struct request *last_merge;		   /* [home] the newest that was inserted or grew */
	struct list_head hash[1 << ELV_HASH_BITS]; /* [home] by the sector behind the request */
};

/* ---- elevator.c ------------------------------------------------------------------------------- */

/*
 * elv_register - add a type to those that can be chosen; elv_unregister takes it out. For tests and
 * for elevators that live outside blk/elv. Before any disk exists.
 * Fails: -EINVAL (a mandatory slot is empty, a bad name), -EEXIST, -ENOSPC.
 */
int __must_check elv_register(const struct elevator_type *type);
void elv_unregister(const struct elevator_type *type);

/* Appends Linux's scheduler file: every name, the one in use in brackets. */
void elevator_show(const struct request_queue *q, struct strbuf *out);

/* Linux's default: mq-deadline with one hardware queue where it exists, else none. Task, frozen or
 * before the disk is published. 0 or -errno (the queue then has none). */
int __must_check elevator_init_default(struct request_queue *q);
/* Back to none; frees. Task, frozen. */
void elevator_exit(struct request_queue *q);
/* queue/iosched of the elevator, while q->attr_queue stands. 0, -ENOMEM. */
int __must_check elevator_publish(struct request_queue *q);
void elevator_unpublish(struct request_queue *q);

/* [home] The merge hash: of requests that can be merged. */
void elv_rqhash_add(struct request_queue *q, struct request *rq);
void elv_rqhash_del(struct request_queue *q, struct request *rq);

/* [home] Finds a request for @bio: last merge, hash, then ops.request_merge. */
enum elv_merge elv_merge(struct request_queue *q, struct request **rq, struct bio *bio);
/* [home] Merge @rq, about to be inserted, into a queued one. true: @rq is merged and must be freed
 * by the caller (blk_mq_free_merged). */
bool elv_attempt_insert_merge(struct request_queue *q, struct request *rq);
/* [home] Bookkeeping after a merge: rehash, tell the elevator. */
void elv_merged_request(struct request_queue *q, struct request *rq, enum elv_merge type);
void elv_merge_requests(struct request_queue *q, struct request *rq, struct request *next);

/* The sorted tree that an elevator finds front merges in: by first sector, equal ones in order of
 * insertion. elv_rb_find: the request that begins at @sector, or NULL. */
void elv_rb_add(struct rb_root *root, struct request *rq);
void elv_rb_del(struct rb_root *root, struct request *rq);
struct request *elv_rb_find(const struct rb_root *root, sector_t sector);
/* For the slots of these names. */
struct request *elv_rb_former_request(struct request_queue *q, struct request *rq);
struct request *elv_rb_latter_request(struct request_queue *q, struct request *rq);

/* True when the core may touch the elevator's data here and now. */
static inline bool elevator_is_here(const struct elevator_queue *eq)
{
	return !(eq->type->flags & ELEVATOR_F_HOME) || eq->home == rt_reactor_id();
}

#endif
