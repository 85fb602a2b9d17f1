/* SPDX-License-Identifier: MIT */
/*
 * debug/: the insides of a queue, in the words and layout of Linux's blk-mq-debugfs.
 *
 * D1. What a reactor owns (software queues, dispatch and requeue lists, the requests it submitted)
 *     is printed by that reactor, as a message; what is atomic is read as it stands.
 * D2. Files that follow request pointers are there only while no change of elevator or nr_requests
 *     can free what they follow; taking them away waits for those who read.
 */
#include "debugfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#include "blk.h"
#include "debugfs_text.h"
#include "elevator.h"

struct debug_hctx {
	struct blk_mq_hw_ctx *hctx;
	struct attr_dir *dir;
	bool has_requests; /* request_attrs are filled in */
};

/* A reactor's software queue of a hardware queue. */
struct debug_cpu {
	struct blk_mq_hw_ctx *hctx;
	unsigned int reactor;
	struct attr_dir *dir;
	bool has_requests;
};

struct blk_debugfs {
	struct attr_dir *dir;
	bool has_requests;
	unsigned int hctxs_nr, cpus_nr;
	struct debug_hctx *hctxs;
	struct debug_cpu *cpus;
};

/* ---- lists of requests ------------------------------------------------------------------------------ */

static void put_list(const struct list_head *list, struct strbuf *out)
{
	const struct request *rq;

	list_for_each_entry(rq, list, queuelist)
		blk_debugfs_rq(rq, out);
}

/* What is asked of a reactor: print with @fn into @out. */
struct ask {
	void (*fn)(const struct ask *ask);
	struct request_queue *q;
	struct blk_mq_hw_ctx *hctx;
	enum hctx_type type;
	struct strbuf *out;
	unsigned long mask; /* answer of ctx_map */
};

static void answer(void *arg)
{
	const struct ask *ask = arg;

	ask->fn(ask);
}

static int ask_reactors(struct ask *ask, uint64_t reactors)
{
	int err = 0;

	for (unsigned int r = 0; r < rt_reactor_nr() && !err; r++)
		if (reactors >> r & 1)
			err = rt_call_on(r, answer, ask);
	return err;
}

/* This reactor's software queue of @hctx, NULL: it has none. */
static const struct blk_mq_sw_queue *sw_here(const struct blk_mq_hw_ctx *hctx)
{
	const struct blk_mq_ctx *ctx = blk_mq_this_ctx(hctx->queue);

	for (unsigned int t = 0; t < HCTX_MAX_TYPES; t++)
		if (ctx->sw_of[t] && ctx->sw_of[t]->hctx == hctx)
			return ctx->sw_of[t];
	return NULL;
}

static void answer_dispatch(const struct ask *ask)
{
	const struct blk_mq_sw_queue *sw = sw_here(ask->hctx);

	if (sw)
		put_list(&sw->dispatch, ask->out);
}

static int show_dispatch(void *obj, struct strbuf *out)
{
	struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;
	struct ask ask = { answer_dispatch, hctx->queue, hctx, 0, out, 0 };

	return ask_reactors(&ask, hctx->reactors);
}

/* Its reactor may be writing: whichever value is seen will do, as only that reactor then goes on. */
static bool is_of_this_reactor(const struct request *rq, const struct blk_mq_hw_ctx *hctx)
{
	return READ_ONCE(rq->reactor) == rt_reactor_id() && READ_ONCE(rq->mq_hctx) == hctx;
}

static void answer_busy(const struct ask *ask)
{
	const struct blk_mq_tags *tags = ask->hctx->tags;

	for (unsigned int i = 0; i < tags->nr_tags; i++) {
		const struct request *rq = __atomic_load_n(&tags->rqs[i], __ATOMIC_ACQUIRE);

		if (rq && is_of_this_reactor(rq, ask->hctx) && READ_ONCE(rq->state) != MQ_RQ_IDLE)
			blk_debugfs_rq(rq, ask->out);
	}
}

static int show_busy(void *obj, struct strbuf *out)
{
	struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;
	struct ask ask = { answer_busy, hctx->queue, hctx, 0, out, 0 };

	return ask_reactors(&ask, hctx->reactors);
}

static void answer_rq_list(const struct ask *ask)
{
	const struct blk_mq_sw_queue *sw = sw_here(ask->hctx);
	const struct request *rq;

	if (!sw)
		return;
	list_for_each_entry(rq, &sw->rq_list, queuelist)
		if (blk_mq_hctx_type(rq->cmd_flags) == ask->type)
			blk_debugfs_rq(rq, ask->out);
}

