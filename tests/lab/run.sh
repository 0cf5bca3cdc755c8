#!/usr/bin/env bash
# Boots the lab, runs SCRIPT there with the FILEs beside it in /lab, and exits with the script's status.
#
# usage: tests/lab/run.sh SCRIPT [FILE[=NAME]...]
#
# NAME is a path below /lab (by default the FILE's own name). The shared libraries of executables go along. What the
# guest prints comes out as it is printed. Exits 124 when the time limit is over, 125 when the guest died.
#
# env: LAB_MEM (MiB, 6144), LAB_TIMEOUT (seconds, 900), LAB_CPUS, LAB_BUILD (a finished build's folder)
set -euo pipefail

lab=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lab/cache.sh
. "$lab/cache.sh"
build=${LAB_BUILD:-$recipe/current}
limit=${LAB_TIMEOUT:-900}

die() { echo "lab: $1" >&2; exit "${2:-2}"; }
[ $# -ge 1 ] || die "usage: $0 SCRIPT [FILE[=NAME]...]"
[ -e "$build/initrd" ] || die "there is no build of this recipe yet: run 'cargo xtask lab build'"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- what goes along, as an archive after the guest's own: the kernel unpacks one over the other

extra=$work/extra/lab
mkdir -p "$extra/.lib"
cp -r "$lab/init" "$lab/etc" "$work/extra/"
ln -s /proc/mounts "$work/extra/etc/mtab"
script=$1
shift
cp -L "$script" "$extra/"
basename "$script" >"$extra/.script"
for pair; do
    file=${pair%%=*}
    name=${pair#"$file"}
    name=${name#=}
    target=$extra/${name:-$(basename "$file")}
    mkdir -p "$(dirname "$target")"
    cp -L "$file" "$target"
    # Anything but a dynamic executable makes ldd fail, and has no libraries.
    ldd "$file" 2>/dev/null | awk '$3 ~ /^\// { print $3 }' || true
done | sort -u | xargs -r cp -Lt "$extra/.lib"
(cd "$work/extra" && find . | "$build/busybox" cpio -o -H newc) >"$work/extra.cpio" 2>/dev/null
cat "$build/initrd" "$work/extra.cpio" >"$work/initrd"

# --- the machine: software emulation, since KVM is often missing, or broken, inside a virtual machine.
# AES in hardware, as TLS's library has it, also takes SSE4.1. AVX would only be slower to emulate.

timeout --foreground --kill-after=10 "$limit" qemu-system-x86_64 \
    -accel tcg,thread=multi -cpu qemu64,+aes,+pclmulqdq,+ssse3,+sse4.1,+sse4.2 -smp "${LAB_CPUS:-2}" -m "${LAB_MEM:-6144}" \
    -nodefaults -no-reboot -display none -serial stdio -serial "file:$work/status" \
    -kernel "$build/vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=-1 oops=panic mitigations=off" </dev/null &
machine=$!
trap 'kill $machine; wait $machine; exit 130' INT TERM
status=0
wait $machine || status=$?

[ "$status" != 124 ] || die "$(basename "$script") was not done after $limit s (LAB_TIMEOUT)" 124
[ -s "$work/status" ] || die "the guest died before $(basename "$script") ended; its last words are above" 125
exit "$(cat "$work/status")"
