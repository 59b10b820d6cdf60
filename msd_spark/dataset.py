"""Songs, lyrics and labels joined into ``dataset/NAME/{train,validation,test}/``, model-ready.

Which example goes where is settled first, on light columns (`msd_spark.example_plan`); the
heavy columns then travel once, to the worker that writes the example's file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from msd_spark.errors import StageError
from msd_spark.example_plan import FileRule, count_by_genre, keep_common_genres, plan_examples
from msd_spark.features import example_columns
from msd_spark.normalisation import Moments
from msd_spark.schema import EXAMPLES, GEOMETRY, SPLITS, Geometry, spark_schema
from msd_spark.spark import ArrowFunction, progress
from msd_spark.splits import SplitRule, artist_groups
from msd_spark.summary import SUMMARIES, Summary
from msd_spark.warehouse import Warehouse

STAGE = "dataset"
METADATA = "metadata.json"
DEFAULT_NAME = "genre"

PLACE = pa.schema([pa.field("split", pa.string()), pa.field("file", pa.int64()), pa.field("row", pa.int64())])
PLACED_EXAMPLES = pa.schema([*PLACE, *EXAMPLES])
WRITTEN = pa.schema(
    [
        pa.field("split", pa.string()),
        pa.field("file", pa.int64()),
        pa.field("rows", pa.int64()),
        *(pa.field(name, pa.list_(pa.float64())) for name in ("chroma", "timbre", "lyric_vector")),
    ]
)
"""What a worker says of a file: its rows, and its features' moments (count, sums, sums of squares)."""


@dataclass(frozen=True)
class DatasetSettings:
    """What to join, and how to part it.

    Attributes
    ----------
    warehouse, name : str
        The dataset is written to ``dataset/NAME`` of the warehouse.
    label_set : str
    min_examples : int
        Genres with fewer songs are left out, and listed.
    split_rule : SplitRule
    file_rule : FileRule
    geometry : Geometry
    """

    warehouse: str
    name: str = DEFAULT_NAME
    label_set: str = "cd1"
    min_examples: int = 10
    split_rule: SplitRule = field(default_factory=SplitRule)
    file_rule: FileRule = field(default_factory=FileRule)
    geometry: Geometry = GEOMETRY


def make_dataset(session: SparkSession, settings: DatasetSettings) -> Summary:
    """Write a dataset; return the summary.

    Raises
    ------
    StageError
        When a table is missing, or no song is left.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    songs = session.read.parquet(warehouse.require(STAGE, "songs", made_by="jobs/ingest.py"))
    lyrics = session.read.parquet(warehouse.require(STAGE, "lyrics", made_by="jobs/lyrics.py"))
    labels = session.read.parquet(warehouse.require(STAGE, "labels", made_by="jobs/labels.py"))
    with progress(session, "dataset: labelled songs"):
        labelled, n_songs, n_lyrics = labelled_tracks(songs, lyrics, labels, settings)
    vocabulary, rare = keep_common_genres(labelled["genre"], settings.min_examples)
    common = labelled[labelled["genre"].isin(vocabulary)]
    if common.empty:
        raise StageError(
            STAGE,
            f"{n_songs} songs, {len(labelled)} with a label in {settings.label_set}, "
            f"none in a genre of at least {settings.min_examples}; see --label-set, --min-examples",
        )
    plan = plan_examples(common, vocabulary, settings.split_rule, settings.file_rule)
    with warehouse.replacing("dataset", settings.name) as staging:
        for split in SPLITS:
            warehouse.filesystem.create_dir(f"{staging}/{split}")
        with progress(session, "dataset: examples"):
            written = write_examples(session, songs, lyrics, plan, settings, staging)
        check_written(plan, written)
        metadata = describe(plan, written, vocabulary, settings, _lyric_fingerprint(warehouse))
        metadata["funnel"] = {
            "songs": n_songs,
            "with lyrics": n_lyrics,
            "labelled": len(labelled),
            "after rare genres": len(common),
            **{split: int((plan["split"] == split).sum()) for split in SPLITS},
        }
        metadata["rare_genres"] = rare
        with warehouse.filesystem.open_output_stream(f"{staging}/{METADATA}") as sink:
            sink.write(json.dumps(metadata, indent=2, ensure_ascii=False).encode())
    summary.facts |= metadata["funnel"] | {
        "genres": len(vocabulary),
        "rare genres left out": len(rare),
        "files": len(written),
    }
    absent = [
        f"{genre} in {split}"
        for genre, counts in metadata["examples_by_genre"].items()
        for split in SPLITS
        if not counts[split]
    ]
    if absent:
        summary.facts["no example of"] = ", ".join(absent)
    return summary


def labelled_tracks(
    songs: DataFrame, lyrics: DataFrame, labels: DataFrame, settings: DatasetSettings
) -> tuple[pd.DataFrame, int, int]:
    """Return the labelled songs' light columns, the number of songs, and how many of these have lyrics."""
    with_artist = songs.select(
        "track_id", "song_id", "artist_name", "title", sf.coalesce("artist_id", "track_id").alias("artist")
    )
    same_song = (
        with_artist.where("song_id is not null")
        .groupBy("song_id")
        .agg(sf.sort_array(sf.collect_set("artist")).alias("artists"))
    )
    name, title = (sf.lower(sf.trim(column)) for column in ("artist_name", "title"))
    same_title = (
        with_artist.where("artist_name is not null and title is not null")
        .groupBy(name, title)
        .agg(sf.sort_array(sf.collect_set("artist")).alias("artists"))
    )
    linked = same_song.select("artists").union(same_title.select("artists")).where(sf.size("artists") > 1)
    groups = artist_groups(row["artists"] for row in linked.collect())
    in_set = labels.where(sf.col("label_set") == settings.label_set).select("track_id", "genre")
    tracks = with_artist.join(in_set, "track_id").select("track_id", "genre", "artist").toPandas()
    tracks["artist_group"] = [groups.get(artist, artist) for artist in tracks["artist"]]
    n_lyrics = (
        songs.select("track_id").join(lyrics.where("lyric_vector is not null").select("track_id"), "track_id").count()
    )
    return tracks.drop(columns="artist"), songs.count(), n_lyrics


