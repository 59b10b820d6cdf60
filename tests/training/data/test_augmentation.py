from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.augmentation import AugmentationSettings, augment, mix, uniforms

LENGTHS = np.array([30, 30, 12, 1, 20, 30])
TRACKS = np.array([f"TR{number:016d}" for number in range(6)])
MEAN = {"chroma": np.full(12, 0.4), "timbre": np.arange(12.0), "lyric_vector": np.full(4, 0.1)}
EVERYTHING = AugmentationSettings(0.3, 2, 0.2, 3, 4, 0.5, 0.4)
KEY = (7, 3)


def batch() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    mask = (np.arange(30) < LENGTHS[:, None]).astype(np.float32)
    flags = np.array([[1], [0], [1], [1], [0], [1]], np.float32)
    return {
        "chroma": generator.random((6, 30, 12), np.float32) * mask[:, :, None],
        "timbre": generator.normal(size=(6, 30, 12)).astype(np.float32) * mask[:, :, None],
        "mask": mask,
        "lyric_vector": generator.normal(size=(6, 4)).astype(np.float32) * flags,
        "has_lyrics": flags,
    }


def taken(inputs: dict[str, np.ndarray], places: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[places] for name, values in inputs.items()}


def equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_nothing_happens_where_nothing_is_asked_for() -> None:
    assert equal(augment(batch(), TRACKS, MEAN, AugmentationSettings(), KEY), batch())


def test_words_and_dynamics_are_changed_with_lyrics_and_segments() -> None:
    inputs = batch()
    del inputs["lyric_vector"]
    inputs |= {"dynamics": np.ones((6, 30, 3), np.float32), "word_counts": np.ones((6, 9), np.float32)}
    settings = AugmentationSettings(0.0, 2, 0.2, 0, 0, lyric_dropout=0.5)
    changed = augment(inputs, TRACKS, MEAN | {"dynamics": np.full(3, 7.0)}, settings, KEY)
    dropped = (changed["has_lyrics"] == 0)[:, 0] & (inputs["has_lyrics"] == 1)[:, 0]
    assert dropped.any()
    assert (
        changed["word_counts"].any(axis=1) == (changed["has_lyrics"][:, 0] > 0) | (inputs["has_lyrics"] == 0)[:, 0]
    )[dropped].all()
    hidden = (changed["timbre"] == MEAN["timbre"]).all(axis=2)
    assert hidden.any()
    assert np.array_equal(changed["dynamics"] == 7, np.repeat(hidden[:, :, None], 3, axis=2))


def test_what_happens_depends_on_seed_epoch_and_track_alone() -> None:
    given_, changed = batch(), augment(batch(), TRACKS, MEAN, EVERYTHING, KEY)
    augment(given_, TRACKS, MEAN, EVERYTHING, KEY)
    assert equal(given_, batch()), "the inputs given were changed"
    places = np.array([4, 0, 5])
    assert equal(augment(taken(batch(), places), TRACKS[places], MEAN, EVERYTHING, KEY), taken(changed, places))
    for other in ((7, 4), (8, 3)):
        assert not equal(augment(batch(), TRACKS, MEAN, EVERYTHING, other), changed)


def test_whatever_happens_the_padding_is_zero_and_the_mask_a_beginning() -> None:
    changed = augment(batch(), TRACKS, MEAN, EVERYTHING, KEY)
    lengths = changed["mask"].sum(axis=1)
    assert (lengths >= 1).all()
    assert (lengths <= LENGTHS).all()
    assert (lengths < LENGTHS).any()
    assert np.array_equal(changed["mask"], np.arange(30) < lengths[:, None])
    for name in ("chroma", "timbre"):
        assert not changed[name][changed["mask"] == 0].any()
        assert changed[name].dtype == np.float32


def test_a_crop_is_a_stretch_of_the_song() -> None:
    changed = augment(batch(), TRACKS, MEAN, AugmentationSettings(crop=0.5), KEY)
    for song, length in enumerate(changed["mask"].sum(axis=1).astype(int)):
        assert length >= LENGTHS[song] / 2
        stretches = [batch()["timbre"][song, start : start + length] for start in range(LENGTHS[song] - length + 1)]
        assert any(np.array_equal(changed["timbre"][song, :length], stretch) for stretch in stretches)


def test_masked_spans_are_the_mean_and_no_longer_than_their_share() -> None:
    settings = AugmentationSettings(time_masks=1, time_share=0.3)
    hidden = 0
    for epoch in range(20):
        changed = augment(batch(), TRACKS, MEAN, settings, (7, epoch))
        masked = (changed["timbre"] == MEAN["timbre"].astype(np.float32)).all(axis=2)
        assert (masked.sum(axis=1) <= 0.3 * LENGTHS).all()
        assert np.array_equal(masked, (changed["chroma"] == np.float32(0.4)).all(axis=2))
        kept = ~masked
        assert np.array_equal(changed["timbre"][kept], batch()["timbre"][kept])
        hidden += masked.sum()
    assert hidden > 20


def test_masked_coefficients_are_neighbours_and_the_mean() -> None:
    most = 0
    for epoch in range(20):
        changed = augment(batch(), TRACKS, MEAN, AugmentationSettings(coefficient_masks=3), (7, epoch))
        for song, length in enumerate(LENGTHS):
            other = (changed["timbre"][song, :length] != batch()["timbre"][song, :length]).any(axis=0)
            places = np.flatnonzero(other)
            most = max(most, len(places))
            if len(places):
                assert places[-1] - places[0] + 1 == len(places)
                assert np.array_equal(
                    changed["timbre"][song, :length, places].T, np.tile(places, (length, 1)).astype(np.float32)
                )
    assert most == 3


