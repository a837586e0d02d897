# shellcheck shell=bash disable=SC2034
# common.sh: what the scripts of the acceptance list share. Sourced, not run: it is not executable, so make check
# passes it over. Gives a folder of its own ($work, the working folder), cases in TAP, and a small experiment.
set -u
: "${ASSAY:?is set by make check}" "${ASSAY_HOME:?is set by make check}" "${ASSAY_BUILD:?is set by make check}"
unset ASSAY_RESULTS ASSAY_DATA ASSAY_MIRROR ASSAY_CHECKPOINT_SECONDS XDG_CACHE_HOME
work=$(mktemp -d "${TMPDIR:-/tmp}/accept.XXXXXX") || exit 99
export HOME="$work"                     # caches go there too
at_end=:                                # what a script has to undo, mounts for instance
trap '$at_end; rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 99

count=0 bad=0
# check WHAT MUST HOLD, COMMAND...: one case. What the command says is shown when it fails.
check() {
    local what=$1 status
    shift
    count=$((count + 1))
    "$@" >"$work/check.log" 2>&1
    status=$?
    if [ $status = 0 ]; then echo "ok $count - $what"; return; fi
    bad=1
    echo "not ok $count - $what"
    { echo "status $status of: $*"; tail -n 40 "$work/check.log"; } | sed 's/^/# /'
}
skip() { count=$((count + 1)); echo "ok $count - $1 # SKIP $2"; }
fails() { ! "$@"; }

# equal WHAT EXPECTED SEEN: says both when they differ.
equal() { [ "$2" = "$3" ] || { printf '%s:\nexpected %s\nseen     %s\n' "$1" "$2" "$3"; return 1; }; }

# small FILE [STEPS]: three arms, two seeds, a second or two of work.
small() {
    cat >"$1" <<INI
[experiment]
title = A small one
[data]
source = parity
length = 3..16
labels = every
[model]
model = classifier
block = prenorm
ffn   = none
depth = 1
width = 16
[train]
rule  = adamw
lr    = 1e-2
steps = ${2-100}
batch = 16
eval_every = 50
[valid]
examples = 32
[test]
metrics  = accuracy, ce
examples = 64
[vary]
seed = 0..1
[arm lstm]
mixer = lstm
[arm deltanet]
mixer = deltanet
mixer.heads = 2
[arm softmax]
mixer = softmax
mixer.heads = 2
[eval long]
data.length = 20, 40
[claim gates-count]
that   = long.accuracy[arm=lstm, long.length=20] >= 0.4
source = proposal
[figure extrapolation]
kind = curve
x    = long.length
y    = long.accuracy
by   = arm
INI
}

# run FILE RESULTS [OPTIONS]: two at a time, without input.
run() { local file=$1 results=$2; shift 2; "$ASSAY" run "$file" --results "$results" --jobs 2 "$@" </dev/null; }

# All that must be the same bits again: every row of cells.tsv without its seconds (digests are in it), and every
# metric with all its digits.
exact() { # exact FILE RESULTS
    local name
    name=$(basename "$1" .ini)
    awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "seconds") drop = i; if (!drop) exit 1 }
        { $drop = ""; print }' OFS='\t' "$2/$name/cells.tsv" &&
    "$ASSAY" export "$1" --results "$2" --csv
}
same() { # same FILE RESULTS REFERENCE: and there is something to compare
    [ "$(grep -c '	ok	' "$3/$(basename "$1" .ini)/cells.tsv")" -gt 0 ] || return 1
    diff <(exact "$1" "$2") <(exact "$1" "$3")
}

# The column of that name of cells.tsv, of the rows in which the column KEY has the value VALUE.
column() { # column CELLS_TSV NAME [KEY VALUE]
    awk -F '\t' -v name="$2" -v key="${3-}" -v value="${4-}" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        key == "" || $at[key] == value { print $at[name] }' "$1"
}

