/* SPDX-License-Identifier: MIT */
/*
 * options_test.c - what -o takes, refuses, and says when it refuses.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/test.h"

#include "tools/blkfs/options.h"

static struct mount_options mo;
static char why_text[512];

static int parse(const char *list)
{
	struct strbuf why;

	strbuf_init(&why, why_text, sizeof(why_text));
	mount_options_init(&mo);
	return mount_options_parse(&mo, list, &why);
}

Test(options, an_empty_list_changes_nothing)
{
	struct mount_options def;

	mount_options_init(&def);
	cr_assert_eq(parse(""), 0);
	cr_assert_eq(memcmp(&mo, &def, sizeof(mo)), 0);
	cr_assert_eq(parse(",,"), 0);
	cr_assert_eq(memcmp(&mo, &def, sizeof(mo)), 0);
}

Test(options, each_kind_of_value_lands_in_its_field)
{
	cr_assert_eq(parse("ro,mode=direct,fs=raw,fuse_depth=8,cache=64M,scheduler=kyber,uid=1000,"
			   "errors=remount-ro,sb=32768,nosuid,norecovery"),
		     0, "%s", why_text);
	cr_expect(mo.fs.is_read_only);
	cr_expect_eq(mo.mode, OPT_MODE_DIRECT);
	cr_expect_eq(mo.fs_type, OPT_FS_RAW);
	cr_expect_eq(mo.fuse_depth, 8u);
	cr_expect_eq(mo.cache_bytes, 64u << 20);
	cr_expect_str_eq(mo.scheduler, "kyber");
	cr_expect(mo.has_uid);
	cr_expect_eq(mo.uid, 1000u);
	cr_expect_not(mo.has_gid);
	cr_expect_eq(mo.errors, FS_ERRORS_REMOUNT_RO);
	cr_expect_eq(mo.fs.sb_block, 32768u);
	cr_expect_eq(mo.suid, OPT_NO);
	cr_expect(mo.fs.norecovery);
}

Test(options, a_later_word_wins)
{
	cr_assert_eq(parse("ro,rw,mode=direct,mode=buffered,barrier=0,barrier"), 0);
	cr_expect_not(mo.fs.is_read_only);
	cr_expect_eq(mo.mode, OPT_MODE_BUFFERED);
	cr_expect_not(mo.fs.is_nobarrier);
	cr_assert_eq(parse("barrier=0"), 0);
	cr_expect(mo.fs.is_nobarrier);
}

Test(options, words_of_fstab_and_of_others_are_accepted)
{
	cr_expect_eq(parse("defaults,nofail,_netdev,noauto,user,x-systemd.automount,X-mount.mkdir,"
			   "x-gvfs-name=a b,comment=hello"),
		     0, "%s", why_text);
}

Test(options, what_is_unknown_or_wrong_is_named)
{
	static const struct {
		const char *list, *says;
	} rows[] = {
		{ "ro,frobnicate", "'frobnicate'" },
		{ "frobnicate=3", "'frobnicate'" },
		{ "mode", "needs a value" },
		{ "ro=1", "takes no value" },
		{ "mode=fast", "auto buffered direct" },
		{ "fuse_depth=0", "from 1 to 1024" },
		{ "fuse_depth=4x", "from 1 to 1024" },
		{ "cache=1K", "K, M, G and T" },
		{ "uid=root", "numeric id" },
		{ "data=sometimes", "ordered writeback journal" },
		{ "commit=901", "from 0 to 900" },
		{ "scheduler=", "a name of 1 to 31" },
		{ "scheduler=0123456789012345678901234567890123456789", "a name of 1 to 31" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect_eq(parse(rows[i].list), -EINVAL, "%s was taken", rows[i].list);
		cr_expect(strstr(why_text, rows[i].says), "%s: '%s' does not say '%s'",
			  rows[i].list, why_text, rows[i].says);
	}
}

Test(options, an_endless_option_is_refused)
{
	char list[2000];

	memset(list, 'a', sizeof(list));
	list[sizeof(list) - 1] = 0;
	cr_expect_eq(parse(list), -EINVAL);
	cr_expect(strstr(why_text, "too long"));
}

Test(options, root_and_others_have_other_defaults)
{
	cr_assert_eq(parse(""), 0);
	mount_options_settle(&mo, true);
	cr_expect_eq(mo.allow_other, OPT_YES);
	cr_expect_eq(mo.suid, OPT_YES);
	cr_assert_eq(parse(""), 0);
	mount_options_settle(&mo, false);
	cr_expect_eq(mo.allow_other, OPT_NO);
	cr_expect_eq(mo.suid, OPT_NO);
	cr_expect_eq(mo.dev, OPT_NO);
	cr_expect_eq(mo.default_permissions, OPT_YES);
	cr_assert_eq(parse("allow_other,dev"), 0);
	mount_options_settle(&mo, false);
	cr_expect_eq(mo.allow_other, OPT_YES);
	cr_expect_eq(mo.dev, OPT_YES);
}

Test(options, what_is_printed_reads_back_the_same)
{
	static const char list[] =
		"mode=direct,fs=raw,scheduler=none,reactors=2,cache=67108864,uid=0,"
		"ro,errors=continue";
	struct mount_options first;
	char text[512];
	struct strbuf out;

	cr_assert_eq(parse(list), 0);
	first = mo;
	strbuf_init(&out, text, sizeof(text));
	mount_options_print(&mo, &out);
	cr_assert_eq(parse(text), 0, "%s: %s", text, why_text);
	cr_expect_eq(memcmp(&first, &mo, sizeof(mo)), 0, "%s", text);
}

Test(options, help_names_the_choices)
{
	char text[16384];
	struct strbuf out;

	strbuf_init(&out, text, sizeof(text));
	mount_options_help(&out);
	cr_expect(strstr(text, "mode=auto|buffered|direct"));
	cr_expect_not(out.overflow);
}
