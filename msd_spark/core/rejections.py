"""The table ``rejected/``: what gave no row, by the stage that refused it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pyarrow as pa

from msd_spark.core.schemas import REJECTED
from msd_spark.core.warehouse import Warehouse


@dataclass(frozen=True)
class Rejection:
    """An input that gave no row.

    Attributes
    ----------
    source : str
        Its file.
    reason : str
        A short code.
    detail : str
        What was seen.
    member : str, optional
        Which part of the file: a line's number, a member of an archive, a row.
    unit : str, optional
        The unit of ingest that it was in.
    """

    source: str
    reason: str
    detail: str
    member: str | None = None
    unit: str | None = None


def write_rejections(warehouse: Warehouse, stage: str, rejections: Iterable[Rejection]) -> None:
    """Write a stage's part of ``rejected/``, replacing what it wrote before."""
    rows = [asdict(item) for item in rejections]
    warehouse.write_arrow(pa.Table.from_pylist(rows, REJECTED), "rejected", f"stage={stage}")
