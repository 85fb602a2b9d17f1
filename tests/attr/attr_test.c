/* SPDX-License-Identifier: MIT */
/*
 * The registry: names and numbers, listing order, and an unregister that waits for running shows.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "blkfs/attr.h"

static int show_number(void *obj, struct strbuf *out)
{
	strbuf_printf(out, "%d\n", *(int *)obj);
	return 0;
}

static int store_number(void *obj, const char *buf, size_t len)
{
	if (len == 0 || buf[0] < '0' || buf[0] > '9')
		return -EINVAL;
	*(int *)obj = buf[0] - '0';
	return 0;
}

static const struct attr number_attrs[] = {
	{ "value", 0644, show_number, store_number },
	{ "ro", 0444, show_number, NULL },
	{ "wo", 0200, NULL, store_number },
};

static const struct attr extra_attrs[] = { { "extra", 0444, show_number, NULL } };

static struct attr_dir *add(struct attr_dir *parent, const char *name, int *obj)
{
	struct attr_dir *dir = NULL;

	cr_assert_eq(attr_dir_add(parent, name, number_attrs, ARRAY_SIZE(number_attrs), obj, &dir),
		     0);
	return dir;
}

static int show(const char *path, char *text, size_t size)
{
	struct strbuf out;

	strbuf_init(&out, text, size);
	return attr_show(path, &out);
}

static void empty_tree(void)
{
	attr_set_pause(NULL);
	attr_dir_del(attr_root());
}

Test(attr, files_are_shown_and_stored_by_path, .fini = empty_tree)
{
	char text[32];
	int value = 7;

	add(attr_root(), "queue", &value);
	cr_assert_eq(show("queue/value", text, sizeof(text)), 0);
	cr_assert_str_eq(text, "7\n");
	cr_assert_eq(attr_store("queue/value", "5\n", 2), 0);
	cr_assert_eq(value, 5);
	cr_assert_eq(attr_store("queue/value", "x", 1), -EINVAL);
	cr_assert_eq(show("queue/wo", text, sizeof(text)), -EACCES);
	cr_assert_eq(attr_store("queue/ro", "1", 1), -EACCES);
	cr_assert_eq(show("queue", text, sizeof(text)), -EISDIR);
	cr_assert_eq(show("queue/none", text, sizeof(text)), -ENOENT);
	cr_assert_eq(show("queue/value/x", text, sizeof(text)), -ENOTDIR);
	cr_assert_eq(show("queue//value", text, sizeof(text)), -ENOENT);
	cr_assert_eq(show("queue/", text, sizeof(text)), -ENOENT);
}

Test(attr, bad_and_double_names_are_refused, .fini = empty_tree)
{
	static const struct attr slash[] = { { "a/b", 0444, show_number, NULL } };
	static const struct attr twice[] = { { "a", 0444, show_number, NULL },
					     { "a", 0444, show_number, NULL } };
	static const char *const bad[] = { "", "/a", "a/", "a//b", ".", "a/..", "../a" };
	struct attr_dir *dir, *queue;
	int value = 1;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(attr_dir_add(attr_root(), bad[i], NULL, 0, NULL, &dir), -EINVAL,
			     "'%s' was taken", bad[i]);
	cr_assert_eq(attr_dir_add(attr_root(), "d", slash, 1, &value, &dir), -EINVAL);
	cr_assert_eq(attr_dir_add(attr_root(), "d", twice, 2, &value, &dir), -EEXIST);
	queue = add(attr_root(), "queue", &value);
	cr_assert_eq(attr_dir_add(attr_root(), "queue", NULL, 0, NULL, &dir), -EEXIST);
	cr_assert_eq(attr_dir_add(queue, "value", NULL, 0, NULL, &dir), -EEXIST);
	cr_assert_eq(attr_dir_add(attr_root(), "queue/value/x", NULL, 0, NULL, &dir), -EEXIST);
	cr_assert_eq(attr_dir_fill(queue, number_attrs, 1, &value), -EEXIST);
}

Test(attr, directories_made_for_a_path_go_with_their_last_child, .fini = empty_tree)
{
	struct attr_info info;
	int value = 1;
	struct attr_dir *zero = add(attr_root(), "mq/sub/0", &value);
	struct attr_dir *one = add(attr_root(), "mq/sub/1", &value);

	attr_dir_del(zero);
	cr_assert_eq(attr_lookup("mq/sub", &info), 0);
	cr_assert_eq(info.mode, S_IFDIR | 0555);
	cr_assert_str_eq(info.name, "sub");
	attr_dir_del(one);
	cr_assert_eq(attr_lookup("mq", &info), -ENOENT);
}

Test(attr, a_directory_made_for_a_path_may_be_added_in_its_own_name, .fini = empty_tree)
{
	struct attr_info info;
	int value = 1;
	struct attr_dir *child = add(attr_root(), "queue/iosched", &value);
	struct attr_dir *queue = add(attr_root(), "queue", &value);

	attr_dir_del(child);
	cr_assert_eq(attr_lookup("queue/value", &info), 0);
	attr_dir_del(queue);
	cr_assert_eq(attr_lookup("queue", &info), -ENOENT);
}

struct names {
	char text[256];
};

static int collect(void *ctx, const struct attr_info *info)
{
	struct names *names = ctx;
	size_t len = strlen(names->text);

	snprintf(names->text + len, sizeof(names->text) - len, "%s ", info->name);
	return strcmp(info->name, "stop") == 0 ? 17 : 0;
}

Test(attr, a_listing_counts_as_people_do, .fini = empty_tree)
{
	static const char *const made[] = { "hctx10", "b", "hctx9", "10", "hctx", "9", "a" };
	struct names names = { "" };
	int value = 1;

	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		add(attr_root(), made[i], &value);
	cr_assert_eq(attr_dir_fill(attr_root(), extra_attrs, 1, &value), 0);
	cr_assert_eq(attr_list("", collect, &names), 0);
	cr_assert_str_eq(names.text, "9 10 a b extra hctx hctx9 hctx10 ");
	cr_assert_eq(attr_list("a/value", collect, &names), -ENOTDIR);
	cr_assert_eq(attr_list("zz", collect, &names), -ENOENT);
}

Test(attr, what_emit_returns_ends_the_listing, .fini = empty_tree)
{
	struct names names = { "" };
	int value = 1;

	add(attr_root(), "stop", &value);
	add(attr_root(), "zzz", &value);
	cr_assert_eq(attr_list("", collect, &names), 17);
	cr_assert_str_eq(names.text, "stop ");
}

Test(attr, numbers_lead_back_to_their_path_and_are_not_used_twice, .fini = empty_tree)
{
	struct attr_info info, found;
	char path[32];
	int value = 1;
	struct attr_dir *dir = add(attr_root(), "mq/0", &value);

	cr_assert_eq(attr_lookup("", &info), 0);
	cr_assert_eq(info.ino, 1);
	cr_assert_eq(attr_lookup("mq/0/wo", &info), 0);
	cr_assert_eq(info.mode, S_IFREG | 0200);
	cr_assert_eq(attr_path_of(info.ino, path, sizeof(path), &found), 0);
	cr_assert_str_eq(path, "mq/0/wo");
	cr_assert_str_eq(found.name, "wo");
	cr_assert_eq(found.ino, info.ino);
	cr_assert_eq(attr_path_of(info.ino, path, sizeof("mq/0/wo"), &found), 0);
	cr_assert_eq(attr_path_of(info.ino, path, sizeof("mq/0/wo") - 1, &found), -ENAMETOOLONG);
	cr_assert_eq(attr_path_of(1, path, 1, &found), 0);
	cr_assert_str_eq(path, "");
	attr_dir_del(dir);
	cr_assert_eq(attr_path_of(info.ino, path, sizeof(path), &found), -ENOENT);
	add(attr_root(), "mq/0", &value);
	cr_assert_eq(attr_lookup("mq/0/wo", &found), 0);
	cr_assert_neq(found.ino, info.ino);
}

Test(attr, files_are_taken_back_by_table_and_object, .fini = empty_tree)
{
	struct attr_info info;
	int value = 1;
	struct attr_dir *dir = add(attr_root(), "queue", &value);

	cr_assert_eq(attr_dir_fill(dir, extra_attrs, 1, &value), 0);
	cr_assert_eq(attr_lookup("queue/extra", &info), 0);
	attr_dir_unfill(dir, extra_attrs, &value);
	cr_assert_eq(attr_lookup("queue/extra", &info), -ENOENT);
	cr_assert_eq(attr_lookup("queue/value", &info), 0);
}

/* ---- an unregister meets a running show ------------------------------------------------------- */

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_inside, may_leave;
	unsigned int *pauses;
};

