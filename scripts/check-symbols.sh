#!/bin/sh
# check-symbols.sh: what the objects of the build say.  Run below make check, or make check-symbols.
#   - a plug-in defines one external symbol, its descriptor;
#   - plug-ins print nothing, open nothing, read no clock, draw no numbers of their own, start no threads, and below impl/
#     allocate nothing;
#   - core prints nothing and never exits;
#   - objects per processor level define only symbols that carry the level (else one level could run another's code);
#   - the program names exactly one OpenMP runtime (configure.ac says why);
#   - objects in double call no numerical library and no float twin of a function that exists in double.
LC_ALL=C; export LC_ALL
cd -- "${ASSAY_BUILD-build}/obj" || exit 2
runtimes=$(readelf -d ../assay 2>/dev/null | sed -n 's/.*NEEDED.*\[\(lib[gi]*omp[0-9]*\.so.*\)\]/\1/p' | tr '\n' ' ')
case $runtimes in ?*' '?*) echo "assay names several OpenMP runtimes: $runtimes"; exit 1 ;; esac
find . -name '*.o' ! -path './f/tests/*' ! -path './d/tests/*' ! -path './f/bench/*' | sed 's/^..//' | sort |
    xargs -r "${NM-nm}" -A -g -P | awk '
function bad(why) { print "obj/" file ": " why; failed++ }
BEGIN {
    forbid("printf vprintf __printf_chk puts putchar perror write stdout stderr exit _exit _Exit quick_exit abort", loud)
    forbid("fprintf vfprintf __fprintf_chk fputs putc fputc fwrite", outside)
    forbid("malloc calloc realloc aligned_alloc free", heap)
    forbid("fopen fopen64 open open64 read fread time clock clock_gettime " \
        "gettimeofday rand srand random getenv setenv system setlocale omp_set_num_threads GOMP_parallel", outside)
}
function forbid(list, set,    a, n, i) { n = split(list, a, " "); for (i = 1; i <= n; i++) set[a[i]] = 1 }
{
    file = $1; sub(/:$/, "", file); sub(/:.*/, "", file)
    symbol = $2; type = $3
    split(file, part, "/"); flavour = part[1]
    plugin = file ~ /^[a-z0-9]*\/(impl|datasets)\//
    core = file ~ /^[a-z0-9]*\/core\//
    wrong = file ~ /^[a-z0-9]*\/impl\/mock\//     # on purpose: what it calls is what a check must find
    if (symbol ~ /^__(asan|ubsan|odr_asan|sanitizer|start|stop)/) next
    if (type == "U" || type == "w" || type == "v") {
        if ((plugin || core) && symbol in loud && !(symbol == "abort" && file ~ /\/core\/error.o$/)) bad("calls " symbol)
        if (plugin && !wrong && (symbol in outside || (symbol in heap && file ~ /^[a-z0-9]*\/impl\//))) bad("calls " symbol)
        if (flavour == "d") {
            if (symbol ~ /^(dnnl_|cblas_|fftwf?_|Sleef_|openblas_)/) bad("the oracle calls " symbol)
            else uses[symbol] = uses[symbol] " " file
        }
        next
    }
    if (plugin) { if (symbol ~ /^as_plugin_/) own[file]++; else bad("defines " symbol ", which should be static") ; all[file] }
    if (flavour == "d") { if (symbol !~ /_d$/) bad("defines " symbol ", which should end in _d"); else twin[symbol] = 1 }
    if (flavour ~ /^(portable|avx2|avx512)$/ && symbol !~ ("_" flavour "$") && file !~ /\.(avx2|avx512)\.o$/)
        bad("defines " symbol ", which should carry the level " flavour)
}
END {
    for (file in all) if (own[file] != 1) bad("defines " own[file] + 0 " descriptors instead of one")
    for (symbol in uses) if ((symbol "_d") in twin) { file = substr(uses[symbol], 2); bad("in double, calls the float " symbol) }
    exit failed > 0
}'
