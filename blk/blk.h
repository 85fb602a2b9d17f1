/* SPDX-License-Identifier: MIT */
/*
 * blk.h - the block layer's own structures, and what its files say to each other.
 *
 * Who owns what: all that a request meets on its way belongs to the reactor that submitted it - its
 * bio, software queue, dispatch list, statistics. Shared between reactors are only the
 * tag bitmaps, the limits (changed under freeze) and the flags, all read-mostly. So there is no lock
 * here. "[reactor]" in this header means that owner.
 *
 * Context unless said otherwise: task or handler on the reactor named; does not sleep.
 */
#ifndef BLK_BLK_H
#define BLK_BLK_H

#include "base/compiler.h"
#include "base/histogram.h"
#include "base/list.h"
#include "blkfs/bio.h"
#include "blkfs/blkdev.h"
#include "blkfs/driver.h"
#include "blkfs/rt.h"
#include "blkfs/stat.h"
#include "blkfs/trace.h"

struct blk_debugfs;
struct blk_flush_queue;
struct blk_timeouts;
struct elevator_queue;
struct elevator_type;
struct queue_file;

/* ---- policy: the numbers of Linux ------------------------------------------------------------- */

enum {
	BLK_MAX_REQUEST_COUNT = 32,	 /* a plug is flushed by the request after these */
	BLK_PLUG_FLUSH_SIZE = 128 << 10, /* or by the one after a request this big (bytes) */
	BLK_MQ_SCHED_MERGE_DEPTH = 8,	 /* newest requests of a software queue tried */
	BLKDEV_DEFAULT_RQ = 128,
	BLK_MQ_MAX_DEPTH = 10240,
	BLK_MQ_TAG_MIN_SHARE = 4, /* of a queue on a shared tag set */
};
#define BLK_MQ_RESOURCE_DELAY_NS (3 * 1000000ULL) /* after BLK_STS_RESOURCE */
#define BLK_DEFAULT_TIMEOUT_NS (30 * 1000000000ULL)

/* ---- a reactor's part of a queue ---------------------------------------------------------------- */

/* Who waits for a tag: a task, or a software queue whose first request has none. */
struct blk_mq_tag_waiter {
	struct rt_msg msg;
	struct list_head node; /* [home] */
	struct blk_mq_tags *tags;
	struct blk_mq_hw_ctx *hctx;
	bool is_reserved;
	unsigned int shallow_depth;
	unsigned int reactor;
	int tag;				  /* what it was given */
	bool is_done;				  /* [atomic] tag is valid */
	struct task *task;			  /* or NULL and got() */
	void (*got)(struct blk_mq_tag_waiter *w); /* on w->reactor */
};

/*
 * A reactor's software queue for one hardware queue. What waits in it is sent by its reactor only:
 * dispatch first (came back from the driver, or bypasses the elevator), then the elevator or rq_list.
 */
struct blk_mq_sw_queue {
	struct blk_mq_ctx *ctx;
	struct blk_mq_hw_ctx *hctx;
	struct list_head rq_list;  /* [reactor] */
	struct list_head dispatch; /* [reactor] have a driver tag, or wait for one at the head */
	struct rt_defer run_defer; /* runs the queue later in this turn */
	struct rt_timer run_timer; /* after BLK_STS_RESOURCE */
	struct rt_work run_work;   /* the same in a task, for BLK_MQ_F_BLOCKING */
	struct rt_msg run_msg;	   /* another reactor asks for a run */
	bool is_run_posted;	   /* [atomic] run_msg is on its way */
	bool is_running;	   /* [reactor] inside dispatch; a second run only marks */
	bool must_rerun;	   /* [reactor] */
	struct blk_mq_tag_waiter tag_waiter; /* for the first of dispatch */
	bool is_waiting_for_tag;	     /* [reactor] tag_waiter is queued */
	unsigned int tag_hint;		     /* [reactor] where to look first */
	unsigned int sched_tag_hint;	     /* the same among the elevator's tags */
	uint64_t run_nr, dispatched_nr;	     /* [reactor] for debug/hctxN */
};

