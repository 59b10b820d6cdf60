"""Songs joined with all that is known of them into ``dataset/NAME/{train,validation,test}/``, model-ready.

Which example goes where is settled first, on light columns (`msd_spark.dataset.selection`,
`msd_spark.dataset.plan`); the heavy columns then travel once, to the
worker that writes the example's file (`msd_spark.dataset.shuffle`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
from pyspark.sql import SparkSession

from msd_spark.catalogue.artist_groups import moves_since
from msd_spark.catalogue.known_tracks import Joined
from msd_spark.catalogue.songs import STAGE, read_songs
from msd_spark.core.errors import UserError
from msd_spark.core.runs import METADATA
from msd_spark.core.schemas import FACTOR_VECTOR, SPLITS, TAG_VECTOR, examples_schema
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import TableFiles, Warehouse
from msd_spark.dataset.files import PLANNED, with_widths
from msd_spark.dataset.metadata import DatasetSummary, describe, fingerprint_of_files
from msd_spark.dataset.plan import plan_examples
from msd_spark.dataset.selection import join, narrow, read_lists
from msd_spark.dataset.settings import TABLES_OF, DatasetSettings
from msd_spark.dataset.shuffle import Target, bundle_files, reading_tasks, write_examples, write_plan
from msd_spark.dataset.splits import SplitRule
from msd_spark.spark.session import progress

__all__ = ["DatasetSettings", "make_dataset"]


def make_dataset(session: SparkSession, settings: DatasetSettings) -> Summary:
    """Write a dataset; return the summary.

    Raises
    ------
    UserError
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
        raise UserError(f"none of {len(first_copies)} examples is in the train split; see --shares, --seed")
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
            name: fingerprint_of_files(warehouse, warehouse.table_files(name))
            for name in ("songs", *sorted({*TABLES_OF.values(), "tag_counts"}))
            if warehouse.is_complete(name)
        }
        with warehouse.filesystem.open_output_stream(f"{staging}/{METADATA}") as sink:
            sink.write(json.dumps(metadata, indent=2, ensure_ascii=False).encode())
    summary.report(funnel, metadata, tracks["artist_group"])
    return summary


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
        files = list(warehouse.table_files("dataset", settings.name, split).paths)
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
    session: SparkSession, warehouse: Warehouse, plan: pd.DataFrame, files: TableFiles, joined: Joined, target: Target
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
    """Give each bundle's planned rows, in the schema `msd_spark.dataset.files.PLANNED`."""
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
    UserError
        When a file lacks rows: ``songs/`` is not what it was when the plan was made.
    """
    planned = plan.groupby(["split", "file"]).size()
    found = written.set_index(["split", "file"])["rows"].reindex(planned.index, fill_value=0)
    wrong = planned[planned != found]
    if len(wrong) or len(written) != len(planned):
        split, file = wrong.index[0] if len(wrong) else ("?", -1)
        raise UserError(
            f"{len(plan)} rows planned and {int(written['rows'].sum())} written, first at {split} file {file}; "
            "did songs/ change meanwhile? Run again when nothing writes to it",
        )
