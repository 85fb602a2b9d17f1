# SPDX-License-Identifier: MIT
# What the scripts of this folder share: where the build is, mounts with time limits, saying what
# failed, and taking everything back. Sourced by bash; gives SCRATCH, removed at the end.

. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

BUILD=${BLKFS_BUILD_DIR:-$ROOT/build/release}
BLKFS=$BUILD/tools/blkfs/blkfs
TREE_MAKE=$BUILD/tests/system/tree_make
TREE_LIST=$BUILD/tests/system/tree_list
# Sanitizer builds are slower; so are their limits.
SCALE=${BLKFS_TIMEOUT_SCALE:-1}
SCALE=${SCALE%%.*}

failed_nr=0
checked_nr=0

fail()
{
	printf 'FAILED: %s\n' "$*"
	failed_nr=$((failed_nr + 1))
}

ok()
{
	checked_nr=$((checked_nr + 1))
	[ -z "${VERBOSE:-}" ] || printf 'ok: %s\n' "$*"
}

# limit SECONDS COMMAND...: everything that goes through a mount.
limit()
{
	local seconds=$(($1 * SCALE))

	shift
	timeout -k 5 "$seconds" "$@"
}

# daemons: the daemons of this build which were started with something of SCRATCH.
daemons()
{
	local dir

	for dir in /proc/[0-9]*; do
		[ "$(readlink "$dir/exe" 2>/dev/null)" = "$BLKFS" ] &&
			tr '\0' '\n' <"$dir/cmdline" 2>/dev/null | grep -q "^$SCRATCH/" &&
			echo "${dir#/proc/}"
	done
}

# What still runs is asked to end, then made to; then mounts, loop devices and files go.
clean_up()
{
	local pid

	trap '' INT TERM
	[ -n "$SCRATCH" ] || return
	for pid in $(daemons); do
		kill -TERM "$pid" 2>/dev/null
	done
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ -n "$(daemons)" ] || break
		sleep 0.3
	done
	for pid in $(daemons); do
		warn "daemon $pid had to be killed"
		kill -KILL "$pid" 2>/dev/null
	done
	drop_scratch
	restore_fuse_uring
}

begin()
{
	[ "$(id -u)" -eq 0 ] || die "this test mounts: run it as root"
	[ -x "$BLKFS" ] || die "$BLKFS is not built"
	make_scratch
	trap clean_up EXIT
	trap 'exit 130' INT TERM
}

# the_end: the verdict. A test that checked nothing did not pass.
the_end()
{
	echo "$checked_nr checks passed, $failed_nr failed"
	[ "$failed_nr" -eq 0 ] && [ "$checked_nr" -gt 0 ]
	exit
}

# attach FILE [LOSETUP-ARG...]: a loop device on it, in LOOP.
LOOP=
attach()
{
	local file=$1

	shift
	LOOP=$(losetup -f --show "$@" "$file") || die "losetup $* $file failed"
}

detach()
{
	local i

	losetup -d "$1" || return
	for ((i = 0; i < 50; i++)); do
		losetup "$1" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	fail "$1 is still attached"
}

# blkfs_mount OPTIONS SOURCE DIR
blkfs_mount()
{
	limit 30 "$BLKFS" mount -o "$1" "$2" "$3" >"$SCRATCH/mount.log" 2>&1 || {
		fail "blkfs mount -o $1 $2: exit code $?"
		cat "$SCRATCH/mount.log"
		return 1
	}
}

# Where each thread of our daemons waits, for whoever reads of a failure.
say_where_daemons_are()
{
	local pid task

	for pid in $(daemons); do
		for task in /proc/"$pid"/task/*; do
			printf '%s %s: %s\n' "$pid" "$(cat "$task/comm")" \
				"$(head -n 4 "$task/stack" 2>/dev/null | tr '\n' ' ')"
		done
	done
}

blkfs_umount()
{
	limit 30 "$BLKFS" umount "$1" >"$SCRATCH/umount.log" 2>&1 || {
		fail "blkfs umount $1: exit code $?"
		cat "$SCRATCH/umount.log"
		say_where_daemons_are
		# What follows is not to be hidden by what is mounted here.
		umount -l "$1" 2>/dev/null
		return 1
	}
}

# in_namespace COMMAND...: with mounts of its own, and without copies of the FUSE mounts there are: a
# copy would keep alive what is unmounted outside, and whoever waits for its daemon waiting.
in_namespace()
{
	unshare -m bash -c "awk '\$3 ~ /^fuse/ { print \$2 }' /proc/mounts | xargs -r umount -l
		exec \"\$@\"" in_namespace "$@"
}
export -f in_namespace

checksum()
{
	sha1sum <"$1"
}

# transports: what this kernel can do.
transports()
{
	if have_fuse_uring; then echo "uring classic"; else echo classic; fi
}
