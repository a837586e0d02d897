#!/bin/bash
# Every plug-in against every check of `assay check`: one case a plug-in. What a check found wrong follows its case.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
"$ASSAY" check >all.txt 2>errors.txt
status=$?
awk '
/^(pass|FAIL|-) / { n++; name = $2 }
/^pass / { rest = $0; sub(/^pass +[^ ]+ +/, "", rest); print "ok " n " - " name ": " rest; cases++ }
/^- /    { print "ok " n " - " name " # SKIP no check is for it" }
/^FAIL / { print "not ok " n " - " name; cases++ }
/^ /     { print "#" $0 }
END      { print "1.." n; exit n < 20 }' all.txt || bad=1
sed 's/^/# /' errors.txt
# 1: a check failed, and its line says which.
[ $status = 0 ] || bad=1
exit $bad
