#!/bin/sh
# debian.sh SUITE [--short]: the acceptance test on a bare Debian (bookworm, trixie).  As root.  Makes a minimal system
# with debootstrap, adds git, curl and ca-certificates, clones the committed state of this checkout into it, and runs
# there what the README promises.  ASSAY_MIRROR names a folder with the public files of the data sets, so that chorales
# runs without a network; ASSAY_STEPS="parity chorales tests" chooses the steps.  TMPDIR says where; it takes about 2 GB.
set -eu
LC_ALL=C; export LC_ALL
suite=${1?usage: debian.sh SUITE [--short]}
quick=; [ "${2-}" != --short ] || quick=--quick
home=$(cd -- "$(dirname -- "$0")/../.." && pwd -P)
say() { printf 'debian.sh: %s\n' "$*"; }
[ "$(id -u)" = 0 ] || { say "needs root"; exit 77; }
command -v debootstrap >/dev/null || { say "needs debootstrap"; exit 77; }

# The mirror and the proxy of this host, in the old format or the new.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    awk '$1 == "URIs:" { print $2 } $1 == "deb" { sub(/\[[^]]*\]/, ""); print $2 }' | grep -m 1 '/debian/*$') ||
    { say "no Debian mirror in /etc/apt"; exit 77; }

root=$(mktemp -d)
cleanup() {
    status=$?
    trap - EXIT INT TERM
    for m in dev/pts dev/shm dev proc; do
        ! mountpoint -q "$root/$m" || umount "$root/$m" || umount -l "$root/$m" || :
    done
    # Nothing mounted may be left below before anything is removed.
    if grep -qF " $root/" /proc/self/mounts; then say "left mounted: $root"; else rm -rf --one-file-system "$root"; fi
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

start=$(date +%s)
debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
    { tail -n 5 "$root.log"; say "debootstrap failed"; exit 1; }
rm -f "$root.log"
apt-config dump | grep -iE '^Acquire::(http|https|ftp)(::.*)?::Proxy' >"$root/etc/apt/apt.conf.d/90proxy" || :
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || :
{ mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev"; } 2>/dev/null || { say "needs to mount"; exit 77; }
mountpoint -q "$root/dev/pts" || mount -t devpts -o ptmxmode=0666 devpts "$root/dev/pts" 2>/dev/null ||
    say "note: no pseudo-terminals here"
mkdir -p "$root/dev/shm"
mountpoint -q "$root/dev/shm" || mount -t tmpfs tmpfs "$root/dev/shm"
inside() { chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
inside sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    git curl ca-certificates' >/dev/null 2>&1 || { say "installing git, curl, ca-certificates failed"; exit 1; }
git -C "$home" bundle create -q "$root/root/assay.bundle" HEAD
[ -z "$(git -C "$home" status --porcelain)" ] || say "note: uncommitted changes are not tested"
inside git -c advice.detachedHead=false clone -q /root/assay.bundle /root/assay
[ -z "${ASSAY_MIRROR-}" ] || cp -a "$ASSAY_MIRROR" "$root/srv/mirror"
say "$suite: system ready, $(($(date +%s) - start)) s"

passed=0 failed=0
step() {    # step NAME COMMAND...
    name=$1; shift
    start=$(date +%s)
    if inside sh -c 'cd /root/assay && exec "$@"' sh "$@"; then
        passed=$((passed + 1)); verdict=passed
    else
        verdict="failed with status $?"; failed=$((failed + 1))
    fi
    say "$suite: $name: $verdict, $(($(date +%s) - start)) s"
}
for s in ${ASSAY_STEPS-parity chorales tests}; do
    # shellcheck disable=SC2086
    case $s in
        parity) step parity ./run_experiment parity $quick ;;
        chorales)
            if [ -d "$root/srv/mirror" ]; then
                step chorales env ASSAY_MIRROR=/srv/mirror ./run_experiment chorales $quick
            else step chorales ./run_experiment chorales $quick; fi ;;
        tests) step tests ./run_tests ;;
        *) say "no step $s"; exit 2 ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
