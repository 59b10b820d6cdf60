from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.delta import DataFile, Destination, logical_name
from msd_spark.core.examples import ExampleForm, write_file
from msd_spark.core.schemas import EXAMPLES, Geometry, examples_schema
from msd_spark.core.song_summary import SUMMARY_SIZE
from msd_spark.core.words import WORDS
from msd_spark.dataset.files import (
    PLANNED,
    assemble,
)
from tests.support.decoded import decoded

SMALL = Geometry(n_segments=3, n_pitches=2, lyric_size=2)


def test_names_of_files_sort_as_their_numbers_do(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path), "0123abcd")
    table = assemble(TWO, SEGMENTS, ExampleForm(SMALL, word_tracks=TRACKS_OF_WORDS))
    names = [write_file(destination, table, "test", number).name for number in (0, 9, 10, 12_345)]
    assert names == sorted(names)
    assert logical_name(names[2]) == "test/part-00010.parquet"


def planned(*rows: tuple[object, ...]) -> pa.Table:
    columns = [pa.array(list(values), item.type) for values, item in zip(zip(*rows, strict=True), PLANNED, strict=True)]
    return pa.Table.from_arrays(columns, schema=PLANNED)


TWO = planned(
    ("TR1", "SO1", "AR1", 2, 9, 0, [0.5, -0.5], [1, 3], [1, 2], [0, 2], [1.0, 2.0, 3.0]),
    ("TR2", None, "AR2", -1, -1, 0, None, None, None, None, None),
)
SEGMENTS = {
    "chroma": np.arange(12, dtype=np.float32).reshape(2, 3, 2),
    "timbre": -np.arange(12, dtype=np.float32).reshape(2, 3, 2),
    "n_segments": np.array([3, 1], np.int32),
    "summary": np.arange(2 * SUMMARY_SIZE, dtype=np.float32).reshape(2, -1),
    "dynamics": np.arange(18, dtype=np.float32).reshape(2, 3, 3),
}
TRACKS_OF_WORDS = (2, 1, 1)


def test_missing_features_are_zero_and_flagged() -> None:
    rows = decoded(assemble(TWO, SEGMENTS, ExampleForm(SMALL, 4, 3, TRACKS_OF_WORDS)))
    first, second = (
        {name: np.asarray(value).tolist() for name, value in row.items()} for row in rows.to_dict("records")
    )
    assert first == {
        "track_id": "TR1",
        "song_id": "SO1",
        "artist_group": "AR1",
        "chroma": [[0, 1], [2, 3], [4, 5]],
        "timbre": [[0, -1], [-2, -3], [-4, -5]],
        "n_segments": 3,
        "lyric_vector": [0.5, -0.5],
        "has_lyrics": 1,
        "summary": list(range(SUMMARY_SIZE)),
        "word_indices": [3, 1] + [0] * (WORDS - 2),
        "word_counts": [2, 1] + [0] * (WORDS - 2),
        "dynamics": [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
        "genre_index": 2,
        "has_genre": 1,
        "popularity_decile": 9,
        "has_listens": 1,
        "weight": 1,
        "tag_vector": [1, 0, 1, 0],
        "has_tags": 1,
        "factors": [1, 2, 3],
        "has_factors": 1,
    }
    absent: dict[str, object] = {
        "song_id": None,
        "lyric_vector": [0, 0],
        "has_lyrics": 0,
        "genre_index": -1,
        "has_genre": 0,
    }
    absent |= {"word_indices": [0] * WORDS, "word_counts": [0] * WORDS}
    absent |= {"popularity_decile": -1, "has_listens": 0, "tag_vector": [0] * 4, "has_tags": 0}
    absent |= {"factors": [0] * 3, "has_factors": 0, "n_segments": 1, "chroma": [[6, 7], [8, 9], [10, 11]]}
    assert {name: second[name] for name in absent} == absent


def test_a_dataset_without_tags_and_factors_has_no_such_columns() -> None:
    assert assemble(TWO, SEGMENTS, ExampleForm(SMALL, word_tracks=TRACKS_OF_WORDS)).column_names == EXAMPLES.names


def test_a_slice_of_the_plan_makes_its_rows() -> None:
    form = ExampleForm(SMALL, n_tags=3, word_tracks=TRACKS_OF_WORDS)
    whole = assemble(TWO, SEGMENTS, form)
    part = assemble(TWO.slice(1), {name: values[1:] for name, values in SEGMENTS.items()}, form)
    assert part.to_pylist() == whole.to_pylist()[1:]
    assert part.schema == whole.schema == examples_schema(tags=True)


def test_a_file_is_one_row_group(tmp_path: Path) -> None:
    table = assemble(TWO, SEGMENTS, ExampleForm(SMALL, word_tracks=TRACKS_OF_WORDS))
    written = write_file(Destination(str(tmp_path), "0123abcd"), table, "train", 0)
    assert written == DataFile(written.name, (tmp_path / written.name).stat().st_size, 2, "train")
    file = pq.ParquetFile(tmp_path / written.name)
    assert file.num_row_groups == 1
    assert file.read().equals(table)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == [written.name]
