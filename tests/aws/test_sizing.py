from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.aws.sizing import (
    APPLICATION_MASTER_MB,
    EXECUTOR_CORES,
    SLOT_MB,
    TYPES,
    cluster,
    node,
    read_types,
    types_file,
    why_no_primary,
    why_refused,
    yarn_mb,
)
from msd_spark.core.errors import UserError
from tools.deployment.instance_types import supported_types

# yarn.nodemanager.resource.memory-mb of the tables "Task configuration" in the EMR Release Guide, of supported types:
# r5 as a public source quotes them, m5 and c5 from memory.
PUBLISHED = {
    "m5.xlarge": 12_288,
    "m5.2xlarge": 24_576,
    "m5.4xlarge": 57_344,
    "c5.xlarge": 6_144,
    "c5.2xlarge": 12_288,
    "c5.4xlarge": 24_576,
    "c5.9xlarge": 65_536,
    "r5.xlarge": 24_576,
    "r5.2xlarge": 57_344,
    "r5.4xlarge": 122_880,
    "r5.8xlarge": 253_952,
    "r5.12xlarge": 385_024,
    "r5.16xlarge": 516_096,
}


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items())
def test_memory_for_yarn_is_what_emr_publishes(name: str, expected: int) -> None:
    assert yarn_mb(read_types()[name].memory_mb) == expected


# Memory in GiB and yarn.nodemanager.resource.memory-mb of m4 and r4 types, which the stack does not support, from
# awsdocs/amazon-emr-release-guide, doc_source/emr-hadoop-task-config.md.
PUBLISHED_BY_MEMORY = {
    "m4.xlarge": (16, 12_288),
    "m4.2xlarge": (32, 24_576),
    "m4.4xlarge": (64, 57_344),
    "m4.10xlarge": (160, 155_648),
    "m4.16xlarge": (256, 253_952),
    "r4.xlarge": (30.5, 23_424),
    "r4.2xlarge": (61, 54_272),
    "r4.4xlarge": (122, 116_736),
    "r4.8xlarge": (244, 241_664),
    "r4.16xlarge": (488, 491_520),
}


@pytest.mark.parametrize(("memory_gib", "expected"), PUBLISHED_BY_MEMORY.values(), ids=PUBLISHED_BY_MEMORY)
def test_memory_for_yarn_follows_the_published_tables(memory_gib: float, expected: int) -> None:
    assert yarn_mb(int(memory_gib * 1024)) == expected


@given(st.integers(1, 192), st.integers(1, 1536))
def test_executors_fit_beside_the_application_master(vcpus: int, memory_gib: int) -> None:
    one = node(vcpus, memory_gib * 1024)
    assert one.executors * EXECUTOR_CORES <= vcpus
    if one.executors:
        assert one.executors * one.executor_mb + APPLICATION_MASTER_MB <= yarn_mb(one.memory_mb)
        assert one.executor_mb >= EXECUTOR_CORES * SLOT_MB


def test_a_node_of_16_vcpus_and_32_gib_has_8_slots() -> None:
    # 24,576 MB for YARN, less 1,024: two executors of 11,776 MB; 4 x 10,240 MB would not fit.
    one = read_types()["c6i.4xlarge"]
    assert (one.executors, one.executor_mb) == (2, 11_776)


def test_a_type_that_fits_no_executor_is_refused_with_the_reason() -> None:
    types = read_types()
    assert why_refused("m6i.2xlarge", types) is None
    assert why_refused("c6i.xlarge", types) == (
        "c6i.xlarge has 4 vCPUs and 6,144 MB for YARN, an executor needs 4 vCPUs and 11,264 MB; choose a larger type"
    )
    assert "not in infra/instance_types.json" in (why_refused("m6g.2xlarge", types) or "")
    with pytest.raises(UserError, match=r"c6i\.xlarge has 4 vCPUs.*; m6g\.2xlarge is not in"):
        cluster(types, ["m6i.2xlarge", "c6i.xlarge", "m6g.2xlarge"], 16)


def test_a_cluster_is_sized_by_its_smallest_type() -> None:
    # 64 vCPUs: 8 m6i.2xlarge or r5.2xlarge of 2 executors, or 4 c6i.4xlarge of 2 executors: 4 x 2 x 4 = 32 slots.
    sizing = cluster(read_types(), ["r5.2xlarge", "c6i.4xlarge"], 64)
    assert (sizing.slots, sizing.executor_mb, sizing.als_blocks) == (32, 11_776, 32)
    assert cluster(read_types(), ["m6i.2xlarge"], 8).als_blocks == 10


def test_a_primary_node_has_memory_for_the_driver() -> None:
    types = read_types()
    assert why_no_primary("m6i.2xlarge", types) is None
    assert why_no_primary("m6i.xlarge", types) == (
        "m6i.xlarge has 16,384 MB, a third of which is the driver's, which needs 8,192 MB; choose a larger type"
    )


def test_batches_fit_in_the_memory_of_a_gpu() -> None:
    assert read_types()["g5.12xlarge"].batch_size == 128
    assert node(8, 32_768, gpus=1, gpu_mb=4096).batch_size == 64
    assert node(8, 32_768).batch_size == 0


def test_the_file_is_current() -> None:
    assert TYPES.read_text() == types_file(supported_types())
