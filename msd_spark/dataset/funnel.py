"""Count the songs that each selection step keeps and drops, per genre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from tabulate import tabulate

from msd_spark.core.schemas import SPLITS


@dataclass(frozen=True)
class Step:
    """One step of the funnel.

    `tracks` is the number of remaining tracks that meet the condition of the step, `by_genre` the same without tracks
    that have no genre, and `left_out` the number of dropped tracks, 0 if the condition is not required.
    """

    name: str
    tracks: int
    left_out: int
    by_genre: dict[str, int]


class Funnel:
    """Count the songs that remain after each step; `genres` is null for songs without one."""

    def __init__(self, genres: pd.Series) -> None:
        self.genres = genres
        self.remaining = np.ones(len(genres), bool)
        self.steps: list[Step] = []
        self.note("songs", self.remaining, required=False)

    def note(self, name: str, condition: np.ndarray, *, required: bool) -> None:
        """Add a step; songs that do not meet a required condition are dropped."""
        inside = self.remaining & condition
        left_out = int(self.remaining.sum() - inside.sum()) if required else 0
        counts = self.genres[inside].value_counts()
        by_genre = {str(genre): int(counts[genre]) for genre in sorted(counts.index)}
        self.steps.append(Step(name, int(inside.sum()), left_out, by_genre))
        if required:
            self.remaining = inside

    def close(self, splits: pd.Series) -> None:
        """Add the splits as the last steps; a song with a null split must have been dropped."""
        self.note("examples", np.ones(len(self.genres), bool), required=False)
        for split in SPLITS:
            self.note(split, (splits == split).to_numpy(), required=False)
        tracks = self.counts()
        left_out = sum(step.left_out for step in self.steps)
        in_splits = sum(tracks[split] for split in SPLITS)
        if not tracks["songs"] - left_out == tracks["examples"] == in_splits:
            raise ValueError(
                f"{tracks['songs']} songs less {left_out} left out, {tracks['examples']} examples and "
                f"{in_splits} in the splits do not add up"
            )

    def counts(self) -> dict[str, int]:
        """Return the tracks of each step, by its name."""
        return {step.name: step.tracks for step in self.steps}

    def table(self) -> str:
        """Return the steps as text."""
        return tabulate(
            [(step.name, f"{step.tracks:,}", f"{step.left_out:,}" if step.left_out else "") for step in self.steps],
            headers=["funnel", "tracks", "left out"],
            colalign=("left", "right", "right"),
            disable_numparse=True,
        )


def genre_table(steps: list[Step], rows_by_genre: dict[str, dict[str, int]]) -> str:
    """Return the tracks per genre after every step, and the rows per genre and split, as text."""
    columns = {step.name: step.by_genre for step in steps if step.name not in (*SPLITS, "examples")}
    columns |= {f"{split} rows": {genre: n[split] for genre, n in rows_by_genre.items()} for split in SPLITS}
    table = pd.DataFrame(columns).fillna(0).astype(int).sort_index()
    return tabulate(list(table.itertuples()), headers=["genre", *columns]) if len(table) else ""
