#!/usr/bin/env bash
# Precedes horovodrun on the PATH of GPU workers. It starts the project's launcher, which checks hosts and slots; with
# several workers it adds the hosts file, so that `horovodrun -np 8 training/train.py ...` works on two workers as
# `-np 4` does on one. Elastic training (--min-np or --max-np) gets the script that discovers hosts instead.
#
# Environment: MSD_ENVIRONMENT (the virtual environment), MSD_HOSTS, MSD_MEMBERS (the script that writes MSD_HOSTS),
# MSD_DISCOVER (the script that discovers hosts).
set -euo pipefail

environment=${MSD_ENVIRONMENT:-/opt/msd-spark/environment}
hosts=${MSD_HOSTS:-/opt/msd-spark/hosts}
members=${MSD_MEMBERS:-/opt/msd-spark/bin/gpu_members.sh}
discover=${MSD_DISCOVER:-/opt/msd-spark/bin/gpu_discover.sh}
elastic=''

launch=("$environment/bin/python" -m training.ranks.launch)

for word in "$@"; do
    case $word in
    -h | --help | -v | --version | -cb | --check-build) exec "$environment/bin/horovodrun" "$@" ;;
    -H | --hosts | --hosts=* | --hostfile | --hostfile=* | -hostfile | --host-discovery-script*)
        exec "${launch[@]}" "$@" # the hosts are given
        ;;
    --min-np* | --min-num-proc* | --max-np* | --max-num-proc*) elastic=yes ;;
    training/* | python*) break ;;              # from here on they are the program's words
    esac
done

"$members" sync
if [[ -n $elastic ]]; then
    exec "${launch[@]}" --host-discovery-script "$discover" "$@"
fi
if [[ $(grep -c . "$hosts" || true) -gt 1 ]]; then
    exec "${launch[@]}" --hostfile "$hosts" "$@"
fi
exec "${launch[@]}" "$@"
