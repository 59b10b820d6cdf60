"""Official protocols: divisions, metrics and what is said about published values."""

from __future__ import annotations

import gzip
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, mean_absolute_error, mean_squared_error, roc_auc_score

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.command_line import parse
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError
from msd_spark.core.schemas import TAGS as TAGS_SCHEMA
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from tests.support.song_tables import song, track, write_labels, write_songs
from training.comparing.options import PROTOCOLS as NAMES
from training.comparing.protocols.artist import split_songs
from training.comparing.protocols.contract import OFFICIAL, TEST, TRAIN, UNCHECKED, VALIDATION, Lists
from training.comparing.protocols.official_lists import checksum, read_lists
from training.comparing.protocols.report import comparability, protocol_page, protocol_tables
from training.comparing.protocols.run import PROTOCOLS, evaluate, make_protocol
from training.comparing.protocols.tags50 import TAGS, Tags50
from training.comparing.protocols.year import Year, year_metrics, year_statistic
from training.evaluation.bootstrap import Artists

BOOTSTRAP = Bootstrap(resamples=20)
N_SONGS, N_ARTISTS = 48, 12


def artist(number: int) -> str:
    return f"AR{number:016d}"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Songs whose timbre depends on the artist, so that each truth can be learned."""
    warehouse = Warehouse(str(tmp_path_factory.mktemp("protocols")))
    generator = np.random.default_rng(4)
    songs = []
    for number in range(N_SONGS):
        own = number % N_ARTISTS
        timbre = generator.normal(10 * own, 1, (12, 12)).ravel().astype(np.float32)
        fields: dict[str, Any] = {"artist_id": artist(own), "year": 1960 + own if number != 5 else None}
        songs.append(song(number, 12, **fields) | {"segments_timbre": timbre})
    write_songs(warehouse, songs)
    write_labels(warehouse, {track(number): "Jazz" if number % N_ARTISTS < 6 else "Rap" for number in range(N_SONGS)})
    rows = [(track(number), TAGS[number % 2], 50.0) for number in range(N_SONGS)]
    rows += [(track(0), TAGS[7], 49.0), (track(1), "no such tag", 100.0)]
    names = ("track_id", "tag", "score")
    warehouse.write_arrow(
        pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], TAGS_SCHEMA), "tags"
    )
    return warehouse


def by_artist() -> Lists:
    ids = {TRAIN: [artist(number) for number in range(8)], TEST: [artist(number) for number in range(8, N_ARTISTS)]}
    return Lists(ids, {TRAIN: "a.txt", TEST: "b.txt"})


def test_every_protocol_can_be_chosen() -> None:
    assert tuple(PROTOCOLS) == NAMES


def test_a_year_is_predicted_for_unknown_artists(warehouse: Warehouse) -> None:
    content = evaluate(Year(), warehouse, by_artist(), BOOTSTRAP)
    (division,) = content["divisions"]
    # Song 5 has no year.
    assert division["present"] == division["used"] == {TRAIN: 31, TEST: 16}
    assert division["test_songs_of_training_artists"] == 0
    linear, constant = (division["candidates"][name] for name in ("linear regression", "constant"))
    years = np.array([1960 + number % N_ARTISTS for number in range(N_SONGS) if number != 5])
    known = np.array([number % N_ARTISTS < 8 for number in range(N_SONGS) if number != 5])
    assert constant["rmse"] == pytest.approx(np.sqrt(np.mean((years[~known] - years[known].mean()) ** 2)))
    assert constant["mae"] == pytest.approx(np.abs(years[~known] - years[known].mean()).mean())
    assert linear["rmse"] < constant["rmse"]


@given(st.lists(st.tuples(st.integers(1922, 2011), st.floats(1900, 2030)), min_size=2, max_size=30))
def test_year_metrics_equal_those_of_scikit_learn(pairs: list[tuple[int, float]]) -> None:
    true, predicted = (np.array(column, float) for column in zip(*pairs, strict=True))
    metrics = year_metrics(true, predicted)
    assert metrics["rmse"] == pytest.approx(mean_squared_error(true, predicted) ** 0.5)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(true, predicted))
    artists = Artists.of(np.arange(len(true)) // 2)
    once = year_statistic(true, predicted, artists)(np.ones((artists.count, 1)))
    assert {name: float(values[0]) for name, values in once.items()} == pytest.approx(metrics)


def test_tags_need_a_score_of_50_and_are_judged_as_by_scikit_learn(warehouse: Warehouse) -> None:
    tracks = [track(number) for number in range(N_SONGS)]
    ids = {TRAIN: tracks[:30], VALIDATION: tracks[30:32], TEST: tracks[32:]}
    light = pd.DataFrame({"track_id": tracks})
    truths = Tags50().truths(warehouse, light)
    assert truths.true.sum() == N_SONGS
    assert truths.true[0, 0] == truths.true[1, 1] == 1
    content = evaluate(Tags50(), warehouse, Lists(ids, dict.fromkeys(ids, "x")), BOOTSTRAP)
    own = content["divisions"][0]["candidates"]["prior"]
    true, flat = truths.true[32:, :2], np.full(16, 0.5)
    assert own["macro_roc_auc"] == pytest.approx(np.mean([roc_auc_score(column, flat) for column in true.T]))
    assert own["macro_pr_auc"] == pytest.approx(np.mean([average_precision_score(column, flat) for column in true.T]))
    assert content["divisions"][0]["present"] == {TRAIN: 30, VALIDATION: 2, TEST: 16}


def test_tags_are_divided_by_artist_too(warehouse: Warehouse) -> None:
    tracks = pd.DataFrame({"track_id": [track(number) for number in range(N_SONGS)], "song_id": None})
    tracks["artist_id"] = [artist(number % N_ARTISTS) for number in range(N_SONGS)]
    names = tracks["track_id"].tolist()
    ids = {TRAIN: names[:20], VALIDATION: names[20:24], TEST: names[24:40]}
    artists = {f"{split} artists": own for split, own in by_artist().ids.items()}
    usual, disjoint = Tags50().divisions(tracks, Lists({**ids, **artists}, {}))
    members = tracks.assign(split=disjoint.splits).dropna(subset="split")
    assert members.groupby("artist_id")["split"].nunique().max() == 1
    assert members.index.tolist() == list(range(40))
    assert usual.splits.value_counts().to_dict() == {TRAIN: 20, TEST: 16, VALIDATION: 4}


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(3, 8), st.booleans(), st.integers(0, 3))
def test_songs_of_an_artist_are_split_by_the_documented_rule(
    artists: list[int], fewest: int, balanced: bool, seed: int
) -> None:
    ids = pd.Series([artist(number) for number in artists], dtype=object)
    splits = split_songs(ids, fewest, balanced=balanced, seed=seed)
    for name, n in ids.value_counts().items():
        own = splits[ids == name]
        if n < fewest:
            assert own.isna().all()
        else:
            assert (own == TRAIN).sum() == (round(0.75 * fewest) if balanced else int(np.ceil(n * 2 / 3)))
            assert (own == TEST).sum() == n - (own == TRAIN).sum() >= 1


def test_artists_are_identified(warehouse: Warehouse) -> None:
    content = evaluate(make_protocol("artist", 4), warehouse, Lists(), BOOTSTRAP)
    for division in content["divisions"]:
        assert division["present"] == {TRAIN: 36, TEST: 12}
        assert division["candidates"]["1-NN"]["accuracy"] == 1
        assert division["candidates"]["majority"]["accuracy"] == pytest.approx(1 / 12)
        assert "NOT COMPARABLE" in comparability(division)
        assert "scaled to artists with 4 songs" in division["name"]
    with pytest.raises(UserError, match="0 artists of songs/ have 20 songs"):
        evaluate(make_protocol("artist"), warehouse, Lists(), BOOTSTRAP)


def test_genres_are_divided_by_lists(warehouse: Warehouse) -> None:
    tracks = [track(number) for number in range(N_SONGS)]
    lists = Lists({TRAIN: tracks[:30], TEST: tracks[30:]}, {TRAIN: "train.cls", TEST: "test.cls"})
    content = evaluate(make_protocol("cd1"), warehouse, lists, BOOTSTRAP)
    (division,) = content["divisions"]
    assert division["candidates"]["majority"]["accuracy"] == pytest.approx(6 / 18)  # Jazz, 18 of 30 in train
    assert division["candidates"]["logistic regression"]["accuracy"] > 6 / 18
    with pytest.raises(UserError, match="no label set cd2c; run msd-spark labels --cd2c FILE"):
        evaluate(make_protocol("cd2c"), warehouse, lists, BOOTSTRAP)


def test_only_all_songs_of_checked_lists_are_comparable(warehouse: Warehouse) -> None:
    tracks = [track(number) for number in range(N_SONGS)]
    lists = Lists({TRAIN: tracks[:30], TEST: tracks[30:]}, {TRAIN: "train.cls", TEST: "test.cls"})
    content = evaluate(make_protocol("cd1"), warehouse, lists, BOOTSTRAP)
    (division,) = content["divisions"]
    assert division["origin"] == UNCHECKED
    assert division["share"] == {TRAIN: 1, TEST: 1}
    assert comparability(division).startswith("NOT COMPARABLE")
    assert "may not be the official ones" in protocol_tables(content)
    complete = division | {"origin": OFFICIAL}
    assert "are comparable" in comparability(complete)
    partial = complete | {"present": {TRAIN: 30, TEST: 17}, "share": {TRAIN: 1.0, TEST: 17 / 18}}
    assert "100 % of the official train songs and 94.4 % of the test songs" in comparability(partial)


def test_published_values_are_printed_with_their_source(warehouse: Warehouse) -> None:
    content = evaluate(Year(), warehouse, by_artist(), BOOTSTRAP)
    assert content["anchors"] == [asdict(anchor) for anchor in Year.anchors]
    page = protocol_page(content, "msd-spark compare --protocol year")
    assert "8.68–8.95" in page
    assert "Gal and Ghahramani, ICML 2016" in page
    assert "were not checked against the papers" in page
    assert "msd-spark compare --protocol year" in page


def test_lists_are_read_and_recognised(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with pytest.raises(UserError, match=r"needs the official list year_artists_train\.txt, which is not in"):
        read_lists(Year(), folder, ())
    (tmp_path / "year_artists_train.txt").write_text(f"{artist(1)}\n{artist(2)}\n{artist(2)}\n")
    with gzip.open(tmp_path / "year_artists_test.txt.gz", "wt") as file:
        file.write(f"# test\n{artist(3)}\r\n")
    lists = read_lists(Year(), folder, ())
    assert lists.ids == {TRAIN: [artist(1), artist(2)], TEST: [artist(3)]}
    assert not lists.are_official
    assert checksum([artist(2), artist(1)]) == checksum([artist(1), artist(2)])


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("year", ["a"], "has 1 files; allowed: TRAIN TEST"),
        ("year", ["nosuch", "nosuch"], "no file"),
        ("year", ["bad", "bad"], "line 2: 'Rock' is not a track, song or artist id"),
        ("year", ["empty", "empty"], "has no id"),
        ("tags50", ["bad", "bad"], "needs TRAIN VALIDATION TEST"),
        ("cd1", [], "has no default lists; download and unzip a split"),
    ],
)
def test_unusable_lists_are_refused(name: str, files: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(f"{artist(1)}\nRock\n")
    (tmp_path / "empty").write_text("# nothing\n")
    with pytest.raises(UserError, match=message):
        read_lists(make_protocol(name), str(tmp_path), [str(tmp_path / file) for file in files])


def test_a_track_in_two_lists_is_an_error(warehouse: Warehouse) -> None:
    lists = Lists({TRAIN: [artist(1)], TEST: [artist(1), artist(2)]}, {})
    with pytest.raises(UserError, match="4 tracks are in two lists"):
        evaluate(Year(), warehouse, lists, BOOTSTRAP)


def test_options_of_protocols_belong_together() -> None:
    def parsed(*words: str) -> Any:
        return parse(VERBS["compare"].settings_class(), words, VERBS["compare"])

    options = parsed("--protocol", "cd1", "--protocol-lists", "a", "b")
    assert (options.protocol, options.protocol_lists) == ("cd1", ("a", "b"))
    assert parsed("--protocol", "artist", "--protocol-songs", "5").protocol_songs == 5
    for words in (
        ["--protocol-folder", "x"],
        ["--protocol", "year", "--protocol-songs", "5"],
        ["--protocol", "year", "--folds", "3"],
    ):
        with pytest.raises(OptionError, match="--protocol"):
            parsed(*words)


@pytest.fixture(scope="module")
def real(million: Path) -> Path:
    """The folder of further real data."""
    return million.parent


@pytest.mark.parametrize("name", ["year", "tags50"])
def test_the_official_lists_are_recognised_and_artist_disjoint(name: str, real: Path) -> None:
    lists = read_lists(make_protocol(name), str(real / "protocols"), ())
    assert lists.are_official
    keys = (TRAIN, TEST) if name == "year" else ("train artists", "test artists")
    assert not set(lists.ids[keys[0]]) & set(lists.ids[keys[1]])


def test_counts_of_the_official_divisions_are_those_of_the_million(real: Path) -> None:
    columns = ["track_id", "song_id", "artist_id", "year"]
    million = pd.read_parquet(real / "million.parquet", columns=columns)
    for name in ("year", "tags50", "artist"):
        protocol = make_protocol(name)
        lists = read_lists(protocol, str(real / "protocols"), ())
        tracks = million[million["year"] > 0] if name == "year" else million
        for division in protocol.divisions(tracks, lists):
            counts = division.splits.value_counts().to_dict()
            assert counts == dict(division.official), division.name
            if name != "artist":
                by_artist = tracks["artist_id"][division.splits.isin([TRAIN, TEST])]
                assert division.splits.groupby(by_artist).agg(lambda own: own[own != VALIDATION].nunique()).max() == 1
