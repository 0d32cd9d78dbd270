#!/bin/busybox sh
# Loader of the guest: mounts the root image (an nvdimm, so no host storage is waited for) under
# a RAM overlay, carries over what this run brought, and hands the machine to the run's boot script.
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /lower /over /root
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
case " $(cat /proc/cmdline) " in *" mpa.probe "*) echo "mpa-guest: alive"; poweroff -f ;; esac
while read -r module; do insmod "/modules/$module" || echo "mpa-guest: cannot load $module"; done </modules/order
tries=0
while [ ! -b /dev/pmem0 ] && [ $tries -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
mount -t ext4 -o ro /dev/pmem0 /lower || { echo "mpa-guest: no root image"; poweroff -f; }
mount -t tmpfs -o size=75%,mode=0755 none /over
mkdir -p /over/upper /over/work
mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work none /root
mkdir -p /root/run /root/tmp
mount -t tmpfs -o size=75%,mode=0755 none /root/run
mount -t tmpfs -o size=75%,mode=1777 none /root/tmp
mv /payload /root/run/payload
mount --move /dev /root/dev
mount --move /sys /root/sys
mount --move /proc /root/proc
exec switch_root /root /bin/sh /run/payload/boot.sh