static int show_rq_list(const struct debug_cpu *cpu, enum hctx_type type, struct strbuf *out)
{
	struct ask ask = { answer_rq_list, cpu->hctx->queue, cpu->hctx, type, out, 0 };

	return ask_reactors(&ask, 1ULL << cpu->reactor);
}

static int show_default_rq_list(void *obj, struct strbuf *out)
{
	return show_rq_list(obj, HCTX_TYPE_DEFAULT, out);
}

static int show_read_rq_list(void *obj, struct strbuf *out)
{
	return show_rq_list(obj, HCTX_TYPE_READ, out);
}

static int show_poll_rq_list(void *obj, struct strbuf *out)
{
	return show_rq_list(obj, HCTX_TYPE_POLL, out);
}

static void answer_requeue_list(const struct ask *ask)
{
	put_list(&blk_mq_this_ctx(ask->q)->requeue_list, ask->out);
}

static int show_requeue_list(void *obj, struct strbuf *out)
{
	struct ask ask = { answer_requeue_list, obj, NULL, 0, out, 0 };

	return ask_reactors(&ask, ~0ULL);
}

/* ---- tags ------------------------------------------------------------------------------------------- */

static int show_tags(void *obj, struct strbuf *out)
{
	const struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;

	debugfs_put_tags(hctx, hctx->tags, out);
	return 0;
}

static int show_tags_bitmap(void *obj, struct strbuf *out)
{
	debugfs_put_tags_bitmap(((struct debug_hctx *)obj)->hctx->tags, out);
	return 0;
}

static int show_sched_tags(void *obj, struct strbuf *out)
{
	const struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;

	if (hctx->sched_tags)
		debugfs_put_tags(hctx, hctx->sched_tags, out);
	return 0;
}

static int show_sched_tags_bitmap(void *obj, struct strbuf *out)
{
	const struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;

	if (hctx->sched_tags)
		debugfs_put_tags_bitmap(hctx->sched_tags, out);
	return 0;
}

static void answer_ctx_map(const struct ask *ask)
{
	const struct blk_mq_sw_queue *sw = sw_here(ask->hctx);

	if (sw && !list_empty(&sw->rq_list))
		((struct ask *)(uintptr_t)ask)->mask |= 1UL << rt_reactor_id();
}

static int show_ctx_map(void *obj, struct strbuf *out)
{
	struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;
	struct ask ask = { answer_ctx_map, hctx->queue, hctx, 0, out, 0 };
	struct debugfs_hexdump hd = { .out = out };
	int err = ask_reactors(&ask, hctx->reactors);

	if (err)
		return err;
	for (unsigned int r = 0; r < rt_reactor_nr(); r++)
		if (hctx->reactors >> r & 1)
			debugfs_hexdump_bit(&hd, ask.mask >> r & 1);
	debugfs_hexdump_end(&hd);
	return 0;
}

/* ---- a hardware queue ----------------------------------------------------------------------------- */

static int show_hctx_state(void *obj, struct strbuf *out)
{
	const struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;
	bool is_first = true;

	if (READ_ONCE(hctx->is_stopped))
		debugfs_put_word(out, "STOPPED", &is_first);
	if (READ_ONCE(hctx->nr_active))
		debugfs_put_word(out, "TAG_ACTIVE", &is_first);
	if (__atomic_load_n(&hctx->queue->restart, __ATOMIC_RELAXED) & hctx->reactors)
		debugfs_put_word(out, "SCHED_RESTART", &is_first);
	strbuf_putc(out, '\n');
	return 0;
}

static int show_hctx_flags(void *obj, struct strbuf *out)
{
	const struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;

	debugfs_put_set_flags(hctx->queue->tag_set->flags, out);
	strbuf_putc(out, '\n');
	return 0;
}

static int show_type(void *obj, struct strbuf *out)
{
	static const char *const names[] = { "default", "read", "poll" };

	strbuf_printf(out, "%s\n", names[((struct debug_hctx *)obj)->hctx->type]);
	return 0;
}

static int show_active(void *obj, struct strbuf *out)
{
	strbuf_printf(out, "%u\n", READ_ONCE(((struct debug_hctx *)obj)->hctx->nr_active));
	return 0;
}

static void answer_counts(const struct ask *ask)
{
	const struct blk_mq_sw_queue *sw = sw_here(ask->hctx);

	if (!sw)
		return;
	((struct ask *)(uintptr_t)ask)->mask += ask->type ? !list_empty(&sw->dispatch) : sw->run_nr;
}

