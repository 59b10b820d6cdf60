"""Join the tables and select the songs that become examples."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from msd_spark.catalogue.known_tracks import Joined, SideTables, Vectors
from msd_spark.catalogue.requirements import FACTORS, GENRE, LISTENS, LYRICS, TAGS
from msd_spark.core.deciles import deciles
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection, none_accepted
from msd_spark.core.schemas import ABSENT, SPLITS
from msd_spark.core.split_lists import ID_COLUMNS, listed_splits, read_split_list
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.funnel import Funnel
from msd_spark.dataset.metadata import DatasetSummary
from msd_spark.dataset.plan import keep_common_genres
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.formats.duplicates import parse_duplicates
from msd_spark.io.lines import read_lines


def join(warehouse: Warehouse, track_ids: pd.Series, settings: DatasetSettings) -> Joined:
    """Look up each track in the tables besides ``songs/``."""
    side, required = SideTables(warehouse, track_ids, settings.needed_tables()), settings.requirements
    nothing = Vectors.none(len(track_ids))
    with ThreadPoolExecutor() as pool:  # reading from a store is mostly waiting
        of_lyrics = pool.submit(side.lyrics)
        of_bags = pool.submit(side.bags)
        of_popularity, of_genre = pool.submit(side.popularity), pool.submit(side.genre, settings.label_set)
        factors, n_factors = side.factors() if settings.factors or FACTORS in required else (nothing, 0)
        n_tags = settings.tags or 0
        vocabulary = side.tag_vocabulary(n_tags)
        tags = side.tags(vocabulary) if n_tags or TAGS in required else nothing
    if settings.factors and not n_factors:
        raise UserError("factors/ has no track of songs/; run msd-spark factors again, or drop --factors")
    if n_tags > len(vocabulary):
        raise UserError(f"--tags is {n_tags}, but tag_counts/ has only {len(vocabulary)} tags")
    lyrics, lyric_size, fingerprint = of_lyrics.result()
    return Joined(
        of_genre.result(),
        *of_popularity.result(),
        lyrics,
        tags,
        factors,
        fingerprint,
        vocabulary,
        n_factors,
        of_bags.result(),
        lyric_size,
    )


def read_duplicates(location: str, rejections: list[Rejection]) -> pd.DataFrame:
    """Return the tracks of ``--duplicates`` by group; add the invalid lines to the rejections."""
    duplicates, refused = parse_duplicates(line.text for line in read_lines(location))
    rejected = [Rejection(location, reason, text, f"line {number}") for number, reason, text in refused]
    if rejected and duplicates.empty:
        raise none_accepted("line of --duplicates", rejected)
    if duplicates.empty:
        raise UserError(f"--duplicates {location} has no track; write % and a title, then one track id per line")
    rejections += rejected
    return duplicates


def count_duplicates(tracks: pd.DataFrame, duplicates: pd.DataFrame) -> dict[str, int]:
    """Return counts of listed duplicates; `tracks` has the ``song_group`` of each track."""
    listed = set(duplicates["track_id"])
    return {
        "tracks in the list of duplicates": len(listed),
        "tracks of the list not in songs/": len(listed.difference(tracks["track_id"])),
        "songs with several tracks": int((tracks["song_group"].value_counts() > 1).sum()),
    }


def read_lists(
    settings: DatasetSettings, tracks: pd.DataFrame, summary: DatasetSummary, rejections: list[Rejection]
) -> pd.Series:
    """Return the split of each track according to ``--split-lists``, null for tracks in no list.

    Invalid lines are added to the rejections.
    """
    lists: dict[str, list[str]] = {}
    for split, location in zip(SPLITS, settings.split_lists or (), strict=True):
        lists[split], refused = read_split_list(line.text for line in read_lines(location))
        of_list = [Rejection(location, reason, text, f"line {number}") for number, reason, text in refused]
        if not lists[split]:
            raise none_accepted(f"id of the {split} list {location}", of_list)
        rejections += of_list
    try:
        splits = listed_splits(tracks, lists)
    except ValueError as error:
        raise UserError(f"--split-lists: {error}; remove it from one of them") from None
    known = {name for column in tracks.columns.intersection(list(ID_COLUMNS)) for name in tracks[column].dropna()}
    leaking = int(splits.groupby(tracks["artist_group"]).agg("nunique").gt(1).sum())
    summary.facts |= {
        "ids in the lists": sum(map(len, lists.values())),
        "ids of the lists not in songs/": sum(name not in known for ids in lists.values() for name in ids),
        "artist groups in several lists": leaking,
    }
    if leaking:
        summary.warn(f"{leaking} artist groups have tracks in several of the lists: the splits leak artists")
    return splits


def narrow(tracks: pd.DataFrame, joined: Joined, settings: DatasetSettings) -> tuple[Funnel, list[str], dict[str, int]]:
    """Select the songs of the examples; return funnel, genres, and counts of rare genres."""
    required = settings.requirements
    funnel = Funnel(joined.genre)
    funnel.note("with segments", (tracks["n_segments"] > 0).to_numpy(), required=True)
    if settings.most_popular is not None:
        popular = (joined.popularity_rank != ABSENT) & (joined.popularity_rank <= settings.most_popular)
        funnel.note(f"the {settings.most_popular:,} most popular", popular, required=True)
    if settings.split_lists is not None:
        funnel.note("in the lists", tracks["listed"].notna().to_numpy(), required=True)
    funnel.note("with lyrics", joined.has(LYRICS), required=LYRICS in required)
    for name in (TAGS, LISTENS, FACTORS):
        if name in required or joined.has(name).any():
            funnel.note(f"with {name}", joined.has(name), required=name in required)
    funnel.note("labelled", joined.has(GENRE), required=GENRE in required)
    vocabulary, rare = keep_common_genres(joined.genre[funnel.remaining], settings.min_examples)
    common = joined.genre.isin(vocabulary)
    funnel.note("after rare genres", common.to_numpy(), required=GENRE in required)
    funnel.genres = joined.genre.mask(~common)
    if not funnel.remaining.any():
        steps = ", ".join(f"{step.tracks} {step.name}" for step in funnel.steps)
        raise UserError(
            f"no song is left: {steps} (label set {settings.label_set}, genres of at least {settings.min_examples}); "
            "change --require, --label-set or --min-examples",
        )
    return funnel, vocabulary, rare


def deciles_among(ranks: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the popularity deciles among chosen tracks, `ABSENT` for other and unranked tracks."""
    ranked = np.flatnonzero(chosen & (ranks != ABSENT))
    result = np.full(len(ranks), ABSENT, np.int64)
    result[ranked[np.argsort(ranks[ranked])]] = deciles(np.arange(1, len(ranked) + 1), len(ranked))
    return result
