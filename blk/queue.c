/* SPDX-License-Identifier: MIT */
/*
 * queue.c - tag sets, queues and disks: made, mapped, changed under freeze, taken down.
 *
 * Everything that I/O will need is allocated here. A queue stands still (frozen, and quiesced where
 * the driver's view changes) while its limits, depth or elevator are changed.
 * Locks: q->change_lock, one change at a time; then freeze.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blkfs/lock_order.h"

#include "mq.h"
#include "split.h"

enum { SPLIT_BIOS = 128 }; /* of each reactor and queue: cut-off fronts on their way */

static const struct rt_lock_class change_class = { "queue change", LOCK_RANK_QUEUE };
static const struct rt_lock_class freeze_class = { "queue freeze", LOCK_RANK_LEAF };

/* ---- tag sets -------------------------------------------------------------------------------------------- */

static int check_set(struct blk_mq_tag_set *set)
{
	if (!set->ops || !set->ops->queue_rq || !set->ops->get_budget != !set->ops->put_budget)
		return -EINVAL;
	if (!set->nr_hw_queues || !set->queue_depth || set->reserved_tags >= set->queue_depth)
		return -EINVAL;
	if (set->queue_depth > BLK_MQ_MAX_DEPTH)
		set->queue_depth = BLK_MQ_MAX_DEPTH;
	if (!set->nr_maps)
		set->nr_maps = 1;
	if (set->nr_maps > HCTX_MAX_TYPES)
		return -EINVAL;
	if (!set->timeout_ns)
		set->timeout_ns = BLK_DEFAULT_TIMEOUT_NS;
	return 0;
}

static void map_evenly(struct blk_mq_queue_map *map)
{
	for (unsigned int r = 0; r < rt_reactor_nr(); r++)
		map->mq_map[r] = map->queue_offset + r % map->nr_queues;
}

static int map_queues(struct blk_mq_tag_set *set)
{
	if (set->nr_maps == 1 && !set->map[0].nr_queues)
		set->map[0].nr_queues = set->nr_hw_queues;
	if (set->ops->map_queues) {
		set->ops->map_queues(set);
	} else {
		for (unsigned int t = 0; t < set->nr_maps; t++) {
			if (set->map[t].nr_queues)
				map_evenly(&set->map[t]);
		}
	}
	for (unsigned int t = 0; t < set->nr_maps; t++) {
		for (unsigned int r = 0; set->map[t].nr_queues && r < rt_reactor_nr(); r++) {
			if (set->map[t].mq_map[r] >= set->nr_hw_queues)
				return -EINVAL;
		}
	}
	return set->map[HCTX_TYPE_DEFAULT].nr_queues ? 0 : -EINVAL;
}

static void free_set_tags(struct blk_mq_tag_set *set, unsigned int nr)
{
	while (nr-- > 0)
		blk_mq_tags_destroy(set->tags[nr]);
	free(set->tags);
	set->tags = NULL;
}

/* Without an elevator a driver tag is always that of its own request. */
static void reset_driver_rqs(struct blk_mq_tags *tags)
{
	for (unsigned int i = 0; i < tags->nr_tags; i++)
		__atomic_store_n(&tags->rqs[i], blk_mq_tags_rq(tags, i), __ATOMIC_RELEASE);
}

int blk_mq_alloc_tag_set(struct blk_mq_tag_set *set)
{
	int err = check_set(set);

	if (!err)
		err = map_queues(set);
	if (err) {
		log_err("tag set: %u hardware queues of depth %u (%u reserved) in %u maps is refused: "
			"queue_rq, get_budget with put_budget, and every reactor mapped are needed",
			set->nr_hw_queues, set->queue_depth, set->reserved_tags, set->nr_maps);
		return err;
	}
	blk_reactors_init();
	INIT_LIST_HEAD(&set->tag_list);
	set->tags = calloc(set->nr_hw_queues, sizeof(struct blk_mq_tags *));
	if (!set->tags)
		return -ENOMEM;
	for (unsigned int h = 0; h < set->nr_hw_queues; h++) {
		err = blk_mq_tags_create(set, h, set->queue_depth, TAGS_DRIVER, &set->tags[h]);
		if (err) {
			free_set_tags(set, h);
			return err;
		}
		reset_driver_rqs(set->tags[h]);
	}
	err = blk_timeouts_create(set);
	if (err)
		free_set_tags(set, set->nr_hw_queues);
	return err;
}

