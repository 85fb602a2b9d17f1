/* SPDX-License-Identifier: MIT */
/*
 * tags.c - command numbers, and the requests that belong to them. Rules T1-T3 are in tags.h.
 *
 * Each reactor looks first in the word where it found a tag last, and words of small sets hold few
 * tags, so two reactors seldom meet in a cache line. On a set that several queues share, a queue
 * that has requests, or waits, may hold its part of the depth, at least BLK_MQ_TAG_MIN_SHARE.
 * Locks: none; the list of waiters belongs to the home reactor.
 */
#include "tags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#include "mq.h"

enum { TAG_WORD_SHIFT_MAX = 6, TAG_WORDS_WANTED = 4 };

/* ---- memory ------------------------------------------------------------------------------------- */

static unsigned long bits_between(unsigned int from, unsigned int to)
{
	unsigned long below_to = to >= 64 ? ~0UL : (1UL << to) - 1;
	unsigned long below_from = from >= 64 ? ~0UL : (1UL << from) - 1;

	return below_to & ~below_from;
}

/* The bits of word @w for tags [@from, @to). */
static unsigned long word_bits(const struct blk_mq_tags *tags, unsigned int w, unsigned int from,
			       unsigned int to)
{
	unsigned int size = 1u << tags->word_shift;
	unsigned int first = w << tags->word_shift;

	if (to <= first || from >= first + size)
		return 0;
	return bits_between(from > first ? from - first : 0, min(to - first, size));
}

void blk_mq_tags_set_depth(struct blk_mq_tags *tags, unsigned int depth)
{
	WRITE_ONCE(tags->depth, depth);
	for (unsigned int w = 0; w < tags->words_nr; w++)
		WRITE_ONCE(tags->words[w].normal, word_bits(tags, w, tags->nr_reserved, depth));
	if (__atomic_load_n(&tags->waiters_nr, __ATOMIC_SEQ_CST))
		blk_mq_tags_wake(tags);
}

static int alloc_words(struct blk_mq_tags *tags)
{
	unsigned int shift = TAG_WORD_SHIFT_MAX;

	while (shift > 0 && ((unsigned int)TAG_WORDS_WANTED << shift) > tags->nr_tags)
		shift--;
	tags->word_shift = shift;
	tags->words_nr = (tags->nr_tags + (1u << shift) - 1) >> shift;
	tags->words = aligned_alloc(BLKFS_CACHELINE, tags->words_nr * sizeof(*tags->words));
	if (!tags->words)
		return -ENOMEM;
	memset(tags->words, 0, tags->words_nr * sizeof(*tags->words));
	for (unsigned int w = 0; w < tags->words_nr; w++)
		tags->words[w].reserved = word_bits(tags, w, 0, tags->nr_reserved);
	blk_mq_tags_set_depth(tags, tags->nr_tags);
	return 0;
}

static int alloc_requests(struct blk_mq_tags *tags)
{
	struct blk_mq_tag_set *set = tags->set;
	size_t bytes;

	tags->rq_stride = round_up(sizeof(struct request) + set->cmd_size, BLKFS_CACHELINE);
	bytes = tags->rq_stride * tags->nr_tags;
	tags->rqs = calloc(tags->nr_tags, sizeof(struct request *));
	tags->static_rqs = aligned_alloc(BLKFS_CACHELINE, bytes);
	if (!tags->rqs || !tags->static_rqs)
		return -ENOMEM;
	memset(tags->static_rqs, 0, bytes);
	return 0;
}

static void exit_requests(struct blk_mq_tags *tags, unsigned int nr)
{
	struct blk_mq_tag_set *set = tags->set;

	if (!set->ops->exit_request)
		return;
	while (nr-- > 0)
		set->ops->exit_request(set, blk_mq_tags_rq(tags, nr), tags->hctx_idx);
}

