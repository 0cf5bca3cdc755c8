#!/usr/bin/env bash
# Builds the lab: a kernel and an initial RAM disk with real OpenZFS, all of it from this machine's Debian release.
#
# usage: tests/lab/build.sh           prints the folder of the finished build, which holds `vmlinuz` and `initrd`
#
# Needs no root and changes nothing outside its cache folder ($ZATLAS_LAB_CACHE, else $XDG_CACHE_HOME/zatlas-lab, else
# ~/.cache/zatlas-lab): apt works there with its own lists and an empty package status, and learns from the machine only
# where its mirror is. Needs apt-get, gcc, make and qemu-system-x86_64.
#
# A build lives in CACHE/RECIPE/KERNEL_ZFS: a hash of this file, then both packages' versions. CACHE/RECIPE/current
# points to the newest. A build is made in a temporary folder, has to boot and pass self-check.sh, and only then is
# renamed into place; one runs at a time.
set -euo pipefail
export LC_ALL=C

lab=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lab/cache.sh
. "$lab/cache.sh"

say() { echo "lab: $*" >&2; }
die() { say "$*"; exit 1; }

[ "$(dpkg --print-architecture)" = amd64 ] || die "only amd64 is supported"
for tool in apt-get dpkg-deb flock gcc make qemu-system-x86_64; do
    command -v "$tool" >/dev/null || die "$tool is missing"
done

mkdir -p "$recipe"
exec 9>"$cache/lock"
flock -n 9 || { say "another build is running; waiting for it"; flock 9; }
# Nobody else builds while the lock is held, so what lies here was left by a build that was cut.
rm -rf "$cache"/tmp.*
work=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT

# --- apt of our own: the machine's mirror and keys, Debian's main for the guest, contrib for OpenZFS.

mkdir -p "$work"/apt/{lists/partial,cache/partial,none}
touch "$work/apt/status"
private=(
    -q -o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache"
    -o APT::Sandbox::User= -o Debug::NoLocking=1 -o Acquire::Languages=none
)
apt=(
    "${private[@]}" -o "Dir::Etc::sourcelist=$work/apt/sources.list" -o "Dir::Etc::sourceparts=$work/apt/none"
    -o "Dir::Etc::preferencesparts=$work/apt/none" -o "Dir::State::status=$work/apt/status"
)
no_packages() { # why
    [ -e "$recipe/current/initrd" ] || { cat "$work/apt/log" >&2; die "$1"; }
    say "$1; going on with the build that is here"
    readlink -f "$recipe/current"
    exit
}

