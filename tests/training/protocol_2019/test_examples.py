"""The tracks that the 2019 protocol draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.command_line import parse
from msd_spark.core.options import OptionError
from msd_spark.core.verbs import VERBS
from training.loop.options import TrainOptions
from training.protocol_2019.examples import Protocol2019, draw

GENRES = st.lists(st.integers(0, 3), min_size=10, max_size=60)


def ids(n: int) -> np.ndarray:
    return np.array([f"TR{number:016d}" for number in range(n)])


@given(GENRES, st.integers(0, 5))
def test_counts_are_those_of_the_original(genres: list[int], seed: int) -> None:
    rule = Protocol2019(largest=40, others=10, seed=seed)
    drawn = draw(ids(len(genres)), np.array(genres), rule)
    rows = np.concatenate([drawn.train, drawn.validation])
    assert len(drawn.held_out) == round(6 / 32 * len(genres))
    assert not set(rows.tolist()) & set(drawn.held_out.tolist())
    left = np.bincount(np.delete(np.array(genres), drawn.held_out), minlength=4)
    counts = np.bincount(np.array(genres)[rows], minlength=4)
    assert sorted(counts[left > 0].tolist()) == [10] * int((left > 0).sum() - 1) + [40]
    assert left[counts.argmax()] == left.max()
    assert len(drawn.validation) == round(0.3 * len(rows))


@given(GENRES, st.randoms(use_true_random=False))
def test_the_order_of_the_tracks_does_not_matter(genres: list[int], random: object) -> None:
    tracks, known = ids(len(genres)), np.array(genres)
    order = np.array(random.sample(range(len(genres)), len(genres)))  # type: ignore[attr-defined]
    rule = Protocol2019(largest=20, others=5, seed=1)
    first, second = draw(tracks, known, rule), draw(tracks[order], known[order], rule)
    for name in ("train", "validation", "held_out"):
        assert tracks[getattr(first, name)].tolist() == tracks[order][getattr(second, name)].tolist()


def test_the_leak_is_counted() -> None:
    # Two tracks are left to draw from, 50 times: every validation row is trained on.
    drawn = draw(ids(10), np.zeros(10, int), Protocol2019(largest=50, held_out=0.8))
    assert drawn.validation_rows_trained_on == len(drawn.validation) == 15
    assert set(drawn.validation.tolist()) <= set(drawn.train.tolist())


def parsed(*words: str) -> TrainOptions:
    return parse(TrainOptions, words, VERBS["train"])


def test_the_protocol_changes_defaults_that_other_options_override() -> None:
    original = parsed("--protocol", "2019").training
    assert (original.epochs, original.patience, original.best_by) == (20, 0, "loss")
    assert (original.schedule.learning_rate, original.optimizer.name) == (1e-3, "adam")
    assert {original.of_run(ranks).global_batch_size for ranks in (1, 2, 3)} == {10}
    assert parsed("--protocol", "2019", "--global-batch-size", "7").training.of_run(2).global_batch_size == 7
    with pytest.raises(OptionError, match="excludes --global-batch-size, which --protocol 2019 sets; choose the"):
        parsed("--protocol", "2019", "--batch-size", "7")
    for model in ("dense", "cnn", "lstm"):
        settings = parsed("--protocol", "2019", "--model", model).model_settings()
        assert settings.dropout == 0
        assert (settings.l1 > 0, settings.l2 > 0) == (model != "lstm",) * 2
    assert parsed().training.of_run(2).global_batch_size == 64


def test_a_target_without_genres_and_too_few_rows_are_rejected() -> None:
    with pytest.raises(OptionError, match="draws by genre; it does not work with --target tags"):
        parsed("--protocol", "2019", "--target", "tags")
    with pytest.raises(OptionError, match="--protocol-rows is 0; allowed: 1 or more"):
        parsed("--protocol", "2019", "--protocol-rows", "0", "5")