static int init_requests(struct blk_mq_tags *tags)
{
	struct blk_mq_tag_set *set = tags->set;

	for (unsigned int i = 0; i < tags->nr_tags; i++) {
		struct request *rq = blk_mq_tags_rq(tags, i);
		int err;

		rq->tag = tags->rq_flags ? -1 : (int)i;
		rq->internal_tag = tags->rq_flags ? (int)i : -1;
		rq->budget_token = -1;
		INIT_LIST_HEAD(&rq->queuelist);
		tags->rqs[i] = rq;
		if (!set->ops->init_request)
			continue;
		err = set->ops->init_request(set, rq, tags->hctx_idx);
		if (err) {
			exit_requests(tags, i);
			return err;
		}
	}
	return 0;
}

static void free_memory(struct blk_mq_tags *tags)
{
	free(tags->static_rqs);
	free(tags->rqs);
	free(tags->words);
	free(tags);
}

static void wake_msg_fn(struct rt_msg *msg);

int blk_mq_tags_create(struct blk_mq_tag_set *set, unsigned int hctx_idx, unsigned int nr_tags,
		       enum tags_kind kind, struct blk_mq_tags **out)
{
	struct blk_mq_tags *tags = aligned_alloc(BLKFS_CACHELINE, sizeof(*tags));
	int err;

	if (!tags)
		return -ENOMEM;
	memset(tags, 0, sizeof(*tags));
	tags->set = set;
	tags->hctx_idx = hctx_idx;
	tags->nr_tags = nr_tags;
	tags->nr_reserved = set->reserved_tags;
	tags->rq_flags = kind == TAGS_SCHED ? RQF_SCHED_TAGS : 0;
	tags->home = rt_reactor_id();
	tags->is_round_robin = set->flags & BLK_MQ_F_TAG_RR;
	INIT_LIST_HEAD(&tags->waiters);
	tags->wake_msg.fn = wake_msg_fn;
	err = alloc_words(tags);
	if (!err)
		err = alloc_requests(tags);
	if (!err)
		err = init_requests(tags);
	if (err) {
		free_memory(tags);
		return err;
	}
	*out = tags;
	return 0;
}

static void nothing(void *arg)
{
}

void blk_mq_tags_destroy(struct blk_mq_tags *tags)
{
	if (!tags)
		return;
	blkfs_assert(blk_mq_tags_busy(tags) == 0);
	/* The last wake-up may still be on its way, or running. */
	while (rt_call_on(tags->home, nothing, NULL) ||
	       __atomic_load_n(&tags->is_wake_posted, __ATOMIC_SEQ_CST))
		;
	exit_requests(tags, tags->nr_tags);
	free_memory(tags);
}

unsigned int blk_mq_tags_busy(const struct blk_mq_tags *tags)
{
	unsigned int busy = 0;

	for (unsigned int w = 0; w < tags->words_nr; w++)
		busy += (unsigned int)__builtin_popcountl(READ_ONCE(tags->words[w].taken));
	return busy;
}

/* ---- shares ------------------------------------------------------------------------------------- */

static bool has_share_left(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx)
{
	unsigned int users = max(__atomic_load_n(&tags->active_queues, __ATOMIC_SEQ_CST), 1u);
	unsigned int depth = READ_ONCE(tags->depth) - tags->nr_reserved;
	unsigned int share = max_t(unsigned int, DIV_ROUND_UP(depth, users), BLK_MQ_TAG_MIN_SHARE);

	return __atomic_load_n(&hctx->nr_active, __ATOMIC_SEQ_CST) < share;
}

/* A queue has a share from its first tag, or first wait for one, to its last. */
static void want_more(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx, unsigned int nr)
{
	if (__atomic_fetch_add(&hctx->nr_wanted, nr, __ATOMIC_SEQ_CST) == 0)
		__atomic_fetch_add(&tags->active_queues, 1, __ATOMIC_SEQ_CST);
}

static void want_less(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx, unsigned int nr)
{
	if (__atomic_sub_fetch(&hctx->nr_wanted, nr, __ATOMIC_SEQ_CST) == 0)
		__atomic_fetch_sub(&tags->active_queues, 1, __ATOMIC_SEQ_CST);
}

static void count(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx, unsigned int nr)
{
	__atomic_fetch_add(&hctx->nr_active, nr, __ATOMIC_SEQ_CST);
	want_more(tags, hctx, nr);
}

