#!/bin/bash
# A variant of one's own with one planted mistake in its backward pass: refused by the run, with a message that leads to
# the mistake; with --unchecked it runs, and the table says so. The variant is a copy of impl/TEMPLATE.c.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
small small.ini 20
check 'the sources and the build can be copied' scratch "$work/copy"
mine=$tree/impl/recurrent/mine.c
sed -e 's/AS_PLUGIN(TEMPLATE)/AS_PLUGIN(recurrent__mine)/' \
    -e 's/(old - u\[t \* s.h + i\]) \* a \* stay/(old - u[t * s.h + i]) * a/' "$tree/impl/TEMPLATE.c" >"$mine"
check 'two lines of the copy changed: its symbol and the derivative of the sigmoid' equal 'changed lines' 2 \
    "$(diff "$tree/impl/TEMPLATE.c" "$mine" | grep -c '^>')"
check 'it builds' build_scratch
export ASSAY_HOME=$tree ASSAY=$made/assay
planted() { run "$PWD/small.ini" "$1" --set mixer=mine --seeds 0 "${@:2}" >"$1.log" 2>&1; }

planted refused
status=$?
check 'the run is refused' equal status 2 $status
check 'the message names the variant and a check that compares gradients' \
    grep -qE 'recurrent/mine fails the check (oracle|gradient)' refused.log
check 'and the weight whose gradient is wrong' grep -q 'alpha' refused.log
check 'and the line to repeat it' grep -q 'assay check recurrent/mine --only' refused.log
check 'nothing was recorded' equal records 0 "$(files refused '*.h5')"
alone() {
    "$ASSAY" check impl/recurrent/mine.c >alone.log 2>&1
    local status=$?
    cat alone.log
    [ $status = 1 ] && grep -q 'gradient of .*alpha' alone.log
}
check 'the check by itself says the same' alone
check 'with --unchecked it runs' planted unchecked --unchecked
check 'and the table says so' grep -q 'NOT CHECKED.*recurrent/mine' unchecked.log

cp "$tree/impl/TEMPLATE.c" "$mine"
sed -i 's/AS_PLUGIN(TEMPLATE)/AS_PLUGIN(recurrent__mine)/' "$mine"
check 'with the mistake mended it builds' build_scratch
check 'and the run goes through' planted mended
check 'and says nothing of checks' fails grep -q 'NOT CHECKED' mended.log
exit $bad
