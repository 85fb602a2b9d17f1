/* SPDX-License-Identifier: MIT */
/*
 * serial.c - first come, first served, without anyone spinning.
 *
 * S1. While BUSY is set one server owns the queue, and nobody takes anything; giving goes on.
 * S2. The server leaves by one compare-and-swap from a word without marks: whatever was given or
 *     pushed meanwhile changes the word, so that it looks again.
 * S3. What it admitted takes effect in that same swap; the verdicts are delivered afterwards, from
 *     a list of its own. So neither a server nor a giver touches the object once it may be freed.
 * S4. A verdict is given once. The node is dead from then on, the task may only be woken.
 */
#include "blk/rt/serial.h"

/*
 * Pairing of the atomics:
 * - state: every change is a read-modify-write with acquire and release. A taker thus sees all that
 *   the givers before it did, a server all that the server before it did to the queue.
 * - arrivals: pushed with release, then LOOK is set in state; the server clears LOOK first and
 *   exchanges arrivals (acquire) after that, so a push whose LOOK it cleared is in what it got.
 * - is_leaving: stored before LEAVE is set in state, read after LEAVE was cleared from it.
 * - verdict: stored with release by the server, loaded with acquire by the waiter.
 * - a condition and the state of its wait queue: serial_enter() ends, and looking for waiters
 *   begins, with a full barrier. Either the sleeper sees the new condition or the waker the sleeper.
 */
#define STATE_BUSY 1ull	   /* there is a server */
#define STATE_LOOK 2ull	   /* somebody arrived */
#define STATE_LEAVE 4ull   /* somebody wants to leave */
#define STATE_WAITERS 8ull /* the queue is not empty */
#define STATE_MARKS (STATE_LOOK | STATE_LEAVE)
#define STATE_FLAGS (STATE_BUSY | STATE_MARKS | STATE_WAITERS)
#define STATE_SHIFT 32

/* What one server has decided and not yet said. */
struct service {
	struct rt_serial *s;
	enum serial_kind kind;
	uint32_t taken; /* of the value, by those admitted: mod 2^32 */
	struct rt_waiter *verdicts;
	struct rt_waiter **verdicts_end;
};

static uint32_t state_value(uint64_t state)
{
	return (uint32_t)(state >> STATE_SHIFT);
}

static uint64_t state_make(uint32_t value, uint64_t flags)
{
	return (uint64_t)value << STATE_SHIFT | flags;
}

static uint64_t state_load(struct rt_serial *s)
{
	rt_sim_point();
	return __atomic_load_n(&s->state, __ATOMIC_RELAXED);
}

