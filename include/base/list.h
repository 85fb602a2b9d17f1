/* SPDX-License-Identifier: MIT */
/*
 * A circular doubly linked list that lives inside its members.
 *
 * Invariants: 1. An initialised head that is empty points to itself.
 *             2. A node is on one list at most; list_del() leaves it poisoned (NULL), so that a
 *                second delete faults; list_del_init() leaves it an empty head.
 * Locks:      none, the owner of the head brings its own.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/compiler.h"

struct list_head {
	struct list_head *next;
	struct list_head *prev;
};

#define LIST_HEAD_INIT(name)                                                                       \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline bool list_is_singular(const struct list_head *head)
{
	return !list_empty(head) && head->next == head->prev;
}

static inline bool list_is_first(const struct list_head *node, const struct list_head *head)
{
	return node->prev == head;
}

static inline bool list_is_last(const struct list_head *node, const struct list_head *head)
{
	return node->next == head;
}

/* list_join - make @next the successor of @prev. */
static inline void list_join(struct list_head *prev, struct list_head *next)
{
	prev->next = next;
	next->prev = prev;
}

/* list_add - @node becomes the first of @head (or the successor of the node @head). */
static inline void list_add(struct list_head *node, struct list_head *head)
{
	list_join(node, head->next);
	list_join(head, node);
}

/* list_add_tail - @node becomes the last of @head (or the predecessor of the node @head). */
static inline void list_add_tail(struct list_head *node, struct list_head *head)
{
	list_join(head->prev, node);
	list_join(node, head);
}

static inline void list_del(struct list_head *node)
{
	list_join(node->prev, node->next);
	node->next = NULL;
	node->prev = NULL;
}

static inline void list_del_init(struct list_head *node)
{
	list_join(node->prev, node->next);
	INIT_LIST_HEAD(node);
}

/* list_replace - @node takes the place of @old, which is left poisoned. */
static inline void list_replace(struct list_head *old, struct list_head *node)
{
	list_join(node, old->next);
	list_join(old->prev, node);
	old->next = NULL;
	old->prev = NULL;
}

static inline void list_move(struct list_head *node, struct list_head *head)
{
	list_join(node->prev, node->next);
	list_add(node, head);
}

static inline void list_move_tail(struct list_head *node, struct list_head *head)
{
	list_join(node->prev, node->next);
	list_add_tail(node, head);
}

/* list_splice_init - all of @list, in order, to the front of @head; @list becomes empty. */
static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	if (list_empty(list))
		return;
	list_join(list->prev, head->next);
	list_join(head, list->next);
	INIT_LIST_HEAD(list);
}

/* list_splice_tail_init - all of @list, in order, to the end of @head; @list becomes empty. */
static inline void list_splice_tail_init(struct list_head *list, struct list_head *head)
{
	if (list_empty(list))
		return;
	list_join(head->prev, list->next);
	list_join(list->prev, head);
	INIT_LIST_HEAD(list);
}

/* list_cut_before - what precedes @node on @head moves to the empty head @list. */
static inline void list_cut_before(struct list_head *list, struct list_head *head,
				   struct list_head *node)
{
	if (head->next == node) {
		INIT_LIST_HEAD(list);
		return;
	}
	list_join(list, head->next);
	list_join(node->prev, list);
	list_join(head, node);
}

static inline size_t list_count_nodes(const struct list_head *head)
{
	size_t nodes_nr = 0;

	for (const struct list_head *pos = head->next; pos != head; pos = pos->next)
		nodes_nr++;
	return nodes_nr;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member) list_entry((head)->prev, type, member)
#define list_first_entry_or_null(head, type, member)                                               \
	(list_empty(head) ? NULL : list_first_entry(head, type, member))
/* Behind the last entry @pos is no entry, and may not even be aligned as one: not ->. */
#define list_node_of(pos, member)                                                                  \
	((struct list_head *)((char *)(pos) + offsetof(typeof(*(pos)), member)))
#define list_next_entry(pos, member)                                                               \
	list_entry(list_node_of(pos, member)->next, typeof(*(pos)), member)
#define list_prev_entry(pos, member)                                                               \
	list_entry(list_node_of(pos, member)->prev, typeof(*(pos)), member)
#define list_entry_is_head(pos, head, member) (list_node_of(pos, member) == (head))

#define list_for_each_entry(pos, head, member)                                                     \
	for (pos = list_first_entry(head, typeof(*pos), member);                                   \
	     !list_entry_is_head(pos, head, member); pos = list_next_entry(pos, member))

#define list_for_each_entry_reverse(pos, head, member)                                             \
	for (pos = list_last_entry(head, typeof(*pos), member);                                    \
	     !list_entry_is_head(pos, head, member); pos = list_prev_entry(pos, member))

/* list_for_each_entry_safe - @pos may be deleted in the body, @next not. */
#define list_for_each_entry_safe(pos, next, head, member)                                          \
	for (pos = list_first_entry(head, typeof(*pos), member),                                   \
	    next = list_next_entry(pos, member);                                                   \
	     !list_entry_is_head(pos, head, member);                                               \
	     pos = next, next = list_next_entry(next, member))

#endif
