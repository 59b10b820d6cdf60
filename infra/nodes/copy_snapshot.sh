#!/usr/bin/env bash
# Copies a folder of song files to S3 as tar shards, and reads every shard back.
#
#   copy_snapshot.sh FOLDER s3://BUCKET/PREFIX
#
# A shard is one second-level folder (A/A.tar to Z/Z.tar: 676 shards of about 400 MB for the complete dataset). The same
# songs produce the same bytes. Shards that were copied and read back are recorded under copied/ and not copied again, so
# the same command resumes an interrupted copy. manifest.tsv (shard, songs, bytes, SHA-256) is written when every song of
# the folder is in a shard; its presence means that the copy is complete.
#
# Environment: COPY_JOBS, shards copied at a time (default: one per core); TMPDIR, with room for one shard per job.
set -euo pipefail

if [[ $# -ne 2 || ! $2 =~ ^s3://[^/]+/.+ ]]; then
    echo "usage: copy_snapshot.sh FOLDER s3://BUCKET/PREFIX" >&2
    exit 2
fi
folder=$(realpath "$1") target=${2%/}
if [[ ! -d $folder ]]; then
    echo "copy_snapshot: no folder $folder; name the one that holds A/, B/, C/ and so on" >&2
    exit 2
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

songs_of() { # FIND'S WORDS: song files below the folder, sorted, each ended by a NUL
    (cd "$folder" && find "$@" -type f -name '*.h5' -print0 | LC_ALL=C sort --zero-terminated)
}

count() { tr -cd '\0' | wc -c; }

copy_shard() { # SHARD, as A/B
    local shard=$1 name=${1//\//-} songs size sum back
    songs_of "$shard" >"$scratch/$name.songs"
    songs=$(count <"$scratch/$name.songs")
    # Names, times and owners are fixed, so that the bytes depend only on the songs.
    tar --create --file "$scratch/$name.tar" --directory "$folder" --format=ustar --mtime=@0 --owner=0 --group=0 \
        --numeric-owner --mode=0644 --no-recursion --null --verbatim-files-from --files-from "$scratch/$name.songs"
    size=$(stat --format=%s "$scratch/$name.tar")
    sum=$(sha256sum <"$scratch/$name.tar" | cut -d' ' -f1)
    if [[ $(tar --list --file "$scratch/$name.tar" | wc -l) -ne $songs ]]; then
        echo "copy_snapshot: $shard: the shard does not hold its $songs songs" >&2
        return 1
    fi
    aws s3 cp --only-show-errors "$scratch/$name.tar" "$target/$shard.tar"
    rm "$scratch/$name.tar" "$scratch/$name.songs"
    back=$(aws s3 cp --only-show-errors "$target/$shard.tar" - | sha256sum | cut -d' ' -f1)
    if [[ $back != "$sum" ]]; then
        echo "copy_snapshot: $shard: came back from S3 with another checksum; run the same command again" >&2
        return 1
    fi
    printf '%s.tar\t%d\t%d\t%s\n' "$shard" "$songs" "$size" "$sum" |
        aws s3 cp --only-show-errors - "$target/copied/$name.tsv"
    echo "copy_snapshot: $shard.tar: $songs songs, $size bytes"
}

mapfile -t shards < <(cd "$folder" && find . -mindepth 2 -maxdepth 2 -type d | sed 's#^\./##' | LC_ALL=C sort)
total=$(songs_of . | count)
loose=$(songs_of . -maxdepth 2 | count)
if [[ $total -eq 0 || $loose -gt 0 ]]; then
    echo "copy_snapshot: $folder holds $total songs, $loose of them outside folders of the second level (A/B/...);" \
        "name the folder that holds A/, B/, C/ and so on" >&2
    exit 1
fi

aws s3 cp --only-show-errors --recursive "$target/copied/" "$scratch/copied/"
mkdir -p "$scratch/copied"
todo=()
for shard in "${shards[@]}"; do
    songs=$(songs_of "$shard" | count)
    noted=$(cut -f2 "$scratch/copied/${shard//\//-}.tsv" 2>/dev/null || true)
    if [[ $songs -gt 0 && $noted != "$songs" ]]; then todo+=("$shard"); fi
done
echo "copy_snapshot: $total songs in ${#shards[@]} folders; ${#todo[@]} shards to copy"

export -f copy_shard songs_of count
export folder target scratch
failed=0
if [[ ${#todo[@]} -gt 0 ]]; then
    # shellcheck disable=SC2016  # "$1" is the inner shell's
    printf '%s\0' "${todo[@]}" |
        xargs -0 -n 1 -P "${COPY_JOBS:-$(nproc)}" bash -c 'set -euo pipefail; copy_shard "$1"' copy_shard || failed=1
fi

rm -rf "$scratch/copied"
aws s3 cp --only-show-errors --recursive "$target/copied/" "$scratch/copied/"
cat "$scratch"/copied/*.tsv | LC_ALL=C sort >"$scratch/manifest.tsv"
copied=$(awk -F'\t' '{songs += $2} END {print songs + 0}' "$scratch/manifest.tsv")
if [[ $failed -ne 0 || $copied -ne $total ]]; then
    echo "copy_snapshot: $copied of $total songs are copied; run the same command again" >&2
    exit 1
fi
aws s3 cp --only-show-errors "$scratch/manifest.tsv" "$target/manifest.tsv"
echo "copy_snapshot: all $total songs are in $target, in $(wc -l <"$scratch/manifest.tsv") shards"
