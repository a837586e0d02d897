#!/bin/bash
# The same digests and metrics at 1, 2, 3 and 4 threads a cell and with two cells at a time, and the record says how
# many threads there really were.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
# Large enough that products, scans and attention are cut into pieces and given to the team.
small small.ini 25
sed -i 's/^width = 16/width = 32/; s/^batch = 16/batch = 32/; s/^length = 3..16/length = 16..64/; s/^ffn   = none/ffn = mlp/' small.ini
export OMP_WAIT_POLICY=passive          # more threads than processors: waiting must not spin

teams() { # teams RESULTS THREADS: every record, threads asked for and team seen
    local record n=0
    for record in "$1"/small/cells/*.h5; do
        equal "$record: threads" "$2" "$(number "$record" threads)" || return
        equal "$record: team" "$2" "$(number "$record" team)" || return
        n=$((n + 1))
    done
    equal records 6 $n
}
for threads in 1 2 3 4; do
    check "$threads threads: runs" "$ASSAY" run "$PWD/small.ini" --results "threads-$threads" --jobs 1 --threads $threads
    check "$threads threads: each record says so, and that the team had $threads" teams threads-$threads $threads
    [ $threads = 1 ] || check "$threads threads: digests and metrics are those of one" same "$PWD/small.ini" threads-$threads threads-1
done
# The team is counted, not believed: where the runtime gives fewer threads than were asked for, the record says it.
fewer() {
    OMP_THREAD_LIMIT=2 "$ASSAY" run "$PWD/small.ini" --results fewer --jobs 1 --threads 4 --seeds 0 --set mixer=lstm || return
    local record
    record=$(find fewer -name '*.h5' | head -n 1)
    equal threads 4 "$(number "$record" threads)" && equal team 2 "$(number "$record" team)"
}
check 'a team smaller than asked for is recorded as it was' fewer
check 'two cells at a time: runs' "$ASSAY" run "$PWD/small.ini" --results jobs-2 --jobs 2
check 'two cells at a time: digests and metrics are those of one' same "$PWD/small.ini" jobs-2 threads-1
distinct() { equal 'different digests' 6 "$(column threads-1/small/cells.tsv digest | sort -u | grep -cE '^[0-9a-f]{16}$')"; }
check 'six cells have six digests' distinct
exit $bad
