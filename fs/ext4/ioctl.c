/* SPDX-License-Identifier: MIT */
/*
 * ioctl.c - what lsattr and its kin ask. Only reading; the kernel's numbers and structures.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "fs/ext4/inode.h"

/* FS_XFLAG_* for the flags that have one. */
static const struct {
	uint32_t flag, xflag;
} xflags[] = {
	{ EXT2_SYNC_FL, FS_XFLAG_SYNC },
	{ EXT2_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE },
	{ EXT2_APPEND_FL, FS_XFLAG_APPEND },
	{ EXT2_NODUMP_FL, FS_XFLAG_NODUMP },
	{ EXT2_NOATIME_FL, FS_XFLAG_NOATIME },
	{ FS_DAX_FL, FS_XFLAG_DAX },
	{ EXT4_PROJINHERIT_FL, FS_XFLAG_PROJINHERIT },
};

static int answer(const void *value, size_t len, void *out, size_t *out_len)
{
	if (*out_len < len)
		return -EINVAL;
	memcpy(out, value, len);
	*out_len = len;
	return 0;
}

static uint32_t visible_flags(const struct ext4_inode *inode)
{
	uint32_t flags = inode->flags & EXT4_FL_VISIBLE;

	/* As the kernel: the flag means something for directories only. */
	return S_ISREG(inode->mode) ? flags & ~(uint32_t)EXT4_PROJINHERIT_FL : flags;
}

static int get_fsxattr(const struct ext4_inode *inode, void *out, size_t *out_len)
{
	struct fsxattr fa = { .fsx_projid = inode->projid };

	for (size_t i = 0; i < ARRAY_SIZE(xflags); i++) {
		if (visible_flags(inode) & xflags[i].flag)
			fa.fsx_xflags |= xflags[i].xflag;
	}
	return answer(&fa, sizeof(fa), out, out_len);
}

static int get_label(const struct ext4_fs *fs, void *out, size_t *out_len)
{
	char label[FSLABEL_MAX] = { 0 };

	memcpy(label, fs->sb.raw.s_volume_name, sizeof(fs->sb.raw.s_volume_name));
	return answer(label, sizeof(label), out, out_len);
}

int ext4_inode_ioctl(struct ext4_fs *fs, struct ext4_inode *inode, unsigned int cmd, void *out,
		     size_t *out_len)
{
	uint32_t flags = visible_flags(inode);

	switch (cmd) {
	case FS_IOC_GETFLAGS:
		return answer(&flags, sizeof(flags), out, out_len);
	case FS_IOC_FSGETXATTR:
		return get_fsxattr(inode, out, out_len);
	case FS_IOC_GETVERSION:
	case EXT2_IOC_GETVERSION_NEW:
		return answer(&inode->generation, sizeof(inode->generation), out, out_len);
	case FS_IOC_GETFSLABEL:
		return get_label(fs, out, out_len);
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
	case FS_IOC_SETFSLABEL:
	case EXT2_IOC_SETVERSION_NEW:
		return -EROFS;
	default:
		return -ENOTTY;
	}
}
