/* SPDX-License-Identifier: MIT */
/*
 * How debug/ writes: flags as words, a request as a line, tags as an sbitmap, bits as a hexdump; all
 * in the layout of Linux's blk-mq-debugfs. Reads what is atomic as it stands; locks nothing.
 */
#include "debugfs_text.h"

#include "base/strbuf.h"

#include "blk.h"
#include "debugfs.h"

/* ---- words for bits ------------------------------------------------------------------------------- */

struct bit_name {
	uint32_t bit;
	const char *name;
};

static const struct bit_name cmd_flag_names[] = {
	{ REQ_SYNC, "SYNC" },	  { REQ_META, "META" },
	{ REQ_PRIO, "PRIO" },	  { REQ_NOMERGE, "NOMERGE" },
	{ REQ_IDLE, "IDLE" },	  { REQ_INTEGRITY, "INTEGRITY" },
	{ REQ_FUA, "FUA" },	  { REQ_PREFLUSH, "PREFLUSH" },
	{ REQ_RAHEAD, "RAHEAD" }, { REQ_BACKGROUND, "BACKGROUND" },
	{ REQ_NOWAIT, "NOWAIT" }, { REQ_POLLED, "POLLED" },
	{ REQ_SWAP, "SWAP" },	  { REQ_NOUNMAP, "NOUNMAP" },
};

static const struct bit_name rq_flag_names[] = {
	{ RQF_STARTED, "STARTED" },
	{ RQF_FLUSH_SEQ, "FLUSH_SEQ" },
	{ RQF_MIXED_MERGE, "MIXED_MERGE" },
	{ RQF_DONTPREP, "DONTPREP" },
	{ RQF_SCHED_TAGS, "SCHED_TAGS" },
	{ RQF_USE_SCHED, "USE_SCHED" },
	{ RQF_FAILED, "FAILED" },
	{ RQF_QUIET, "QUIET" },
	{ RQF_IO_STAT, "IO_STAT" },
	{ RQF_HASHED, "HASHED" },
	{ RQF_STATS, "STATS" },
	{ RQF_SPECIAL_PAYLOAD, "SPECIAL_PAYLOAD" },
	{ RQF_TIMED_OUT, "TIMED_OUT" },
	{ RQF_RESV, "RESV" },
};

static const struct bit_name set_flag_names[] = {
	{ BLK_MQ_F_TAG_QUEUE_SHARED, "TAG_QUEUE_SHARED" },
	{ BLK_MQ_F_STACKING, "STACKING" },
	{ BLK_MQ_F_BLOCKING, "BLOCKING" },
	{ BLK_MQ_F_TAG_RR, "TAG_RR" },
	{ BLK_MQ_F_NO_SCHED, "NO_SCHED" },
	{ BLK_MQ_F_NO_SCHED_BY_DEFAULT, "NO_SCHED_BY_DEFAULT" },
};

void debugfs_put_word(struct strbuf *out, const char *word, bool *is_first)
{
	strbuf_printf(out, "%s%s", *is_first ? "" : "|", word);
	*is_first = false;
}

static void put_bits(struct strbuf *out, uint32_t bits, const struct bit_name *names, size_t nr)
{
	bool is_first = true;

	for (size_t i = 0; i < nr; i++)
		if (bits & names[i].bit)
			debugfs_put_word(out, names[i].name, &is_first);
}

void debugfs_put_set_flags(uint32_t flags, struct strbuf *out)
{
	put_bits(out, flags, set_flag_names, ARRAY_SIZE(set_flag_names));
}

/* ---- requests ------------------------------------------------------------------------------------- */

void blk_debugfs_rq(const struct request *rq, struct strbuf *out)
{
	static const char *const states[] = { "idle", "in_flight", "complete" };
	unsigned int state = READ_ONCE(rq->state);

	strbuf_printf(out, "%016lx {.op=%s, .cmd_flags=", (unsigned long)(uintptr_t)rq,
		      blk_op_name(rq->cmd_flags));
	put_bits(out, rq->cmd_flags & ~REQ_OP_MASK, cmd_flag_names, ARRAY_SIZE(cmd_flag_names));
	strbuf_puts(out, ", .rq_flags=");
	put_bits(out, rq->rq_flags, rq_flag_names, ARRAY_SIZE(rq_flag_names));
	strbuf_printf(out, ", .state=%s, .tag=%d, .internal_tag=%d}\n",
		      state < ARRAY_SIZE(states) ? states[state] : "?", rq->tag, rq->internal_tag);
}

