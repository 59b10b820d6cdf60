"""Evaluate baselines under an official protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from training.comparing.options import FEWEST_SONGS
from training.comparing.protocols.artist import Artist
from training.comparing.protocols.contract import TEST, TRAIN, Division, Lists, Protocol, Truths, facts
from training.comparing.protocols.genre import CD1, CD2C
from training.comparing.protocols.songs import read_light, read_values
from training.comparing.protocols.tags50 import Tags50
from training.comparing.protocols.year import Year
from training.evaluation.bootstrap import Artists, with_intervals
from training.evaluation.mapping import Mapper, map_here
from training.evaluation.song_features import Features

PROTOCOLS: dict[str, type[Protocol]] = {protocol.name: protocol for protocol in (Year, Tags50, Artist, CD1, CD2C)}
"""Every protocol, by its name in ``--protocol``."""


def make_protocol(name: str, fewest_songs: int = FEWEST_SONGS) -> Protocol:
    """Return a protocol; `fewest_songs` is for ``artist`` only."""
    return Artist(fewest_songs) if name == Artist.name else PROTOCOLS[name]()


def evaluate(
    protocol: Protocol,
    warehouse: Warehouse,
    lists: Lists,
    bootstrap: Bootstrap | None = None,
    mapper: Mapper = map_here,
) -> dict[str, Any]:
    """Return the content of ``comparisons/NAME/protocol.json``."""
    tracks = read_light(warehouse)
    truths = protocol.truths(warehouse, tracks)
    usable = tracks["n_segments"] >= protocol.fewest_segments
    try:
        divisions = protocol.divisions(tracks[truths.present], lists)
    except ValueError as error:
        raise UserError(f"--protocol {protocol.name}: {error}; the lists are not those of one official split") from None
    chosen = np.zeros(len(tracks), bool)
    for division in divisions:
        used = division.splits.isin([TRAIN, TEST]) & usable[division.splits.index]
        chosen[division.splits.index[used]] = True
        _require_songs(protocol, division, usable, len(tracks))
    values = read_values(warehouse, tracks["track_id"][chosen].to_numpy(str), protocol.features, mapper)
    place = np.cumsum(chosen) - 1
    content = []
    for division in divisions:
        train, test = (
            _songs(tracks, truths, division.splits[usable[division.splits.index]], split, values, place)
            for split in (TRAIN, TEST)
        )
        artists = Artists.of(test.artist_groups)
        candidates = protocol.candidates(train, test, truths.class_names, artists, mapper)
        known = np.isin(test.artist_groups, train.artist_groups)
        content.append(
            {
                "name": division.name,
                "origin": division.origin,
                **facts(division, usable),
                "test_songs_of_training_artists": int(known.sum()),
                "candidates": with_intervals(candidates, artists, bootstrap or Bootstrap(), mapper),
            }
        )
    return {
        "protocol": protocol.name,
        "title": protocol.title,
        "features": protocol.features,
        "songs": len(tracks),
        "metrics": list(protocol.metrics),
        "lists": dict(lists.names),
        "anchors": [vars(anchor) for anchor in protocol.anchors],
        "remarks": list(protocol.remarks),
        "divisions": content,
    }


def _require_songs(protocol: Protocol, division: Division, usable: pd.Series, n_tracks: int) -> None:
    for split in (TRAIN, TEST):
        if not ((division.splits == split) & usable[division.splits.index]).any():
            raise UserError(
                f"--protocol {protocol.name}: none of the {n_tracks:,} songs of songs/ is in {split} of the division "
                f"“{division.name}” with a truth; ingest more songs, or run the stages of its tables "
                f"({', '.join(protocol.tables) or 'ingest'}) on them"
            )


def _songs(
    tracks: pd.DataFrame, truths: Truths, splits: pd.Series, split: str, values: np.ndarray, place: np.ndarray
) -> Features:
    """Return the songs of a split; the artist groups are artist ids."""
    rows = splits.index[splits == split].to_numpy()
    none = np.zeros((len(rows), 0), np.int32)
    ids, artists = (tracks[name].to_numpy(str)[rows] for name in ("track_id", "artist_id"))
    return Features(ids, values[place[rows]], truths.true[rows], artists, none, none)
