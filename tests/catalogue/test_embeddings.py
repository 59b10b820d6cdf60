from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from msd_spark.catalogue.embeddings import EMBEDDED_COLUMNS, embedded_songs, read_embeddings
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import EMBEDDINGS
from msd_spark.core.warehouse import Warehouse

SCHEMA = pa.schema([EMBEDDINGS.field(name) for name in EMBEDDED_COLUMNS])


def table(**embeddings: list[float]) -> pa.Table:
    rows = [
        {"track_id": name, "embedding": values, "predicted_genre": "Jazz" if name == "TRA" else None, "has_lyrics": 1}
        for name, values in embeddings.items()
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def test_songs_are_sorted_by_track_id() -> None:
    songs = embedded_songs(table(TRB=[3, 4], TRA=[1, 2]), "r")
    assert songs.track_ids.tolist() == ["TRA", "TRB"]
    assert songs.vectors.tolist() == [[1, 2], [3, 4]]
    assert songs.vectors.dtype == np.float32
    assert songs.predicted_genre.tolist() == ["Jazz", ""]
    assert songs.has_lyrics.tolist() == [True, True]
    assert len(songs) == 2


def test_the_fingerprint_depends_on_ids_and_vectors() -> None:
    songs = embedded_songs(table(TRA=[1, 2], TRB=[3, 4]), "r")
    assert songs.fingerprint() == embedded_songs(table(TRB=[3, 4], TRA=[1, 2]), "r").fingerprint()
    for other in (table(TRA=[1, 2], TRC=[3, 4]), table(TRA=[1, 2], TRB=[3, 5])):
        assert songs.fingerprint() != embedded_songs(other, "r").fingerprint()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table(), "embeddings/r has no songs"),
        (pa.concat_tables([table(TRA=[1]), table(TRA=[2])]), "embeddings/r has TRA twice"),
        (table(TRA=[1], TRB=[1, 2]), r"embeddings/r has vectors of \[1, 2\] numbers"),
        (table(TRA=[]), r"embeddings/r has vectors of \[0\] numbers"),
    ],
)
def test_wrong_tables_are_refused(rows: pa.Table, message: str) -> None:
    with pytest.raises(UserError, match=f"{message}; run msd-spark score again"):
        embedded_songs(rows, "r")


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="embeddings/r is missing; run msd-spark score first"):
        read_embeddings(Warehouse(str(tmp_path)), "r")
