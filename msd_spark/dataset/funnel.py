"""What became of every song on its way into a dataset: steps that add up, each with its counts a genre. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from msd_spark.core.schemas import SPLITS


@dataclass(frozen=True)
class Step:
    """One step of the funnel.

    Attributes
    ----------
    name : str
    tracks : int
        Those still there that have what the step is about.
    left_out : int
        Those that went with this step: the others, where the step is required; else none.
    by_genre : dict
        Of `tracks`, by the genre that their labels give them; those without a genre are in none.
    """

    name: str
    tracks: int
    left_out: int
    by_genre: dict[str, int]


class Funnel:
    """Narrows a catalogue down, step by step, and keeps count.

    Parameters
    ----------
    genres : pandas.Series
        The genre of every song, null where it has none.
    """

    def __init__(self, genres: pd.Series) -> None:
        self.genres = genres
        self.kept = np.ones(len(genres), bool)
        self.steps: list[Step] = []
        self.note("songs", self.kept, required=False)

    def note(self, name: str, has: np.ndarray, *, required: bool) -> None:
        """Add a step.

        Parameters
        ----------
        name : str
        has : numpy.ndarray
            Shape ``(n_songs,)``, bool: which songs have what the step is about.
        required : bool
            Whether the others leave.
        """
        inside = self.kept & has
        left_out = int(self.kept.sum() - inside.sum()) if required else 0
        counts = self.genres[inside].value_counts()
        by_genre = {str(genre): int(counts[genre]) for genre in sorted(counts.index)}
        self.steps.append(Step(name, int(inside.sum()), left_out, by_genre))
        if required:
            self.kept = inside

    def close(self, splits: pd.Series) -> None:
        """Add the splits, as the last steps: which split each song went to, null where it went to none."""
        self.note("examples", np.ones(len(self.genres), bool), required=False)
        for split in SPLITS:
            self.note(split, (splits == split).to_numpy(), required=False)

    def check(self) -> None:
        """Check that every song is in a split, or was left out by one step.

        Raises
        ------
        ValueError
            When the counts do not add up.
        """
        tracks = {step.name: step.tracks for step in self.steps}
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

    def to_json(self) -> list[dict[str, Any]]:
        """Return the steps as JSON can hold them."""
        return [asdict(step) for step in self.steps]

    def table(self) -> str:
        """Return the steps as text."""
        return tabulate(
            [(step.name, f"{step.tracks:,}", f"{step.left_out:,}" if step.left_out else "") for step in self.steps],
            headers=["funnel", "tracks", "left out"],
            colalign=("left", "right", "right"),
            disable_numparse=True,
        )


def genre_table(steps: list[Step], rows_by_genre: dict[str, dict[str, int]]) -> str:
    """Return each genre's way as text: its tracks after every step, and its rows in every split."""
    genres = sorted({genre for step in steps for genre in step.by_genre} | set(rows_by_genre))
    if not genres:
        return ""
    shown = [step for step in steps if step.name not in (*SPLITS, "examples")]
    rows = [
        (
            genre,
            *(step.by_genre.get(genre, 0) for step in shown),
            *(rows_by_genre.get(genre, {}).get(split, 0) for split in SPLITS),
        )
        for genre in genres
    ]
    return tabulate(rows, headers=["genre", *(step.name for step in shown), *(f"{split} rows" for split in SPLITS)])
