"""The table ``rejected/``: inputs that yielded no row, by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from msd_spark.core.delta import not_writable
from msd_spark.core.errors import UserError
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


def none_accepted(contents: str, rejections: Sequence[Rejection], counts: Mapping[str, int] | None = None) -> UserError:
    """Return the error for a stage whose inputs are all rejected.

    `contents` is the singular noun for an input, such as ``song``. The error has the most frequent reason and the first
    input rejected for it. `counts` is the number of rejections per reason; None counts `rejections`.
    """
    counts = Counter(one.reason for one in rejections) if counts is None else counts
    if not counts:
        return UserError(f"the input has no {contents}; the table is unchanged; name another file or folder")
    reason, total = max(counts, key=lambda name: counts[name]), sum(counts.values())
    first, count = next(one for one in rejections if one.reason == reason), counts[reason]
    place = f"{first.source} {first.member}" if first.member else first.source
    return UserError(
        f"no {contents} can be used: {count:,} of {total:,} rejected as {reason}, such as {place}: {first.detail}; "
        "the table is unchanged; correct the input, or name another"
    )


def write_rejections(warehouse: Warehouse, stage: str, rejections: Iterable[Rejection]) -> None:
    """Write a stage's part of ``rejected/``, unless it is empty and was empty before.

    A stage calls this before its own table is published, so that no table is without its rejections.
    """
    table = warehouse.table("rejected", f"stage={stage}")
    rows, base = [asdict(item) for item in rejections], table.snapshot()
    if rows or base is None or sum(file.rows for file in base.files):
        try:
            with table.overwriting(REJECTED, base=base) as writer:
                writer.write(pa.Table.from_pylist(rows, REJECTED))
        except OSError as error:
            raise not_writable(table.path, error) from error
