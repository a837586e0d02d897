#!/bin/bash
# assay papers: every row of the catalogue with what there is about it, and the counts by family; from a folder of our own
# with a catalogue of seven rows, two experiments and a ledger, and then from the program's.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
real_home=$ASSAY_HOME
mkdir -p home/doc home/experiments results
export ASSAY_HOME=$work/home
printf '%s\t%s\t%s\t%s\n' id title name family \
    16 'Unlocking state tracking' beta linear-attention \
    17 'A Systematic Analysis' hybrids linear-attention \
    17b 'Meta Pruning' metanetwork hypernetwork \
    167 'Empirical evaluation of gates' gru recurrent \
    287 'Blockwise parallel decoding' blockwise decoding \
    339 'Git Re-Basin' rebasin other \
    340 'Something else' else decoding >home/doc/catalogue.tsv
cat >home/experiments/gates.ini <<'INI'
[experiment]
title = Do gates count?
papers = 16, 17b
minutes = 3
[data]
source = parity
INI
cat >home/experiments/nets.ini <<'INI'
[experiment]
title = Two networks
papers = 339
[study]
study = rebasin
INI
{ printf 'id\texperiment\tclaim\tverdict\testimate\tlow\thigh\tseeds\tminutes\tcommit\n'
  printf '16,17b\tgates\tthey-do\tupheld\t0.9\t0.8\t1\t10\t3.5\tabc\n'
  printf '339\tnets\tone-basin\tundecided\t0.1\t0\t0.2\t10\t2\tabc\n'; } >results/ledger.tsv

papers() { "$ASSAY" papers --results results "$@"; }
papers >all.txt 2>errors.txt || { cat errors.txt; bad=1; }
papers --coverage >coverage.txt || bad=1
# block ID: the lines about one row.
block() { awk -v id="$1" '/^[0-9]/ { on = $1 == id } on' all.txt; }
has() { block "$1" | grep -qF -- "$2" || { block "$1"; return 1; }; }
lacks() { ! has "$@" >/dev/null; }
# The ids of the rows that are in the catalogue.
catalogued() {
    awk '/^[0-9]/ { id[++n] = $1 } { text[n] = text[n] " " $0 }
        END { for (i = 1; i <= n; i++) { gsub(/ +/, " ", text[i]); if (text[i] !~ /not in the catalogue/) print id[i] } }' all.txt | xargs
}
row() { awk -v f="$1" '$1 == f { print $2, $3, $4, $5 }' coverage.txt; }

check 'every row is there, once, in the order of its id' \
    equal ids '16 17 17b 167 287 339 340' "$(catalogued)"
check 'a row with title and family' has 340 'Something else [decoding]'
check 'a row that nothing is about has one line' equal lines 1 "$(block 340 | wc -l)"
check 'a mechanism by its descriptor' has 287 'mechanism    model/blockwise'
check 'a mechanism by the study of its experiment' has 339 'mechanism    study/rebasin'
check 'an experiment with its minutes' has 16 'experiment   gates: Do gates count?, about 3 min'
check 'a verdict with interval, seeds and minutes' has 16 'gates/they-do: 0.9 [0.8, 1], 10 seeds, 3.5 min'
check 'of an experiment about two rows, in both' has 17b 'gates/they-do'
check 'but not in a row whose id begins alike' lacks 17 'gates'
check 'coverage: mechanism, experiment, answer' equal linear-attention '2 0 1 1' "$(row linear-attention)"
check 'coverage: an undecided verdict is no answer' equal other '1 1 1 0' "$(row other)"
check 'coverage: a mechanism without an experiment' equal decoding '2 1 0 0' "$(row decoding)"
check 'coverage has no rows of papers' fails grep -q 'Blockwise' coverage.txt
json() { papers "$@" --json >out.json && python3 -c 'import json; d = json.load(open("out.json")); print(eval("'"$check_json"'"))'; }
if command -v python3 >/dev/null; then
    check_json='[x[\"verdicts\"][0][\"low\"] for x in d if x[\"id\"] == \"17b\"]'
    check 'JSON: rows' equal low "['0.8']" "$(json)"
    check_json='[x[\"answered\"] for x in d if x[\"family\"] == \"all\"]'
    check 'JSON: coverage' equal answered '[2]' "$(json --coverage)"
else
    skip 'JSON: rows' 'no python3 here'
    skip 'JSON: coverage' 'no python3 here'
fi

refuses() { local pattern=$1; shift; "$@" >out 2>&1 && return 1; cat out; grep -q "$pattern" out && [ "$(wc -l <out)" = 1 ]; }
sed -i 's/^papers = 339/papers = 339, 901/' home/experiments/nets.ini
papers >all.txt
check 'an id that is not in the catalogue is said' has 901 'not in the catalogue'
printf '340\tTwice\ttwice\tdecoding\n' >>home/doc/catalogue.tsv
check 'a catalogue with an id twice is refused by line' refuses 'catalogue\.tsv:9: .*twice' papers
sed -i '$s/.*/341\tShort/' home/doc/catalogue.tsv
check 'a line with too few columns is refused' refuses 'catalogue\.tsv:9: ' papers --coverage
rm home/doc/catalogue.tsv
check 'no catalogue is refused by name' refuses 'catalogue\.tsv' papers
sed -i '2s/\tabc//' results/ledger.tsv
cp "$real_home/doc/catalogue.tsv" home/doc/
check 'a damaged ledger is refused by line' refuses 'ledger\.tsv:2: ' papers

# The report's index has a row a paper, in the order of their ids.
ln -s "$real_home/plots" home/plots
sed -i 's/^papers = 339, 901/papers = 1/' home/experiments/nets.ini
small home/experiments/two.ini 2
sed -i '2s/$/\npapers = 17b, 16, 167/' home/experiments/two.ini
check 'an experiment about three rows runs' run two reported
check 'a report of it' "$ASSAY" report --results reported
check 'its index: rows by id' equal ids '16 17b 167' \
    "$(sed -n 's/^<tr><td>\([0-9a-z]*\)<.*/\1/p' reported/report/index.html | xargs)"

export ASSAY_HOME=$real_home
"$ASSAY" papers --results empty --coverage >coverage.txt || bad=1
check "the program's own catalogue has 350 rows" equal rows 350 "$(row all | cut -d' ' -f1)"
check 'and nothing here is about a row that it has not' fails grep -q 'not in the catalogue' coverage.txt
echo "1..$count"
exit $bad
