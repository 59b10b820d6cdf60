#!/usr/bin/env bash
# EMR bootstrap action: unpacks code and environment on every node, once.
#
#   emr_bootstrap.sh BUCKET CODE_KEY ENVIRONMENT_KEY HOME
set -euo pipefail

bucket=$1 code=$2 environment=$3 home=$4

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
