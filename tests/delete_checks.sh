#!/bin/bash
# make check-deletion: deletes each check in turn, in a copy of the tree, and sees that the suite of mocks fails and says
# which check is missing. By hand, for it links the suite once for each check; not part of make check.
. "${ASSAY_HOME:?is set by make check-deletion}/tests/common.sh"
suite() { bash "$tree/scripts/run-test" "$made/tests/test_mocks.t" "$@"; }
build() {
    MAKEFLAGS='' MFLAGS='' make -C "$made" -s -o Makefile -o config.h -o "$tree/Makefile.in" -o "$tree/configure" \
        tests/test_mocks.t >make.log 2>&1 || { tail -n 20 make.log; return 1; }
}
missed() { # missed CHECK: each mock that names it fails by its name
    local mock n=0
    for mock in $(grep -lF ".caught_by = \"$1\"," "$tree"/impl/mock/*.c); do
        suite "$(basename "$mock" .c)" >out 2>&1
        cat out
        grep -q "^not ok .*must be caught by the check $1, which is not there" out || return 1
        n=$((n + 1))
    done
    [ $n -gt 0 ]
}
without() { # without CHECK
    mv "$tree/driver/check/$1.c" "$work/kept.c" && build && missed "$1"
    local status=$?
    mv "$work/kept.c" "$tree/driver/check/$1.c"
    return $status
}

check 'the sources and the build can be copied' scratch "$work/copy"
export ASSAY_HOME=$tree
check 'the suite builds in the copy' build
for file in "$tree"/driver/check/*.c; do
    name=$(basename "$file" .c)
    check "without the check $name the suite fails and names it" without "$name"
done
check 'with all of them back the suite builds' build
same_table() { "$made/tests/test_mocks.t" peeks; }
check 'and passes for one' same_table
echo "1..$count"
exit $bad
