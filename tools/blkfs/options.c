/* SPDX-License-Identifier: MIT */
/*
 * options.c - the table of mount options and the one function that reads a list by it.
 *
 * Pure: values in, values out. What an option means is said where it is used.
 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"

enum opt_kind {
	OPT_SET32,   /* no value: *(uint32_t *) = number */
	OPT_SETBOOL, /* no value: *(bool *) = number */
	OPT_WORD,    /* one of words[]: *(uint32_t *) = its index */
	OPT_U32,
	OPT_SIZE,   /* bytes with K M G T */
	OPT_NAME,   /* a short word, copied */
	OPT_ID,	    /* uid or gid: value and its has_ flag, which number is the offset of */
	OPT_IGNORE, /* accepted, with or without a value */
};

struct opt_row {
	const char *name;
	enum opt_kind kind;
	size_t offset;
	uint64_t number; /* SET: the value; U32 and SIZE: the least */
	uint64_t most;	 /* U32 and SIZE: the most; NAME: room */
	const char *const *words;
	const char *help; /* NULL: not in --help */
};

enum { OPTION_MAX = 512 };

static const char *const mode_words[] = { "auto", "buffered", "direct", NULL };
static const char *const transport_words[] = { "auto", "uring", "classic", NULL };
static const char *const control_words[] = { "hidden", "list", "off", NULL };
static const char *const fs_words[] = { "auto", "ext4", "raw", NULL };
static const char *const driver_words[] = { "auto", "direct", "null", "mem", NULL };
static const char *const errors_words[] = { "default", "continue", "remount-ro", "panic", NULL };
static const char *const data_words[] = { "ordered", "writeback", "journal", NULL };
static const char *const switch_words[] = { "0", "1", NULL };

#define AT(member) offsetof(struct mount_options, member)
#define NOWHERE SIZE_MAX /* checked, and then nobody's: there is nothing to set yet */

