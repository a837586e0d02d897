#!/bin/bash
# Stages: weights go from one to the next by name and shape, some are drawn anew, some are frozen; each stage is measured;
# a run that is killed in the second goes on there; what cannot be is refused with a line.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
cat >plain.ini <<'INI'
[experiment]
title = Without stages
[data]
source = parity
length = 3..12
labels = every
[model]
model = classifier
block = prenorm
mixer = lstm
ffn   = none
width = 16
[train]
lr    = 1e-2
steps = 40
batch = 16
eval_every = 20
[valid]
examples = 32
[test]
metrics  = accuracy, ce
examples = 64
[vary]
seed = 0..1
[eval long]
data.length = 20
INI
# staged FILE TITLE, stages on standard input
staged() { { sed "s/Without stages/$2/" plain.ini; cat; } >"$1"; }
staged two.ini 'Two stages' <<'INI'
[stage pre]
data.length = 3..8
[stage fine]
steps = 30
lr = 3e-3
[claim recorded]
that   = fine.ce - pre.ce < 100 and pre.accuracy > 0.2
source = proposal
[figure curves]
kind = learning
y    = pre.train.loss
[quick]
seeds = 0
stage.fine.steps = 5
INI
value() { # value FILE RESULTS METRIC: with all its digits, seed by seed
    "$ASSAY" export "$PWD/$1" --results "$2" --csv | awk -F , -v m="$3" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $at["metric"] == m { print $at["seed"], $at["value"] }'
}
digests() { column "$2/$(basename "$1" .ini)/cells.tsv" digest; }
some() { [ -n "$1" ] || { echo 'there is nothing'; return 1; }; }
same_text() { some "$2" && equal "$1" "$2" "$3"; }
other_text() { some "$1" && some "$2" && [ "$1" != "$2" ]; }

check 'without stages: runs' run "$PWD/plain.ini" results
check 'two stages: run' run "$PWD/two.ini" results
check 'the plain metrics are those of the last stage' same_text ce "$(value two.ini results fine.ce)" "$(value two.ini results ce)"
check 'the first stage has its own' other_text "$(value two.ini results pre.ce)" "$(value two.ini results ce)"
check 'and its own validation' some "$(value two.ini results pre.valid.accuracy)"
check 'evaluations are of the last stage' some "$(value two.ini results long.ce)"
check 'which alone has them' equal 'pre.long.ce' '' "$(value two.ini results pre.long.ce)"
check 'a claim reads the metrics of stages' grep -q 'recorded' <("$ASSAY" export ./two.ini --results results --md)
check 'tables show them' grep -q '^| pre\.accuracy ' <("$ASSAY" export ./two.ini --results results --md)
check 'curves are kept for each stage' grep -q '^[^#]*	20	' results/two/figures/curves.tsv
check 'steps are those of all stages' equal steps 70 "$(number "$(find results/two/cells -name '*.h5' | head -n 1)" steps)"
says() { local pattern=$1; shift; "$@" >out 2>&1; cat out; grep -q "$pattern" out; }
check 'the plan says what each stage changes' says '^stage  *fine: train\.steps = 30; train\.lr = 3e-3' "$ASSAY" plan ./two.ini --results none
check 'the quick form changes one stage' says '^stage  *fine: train\.steps = 5;' "$ASSAY" plan ./two.ini --results none --quick
check 'a plain override stands for all stages' says 'stage\.fine\.train\.steps is left out' "$ASSAY" plan ./two.ini --results none --set steps=7