/* How often the queue was run, over all reactors. */
static int show_run(void *obj, struct strbuf *out)
{
	struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;
	struct ask ask = { answer_counts, hctx->queue, hctx, 0, out, 0 };
	int err = ask_reactors(&ask, hctx->reactors);

	if (!err)
		strbuf_printf(out, "%lu\n", ask.mask);
	return err;
}

/* How many reactors have requests that the driver would not take yet. */
static int show_dispatch_busy(void *obj, struct strbuf *out)
{
	struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;
	struct ask ask = { answer_counts, hctx->queue, hctx, 1, out, 0 };
	int err = ask_reactors(&ask, hctx->reactors);

	if (!err)
		strbuf_printf(out, "%lu\n", ask.mask);
	return err;
}

static void answer_reset_run(const struct ask *ask)
{
	struct blk_mq_sw_queue *sw = (struct blk_mq_sw_queue *)(uintptr_t)sw_here(ask->hctx);

	if (sw)
		sw->run_nr = 0;
}

static int store_run(void *obj, const char *buf, size_t len)
{
	struct blk_mq_hw_ctx *hctx = ((struct debug_hctx *)obj)->hctx;
	struct ask ask = { answer_reset_run, hctx->queue, hctx, 0, NULL, 0 };

	return ask_reactors(&ask, hctx->reactors);
}

/* ---- the queue ------------------------------------------------------------------------------------- */

static int show_state(void *obj, struct strbuf *out)
{
	const struct request_queue *q = obj;
	const struct elevator_type *elevator = READ_ONCE(q->elevator_type);
	const struct {
		bool is_on;
		const char *name;
	} states[] = {
		{ queue_flag_test(q, QUEUE_FLAG_DYING), "DYING" },
		{ queue_flag_test(q, QUEUE_FLAG_NOMERGES), "NOMERGES" },
		{ queue_flag_test(q, QUEUE_FLAG_SAME_COMP), "SAME_COMP" },
		{ queue_flag_test(q, QUEUE_FLAG_NOXMERGES), "NOXMERGES" },
		{ queue_flag_test(q, QUEUE_FLAG_SAME_FORCE), "SAME_FORCE" },
		{ true, "INIT_DONE" },
		{ true, "REGISTERED" },
		{ READ_ONCE(q->is_quiesced), "QUIESCED" },
		{ elevator && elevator->flags & ELEVATOR_F_HOME, "SQ_SCHED" },
	};
	bool is_first = true;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (states[i].is_on)
			debugfs_put_word(out, states[i].name, &is_first);
	strbuf_putc(out, '\n');
	return 0;
}

static void start_hw_queues(struct request_queue *q)
{
	for (unsigned int i = 0; i < q->nr_hw_queues; i++)
		blk_mq_start_stopped_hw_queue(q->hctxs[i]);
}

static int store_state(void *obj, const char *buf, size_t len)
{
	static const struct {
		const char *word;
		void (*fn)(struct request_queue *q);
	} commands[] = {
		{ "run", blk_mq_run_hw_queues },
		{ "start", start_hw_queues },
		{ "kick", blk_mq_kick_requeue_list },
	};
	struct request_queue *q = obj;
	size_t word_len = strcspn(buf, " \t\n");

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strlen(commands[i].word) == word_len &&
		    strncmp(commands[i].word, buf, word_len) == 0) {
			commands[i].fn(q);
			return 0;
		}
	log_err("%s: cannot do \"%.*s\" to debug/state: allowed is run, start or kick",
		q->disk->disk_name, (int)min_t(size_t, word_len, 40), buf);
	return -EINVAL;
}

static const struct attr queue_attrs[] = {
	{ "state", 0600, show_state, store_state },
};

static const struct attr queue_request_attrs[] = {
	{ "requeue_list", 0400, show_requeue_list, NULL },
};

static const struct attr hctx_attrs[] = {
	{ "state", 0400, show_hctx_state, NULL },
	{ "flags", 0400, show_hctx_flags, NULL },
	{ "type", 0400, show_type, NULL },
	{ "active", 0400, show_active, NULL },
	{ "run", 0600, show_run, store_run },
	{ "dispatch_busy", 0400, show_dispatch_busy, NULL },
	{ "ctx_map", 0400, show_ctx_map, NULL },
	{ "tags", 0400, show_tags, NULL },
	{ "tags_bitmap", 0400, show_tags_bitmap, NULL },
};

static const struct attr hctx_request_attrs[] = {
	{ "busy", 0400, show_busy, NULL },
	{ "dispatch", 0400, show_dispatch, NULL },
	{ "sched_tags", 0400, show_sched_tags, NULL },
	{ "sched_tags_bitmap", 0400, show_sched_tags_bitmap, NULL },
};

