"""The table ``rejected/``: inputs that yielded no row, by stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pyarrow as pa

from msd_spark.core.schemas import REJECTED
from msd_spark.core.warehouse import Warehouse


@dataclass(frozen=True)
class Rejection:
    """An input that yielded no row.

    Attributes
    ----------
    reason : str
        A short code.
    detail : str
        The value seen.
    member : str, optional
        Part of the file `source`: line number, archive member or row.
    unit : str, optional
        The unit of ingest.
    """

    source: str
    reason: str
    detail: str
    member: str | None = None
    unit: str | None = None


def write_rejections(warehouse: Warehouse, stage: str, rejections: Iterable[Rejection]) -> None:
    """Write a stage's part of ``rejected/``, unless it is empty and was empty before."""
    table = warehouse.table("rejected", f"stage={stage}")
    rows, base = [asdict(item) for item in rejections], table.snapshot()
    if rows or base is None or sum(file.rows for file in base.files):
        with table.overwriting(REJECTED, base=base) as writer:
            writer.write(pa.Table.from_pylist(rows, REJECTED))