# The first stage is what it would be alone; a second one without a step hands its weights on as they were.
staged kept.ini 'Nothing learnt' <<'INI'
[stage pre]
lr = 1e-2
[stage idle]
steps = 0
INI
check 'a stage of no steps: runs' run "$PWD/kept.ini" results
check 'the first stage is the run without stages' same_text ce "$(value plain.ini results ce)" "$(value kept.ini results pre.ce)"
check 'and its weights go on, bit by bit' same_text digests "$(digests plain.ini results)" "$(digests kept.ini results)"
sed 's/^steps = 0/&\nfresh = W_head, b_head/' kept.ini >head.ini
check 'a fresh head: runs' run "$PWD/head.ini" results
check 'and is another' other_text "$(digests kept.ini results)" "$(digests head.ini results)"
# Without moments, two stages are one run: the second sees the examples that come next, and data are the same.
staged parts.ini 'In two parts' <<'INI'
[stage first]
steps = 25
[stage second]
decay = 0
INI
sed -i 's/^steps = 40/rule = sgd\nrule.momentum = 0\nselect = last\n&/' parts.ini
sed '/^\[stage first\]/,$d; s/^steps = 40/steps = 65/' parts.ini >one.ini
check 'one run of SGD: runs' run "$PWD/one.ini" results
check 'the same in two stages: runs' run "$PWD/parts.ini" results
check 'and gives the same bits' same_text digests "$(digests one.ini results)" "$(digests parts.ini results)"
# What a later stage draws is not what the first has drawn.
staged drawn.ini 'Drawn twice' <<'INI'
[stage first]
clip = 2
[stage second]
fresh = embedding, block0, norm, W_head
INI
sed -i 's/^steps = 40/steps = 0/' drawn.ini
check 'drawn twice: runs' run "$PWD/drawn.ini" results
check 'a later stage draws other weights' other_text "$(value drawn.ini results first.ce)" "$(value drawn.ini results ce)"
staged classes.ini 'Other classes' <<'INI'
[stage pre]
lr = 3e-2
[stage fine]
steps = 10
data.source = modular-addition
data.p = 11
read = last
fresh = W_head, b_head, embedding
freeze = block0
INI
sed -i 's/^labels = every//; s/^length = 3..12//; /^\[eval long\]/,/^data.length/d' classes.ini
check 'another source with a fresh head, the rest frozen: runs' run "$PWD/classes.ini" results
check 'chance is that of the stage' says 'pre\.accuracy' "$ASSAY" export ./classes.ini --results results --csv

# A stage's keys vary and are tuned as others are.
sed 's/^lr = 3e-3//; s/^\[vary\]/&\nstage.fine.freeze = none, embedding\n[tune]\nstage.fine.lr = 1e-3, 3e-3/' two.ini |
    sed '/^\[claim/,/^source = prop/d' | awk '/^\[tune\]/ { tune = 1 } /^seed = 0..1/ && tune { next } { print } /^\[vary\]/ { print "seed = 0" }' >varied.ini
check 'keys of a stage vary and are tuned' run "$PWD/varied.ini" results
check 'in two arms' equal digests 2 "$(column results/varied/cells.tsv digest role final | sort -u | grep -c .)"

# Threads, and evaluation without training.
export OMP_WAIT_POLICY=passive
for threads in 1 2 3 4; do
    check "$threads threads: run" "$ASSAY" run ./two.ini --results "threads-$threads" --jobs 1 --threads $threads
    check "$threads threads: the same bits" same "$PWD/two.ini" "threads-$threads" results
