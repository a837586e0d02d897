#!/bin/bash
# The plug-ins that are wrong on purpose are in assay-mocks and nowhere else; what a check says of one; and the table of
# doc/conformance.md against the program. That each is caught by the check it names: test_mocks.c.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
mocks=$ASSAY_BUILD/assay-mocks

unknown() { "$ASSAY" list >out 2>&1; ! grep -q 'mock' out && ! "$ASSAY" check mock/peeks >out 2>&1 && grep -q 'no plug-in' out; }
check 'the program does not know them' unknown
unlisted() { "$mocks" list >out 2>&1 || return; cat out; ! grep -qw 'peeks' out; }
check 'the program that has them does not list them' unlisted
refuses() {
    "$mocks" check mock/peeks --only causal >out 2>&1
    [ $? = 1 ] && cat out && grep -q 'FAIL *mock/peeks' out && grep -q 'failed: causal' out &&
        grep -q 'check mock/peeks --only causal' out
}
check 'a check says which plug-in, which check, and how to repeat it' refuses
table() {
    "$ASSAY" check --list --json >list.json && bash "$ASSAY_HOME/scripts/conformance-table" <list.json >table &&
        sed -n '/^| check |/,/^$/p' "$ASSAY_HOME/doc/conformance.md" | sed '/^$/d' >there && diff there table
}
check 'doc/conformance.md has the table that scripts/conformance-table makes of assay check --list --json' table
exit $bad