void blk_mq_tags_uncount(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx, unsigned int nr)
{
	__atomic_fetch_sub(&hctx->nr_active, nr, __ATOMIC_SEQ_CST);
	want_less(tags, hctx, nr);
}

/* ---- taking -------------------------------------------------------------------------------------- */

struct tag_wish {
	unsigned int want;
	bool is_reserved;
	unsigned int below; /* only tags below it */
};

static unsigned long free_bits(const struct blk_mq_tags *tags, unsigned int w,
			       const struct tag_wish *wish)
{
	const struct blk_mq_tag_word *word = &tags->words[w];
	unsigned long may = wish->is_reserved ? word->reserved : READ_ONCE(word->normal);

	if (wish->below < tags->nr_tags)
		may &= word_bits(tags, w, 0, wish->below);
	return may & ~READ_ONCE(word->taken);
}

/* Take of one word; @first_bit is where a round robin goes on. */
static unsigned long take_of_word(struct blk_mq_tags *tags, unsigned int w,
				  const struct tag_wish *wish, unsigned int first_bit)
{
	unsigned long got = 0;

	while (!got) {
		unsigned long mask = free_bits(tags, w, wish);
		unsigned long behind = mask & ~bits_between(0, first_bit);

		mask = lowest_bits(behind ? behind : mask, wish->want);
		if (!mask)
			return 0;
		rt_sim_point();
		got = mask & ~__atomic_fetch_or(&tags->words[w].taken, mask, __ATOMIC_SEQ_CST);
	}
	return got;
}

static unsigned long take_any(struct blk_mq_tags *tags, unsigned int *hint,
			      const struct tag_wish *wish)
{
	unsigned int first = *hint >> tags->word_shift;
	unsigned int bit = tags->is_round_robin ? *hint & ((1u << tags->word_shift) - 1) : 0;

	for (unsigned int i = 0; i < tags->words_nr; i++) {
		unsigned int w = (first + i) % tags->words_nr;
		unsigned long got = take_of_word(tags, w, wish, i ? 0 : bit);

		if (!got)
			continue;
		*hint = w << tags->word_shift;
		if (tags->is_round_robin)
			*hint += (unsigned int)__builtin_ctzl(got);
		return got;
	}
	return 0;
}

static unsigned long take(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx, unsigned int *hint,
			  const struct tag_wish *wish)
{
	unsigned long got;

	if (tags->is_shared && !wish->is_reserved && !has_share_left(tags, hctx))
		return 0;
	got = take_any(tags, hint, wish);
	if (got && tags->is_shared)
		count(tags, hctx, (unsigned int)__builtin_popcountl(got));
	return got;
}

unsigned long blk_mq_tags_take_slow(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx,
				    unsigned int *hint, unsigned int want,
				    const struct blk_mq_alloc_data *data)
{
	struct tag_wish wish = {
		.want = tags->is_shared || tags->is_round_robin ? 1 : want,
		.is_reserved = data->flags & BLK_MQ_REQ_RESERVED,
		.below = data->shallow_depth ? data->shallow_depth : UINT32_MAX,
	};

	if (__atomic_load_n(&tags->waiters_nr, __ATOMIC_SEQ_CST) && !wish.is_reserved)
		return 0;
	return take(tags, hctx, hint, &wish);
}

/* ---- waiting ------------------------------------------------------------------------------------- */

static void got_msg_fn(struct rt_msg *msg)
{
	struct blk_mq_tag_waiter *w = container_of(msg, struct blk_mq_tag_waiter, msg);

	w->got(w);
}

/* Hands @w its tag; @w may be gone on return. */
static void hand_over(struct blk_mq_tag_waiter *w, int tag)
{
	struct task *task = w->task;

	w->tag = tag;
	if (!task) {
		w->msg.fn = got_msg_fn;
		rt_post(w->reactor, &w->msg);
		return;
	}
	__atomic_store_n(&w->is_done, true, __ATOMIC_RELEASE);
	rt_wake(task);
}