static const struct attr cpu_request_attrs[] = {
	{ "default_rq_list", 0400, show_default_rq_list, NULL },
	{ "read_rq_list", 0400, show_read_rq_list, NULL },
	{ "poll_rq_list", 0400, show_poll_rq_list, NULL },
};

/* ---- publishing ------------------------------------------------------------------------------------ */

/* Fills or takes back one set of D2's files. */
static void switch_files(bool is_on, bool *is_there, struct attr_dir *dir, const struct attr *attrs,
			 size_t nr, void *obj)
{
	if (*is_there == is_on)
		return;
	if (!is_on)
		attr_dir_unfill(dir, attrs, obj);
	else if (attr_dir_fill(dir, attrs, nr, obj))
		return;
	*is_there = is_on;
}

static void switch_requests(struct request_queue *q, bool is_on)
{
	struct blk_debugfs *d = q->debugfs;

	if (!d)
		return;
	switch_files(is_on, &d->has_requests, d->dir, queue_request_attrs,
		     ARRAY_SIZE(queue_request_attrs), q);
	for (unsigned int i = 0; i < d->hctxs_nr; i++)
		switch_files(is_on, &d->hctxs[i].has_requests, d->hctxs[i].dir, hctx_request_attrs,
			     ARRAY_SIZE(hctx_request_attrs), &d->hctxs[i]);
	for (unsigned int i = 0; i < d->cpus_nr; i++)
		switch_files(is_on, &d->cpus[i].has_requests, d->cpus[i].dir, cpu_request_attrs,
			     ARRAY_SIZE(cpu_request_attrs), &d->cpus[i]);
}

void blk_debugfs_hide_requests(struct request_queue *q)
{
	switch_requests(q, false);
}

void blk_debugfs_show_requests(struct request_queue *q)
{
	switch_requests(q, true);
}

static int publish_cpus(struct blk_debugfs *d, struct debug_hctx *dh)
{
	char name[24];

	for (unsigned int r = 0; r < rt_reactor_nr(); r++) {
		struct debug_cpu *cpu = &d->cpus[d->cpus_nr];
		int err;

		if (!(dh->hctx->reactors >> r & 1))
			continue;
		*cpu = (struct debug_cpu){ .hctx = dh->hctx, .reactor = r };
		snprintf(name, sizeof(name), "cpu%u", r);
		err = attr_dir_add(dh->dir, name, NULL, 0, NULL, &cpu->dir);
		if (err)
			return err;
		d->cpus_nr++;
	}
	return 0;
}

static int publish_hctx(struct blk_debugfs *d, struct blk_mq_hw_ctx *hctx)
{
	struct debug_hctx *dh = &d->hctxs[d->hctxs_nr];
	char name[24];
	int err;

	dh->hctx = hctx;
	snprintf(name, sizeof(name), "hctx%u", hctx->queue_num);
	err = attr_dir_add(d->dir, name, hctx_attrs, ARRAY_SIZE(hctx_attrs), dh, &dh->dir);
	if (err)
		return err;
	d->hctxs_nr++;
	return publish_cpus(d, dh);
}

static struct blk_debugfs *debugfs_alloc(const struct request_queue *q)
{
	struct blk_debugfs *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->hctxs = calloc(q->nr_hw_queues, sizeof(*d->hctxs));
	d->cpus = calloc((size_t)q->nr_hw_queues * rt_reactor_nr(), sizeof(*d->cpus));
	if (d->hctxs && d->cpus)
		return d;
	free(d->hctxs);
	free(d->cpus);
	free(d);
	return NULL;
}

int blk_debugfs_publish(struct request_queue *q, struct attr_dir *root)
{
	int err;

	q->debugfs = debugfs_alloc(q);
	if (!q->debugfs)
		return -ENOMEM;
	err = attr_dir_add(root, "debug", queue_attrs, ARRAY_SIZE(queue_attrs), q,
			   &q->debugfs->dir);
	for (unsigned int i = 0; i < q->nr_hw_queues && !err; i++)
		err = publish_hctx(q->debugfs, q->hctxs[i]);
	if (err)
		blk_debugfs_unpublish(q);
	else
		blk_debugfs_show_requests(q);
	return err;
}

void blk_debugfs_unpublish(struct request_queue *q)
{
	struct blk_debugfs *d = q->debugfs;

	if (!d)
		return;
	attr_dir_del(d->dir);
	free(d->hctxs);
	free(d->cpus);
	free(d);
	q->debugfs = NULL;
}