static int show_gate(void *obj, struct strbuf *out)
{
	struct gate *gate = obj;

	pthread_mutex_lock(&gate->lock);
	gate->is_inside = true;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->may_leave)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
	strbuf_puts(out, "left\n");
	return 0;
}

static const struct attr gate_attrs[] = { { "gate", 0444, show_gate, NULL } };
static struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false,
			    NULL };

static void *reader(void *arg)
{
	char text[16] = "";

	cr_assert_eq(show("d/gate", text, sizeof(text)), 0);
	snprintf(arg, 16, "%s", text);
	return NULL;
}

static void open_gate(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.may_leave = true;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static struct attr_dir *start_reader(pthread_t *thread, char *text)
{
	struct attr_dir *dir;

	gate.is_inside = gate.may_leave = false;
	cr_assert_eq(attr_dir_add(attr_root(), "d", gate_attrs, 1, &gate, &dir), 0);
	cr_assert_eq(pthread_create(thread, NULL, reader, text), 0);
	pthread_mutex_lock(&gate.lock);
	while (!gate.is_inside)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	return dir;
}

Test(attr, an_unregister_waits_with_the_pause_for_the_show_to_end, .fini = empty_tree)
{
	struct attr_info info;
	char text[16] = "";
	pthread_t thread;
	struct attr_dir *dir = start_reader(&thread, text);

	attr_set_pause(open_gate);
	attr_dir_del(dir);
	cr_assert_eq(attr_lookup("d", &info), -ENOENT);
	pthread_join(thread, NULL);
	cr_assert_str_eq(text, "left\n");
}

static void *opener(void *arg)
{
	struct attr_info info;

	/* The name goes first, then the wait: when it is gone the other thread is in attr_dir_del. */
	while (attr_lookup("d", &info) == 0)
		;
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
	open_gate();
	return NULL;
}

Test(attr, an_unregister_blocks_until_the_show_ended, .fini = empty_tree)
{
	bool was_opened = false;
	char text[16] = "";
	pthread_t thread, other;
	struct attr_dir *dir = start_reader(&thread, text);

	cr_assert_eq(pthread_create(&other, NULL, opener, &was_opened), 0);
	attr_dir_del(dir);
	cr_assert(__atomic_load_n(&was_opened, __ATOMIC_ACQUIRE));
	pthread_join(thread, NULL);
	pthread_join(other, NULL);
	cr_assert_str_eq(text, "left\n");
}

/* ---- readers against a builder ------------------------------------------------------------------ */

static void *hammer(void *arg)
{
	struct attr_info info;
	struct names names;
	char text[32], path[64];

	while (!__atomic_load_n((bool *)arg, __ATOMIC_ACQUIRE)) {
		names.text[0] = '\0';
		(void)!show("x/y/value", text, sizeof(text));
		(void)!attr_list("x", collect, &names);
		if (attr_lookup("x/y/ro", &info) == 0)
			(void)!attr_path_of(info.ino, path, sizeof(path), &info);
	}
	return NULL;
}

Test(attr, readers_and_a_builder_do_not_disturb_each_other, .fini = empty_tree)
{
	bool is_over = false;
	pthread_t threads[2];
	int value = 1;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, hammer, &is_over), 0);
	for (int i = 0; i < 2000; i++)
		attr_dir_del(add(attr_root(), "x/y", &value));
	__atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
}
