# SPDX-License-Identifier: MIT
# One fio run as numbers, for tools/bench and tools/demo. Sourced after lib.sh.

# fio_run NAME ARG...: runs fio and leaves FIO_IOPS, FIO_MIBS, FIO_P50_US, FIO_P99_US; of the reads,
# or of the writes where there were no reads. Returns fio's verdict.
fio_run()
{
	local name=$1 line

	shift
	# Terse version 3, one line: fields are counted in fio's HOWTO, "Terse output".
	line=$(timeout -k 5 "${FIO_LIMIT_S:-120}" fio --name="$name" --output-format=terse --terse-version=3 \
		--group_reporting "$@" 2>"$SCRATCH/fio.err" | grep '^3;') || {
		head -n 3 "$SCRATCH/fio.err" >&2
		return 1
	}
	[ "$(cut -d';' -f5 <<<"$line")" = 0 ] || return 1
	eval "$(awk -F';' '
		function percentile(from, want,    i, pair) {
			for (i = from; i < from + 20; i++) {
				split($i, pair, /%?=/)
				if (pair[1] + 0 == want) return pair[2]
			}
			return 0
		}
		{
			at = $8 > 0 ? 6 : 47 # total kB of the reads, of the writes
			printf "FIO_MIBS=%.1f FIO_IOPS=%.0f FIO_P50_US=%s FIO_P99_US=%s\n",
			       $(at + 1) / 1024, $(at + 2), percentile(at + 12, 50), percentile(at + 12, 99)
		}' <<<"$line")"
}
