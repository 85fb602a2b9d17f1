/* SPDX-License-Identifier: MIT */
/*
 * options.h - what `-o` may say, as one table.
 *
 * ext4's names where ext4 has one, fuse's where fuse has one, ours for the rest; fstab's own words
 * are accepted and mean nothing here.
 */
#ifndef BLKFS_TOOLS_OPTIONS_H
#define BLKFS_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/strbuf.h"
#include "blkfs/fs.h"
#include "blkfs/rt.h"

enum opt_mode { OPT_MODE_AUTO, OPT_MODE_BUFFERED, OPT_MODE_DIRECT };
enum opt_transport { OPT_TRANSPORT_AUTO, OPT_TRANSPORT_URING, OPT_TRANSPORT_CLASSIC };
enum opt_control { OPT_CONTROL_HIDDEN, OPT_CONTROL_LIST, OPT_CONTROL_OFF };
enum opt_fs { OPT_FS_AUTO, OPT_FS_EXT4, OPT_FS_RAW };
enum opt_driver { OPT_DRIVER_AUTO, OPT_DRIVER_DIRECT, OPT_DRIVER_NULL, OPT_DRIVER_MEM };
enum opt_tristate { OPT_UNSET, OPT_NO, OPT_YES };

/* Long enough for the next request of a synchronous application, short enough to end unnoticed. */
enum { OPT_SPIN_US_DEFAULT = 50 };

struct mount_options {
	struct fs_mount_opts fs;
	uint32_t errors; /* enum fs_errors, as the table writes 32 bits */

	uint32_t mode, transport, control, fs_type, driver;		/* enums above */
	uint32_t reactors, fuse_depth, spin_us, hw_queues, queue_depth; /* 0: default */
	uint64_t cache_bytes;
	char scheduler[32]; /* "": the default for the device */
	char record[256];   /* file for the record of what the device is given; "": none */

	uint32_t uid, gid;
	bool has_uid, has_gid;

	uint32_t allow_other, default_permissions; /* enum opt_tristate */
	uint32_t suid, dev, exec;		   /* enum opt_tristate */
	bool is_rw;				   /* said in so many words */
	bool is_noatime, is_nodiratime, is_sync, is_dirsync;
};

void mount_options_init(struct mount_options *mo);

/*
 * mount_options_parse - take one comma separated list; later words win over earlier ones.
 *
 * Fails: -EINVAL; @why names the option, what was given and what is allowed.
 */
int __must_check mount_options_parse(struct mount_options *mo, const char *list,
				     struct strbuf *why);

/* Fills in what depends on who mounts: @is_root gets allow_other and default_permissions, others
 * nosuid and nodev, where nothing was said. */
void mount_options_settle(struct mount_options *mo, bool is_root);

/* "mode=auto,fs=ext4,ro,..." : every setting that is not the default. */
void mount_options_print(const struct mount_options *mo, struct strbuf *out);

const char *opt_mode_name(uint32_t mode);
const char *opt_transport_name(uint32_t transport);

/* The table as a page of --help. */
void mount_options_help(struct strbuf *out);

#endif