struct bdev_stats_cell;

struct blk_mq_ctx {
	struct request_queue *queue;
	unsigned int reactor;
	struct bdev_stats_cell *cell; /* of the whole disk */
	int64_t usage;		      /* [reactor] written; read by freeze (F rules in freeze.c) */
	unsigned int blocking_nr; /* [reactor] run_works of a BLOCKING driver, queued or running */
	struct blk_mq_sw_queue *sw_of[HCTX_MAX_TYPES]; /* types may share one */
	struct blk_mq_sw_queue sw[HCTX_MAX_TYPES];
	struct list_head requeue_list; /* [reactor] blk_mq_requeue_request, newest first */
	struct rt_msg requeue_msg;
	bool is_requeue_posted;	   /* [atomic] */
	uint64_t requeue_delay_ns; /* [atomic] of the kick that is posted */
	struct rt_timer requeue_timer;
} __cacheline_aligned;

/* ---- the queue ---------------------------------------------------------------------------------- */

enum queue_flags {
	QUEUE_FLAG_NOMERGES = 1 << 0,	/* nomerges 2: none at all */
	QUEUE_FLAG_NOXMERGES = 1 << 1,	/* nomerges 1: only with the plug's newest */
	QUEUE_FLAG_NO_IO_STAT = 1 << 2, /* iostats 0 */
	QUEUE_FLAG_SAME_COMP = 1 << 3,	/* rq_affinity 1 */
	QUEUE_FLAG_SAME_FORCE = 1 << 4, /* rq_affinity 2 */
	QUEUE_FLAG_DYING = 1 << 5,	/* new I/O ends BLK_STS_OFFLINE */
	QUEUE_FLAG_WC_OFF = 1 << 6,	/* write_cache file says "write through" */
	QUEUE_FLAG_BLOCKING = 1 << 7,
	QUEUE_FLAG_NO_SCHED = 1 << 8,
	QUEUE_FLAG_ADD_RANDOM = 1 << 9,		  /* kept, and without meaning here */
	QUEUE_FLAG_IOSTATS_PASSTHROUGH = 1 << 10, /* REQ_OP_DRV_* are counted too */
};

struct request_queue {
	struct queue_limits limits; /* changed under freeze */
	uint32_t queue_flags;	    /* [atomic] QUEUE_FLAG_* */
	bool is_stalled;	    /* [atomic] frozen or dying: submit takes the slow way */
	bool is_quiesced;	    /* [atomic] */
	bool has_write_cache;	    /* features and write_cache file; changed under freeze */
	bool has_fua;
	const struct blk_mq_ops *mq_ops; /* NULL: bios go to disk->fops */
	struct elevator_queue *elevator; /* NULL: none; changed under freeze and quiesce */
	struct blk_mq_tag_set *tag_set;
	struct blk_timeouts *timeouts; /* of the tag set */
	struct gendisk *disk;
	unsigned int nr_requests;
	unsigned int nr_hw_queues;
	unsigned int nr_reactors;
	struct blk_mq_hw_ctx **hctxs;
	struct blk_mq_ctx *ctxs; /* one a reactor */
	struct bio_pool *bio_split;
	struct list_head tag_node; /* of tag_set->tag_list */
	uint32_t simple_bytes;	   /* bio_fits_simply() */
	uint64_t timeout_ns;	   /* of requests without one of their own */
	unsigned int async_depth;
	struct attr_dir *attr_queue; /* queue/; NULL: not published */
	struct attr_dir *attr_mq;
	struct queue_file *queue_files; /* sysfs.c */
	struct blk_debugfs *debugfs;	/* debugfs.c */
	unsigned int read_ahead_kb;	/* [atomic] */
	const struct elevator_type
		*elevator_type; /* [atomic] elevator's, for who must not touch it */