void blk_mq_free_tag_set(struct blk_mq_tag_set *set)
{
	if (!set->tags)
		return;
	blkfs_assert(list_empty(&set->tag_list));
	blk_timeouts_destroy(set);
	free_set_tags(set, set->nr_hw_queues);
}

/* ---- sharing a set ------------------------------------------------------------------------------------------ */

/* Only frozen queues change from not counting their tags to counting them. */
static void set_shared(struct blk_mq_tag_set *set, bool is_shared)
{
	struct request_queue *q;

	if (set->tags[0]->is_shared == is_shared)
		return;
	list_for_each_entry(q, &set->tag_list, tag_node)
		blk_mq_freeze_queue(q);
	for (unsigned int h = 0; h < set->nr_hw_queues; h++)
		WRITE_ONCE(set->tags[h]->is_shared, is_shared);
	list_for_each_entry(q, &set->tag_list, tag_node)
		blk_mq_unfreeze_queue(q);
}

static void join_set(struct request_queue *q)
{
	struct blk_mq_tag_set *set = q->tag_set;

	list_add_tail(&q->tag_node, &set->tag_list);
	set_shared(set,
		   (set->flags & BLK_MQ_F_TAG_QUEUE_SHARED) || !list_is_singular(&set->tag_list));
}

static void leave_set(struct request_queue *q)
{
	struct blk_mq_tag_set *set = q->tag_set;

	list_del(&q->tag_node);
	if (!list_empty(&set->tag_list))
		set_shared(set, (set->flags & BLK_MQ_F_TAG_QUEUE_SHARED) ||
					!list_is_singular(&set->tag_list));
}

/* ---- scheduler tags and depth ----------------------------------------------------------------------------- */

/* A hint is a tag that exists. The queue is frozen. */
static void reset_sched_hints(struct request_queue *q)
{
	for (unsigned int r = 0; r < q->nr_reactors; r++)
		for (unsigned int t = 0; t < HCTX_MAX_TYPES; t++)
			q->ctxs[r].sw[t].sched_tag_hint = 0;
}

int blk_mq_sched_tags_alloc(struct request_queue *q, unsigned int depth)
{
	struct blk_mq_tag_set *set = q->tag_set;

	reset_sched_hints(q);
	for (unsigned int h = 0; h < q->nr_hw_queues; h++) {
		int err = blk_mq_tags_create(set, h, depth + set->reserved_tags, TAGS_SCHED,
					     &q->hctxs[h]->sched_tags);

		if (err) {
			blk_mq_sched_tags_free(q);
			return err;
		}
	}
	return 0;
}

void blk_mq_sched_tags_free(struct request_queue *q)
{
	for (unsigned int h = 0; h < q->nr_hw_queues; h++) {
		blk_mq_tags_destroy(q->hctxs[h]->sched_tags);
		q->hctxs[h]->sched_tags = NULL;
		/* Nobody shall find the freed requests by their driver's tag. */
		reset_driver_rqs(q->hctxs[h]->tags);
	}
}

static int resize_sched_tags(struct request_queue *q, unsigned int nr)
{
	for (unsigned int h = 0; h < q->nr_hw_queues; h++) {
		struct blk_mq_tags *old = q->hctxs[h]->sched_tags, *new;
		unsigned int total = nr + q->tag_set->reserved_tags;
		int err;

		if (total <= old->nr_tags) {
			blk_mq_tags_set_depth(old, total);
			continue;
		}
		err = blk_mq_tags_create(q->tag_set, h, total, TAGS_SCHED, &new);
		if (err)
			return err;
		q->hctxs[h]->sched_tags = new;
		reset_driver_rqs(q->hctxs[h]->tags);
		blk_mq_tags_destroy(old);
	}
	return 0;
}