def test_transposing_turns_chroma_alone() -> None:
    turns = set()
    for epoch in range(30):
        changed = augment(batch(), TRACKS, MEAN, AugmentationSettings(transpose=2), (7, epoch))
        assert np.array_equal(changed["timbre"], batch()["timbre"])
        for song in range(6):
            fitting = [
                turn for turn in range(-6, 6)
                if np.array_equal(np.roll(batch()["chroma"][song], turn, axis=1), changed["chroma"][song])
            ]  # fmt: skip
            assert len(fitting) == 1
            turns.add(fitting[0])
    assert turns == {-2, -1, 0, 1, 2}


def test_lyrics_go_with_their_flag() -> None:
    changed = augment(batch(), TRACKS, MEAN, AugmentationSettings(lyric_dropout=1.0), KEY)
    assert not changed["lyric_vector"].any()
    assert not changed["has_lyrics"].any()


def test_mixing_is_exact_in_weights_and_truths() -> None:
    truth = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    weights = np.array([1, 2, 0.5, 0, 3, 1], np.float32)
    inputs, soft, together = mix(batch(), truth, weights, TRACKS, MEAN, 0.4, KEY)
    # The part is read off the timbre of a pair whose songs are equally long.
    own, other = batch()["timbre"][0], batch()["timbre"][1]
    part = float(((inputs["timbre"][0] - other) * (own - other)).sum() / ((own - other) ** 2).sum())
    assert 0.5 <= part <= 1
    np.testing.assert_allclose(inputs["timbre"][0], part * own + (1 - part) * other, atol=1e-5)
    assert together[0] == pytest.approx(part * 1 + (1 - part) * 2, rel=1e-5)
    np.testing.assert_allclose(
        soft[0] * together[0], part * 1 * truth[0] + (1 - part) * 2 * truth[1], rtol=1e-4, atol=1e-6
    )
    # The third's neighbour carries no weight: neither mixes with the other.
    for song in (2, 3):
        np.testing.assert_allclose(inputs["timbre"][song], batch()["timbre"][song], atol=1e-6)
        assert together[song] == weights[song]
    assert soft[2].tolist() == [0, 0, 1]
    assert soft[3].tolist() == [0, 0, 0]
    for name in ("mask", "has_lyrics"):
        assert np.array_equal(inputs[name], batch()[name])
    assert not inputs["timbre"][inputs["mask"] == 0].any()
    assert not inputs["lyric_vector"][inputs["has_lyrics"][:, 0] == 0].any()


def test_a_song_is_mixed_beyond_the_end_of_the_other_with_the_mean() -> None:
    inputs, _, _ = mix(batch(), np.ones((6, 1), np.float32), np.ones(6, np.float32), TRACKS, MEAN, 0.4, KEY)
    # The fifth song has 20 segments, the sixth 30.
    own = batch()["chroma"][5, 20:] - 0.4
    part = float(((inputs["chroma"][5, 20:] - 0.4) * own).sum() / (own**2).sum())
    assert 0.5 <= part <= 1
    np.testing.assert_allclose(inputs["chroma"][5, 20:], 0.4 + part * own, atol=1e-5)


@given(st.integers(1, 5), st.lists(st.floats(0, 10), min_size=5, max_size=5))
def test_mixing_pairs_neighbours_whatever_batch_they_are_in(start: int, drawn: list[float]) -> None:
    """A batch of an odd number leaves its last one alone; soft truths stay shares."""
    weights = np.array([1.0, *drawn], np.float32)
    truth = np.eye(6, dtype=np.float32)
    _, soft, together = mix(batch(), truth, weights, TRACKS, MEAN, 0.4, KEY)
    cut = start - start % 2
    part = taken(batch(), np.arange(cut, 6))
    _, later, weights_later = mix(part, truth[cut:], weights[cut:], TRACKS[cut:], MEAN, 0.4, KEY)
    assert np.array_equal(later, soft[cut:])
    assert np.array_equal(weights_later, together[cut:])
    np.testing.assert_allclose(soft.sum(axis=1), together > 0, atol=1e-5)
    _, odd, _ = mix(taken(batch(), np.arange(5)), truth[:5], weights[:5], TRACKS[:5], MEAN, 0.4, KEY)
    assert odd[4].tolist() == (truth[4] * (weights[4] > 0)).tolist()


def test_draws_are_uniform_and_differ_by_track_key_and_place() -> None:
    tracks = np.array([f"TR{number}" for number in range(5000)])
    draws = uniforms(tracks, 2, 1, 2)
    assert draws.shape == (5000, 2)
    assert 0 <= draws.min() < draws.max() < 1
    # 10,000 uniform numbers: the mean is off by 0.0029 in one deviation, a tenth's share by 0.003.
    assert draws.mean() == pytest.approx(0.5, abs=0.012)
    np.testing.assert_allclose(np.histogram(draws, 10, (0, 1))[0] / 10_000, 0.1, atol=0.012)
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.06
    assert len(np.unique(draws)) == 10_000
    assert not np.array_equal(uniforms(tracks, 2, 1, 3), draws)
    assert np.array_equal(uniforms(tracks.astype("U32"), 2, 1, 2), draws)


@pytest.mark.parametrize("wrong", [{"crop": 1.0}, {"time_masks": -1}, {"lyric_dropout": 1.5}, {"mixup": -0.1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        AugmentationSettings(**wrong)  # type: ignore[arg-type]
