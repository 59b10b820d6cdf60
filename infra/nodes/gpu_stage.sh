#!/usr/bin/env bash
# Run one pipeline stage on the GPU workers and report its outcome to Step Functions with a task token.
#
#   gpu_stage.sh TOKEN EXECUTION STAGE WORKERS COMMAND
#
# Systems Manager runs this as root on one worker, the head. The stage waits for the worker's setup, then for WORKERS ready
# workers, then runs COMMAND (one word for a shell) as the user msd in the folder of the code. Its log is
# /var/log/msd-spark/STAGE.log, and s3://LOGS/gpu/EXECUTION/STAGE-HOST.log from minute to minute.
#
# Environment: /etc/msd-spark.conf, where MSD_MIN_WORKERS may be less than WORKERS: elastic training starts with that many.
# MSD_WAIT_SECONDS (1800), MSD_HOME and MSD_LOG_FOLDER are for tests.
# shellcheck disable=SC2329  # run_task calls the functions
set -euo pipefail

bin=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR source=node_task.sh
. "$bin/node_task.sh"

if [[ $# -ne 5 || ! $2 =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ || ! $3 =~ ^[a-z][a-z0-9_-]*$ || ! $4 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: gpu_stage.sh TOKEN EXECUTION STAGE WORKERS COMMAND" >&2
    exit 2
fi
token=$1 execution=$2 stage=$3 workers=$4 command=$5
set -a
# shellcheck source=/dev/null
. "${MSD_CONF:-/etc/msd-spark.conf}"
set +a
: "${MSD_LOGS:?}"
home=${MSD_HOME:-/opt/msd-spark}

if as_unit msd-stage "$bin/gpu_stage.sh" "$@"; then exit 0; fi

as_msd() { # COMMAND, in a login shell of the user
    sudo -H -u msd bash -lc "$1"
}

await_setup() {
    local status
    echo "$stage: waiting for the setup of this worker"
    cloud-init status --wait >/dev/null || true
    status=$(cat "$home/setup-status" 2>/dev/null || echo 1)
    if [[ $status -ne 0 ]]; then
        echo "$stage: the setup of this worker failed, see s3://$MSD_LOGS/gpu/ and below" >&2
        tail -n 10 "$home/setup.log" 2>/dev/null || true
        exit "$status"
    fi
}

reached() { # prints the number of ready workers that accept SSH from this one
    local host ready=0
    as_msd "gpu_members.sh sync" >&2 || true
    while IFS=: read -r host _; do
        [[ -n $host ]] || continue
        if [[ $workers -eq 1 ]] || as_msd "ssh -n -o BatchMode=yes -o ConnectTimeout=5 $host true" >&2; then
            ready=$((ready + 1))
        fi
    done < <(as_msd "gpu_members.sh discover")
    echo "$ready"
}

await_workers() {
    local enough=${MSD_MIN_WORKERS:-$workers} ready=0 deadline=$((SECONDS + ${MSD_WAIT_SECONDS:-1800}))
    if [[ $enough -gt $workers ]]; then enough=$workers; fi
    while ready=$(reached) && [[ $ready -lt $enough ]]; do
        if [[ $SECONDS -ge $deadline ]]; then
            echo "$stage: $ready of $enough workers are ready; see the others' logs in s3://$MSD_LOGS/gpu/" >&2
            exit 1
        fi
        sleep "${MSD_POLL_SECONDS:-15}"
    done
    echo "$stage: $ready of $workers workers are ready"
}

stage_of_run() {
    await_setup
    await_workers
    echo "$stage: $command"
    as_msd "cd $home/code && $command"
}

run_task "$token" "$stage" "${MSD_LOG_FOLDER:-/var/log/msd-spark}/$stage.log" \
    "s3://$MSD_LOGS/gpu/$execution/$stage-$HOSTNAME.log" stage_of_run
exit "$task_status"
