from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from msd_spark.core.model_inputs import ALL_INPUTS, BASIC_INPUTS, input_shapes
from msd_spark.core.schemas import Geometry
from msd_spark.core.song_summary import SUMMARY_SIZE
from training.data.targets import make_target
from training.data.targets.target import Target
from training.models.build import MODELS
from training.models.settings import DEFAULTS, ModelSettings
from training.models.wide_deep import WIDE_DEEP_INPUTS

GEOMETRY = Geometry(n_segments=40, n_pitches=12, lyric_size=6)
GENRE = make_target("genre", ("a", "b", "c"))
LENGTHS = np.array([40, 21, 5, 1])
SMALL = {"filters": (8, 8, 8), "hidden": (12,), "dropout": 0.3}
NORMALISATION = {
    "chroma": {"mean": [0.4] * 12, "deviation": [0.2] * 12},
    "timbre": {"mean": list(range(12)), "deviation": [5.0] * 12},
    "lyric_vector": {"mean": [0.1] * 6, "deviation": [0.3] * 6},
    "dynamics": {"mean": [-9.0, -1.4, 0.5], "deviation": [5.0, 0.5, 0.3]},
    "summary": {"mean": [1.0] * SUMMARY_SIZE, "deviation": [2.0] * SUMMARY_SIZE},
    "words": {"weight": [0.0, 1.0, 1.5, 0.0, 3.0]},
}
INDICES, COUNTS = [[2, 1, 4, 3], [0] * 4, [4, 0, 0, 0], [0] * 4], [[3, 1, 2, 5], [0] * 4, [1, 0, 0, 0], [0] * 4]


def make(name: str, target: Target = GENRE, geometry: Geometry = GEOMETRY, **changes: object) -> keras.Model:
    keras.utils.set_random_seed(3)
    small = SMALL | {"pools": (4, 2, 2)} | changes
    return MODELS[name](geometry, target, NORMALISATION, ModelSettings(**small))  # type: ignore[arg-type]


def songs(geometry: Geometry = GEOMETRY) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    mask = geometry.mask(LENGTHS)
    shown = {
        "chroma": generator.random((4, 40, 12)),
        "timbre": 20 * generator.normal(size=(4, 40, 12)),
        "lyric_vector": generator.normal(size=(4, 6)),
        "has_lyrics": np.array([[1], [0], [1], [0]]),
    }
    inputs = {name: np.zeros((4, *shape), np.float32) for name, shape in input_shapes(geometry, ALL_INPUTS).items()}
    inputs["summary"] = generator.normal(1, 2, inputs["summary"].shape).astype(np.float32)
    inputs["dynamics"][:, :40] = generator.normal(size=(4, 40, 3)) * mask[:, :40, None]
    inputs["word_indices"][:, :4], inputs["word_counts"][:, :4] = INDICES, COUNTS
    for name in ("chroma", "timbre"):
        inputs[name][:, :40] = shown[name] * mask[:, :40, None]
    return inputs | {
        "mask": mask,
        "lyric_vector": (shown["lyric_vector"] * shown["has_lyrics"]).astype(np.float32),
        "has_lyrics": shown["has_lyrics"].astype(np.float32),
    }


