#!/bin/bash
# What an edit runs again: the words of an experiment nothing, a plug-in the cells that use it, the driver nothing.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
small small.ini
check 'the sources and the build can be copied' scratch "$work/copy"
check 'the copy builds' build_scratch
export ASSAY_HOME=$tree ASSAY=$made/assay
check 'the first run ends well' run "$PWD/small.ini" results
check 'and has six cells' equal cells 6 "$(files results/small/cells '*.h5')"

identity() { find results/small/cells -name '*.h5' -exec stat -c '%n %i %y' {} + | sort; }
identity >before
# reruns ARMS: runs once more; the records made, by arm and seed, are those, and no earlier record was touched. Then
# all is as it was for the next edit, except for the records that were made.
reruns() {
    local made_now arms
    run "$PWD/small.ini" results >run.log 2>&1 || { cat run.log; return 1; }
    identity >after
    [ -z "$(comm -23 before after)" ] || { echo 'an earlier record was touched:'; comm -23 before after; return 1; }
    made_now=$(comm -13 before after | sed 's/\.h5 .*//; s,.*/,,')
    arms=$(for key in $made_now; do awk -F '\t' -v k="$key" '$1 == k { print $3 }' results/small/cells.tsv; done | sort | tr '\n' ' ')
    cp after before
    equal 'cells that ran' "$1" "${arms% }"
}
check 'without an edit: 0 cells' reruns ''

# The experiment file.
sed -i 's/^title = .*/title = Another title/; s/^\[data\]/minutes = 7\n&/' small.ini
check 'title and minutes: 0 cells' reruns ''
check 'and the new title is shown' grep -q 'Another title' run.log
sed -i 's/>= 0.4/>= 0.3/; s/^source = proposal/source = paper, table 1/' small.ini
check 'a claim: 0 cells' reruns ''
check 'and the claim is answered anew' grep -q 'gates-count.*paper, table 1' run.log
printf '[claim another]\nthat = accuracy[arm=lstm] > accuracy[arm=softmax]\nsource = proposal\n' >>small.ini
check 'one more claim: 0 cells' reruns ''
sed -i 's/^\[figure extrapolation\]/[figure renamed]\ntitle = Beyond/' small.ini
check 'a figure: 0 cells' reruns ''
check 'and it is drawn' test -s results/small/figures/renamed.gp
sed -i '/^steps/s/.*/& ; as before/; s/^width = 16/width   =   16/' small.ini
check 'blanks and a comment: 0 cells' reruns ''
sed -i 's/^data.length = 20, 40/data.length = 20, 30/' small.ini
weights() { column results/small/cells.tsv digest | sort; }
weights_before=$(weights)
evaluated() { # trained anew, a record would say another training time than the one that it has kept
    local f
    for f in results/small/cells/*.h5; do number "$f" train.seconds || return; done >"$1"
}
evaluated seconds.before
run "$PWD/small.ini" results >run.log 2>&1
evaluated seconds.after
check 'another evaluation is made from the stored weights' cmp seconds.before seconds.after
check 'which stay the same bits' equal digests "$weights_before" "$(weights)"
check 'and it is answered' grep -q 'long.length=30' results/small/cells.tsv
identity >before

# The sources: edited(FILE) adds a line and builds.
edited() {
    case $1 in *.gp) printf '\n# edited\n' >>"$tree/$1" ;; *) printf '\n/* edited */\n' >>"$tree/$1" ;; esac
    build_scratch || return
    cat compiled
    case $1 in *.c) grep -q "${1%.c}.o" compiled ;; esac
}
builds_and_reruns() { edited "$1" && reruns "$2"; }
check 'another plug-in of the same family: 0 cells' builds_and_reruns impl/recurrent/gru.c ''
check 'another source of data: 0 cells' builds_and_reruns datasets/adding.c ''
check 'the driver: 0 cells' builds_and_reruns driver/summary.c ''
check 'the part of the driver that trains a cell: 0 cells' builds_and_reruns driver/cell_train.c ''
printf '\n# edited\n' >>"$tree/plots/curve.gp"
check 'a plot template: 0 cells' reruns ''
check 'one mixer: its arm only, both seeds' builds_and_reruns impl/linear-attention/deltanet.c 'deltanet deltanet'
check 'another one: its arm only, both seeds' builds_and_reruns impl/recurrent/lstm.c 'lstm lstm'
printf '\n/* edited */\n' >>"$tree/impl/recurrent/lstm.h"
header() { build_scratch && reruns 'lstm lstm'; }
check 'a header beside it: its arm only' header
check 'what every arm uses: all arms' builds_and_reruns datasets/parity.c 'deltanet deltanet lstm lstm softmax softmax'
undo() { head -n -2 "$tree/impl/recurrent/lstm.h" >h && cp h "$tree/impl/recurrent/lstm.h" && head -n -2 "$tree/datasets/parity.c" >c && cp c "$tree/datasets/parity.c" && build_scratch && reruns ''; }
check 'the edits undone: the earlier records are found again, 0 cells' undo
exit $bad
