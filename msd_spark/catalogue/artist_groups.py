"""Which artists belong together, because they share a song: the groups that no split parts.

The dataset has the same song under several track ids, and the same artist under several artist
ids. Two artist ids are linked when a song stands under both: the same song id, or the same name
of artist and title once case, width, punctuation and white space are made alike. A group is all
artists that can be reached over links; its key is the first of their ids.

What holds when songs are added
-------------------------------
A split is a hash of the group's key. A new song that creates no link changes no key, so it moves
no song that was there. A song that links an artist to a group may change the key of all of them,
since the key of a union can be that of one part only: both `{a}` and `{b}`, once they are one
group `{a, b}`, have one key, and one of them may have had another one before. No rule that looks
at the catalogue alone can do better without letting a song be in two splits. So the job compares
with the dataset that it replaces and reports the groups that were joined and the songs that
moved (`moves_since`); `--split-lists` holds splits fast whatever is added.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import pandas as pd


class _Separators(dict[int, int]):
    """For `str.translate`: punctuation and white space become a space, found out once a character."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        separates = unicodedata.category(character)[0] in "PZ" or character.isspace()
        self[code] = ord(" ") if separates else code
        return self[code]


_SEPARATORS = _Separators()


def normalise_name(text: str) -> str:
    """Return a name of an artist or a title, alike however it is spelt.

    Unicode compatibility forms (NFKC) and case are folded, and every run of punctuation and white
    space becomes one space. Nothing else goes: not "the", not "(live)", no accent. A name of
    nothing but punctuation ("!!!") keeps it.

    Examples
    --------
    >>> normalise_name("  AC/DC "), normalise_name("ＡＣ-ＤＣ"), normalise_name("!!!")
    ('ac dc', 'ac dc', '!!!')
    """
    # Case is folded twice: a compatibility form can hold a capital, and a folded letter a form (Unicode, D146).
    folded = unicodedata.normalize("NFD", text)
    for _ in range(2):
        folded = unicodedata.normalize("NFKC", folded.casefold())
    words = folded.translate(_SEPARATORS).split()
    return " ".join(words) or " ".join(folded.split())


def group_artists(songs: pd.DataFrame) -> pd.Series:
    """Return the artist group of every song.

    Parameters
    ----------
    songs : pandas.DataFrame
        ``track_id``, ``song_id``, ``artist_id``, ``artist_name`` and ``title``; all but the first
        may be null. A song without an artist id stands for an artist of its own, under its track id.

    Returns
    -------
    pandas.Series
        The group's key, with the index of `songs`.
    """
    artist = songs["artist_id"].fillna(songs["track_id"])
    names = {name: normalise_name(name) for name in songs["artist_name"].dropna().unique()}
    titles = songs["title"].dropna().map(normalise_name).reindex(songs.index)
    titled = pd.DataFrame({"name": songs["artist_name"].map(names), "title": titles, "artist": artist})
    same_song = pd.DataFrame({"song_id": songs["song_id"], "artist": artist})
    groups = artist_groups([*_linked(same_song, ["song_id"]), *_linked(titled, ["name", "title"])])
    return artist.map(groups).fillna(artist)


def _linked(songs: pd.DataFrame, keys: list[str]) -> list[list[str]]:
    """Return the artists of each song that stands under several of them."""
    once = songs.dropna(subset=keys).drop_duplicates()
    shared = once[once.duplicated(keys, keep=False)]
    return [sorted(artists) for _, artists in shared.groupby(keys, sort=True)["artist"]]


def artist_groups(linked: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return the group of each artist that shares a song with another one.

    Parameters
    ----------
    linked : iterable of sequences of str
        Artists that have the same song, for each such song.

    Returns
    -------
    dict
        Artist to group, the first artist id of the connected ones. An artist that stands
        in no link is a group of its own, under its own id.
    """
    parent: dict[str, str] = {}

    def find(artist: str) -> str:
        root = artist
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[artist] != root:
            parent[artist], artist = root, parent[artist]
        return root

    for artists in linked:
        for artist in artists[1:]:
            first, second = sorted((find(artists[0]), find(artist)))
            parent[second] = first
    return {artist: find(artist) for artist in parent}


def moves_since(previous: pd.DataFrame, current: pd.DataFrame) -> dict[str, int]:
    """Compare a dataset with the one that it replaces.

    Parameters
    ----------
    previous, current : pandas.DataFrame
        ``track_id``, ``artist_group`` and ``split``, a row a track.

    Returns
    -------
    dict
        Tracks that are in both, groups of now that were several before, and tracks that
        are in another split than before.
    """
    both = previous.merge(current, on="track_id", suffixes=("_before", "_now"))
    groups_before = both.groupby("artist_group_now")["artist_group_before"].nunique()
    return {
        "tracks in both": len(both),
        "groups joined": int((groups_before > 1).sum()),
        "tracks moved": int((both["split_before"] != both["split_now"]).sum()),
    }
