from __future__ import annotations

import numpy as np

from msd_spark.core.model_inputs import input_shapes, model_inputs, to_float32, to_thousandths
from msd_spark.core.schemas import GEOMETRY, Geometry

SMALL = Geometry(n_segments=3, n_pitches=2, lyric_size=4)


def columns(n: int, n_segments: list[int]) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "chroma": generator.random((n, 3, 2)),
        "timbre": generator.random((n, 3, 2)),
        "lyric_vector": generator.random((n, 4)),
        "has_lyrics": np.arange(n) % 2,
        "n_segments": np.array(n_segments, np.int32),
    }


def test_inputs_have_their_shapes_and_are_float32() -> None:
    made = model_inputs(columns(2, [1, 3]), SMALL)
    assert {name: values.shape for name, values in made.items()} == {
        "chroma": (2, 3, 2),
        "timbre": (2, 3, 2),
        "mask": (2, 3),
        "lyric_vector": (2, 4),
        "has_lyrics": (2, 1),
    }
    assert {values.dtype for values in made.values()} == {np.dtype(np.float32)}
    assert made["mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert made["has_lyrics"].tolist() == [[0], [1]]


def test_flat_rows_and_shaped_ones_give_the_same_inputs() -> None:
    shaped = columns(4, [1, 2, 3, 3])
    flat = {name: values.reshape(4, -1) if values.ndim > 1 else values for name, values in shaped.items()}
    first, second = model_inputs(shaped, SMALL), model_inputs(flat, SMALL)
    assert first.keys() == second.keys() == input_shapes(SMALL).keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_the_columns_given_are_not_changed() -> None:
    given = columns(1, [2])
    model_inputs(given, SMALL)
    assert "mask" not in given


def test_no_examples_give_inputs_of_no_rows() -> None:
    made = model_inputs(columns(0, []), SMALL)
    assert {name: values.shape for name, values in made.items()} == {
        name: (0, *shape) for name, shape in input_shapes(SMALL).items()
    }


def test_the_real_shapes() -> None:
    assert input_shapes(GEOMETRY) == {
        "chroma": (300, 12),
        "timbre": (300, 12),
        "mask": (300,),
        "lyric_vector": (50,),
        "has_lyrics": (1,),
    }


def test_a_song_without_segments_has_one_segment_of_silence_to_take_a_mean_over() -> None:
    assert (model_inputs(columns(2, [0, 2]), SMALL)["mask"].sum(axis=1) >= 1).all()


def test_thousandths_are_stored_without_loss() -> None:
    every = np.arange(65536).astype(np.uint16)
    numbers = np.array([number / 1000 for number in range(65536)], np.float32)
    assert to_float32(every).tobytes() == numbers.tobytes()
    stored, exact = to_thousandths(numbers)
    assert exact.all()
    assert stored.tolist() == every.tolist()
    others = np.array(
        [0.0005, -0.001, 65.536, np.nan, np.inf, np.nextafter(np.float32(0.5), np.float32(1))], np.float32
    )
    assert not to_thousandths(others)[1].any()


def test_inputs_of_stored_thousandths_are_those_of_the_numbers() -> None:
    examples = columns(2, [3, 3])
    chroma = np.round(examples["chroma"], 3).astype(np.float32)
    stored, _ = to_thousandths(chroma)
    assert model_inputs(examples | {"chroma": stored}, SMALL)["chroma"].tobytes() == chroma.tobytes()
