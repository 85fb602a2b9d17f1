/* SPDX-License-Identifier: MIT */
/*
 * tags.h - giving tags out and taking them back; the fast halves are inline.
 *
 * T1. A tag is one bit; whoever sets it has it. No lock, no counter but on shared sets.
 * T2. While anybody waits, who comes asks behind them: waiters are served by the tags' home
 *     reactor, oldest first, each being handed a tag that is already taken for it.
 * T3. Who gives a tag back looks for waiters after the bit is clear (both are sequentially
 *     consistent), who waits is counted before the home tries for it: no wake-up is lost.
 */
#ifndef BLK_TAGS_H
#define BLK_TAGS_H

#include "blk.h"

/* What tags are for: the driver's commands, or an elevator's requests. */
enum tags_kind { TAGS_DRIVER, TAGS_SCHED };

/* Preallocates @nr_tags and their requests. Task. -ENOMEM, or what init_request said. */
int __must_check blk_mq_tags_create(struct blk_mq_tag_set *set, unsigned int hctx_idx,
				    unsigned int nr_tags, enum tags_kind kind,
				    struct blk_mq_tags **out);
void blk_mq_tags_destroy(struct blk_mq_tags *tags);

/* Give out tags below @depth only; those in use above it come back in their time. */
void blk_mq_tags_set_depth(struct blk_mq_tags *tags, unsigned int depth);

/* The slow half of blk_mq_tags_take(): other words, shares, shallow and reserved tags. */
unsigned long blk_mq_tags_take_slow(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx,
				    unsigned int *hint, unsigned int want,
				    const struct blk_mq_alloc_data *data);

/* Sleep until there is a tag for @data. Task. The tag. */
int blk_mq_tag_wait(struct blk_mq_tags *tags, const struct blk_mq_alloc_data *data);

/* Queue @w, with got() set; it is called on this reactor with w->tag. */
void blk_mq_tag_wait_async(struct blk_mq_tags *tags, struct blk_mq_tag_waiter *w);

void blk_mq_tags_wake(struct blk_mq_tags *tags);
void blk_mq_tags_uncount(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx, unsigned int nr);

static inline struct request *blk_mq_tags_rq(const struct blk_mq_tags *tags, unsigned int tag)
{
	return (struct request *)(tags->static_rqs + tag * tags->rq_stride);
}

/* Of @bits those that lie within @nr places from the lowest that is set: @nr of them, or fewer. */
static inline unsigned long lowest_bits(unsigned long bits, unsigned int nr)
{
	if (!bits)
		return 0;
	return bits & (((1UL << nr) - 1) << __builtin_ctzl(bits));
}

/*
 * blk_mq_tags_take - take up to @want tags of one word: a mask, whose bit 0 is tag *@base.
 *
 * 0: none free now (or others wait, T2). @hint is the caller's reactor's own.
 */
static inline unsigned long blk_mq_tags_take(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx,
					     unsigned int *hint, unsigned int want,
					     const struct blk_mq_alloc_data *data,
					     unsigned int *base)
{
	struct blk_mq_tag_word *word = &tags->words[*hint >> tags->word_shift];
	unsigned long got = 0;

	if (likely(!READ_ONCE(tags->waiters_nr) && !tags->is_shared && !tags->is_round_robin &&
		   !data->shallow_depth && !(data->flags & BLK_MQ_REQ_RESERVED))) {
		unsigned long mask = READ_ONCE(word->normal) & ~READ_ONCE(word->taken);

		mask = lowest_bits(mask, want);
		if (likely(mask))
			got = mask & ~__atomic_fetch_or(&word->taken, mask, __ATOMIC_SEQ_CST);
	}
	if (unlikely(!got))
		got = blk_mq_tags_take_slow(tags, hctx, hint, want, data);
	*base = *hint & ~((1u << tags->word_shift) - 1);
	return got;
}

/* Give the tags of @mask in the word of tag @base back. */
static inline void blk_mq_tags_put(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx,
				   unsigned int base, unsigned long mask)
{
	struct blk_mq_tag_word *word = &tags->words[base >> tags->word_shift];

	blkfs_debug_assert((READ_ONCE(word->taken) & mask) == mask);
	__atomic_fetch_and(&word->taken, ~mask, __ATOMIC_SEQ_CST);
	rt_sim_point();
	if (unlikely(tags->is_shared))
		blk_mq_tags_uncount(tags, hctx, (unsigned int)__builtin_popcountl(mask));
	if (unlikely(__atomic_load_n(&tags->waiters_nr, __ATOMIC_SEQ_CST)))
		blk_mq_tags_wake(tags);
}

static inline void blk_mq_tag_put(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx, int tag)
{
	unsigned int bit = (unsigned int)tag & ((1u << tags->word_shift) - 1);

	blk_mq_tags_put(tags, hctx, (unsigned int)tag - bit, 1UL << bit);
}

#endif
