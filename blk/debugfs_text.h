/* SPDX-License-Identifier: MIT */
/*
 * debugfs_text.h - how the files of debug/ are written. Any context, but as said at blk_debugfs_rq().
 */
#ifndef BLK_DEBUGFS_TEXT_H
#define BLK_DEBUGFS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct blk_mq_hw_ctx;
struct blk_mq_tags;
struct strbuf;

/* Words with '|' between; *is_first begins true. */
void debugfs_put_word(struct strbuf *out, const char *word, bool *is_first);
/* BLK_MQ_F_*. */
void debugfs_put_set_flags(uint32_t flags, struct strbuf *out);

/* Bytes in pairs, sixteen a line. */
struct debugfs_hexdump {
	struct strbuf *out;
	unsigned int bits_nr;
	unsigned int byte;
	unsigned int offset;
};

void debugfs_hexdump_bit(struct debugfs_hexdump *hd, bool is_set);
void debugfs_hexdump_end(struct debugfs_hexdump *hd);

/* The ordinary tags and, where there are any, the reserved ones, in the words of an sbitmap. */
void debugfs_put_tags(const struct blk_mq_hw_ctx *hctx, const struct blk_mq_tags *tags,
		      struct strbuf *out);
void debugfs_put_tags_bitmap(const struct blk_mq_tags *tags, struct strbuf *out);

#endif
