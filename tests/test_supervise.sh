#!/bin/bash
# Runs, kills, stops and resumes a small experiment; and everything that may be wrong with a results folder.
set -u
: "${ASSAY:?is set by make check}" "${TMPDIR:=/tmp}"
work=$(mktemp -d "$TMPDIR/supervise XXXXXX") || exit 99
trap 'umount "$work/small" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 99
unset ASSAY_RESULTS
count=0 bad=0
check() { # check NAME COMMAND...
    local name=$1; shift
    count=$((count + 1))
    if "$@" >check.log 2>&1; then echo "ok $count - $name"; else bad=1; echo "not ok $count - $name"; sed 's/^/# /' check.log; fi
}
cat >small.ini <<'END'
[experiment]
title = A small one
[data]
source = parity
length = 3..16
labels = every
[model]
model = classifier
block = prenorm
ffn   = none
mixer = lstm
depth = 1
[train]
rule  = adamw
steps = 200
batch = 16
eval_every = 50
[valid]
examples = 32
[test]
examples = 64
[tune]
lr = 1e-3, 1e-2
[vary]
width = 8, 32
seed  = 0..1
[eval long]
data.length = 20, 40
[figure extrapolation]
kind = curve
x    = long.length
y    = long.accuracy
by   = width
END
run() { "$ASSAY" run "$work/small.ini" --results "$1" --jobs 2 "${@:2}" </dev/null; }
exact() { cut -f 1-6 "$1/small/cells.tsv"; awk -F '\t' '{ print $7, $9 }' "$1/small/cells.tsv"; }
cells() { find "$1/small/cells" -name '*.h5' | wc -l; }

check 'a run ends well, in a folder with blanks' run 'whole results'
check 'every planned cell has a row' test "$(grep -c ok 'whole results/small/cells.tsv')" = 12
check 'nothing is left of the work' sh -c '! ls "whole results/small/underway" | grep -v lock'
check 'figures are drawn, or gnuplot is missing' sh -c 'test -s "whole results/small/figures/extrapolation.svg" || ! command -v gnuplot'
cp 'whole results/small/figures/extrapolation.svg' first.svg 2>/dev/null
count_final=$(awk -F '\t' '$2 == "final"' 'whole results/small/cells.tsv' | wc -l)
again_runs_nothing() { run 'whole results' | grep -q "$count_final of $count_final final cells were there already"; }
check 'a second run trains nothing' again_runs_nothing
check 'the same figure, byte by byte' sh -c 'test ! -e first.svg || cmp first.svg "whole results/small/figures/extrapolation.svg"'
check 'verify gives the same bits with other threads' \
    "$ASSAY" verify "$work/small.ini" --results 'whole results' --jobs 1 --threads 2

# kill -9 of the driver: its cells die with it, and the same command finishes to the same numbers.
export ASSAY_CHECKPOINT_SECONDS=0.05
"$ASSAY" run "$work/small.ini" --results killed --jobs 2 >killed.log 2>&1 </dev/null &
driver=$!
for _ in $(seq 200); do
    [ "$(find killed/small/underway -name '*.ckpt' 2>/dev/null | wc -l)" -gt 0 ] && [ "$(cells killed 2>/dev/null)" -gt 2 ] && break
    sleep 0.02
done
kill -9 $driver; wait $driver 2>/dev/null
find killed/small/cells -name '*.h5' -exec stat -c '%n %Y %i' {} + | sort >before
done_before=$(wc -l <before)
check 'the same command finishes' run killed
finished_stay() { find killed/small/cells -name '*.h5' -exec stat -c '%n %Y %i' {} + | sort >after; [ -z "$(comm -23 before after)" ]; }
check "finished cells ($done_before) are not run again" finished_stay
check 'the numbers are those of an uninterrupted run' cmp <(exact killed) <(exact 'whole results')

