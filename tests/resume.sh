#!/bin/bash
# kill -9 of the driver and of a cell: nothing is lost, nothing finished runs again, and the numbers are the same bits.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
small small.ini 1200
check 'an uninterrupted run ends well' run "$PWD/small.ini" whole
check 'its records say that they began at step 0' equal 'resumed_from' 0 \
    "$(number "$(find whole/small/cells -name '*.h5' | head -n 1)" resumed_from)"

# Cells that would go on for minutes do not outlive their driver.
"$ASSAY" run "$PWD/small.ini" --results orphans --jobs 2 --set steps=1000000 >orphans.log 2>&1 </dev/null &
driver=$!
two_run() { [ "$(children $driver | wc -l)" = 2 ]; }
until_true 30 two_run
sleep 0.3
cells=$(children $driver)
kill -9 $driver
wait $driver 2>/dev/null
check 'two cells were running' equal cells 2 "$(echo "$cells" | wc -w)"
# shellcheck disable=SC2086
check 'kill -9 of the driver: its cells die with it' gone $cells

# The driver, half-way: two cells are done, and two under way have kept their state.
export ASSAY_CHECKPOINT_SECONDS=0.02
half_way() { [ "$(files killed/small/cells '*.h5')" -ge 2 ] && [ "$(files killed/small/underway '*.ckpt')" -ge 1 ]; }
identity() { find killed/small/cells -name '*.h5' -exec stat -c '%n %i %y' {} + | sort; }
"$ASSAY" run "$PWD/small.ini" --results killed --jobs 2 >killed.log 2>&1 </dev/null &
driver=$!
until_true 60 half_way
cells=$(children $driver)
kill -9 $driver
wait $driver 2>/dev/null
# shellcheck disable=SC2086
check 'it was under way, and its cells die with it' gone ${cells:-"$$"}
identity >before
done_before=$(wc -l <before)
check "it was half-way: $done_before of 6 cells were done" test "$done_before" -ge 2 -a "$done_before" -lt 6
untouched() { identity >after; [ -s before ] && [ -z "$(comm -23 before after)" ] || diff before after; }
run "$PWD/small.ini" killed >again.log 2>&1
status=$?
check 'the same command ends well' equal status 0 $status
check 'and says that the finished cells were there' grep -q "^$done_before of 6 final cells were there already" again.log
check 'and has not touched their records' untouched
check 'digests and metrics are those of the uninterrupted run' same "$PWD/small.ini" killed whole
check 'no job, log or checkpoint is left' equal 'files besides the lock' '' "$(ls killed/small/underway | grep -vx lock)"
resumed() { # resumed RESULTS: how many records began behind step 0
    local record n=0
    for record in "$1"/small/cells/*.h5; do
        awk -v n="$(number "$record" resumed_from)" 'BEGIN { exit !(n > 0 && n < 1200) }' && n=$((n + 1))
    done
    echo $n
}
check 'a cell that was under way went on from its checkpoint' test "$(resumed killed)" -ge 1

# One cell, after its checkpoint. The driver says how it ended and goes on with the others.
"$ASSAY" run "$PWD/small.ini" --results cell --jobs 1 --seeds 1 >cell.log 2>&1 </dev/null &
driver=$!
until_true 60 sh -c 'ls cell/small/underway/*.ckpt'
cell=$(children $driver | head -n 1)
kill -9 "$cell"
wait $driver
status=$?
check 'a killed cell makes the exit status 3' equal status 3 $status
check 'and has its own outcome, with the signal' grep -q 'crashed.*signal 9' cell/small/cells.tsv
check 'the other cells went on' equal 'cells that are ok' 2 "$(column cell/small/cells.tsv outcome | grep -cx ok)"
before=$(resumed cell)
check 'the same command ends well once more' run "$PWD/small.ini" cell --seeds 1
check 'the record says resumed from step N > 0' equal 'resumed records' 1 $(($(resumed cell) - before))
digests() { column "$1/small/cells.tsv" digest seed 1; }
check 'the digests are the same' equal digests "$(digests whole)" "$(digests cell)"

# A checkpoint that is damaged, or another cell's: said, and trained anew to the same bits.
"$ASSAY" run "$PWD/small.ini" --results torn --jobs 1 --seeds 0 >torn.log 2>&1 </dev/null &
driver=$!
until_true 60 sh -c 'ls torn/small/underway/*.ckpt'
kill -9 $driver
wait $driver 2>/dev/null
sleep 0.2
torn=$(find torn/small/underway -name '*.ckpt' | head -n 1)
head -c 1000 "$torn" >short && cp short "$torn"
torn_says() { run "$PWD/small.ini" torn --seeds 0 >out 2>&1; cat out; grep -q 'checkpoint.*damaged; training starts anew' out; }
check 'a torn checkpoint is said' torn_says
check 'and the digests are the same' equal digests "$(column whole/small/cells.tsv digest seed 0)" "$(column torn/small/cells.tsv digest seed 0)"
exit $bad
