/* SPDX-License-Identifier: MIT */
/*
 * xattr.c - extended attributes: in the space behind an inode's fields, in one block of their own,
 * and large values in inodes of their own.
 *
 * Invariants: 1. Every entry is checked against the end of its area before it is used, each time.
 *             2. A value in an inode is read only from one that is marked so and has its size.
 * Source: Documentation/filesystems/ext4/attributes.rst, checksums.rst.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"

#include "fs/ext4/inode.h"

enum {
	VALUE_MAX = 65536, /* XATTR_SIZE_MAX */
	ENTRY_BYTES = 16,
	BLOCK_HEADER_BYTES = 32,
	INODE_HEADER_BYTES = 4,
};

BUILD_BUG_ON(sizeof(struct ext2_ext_attr_entry) != ENTRY_BYTES);
BUILD_BUG_ON(sizeof(struct ext2_ext_attr_header) != BLOCK_HEADER_BYTES);

enum { INDEX_ACL_ACCESS = 2, INDEX_ACL_DEFAULT = 3 };

/* What a name index stands for. */
static const struct prefix {
	uint8_t index;
	bool is_whole; /* nothing may follow */
	const char *text;
} prefixes[] = {
	{ 1, false, "user." },
	{ INDEX_ACL_ACCESS, true, "system.posix_acl_access" },
	{ INDEX_ACL_DEFAULT, true, "system.posix_acl_default" },
	{ 4, false, "trusted." },
	{ 6, false, "security." },
	{ 10, false, "gnu." },
};

/* Entries and values: offsets of values count from base. */
struct area {
	struct cache_buf *b;
	const uint8_t *base;
	uint32_t first, len;
};

struct xentry {
	uint8_t index;
	uint32_t name_len;
	const char *name;
	uint32_t value_off, value_inum, value_size;
};

/* ---- areas ---------------------------------------------------------------------------------------- */

static int block_csum_check(struct ext4_fs *fs, const struct ext4_inode *inode, struct cache_buf *b)
{
	const size_t off = offsetof(struct ext2_ext_attr_header, h_checksum);
	uint64_t tag = ext4_block_tag(EXT4_BLOCK_XATTR, 0);
	__le64 number = cpu_to_le64(b->block);
	uint32_t zero = 0, sum, found;

	if (!fs->sb.has_csum || cache_buf_is_verified(b, tag))
		return 0;
	sum = crc32c(fs->sb.csum_seed, &number, sizeof(number));
	sum = crc32c(sum, b->data, off);
	sum = crc32c(sum, &zero, sizeof(zero));
	sum = crc32c(sum, b->data + off + sizeof(zero), fs->sb.block_size - off - sizeof(zero));
	found = get_unaligned_le32(b->data + off);
	if (sum != found)
		return ext4_corrupt(fs, inode->ino, b->block,
				    "attribute block: checksum: expected 0x%08x, found 0x%08x", sum,
				    found);
	cache_buf_set_verified(b, tag);
	return 0;
}

/* 1: there is one; 0: there is none; or an error. Both areas: put area->b back. */
static int block_area(struct ext4_fs *fs, struct ext4_inode *inode, struct area *out)
{
	uint32_t magic;
	int err;

	if (!inode->xattr_block)
		return 0;
	err = ext4_block_get(fs, inode->ino, inode->xattr_block, "attribute block", &out->b);
	if (err)
		return err;
	out->base = out->b->data;
	out->first = BLOCK_HEADER_BYTES;
	out->len = fs->sb.block_size;
	magic = get_unaligned_le32(out->base);
	if (magic != EXT4_XATTR_MAGIC)
		err = ext4_corrupt(fs, inode->ino, out->b->block,
				   "attribute block: magic: expected 0x%x, found 0x%" PRIx32,
				   EXT4_XATTR_MAGIC, magic);
	else
		err = block_csum_check(fs, inode, out->b);
	if (err)
		cache_put(fs->cache, out->b);
	return err ? err : 1;
}

static int inode_area(struct ext4_fs *fs, struct ext4_inode *inode, struct area *out)
{
	uint32_t off = EXT2_GOOD_OLD_INODE_SIZE + inode->extra_isize;
	const uint8_t *raw;
	int err;

	if (!inode->extra_isize || off + INODE_HEADER_BYTES > fs->sb.inode_size)
		return 0;
	err = ext4_inode_raw_get(fs, inode, &out->b, &raw);
	if (err)
		return err;
	if (get_unaligned_le32(raw + off) != EXT4_XATTR_MAGIC) {
		cache_put(fs->cache, out->b);
		return 0;
	}
	out->base = raw + off + INODE_HEADER_BYTES;
	out->first = 0;
	out->len = fs->sb.inode_size - off - INODE_HEADER_BYTES;
	return 1;
}

