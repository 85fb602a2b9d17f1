/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic and the assertions of base/compiler.h.
 */
#include "tests/lib/test.h"

#include <signal.h>

#include "base/compiler.h"

struct outer {
	int before;
	short inner;
};

Test(compiler, container_of_finds_the_struct_around_a_member)
{
	struct outer outer;

	cr_assert_eq(container_of(&outer.inner, struct outer, inner), &outer);
}

Test(compiler, min_and_max_nest_and_evaluate_once)
{
	int calls_nr = 0;

	cr_assert_eq(min(3, max(1, 2)), 2);
	cr_assert_eq(max(++calls_nr, 0), 1);
	cr_assert_eq(calls_nr, 1);
	cr_assert_eq(clamp_t(int, 7, 0, 5), 5);
	cr_assert_eq(clamp_t(int, -7, 0, 5), 0);
	cr_assert_eq(min_t(uint64_t, -1, 4), 4);
}

Test(compiler, rounding_keeps_multiples_and_moves_the_rest)
{
	cr_assert_eq(round_up(0, 512), 0);
	cr_assert_eq(round_up(1, 512), 512);
	cr_assert_eq(round_up(512, 512), 512);
	cr_assert_eq(round_down(1023, 512), 512);
	cr_assert_eq(round_up((1ULL << 40) + 1, 4096), (1ULL << 40) + 4096);
	cr_assert(is_aligned(4096, 512));
	cr_assert(!is_aligned(4097, 512));
	cr_assert_eq(DIV_ROUND_UP(9, 4), 3);
}

Test(compiler, powers_of_two_are_recognised_and_made)
{
	cr_assert(!is_power_of_2(0));
	cr_assert(is_power_of_2(1));
	cr_assert(is_power_of_2(1ULL << 63));
	cr_assert(!is_power_of_2(6));
	cr_assert_eq(ilog2(1), 0);
	cr_assert_eq(ilog2(4097), 12);
	cr_assert_eq(roundup_pow_of_two(0), 1);
	cr_assert_eq(roundup_pow_of_two(5), 8);
	cr_assert_eq(roundup_pow_of_two(8), 8);
}

Test(compiler, assertion_that_holds_does_nothing)
{
	blkfs_assert(1 + 1 == 2);
	blkfs_debug_assert(1 + 1 == 2);
}

Test(compiler, assertion_that_does_not_hold_aborts, .signal = SIGABRT)
{
	blkfs_assert(ARRAY_SIZE("ab") == 2);
}

Test(compiler, debug_assertion_is_evaluated_only_in_debug_builds)
{
	int calls_nr = 0;

	blkfs_debug_assert(++calls_nr == 1);
	cr_assert_eq(calls_nr, BLKFS_DEBUG);
}
