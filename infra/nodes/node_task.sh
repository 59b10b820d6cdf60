#!/usr/bin/env bash
# Run a task of a state machine and report its outcome. Sourced by gpu_stage.sh and ingest_copy.sh.
#
#   as_unit UNIT PROGRAM WORDS...        run the program as a systemd service, and return at once
#   run_task TOKEN STAGE LOG URI COMMAND...
#
# Environment: MSD_BEAT_SECONDS (60); MSD_SYSTEMD (a folder that exists where systemd runs).
set -euo pipefail

# A service outlives Systems Manager's time limit, and at shutdown it is stopped while the network is still up. A service
# of the same name, from an earlier attempt, is stopped first. Fails within the service, and where there is no systemd.
as_unit() { # UNIT PROGRAM WORDS...
    local unit=$1
    shift
    if [[ -n ${MSD_UNIT:-} || ! -d ${MSD_SYSTEMD:-/run/systemd/system} ]]; then return 1; fi
    systemctl stop "$unit" 2>/dev/null || true
    systemd-run --quiet --collect --unit "$unit" --setenv "MSD_UNIT=$unit" --property After=network-online.target \
        --property KillMode=mixed --property TimeoutStopSec=90 -- "${@//\$/\$\$}" # systemd reads $$ as $
}

upload_log() { # LOG URI
    aws s3 cp --only-show-errors "$1" "$2" || true
}

answer() { # CALL WORDS...
    aws stepfunctions "$@" >/dev/null || echo "node_task: Step Functions did not accept $1" >&2
}

end_of() { # LOG: its last lines in ASCII, each state of a progress bar as one
    tr '\r' '\n' <"$1" | tail -n 20 | tail -c 4000 | LC_ALL=C tr -cd '\11\12\40-\176'
}

# The command's output goes to LOG, and LOG to S3 with every heartbeat and at the end. A signal, or a task that the state
# machine has given up, ends the command with all its processes. The task fails with BadInput if the command exits with 2,
# as this project's commands do for wrong input, and with Stage.Failed otherwise; the cause is the end of LOG.
# task_status is the command's exit status, or 143.
run_task() { # TOKEN STAGE LOG URI COMMAND...
    local token=$1 stage=$2 log=$3 uri=$4 error=Stage.Failed work sleeper refusal status='' stopped=''
    shift 4
    mkdir -p "$(dirname "$log")"
    echo "$stage: $(date -u +%Y-%m-%dT%H:%M:%SZ) begins on $HOSTNAME" >>"$log"
    set -m # a process group of its own
    "$@" </dev/null >>"$log" 2>&1 &
    work=$!
    set +m
    trap 'stopped="a signal ended it"' HUP INT TERM
    while [[ -z $status ]]; do
        upload_log "$log" "$uri"
        if ! refusal=$(aws stepfunctions send-task-heartbeat --task-token "$token" 2>&1 >/dev/null); then
            case $refusal in
            *TaskTimedOut* | *TaskDoesNotExist* | *InvalidToken*) stopped="the state machine no longer waits for it" ;;
            *) echo "node_task: no heartbeat: $refusal" >&2 ;;
            esac
        fi
        if [[ -z $stopped ]]; then
            sleep "${MSD_BEAT_SECONDS:-60}" &
            sleeper=$!
            wait -n "$work" "$sleeper" || true
            kill "$sleeper" 2>/dev/null || true
        fi
        if ! kill -0 "$work" 2>/dev/null; then
            status=0
            wait "$work" || status=$?
        elif [[ -n $stopped ]]; then
            end_group "$work"
            status=143
        fi
    done
    trap '' HUP INT TERM
    if [[ -n $stopped ]]; then echo "$stage: $stopped" >>"$log"; fi
    echo "$stage: $(date -u +%Y-%m-%dT%H:%M:%SZ) ended with status $status" >>"$log"
    upload_log "$log" "$uri"
    if [[ $status -eq 0 ]]; then
        answer send-task-success --task-token "$token" --task-output "{\"stage\": \"$stage\", \"log\": \"$uri\"}"
    else
        if [[ $status -eq 2 ]]; then error=BadInput; fi
        answer send-task-failure --task-token "$token" --error "$error" --cause "$stage, status $status: $(end_of "$log")"
    fi
    # shellcheck disable=SC2034  # read by the caller
    task_status=$status
}

end_group() { # PROCESS GROUP: a minute to end by itself
    kill -TERM -- "-$1" 2>/dev/null || true
    for _ in $(seq 60); do
        kill -0 -- "-$1" 2>/dev/null || return 0
        sleep 1
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}
