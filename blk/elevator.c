/* SPDX-License-Identifier: MIT */
/*
 * The elevator framework: which types there are, which a queue uses, and the merge helpers that all
 * of them share.
 *
 * E1. q->elevator changes only while the queue is frozen and quiesced: no request is inside, so
 *     nothing that an elevator holds is ever handed from one to the next.
 * E2. A queue with an elevator has scheduler tags (nr_requests of them a hardware queue), one
 *     without has none, and its depth is the driver's.
 * E3. A request is in the merge hash (RQF_HASHED) under the sector behind it, and only while the
 *     elevator may merge into it. last_merge is in the hash or NULL.
 * Locks: change_lock for a switch; all else belongs to the reactor that elevator.h says.
 */
#include "elevator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/strbuf.h"

#include "blk.h"
#include "debugfs.h"
#include "merge.h"
#include "tags.h"

enum { ELV_TYPES_MAX = 16, ELV_NAME_MAX = 16 };

/* Files of blk/elv enter their type here, in the order in which Linux lists them. */
static const struct elevator_type *types[ELV_TYPES_MAX];

/* What a queue starts with, as Linux decides: the first row that fits. */
static const struct {
	uint32_t tag_set_flags; /* any of these */
	unsigned int hw_queues; /* as many; 0: any number */
	const char *name;
} default_rules[] = {
	{ BLK_MQ_F_NO_SCHED | BLK_MQ_F_NO_SCHED_BY_DEFAULT, 0, "none" },
	{ 0, 1, "mq-deadline" },
	{ 0, 0, "none" },
};

/* ---- types -------------------------------------------------------------------------------------- */

static const struct elevator_type *find_type(const char *name, size_t len)
{
	for (size_t i = 0; i < ELV_TYPES_MAX; i++) {
		const struct elevator_type *type = types[i];

		if (!type)
			continue;
		if (strlen(type->elevator_name) == len &&
		    memcmp(type->elevator_name, name, len) == 0)
			return type;
		if (type->elevator_alias && strlen(type->elevator_alias) == len &&
		    memcmp(type->elevator_alias, name, len) == 0)
			return type;
	}
	return NULL;
}

static bool is_complete(const struct elevator_type *type)
{
	const struct elevator_mq_ops *ops = &type->ops;
	size_t len = type->elevator_name ? strlen(type->elevator_name) : 0;

	return len && len < ELV_NAME_MAX && strcmp(type->elevator_name, "none") != 0 &&
	       ops->init_sched && ops->insert_requests && ops->dispatch_request && ops->has_work;
}

int elv_register(const struct elevator_type *type)
{
	if (!is_complete(type))
		return -EINVAL;
	if (find_type(type->elevator_name, strlen(type->elevator_name)))
		return -EEXIST;
	for (size_t i = 0; i < ELV_TYPES_MAX; i++)
		if (!types[i]) {
			types[i] = type;
			return 0;
		}
	return -ENOSPC;
}

void elv_unregister(const struct elevator_type *type)
{
	for (size_t i = 0; i < ELV_TYPES_MAX; i++)
		if (types[i] == type)
			types[i] = NULL;
}

static bool can_have_elevator(const struct request_queue *q)
{
	return q->mq_ops && !(q->tag_set->flags & BLK_MQ_F_NO_SCHED);
}

void elevator_show(const struct request_queue *q, struct strbuf *out)
{
	const struct elevator_type *current = READ_ONCE(q->elevator_type);

	if (!can_have_elevator(q)) {
		strbuf_puts(out, "none\n");
		return;
	}
	strbuf_puts(out, current ? "none " : "[none] ");
	for (size_t i = 0; i < ELV_TYPES_MAX; i++)
		if (types[i])
			strbuf_printf(out, current == types[i] ? "[%s] " : "%s ",
				      types[i]->elevator_name);
	strbuf_putc(out, '\n');
}

/* ---- one instance --------------------------------------------------------------------------------- */

static void exit_hctxs(struct request_queue *q, struct elevator_queue *eq, unsigned int hctxs_nr)
{
	for (unsigned int i = 0; i < hctxs_nr; i++)
		if (eq->type->ops.exit_hctx)
			eq->type->ops.exit_hctx(q->hctxs[i], i);
}

