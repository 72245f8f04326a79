#!/usr/bin/env bash
# Process 1 of the node: makes the mounts and the network its own, says so, and reaps
# what is left by others until it is killed.  usage: init.sh HOME NODE-ADDRESS
set -euo pipefail
home=$1 address=$2

mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
for pair in /var/log:log /var/lib/kubelet:kubelet /var/lib/cni:cni; do
	mount --bind "$home/${pair#*:}" "${pair%%:*}"
done

ip link set lo up
# There may be no "dummy" in the kernel; a pair whose ends are both here does as well.
ip link add node0 type veth peer name node1
ip addr add "$address/24" dev node0
ip link set node1 up
ip link set node0 up
ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward

touch "$home/ready"
trap : TERM INT HUP
while :; do
	sleep infinity &
	wait $! || true
done
