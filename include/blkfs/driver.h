/* SPDX-License-Identifier: MIT */
/*
 * driver.h - what a block driver gives to the block layer, and gets from it.
 *
 * The names are blk-mq's. blk/drv/null.c is the smallest driver and the example to this header.
 *
 * Context: ops run on a reactor of the request's hardware queue, as handlers (no task, no sleep)
 * unless the tag set says BLK_MQ_F_BLOCKING: then queue_rq runs in a task and may sleep.
 * Ownership: queue_rq that returns BLK_STS_OK owns the request until it completes it, once. With
 * any other status the request is untouched and stays the core's.
 */
#ifndef BLKFS_DRIVER_H
#define BLKFS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/rbtree.h"
#include "blkfs/attr.h"
#include "blkfs/bio.h"
#include "blkfs/blkdev.h"
#include "blkfs/rt.h"

struct blk_flush_queue;
struct blk_mq_ctx;
struct blk_mq_tags;
struct elevator_queue;
struct request;

/* ---- hardware queues ------------------------------------------------------------------------ */

enum hctx_type { HCTX_TYPE_DEFAULT, HCTX_TYPE_READ, HCTX_TYPE_POLL, HCTX_MAX_TYPES };

/* What a driver may read of a hardware queue; from tags on it is blk/'s. */
struct blk_mq_hw_ctx {
	struct request_queue *queue;
	unsigned int queue_num;
	enum hctx_type type;
	void *driver_data; /* init_hctx fills it */
	uint64_t reactors; /* mask of the reactors that may run it */
	unsigned int nr_ctx;
	struct blk_mq_tags *tags;	/* the driver's */
	struct blk_mq_tags *sched_tags; /* the elevator's; NULL: none */
	void *sched_data;		/* the elevator's */
	struct blk_flush_queue *fq;	/* blk/flush.c */
	bool is_stopped;		/* [atomic] by the driver */
	uint32_t nr_active;		/* [atomic] tags held, counted on shared sets only */
	uint32_t nr_wanted;		/* [atomic] tags held or waited for, on shared sets */
};

struct blk_mq_queue_map {
	unsigned int mq_map[RT_REACTORS_MAX]; /* reactor -> hardware queue number */
	unsigned int nr_queues;
	unsigned int queue_offset;
};

struct blk_mq_queue_data {
	struct request *rq;
	bool last; /* no more follows in this batch; else commit_rqs or a last will */
};

enum blk_eh_timer_return { BLK_EH_DONE, BLK_EH_RESET_TIMER };

struct blk_mq_tag_set;

struct blk_mq_ops {
	/* Mandatory. Starts @bd->rq (blk_mq_start_request first). BLK_STS_OK, BLK_STS_RESOURCE (ask
	 * later), BLK_STS_DEV_RESOURCE (ask when one of mine completes), or an error that ends it. */
	blk_status_t (*queue_rq)(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd);
	/* Optional. Ring the doorbell: the batch ended without a `last`. */
	void (*commit_rqs)(struct blk_mq_hw_ctx *hctx);
	/* Optional, both or none. A device-wide slot taken before queue_rq: a token, or -1 when there
	 * is none (asked again when a request of @q ends). The core gives it back when the request
	 * has ended or was not taken. Any reactor, several at once. */
	int (*get_budget)(struct request_queue *q);
	void (*put_budget)(struct request_queue *q, int token);
	/* Optional. On the submitter's reactor after blk_mq_complete_request(); it must end the
	 * request. Default: blk_mq_end_request with the status given at completion. */
	void (*complete)(struct request *rq);
	/* Optional. @rq is past its deadline. BLK_EH_DONE: the driver has taken it in hand (it will
	 * be completed); BLK_EH_RESET_TIMER: wait again. Default: reset, with a log line. */
	enum blk_eh_timer_return (*timeout)(struct request *rq);
	/* Optional. Reap completions of a polled queue; how many. */
	int (*poll)(struct blk_mq_hw_ctx *hctx);
	/* Optional. Context: task. 0 or -errno: disk creation fails with it. */
	int (*init_hctx)(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int hctx_idx);
	void (*exit_hctx)(struct blk_mq_hw_ctx *hctx, unsigned int hctx_idx);
	/* Optional. Once for each request in memory: prepare its pdu. Context: task. */
	int (*init_request)(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_idx);
	void (*exit_request)(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_idx);
	/* Optional. Fills set->map[]; default spreads reactors evenly. */
	void (*map_queues)(struct blk_mq_tag_set *set);
	/* Optional. @rq was refused by queue_rq after it was prepared (RQF_DONTPREP) and will be
	 * merged or freed without being sent: undo the preparation. */
	void (*cleanup_rq)(struct request *rq);
	/* Optional. The disk is going: no request is left; free what create made. Context: task. */
	void (*free_disk)(struct gendisk *disk);
};

