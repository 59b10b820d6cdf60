#!/usr/bin/env bash
# Mount the instance's local NVMe disks at a folder, as one RAID 0 if there are several: gpu_disks.sh FOLDER
#
# Without local disks, nothing is done. Disks that the image has mounted already, at /opt/dlami/nvme, are shown at FOLDER.
# The data on them is lost when the instance ends.
set -euo pipefail

folder=${1:?usage: gpu_disks.sh FOLDER}
premounted=${MSD_PREMOUNTED:-/opt/dlami/nvme}
mapfile -t disks < <(lsblk --nodeps --noheadings --paths --output NAME,MODEL | awk '/Instance Storage/ {print $1}')

if [[ ${#disks[@]} -eq 0 ]]; then
    echo "gpu_disks: no local disks"
    exit 0
fi
mkdir -p "$folder"
if mountpoint -q "$premounted"; then
    mount --bind "$premounted" "$folder"
    echo "gpu_disks: the image has mounted the local disks; they are at $folder, too"
    exit 0
fi
disk=${disks[0]}
if [[ ${#disks[@]} -gt 1 ]]; then
    disk=/dev/md0
    mdadm --create "$disk" --run --level=0 --raid-devices="${#disks[@]}" "${disks[@]}"
fi
mkfs.xfs -q -f -K "$disk"
mount -o noatime "$disk" "$folder"
echo "gpu_disks: ${#disks[@]} local disks are at $folder"
