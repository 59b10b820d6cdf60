#!/usr/bin/env bash
# Print the path of a Horovod wheel for this worker: gpu_horovod.sh KEY COMMAND...
#
# KEY is a digest of everything that a wheel is built from. Workers keep wheels in the artefacts bucket under
# gpu/horovod/KEY/SHA256, where each of them may write. So a wheel of another worker is used only if its checksum is in
# wheels/KEY.sha256, which workers may read but not write. Otherwise COMMAND builds one; the last line of its output is
# the path.
#
# Environment: MSD_ARTEFACTS, MSD_WHEELS (folder for the wheel).
set -euo pipefail

: "${MSD_ARTEFACTS:?}" "${MSD_WHEELS:?}" "${2:?usage: gpu_horovod.sh KEY COMMAND...}"
key=$1
shift
shelf=s3://$MSD_ARTEFACTS/gpu/horovod/$key
approved=s3://$MSD_ARTEFACTS/wheels/$key.sha256

say() { echo "gpu_horovod: $*" >&2; }

rm -rf "$MSD_WHEELS"
mkdir -p "$MSD_WHEELS"
cd "$MSD_WHEELS"
if line=$(aws s3 cp --only-show-errors "$approved" - 2>/dev/null); then
    if [[ ! $line =~ ^[0-9a-f]{64}\ \ (horovod-[A-Za-z0-9._+-]+\.whl)$ ]]; then
        say "$approved is '$line'; expected one line: SHA256, two spaces, horovod-….whl"
        exit 1
    fi
    wheel=${BASH_REMATCH[1]}
    shelf+=/${line%% *}
    if aws s3 cp --only-show-errors "$shelf/$wheel" "$wheel" 2>/dev/null &&
        sha256sum --check --strict --status <<<"$line"; then
        echo "$MSD_WHEELS/$wheel"
        exit 0
    fi
    say "$shelf/$wheel is missing or has another checksum than $approved; this worker builds its own"
    rm -f "$wheel"
fi

built=$("$@" | tail -n 1)
wheel=$(basename "$built")
cp "$built" "$wheel"
sum=$(sha256sum "$wheel")
if [[ -z ${line:-} ]]; then # a wheel that is approved is not replaced by another
    aws s3 cp --only-show-errors "$wheel" "$shelf/${sum%% *}/$wheel"
    say "to let later workers install this wheel, run where you run make package:"
    say "    echo '$sum' | aws s3 cp - $approved"
fi
echo "$MSD_WHEELS/$wheel"