enum blk_mq_flags {
	BLK_MQ_F_TAG_QUEUE_SHARED = 1 << 1,
	BLK_MQ_F_STACKING = 1 << 2,
	BLK_MQ_F_BLOCKING = 1 << 4,
	BLK_MQ_F_NO_SCHED = 1 << 5,
	BLK_MQ_F_TAG_RR = 1 << 6,
	BLK_MQ_F_NO_SCHED_BY_DEFAULT = 1 << 7,
};

struct blk_mq_tag_set {
	const struct blk_mq_ops *ops;
	struct blk_mq_queue_map map[HCTX_MAX_TYPES];
	unsigned int nr_maps; /* 0: 1 */
	unsigned int nr_hw_queues;
	unsigned int queue_depth; /* tags of one hardware queue, reserved ones included */
	unsigned int reserved_tags;
	unsigned int cmd_size; /* bytes of pdu behind each request */
	uint64_t timeout_ns;   /* 0: 30 s */
	uint32_t flags;	       /* BLK_MQ_F_* */
	void *driver_data;
	struct blk_mq_tags **tags; /* blk/: one a hardware queue */
	struct list_head tag_list; /* blk/: the queues that share it */
	struct rt_timer timer;	   /* blk/: the one timer for all deadlines */
	void *core;		   /* blk/ */
};

/* Preallocates all tags and requests. Context: task. -EINVAL, -ENOMEM. */
int __must_check blk_mq_alloc_tag_set(struct blk_mq_tag_set *set);
void blk_mq_free_tag_set(struct blk_mq_tag_set *set);

/* ---- disks ------------------------------------------------------------------------------------ */

struct gendisk {
	char disk_name[32];
	struct request_queue *queue;
	struct block_device part0;
	const struct blk_mq_ops *ops;		    /* NULL: a device without requests */
	const struct block_device_operations *fops; /* NULL: one with requests */
	void *private_data;			    /* the driver's */
	struct attr_dir *attr_root; /* where queue/, mq/ ... are published; NULL: nowhere */
};

/*
 * blk_mq_alloc_disk - a disk on @set with limits @lim (validated here), @capacity sectors.
 *
 * With @attrs, publishes stat, inflight, diskstats, queue/..., mq/..., debug/..., latency there.
 * Context: task. Owns nothing of @set, which must outlive the disk.
 * Fails: -EINVAL, -ENOMEM, -EEXIST, what init_hctx said.
 */
int __must_check blk_mq_alloc_disk(struct blk_mq_tag_set *set, const struct queue_limits *lim,
				   sector_t capacity, const char *name, void *private_data,
				   struct attr_dir *attrs, struct gendisk **out);

/* Drains, ends everything new with BLK_STS_OFFLINE, removes files, calls free_disk. Task. */
void del_gendisk(struct gendisk *disk);

/* From now on new I/O ends with BLK_STS_OFFLINE; what is in flight ends as the driver says. */
void blk_mark_disk_dead(struct gendisk *disk);

/*
 * A device without requests: every bio goes to submit_bio, which sends it, or bios made of it, on
 * to other devices and sees to its end. Context of submit_bio: task; what it submits is queued on
 * the task and sent after it returned, so nothing recurses; bios it needs come from its own pool.
 */