static int init_hctxs(struct request_queue *q, struct elevator_queue *eq)
{
	if (!eq->type->ops.init_hctx)
		return 0;
	for (unsigned int i = 0; i < q->nr_hw_queues; i++) {
		int err = eq->type->ops.init_hctx(q->hctxs[i], i);

		if (err) {
			exit_hctxs(q, eq, i);
			return err;
		}
	}
	return 0;
}

static int elevator_alloc(struct request_queue *q, const struct elevator_type *type,
			  struct elevator_queue **out)
{
	struct elevator_queue *eq = calloc(1, sizeof(*eq));

	if (!eq)
		return -ENOMEM;
	eq->type = type;
	eq->q = q;
	eq->home = (unsigned int)__builtin_ctzll(q->hctxs[0]->reactors);
	for (size_t i = 0; i < ARRAY_SIZE(eq->hash); i++)
		INIT_LIST_HEAD(&eq->hash[i]);
	*out = eq;
	return 0;
}

int elevator_publish(struct request_queue *q)
{
	struct elevator_queue *eq = q->elevator;

	if (!eq || !q->attr_queue)
		return 0;
	return attr_dir_add(q->attr_queue, "iosched", eq->type->attrs, eq->type->attrs_nr, eq,
			    &eq->attr_dir);
}

void elevator_unpublish(struct request_queue *q)
{
	if (!q->elevator)
		return;
	attr_dir_del(q->elevator->attr_dir);
	q->elevator->attr_dir = NULL;
}

/* E2: twice the driver's depth, but not more than twice 128, as Linux. */
static unsigned int default_depth(const struct request_queue *q)
{
	return 2 * min_t(unsigned int, q->tag_set->queue_depth, BLKDEV_DEFAULT_RQ);
}

/* E2. The driver's own depth is whole again, whatever nr_requests made of it. */
static void set_depth(struct request_queue *q, unsigned int nr_requests)
{
	for (unsigned int i = 0; i < q->nr_hw_queues; i++)
		blk_mq_tags_set_depth(q->hctxs[i]->tags, q->hctxs[i]->tags->nr_tags);
	WRITE_ONCE(q->nr_requests, nr_requests);
}

static int elevator_start(struct request_queue *q, const struct elevator_type *type)
{
	struct elevator_queue *eq;
	int err = elevator_alloc(q, type, &eq);

	if (err)
		return err;
	err = blk_mq_sched_tags_alloc(q, default_depth(q));
	if (err)
		goto free_eq;
	q->elevator = eq;
	err = type->ops.init_sched(q, eq);
	if (err)
		goto free_tags;
	err = init_hctxs(q, eq);
	if (err)
		goto exit_sched;
	err = elevator_publish(q);
	if (err)
		goto exit_hctxs;
	set_depth(q, default_depth(q));
	WRITE_ONCE(q->elevator_type, type);
	return 0;
exit_hctxs:
	exit_hctxs(q, eq, q->nr_hw_queues);
exit_sched:
	if (type->ops.exit_sched)
		type->ops.exit_sched(eq);
free_tags:
	q->elevator = NULL;
	blk_mq_sched_tags_free(q);
free_eq:
	free(eq);
	return err;
}

static void check_is_empty(const struct elevator_queue *eq)
{
	for (size_t i = 0; i < ARRAY_SIZE(eq->hash); i++)
		blkfs_assert(list_empty(&eq->hash[i]));
}

void elevator_exit(struct request_queue *q)
{
	struct elevator_queue *eq = q->elevator;

	if (!eq)
		return;
	elevator_unpublish(q);
	WRITE_ONCE(q->elevator_type, NULL);
	check_is_empty(eq);
	exit_hctxs(q, eq, q->nr_hw_queues);
	if (eq->type->ops.exit_sched)
		eq->type->ops.exit_sched(eq);
	q->elevator = NULL;
	blk_mq_sched_tags_free(q);
	set_depth(q, q->tag_set->queue_depth - q->tag_set->reserved_tags);
	free(eq);
}

int elevator_init_default(struct request_queue *q)
{
	for (size_t i = 0; i < ARRAY_SIZE(default_rules); i++) {
		const struct elevator_type *type;

		if (default_rules[i].tag_set_flags &&
		    !(q->tag_set->flags & default_rules[i].tag_set_flags))
			continue;
		if (default_rules[i].hw_queues && default_rules[i].hw_queues != q->nr_hw_queues)
			continue;
		type = find_type(default_rules[i].name, strlen(default_rules[i].name));
		return type ? elevator_start(q, type) : 0;
	}
	return 0;
}