# Cells that would run for minutes.
"$ASSAY" run "$work/small.ini" --results orphans --jobs 2 --set steps=200000 --set tune=off >orphans.log 2>&1 </dev/null &
driver=$!
for _ in $(seq 200); do [ "$(find orphans/small-set-*/underway -name '*.ckpt' 2>/dev/null | wc -l)" -gt 1 ] && break; sleep 0.02; done
# From /proc: a minimal system has no pgrep.
children=$(for stat in /proc/[0-9]*/stat; do sed -n "s/^\([0-9]*\) (.*) [A-Z] $driver .*/\1/p" "$stat" 2>/dev/null; done)
kill -9 $driver; wait $driver 2>/dev/null
sleep 0.3
dead() {
    [ -n "$children" ] || return 1
    for p in $children; do if [ -d "/proc/$p" ] && ! grep -q 'State:.*Z' "/proc/$p/status"; then kill -9 "$p"; return 1; fi; done
}
check 'cells die with their driver' dead

# SIGINT: the cells keep their state, the way on is printed, 130.
set -m                           # else a shell starts background jobs with SIGINT ignored
"$ASSAY" run "$work/small.ini" --results stopped --jobs 2 >stopped.log 2>&1 </dev/null &
driver=$!
set +m
for _ in $(seq 200); do [ "$(find stopped/small/underway -name '*.ckpt' 2>/dev/null | wc -l)" -gt 0 ] && break; sleep 0.02; done
kill -INT $driver; wait $driver; status=$?
check 'a stopped run says 130' test "$status" = 130
check 'and how to go on' grep -q 'To go on: ' stopped.log
check 'and goes on' run stopped
check 'to the same numbers' cmp <(exact stopped) <(exact 'whole results')
unset ASSAY_CHECKPOINT_SECONDS

# What may be wrong: one line on standard error that names the thing, a status other than 0, nothing lost.
refuses() { # refuses PATTERN COMMAND...
    local pattern=$1; shift
    "$@" >out 2>err && return 1
    cat out err
    [ "$(wc -l <err)" = 1 ] && grep -q -- "$pattern" err
}
exec 9>'whole results/small/underway/lock'
flock 9
check 'another driver in the folder' refuses 'another driver is running here' run 'whole results'
exec 9>&-
record=$(find 'whole results/small/cells' -name '*.h5' | sort | tail -n 1)
cp "$record" keep.h5; head -c 3000 keep.h5 >"$record"
check 'a truncated record' refuses 'truncated or damaged; delete it' run 'whole results'
check 'is left as it is' test "$(stat -c %s "$record")" = 3000
cp keep.h5 "$record"
check 'a file where the folder should be' refuses 'cannot be made' run "$work/small.ini"
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=400k tmpfs small 2>/dev/null; then
    check 'a full disk' sh -c '! "$0" run "$1/small.ini" --results small >out 2>err && grep -q "No space left" out err' "$ASSAY" "$work"
    check 'leaves no half file' sh -c '! find small -name "*.new.*" | grep .'
    umount small
fi
run 'whole results' | grep -v '^took' >plain.log
locale_free() { LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo run 'whole results' 2>/dev/null | grep -v '^took' | cmp - plain.log; }
check 'another locale and time zone' locale_free
check 'a closed standard input' sh -c '"$0" run "$1/small.ini" --results "whole results" <&-' "$ASSAY" "$work"
check 'a reader that goes away' sh -c '"$0" run "$1/small.ini" --results "whole results" | true' "$ASSAY" "$work"
check 'objects for machines' sh -c '"$0" run "$1/small.ini" --results "whole results" --json | grep -q "^{\"event\":\"value\""' "$ASSAY" "$work"

# A limit ends a cell with its own outcome, and the others go on.
check 'a cell over its time is a timeout' sh -c '! "$0" run "$1/small.ini" --results late --set steps=200000 --set width=32 --seeds 0 --set tune=off --limit-time 1 >out 2>&1; grep -q timeout late/small-set-*/cells.tsv' "$ASSAY" "$work"
check 'a cell over its memory says so' sh -c '! "$0" run "$1/small.ini" --results large --limit-memory 20 >out 2>&1; grep -q out-of-memory large/small/cells.tsv' "$ASSAY" "$work"
exit $bad
