"""Print what ingesting and scoring a million songs costs on AWS.

Run ``python -m tools.deployment.cost``. Rates are measured, see docs/aws.md; prices are stated in
``infra/prices.toml``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from tabulate import tabulate

PRICES = Path(__file__).resolve().parents[2] / "infra" / "prices.toml"
SONGS = 1_000_000
VCPUS = 16
INGESTED, SCORED = 250.0, 850.0
"""Songs per second and vCPU."""

START_MINUTES = 10.0
HEADERS = ["core nodes", "cluster, USD/h", "ingest, minutes", "score, minutes", "total, USD"]


def estimate(vcpus: int, price: float, primary: float, emr_share: float) -> tuple[int, float, float, float, float]:
    """Return instances, USD per hour, minutes of ingest, minutes of scoring, and USD in total.

    Examples
    --------
    16 vCPUs ingest 16 x 250 = 4,000 songs per second, so a million takes 250 s:

    >>> round(estimate(8, 0.384, 0.192, 0.25)[2] * 60)
    250
    """
    instances = -(-VCPUS // vcpus)
    ingest, score = (SONGS / (rate * instances * vcpus) / 60 for rate in (INGESTED, SCORED))
    per_hour = (instances * price + primary) * (1 + emr_share)
    return instances, per_hour, ingest, score, per_hour * (START_MINUTES + ingest + score) / 60


def table() -> str:
    """Return the estimates as a Markdown table."""
    prices = tomllib.loads(PRICES.read_text())
    rows = []
    for name, kind in prices["core"].items():
        instances, *values = estimate(**kind, primary=prices["primary"], emr_share=prices["emr_share"])
        rows.append(
            [
                f"{instances} x {name}",
                *(f"{value:.{places}f}" for value, places in zip(values, (2, 1, 1, 2), strict=True)),
            ]
        )
    return tabulate(rows, headers=HEADERS, tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    print(table())
