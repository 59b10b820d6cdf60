"""Songs joined with all that is known of them into ``dataset/NAME/{train,validation,test}/``, model-ready.

Which example goes where is settled first, on light columns (`msd_spark.example_sources`,
`msd_spark.example_joins`, `msd_spark.example_plan`); the heavy columns then travel once, to the
worker that writes the example's file (`msd_spark.example_shuffle`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
from pyspark.sql import SparkSession

from msd_spark.artist_groups import moves_since
from msd_spark.balance import BalanceRule
from msd_spark.dataset_metadata import DatasetSummary, describe, fingerprint_of_files
from msd_spark.errors import StageError
from msd_spark.example_files import PLANNED, with_widths
from msd_spark.example_joins import FACTORS, GENRE, LISTENS, LYRICS, REQUIREMENTS, TAGS, Joined, SideTables
from msd_spark.example_plan import FileRule, keep_common_genres, plan_examples
from msd_spark.example_shuffle import Target, bundle_files, reading_tasks, write_examples, write_plan
from msd_spark.example_sources import STAGE, SongFiles, read_songs, table_files
from msd_spark.funnel import Funnel
from msd_spark.rejections import Rejection, write_rejections
from msd_spark.run_metadata import METADATA
from msd_spark.schema import (
    ABSENT,
    FACTOR_VECTOR,
    GEOMETRY,
    SPLITS,
    TAG_VECTOR,
    Geometry,
    examples_schema,
)
from msd_spark.spark import progress
from msd_spark.splits import SplitRule, groups_in_several_splits, listed_splits, read_split_list
from msd_spark.summary import Summary
from msd_spark.text_files import read_lines
from msd_spark.warehouse import Warehouse

DEFAULT_NAME = "genre"

TABLES_OF = {LYRICS: "lyrics", GENRE: "labels", TAGS: "tags", LISTENS: "popularity", FACTORS: "factors"}
"""The table that says whether a track has what ``--require`` names."""


@dataclass(frozen=True)
class DatasetSettings:
    """What to join, and how to part it.

    Attributes
    ----------
    warehouse, name : str
        The dataset is written to ``dataset/NAME`` of the warehouse.
    label_set : str
    min_examples : int
        Genres with fewer songs are removed, and listed: their songs are left out where genres are
        required, and are songs without a genre where they are not.
    split_rule : SplitRule
    file_rule : FileRule
    geometry : Geometry
    require : tuple of str
        What a song must have, of `msd_spark.example_joins.REQUIREMENTS`, besides segments.
    balance : BalanceRule
        Of the train split.
    tags : int
        Tags of the vocabulary, those that most tracks have; 0 for no tag columns.
    factors : bool
        Whether examples have the factors of their listens.
    most_popular : int or None
        Only tracks of at most this popularity rank.
    split_lists : tuple of str or None
        A file of track ids or song ids for each split, instead of the split rule.
    """

    warehouse: str
    name: str = DEFAULT_NAME
    label_set: str = "cd1"
    min_examples: int = 10
    split_rule: SplitRule = field(default_factory=SplitRule)
    file_rule: FileRule = field(default_factory=FileRule)
    geometry: Geometry = GEOMETRY
    require: tuple[str, ...] = ()
    balance: BalanceRule = field(default_factory=BalanceRule)
    tags: int = 0
    factors: bool = False
    most_popular: int | None = None
    split_lists: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be asked for."""
        unknown = sorted(set(self.require) - set(REQUIREMENTS))
        if unknown:
            raise ValueError(f"what can be required is {', '.join(REQUIREMENTS)}, not {', '.join(unknown)}")
        if self.tags < 0 or (self.most_popular is not None and self.most_popular < 1):
            raise ValueError(
                f"--tags is at least 0 and --most-popular at least 1, not {self.tags}, {self.most_popular}"
            )
        if not self.name or "/" in self.name or self.name.startswith((".", "_")):
            raise ValueError(f"a dataset's name is one folder, not {self.name!r}")

    def needed_tables(self) -> frozenset[str]:
        """Return the tables beside ``songs/`` that must be there."""
        needed = {TABLES_OF[name] for name in self.require}
        needed |= {"tags", "tag_counts"} if self.tags else set()
        needed |= {"factors"} if self.factors else set()
        needed |= {"popularity"} if self.most_popular is not None else set()
        return frozenset(needed)


