/* SPDX-License-Identifier: MIT */
/*
 * unmounter.c - one thread that waits for signals.
 *
 * U1. SIGTERM and SIGINT unmount. If files are open: what the kernel has cached is written back
 *     first, then the users are cut off; a daemon that is told to end, ends.
 * U2. A second such signal cuts off at once.
 * U3. A frozen queue is thawed first: nothing could be written out through it.
 * U4. SIGRTMIN carries a wish from unmounter_ask() and fails with EBUSY where a user would expect it.
 */
#include "unmounter.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blkfs/control.h"
#include "blkfs/fuse_front.h"

#include "mounted.h"

enum wish { WISH_LAZY = 1, WISH_FORCE = 2, WISH_STOP = 4 };

struct unmounter {
	struct mounted *m;
	pthread_t thread;
	sigset_t signals;
	bool is_armed;	   /* [atomic] the front is there */
	bool is_signalled; /* [atomic] */
	bool is_asked;	   /* [atomic] an unmount is under way */
	bool is_thawing;   /* [atomic] */
	struct rt_msg thaw;
	bool is_stopped; /* the thread has been joined */
};

static void wanted_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGRTMIN);
}

void unmounter_block_signals(void)
{
	sigset_t set;

	wanted_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void thaw_task(void *arg)
{
	mounted_thaw(arg);
}

static void thaw_msg(struct rt_msg *msg)
{
	struct unmounter *um = container_of(msg, struct unmounter, thaw);

	if (rt_spawn(thaw_task, um->m, "thaw for unmount"))
		log_err("%s: no task to thaw the queue: write 'thaw' to .blkfs/control",
			um->m->mountpoint);
}

/* Rule U3. Thawing needs a task. */
static void thaw_if_frozen(struct unmounter *um)
{
	if (READ_ONCE(um->m->is_frozen) &&
	    !__atomic_exchange_n(&um->is_thawing, true, __ATOMIC_SEQ_CST)) {
		um->thaw.fn = thaw_msg;
		rt_post_foreign(0, &um->thaw);
	}
}

static void on_signal(struct unmounter *um, int sig)
{
	struct mounted *m = um->m;
	bool is_second = __atomic_exchange_n(&um->is_signalled, true, __ATOMIC_SEQ_CST);
	int err;

	if (!__atomic_load_n(&um->is_armed, __ATOMIC_SEQ_CST))
		return; /* unmounter_arm() sees it */
	log_info("%s: %s: unmounting", m->mountpoint, strsignal(sig));
	thaw_if_frozen(um);
	if (is_second)
		fuse_front_abort(m->front);
	err = fuse_front_unmount(m->front, 0);
	if (err != -EBUSY)
		return;
	log_warn("%s: still in use; its users are cut off after their data is written back",
		 m->mountpoint);
	err = fuse_front_write_back(m->front);
	if (err)
		log_warn(
			"%s: write-back before the forced unmount: %s; what was not synced is lost",
			m->mountpoint, strerror(-err));
	err = fuse_front_unmount(m->front, FUSE_FRONT_UNMOUNT_FORCE | FUSE_FRONT_UNMOUNT_LAZY);
	if (err && err != -ENOENT)
		log_err("%s: forced unmount: %s", m->mountpoint, strerror(-err));
}

static void on_wish(struct unmounter *um, int wish)
{
	struct mounted *m = um->m;
	unsigned int flags = 0;
	int err;

	/* Pairs with unmounter_ask(): who asked knows the front. A signal orders nothing by itself. */
	(void)__atomic_load_n(&um->is_asked, __ATOMIC_ACQUIRE);
	thaw_if_frozen(um);
	if (wish & WISH_LAZY)
		flags |= FUSE_FRONT_UNMOUNT_LAZY;
	if (wish & WISH_FORCE)
		flags |= FUSE_FRONT_UNMOUNT_FORCE | FUSE_FRONT_UNMOUNT_LAZY;
	err = fuse_front_unmount(m->front, flags);
	if (!err || err == -ENOENT)
		return; /* the main task answers when all is down */
	__atomic_store_n(&um->is_asked, false, __ATOMIC_SEQ_CST);
	control_socket_unmounted(m->socket, err,
				 err == -EBUSY ? "in use: files are open or a working directory is "
						 "in it (-l detaches, -f cuts its users off)"
					       : strerror(-err));
}

static void *unmounter_main(void *arg)
{
	struct unmounter *um = arg;

	for (;;) {
		siginfo_t info;
		int sig = sigwaitinfo(&um->signals, &info);

		if (sig == SIGRTMIN && info.si_code == SI_QUEUE) {
			if (info.si_value.sival_int & WISH_STOP)
				return NULL;
			on_wish(um, info.si_value.sival_int);
		} else if (sig == SIGTERM || sig == SIGINT) {
			on_signal(um, sig);
		}
	}
}

int unmounter_start(struct mounted *m, struct unmounter **out)
{
	struct unmounter *um = calloc(1, sizeof(*um));
	int err;

	if (!um)
		return -ENOMEM;
	um->m = m;
	wanted_signals(&um->signals);
	err = pthread_create(&um->thread, NULL, unmounter_main, um);
	if (err) {
		free(um);
		return -err;
	}
	*out = um;
	return 0;
}

int unmounter_arm(struct unmounter *um)
{
	__atomic_store_n(&um->is_armed, true, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&um->is_signalled, __ATOMIC_SEQ_CST) ? -EINTR : 0;
}

static int queue_wish(struct unmounter *um, int wish)
{
	union sigval value = { .sival_int = wish };

	return -pthread_sigqueue(um->thread, SIGRTMIN, value);
}

int unmounter_ask(struct unmounter *um, bool is_lazy, bool is_forced)
{
	bool was_asked = __atomic_exchange_n(&um->is_asked, true, __ATOMIC_SEQ_CST);

	if (was_asked && !is_forced)
		return -EBUSY;
	if (is_forced) /* frees the thread, should it hang in a plain umount(2) */
		fuse_front_abort(um->m->front);
	return queue_wish(um, (is_lazy ? WISH_LAZY : 0) | (is_forced ? WISH_FORCE : 0));
}

void unmounter_stop(struct unmounter *um)
{
	if (um->is_stopped || queue_wish(um, WISH_STOP) != 0)
		return;
	pthread_join(um->thread, NULL);
	um->is_stopped = true;
}

void unmounter_destroy(struct unmounter *um)
{
	unmounter_stop(um);
	free(um);
}