# A number of a record, without HDF5's tools, which nobody is made to install: the attribute's name and a zero, its type
# (a little-endian double, 20 bytes), its shape (one number), and then the eight bytes.
number() { # number RECORD NAME
    local name hex
    name=$(printf '%s' "$2" | od -An -v -tx1 | tr -d ' \n')
    hex=$(od -An -v -tx1 "$1" | tr -d ' \n' |
        grep -oE "${name}00[13]1203f000800000000004000340b0034ff03000002000000[0-9a-f]{16}" | head -n 1)
    [ -n "$hex" ] || { echo "no number $2 in $1" >&2; return 1; }
    hex=$(printf '%s' "$hex" | tail -c 16 | sed 's/../\\x&/g')
    # shellcheck disable=SC2059
    printf "$hex" | od -An -tf8 | tr -d ' '
}

# The cells of a driver: its children, found in /proc, for ps and pgrep may not be there.
children() { # children PID
    local stat line
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        line=${line##*) ? }
        [ "${line%% *}" != "$1" ] || { stat=${stat%/stat}; echo "${stat#/proc/}"; }
    done
}
alive() { [ -d "/proc/$1" ] && ! grep -q '^State:.*[ZX] ' "/proc/$1/status" 2>/dev/null; }
# gone PID...: within two seconds
gone() {
    local pid left
    for _ in $(seq 40); do
        left=
        for pid; do ! alive "$pid" || left="$left $pid"; done
        [ -n "$left" ] || return 0
        sleep 0.05
    done
    echo "still there:$left"
    return 1
}
# until_true SECONDS COMMAND...
until_true() {
    local n=$(($1 * 50))
    shift
    while ! "$@" >/dev/null 2>&1; do n=$((n - 1)); [ $n -gt 0 ] || return 1; sleep 0.02; done
}
files() { find "$1" -name "$2" 2>/dev/null | wc -l; }

# A copy of the sources and of the build, in which single files are compiled anew: seconds instead of minutes.
# Sets $tree and $made (its program is $made/assay).
scratch() { # scratch FOLDER
    local d src
    tree=$1/tree made=$1/made
    mkdir -p "$tree" "$made" || return
    for d in bench build-aux core datasets driver experiments impl include plots scripts tests; do
        [ ! -d "$ASSAY_HOME/$d" ] || cp -Rp "$ASSAY_HOME/$d" "$tree/" || return
    done
    chmod -R u+w "$tree"
    cp -Rp "$ASSAY_BUILD/obj" "$ASSAY_BUILD/Makefile" "$ASSAY_BUILD/config.h" "$ASSAY_BUILD"/libassay.a* "$ASSAY_BUILD/assay" "$made/" || return
    chmod -R u+w "$made"
    src=$(sed -n 's/^srcdir = //p' "$made/Makefile")
    # Paths of the sources in the Makefile and in what the compiler noted about headers.
    sed -i -E "s#^(srcdir|top_srcdir|abs_srcdir|abs_top_srcdir|VPATH) = .*#\1 = $tree#
        s#^(abs_builddir|abs_top_builddir) = .*#\1 = $made#" "$made/Makefile"
    if [ "$src" = . ]; then
        find "$made/obj" -name '*.d' -exec sed -i -E "s#(^| )(bench|core|datasets|driver|impl|include|tests)/#\1$tree/\2/#g" {} +
    else
        find "$made/obj" -name '*.d' -exec sed -i -E "s#(^| )$src/#\1$tree/#g" {} +
    fi
}
# build_scratch [VARIABLE=VALUE]: with what was compiled listed in $work/compiled. Automake's own rules stay out of it,
# and so does a `make -s` that called us: it would say nothing of what it compiles.
build_scratch() {
    MAKEFLAGS='' MFLAGS='' make -C "$made" V=1 -j2 -o Makefile -o config.h -o "$tree/Makefile.in" -o "$tree/configure" assay "$@" >"$work/make.log" 2>&1 ||
        { tail -n 30 "$work/make.log"; return 1; }
    grep -oE -- '-c -o [^ ]+' "$work/make.log" | sed 's/-c -o //' >"$work/compiled"
    return 0
}
