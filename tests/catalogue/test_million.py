"""Facts of the whole catalogue, and what grouping and splitting make of it; the same logic on 2,000 generated songs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from msd_spark.catalogue.artist_groups import group_artists
from msd_spark.core.schemas import SPLITS
from msd_spark.dataset.plan import FileRule, plan_examples
from msd_spark.dataset.splits import SplitRule
from msd_spark.synthetic import names
from msd_spark.synthetic.catalogue import make_catalogue
from msd_spark.synthetic.settings import SyntheticSettings
from tests.conftest import REPOSITORY

REAL = REPOSITORY.parent / "shared" / "msd-real"


@pytest.fixture(scope="module")
def million(million: Path) -> pd.DataFrame:
    """The metadata of all songs."""
    return pd.read_parquet(million)


@pytest.fixture(scope="module")
def groups(million: pd.DataFrame) -> pd.Series:
    return group_artists(million)


def artists_of(name: str) -> set[str]:
    """Return the artist ids of an official list."""
    return set((REAL / "protocols" / f"{name}.txt").read_text().split())


def test_the_catalogue_has_the_published_counts(million: pd.DataFrame) -> None:
    assert len(million) == million["track_id"].nunique() == 1_000_000
    assert million["track_id"].is_monotonic_increasing
    assert million["song_id"].nunique() == 999_056
    assert million["artist_id"].nunique() == 44_745
    assert (million["title"] == "").sum() == 15
    assert million["artist_id"].value_counts().iloc[0] == 208


def test_years_are_known_of_half_of_the_songs(million: pd.DataFrame) -> None:
    dated = million[million["year"] > 0]
    assert len(dated) == 515_576
    train, test = artists_of("year_artists_train"), artists_of("year_artists_test")
    assert (len(train), len(test), len(train & test)) == (25_398, 2_822, 0)
    assert dated["artist_id"].isin(train).sum() == 466_128
    assert dated["artist_id"].isin(test).sum() == 49_436


def test_songs_that_occur_several_times(million: pd.DataFrame) -> None:
    names = million["artist_name"].str.casefold() + "\0" + million["title"].str.casefold()
    repeated = names[names.duplicated(keep=False)]
    assert (repeated.nunique(), len(repeated)) == (53_472, 130_876)


def check_groups(songs: pd.DataFrame, groups: pd.Series) -> None:
    """Check that no artist and no song is in two groups, and that a group is named by its first artist."""
    for column in ("artist_id", "song_id"):
        assert groups.groupby(songs[column].to_numpy()).nunique().max() == 1
    assert (groups.groupby(groups).size() > 0).all()
    assert (songs.groupby(groups.to_numpy())["artist_id"].min().to_numpy() == np.unique(groups)).all()


def check_splits(songs: pd.DataFrame, groups: pd.Series) -> None:
    """Check that a plan has every song once, and no group in two splits."""
    tracks = songs[["track_id"]].assign(artist_group=groups, genre="any")
    plan = plan_examples(tracks, ["any"], SplitRule(), FileRule())
    assert len(plan) == plan["track_id"].nunique() == len(songs)
    assert plan.groupby("artist_group")["split"].nunique().max() == 1
    shares = plan["split"].value_counts(normalize=True)
    assert [shares[split] for split in SPLITS] == pytest.approx(SplitRule().shares, abs=0.05)
    assert not plan.duplicated(["split", "file", "row"]).any()
    assert plan.groupby(["split", "file"]).size().max() <= FileRule().rows_per_file


def test_groups_of_artists_stay_small(million: pd.DataFrame, groups: pd.Series) -> None:
    check_groups(million, groups)
    assert groups.value_counts().iloc[0] == 833
    assert groups.nunique() > 40_000


def test_splits_of_the_whole_catalogue(million: pd.DataFrame, groups: pd.Series) -> None:
    check_splits(million, groups)


def test_generated_songs_are_grouped_and_split_alike() -> None:
    catalogue = make_catalogue(SyntheticSettings(songs=2_000, seed=7))
    tracks = range(len(catalogue))
    columns = {name: list(map(getattr(catalogue, name), tracks)) for name in ("song_id", "artist_name", "title")}
    artists = [names.artist_id(7, artist) for artist in catalogue.artist.tolist()]
    generated = pd.DataFrame({"track_id": catalogue.track_ids, "artist_id": artists, **columns})
    groups = group_artists(generated)
    check_groups(generated, groups)
    check_splits(generated, groups)
