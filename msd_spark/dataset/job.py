"""Join songs with lyrics, labels, tags and plays into train, validation and test examples.

The split and the file of each example are decided first, from light columns (`msd_spark.dataset.selection`,
`msd_spark.dataset.plan`). The segments then move once, to the worker that writes the example's file
(`msd_spark.dataset.shuffle`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from msd_spark.catalogue.artist_groups import group_songs, moves_since
from msd_spark.catalogue.genres import read_labels
from msd_spark.catalogue.known_tracks import Joined
from msd_spark.catalogue.songs import read_songs
from msd_spark.core.errors import DamagedError, UserError
from msd_spark.core.examples import DatasetWriter, ExampleForm
from msd_spark.core.features import segment_shapes
from msd_spark.core.rejections import Rejection, write_rejections
from msd_spark.core.runs import DATASET_FILE, DATASETS
from msd_spark.core.schemas import FACTOR_VECTOR, SPLITS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.card import CARD_FILE, dataset_card
from msd_spark.dataset.files import PLANNED
from msd_spark.dataset.metadata import DatasetSummary, describe
from msd_spark.dataset.plan import plan_examples
from msd_spark.dataset.selection import count_duplicates, deciles_among, join, narrow, read_duplicates, read_lists
from msd_spark.dataset.settings import STAGE, TABLES_OF, DatasetSettings
from msd_spark.dataset.shuffle import Target, bundle_files, reading_tasks, write_examples, write_plan
from msd_spark.dataset.splits import SplitRule
from msd_spark.io.lines import read_lines
from msd_spark.spark.session import progress, start_spark


def run(settings: DatasetSettings) -> None:
    """Run ``msd-spark dataset``."""
    warehouse = Warehouse(settings.warehouse)
    settings = settings.resolved(warehouse)
    check_inputs(warehouse, settings)
    make_dataset(start_spark("msd-spark dataset"), settings).finish(warehouse)


def check_inputs(warehouse: Warehouse, settings: DatasetSettings) -> None:
    """Check, before Spark starts, that the inputs exist and that the dataset will have a target."""
    for table in ("songs", *sorted(settings.needed_tables())):
        warehouse.require(table)
    if not (settings.tags or settings.factors or warehouse.is_complete("popularity")):
        warehouse.require("labels")
    if warehouse.is_complete("labels"):
        read_labels(warehouse, settings.label_set)
    for location in filter(None, (*(settings.split_lists or ()), settings.duplicates)):
        next(iter(read_lines(location)), None)


def make_dataset(session: SparkSession, settings: DatasetSettings) -> Summary:
    """Write a dataset; return the summary."""
    summary = DatasetSummary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    settings = settings.resolved(warehouse)
    rejections: list[Rejection] = []
    duplicates = read_duplicates(settings.duplicates, rejections) if settings.duplicates is not None else None
    tracks, paths = read_songs(warehouse, duplicates)
    if duplicates is not None:
        tracks["song_group"] = group_songs(tracks["track_id"], duplicates)
        summary.facts |= count_duplicates(tracks, duplicates)
    joined = join(warehouse, tracks["track_id"], settings)
    tracks["genre"] = joined.genre
    if settings.split_lists is not None:
        tracks["listed"] = read_lists(settings, tracks, summary, rejections)
    tracks = tracks.drop(columns="artist_id")
    if rejections:
        summary.facts["lines of lists rejected"] = len(rejections)
    funnel, vocabulary, rare = narrow(tracks, joined, settings)
    tracks["genre"] = funnel.genres
    if settings.most_popular is not None:
        joined = replace(joined, popularity_decile=deciles_among(joined.popularity_rank, funnel.remaining))
    tracks["number"] = np.arange(len(tracks))
    plan = plan_examples(
        tracks[funnel.remaining], vocabulary, settings.split_rule, settings.file_rule, settings.balance_rule
    )
    first_copies = plan[plan["copy"] == 0]
    split_of_track = dict(zip(first_copies["number"], first_copies["split"], strict=True))
    funnel.close(tracks["number"].map(split_of_track))
    if not (plan["split"] == SPLITS[0]).any():
        raise UserError(
            f"none of {len(first_copies)} examples is in the train split: they are of "
            f"{first_copies['artist_group'].nunique()} artist groups; change --shares or --seed, or ingest more songs"
        )
    compare_with_previous(warehouse, settings, first_copies, summary)
    form = ExampleForm(
        settings.geometry(joined.lyric_size),
        settings.tags or 0,
        joined.n_factors if settings.factors else 0,
        joined.words.known.tracks,
        settings.stored_chroma,
    )
    with warehouse.overwriting(form.schema, DATASETS, settings.name, partition_by="split") as writer:
        target = Target(settings.warehouse, writer.destination, writer.scratch("plan.parquet"), form)
        written = write(session, warehouse, plan, paths, joined, target)
        files = DatasetWriter(writer)
        for row in written.sort_values("file").to_dict("records"):
            files.add(row["written"], row["split"], pa.ipc.open_stream(row["targets"]).read_all())
        metadata = describe(plan, written, files, vocabulary, joined, settings)
        metadata |= {"funnel": funnel.counts(), "funnel_steps": list(map(asdict, funnel.steps)), "rare_genres": rare}
        metadata["inputs"] = warehouse.fingerprints({"songs", *TABLES_OF.values(), "tag_counts"})
        leaking = summary.facts.get("artist groups in several lists")
        with warehouse.filesystem.open_output_stream(writer.side_file(CARD_FILE)) as sink:
            sink.write(dataset_card({**metadata, "rows": files.rows}, leaking).encode())
        files.finish(metadata)
        write_rejections(warehouse, STAGE, rejections)
    summary.report(funnel, metadata, tracks["artist_group"], settings)
    return summary


def compare_with_previous(
    warehouse: Warehouse, settings: DatasetSettings, examples: pd.DataFrame, summary: DatasetSummary
) -> None:
    """Report the tracks that change their split, if the replaced dataset has the same rule."""
    if not warehouse.is_complete(DATASETS, settings.name):
        return
    try:
        previous = warehouse.read_json(DATASETS, settings.name, DATASET_FILE)
        rule = previous["split_rule"]
        if SplitRule(**{**rule, "shares": tuple(rule["shares"])}) != settings.split_rule:
            return
        table = warehouse.read_examples(["track_id", "artist_group"], settings.name)
    except (FileNotFoundError, DamagedError) as error:
        summary.warn(f"the replaced dataset is not compared with this one: {error}")
        return
    moves = moves_since(table.to_pandas().drop_duplicates("track_id"), examples[["track_id", "artist_group", "split"]])
    summary.facts |= {f"since the last dataset: {name}": count for name, count in moves.items()}
    if moves["tracks moved"]:
        summary.warn(
            f"{moves['tracks moved']} tracks are in another split than in the replaced dataset; new songs or "
            f"another list of duplicates joined {moves['groups joined']} artist groups"
        )


def write(
    session: SparkSession,
    warehouse: Warehouse,
    plan: pd.DataFrame,
    paths: Sequence[str],
    joined: Joined,
    target: Target,
) -> pd.DataFrame:
    """Write the planned examples, check that none is missing, and return one row per file."""
    n_numbers = sum(map(math.prod, segment_shapes(target.form.geometry).values()))
    bundle, bundles = bundle_files(plan, n_numbers * np.dtype(np.float32).itemsize)
    write_plan(warehouse, planned_tables(plan, bundle, joined), target.plan)
    tasks = reading_tasks(plan, bundle, paths, session.sparkContext.defaultParallelism)
    with progress(session, "dataset: examples"):
        written = write_examples(session, tasks, bundles, target)
    if "refused" in written:
        raise UserError(f"{written['refused'].dropna().iloc[0]}; run msd-spark dataset again with --chroma float32")
    check_written(plan, written)
    return written


def planned_tables(plan: pd.DataFrame, bundle: np.ndarray, joined: Joined) -> Iterator[pa.Table]:
    """Yield the planned rows of each bundle, in the schema `msd_spark.dataset.files.PLANNED`."""
    borders = np.searchsorted(bundle, np.arange(bundle[-1] + 2))
    for start, stop in pairwise(borders.tolist()):
        rows = plan.iloc[start:stop]
        numbers = rows["number"].to_numpy()
        columns = {name: rows[name] for name in ("track_id", "song_id", "artist_group", "genre_index", "copy")} | {
            "popularity_decile": joined.popularity_decile[numbers],
            "lyric_vector": joined.lyrics.take(numbers),
            "word_indices": joined.words.indices.take(numbers),
            "word_counts": joined.words.counts.take(numbers),
            "tags": joined.tags.take(numbers),
            FACTOR_VECTOR: joined.factors.take(numbers),
        }
        arrays = [pa.array(columns[item.name]).cast(item.type) for item in PLANNED]
        yield pa.Table.from_arrays(arrays, schema=PLANNED)


def check_written(plan: pd.DataFrame, written: pd.DataFrame) -> None:
    """Check that every planned row was written; ``songs/`` must not change meanwhile."""
    planned = plan.groupby(["split", "file"]).size()
    rows = written.set_index(["split", "file"])["rows"]
    if len(rows) != len(planned) or not rows.reindex(planned.index, fill_value=0).equals(planned):
        raise UserError(
            f"{len(plan)} rows planned and {rows.sum()} written: songs/ changed meanwhile; "
            "run msd-spark dataset again when nothing writes to it"
        )
