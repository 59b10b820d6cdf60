"""Why do songs by Latin singers lie together across genres? The figures that can answer it, and their reading.

The question stood open at the end of the project of 2019 that this one continues: in its map, songs by Latin
singers formed a group whatever their genre. Three causes come into question: the words (lyrics in
Spanish have word vectors of their own), the sound, and the artists (who have several songs each).

So the figures leave the artist's own songs aside, part the songs by whether the model saw lyrics,
and stand beside chance and beside neighbours by plain features of the sound. If words are the
cause, songs in Spanish of other genres have neighbours in Spanish too, far above chance and above what their sound
gives, and Latin songs without lyrics have fewer Latin neighbours than those with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from msd_spark.neighbours.space_metrics import UNKNOWN, Agreement, agreement

LATIN, SPANISH = "Latin", "es"
FEWEST_SONGS = 20
"""Songs with neighbours that a group needs for a reading."""

CLEARLY = 1.5
"""How many times as great a share has to be."""


@dataclass(frozen=True)
class GroupFigures:
    """What the neighbours of a group of songs share with them.

    Attributes
    ----------
    songs : int
    genre, language : Agreement
        The same genre, the same language of lyrics.
    latin, spanish : float or None
        The share of neighbours with a genre that are Latin, and of those with a language that are in Spanish.
    """

    songs: int
    genre: Agreement
    language: Agreement
    latin: float | None
    spanish: float | None


@dataclass(frozen=True)
class Songs:
    """What of the songs is asked about.

    Attributes
    ----------
    genre, language : numpy.ndarray
        Shape ``(n,)``: codes, `UNKNOWN` for none.
    latin, spanish : numpy.ndarray
        Shape ``(n,)``, bool: of the genre Latin, with lyrics in Spanish.
    has_lyrics : numpy.ndarray
        Shape ``(n,)``, bool: whether the model saw lyrics.
    """

    genre: np.ndarray
    language: np.ndarray
    latin: np.ndarray
    spanish: np.ndarray
    has_lyrics: np.ndarray

    def groups(self) -> dict[str, np.ndarray]:
        """Return which songs each group has."""
        return {
            "Latin, with lyrics": self.latin & self.has_lyrics,
            "Latin, without lyrics": self.latin & ~self.has_lyrics,
            "Latin, in Spanish": self.latin & self.spanish,
            "other genres, in Spanish": ~self.latin & (self.genre != UNKNOWN) & self.spanish,
        }


def group_figures(songs: Songs, queries: np.ndarray, neighbours: np.ndarray, among: np.ndarray) -> GroupFigures:
    """Return what the neighbours of some songs share with them.

    Parameters
    ----------
    songs : Songs
    queries : numpy.ndarray
        Shape ``(m,)``: numbers of songs.
    neighbours : numpy.ndarray
        Shape ``(m, k)``: of other artists; below 0 where there are no more.
    among : numpy.ndarray
        Shape ``(n,)``, bool: the group.
    """
    theirs = neighbours[among[queries]]
    theirs = theirs[theirs >= 0]

    def share(has: np.ndarray, known: np.ndarray) -> float | None:
        asked = theirs[known[theirs]]
        return float(has[asked].mean()) if len(asked) else None

    return GroupFigures(
        int(among[queries].sum()),
        agreement(songs.genre, queries, neighbours, among),
        agreement(songs.language, queries, neighbours, among),
        share(songs.latin, songs.genre != UNKNOWN),
        share(songs.spanish, songs.language != UNKNOWN),
    )


def language_question(songs: Songs, queries: np.ndarray, spaces: Mapping[str, np.ndarray]) -> dict[str, object]:
    """Return the figures of every group in every space, and their reading.

    Parameters
    ----------
    songs : Songs
    queries : numpy.ndarray
        Shape ``(m,)``.
    spaces : mapping
        ``embedding``, and ``raw`` where there is one, to neighbours of other artists, of shape ``(m, k)``.
    """
    figures = {
        space: {name: group_figures(songs, queries, neighbours, among) for name, among in songs.groups().items()}
        for space, neighbours in spaces.items()
    }
    genre_known, language_known = songs.genre != UNKNOWN, songs.language != UNKNOWN
    chance = {
        "latin": float(songs.latin[genre_known].mean()) if genre_known.any() else None,
        "spanish": float(songs.spanish[language_known].mean()) if language_known.any() else None,
    }
    return {
        "chance": chance,
        "groups": {space: {name: asdict(group) for name, group in groups.items()} for space, groups in figures.items()},
        "reading": reading(figures, chance["spanish"]),
    }


def reading(figures: Mapping[str, Mapping[str, GroupFigures]], chance: float | None) -> str:
    """Say in words what the figures show; that they are too few, where they are.

    Parameters
    ----------
    figures : mapping
        Space to group to its figures.
    chance : float or None
        The share of songs in Spanish among those with a language.
    """
    ours, raw = figures["embedding"], figures.get("raw", {})
    other = ours["other genres, in Spanish"]
    said = [_described(name, group) for name, group in ours.items()]
    sound = raw["other genres, in Spanish"].spanish if raw else None
    if other.songs < FEWEST_SONGS or other.spanish is None or chance is None:
        return " ".join([*said, f"Of songs in Spanish of other genres there are {other.songs}: too few to say more."])
    said.append(
        f"By chance {chance:.0%} of neighbours are in Spanish"
        + (
            f", by the sound alone {sound:.0%} of those of songs in Spanish of other genres."
            if sound is not None
            else "."
        )
    )
    by_words = other.spanish >= CLEARLY * max(chance, sound or 0.0)
    by_sound = sound is not None and sound >= CLEARLY * chance
    if by_words:
        said.append("So songs in Spanish lie together across genres, more than their sound explains: it is the words.")
    elif by_sound:
        said.append(
            "So songs in Spanish lie together across genres about as much as their sound does: it is the sound."
        )
    else:
        said.append("So songs in Spanish do not lie together across genres here.")
    with_lyrics, without = ours["Latin, with lyrics"], ours["Latin, without lyrics"]
    if min(with_lyrics.songs, without.songs) >= FEWEST_SONGS and None not in (with_lyrics.latin, without.latin):
        less = (without.latin or 0.0) * CLEARLY <= (with_lyrics.latin or 0.0)
        said.append(
            "Latin songs without lyrics lie together clearly less than those with."
            if less
            else "Latin songs without lyrics lie together much as those with."
        )
    return " ".join(said)


def _described(name: str, group: GroupFigures) -> str:
    if not group.songs:
        return f"{name}: no songs."
    shares = {"are Latin": group.latin, "are in Spanish": group.spanish}
    known = [f"{share:.0%} {what}" for what, share in shares.items() if share is not None]
    return f"{name} ({group.songs} songs): of the neighbours by other artists {' and '.join(known) or 'none is known'}."
