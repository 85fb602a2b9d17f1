# SPDX-License-Identifier: MIT
# What tools/build, tools/test and tools/demo share: saying, asking for packages, building, and
# taking back whatever they mounted or attached. Sourced by bash; sets ROOT and changes into it.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit 1

say()
{
	printf '== %s\n' "$*"
}

warn()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
	warn "$@"
	exit 1
}

# The word to put before what needs root: nothing for root itself.
SUDO=
need_root()
{
	[ "$(id -u)" -eq 0 ] && return 0
	command -v sudo >/dev/null 2>&1 ||
		die "$1 needs root, and there is no sudo here. Type: su -c 'cd $ROOT && $0'"
	SUDO=sudo
	sudo -v || die "$1 needs root and sudo refused. Type: su -c 'cd $ROOT && $0'"
}

need_debian()
{
	local id= like=

	[ -r /etc/os-release ] && {
		id=$(. /etc/os-release && echo "${ID:-}")
		like=$(. /etc/os-release && echo "${ID_LIKE:-}")
	}
	case " $id $like " in
	*" debian "*) command -v apt-get >/dev/null 2>&1 && return 0 ;;
	esac
	return 1
}

# wanted_packages SECTION...: the package names of these sections of tools/packages.
wanted_packages()
{
	local section

	for section in "$@"; do
		awk -v section="$section" '$1 == section { print $2 }' "$ROOT/tools/packages"
	done
}

missing_packages()
{
	local package

	for package in $(wanted_packages "$@"); do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
			grep -q 'ok installed$' || echo "$package"
	done
}

# install_packages SECTION...: announce and install what is missing; asks for root only then.
# The build folder is there already: apt's output goes into it.
install_packages()
{
	local missing

	need_debian || {
		warn "this is no Debian: nothing is installed for you. Needed are, by Debian's names:"
		warn "$(wanted_packages "$@" | tr '\n' ' ')"
		return 0
	}
	missing=$(missing_packages "$@" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	need_root "installing packages"
	say "installing $missing"
	$SUDO env DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null ||
		warn "apt-get update failed; trying with the package lists as they are"
	# shellcheck disable=SC2086 # a list of names
	$SUDO env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
		$missing >build/apt.log 2>&1 || {
		tail -n 20 build/apt.log >&2
		die "could not install $missing. Type: apt-get install $missing"
	}
}

# need_space DIR MIB WHAT: is there room for what is going to be written?
need_space()
{
	local free_mib

	mkdir -p "$1" 2>/dev/null && [ -w "$1" ] ||
		die "cannot write below $1, where $3 belongs. Type: ls -ld $1"
	free_mib=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	[ "$free_mib" -ge "$2" ] ||
		die "$3 needs $2 MiB below $1, $free_mib are free. Free some, or set TMPDIR to another disk."
}

# build_preset NAME [LIMIT_S]: configure and build; the log is shown when it fails.
build_preset()
{
	local log="$ROOT/build/$1.log" limit_s=${2:-3600}

	mkdir -p "$ROOT/build"
	say "building $1"
	if ! { cmake --preset "$1" && timeout "$limit_s" cmake --build --preset "$1"; } >"$log" 2>&1; then
		grep -E 'error|warning|Error' "$log" | head -n 30 >&2
		tail -n 10 "$log" >&2
		die "the build of preset $1 failed; its whole output is in $log"
	fi
}

# Where this run keeps its images and mount points.
SCRATCH=

make_scratch()
{
	SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/blkfs.XXXXXX") || die "cannot make a directory in ${TMPDIR:-/tmp}"
	chmod 755 "$SCRATCH"
}

# mounts_below DIR: the mount points in it, the innermost first.
mounts_below()
{
	local point

	awk '{ print $5 }' /proc/self/mountinfo | while read -r point; do
		point=$(printf '%b' "$point")
		case $point in
		"$1" | "$1"/*) printf '%s\n' "$point" ;;
		esac
	done | sort -r
}

unmount_one()
{
	timeout 20 $SUDO umount "$1" 2>/dev/null || timeout 20 fusermount3 -u "$1" 2>/dev/null ||
		timeout 20 $SUDO umount -l "$1" 2>/dev/null || warn "$1 is still mounted"
}

# Loop devices whose file lies in DIR were attached for this run, by us or by a mount of ours.
loops_below()
{
	local backing dev

	for backing in /sys/block/loop*/loop/backing_file; do
		[ -r "$backing" ] || continue
		dev=${backing#/sys/block/}
		case $(cat "$backing" 2>/dev/null) in
		"$1"/*) echo "/dev/${dev%%/*}" ;;
		esac
	done
}

# drop_scratch: unmount, detach and delete what lies in SCRATCH, and nothing else.
drop_scratch()
{
	local point dev

	[ -n "$SCRATCH" ] && [ -d "$SCRATCH" ] || return 0
	mounts_below "$SCRATCH" | while read -r point; do
		unmount_one "$point"
	done
	for dev in $(loops_below "$SCRATCH"); do
		timeout 20 $SUDO losetup -d "$dev" 2>/dev/null || warn "$dev is still attached"
	done
	if [ -z "$(mounts_below "$SCRATCH")" ]; then
		$SUDO rm -rf --one-file-system "$SCRATCH"
	else
		warn "$SCRATCH is left as it is: something is mounted in it"
	fi
	SCRATCH=
}

# family_of PID: it and all that descend from it.
family_of()
{
	ps -eo pid=,ppid= | awk -v root="$1" '
		{ parent[$1] = $2 }
		END {
			for (pid in parent) {
				up = pid
				while (up in parent && up != root)
					up = parent[up]
				if (up == root)
					print pid
			}
		}'
}

# end_family PID: ask it and its descendants to end, then make them. ctest puts every test into a
# session of its own, so that no process group holds them all.
end_family()
{
	local family

	family=$(family_of "$1")
	[ -n "$family" ] || return 0
	# shellcheck disable=SC2086 # a list of numbers
	$SUDO kill -TERM $family 2>/dev/null
	sleep 2
	# shellcheck disable=SC2086
	$SUDO kill -KILL $family 2>/dev/null
}

# The kernel's switch for FUSE over io_uring: absent where the kernel cannot do it.
ENABLE_URING=/sys/module/fuse/parameters/enable_uring
SAVED_URING=

have_fuse_uring()
{
	[ -e "$ENABLE_URING" ]
}

# switch_fuse_uring Y|N: change it for this run; restore_fuse_uring puts back what was there.
switch_fuse_uring()
{
	local now

	have_fuse_uring || return 0
	now=$(cat "$ENABLE_URING")
	[ "$now" != "$1" ] || return 0
	echo "$1" | $SUDO tee "$ENABLE_URING" >/dev/null || return 1
	SAVED_URING=${SAVED_URING:-$now}
}

restore_fuse_uring()
{
	[ -n "$SAVED_URING" ] || return 0
	echo "$SAVED_URING" | $SUDO tee "$ENABLE_URING" >/dev/null ||
		warn "$ENABLE_URING was $SAVED_URING and could not be put back"
	SAVED_URING=
}