/* ---- bitmaps --------------------------------------------------------------------------------------- */

static void hexdump_byte(struct debugfs_hexdump *hd)
{
	if (hd->offset % 16 == 0)
		strbuf_printf(hd->out, hd->offset ? "\n%08x:" : "%08x:", hd->offset);
	strbuf_printf(hd->out, hd->offset % 2 ? "%02x" : " %02x", hd->byte);
	hd->offset++;
	hd->byte = 0;
}

void debugfs_hexdump_bit(struct debugfs_hexdump *hd, bool is_set)
{
	hd->byte |= (unsigned int)is_set << (hd->bits_nr % 8);
	if (++hd->bits_nr % 8 == 0)
		hexdump_byte(hd);
}

void debugfs_hexdump_end(struct debugfs_hexdump *hd)
{
	if (hd->bits_nr % 8)
		hexdump_byte(hd);
	if (hd->offset)
		strbuf_putc(hd->out, '\n');
}

/* ---- tags ------------------------------------------------------------------------------------------- */

static bool tag_is_taken(const struct blk_mq_tags *tags, unsigned int tag)
{
	const struct blk_mq_tag_word *word = &tags->words[tag >> tags->word_shift];

	return READ_ONCE(word->taken) >> (tag & ((1u << tags->word_shift) - 1)) & 1;
}

void debugfs_put_tags_bitmap(const struct blk_mq_tags *tags, struct strbuf *out)
{
	struct debugfs_hexdump hd = { .out = out };

	for (unsigned int tag = tags->nr_reserved; tag < tags->nr_tags; tag++)
		debugfs_hexdump_bit(&hd, tag_is_taken(tags, tag));
	debugfs_hexdump_end(&hd);
}

static unsigned int taken_between(const struct blk_mq_tags *tags, unsigned int from,
				  unsigned int to)
{
	unsigned int taken = 0;

	for (unsigned int tag = from; tag < to; tag++)
		taken += tag_is_taken(tags, tag);
	return taken;
}

__attribute__((no_sanitize("thread"), noinline)) static unsigned int
tag_hint_of(const struct blk_mq_hw_ctx *hctx, unsigned int reactor)
{
	const struct blk_mq_ctx *ctx = &hctx->queue->ctxs[reactor];

	for (unsigned int t = 0; t < HCTX_MAX_TYPES; t++)
		if (ctx->sw_of[t] && ctx->sw_of[t]->hctx == hctx)
			return ctx->sw_of[t]->tag_hint;
	return 0;
}

/* In the words of an sbitmap; we have no cleared bits to collect, and one list of waiters. */
static void put_sbitmap(const struct blk_mq_hw_ctx *hctx, const struct blk_mq_tags *tags,
			unsigned int from, unsigned int to, struct strbuf *out)
{
	strbuf_printf(out, "depth=%u\nbusy=%u\ncleared=0\nbits_per_word=%u\nmap_nr=%u\n", to - from,
		      taken_between(tags, from, to), 1u << tags->word_shift,
		      DIV_ROUND_UP(to - from, 1u << tags->word_shift));
	strbuf_puts(out, "alloc_hint={");
	for (unsigned int r = 0; r < rt_reactor_nr(); r++)
		strbuf_printf(out, r ? ", %u" : "%u", tag_hint_of(hctx, r));
	strbuf_printf(out, "}\nwake_batch=1\nwake_index=0\nws_active=%u\n",
		      READ_ONCE(tags->waiters_nr));
	strbuf_printf(out, "ws={\n\t{.wait=%s},\n}\n",
		      READ_ONCE(tags->waiters_nr) ? "active" : "inactive");
	strbuf_printf(out, "round_robin=%d\nmin_shallow_depth=%u\n", tags->is_round_robin,
		      READ_ONCE(tags->depth) - tags->nr_reserved);
}

void debugfs_put_tags(const struct blk_mq_hw_ctx *hctx, const struct blk_mq_tags *tags,
		      struct strbuf *out)
{
	strbuf_printf(out, "nr_tags=%u\nnr_reserved_tags=%u\nactive_queues=%u\n", tags->nr_tags,
		      tags->nr_reserved, READ_ONCE(tags->active_queues));
	strbuf_puts(out, "\nbitmap_tags:\n");
	put_sbitmap(hctx, tags, tags->nr_reserved, tags->nr_tags, out);
	if (!tags->nr_reserved)
		return;
	strbuf_puts(out, "\nbreserved_tags:\n");
	put_sbitmap(hctx, tags, 0, tags->nr_reserved, out);
}