/* ---- switching ------------------------------------------------------------------------------------- */

/* The name that a user wrote: blanks and the newline around it do not count. */
static const char *trim(const char *name, size_t *len)
{
	name += strspn(name, " \t\n");
	*len = strlen(name);
	while (*len && strchr(" \t\n", name[*len - 1]))
		(*len)--;
	return name;
}

static void refuse(const struct request_queue *q, const char *name, size_t len)
{
	char text[256];
	struct strbuf sb;

	strbuf_init(&sb, text, sizeof(text));
	elevator_show(q, &sb);
	text[strcspn(text, "\n")] = '\0';
	log_err("%s: no scheduler is called \"%.*s\"; there are: %s", q->disk->disk_name,
		(int)min_t(size_t, len, ELV_NAME_MAX), name, text);
}

/* E1. Holds change_lock. */
static int switch_locked(struct request_queue *q, const struct elevator_type *type)
{
	int err = 0;

	blk_debugfs_hide_requests(q);
	blk_mq_freeze_queue(q);
	blk_mq_quiesce_queue(q);
	elevator_exit(q);
	if (type)
		err = elevator_start(q, type);
	blk_mq_unquiesce_queue(q);
	blk_mq_unfreeze_queue(q);
	blk_debugfs_show_requests(q);
	if (err)
		log_err("%s: cannot start the scheduler %s: %s; the queue has none now",
			q->disk->disk_name, type->elevator_name, strerror(-err));
	else
		log_info("%s: scheduler is %s", q->disk->disk_name,
			 type ? type->elevator_name : "none");
	return err;
}

int elevator_switch(struct request_queue *q, const char *name)
{
	const struct elevator_type *type;
	size_t len;
	int err = 0;

	name = trim(name, &len);
	type = find_type(name, len);
	if (!type && (len != 4 || memcmp(name, "none", 4) != 0)) {
		refuse(q, name, len);
		return -EINVAL;
	}
	if (!can_have_elevator(q))
		return 0;
	rt_mutex_lock(&q->change_lock);
	if (type != q->elevator_type)
		err = switch_locked(q, type);
	rt_mutex_unlock(&q->change_lock);
	return err;
}

/* ---- the merge hash ---------------------------------------------------------------------------------- */

static sector_t end_sector(const struct request *rq)
{
	return blk_rq_pos(rq) + blk_rq_sectors(rq);
}

static struct list_head *bucket_of(struct elevator_queue *eq, sector_t end)
{
	return &eq->hash[hash_bits(end, ELV_HASH_BITS)];
}

void elv_rqhash_add(struct request_queue *q, struct request *rq)
{
	struct elevator_queue *eq = q->elevator;

	blkfs_assert(!(rq->rq_flags & RQF_HASHED));
	list_add(&rq->hash, bucket_of(eq, end_sector(rq)));
	rq->rq_flags |= RQF_HASHED;
	eq->last_merge = rq;
}

void elv_rqhash_del(struct request_queue *q, struct request *rq)
{
	struct elevator_queue *eq = q->elevator;

	if (!(rq->rq_flags & RQF_HASHED))
		return;
	list_del(&rq->hash);
	rq->rq_flags &= ~RQF_HASHED;
	if (eq->last_merge == rq)
		eq->last_merge = NULL;
}

static void rehash(struct request_queue *q, struct request *rq)
{
	if (!(rq->rq_flags & RQF_HASHED))
		return;
	elv_rqhash_del(q, rq);
	elv_rqhash_add(q, rq);
}

/* The newest that ends at @sector. */
static struct request *rqhash_find(struct elevator_queue *eq, sector_t sector)
{
	struct request *rq;

	list_for_each_entry(rq, bucket_of(eq, sector), hash)
		if (end_sector(rq) == sector)
			return rq;
	return NULL;
}

static bool allows_merge(struct request_queue *q, struct request *rq, struct bio *bio)
{
	const struct elevator_mq_ops *ops = &q->elevator->type->ops;

	return blk_rq_merge_ok(rq, bio) && (!ops->allow_merge || ops->allow_merge(q, rq, bio));
}

enum elv_merge elv_merge(struct request_queue *q, struct request **rq, struct bio *bio)
{
	struct elevator_queue *eq = q->elevator;
	struct request *found;