int blk_mq_update_nr_requests(struct request_queue *q, unsigned int nr)
{
	unsigned int reserved = q->tag_set->reserved_tags;
	int err = 0;

	if (!nr || nr > BLK_MQ_MAX_DEPTH)
		return -EINVAL;
	/* Without an elevator the driver's own tags are all there are. */
	if (!q->elevator && nr + reserved > q->tag_set->queue_depth)
		return -EINVAL;
	blk_mq_freeze_queue(q);
	blk_mq_quiesce_queue(q);
	if (q->elevator) {
		err = resize_sched_tags(q, nr);
	} else {
		for (unsigned int h = 0; h < q->nr_hw_queues; h++)
			blk_mq_tags_set_depth(q->hctxs[h]->tags, nr + reserved);
	}
	if (!err) {
		WRITE_ONCE(q->nr_requests, nr);
		if (q->elevator && q->elevator->type->ops.depth_updated)
			q->elevator->type->ops.depth_updated(q);
	}
	blk_mq_unquiesce_queue(q);
	blk_mq_unfreeze_queue(q);
	return err;
}

/* ---- hardware and software queues ---------------------------------------------------------------------------- */

static void free_hctx(struct request_queue *q, unsigned int h)
{
	struct blk_mq_hw_ctx *hctx = q->hctxs[h];

	blk_free_flush_queue(hctx);
	if (q->mq_ops->exit_hctx)
		q->mq_ops->exit_hctx(hctx, h);
	free(hctx);
	q->hctxs[h] = NULL;
}

static uint64_t reactors_of(const struct blk_mq_tag_set *set, unsigned int h, enum hctx_type *type)
{
	uint64_t mask = 0;

	for (unsigned int t = 0; t < set->nr_maps; t++) {
		for (unsigned int r = 0; set->map[t].nr_queues && r < rt_reactor_nr(); r++) {
			if (set->map[t].mq_map[r] != h)
				continue;
			if (!mask)
				*type = (enum hctx_type)t;
			mask |= 1ULL << r;
		}
	}
	return mask;
}

static int alloc_hctx(struct request_queue *q, unsigned int h)
{
	struct blk_mq_tag_set *set = q->tag_set;
	struct blk_mq_hw_ctx *hctx = calloc(1, sizeof(*hctx));
	int err = 0;

	if (!hctx)
		return -ENOMEM;
	hctx->queue = q;
	hctx->queue_num = h;
	hctx->tags = set->tags[h];
	hctx->reactors = reactors_of(set, h, &hctx->type);
	hctx->nr_ctx = (unsigned int)__builtin_popcountll(hctx->reactors);
	if (q->mq_ops->init_hctx)
		err = q->mq_ops->init_hctx(hctx, set->driver_data, h);
	if (err) {
		free(hctx);
		return err;
	}
	q->hctxs[h] = hctx;
	err = blk_alloc_flush_queue(hctx);
	if (err) {
		if (q->mq_ops->exit_hctx)
			q->mq_ops->exit_hctx(hctx, h);
		free(hctx);
		q->hctxs[h] = NULL;
	}
	return err;
}

static struct blk_mq_hw_ctx *hctx_of(const struct request_queue *q, unsigned int type,
				     unsigned int reactor)
{
	const struct blk_mq_tag_set *set = q->tag_set;

	if (type >= set->nr_maps || !set->map[type].nr_queues)
		type = HCTX_TYPE_DEFAULT;
	return q->hctxs[set->map[type].mq_map[reactor]];
}

