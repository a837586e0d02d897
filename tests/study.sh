#!/bin/bash
# An experiment about a study: its section and options, its own metrics in claims and figures, data, model and training of
# one that trains, and what is refused.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
cat >nets.ini <<'INI'
[experiment]
title = Random networks
[study]
study = finite-width
nets  = 60
[vary]
study.width = 16, 32
seed = 0..7
[claim kept]
that   = kernel[study.width=32] == 1 within factor 3
source = proposal
[claim grows]
that   = mean(four_point over study.width) > -1
source = proposal
[figure slopes]
kind = curve
x    = study.width
y    = vertex_slope
[figure layers]
kind = learning
y    = four_point
yscale = log
INI
cat >pair.ini <<'INI'
[experiment]
title = Two networks
[study]
study    = rebasin
examples = 40
cases    = 10
[data]
source = adding
length = 2
[model]
model = perceptron
width = 8
read  = last
[train]
steps  = 20
select = last
[vary]
seed = 0..5
[claim same]
that   = identity(permuted) < 1e-6
source = proposal
INI
says() { local pattern=$1; shift; "$@" >out 2>&1; cat out; grep -q "$pattern" out; }
check 'without data: cells run and claims are answered' says '^ *kept .*upheld\|upheld.*kept' run ./nets.ini results
check 'what claims read is a table' grep -Eq '^kernel +mean +\(mean of 8 seeds' out
check 'a row an arm' grep -Eq '^width 32 +[0-9.]+ +\[[0-9.]+, [0-9.]+\]$' out
check 'what nothing reads is named' grep -q '^also measured: .*(--all shows them)' out
check 'its curve has a figure' test -s results/nets/figures/layers.tsv
check 'with a logarithmic axis' grep -q 'logy = 1' results/nets/figures/layers.gp
drawn() { ! command -v gnuplot || test -s results/nets/figures/layers.svg; }
check 'which is drawn' drawn
check 'with data, a model and training' says 'upheld' run ./pair.ini results
check 'without arms: one table, a metric a row' grep -Eq '^permuted +[0-9.e-]+ +\[' out
refused() { local pattern=$1; shift; "$@" >out 2>&1 && return 1; cat out; grep -q "$pattern" out; }
sed 's/^nets /netz /' nets.ini >wrong.ini
check 'a misspelt option is refused by name' refused 'study\.netz.*study\.nets' run ./wrong.ini results
sed 's/= finite-width/= finite-widht/' nets.ini >wrong.ini
check 'a misspelt study is refused by name' refused 'finite-widht.*finite-width' run ./wrong.ini results
sed 's/^steps /stesp /' pair.ini >wrong.ini
check 'a misspelt key of its training is refused' refused 'train\.stesp.*train\.steps' run ./wrong.ini results
sed '/^\[data\]/,/^length/d' pair.ini >wrong.ini
check 'a model without data is refused' refused 'model\|data' run ./wrong.ini results
sed 's/^width = 8/width = 8\nact = tanh/' pair.ini >wrong.ini
check 'what a study cannot do ends its cells, not the run' says 'act = relu' run ./wrong.ini results
exit $bad
