#!/bin/bash
# What is wrong is refused: one line on standard error that names the thing and the way out, a status that is not 0, and
# no finished record touched; once it is right again, the run goes on.
. "${ASSAY_HOME:?is set by make check}/tests/common.sh"
small small.ini
check 'the experiment is well as it is' run "$PWD/small.ini" results
mkdir cases
identity() { find results -path '*/underway' -prune -o -type f -exec stat -c '%n %i %y %s' {} + | sort; }
identity >before

# refuses STATUS PATTERN... -- COMMAND...: that status, one line on standard error, with every pattern in it.
refuses() {
    local want=$1 status patterns=()
    shift
    while [ "$1" != -- ]; do patterns+=("$1"); shift; done
    shift
    "$@" >out 2>err </dev/null
    status=$?
    echo "standard output:"; head -n 5 out; echo "standard error:"; cat err
    equal status "$want" "$status" || return
    equal 'lines on standard error' 1 "$(wc -l <err)" || return
    for p in "${patterns[@]}"; do grep -qe "$p" err || { echo "nothing in it like: $p"; return 1; }; done
    equal 'length of the line is below 400' 1 "$(($(wc -c <err) < 400))"
}
untouched() { identity >after; diff before after; }
assay_run() { "$ASSAY" run "$@" --results results --jobs 2; }

# wrong WHAT SED-EXPRESSION PATTERN...: an experiment file changed so is refused, with status 2 and its name.
wrong() {
    local what=$1 edit=$2
    shift 2
    sed "$edit" small.ini >cases/small.ini
    if cmp -s small.ini cases/small.ini; then check "$what: the edit changes the file" false; return; fi
    check "$what" refuses 2 'small\.ini' "$@" -- assay_run ./cases/small.ini
}
wrong 'misspelt key of the model' 's/^width/widht/' widht 'width'
wrong 'misspelt key of training' 's/^steps/stesp/' stesp steps
wrong 'misspelt option in an arm' 's/^mixer.heads/mixer.haeds/' 'mixer\.haeds' 'mixer\.heads\|heads'
wrong 'misspelt option of the data' 's/^labels/lables/' lables labels
wrong 'misspelt section' 's/^\[train\]/[trian]/' trian train
wrong 'misspelt key of a claim' 's/^source = proposal/sourec = proposal/' sourec source
wrong 'misspelt key of a figure' 's/^y    = long.accuracy/&\nxsclae = log/' extrapolation xsclae xscale
wrong 'misspelt key of the experiment' 's/^title/titel/' titel title
wrong 'option out of range' 's/^mixer.heads = 2/mixer.heads = 0/' 'mixer\.heads' '0' '1 to \|at least 1\|range'
wrong 'width out of range' 's/^width = 16/width = -4/' width '-4'
wrong 'steps out of range' 's/^steps = .*/steps = -1/' steps '-1'
wrong 'a word where a number should be' 's/^steps = .*/steps = many/' steps many
wrong 'a decimal comma' 's/^lr .*/lr = 0,01/' lr
wrong 'a range upside down' 's/^length = .*/length = 16..3/' length '16\.\.3'
wrong 'a shape that cannot be' 's/^mixer.heads = 2/mixer.heads = 3/' heads 3
wrong 'a value that is no choice' 's/^labels = every/labels = evry/' labels evry every
wrong 'unknown variant' 's/^mixer = lstm/mixer = lstn/' lstn lstm
wrong 'unknown source' 's/^source = parity/source = partiy/' partiy parity
wrong 'unknown rule' 's/^rule  = adamw/rule = adamvw/' adamvw adamw
wrong 'unknown metric of the test' 's/^metrics  = accuracy/metrics = acuracy/' acuracy accuracy
wrong 'unknown implementation' 's/^mixer = lstm/&\nmixer.impl = fsued/' fsued fused
wrong 'claim with an open axis' 's/, long.length=20\]/]/' gates-count 'long\.length' '20, 40'
wrong 'claim with an open arm' 's/arm=lstm, //' gates-count 'arm' lstm
wrong 'claim with an unknown metric' 's/that   = long.accuracy/that = long.acuracy/' gates-count acuracy accuracy
wrong 'claim with an unknown value' 's/long.length=20/long.length=30/' gates-count 30
wrong 'claim that does not parse' 's/>= 0.4/=> 0.4/' gates-count
wrong 'claim without a source' '/^source = proposal/d' gates-count 'comes from\|source'
wrong 'over-long line' "s/^title = .*/title = $(printf 'x%.0s' $(seq 220))/" ':2:' 199
wrong 'indented line' 's/^depth = 1/  depth = 1/' ':11:' 'blank\|indent'
wrong 'repeated key' 's/^depth = 1/&\ndepth = 2/' ':12:' depth 'second time' 'remove one'
wrong 'repeated section' 's/^\[test\]/[valid]/' valid 'second time' 'join the two'
wrong 'line without =' 's/^depth = 1/depth 1/' ':11:'
wrong 'value with bytes that are no UTF-8' 's/^title = .*/title = \xff\xfe/' ':2:' UTF-8
wrong 'an axis that stands in the base too' 's/^\[vary\]/&\nwidth = 8, 16/' width
check 'misspelt --set' refuses 2 widht width -- assay_run ./small.ini --set widht=8
check 'misspelt option of the command' refuses 2 '--jbos' '--jobs' -- "$ASSAY" run ./small.ini --jbos 2
check 'misspelt command' refuses 2 rnu 'run' -- "$ASSAY" rnu ./small.ini
check 'missing experiment file' refuses 2 'nothing\.ini' -- assay_run ./nothing.ini
check 'misspelt experiment' refuses 2 paritty 'parity' -- assay_run paritty
check 'a folder for an experiment file' refuses 2 'cases' -- assay_run ./cases
check 'an empty experiment file' refuses 2 'empty\.ini' -- sh -c ': >empty.ini; exec "$0" run ./empty.ini --results results' "$ASSAY"
check 'nothing of all that touched the results' untouched

