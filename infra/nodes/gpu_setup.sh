#!/usr/bin/env bash
# Set up a GPU worker: system packages, local disks, the code, the packed Python environment with Horovod on NCCL, and the
# keys of the workers. The user data calls this as root at the first start.
#
# Horovod has no wheels. A worker builds it against this image's CUDA, or takes the wheel of another worker if its
# checksum was approved (gpu_horovod.sh).
#
# setup-status in /opt/msd-spark has the exit status: 2 if the image does not suit. The logs go to
# s3://LOGS/gpu/INSTANCE/.
#
# Environment: /etc/msd-spark.conf, written by the user data. MSD_HOME is for tests.
set -euo pipefail

: "${MSD_ARTEFACTS:?}" "${MSD_LOGS:?}" "${MSD_GROUP:?}" "${MSD_CODE:?}" "${MSD_ENVIRONMENT_KEY:?}" "${MSD_CUDA:?}"
home=${MSD_HOME:-/opt/msd-spark}
code=$home/code
environment=$home/environment
cache=/var/cache/msd-spark
user=msd

token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
instance=$(curl -sf -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)

end_setup() { # STATUS
    echo "$1" >"$home/setup-status"
    ln -sf /var/log/msd-spark.log "$home/setup.log"
    aws s3 cp --only-show-errors /var/log/msd-spark.log "s3://$MSD_LOGS/gpu/$instance/setup.log" || true
    aws s3 cp --only-show-errors --recursive --exclude '*' --include '*.log' "$cache" "s3://$MSD_LOGS/gpu/$instance/" || true
}
trap 'end_setup $?' EXIT

step() { echo "gpu_setup: $(date -u +%H:%M:%S) $*"; }

unpack() { # KEY FOLDER
    mkdir -p "$2"
    aws s3 cp --only-show-errors "s3://$MSD_ARTEFACTS/$1" - | tar -xz -C "$2" --no-same-owner
}

if [[ ! -x $MSD_CUDA/bin/nvcc ]]; then
    cuda_folders=$(compgen -G '/usr/local/cuda*' | tr '\n' ' ' || true)
    echo "gpu_setup: the image has no $MSD_CUDA/bin/nvcc, which Horovod is built with (CUDA folders: ${cuda_folders:-none});" \
        "set gpu.cuda, or choose another image by gpu.ami_name or gpu.ami_id" >&2
    exit 2
fi

step "system packages"
dnf install --quiet --assumeyes gcc-c++ make mdadm xfsprogs java-17-amazon-corretto-headless python3.11 python3.11-devel

step "local disks"
"$home/bin/gpu_disks.sh" /mnt/nvme

step "code and Python environment"
unpack "$MSD_CODE" "$code"
unpack "$MSD_ENVIRONMENT_KEY" "$environment"
export PATH=$environment/bin:$PATH VIRTUAL_ENV=$environment
python -m ensurepip >/dev/null

# NCCL is part of TensorFlow's packages, without the unversioned name that the linker looks for.
nccl=$(python -c 'import importlib.util as find; print(find.find_spec("nvidia.nccl").submodule_search_locations[0])')
ln -sf libnccl.so.2 "$nccl/lib/libnccl.so"

step "Horovod"
export HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_CUDA_HOME=$MSD_CUDA HOROVOD_NCCL_HOME=$nccl
export LD_LIBRARY_PATH=$nccl/lib:${LD_LIBRARY_PATH:-}
built_from=$(
    {
        cat "$code/requirements/gpu.txt" "$code/requirements/horovod.txt" "$code/tools/horovod_wheel.py"
        echo "$MSD_CUDA"
        g++ --version
    } | sha256sum | cut -c1-16
)
wheel=$(
    MSD_WHEELS=$home/wheels MSD_SPARK_CACHE=$cache PYTHONPATH=$code "$home/bin/gpu_horovod.sh" \
        "$built_from" python -m tools.horovod_wheel "$code/requirements/horovod.txt"
)
python -m pip install --quiet --no-deps --no-index "$wheel"
python -m pip install --quiet --no-deps --no-build-isolation --no-index "$code"
horovodrun --check-build

step "user $user and SSH access"
id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
install -o "$user" -g "$user" -m 644 /dev/null "$home/hosts"
chown "$user" "$home" "$home/hosts"
if mountpoint -q /mnt/nvme; then install -d -o "$user" -g "$user" /mnt/nvme/cache; fi # for training's --cache
ln -sf "$home/bin/gpu_horovodrun.sh" "$home/bin/horovodrun"
cat >/etc/profile.d/msd-spark.sh <<EOF
set -a
. /etc/msd-spark.conf
set +a
export VIRTUAL_ENV=$environment PATH=$home/bin:$environment/bin:\$PATH LD_LIBRARY_PATH=$nccl/lib
export PYSPARK_PYTHON=$environment/bin/python
EOF
echo "cd $code" >>"/home/$user/.bash_profile"

# Fetch the other workers' keys several times a minute, so that workers that join later can log in.
cat >/etc/systemd/system/msd-members.service <<EOF
[Service]
Type=oneshot
User=$user
EnvironmentFile=/etc/msd-spark.conf
ExecStart=$home/bin/gpu_members.sh sync
EOF
cat >/etc/systemd/system/msd-members.timer <<'EOF'
[Timer]
OnBootSec=30
OnUnitActiveSec=20
AccuracySec=5
[Install]
WantedBy=timers.target
EOF
# First let the others in, then be seen by them.
for task in sync publish; do
    sudo -u "$user" --preserve-env=AWS_DEFAULT_REGION,AWS_ENDPOINT_URL_S3,MSD_ARTEFACTS,MSD_GROUP \
        HOME="/home/$user" "$home/bin/gpu_members.sh" "$task"
done
systemctl enable --now msd-members.timer
step "ready"
