"""The official list of duplicates: no split separates the tracks of a group."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from msd_spark.catalogue.artist_groups import group_artists, group_songs
from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.job import make_dataset
from msd_spark.dataset.selection import read_duplicates
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.dataset.splits import SplitRule, split_of_tracks
from msd_spark.formats.duplicates import parse_duplicates
from msd_spark.pipeline.running import stage_words
from msd_spark.pipeline.settings import PipelineOptions, make_plan
from msd_spark.pipeline.stages import BY_NAME
from tests.support.song_tables import song, track, write_labels, write_songs

LIST = f"""# MILLION SONG DATASET
# %number artist - title, then the tracks
%0 Emerson_ Lake & Palmer - Toccata
{track(1)}
{track(2)}\r

%1 100% - #1 - <SEP>
{track(3)}<SEP>AR00<SEP>-1
"""


def test_a_list_of_groups_is_read() -> None:
    duplicates, refused = parse_duplicates(LIST.split("\n"))
    assert list(duplicates.itertuples(index=False, name=None)) == [(track(1), 1), (track(2), 1), (track(3), 2)]
    assert refused == []
    duplicates, refused = parse_duplicates([track(1), "%0 A - T", "TR1", "SO" + track(1)[2:], track(1)])
    assert duplicates["track_id"].tolist() == [track(1)]
    assert [(number, reason) for number, reason, _ in refused] == [
        (1, "no_group"),
        (3, "bad_track_id"),
        (4, "bad_track_id"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# nothing\n", "has no track; write % and a title, then one track id per line"),
        (f"{track(1)}\n{track(2)}\n", r"2 of 2 rejected as no_group, such as .*duplicates\.txt line 1: TR"),
    ],
)
def test_a_list_without_groups_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "duplicates.txt").write_text(content)
    with pytest.raises(UserError, match=message):
        read_duplicates(str(tmp_path / "duplicates.txt"), [])


numbers = st.integers(0, 30)


@given(st.lists(st.tuples(numbers, numbers), max_size=40), st.integers(0, 5), st.sampled_from(["artist", "track"]))
def test_no_group_and_no_artist_is_in_two_splits(pairs: list[tuple[int, int]], seed: int, by: str) -> None:
    catalogue = pd.DataFrame([song(number) for number in range(25)]).assign(
        artist_id=[f"AR{number // 3}" for number in range(25)]
    )
    duplicates = pd.DataFrame([(track(number), group) for number, group in pairs], columns=["track_id", "group"])
    tracks = catalogue[["track_id"]].assign(
        artist_group=group_artists(catalogue, duplicates), song_group=group_songs(catalogue["track_id"], duplicates)
    )
    splits = split_of_tracks(tracks, SplitRule(seed=seed, by=by)).set_axis(tracks["track_id"])
    keys = [duplicates.set_index("track_id")["group"], tracks.set_index("track_id")["song_group"]]
    if by == "artist":
        keys.append(catalogue.set_index("track_id")["artist_id"])
    for key in keys:
        pairs_of_key = pd.DataFrame({"key": key}).join(splits.rename("split")).dropna().drop_duplicates()
        assert pairs_of_key["key"].is_unique
    unlisted = ~tracks["track_id"].isin(duplicates["track_id"])
    assert (tracks["song_group"] == tracks["track_id"])[unlisted].all()


def test_a_dataset_keeps_duplicates_together(spark: SparkSession, tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path / "w"))
    write_songs(warehouse, [song(number) for number in range(40)])
    write_labels(warehouse, {track(number): "Rap" for number in range(40)})
    path = tmp_path / "msd_duplicates.txt"
    groups = [[track(number), track(number + 20), track(number + 100)] for number in range(20)]
    text = "".join("%0 A - T\n" + "".join(f"{name}\n" for name in group) for group in groups)
    path.write_text(text + "no id\n")
    for split in ("track", "artist"):
        settings = DatasetSettings(warehouse.root, split=split, duplicates=str(path), min_examples=1)
        summary = make_dataset(spark, settings)
        rows = warehouse.read_examples(["track_id", "split", "artist_group"], "genre").to_pandas()
        assert len(rows) == 40
        assert {"train", "test"} <= set(rows["split"])
        by_track = rows.set_index("track_id")["split"]
        assert all(by_track[track(number)] == by_track[track(number + 20)] for number in range(20))
    assert rows["artist_group"].nunique() == 20
    facts = {name: summary.facts[name] for name in summary.facts if "list" in name or "several" in name}
    assert facts == {
        "tracks in the list of duplicates": 60,
        "tracks of the list not in songs/": 20,
        "songs with several tracks": 20,
        "lines of lists rejected": 1,
    }
    rejected = warehouse.read_table(["member", "reason", "detail"], "rejected", "stage=dataset").to_pylist()
    assert rejected == [{"member": "line 81", "reason": "bad_track_id", "detail": "no id"}]
    assert warehouse.read_json("dataset", "genre", DATASET_FILE)["duplicates"] == "msd_duplicates.txt"


def test_the_pipeline_uses_the_list_of_its_data_folder(tmp_path: Path) -> None:
    path = tmp_path / "additional" / "MSD_duplicates.txt.gz"
    path.parent.mkdir()
    path.touch()
    assert DataFolder.find(tmp_path).duplicates == str(path)

    def words(*assignments: str) -> list[str]:
        options = PipelineOptions(data=str(tmp_path), assignments=assignments)
        return stage_words(BY_NAME["dataset"], make_plan(options))

    assert words() == ["--require", "genre", "--duplicates", str(path), "--warehouse", "./warehouse"]
    assert words("dataset.duplicates=other") == [
        *("--require", "genre", "--duplicates", "other", "--warehouse", "./warehouse"),
    ]