. /etc/os-release
codename=$VERSION_CODENAME
# apt tells of an index only when it has it.
# shellcheck disable=SC2016 # these are apt's own variables
repositories() { apt-get "$@" indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages'; }
known=$(repositories)
if ! grep -q "^$codename main " <<<"$known"; then
    apt-get "${private[@]}" update >"$work/apt/log" 2>&1 || no_packages "apt-get update failed"
    known=$(repositories "${private[@]}")
fi
mirror() { awk -v name="$1" '$1 == name && $2 == "main" { print $3; exit }' <<<"$known"; }
main=$(mirror "$codename")
security=$(mirror "$codename-security")
[ -n "$main" ] || die "apt knows no repository of $codename"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
options=; [ -f "$keyring" ] && options="[signed-by=$keyring]"
sources() {
    echo "deb $options $main $codename main contrib"
    [ -z "$security" ] || echo "deb $options $security $codename-security main contrib"
    [ "$1" = without-backports ] || echo "deb $options $main $codename-backports contrib"
}

# The newer OpenZFS lives in backports. A release too young to have them has a new one in contrib.
sources with-backports >"$work/apt/sources.list"
if apt-get "${apt[@]}" update >"$work/apt/log" 2>&1; then
    apt+=(-t "$codename-backports")
else
    say "no backports here; taking OpenZFS from $codename itself"
    sources without-backports >"$work/apt/sources.list"
    apt-get "${apt[@]}" update >"$work/apt/log" 2>&1 || no_packages "apt-get update failed"
fi
# Both read their input to its end: a closed pipe would be taken for a failure.
field() { apt-cache "${apt[@]}" show --no-all-versions "$1" | awk -v key="$2:" '$1 == key && !n++ { print $2 }'; }
dependency() {
    apt-cache "${apt[@]}" depends "$1" | awk -v name="^$2\$" '$1 == "Depends:" && $2 ~ name && !n++ { print $2 }'
}

image=$(dependency linux-image-cloud-amd64 'linux-image-.*')
release=${image#linux-image-}
headers=linux-headers-$release
zfs_version=$(field zfs-dkms Version)
[ -n "$image" ] || die "the mirror has no linux-image-cloud-amd64"
[ -n "$zfs_version" ] || die "the mirror has no zfs-dkms"

build=$recipe/$(field "$image" Version)_$zfs_version
point_current() { ln -sfn "$(basename "$build")" "$work/current" && mv -T "$work/current" "$recipe/current"; }
if [ -e "$build/initrd" ]; then
    point_current
    echo "$build"
    exit
fi

# --- packages, unpacked each into the tree that it is for

say "building Linux $release with OpenZFS $zfs_version (about 4 minutes on 2 cores)"
unpack() { # TREE DEB...: without maintainer scripts, /bin and the like being links into /usr
    local tree=$1 deb dir
    shift
    for dir in bin sbin lib lib64; do mkdir -p "$tree/usr/$dir"; ln -sfn "usr/$dir" "$tree/$dir"; done
    for deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$tree"; done
}
download() { # DIR PACKAGE...: just these
    mkdir -p "$1"
    (cd "$1" && shift && apt-get "${apt[@]}" download "$@" >/dev/null)
}
apt-get "${apt[@]}" install --download-only --yes --no-install-recommends \
    bash busybox-static iproute2 zfsutils-linux >/dev/null
unpack "$work/debian" "$work"/apt/cache/archives/*.deb
download "$work/kernel-debs" "$image" "$headers" \
    "$(dependency "$headers" 'linux-headers-.*-common')" "$(dependency "$headers" 'linux-kbuild-.*')" zfs-dkms
unpack "$work/kernel" "$work"/kernel-debs/*.deb

# --- OpenZFS's kernel modules

source=$(echo "$work"/kernel/usr/src/zfs-*)
common=$(echo "$work"/kernel/usr/src/linux-headers-*-common)
sed -i "s|/usr/src/|$work/kernel/usr/src/|" "$work/kernel/usr/src/$headers/Makefile"
# The headers name the compiler that built the kernel; another gcc builds modules for it as well.
sed -i 's/gcc-[0-9]*$/gcc/' "$work/kernel/usr/src/$headers/.kernelvariables"
# kbuild's objtool needs libelf, which the machine may not have.
mkdir "$work/host-lib"
cp -L "$work"/debian/usr/lib/x86_64-linux-gnu/libelf.so.1 "$work/host-lib/"
(
    cd "$source"
    export LD_LIBRARY_PATH=$work/host-lib
    ./configure --disable-dependency-tracking --with-config=kernel \
        --with-linux="$common" --with-linux-obj="$work/kernel/usr/src/$headers"
    make -j"$(nproc)"
) >"$work/module.log" 2>&1 || { tail -n 40 "$work/module.log" >&2; die "OpenZFS's modules do not build"; }

# --- the guest: what tests call, with the libraries it needs

guest=$work/guest
libraries=lib/x86_64-linux-gnu
unpack "$guest"
mkdir -p "$guest"/{dev,lab,mnt,proc,root,run,sys,tmp} "$guest/usr/$libraries" "$guest/usr/lib/udev"
loader=$work/debian/lib64/ld-linux-x86-64.so.2
cp -L "$loader" "$guest/usr/lib64/"
# Loaded at run time only: glibc cancels threads through libgcc.
cp -L "$work/debian/$libraries/libgcc_s.so.1" "$guest/usr/$libraries/"
for program in bin/bash bin/busybox bin/ip sbin/tc sbin/zfs sbin/zpool sbin/zstream sbin/zdb lib/udev/zvol_id; do
    cp "$work/debian/$program" "$guest/usr/$program"
    [ $program = bin/busybox ] || # it is static
        "$loader" --library-path "$work/debian/$libraries" --list "$guest/usr/$program"
done | awk '$3 ~ /^\// { print $3 }' | sort -u | xargs cp -Lt "$guest/usr/$libraries"
"$guest/bin/busybox" --list-full | while read -r applet; do
    name=${applet##*/}
    [ -e "$guest/usr/sbin/$name" ] || [ -e "$guest/usr/bin/$name" ] || ln -s /bin/busybox "$guest/$applet"
done

modules=$guest/lib/modules/$release
mkdir -p "$modules"
for module in spl zfs; do strip -g -o "$modules/$module.ko" "$source/module/$module.ko"; done
for module in sch_fq sch_netem sch_tbf tcp_bbr tls veth; do
    find "$work/kernel/lib/modules/$release" -name "$module.ko" -exec cp -t "$modules" {} +
done
"$guest/bin/busybox" depmod -b "$guest" "$release"

# --- pack it, prove that it works, put it in place

mkdir "$work/build"
cp "$work/kernel/boot/vmlinuz-$release" "$work/build/vmlinuz"
cp "$guest/bin/busybox" "$work/build/"
(cd "$guest" && find . | bin/busybox cpio -o -H newc) >"$work/build/initrd" 2>/dev/null
say "built in $SECONDS s; checking it"
LAB_BUILD=$work/build "$lab/run.sh" "$lab/self-check.sh" >&2 || die "the new lab fails its self-check"
mv -T "$work/build" "$build"
point_current
echo "$build"
