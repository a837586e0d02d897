#!/bin/bash
# A copy of impl/TEMPLATE.c with its symbol renamed, and nothing else: listed, described, trained, recorded.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
small small.ini
check 'the sources and the build can be copied' scratch "$work/copy"
cp "$tree/impl/TEMPLATE.c" "$tree/impl/recurrent/mine.c"
sed -i 's/AS_PLUGIN(TEMPLATE)/AS_PLUGIN(recurrent__mine)/' "$tree/impl/recurrent/mine.c"
check 'one line of the copy changed' equal 'changed lines' 1 \
    "$(diff "$tree/impl/TEMPLATE.c" "$tree/impl/recurrent/mine.c" | grep -c '^>')"
check 'it builds' build_scratch
few() { cat compiled; [ "$(grep -vc -e impl/recurrent/mine -e registry compiled)" = 0 ] && grep -q recurrent/mine compiled; }
check 'nothing but the copy and the registry was compiled' few
export ASSAY_HOME=$tree ASSAY=$made/assay

listed() { "$ASSAY" list >out && cat out && grep -qw mine out; }
check 'assay list shows it' listed
described() { "$ASSAY" describe mine >out && cat out && grep -q "hidden  *0 " out && grep -q "slowest  *64 " out && grep -q leaky-integrator out; }
check 'assay describe shows its options and its paper' described
check 'it trains with --set mixer=mine' run "$PWD/small.ini" mine --set mixer=mine
check 'arms that differ in nothing else became one, both seeds are there' equal 'rows that are ok' 2 \
    "$(column "$(echo mine/*/cells.tsv)" outcome | grep -cx ok)"

# 200 steps are enough for an integrator to leave log 2 behind; ce is the test's cross-entropy in nats.
falls() {
    run "$PWD/small.ini" one --set mixer=mine --set steps=1 --seeds 0 || return
    run "$PWD/small.ini" many --set mixer=mine --set steps=300 --seeds 0 || return
    ce() { "$ASSAY" export "$work/small.ini" --results "$1" --set mixer=mine --set "steps=$2" --seeds 0 --csv |
        awk -F , '{ for (i = 1; i <= NF; i++) if ($i == "valid.ce") print $(i + 2) }'; }
    echo "after 1 step $(ce one 1), after 300 $(ce many 300)"
    awk -v a="$(ce one 1)" -v b="$(ce many 300)" 'BEGIN { exit !(a > 0 && b > 0 && b < 0.98 * a) }'
}
check 'its loss falls' falls
hash=$(grep -F '"impl/recurrent/mine.c"' -A 1 "$made/obj/registry.c" | grep -oE '[0-9a-f]{64}' | head -n 1)
named() {
    local record
    [ ${#hash} = 64 ] || { echo "no hash of mine.c in the registry"; return 1; }
    for record in mine/*/cells/*.h5; do
        LC_ALL=C grep -qaF 'plugin impl/recurrent/mine.c' "$record" || { echo "$record does not name it"; return 1; }
        LC_ALL=C grep -qaF "$hash" "$record" || { echo "$record has not the hash $hash"; return 1; }
        LC_ALL=C grep -qaF 'mixer = mine' "$record" || { echo "$record: its configuration does not name it"; return 1; }
    done
}
check 'each record names it and its hash' named
exit $bad
