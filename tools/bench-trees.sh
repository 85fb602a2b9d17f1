# SPDX-License-Identifier: MIT
# Rows of tools/bench about trees: walks, archives, large directories, a very large image. Sourced
# by tools/bench after its own functions, which mount the rivals and write the table.

TREE_FILES=20000
MANY_NAMES=1000000
FEW_NAMES=1000
FEW_DIRS=100
LOOKUPS=1000

# On the RAM disk: 20,000 small files in 400 directories; with `names` a directory of a million
# names, links to few inodes, and a hundred of a thousand.
make_trees()
{
	$SUDO mount -t ext4 "$RAM" "$LOWER" || die "the kernel does not mount $RAM"
	progress "making $TREE_FILES files and directories of $MANY_NAMES names on $RAM"
	$SUDO python3 - "$LOWER" $MANY_NAMES $FEW_NAMES $FEW_DIRS <<'EOF' || die "could not make the trees"
import os, random, sys
top, many, few, dirs = sys.argv[1], *map(int, sys.argv[2:])
rand = random.Random(1)
for d in range(400):
    path = f"{top}/tree/dir{d // 20:02}/sub{d % 20:02}"
    os.makedirs(path)
    for f in range(50):
        with open(f"{path}/file{f:02}.c", "wb") as out:
            out.write(os.urandom(64) * rand.randint(4, 256))
def fill(path, names):
    os.makedirs(path)
    for i in range(names):
        if i % 60000 == 0:
            first = f"{path}/name-{i:07}"
            os.close(os.open(first, os.O_CREAT | os.O_WRONLY))
        else:
            os.link(first, f"{path}/name-{i:07}")
fill(f"{top}/many", many)
for d in range(dirs):
    fill(f"{top}/few/{d:02}", few)
EOF
	$SUDO umount "$LOWER"
}

# ---- walks: the rate of files ------------------------------------------------------------------------

walk_find() { find "$1"; }
walk_tar() { tar cf - -C "$1" . | cat; }
walk_newer() { find "$1" -newer /etc/hostname; }
walk_ls() { ls -lR "$1"; }

# walk_rate WALK: files a second of one walk over the mounted tree.
walk_rate()
{
	local t0 t1

	t0=$(date +%s%N)
	"$1" "${FILE%/*}/tree" >/dev/null || return 1
	t1=$(date +%s%N)
	awk -v n=$TREE_FILES -v ns=$((t1 - t0)) 'BEGIN { printf("%.0f", n * 1e9 / ns) }'
}

# measure_walk WHO OPTIONS WALK cold|warm: a mount of its own; BEST grows.
measure_walk()
{
	local who=$1 rate=

	"mount_$who" "$2" >/dev/null || return 1
	if [ "$4" = cold ] || walk_rate "$3" >/dev/null; then
		rate=$(walk_rate "$3")
	fi
	"umount_$who" || return 1
	[ -n "$rate" ] || return 1
	BEST[$who]=$(awk -v a="${BEST[$who]:-0}" -v b="$rate" 'BEGIN { print (a + 0 > b + 0 ? a : b) }')
}

# compare_walks NAME WALK cold|warm "WHO:BOUND ..."
compare_walks()
{
	local name=$1 rival who i

	wanted "$name" || return 0
	declare -gA BEST=()
	for ((i = 0; i < runs; i++)); do
		measure_walk blkfs ro "$2" "$3" || {
			fail_row "$name" blkfs 0
			return
		}
		for rival in $4; do
			who=${rival%:*}
			[ "${BEST[$who]:-}" != failed ] && measure_walk "$who" ro "$2" "$3" || BEST[$who]=failed
		done
	done
	for rival in $4; do
		who=${rival%:*}
		if [ "${BEST[$who]}" = failed ]; then
			fail_row "$name" "$who" "${rival#*:}"
		else
			add_row "$name" "${BEST[blkfs]}" files/s "$who" "${BEST[$who]}" "${rival#*:}"
		fi
	done
}

# ---- large directories: what a name costs ------------------------------------------------------------

