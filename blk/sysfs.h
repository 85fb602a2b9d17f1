/* SPDX-License-Identifier: MIT */
/*
 * sysfs.h - what sysfs.c and debugfs.c publish of a queue. Tasks; -EEXIST, -ENOMEM.
 *
 * An unpublish returns when no show or store is running any more, and may follow a publish that
 * failed or never was.
 */
#ifndef BLK_SYSFS_H
#define BLK_SYSFS_H

#include "base/compiler.h"

struct attr_dir;
struct request_queue;

/* queue/ and queue/iosched/. */
int __must_check blk_sysfs_publish(struct request_queue *q, struct attr_dir *root);
void blk_sysfs_unpublish(struct request_queue *q);

#endif
