"""Decide before the Spark tasks which songs are scored, keep their rows, or are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.catalogue.known_tracks import KnownTracks
from msd_spark.core.rejections import Rejection
from msd_spark.core.schemas import EMBEDDING_FLAGS, LYRICS
from msd_spark.scoring.slices import Slice, SlicedSongs
from msd_spark.scoring.state import ScoredRows, ScoreState

PLANNED = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("keep", pa.bool_(), nullable=False),
        *(pa.field(name, LYRICS.field(name).type) for name in ("lyric_vector", "word_indices", "word_counts")),
        *(pa.field(name, pa.float32(), nullable=False) for name in EMBEDDING_FLAGS),
    ]
)
"""The songs of a slice that get a row: row in the slice, whether the existing row is kept, vector, words and flags."""


@dataclass(frozen=True)
class ScorePlan:
    """What is done with each song.

    `score` and `keep` have the shape ``(n_songs,)``: the song is scored, or its row is kept. A song that is neither is
    refused, or is one of `n_without_segments`, which are only counted: metadata may add a million of them. Workers
    process the slices of `tasks`; the files of the slices in `copies` are copied without change.
    """

    songs: SlicedSongs
    known: KnownTracks
    score: np.ndarray
    keep: np.ndarray
    refused: list[Rejection]
    n_without_segments: int
    tasks: list[int]
    copies: list[int]

    def slices(self) -> list[Slice]:
        """Return the slices of the tasks."""
        return [self.songs.slices[number] for number in self.tasks]

    def rows(self, number: int) -> np.ndarray:
        """Return which songs of a slice get a row, as places in the slice."""
        return np.flatnonzero((self.score | self.keep)[self.songs.part(number)])

    def planned(self) -> Iterator[pa.Table]:
        """Yield the songs of each task, in the schema `PLANNED`."""
        flags = self.known.flags
        for number in self.tasks:
            rows = self.rows(number)
            songs = self.songs.borders[number] + rows
            columns = {
                "track_id": self.songs.track_ids.take(pa.array(songs)),
                "row": pa.array(rows),
                "keep": pa.array(self.keep[songs]),
                "lyric_vector": self.known.lyrics.take(songs),
                "word_indices": self.known.bags.indices.take(songs),
                "word_counts": self.known.bags.counts.take(songs),
            } | {name: pa.array(flags[name][songs]) for name in EMBEDDING_FLAGS}
            yield pa.Table.from_arrays([columns[item.name].cast(item.type) for item in PLANNED], schema=PLANNED)


def plan_scores(
    songs: SlicedSongs, known: KnownTracks, state: ScoreState, old: ScoreState | None, rows: ScoredRows | None
) -> ScorePlan:
    """Decide what is done with each song.

    A row is kept if the model and the song's file in ``songs/`` are unchanged and the song's lyrics cannot have
    changed: ``lyrics/`` is unchanged, or the song has no lyrics now and had none. `state` is the present one, `old` and
    `rows` those of the existing table, None to score every song.
    """
    n = len(songs)
    of_slice = songs.slice_of_song()
    no_segments = songs.n_segments < 1
    refused: list[Rejection] = []
    keep, refused_before, same_flags = np.zeros(n, bool), np.zeros(n, bool), np.ones(n, bool)
    rows_of_file: dict[str, int] = {}
    if rows is not None:
        rows_of_file = dict(zip(rows.files, np.bincount(rows.file, minlength=len(rows.files)).tolist(), strict=True))
    if old is not None and rows is not None and old.model == state.model:
        same_file = np.array([old.files.get(item.file) == item.size for item in songs.slices], bool)[of_slice]
        place = rows.places(songs)
        previous_flags = {name: np.append(values, False)[place] for name, values in rows.flags.items()}
        same_lyrics = (old.lyrics == state.lyrics) | ~(previous_flags["has_lyrics"] | known.flags["has_lyrics"])
        keep = (place >= 0) & same_file & same_lyrics & ~no_segments
        same_flags = np.logical_and.reduce([previous_flags[name] == known.flags[name] for name in EMBEDDING_FLAGS])
        rejections = old.rejections
        rejected = pc.is_in(songs.track_ids, value_set=pa.array(rejections, pa.string()))
        refused_before = rejected.to_numpy(zero_copy_only=False) & same_file & (place < 0) & ~no_segments
        refused += [rejections[songs.track_ids[number].as_py()] for number in np.flatnonzero(refused_before).tolist()]
    score = ~(keep | no_segments | refused_before)
    unchanged = keep & same_flags | no_segments | refused_before
    tasks, copies = [], []
    for number, item in enumerate(songs.slices):
        part = songs.part(number)
        n_kept, n_scored = int(keep[part].sum()), int(score[part].sum())
        if unchanged[part].all() and rows_of_file.get(item.name, 0) == n_kept:
            copies += [number] if n_kept else []
        elif n_kept + n_scored:
            tasks.append(number)
    return ScorePlan(songs, known, score, keep, refused, int(no_segments.sum()), tasks, copies)


def rejection(item: Slice, track_id: str, reason: str, detail: str) -> Rejection:
    """Return the rejection of a song of a slice; its member is the track id."""
    return Rejection(f"songs/{item.file}", reason, detail, track_id)