	unsigned int freeze_depth;  /* [freeze_lock] */
	unsigned int quiesce_depth; /* [freeze_lock] */
	struct rt_mutex freeze_lock;
	struct rt_mutex change_lock;	/* one change of elevator, limits, nr_requests at a time */
	struct rt_waitqueue freeze_wq;	/* the freezer, for usage to drain */
	struct rt_waitqueue thaw_wq;	/* submitters, for the thaw */
	struct rt_waitqueue quiesce_wq; /* for blocking_nr to drain */

	uint64_t restart __cacheline_aligned; /* [atomic] reactors to run when a request ends */
};

static inline struct blk_mq_ctx *blk_mq_this_ctx(const struct request_queue *q)
{
	return &q->ctxs[rt_reactor_id()];
}

static inline bool queue_flag_test(const struct request_queue *q, uint32_t flag)
{
	return READ_ONCE(q->queue_flags) & flag;
}

static inline void queue_flag_set(struct request_queue *q, uint32_t flag)
{
	__atomic_fetch_or(&q->queue_flags, flag, __ATOMIC_SEQ_CST);
}

static inline void queue_flag_clear(struct request_queue *q, uint32_t flag)
{
	__atomic_fetch_and(&q->queue_flags, ~flag, __ATOMIC_SEQ_CST);
}

static inline enum hctx_type blk_mq_hctx_type(blk_opf_t opf)
{
	if (unlikely(opf & REQ_POLLED))
		return HCTX_TYPE_POLL;
	return op_of(opf) == REQ_OP_READ ? HCTX_TYPE_READ : HCTX_TYPE_DEFAULT;
}

/* The software queue of @rq on its submitter's reactor. */
static inline struct blk_mq_sw_queue *blk_mq_rq_sw(const struct request *rq)
{
	return rq->mq_ctx->sw_of[blk_mq_hctx_type(rq->cmd_flags)];
}

/* ---- statistics: account.h counts, stat.c reads -------------------------------------------------- */

/* One reactor's counts of one block_device. [reactor] written, read by anybody with READ_ONCE. */
struct bdev_stats_cell {
	uint64_t ios[NR_STAT_GROUPS];
	uint64_t merges[NR_STAT_GROUPS];
	uint64_t sectors[NR_STAT_GROUPS];
	uint64_t nsecs[NR_STAT_GROUPS];
	uint64_t in_flight[2]; /* reads, all else */
	uint64_t ticked_ns;    /* rt_now() when io_ticks was last brought up to date here */
	struct histogram latency[NR_STAT_GROUPS];
} __cacheline_aligned;

struct bdev_stats {
	uint64_t io_ticks_ns; /* [atomic] time with something in flight */
	uint64_t stamp_ns;    /* [atomic] up to which io_ticks_ns counts */
	unsigned int cells_nr;
	struct bdev_stats_cell cells[];
};

/* ---- tags (tags.c) -------------------------------------------------------------------------------- */

/* One cache line of tags. A set bit of taken is a tag in use. */
struct blk_mq_tag_word {
	unsigned long taken; /* [atomic] */
	unsigned long
		normal; /* [atomic] bits that may be given out; less when nr_requests shrinks */
	unsigned long reserved; /* bits of reserved tags */
} __cacheline_aligned;

struct blk_mq_tags {
	unsigned int nr_tags;	  /* allocated, reserved ones included */
	unsigned int nr_reserved; /* tags [0, nr_reserved) */
	unsigned int depth;	  /* [atomic] usable: tags below it are given out (nr_requests) */
	unsigned int home;	  /* reactor that keeps the waiters in order */
	unsigned int word_shift; /* 1 << word_shift tags a word, at least four words if it can be */
	unsigned int words_nr;
	struct blk_mq_tag_word *words;
	bool is_shared;	      /* [atomic] several queues: fair shares */
	bool is_round_robin;  /* BLK_MQ_F_TAG_RR */
	struct request **rqs; /* by tag: who uses it now */
	char *static_rqs;     /* request i at static_rqs + i * rq_stride */
	size_t rq_stride;
	struct blk_mq_tag_set *set;
	unsigned int hctx_idx;
	uint32_t rq_flags;	    /* of their requests: RQF_SCHED_TAGS or none */
	unsigned int active_queues; /* [atomic] queues that hold tags, on shared sets */
	unsigned int waiters_nr __cacheline_aligned; /* [atomic] */
	bool is_wake_posted;			     /* [atomic] */
	struct list_head waiters;		     /* [home] oldest first */
	struct rt_msg wake_msg;
};