def write_examples(
    session: SparkSession,
    songs: DataFrame,
    lyrics: DataFrame,
    plan: pd.DataFrame,
    settings: DatasetSettings,
    staging: str,
) -> pd.DataFrame:
    """Write every planned example to its file; return a row a file, as in `WRITTEN`."""
    placed = session.createDataFrame(plan[["track_id", "artist_group", "genre_index", "split", "file", "row"]])
    heavy = songs.select("track_id", "segments_pitches", "segments_timbre")
    joined = heavy.join(sf.broadcast(placed), "track_id").join(
        lyrics.select("track_id", "lyric_vector"), "track_id", "left"
    )
    examples = joined.mapInArrow(_example_maker(settings.geometry), spark_schema(PLACED_EXAMPLES))
    n_files = plan[["split", "file"]].drop_duplicates().shape[0]
    n_partitions = min(n_files, max(session.sparkContext.defaultParallelism * 4, n_files // 4))
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(settings.file_rule.rows_per_file))
    ordered = examples.repartition(n_partitions, "split", "file").sortWithinPartitions("split", "file", "row")
    return ordered.mapInArrow(_file_writer(settings, staging), spark_schema(WRITTEN)).toPandas()


def _example_maker(geometry: Geometry) -> ArrowFunction:
    """Return the function that turns joined rows into examples with their places."""

    def make(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not batch.num_rows:
                continue
            columns = example_columns(batch, geometry)
            made = {name: batch.column(name) for name in batch.schema.names}
            made |= {
                name: rows_to_lists(values) if values.ndim > 1 else pa.array(values) for name, values in columns.items()
            }
            made["weight"] = pa.array(np.ones(batch.num_rows, np.float32))
            yield pa.RecordBatch.from_arrays(
                [made[item.name].cast(item.type) for item in PLACED_EXAMPLES], schema=PLACED_EXAMPLES
            )

    return make


def rows_to_lists(rows: np.ndarray) -> pa.ListArray:
    """Return an array of shape ``(n, …)`` as `n` lists of its flattened rows."""
    width = int(np.prod(rows.shape[1:]))
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(width)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1)))


def _file_writer(settings: DatasetSettings, staging: str) -> ArrowFunction:
    """Return the function that writes sorted examples to their files, one row group each."""

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        warehouse = Warehouse(settings.warehouse)
        for split, file, examples in _files(batches):
            with warehouse.finished_file(f"{staging}/{split}/{part_name(file)}") as unfinished:
                pq.write_table(
                    examples,
                    unfinished,
                    filesystem=warehouse.filesystem,
                    row_group_size=max(1, examples.num_rows),
                    compression="zstd",
                    use_dictionary=["track_id", "artist_group"],
                )
            row = {
                "split": split,
                "file": file,
                "rows": examples.num_rows,
                **feature_moments(examples, settings.geometry),
            }
            yield pa.RecordBatch.from_pylist([row], WRITTEN)

    return write