def make_dataset(session: SparkSession, settings: DatasetSettings) -> Summary:
    """Write a dataset; return the summary.

    Raises
    ------
    StageError
        When a table is missing, or no song is left.
    """
    summary = DatasetSummary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    tracks, files = read_songs(warehouse)
    joined = join(warehouse, tracks["track_id"], settings)
    tracks["genre"] = joined.genre
    if settings.split_lists is not None:
        settings = replace(settings, split_rule=replace(settings.split_rule, by="lists"))
        tracks["listed"] = read_lists(warehouse, settings, tracks, summary)
    funnel, vocabulary, rare = narrow(tracks, joined, settings)
    tracks["genre"] = funnel.genres
    tracks["number"] = np.arange(len(tracks))
    plan = plan_examples(tracks[funnel.kept], vocabulary, settings.split_rule, settings.file_rule, settings.balance)
    first_copies = plan[plan["copy"] == 0]
    split_of_track = dict(zip(first_copies["number"], first_copies["split"], strict=True))
    funnel.close(tracks["number"].map(split_of_track))
    funnel.check()
    if not (plan["split"] == SPLITS[0]).any():
        raise StageError(STAGE, f"none of {len(first_copies)} examples is in the train split; see --shares, --seed")
    compare_with_previous(warehouse, settings, first_copies, summary)
    schema = with_widths(
        examples_schema(tags=bool(settings.tags), factors=settings.factors),
        ({TAG_VECTOR: len(joined.tag_vocabulary)} if settings.tags else {})
        | ({FACTOR_VECTOR: joined.n_factors} if settings.factors else {}),
    )
    with warehouse.replacing("dataset", settings.name) as staging:
        for split in SPLITS:
            warehouse.filesystem.create_dir(f"{staging}/{split}")
        target = Target(settings.warehouse, staging, settings.geometry, schema)
        written = write(session, warehouse, plan, files, joined, target)
        metadata = describe(plan, written, vocabulary, joined, settings)
        metadata |= {"funnel": funnel.counts(), "funnel_steps": funnel.to_json(), "rare_genres": rare}
        metadata["inputs"] = {
            name: fingerprint_of_files(warehouse, table_files(warehouse, name))
            for name in ("songs", *sorted({*TABLES_OF.values(), "tag_counts"}))
            if warehouse.is_complete(name)
        }
        with warehouse.filesystem.open_output_stream(f"{staging}/{METADATA}") as sink:
            sink.write(json.dumps(metadata, indent=2, ensure_ascii=False).encode())
    summary.report(funnel, metadata, tracks["artist_group"])
    return summary


def join(warehouse: Warehouse, track_ids: pd.Series, settings: DatasetSettings) -> Joined:
    """Return what the other tables know of each track."""
    side = SideTables(warehouse, track_ids, settings.needed_tables())
    lyrics, lyric_fingerprint = side.lyrics(settings.geometry.lyric_size)
    rank, decile = side.popularity()
    wants_factors = settings.factors or FACTORS in settings.require
    factors, n_factors = side.factors() if wants_factors else (side.none(), 0)
    vocabulary = side.tag_vocabulary(settings.tags)
    tags = side.tags(vocabulary) if settings.tags or TAGS in settings.require else side.none()
    if settings.tags > len(vocabulary):
        raise StageError(STAGE, f"tag_counts/ has {len(vocabulary)} tags, --tags {settings.tags} are wanted")
    return Joined(
        side.genre(settings.label_set), rank, decile, lyrics, tags, factors, lyric_fingerprint, vocabulary, n_factors
    )


def read_lists(
    warehouse: Warehouse, settings: DatasetSettings, tracks: pd.DataFrame, summary: DatasetSummary
) -> pd.Series:
    """Return the split of each track by the official lists, null where it is in none."""
    lists: dict[str, list[str]] = {}
    rejections: list[Rejection] = []
    for split, location in zip(SPLITS, settings.split_lists or (), strict=True):
        lists[split], refused = read_split_list(line for _, line, _ in read_lines(STAGE, location))
        rejections += [Rejection(location, reason, text, f"line {number}") for number, reason, text in refused]
    try:
        found = listed_splits(tracks, lists)
    except ValueError as error:
        raise StageError(STAGE, f"--split-lists: {error}; a track belongs to one list") from None
    write_rejections(warehouse, STAGE, rejections)
    known = {*tracks["track_id"], *tracks["song_id"].dropna()}
    crossing = groups_in_several_splits(tracks.assign(split=found).dropna(subset="split"))
    summary.facts |= {
        "ids in the lists": sum(map(len, lists.values())),
        "of these not in songs/": sum(name not in known for ids in lists.values() for name in ids),
        "lines of the lists rejected": len(rejections),
        "artist groups in several lists": crossing,
    }
    if crossing:
        summary.warn(f"{crossing} artist groups have tracks in several of the lists: the splits leak artists")
    return found


