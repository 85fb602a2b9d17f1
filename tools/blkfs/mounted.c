/* SPDX-License-Identifier: MIT */
/*
 * mounted.c - brings the rooms together for one mount.
 *
 * Read it from the bottom: mounted_run() is the story. What is made is taken down in the opposite
 * order; fs and control belong to the front once it is mounted.
 */
#include "mounted.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "blkfs/control.h"
#include "blkfs/drivers.h"
#include "blkfs/fuse_front.h"

#include "cmd.h"
#include "daemon.h"
#include "rundir.h"
#include "unmounter.h"

/* In the order in which auto asks them. */
static const struct {
	uint32_t option; /* enum opt_fs */
	const struct fs_type *type;
} fs_types[] = {
	{ OPT_FS_EXT4, &ext4_fs_type },
	{ OPT_FS_RAW, &raw_fs_type },
};

/* ---- files of .blkfs/ that belong to the mount as a whole --------------------------------------- */

static int log_show(void *obj, struct strbuf *out)
{
	log_copy(out);
	return 0;
}

static int mode_show(void *obj, struct strbuf *out)
{
	struct mounted *m = obj;
	enum fuse_front_mode now = fuse_front_get_mode(m->front);

	for (int mode = FUSE_FRONT_MODE_AUTO; mode <= FUSE_FRONT_MODE_DIRECT; mode++) {
		const char *name = fuse_front_mode_name((enum fuse_front_mode)mode);

		strbuf_printf(out, mode == (int)now ? "[%s] " : "%s ", name);
	}
	strbuf_putc(out, '\n');
	return 0;
}

static int mode_store(void *obj, const char *buf, size_t len)
{
	struct mounted *m = obj;
	char word[16];
	enum fuse_front_mode mode;
	int err;

	if (len >= sizeof(word))
		return -EINVAL;
	memcpy(word, buf, len + 1);
	word[strcspn(word, "\n")] = 0;
	err = fuse_front_mode_parse(word, &mode);
	if (err) {
		log_warn("mode: '%s' is not one of auto, buffered, direct", word);
		return err;
	}
	return fuse_front_set_mode(m->front, mode);
}

enum control_word { CONTROL_FREEZE, CONTROL_THAW, CONTROL_SYNC, CONTROL_WORDS_NR };

static const char *const control_words[] = { "freeze", "thaw", "sync" };

bool mounted_thaw(struct mounted *m)
{
	bool was_frozen = __atomic_exchange_n(&m->is_frozen, false, __ATOMIC_SEQ_CST);

	if (was_frozen)
		blk_mq_unfreeze_queue(m->disk->queue);
	return was_frozen;
}

static int control_show(void *obj, struct strbuf *out)
{
	struct mounted *m = obj;

	strbuf_printf(out, "%s\n", READ_ONCE(m->is_frozen) ? "frozen" : "running");
	return 0;
}

static int control_store(void *obj, const char *buf, size_t len)
{
	struct mounted *m = obj;

	switch (parse_word(buf, control_words, CONTROL_WORDS_NR)) {
	case CONTROL_FREEZE:
		if (__atomic_exchange_n(&m->is_frozen, true, __ATOMIC_SEQ_CST))
			return -EBUSY;
		blk_mq_freeze_queue(m->disk->queue);
		return 0;
	case CONTROL_THAW:
		return mounted_thaw(m) ? 0 : -EINVAL;
	case CONTROL_SYNC:
		return fuse_front_sync(m->front);
	default:
		log_warn("control: '%.32s' is not one of freeze, thaw, sync", buf);
		return -EINVAL;
	}
}

static const struct attr root_attrs[] = {
	{ "log", 0444, log_show, NULL },
};

static const struct attr mount_attrs[] = {
	{ "mode", 0644, mode_show, mode_store },
	{ "control", 0644, control_show, control_store },
};

/* ---- what the socket asks for --------------------------------------------------------------------- */

