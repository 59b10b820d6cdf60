#!/usr/bin/env bash
# Set up a GPU worker: system packages, the code, the locked Python environment with Horovod on NCCL, and the keys of
# the workers. The user data calls this as root at the first start.
#
# Horovod has no wheels. A worker builds it against this image's CUDA, or takes the wheel of another worker if its
# checksum was approved (gpu_horovod.sh).
#
# Environment: /etc/msd-spark.conf, written by the user data.
set -euo pipefail

: "${MSD_ARTEFACTS:?}" "${MSD_LOGS:?}" "${MSD_GROUP:?}" "${MSD_CODE:?}"
home=/opt/msd-spark
code=$home/code
environment=$home/environment
user=msd

token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
instance=$(curl -sf -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)

keep_log() {
    aws s3 cp --only-show-errors /var/log/msd-spark.log "s3://$MSD_LOGS/gpu/$instance/setup.log" || true
}
trap keep_log EXIT

step() { echo "gpu_setup: $(date -u +%H:%M:%S) $*"; }

step "system packages"
dnf install --quiet --assumeyes gcc-c++ make java-17-amazon-corretto-headless python3.11 python3.11-devel

step "code"
mkdir -p "$code"
aws s3 cp --only-show-errors "s3://$MSD_ARTEFACTS/$MSD_CODE" /tmp/code.tar.gz
tar -xzf /tmp/code.tar.gz -C "$code" --no-same-owner

step "Python packages, by their hashes"
python3.11 -m venv --clear "$environment"
export PATH=$environment/bin:$PATH VIRTUAL_ENV=$environment
python -m pip install --quiet --require-hashes -r "$code/requirements/gpu.txt"

# NCCL is part of TensorFlow's packages, without the unversioned name that the linker looks for.
nccl=$(python -c 'import importlib.util as find; print(find.find_spec("nvidia.nccl").submodule_search_locations[0])')
ln -sf libnccl.so.2 "$nccl/lib/libnccl.so"

step "Horovod"
cuda=$(readlink -f /usr/local/cuda)
export HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_CUDA_HOME=$cuda HOROVOD_NCCL_HOME=$nccl
export LD_LIBRARY_PATH=$nccl/lib:${LD_LIBRARY_PATH:-}
built_from=$(
    {
        cat "$code/requirements/gpu.txt" "$code/requirements/horovod.txt" "$code/tools/horovod_wheel.py"
        echo "$cuda"
        g++ --version
    } | sha256sum | cut -c1-16
)
wheel=$(
    MSD_WHEELS=$home/wheels MSD_SPARK_CACHE=/var/cache/msd-spark PYTHONPATH=$code "$home/bin/gpu_horovod.sh" \
        "$built_from" python -m tools.horovod_wheel "$code/requirements/horovod.txt"
)
python -m pip install --quiet --no-deps --no-index "$wheel"
python -m pip install --quiet --no-deps --no-build-isolation --no-index "$code"
horovodrun --check-build

step "the user $user, and its way in"
id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
install -o "$user" -g "$user" -m 644 /dev/null "$home/hosts"
chown "$user" "$home" "$home/hosts"
ln -sf "$home/bin/gpu_horovodrun.sh" "$home/bin/horovodrun"
cat >/etc/profile.d/msd-spark.sh <<EOF
set -a
. /etc/msd-spark.conf
set +a
export VIRTUAL_ENV=$environment PATH=$home/bin:$environment/bin:\$PATH LD_LIBRARY_PATH=$nccl/lib
export PYSPARK_PYTHON=$environment/bin/python
EOF
echo "cd $code" >>"/home/$user/.bash_profile"

# Fetch the other workers' keys every minute, so that workers that join later can log in.
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
OnUnitActiveSec=60
AccuracySec=5
[Install]
WantedBy=timers.target
EOF
sudo -u "$user" --preserve-env=AWS_DEFAULT_REGION,AWS_ENDPOINT_URL_S3,MSD_ARTEFACTS,MSD_GROUP \
    HOME="/home/$user" "$home/bin/gpu_members.sh" publish
systemctl enable --now msd-members.timer
step "ready"
