#!/bin/bash
# SPDX-License-Identifier: MIT
# Every FUSE entry is held by I/O that does not end: the socket still answers, thaws, aborts and
# unmounts.
set -u
. "$(dirname "$0")/lib.sh"

READERS_NR=40
READERS=

# More readers than entries, each on a page of its own, in front of a frozen queue.
get_stuck()
{
	local i

	mount_it "fs=raw,mode=direct,fuse_depth=4,transport=$1" "$IMAGE"
	set_to control freeze || fail "freeze"
	READERS=
	for ((i = 0; i < READERS_NR; i++)); do
		dd if="$MNT/disk" of=/dev/null bs=4k count=1 skip="$i" >>"$SCRATCH/dd.$i" 2>&1 &
		READERS="$READERS $!"
	done
	for ((i = 0; i < 50; i++)); do
		[ "$(show fuse/inflight)" -ge 4 ] && break
		sleep 0.1
	done
	sleep 0.5
	[ "$(show fuse/inflight)" -ge 4 ] || fail "only $(show fuse/inflight) requests are stuck"
}

# answers_in_time COMMAND...: within a second.
answers_in_time()
{
	local before after

	before=$(date +%s%N)
	limit 10 "$BLKFS" "$@" >"$SCRATCH/out" 2>&1 || fail "stuck: blkfs $*: $(cat "$SCRATCH/out")"
	after=$(date +%s%N)
	[ $(((after - before) / 1000000)) -lt $((1000 * SCALE)) ] ||
		fail "stuck: blkfs $* took $(((after - before) / 1000000)) ms"
}

all_answer()
{
	answers_in_time info "$MNT"
	answers_in_time info --json "$MNT"
	answers_in_time stat "$MNT"
	answers_in_time stat "$MNT" queue/scheduler inflight debug/state log
	answers_in_time list
	answers_in_time set "$MNT" queue/nomerges 2
	answers_in_time set "$MNT" mode buffered
	answers_in_time stat "$MNT" queue/nomerges
	[ "$(cat "$SCRATCH/out")" = 2 ] || fail "set is not seen: $(cat "$SCRATCH/out")"
}

thaw_frees_all()
{
	get_stuck "$1"
	all_answer
	answers_in_time set "$MNT" control thaw
	# shellcheck disable=SC2086 # a list of numbers
	must_end 10 "thawed: a reader" $READERS
	! grep -L '4096 bytes' "$SCRATCH"/dd.* | grep . || fail "thawed: a reader got no data"
	rm -f "$SCRATCH"/dd.*
	umount_it
	ok "$1: a frozen mount answers, thaw frees its readers"
}

# A stuck mount is gone after $2..., and its readers got errors.
is_ended_by()
{
	local transport=$1

	shift
	get_stuck "$transport"
	"$@" || fail "stuck: $*"
	# shellcheck disable=SC2086
	must_end 10 "$*: a reader" $READERS
	# A signal thaws before it unmounts: its readers may get what they asked for.
	[ "$1" = signalled ] || ! grep -l '^4096 bytes' "$SCRATCH"/dd.* | grep . ||
		fail "$*: a reader got data from a frozen device"
	rm -f "$SCRATCH"/dd.*
	must_be_unmounted
	ok "$transport: a stuck mount is ended by $*"
}

forced()
{
	limit 20 "$BLKFS" umount -f "$MNT"
}

# What `abort` leaves behind is a directory that umount(8) or ours takes away.
abort_and_umount()
{
	local socket

	socket=$(socket_of "$MNT") || fail "no socket of $MNT"
	ask "$socket" '{"op":"abort"}' | grep -q '"ok": *true' || fail "abort is not answered"
	limit 20 umount -l "$MNT" 2>/dev/null || ! is_mounted "$MNT"
}

signalled()
{
	kill -TERM "$PID"
}

# socket_of DIR: the one whose daemon says that it is mounted there.
socket_of()
{
	local socket

	for socket in /run/blkfs/*; do
		ask "$socket" '{"op":"info"}' 2>/dev/null | grep -q "\"$1\"" && echo "$socket" &&
			return 0
	done
	return 1
}

# ask SOCKET LINE
ask()
{
	limit 5 "$ASK" "$1" "$2"
}

begin
ASK=$BLKFS_BUILD_DIR/tests/system/trouble/ask
new_image image 4
for transport in $(transports); do
	thaw_frees_all "$transport"
	is_ended_by "$transport" forced
	is_ended_by "$transport" abort_and_umount
	is_ended_by "$transport" signalled
done
