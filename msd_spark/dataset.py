"""Songs, lyrics and labels joined into ``dataset/NAME/{train,validation,test}/``, model-ready.

Which example goes where is settled first, on light columns (`msd_spark.example_plan`); the
heavy columns then travel once, to the worker that writes the example's file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from msd_spark.errors import StageError
from msd_spark.example_files import ExampleFiles, normalisation, part_name, write_examples
from msd_spark.example_plan import FileRule, count_by_genre, keep_common_genres, plan_examples
from msd_spark.run_metadata import METADATA
from msd_spark.schema import GEOMETRY, SPLITS, Geometry
from msd_spark.spark import progress
from msd_spark.splits import SplitRule, artist_groups
from msd_spark.summary import SUMMARIES, Summary
from msd_spark.warehouse import Warehouse

STAGE = "dataset"
DEFAULT_NAME = "genre"


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
    if not (plan["split"] == "train").any():
        raise StageError(STAGE, f"none of {len(common)} examples is in the train split; see --shares, --seed")
    with warehouse.replacing("dataset", settings.name) as staging:
        for split in SPLITS:
            warehouse.filesystem.create_dir(f"{staging}/{split}")
        target = ExampleFiles(settings.warehouse, staging, settings.geometry, settings.file_rule.rows_per_file)
        with progress(session, "dataset: examples"):
            written = write_examples(session, songs, lyrics, plan, target)
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
    tracks = with_artist.join(in_set, "track_id").select("track_id", "song_id", "genre", "artist").toPandas()
    tracks["artist_group"] = [groups.get(artist, artist) for artist in tracks["artist"]]
    n_lyrics = (
        songs.select("track_id").join(lyrics.where("lyric_vector is not null").select("track_id"), "track_id").count()
    )
    return tracks.drop(columns="artist"), songs.count(), n_lyrics


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
) -> dict[str, Any]:
    """Return the dataset's metadata: everything that training and scoring must know."""
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
        "normalisation": normalisation(written[written["split"] == "train"]),
        "lyric_vectors": lyric_fingerprint,
        "examples_by_genre": count_by_genre(plan),
        "files": files,
    }
    return metadata | {"fingerprint": _fingerprint(plan, metadata)}


def _fingerprint(plan: pd.DataFrame, metadata: dict[str, Any]) -> str:
    """Return a name for a dataset's content, the same wherever and whenever it is made."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for column in ("track_id", "split", "file", "row", "genre_index"):
        digest.update("\n".join(map(str, plan[column])).encode())
    return digest.hexdigest()[:32]


def _lyric_fingerprint(warehouse: Warehouse) -> str:
    return str(warehouse.read_json(SUMMARIES, "lyrics.json")["vectors"]["fingerprint"])
