# Second half of the guest's start: what a Linux system needs before daemons run in it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
export PYTHONPATH=/run/payload/code:/opt/site
mkdir -p /dev/pts /dev/shm
# The image has no mount(8) but busybox's.
busybox mount -t devpts none /dev/pts
busybox mount -t tmpfs none /dev/shm
busybox mount -t cgroup2 none /sys/fs/cgroup
busybox mount -t debugfs none /sys/kernel/debug
# Ten messages, the default, fill a control socket while its reader waits for the one processor.
echo 512 >/proc/sys/net/unix/max_dgram_qlen
# Packets that were held leave in a burst, and every virtual wire they cross puts them into the one
# processor's queue again: the 1000 places that it has by default are full after some 300 packets.
echo 32768 >/proc/sys/net/core/netdev_max_backlog
# Nothing here loads what fits the processor by itself: without these, ESP computes AES in plain C.
modprobe -qa aesni_intel ghash_clmulni_intel
hostname guest
ip link set lo up
mkdir -p /run/lock /run/netns
stty -F /dev/ttyS1 raw -echo 2>/dev/null
python3 -m rigs.guest.inside </dev/null >/dev/ttyS1 2>&1 || echo "mpa-guest: the job runner failed"
exec busybox poweroff -f