# name_costs: ns a name, cold: listed in many, in few; looked up in many, in few.
name_costs()
{
	python3 - "${FILE%/*}" $MANY_NAMES $FEW_NAMES $FEW_DIRS $LOOKUPS <<'EOF'
import os, random, sys, time
top, many, few, dirs, lookups = sys.argv[1], *map(int, sys.argv[2:])
def cost(walk, names):
    start = time.perf_counter_ns()
    walk()
    return (time.perf_counter_ns() - start) // names
def count(path):
    with os.scandir(path) as entries:
        return sum(1 for _ in entries)
rand = random.Random(2)
wanted_many = [f"{top}/many/name-{rand.randrange(many):07}" for _ in range(lookups)]
wanted_few = [f"{top}/few/{i % dirs:02}/name-{rand.randrange(few):07}" for i in range(lookups)]
look_many = cost(lambda: [os.stat(p) for p in wanted_many], lookups)
look_few = cost(lambda: [os.stat(p) for p in wanted_few], lookups)
list_many = cost(lambda: count(f"{top}/many"), many)
list_few = cost(lambda: [count(f"{top}/few/{d:02}") for d in range(dirs)], few * dirs)
print(list_many, list_few, look_many, look_few)
EOF
}

names_rows()
{
	local name="a name of 1,000,000" i costs best=

	wanted "$name" || return 0
	for ((i = 0; i < runs; i++)); do
		mount_blkfs ro >/dev/null && costs=$(name_costs)
		umount_blkfs && [ -n "$costs" ] || {
			fail_row "$name" blkfs 0.5
			return
		}
		best=$(awk '{ for (i = 1; i <= 4; i++) if (NR == 1 || $i < b[i]) b[i] = $i }
			END { print b[1], b[2], b[3], b[4] }' <<<"${best:+$best
}$costs")
	done
	set -- $best
	add_row "a name of 1,000,000, listed / n" "$2" ns-1000 "of 1,000,000" "$1" 0.5
	add_row "a name of 1,000,000, found / n" "$4" ns-1000 "of 1,000,000" "$3" 0.5
}

# ---- a very large image ---------------------------------------------------------------------------------

make_large_image()
{
	truncate -s 10T "$1" || return
	mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$1" &&
		$SUDO mount -o loop,noinit_itable "$1" "$LOWER" || return
	$SUDO python3 - "$LOWER" <<'EOF'
import os, sys
for d in range(200):
    os.mkdir(f"{sys.argv[1]}/{d}")
    for f in range(500):
        os.close(os.open(f"{sys.argv[1]}/{d}/{f}", os.O_CREAT | os.O_WRONLY))
EOF
	$SUDO umount "$LOWER"
}

large_rows()
{
	local image=$SCRATCH/large.img t0 t1 rss i best=

	wanted "10 TiB" || return 0
	progress "mkfs.ext4 on a sparse file of 10 TiB, and 100,000 files"
	make_large_image "$image" || {
		fail_row "10 TiB" "making the image" 1
		return
	}
	for ((i = 0; i < runs; i++)); do
		t0=$(date +%s%N)
		$SUDO "$BLKFS" mount -o ro "$image" "$MNT" >/dev/null || {
			fail_row "10 TiB, mount" blkfs 1
			return
		}
		t1=$(date +%s%N)
		find "$MNT" >/dev/null
		rss=$(awk '/^VmRSS/ { print int($2 / 1024) + 1 }' "/proc/$(daemon_pid)/status")
		umount_blkfs
		t1=$(((t1 - t0) / 1000000 + 1))
		[ -n "$best" ] && [ "$best" -le "$t1" ] || best=$t1
	done
	add_row "10 TiB, mount, 200 ms / n" 200 ms taken "$best" 1
	add_row "10 TiB, found, 96 MiB / n" 96 MiB resident "$rss" 1
	rm -f "$image"
}

tree_rows()
{
	wanted "cold find" || wanted "cold tar" || wanted "warm find" || wanted "warm ls" ||
		wanted "a name of 1,000,000" || return 0
	make_trees
	compare_walks "cold find" walk_find cold "fuse2fs:5 kernel:0.35"
	compare_walks "cold tar" walk_tar cold "fuse2fs:5 kernel:0.35"
	compare_walks "warm find -newer" walk_newer warm "fuse2fs:5 kernel:0.5"
	compare_walks "warm ls -lR" walk_ls warm "fuse2fs:5 kernel:0.5"
	names_rows
}
