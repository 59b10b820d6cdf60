#!/usr/bin/env bash
# Make the ingest instance copy the snapshot at every start, and stop itself when the copy is complete or has failed.
# The user data calls this as root at the first start.
#
# Environment: /etc/msd-spark.conf, written by the user data.
set -euo pipefail

: "${MSD_LOGS:?}" "${MSD_DEVICE:?}" "${MSD_FOLDER:?}" "${MSD_TARGET:?}"
bin=/opt/msd-spark/bin

cat >"$bin/ingest.sh" <<'EOF'
#!/usr/bin/env bash
# Mount the songs read-only, copy them, upload the log, and stop the instance in any case.
set -uo pipefail
mount=/mnt/songs

# An EBS volume has its ID as the serial number of an NVMe disk.
link=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${MSD_DEVICE/-/}
for _ in $(seq 120); do
    [[ -e $link ]] && break
    sleep 5
done
mkdir -p "$mount"
{
    # The file system is on the disk itself or on its first partition.
    mountpoint -q "$mount" || mount -o ro,noatime "$link" "$mount" || mount -o ro,noatime "$link-part1" "$mount"
} && TMPDIR=/dev/shm /opt/msd-spark/bin/copy_snapshot.sh "$mount/$MSD_FOLDER" "$MSD_TARGET"
status=$?
echo "ingest: ended with status $status"
journalctl --unit msd-ingest --output cat >/tmp/ingest.log
aws s3 cp --only-show-errors /tmp/ingest.log "s3://$MSD_LOGS/ingest/$(date -u +%Y%m%dT%H%M%SZ)-status-$status.log"
# Ten minutes to inspect the instance before it stops.
[[ -e /run/msd-keep-running ]] || shutdown -h +10
exit "$status"
EOF
chmod 755 "$bin/ingest.sh"

cat >/etc/systemd/system/msd-ingest.service <<EOF
[Unit]
Description=Copy the Million Song Dataset to S3
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
EnvironmentFile=/etc/msd-spark.conf
ExecStart=$bin/ingest.sh
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
EOF
systemctl enable msd-ingest.service
systemctl start --no-block msd-ingest.service
