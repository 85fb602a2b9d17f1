#!/bin/bash
# SPDX-License-Identifier: MIT
# What makes things durable returns after the device has said so: the record of a mount, copied the
# moment that the command is back, has every write completed and after them all a flush.
set -u
. "$(dirname "$0")/lib.sh"

DIRTY_BYTES=$((6 << 20))
AS= # words before a command that make it another user's

# dirty OFFSET: DIRTY_BYTES in the kernel's page cache, held open by HOLDER.
dirty()
{
	hold "$MNT/disk" "$1" "$DIRTY_BYTES"
	[ -n "$is_cached" ] || return 0
	[ "$(verdict "$RECORD" $(($1 / 512)))" = "0 of $((DIRTY_BYTES / 4096)) blocks were written" ] ||
		fail "dirty pages are written before anybody asked"
}

# verdict FILE SECTOR: did the DIRTY_BYTES from SECTOR on complete, each byte, and then a flush that
# was issued after the last of them?
verdict()
{
	grep -a '^[DC] ' "$1" | awk -v first="$2" -v bytes="$DIRTY_BYTES" '
		$4 == "WRITE" && $1 == "D" { open_nr++ }
		$4 == "WRITE" && $1 == "C" {
			open_nr--
			if ($8 != 0) failed++
			if ($6 >= first && $6 < first + bytes / 512)
				for (s = $6; s < $6 + $7 / 512; s += 8)
					done[s] = 1
			flushed = 0
			# those under way may have begun before this write ended
			older = flushing
			fresh = 0
		}
		$4 == "FLUSH" && $1 == "D" { flushing++ }
		$4 == "FLUSH" && $1 == "C" {
			flushing--
			if ($8 != 0) failed++
			if (older > 0) older--
			else flushed = 1
		}
		END {
			for (s in done) blocks_nr++
			if (failed) print failed " requests failed"
			else if (open_nr) print open_nr " writes are still with the device"
			else if (blocks_nr != bytes / 4096)
				print blocks_nr + 0 " of " bytes / 4096 " blocks were written"
			else if (!flushed) print "no flush completed after the last write"
			else print "durable"
		}'
}

# is_durable_after OPTIONS SOURCE COMMAND...: on a mount of its own; MNT in the words is its place.
is_durable_after()
{
	local options=$1 source=$2 offset is_umount= is_cached=1 what

	shift 2
	case "$*" in
	*umount*) is_umount=1 ;;
	esac
	mount_it "fs=raw,mode=buffered,record=$RECORD,$options" "$source"
	# The second round stands on what the first left behind.
	for offset in 0 $((16 << 20)); do
		dirty "$offset"
		# A close writes back; that is no flush of the device.
		[ -z "$is_umount" ] || let_go
		[ "$(verdict "$RECORD" $((offset / 512)))" != durable ] ||
			fail "$*: durable before anything was done"
		limit 30 "${@//MNT/$MNT}" || fail "$*"
		cp "$RECORD" "$SCRATCH/then"
		what=$(verdict "$SCRATCH/then" $((offset / 512)))
		[ "$what" = durable ] || fail "$options: $* returned, and $what"
		[ -z "$is_umount" ] || break
		let_go
	done
	if [ -n "$is_umount" ]; then
		must_be_unmounted
	else
		umount_it
	fi
	ok "$options $source: $*"
}

others_mount()
{
	local user=65534 program

	open_to_all /dev/fuse
	mkdir "$SCRATCH/other"
	cp "$IMAGE" "$SCRATCH/other/image"
	chown -R "$user" "$SCRATCH/other"
	RECORD=$SCRATCH/other/record
	AS="setpriv --reuid=$user --regid=$user --clear-groups env XDG_RUNTIME_DIR=$SCRATCH/other"
	program=$BLKFS
	# The build may lie where others cannot look.
	cp "$BLKFS" "$SCRATCH/other/program"
	BLKFS="$SCRATCH/other/run"
	printf '#!/bin/sh\nexec %s %s/other/program "$@"\n' "$AS" "$SCRATCH" >"$BLKFS"
	chmod 755 "$BLKFS"
	MOUNT_OWNER=$user
	is_durable_after "transport=$1" "$SCRATCH/other/image" "$BLKFS" sync MNT
	is_durable_after "transport=$1" "$SCRATCH/other/image" "$BLKFS" umount MNT
	MOUNT_OWNER=
	BLKFS=$program
	AS=
	rm -rf "$SCRATCH/other"
}

begin
new_image image 32
for transport in $(transports); do
	RECORD=$SCRATCH/record
	for command in "sync -f MNT" "sync" "umount MNT" "$BLKFS sync MNT" "$BLKFS umount MNT"; do
		# shellcheck disable=SC2086 # words
		is_durable_after "transport=$transport" "$IMAGE" $command
	done
	# Type fuse: the kernel tells us of neither sync nor umount.
	is_durable_after "transport=$transport" mem:32M "$BLKFS" sync MNT
	is_durable_after "transport=$transport" mem:32M "$BLKFS" umount MNT
	others_mount "$transport"
done
