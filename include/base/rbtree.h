/* SPDX-License-Identifier: MIT */
/*
 * A red-black tree that lives inside its members.
 *
 * Invariants: 1. The root is black.                2. A red node has black children.
 *             3. Every path from the root to a leaf passes the same number of black nodes.
 *             4. A node made by RB_CLEAR_NODE is its own parent: "in no tree".
 *             5. In a cached root, rb_leftmost is rb_first() at all times.
 * Locks:      none, the owner of the root brings its own.
 *
 * Equal keys are allowed; rb_add() puts a later one behind an earlier.
 */
#ifndef BASE_RBTREE_H
#define BASE_RBTREE_H

#include "base/compiler.h"

struct rb_node {
	struct rb_node *parent;
	union {
		struct rb_node *child[2];
		struct {
			struct rb_node *rb_left;
			struct rb_node *rb_right;
		};
	};
	bool is_red;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct rb_root_cached {
	struct rb_root rb_root;
	struct rb_node *rb_leftmost;
};

#define RB_ROOT ((struct rb_root){ NULL })
#define RB_ROOT_CACHED ((struct rb_root_cached){ { NULL }, NULL })
#define RB_EMPTY_ROOT(root) ((root)->rb_node == NULL)
#define rb_entry(ptr, type, member) container_of(ptr, type, member)

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
	return node->parent;
}

static inline void RB_CLEAR_NODE(struct rb_node *node)
{
	node->parent = node;
}

static inline bool RB_EMPTY_NODE(const struct rb_node *node)
{
	return node->parent == node;
}

/* rb_link_node - hang @node into the empty place *@link below @parent; rb_insert_color follows. */
static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->parent = parent;
	node->rb_left = NULL;
	node->rb_right = NULL;
	node->is_red = true;
	*link = node;
}

/* rb_insert_color - restore the invariants after rb_link_node. */
void rb_insert_color(struct rb_node *node, struct rb_root *root);

/* rb_erase - take @node out of @root. @node keeps stale links: RB_CLEAR_NODE if it is asked later. */
void rb_erase(struct rb_node *node, struct rb_root *root);

/* In order; NULL for none. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

/* rb_replace_node - @node, which must sort the same, takes the place of @old. */
void rb_replace_node(struct rb_node *old, struct rb_node *node, struct rb_root *root);

typedef bool (*rb_less_fn)(const struct rb_node *a, const struct rb_node *b);
/* Below, at or above 0 as @key sorts before, at or behind @node. */
typedef int (*rb_cmp_fn)(const void *key, const struct rb_node *node);

/* rb_add - insert by comparator. Returns whether @node became the leftmost. */
bool rb_add(struct rb_node *node, struct rb_root *root, rb_less_fn less);

/* rb_find - a node equal to @key, or NULL. */
struct rb_node *rb_find(const void *key, const struct rb_root *root, rb_cmp_fn cmp);

/* rb_find_ge - the first node that does not sort before @key, or NULL. */
struct rb_node *rb_find_ge(const void *key, const struct rb_root *root, rb_cmp_fn cmp);

/* The same for a root that remembers its leftmost node. */
static inline struct rb_node *rb_first_cached(const struct rb_root_cached *root)
{
	return root->rb_leftmost;
}

static inline void rb_insert_color_cached(struct rb_node *node, struct rb_root_cached *root,
					  bool is_leftmost)
{
	if (is_leftmost)
		root->rb_leftmost = node;
	rb_insert_color(node, &root->rb_root);
}

static inline void rb_add_cached(struct rb_node *node, struct rb_root_cached *root, rb_less_fn less)
{
	if (rb_add(node, &root->rb_root, less))
		root->rb_leftmost = node;
}

static inline void rb_erase_cached(struct rb_node *node, struct rb_root_cached *root)
{
	if (root->rb_leftmost == node)
		root->rb_leftmost = rb_next(node);
	rb_erase(node, &root->rb_root);
}

/* rb_for_each_entry - in order; the body may not erase. */
#define rb_for_each_entry(pos, root, member)                                                       \
	for (struct rb_node *rb_pos_ = rb_first(root);                                             \
	     rb_pos_ != NULL && ((pos) = rb_entry(rb_pos_, typeof(*(pos)), member), true);         \
	     rb_pos_ = rb_next(rb_pos_))

#endif