typedef int (*area_fn)(struct ext4_fs *fs, struct ext4_inode *inode, struct area *out);

static const area_fn areas[] = { inode_area, block_area };

/* ---- entries ---------------------------------------------------------------------------------------- */

static int entry_corrupt(struct ext4_fs *fs, const struct ext4_inode *inode, const struct area *a,
			 uint32_t pos, const char *what)
{
	return ext4_corrupt(fs, inode->ino, a->b->block,
			    "attribute at byte %" PRIu32 " of %" PRIu32 ": %s", pos, a->len, what);
}

/* Decodes the entry at *@pos and moves on. 1: an entry; 0: the end; or an error. */
static int entry_next(struct ext4_fs *fs, const struct ext4_inode *inode, const struct area *a,
		      uint32_t *pos, struct xentry *e)
{
	const uint8_t *p = a->base + *pos;
	uint32_t room = a->len - *pos, bytes;

	if (room < sizeof(uint32_t))
		return entry_corrupt(fs, inode, a, *pos, "the list has no end");
	if (get_unaligned_le32(p) == 0)
		return 0;
	if (room < ENTRY_BYTES)
		return entry_corrupt(fs, inode, a, *pos, "the entry is cut off");
	e->name_len = p[0];
	e->index = p[1];
	e->value_off = get_unaligned_le16(p + 2);
	e->value_inum = get_unaligned_le32(p + 4);
	e->value_size = get_unaligned_le32(p + 8);
	e->name = (const char *)p + ENTRY_BYTES;
	bytes = (ENTRY_BYTES + e->name_len + 3) & ~3U;
	if (bytes > room)
		return entry_corrupt(fs, inode, a, *pos, "the name is cut off");
	if (memchr(e->name, '\0', e->name_len))
		return entry_corrupt(fs, inode, a, *pos, "the name contains a zero byte");
	if (e->value_size > VALUE_MAX)
		return entry_corrupt(fs, inode, a, *pos, "the value is longer than 64 KiB");
	if (!e->value_inum && (e->value_off > a->len || e->value_size > a->len - e->value_off))
		return entry_corrupt(fs, inode, a, *pos, "the value is cut off");
	*pos += bytes;
	return 1;
}

/* 1: found; 0: not in this area; or an error. */
static int area_find(struct ext4_fs *fs, const struct ext4_inode *inode, const struct area *a,
		     const struct xentry *want, struct ext4_xattr_value *v)
{
	uint32_t pos = a->first;
	struct xentry e;
	int ret;

	while ((ret = entry_next(fs, inode, a, &pos, &e)) > 0) {
		if (e.index != want->index || e.name_len != want->name_len ||
		    memcmp(e.name, want->name, e.name_len) != 0)
			continue;
		*v = (struct ext4_xattr_value){
			.b = a->b,
			.bytes = a->base + e.value_off,
			.size = e.value_size,
			.inum = e.value_inum,
		};
		return 1;
	}
	return ret;
}

int ext4_xattr_find(struct ext4_fs *fs, struct ext4_inode *inode, uint8_t index, const char *name,
		    size_t name_len, struct ext4_xattr_value *v)
{
	struct xentry want = { .index = index, .name = name, .name_len = (uint32_t)name_len };
	struct area a;
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		ret = areas[i](fs, inode, &a);
		if (ret < 0)
			return ret;
		if (ret == 0)
			continue;
		ret = area_find(fs, inode, &a, &want, v);
		if (ret > 0)
			return 0;
		cache_put(fs->cache, a.b);
		if (ret < 0)
			return ret;
	}
	return -ENODATA;
}

/* ---- values ---------------------------------------------------------------------------------------- */

static int ea_inode_check(struct ext4_fs *fs, const struct ext4_inode *ea, uint32_t size)
{
	if (!ext4_inode_has(ea, EXT4_EA_INODE_FL))
		return ext4_corrupt(fs, ea->ino, 0,
				    "an attribute's value is said to be here, but the inode is not "
				    "marked so");
	if (ea->size != size)
		return ext4_corrupt(fs, ea->ino, 0,
				    "attribute value: size: expected %" PRIu32 ", found %" PRIu64,
				    size, ea->size);
	return 0;
}

