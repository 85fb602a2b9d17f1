#!/bin/bash
# SPDX-License-Identifier: MIT
# usage: concurrent.sh SECONDS
#
# Verified I/O, tree walks, and every knob turned at once, on two reactors: nothing is lost, nothing
# hangs, no sanitizer has anything to say.
set -u
. "$(dirname "$0")/lib.sh"

SECONDS_EACH=${1:?usage: concurrent.sh SECONDS}

# Runs COMMAND again and again until the flag file goes; an error of it is for the end.
WORKERS=
worker()
{
	(
		while [ -e "$SCRATCH/go" ]; do
			"$@" >"$SCRATCH/out.$1" 2>&1 || {
				echo "$1: $(cat "$SCRATCH/out.$1")" >>"$SCRATCH/worker.errors"
				break
			}
		done
	) &
	WORKERS="$WORKERS $!"
	PIDS="$PIDS $!"
}

# What comes and goes with an elevator may be gone when it is looked at.
only_vanished()
{
	local complaints

	complaints=$("$@" 2>&1 >/dev/null | grep -v 'No such file or directory')
	[ -z "$complaints" ] || {
		echo "$complaints"
		return 1
	}
}

walk()
{
	only_vanished limit 30 find "$MNT" "$MNT/.blkfs" -ls
}

# wbt_lat_usec says EINVAL without writeback throttling, as in Linux.
read_control()
{
	only_vanished limit 30 find "$MNT/.blkfs" -type f ! -name wbt_lat_usec -exec cat {} + &&
		limit 30 "$BLKFS" stat "$MNT" && limit 30 "$BLKFS" stat --json "$MNT" &&
		limit 30 "$BLKFS" info "$MNT" && limit 30 "$BLKFS" list
}

turn_knobs()
{
	limit 30 "$BLKFS" set "$MNT" queue/nr_requests $((RANDOM % 60 + 4)) &&
		limit 30 "$BLKFS" set "$MNT" queue/nomerges $((RANDOM % 3)) &&
		limit 30 "$BLKFS" set "$MNT" queue/max_sectors_kb $((RANDOM % 200 * 4 + 8)) &&
		echo $((RANDOM % 3)) >"$MNT/.blkfs/queue/rq_affinity" &&
		echo $((RANDOM % 2)) >"$MNT/.blkfs/queue/iostats"
}

switch_elevators()
{
	local elevator

	for elevator in fifo none fifo-home; do
		limit 30 "$BLKFS" set "$MNT" queue/scheduler "$elevator" || return 1
	done
}

freeze_and_thaw()
{
	limit 30 "$BLKFS" set "$MNT" control freeze && sleep 0.02 &&
		limit 30 "$BLKFS" set "$MNT" control thaw && sleep 0.05
}

sync_all()
{
	limit 60 "$BLKFS" sync "$MNT" && limit 60 sync -f "$MNT" && sleep 0.1
}

switch_modes()
{
	limit 30 "$BLKFS" set "$MNT" mode buffered && limit 30 "$BLKFS" set "$MNT" mode auto
}

# fio NAME OFFSET_M WORDS...: on 16 MiB of its own, verified.
verified()
{
	local name=$1 offset=$2

	shift 2
	fio --name="$name" --filename="$MNT/disk" --offset="${offset}m" --size=16m --rw=randrw \
		--verify=crc32c --verify_fatal=1 --verify_state_save=0 --time_based --runtime="$SECONDS_EACH" --thread \
		"$@" >"$SCRATCH/fio.$name" 2>&1 &
	FIOS="$FIOS $!"
	PIDS="$PIDS $!"
}

everything_at_once()
{
	local pid

	mount_it "fs=raw,reactors=2,queue_depth=64,transport=$1,control=list" "$2"
	: >"$SCRATCH/go"
	: >"$SCRATCH/worker.errors"
	WORKERS=
	FIOS=
	verified direct 0 --direct=1 --bs=4k --ioengine=io_uring --iodepth=32
	verified mixed 16 --direct=1 --bsrange=4k-256k --bs_unaligned=0 --ioengine=libaio --iodepth=8
	verified buffered 32 --direct=0 --bsrange=1k-64k --ioengine=psync --fsync=32
	for pid in walk read_control turn_knobs switch_elevators freeze_and_thaw sync_all \
		switch_modes; do
		worker "$pid"
	done
	for pid in $FIOS; do
		ends_within $((SECONDS_EACH + 60)) "$pid" || fail "fio hangs: $(cat "$SCRATCH"/fio.*)"
		wait "$pid" || fail "fio: $(cat "$SCRATCH"/fio.*)"
	done
	rm "$SCRATCH/go"
	# shellcheck disable=SC2086 # a list of numbers
	must_end 60 "a worker" $WORKERS
	[ ! -s "$SCRATCH/worker.errors" ] || fail "$(cat "$SCRATCH/worker.errors")"
	umount_it
	ok "$1 $2: everything at once"
}

BLKFS_PROGRAM=$BLKFS_BUILD_DIR/tests/system/trouble/blkfs_fifo
BLKFS=$BLKFS_PROGRAM
begin
new_image image 48
for transport in $(transports); do
	everything_at_once "$transport" "$IMAGE"
	everything_at_once "$transport" mem:48M
done
