"""Plan the split, file and row of every example from its light columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from msd_spark.core.schemas import ABSENT, SPLITS
from msd_spark.dataset.balance import BalanceRule, resample
from msd_spark.dataset.splits import SplitRule, hash_of, split_of_tracks

NO_BALANCE = BalanceRule()


@dataclass(frozen=True)
class FileRule:
    """How a split is divided into files of one row group.

    A split too small for `min_files` files of `rows_per_file` gets smaller files, down to one example per file, so that
    ranks read different files. `seed` determines the order of the examples.
    """

    rows_per_file: int = 256
    min_files: int = 8
    seed: int = 0

    def rows_for(self, n_examples: int) -> int:
        """Return the rows per file of a split with `n_examples` examples.

        Examples
        --------
        >>> FileRule().rows_for(100_000), FileRule().rows_for(800), FileRule().rows_for(3)
        (256, 100, 1)
        """
        return max(1, min(self.rows_per_file, n_examples // self.min_files))


def keep_common_genres(genres: pd.Series, min_examples: int) -> tuple[list[str], dict[str, int]]:
    """Return the sorted genres with `min_examples` songs or more, and counts of the others."""
    counts = genres.value_counts()
    common = sorted(str(genre) for genre in counts.index[counts >= min_examples])
    return common, {str(genre): int(n) for genre, n in counts[counts < min_examples].sort_index().items()}


def plan_examples(
    tracks: pd.DataFrame,
    vocabulary: Sequence[str],
    split_rule: SplitRule,
    file_rule: FileRule,
    balance: BalanceRule = NO_BALANCE,
) -> pd.DataFrame:
    """Assign a split, a file and a row to every example.

    `tracks` has ``track_id``, ``artist_group``, ``genre`` (in `vocabulary`, or null) and, if the split rule is by
    lists, ``listed``; other columns are kept. The plan adds ``genre_index`` (index into `vocabulary`), ``split``,
    ``copy`` (0 for a track's first row, 1 for its second …), ``file`` (number within the split) and ``row``, and is
    sorted by split, file and row. The order within a split is a seeded shuffle that does not depend on the order of
    `tracks`.
    """
    plan = tracks.copy()
    index = {genre: number for number, genre in enumerate(vocabulary)}
    genres = zip(tracks["genre"], tracks["genre"].notna(), strict=True)
    plan["genre_index"] = [index[genre] if present else ABSENT for genre, present in genres]
    plan["split"] = split_of_tracks(plan, split_rule)
    plan = _repeated(plan, balance)
    plan["order"] = [
        hash_of(f"{file_rule.seed}:{track}:{copy}" if copy else f"{file_rule.seed}:{track}")
        for track, copy in zip(plan["track_id"], plan["copy"], strict=True)
    ]
    plan = plan.sort_values(["split", "order", "track_id", "copy"], ignore_index=True)
    place = plan.groupby("split").cumcount()
    rows = plan["split"].map({str(split): file_rule.rows_for(len(part)) for split, part in plan.groupby("split")})
    plan["file"] = (place // rows).astype(int) if len(plan) else place
    plan["row"] = (place % rows).astype(int) if len(plan) else place
    return plan.drop(columns="order")


def _repeated(plan: pd.DataFrame, balance: BalanceRule) -> pd.DataFrame:
    """Repeat the rows of the train split according to the balance, and number the copies."""
    times = np.ones(len(plan), np.int64)
    train = (plan["split"] == SPLITS[0]).to_numpy()
    times[train] = resample(plan[train], balance)
    repeated = plan.iloc[np.repeat(np.arange(len(plan)), times)]
    starts = np.repeat(np.cumsum(times) - times, times)
    return repeated.reset_index(drop=True).assign(copy=np.arange(len(repeated)) - starts)


def count_by_genre(plan: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return the number of rows per genre and split, without examples that have no genre."""
    table = pd.crosstab(plan["genre"], plan["split"]).reindex(columns=list(SPLITS), fill_value=0)
    return {str(genre): {split: int(row[split]) for split in SPLITS} for genre, row in table.iterrows()}