struct block_device_operations {
	void (*submit_bio)(struct bio *bio);
	/* Optional. The disk is going: free what create made. Context: task. */
	void (*free_disk)(struct gendisk *disk);
};
int __must_check blk_alloc_disk(const struct block_device_operations *fops,
				const struct queue_limits *lim, sector_t capacity, const char *name,
				void *private_data, struct attr_dir *attrs, struct gendisk **out);

void set_capacity(struct gendisk *disk, sector_t sectors);
sector_t get_capacity(const struct gendisk *disk);
void set_disk_ro(struct gendisk *disk, bool is_ro);

/* ---- requests ----------------------------------------------------------------------------------- */

enum mq_rq_state { MQ_RQ_IDLE, MQ_RQ_IN_FLIGHT, MQ_RQ_COMPLETE };

typedef void (*rq_end_io_t)(struct request *rq, blk_status_t status);

enum rq_flags {
	RQF_STARTED = 1 << 1,
	RQF_FLUSH_SEQ = 1 << 2, /* a step of the flush machinery */
	RQF_MIXED_MERGE = 1 << 3,
	RQF_DONTPREP = 1 << 4,	 /* the driver prepared it; a requeue keeps that */
	RQF_SCHED_TAGS = 1 << 5, /* has a scheduler tag */
	RQF_USE_SCHED = 1 << 6,	 /* goes through the elevator */
	RQF_FAILED = 1 << 7,
	RQF_QUIET = 1 << 8,
	RQF_IO_STAT = 1 << 9,
	RQF_HASHED = 1 << 10, /* in the elevator's merge hash */
	RQF_STATS = 1 << 11,
	RQF_SPECIAL_PAYLOAD = 1 << 12,
	RQF_TIMED_OUT = 1 << 13,
	RQF_RESV = 1 << 14,
	RQF_REQUEUE_KICK = 1 << 15, /* on its way to a requeue list that is to be kicked */
};

/*
 * One command for a driver. Fields belong to the core; a driver reads what the helpers below do not
 * say. [reactor] of the submitter, but while an elevator with a home or a driver owns the request.
 */
struct request {
	struct request_queue *q;
	struct blk_mq_ctx *mq_ctx;
	struct blk_mq_hw_ctx *mq_hctx;

	blk_opf_t cmd_flags;
	uint32_t rq_flags;
	int tag;	     /* the driver's command number; -1: none yet */
	int internal_tag;    /* the scheduler's; -1: no elevator */
	uint32_t generation; /* counts uses of this memory */

	uint32_t data_len; /* bytes left */
	sector_t sector;
	struct bio *bio, *biotail;

	struct list_head queuelist; /* where it waits: software queue, dispatch list, FIFOs */
	struct request *rq_next;    /* plug, batches, done list */
	uint16_t nr_phys_segments;
	uint16_t nr_discard_segments;
	uint16_t ioprio;
	uint8_t write_hint;
	blk_status_t status; /* valid from blk_mq_complete_request() on */
	uint16_t reactor;    /* of the submitter; its completion runs there */
	uint8_t state;	     /* enum mq_rq_state [atomic] */
	int budget_token;    /* -1: none */

	uint64_t start_time_ns;	   /* Q and G: first bio queued, got the request */
	uint64_t io_start_time_ns; /* D: given to the driver */
	uint64_t deadline_ns;	   /* [atomic] */
	uint64_t timeout_ns;	   /* 0: the tag set's */
	struct block_device *part; /* whose statistics it counts in */

	rq_end_io_t end_io; /* NULL: end the bios */
	void *end_io_data;

	struct list_head hash;	/* the elevator's merge hash (RQF_HASHED) */
	struct rb_node rb_node; /* elevators: sorted by sector */
	union {
		void *elv_priv[3]; /* elevators */
		struct {	   /* blk/flush.c: never at the same time as an elevator */
			uint32_t flush_seq;
			rq_end_io_t saved_end_io;
		};
	};
	struct list_head flush_node; /* blk/flush.c */
	struct rt_msg msg;	     /* blk/: the way to another reactor */
};

/* The driver's own bytes of a request (tag_set.cmd_size), behind it in memory. */
static inline void *blk_mq_rq_to_pdu(struct request *rq)
{
	return rq + 1;
}