struct blk_mq_alloc_data {
	struct request_queue *q;
	blk_opf_t cmd_flags;
	unsigned int flags;	    /* BLK_MQ_REQ_* */
	unsigned int shallow_depth; /* 0: all; the elevator's limit_depth */
	struct blk_mq_ctx *ctx;
	struct blk_mq_sw_queue *sw;
};

/* Sets q->nr_requests and the tags' depth, frozen. 0, -EINVAL. Task; holds change_lock. */
int __must_check blk_mq_update_nr_requests(struct request_queue *q, unsigned int nr);
/* The elevator's own tags and requests: hctx->sched_tags of @depth each. Task, frozen. */
int __must_check blk_mq_sched_tags_alloc(struct request_queue *q, unsigned int depth);
void blk_mq_sched_tags_free(struct request_queue *q);
/* How many of @tags are taken. Any context. */
unsigned int blk_mq_tags_busy(const struct blk_mq_tags *tags);

/* ---- inserting and running (mq.c) ------------------------------------------------------------------- */

/*
 * blk_mq_insert_bypass - queue @rq for the driver past the elevator, at the head or tail of its
 * dispatch list, and have the list run in this turn. For the flush machinery.
 *
 * Context: rq's reactor. Owns: @rq, until its end_io.
 */
void blk_mq_insert_bypass(struct request *rq, bool at_head);

/* Run @sw of this reactor: now from a task or handler, unless it is running already. */
void blk_mq_run_sw_queue(struct blk_mq_sw_queue *sw);

/* Logs that @bio was refused for the limit of that name; rate limited. */
void blk_refuse_misaligned(const struct bio *bio, const char *limit);

/* Gives the driver's tag of @rq back where it will take another to be sent again (RQF_SCHED_TAGS);
 * else nothing. What waits between two steps of a flush sequence must not keep a tag that the flush
 * itself may need. */
void blk_mq_put_driver_tag(struct request *rq);

/* [home] Free @rq, whose bios were merged into another request. */
void blk_mq_free_merged(struct request *rq);

/* ---- flush.c ------------------------------------------------------------------------------------------ */

/* The flush queue of @hctx, with its preallocated flush request (cmd_size bytes of pdu, init_request
 * called with the set). hctx->reactors and ->tags stand. Task. 0, -ENOMEM, what init_request said. */
int __must_check blk_alloc_flush_queue(struct blk_mq_hw_ctx *hctx);
void blk_free_flush_queue(struct blk_mq_hw_ctx *hctx);

/*
 * blk_insert_flush - take a PREFLUSH/FUA request through the flush sequence.
 *
 * Called on rq's reactor with bios and tag in place and accounting started. The core has already
 * stripped what a device without a volatile cache does not need. false: nothing is needed before or
 * after (the device has FUA, no PREFLUSH): @rq goes the ordinary way.
 * A step is sent by blk_mq_insert_bypass(); its end comes through rq->end_io, on rq's reactor; the
 * last step ends the request by restoring end_io and calling blk_mq_end_request().
 * The flush request itself belongs to the queue's home reactor (its mq_ctx and reactor). Without an
 * elevator it borrows the driver's tag of the first waiting request, with one it has none and the
 * core takes one to send it. Its end_io hands the tag back; the core never frees a tag of a request
 * with RQF_FLUSH_SEQ and op REQ_OP_FLUSH.
 */
bool blk_insert_flush(struct request *rq);

/* ---- published files (sysfs.c, debugfs.c) ------------------------------------------------------------ */

/* All files of @disk below disk->attr_root (not NULL). Task. 0, -EEXIST, -ENOMEM. */
int __must_check blk_publish_disk(struct gendisk *disk);
void blk_unpublish_disk(struct gendisk *disk);

#endif
