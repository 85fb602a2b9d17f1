/* SPDX-License-Identifier: MIT */
/*
 * feature.c - the table of features: what each is called and whether it can be read.
 *
 * ext4's own rule: an incompat feature that is not known forbids the mount, an unknown ro_compat
 * feature forbids writing, a compat feature nothing. This mount only reads.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/log.h"
#include "base/strbuf.h"

#include "fs/ext4/super.h"

struct feature {
	uint32_t bit;
	const char *name; /* as mke2fs and dumpe2fs call it */
	bool is_read;	  /* incompat only */
};

static const struct feature compat_table[] = {
	{ EXT2_FEATURE_COMPAT_DIR_PREALLOC, "dir_prealloc", true },
	{ EXT2_FEATURE_COMPAT_IMAGIC_INODES, "imagic_inodes", true },
	{ EXT3_FEATURE_COMPAT_HAS_JOURNAL, "has_journal", true },
	{ EXT2_FEATURE_COMPAT_EXT_ATTR, "ext_attr", true },
	{ EXT2_FEATURE_COMPAT_RESIZE_INODE, "resize_inode", true },
	{ EXT2_FEATURE_COMPAT_DIR_INDEX, "dir_index", true },
	{ EXT4_FEATURE_COMPAT_SPARSE_SUPER2, "sparse_super2", true },
	{ EXT4_FEATURE_COMPAT_FAST_COMMIT, "fast_commit", true },
	{ EXT4_FEATURE_COMPAT_STABLE_INODES, "stable_inodes", true },
	{ EXT4_FEATURE_COMPAT_ORPHAN_FILE, "orphan_file", true },
};

static const struct feature incompat_table[] = {
	{ EXT2_FEATURE_INCOMPAT_COMPRESSION, "compression", false },
	{ EXT2_FEATURE_INCOMPAT_FILETYPE, "filetype", true },
	{ EXT3_FEATURE_INCOMPAT_RECOVER, "needs_recovery", true },
	{ EXT3_FEATURE_INCOMPAT_JOURNAL_DEV, "journal_dev", false },
	{ EXT2_FEATURE_INCOMPAT_META_BG, "meta_bg", true },
	{ EXT3_FEATURE_INCOMPAT_EXTENTS, "extent", true },
	{ EXT4_FEATURE_INCOMPAT_64BIT, "64bit", true },
	{ EXT4_FEATURE_INCOMPAT_MMP, "mmp", true },
	{ EXT4_FEATURE_INCOMPAT_FLEX_BG, "flex_bg", true },
	{ EXT4_FEATURE_INCOMPAT_EA_INODE, "ea_inode", true },
	{ EXT4_FEATURE_INCOMPAT_DIRDATA, "dirdata", false },
	{ EXT4_FEATURE_INCOMPAT_CSUM_SEED, "metadata_csum_seed", true },
	{ EXT4_FEATURE_INCOMPAT_LARGEDIR, "large_dir", true },
	{ EXT4_FEATURE_INCOMPAT_INLINE_DATA, "inline_data", true },
	{ EXT4_FEATURE_INCOMPAT_ENCRYPT, "encrypt", false },
	{ EXT4_FEATURE_INCOMPAT_CASEFOLD, "casefold", false },
};

static const struct feature ro_compat_table[] = {
	{ EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER, "sparse_super", true },
	{ EXT2_FEATURE_RO_COMPAT_LARGE_FILE, "large_file", true },
	{ EXT4_FEATURE_RO_COMPAT_HUGE_FILE, "huge_file", true },
	{ EXT4_FEATURE_RO_COMPAT_GDT_CSUM, "uninit_bg", true },
	{ EXT4_FEATURE_RO_COMPAT_DIR_NLINK, "dir_nlink", true },
	{ EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE, "extra_isize", true },
	{ EXT4_FEATURE_RO_COMPAT_QUOTA, "quota", true },
	{ EXT4_FEATURE_RO_COMPAT_BIGALLOC, "bigalloc", true },
	{ EXT4_FEATURE_RO_COMPAT_METADATA_CSUM, "metadata_csum", true },
	{ EXT4_FEATURE_RO_COMPAT_REPLICA, "replica", true },
	{ EXT4_FEATURE_RO_COMPAT_READONLY, "read-only", true },
	{ EXT4_FEATURE_RO_COMPAT_PROJECT, "project", true },
	{ EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS, "shared_blocks", true },
	{ EXT4_FEATURE_RO_COMPAT_VERITY, "verity", true },
	{ EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT, "orphan_present", true },
};

/* Appends the names of the bits in @mask; those without a name as FEATURE_<set><number>. */
static void names_append(struct strbuf *out, const struct feature *table, size_t nr, char set,
			 uint32_t mask)
{
	for (size_t i = 0; i < nr; i++) {
		if (!(mask & table[i].bit))
			continue;
		strbuf_printf(out, "%s%s", out->len ? " " : "", table[i].name);
		mask &= ~table[i].bit;
	}
	for (; mask; mask &= mask - 1)
		strbuf_printf(out, "%sFEATURE_%c%d", out->len ? " " : "", set, __builtin_ctz(mask));
}

int ext4_features_check(const char *dev, const struct ext4_super *sb)
{
	uint32_t refused = sb->incompat;
	char names[400];
	struct strbuf sbuf;

	for (size_t i = 0; i < ARRAY_SIZE(incompat_table); i++) {
		if (incompat_table[i].is_read)
			refused &= ~incompat_table[i].bit;
	}
	if (!refused)
		return 0;
	strbuf_init(&sbuf, names, sizeof(names));
	names_append(&sbuf, incompat_table, ARRAY_SIZE(incompat_table), 'I', refused);
	log_err("ext4 %s: cannot mount: the file system uses a feature that cannot be read here: %s; "
		"use the kernel's ext4, or make it without (mkfs.ext4 -O ^feature)",
		dev, names);
	return -EOPNOTSUPP;
}

void ext4_features_show(const struct ext4_super *sb, struct strbuf *out)
{
	names_append(out, compat_table, ARRAY_SIZE(compat_table), 'C', sb->compat);
	names_append(out, incompat_table, ARRAY_SIZE(incompat_table), 'I', sb->incompat);
	names_append(out, ro_compat_table, ARRAY_SIZE(ro_compat_table), 'R', sb->ro_compat);
}
