/* SPDX-License-Identifier: MIT */
/*
 * The words of Criterion that blkfs's tests use, over a plain runner (test_plain.c).
 *
 * Criterion starts each test in a process of its own making, which ThreadSanitizer does not
 * survive. Here a test is a plain fork() of the runner: it keeps what Criterion promises - fresh
 * statics, a time limit, .signal and .exit_code expectations - and nothing else.
 *
 * Every assertion accepts an optional printf format with arguments as its last ones.
 */
#ifndef TESTS_LIB_TEST_PLAIN_H
#define TESTS_LIB_TEST_PLAIN_H

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_options {
	int signal;
	int exit_code;
	double timeout;
	bool disabled;
	const char *description;
	void (*init)(void);
	void (*fini)(void);
};

struct plain_test {
	const char *suite;
	const char *name;
	void (*run)(void);
	struct plain_options options;
	struct plain_test *next;
};

struct plain_suite {
	const char *name;
	struct plain_options options;
	struct plain_suite *next;
};

void plain_register(struct plain_test *test);
void plain_register_suite(struct plain_suite *suite);

/* plain_fail - print where and why; with @is_fatal the test ends here. */
void plain_fail(bool is_fatal, const char *file, int line, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void plain_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void plain_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define Test(Suite, Name, ...)                                                                     \
	static void Suite##_##Name##_impl(void);                                                   \
	static void __attribute__((constructor)) Suite##_##Name##_register(void)                   \
	{                                                                                          \
		static struct plain_test test = { .suite = #Suite,                                 \
						  .name = #Name,                                   \
						  .run = Suite##_##Name##_impl,                    \
						  .options = { __VA_ARGS__ } };                    \
		plain_register(&test);                                                             \
	}                                                                                          \
	static void Suite##_##Name##_impl(void)

#define TestSuite(Suite, ...)                                                                      \
	static void __attribute__((constructor)) Suite##_suite_register(void)                      \
	{                                                                                          \
		static struct plain_suite suite = { .name = #Suite, .options = { __VA_ARGS__ } };  \
		plain_register_suite(&suite);                                                      \
	}                                                                                          \
	struct plain_suite

#define PLAIN_CHECK(fatal, cond, what, ...)                                                        \
	((cond) ? (void)0 : plain_fail(fatal, __FILE__, __LINE__, what, " " __VA_ARGS__))

#define PLAIN_BINARY(fatal, a, op, b, ...)                                                         \
	PLAIN_CHECK(fatal, (a)op(b), #a " " #op " " #b, __VA_ARGS__)
#define PLAIN_STRING(fatal, a, op, b, ...)                                                         \
	PLAIN_CHECK(fatal, strcmp((a), (b)) op 0, "strings " #a " " #op " " #b, __VA_ARGS__)
#define PLAIN_ARRAY(fatal, a, op, b, size, ...)                                                    \
	PLAIN_CHECK(fatal, memcmp((a), (b), (size)) op 0, "bytes " #a " " #op " " #b, __VA_ARGS__)
#define PLAIN_FLOAT(fatal, a, op, b, eps, ...)                                                     \
	PLAIN_CHECK(fatal, fabs((double)((a) - (b))) op(eps), #a " near " #b, __VA_ARGS__)
#define PLAIN_EMPTY(fatal, a, op, ...) PLAIN_CHECK(fatal, (a)[0] op '\0', #a " empty", __VA_ARGS__)

#define cr_assert(cond, ...) PLAIN_CHECK(true, (cond), #cond, __VA_ARGS__)
#define cr_assert_not(cond, ...) PLAIN_CHECK(true, !(cond), "!(" #cond ")", __VA_ARGS__)
#define cr_assert_eq(a, b, ...) PLAIN_BINARY(true, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN_BINARY(true, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) PLAIN_BINARY(true, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN_BINARY(true, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) PLAIN_BINARY(true, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN_BINARY(true, a, >=, b, __VA_ARGS__)
#define cr_assert_null(a, ...) PLAIN_CHECK(true, (a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) PLAIN_CHECK(true, (a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) PLAIN_STRING(true, a, ==, b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) PLAIN_STRING(true, a, !=, b, __VA_ARGS__)
#define cr_assert_str_empty(a, ...) PLAIN_EMPTY(true, a, ==, __VA_ARGS__)
#define cr_assert_str_not_empty(a, ...) PLAIN_EMPTY(true, a, !=, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...) PLAIN_ARRAY(true, a, ==, b, size, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, size, ...) PLAIN_ARRAY(true, a, !=, b, size, __VA_ARGS__)
#define cr_assert_float_eq(a, b, eps, ...) PLAIN_FLOAT(true, a, <=, b, eps, __VA_ARGS__)
#define cr_assert_fail(...) PLAIN_CHECK(true, false, "failed", __VA_ARGS__)

#define cr_expect(cond, ...) PLAIN_CHECK(false, (cond), #cond, __VA_ARGS__)
#define cr_expect_not(cond, ...) PLAIN_CHECK(false, !(cond), "!(" #cond ")", __VA_ARGS__)
#define cr_expect_eq(a, b, ...) PLAIN_BINARY(false, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) PLAIN_BINARY(false, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) PLAIN_BINARY(false, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) PLAIN_BINARY(false, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) PLAIN_BINARY(false, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) PLAIN_BINARY(false, a, >=, b, __VA_ARGS__)
#define cr_expect_null(a, ...) PLAIN_CHECK(false, (a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...) PLAIN_CHECK(false, (a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) PLAIN_STRING(false, a, ==, b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) PLAIN_STRING(false, a, !=, b, __VA_ARGS__)
#define cr_expect_str_empty(a, ...) PLAIN_EMPTY(false, a, ==, __VA_ARGS__)
#define cr_expect_str_not_empty(a, ...) PLAIN_EMPTY(false, a, !=, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, size, ...) PLAIN_ARRAY(false, a, ==, b, size, __VA_ARGS__)
#define cr_expect_arr_neq(a, b, size, ...) PLAIN_ARRAY(false, a, !=, b, size, __VA_ARGS__)
#define cr_expect_float_eq(a, b, eps, ...) PLAIN_FLOAT(false, a, <=, b, eps, __VA_ARGS__)
#define cr_expect_fail(...) PLAIN_CHECK(false, false, "failed", __VA_ARGS__)

#define cr_fail(...) cr_expect_fail(__VA_ARGS__)
#define cr_fatal(...) cr_assert_fail(__VA_ARGS__)
#define cr_skip(...) plain_skip(" " __VA_ARGS__)
#define cr_skip_test(...) plain_skip(" " __VA_ARGS__)
#define cr_log_info(...) plain_log(__VA_ARGS__)
#define cr_log_warn(...) plain_log(__VA_ARGS__)
#define cr_log_error(...) plain_log(__VA_ARGS__)

#endif
