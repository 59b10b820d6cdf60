"""Protocols with a mistake: which songs they train on and hold out, and what they do to the metrics."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from msd_spark.core.command_line import parse
from msd_spark.core.options import OptionError
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from training.comparing.comparison import pooled_folds
from training.comparing.effects import effects_note, effects_of, effects_table, predict
from training.comparing.folds import fold_datasets
from training.comparing.mistakes import (
    CHOSEN,
    DUPLICATES,
    HONEST,
    NORMALISED,
    RESAMPLED,
    TRACKS,
    protocols,
)
from training.comparing.options import CompareOptions
from training.data.dataset import Dataset
from training.data.targets import make_target, target_of
from training.evaluation.judgement import epoch_metrics, learned_baselines
from training.evaluation.learned import LOGISTIC
from training.evaluation.song_features import Features


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return genre, artist and song of each track, and a number of folds; duplicates share their artist."""
    n_folds = draw(st.integers(2, 4))
    n_songs = draw(st.integers(2 * n_folds, 40))
    songs = np.concatenate([np.arange(n_songs), draw(st.lists(st.integers(0, n_songs - 1), max_size=15))]).astype(int)
    artists = songs % draw(st.integers(n_folds, n_songs))
    genres = np.array(draw(st.lists(st.integers(0, 3), min_size=len(songs), max_size=len(songs))))
    return genres, np.char.add("AR", artists.astype(str)), np.char.add("SO", songs.astype(str)), n_folds


@given(catalogues(), st.integers(0, 3))
def test_every_protocol_predicts_each_song_once_and_has_its_mistake_only(
    catalogue: tuple[np.ndarray, np.ndarray, np.ndarray, int], repeat: int
) -> None:
    genres, artists, songs, n_folds = catalogue
    everything = np.arange(len(genres))
    made = protocols(genres, artists, songs, n_folds, repeat)
    assert list(made) == [HONEST, TRACKS, DUPLICATES, RESAMPLED, NORMALISED, CHOSEN]
    for mistake, protocol in made.items():
        folds = list(protocol.folds())
        assert np.array_equal(np.sort(np.concatenate([fold.test for fold in folds])), everything)
        for train, validation, test in folds:
            assert len(train)
            if mistake == RESAMPLED:
                continue
            # Each song is in one split.
            assert np.array_equal(np.sort(np.concatenate([train, validation, test])), everything)
            if mistake in (HONEST, NORMALISED, CHOSEN):
                assert not set(artists[test]) & set(artists[[*train, *validation]])
                assert not set(artists[train]) & set(artists[validation])
    rows = made[RESAMPLED].rows
    assert np.array_equal(rows[: len(genres)], everything)
    assert set(np.bincount(genres[rows])) <= {0, np.bincount(genres).max()}


@given(catalogues())
def test_duplicates_of_a_held_out_track_are_in_train(
    catalogue: tuple[np.ndarray, np.ndarray, np.ndarray, int],
) -> None:
    genres, artists, songs, n_folds = catalogue
    made = protocols(genres, artists, songs, n_folds, 0)
    single = np.array([(songs == song).sum() == 1 for song in songs])
    assert np.array_equal(made[DUPLICATES].splits[:, single], made[HONEST].splits[:, single])
    for train, _, test in made[DUPLICATES].folds():
        for track in test[~single[test]]:
            same = np.flatnonzero(songs == songs[track])
            # More tracks than folds: some are held out together.
            assert set(same) <= {*train, *test}
            assert set(same) & set(train)
            if len(same) <= n_folds:
                assert set(same) & set(test) == {track}


def noise(n: int = 150) -> Features:
    """Return songs whose features have nothing to do with their genre; five songs per artist."""
    generator = np.random.default_rng(0)
    genres = np.repeat([0, 1, 2], [n // 2, n // 3, n // 6]).astype(np.int32)
    names = np.array([f"T{number:05d}" for number in range(n)])
    artists = np.array([f"A{number // 5:05d}" for number in range(n)])
    values = generator.normal(size=(n, 40)).astype(np.float32)
    return Features(names, values, genres, artists, np.zeros((n, 0), np.int32), np.zeros((n, 0), np.float32))


def test_resampling_before_the_split_turns_noise_into_a_good_result() -> None:
    songs, target = noise(), make_target("genre", ("Blues", "Jazz", "Rap"))
    made = protocols(songs.true, songs.artist_groups, songs.track_ids, 3, 0)
    f1 = {
        mistake: f1_score(songs.true, predict(target, songs, made[mistake]).scores.argmax(axis=1), average="macro")
        for mistake in (HONEST, RESAMPLED)
    }
    assert f1[HONEST] < 0.45
    assert f1[RESAMPLED] > f1[HONEST] + 0.15


def test_the_honest_row_is_that_of_compare_with_folds(warehouse: Warehouse, tmp_path: Path) -> None:
    copy = Warehouse(str(shutil.copytree(warehouse.root, tmp_path / "w")))
    source = Dataset.open(copy, "genre")
    target = target_of("genre", source)
    options = CompareOptions(mistakes=True, folds=2, repeats=1)
    effects = effects_of(options, source, target, {})
    parts = [
        learned_baselines(Dataset.open(copy, name), target, ["test"], "both")["test"][LOGISTIC].predictions
        for name in fold_datasets(source, target, "honest", 2, 0)
    ]
    expected = epoch_metrics(target, pooled_folds(parts))
    by_mistake = {row["mistake"]: row for row in effects["rows"]}
    # Generated songs have duplicates.
    assert list(by_mistake) == [HONEST, TRACKS, DUPLICATES, RESAMPLED, NORMALISED, CHOSEN]
    for metric in target.main_metrics:
        assert by_mistake[HONEST]["figures"][metric]["mean"] == expected[metric]
        assert by_mistake[RESAMPLED]["minus_honest"][metric]["mean"] > 0
    table = effects_table(effects)
    assert table.count("logistic regression, both") == len(by_mistake) - 1
    assert f"{effects['duplicates']} songs have a duplicate" in effects_note(effects)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--models cnn,lstm", "--mistakes takes one of --models"),
        ("--reference cnn", "and no --reference"),
        ("--split validation", "--mistakes and --split exclude each other"),
        (f"--name {'x' * 45}", "allowed with --mistakes: at most 42 bytes"),
    ],
)
def test_options_without_a_meaning_are_refused_with_mistakes(words: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse(CompareOptions, ["--mistakes", *words.split()], VERBS["compare"])
