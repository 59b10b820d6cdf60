from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.example_files import (
    PLACED_EXAMPLES,
    WRITTEN,
    ExampleFiles,
    _example_maker,
    _file_writer,
    feature_moments,
    normalisation,
    part_name,
    rows_to_lists,
)
from msd_spark.schema import EXAMPLES, Geometry

SMALL = Geometry(n_segments=3, n_pitches=2, lyric_size=2)


def examples(n_rows: int, seed: int = 0) -> pa.Table:
    """Return random examples in which the padding holds 9s, so that whoever counts it is found out."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, 4, n_rows).astype(np.int32)
    padding = SMALL.mask(lengths)[..., None] == 0
    has_lyrics = generator.integers(0, 2, n_rows).astype(np.float32)
    columns = {
        "track_id": [f"TR{number:016d}" for number in range(n_rows)],
        "artist_group": ["AR"] * n_rows,
        "chroma": rows_to_lists(np.where(padding, 9, generator.normal(2, 3, (n_rows, 3, 2))).astype(np.float32)),
        "timbre": rows_to_lists(np.where(padding, 9, generator.normal(-50, 90, (n_rows, 3, 2))).astype(np.float32)),
        "n_segments": lengths,
        "lyric_vector": rows_to_lists(
            np.where(has_lyrics[:, None] > 0, generator.normal(0, 0.1, (n_rows, 2)), 9).astype(np.float32)
        ),
        "has_lyrics": has_lyrics,
        "genre_index": np.zeros(n_rows, np.int32),
        "weight": np.ones(n_rows, np.float32),
    }
    return pa.Table.from_pydict(columns, schema=EXAMPLES)


@given(st.integers(0, 6), st.lists(st.integers(1, 4), min_size=1, max_size=2))
def test_rows_become_lists_of_their_numbers(n_rows: int, shape: list[int]) -> None:
    rows = np.random.default_rng(n_rows).random((n_rows, *shape), np.float32)
    made = rows_to_lists(rows)
    assert made.type == pa.list_(pa.float32())
    assert made.to_pylist() == [row.ravel().tolist() for row in rows]


def test_names_of_files_sort_as_their_numbers_do() -> None:
    names = [part_name(number) for number in (0, 9, 10, 123_456)]
    assert names == sorted(names)
    assert names[2] == "part-000010.parquet"


def test_moments_leave_out_padding_and_absent_lyrics() -> None:
    table = pa.Table.from_pylist(
        [
            {
                "track_id": track,
                "artist_group": "AR",
                "chroma": chroma,
                "timbre": [1.0, 2, 3, 4, 5, 6],
                "n_segments": length,
                "lyric_vector": lyrics,
                "has_lyrics": has,
                "genre_index": 0,
                "weight": 1.0,
            }
            for track, chroma, length, lyrics, has in (
                ("TR1", [1.0, 2, 3, 4, 9, 9], 2, [0.5, 1.0], 1.0),
                ("TR2", [5.0, 6, 9, 9, 9, 9], 1, [9.0, 9], 0.0),
            )
        ],
        EXAMPLES,
    )
    # Three segments count: chroma (1, 2), (3, 4), (5, 6); timbre (1, 2), (3, 4), (1, 2). One bag of lyrics.
    # Count, means, squared deviations: chroma 2² + 0² + 2² = 8; timbre of 1, 3, 1 around 5/3: 4/9 + 16/9 + 4/9 = 8/3.
    wanted = {
        "chroma": [3, 3, 4, 8, 8],
        "timbre": [3, 5 / 3, 8 / 3, 8 / 3, 8 / 3],
        "lyric_vector": [1, 0.5, 1, 0, 0],
    }
    found = feature_moments(table, SMALL)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert found[name] == pytest.approx(values)


def as_written(parts: list[pa.Table]) -> pd.DataFrame:
    rows = [
        {"split": "train", "file": number, "rows": part.num_rows, **feature_moments(part, SMALL)}
        for number, part in enumerate(parts)
    ]
    return pa.Table.from_pylist(rows, WRITTEN).to_pandas()


@given(st.integers(1, 30), st.lists(st.integers(0, 30), max_size=4), st.integers(0, 1000))
def test_normalisation_is_that_of_all_rows_however_they_are_cut(n_rows: int, cuts: list[int], seed: int) -> None:
    table = examples(n_rows, seed)
    borders = [0, *sorted(min(cut, n_rows) for cut in cuts), n_rows]
    written = as_written([table.slice(a, b - a) for a, b in itertools.pairwise(borders)])
    found = normalisation(written)
    assert found == normalisation(written.iloc[::-1])
    inside = SMALL.mask(table["n_segments"].to_numpy()).astype(bool)
    has_lyrics = table["has_lyrics"].to_numpy() > 0
    for name, shape, counts in (
        ("chroma", (3, 2), inside),
        ("timbre", (3, 2), inside),
        ("lyric_vector", (2,), has_lyrics),
    ):
        rows = np.array(table[name].to_pylist()).reshape(n_rows, *shape)[counts]
        mean = rows.mean(axis=0) if len(rows) else np.zeros(2)
        deviation = rows.std(axis=0) if len(rows) > 1 else np.ones(2)
        assert found[name]["mean"] == pytest.approx(mean, abs=1e-6)
        assert found[name]["deviation"] == pytest.approx(deviation, rel=1e-6)


def test_examples_of_joined_rows_keep_place_and_label() -> None:
    joined = pa.RecordBatch.from_pydict(
        {
            "track_id": ["TR1", "TR2"],
            "segments_pitches": pa.array([[0.5, 1.0], [0.25] * 8], pa.list_(pa.float32())),
            "segments_timbre": pa.array([[-7.0, 7.0], [1.0] * 8], pa.list_(pa.float32())),
            "artist_group": ["AR1", "AR2"],
            "genre_index": pa.array([2, 1], pa.int64()),
            "split": ["train", "test"],
            "file": pa.array([0, 3], pa.int64()),
            "row": pa.array([1, 0], pa.int64()),
            "lyric_vector": pa.array([None, [0.5, -0.5]], pa.list_(pa.float32())),
        }
    )
    (made,) = _example_maker(SMALL)([joined.slice(0, 0), joined])
    assert made.schema == PLACED_EXAMPLES
    assert made.to_pylist() == [
        {
            "split": "train",
            "file": 0,
            "row": 1,
            "track_id": "TR1",
            "artist_group": "AR1",
            "chroma": [0.5, 1, 0, 0, 0, 0],
            "timbre": [-7, 7, 0, 0, 0, 0],
            "n_segments": 1,
            "lyric_vector": [0, 0],
            "has_lyrics": 0,
            "genre_index": 2,
            "weight": 1,
        },
        {
            "split": "test",
            "file": 3,
            "row": 0,
            "track_id": "TR2",
            "artist_group": "AR2",
            "chroma": [0.25] * 6,
            "timbre": [1] * 6,
            "n_segments": 3,
            "lyric_vector": [0.5, -0.5],
            "has_lyrics": 1,
            "genre_index": 1,
            "weight": 1,
        },
    ]


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 25), max_size=6),
    splits=st.lists(st.sampled_from(["test", "train"]), min_size=5, max_size=5),
)
def test_files_hold_their_rows_however_the_stream_is_cut(sizes: list[int], cuts: list[int], splits: list[str]) -> None:
    splits = sorted(splits[: len(sizes)])
    numbers = [splits[:number].count(split) for number, split in enumerate(splits)]
    table = examples(sum(sizes))
    place = {
        "split": np.repeat(splits, sizes),
        "file": np.repeat(numbers, sizes),
        "row": np.concatenate([np.arange(n) for n in sizes]),
    }
    placed = pa.Table.from_arrays([*map(pa.array, place.values()), *table.columns], schema=PLACED_EXAMPLES)
    batch = placed.combine_chunks().to_batches()[0]
    borders = [0, *sorted(min(cut, batch.num_rows) for cut in cuts), batch.num_rows]
    stream = [batch.slice(a, b - a) for a, b in itertools.pairwise(borders)]
    with tempfile.TemporaryDirectory() as folder:
        for split in set(splits):
            Path(folder, split).mkdir()
        said = [
            row for made in _file_writer(ExampleFiles(folder, folder, SMALL, 5))(stream) for row in made.to_pylist()
        ]
        assert [(row["split"], row["file"], row["rows"]) for row in said] == list(
            zip(splits, numbers, sizes, strict=True)
        )
        start = 0
        for row in said:
            file = pq.ParquetFile(Path(folder, row["split"], part_name(row["file"])))
            part = table.slice(start, row["rows"])
            assert file.num_row_groups == 1
            assert file.read().equals(part)
            assert {name: row[name] for name in ("chroma", "timbre", "lyric_vector")} == feature_moments(part, SMALL)
            start += row["rows"]
        assert len(list(Path(folder).rglob("*.parquet"))) == len(sizes)


def test_a_worker_without_rows_writes_nothing(tmp_path: Path) -> None:
    target = ExampleFiles(str(tmp_path), str(tmp_path), SMALL, 5)
    assert list(_file_writer(target)([])) == []
    assert list(tmp_path.iterdir()) == []
