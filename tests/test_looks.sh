#!/bin/bash
# Every set of seeds at which claims are shown is a look, and alpha is spent once. Altered runs have folders of their
# own, and the lines that records and summaries print do what they say.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"

# lone FILE [KEY = VALUE of [experiment]]: one arm, one claim, seven seeds: enough for a verdict on one claim alone.
lone() {
    cat >"$1" <<INI
[experiment]
title = One arm
${2-}
[data]
source = parity
length = 3..8
labels = every
[model]
model = classifier
block = prenorm
ffn   = none
mixer = lstm
depth = 1
width = 8
[train]
rule  = adamw
lr    = 1e-2
steps = 2
batch = 4
eval_every = 2
[valid]
examples = 8
[test]
metrics  = accuracy, ce
examples = 32
[vary]
seed = 0..6
[eval long]
data.length = 10, 20
[claim costs-something]
that   = ce > 0.01
source = proposal
INI
}
lone lone.ini
file=$work/lone.ini
verdict() { awk '/costs-something/ { sub(/ +costs-something.*/, ""); print }' "$1"; }
says() { grep -q -- "$1" "$2" || { cat "$2"; return 1; }; }
rows() { grep -vc '^claims' "$1/lone/looks.tsv"; }

# --- the file's own seeds are the only look
check 'too few seeds are shown' run "$file" own --seeds 0..2
check 'and are no look' fails test -e own/lone/looks.tsv
run "$file" own >first
check 'the own seeds have a verdict' equal verdict upheld "$(verdict first)"
check 'with all of alpha, unsaid' fails grep -q '^look' first
check 'it is noted' equal 'row' '0..6	0	0.05' "$(sed -n 2p own/lone/looks.tsv | cut -f 2-)"
cp own/lone/looks.tsv kept
run "$file" own >second
check 'the same seeds are the same look' cmp kept own/lone/looks.tsv
check 'and say the same' equal verdict upheld "$(verdict second)"
run "$file" own --seeds 0..7 >more
check 'other seeds after it: nothing is left' equal verdict 'undecided (looks)' "$(verdict more)"
check 'the way out is named' says 'looks = 3' more
run "$file" own --seeds 10..16 >other
check 'as many other seeds are another look too' equal verdict 'undecided (looks)' "$(verdict other)"
check 'nothing was noted' cmp kept own/lone/looks.tsv
run "$file" own --seeds 0..7 --set width=4 >altered
check 'altered settings have no looks' equal 'tables of looks' 1 "$(files own looks.tsv)"
sed -i 's/seed = 0..6/seed = 0..7/' lone.ini
run "$file" own >edited
check 'nor does editing the seeds in the file help' equal verdict 'undecided (looks)' "$(verdict edited)"
sed -i 's/seed = 0..7/seed = 0..6/; s/0.01/0.02/' lone.ini
run "$file" own >claim
check 'another claim is another question' equal verdict upheld "$(verdict claim)"
check 'with a row of its own' equal rows 2 "$(rows own)"

# --- three looks
lone lone.ini 'looks = 3'
for n in 6 7 5 8; do run "$file" three --seeds 0..$n >"look.$n"; done
check 'the first of three' says '^look 1 of 3: alpha 0.01$' look.6
check 'the second of three' says '^look 2 of 3: alpha 0.015 ' look.7
check 'the third of three, whatever its size' says '^look 3 of 3: alpha 0.025 ' look.5
check 'a fourth has no verdict' equal verdict 'undecided (looks)' "$(verdict look.8)"
run "$file" three --seeds 0..7 >again
check 'the second stays the second' says '^look 2 of 3: alpha 0.015 ' again
"$ASSAY" plan "$file" --results three --seeds 0..8 >plan
check 'plan says so beforehand' says 'undecided (looks)' plan
printf 'x\ty\n' >>three/lone/looks.tsv
run "$file" three >damaged; status=$?
check 'a damaged table: no verdict' equal 'status and verdict' '4 ' "$status $(verdict damaged)"
check 'and it is named' says 'looks.tsv:5: damaged' damaged
lone lone.ini
run "$file" early --seeds 0..7 >early.log
check 'other seeds first: the first of three' says '^look 1 of 3: alpha 0.01$' early.log
run "$file" early >late
check 'then the own seeds are the second' says '^look 2 of 3: alpha 0.015 ' late

# --- a refuted claim is a result
sed -i 's/ce > 0.01/ce < 0.01/' lone.ini
run "$file" refuted >refuted.log; status=$?
check 'a refuted claim is said, with exit status 0' equal 'status and verdict' '0 refuted (our threshold)' "$status $(verdict refuted.log)"

# --- settings have a folder of their own, and share what is the same cell
small small.ini 20
check 'the plain run' run "$work/small.ini" plain
cp plain/small/cells.tsv plain.tsv
check 'an altered one' run "$work/small.ini" plain --set eval.long.data.length=30,50
check 'leaves the plain one as it is' cmp plain.tsv plain/small/cells.tsv
altered=$(echo plain/small-set-????????)
check 'its folder says for what' equal settings 'eval.long.data.length=30,50' "$(cat "$altered/settings.txt")"
digests() { column "$1/cells.tsv" digest; }
check 'with the same weights' equal digests "$(digests plain/small)" "$(digests "$altered")"
check 'evaluated as asked' grep -q 'long.length=30' "$altered/cells.tsv"
run "$work/small.ini" plain --set tune=off >off.log
check 'cells that are the same are not run again' says '6 of 6 final cells were there already' off.log
run "$work/small.ini" plain >plain.log
check 'and the plain ones are still complete' says '6 of 6 final cells were there already' plain.log

# --- lines to paste
mkdir -p bin && ln -sf "$ASSAY" bin/assay
paste() { # paste LINE: as somebody would, without a source tree
    (unset ASSAY_HOME; PATH=$work/bin:$PATH eval "$1")
}
# Without a source tree, templates of figures are not there either.
sed -i '/^.figure/,$d' small.ini
(unset ASSAY_HOME; run "$work/small.ini" bare --set width=8 >bare.log)
record=$(find bare/small-set-*/cells -name '*.h5' | sort | head -n 1)
line=$(LC_ALL=C grep -aoE 'assay verify [ -~]*small\.ini[ -~]*' "$record" | head -n 1)
paste "$line" >pasted 2>&1
check "the line in a record works, and is about that cell" says '1 of 1 cells gave the same bits again' pasted
line=$(sed -n 's/^again  *//p' bare.log)
paste "$line" >pasted 2>&1
check 'so does the one that a run ends with' says '6 of 6 cells gave the same bits again' pasted
key=$(basename "$record" .h5)
check 'run takes keys' run "$work/small.ini" keys --set width=8 "$(echo "$key" | cut -c 1-12)"
check 'and runs nothing else' equal cells 1 "$(files keys '*.h5')"
run "$work/small.ini" keys --set width=8 0123456789ab >nobody 2>&1; status=$?
check "a key that is nobody's is wrong use" equal status 2 $status

# --- what dead processes left
touch "plain/small/underway/$key.job" "plain/small/underway/$key.log" plain/small/cells.tsv.new.999999 "plain/small/cells/$key.h5.new.999999"
run "$work/small.ini" plain >/dev/null
check 'what dead processes left is cleared away' equal files 0 \
    "$(find plain/small -name '*.job' -o -name '*.log' -o -name '*.new.*' | wc -l)"
exit $bad
