/* SPDX-License-Identifier: MIT */
/*
 * debugfs.h - debug/: a queue's insides in the format of Linux's blk-mq-debugfs.
 */
#ifndef BLK_DEBUGFS_H
#define BLK_DEBUGFS_H

#include "base/compiler.h"
#include "base/strbuf.h"

struct attr_dir;
struct request;
struct request_queue;

/* debug/ with a directory for each hardware queue. Task. -EEXIST, -ENOMEM. */
int __must_check blk_debugfs_publish(struct request_queue *q, struct attr_dir *root);
void blk_debugfs_unpublish(struct request_queue *q);

/*
 * The files that follow pointers to requests and scheduler tags, which a change of elevator or of
 * nr_requests frees, go while it is made. Task; hide waits for those that are being read.
 */
void blk_debugfs_hide_requests(struct request_queue *q);
void blk_debugfs_show_requests(struct request_queue *q);

/* One line for @rq as debugfs prints it. On rq's reactor. */
void blk_debugfs_rq(const struct request *rq, struct strbuf *out);

#endif
