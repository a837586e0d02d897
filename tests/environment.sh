#!/bin/bash
# Surroundings that must change nothing: locale, time zone, umask, blanks in paths, a narrow terminal or none, closed
# standard files; and SIGINT. The digests are the same in all of them.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
small small.ini
check 'the run to compare with ends well' run "$PWD/small.ini" plain
there() { same "$PWD/small.ini" "$1" plain; }

# A locale with a decimal comma: an installed one, or one made here.
commas() { [ "$(LC_ALL=$1 LOCPATH=${2-$LOCPATH} bash -c 'printf %.1f 1,5' 2>/dev/null)" = 1,5 ]; }
comma=
for l in $(locale -a 2>/dev/null | grep -iE '^(de|fr|nl|pl|ru)_.*utf-?8$'); do [ -n "$comma" ] || ! LOCPATH= commas "$l" '' || comma=$l; done
if [ -z "$comma" ] && command -v localedef >/dev/null && mkdir locales &&
    localedef -i de_DE -f UTF-8 locales/de_DE.UTF-8 >/dev/null 2>&1; then
    export LOCPATH=$PWD/locales
    # In a build with sanitizers: setlocale() of glibc loses its copy of LOCPATH.
    printf 'leak:argz_add_sep\n' >lsan.supp
    export LSAN_OPTIONS=${LSAN_OPTIONS:+$LSAN_OPTIONS:}suppressions=$PWD/lsan.supp:print_suppressions=0
    commas de_DE.UTF-8 && comma=de_DE.UTF-8