static int ea_blocks_read(struct ext4_fs *fs, struct ext4_inode *ea, uint8_t *buf, uint32_t size)
{
	uint32_t bs = fs->sb.block_size;

	for (uint32_t off = 0; off < size; off += bs) {
		struct cache_buf *b;
		struct ext4_map m;
		int err = ext4_map_blocks(fs, ea, off / bs, 1, &m);

		if (!err && m.kind != EXT4_MAP_DATA)
			err = ext4_corrupt(fs, ea->ino, 0,
					   "attribute value: block %" PRIu32 " is a hole",
					   off / bs);
		if (!err)
			err = ext4_block_get(fs, ea->ino, m.pblk, "attribute value", &b);
		if (err)
			return err;
		memcpy(buf + off, b->data, min(bs, size - off));
		cache_put(fs->cache, b);
	}
	return 0;
}

/* The value's checksum is where the inode's access time would be. */
static int ea_inode_read(struct ext4_fs *fs, uint32_t inum, uint8_t *buf, uint32_t size)
{
	struct ext4_inode *ea;
	uint32_t sum, found;
	int err = ext4_iget(fs, inum, false, &ea);

	if (err)
		return err;
	err = ea_inode_check(fs, ea, size);
	if (!err)
		err = ea_blocks_read(fs, ea, buf, size);
	if (!err) {
		sum = crc32c(fs->sb.csum_seed, buf, size);
		found = (uint32_t)ea->atime.sec;
		if (sum != found)
			err = ext4_corrupt(
				fs, inum, 0,
				"attribute value: checksum: expected 0x%08x, found 0x%08x", sum,
				found);
	}
	ext4_iput(fs, ea);
	return err;
}

static ssize_t value_get(struct ext4_fs *fs, const struct ext4_inode *inode, uint8_t index,
			 const struct ext4_xattr_value *v, void *buf, size_t size)
{
	ssize_t len;
	int err;

	if ((index == INDEX_ACL_ACCESS || index == INDEX_ACL_DEFAULT) && !v->inum) {
		len = ext4_acl_to_xattr(v->bytes, v->size, buf, size);
		if (len == -EUCLEAN)
			return ext4_corrupt(fs, inode->ino, v->b->block,
					    "ACL of %" PRIu32 " bytes: not in ext4's form",
					    v->size);
		return len;
	}
	if (size == 0)
		return v->size;
	if (size < v->size)
		return -ERANGE;
	if (v->inum) {
		err = ea_inode_read(fs, v->inum, buf, v->size);
		return err ? err : (ssize_t)v->size;
	}
	memcpy(buf, v->bytes, v->size);
	return v->size;
}

static const struct prefix *prefix_of_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t len = strlen(prefixes[i].text);

		if (strncmp(name, prefixes[i].text, len) == 0 &&
		    (!prefixes[i].is_whole == !!name[len]))
			return &prefixes[i];
	}
	return NULL;
}

ssize_t ext4_xattr_get(struct ext4_fs *fs, struct ext4_inode *inode, const char *name, void *buf,
		       size_t size)
{
	const struct prefix *p = prefix_of_name(name);
	struct ext4_xattr_value v;
	ssize_t ret;

	if (!p)
		return strncmp(name, "system.", 7) ? -ENODATA : -EOPNOTSUPP;
	name += strlen(p->text);
	ret = ext4_xattr_find(fs, inode, p->index, name, strlen(name), &v);
	if (ret)
		return ret;
	ret = value_get(fs, inode, p->index, &v, buf, size);
	cache_put(fs->cache, v.b);
	return ret;
}

/* ---- listing ---------------------------------------------------------------------------------------- */

/* NULL: not for users (inline data). */
static const struct prefix *prefix_of_entry(const struct xentry *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (prefixes[i].index == e->index && (!prefixes[i].is_whole || e->name_len == 0))
			return &prefixes[i];
	}
	return NULL;
}

static void name_append(const struct prefix *p, const struct xentry *e, char *buf, size_t size,
			size_t *len)
{
	size_t prefix_len = strlen(p->text), all = prefix_len + e->name_len + 1;

	if (size >= *len + all) {
		memcpy(buf + *len, p->text, prefix_len);
		memcpy(buf + *len + prefix_len, e->name, e->name_len);
		buf[*len + all - 1] = '\0';
	}
	*len += all;
}

ssize_t ext4_xattr_list(struct ext4_fs *fs, struct ext4_inode *inode, char *buf, size_t size)
{
	struct xentry e;
	struct area a;
	size_t len = 0;
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		ret = areas[i](fs, inode, &a);
		if (ret < 0)
			return ret;
		if (ret == 0)
			continue;
		for (uint32_t pos = a.first; (ret = entry_next(fs, inode, &a, &pos, &e)) > 0;) {
			const struct prefix *p = prefix_of_entry(&e);

			if (p)
				name_append(p, &e, buf, size, &len);
		}
		cache_put(fs->cache, a.b);
		if (ret < 0)
			return ret;
	}
	return size && size < len ? -ERANGE : (ssize_t)len;
}
