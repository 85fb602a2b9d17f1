/* SPDX-License-Identifier: MIT */
/*
 * acl.c - POSIX ACLs: ext4 keeps them shorter than system.posix_acl_* shows them. Bytes in, bytes
 * out.
 *
 * Source: Documentation/filesystems/ext4/attributes.rst, "POSIX ACLs"; acl(5) for the xattr form.
 */
#include <errno.h>

#include "fs/ext4/inode.h"

enum { DISK_VERSION = 1, XATTR_VERSION = 2, HEADER_BYTES = 4, SHORT_BYTES = 4, LONG_BYTES = 8 };

enum {
	TAG_USER_OBJ = 0x01,
	TAG_USER = 0x02,
	TAG_GROUP_OBJ = 0x04,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHER = 0x20,
};

#define NO_ID UINT32_MAX

/* Bytes of an entry on disk: named users and groups carry an id. 0: no such tag. */
static size_t entry_bytes(uint16_t tag)
{
	switch (tag) {
	case TAG_USER_OBJ:
	case TAG_GROUP_OBJ:
	case TAG_MASK:
	case TAG_OTHER:
		return SHORT_BYTES;
	case TAG_USER:
	case TAG_GROUP:
		return LONG_BYTES;
	default:
		return 0;
	}
}

ssize_t ext4_acl_to_xattr(const uint8_t *disk, size_t disk_len, uint8_t *out, size_t size)
{
	size_t pos = HEADER_BYTES, len = HEADER_BYTES, bytes;

	if (disk_len < HEADER_BYTES || get_unaligned_le32(disk) != DISK_VERSION)
		return -EUCLEAN;
	if (size >= HEADER_BYTES)
		put_unaligned_le32(XATTR_VERSION, out);
	for (; pos < disk_len; pos += bytes, len += LONG_BYTES) {
		uint16_t tag;

		if (disk_len - pos < SHORT_BYTES)
			return -EUCLEAN;
		tag = get_unaligned_le16(disk + pos);
		bytes = entry_bytes(tag);
		if (!bytes || disk_len - pos < bytes)
			return -EUCLEAN;
		if (size < len + LONG_BYTES)
			continue;
		put_unaligned_le16(tag, out + len);
		put_unaligned_le16(get_unaligned_le16(disk + pos + 2), out + len + 2);
		put_unaligned_le32(bytes == LONG_BYTES ? get_unaligned_le32(disk + pos + 4) : NO_ID,
				   out + len + 4);
	}
	return size && size < len ? -ERANGE : (ssize_t)len;
}
