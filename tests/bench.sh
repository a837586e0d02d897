#!/bin/bash
# assay bench: its columns, its formula, its refusals; time is not judged here.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
export OMP_WAIT_POLICY=passive
quick=(--repeats 3 --min-time 0.01 --threads 1)
bench() { "$ASSAY" bench "$@" "${quick[@]}"; }

# field NAME FILE: of the first line of values, by the name of its column
field() {
    awk -F '\t' -v name="$1" '/^#/ { next } !n { for (i = 1; i <= NF; i++) if ($i == name) n = i; if (!n) exit 1; next }
        { print $n; exit }' "$2"
}
near() { # near A B: equal to four digits
    awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(b > 0 && d <= 5e-4 * b) }' ||
        { echo "$1 is not $2"; return 1; }
}

columns() {
    bench deltanet --scope core --impl chunk --batch 2 --time 70 --width 32 --mode train >core.tsv || return
    equal header "name	implementation	B	T	D	threads	median ms	GFLOP/s	share of peak	bytes/s	memory" \
        "$(grep -v '^#' core.tsv | head -n 1 | cut -f 1-11)" || return
    equal name deltanet "$(field name core.tsv)" && equal B 2 "$(field B core.tsv)" && equal T 70 "$(field T core.tsv)" &&
        equal D 32 "$(field D core.tsv)" && equal threads 1 "$(field threads core.tsv)" &&
        equal repeats 3 "$(field repeats core.tsv)" && equal rows 1 "$(grep -vc '^#\|^name' core.tsv)" || return
    awk -F '\t' '/^#/ || /^name/ { next } { if (!($7 > 0 && $8 > 0 && $9 > 0 && $10 > 0 && $11 > 0)) exit 1 }' core.tsv
}
# Triangles of n (n + 1) / 2 pairs in place of n^2, and three products with a state at either end.
triangles() {
    for layer in linear-rule gated-linear-rule; do
        bench $layer --impl chunk --batch 2 --time 70 --width 32 >triangles.tsv &&
            equal "flop of $layer by hand" $((2 * 4 * (2 * (2080 + 21) * (4 * 8 + 3 * 8) + 2 * 8 * 8 * (3 * 6 + 3 * 64)))) \
                "$(at_shape "$(awk -F '\t' '$1 == "# flop" { print $3; exit }' triangles.tsv)")" || return
    done
}
# Evaluates the formulas of the header at B, T, D and compares with FLOP counted by hand. The recurrence: 6 dk dv a step and
# head, thrice. The chunks of 64 and 6 steps: 2 n^2 (4 dk + 3 dv), and six products with states that the first chunk does
# not have, three that the last does not.
at_shape() { awk "BEGIN { B = 2; T = 70; D = 32; printf \"%.0f\", $1 }"; }
formula() {
    local flop useful chunks=$((2 * (64 * 64 + 6 * 6) * (4 * 8 + 3 * 8) + 2 * 8 * 8 * (6 * 6 + 3 * 64)))
    flop=$(at_shape "$(awk -F '\t' '$1 == "# flop" { print $3; exit }' core.tsv)")
    useful=$(at_shape "$(awk -F '\t' '$1 == "# useful flop" { print $3; exit }' core.tsv)")
    equal 'useful flop by hand' $((3 * 2 * 70 * 4 * 6 * 8 * 8)) "$useful" || return
    equal 'flop by hand' $((2 * 4 * chunks)) "$flop" || return
    near "$(field 'useful GFLOP/s' core.tsv)" "$(awk -v f="$useful" -v ms="$(field 'median ms' core.tsv)" 'BEGIN { print f / (1e6 * ms) }')" || return
    near "$(field GFLOP/s core.tsv)" "$(awk -v f="$flop" -v ms="$(field 'median ms' core.tsv)" 'BEGIN { print f / (1e6 * ms) }')" || return
    near "$(awk -v r="$(field GFLOP/s core.tsv)" -v p="$(awk -F '\t' '$1 == "# peak" { print $2 }' core.tsv)" 'BEGIN { print 1000 + r / p }')" \
        "$(awk -v s="$(field 'share of peak' core.tsv)" 'BEGIN { print 1000 + s }')"
}
implementations() {
    bench lstm --impl ref --batch 1 --time 9 --width 8 >ref.tsv && equal implementation ref "$(field implementation ref.tsv)" || return
    bench softmax --scope core --set core.impl=ref --batch 1 --time 9 --width 8 --heads 2 >set.tsv &&
        equal 'implementation of the core' ref "$(field implementation set.tsv)"
}
modes() {
    bench deltanet --mode forward --batch 2 --time 20 --width 16 >forward.tsv && equal mode forward "$(field mode forward.tsv)" || return
    bench deltanet --mode step --positions 3,200 --batch 2 --width 16 >step.tsv || return
    equal 'lines of a stream' 2 "$(grep -vc '^#\|^name' step.tsv)" || return
    equal 'the state does not grow' "$(grep -v '^#\|^name' step.tsv | head -n 1 | cut -f 11)" \
        "$(grep -v '^#\|^name' step.tsv | tail -n 1 | cut -f 11)"
}
a_core_by_name() { bench delta-rule --batch 1 --time 20 --width 16 --heads 2 >core2.tsv && equal name delta-rule "$(field name core2.tsv)"; }
scaling() {
    bench linear --scope core --scaling --from 64 --to 256 --batch 1 --width 16 >scaling.tsv || return
    equal lengths 3 "$(grep -vc '^#\|^name' scaling.tsv)" || return
    awk -F '\t' '$1 == "# exponent" { n++; if ($4 == "nan" || $5 !~ /^\[/) exit 1 } END { exit n != 2 }' scaling.tsv
}
model() {
    bench lm --model --batch 4 --time 32 --width 16 --set mixer=deltanet --set mixer.heads=2 --set ffn=mlp --set depth=1 \
        --set data.source=recall --set data.length=32 --set data.vocabulary=16 --set data.pairs=3 >model.tsv &&
        equal scope model "$(field scope model.tsv)"
}
table() {
    printf '# a comment\nA\tlstm\tcore\t-\t1x5x8 2x4x8\t1\t-\nB\tno-such-layer\tcore\t-\t1x5x8\t1\t-\n' >table.tsv
    bench --table "$PWD/table.tsv" >both.tsv || return
    equal 'lines of a table' 2 "$(grep -vc '^#\|^name' both.tsv)" && grep -q '^# skipped.*no-such-layer' both.tsv
}
serve() {
    printf 'measure\tA\tlstm\tcore\t-\t1x5x8\t0.01\nwhat\nmeasure\tA\tlstm\tcore\thiden=3\t1x5x8\t0.01\n' |
        "$ASSAY" bench --serve --threads 1 >served || return
    equal answers 'ok no no' "$(cut -f 1 served | tr '\n' ' ' | sed 's/ $//')"
}
roofline() {
    "$ASSAY" bench --roofline core.tsv -o roof.svg && grep -q '<svg' roof.svg
}

# refuses WORDS-OF-THE-SENTENCE ARGUMENTS...: status 2, one line that says so, nothing timed
refuses() {
    local words=$1 status
    shift
    "$ASSAY" bench "$@" >out 2>err
    status=$?
    equal status 2 $status || return
    equal 'one line' 1 "$(wc -l <err)" && grep -qF -- "$words" err || { cat err; return 1; }
    ! grep -q '^name' out
}

check 'columns, one line a layer' columns
check 'the formula of the header gives the column' formula
check 'chunks over triangles count their products' triangles
check 'an implementation by name' implementations
check 'forward, and steps at positions' modes
check 'a core by its own name' a_core_by_name
check 'exponents against length' scaling
check 'training steps of a model' model
check 'a table; what is not there is named and left out' table
check 'served' serve
if command -v gnuplot >/dev/null; then check 'a roofline figure' roofline; else skip 'a roofline figure' 'no gnuplot'; fi
check 'unknown layer' refuses 'did you mean deltanet?' deltanett
check 'unknown implementation' refuses 'there is no such implementation' deltanet --impl chunky --time 8 --width 16
check 'width not divisible by heads' refuses 'cannot be cut into 4 heads' deltanet --width 30 --time 8
check 'bad number' refuses '--batch 0 is no whole number' deltanet --batch 0
check 'not a number' refuses '--time x is no whole number' deltanet --time x
check 'unknown option' refuses 'did you mean --width?' deltanet --widht 8
check 'unknown mode' refuses '--mode trian: it is train, forward or step' deltanet --mode trian
check 'unknown key' refuses 'heds' deltanet --set heds=2 --time 8 --width 16
check 'positions without steps' refuses '--positions belongs to --mode step' deltanet --positions 3
check 'a layer that looks ahead is not streamed' refuses 'cannot be streamed' softmax-full --mode step --width 16
# Wrong at one level only, and by a bias, which begins at 0.
disagrees() {
    local ASSAY=$ASSAY_BUILD/assay-mocks
    local forward="bench mock/one-level --mode forward --batch 2 --time 8 --width 16"
    ASSAY_ISA=portable $forward >right.tsv || return
    grep -q '^mock/one-level	fast' right.tsv || return
    ASSAY_ISA=avx2 bench mock/one-level --mode train --batch 2 --time 8 --width 16 >trained.tsv || return
    grep -q '^mock/one-level	graph' trained.tsv || return         # it has no way back
    ASSAY_ISA=avx2 $forward >wrong.tsv 2>err
    cat wrong.tsv err
    grep -q 'mock/one-level impl=fast does not agree with its oracle' wrong.tsv err && ! grep -q '^mock/one-level' wrong.tsv
}
if grep -qw avx2 /proc/cpuinfo && [ -x "$ASSAY_BUILD/assay-mocks" ]; then check 'a kernel that is wrong is not timed' disagrees
else skip 'a kernel that is wrong is not timed' 'no avx2, or no mocks'; fi
check 'two sources of layers' refuses 'not both' deltanet --table x
exit $bad