static inline struct request *blk_mq_rq_from_pdu(void *pdu)
{
	return (struct request *)pdu - 1;
}

static inline enum req_op req_op(const struct request *rq)
{
	return op_of(rq->cmd_flags);
}

static inline sector_t blk_rq_pos(const struct request *rq)
{
	return rq->sector;
}

static inline uint32_t blk_rq_bytes(const struct request *rq)
{
	return rq->data_len;
}

static inline uint32_t blk_rq_sectors(const struct request *rq)
{
	return rq->data_len >> SECTOR_SHIFT;
}

/*
 * The memory of @rq as at most @iov_max vectors, contiguous pieces joined. How many; never more
 * than limits.max_segments. 0 for an operation without data.
 */
unsigned int blk_rq_map_iov(const struct request *rq, struct iovec *iov, unsigned int iov_max);

/* Each bio of @rq. */
#define rq_for_each_bio(bio, rq) for ((bio) = (rq)->bio; (bio); (bio) = (bio)->bi_next)

/* In queue_rq, before the hardware sees it: deadline, time stamp, state. */
void blk_mq_start_request(struct request *rq);

/*
 * The driver is done with @rq. On any reactor as a handler, or inside queue_rq (the rest happens
 * later, from the done list); blk_mq_complete_request_foreign() from a thread.
 * Returns at once; ops->complete or the end of the bios runs on the submitter's reactor.
 */
void blk_mq_complete_request(struct request *rq, blk_status_t status);
void blk_mq_complete_request_foreign(struct request *rq, blk_status_t status);

/*
 * Ends the request: bios, statistics, tag; or, if it has an end_io, calls that, whose owner then
 * frees it or ends it again without. On the submitter's reactor (from ops->complete).
 */
void blk_mq_end_request(struct request *rq, blk_status_t status);

/* Back to the head of the queue (a retry); it is sent again by blk_mq_kick_requeue_list(). */
void blk_mq_requeue_request(struct request *rq, bool kick);
void blk_mq_kick_requeue_list(struct request_queue *q);
void blk_mq_delay_kick_requeue_list(struct request_queue *q, uint64_t delay_ns);

/* A driver without room stops its queue and starts it when there is some. */
void blk_mq_stop_hw_queue(struct blk_mq_hw_ctx *hctx);
void blk_mq_start_stopped_hw_queue(struct blk_mq_hw_ctx *hctx);
void blk_mq_run_hw_queues(struct request_queue *q);

/* A request for the driver's own command (REQ_OP_DRV_*). NULL: REQ_NOWAIT and no tag. Task. */
enum { BLK_MQ_REQ_NOWAIT = 1, BLK_MQ_REQ_RESERVED = 2 };
struct request *blk_mq_alloc_request(struct request_queue *q, blk_opf_t opf, unsigned int flags);
void blk_mq_free_request(struct request *rq);
/* Executes and waits; BLK_STS_*. Context: task. */
blk_status_t blk_execute_rq(struct request *rq);

/* Calls @fn for each started request until it returns false. */
void blk_mq_tagset_busy_iter(struct blk_mq_tag_set *set, bool (*fn)(struct request *rq, void *arg),
			     void *arg);

/* ---- standing still --------------------------------------------------------------------------- */

/* Freeze: no request enters, all that are inside have ended. Nests. Context: task. */
void blk_mq_freeze_queue(struct request_queue *q);
void blk_mq_unfreeze_queue(struct request_queue *q);
/* Quiesce: queue_rq is not called any more, nowhere; requests may wait inside. Context: task. */
void blk_mq_quiesce_queue(struct request_queue *q);
void blk_mq_unquiesce_queue(struct request_queue *q);

/* Changes limits under freeze. 0, -EINVAL. Context: task. */
int __must_check queue_limits_set(struct request_queue *q, const struct queue_limits *lim);

/* Switch the elevator by name ("none"). 0, -EINVAL unknown name. Context: task. */
int __must_check elevator_switch(struct request_queue *q, const char *name);

#endif
