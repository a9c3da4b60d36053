#!/usr/bin/env bash
# systemd_box.sh FOLDER SECONDS COMMAND...: run COMMAND as PID 1 of a container made of this machine's own root.
#
# The root is an overlay whose upper layer lives in memory, so the container sees the machine's programs, writes what it
# likes, and leaves nothing behind. FOLDER appears inside as /box; each line of FOLDER/binds ("outside:inside") is one
# more read-only folder. After SECONDS the container is killed, whoever forgot it.
#
# To be started as root inside `unshare --mount`: every mount below dies with that namespace.
set -euo pipefail
folder=$1 seconds=$2
shift 2

mount --make-rprivate /

# systemd 252 and later want the unified cgroup tree; a machine still on the old one lends us a view of the new.
# A group of our own keeps two boxes apart.
if [[ ! -f /sys/fs/cgroup/cgroup.controllers ]]; then
    umount -R /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
fi
group=/sys/fs/cgroup/groundstation-box-$$
mkdir "$group"
leave_group() {
    echo $$ >/sys/fs/cgroup/cgroup.procs
    find "$group" -depth -type d -exec rmdir {} + || true
}
trap leave_group EXIT
echo $$ >"$group/cgroup.procs"

# Where /run is a plain folder, nspawn would leave its own litter there.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn

layers=$folder/layers
mkdir -p "$layers"
mount -t tmpfs -o mode=755 tmpfs "$layers"
mkdir "$layers"/{upper,work,root}
root=$layers/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" "$root"

# A machine id of its own, or its journal would claim to be this machine's.
rm -f "$root/etc/machine-id"
: >"$root/etc/machine-id"
# Nothing to wait for: inside there is loopback alone.
for waiting in systemd-networkd-wait-online NetworkManager-wait-online ifupdown-wait-online; do
    ln -sf /dev/null "$root/etc/systemd/system/$waiting.service"
done

options=(--quiet --register=no --keep-unit --private-network --console=pipe --machine="groundstation-box-$$")
options+=(--directory="$root" --bind="$folder:/box")
while IFS= read -r bind; do
    options+=(--bind-ro="$bind")
done <"$folder/binds"
timeout --kill-after=5 "$seconds" systemd-nspawn "${options[@]}" "$@" </dev/null
