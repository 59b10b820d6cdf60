from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from msd_spark.core.beats import BeatTimes, average_on_beats, overlaps


def times(starts: list[float], beats: list[float], duration: float) -> BeatTimes:
    return BeatTimes(np.array(starts), np.array(beats), duration)


def test_segments_count_by_the_seconds_for_which_they_sound_in_a_beat() -> None:
    # Segments 0-1, 1-3, 3-4 s with 10, 20, 40; beats from 0.5, 2 and 3.5 s to the song's end at 4 s.
    # 0.5-2: 0.5 s of 10 and 1 s of 20: 25 / 1.5. 2-3.5: 1 s of 20 and 0.5 s of 40: 40 / 1.5. 3.5-4: 40.
    found = average_on_beats(np.array([[10.0], [20], [40]]), times([0, 1, 3], [0.5, 2, 3.5], 4))
    assert found[:, 0].tolist() == pytest.approx([25 / 1.5, 40 / 1.5, 40])


def test_a_beat_within_one_segment_is_that_segment_to_the_bit() -> None:
    value = np.float64(0.1)
    found = average_on_beats(np.array([[value], [0.7]]), times([0, 3], [0.3, 1.1, 3], 5))
    assert found[:, 0].tolist() == [0.1, 0.1 * (1.9 / 1.9), 0.7]


def test_beats_in_which_nothing_sounds_are_left_out() -> None:
    # The first beat ends before the first segment begins; the last one begins where the song ends.
    found = average_on_beats(np.array([[1.0], [2]]), times([1, 2], [0, 0.5, 2, 3], 3))
    assert found[:, 0].tolist() == [1, 2]


@pytest.mark.parametrize("duration", [float("nan"), 1.0])
def test_a_duration_that_cannot_be_is_made_good(duration: float) -> None:
    # The song ends where its last beat begins: 0-1 s of 5 and 1-2.5 s of 7 in the first beat.
    found = average_on_beats(np.array([[5.0], [7]]), times([0, 1], [0, 2.5], duration))
    assert found[:, 0].tolist() == pytest.approx([(5 + 1.5 * 7) / 2.5])


def test_no_beats_or_no_segments_give_no_rows() -> None:
    assert average_on_beats(np.ones((2, 3)), times([0, 1], [], 2)).shape == (0, 3)
    assert average_on_beats(np.ones((0, 3)), times([], [0, 1], 2)).shape == (0, 3)


def test_times_that_are_not_those_of_the_segments_are_refused() -> None:
    with pytest.raises(ValueError, match="2 segments and 3 times of segments"):
        average_on_beats(np.ones((2, 1)), times([0, 1, 2], [0], 3))


starts = st.lists(st.floats(0, 300), min_size=1, max_size=30).map(lambda values: np.array(sorted(values)))


@given(starts, starts, st.one_of(st.floats(0, 400), st.just(float("nan"))))
def test_all_time_from_the_first_beat_on_is_shared_out(
    segments: np.ndarray, beats: np.ndarray, duration: float
) -> None:
    seconds, segment, beat = overlaps(BeatTimes(segments, beats, duration))
    end = np.nanmax([duration, segments[-1], beats[-1]])
    assert seconds.sum() == pytest.approx(end - max(segments[0], beats[0]), abs=1e-9)
    assert (seconds > 0).all()
    for one, begins in ((segment, segments), (beat, beats)):
        ends = np.append(begins[1:], end)
        assert (np.diff(one) >= 0).all()
        together = np.bincount(one, seconds, minlength=len(begins))
        assert (together <= ends - begins + 1e-9).all()


@given(st.data(), starts, starts, st.floats(0, 400))
def test_averages_lie_between_the_segments_and_keep_their_sum(
    data: st.DataObject, segments: np.ndarray, beats: np.ndarray, duration: float
) -> None:
    values = data.draw(arrays(np.float32, (len(segments), 2), elements=st.floats(-500, 500, width=32)))
    song = BeatTimes(segments, beats, duration)
    found = average_on_beats(values, song)
    assert np.isfinite(found).all()
    assert len(found) <= len(beats)
    seconds, segment, beat = overlaps(song)
    if not len(seconds):
        return
    inside = values[np.unique(segment)]
    # As float32, which is what an example holds: as float64 the last bit can lie outside.
    assert (found.astype(np.float32) <= inside.max(axis=0)).all()
    assert (found.astype(np.float32) >= inside.min(axis=0)).all()
    of_beats = np.bincount(beat, seconds)[np.unique(beat)]
    wanted = (values[segment].astype(float) * seconds[:, None]).sum(axis=0)
    assert (found * of_beats[:, None]).sum(axis=0) == pytest.approx(wanted, abs=1e-6, rel=1e-9)


@given(starts, starts)
def test_averages_are_those_of_the_plain_double_loop(segments: np.ndarray, beats: np.ndarray) -> None:
    end = max(segments[-1], beats[-1]) + 1
    values = np.arange(len(segments), dtype=float)
    wanted = []
    for begins, ends in zip(beats, [*beats[1:], end], strict=True):
        overlap = np.clip(np.minimum([*segments[1:], end], ends) - np.maximum(segments, begins), 0, None)
        if overlap.sum() > 0:
            wanted.append((overlap * values).sum() / overlap.sum())
    found = average_on_beats(values[:, None], BeatTimes(segments, beats, end))[:, 0]
    assert found.tolist() == pytest.approx(wanted, rel=1e-6)