fi
if [ -n "$comma" ]; then
    in_comma() { LC_ALL=$comma LANG=$comma run "$PWD/small.ini" comma >comma.out 2>&1 || { cat comma.out; return 1; }; there comma; }
    check "a locale with a decimal comma ($comma)" in_comma
    points() { ! grep -nE '[0-9],[0-9]{1,2}([^0-9]|$)' comma/small/cells.tsv comma/small/figures/*.tsv; }
    check 'writes decimal points' points
    said() { run "$PWD/small.ini" plain | grep -v '^took'; }
    same_words() { said >said.plain && LC_ALL=$comma LANG=$comma said >said.comma && [ -s said.plain ] && diff said.plain said.comma; }
    check 'prints the same tables' same_words
    draws() { cmp comma/small/figures/extrapolation.gp plain/small/figures/extrapolation.gp && { ! [ -e plain/small/figures/extrapolation.svg ] || cmp comma/small/figures/extrapolation.svg plain/small/figures/extrapolation.svg; }; }
    check 'and draws the same figure' draws
else
    skip 'a locale with a decimal comma' 'none is installed, and localedef cannot make one (package locales)'
fi
elsewhere() { TZ=$1 run "$PWD/small.ini" "zone-$2" && there "zone-$2"; }
check 'the time zone of Kathmandu' elsewhere Asia/Kathmandu 1
check 'a time zone that is a rule' elsewhere 'XXX-13:45YYY,M3.2.0,M11.1.0' 2

masked() { (umask 077; run "$PWD/small.ini" masked) && there masked; }
check 'umask 077' masked
modes() { equal 'modes of what was written' '600 700' "$(find masked -exec stat -c %a {} + | sort -u | tr '\n' ' ' | sed 's/ $//')"; }
check 'is obeyed' modes

# Blanks, quotes and letters beyond ASCII in every path.
odd="a b's ü"
mkdir -p "$odd/experiments x" "$odd/tmp"
cp small.ini "$odd/experiments x/small.ini"
spaces() {
    ASSAY_DATA="$PWD/$odd/data" TMPDIR="$PWD/$odd/tmp" run "$PWD/$odd/experiments x/small.ini" "$PWD/$odd/results" >spaces.out 2>&1 ||
        { cat spaces.out; return 1; }
    there "$odd/results"
}
check 'blanks and quotes in the paths of results and experiment' spaces
draws_there() { ! [ -s plain/small/figures/extrapolation.svg ] || [ -s "$odd/results/small/figures/extrapolation.svg" ]; }
check 'the figure is drawn there' draws_there
verified() {
    TMPDIR="$PWD/$odd/tmp" "$ASSAY" verify "$PWD/$odd/experiments x/small.ini" --results "$PWD/$odd/results" --jobs 2
}
check 'and cells verify with a temporary folder like that' verified
sed 's/^source = parity/source = tiny-shakespeare/; /^length/d; /^labels/d; s/^metrics.*/metrics = bpc/; /^\[eval/,$d; s/classifier/lm/' small.ini >"$odd/text.ini"
mkdir -p "$odd/mirror/tiny-shakespeare" && echo no >"$odd/mirror/tiny-shakespeare/input.txt"
named() {
    ASSAY_MIRROR="$PWD/$odd/mirror" ASSAY_DATA="$PWD/$odd/data" "$ASSAY" plan "$PWD/$odd/text.ini" >out 2>&1
    [ $? != 0 ] && cat out && grep -qF "$odd/mirror/tiny-shakespeare/input.txt" out
}
check 'a mirror with blanks is searched' named

# Terminals. script(1) gives a pseudo-terminal; COLUMNS is for programs that believe it, stty for those that ask.
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    quoted=$(printf '%q ' "$ASSAY" run "$PWD/small.ini" --results terminal --jobs 2)
    in_terminal() { script -qec "stty cols 40 rows 20; COLUMNS=40 $quoted" typescript </dev/null >/dev/null; }
    check '40 columns: runs in a terminal' in_terminal
    check '40 columns: digests are the same' there terminal
    # What is drawn again in place must fit, or the terminal fills with copies of it.
    fits() {
        tr -d '\000' <typescript | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' | tr '\r' '\n' >lines
        LC_ALL=C.UTF-8 awk '/[0-9]+\/[0-9]+/ && /%|left|running|min/ && length($0) > 40 { print "too long: " $0; bad = 1 } END { exit bad }' lines
    }
    check '40 columns: no progress line is longer' fits
    grep -c . lines >/dev/null
    width_zero() { script -qec "stty cols 0 rows 0; $(printf '%q ' "$ASSAY" run "$PWD/small.ini" --results zero --jobs 2)" /dev/null </dev/null >/dev/null && there zero; }
    check 'a terminal that does not know its width' width_zero
else skip 'terminals of 40 and 0 columns' 'script(1) gives no pseudo-terminal here'; fi
dumb() { TERM=dumb setsid "$ASSAY" run "$PWD/small.ini" --results dumb --jobs 2 </dev/null >dumb.out 2>&1 && there dumb; }
check 'no terminal at all' dumb
check 'without one, no control characters are printed' fails grep -q "$(printf '[\033\r\b]')" dumb.out

closed_in() { "$ASSAY" run "$PWD/small.ini" --results closed-in --jobs 2 <&- && there closed-in; }
check 'closed standard input' closed_in
closed_out() { # it cannot say what it was asked to say: a status other than 0 is right; the cells are what counts
    "$ASSAY" run "$PWD/small.ini" --results closed-out --jobs 2 >&- 2>closed.err
    local status=$?
    cat closed.err
    { [ $status = 0 ] || [ $status = 4 ]; } && there closed-out
}
check 'closed standard output' closed_out
closed_all() { "$ASSAY" run "$PWD/small.ini" --results closed-all --jobs 2 <&- >&- 2>&-; there closed-all; }
check 'all standard files closed' closed_all
check 'and no record holds a message' fails grep -rqla 'training 1/6' closed-all closed-out
full_out() { "$ASSAY" run "$PWD/small.ini" --results full-out --jobs 2 >/dev/full 2>full.err; [ $? = 4 ] && cat full.err && grep -q 'standard output' full.err && there full-out; }
if [ -c /dev/full ]; then check 'a standard output that is full is said, and the cells are kept' full_out; fi

# SIGINT, as Ctrl-C sends it to the whole group: the way on is printed, the status is 130, the cells are gone.
small long.ini 3000
cp long.ini small.ini
check 'a longer run to compare with ends well' run "$PWD/small.ini" long --seeds 0
set -m                                   # else a shell starts background jobs with SIGINT ignored
"$ASSAY" run "$PWD/small.ini" --results "$odd/stopped" --jobs 2 --seeds 0 >stopped.log 2>&1 </dev/null &
driver=$!
set +m
until_true 30 sh -c 'ls */stopped/small/underway/*.job'
sleep 0.3
cells=$(children $driver)
kill -INT -- -$driver
wait $driver
status=$?
check 'SIGINT came while cells were running' test -n "$cells"
check 'SIGINT: they stop before their end' test "$(files "$odd/stopped/small/cells" '*.h5')" -lt 3
check 'SIGINT: status 130' equal status 130 $status
# shellcheck disable=SC2086
check 'SIGINT: the cells are gone' gone $cells
check 'SIGINT: how to go on is said, blanks and quotes and all' grep -q 'To go on: .*small.ini.*--results .*/stopped' stopped.log
on=$(sed -n 's/.*To go on: //p' stopped.log)
goes_on() { # the line itself, with the program or the script that it names
    echo "$on"
    case $on in ./run_experiment*) on="'$ASSAY' run${on#./run_experiment}" ;; assay*) on="'$ASSAY'${on#assay}" ;; esac
    (eval "$on") </dev/null
}
check 'SIGINT: that line goes on and ends well' goes_on
check 'SIGINT: to the same bits' same "$PWD/small.ini" "$odd/stopped" long
exit $bad