/* Home: serve whom can be served, oldest first; a queue over its share does not hold others up. */
static void serve_waiters(struct blk_mq_tags *tags)
{
	struct blk_mq_tag_waiter *w, *next;
	unsigned int hint = 0;

	list_for_each_entry_safe(w, next, &tags->waiters, node) {
		struct tag_wish wish = {
			.want = 1,
			.is_reserved = w->is_reserved,
			.below = w->shallow_depth ? w->shallow_depth : UINT32_MAX,
		};
		unsigned long got = take(tags, w->hctx, &hint, &wish);

		if (!got) {
			if (!tags->is_shared && !w->is_reserved && !w->shallow_depth)
				return;
			continue;
		}
		list_del(&w->node);
		if (tags->is_shared)
			want_less(tags, w->hctx, 1);
		__atomic_fetch_sub(&tags->waiters_nr, 1, __ATOMIC_SEQ_CST);
		hand_over(w, (int)((hint & ~((1u << tags->word_shift) - 1)) +
				   (unsigned int)__builtin_ctzl(got)));
	}
}

static void wake_msg_fn(struct rt_msg *msg)
{
	struct blk_mq_tags *tags = container_of(msg, struct blk_mq_tags, wake_msg);

	__atomic_store_n(&tags->is_wake_posted, false, __ATOMIC_SEQ_CST);
	rt_sim_point();
	serve_waiters(tags);
}

void blk_mq_tags_wake(struct blk_mq_tags *tags)
{
	if (!__atomic_exchange_n(&tags->is_wake_posted, true, __ATOMIC_SEQ_CST))
		rt_post(tags->home, &tags->wake_msg);
}

static void join_msg_fn(struct rt_msg *msg)
{
	struct blk_mq_tag_waiter *w = container_of(msg, struct blk_mq_tag_waiter, msg);

	list_add_tail(&w->node, &w->tags->waiters);
	serve_waiters(w->tags);
}

/* From here on @w is the home's; waiters_nr counts it before it travels (T3). */
static void join(struct blk_mq_tags *tags, struct blk_mq_tag_waiter *w)
{
	w->tags = tags;
	w->reactor = rt_reactor_id();
	w->is_done = false;
	if (tags->is_shared)
		want_more(tags, w->hctx, 1);
	__atomic_fetch_add(&tags->waiters_nr, 1, __ATOMIC_SEQ_CST);
	rt_sim_point();
	if (w->reactor == tags->home) {
		join_msg_fn(&w->msg);
		return;
	}
	w->msg.fn = join_msg_fn;
	rt_post(tags->home, &w->msg);
}

int blk_mq_tag_wait(struct blk_mq_tags *tags, const struct blk_mq_alloc_data *data)
{
	struct blk_mq_tag_waiter w = {
		.hctx = data->sw->hctx,
		.is_reserved = data->flags & BLK_MQ_REQ_RESERVED,
		.shallow_depth = data->shallow_depth,
		.task = rt_current(),
	};

	blkfs_assert(w.task);
	trace(TRACE_S, NULL, NULL);
	blk_bio_list_hand_over();
	join(tags, &w);
	while (!__atomic_load_n(&w.is_done, __ATOMIC_ACQUIRE))
		rt_park("a tag");
	return w.tag;
}

void blk_mq_tag_wait_async(struct blk_mq_tags *tags, struct blk_mq_tag_waiter *w)
{
	w->task = NULL;
	w->is_reserved = false;
	w->shallow_depth = 0;
	join(tags, w);
}

/* ---- walking ------------------------------------------------------------------------------------- */

void blk_mq_tagset_busy_iter(struct blk_mq_tag_set *set, bool (*fn)(struct request *rq, void *arg),
			     void *arg)
{
	for (unsigned int h = 0; h < set->nr_hw_queues; h++) {
		struct blk_mq_tags *tags = set->tags[h];

		for (unsigned int i = 0; i < tags->nr_tags; i++) {
			struct request *rq = __atomic_load_n(&tags->rqs[i], __ATOMIC_ACQUIRE);

			if (rq &&
			    __atomic_load_n(&rq->state, __ATOMIC_ACQUIRE) == MQ_RQ_IN_FLIGHT &&
			    !fn(rq, arg))
				return;
		}
	}
}
