/* SPDX-License-Identifier: MIT */
/*
 * The story of a mount: fuse_front_mount() and fuse_front_wait(), at the bottom.
 *
 * A classic channel on the mounting reactor takes INIT. If the kernel offers io_uring every reactor
 * registers its ring entries, and that channel stays for FORGET and INTERRUPT; if not, or if an
 * entry is refused, every reactor gets a channel. Either way all that lives holds live_nr, and the
 * mount is over when that is 0 and the last request has ended.
 */
#include "fs/fuse/front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

#include "blkfs/attr.h"

enum {
	DEPTH_DEFAULT = 64,
	DEPTH_MAX = 1024,
	MAX_WRITE_DEFAULT = 1 << 20,
	MAX_WRITE_MAX = 1 << 20, /* more needs fs.fuse.max_pages_limit and brought nothing */
	MAX_WRITE_MIN = 8192,	 /* FUSE_MIN_READ_BUFFER */
	DRAIN_STEP_NS = 1000 * 1000,
};

#define INIT_TIMEOUT_NS (20ULL * 1000 * 1000 * 1000)

/* ---- modes and info ----------------------------------------------------------------------------- */

static const char *const mode_names[] = {
	[FUSE_FRONT_MODE_AUTO] = "auto",
	[FUSE_FRONT_MODE_BUFFERED] = "buffered",
	[FUSE_FRONT_MODE_DIRECT] = "direct",
};

const char *fuse_front_mode_name(enum fuse_front_mode mode)
{
	return mode_names[mode];
}

