"""Genre labels: tagtraum's CD1, CD2 and CD2C, and MAGD, with their vocabularies.

References
----------
.. [1] H. Schreiber, "Improving genre annotations for the Million Song Dataset", ISMIR 2015;
   https://www.tagtraum.com/msd_genre_datasets.html
.. [2] A. Schindler, R. Mayer, A. Rauber, "Facilitating comprehensive benchmarking experiments on
   the Million Song Dataset", ISMIR 2012.
"""

from __future__ import annotations

from itertools import chain
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
from msd_spark.synthetic.text_files import write_lines

CD1, CD2, CD2C = (f"tagtraum/msd_tagtraum_{name}.cls" for name in ("cd1", "cd2", "cd2c"))
MAGD = "magd/msd_magd_genreassignment.tsv"

MAGD_OTHERS = (
    "Religious", "Stage ", "Comedy_Spoken", "Easy_Listening", "Avant_Garde", "Children", "Classical", "Holiday",
)  # fmt: skip
"""Genres that only MAGD has; the real file has the trailing space of ``Stage`` too."""

_MAGD_OTHER_SHARE = 0.07
_CD2_NAMES = {"International": "World", "Vocal": "Pop"}
_ROCKS, _ROCK_SHARES = ("Rock", "Pop", "Metal", "Punk"), np.cumsum([0.45, 0.3, 0.15])
_MAJORITY = "majority vote (or consensus for n=2)"
_CONSENSUS = "consensus"


def _header(method: str) -> list[str]:
    """Return the comment at the top of the official ``.cls`` files."""
    rule = "#" * 92
    return [
        f"{rule}\n#    Song-level genre labels for MSD songs based on {method}.\n"
        "#    Format: '#'  = comment\n#            '\\t' = field separator\n#            '\\n' = line separator\n"
        f"#    Fields: trackId, majority-genre, minority-genre?\n{rule}"
    ]


def noisy_genres(catalogue: Catalogue) -> Integers:
    """Return each track's annotated genre, wrong for a share `label_noise` of the tracks."""
    noise = catalogue.flag(Column.CD1_NOISE, catalogue.settings.signal.label_noise)
    return np.where(noise, catalogue.other_genres(Column.CD1_OTHER), catalogue.genre)


def _minority(catalogue: Catalogue, majority: Integers) -> Integers:
    """Return each track's second genre, -1 for none: the planted genre if the majority is wrong."""
    has_second = catalogue.flag(Column.MINORITY, MINORITY_SHARE)
    has_second[:1] = True
    second = draw_genres(catalogue.uniform(Column.MINORITY_GENRE))
    second = np.where(majority != catalogue.genre, catalogue.genre, second)
    second = np.where(second == majority, (second + 1) % len(GENRES), second)
    return np.where(has_second, second, -1)


def _cd2_names(catalogue: Catalogue, genres: Integers) -> list[str]:
    """Translate genres to the vocabulary of CD2; Pop_Rock is one of four by artist."""
    _, first, inverse = np.unique(catalogue.artist, return_index=True, return_inverse=True)
    # The artist's first track selects the style, so that all tracks of an artist have the same.
    style = np.searchsorted(_ROCK_SHARES, catalogue.uniform(Column.CD2_STYLE)[first[inverse]])
    return [
        _ROCKS[style[track]] if name == "Pop_Rock" else _CD2_NAMES.get(name, name)
        for track, name in enumerate(_cd1_names(genres))
    ]


def _cd1_names(genres: Integers) -> list[str]:
    return [GENRES[genre] if genre >= 0 else "" for genre in genres.tolist()]


def _magd(catalogue: Catalogue, majority: list[str]) -> list[str]:
    """Return each track's genre in MAGD, for some tracks one that the other sources lack."""
    other = catalogue.uniform(Column.MAGD_OTHER) / _MAGD_OTHER_SHARE
    return [
        MAGD_OTHERS[int(place * len(MAGD_OTHERS))] if place < 1 else genre
        for place, genre in zip(other.tolist(), majority, strict=True)
    ]


def write_labels(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write the four label files; return the number of labelled tracks per source."""
    majority = noisy_genres(catalogue)
    minority = _minority(catalogue, majority)
    in_cd2 = catalogue.flag(Column.IN_CD2, CD2_SHARE)
    agreed = in_cd2 & (minority < 0) & catalogue.flag(Column.CONSENSUS, CONSENSUS_SHARE)
    first, second = _cd2_names(catalogue, majority), _cd2_names(catalogue, minority)
    majority_names = _cd1_names(majority)

    def write(name: str, header: list[str], labelled: Flags, *columns: list[str]) -> int:
        lines = []
        for track in labelled.nonzero()[0].tolist():
            genres = dict.fromkeys(column[track] for column in columns if column[track])
            lines.append("\t".join([catalogue.track_ids[track], *genres]))
        return write_lines(output / name, chain(header, sorted(lines))) - len(header)

    return {
        "labels cd1": write(CD1, _header(_MAJORITY), catalogue.in_cd1, majority_names, _cd1_names(minority)),
        "labels cd2": write(CD2, _header(_MAJORITY), in_cd2, first, second),
        "labels cd2c": write(CD2C, _header(_CONSENSUS), agreed, first),
        "labels magd": write(MAGD, [], catalogue.flag(Column.IN_MAGD, MAGD_SHARE), _magd(catalogue, majority_names)),
    }