static const struct opt_row opt_table[] = {
	/* ours */
	{ "mode", OPT_WORD, AT(mode), 0, 0, mode_words,
	  "page cache (buffered), none (direct), or as each open asks (auto)" },
	{ "fs", OPT_WORD, AT(fs_type), 0, 0, fs_words,
	  "file system; raw shows the device as one file, `disk`" },
	{ "driver", OPT_WORD, AT(driver), 0, 0, driver_words,
	  "what carries the requests; null does nothing with them" },
	{ "transport", OPT_WORD, AT(transport), 0, 0, transport_words,
	  "FUSE over io_uring, or /dev/fuse" },
	{ "control", OPT_WORD, AT(control), 0, 0, control_words,
	  "the .blkfs directory: there but not listed, listed, or absent" },
	{ "scheduler", OPT_NAME, AT(scheduler), 0, sizeof_field(struct mount_options, scheduler),
	  NULL, "elevator of the queue; default as Linux chooses" },
	{ "reactors", OPT_U32, AT(reactors), 1, RT_REACTORS_MAX, NULL,
	  "threads, one a CPU; default the affinity mask" },
	{ "fuse_depth", OPT_U32, AT(fuse_depth), 1, 1024, NULL, "FUSE requests a queue; 64" },
	{ "spin_us", OPT_U32, AT(spin_us), 0, 10000, NULL,
	  "longest spin before a reactor sleeps; 0 never spins" },
	{ "hw_queues", OPT_U32, AT(hw_queues), 1, RT_REACTORS_MAX, NULL, "hardware queues" },
	{ "queue_depth", OPT_U32, AT(queue_depth), 1, 10240, NULL, "tags a hardware queue" },
	{ "cache", OPT_SIZE, AT(cache_bytes), 1u << 20, 1ull << 40, NULL,
	  "bytes of metadata cache; 32M" },
	{ "record", OPT_NAME, AT(record), 0, sizeof_field(struct mount_options, record), NULL,
	  "a file for what the device is given and completes, in order" },
	{ "uid", OPT_ID, AT(uid), AT(has_uid), 0, NULL, "owner of every file" },
	{ "gid", OPT_ID, AT(gid), AT(has_gid), 0, NULL, "group of every file" },
	{ "fakeroot", OPT_SETBOOL, AT(fs.is_fakeroot), 1, 0, NULL,
	  "every file belongs to who mounts" },
	/* ext4's */
	{ "ro", OPT_SETBOOL, AT(fs.is_read_only), 1, 0, NULL, "write nothing to the source" },
	{ "rw", OPT_SETBOOL, AT(fs.is_read_only), 0, 0, NULL, "the opposite" },
	{ "norecovery", OPT_SETBOOL, AT(fs.norecovery), 1, 0, NULL,
	  "with ro: the disk as it is, the journal not replayed" },
	{ "noload", OPT_SETBOOL, AT(fs.norecovery), 1, 0, NULL, NULL },
	{ "sb", OPT_SIZE, AT(fs.sb_block), 0, UINT32_MAX, NULL,
	  "superblock copy, in 1 KiB blocks" },
	{ "errors", OPT_WORD, AT(errors), 0, 0, errors_words,
	  "what follows a metadata error; default as the superblock says" },
	{ "discard", OPT_SETBOOL, AT(fs.is_discard), 1, 0, NULL, "discard freed blocks" },
	{ "nodiscard", OPT_SETBOOL, AT(fs.is_discard), 0, 0, NULL, NULL },
	{ "nobarrier", OPT_SETBOOL, AT(fs.is_nobarrier), 1, 0, NULL, "send no flushes" },
	{ "barrier", OPT_WORD, NOWHERE, 0, 0, switch_words, NULL },
	{ "data", OPT_WORD, NOWHERE, 0, 0, data_words, NULL },
	{ "commit", OPT_U32, NOWHERE, 0, 900, NULL, NULL },
	{ "noatime", OPT_SETBOOL, AT(is_noatime), 1, 0, NULL, "reads change no access time" },
	{ "nodiratime", OPT_SETBOOL, AT(is_nodiratime), 1, 0, NULL, NULL },
	{ "atime", OPT_SETBOOL, AT(is_noatime), 0, 0, NULL, NULL },
	{ "relatime", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "norelatime", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "strictatime", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "lazytime", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "nolazytime", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	/* fuse's and the kernel's */
	{ "allow_other", OPT_SET32, AT(allow_other), OPT_YES, 0, NULL,
	  "users other than who mounts; default for root" },
	{ "noallow_other", OPT_SET32, AT(allow_other), OPT_NO, 0, NULL, NULL },
	{ "default_permissions", OPT_SET32, AT(default_permissions), OPT_YES, 0, NULL,
	  "the kernel checks permission bits; default for root" },
	{ "nodefault_permissions", OPT_SET32, AT(default_permissions), OPT_NO, 0, NULL, NULL },
	{ "suid", OPT_SET32, AT(suid), OPT_YES, 0, NULL, NULL },
	{ "nosuid", OPT_SET32, AT(suid), OPT_NO, 0, NULL,
	  "ignore set-uid bits; default for users" },
	{ "dev", OPT_SET32, AT(dev), OPT_YES, 0, NULL, NULL },
	{ "nodev", OPT_SET32, AT(dev), OPT_NO, 0, NULL, "ignore device nodes; default for users" },
	{ "exec", OPT_SET32, AT(exec), OPT_YES, 0, NULL, NULL },
	{ "noexec", OPT_SET32, AT(exec), OPT_NO, 0, NULL, "run no program from it" },
	{ "sync", OPT_SETBOOL, AT(is_sync), 1, 0, NULL, NULL },
	{ "async", OPT_SETBOOL, AT(is_sync), 0, 0, NULL, NULL },
	{ "dirsync", OPT_SETBOOL, AT(is_dirsync), 1, 0, NULL, NULL },
	/* fstab's own words */
	{ "defaults", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "auto", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "noauto", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "nofail", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "_netdev", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "user", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "nouser", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "users", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "owner", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "group", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
	{ "comment", OPT_IGNORE, NOWHERE, 0, 0, NULL, NULL },
};

static const struct opt_row *row_of(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(opt_table); i++)
		if (strlen(opt_table[i].name) == len && !memcmp(opt_table[i].name, name, len))
			return &opt_table[i];
	return NULL;
}

/* "--x-systemd.automount", "x-gvfs-show", "X-mount.mkdir": meant for others. */
static bool is_private_word(const char *word)
{
	return !strncmp(word, "x-", 2) || !strncmp(word, "X-", 2);
}

static int why_bad(struct strbuf *why, const struct opt_row *row, const char *value)
{
	strbuf_printf(why, "mount option '%s': '%s' is not ", row->name, value);
	if (row->kind == OPT_WORD) {
		strbuf_puts(why, "one of:");
		for (const char *const *w = row->words; *w; w++)
			strbuf_printf(why, " %s", *w);
	} else if (row->kind == OPT_NAME) {
		strbuf_printf(why, "a name of 1 to %u characters", (unsigned int)row->most - 1);
	} else {
		strbuf_printf(why, "a number from %llu to %llu%s", (unsigned long long)row->number,
			      (unsigned long long)row->most,
			      row->kind == OPT_SIZE ? " (K, M, G and T allowed)" : "");
	}
	return -EINVAL;
}

static int words_count(const char *const *words)
{
	int n = 0;

	while (words[n])
		n++;
	return n;
}

static int take_number(struct mount_options *mo, const struct opt_row *row, const char *value,
		       struct strbuf *why)
{
	bool is_size = row->kind == OPT_SIZE;
	uint64_t n;
	int err = is_size ? parse_size(value, row->number, row->most, &n)
			  : parse_u64(value, row->number, row->most, &n);

	if (err)
		return why_bad(why, row, value);
	if (row->offset == NOWHERE)
		return 0;
	if (is_size)
		*(uint64_t *)((char *)mo + row->offset) = n;
	else
		*(uint32_t *)((char *)mo + row->offset) = (uint32_t)n;
	return 0;
}

static int take_id(struct mount_options *mo, const struct opt_row *row, const char *value,
		   struct strbuf *why)
{
	uint64_t n;

	if (parse_u64(value, 0, UINT32_MAX - 1, &n)) {
		strbuf_printf(why, "mount option '%s': '%s' is not a numeric id", row->name, value);
		return -EINVAL;
	}
	*(uint32_t *)((char *)mo + row->offset) = (uint32_t)n;
	*(bool *)((char *)mo + row->number) = true;
	return 0;
}

static int take_value(struct mount_options *mo, const struct opt_row *row, const char *value,
		      struct strbuf *why)
{
	char *at = row->offset == NOWHERE ? NULL : (char *)mo + row->offset;
	int word;

	switch (row->kind) {
	case OPT_WORD:
		word = parse_word(value, row->words, (size_t)words_count(row->words));
		if (word < 0)
			return why_bad(why, row, value);
		if (!strcmp(row->name, "barrier"))
			mo->fs.is_nobarrier = !word;
		else if (at)
			*(uint32_t *)at = (uint32_t)word;
		return 0;
	case OPT_NAME:
		if (!*value || strlen(value) >= row->most)
			return why_bad(why, row, value);
		snprintf(at, row->most, "%s", value);
		return 0;
	case OPT_ID:
		return take_id(mo, row, value, why);
	default:
		return take_number(mo, row, value, why);
	}
}

static int take_option(struct mount_options *mo, const char *option, struct strbuf *why)
{
	const char *value = strchr(option, '=');
	size_t len = value ? (size_t)(value - option) : strlen(option);
	const struct opt_row *row = row_of(option, len);
	bool is_flag;

	if (is_private_word(option))
		return 0;
	if (!row) {
		strbuf_printf(why, "unknown mount option '%.*s' (blkfs mount --help lists them)",
			      (int)len, option);
		return -EINVAL;
	}
	if (row->kind == OPT_IGNORE)
		return 0;
	is_flag = row->kind == OPT_SET32 || row->kind == OPT_SETBOOL;
	if (is_flag == !!value && strcmp(row->name, "barrier") != 0) {
		strbuf_printf(why, "mount option '%s' %s", row->name,
			      is_flag ? "takes no value" : "needs a value: name=value");
		return -EINVAL;
	}
	if (row->kind == OPT_SET32)
		*(uint32_t *)((char *)mo + row->offset) = (uint32_t)row->number;
	else if (row->kind == OPT_SETBOOL)
		*(bool *)((char *)mo + row->offset) = row->number;
	else
		return take_value(mo, row, value ? value + 1 : "1", why);
	return 0;
}

void mount_options_init(struct mount_options *mo)
{
	*mo = (struct mount_options){ .spin_us = OPT_SPIN_US_DEFAULT };
}

int mount_options_parse(struct mount_options *mo, const char *list, struct strbuf *why)
{
	char option[OPTION_MAX];

	while (*list) {
		size_t len = strcspn(list, ",");
		int err;

		if (len >= sizeof(option)) {
			strbuf_printf(why, "a mount option of %zu characters is too long", len);
			return -EINVAL;
		}
		memcpy(option, list, len);
		option[len] = 0;
		err = len ? take_option(mo, option, why) : 0;
		if (err)
			return err;
		list += len;
		list += *list == ',';
	}
	return 0;
}

void mount_options_settle(struct mount_options *mo, bool is_root)
{
	uint32_t root_only = is_root ? OPT_YES : OPT_NO;

	if (mo->allow_other == OPT_UNSET)
		mo->allow_other = root_only;
	/* Always on unless refused: without it anyone who reaches the mount may do anything. */
	if (mo->default_permissions == OPT_UNSET)
		mo->default_permissions = OPT_YES;
	if (mo->suid == OPT_UNSET)
		mo->suid = root_only;
	if (mo->dev == OPT_UNSET)
		mo->dev = root_only;
	if (mo->exec == OPT_UNSET)
		mo->exec = OPT_YES;
	mo->fs.is_fakeroot |= mo->has_uid || mo->has_gid;
	mo->fs.uid = mo->has_uid ? mo->uid : geteuid();
	mo->fs.gid = mo->has_gid ? mo->gid : getegid();
	mo->fs.errors = (enum fs_errors)mo->errors;
	mo->fs.cache_bytes = mo->cache_bytes;
}

const char *opt_mode_name(uint32_t mode)
{
	return mode_words[mode];
}

const char *opt_transport_name(uint32_t transport)
{
	return transport_words[transport];
}

static bool differs(const struct mount_options *mo, const struct mount_options *def,
		    const struct opt_row *row, size_t size)
{
	return memcmp((const char *)mo + row->offset, (const char *)def + row->offset, size) != 0;
}

static void print_row(const struct mount_options *mo, const struct mount_options *def,
		      const struct opt_row *row, struct strbuf *out)
{
	const char *at = (const char *)mo + row->offset;
	const char *comma = out->len ? "," : "";

	switch (row->kind) {
	case OPT_WORD:
		if (differs(mo, def, row, sizeof(uint32_t)))
			strbuf_printf(out, "%s%s=%s", comma, row->name,
				      row->words[*(const uint32_t *)at]);
		return;
	case OPT_U32:
		if (differs(mo, def, row, sizeof(uint32_t)))
			strbuf_printf(out, "%s%s=%u", comma, row->name, *(const uint32_t *)at);
		return;
	case OPT_SIZE:
		if (differs(mo, def, row, sizeof(uint64_t)))
			strbuf_printf(out, "%s%s=%llu", comma, row->name,
				      *(const unsigned long long *)at);
		return;
	case OPT_NAME:
		if (*at)
			strbuf_printf(out, "%s%s=%s", comma, row->name, at);
		return;
	case OPT_ID:
		if (*(const bool *)((const char *)mo + row->number))
			strbuf_printf(out, "%s%s=%u", comma, row->name, *(const uint32_t *)at);
		return;
	case OPT_SETBOOL:
		if (row->number && *(const bool *)at)
			strbuf_printf(out, "%s%s", comma, row->name);
		return;
	case OPT_SET32:
		if (*(const uint32_t *)at == row->number)
			strbuf_printf(out, "%s%s", comma, row->name);
		return;
	case OPT_IGNORE:
		return;
	}
}

void mount_options_print(const struct mount_options *mo, struct strbuf *out)
{
	struct mount_options def;

	mount_options_init(&def);
	for (size_t i = 0; i < ARRAY_SIZE(opt_table); i++)
		if (opt_table[i].help && opt_table[i].offset != NOWHERE)
			print_row(mo, &def, &opt_table[i], out);
}

void mount_options_help(struct strbuf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(opt_table); i++) {
		const struct opt_row *row = &opt_table[i];
		char shown[96];

		if (!row->help)
			continue;
		snprintf(shown, sizeof(shown), "%s%s", row->name,
			 row->kind == OPT_SET32 || row->kind == OPT_SETBOOL ? "" : "=");
		for (int w = 0; row->kind == OPT_WORD && row->words[w]; w++) {
			size_t used = strlen(shown);

			snprintf(shown + used, sizeof(shown) - used, "%s%s", w ? "|" : "",
				 row->words[w]);
		}
		strbuf_printf(out, "  %-38s %s\n", shown, row->help);
	}
}
