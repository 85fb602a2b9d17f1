/* SPDX-License-Identifier: MIT */
/*
 * format.h - the journal on disk. All numbers are big-endian.
 *
 * Source: the kernel's Documentation/filesystems/ext4/journal.rst, "Journal (jbd2)".
 */
#ifndef FS_JBD2_FORMAT_H
#define FS_JBD2_FORMAT_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/endian.h"

enum { JBD2_MAGIC = 0xC03B3998 };

enum jbd2_block_type {
	JBD2_BLOCK_DESCRIPTOR = 1,
	JBD2_BLOCK_COMMIT = 2,
	JBD2_BLOCK_SUPER_V1 = 3,
	JBD2_BLOCK_SUPER_V2 = 4,
	JBD2_BLOCK_REVOKE = 5,
};

enum { JBD2_COMPAT_CHECKSUM = 0x1 };

enum {
	JBD2_INCOMPAT_REVOKE = 0x1,
	JBD2_INCOMPAT_64BIT = 0x2,
	JBD2_INCOMPAT_ASYNC_COMMIT = 0x4,
	JBD2_INCOMPAT_CSUM_V2 = 0x8,
	JBD2_INCOMPAT_CSUM_V3 = 0x10,
	JBD2_INCOMPAT_FAST_COMMIT = 0x20,
};

enum { JBD2_CHECKSUM_CRC32 = 1, JBD2_CHECKSUM_CRC32C = 4 };

/* At the start of every block but the copies of file system blocks. */
struct jbd2_header {
	__be32 h_magic;
	__be32 h_blocktype;
	__be32 h_sequence;
};

struct jbd2_super {
	struct jbd2_header s_header;
	__be32 s_blocksize;
	__be32 s_maxlen;   /* blocks of the journal */
	__be32 s_first;	   /* first block of the log */
	__be32 s_sequence; /* first transaction expected in the log */
	__be32 s_start;	   /* its block; 0: the log is empty */
	__be32 s_errno;
	__be32 s_feature_compat; /* from here on with JBD2_BLOCK_SUPER_V2 only */
	__be32 s_feature_incompat;
	__be32 s_feature_ro_compat;
	uint8_t s_uuid[16];
	__be32 s_nr_users;
	__be32 s_dynsuper;
	__be32 s_max_transaction;
	__be32 s_max_trans_data;
	uint8_t s_checksum_type;
	uint8_t s_padding2[3];
	__be32 s_num_fc_blks;
	__be32 s_head;
	__be32 s_padding[40];
	__be32 s_checksum; /* crc32c of these 1024 bytes, this field as zero */
	uint8_t s_users[16 * 48];
};

BUILD_BUG_ON(sizeof(struct jbd2_super) != 1024);
BUILD_BUG_ON(offsetof(struct jbd2_super, s_checksum) != 0xFC);

enum {
	JBD2_TAG_ESCAPE = 1,	/* the copy's first four bytes were the magic and are zeros */
	JBD2_TAG_SAME_UUID = 2, /* no UUID behind this tag */
	JBD2_TAG_DELETED = 4,
	JBD2_TAG_LAST = 8,
};

/* A tag, v3 checksums: 16 bytes. */
struct jbd2_tag3 {
	__be32 t_blocknr;
	__be32 t_flags;
	__be32 t_blocknr_high;
	__be32 t_checksum;
};

/* A tag otherwise: 8 bytes, 12 with 64BIT, and 2 more of padding with CSUM_V2. */
struct jbd2_tag {
	__be32 t_blocknr;
	__be16 t_checksum;
	__be16 t_flags;
	__be32 t_blocknr_high;
};

/* At the end of descriptor and revoke blocks with CSUM_V2 or V3. */
struct jbd2_tail {
	__be32 t_checksum;
};

struct jbd2_revoke {
	struct jbd2_header r_header;
	__be32 r_count; /* bytes used, with this header */
};

struct jbd2_commit {
	struct jbd2_header h_header;
	uint8_t h_chksum_type;
	uint8_t h_chksum_size;
	uint8_t h_padding[2];
	__be32 h_chksum[8];
	__be64 h_commit_sec;
	__be32 h_commit_nsec;
};

/* The fast commit area starts with such a tag; little-endian, unlike the rest. */
enum { JBD2_FC_TAG_HEAD = 9, JBD2_FC_BLOCKS_DEFAULT = 256 };

struct jbd2_fc_head {
	__le16 fc_tag;
	__le16 fc_len;
	__le32 fc_features;
	__le32 fc_tid;
};

#endif
