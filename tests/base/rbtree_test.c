/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees: the invariants of base/rbtree.h after every step of random insertion and removal,
 * and the order against a plain array of counters.
 */
#include "tests/lib/test.h"

#include <stdlib.h>

#include "base/rbtree.h"

#define KEYS_NR 200
#define NODES_NR 400

struct item {
	struct rb_node node;
	int key;
	int serial;
	bool is_in;
};

static uint32_t random_state;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static bool item_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct item, node)->key < rb_entry(b, struct item, node)->key;
}

static int item_cmp(const void *key, const struct rb_node *node)
{
	return *(const int *)key - rb_entry(node, struct item, node)->key;
}

/* The number of black nodes on every path below @node; fails where the invariants do not hold. */
static int check_below(const struct rb_node *node, const struct rb_node *parent)
{
	int left, right;

	if (node == NULL)
		return 1;
	cr_assert_eq(node->parent, parent);
	if (node->is_red)
		cr_assert(parent != NULL && !parent->is_red, "a red node below a red one");
	left = check_below(node->rb_left, node);
	right = check_below(node->rb_right, node);
	cr_assert_eq(left, right, "paths with %d and %d black nodes", left, right);
	return left + !node->is_red;
}

static void check_tree(const struct rb_root *root, int nodes_nr)
{
	const struct rb_node *last = NULL;
	int forward_nr = 0, backward_nr = 0;

	check_below(root->rb_node, NULL);
	for (struct rb_node *n = rb_first(root); n != NULL; n = rb_next(n)) {
		if (last != NULL)
			cr_assert(!item_less(n, last));
		last = n;
		forward_nr++;
	}
	cr_assert_eq(last, rb_last(root));
	for (struct rb_node *n = rb_last(root); n != NULL; n = rb_prev(n))
		backward_nr++;
	cr_assert_eq(forward_nr, nodes_nr);
	cr_assert_eq(backward_nr, nodes_nr);
}

Test(rbtree, empty_tree_has_no_first_last_or_match)
{
	struct rb_root root = RB_ROOT;
	int key = 3;

	cr_assert(RB_EMPTY_ROOT(&root));
	cr_assert_null(rb_first(&root));
	cr_assert_null(rb_last(&root));
	cr_assert_null(rb_find(&key, &root, item_cmp));
	cr_assert_null(rb_find_ge(&key, &root, item_cmp));
}

Test(rbtree, invariants_hold_after_every_random_step)
{
	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct rb_root_cached root = RB_ROOT_CACHED;
		static struct item items[NODES_NR];
		int in_nr = 0;

		random_state = seed;
		for (int i = 0; i < NODES_NR; i++)
			items[i] = (struct item){ .key = (int)(next_random() % KEYS_NR) };
		for (int step = 0; step < 3 * NODES_NR; step++) {
			struct item *item = &items[next_random() % NODES_NR];

			if (item->is_in)
				rb_erase_cached(&item->node, &root);
			else
				rb_add_cached(&item->node, &root, item_less);
			item->is_in = !item->is_in;
			in_nr += item->is_in ? 1 : -1;
			check_tree(&root.rb_root, in_nr);
			cr_assert_eq(rb_first_cached(&root), rb_first(&root.rb_root), "seed %u",
				     seed);
		}
		for (int i = 0; i < NODES_NR; i++)
			if (items[i].is_in)
				rb_erase_cached(&items[i].node, &root);
		cr_assert(RB_EMPTY_ROOT(&root.rb_root));
		cr_assert_null(rb_first_cached(&root));
	}
}

Test(rbtree, stays_shallow_when_keys_come_sorted)
{
	static struct item items[4096];
	struct rb_root root = RB_ROOT;

	for (int i = 0; i < 4096; i++) {
		items[i].key = i;
		rb_add(&items[i].node, &root, item_less);
	}
	cr_assert_leq(check_below(root.rb_node, NULL), 13);
	for (int i = 0; i < 4096; i++) {
		rb_erase(&items[i].node, &root);
		if (i % 64 == 0)
			check_tree(&root, 4095 - i);
	}
	cr_assert(RB_EMPTY_ROOT(&root));
}

Test(rbtree, equal_keys_keep_the_order_in_which_they_came)
{
	struct item items[10];
	struct rb_root root = RB_ROOT;
	struct item *pos;
	int expected = 0;

	for (int i = 0; i < 10; i++) {
		items[i] = (struct item){ .key = 5, .serial = i };
		rb_add(&items[i].node, &root, item_less);
	}
	rb_for_each_entry(pos, &root, node)
		cr_assert_eq(pos->serial, expected++);
	cr_assert_eq(expected, 10);
}

Test(rbtree, find_and_find_ge_answer_for_present_and_absent_keys)
{
	struct item items[10];
	struct rb_root root = RB_ROOT;

	for (int i = 0; i < 10; i++) {
		items[i] = (struct item){ .key = 2 * i };
		rb_add(&items[i].node, &root, item_less);
	}
	for (int key = -1; key <= 19; key++) {
		struct rb_node *at = rb_find(&key, &root, item_cmp);
		struct rb_node *ge = rb_find_ge(&key, &root, item_cmp);
		bool is_there = key >= 0 && key % 2 == 0;

		cr_assert_eq(at != NULL, is_there, "key %d", key);
		cr_assert_eq(ge != NULL, key <= 18, "key %d", key);
		if (ge != NULL)
			cr_assert_eq(rb_entry(ge, struct item, node)->key,
				     key < 0 ? 0 : (key + 1) / 2 * 2);
	}
}

Test(rbtree, replaced_node_keeps_its_place)
{
	struct item items[7], other = { .key = 3 };
	struct rb_root root = RB_ROOT;

	for (int i = 0; i < 7; i++) {
		items[i] = (struct item){ .key = i };
		rb_add(&items[i].node, &root, item_less);
	}
	rb_replace_node(&items[3].node, &other.node, &root);
	check_tree(&root, 7);
	cr_assert_eq(rb_prev(&other.node), &items[2].node);
	cr_assert_eq(rb_next(&other.node), &items[4].node);
}

Test(rbtree, cleared_node_says_that_it_is_in_no_tree)
{
	struct item item = { .key = 1 };
	struct rb_root root = RB_ROOT;

	RB_CLEAR_NODE(&item.node);
	cr_assert(RB_EMPTY_NODE(&item.node));
	rb_add(&item.node, &root, item_less);
	cr_assert(!RB_EMPTY_NODE(&item.node));
}