# Records that are damaged, in several ways: named, kept, and after their removal made again.
record=$(find results/small/cells -name '*.h5' | sort | head -n 1)
cp -p "$record" keep.h5
damaged() { # damaged WHAT: the record is as it should not be
    check "$1 is refused" refuses 4 "$(basename "$record")" 'delete it\|move it away' -- assay_run ./small.ini
    check "$1: export refuses it too" refuses 4 "$(basename "$record")" -- "$ASSAY" export ./small.ini --results results --csv
    check "$1 is left as it is" cmp "$record" damaged.h5
}
size=$(stat -c %s keep.h5)
for n in 0 7 2000 $((size / 2)) $((size - 1)); do
    head -c "$n" keep.h5 >damaged.h5; cp damaged.h5 "$record"
    damaged "a record cut to $n of $size bytes"
done
{ head -c $((size - 3000)) keep.h5; printf 'XXXX'; tail -c 2996 keep.h5; } >damaged.h5; cp damaged.h5 "$record"
flipped() { assay_run ./small.ini >out 2>err; cat err; grep -q 'damaged' err || cmp <("$ASSAY" export ./small.ini --results results --csv) good.csv; }
cp -p keep.h5 "$record"; "$ASSAY" export ./small.ini --results results --csv >good.csv; cp damaged.h5 "$record"
check 'a record with other bytes is refused, or they mattered to nothing' flipped
rm "$record"
check 'without the record the run goes on' assay_run ./small.ini
check 'and makes the same numbers' cmp <("$ASSAY" export ./small.ini --results results --csv) good.csv
cp -p "$record" made.h5

# A folder that cannot be written, and a disk that is full. Mounts take root; without, limits and modes do.
: >file
check 'a file where the results should be' refuses 4 'file' -- "$ASSAY" run ./small.ini --results file/below
undo_mounts() { umount "$work/ro" 2>/dev/null; umount "$work/full" 2>/dev/null; }
at_end=undo_mounts
mkdir ro full
closed=
if [ "$(id -u)" = 0 ]; then
    if mount -t tmpfs tmpfs ro 2>/dev/null; then closed=mount; fi
else closed=mode; fi
if [ -n "$closed" ]; then
    cp -Rp results/small ro/
    if [ $closed = mount ]; then mount -o remount,ro "$work/ro"; else chmod -R a-w ro; fi
    check 'a results folder that is read-only' refuses 4 'ro/' 'cannot be\|Read-only\|Permission' -- "$ASSAY" run ./small.ini --results ro
    check 'with cells missing too' refuses 4 'ro/' 'cannot be\|Read-only\|Permission' -- "$ASSAY" run ./small.ini --results ro --seeds 0..3
    check 'a new folder below it' refuses 4 'ro/' 'cannot be' -- "$ASSAY" run ./small.ini --results ro/new
    check 'its tables can still be read' cmp <("$ASSAY" export ./small.ini --results ro --csv) good.csv
    if [ $closed = mount ]; then mount -o remount,rw "$work/ro"; else chmod -R u+w ro; fi
    check 'made writable, it goes on' "$ASSAY" run ./small.ini --results ro --seeds 0..2
else skip 'a results folder that is read-only' 'root, and mounting is not permitted'; fi

