#!/usr/bin/env bash
# How much of a long and narrow path one stream takes: 50 Mbit/s and 100 ms, with no loss and with 0.5%.
#
#   cargo build --release --bins
#   P=target/release; cargo xtask lab run tests/lab/long_distance.sh \
#       $P/tracker $P/agent $P/cli $P/zfs-sim=zfs $P/zpool-sim=zpool
#
# Counted is what comes in at the receiver's interface in 50 s, after the first 10, beside what one plain TCP
# connection (nc, the kernel's own congestion control) brings in the same time over the same path. Each packet
# stands for itself on the wire (gso_max_segs 1): netem would drop whole bursts of 64 KiB.
#
# A measurement, not a test: the figures are printed and nothing is judged.
set -euo pipefail

WARM=10
MEASURED=50
LINK=6250000 # bytes per second
export PATH=/lab:$PATH ZFS_SIM_SYNTHETIC=2000000000 ZFS_SIM_RECEIVE_DISCARD=lengths

wait_for() { for _ in $(seq 600); do ! "$@" || return 0; sleep 0.1; done; echo "never came: $*"; return 1; }
inside() { ip netns exec "$@"; }
received() { inside receiver cat /sys/class/net/eth0/statistics/rx_bytes; }

for side in sender receiver; do ip netns add $side; done
ip link add eth0 netns sender type veth peer name eth0 netns receiver
n=0
for side in sender receiver; do
    n=$((n + 1))
    ip -n $side address add 10.0.0.$n/24 dev eth0
    ip -n $side link set eth0 gso_max_segs 1
    ip -n $side link set lo up
    ip -n $side link set eth0 up
done
shape() { # what is added to the sender's end
    inside receiver tc qdisc replace dev eth0 root netem delay 50ms limit 10000
    inside sender tc qdisc replace dev eth0 root netem delay 50ms rate 50mbit limit 2000 "$@"
}
shape
inside receiver ping -q -c 3 10.0.0.1 | tail -n 1

# Prints what came in per second, and of that the share of the link.
measure() { # name
    sleep $WARM
    local before after
    before=$(received)
    sleep $MEASURED
    after=$(received)
    echo "$(((after - before) / MEASURED))" >"/tmp/$1"
    awk -v name="$1" -v bytes="$(cat "/tmp/$1")" -v link=$LINK \
        'BEGIN { printf "%-12s %6.2f Mbit/s, %.3f of the link\n", name, bytes * 8 / 1e6, bytes / link }'
}

for side in sender receiver; do
    export ZFS_SIM_ROOT=/tmp/pools-$side
    mkdir $ZFS_SIM_ROOT
    zpool create tank /disk
done
export ZFS_SIM_ROOT=/tmp/pools-sender
zfs create tank/data
zfs snapshot tank/data@one

mkdir /tmp/caps
inside sender tracker --capnp-listen-address tcp:10.0.0.1:0 --locations here --cap-dir /tmp/caps \
    --state-dir /tmp/tracker 2>/tmp/tracker.log &
wait_for grep -q 'tracker listening' /tmp/tracker.log
inside sender agent --connect /tmp/caps/here.cap --name sender --zpools tank --state-dir /tmp/agent \
    2>/tmp/agent.log &
wait_for grep -q registered /tmp/agent.log
shown() { inside sender cli --connect /tmp/caps/user.cap show 2>/dev/null | grep -q data; }
wait_for shown

ours() { # name
    ZFS_SIM_ROOT=/tmp/pools-receiver inside receiver cli --connect /tmp/caps/user.cap download data --to "tank/$1" \
        >/tmp/cli.log 2>&1 &
    measure "$1"
    awk '/VmHWM/ { printf "%s at most %d MiB; ", FILENAME, $2 / 1024 }' \
        "/proc/$(pidof agent)/status" "/proc/$(pidof cli)/status" | sed "s,/proc/\([0-9]*\)/status,process \1,g"
    grep -o 'from here.*' /tmp/cli.log | head -n 1 || { cat /tmp/cli.log; exit 1; }
    kill -9 "$(pidof cli)"
    # Gone from the path, too.
    sleep 3
}

plain() { # name
    sleep 1000 | inside receiver nc -l -p 9000 >/dev/null &
    # 9000 in hex, and 0A for listening.
    wait_for inside receiver grep -q ':2328 .* 0A ' /proc/net/tcp /proc/net/tcp6
    inside sender nc 10.0.0.2 9000 </dev/zero &
    measure "$1"
    # shellcheck disable=SC2046 # several of them
    kill -9 $(pidof nc sleep)
    sleep 3
}

inside sender sysctl net.ipv4.tcp_congestion_control
ours ours-0
plain plain-0
shape loss 0.5%
ours ours-0.5
plain plain-0.5
awk -v ours="$(cat /tmp/ours-0.5)" -v plain="$(cat /tmp/plain-0.5)" \
    'BEGIN { printf "at 0.5%% loss: %.1f times a plain connection\n", ours / plain }'
kill -9 "$(pidof agent)" "$(pidof tracker)"
