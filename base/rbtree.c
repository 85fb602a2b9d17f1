/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees: see base/rbtree.h for the invariants.
 *
 * Left and right are the indices 0 and 1 of child[], so that each case is written once and its
 * mirror image is the same code with the side flipped.
 */
#include "base/rbtree.h"

enum { LEFT = 0, RIGHT = 1 };

static bool is_red(const struct rb_node *node)
{
	return node != NULL && node->is_red;
}

static int side_of(const struct rb_node *node)
{
	return node == node->parent->child[RIGHT];
}

/* Whoever pointed to @old, a parent or the root, points to @node now. */
static void relink_parent(struct rb_root *root, struct rb_node *parent, const struct rb_node *old,
			  struct rb_node *node)
{
	if (parent == NULL)
		root->rb_node = node;
	else
		parent->child[old == parent->child[RIGHT]] = node;
}

/* @node goes down to @side, its child of the other side comes up in its place. */
static void rotate(struct rb_root *root, struct rb_node *node, int side)
{
	struct rb_node *up = node->child[!side];
	struct rb_node *middle = up->child[side];

	relink_parent(root, node->parent, node, up);
	up->parent = node->parent;
	up->child[side] = node;
	node->parent = up;
	node->child[!side] = middle;
	if (middle != NULL)
		middle->parent = node;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	while (is_red(node->parent)) {
		struct rb_node *parent = node->parent;
		struct rb_node *grand = parent->parent;
		int side = side_of(parent);
		struct rb_node *uncle = grand->child[!side];

		if (is_red(uncle)) {
			parent->is_red = false;
			uncle->is_red = false;
			grand->is_red = true;
			node = grand;
			continue;
		}
		if (node == parent->child[!side]) {
			rotate(root, parent, side);
			parent = node;
		}
		parent->is_red = false;
		grand->is_red = true;
		rotate(root, grand, !side);
		break;
	}
	root->rb_node->is_red = false;
}

/*
 * The paths through @parent's child @side have one black node too few. One turn of the loop either
 * ends the matter or moves it up one level.
 */
static void repair_short_side(struct rb_root *root, struct rb_node *parent, int side)
{
	while (parent != NULL && !is_red(parent->child[side])) {
		struct rb_node *sibling = parent->child[!side];

		if (sibling->is_red) {
			sibling->is_red = false;
			parent->is_red = true;
			rotate(root, parent, side);
			sibling = parent->child[!side];
		}
		if (is_red(sibling->child[LEFT]) || is_red(sibling->child[RIGHT])) {
			if (!is_red(sibling->child[!side])) {
				sibling->child[side]->is_red = false;
				sibling->is_red = true;
				rotate(root, sibling, !side);
				sibling = parent->child[!side];
			}
			sibling->is_red = parent->is_red;
			parent->is_red = false;
			sibling->child[!side]->is_red = false;
			rotate(root, parent, side);
			return;
		}
		sibling->is_red = true;
		if (parent->is_red) {
			parent->is_red = false;
			return;
		}
		side = parent->parent != NULL ? side_of(parent) : LEFT;
		parent = parent->parent;
	}
	if (parent != NULL)
		parent->child[side]->is_red = false;
}

/* @heir, the successor of @node below it, has left its place and takes over @node's. */
static void take_place(struct rb_root *root, struct rb_node *heir, struct rb_node *node)
{
	heir->parent = node->parent;
	heir->child[LEFT] = node->child[LEFT];
	heir->child[RIGHT] = node->child[RIGHT];
	heir->is_red = node->is_red;
	relink_parent(root, node->parent, node, heir);
	for (int side = LEFT; side <= RIGHT; side++)
		if (heir->child[side] != NULL)
			heir->child[side]->parent = heir;
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *leaving = node; /* has one child at most */
	struct rb_node *orphan, *parent;
	bool was_red;
	int side;

	if (node->rb_left != NULL && node->rb_right != NULL) {
		leaving = node->rb_right;
		while (leaving->rb_left != NULL)
			leaving = leaving->rb_left;
	}
	orphan = leaving->rb_left != NULL ? leaving->rb_left : leaving->rb_right;
	parent = leaving->parent;
	side = parent != NULL ? side_of(leaving) : LEFT;
	was_red = leaving->is_red;

	relink_parent(root, parent, leaving, orphan);
	if (orphan != NULL)
		orphan->parent = parent;
	if (leaving != node) {
		take_place(root, leaving, node);
		if (parent == node)
			parent = leaving;
	}
	if (was_red)
		return;
	if (parent != NULL)
		repair_short_side(root, parent, side);
	else if (orphan != NULL)
		orphan->is_red = false;
}

static struct rb_node *outermost(struct rb_node *node, int side)
{
	while (node != NULL && node->child[side] != NULL)
		node = node->child[side];
	return node;
}

static struct rb_node *neighbour(const struct rb_node *node, int side)
{
	if (node->child[side] != NULL)
		return outermost(node->child[side], !side);
	while (node->parent != NULL && node == node->parent->child[side])
		node = node->parent;
	return node->parent;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	return outermost(root->rb_node, LEFT);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return outermost(root->rb_node, RIGHT);
}

struct rb_node *rb_next(const struct rb_node *node)
{
	return neighbour(node, RIGHT);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	return neighbour(node, LEFT);
}

void rb_replace_node(struct rb_node *old, struct rb_node *node, struct rb_root *root)
{
	take_place(root, node, old);
}

bool rb_add(struct rb_node *node, struct rb_root *root, rb_less_fn less)
{
	struct rb_node **link = &root->rb_node;
	struct rb_node *parent = NULL;
	bool is_leftmost = true;

	while (*link != NULL) {
		int side = less(node, *link) ? LEFT : RIGHT;

		parent = *link;
		is_leftmost &= side == LEFT;
		link = &parent->child[side];
	}
	rb_link_node(node, parent, link);
	rb_insert_color(node, root);
	return is_leftmost;
}

struct rb_node *rb_find(const void *key, const struct rb_root *root, rb_cmp_fn cmp)
{
	struct rb_node *node = root->rb_node;

	while (node != NULL) {
		int order = cmp(key, node);

		if (order == 0)
			return node;
		node = node->child[order > 0];
	}
	return NULL;
}

struct rb_node *rb_find_ge(const void *key, const struct rb_root *root, rb_cmp_fn cmp)
{
	struct rb_node *node = root->rb_node, *best = NULL;

	while (node != NULL) {
		int order = cmp(key, node);

		if (order <= 0)
			best = node;
		node = node->child[order > 0];
	}
	return best;
}
