#!/usr/bin/env bash
# Copy the mounted snapshot to S3, and answer a task token of Step Functions with the outcome: ingest_copy.sh TOKEN
#
# Systems Manager runs this as root on the copying instance. The log is /var/log/msd-spark/copy.log, and
# s3://LOGS/ingest/copy.log from minute to minute. The state machine terminates the instance; if it does not, the
# instance terminates itself, ten minutes after the copy has ended.
#
# Environment: /etc/msd-spark.conf, written by the user data. MSD_LOG_FOLDER and MSD_MOUNT are for tests.
# shellcheck disable=SC2329  # run_task calls the functions
set -euo pipefail

bin=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR source=node_task.sh
. "$bin/node_task.sh"

token=${1:?usage: ingest_copy.sh TOKEN}
set -a
# shellcheck source=/dev/null
. "${MSD_CONF:-/etc/msd-spark.conf}"
set +a
: "${MSD_LOGS:?}" "${MSD_DEVICES:?}" "${MSD_FOLDER:?}" "${MSD_TARGET:?}"
mount=${MSD_MOUNT:-/mnt/songs}

if as_unit msd-copy "$bin/ingest_copy.sh" "$@"; then exit 0; fi

mount_songs() { # the file system is on the disk itself or on its first partition
    local device part
    for _ in $(seq 60); do
        for device in $MSD_DEVICES; do
            [[ -e $device ]] || continue
            for part in "$device" "${device}1" "${device}p1"; do
                if [[ -e $part ]] && mount -o ro,noatime "$part" "$mount"; then return 0; fi
            done
        done
        sleep "${MSD_POLL_SECONDS:-5}"
    done
    echo "ingest_copy: no file system to mount on $MSD_DEVICES; is this the snapshot of the dataset?" >&2
    return 2
}

copy() {
    mkdir -p "$mount"
    mountpoint -q "$mount" || mount_songs
    TMPDIR=${TMPDIR:-/dev/shm} "$bin/copy_snapshot.sh" "$mount/$MSD_FOLDER" "$MSD_TARGET"
}

shutdown -c 2>/dev/null || true # the user data ends an instance that is given nothing to copy
run_task "$token" copy "${MSD_LOG_FOLDER:-/var/log/msd-spark}/copy.log" "s3://$MSD_LOGS/ingest/copy.log" copy
[[ -e /run/msd-keep-running ]] || shutdown -h +10
exit "$task_status"