def scores(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return np.asarray(model({name: inputs[name] for name in model.input}, training=False))


def names_before(layer: keras.Layer) -> set[str]:
    """Return the names of all layers that a layer's output depends on."""
    found, pending = set[str](), [layer.output]
    while pending:
        history = pending.pop()._keras_history
        if history.operation.name not in found:
            found.add(history.operation.name)
            pending += history.operation._inbound_nodes[0].input_tensors
    return found


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> keras.Model:
    return make(request.param)


def test_factors_are_given_on_their_own_scale() -> None:
    moments = {"mean": [3.0, -2.0], "deviation": [0.5, 4.0]}
    target = make_target("factors", ("factor 0", "factor 1"))
    model = MODELS["dense"](GEOMETRY, target, NORMALISATION | {"factors": moments}, ModelSettings(**SMALL))  # type: ignore[arg-type]
    before = keras.Model(model.input, model.get_layer("factors_standardised").output)
    expected = scores(before, songs()) * np.array([0.5, 4.0]) + np.array([3.0, -2.0])
    np.testing.assert_allclose(scores(model, songs()), expected, rtol=1e-5)


def n_weights(n_in: int, n_out: int) -> int:
    return n_in * n_out + n_out


HEAD = ["dense_1 Dense 128", "dense_2 Dense 128", "embedding Dense 50", "genre Dense 18"]
HEAD_WEIGHTS = n_weights(128, 128) + n_weights(128, 50) + n_weights(50, 18)
LYRICS = 50 + 1
MODELS_OF_2019 = {
    "dense": (HEAD, n_weights(2 * 300 * 12 + LYRICS, 128) + HEAD_WEIGHTS),
    "cnn": (
        [
            f"{stream}_{number} {layer}"
            for stream in ("chroma", "timbre")
            for number, layer in ((1, "Conv1D 128"), (2, "Conv1D 128"), (3, "Conv1D 256"))
        ]
        + HEAD,
        2 * (n_weights(4 * 12, 128) + n_weights(4 * 128, 128) + n_weights(4 * 128, 256))
        + n_weights(2 * 256 + LYRICS, 128)
        + HEAD_WEIGHTS,
    ),
    # An LSTM has four gates, each of the input and the last output.
    "lstm": (
        [f"{stream}_{number} LSTM 10" for stream in ("chroma", "timbre") for number in (1, 2)] + HEAD,
        2 * 4 * (n_weights(12 + 10, 10) + n_weights(10 + 10, 10)) + n_weights(2 * 10 + LYRICS, 128) + HEAD_WEIGHTS,
    ),
}


@pytest.mark.parametrize("name", MODELS_OF_2019)
def test_the_models_of_2019_stay_as_they_are(name: str) -> None:
    expected, parameters = MODELS_OF_2019[name]
    target = make_target("genre", tuple("abcdefghijklmnopqr"))
    normalisation = NORMALISATION | {"lyric_vector": {"mean": [0.0] * 50, "deviation": [1.0] * 50}}
    model = MODELS[name](Geometry(), target, normalisation, DEFAULTS[name])
    trained = [layer for layer in model.layers if layer.trainable_weights]
    described = [
        f"{re.sub('_(convolution|lstm)$', '', layer.name)} {type(layer).__name__} {layer.output.shape[-1]}"
        for layer in trained
    ]
    assert sorted(described) == sorted(expected)
    assert described[-4:] == HEAD
    assert model.count_params() == parameters
    penalised = {layer.name for layer in trained if sum(float(loss) for loss in layer.losses) > 0}
    assert penalised == (set() if name == "lstm" else {"dense_1", "dense_2", "embedding"})


@pytest.mark.parametrize("name", ["cnn", "wide_deep"])
def test_dropout_keeps_the_flag_and_normalisation_is_float32(name: str) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make(name, dropout=0.9)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in model.layers if layer.name.endswith("_normalised")} == {"float32"}
    head = keras.Model(model.input, model.get_layer("with_flag").output)
    inputs = {name: songs()[name] for name in model.input}
    assert np.asarray(head(inputs, training=True))[:, -1].tolist() == [1, 0, 1, 0]


def test_every_model_has_defaults() -> None:
    assert set(DEFAULTS) == set(MODELS)


def test_a_model_gives_probabilities_by_way_of_an_embedding_of_fifty(model: keras.Model) -> None:
    given = scores(model, songs())
    assert given.shape == (4, 3)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-5)
    # Songs differ, and so do their scores.
    assert np.ptp(given, axis=0).max() > 1e-3
    embedding = model.get_layer("embedding").output
    assert embedding.shape == (None, 50)
    assert [layer.name for layer in model.layers][-1] == "genre"
    assert "embedding" in names_before(model.get_layer("genre"))


def test_what_stands_in_the_padding_changes_nothing(model: keras.Model) -> None:
    inputs = songs()
    padding = inputs["mask"] == 0
    for name in ("chroma", "timbre", "dynamics"):
        inputs[name] = inputs[name].copy()
        inputs[name][padding] = 77
    inputs["lyric_vector"] = np.where(inputs["has_lyrics"] == 0, 77, inputs["lyric_vector"])
    np.testing.assert_allclose(scores(model, inputs), scores(model, songs()), atol=1e-5)


@pytest.mark.parametrize("name", ["attention", "cnn", "logistic", "lstm", "wide_deep"])
def test_how_long_the_padding_is_changes_nothing(name: str) -> None:
    wide = Geometry(n_segments=75, n_pitches=12, lyric_size=6)
    short, long = make(name), make(name, geometry=wide)
    long.set_weights(short.get_weights())
    np.testing.assert_allclose(scores(long, songs(wide)), scores(short, songs()), atol=1e-5)