def narrow(tracks: pd.DataFrame, joined: Joined, settings: DatasetSettings) -> tuple[Funnel, list[str], dict[str, int]]:
    """Decide which songs become examples; return the funnel, the genres by index, and the rare ones.

    Raises
    ------
    StageError
        When no song is left, with the step that took the last ones.
    """
    require = settings.require
    funnel = Funnel(joined.genre)
    funnel.note("with segments", (tracks["n_segments"] > 0).to_numpy(), required=True)
    if settings.most_popular is not None:
        popular = (joined.popularity_rank != ABSENT) & (joined.popularity_rank <= settings.most_popular)
        funnel.note(f"the {settings.most_popular:,} most popular", popular, required=True)
    if settings.split_lists is not None:
        funnel.note("in the lists", tracks["listed"].notna().to_numpy(), required=True)
    funnel.note("with lyrics", joined.has(LYRICS), required=LYRICS in require)
    for name in (TAGS, LISTENS, FACTORS):
        if name in require or joined.has(name).any():
            funnel.note(f"with {name}", joined.has(name), required=name in require)
    funnel.note("labelled", joined.has(GENRE), required=GENRE in require)
    vocabulary, rare = keep_common_genres(joined.genre[funnel.kept], settings.min_examples)
    common = joined.genre.isin(vocabulary)
    funnel.note("after rare genres", common.to_numpy(), required=GENRE in require)
    funnel.genres = joined.genre.mask(~common)
    if not funnel.kept.any():
        steps = ", ".join(f"{step.tracks} {step.name}" for step in funnel.steps)
        raise StageError(
            STAGE,
            f"no song is left: {steps} (label set {settings.label_set}, genres of at least {settings.min_examples}); "
            "see --require, --label-set, --min-examples",
        )
    return funnel, vocabulary, rare


def compare_with_previous(
    warehouse: Warehouse, settings: DatasetSettings, examples: pd.DataFrame, summary: DatasetSummary
) -> None:
    """Note which songs are in another split than in the dataset that is replaced, if it was parted by the same rule."""
    if not warehouse.is_complete("dataset", settings.name):
        return
    rule = warehouse.read_json("dataset", settings.name, METADATA)["split_rule"]
    if SplitRule(**{**rule, "shares": tuple(rule["shares"])}) != settings.split_rule:
        return
    parts = []
    for split in SPLITS:
        files = list(table_files(warehouse, "dataset", settings.name, split).paths)
        if files:
            opened = pads.dataset(files, filesystem=warehouse.filesystem, format="parquet")
            parts.append(opened.to_table(["track_id", "artist_group"]).to_pandas().assign(split=split))
    before = pd.concat(parts).drop_duplicates("track_id")
    moves = moves_since(before, examples[["track_id", "artist_group", "split"]])
    summary.facts |= {f"since the last dataset: {name}": count for name, count in moves.items()}
    if moves["tracks moved"]:
        summary.warn(
            f"{moves['tracks moved']} tracks are in another split than in the dataset that is replaced, because "
            f"{moves['groups joined']} artist groups were joined by new songs"
        )


def write(
    session: SparkSession, warehouse: Warehouse, plan: pd.DataFrame, files: SongFiles, joined: Joined, target: Target
) -> pd.DataFrame:
    """Write the planned examples and check that all are there; return a row a file."""
    rows, columns = target.geometry.segments_shape
    bundle, bundles = bundle_files(plan, 2 * rows * columns * np.dtype(np.float32).itemsize)
    write_plan(warehouse, planned_tables(plan, bundle, joined), target.staging)
    with progress(session, "dataset: examples"):
        written = write_examples(session, reading_tasks(plan, bundle, files), bundles, target)
    check_written(plan, written)
    return written


def planned_tables(plan: pd.DataFrame, bundle: np.ndarray, joined: Joined) -> Iterator[pa.Table]:
    """Give each bundle's planned rows, in the schema `msd_spark.example_files.PLANNED`."""
    borders = np.searchsorted(bundle, np.arange(bundle[-1] + 2))
    for start, stop in pairwise(borders.tolist()):
        rows = plan.iloc[start:stop]
        numbers = rows["number"].to_numpy()
        columns = {name: rows[name] for name in ("track_id", "song_id", "artist_group", "genre_index", "copy")} | {
            "popularity_decile": joined.popularity_decile[numbers],
            "lyric_vector": joined.lyrics.take(numbers),
            "tags": joined.tags.take(numbers),
            FACTOR_VECTOR: joined.factors.take(numbers),
        }
        arrays = [pa.array(columns[item.name]).cast(item.type) for item in PLANNED]
        yield pa.Table.from_arrays(arrays, schema=PLANNED)


def check_written(plan: pd.DataFrame, written: pd.DataFrame) -> None:
    """Check that every planned row was written, repeats included.

    Raises
    ------
    StageError
        When a file lacks rows: ``songs/`` is not what it was when the plan was made.
    """
    planned = plan.groupby(["split", "file"]).size()
    found = written.set_index(["split", "file"])["rows"].reindex(planned.index, fill_value=0)
    wrong = planned[planned != found]
    if len(wrong) or len(written) != len(planned):
        split, file = wrong.index[0] if len(wrong) else ("?", -1)
        raise StageError(
            STAGE,
            f"{len(plan)} rows planned and {int(written['rows'].sum())} written, first at {split} file {file}; "
            "did songs/ change meanwhile? Run again when nothing writes to it",
        )
