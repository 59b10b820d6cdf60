"""Write ``infra/instance_types.json``: the sizing of every instance type that the stack supports.

Run ``python -m tools.deployment.instance_types``. The hardware is that of EC2's DescribeInstanceTypes, as packaged with
moto.
"""

from __future__ import annotations

import re

from moto.ec2.models.instance_types import INSTANCE_TYPES

from msd_spark.aws.sizing import TYPES, Node, node, types_file

SPARK_FAMILIES = r"[mcr](5[adn]?|5ad|6i|6a|6id|6in|7i|7a)"
GPU_FAMILIES = r"g4dn|g5|g6|g6e|p4d|p5"
SUPPORTED = re.compile(rf"({SPARK_FAMILIES}|{GPU_FAMILIES})\.\d*xlarge")


def supported_types() -> dict[str, Node]:
    """Return the sizing of every supported instance type, all of them x86-64."""
    return {
        name: node(
            facts["VCpuInfo"]["DefaultVCpus"],
            facts["MemoryInfo"]["SizeInMiB"],
            gpus=sum(gpu["Count"] for gpu in facts.get("GpuInfo", {}).get("Gpus", [])),
            gpu_mb=next((gpu["MemoryInfo"]["SizeInMiB"] for gpu in facts.get("GpuInfo", {}).get("Gpus", [])), 0),
            nvme_gb=facts.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
        )
        for name, facts in INSTANCE_TYPES.items()
        if SUPPORTED.fullmatch(name)
    }


if __name__ == "__main__":
    TYPES.write_text(types_file(supported_types()))