	if (queue_flag_test(q, QUEUE_FLAG_NOMERGES))
		return ELEVATOR_NO_MERGE;
	if (eq->last_merge && allows_merge(q, eq->last_merge, bio)) {
		enum elv_merge type = blk_try_merge(eq->last_merge, bio);

		if (type != ELEVATOR_NO_MERGE) {
			*rq = eq->last_merge;
			return type;
		}
	}
	if (queue_flag_test(q, QUEUE_FLAG_NOXMERGES))
		return ELEVATOR_NO_MERGE;
	found = rqhash_find(eq, bio->bi_iter.bi_sector);
	if (found && allows_merge(q, found, bio)) {
		*rq = found;
		return blk_try_merge(found, bio);
	}
	if (eq->type->ops.request_merge)
		return eq->type->ops.request_merge(q, rq, bio);
	return ELEVATOR_NO_MERGE;
}

/* @next's bios become @rq's, which is queued. */
static bool merge_requests(struct request_queue *q, struct request *rq, struct request *next)
{
	if (!blk_attempt_req_merge(rq, next))
		return false;
	elv_merge_requests(q, rq, next);
	return true;
}

bool elv_attempt_insert_merge(struct request_queue *q, struct request *rq)
{
	struct elevator_queue *eq = q->elevator;
	struct request *grown, *found;

	if (queue_flag_test(q, QUEUE_FLAG_NOMERGES))
		return false;
	if (eq->last_merge && merge_requests(q, eq->last_merge, rq))
		return true;
	if (queue_flag_test(q, QUEUE_FLAG_NOXMERGES))
		return false;
	grown = rqhash_find(eq, blk_rq_pos(rq));
	if (!grown || !merge_requests(q, grown, rq))
		return false;
	/* What it was merged into may itself follow another. */
	while ((found = rqhash_find(eq, blk_rq_pos(grown))) && merge_requests(q, found, grown)) {
		blk_mq_free_merged(grown);
		grown = found;
	}
	return true;
}

void elv_merged_request(struct request_queue *q, struct request *rq, enum elv_merge type)
{
	struct elevator_queue *eq = q->elevator;

	if (eq->type->ops.request_merged)
		eq->type->ops.request_merged(q, rq, type);
	if (type == ELEVATOR_BACK_MERGE)
		rehash(q, rq);
	if (rq->rq_flags & RQF_HASHED)
		eq->last_merge = rq;
}

void elv_merge_requests(struct request_queue *q, struct request *rq, struct request *next)
{
	struct elevator_queue *eq = q->elevator;

	if (eq->type->ops.requests_merged)
		eq->type->ops.requests_merged(q, rq, next);
	elv_rqhash_del(q, next);
	rehash(q, rq);
	if (rq->rq_flags & RQF_HASHED)
		eq->last_merge = rq;
}

/* ---- the sorted tree ----------------------------------------------------------------------------------- */

static bool pos_less(const struct rb_node *a, const struct rb_node *b)
{
	return blk_rq_pos(rb_entry(a, struct request, rb_node)) <
	       blk_rq_pos(rb_entry(b, struct request, rb_node));
}

static int pos_cmp(const void *key, const struct rb_node *node)
{
	sector_t pos = blk_rq_pos(rb_entry(node, struct request, rb_node));
	sector_t sector = *(const sector_t *)key;

	return sector < pos ? -1 : sector > pos;
}

void elv_rb_add(struct rb_root *root, struct request *rq)
{
	rb_add(&rq->rb_node, root, pos_less);
}

void elv_rb_del(struct rb_root *root, struct request *rq)
{
	blkfs_assert(!RB_EMPTY_NODE(&rq->rb_node));
	rb_erase(&rq->rb_node, root);
	RB_CLEAR_NODE(&rq->rb_node);
}

struct request *elv_rb_find(const struct rb_root *root, sector_t sector)
{
	struct rb_node *node = rb_find(&sector, root, pos_cmp);

	return node ? rb_entry(node, struct request, rb_node) : NULL;
}

struct request *elv_rb_former_request(struct request_queue *q, struct request *rq)
{
	struct rb_node *node = rb_prev(&rq->rb_node);

	return node ? rb_entry(node, struct request, rb_node) : NULL;
}

struct request *elv_rb_latter_request(struct request_queue *q, struct request *rq)
{
	struct rb_node *node = rb_next(&rq->rb_node);

	return node ? rb_entry(node, struct request, rb_node) : NULL;
}