int fuse_front_mode_parse(const char *name, enum fuse_front_mode *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
		if (strcmp(name, mode_names[i]) == 0) {
			*out = (enum fuse_front_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

int fuse_front_set_mode(struct fuse_front *ff, enum fuse_front_mode mode)
{
	if ((unsigned int)mode >= ARRAY_SIZE(mode_names))
		return -EINVAL;
	WRITE_ONCE(ff->mode, (unsigned int)mode);
	return 0;
}

enum fuse_front_mode fuse_front_get_mode(const struct fuse_front *ff)
{
	return (enum fuse_front_mode)READ_ONCE(ff->mode);
}

void fuse_front_get_info(const struct fuse_front *ff, struct fuse_front_info *out)
{
	*out = (struct fuse_front_info){
		.mountpoint = ff->mountpoint,
		.transport = ff->is_uring ? "io_uring" : "classic",
		.transport_reason = ff->reason,
		.type = ff->is_blk ? "fuseblk" : "fuse",
		.loop_device = ff->loop_path,
		.mode = fuse_front_mode_name(fuse_front_get_mode(ff)),
		.proto_major = FUSE_KERNEL_VERSION,
		.proto_minor = ff->init.minor,
		.connection = ff->connection,
		.max_write = ff->max_write,
		.queues_nr = ff->cpus_nr,
		.depth = ff->depth,
		.has_writeback = ff->init.has_writeback,
	};
}

/* ---- configuration ------------------------------------------------------------------------------ */

static int config_check(const struct fuse_front_config *cfg)
{
	if (!cfg->mountpoint || !cfg->fs) {
		log_err("mount: no mountpoint or no file system given");
		return -EINVAL;
	}
	if (cfg->fuse_depth > DEPTH_MAX) {
		log_err("mount: fuse_depth=%u: at most %d", cfg->fuse_depth, DEPTH_MAX);
		return -EINVAL;
	}
	if (cfg->max_write && (cfg->max_write < MAX_WRITE_MIN || cfg->max_write > MAX_WRITE_MAX ||
			       !is_aligned(cfg->max_write, 4096))) {
		log_err("mount: max_write=%u: a multiple of 4096 from %d to %d", cfg->max_write,
			MAX_WRITE_MIN, MAX_WRITE_MAX);
		return -EINVAL;
	}
	if (cfg->blk_path && geteuid() != 0) {
		log_err("mount: type fuseblk needs root; leave it out to mount as type fuse");
		return -EPERM;
	}
	return 0;
}

static void front_free(struct fuse_front *ff)
{
	attr_dir_del(ff->attr_dir);
	ff_session_destroy(ff);
	free(ff->cpus);
	free(ff);
}

static int front_alloc(const struct fuse_front_config *cfg, struct fuse_front **out)
{
	struct fuse_front *ff = calloc(1, sizeof(*ff));

	if (!ff)
		return -ENOMEM;
	ff->fs = cfg->fs;
	ff->control = cfg->control_show == FUSE_FRONT_CONTROL_OFF ? NULL : cfg->control;
	ff->control_show = cfg->control_show;
	ff->transport = cfg->transport;
	ff->depth = cfg->fuse_depth ? cfg->fuse_depth : DEPTH_DEFAULT;
	ff->max_write = cfg->max_write ? cfg->max_write : MAX_WRITE_DEFAULT;
	ff->mount_flags = cfg->mount_flags | (cfg->fs->is_read_only ? MS_RDONLY : 0);
	ff->allow_other = cfg->allow_other;
	ff->default_permissions = cfg->default_permissions;
	ff->mode = cfg->mode;
	ff->on_cut = cfg->on_cut;
	ff->ctx = cfg->ctx;
	ff->owner = geteuid();
	ff->fd = -1;
	completion_init(&ff->init_done);
	completion_init(&ff->ended);
	ff->cpus_nr = rt_reactor_nr();
	ff->cpus = aligned_alloc(BLKFS_CACHELINE, ff->cpus_nr * sizeof(*ff->cpus));
	if (!ff->cpus) {
		free(ff);
		return -ENOMEM;
	}
	memset(ff->cpus, 0, ff->cpus_nr * sizeof(*ff->cpus));
	for (unsigned int i = 0; i < ff->cpus_nr; i++) {
		ff->cpus[i].ff = ff;
		ff->cpus[i].reactor = i;
		INIT_LIST_HEAD(&ff->cpus[i].inflight);
		INIT_LIST_HEAD(&ff->cpus[i].pending);
		INIT_LIST_HEAD(&ff->cpus[i].files);
	}
	cfg->fs->front_ops = &ff_front_ops;
	cfg->fs->front = ff;
	*out = ff;
	return 0;
}

/* ---- on every reactor ---------------------------------------------------------------------------- */

struct each {
	int (*fn)(struct ff_cpu *cpu);
	struct ff_cpu *cpu;
	int err;
};

static void each_call(void *arg)
{
	struct each *each = arg;

	each->err = each->fn(each->cpu);
}

/* The first error, after all were called. */
static int for_each_cpu(struct fuse_front *ff, int (*fn)(struct ff_cpu *cpu))
{
	int res = 0;

	for (unsigned int i = 0; i < ff->cpus_nr; i++) {
		struct each each = { .fn = fn, .cpu = &ff->cpus[i] };
		int err = rt_call_on(i, each_call, &each);

		if (!res)
			res = err ? err : each.err;
	}
	return res;
}

static int cpu_start_classic(struct ff_cpu *cpu)
{
	int err = cpu->chan ? 0 : ff_classic_start(cpu, -1);

	if (!err)
		ff_classic_spin(cpu);
	return err;
}

/* What the kernel waits for when it has no memory: it must not wait for itself in us. */
static int cpu_set_io_flusher(struct ff_cpu *cpu)
{
	return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int cpu_pass(struct ff_cpu *cpu)
{
	return 0;
}

static int cpu_stop(struct ff_cpu *cpu)
{
	ff_uring_stop(cpu);
	ff_classic_stop(cpu);
	return 0;
}

/* ---- transport ----------------------------------------------------------------------------------- */

void ff_uring_failed(struct fuse_front *ff, int err)
{
	WRITE_ONCE(ff->uring_err, (unsigned int)-err);
}

/* 0: the rings carry requests. */
static int uring_begin(struct fuse_front *ff)
{
	int err;

	if (!ff->init.has_uring)
		return -EOPNOTSUPP;
	err = for_each_cpu(ff, ff_uring_start);
	/* A refused REGISTER completes in the turn after its submission: look behind that turn. */
	if (!err)
		err = for_each_cpu(ff, cpu_pass);
	if (!err)
		err = -(int)READ_ONCE(ff->uring_err);
	return err;
}

static void reason_set(struct fuse_front *ff, int uring_err)
{
	if (ff->is_uring)
		snprintf(ff->reason, sizeof(ff->reason), "the kernel offers it");
	else if (ff->transport == FUSE_FRONT_TRANSPORT_CLASSIC)
		snprintf(ff->reason, sizeof(ff->reason),
			 "asked for; transport=auto uses io_uring where the kernel offers it");
	else if (!ff->init.was_uring_offered)
		snprintf(ff->reason, sizeof(ff->reason),
			 "the kernel does not offer io_uring (Linux 6.14 and newer do): "
			 "echo Y > /sys/module/fuse/parameters/enable_uring, then mount again");
	else
		snprintf(ff->reason, sizeof(ff->reason), "the kernel refused the ring entries: %s",
			 strerror(-uring_err));
}

static int transport_begin(struct fuse_front *ff)
{
	int err, uring_err = -EOPNOTSUPP;

	if (ff->transport != FUSE_FRONT_TRANSPORT_CLASSIC)
		uring_err = uring_begin(ff);
	ff->is_uring = uring_err == 0;
	reason_set(ff, uring_err);
	if (ff->is_uring)
		return 0;
	if (ff->transport == FUSE_FRONT_TRANSPORT_URING) {
		log_err("mount: transport=uring on %s: %s", ff->mountpoint, ff->reason);
		return -EOPNOTSUPP;
	}
	err = for_each_cpu(ff, cpu_start_classic);
	if (err)
		log_err("mount: classic transport: %s", strerror(-err));
	return err;
}

/* ---- INIT ----------------------------------------------------------------------------------------- */

static int negotiate(struct fuse_front *ff)
{
	int err = ff_session_create(ff);

	if (!err)
		err = ff_classic_start(&ff->cpus[rt_reactor_id()], ff->fd);
	if (err)
		return err;
	err = completion_wait_until(&ff->init_done, rt_now() + INIT_TIMEOUT_NS);
	if (err) {
		log_err("mount: %s: the kernel sent no INIT: %s", ff->mountpoint, strerror(-err));
		return err;
	}
	if (ff->init_err)
		log_err("mount: %s: FUSE protocol 7.%d or newer (Linux 6.1) is needed: %s",
			ff->mountpoint, WIRE_MINOR_MIN, strerror(-ff->init_err));
	return ff->init_err;
}

/* ---- public --------------------------------------------------------------------------------------- */

struct mount_call {
	struct fuse_front *ff;
	const struct fuse_front_config *cfg;
	unsigned int flags;
};

static int mount_blocking(void *arg)
{
	struct mount_call *call = arg;

	return ff_mount(call->ff, call->cfg);
}

static int umount_blocking(void *arg)
{
	struct mount_call *call = arg;

	return ff_umount(call->ff, call->flags);
}

static int abort_blocking(void *arg)
{
	ff_conn_abort(arg);
	return 0;
}

static int write_back_blocking(void *arg)
{
	return ff_write_back(arg);
}

static int tune_blocking(void *arg)
{
	ff_bdi_tune(arg);
	return 0;
}

static bool is_on_reactor(void)
{
	return rt_reactor_id() != RT_NO_REACTOR;
}

int fuse_front_unmount(struct fuse_front *ff, unsigned int flags)
{
	struct mount_call call = { .ff = ff, .flags = flags };

	return is_on_reactor() ? rt_offload(umount_blocking, &call) : umount_blocking(&call);
}

void fuse_front_abort(struct fuse_front *ff)
{
	if (is_on_reactor())
		(void)rt_offload(abort_blocking, ff);
	else
		ff_conn_abort(ff);
}

int fuse_front_write_back(struct fuse_front *ff)
{
	return is_on_reactor() ? rt_offload(write_back_blocking, ff) : ff_write_back(ff);
}

/* The file system waits for us (ff_fs_end) or is not to be touched. */
int fuse_front_sync(struct fuse_front *ff)
{
	int err = fuse_front_write_back(ff);
	int fs_err = -ENOTCONN;

	__atomic_fetch_add(&ff->syncs_nr, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&ff->is_closing, __ATOMIC_SEQ_CST))
		fs_err = ff->fs->ops->sync(ff->fs);
	__atomic_fetch_sub(&ff->syncs_nr, 1, __ATOMIC_SEQ_CST);
	return err ? err : fs_err;
}

static void cut_heard(struct rt_io *io)
{
	struct fuse_front *ff = container_of(io, struct fuse_front, cut_io);

	if (ff->on_cut)
		ff->on_cut(ff->ctx);
	ff_live_put(ff);
}

/* A poll for no event ends with the connection. Channels may have no buffer left to read it with. */
static void listen_for_cut(struct fuse_front *ff)
{
	ff->cut_io = (struct rt_io){ .op = RT_IO_POLL, .fd = ff->fd, .done = cut_heard };
	ff_live_get(ff);
	rt_io_submit(&ff->cut_io);
}

/* Everything that could deliver is dead and what was delivered has ended. */
static void wait_for_end(struct fuse_front *ff)
{
	completion_wait(&ff->ended);
	while (ff_inflight_nr(ff) > 0)
		rt_sleep_ns(DRAIN_STEP_NS);
}

/* A mount that does not come to work: nothing stays. The file systems remain the caller's. */
static void mount_undo(struct fuse_front *ff)
{
	int err;

	ff->is_fs_gone = true;
	__atomic_store_n(&ff->is_closing, true, __ATOMIC_RELEASE);
	if (ff->fd >= 0 && ff->se) {
		fuse_front_abort(ff);
		err = fuse_front_unmount(ff, FUSE_FRONT_UNMOUNT_LAZY);
		if (err && err != -ENOENT) /* the abort may have taken it away already */
			log_err("mount: %s is still mounted: %s; umount it", ff->mountpoint,
				strerror(-err));
		if (__atomic_load_n(&ff->live_nr, __ATOMIC_ACQUIRE) > 0)
			wait_for_end(ff);
		(void)for_each_cpu(ff, cpu_stop);
	}
	front_free(ff);
}

int fuse_front_mount(const struct fuse_front_config *cfg, struct fuse_front **out)
{
	struct mount_call call = { .cfg = cfg };
	struct fuse_front *ff;
	int err = config_check(cfg);

	if (!err)
		err = front_alloc(cfg, &ff);
	if (err)
		return err;
	call.ff = ff;
	err = rt_offload(mount_blocking, &call);
	if (!err)
		err = negotiate(ff);
	if (!err && geteuid() == 0)
		(void)for_each_cpu(ff,
				   cpu_set_io_flusher); /* without CAP_SYS_RESOURCE: as before */
	if (!err)
		err = transport_begin(ff);
	if (!err)
		err = ff_attrs_add(ff, cfg->attrs);
	if (err) {
		mount_undo(ff);
		return err;
	}
	listen_for_cut(ff);
	if (geteuid() == 0)
		(void)rt_offload(tune_blocking, ff);
	*out = ff;
	return 0;
}

int fuse_front_wait(struct fuse_front *ff)
{
	wait_for_end(ff);
	ff_fs_end(ff, 0);
	if (for_each_cpu(ff, cpu_stop))
		log_err("fuse: a reactor does not answer at unmount");
	return ff->unmount_res;
}

void fuse_front_destroy(struct fuse_front *ff)
{
	if (ff)
		front_free(ff);
}
