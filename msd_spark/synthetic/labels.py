"""Genre labels: tagtraum's CD1, CD2 and CD2C, and MAGD, each with its own vocabulary and gaps.

References
----------
.. [1] H. Schreiber, "Improving genre annotations for the Million Song Dataset", ISMIR 2015;
   https://www.tagtraum.com/msd_genre_datasets.html
.. [2] A. Schindler, R. Mayer, A. Rauber, "Facilitating comprehensive benchmarking experiments on
   the Million Song Dataset", ISMIR 2012.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from msd_spark.synthetic.catalogue import (
    CD2_SHARE,
    CONSENSUS_SHARE,
    MAGD_SHARE,
    MINORITY_SHARE,
    Catalogue,
    Flags,
    Integers,
    draw_genres,
)
from msd_spark.synthetic.draws import Column
from msd_spark.synthetic.signal import GENRES

CD1, CD2, CD2C = (f"tagtraum/msd_tagtraum_{name}.cls" for name in ("cd1", "cd2", "cd2c"))
MAGD = "magd/msd_magd_genreassignment.tsv"

CD2_GENRES = (
    "Rock", "Pop", "Metal", "Punk", "Blues", "Country", "Electronic", "Folk", "Jazz", "Latin", "New Age", "RnB",
    "Rap", "Reggae", "World",
)  # fmt: skip
"""The vocabulary of CD2 and CD2C."""

MAGD_OTHERS = (
    "Religious", "Stage ", "Comedy_Spoken", "Easy_Listening", "Avant_Garde", "Children", "Classical", "Holiday",
)  # fmt: skip
"""Genres that MAGD alone has; the trailing space of ``Stage`` is its own."""

_MAGD_OTHER_SHARE = 0.07
_CD2_NAMES = {"International": "World", "Vocal": "Pop"}
_ROCKS, _ROCK_SHARES = ("Rock", "Pop", "Metal", "Punk"), np.cumsum([0.45, 0.3, 0.15])
_MAJORITY = "majority vote (or consensus for n=2)"
_CONSENSUS = "consensus"


def _header(how: str) -> str:
    """Give the comment that the official ``.cls`` files begin with."""
    rule = "#" * 92
    return (
        f"{rule}\n#    Song-level genre labels for MSD songs based on {how}.\n"
        "#    Format: '#'  = comment\n#            '\\t' = field separator\n#            '\\n' = line separator\n"
        f"#    Fields: trackId, majority-genre, minority-genre?\n{rule}\n"
    )


def noisy_genres(catalogue: Catalogue) -> Integers:
    """Give each track's genre as annotators see it: wrong for `label_noise` of the tracks."""
    noise = catalogue.uniform(Column.CD1_NOISE)
    other = draw_genres(catalogue.uniform(Column.CD1_OTHER))
    other = np.where(other == catalogue.genre, (other + 1) % len(GENRES), other)
    return np.where(noise < catalogue.settings.signal.label_noise, other, catalogue.genre)


def _minority(catalogue: Catalogue, majority: Integers) -> Integers:
    """Give each track's second genre, -1 for the tracks of one genre alone.

    It is the planted genre where the majority is wrong: the annotators disagree.
    """
    has_second = catalogue.flag(Column.MINORITY, MINORITY_SHARE)
    has_second[:1] = True
    second = draw_genres(catalogue.uniform(Column.MINORITY_GENRE))
    second = np.where(majority != catalogue.genre, catalogue.genre, second)
    second = np.where(second == majority, (second + 1) % len(GENRES), second)
    return np.where(has_second, second, -1)


def _cd2_names(catalogue: Catalogue, genres: Integers) -> list[str]:
    """Translate genres to CD2's vocabulary, -1 to nothing; Pop_Rock is one of four by artist."""
    # One style an artist: the number of the artist's first track picks it.
    style = np.searchsorted(_ROCK_SHARES, catalogue.uniform(Column.CD2_STYLE)[_first(catalogue)])
    translated = []
    for track, genre in enumerate(genres.tolist()):
        name = GENRES[genre] if genre >= 0 else ""
        translated.append(_ROCKS[style[track]] if name == "Pop_Rock" else _CD2_NAMES.get(name, name))
    return translated


def _first(catalogue: Catalogue) -> Integers:
    """Give, for each track, the first track of its artist."""
    _, first, inverse = np.unique(catalogue.artist, return_index=True, return_inverse=True)
    return first[inverse]


def _magd(catalogue: Catalogue, majority: list[str]) -> list[str]:
    """Give each track's genre in MAGD: now and then one that the others do not have."""
    other = catalogue.uniform(Column.MAGD_OTHER) / _MAGD_OTHER_SHARE
    return [
        MAGD_OTHERS[int(place * len(MAGD_OTHERS))] if place < 1 else genre
        for place, genre in zip(other.tolist(), majority, strict=True)
    ]


def _write(catalogue: Catalogue, path: Path, header: str, chosen: Flags, columns: Iterable[list[str]]) -> int:
    """Write the chosen tracks' genres, each once, tab-separated and sorted by track; returns their number."""
    lines = []
    for track in chosen.nonzero()[0].tolist():
        genres = dict.fromkeys(column[track] for column in columns if column[track])
        lines.append("\t".join([catalogue.track_ids[track], *genres]) + "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(header)
        file.writelines(sorted(lines))
    return len(lines)


def write_labels(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write the four label files.

    Returns
    -------
    dict of str to int
        Labelled tracks, a source each.
    """
    majority = noisy_genres(catalogue)
    minority = _minority(catalogue, majority)
    in_cd2 = catalogue.flag(Column.IN_CD2, CD2_SHARE)
    agreed = in_cd2 & (minority < 0) & catalogue.flag(Column.CONSENSUS, CONSENSUS_SHARE)
    first, second = _cd2_names(catalogue, majority), _cd2_names(catalogue, minority)
    majority_names = [GENRES[genre] for genre in majority]
    minority_names = [GENRES[genre] if genre >= 0 else "" for genre in minority]

    def write(name: str, header: str, chosen: Flags, *columns: list[str]) -> int:
        return _write(catalogue, output / name, header, chosen, columns)

    return {
        "labels cd1": write(CD1, _header(_MAJORITY), catalogue.in_cd1, majority_names, minority_names),
        "labels cd2": write(CD2, _header(_MAJORITY), in_cd2, first, second),
        "labels cd2c": write(CD2C, _header(_CONSENSUS), agreed, first),
        "labels magd": write(MAGD, "", catalogue.flag(Column.IN_MAGD, MAGD_SHARE), _magd(catalogue, majority_names)),
    }
