/* SPDX-License-Identifier: MIT */
/*
 * rundir_test.c - names of mountpoints and sockets.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "tools/blkfs/rundir.h"

Test(rundir, a_path_is_made_absolute_without_a_look_at_its_end)
{
	char out[PATH_MAX];

	cr_assert_eq(path_absolute("/", out, sizeof(out)), 0);
	cr_expect_str_eq(out, "/");
	cr_assert_eq(path_absolute("/no-such-thing-here", out, sizeof(out)), 0);
	cr_expect_str_eq(out, "/no-such-thing-here");
	cr_assert_eq(path_absolute("/usr//./bin/../no-such///", out, sizeof(out)), 0);
	cr_expect_str_eq(out, "/usr/no-such");
	cr_expect_eq(path_absolute("/no-such-dir/x", out, sizeof(out)), -ENOENT);
	cr_expect_eq(path_absolute("", out, sizeof(out)), -ENOENT);
	cr_expect_eq(path_absolute("/usr/no-such", out, 4), -ENAMETOOLONG);
}

Test(rundir, a_relative_path_starts_at_the_working_directory)
{
	char out[PATH_MAX], want[PATH_MAX + 8], cwd[PATH_MAX];

	cr_assert(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/mnt", cwd);
	cr_assert_eq(path_absolute("mnt", out, sizeof(out)), 0);
	cr_expect_str_eq(out, want);
}

Test(rundir, every_mountpoint_has_its_own_socket)
{
	char a[PATH_MAX], b[PATH_MAX], again[PATH_MAX];

	cr_assert_eq(rundir_socket("/run/blkfs", "/mnt/a", a, sizeof(a)), 0);
	cr_assert_eq(rundir_socket("/run/blkfs", "/mnt/b", b, sizeof(b)), 0);
	cr_assert_eq(rundir_socket("/run/blkfs", "/mnt/a", again, sizeof(again)), 0);
	cr_expect_str_eq(a, again);
	cr_expect_str_neq(a, b);
	cr_expect(strlen(a) < 100, "fits sun_path: %s", a);
	cr_expect_eq(rundir_socket("/run/blkfs", "/mnt/a", a, 8), -ENAMETOOLONG);
}
