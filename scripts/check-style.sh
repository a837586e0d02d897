#!/bin/sh
# check-style.sh [SRCDIR]: the rules of the house that a machine can check.  Prints FILE:LINE: what, and fails; lines
# that begin with "warning:" do not fail.  Also a test of make check, one case a rule would only be noise.
LC_ALL=C; export LC_ALL
cd -- "${1-${ASSAY_HOME-.}}" || exit 2
dirs=
for d in bench core datasets driver fuzz impl include tests; do [ ! -d $d ] || dirs="$dirs $d"; done
# shellcheck disable=SC2086
find $dirs -type f \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) | sort | xargs -r awk '
function bad(why) { print FILENAME ":" FNR ": " why; failed++ }
function warn(why) { print "warning: " FILENAME ":" FNR ": " why }

# The code of a line: comments and the inside of literals taken out.
function code(s,    out, c, d, i, n) {
    if (!comment && s !~ /["\047\/]/) return s
    out = ""; n = length(s); i = 1
    while (i <= n) {
        c = substr(s, i, 1); d = substr(s, i, 2)
        if (comment) { if (d == "*/") { comment = 0; i += 2 } else i++; continue }
        if (d == "/*") { comment = 1; i += 2; continue }
        if (d == "//") break
        if (c == "\"" || c == "\047") {
            for (i++; i <= n && substr(s, i, 1) != c; i++) if (substr(s, i, 1) == "\\") i++
            i++; out = out c c; continue
        }
        out = out c; i++
    }
    return out
}

# A function whose signature carries real, a node, a tape or a layer exists twice: its name must go through AS_REAL.
function declaration(s,    name) {
    if (s ~ /^(static|typedef|extern|#)/ || s !~ /^[a-z][a-z0-9_ *]*[ *]as_[a-z0-9_]+\(/) return
    if (s !~ /(^|[^a-z0-9_])(real|as_node|as_tape|as_layer)([^a-z0-9_]|$)/) return
    name = s; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
    if (!((FILENAME, name) in row)) bad(name " carries real, a node, a tape or a layer, and has no row with AS_REAL")
}

function include(line,    h, quoted, folder, parts) {
    quoted = line ~ /"/
    h = line; sub(/^[^<"]*[<"]/, "", h); sub(/[>"].*/, "", h)
    if (plugin) {
        if (quoted) { if (h ~ /\//) bad("a plug-in includes in quotes only a header beside it, not " h) }
        else if (h ~ /^immintrin\.h$/) { if (FILENAME !~ /\.(avx2|avx512)\.c$/) bad("intrinsics belong in NAME.avx2.c or NAME.avx512.c") }
        else if (h !~ /^assay\/[a-z0-9_]+\.h$/ && !(h in standard)) bad("a plug-in includes <assay/...> and C standard headers only, not " h)
    }
    if (h == "hdf5.h" && FILENAME ~ /^(core|driver|include|impl|datasets)\// && FILENAME != "driver/h5.c") bad("only driver/h5.c knows HDF5")
    if (h in wrapped && FILENAME !~ /^(tests|bench)\//) {
        if (FILENAME !~ /^core\/(lib|kernel)\//) bad(h " is included below core/lib/ or core/kernel/ only")
        else if (h in wrapper && wrapper[h] != FILENAME) bad(h " is wrapped by " wrapper[h] " already; one file a library")
        else wrapper[h] = FILENAME
    }
}

BEGIN {
    n = split("assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg " \
        "stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype", a, " ")
    for (i = 1; i <= n; i++) standard[a[i] ".h"] = 1
    n = split("dnnl.h cblas.h fftw3.h sleef.h", a, " ")
    for (i = 1; i <= n; i++) wrapped[a[i]] = 1
}
FNR == 1 {
    comment = 0; begun = 0; open_decl = ""
    plugin = FILENAME ~ /^(impl|datasets)\//
    core = FILENAME ~ /^core\//
    kernel = FILENAME ~ /\/kernel\// || FILENAME ~ /^impl\/[^\/]*\/[^\/.]*\.[^\/]*\.c$/
    header = FILENAME ~ /^(include\/assay|core)\/.*\.h$/
}
FNR == 451 && !kernel { bad("more than 450 lines") }
/\t/ { bad("a tab") }
/[ \t\r]$/ { bad("space at the end of the line") }
/(^|[^A-Za-z0-9_])(TODO|FIXME|XXX)([^A-Za-z0-9_]|$)/ { bad("an open end: finish it") }
{ text = $0; was = comment; s = code(text) }
s ~ /assert_(not_)?(float|double)_(not_)?equal/ { bad("cmocka takes NaN for equal to anything: compare, and assert_true()") }
!was && text ~ /^[ \t]*#[ \t]*include/ { include(text) }
# A stream that the caller hands over is fine; and an error that nobody can be told of has one place.
core && s ~ /(^|[^A-Za-z0-9_])((v?printf|puts|putchar|perror|exit|_exit|_Exit|quick_exit|abort)[ ]*\(|stdout|stderr)/ {
    if (FILENAME != "core/error.c" || s !~ /abort *\(/) bad("core prints nothing and never exits") }
header && s ~ /^#[ ]*define[ ]+as_[a-z0-9_]+[ ]+AS_REAL\(/ { split(s, w, /[ ]+/); row[FILENAME, w[2]] = 1 }
header {
    if (open_decl != "") open_decl = open_decl " " s
    else if (s ~ /^[a-z].*[ *]as_[a-z0-9_]+\(/) open_decl = s
    if (open_decl ~ /[;{]/) { declaration(open_decl); open_decl = "" }
}
s ~ /^\{/ { begun = FNR }
s ~ /^\}/ {
    if (begun && FNR - begun > 60 && !kernel) warn("a function of " FNR - begun " lines")
    begun = 0
}
END { exit failed > 0 }
' /dev/null || exit 1
