#!/bin/sh
# peers.sh ASSAY [ONEDNN]: Assay's layers beside the same layers of PyTorch and oneDNN, alternating in one run, as paired
# ratios (bench/peers/run.py). ASSAY: the program; ONEDNN: bench/peers/onednn.c, built. `make bench-peers` calls it.
#
#   PEER_PYTHON   commands that start a Python with PyTorch, parted by ";": "python3;chroot DIR python3"
#                 (default: /usr/bin/python3 and python3). Debian 13's PyTorch beside Debian 12's:
#                 debootstrap --variant=minbase --include=python3-torch,libopenblas0 trixie DIR; mount -t proc proc DIR/proc
#   PEER_THREADS 2, PEER_ROUNDS 7, PEER_SECONDS 0.6 (of one measurement), PEER_ONLY (names of bench/table.tsv), PEER_NO_PAIRS
#   PEER_TABLE    other layers and shapes (default bench/table.tsv)
#   PEER_OUT      the table (default peers.tsv); bench/peers/table.py puts it into doc/performance.md
# A peer that is missing is named and skipped.
LC_ALL=C; export LC_ALL
here=$(cd -- "$(dirname -- "$0")" && pwd) || exit 2
assay=${1:?which assay?} onednn=${2-}
# Any Python runs the comparison itself; it needs no package.
run=
for p in python3 /usr/bin/python3; do
    if command -v "$p" >/dev/null 2>&1 && "$p" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then run=$p; break; fi
done
[ -n "$run" ] || { echo 'bench-peers: skipped, there is no python3 to compare with (apt-get install python3-torch)'; exit 0; }
if [ -z "${PEER_PYTHON-}" ]; then
    PEER_PYTHON=
    for p in /usr/bin/python3 "$(command -v python3)"; do
        case ";$PEER_PYTHON;" in *";$p;"*) continue;; esac
        if [ -x "$p" ] && "$p" -c 'import torch' >/dev/null 2>&1; then PEER_PYTHON="$PEER_PYTHON${PEER_PYTHON:+;}$p"; fi
    done
    [ -n "$PEER_PYTHON" ] || echo 'bench-peers: PyTorch is missing and skipped (apt-get install python3-torch, or PEER_PYTHON=...)'
fi
set -- --assay "$assay" --threads "${PEER_THREADS-2}" --rounds "${PEER_ROUNDS-7}" --seconds "${PEER_SECONDS-0.6}" \
    --out "${PEER_OUT-peers.tsv}"
[ -z "$onednn" ] || set -- "$@" --onednn "$onednn"
for name in ${PEER_ONLY-}; do set -- "$@" --only "$name"; done
[ -z "${PEER_TABLE-}" ] || set -- "$@" --table "$PEER_TABLE"
[ -z "${PEER_NO_PAIRS-}" ] || set -- "$@" --no-pairs
rest=$PEER_PYTHON
while [ -n "$rest" ]; do
    set -- "$@" --python "${rest%%;*}"
    case $rest in *";"*) rest=${rest#*;};; *) rest=;; esac
done
"$run" "$here/peers/run.py" "$@" && echo "the table: ${PEER_OUT-peers.tsv}"