/* The software queues of one reactor: one for each hardware queue that it uses. */
static void map_ctx(struct request_queue *q, struct blk_mq_ctx *ctx)
{
	for (unsigned int t = 0; t < HCTX_MAX_TYPES; t++) {
		struct blk_mq_hw_ctx *hctx = hctx_of(q, t, ctx->reactor);

		for (unsigned int u = 0; u < t && !ctx->sw_of[t]; u++) {
			if (ctx->sw[u].hctx == hctx)
				ctx->sw_of[t] = &ctx->sw[u];
		}
		if (ctx->sw_of[t])
			continue;
		blk_mq_sw_init(&ctx->sw[t], ctx, hctx);
		ctx->sw_of[t] = &ctx->sw[t];
		/* Reactors begin at different words of a shared hardware queue's tags. */
		ctx->sw[t].tag_hint = (ctx->reactor % hctx->tags->words_nr)
				      << hctx->tags->word_shift;
	}
}

static int alloc_ctxs(struct request_queue *q)
{
	size_t bytes = rt_reactor_nr() * sizeof(struct blk_mq_ctx);

	q->ctxs = aligned_alloc(BLKFS_CACHELINE, bytes);
	if (!q->ctxs)
		return -ENOMEM;
	memset(q->ctxs, 0, bytes);
	for (unsigned int r = 0; r < q->nr_reactors; r++) {
		q->ctxs[r].queue = q;
		q->ctxs[r].reactor = r;
		q->ctxs[r].cell = &q->disk->part0.bd_stats->cells[r];
		blk_mq_requeue_init(&q->ctxs[r]);
	}
	return 0;
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

/* Files show single limits meanwhile: no field is ever half written. */
static void copy_limits(struct queue_limits *to, const struct queue_limits *from)
{
	enum { WORDS = sizeof(*to) / sizeof(uint64_t) };

	BUILD_BUG_ON(sizeof(*to) % sizeof(uint64_t) != 0);
	for (size_t i = 0; i < WORDS; i++)
		WRITE_ONCE(((uint64_t *)to)[i], ((const uint64_t *)from)[i]);
}

static void apply_limits(struct request_queue *q, const struct queue_limits *lim)
{
	copy_limits(&q->limits, lim);
	/* With maps of several types the short way would have to choose: there is none. */
	q->simple_bytes = q->tag_set && q->tag_set->nr_maps > 1 ? 0 : queue_simple_bytes(lim);
	q->has_fua = lim->features & BLK_FEAT_FUA;
	WRITE_ONCE(q->has_write_cache, (lim->features & BLK_FEAT_WRITE_CACHE) &&
					       !queue_flag_test(q, QUEUE_FLAG_WC_OFF));
}

int queue_limits_set(struct request_queue *q, const struct queue_limits *lim)
{
	struct queue_limits checked = *lim;
	int err = blk_validate_limits(&checked);

	if (err)
		return err;
	rt_mutex_lock(&q->change_lock);
	blk_mq_freeze_queue(q);
	apply_limits(q, &checked);
	blk_mq_unfreeze_queue(q);
	rt_mutex_unlock(&q->change_lock);
	return 0;
}

/* ---- disks ------------------------------------------------------------------------------------------------------ */

static void free_disk_memory(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;

	if (q) {
		bio_pool_destroy(q->bio_split);
		free(q->hctxs);
		free(q->ctxs);
		free(q);
	}
	free(disk->part0.bd_stats);
	free(disk);
}

static int alloc_stats(struct block_device *bdev)
{
	unsigned int cells_nr = rt_reactor_nr();
	size_t bytes = sizeof(struct bdev_stats) + cells_nr * sizeof(struct bdev_stats_cell);

	bdev->bd_stats = aligned_alloc(BLKFS_CACHELINE, round_up(bytes, BLKFS_CACHELINE));
	if (!bdev->bd_stats)
		return -ENOMEM;
	memset(bdev->bd_stats, 0, bytes);
	bdev->bd_stats->cells_nr = cells_nr;
	return 0;
}

static int alloc_disk_memory(const struct queue_limits *lim, sector_t capacity, const char *name,
			     void *private_data, struct attr_dir *attrs, struct gendisk **out)
{
	struct gendisk *disk = calloc(1, sizeof(*disk));
	struct request_queue *q = aligned_alloc(BLKFS_CACHELINE, sizeof(*q));
	struct strbuf sb;
	int err = -ENOMEM;

	if (!disk || !q) {
		free(disk);
		free(q);
		return -ENOMEM;
	}
	memset(q, 0, sizeof(*q));
	strbuf_init(&sb, disk->disk_name, sizeof(disk->disk_name));
	strbuf_printf(&sb, "%s", name);
	disk->queue = q;
	disk->private_data = private_data;
	disk->attr_root = attrs;
	disk->part0 = (struct block_device){ .bd_disk = disk, .bd_queue = q };
	disk->part0.bd_nr_sectors = capacity;
	q->disk = disk;
	q->nr_reactors = rt_reactor_nr();
	q->queue_flags = QUEUE_FLAG_SAME_COMP;
	apply_limits(q, lim);
	rt_mutex_init(&q->change_lock, &change_class);
	rt_mutex_init(&q->freeze_lock, &freeze_class);
	rt_waitqueue_init(&q->freeze_wq);
	rt_waitqueue_init(&q->thaw_wq);
	rt_waitqueue_init(&q->quiesce_wq);
	err = alloc_stats(&disk->part0);
	if (!err)
		err = alloc_ctxs(q);
	if (err) {
		free_disk_memory(disk);
		return err;
	}
	*out = disk;
	return 0;
}

static int start_queue(struct request_queue *q, struct blk_mq_tag_set *set)
{
	unsigned int h;
	int err;

	q->mq_ops = set->ops;
	q->tag_set = set;
	q->timeouts = set->core;
	q->nr_hw_queues = set->nr_hw_queues;
	q->nr_requests = set->queue_depth - set->reserved_tags;
	q->timeout_ns = set->timeout_ns;
	apply_limits(q, &q->limits);
	if (set->flags & BLK_MQ_F_BLOCKING)
		q->queue_flags |= QUEUE_FLAG_BLOCKING;
	if (set->flags & BLK_MQ_F_NO_SCHED)
		q->queue_flags |= QUEUE_FLAG_NO_SCHED;
	q->hctxs = calloc(q->nr_hw_queues, sizeof(struct blk_mq_hw_ctx *));
	if (!q->hctxs)
		return -ENOMEM;
	err = bio_pool_create("split", SPLIT_BIOS, 0, &q->bio_split);
	for (h = 0; !err && h < q->nr_hw_queues; h++)
		err = alloc_hctx(q, h);
	if (err) {
		while (h-- > 0) {
			if (q->hctxs[h])
				free_hctx(q, h);
		}
		return err;
	}
	for (unsigned int r = 0; r < q->nr_reactors; r++)
		map_ctx(q, &q->ctxs[r]);
	join_set(q);
	return 0;
}

static void stop_timers_fn(void *arg)
{
	struct request_queue *q = arg;
	struct blk_mq_ctx *ctx = blk_mq_this_ctx(q);

	rt_timer_cancel(&ctx->requeue_timer);
	for (unsigned int t = 0; t < HCTX_MAX_TYPES; t++) {
		if (!ctx->sw[t].hctx)
			continue;
		rt_timer_cancel(&ctx->sw[t].run_timer);
		rt_defer_cancel(&ctx->sw[t].run_defer);
	}
}

static bool is_message_out(const struct request_queue *q)
{
	for (unsigned int r = 0; r < q->nr_reactors; r++) {
		const struct blk_mq_ctx *ctx = &q->ctxs[r];

		if (__atomic_load_n(&ctx->is_requeue_posted, __ATOMIC_SEQ_CST))
			return true;
		for (unsigned int t = 0; t < HCTX_MAX_TYPES; t++) {
			if (__atomic_load_n(&ctx->sw[t].is_run_posted, __ATOMIC_SEQ_CST))
				return true;
		}
	}
	return false;
}

/* Nothing is inside any more: undo start_queue(). */
static void stop_queue(struct request_queue *q)
{
	do {
		for (unsigned int r = 0; r < q->nr_reactors; r++) {
			while (rt_call_on(r, stop_timers_fn, q))
				;
		}
	} while (is_message_out(q));
	for (unsigned int h = 0; h < q->nr_hw_queues; h++)
		free_hctx(q, h);
	leave_set(q);
}

int blk_mq_alloc_disk(struct blk_mq_tag_set *set, const struct queue_limits *lim, sector_t capacity,
		      const char *name, void *private_data, struct attr_dir *attrs,
		      struct gendisk **out)
{
	struct queue_limits checked = *lim;
	struct gendisk *disk;
	int err = blk_validate_limits(&checked);

	if (!err)
		err = alloc_disk_memory(&checked, capacity, name, private_data, attrs, &disk);
	if (err)
		return err;
	disk->ops = set->ops;
	err = start_queue(disk->queue, set);
	if (err)
		goto free_memory;
	err = elevator_init_default(disk->queue);
	if (!err && attrs)
		err = blk_publish_disk(disk);
	if (err)
		goto stop;
	*out = disk;
	return 0;
stop:
	elevator_exit(disk->queue);
	stop_queue(disk->queue);
free_memory:
	free_disk_memory(disk);
	return err;
}

int blk_alloc_disk(const struct block_device_operations *fops, const struct queue_limits *lim,
		   sector_t capacity, const char *name, void *private_data, struct attr_dir *attrs,
		   struct gendisk **out)
{
	struct queue_limits checked = *lim;
	struct gendisk *disk;
	int err = fops->submit_bio ? blk_validate_limits(&checked) : -EINVAL;

	if (!err)
		err = alloc_disk_memory(&checked, capacity, name, private_data, attrs, &disk);
	if (err)
		return err;
	blk_reactors_init();
	disk->fops = fops;
	if (attrs)
		err = blk_publish_disk(disk);
	if (err) {
		free_disk_memory(disk);
		return err;
	}
	*out = disk;
	return 0;
}

void del_gendisk(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;

	if (disk->attr_root)
		blk_unpublish_disk(disk);
	blk_queue_start_dying(q);
	blk_mq_freeze_queue(q);
	if (q->mq_ops) {
		/* A run that was asked for before may come yet; it is not to look at the elevator. */
		blk_mq_quiesce_queue(q);
		elevator_exit(q);
		stop_queue(q);
		if (disk->ops->free_disk)
			disk->ops->free_disk(disk);
	} else if (disk->fops->free_disk) {
		disk->fops->free_disk(disk);
	}
	free_disk_memory(disk);
}

void blk_mark_disk_dead(struct gendisk *disk)
{
	blk_queue_start_dying(disk->queue);
}

void set_capacity(struct gendisk *disk, sector_t sectors)
{
	__atomic_store_n(&disk->part0.bd_nr_sectors, sectors, __ATOMIC_RELAXED);
}

sector_t get_capacity(const struct gendisk *disk)
{
	return READ_ONCE(disk->part0.bd_nr_sectors);
}

void set_disk_ro(struct gendisk *disk, bool is_ro)
{
	WRITE_ONCE(disk->part0.bd_read_only, is_ro);
}

/* ---- what users ask of a device --------------------------------------------------------------------------------- */

const struct queue_limits *bdev_limits(const struct block_device *bdev)
{
	return &bdev->bd_queue->limits;
}

const char *bdev_name(const struct block_device *bdev)
{
	return bdev->bd_disk->disk_name;
}

bool bdev_write_cache(const struct block_device *bdev)
{
	return READ_ONCE(bdev->bd_queue->has_write_cache);
}

bool bdev_nonrot(const struct block_device *bdev)
{
	return !(bdev->bd_queue->limits.features & BLK_FEAT_ROTATIONAL);
}
