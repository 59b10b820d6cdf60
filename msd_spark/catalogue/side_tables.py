"""What a dataset knows of a track besides its segments: lyrics, genre, tags, listens, factors.

Each comes from a table of the warehouse that may be missing altogether; a track of which a table
says nothing has none of it (`msd_spark.catalogue.joined_tracks`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from msd_spark.catalogue.joined_tracks import NO_LYRICS, Vectors
from msd_spark.core.errors import UserError
from msd_spark.core.schemas import ABSENT
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse, command_for


class SideTables:
    """Reads the tables beside ``songs/`` for some tracks.

    Parameters
    ----------
    warehouse : Warehouse
    track_ids : pandas.Series
        Each once; everything is returned in their order.
    needed : collection of str
        Tables that must be there.
    """

    def __init__(self, warehouse: Warehouse, track_ids: pd.Series, needed: frozenset[str]) -> None:
        self.warehouse = warehouse
        self.track_ids = pa.array(track_ids, pa.string())
        self.needed = needed

    def open(self, table: str) -> pads.Dataset | None:
        """Return a table, None where it is missing and not needed.

        Raises
        ------
        UserError
            When it is needed and missing, with the job that writes it.
        """
        if table in self.needed:
            self.warehouse.require(table)
        if not self.warehouse.is_complete(table):
            return None
        files = list(self.warehouse.table_files(table).paths)
        return pads.dataset(files, filesystem=self.warehouse.filesystem, format="parquet") if files else None

    def places(self, ids: pa.ChunkedArray | pa.Array, table: str) -> np.ndarray:
        """Return where each id stands among the tracks, `ABSENT` where it is none of them.

        Raises
        ------
        UserError
            When the table has one of the tracks twice.
        """
        found = _to_numpy(pc.fill_null(pc.index_in(ids, value_set=self.track_ids), ABSENT)).astype(np.int64)
        counts = np.bincount(found[found != ABSENT], minlength=1)
        if counts.max() > 1:
            track = self.track_ids[int(counts.argmax())].as_py()
            raise UserError(f"{table}/ has {track} {counts.max()} times; run {command_for(table)} again")
        return found

    def scalars(self, table: pa.Table, name: str, columns: list[str]) -> list[np.ndarray]:
        """Return integer columns of a table by track, `ABSENT` where it does not have the track."""
        found = self.places(table["track_id"], name)
        inside = found != ABSENT
        result = []
        for column in columns:
            values = np.full(len(self.track_ids), ABSENT, np.int64)
            values[found[inside]] = table[column].to_numpy()[inside]
            result.append(values)
        return result

    def vectors(self, table: pa.Table, name: str, column: str, key: str = "track_id") -> tuple[Vectors, int]:
        """Return a column of vectors by track, and their one length.

        Raises
        ------
        UserError
            When they are not of one length, or have gaps.
        """
        table = table.filter(pc.is_valid(table[column]))
        found = self.places(table[key], name)
        table = table.filter(pa.array(found != ABSENT))
        found = found[found != ABSENT]
        values = table[column].combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], table[column].type)
        lengths = np.unique(_to_numpy(pc.list_value_length(values)))
        if len(lengths) > 1 or values.flatten().null_count:
            raise UserError(f"{name}/ has vectors of {lengths.tolist()} numbers; run {command_for(name)} again")
        place = np.full(len(self.track_ids), ABSENT, np.int64)
        place[found] = np.arange(len(found))
        return Vectors(place, values), int(lengths[0]) if len(lengths) else 0

    def genre(self, label_set: str) -> pd.Series:
        """Return each track's genre in a label set, null where it has none.

        Raises
        ------
        UserError
            When ``labels/`` has no such set, with those that it has.
        """
        genres = np.full(len(self.track_ids), None, object)
        labels = self.open("labels")
        if labels is not None:
            table = labels.to_table(["track_id", "genre"], filter=pads.field("label_set") == label_set)
            if not table.num_rows:
                sets = pc.unique(labels.to_table(["label_set"])["label_set"]).to_pylist()
                known = ", ".join(sorted(sets)) or "none"
                raise UserError(f"labels/ has no label set {label_set}; it has {known} (--label-set)")
            found = self.places(table["track_id"], "labels")
            genres[found[found != ABSENT]] = table["genre"].to_numpy()[found != ABSENT]
        return pd.Series(genres, dtype=object)

    def popularity(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each track's popularity rank and decile."""
        columns = ["popularity_rank", "popularity_decile"]
        popularity = self.open("popularity")
        if popularity is None:
            absent = np.full(len(self.track_ids), ABSENT, np.int64)
            return absent, absent.copy()
        rank, decile = self.scalars(popularity.to_table(["track_id", *columns]), "popularity", columns)
        return rank, decile

    def lyrics(self, size: int) -> tuple[Vectors, str]:
        """Return each track's lyric vector, and the fingerprint of the word vectors behind them.

        Raises
        ------
        UserError
            When they are not of `size` numbers, or the summary of the job that wrote them is missing.
        """
        lyrics = self.open("lyrics")
        if lyrics is None:
            return self.none(), NO_LYRICS
        vectors, width = self.vectors(lyrics.to_table(["track_id", "lyric_vector"]), "lyrics", "lyric_vector")
        if width not in (0, size):
            raise UserError(f"lyrics/ has vectors of {width} numbers, an example has room for {size}")
        try:
            fingerprint = str(self.warehouse.read_json(SUMMARIES, "lyrics.json")["vectors"]["fingerprint"])
        except (OSError, KeyError, ValueError):
            message = f"{SUMMARIES}/lyrics.json does not say which word vectors lyrics/ is made of"
            raise UserError(f"{message}; run {command_for('lyrics')} again") from None
        return vectors, fingerprint

    def factors(self) -> tuple[Vectors, int]:
        """Return each track's factors, and how many there are."""
        factors = self.open("factors")
        if factors is None:
            return self.none(), 0
        table = factors.to_table(["id", "factors"], filter=pads.field("kind") == "track")
        return self.vectors(table, "factors", "factors", key="id")

    def tag_vocabulary(self, size: int) -> list[str]:
        """Return the `size` tags that most tracks have."""
        counts = self.open("tag_counts")
        if counts is None or not size:
            return []
        table = counts.to_table(["tag", "rank"]).sort_by([("rank", "ascending"), ("tag", "ascending")])
        return [str(tag) for tag in table["tag"].slice(0, size).to_pylist()]

    def tags(self, vocabulary: list[str]) -> Vectors:
        """Return the places in the vocabulary of each track's tags.

        A track with tags of which none is in the vocabulary has an empty list; one of which
        nobody said a tag has none. The table is read in batches: Last.fm has 8.6 million of its rows.
        """
        tags = self.open("tags")
        if tags is None:
            return self.none()
        known = pa.array(vocabulary, pa.string())
        pairs, tagged = [np.empty((0, 2), np.int64)], np.zeros(len(self.track_ids), bool)
        for batch in tags.to_batches(columns=["track_id", "tag"]):
            track, tag = (
                _to_numpy(pc.fill_null(pc.index_in(batch[name], value_set=values), ABSENT)).astype(np.int64)
                for name, values in (("track_id", self.track_ids), ("tag", known))
            )
            tagged[track[track != ABSENT]] = True
            both = (track != ABSENT) & (tag != ABSENT)
            pairs.append(np.column_stack([track[both], tag[both]]))
        together = np.unique(np.concatenate(pairs), axis=0)
        counts = np.bincount(together[:, 0], minlength=len(self.track_ids))[tagged]
        offsets = np.r_[0, np.cumsum(counts)].astype(np.int32)
        place = np.full(len(self.track_ids), ABSENT, np.int64)
        place[tagged] = np.arange(int(tagged.sum()))
        return Vectors(place, pa.ListArray.from_arrays(pa.array(offsets), pa.array(together[:, 1].astype(np.int32))))

    def none(self) -> Vectors:
        """Return vectors that no track has."""
        return Vectors(np.full(len(self.track_ids), ABSENT, np.int64), pa.array([], pa.list_(pa.float32())))


def _to_numpy(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.asarray(values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy())
