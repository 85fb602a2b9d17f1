#!/bin/bash
# SPDX-License-Identifier: MIT
# Applications killed in the middle of I/O leave no process behind, and the mount works on.
set -u
. "$(dirname "$0")/lib.sh"

# Each in the background, its process number in VICTIMS.
VICTIMS=
victim()
{
	"$@" >/dev/null 2>&1 </dev/null &
	VICTIMS="$VICTIMS $!"
	disown
}

start_victims()
{
	local direct=0 i

	[ "$1" != direct ] || direct=1
	VICTIMS=
	victim fio --name=victim --filename="$MNT/disk" --direct=$direct --rw=randrw --bs=16k \
		--ioengine=io_uring --iodepth=16 --thread --numjobs=2 --time_based --runtime=60 --size=32m
	victim fio --name=sync --filename="$MNT/disk" --direct=$direct --rw=randwrite --bs=4k \
		--ioengine=psync --fsync=1 --thread --numjobs=4 --time_based --runtime=60 --size=32m
	for i in 1 2 3 4; do
		victim dd if="$MNT/disk" of=/dev/null bs=1M
		victim dd if=/dev/zero of="$MNT/disk" bs=1M count=32 conv=notrunc
		victim dd if=/dev/zero of="$MNT/disk" bs=1M count=32 conv=notrunc,fsync oflag=direct
		victim cat "$MNT/disk"
	done
}

kill_victims()
{
	# shellcheck disable=SC2086 # a list of numbers
	kill -KILL $VICTIMS 2>/dev/null
}

works_on()
{
	local i

	for ((i = 0; i < 100 * SCALE; i++)); do
		[ "$(show fuse/inflight)" -gt 0 ] || break
		sleep 0.1
	done
	[ "$(show fuse/inflight)" -eq 0 ] || fail "$1: requests of the dead are still with us"
	[ "$(show inflight | awk '{ print $1 + $2 }')" -eq 0 ] || fail "$1: requests are in flight"
	limit 20 dd if=/dev/urandom of="$SCRATCH/pattern" bs=1M count=2 status=none
	limit 20 dd if="$SCRATCH/pattern" of="$MNT/disk" bs=1M conv=notrunc,fsync status=none ||
		fail "$1: no write any more"
	limit 20 cmp -n $((2 << 20)) "$SCRATCH/pattern" "$MNT/disk" || fail "$1: read is not write"
}

survives()
{
	local round

	mount_it "fs=raw,transport=$1,mode=$2,reactors=2" "$IMAGE"
	for round in 1 2 3; do
		start_victims "$2"
		sleep "0.$((round * 3))"
		kill_victims
		# shellcheck disable=SC2086
		must_end 10 "killed: an application" $VICTIMS
	done
	works_on "$*"
	# In front of a device that does not answer they wait for it, and no longer.
	start_victims "$2"
	sleep 0.2
	set_to control freeze || fail "freeze"
	sleep 0.2
	kill_victims
	set_to control thaw || fail "thaw"
	# shellcheck disable=SC2086
	must_end 10 "killed while frozen: an application" $VICTIMS
	works_on "$*"
	umount_it
	ok "$*: applications killed, the mount works on"
}

begin
new_image image 32
for transport in $(transports); do
	survives "$transport" buffered
	survives "$transport" direct
done