static void scheduler_name(char *out, size_t size)
{
	char text[256];
	struct strbuf sb;
	const char *open, *close;

	strbuf_init(&sb, text, sizeof(text));
	*out = 0;
	if (attr_show("queue/scheduler", &sb))
		return;
	open = strchr(text, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
	else
		snprintf(out, size, "%.*s", (int)(close - open - 1), open + 1);
}

static void hook_info(void *ctx, struct json *out)
{
	struct mounted *m = ctx;
	struct fuse_front_info fi;
	char scheduler[32], options[1024];
	struct strbuf sb;

	fuse_front_get_info(m->front, &fi);
	scheduler_name(scheduler, sizeof(scheduler));
	strbuf_init(&sb, options, sizeof(options));
	mount_options_print(&m->mo, &sb);
	json_u64(out, "pid", (uint64_t)getpid());
	json_string(out, "source", m->src.name);
	json_string(out, "mountpoint", m->mountpoint);
	json_string(out, "fs", m->fs_type);
	json_boolean(out, "read_only", m->is_read_only);
	json_string(out, "mode", fi.mode);
	json_string(out, "transport", fi.transport);
	json_string(out, "transport_reason", fi.transport_reason);
	json_string(out, "scheduler", scheduler);
	json_string(out, "type", fi.type);
	json_string(out, "loop_device", fi.loop_device);
	json_u64(out, "connection", fi.connection);
	json_u64(out, "fuse_depth", fi.depth);
	json_u64(out, "reactors", rt_reactor_nr());
	json_u64(out, "size_bytes", bdev_nr_bytes(&m->disk->part0));
	json_string(out, "options", options);
	json_u64(out, "uptime_s", (rt_now() - m->start_ns) / 1000000000u);
	json_string(out, "version", BLKFS_VERSION);
}

static int hook_sync(void *ctx)
{
	struct mounted *m = ctx;

	return fuse_front_sync(m->front);
}

static int hook_abort(void *ctx)
{
	struct mounted *m = ctx;

	log_warn("%s: the connection is aborted on command", m->mountpoint);
	fuse_front_abort(m->front);
	return 0;
}

static int hook_umount(void *ctx, bool is_lazy, bool is_forced)
{
	struct mounted *m = ctx;

	return unmounter_ask(m->unmounter, is_lazy, is_forced);
}

static int start_socket(struct mounted *m)
{
	struct control_hooks hooks = { .ctx = m,
				       .info = hook_info,
				       .sync = hook_sync,
				       .abort = hook_abort,
				       .umount = hook_umount };
	char dir[PATH_MAX], path[PATH_MAX];
	int err = rundir_path(dir, sizeof(dir), true);

	if (!err)
		err = rundir_socket(dir, m->mountpoint, path, sizeof(path));
	if (!err)
		err = control_socket_start(path, &hooks, &m->socket);
	if (err)
		log_err("%s: control socket in %s: %s; %s", m->mountpoint, dir, strerror(-err),
			err == -ENOSPC || err == -EDQUOT
				? "make room there"
				: "the directory must belong to the user who mounts and be writable "
				  "by nobody else");
	return err;
}

/* ---- the way up -------------------------------------------------------------------------------------- */

static int open_disk(struct mounted *m)
{
	bool is_fuseblk = geteuid() == 0;
	int err = source_open(&m->src, &m->mo, is_fuseblk, attr_root(), &m->disk);

	if (err || !m->mo.scheduler[0])
		return err;
	err = elevator_switch(m->disk->queue, m->mo.scheduler);
	if (err) { /* elevator_switch() has said which there are */
		log_err("mount option scheduler=%s: %s", m->mo.scheduler, strerror(-err));
		del_gendisk(m->disk);
	}
	return err;
}

static const struct fs_type *find_type(struct mounted *m)
{
	struct block_device *bdev = &m->disk->part0;

	for (size_t i = 0; i < ARRAY_SIZE(fs_types); i++) {
		if (m->mo.fs_type == fs_types[i].option)
			return fs_types[i].type;
		/* raw fits everything: only on request */
		if (m->mo.fs_type == OPT_FS_AUTO && fs_types[i].option != OPT_FS_RAW &&
		    fs_types[i].type->probe(bdev) == 0)
			return fs_types[i].type;
	}
	return NULL;
}

static int open_fs(struct mounted *m)
{
	const struct fs_type *type = find_type(m);
	int err;

	m->mo.fs.attrs = attr_root();
	if (!type) {
		log_err("%s: no file system known here is on it; '-o fs=raw' shows the bytes as "
			"one file%s",
			m->src.name,
			m->src.kind == SOURCE_PATH
				? ", mkfs.ext4 would make one and destroy what is "
				  "there now"
				: "");
		return -EINVAL;
	}
	err = type->mount(&m->disk->part0, &m->mo.fs, &m->fs);
	if (err)
		return err;
	m->fs_type = m->fs->type;
	m->is_read_only = m->fs->is_read_only;
	return 0;
}

static unsigned long kernel_flags(const struct mounted *m)
{
	const struct mount_options *mo = &m->mo;
	unsigned long flags = 0;

	flags |= m->fs->is_read_only ? MS_RDONLY : 0;
	flags |= mo->suid == OPT_NO ? MS_NOSUID : 0;
	flags |= mo->dev == OPT_NO ? MS_NODEV : 0;
	flags |= mo->exec == OPT_NO ? MS_NOEXEC : 0;
	flags |= mo->is_noatime ? MS_NOATIME : 0;
	flags |= mo->is_nodiratime ? MS_NODIRATIME : 0;
	flags |= mo->is_sync ? MS_SYNCHRONOUS : 0;
	flags |= mo->is_dirsync ? MS_DIRSYNC : 0;
	return flags;
}

static void thaw_task(void *arg)
{
	(void)mounted_thaw(arg);
}

/* Nobody can wait for a thaw any more, but what is frozen would keep the daemon for ever. */
static void front_cut(void *ctx)
{
	struct mounted *m = ctx;

	if (READ_ONCE(m->is_frozen) && rt_spawn(thaw_task, m, "thaw for the end"))
		log_err("%s: no task to thaw the queue: 'blkfs set %s control thaw' ends the daemon",
			m->mountpoint, m->mountpoint);
}

static int mount_front(struct mounted *m)
{
	static const enum fuse_front_mode modes[] = { FUSE_FRONT_MODE_AUTO,
						      FUSE_FRONT_MODE_BUFFERED,
						      FUSE_FRONT_MODE_DIRECT };
	static const enum fuse_front_transport transports[] = { FUSE_FRONT_TRANSPORT_AUTO,
								FUSE_FRONT_TRANSPORT_URING,
								FUSE_FRONT_TRANSPORT_CLASSIC };
	static const enum fuse_front_control shows[] = { FUSE_FRONT_CONTROL_HIDDEN,
							 FUSE_FRONT_CONTROL_LIST,
							 FUSE_FRONT_CONTROL_OFF };
	struct fuse_front_config cfg = {
		.mountpoint = m->mountpoint,
		.source = m->src.name,
		.subtype = "blkfs",
		.blk_path = geteuid() == 0 ? source_blk_path(&m->src) : NULL,
		.fs = m->fs,
		.control = m->control,
		.control_show = shows[m->mo.control],
		.mode = modes[m->mo.mode],
		.transport = transports[m->mo.transport],
		.fuse_depth = m->mo.fuse_depth,
		.mount_flags = kernel_flags(m),
		.allow_other = m->mo.allow_other == OPT_YES,
		.default_permissions = m->mo.default_permissions == OPT_YES,
		.attrs = attr_root(),
		.on_cut = front_cut,
		.ctx = m,
	};

	return fuse_front_mount(&cfg, &m->front);
}

static void announce(const struct mounted *m)
{
	struct fuse_front_info fi;

	fuse_front_get_info(m->front, &fi);
	log_info("%s mounted on %s: %s, %s, mode %s, transport %s (%s)", m->src.name, m->mountpoint,
		 m->fs_type, m->is_read_only ? "read-only" : "read-write", fi.mode, fi.transport,
		 fi.transport_reason);
}

/* Nobody has used the mount yet. */
static void take_down(struct mounted *m)
{
	int err = fuse_front_unmount(m->front, FUSE_FRONT_UNMOUNT_FORCE | FUSE_FRONT_UNMOUNT_LAZY);

	if (err && err != -ENOENT)
		log_err("%s: unmount: %s", m->mountpoint, strerror(-err));
	(void)fuse_front_wait(m->front);
}

/* A connection cut by abort or umount -f leaves a dead mount that nobody else takes away. */
static void leave_no_dead_mount(struct mounted *m)
{
	int err = fuse_front_unmount(m->front, FUSE_FRONT_UNMOUNT_LAZY);

	if (!err)
		log_warn("%s: the connection was cut, what was left of the mount is taken away",
			 m->mountpoint);
	else if (err != -ENOENT && err != -EINVAL)
		log_err("%s: dead, and cannot be unmounted: %s; type: umount -l %s", m->mountpoint,
			strerror(-err), m->mountpoint);
}

/* The mount stands: what is left is to be found by the commands, and to wait. */
static int serve(struct mounted *m)
{
	int err = attr_dir_fill(attr_root(), mount_attrs, ARRAY_SIZE(mount_attrs), m);

	if (!err)
		err = start_socket(m);
	if (!err)
		err = unmounter_arm(m->unmounter);
	if (err) {
		log_err("%s: the mount is taken down again: %s", m->mountpoint, strerror(-err));
		take_down(m);
		return err == -EINTR ? EXIT_USER : EXIT_MOUNT;
	}
	announce(m);
	daemon_ready();
	err = fuse_front_wait(m->front);
	(void)mounted_thaw(m);
	leave_no_dead_mount(m);
	if (err)
		log_err("%s: the last write-out failed: %s; what was not synced before may be lost",
			m->src.name, strerror(-err));
	else
		log_info("%s unmounted from %s: all is on the device", m->src.name, m->mountpoint);
	return err ? EXIT_MOUNT : EXIT_OK;
}

static int stop_unmounter(void *arg)
{
	unmounter_stop(arg);
	return 0;
}

/* The file system is gone. Who could still ask for something goes first, then what they ask for. */
static void tear_down(struct mounted *m, int code)
{
	attr_dir_unfill(attr_root(), mount_attrs, m);
	if (m->socket)
		control_socket_close(m->socket);
	(void)rt_offload(stop_unmounter, m->unmounter);
	fuse_front_destroy(m->front);
	source_close(&m->src, m->disk);
	if (m->socket) {
		control_socket_unmounted(m->socket, code ? -EIO : 0, "the last write-out failed");
		control_socket_stop(m->socket);
	}
}

int mounted_run(void *arg)
{
	struct mounted *m = arg;
	int code = EXIT_MOUNT;

	m->start_ns = rt_now();
	if (attr_dir_fill(attr_root(), root_attrs, ARRAY_SIZE(root_attrs), m) ||
	    rt_publish(attr_root()))
		return EXIT_SYSTEM;
	if (open_disk(m))
		return code;
	if (open_fs(m))
		goto del_disk;
	if (m->mo.control != OPT_CONTROL_OFF && control_fs_create(&m->control))
		goto unmount_fs;
	if (mount_front(m))
		goto unmount_control;
	code = serve(m);
	tear_down(m, code);
	return code;

unmount_control:
	if (m->control)
		(void)m->control->ops->unmount(m->control);
unmount_fs:
	(void)m->fs->ops->unmount(m->fs);
del_disk:
	source_close(&m->src, m->disk);
	return code;
}
