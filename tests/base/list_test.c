/* SPDX-License-Identifier: MIT */
/*
 * Lists: each operation leaves the order its comment promises, forwards and backwards.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "base/list.h"

#define ITEMS_NR 6

struct item {
	char name;
	struct list_head link;
};

static struct item items[ITEMS_NR]; /* a b c d e f */

/* Puts the items @first..@first+@nr-1 on @head, which was not initialised. */
static void fill(struct list_head *head, int first, int nr)
{
	INIT_LIST_HEAD(head);
	for (int i = first; i < first + nr; i++) {
		items[i].name = (char)('a' + i);
		list_add_tail(&items[i].link, head);
	}
}

static void expect_order(struct list_head *head, const char *names)
{
	const char *want = names;
	struct item *pos;

	list_for_each_entry(pos, head, link) {
		cr_assert_eq(pos->name, *want, "found %c, expected %s", pos->name, names);
		want++;
	}
	cr_assert_eq(*want, '\0', "list ends before %s", want);
	list_for_each_entry_reverse(pos, head, link)
		cr_assert_eq(pos->name, *--want);
	cr_assert_eq(want, names);
	cr_assert_eq(list_count_nodes(head), strlen(names));
	cr_assert_eq(list_empty(head), names[0] == '\0');
}

Test(list, add_goes_to_the_front_and_add_tail_to_the_end)
{
	LIST_HEAD(head);

	expect_order(&head, "");
	fill(&head, 1, 2);
	items[0].name = 'a';
	items[3].name = 'd';
	list_add(&items[0].link, &head);
	list_add_tail(&items[3].link, &head);
	expect_order(&head, "abcd");
}

Test(list, deleted_node_is_gone_and_can_be_asked_when_reinitialised)
{
	struct list_head head;

	fill(&head, 0, 3);
	list_del_init(&items[1].link);
	expect_order(&head, "ac");
	cr_assert(list_empty(&items[1].link));
	list_del(&items[0].link);
	cr_assert_null(items[0].link.next);
	expect_order(&head, "c");
	cr_assert(list_is_singular(&head));
	list_del(&items[2].link);
	expect_order(&head, "");
	cr_assert(!list_is_singular(&head));
}

Test(list, moved_node_changes_lists)
{
	struct list_head one, two;

	fill(&one, 0, 3);
	fill(&two, 3, 2);
	list_move(&items[1].link, &two);
	list_move_tail(&items[0].link, &two);
	expect_order(&one, "c");
	expect_order(&two, "bdea");
	list_move(&items[0].link, &two);
	expect_order(&two, "abde");
}

Test(list, splice_keeps_order_and_empties_the_source)
{
	struct list_head one, two;

	fill(&one, 0, 2);
	fill(&two, 2, 3);
	list_splice_init(&two, &one);
	expect_order(&one, "cdeab");
	expect_order(&two, "");
	list_splice_init(&two, &one);
	expect_order(&one, "cdeab");
	fill(&one, 0, 2);
	fill(&two, 2, 3);
	list_splice_tail_init(&two, &one);
	expect_order(&one, "abcde");
	expect_order(&two, "");
	list_splice_tail_init(&one, &two);
	expect_order(&two, "abcde");
}

Test(list, cut_takes_what_precedes_the_node)
{
	struct list_head head, cut;

	fill(&head, 0, 4);
	list_cut_before(&cut, &head, &items[2].link);
	expect_order(&cut, "ab");
	expect_order(&head, "cd");
	list_cut_before(&cut, &head, &items[2].link);
	expect_order(&cut, "");
	expect_order(&head, "cd");
	list_cut_before(&cut, &head, &head);
	expect_order(&cut, "cd");
	expect_order(&head, "");
}

Test(list, replaced_node_keeps_its_place)
{
	struct list_head head;
	struct item other = { .name = 'x' };

	fill(&head, 0, 3);
	list_replace(&items[1].link, &other.link);
	expect_order(&head, "axc");
}

Test(list, ends_are_found)
{
	struct list_head head;

	fill(&head, 0, 3);
	cr_assert_eq(list_first_entry(&head, struct item, link), &items[0]);
	cr_assert_eq(list_last_entry(&head, struct item, link), &items[2]);
	cr_assert(list_is_first(&items[0].link, &head));
	cr_assert(list_is_last(&items[2].link, &head));
	cr_assert_eq(list_next_entry(&items[0], link), &items[1]);
	cr_assert_eq(list_prev_entry(&items[1], link), &items[0]);
	INIT_LIST_HEAD(&head);
	cr_assert_null(list_first_entry_or_null(&head, struct item, link));
}

Test(list, safe_iteration_survives_deletion)
{
	struct list_head head;
	struct item *pos, *next;

	fill(&head, 0, ITEMS_NR);
	list_for_each_entry_safe(pos, next, &head, link)
		if (pos->name % 2 == 0)
			list_del(&pos->link);
	expect_order(&head, "ace");
}

/* For UBSan: the head stands where no entry could. */
Test(list, entries_may_be_aligned_more_than_the_head)
{
	struct wide {
		struct list_head node;
		int value;
	} __attribute__((aligned(64)));
	static struct {
		struct wide entries[2];
		char odd[8];
		struct list_head head;
	} it;
	struct wide *w, *next;
	int sum = 0;

	INIT_LIST_HEAD(&it.head);
	for (int i = 0; i < 2; i++) {
		it.entries[i].value = i + 1;
		list_add_tail(&it.entries[i].node, &it.head);
	}
	list_for_each_entry(w, &it.head, node)
		sum += w->value;
	list_for_each_entry_reverse(w, &it.head, node)
		sum += w->value;
	list_for_each_entry_safe(w, next, &it.head, node) {
		sum += w->value;
		list_del(&w->node);
	}
	cr_assert_eq(sum, 9);
	cr_assert(list_empty(&it.head));
}