static bool state_swap(struct rt_serial *s, uint64_t *old, uint64_t next)
{
	rt_sim_point();
	return __atomic_compare_exchange_n(&s->state, old, next, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* Take from @value, if it allows: the rule of each kind. */
static bool value_take(enum serial_kind kind, bool is_reader, uint32_t *value)
{
	if (kind == SERIAL_LOCK) {
		if (*value == 0)
			*value = is_reader ? 1 : SERIAL_TOP;
		else if (is_reader && *value != SERIAL_TOP)
			*value += 1;
		else
			return false;
		return true;
	}
	if (*value >= SERIAL_TOP)
		return true;
	if (*value == 0)
		return false;
	*value -= 1;
	return true;
}

void serial_init(struct rt_serial *s)
{
	s->state = 0;
	s->arrivals = NULL;
	INIT_LIST_HEAD(&s->queue);
}

void serial_waiter_init(struct rt_waiter *w)
{
	*w = (struct rt_waiter){ .task = rt_current(), .verdict = SERIAL_PENDING };
}

/* ---- the server -------------------------------------------------------------------------------- */

static void decide(struct service *sv, struct rt_waiter *w, enum serial_verdict verdict)
{
	list_del(&w->node);
	w->decided = verdict;
	w->next = NULL;
	*sv->verdicts_end = w;
	sv->verdicts_end = &w->next;
}

/* A returning waiter has its old ticket and goes before all that came after it. */
static void queue_insert(struct rt_serial *s, struct rt_waiter *w)
{
	struct list_head *pos = s->queue.prev;

	if (w->ticket == 0)
		w->ticket = ++s->tickets;
	while (pos != &s->queue && list_entry(pos, struct rt_waiter, node)->ticket > w->ticket)
		pos = pos->prev;
	list_add(&w->node, pos);
}

static void collect_arrivals(struct rt_serial *s)
{
	struct rt_waiter *newest, *oldest = NULL;

	rt_sim_point();
	newest = __atomic_exchange_n(&s->arrivals, NULL, __ATOMIC_ACQUIRE);
	while (newest) {
		struct rt_waiter *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct rt_waiter *next = oldest->next;

		queue_insert(s, oldest);
		oldest = next;
	}
}

/* Returns the value after everybody was admitted who can be. */
static uint32_t admit(struct service *sv, uint32_t value)
{
	struct rt_waiter *w;

	while ((w = list_first_entry_or_null(&sv->s->queue, struct rt_waiter, node))) {
		uint32_t before = value;

		if (!value_take(sv->kind, w->is_reader, &value))
			break;
		sv->taken += value - before;
		decide(sv, w, SERIAL_ADMITTED);
	}
	return value;
}

static void let_leave(struct service *sv)
{
	struct rt_waiter *w, *next;

	list_for_each_entry_safe(w, next, &sv->s->queue, node) {
		if (__atomic_load_n(&w->is_leaving, __ATOMIC_RELAXED))
			decide(sv, w, SERIAL_LEFT);
	}
}

static void deliver(struct rt_waiter *w)
{
	while (w) {
		struct rt_waiter *next = w->next;
		struct task *task = w->task;

		rt_sim_point();
		__atomic_store_n(&w->verdict, w->decided, __ATOMIC_RELEASE);
		if (task != rt_current())
			rt_wake(task);
		w = next;
	}
}

/*
 * serve - be the server: the caller has just set BUSY.
 *
 * Takes in who arrived, lets out who may go, and leaves, in one swap, as soon as nothing changed
 * meanwhile. Then says so to those concerned.
 */
static void serve(struct rt_serial *s, enum serial_kind kind)
{
	struct service sv = { .s = s, .kind = kind, .verdicts_end = &sv.verdicts };
	uint64_t state, next;

	do {
		uint32_t value;

		rt_sim_point();
		state = __atomic_fetch_and(&s->state, ~STATE_MARKS, __ATOMIC_ACQ_REL);
		collect_arrivals(s);
		value = admit(&sv, state_value(state) + sv.taken);
		if (state & STATE_LEAVE)
			let_leave(&sv);
		if (kind == SERIAL_EVENT && list_empty(&s->queue))
			value = 0;
		next = state_make(value, list_empty(&s->queue) ? 0 : STATE_WAITERS);
		state &= ~STATE_MARKS;
	} while (!state_swap(s, &state, next));
	deliver(sv.verdicts);
}

/* Make sure that a server looks at what the caller has just prepared. */
static void summon(struct rt_serial *s, enum serial_kind kind, uint64_t mark)
{
	rt_sim_point();
	if (!(__atomic_fetch_or(&s->state, STATE_BUSY | mark, __ATOMIC_ACQ_REL) & STATE_BUSY))
		serve(s, kind);
}

/* ---- what the primitives call ------------------------------------------------------------------ */

bool serial_try(struct rt_serial *s, enum serial_kind kind, bool is_reader)
{
	uint64_t state = state_load(s);
	uint32_t value;

	do {
		value = state_value(state);
		if (state & STATE_FLAGS || !value_take(kind, is_reader, &value))
			return false;
	} while (!state_swap(s, &state, state_make(value, 0)));
	return true;
}

void serial_enter(struct rt_serial *s, enum serial_kind kind, struct rt_waiter *w)
{
	rt_sim_point();
	w->next = __atomic_load_n(&s->arrivals, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&s->arrivals, &w->next, w, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	summon(s, kind, STATE_LOOK);
	smp_mb();
}

void serial_leave(struct rt_serial *s, enum serial_kind kind, struct rt_waiter *w)
{
	__atomic_store_n(&w->is_leaving, true, __ATOMIC_RELAXED);
	summon(s, kind, STATE_LEAVE);
}

enum serial_verdict serial_wait(struct rt_waiter *w, const char *on)
{
	while (serial_is_pending(w))
		rt_park(on);
	return w->verdict;
}

void serial_release(struct rt_serial *s, bool is_reader)
{
	uint64_t state = state_load(s);
	uint64_t next;
	bool is_server;

	do {
		uint32_t value = state_value(state);

		blkfs_assert(is_reader ? value != 0 && value != SERIAL_TOP : value == SERIAL_TOP);
		value = is_reader ? value - 1 : 0;
		is_server = value == 0 && state & STATE_WAITERS && !(state & STATE_BUSY);
		next = state_make(value, (state & STATE_FLAGS) | (is_server ? STATE_BUSY : 0));
	} while (!state_swap(s, &state, next));
	if (is_server)
		serve(s, SERIAL_LOCK);
}

void serial_put(struct rt_serial *s, enum serial_kind kind, uint32_t nr)
{
	uint64_t state = state_load(s);
	uint64_t next;
	bool is_server;

	do {
		uint32_t value = state_value(state);

		if (kind == SERIAL_EVENT && !(state & STATE_FLAGS))
			return;
		value = nr == SERIAL_TOP ? value | nr : value + nr;
		is_server = state & STATE_WAITERS && !(state & STATE_BUSY);
		next = state_make(value, (state & STATE_FLAGS) | (is_server ? STATE_BUSY : 0));
	} while (!state_swap(s, &state, next));
	if (is_server)
		serve(s, kind);
}
