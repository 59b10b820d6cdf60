#!/usr/bin/env bash
# EMR bootstrap action: installs the code, and an environment for the driver, on the primary node.
#
#   emr_bootstrap.sh BUCKET CODE_KEY ENVIRONMENT_KEY HOME [INSTANCE_FACTS]
#
# Executors get both through spark.archives, so the other nodes need nothing. In client mode, which is spark-submit's
# default, the driver runs on the primary node and uses these.
set -euo pipefail

bucket=$1 code=$2 environment=$3 home=$4 facts=${5:-/mnt/var/lib/info/instance.json}

if ! grep -Eq '"isMaster"[[:space:]]*:[[:space:]]*true' "$facts"; then
    echo "emr_bootstrap: not the primary node; nothing to do"
    exit 0
fi

as_root=()
if [[ $EUID -ne 0 ]]; then as_root=(sudo); fi

unpack() { # KEY FOLDER: all of the archive or nothing
    local key=$1 folder=$2 scratch
    scratch=$(mktemp -d)
    aws s3 cp --only-show-errors "s3://$bucket/$key" "$scratch/archive.tar.gz"
    "${as_root[@]}" rm -rf "$folder" "$folder.new"
    "${as_root[@]}" mkdir -p "$folder.new"
    "${as_root[@]}" tar -xzf "$scratch/archive.tar.gz" -C "$folder.new" --no-same-owner
    "${as_root[@]}" mv "$folder.new" "$folder"
    rm -rf "$scratch"
    echo "emr_bootstrap: $key is at $folder"
}

unpack "$code" "$home/code"
unpack "$environment" "$home/environment"
"$home/environment/bin/python" --version
