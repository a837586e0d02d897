#!/bin/bash
# What `run` does with plug-ins that fail their checks, and what is remembered of those that pass. With the program that
# has the mocks, so that there is something to fail.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
mocks=$ASSAY_BUILD/assay-mocks
[ -x "$mocks" ] || { skip 'runs and checks' 'assay-mocks is not built'; echo "1..$count"; exit 0; }
ASSAY=$mocks
small good.ini 20
sed -i '/^\[arm deltanet\]/,/^mixer.heads/d; /^\[arm softmax\]/,/^mixer.heads/d' good.ini
sed 's/^rule .*/rule = mock\/decay-twice/' good.ini >bad.ini
remembered() { find "$HOME/.cache/assay/checks" -name "$1" 2>/dev/null | wc -l; }

# A rule that fails: refused, with the check and the line that repeats it; nothing was made.
run "$PWD/bad.ini" results >refused.log 2>&1
status=$?
check 'a failing rule refuses the run with status 2' equal status 2 $status
check 'says which check' grep -q 'mock/decay-twice fails the check rule-decay: ' refused.log
check 'and how to repeat it' grep -q 'again: assay check mock/decay-twice --only rule-decay' refused.log
check 'and how to go on' grep -q -- '--unchecked' refused.log
check 'no folder was made' test ! -e results
check 'the failure is not remembered' equal passes 0 "$(remembered 'mock--decay-twice-*')"
check 'what passed beside it is' test "$(remembered '*--*')" -gt 0

# All the same: then everything says so.
run "$PWD/bad.ini" results --unchecked >unchecked.log 2>&1
check 'with --unchecked it runs' equal status 0 $?
says='NOT CHECKED.*mock/decay-twice (rule-decay'
check 'the table says so' grep -q "$says" unchecked.log
check 'cells.tsv says so' grep -q "$says" results/bad/cells.tsv
check 'the figure says so' grep -q "$says" results/bad/figures/extrapolation.gp
check 'csv says so' grep -q 'mock/decay-twice (rule-decay' <("$ASSAY" export "$PWD/bad.ini" --results results --csv)
check 'md says so' grep -q "$says" <("$ASSAY" export "$PWD/bad.ini" --results results --md)
check 'it cannot be accepted' fails "$ASSAY" accept "$PWD/bad.ini" --results results

# One that passes runs, is remembered, and then costs nothing.
run "$PWD/good.ini" results >first.log 2>&1
check 'a run whose plug-ins pass goes through' equal status 0 $?
check 'and says nothing of it' fails grep -q 'NOT CHECKED' first.log
run "$PWD/good.ini" results >second.log 2>&1
check 'the second time nothing is checked' fails grep -q '^checking' second.log
check 'a check of the same is instant' grep -q 'checked before' <("$ASSAY" check recurrent/lstm)
check 'but not when one check is asked for' fails grep -q 'checked before' <("$ASSAY" check lstm --only descriptor)
echo "1..$count"
exit $bad
