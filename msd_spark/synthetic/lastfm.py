"""Last.fm tags and similar tracks: one JSON file per track, in a zip."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from msd_spark.core.track_ids import song_path
from msd_spark.synthetic.artists import COMMON_TERMS, GENRE_TERMS
from msd_spark.synthetic.catalogue import Catalogue, Integers
from msd_spark.synthetic.draws import Stream, generator
from msd_spark.synthetic.signal import GENRES

ARCHIVE = "lastfm/lastfm_sample.zip"
_FOLDER = "lastfm"
_BLOCK = 256  # tracks per generator; one generator per track would take most of the time
_NO_TAGS, _NO_SIMILARS, _MOST_SIMILARS = 0.5, 0.45, 12
_ZIP_TIME = (2011, 9, 14, 11, 28, 58)


def write_lastfm(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write ``lastfm/A/B/C/TRABC….json`` to one zip; return counts of tracks."""
    path = output / ARCHIVE
    path.parent.mkdir(parents=True, exist_ok=True)
    by_genre = [np.flatnonzero(catalogue.genre == genre) for genre in range(len(GENRES))]
    tagged = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for first in range(0, len(catalogue), _BLOCK):
            random = generator(catalogue.settings.seed, Stream.LASTFM, first // _BLOCK)
            for track in range(first, min(first + _BLOCK, len(catalogue))):
                tags = _tags(GENRES[catalogue.genre[track]], random)
                tagged += bool(tags)
                name = song_path(catalogue.track_id(track))
                entry = {
                    "artist": catalogue.artist_name(track),
                    "timestamp": f"2011-08-{1 + track % 28:02} {track % 24:02}:{track % 60:02}:00.{track % 10**6:06}",
                    "similars": _similars(catalogue, track, by_genre, random),
                    "tags": tags,
                    "track_id": catalogue.track_id(track),
                    "title": catalogue.title(track),
                }
                member = zipfile.ZipInfo(f"{_FOLDER}/{name.removesuffix('.h5')}.json", _ZIP_TIME)
                member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(member, json.dumps(entry))
    return {"lastfm tracks": len(catalogue), "lastfm tracks with tags": tagged}


def _tags(genre: str, random: np.random.Generator) -> list[list[str]]:
    """Draw tags with scores "100" to "0", in descending order; half of the tracks have none."""
    if random.random() < _NO_TAGS:
        return []
    count = 1 + int(min(random.geometric(0.18), 25))
    known = [*GENRE_TERMS[genre], *COMMON_TERMS]
    # Half of the genre's own tags, and half of the common ones.
    drawn, n_own = random.random(2 * count), len(GENRE_TERMS[genre])
    places = np.where(drawn < 0.5, drawn * 2 * n_own, n_own + (drawn - 0.5) * 2 * len(COMMON_TERMS)).astype(int)
    chosen = [known[place] for place in list(dict.fromkeys(places.tolist()))[:count]]
    scores = np.sort(random.integers(0, 101, len(chosen)))[::-1]
    scores[0] = 100
    return [[tag, str(score)] for tag, score in zip(chosen, scores.tolist(), strict=True)]


def _similars(
    catalogue: Catalogue, track: int, by_genre: list[Integers], random: np.random.Generator
) -> list[list[str | float]]:
    """Draw similar tracks of the same genre with descending scores; many tracks have none."""
    alike = by_genre[catalogue.genre[track]]
    if random.random() < _NO_SIMILARS:
        return []
    chosen = dict.fromkeys(alike[random.integers(len(alike), size=random.integers(1, _MOST_SIMILARS))].tolist())
    chosen.pop(track, None)
    scores = np.sort(random.random(len(chosen)) ** 3)[::-1]
    return [[catalogue.track_id(other), round(score, 9)] for other, score in zip(chosen, scores.tolist(), strict=True)]