disk() { # one line for each cell would be noise: no line twice, and not more than a few
    "$@" >out 2>err </dev/null
    local status=$?
    cat out err
    equal status 4 $status || return
    grep -q "$needle" err || { echo "standard error does not say: $needle"; return 1; }
    equal 'lines said twice' '' "$(sort err | uniq -d)" && [ "$(wc -l <err)" -le 4 ]
}
no_half() { equal 'half files' '' "$(find "$1" -name '*.new*')"; }
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=280k tmpfs full 2>/dev/null; then
    needle='No space left'
    check 'a disk that runs full' disk "$ASSAY" run ./small.ini --results full --jobs 2
    check 'leaves no half file' no_half full
    kept=$(files full/small/cells '*.h5')
    check "what was finished before ($kept records) is whole" "$ASSAY" export ./small.ini --results full --csv
    find full/small/cells -name '*.h5' -size +30k -exec stat -c '%n %i %y' {} + | sort >full.before
    mount -o remount,size=4m "$work/full"
    check 'with room again, it goes on' "$ASSAY" run ./small.ini --results full --jobs 2
    find full/small/cells -name '*.h5' -exec stat -c '%n %i %y' {} + | sort >full.after
    check 'without running what was finished' equal 'records touched' '' "$(comm -23 full.before full.after)"
    check 'to the same numbers' same "$PWD/small.ini" full results
else skip 'a disk that runs full' 'mounting takes root'; fi
needle='too large\|No space left'
limited() { (ulimit -f 20; exec "$ASSAY" run ./small.ini --results limited --jobs 2); }
check 'files that may not grow (ulimit -f)' disk limited
check 'leave no half file' no_half limited
check 'without the limit, it goes on' "$ASSAY" run ./small.ini --results limited --jobs 2
check 'to the same numbers as ever' same "$PWD/small.ini" limited results

# Data that are stored: a cache that is cut, and raw files that are not what was published. A text of 65 letters of our
# own stands in for the published one, its checksum in a copy of the converter.
check 'the sources and the build can be copied' scratch "$work/copy"
mkdir -p mirror/tiny-shakespeare
LC_ALL=C awk 'BEGIN { for (i = 0; i < 400; i++) { for (k = 0; k < 64; k++) printf "%c", 33 + (k * (i % 63 + 1) + i) % 64; print "" } 
    for (k = 33; k < 97; k++) printf "%c", k; print "" }' >mirror/tiny-shakespeare/input.txt
sum=$(sha256sum <mirror/tiny-shakespeare/input.txt | cut -c 1-64)
sed -i "s/86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed/$sum/" "$tree/datasets/tiny-shakespeare.c"
check 'the copy builds' build_scratch
sed 's/^source = parity/source = tiny-shakespeare/; /^length/d; /^labels/d; s/^model = classifier/model = lm/; s/^steps.*/steps = 10/
    s/^metrics.*/metrics = bpc/; /^\[eval/,$d' small.ini >text.ini
text() { https_proxy=http://127.0.0.1:9 ASSAY_HOME=$tree ASSAY_MIRROR=$1 ASSAY_DATA=$work/cache "$made/assay" run ./text.ini --results text --jobs 2 "${@:2}"; }
mkdir empty
check 'raw data that are not in the mirror' refuses 4 'input\.txt' 'mirror\|MIRROR\|empty' -- text "$work/empty"
mkdir -p other/tiny-shakespeare; echo other >other/tiny-shakespeare/input.txt
check 'raw data with another checksum' refuses 4 'input\.txt' 'SHA-256\|checksum' -- text "$work/other"
check 'with the right data it runs' text "$work/mirror"
cache=$(find cache -name '*.h5' | head -n 1)
[ -n "$cache" ] || cache=missing
cp -p "$cache" cache.keep
find text/small text/text -name '*.h5' -exec stat -c '%n %i %y' {} + 2>/dev/null | sort >text.before
cut_cache() { head -c "$1" cache.keep >"$cache"; }
# The cache can be had again, so it is, and that is said; where it cannot, both lines say what is missing.
again() {
    text "$work/mirror" --seeds 0..1 >out 2>err || { cat out err; return 1; }
    cat err
    grep -q "$(basename "$cache").*\(truncated\|damaged\)" err && grep -q 'made again' err && equal 'lines on standard error' 2 "$(wc -l <err)"
}
cannot_again() {
    text "$work/empty" --seeds 0..2 >out 2>err
    equal status 4 $? || return
    cat err
    grep -q "$(basename "$cache").*\(truncated\|damaged\)" err && grep -q 'ASSAY_MIRROR' err
}
for n in 100 $(($(stat -c %s cache.keep) - 1000)); do
    cut_cache "$n"
    check "a data cache cut to $n bytes, and no raw files" cannot_again
    cut_cache "$n"
    check "a data cache cut to $n bytes is said, and made again" again
    check 'with the same bytes' cmp "$cache" cache.keep
done
check 'put right, it goes on' text "$work/mirror" --seeds 0..2
find text -name '*.h5' -exec stat -c '%n %i %y' {} + | sort >text.after
check 'and the earlier records were not touched' equal 'records touched' '' "$(comm -23 text.before text.after)"
exit $bad