@pytest.mark.parametrize("name", ["attention", "cnn", "logistic", "lstm", "wide_deep"])
def test_a_song_sounds_of_all_its_segments(name: str) -> None:
    model, inputs = make(name, dropout=0.0), songs()
    plain = scores(model, inputs)
    inputs["timbre"] = inputs["timbre"].copy()
    for song, length in enumerate(LENGTHS):
        inputs["timbre"][song, length - 1] += 30
    assert (np.abs(scores(model, inputs) - plain).max(axis=1) > 1e-6).all()


def test_a_model_that_only_hears_knows_no_lyrics_and_the_other_way_round() -> None:
    inputs = songs()
    other = inputs | {"lyric_vector": inputs["lyric_vector"] + 1, "has_lyrics": 1 - inputs["has_lyrics"]}
    other |= {"word_counts": inputs["word_counts"][:, ::-1], "word_indices": inputs["word_indices"][::-1]}
    silence = {name: np.zeros_like(inputs[name]) for name in ("chroma", "timbre", "summary", "dynamics")}
    silent = inputs | silence | {"mask": GEOMETRY.mask(np.full(4, 9))}
    for name in MODELS:
        hears, reads = make(name, inputs="audio"), make(name, inputs="lyrics")
        assert np.array_equal(scores(hears, inputs), scores(hears, other))
        assert not np.allclose(scores(hears, inputs), scores(hears, silent), atol=1e-6)
        assert np.array_equal(scores(reads, inputs), scores(reads, silent))
        assert not np.allclose(scores(reads, inputs), scores(reads, other), atol=1e-6)
        for model in (hears, reads):
            assert set(model.input) == set(WIDE_DEEP_INPUTS if name == "wide_deep" else BASIC_INPUTS)
        assert not [layer for layer in reads.layers if "timbre_" in layer.name or "chroma_" in layer.name]


@pytest.mark.parametrize(
    ("name", "activation"),
    [("genre", "softmax"), ("popularity", "softmax"), ("tags", "sigmoid"), ("factors", "linear")],
)
def test_the_target_picks_the_head(name: str, activation: str) -> None:
    head = make("dense", make_target(name, tuple("abcd"))).get_layer(name)
    assert head.units == 4
    assert head.activation.__name__ == activation


def test_a_logistic_model_sees_means_and_covariances_of_the_segments_that_are_there() -> None:
    model, inputs = make("logistic", inputs="audio"), songs()
    summary = keras.Model(model.inputs, model.get_layer("together").output)
    given = np.asarray(summary(inputs))
    assert given.shape == (4, 12 + 78 + 12)
    upper = np.triu_indices(12)
    for song, length in enumerate(LENGTHS):
        timbre = (inputs["timbre"][song, :length].astype(float) - np.arange(12)) / 5
        chroma = (inputs["chroma"][song, :length].astype(float) - 0.4) / 0.2
        covariance = np.cov(timbre.T, bias=True) if length > 1 else np.zeros((12, 12))
        wanted = np.concatenate([timbre.mean(axis=0), (covariance - np.eye(12))[upper], chroma.mean(axis=0)])
        np.testing.assert_allclose(given[song], wanted, rtol=1e-4, atol=1e-4)


def test_all_models_load_by_plain_keras_in_safe_mode(tmp_path: Path) -> None:
    """In a process that cannot import this project."""
    for name in MODELS:
        made = make(name)
        made.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.npy", scores(made, songs()))
    np.savez(tmp_path / "songs.npz", **songs())
    script = """
import json, pathlib, sys, keras, numpy as np
folder = pathlib.Path(sys.argv[1])
songs = np.load(folder / "songs.npz")
found = {}
for path in sorted(folder.glob("*.keras")):
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    inputs = {name: songs[name] for name in model.input}
    off = np.abs(np.asarray(model(inputs, training=False)) - np.load(path.with_suffix(".npy"))).max()
    found[path.stem] = [float(off), model.get_layer("embedding").output.shape[1]]
assert not [name for name in sys.modules if name.split(".")[0] in ("training", "msd_spark")]
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert set(found) == set(MODELS)
    assert all(off < 1e-5 and units == 50 for off, units in found.values())
