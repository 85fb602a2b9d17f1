#!/bin/bash
# SPDX-License-Identifier: MIT
# What the kernel sends at once really waits in the elevator, where it can be ordered and merged,
# and not in front of it. With an elevator of the tests: first in, first out.
set -u

TAGS_NR=8 # of the device; what is beyond them waits in the elevator

# busy_of KIND: requests that hold a tag of this kind, over all hardware queues.
busy_of()
{
	local hctx sum=0 busy

	for ((hctx = 0; hctx < hctx_nr; hctx++)); do
		busy=$(show "debug/hctx$hctx/$1" | awk -F= '$1 == "busy" { n += $2 } END { print n + 0 }')
		sum=$((sum + busy))
	done
	echo "$sum"
}

most_waiting=0
most_inflight=0
sample()
{
	local sched driver inflight

	sched=$(busy_of sched_tags)
	driver=$(busy_of tags)
	inflight=$(show inflight | awk '{ print $1 + $2 }')
	[ "$driver" -le $((TAGS_NR * hctx_nr)) ] || fail "the device holds $driver requests"
	[ $((sched - driver)) -le "$most_waiting" ] || most_waiting=$((sched - driver))
	[ "$inflight" -le "$most_inflight" ] || most_inflight=$inflight
}

# deep TRANSPORT ELEVATOR ENGINE RW
deep()
{
	local fio_pid

	mount_it "fs=raw,mode=direct,transport=$1,scheduler=$2,queue_depth=$TAGS_NR" "$LOOP"
	hctx_nr=$(limit 5 ls "$MNT/.blkfs/debug" | grep -c '^hctx')
	set_to queue/nr_requests 256 || fail "nr_requests"
	limit 60 fio --name=deep --filename="$MNT/disk" --direct=1 --rw="$4" --bs=4k --ioengine="$3" \
		--iodepth=64 --numjobs=2 --time_based --runtime=$((2 + SCALE)) --size=32m \
		--output="$SCRATCH/fio" &
	fio_pid=$!
	most_waiting=0
	most_inflight=0
	sleep 0.5
	while ! is_gone "$fio_pid"; do
		sample
	done
	wait "$fio_pid" || fail "fio: $(cat "$SCRATCH/fio")"
	[ "$most_waiting" -gt 32 ] || fail "$*: at most $most_waiting requests in the elevator"
	[ "$most_inflight" -gt 32 ] || fail "$*: at most $most_inflight requests in flight"
	umount_it
	ok "$*: $most_waiting requests at once in the elevator, $most_inflight in flight"
}

BLKFS_PROGRAM=$BLKFS_BUILD_DIR/tests/system/trouble/blkfs_fifo
. "$(dirname "$0")/lib.sh"
begin
new_image image 32
# A loop device takes its time, wherever TMPDIR lies.
LOOP=$(losetup -f --show "$IMAGE") || fail "no loop device"
for transport in $(transports); do
	deep "$transport" fifo io_uring randread
	deep "$transport" fifo-home libaio randwrite
done
