# SPDX-License-Identifier: MIT
# What the scripts of trouble share: mounts of this build with time limits on everything, processes
# that must end, sanitizer reports, and taking everything back. Sourced by bash.
#
# The first check that fails ends the script: after trouble nothing that follows says anything.

. "$BLKFS_SOURCE_DIR/tools/lib.sh"

BLKFS=${BLKFS_PROGRAM:-$BLKFS_BUILD_DIR/tools/blkfs/blkfs}
# Sanitizer builds are slower; so are their limits.
SCALE=${BLKFS_TIMEOUT_SCALE:-1}
SCALE=${SCALE%%.*}
PIDS=
LOOP= # a loop device of the test's own

fail()
{
	printf 'FAILED: %s\n' "$*"
	exit 1
}

ok()
{
	printf 'ok: %s\n' "$*"
}

# limit SECONDS COMMAND...: everything that touches a mount.
limit()
{
	local seconds=$(($1 * SCALE))

	shift
	timeout -k 5 "$seconds" "$@"
}

begin()
{
	[ "$(id -u)" -eq 0 ] || die "this test mounts: run it as root"
	[ -x "$BLKFS" ] || die "$BLKFS is not built"
	make_scratch
	mkdir "$SCRATCH/san"
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:log_path=$SCRATCH/san/report
	TSAN_OPTIONS=${TSAN_OPTIONS:-}:log_path=$SCRATCH/san/report
	UBSAN_OPTIONS=${UBSAN_OPTIONS:-}:log_path=$SCRATCH/san/report
	export ASAN_OPTIONS TSAN_OPTIONS UBSAN_OPTIONS
	trap finish EXIT
	trap 'exit 130' INT TERM
}

# The verdict of the sanitizers comes last: LeakSanitizer speaks when a daemon ends.
finish()
{
	local status=$? pid

	trap '' INT TERM
	for pid in $PIDS; do
		is_gone "$pid" || kill -TERM "$pid" 2>/dev/null
	done
	for pid in $PIDS; do
		ends_within 5 "$pid" || kill -KILL "$pid" 2>/dev/null
	done
	restore_fuse_uring
	[ -z "$OPENED" ] || chmod "$OPENED_MODE" "$OPENED"
	if [ -n "$(ls -A "$SCRATCH/san" 2>/dev/null)" ]; then
		cat "$SCRATCH"/san/*
		echo "FAILED: a sanitizer reported"
		status=1
	fi
	if [ "$status" -ne 0 ] && [ -s "$SCRATCH/log" ]; then
		echo "--- messages of the mounts:"
		grep -v "scheduler is" "$SCRATCH/log" | tail -n 60
	fi
	drop_scratch
	exit "$status"
}

# ---- processes -----------------------------------------------------------------------------------

# A zombie has ended; that nobody has waited for it is not its fault. One with threads (l) has not.
is_gone()
{
	case $(ps -o stat= -p "$1" 2>/dev/null) in
	Z*l*) return 1 ;;
	"" | Z*) return 0 ;;
	esac
	return 1
}

# ends_within SECONDS PID
ends_within()
{
	local i

	for ((i = 0; i < $1 * SCALE * 20; i++)); do
		is_gone "$2" && return 0
		sleep 0.05
	done
	return 1
}

# must_end SECONDS WHAT PID...
must_end()
{
	local seconds=$1 what=$2 pid

	shift 2
	for pid in "$@"; do
		ends_within "$seconds" "$pid" && continue
		ps -o pid,stat,wchan:30,args -p "$pid"
		cat "/proc/$pid/stack" 2>/dev/null
		fail "$what: process $pid is still there after $((seconds * SCALE)) s"
	done
}

# ---- files ----------------------------------------------------------------------------------------

# hold FILE OFFSET BYTES: a process (HOLDER) that wrote and keeps the file open; let_go ends it.
HOLDER=
hold()
{
	local i

	rm -f "$SCRATCH/held"
	# shellcheck disable=SC2086 # words
	${AS:-} "$BLKFS_BUILD_DIR/tests/system/trouble/hold" "$@" >"$SCRATCH/held" &
	HOLDER=$!
	PIDS="$PIDS $HOLDER"
	for ((i = 0; i < 100 * SCALE; i++)); do
		grep -q written "$SCRATCH/held" 2>/dev/null && return 0
		! is_gone "$HOLDER" || break
		sleep 0.1
	done
	fail "hold $*"
}

let_go()
{
	kill "$HOLDER"
	must_end 10 "who held the file" "$HOLDER"
}

# open_to_all FILE: until the end of the script. Some systems have no udev that does.
OPENED=
OPENED_MODE=
open_to_all()
{
	OPENED=$1
	OPENED_MODE=$(stat -c %a "$1")
	chmod a+rw "$1"
}

# ---- mounts ---------------------------------------------------------------------------------------

# new_image NAME MIB: with blocks, so that a read is a read.
new_image()
{
	IMAGE=$SCRATCH/$1
	dd if=/dev/urandom of="$IMAGE" bs=1M count="$2" status=none || fail "no space for $IMAGE"
}

# mount_it OPTIONS SOURCE: on a directory of its own; sets MNT and PID. Messages, from the mount's
# to the daemon's last, go to $SCRATCH/log: it runs in the foreground, in the background.
mounts_nr=0
mount_it()
{
	local i

	mounts_nr=$((mounts_nr + 1))
	MNT=$SCRATCH/mnt$mounts_nr
	mkdir "$MNT"
	[ -z "${MOUNT_OWNER:-}" ] || chown "$MOUNT_OWNER" "$MNT"
	mount_here "$@"
}

# mount_here OPTIONS SOURCE: on MNT.
mount_here()
{
	local i

	"$BLKFS" mount -f -o "$1" "$2" "$MNT" >>"$SCRATCH/log" 2>&1 </dev/null &
	PID=$!
	PIDS="$PIDS $PID"
	for ((i = 0; i < 100 * SCALE; i++)); do
		limit 10 "$BLKFS" info "$MNT" >/dev/null 2>&1 && return 0
		is_gone "$PID" && break
		sleep 0.1
	done
	fail "blkfs mount -o $1 $2 $MNT"
}

is_mounted()
{
	mounts_below "$1" | grep -qx "$1"
}

# Nothing of SCRATCH is behind a loop device but what the test put there. The last close is late.
loops_are_gone()
{
	local i

	for ((i = 0; i < 100 * SCALE; i++)); do
		loops_below "$SCRATCH" | grep -qvx "$LOOP" || return 0
		sleep 0.1
	done
	return 1
}

# must_be_unmounted: the directory is free and the daemon gone.
must_be_unmounted()
{
	must_end 10 "the daemon of $MNT" "$PID"
	! is_mounted "$MNT" || fail "$MNT is still mounted"
	loops_are_gone || fail "a loop device stayed: $(loops_below "$SCRATCH")"
}

umount_it()
{
	limit 20 "$BLKFS" umount "$MNT" || fail "blkfs umount $MNT"
	must_be_unmounted
}

# show FILE, set_to FILE VALUE: over the socket.
show()
{
	limit 5 "$BLKFS" stat "$MNT" "$1"
}

set_to()
{
	limit 20 "$BLKFS" set "$MNT" "$1" "$2"
}

# said TEXT: a message of the mounts.
said()
{
	grep -q -- "$1" "$SCRATCH/log" || fail "no message says '$1'"
}

transports()
{
	if have_fuse_uring; then
		switch_fuse_uring Y || fail "cannot switch FUSE over io_uring on"
		echo "uring classic"
	else
		echo classic
	fi
}
