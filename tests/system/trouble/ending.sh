#!/bin/bash
# SPDX-License-Identifier: MIT
# The ways in which a mount ends under load: forced, lazily, by signals, by the death of the daemon.
# Each ends in an unmounted directory, users that got errors, and nothing left behind.
set -u
. "$(dirname "$0")/lib.sh"

LOADS=
start_load()
{
	local direct

	LOADS=
	for direct in 0 1; do
		fio --name=load --filename="$MNT/disk" --direct=$direct --rw=randrw --bs=16k \
			--ioengine=libaio --iodepth=16 --thread --time_based --runtime=60 --size=16m \
			>"$SCRATCH/fio.$direct" 2>&1 </dev/null &
		LOADS="$LOADS $!"
	done
	PIDS="$PIDS $LOADS"
	sleep 0.7
	for direct in $LOADS; do
		! is_gone "$direct" || fail "no load: $(cat "$SCRATCH"/fio.*)"
	done
}

# The one who reads around the page cache ends by the error. In the page cache the kernel (6.18) may
# look for ever for a page that cannot come any more, in filemap_read(), with no daemon and no
# request left: then the user is running, not stuck, and can be killed.
load_got_errors()
{
	local buffered direct

	read -r buffered direct <<<"$LOADS"
	must_end 20 "$1: the direct user" "$direct"
	grep -hq 'error' "$SCRATCH/fio.1" || fail "$1: the direct user saw no error"
	if ends_within 5 "$buffered"; then
		grep -hq 'error' "$SCRATCH/fio.0" || fail "$1: the buffered user saw no error"
	else
		kill -9 "$buffered"
		must_end 20 "$1: the buffered user, killed" "$buffered"
	fi
}

mount_loaded()
{
	mount_it "fs=raw,transport=$1" "$IMAGE"
	start_load
}

# MNT and IMAGE are as if nothing had been.
can_be_mounted_again()
{
	mount_here "fs=raw,transport=$1" "$IMAGE"
	limit 20 dd if="$MNT/disk" of=/dev/null bs=1M status=none || fail "no read after all"
	umount_it
}

forced_by_umount8()
{
	mount_loaded "$1"
	limit 20 umount -f "$MNT" >/dev/null 2>&1 # says EBUSY: the users have not noticed yet
	load_got_errors "$FUNCNAME"
	must_be_unmounted
	can_be_mounted_again "$1"
}

forced_by_blkfs()
{
	mount_loaded "$1"
	limit 20 "$BLKFS" umount -f "$MNT" || fail "blkfs umount -f"
	load_got_errors "$FUNCNAME"
	must_be_unmounted
	can_be_mounted_again "$1"
}

lazily()
{
	local i

	mount_it "fs=raw,transport=$1" "$IMAGE"
	hold "$MNT/disk" $((20 << 20)) $((4 << 20))
	limit 20 "$BLKFS" umount "$MNT" 2>"$SCRATCH/said" && fail "unmounted while in use"
	grep -q 'in use' "$SCRATCH/said" || fail "in use, and it says: $(cat "$SCRATCH/said")"
	limit 20 ${2:-umount} -l "$MNT" || fail "umount -l"
	# blkfs answers when it has begun.
	for i in 1 2 3 4 5 6 7 8 9 10; do
		is_mounted "$MNT" || break
		sleep 0.2
	done
	! is_mounted "$MNT" || fail "umount -l left it mounted"
	! is_gone "$PID" || fail "the daemon left its user alone"
	let_go
	must_be_unmounted
	is_held_data_there
	can_be_mounted_again "$1"
}

lazily_by_blkfs()
{
	lazily "$1" "$BLKFS umount"
}

is_held_data_there()
{
	[ "$(dd if="$IMAGE" bs=1M skip=20 count=4 status=none | tr -d 'Z' | wc -c)" -eq 0 ] ||
		fail "what was written before the end is not on the image"
}

signalled()
{
	mount_loaded "$1"
	hold "$MNT/disk" $((20 << 20)) $((4 << 20))
	kill -TERM "$PID"
	load_got_errors "$FUNCNAME"
	let_go # it keeps what is left of the mount, cut off as it is
	must_be_unmounted
	is_held_data_there
	can_be_mounted_again "$1"
}

signalled_twice()
{
	mount_loaded "$1"
	kill -TERM "$PID"
	sleep 0.01
	kill -TERM "$PID" 2>/dev/null
	load_got_errors "$FUNCNAME"
	must_be_unmounted
	can_be_mounted_again "$1"
}

# Nobody is left to unmount: the directory says so, and umount(8) is enough.
daemon_killed()
{
	mount_loaded "$1"
	kill -KILL "$PID"
	must_end 10 "the killed daemon" "$PID"
	load_got_errors "$FUNCNAME"
	limit 10 stat "$MNT/disk" 2>&1 | grep -q 'not connected' ||
		fail "no ENOTCONN: $(limit 10 stat "$MNT/disk" 2>&1)"
	limit 20 "$BLKFS" info "$MNT" >/dev/null 2>&1 && fail "info of a dead daemon"
	limit 20 umount "$MNT" || fail "umount after the daemon's death"
	must_be_unmounted
	can_be_mounted_again "$1"
}

# The thread that waits for the daemon's own answers must not outlive it.
daemon_killed_in_its_umount()
{
	local delay asking

	for delay in 0 0.003 0.01 0.03; do
		mount_it "fs=raw,transport=$1" "$IMAGE"
		hold "$MNT/disk" 0 $((16 << 20))
		set_to control freeze || fail "freeze"
		limit 20 "$BLKFS" sync "$MNT" >/dev/null 2>&1 &
		asking=$!
		limit 20 "$BLKFS" umount "$MNT" >/dev/null 2>&1 &
		sleep "$delay"
		kill -KILL "$PID"
		must_end 10 "the killed daemon" "$PID"
		must_end 10 "blkfs sync, blkfs umount" "$asking" $!
		let_go
		! is_mounted "$MNT" || limit 20 umount "$MNT" || fail "umount of what it left"
		must_be_unmounted
	done
	can_be_mounted_again "$1"
}

begin
new_image image 32
for transport in $(transports); do
	for way in forced_by_umount8 forced_by_blkfs lazily lazily_by_blkfs signalled \
		signalled_twice daemon_killed daemon_killed_in_its_umount; do
		$way "$transport"
		ok "$transport: $way"
	done
done
