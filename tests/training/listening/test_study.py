"""Receptive fields, top segments, occlusion, and the study of a run."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from msd_spark.core.beats import BeatTimes
from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.command_line import parse, run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import ALL_INPUTS, input_shapes, to_float32
from msd_spark.core.runs import newest_run
from msd_spark.core.schemas import FILTER_RESPONSES, GEOMETRY, OCCLUSION, Geometry
from msd_spark.core.song_summary import SUMMARY_NAMES, SUMMARY_SIZE
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from tests.support.decoded import decoded
from tests.support.tiny_dataset import LABELS, write_tiny_dataset
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import make_target, target_of
from training.data.targets.target import Target
from training.evaluation.bootstrap import Artists
from training.evaluation.judgement import read_training_truths
from training.listen import run
from training.listening.filters import Responses, distinct_filters, filter_responses, responses_table
from training.listening.occlusion import FULL, hide, occlusion_statistic, occlusion_table
from training.listening.options import ListenOptions
from training.listening.receptive_field import ReceptiveField, receptive_fields
from training.listening.song_times import row_times, span
from training.listening.study import chosen_tracks, study
from training.listening.top_segments import TopSegments
from training.models.build import MODELS
from training.models.settings import ModelSettings
from training.runs.run_folder import FinishedRun, write_run

GENRES = make_target("genre", tuple(LABELS))
NORMALISATION = {
    name: {"mean": [0.0] * width, "deviation": [1.0] * width}
    for name, width in (("chroma", 12), ("timbre", 12), ("lyric_vector", 50))
}
SMALL = ModelSettings(filters=(4, 4, 4), hidden=(8,))


def make(name: str, settings: ModelSettings = SMALL, target: Target = GENRES) -> keras.Model:
    keras.utils.set_random_seed(1)
    return MODELS[name](GEOMETRY, target, NORMALISATION, settings)


@pytest.fixture(scope="module")
def cnn() -> keras.Model:
    return make("cnn")


def test_receptive_fields_by_hand(cnn: keras.Model) -> None:
    # Width 4 with one position of padding at the start: -1 to 2. Pooling by 4: -1 to 2 + 3. Next convolution, with 4
    # segments per position: -1 - 4 to 5 + 2 * 4. Pooling by 2 (75 positions are padded at the end): to 13 + 4.
    # Again, by 8.
    wanted = [ReceptiveField(1, -1, 2), ReceptiveField(4, -5, 13), ReceptiveField(8, -13, 33)]
    found = receptive_fields(cnn.get_config())
    assert {name: fields[name.split("_")[0]] for name, fields in found.items()} == {
        f"{stream}_{number}_convolution": field
        for number, field in enumerate(wanted, 1)
        for stream in ("chroma", "timbre")
    }


def test_a_position_depends_only_on_the_segments_of_its_field(cnn: keras.Model) -> None:
    from training.listening.filters import convolution_outputs

    names = [f"timbre_{number}_convolution" for number in (1, 2, 3)]
    outputs = convolution_outputs(cnn, names)
    generator = np.random.default_rng(0)
    place = 5
    n = 80
    inputs = {name: np.zeros((n + 1, *shape), np.float32) for name, shape in input_shapes(GEOMETRY).items()}
    inputs["mask"][:] = 1
    inputs["timbre"][:] = generator.normal(size=GEOMETRY.segments_shape)
    inputs["timbre"][np.arange(n), np.arange(n)] += 100 * generator.normal(size=(n, 12)).astype(np.float32)
    fields = receptive_fields(cnn.get_config())
    for name, found in outputs(inputs).items():
        changed = np.flatnonzero((found[:n, place] != found[n, place]).any(axis=1))
        first, count = fields[name]["timbre"].within(place, GEOMETRY.n_segments)
        assert changed.min() >= first
        assert changed.max() < first + count
        assert len(changed) > count / 2
    assert fields[names[0]]["timbre"].within(place, 300) == (4, 4)
    assert fields[names[0]]["timbre"].within(0, 2) == (0, 2)


def test_filters_of_attention_have_both_streams_and_other_models_have_no_convolutions() -> None:
    fields = receptive_fields(make("attention").get_config())
    assert {name: sorted(set(seen) - {"mask"}) for name, seen in fields.items()} == {
        f"segments_{number}_convolution": ["chroma", "timbre"] for number in (1, 2, 3)
    }
    for name in ("dense", "logistic", "lstm"):
        assert receptive_fields(make(name).get_config()) == {}


def test_a_convolution_behind_a_recurrence_has_no_receptive_field() -> None:
    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shapes(GEOMETRY).items()}
    mixed = keras.layers.LSTM(2, return_sequences=True)(inputs["timbre"])
    late = keras.layers.Conv1D(2, 3, name="late")(mixed)
    strided = keras.layers.Conv1D(2, 3, strides=2, dilation_rate=1, padding="causal", name="strided")(inputs["chroma"])
    model = keras.Model(inputs, [late, strided])
    # Causal: two positions of padding at the start.
    assert receptive_fields(model.get_config()) == {"strided": {"chroma": ReceptiveField(2, -2, 0)}}


def hand_made() -> keras.Model:
    """Return a model with two filters of chroma: pitch 3 before pitch 5, and minus pitch 0, which is never positive."""
    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shapes(GEOMETRY).items()}
    layer = keras.layers.Conv1D(2, 2, activation="relu", name="known")
    pooled = keras.layers.GlobalMaxPooling1D()(layer(inputs["chroma"]))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(pooled))
    kernel = np.zeros((2, 12, 2), np.float32)
    kernel[0, 3, 0] = kernel[1, 5, 0] = 1
    kernel[0, 0, 1] = -1
    layer.set_weights([kernel, np.zeros(2, np.float32)])
    return model


@pytest.mark.parametrize("batch", [1, 64])
def test_a_filter_of_known_weights_has_the_known_top_segments(tmp_path: Path, batch: int) -> None:
    chroma = np.zeros((4, 300, 12), np.float32)
    chroma[0, 7, 3], chroma[0, 8, 5] = 0.5, 0.25  # .75 at 7
    chroma[1, 20, 3], chroma[1, 21, 5] = 1.0, 1.0  # 2 at 20
    chroma[2, 40, 5] = 0.75  # .75 at 39: a tie with the first song, which comes first
    chroma[3, 90, 3] = chroma[3, 91, 5] = 9.0  # beyond the end
    lengths = np.array([100, 22, 60, 50], np.int32)
    songs: dict[str, np.ndarray] = {
        "track_id": np.array(["A", "B", "C", "D"]),
        "chroma": chroma.reshape(4, -1),
        "timbre": np.zeros((4, 3600), np.float32),
        "n_segments": lengths,
        "lyric_vector": np.zeros((4, 50), np.float32),
        "has_lyrics": np.zeros(4, np.float32),
    }
    times = {"segments_start": [list(np.arange(n) * 0.5) for n in lengths[:3]], "beats_start": [[]] * 3}
    warehouse = Warehouse(str(tmp_path))
    columns = {"track_id": ["A", "B", "C"], **times, "duration": [None, 12.0, 30.0]}
    lists = pa.list_(pa.float64())
    schema = pa.schema(
        [("track_id", pa.string()), ("segments_start", lists), ("beats_start", lists), ("duration", pa.float64())]
    )
    warehouse.write_arrow(pa.table(columns, schema=schema), "songs")
    responses, mixed = filter_responses(hand_made(), songs, GEOMETRY, 3, batch)
    assert mixed == []
    assert responses[0].top.silent.tolist() == [False, True]
    table = responses_table(responses, songs, GEOMETRY, warehouse)
    assert table.schema.equals(FILTER_RESPONSES)
    rows = table.to_pylist()
    assert [(row["rank"], row["track_id"], row["activation"], row["first_segment"]) for row in rows] == [
        (1, "B", 2.0, 20),
        (2, "A", 0.75, 7),
        (3, "C", 0.75, 39),
    ]
    # The field extends to the end of the song of 22 segments.
    assert [(row["start"], row["end"]) for row in rows] == [(10.0, 12.0), (3.5, 4.5), (19.5, 20.5)]
    patch = np.reshape(rows[0]["chroma"], (2, 12))
    assert (patch[0, 3], patch[1, 5], patch.sum(), rows[0]["timbre"]) == (1.0, 1.0, 2.0, None)


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.integers(0, 9), st.data())
def test_top_segments_do_not_depend_on_the_batches(
    n: int, n_filters: int, top: int, seed: int, data: st.DataObject
) -> None:
    generator = np.random.default_rng(seed)
    activations = generator.integers(-2, 4, (n, 3, n_filters)).astype(np.float32)
    there = np.arange(3) < generator.integers(1, 4, n)[:, None]
    found = TopSegments(n_filters, top)
    for song in data.draw(st.permutations(range(n))):
        found.add(np.array([song]), activations[[song]], there[[song]])
    for number in range(n_filters):
        ranked = sorted(
            (-value, song, place)
            for song in range(n)
            for value, place in [
                max(
                    ((activations[song, at, number], at) for at in range(3) if there[song, at]),
                    key=lambda one: (one[0], -one[1]),
                )
            ]
            if value > 0
        )[:top]
        kept = found.activations[number] > 0
        got = zip(-found.activations[number][kept], found.songs[number][kept], found.places[number][kept], strict=True)
        assert [tuple(map(float, row)) for row in got] == [tuple(map(float, row)) for row in ranked]


def test_rows_have_the_times_of_segments_or_beats() -> None:
    times = BeatTimes(np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.5, 1.5, 1.5, 3.0]), 5.0)
    assert span(row_times(times, Geometry()), 1, 2) == (1.0, 4.0)
    assert span(row_times(times, Geometry()), 3, 1) == (4.0, 5.0)
    # The middle two of four segments, and beats one of which has no duration.
    assert span(row_times(times, Geometry(n_segments=2, segments="centre")), 0, 2) == (1.0, 4.0)
    beats = row_times(times, Geometry(segments="beats"))
    assert beats.tolist() == [0.5, 1.5, 3.0, 5.0]
    assert span(beats, 2, 1) == (3.0, 5.0)
    without = BeatTimes(times.segments_start, np.array([]), np.nan)
    assert span(row_times(without, Geometry(segments="beats")), 2, 2) == (2.0, 4.0)


def test_hidden_inputs_are_the_mean_or_no_lyrics() -> None:
    generator = np.random.default_rng(0)
    inputs = {name: generator.random((2, *shape)).astype(np.float32) for name, shape in input_shapes(GEOMETRY).items()}
    inputs["mask"] = GEOMETRY.mask(np.array([2, 300]))
    means = {"chroma": {"mean": [0.25] * 12}, "timbre": {"mean": list(range(12))}}
    no_audio = hide(inputs, "audio", means)  # type: ignore[arg-type]
    assert np.unique(no_audio["chroma"][0, :2]).tolist() == [0.25]
    assert not no_audio["timbre"][0, 2:].any()
    np.testing.assert_array_equal(no_audio["timbre"][1, 299], np.arange(12))
    np.testing.assert_array_equal(no_audio["lyric_vector"], inputs["lyric_vector"])
    no_lyrics = hide(inputs, "lyrics", means)  # type: ignore[arg-type]
    assert not no_lyrics["lyric_vector"].any()
    assert not no_lyrics["has_lyrics"].any()
    np.testing.assert_array_equal(no_lyrics["chroma"], inputs["chroma"])
    np.testing.assert_array_equal(hide(inputs, "chroma", means)["timbre"], inputs["timbre"])  # type: ignore[arg-type]


def test_parts_of_the_summary_and_the_words_are_hidden_too() -> None:
    shapes = input_shapes(GEOMETRY, ALL_INPUTS)
    inputs = {name: np.ones((1, *shape), np.float32) for name, shape in shapes.items()}
    inputs["mask"] = GEOMETRY.mask(np.array([2]))
    sizes = {"chroma": 12, "timbre": 12, "dynamics": 3, "summary": SUMMARY_SIZE}
    means = {name: {"mean": [5.0] * size} for name, size in sizes.items()}
    no_lyrics = hide(inputs, "lyrics", means)
    assert {name for name in inputs if not no_lyrics[name].any()} == {
        *("lyric_vector", "has_lyrics", "word_indices", "word_counts")
    }
    no_audio = hide(inputs, "audio", means)
    assert set(no_audio["summary"].ravel()) == {5}
    assert no_audio["dynamics"][0, :3, 0].tolist() == [5, 5, 0]
    no_timbre = hide(inputs, "timbre", means)
    hidden = {
        name.split("_")[0] for name, value in zip(SUMMARY_NAMES, no_timbre["summary"][0], strict=True) if value == 5
    }
    assert hidden == {"timbre"}
    assert (no_timbre["chroma"] == 1).all()


def predictions(n: int = 40, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    scores = generator.random((n, 3)).astype(np.float32)
    scores /= scores.sum(axis=1, keepdims=True)
    groups = np.array([f"AR{number % 9}" for number in range(n)])
    true = np.random.default_rng(9).integers(0, 2, n).astype(np.int32)  # class 2 has no example
    return Predictions(np.array([f"TR{number:03d}" for number in range(n)]), groups, true, scores, np.ones(n, bool))


def test_metrics_of_a_resample_are_those_of_its_examples() -> None:
    made = predictions()
    artists = Artists.of(made.artist_groups)
    drawn = np.random.default_rng(1).integers(0, 3, (artists.count, 2)).astype(float)
    found = occlusion_statistic(made.true, made.scores, artists)(drawn)
    for column in range(2):
        rows = np.repeat(np.arange(len(made)), drawn[artists.index, column].astype(int))
        true, scores = made.true[rows], made.scores[rows].astype(np.float64)
        predicted = scores.argmax(axis=1)
        by_class = f1_score(true, predicted, labels=[0, 1], average=None, zero_division=0)
        right = scores[np.arange(len(rows)), true]
        assert found["macro_f1"][column] == pytest.approx(by_class.mean())
        assert found["accuracy"][column] == pytest.approx(accuracy_score(true, predicted))
        assert found["probability"][column] == pytest.approx(right.mean(), rel=1e-6)
        for number in range(2):
            assert found[f"f1 {number}"][column] == pytest.approx(by_class[number])
            assert found[f"probability {number}"][column] == pytest.approx(right[true == number].mean(), rel=1e-6)
        assert np.isnan(found["f1 2"][column])


def test_the_table_has_each_genre_with_songs_and_intervals_by_artist() -> None:
    full = predictions()
    made = {FULL: full, "lyrics": predictions(seed=5), "audio": full}
    has_lyrics = np.arange(len(full)) % 4 == 0
    table = occlusion_table(made, LABELS, has_lyrics, Bootstrap(resamples=200))
    assert table.schema.equals(OCCLUSION)
    rows = table.to_pylist()
    assert [(row["genre"], row["figure"]) for row in rows if row["hidden"] == "lyrics"] == [
        (None, "probability"),
        (None, "macro_f1"),
        (None, "accuracy"),
        ("Blues", "probability"),
        ("Blues", "f1"),
        ("Jazz", "probability"),
        ("Jazz", "f1"),
    ]
    for row in rows:
        assert row["change"] == pytest.approx(row["occluded"] - row["full"])
        assert row["low"] <= row["change"] <= row["high"]
        if row["hidden"] == "audio":
            assert (row["change"], row["low"], row["high"], row["affected"]) == (0, 0, 0, row["examples"])
        else:
            assert row["affected"] < row["examples"]
    assert sum(row["affected"] for row in rows if row["hidden"] == "lyrics" and row["figure"] == "f1") == 10
    one = {
        name: Predictions(part.track_ids, np.full(40, "AR"), part.true, part.scores, part.present)
        for name, part in made.items()
    }
    alone = occlusion_table(one, LABELS, has_lyrics, Bootstrap(resamples=200)).to_pylist()
    assert {(row["low"], row["high"]) for row in alone} == {(None, None)}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, cnn: keras.Model) -> Warehouse:
    """A dataset, and runs of random weights on it."""
    folder = tmp_path_factory.mktemp("listening")
    opened = write_tiny_dataset(folder, {"train": [9, 8], "validation": [], "test": [7, 5]}, targets=True, missing=0.2)
    dataset = Dataset.open(opened, "tiny")
    tags = target_of("tags", dataset)
    genre = target_of("genre", dataset)
    settings = ModelSettings(filters=(4, 4), pools=(4, 2), hidden=(8,))
    wide_deep = MODELS["wide_deep"](GEOMETRY, genre, dataset.metadata["normalisation"], settings)
    runs = {"cnn": (cnn, genre), "tags": (make("logistic", target=tags), tags), "wide_deep": (wide_deep, genre)}
    for name, (model, target) in runs.items():
        truths = read_training_truths(dataset, target)
        write_run(opened, FinishedRun(name, model, dataset, target, {}, [], {}, {}, truths))
    return opened


def test_chosen_tracks_are_studied_next_to_others(warehouse: Warehouse, tmp_path: Path) -> None:
    table = warehouse.read_examples(["track_id", "has_genre"], "tiny").to_pandas()
    ids = table["track_id"].tolist()
    options = ListenOptions(warehouse.root, tracks=tuple(ids[:6]), top=2, batch_size=4)
    summary, occlusion = study(options, "cnn")
    assert (summary["name"], summary["songs_sampled"], summary["chosen"]) == ("cnn-tracks", 6, 6)
    filters = warehouse.read_parquet("studies", "cnn-tracks", _folder(warehouse, "cnn-tracks"), "filters.parquet")
    assert set(filters["track_id"].to_pylist()) <= set(ids[:6])
    assert set(occlusion["examples"].to_pylist()) <= {*range(int(table["has_genre"][:6].sum()) + 1)}
    distinct = summary["distinct_filters"]
    assert all(row["mean"] > row["mean_of_others"] for row in distinct)
    assert [row["difference"] for row in distinct] == sorted((row["difference"] for row in distinct), reverse=True)
    with pytest.raises(UserError, match="1 of 1 --tracks are not in dataset tiny, for example TRX"):
        study(ListenOptions(warehouse.root, tracks=("TRX",)), "cnn")
    with pytest.raises(UserError, match="--tracks are all tracks of dataset tiny"):
        study(ListenOptions(warehouse.root, tracks=tuple(ids)), "cnn")
    lasso = tmp_path / "songs.csv"
    lasso.write_text('\ufeff"track_id","artist"\r\n"TRAAAAW128F429D538","A"\r\n"TRAAAAW128F429D538","B"\r\n')
    assert chosen_tracks([str(lasso), "TRX"]) == ["TRAAAAW128F429D538", "TRX"]
    lasso.write_text("artist")
    with pytest.raises(UserError, match="has no track id; write one per line"):
        chosen_tracks([str(lasso)])


def _folder(warehouse: Warehouse, study: str) -> str:
    return str(warehouse.read_json("studies", study, "summary.json")["folder"])


def test_a_model_with_more_inputs_is_studied(warehouse: Warehouse) -> None:
    summary, occlusion = study(ListenOptions(warehouse.root, songs=5, top=2, batch_size=4), "wide_deep")
    assert [item["layer"] for item in summary["convolutions"]] == ["segments_1_convolution", "segments_2_convolution"]
    assert set(occlusion["hidden"].to_pylist()) == {"lyrics", "audio", "chroma", "timbre"}


def test_the_difference_of_a_filter_is_cohens_d() -> None:
    layers = []
    for activations in ([1.0, 3.0], [0.0, 2.0, 1.0]):
        top = TopSegments(1, 2)
        for number, value in enumerate(activations):
            top.add(np.array([number]), np.full((1, 1, 1), value), np.ones((1, 1), bool))
        layers.append([Responses("layer", "chroma", ReceptiveField(1, 0, 0), top)])
    (row,) = distinct_filters(*layers)
    assert (row["mean"], row["mean_of_others"]) == (2, 1)
    # Variances 1 and 2/3.
    assert row["difference"] == pytest.approx(1 / np.sqrt(5 / 6))


def test_a_study_of_a_run(warehouse: Warehouse, cnn: keras.Model) -> None:
    summary, occlusion = study(ListenOptions(warehouse.root, songs=20, top=2, batch_size=4), "cnn")
    assert (summary["songs_sampled"], summary["notes"]) == (20, [])
    place = ("studies", "cnn", warehouse.read_json("studies", "cnn", "summary.json")["folder"])
    filters = pq.read_table(warehouse.path(*place, "filters.parquet"))
    assert filters.schema.equals(FILTER_RESPONSES)
    rows = filters.to_pylist()
    assert {row["layer"] for row in rows} == {item["layer"] for item in summary["convolutions"]}
    assert all(len(row[row["stream"]]) == row["n_segments"] * 12 and row["start"] is None for row in rows)
    assert len({(row["layer"], row["filter"], row["track_id"]) for row in rows}) == len(rows)
    assert pq.read_table(warehouse.path(*place, "occlusion.parquet")).equals(occlusion)
    test = [
        row
        for path in sorted(Path(warehouse.path("dataset", "tiny", "test")).glob("*.parquet"))
        for row in decoded(pq.read_table(path, partitioning=None)).to_dict("records")
        if row["has_genre"]
    ]
    overall = {row["hidden"]: row for row in occlusion.to_pylist() if row["figure"] == "macro_f1"}
    assert {row["examples"] for row in overall.values()} == {len(test)}
    assert overall["lyrics"]["affected"] == sum(int(row["has_lyrics"]) for row in test)
    # The same model, called for one song at a time.
    for hidden in (None, "lyrics"):
        predicted = []
        for row in test:
            silent = hidden == "lyrics"
            inputs = {
                "chroma": np.reshape(to_float32(row["chroma"]), (1, 300, 12)),
                "timbre": np.reshape(row["timbre"], (1, 300, 12)),
                "mask": GEOMETRY.mask(np.array([row["n_segments"]])),
                "lyric_vector": np.reshape(row["lyric_vector"], (1, 50)) * (not silent),
                "has_lyrics": np.array([[0.0 if silent else row["has_lyrics"]]]),
            }
            scores = cnn({name: np.float32(values) for name, values in inputs.items()}, training=False)
            predicted.append(int(np.argmax(scores)))
        true = [row["genre_index"] for row in test]
        wanted = f1_score(true, predicted, labels=sorted(set(true)), average="macro", zero_division=0)
        assert overall["lyrics"]["occluded" if hidden else "full"] == pytest.approx(wanted)


def test_a_study_notes_what_is_missing(warehouse: Warehouse) -> None:
    summary, occlusion = study(ListenOptions(warehouse.root, songs=5), "tags")
    assert summary["notes"] == [
        "logistic has no convolution along the segments, so there are no filters to study",
        "occlusion is for genres and deciles, not for tags",
    ]
    assert occlusion.num_rows == 0
    (filters,) = Path(warehouse.path("studies", "tags")).glob("*/filters.parquet")
    assert pq.read_table(filters).num_rows == 0
    empty, _ = study(ListenOptions(warehouse.root, songs=5, top=1, split="validation"), "cnn")
    assert empty["notes"] == ["no example in validation has a genre, so there is no occlusion"]


def test_a_missing_run_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(UserError, match="no finished run models/other; finished: "):
        study(ListenOptions(warehouse.root), "other")


def test_the_newest_run_is_studied_by_default(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    run(ListenOptions(warehouse.root, songs=9, top=1, split="validation"))
    shown = capsys.readouterr().out
    assert "written" in shown
    assert f"studies/{newest_run(warehouse)}" in shown


def test_options_of_listen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(ListenOptions, [], VERBS["listen"]) == ListenOptions()
    for words, message in (
        (["--top", "0"], "listen: --top is 0; allowed: 1 or more"),
        (["--warehouse", str(tmp_path / "none")], "run msd-spark train first"),
    ):
        with pytest.raises(SystemExit):
            run_verb("listen", words)
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
