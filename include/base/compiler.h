/* SPDX-License-Identifier: MIT */
/*
 * What the compiler can be told, and the arithmetic everybody needs.
 *
 * blkfs_assert() is on in all builds and is for our own bugs: O(1), one fact a line. Contents of a
 * disk, a wire or a user's string are never asserted. blkfs_debug_assert() is compiled in only with
 * BLKFS_DEBUG (presets debug, asan, tsan), its argument is type-checked everywhere.
 *
 * READ_ONCE/WRITE_ONCE are relaxed atomic accesses of a scalar: no tearing, no ordering. smp_mb()
 * orders everything before it before everything after it.
 */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define __must_check __attribute__((warn_unused_result))
#define __printf(fmt_arg, first_arg) __attribute__((__format__(__printf__, fmt_arg, first_arg)))
#define __noreturn __attribute__((noreturn))
#define __aligned(bytes) __attribute__((aligned(bytes)))
#define __packed __attribute__((packed))
#define __maybe_unused __attribute__((unused))
#define __noinline __attribute__((noinline))
#define __cold __attribute__((cold))

#define BLKFS_CACHELINE 64
#define __cacheline_aligned __aligned(BLKFS_CACHELINE)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Which sanitizer this translation unit is built with: gcc and clang say it differently. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BLKFS_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define BLKFS_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(BLKFS_ASAN)
#define BLKFS_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(BLKFS_TSAN)
#define BLKFS_TSAN 1
#endif
#ifndef BLKFS_ASAN
#define BLKFS_ASAN 0
#endif
#ifndef BLKFS_TSAN
#define BLKFS_TSAN 0
#endif
#ifndef BLKFS_DEBUG
#define BLKFS_DEBUG 0
#endif

#define BUILD_BUG_ON(cond) _Static_assert(!(cond), "build bug: " #cond)
#define ARRAY_SIZE(a)                                                                              \
	(sizeof(a) / sizeof((a)[0]) +                                                              \
	 0 * sizeof(char[1 - 2 * __builtin_types_compatible_p(typeof(a), typeof(&(a)[0]))]))
#define sizeof_field(type, member) sizeof(((type *)0)->member)

#define container_of(ptr, type, member)                                                            \
	({                                                                                         \
		_Static_assert(__builtin_types_compatible_p(typeof(*(ptr)),                        \
							    typeof(((type *)0)->member)) ||        \
				       __builtin_types_compatible_p(typeof(*(ptr)), void),         \
			       "container_of: pointer is not to that member");                     \
		(type *)((char *)(ptr)-offsetof(type, member));                                    \
	})

#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, val) __atomic_store_n(&(x), (val), __ATOMIC_RELAXED)

#if BLKFS_TSAN
/* ThreadSanitizer does not know fences; it does know what passes through one variable. */
unsigned int tsan_fence __attribute__((weak));
#define smp_mb() ((void)__atomic_fetch_add(&tsan_fence, 1, __ATOMIC_SEQ_CST))
#else
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/*
 * Both sides must have one type: a comparison of signed with unsigned is refused, not converted.
 * The names carry a number, so that one may stand inside another without shadowing it.
 */
#define BLKFS_PASTE_(a, b) a##b
#define BLKFS_PASTE(a, b) BLKFS_PASTE_(a, b)
#define BLKFS_UNIQUE(name) BLKFS_PASTE(name, __COUNTER__)

#define BLKFS_PICK_NAMED(a, op, b, pick_a, pick_b)                                                 \
	({                                                                                         \
		typeof(a) pick_a = (a);                                                            \
		typeof(b) pick_b = (b);                                                            \
		_Static_assert(__builtin_types_compatible_p(typeof(pick_a), typeof(pick_b)),       \
			       "min/max: two types; use min_t/max_t");                             \
		pick_a op pick_b ? pick_a : pick_b;                                                \
	})
#define BLKFS_PICK_T_NAMED(type, a, op, b, pick_a, pick_b)                                         \
	({                                                                                         \
		type pick_a = (a);                                                                 \
		type pick_b = (b);                                                                 \
		pick_a op pick_b ? pick_a : pick_b;                                                \
	})
#define BLKFS_PICK(a, op, b)                                                                       \
	BLKFS_PICK_NAMED(a, op, b, BLKFS_UNIQUE(pick_a_), BLKFS_UNIQUE(pick_b_))
#define BLKFS_PICK_T(type, a, op, b)                                                               \
	BLKFS_PICK_T_NAMED(type, a, op, b, BLKFS_UNIQUE(pick_a_), BLKFS_UNIQUE(pick_b_))
#undef min
#undef max
#define min(a, b) BLKFS_PICK(a, <, b)
#define max(a, b) BLKFS_PICK(a, >, b)
#define min_t(type, a, b) BLKFS_PICK_T(type, a, <, b)
#define max_t(type, a, b) BLKFS_PICK_T(type, a, >, b)
#define clamp_t(type, val, lo, hi) min_t(type, max_t(type, val, lo), hi)

/* For constants; @d is not 0. */
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))

/* blkfs_assert_fail - say what did not hold, through the log's last lines, and abort(). */
void blkfs_assert_fail(const char *expr, const char *file, int line,
		       const char *func) __noreturn __cold;

#define blkfs_assert(cond)                                                                         \
	(likely(cond) ? (void)0 : blkfs_assert_fail(#cond, __FILE__, __LINE__, __func__))
#if BLKFS_DEBUG
#define blkfs_debug_assert(cond) blkfs_assert(cond)
#else
#define blkfs_debug_assert(cond) ((void)sizeof(!(cond)))
#endif

static inline bool is_power_of_2(uint64_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

/* ilog2 - position of the highest set bit; @x is not 0. */
static inline unsigned int ilog2(uint64_t x)
{
	return 63 - (unsigned int)__builtin_clzll(x);
}

/* round_up, round_down - to a multiple of @align, a power of two. round_up wraps near 2^64. */
static inline uint64_t round_up(uint64_t x, uint64_t align)
{
	return (x + align - 1) & ~(align - 1);
}

static inline uint64_t round_down(uint64_t x, uint64_t align)
{
	return x & ~(align - 1);
}

static inline bool is_aligned(uint64_t x, uint64_t align)
{
	return (x & (align - 1)) == 0;
}

/* roundup_pow_of_two - the smallest power of two that is not below @x; 1 for 0. @x <= 2^63. */
static inline uint64_t roundup_pow_of_two(uint64_t x)
{
	return x <= 1 ? 1 : 1ULL << (ilog2(x - 1) + 1);
}

#endif