def _files(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, int, pa.Table]]:
    """Cut a sorted stream of placed examples where the file changes."""
    held: list[pa.RecordBatch] = []
    place: tuple[str, int] | None = None
    for batch in batches:
        splits, files = batch.column("split").to_pylist(), batch.column("file").to_pylist()
        start = 0
        for end in range(1, batch.num_rows + 1):
            here = (splits[start], files[start])
            if end < batch.num_rows and (splits[end], files[end]) == here:
                continue
            if place is not None and here != place:
                yield *place, pa.Table.from_batches(held)
                held = []
            place = here
            held.append(batch.slice(start, end - start).select(EXAMPLES.names))
            start = end
    if place is not None:
        yield *place, pa.Table.from_batches(held)


def part_name(file: int) -> str:
    """Return the name of a split's file."""
    return f"part-{file:06d}.parquet"


def feature_moments(examples: pa.Table, geometry: Geometry) -> dict[str, list[float]]:
    """Return the moments of a file's features, segments of padding and absent lyrics left out."""
    lengths = examples["n_segments"].to_numpy()
    inside = geometry.mask(lengths).astype(bool)
    values = {}
    for name in ("chroma", "timbre"):
        rows = _flat(examples[name]).reshape(len(lengths), *geometry.segments_shape)
        values[name] = rows[inside]
    present = examples["has_lyrics"].to_numpy() > 0
    values["lyric_vector"] = _flat(examples["lyric_vector"]).reshape(len(lengths), geometry.lyric_size)[present]
    moments = {name: Moments.of(rows) for name, rows in values.items()}
    return {name: [item.count, *item.total, *item.squares] for name, item in moments.items()}


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().flatten().to_numpy()


def check_written(plan: pd.DataFrame, written: pd.DataFrame) -> None:
    """Check that every planned example was written.

    Raises
    ------
    StageError
        When a file has other rows than planned: a track id that ``songs/`` has twice or lost.
    """
    planned = plan.groupby(["split", "file"]).size()
    found = written.set_index(["split", "file"])["rows"].reindex(planned.index, fill_value=0)
    wrong = planned[planned != found]
    if len(wrong) or len(written) != len(planned):
        place = wrong.index[0] if len(wrong) else "more files than planned"
        raise StageError(
            STAGE,
            f"{len(plan)} examples planned and {int(written['rows'].sum())} written, first at {place}; "
            "is a track twice in songs/ or lyrics/?",
        )


def describe(
    plan: pd.DataFrame, written: pd.DataFrame, vocabulary: list[str], settings: DatasetSettings, lyric_fingerprint: str
) -> dict:
    """Return the dataset's metadata: everything that training and scoring must know."""
    train = written[written["split"] == "train"]
    normalisation = {}
    for name, width in (
        ("chroma", settings.geometry.n_pitches),
        ("timbre", settings.geometry.n_pitches),
        ("lyric_vector", settings.geometry.lyric_size),
    ):
        parts = (
            Moments(row[0], np.array(row[1 : width + 1]), np.array(row[width + 1 :]))
            for row in train.sort_values("file")[name]
        )
        mean, deviation = reduce(add, parts, Moments.none(width)).mean_and_deviation()
        normalisation[name] = {"mean": mean.tolist(), "deviation": deviation.tolist()}
    files: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for row in written.sort_values("file").to_dict("records"):
        files[row["split"]].append({"name": part_name(int(row["file"])), "rows": int(row["rows"])})
    metadata = {
        "name": settings.name,
        "label_set": settings.label_set,
        "labels": vocabulary,
        "geometry": asdict(settings.geometry),
        "split_rule": asdict(settings.split_rule),
        "file_rule": asdict(settings.file_rule),
        "normalisation": normalisation,
        "lyric_vectors": lyric_fingerprint,
        "examples_by_genre": count_by_genre(plan),
        "files": files,
    }
    return metadata | {"fingerprint": _fingerprint(plan, metadata)}


def _fingerprint(plan: pd.DataFrame, metadata: dict) -> str:
    """Return a name for a dataset's content, the same wherever and whenever it is made."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for column in ("track_id", "split", "file", "row", "genre_index"):
        digest.update("\n".join(map(str, plan[column])).encode())
    return digest.hexdigest()[:32]


def _lyric_fingerprint(warehouse: Warehouse) -> str:
    return str(warehouse.read_json(SUMMARIES, "lyrics.json")["vectors"]["fingerprint"])
