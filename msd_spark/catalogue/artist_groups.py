"""Artist groups: artists that share a song, so that no split separates them.

The dataset has the same song under several track ids, and the same artist under several artist ids. Two artist
ids are linked if they share a song: the same song id, the same artist name and title after normalisation, or tracks
in the same group of a list of duplicates. An artist whose songs are all by "A feat. B" is linked to A and to B: to the
artists with most songs by these names. A group is a connected component of these links; its key is its first artist id.

An artist id that also has songs without a guest is not linked to its guests, because such links form long chains: in
the metadata of the million songs they would make one group of 58,876 songs, where the largest group is of 833.

Stability when songs are added
------------------------------
A split is a hash of the group's key. A new song that creates no link changes no key, so no other song moves.
A song that links groups moves all songs of those whose key is not the first. No rule based on the catalogue
alone avoids this without allowing one song in two splits. The dataset job therefore reports joined groups and moved
tracks (`moves_since`), and ``--split-lists`` fixes splits whatever is added.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from msd_spark.catalogue.names import credited_artists, normalise_name

_COLUMNS = ["track_id", "song_id", "artist_id", "artist_name", "title"]


def _links_of_guests(artist: np.ndarray, names: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of artists to link, because all songs of the first have a guest.

    The second is the artist with most songs by one of the credited names. Both arrays have shape ``(n_pairs,)``.
    """
    known = pd.DataFrame({"artist": artist, "text": names.to_numpy()}).dropna()
    credits = {text: credited_artists(text) for text in known["text"].unique()}
    known["names"] = known["text"].map(credits)
    plain = known["names"].map(len) == 1
    counts = known[plain].explode("names").groupby(["names", "artist"]).size()
    owner = counts.sort_values(kind="stable", ascending=False).reset_index().drop_duplicates("names")
    guests = known[~known["artist"].isin(known["artist"][plain])].drop_duplicates(["artist", "text"]).explode("names")
    ends = guests["names"].map(owner.set_index("names")["artist"])
    return guests["artist"][ends.notna()].to_numpy(np.int64), ends.dropna().to_numpy(np.int64)


def group_artists(songs: pd.DataFrame, duplicates: pd.DataFrame | None = None) -> pd.Series:
    """Return the key of each song's artist group, with the index of `songs`.

    `songs` has ``track_id``, ``song_id``, ``artist_id``, ``artist_name`` and ``title``; all but the first may be null.
    A song without an artist id counts as an artist of its own, whose id is the track id. `duplicates` are further
    links, as returned by `msd_spark.formats.duplicates.parse_duplicates`.
    """
    artist, artists = pd.factorize(songs["artist_id"].fillna(songs["track_id"]), sort=True)
    song = pd.factorize(songs["song_id"])[0]
    name, title = (
        pd.factorize(songs[column].map({text: normalise_name(text) for text in songs[column].dropna().unique()}))[0]
        for column in ("artist_name", "title")
    )
    titled = np.where((name < 0) | (title < 0), -1, name * (title.max(initial=0) + 1) + title)
    # A graph of artists and songs: an edge joins each artist to the songs with its name on them.
    song_ids = np.where(song < 0, -1, len(artists) + song)
    name_nodes = np.where(titled < 0, -1, len(artists) + song.max(initial=-1) + 1 + pd.factorize(titled)[0])
    ends = np.concatenate([song_ids, name_nodes])
    starts = np.concatenate([artist, artist])
    if duplicates is not None:
        place = pd.Index(songs["track_id"]).get_indexer(duplicates["track_id"])
        group = pd.factorize(duplicates["group"])[0] + ends.max(initial=len(artists)) + 1
        ends = np.concatenate([ends, group[place >= 0]])
        starts = np.concatenate([starts, artist[place[place >= 0]]])
    with_guest, main = _links_of_guests(artist, songs["artist_name"])
    starts, ends = np.concatenate([starts, with_guest]), np.concatenate([ends, main])
    starts = starts[ends >= 0]
    ends = ends[ends >= 0]
    n_nodes = max(len(artists), int(ends.max(initial=0)) + 1)
    graph = coo_array((np.ones(len(ends), bool), (starts, ends)), shape=(n_nodes, n_nodes))
    component = connected_components(graph, directed=False)[1][: len(artists)]
    # Artists are sorted, so the first of each component has the first id.
    _, first, group = np.unique(component, return_index=True, return_inverse=True)
    return pd.Series(np.asarray(artists, object)[first[group]][artist], songs.index, dtype=object)


def group_songs(track_ids: pd.Series, duplicates: pd.DataFrame) -> pd.Series:
    """Return the first track of each track's group of duplicates.

    It is the track itself if it is in no group.
    """
    return group_artists(pd.DataFrame({"track_id": track_ids}).reindex(columns=_COLUMNS), duplicates)


def moves_since(previous: pd.DataFrame, current: pd.DataFrame) -> dict[str, int]:
    """Count tracks in both of two datasets, groups joined since and tracks that changed split.

    Both frames have ``track_id``, ``artist_group`` and ``split``, one row per track.
    """
    both = previous.merge(current, on="track_id", suffixes=("_before", "_now"))
    groups_before = both.groupby("artist_group_now")["artist_group_before"].nunique()
    return {
        "tracks in both": len(both),
        "groups joined": int((groups_before > 1).sum()),
        "tracks moved": int((both["split_before"] != both["split_now"]).sum()),
    }
