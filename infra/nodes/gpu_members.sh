#!/usr/bin/env bash
# Let Horovod workers find each other and log in to each other.
#
#   gpu_members.sh publish   publishes this worker's slots and public keys, once it is ready
#   gpu_members.sh sync      writes the hosts file, and the keys of every ready worker, from what they published
#   gpu_members.sh discover  prints HOST:SLOTS of each worker in the hosts file, for horovodrun --host-discovery-script
#
# A worker creates its private keys itself, and they never leave it. The published part is in the artefacts bucket under
# workers/GROUP/INSTANCE, where no other role of the stack may write. Instances that do not run are ignored.
#
# Environment: MSD_ARTEFACTS, MSD_GROUP; MSD_HOME (whose .ssh, default ~), MSD_HOSTS (hosts file), MSD_HOST_KEY
# (this machine's public key), MSD_INSTANCE and MSD_SLOTS (default: read from the machine).
set -euo pipefail

: "${MSD_ARTEFACTS:?}" "${MSD_GROUP:?}"
home=${MSD_HOME:-$HOME}
hosts=${MSD_HOSTS:-/opt/msd-spark/hosts}
host_key=${MSD_HOST_KEY:-/etc/ssh/ssh_host_ed25519_key.pub}
shelf=s3://$MSD_ARTEFACTS/workers/$MSD_GROUP

metadata() { # PATH, from the instance metadata service, version 2
    local token
    token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
    curl -sf -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"
}

put() { # FILE MODE: standard input becomes the file, all at once
    local scratch
    scratch=$(mktemp "$1.XXXXXX")
    cat >"$scratch"
    chmod "$2" "$scratch"
    mv "$scratch" "$1"
}

publish() {
    local instance slots
    instance=${MSD_INSTANCE:-$(metadata instance-id)}
    slots=${MSD_SLOTS:-$(nvidia-smi --list-gpus | wc -l)}
    install -d -m 700 "$home/.ssh"
    if [[ ! -f $home/.ssh/id_ed25519 ]]; then
        ssh-keygen -q -t ed25519 -N '' -C "$instance" -f "$home/.ssh/id_ed25519"
    fi
    {
        echo "slots $slots"
        echo "user $(cut -d' ' -f1,2 "$home/.ssh/id_ed25519.pub")"
        echo "host $(cut -d' ' -f1,2 "$host_key")"
    } | aws s3 cp --only-show-errors - "$shelf/$instance"
    echo "gpu_members: $instance has published its keys and $slots slots"
}

sync_members() {
    local instance address record slots user_key machine_key
    local lines='' users='' machines=''
    install -d -m 700 "$home/.ssh"
    # By address, so that every worker writes the same hosts file.
    while read -r address instance; do
        [[ $address =~ ^([0-9]{1,3}\.){3}[0-9]{1,3}$ && $instance =~ ^i-[0-9a-f]+$ ]] || continue
        record=$(aws s3 cp --only-show-errors "$shelf/$instance" - 2>/dev/null) || continue # not ready yet
        slots=$(sed -nE 's/^slots ([1-9][0-9]?)$/\1/p' <<<"$record")
        user_key=$(sed -nE 's#^user (ssh-ed25519 [A-Za-z0-9+/=]+)$#\1#p' <<<"$record")
        machine_key=$(sed -nE 's#^host (ssh-ed25519 [A-Za-z0-9+/=]+)$#\1#p' <<<"$record")
        if [[ ! $slots =~ ^[0-9]+$ || $(wc -l <<<"$user_key") -ne 1 || -z $user_key || $(wc -l <<<"$machine_key") -ne 1 || -z $machine_key ]]; then
            echo "gpu_members: $instance published an invalid record, expected slots and two keys; skipped" >&2
            continue
        fi
        lines+="$address slots=$slots"$'\n'
        users+="$user_key"$'\n'
        machines+="$address $machine_key"$'\n'
    done < <(
        aws ec2 describe-instances \
            --filters "Name=tag:aws:autoscaling:groupName,Values=$MSD_GROUP" Name=instance-state-name,Values=running \
            --query 'Reservations[].Instances[].[PrivateIpAddress,InstanceId]' --output text | sort -V
    )
    printf %s "$users" | put "$home/.ssh/authorized_keys" 600
    printf %s "$machines" | put "$home/.ssh/known_hosts" 600
    printf %s "$lines" | put "$hosts" 644 # last: a worker is listed once its keys are in place
}

discover() {
    sed 's/ slots=/:/' "$hosts"
}

case ${1:-} in
publish) publish ;;
sync) sync_members ;;
discover) discover ;;
*)
    echo "usage: gpu_members.sh publish | sync | discover" >&2
    exit 2
    ;;
esac
