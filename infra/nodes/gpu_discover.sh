#!/usr/bin/env bash
# Print the ready workers for horovodrun --host-discovery-script. Horovod calls this every second.
set -euo pipefail
exec "$(dirname "$(realpath "$0")")/gpu_members.sh" discover
