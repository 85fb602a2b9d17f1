/* SPDX-License-Identifier: MIT */
/*
 * What every test includes. It is Criterion; where Criterion cannot run (BLKFS_TEST_PLAIN, the
 * ThreadSanitizer builds) the part of it that we use comes from test_plain.h, with the same words.
 *
 * A test is Test(suite, sentence_of_the_property, options) { ... }, options being .init, .fini,
 * .signal, .exit_code, .timeout and .disabled. Use cr_assert*, cr_expect*, cr_fail and cr_log_info.
 */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#ifdef BLKFS_TEST_PLAIN
#include "tests/lib/test_plain.h"
#else
#include <criterion/criterion.h>
#endif

#endif
