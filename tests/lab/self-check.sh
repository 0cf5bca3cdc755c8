#!/usr/bin/env bash
# What every test in the lab leans on: ZFS, network namespaces, shaped links, zvols with names.
set -euo pipefail
wait_for() { for _ in $(seq 100); do ! "$@" || return 0; sleep 0.1; done; echo "never came: $*"; return 1; }

truncate -s 256M /tmp/vdev
zpool create -O mountpoint=none tank /tmp/vdev
zfs create -o mountpoint=/mnt/data tank/data
echo payload >/mnt/data/file
zfs snapshot tank/data@one
zfs send tank/data@one | zfs receive -s -u tank/copy
[ "$(zfs get -Hp -o value guid tank/data@one)" = "$(zfs get -Hp -o value guid tank/copy@one)" ]
zfs send tank/data@one | zstream dump >/dev/null
zfs create -V 8M tank/volume
wait_for test -b /dev/zvol/tank/volume
zfs destroy tank/volume
wait_for test ! -e /dev/zvol/tank/volume
[ "$(stat -c %a /dev/zfs)" = 666 ]
zdb -l /tmp/vdev >/dev/null
zpool destroy tank

for side in a b; do ip netns add $side; done
ip link add veth-a netns a type veth peer name veth-b netns b
ip -n a address add 10.0.0.1/24 dev veth-a
ip -n b address add 10.0.0.2/24 dev veth-b
for side in a b; do ip -n $side link set lo up; ip -n $side link set veth-$side up; done
ip netns exec a ping -q -c 1 -W 10 10.0.0.2 >/dev/null
ip netns exec a tc qdisc add dev veth-a root netem delay 50ms
ip netns exec a ping -q -c 1 -W 10 10.0.0.2 | grep -E 'min/avg/max = ([5-9][0-9]|[0-9]{3,})' >/dev/null
ip netns exec b tc qdisc add dev veth-b root tbf rate 100mbit burst 64kb latency 50ms
ip netns exec b sysctl -qw net.ipv4.tcp_congestion_control=bbr
ip netns exec a tc qdisc replace dev lo root fq
for side in a b; do ip netns delete $side; done

echo hello >/dev/shm/file
[ "$(cat < <(echo through a descriptor))" = "through a descriptor" ]
echo "lab: self-check passed"
