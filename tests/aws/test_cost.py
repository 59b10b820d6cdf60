"""Estimates, computed by hand."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from msd_spark.aws import cost
from msd_spark.aws.sizing import read_types
from msd_spark.core.errors import UserError
from tests.aws.stacks import stack

PRICES: dict[str, Any] = {
    "emr_share": 0.25,
    "spot_share": [0.25, 1.0],
    "nat_hour": 0.05,
    "address_hour": 0.005,
    "key_and_alarms_month": 1.3,
    "volume_gb_month": 0.073,
    "storage_gb_month": 0.02,
    "infrequent_gb_month": 0.01,
    "retrieval_gb": 0.01,
    "instances": {"m6i.2xlarge": 0.4, "m5.2xlarge": 0.4, "r5.2xlarge": 0.5, "m6i.xlarge": 0.2, "g5.12xlarge": 6.0},
}
RATES: dict[str, Any] = {
    "epochs": 2,
    "stages": {
        "ingest": {"seconds": 60.0, "songs_per_second": 100.0},
        "train": {"seconds": 30.0, "songs_per_second": 1000.0},
    },
}
TYPES = read_types()


def test_a_cluster_costs_from_its_nodes_and_the_share_of_emr() -> None:
    # A primary and two core nodes at 0.4, and 25 %; and 6 task nodes at a quarter of 0.4, or at 0.5, and the share.
    # A disk of 192 GB costs 0.073 / 730 x 192 = 0.0192 per hour.
    usd = cost.cluster_usd_per_hour(stack().emr, TYPES, PRICES)
    core, disk = 3 * 0.4 * 1.25, 0.0192
    assert usd["core"] == pytest.approx((core + 3 * disk, core + 3 * disk))
    assert usd["all"] == pytest.approx((core + 6 * 0.4 * (0.25 + 0.25) + 9 * disk, core + 6 * 0.5 * 1.25 + 9 * disk))


def test_a_stage_takes_its_fixed_time_and_that_of_its_songs() -> None:
    assert cost.slots(stack().emr, TYPES) == {"all": 64, "core": 16}
    low, high = cost.stage_minutes(RATES["stages"]["ingest"], 192_000, 64)
    assert low == pytest.approx(1 + 192_000 / 6_400 / 60)
    assert high == pytest.approx(2 + 192_000 / 3_200 / 60)


def test_the_range_of_a_cluster_covers_all_its_nodes_and_the_core_alone() -> None:
    line = cost.cluster_line("x", {"all": (10, 20), "core": (40, 80)}, {"all": (6.0, 12.0), "core": (3.0, 3.0)})
    assert line.minutes == (10, 80)
    assert line.usd == (1.0, 4.0)  # all nodes: 1 to 4; the core: 2 to 4


def test_training_is_bounded_by_its_input_and_by_cpus() -> None:
    gpu = stack().gpu
    assert gpu is not None
    low, high = cost.training_minutes(RATES, 480_000, 20, gpu, TYPES)
    assert low == pytest.approx((30 + 480_000 * 20 / (cost.FEED_ROWS_PER_SECOND * 4)) / 60)
    assert high == pytest.approx((60 + 480_000 * 10 / (1000 * 48)) / 60)


def test_an_estimate_has_a_line_for_every_start_and_stage() -> None:
    content = {
        "source": "snapshot",
        "before": [{"stage": "ingest"}],
        "gpu": [{"stage": "train"}],
        "after": [],
    }
    lines = cost.estimate(stack(), TYPES, content, n_songs=1000, epochs=2, prices=PRICES, rates=RATES)
    assert [one.name for one in lines] == [
        *("copy of the snapshot", "start of a cluster", "ingest", "start of workers", "train")
    ]
    copy = lines[0]
    # 0.2 for the instance and 500 GB x 0.073 / 730 hours for the volume.
    assert copy.usd == pytest.approx((2 * 0.25, 10 * 0.25))
    whole = cost.total(lines)
    assert whole.usd[0] == pytest.approx(sum(one.usd[0] for one in lines))
    assert all(one.usd[0] <= one.usd[1] and one.minutes[0] <= one.minutes[1] for one in lines)


def test_cost_so_far_and_per_month() -> None:
    hours = {name: datetime.timedelta(hours=n) for name, n in (("cluster", 2), ("workers", 1), ("copy", 4))}
    low, high = cost.spent(stack(gpu__spot=True), TYPES, hours, PRICES)
    nodes = 1.5 + 3 * 0.0192, 1.5 + 6 * 0.5 * 1.25 + 9 * 0.0192
    assert (low, high) == pytest.approx((2 * nodes[0] + 6 * 0.25 + 4 * 0.25, 2 * nodes[1] + 6 + 4 * 0.25))
    assert cost.per_month(1_000_000, PRICES)["songs"] == pytest.approx((2.8, 5.6))


def test_a_type_without_a_price_is_named() -> None:
    with pytest.raises(UserError, match=r"infra/prices\.toml has no price of c6i\.4xlarge; add it"):
        cost.cluster_usd_per_hour(stack(emr__core_instance_types=["c6i.4xlarge"]).emr, TYPES, PRICES)