done
seconds() { local f; for f in results/two/cells/*.h5; do number "$f" train.seconds || return; done; }
before=$(seconds) digests_before=$(digests two.ini results) ce=$(value two.ini results pre.ce)
sed -i 's/^data.length = 20/data.length = 24/' two.ini
check 'another evaluation: runs' run "$PWD/two.ini" results
check 'and trains nothing' same_text seconds "$before" "$(seconds)"
check 'the weights of the last stage are the same' same_text digests "$digests_before" "$(digests two.ini results)"
check 'so is what the first is measured to be' same_text ce "$ce" "$(value two.ini results pre.ce)"
check 'verify trains both stages to the same bits' "$ASSAY" verify ./two.ini --results results

# Killed in the second stage: the first is not trained again, and the bits are the same.
sed 's/^steps = 30/steps = 5000/; s/^seed = 0..1/seed = 0/' two.ini >killed.ini
check 'a longer one, uninterrupted' run "$PWD/killed.ini" whole
export ASSAY_CHECKPOINT_SECONDS=0.02
"$ASSAY" run ./killed.ini --results parts --jobs 1 >killed.log 2>&1 </dev/null &
driver=$!
# A checkpoint counts the stages that are done behind its magic number, key, digest and seconds (driver/cell_state.c).
in_the_second() { [ "$(od -An -td8 -j152 -N8 parts/killed/underway/*.ckpt | tr -d ' ')" = 1 ]; }
check 'a checkpoint of the second stage is there' until_true 60 in_the_second
kill -9 $driver
wait $driver 2>/dev/null
sleep 0.2
check 'it was under way' equal records 0 "$(files parts/killed/cells '*.h5')"
check 'the same command ends well' run "$PWD/killed.ini" parts
record=$(find parts/killed/cells -name '*.h5')
check 'and went on in the second stage' awk -v n="$(number "$record" resumed_from)" 'BEGIN { exit !(n >= 40 && n < 5040) }'
check 'digests and metrics are those of the uninterrupted run' same "$PWD/killed.ini" parts whole
export -n ASSAY_CHECKPOINT_SECONDS
unset ASSAY_CHECKPOINT_SECONDS

# What is wrong is one line with the thing and the remedy.
wrong() { # wrong WHAT SED-EXPRESSION PATTERN
    sed "$2" two.ini >wrong.ini
    if cmp -s two.ini wrong.ini; then check "$1: the edit changes the file" false; return; fi
    check "$1" refused "$3"
}
refused() {
    "$ASSAY" plan ./wrong.ini --results none >out 2>err </dev/null
    equal status 2 $? || return
    cat err
    equal 'lines on standard error' 1 "$(wc -l <err)" && grep -qe "$1" err
}
wrong 'an unknown stage in an arm' 's/^\[quick\]/[arm a]\nstage.fien.lr = 1\n&/' 'there is no \[stage fien\]: did you mean \[stage fine\]'
wrong 'an unknown stage that varies' 's/^\[vary\]/&\nstage.x.lr = 1, 2/' 'stage\.x\.train\.lr: there is no \[stage x\]'
wrong 'an empty stage' 's/^\[stage fine\]/[stage none]\n&/' ':[0-9]*: \[stage none\] is empty'
wrong 'a misspelt key of a stage' 's/^lr = 3e-3/train.lrr = 3e-3/' '\[stage fine\].*train\.lrr.*train\.lr'
wrong 'a misspelt key besides' 's/^width = 16/widht = 16/' 'widht.*width'
wrong 'a width that changes' 's/^lr = 3e-3/width = 8/' '\[stage fine\].*is (.*) and was (.*fresh ='
wrong 'weights without a forerunner' 's/^lr = 3e-3/depth = 2/' '\[stage fine\].*block1.*no forerunner.*fresh = block1'
wrong 'fresh weights that are none' 's/^lr = 3e-3/fresh = haed/' 'haed'
wrong 'fresh weights of the first stage' 's/^data.length = 3..8/&\nfresh = W_head/' 'first stage draws all'
wrong 'frozen weights that are none' 's/^lr = 3e-3/freeze = haed/' '\[stage fine\].*train\.freeze = haed'
wrong 'a metric of the test in a stage' 's/^lr = 3e-3/test.examples = 5/' 'test\.examples is one for all stages'
wrong 'a plain key that every stage replaces' 's/^data.length = 3..8/&\nlr = 1e-3/' 'every stage sets train\.lr itself'
wrong 'an axis that every stage replaces' 's/^data.length = 3..8/lr = 1e-3/; s/^lr    = 1e-2//; s/^\[vary\]/&\nlr = 1, 2/' 'every stage sets train\.lr itself'
wrong 'the name of an evaluation' 's/^\[stage pre\]/[stage long]/; s/pre\././g' '\[stage long\] and \[eval long\]'
wrong 'a name that records use' 's/^\[stage pre\]/[stage valid]/; s/pre\././g' '\[stage valid\].*choose another'
wrong 'a key that stands and varies' 's/^\[vary\]/&\nstage.fine.lr = 1, 2/' 'stage\.fine\.train\.lr has one value and varies'
wrong 'classes in order of a source without them' 's/^lr = 3e-3/data.order = classes/' '\[stage fine\].*parity makes its examples as it goes'
wrong 'an order that is none' 's/^lr = 3e-3/data.order = sorted/' 'data\.order = sorted'
wrong 'stages of a study' 's/^\[data\]/[study]\nstudy = rebasin\n&/' 'study.*do not go together'
exit $bad
