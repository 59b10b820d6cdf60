"""Scoring through Spark, and the page, with a model that was trained on the same warehouse."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from msd_spark.catalogue.known_tracks import known_tracks
from msd_spark.core.command_line import run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.model_inputs import ALL_INPUTS, columns_of_inputs, model_inputs
from msd_spark.core.runs import only_dataset, run_file
from msd_spark.core.schemas import EMBEDDING_LAYER, EMBEDDING_SIZE, GEOMETRY
from msd_spark.core.warehouse import Warehouse
from msd_spark.lyrics.text import stems
from msd_spark.report.job import make_report
from msd_spark.report.settings import ReportSettings
from msd_spark.scoring.job import score
from msd_spark.scoring.settings import ScoreSettings
from msd_spark.scoring.song_features import lyric_features, song_features
from msd_spark.scoring.trained_run import TrainedRun
from msd_spark.songfile.batches import songs_to_batch
from msd_spark.songfile.parse import parse_song
from tests.conftest import REPOSITORY
from tests.support.fork_server import forked
from tests.support.launched import environment
from tests.support.report_data import current_report
from training.data.dataset import Dataset
from training.data.reading import to_numpy


@pytest.fixture(scope="module")
def scored(spark: SparkSession, warehouse: Warehouse) -> Warehouse:
    words = ("--warehouse", warehouse.root, "--run", "one", "--model", "wide_deep", "--epochs", "2", "--overwrite")
    done = subprocess.run(
        ["training/train.py", *words], cwd=REPOSITORY, env=environment(**forked()), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    score(spark, ScoreSettings(warehouse.root, "one", batch_size=16)).finish(warehouse)
    return warehouse


@pytest.fixture(scope="module")
def embeddings(scored: Warehouse) -> pd.DataFrame:
    return scored.read_table(None, "embeddings", "one").to_pandas().sort_values("track_id", ignore_index=True)


def test_every_song_has_an_embedding_labelled_or_not(scored: Warehouse, embeddings: pd.DataFrame) -> None:
    songs = scored.read_table(["track_id"], "songs").to_pandas()
    lyrics = set(scored.read_table(["track_id"], "lyrics")["track_id"].to_pylist())
    labels = set(scored.read_table(["track_id"], "labels")["track_id"].to_pylist())
    assert embeddings["track_id"].tolist() == sorted(songs["track_id"])
    assert len(set(songs["track_id"]) - labels) > 0
    assert embeddings["has_lyrics"].tolist() == [float(track in lyrics) for track in embeddings["track_id"]]
    values = np.stack(list(embeddings["embedding"]))
    assert values.shape == (160, EMBEDDING_SIZE)
    assert np.isfinite(values).all()
    probabilities = np.stack(list(embeddings["genre_probabilities"]))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    genres = scored.read_json("models", "one", "metadata.json")["labels"]
    assert embeddings["predicted_genre"].tolist() == [genres[index] for index in probabilities.argmax(axis=1)]


def test_scores_equal_the_models_own_predictions(scored: Warehouse, embeddings: pd.DataFrame) -> None:
    run = TrainedRun.read(scored, "one")
    inputs, tracks = _inputs_of_scoring(scored, run)
    assert tracks == embeddings["track_id"].tolist()
    trained = keras.models.load_model(scored.path(*run_file(scored, "one", "model.keras")), compile=False)
    model = keras.Model(trained.input, [trained.get_layer(EMBEDDING_LAYER).output, trained.output])
    together, _ = model.predict(inputs, verbose=0, batch_size=64)
    alone = np.concatenate(
        [
            model.predict({name: values[row : row + 1] for name, values in inputs.items()}, verbose=0)[0]
            for row in range(5)
        ]
    )
    np.testing.assert_allclose(np.stack(list(embeddings["embedding"])), together, atol=1e-5)
    np.testing.assert_allclose(alone, together[:5], atol=1e-5)


def _inputs_of_scoring(warehouse: Warehouse, run: TrainedRun) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the inputs of all songs, sorted by track, as scoring computes them, and the tracks."""
    songs = warehouse.read_table(None, "songs").sort_by("track_id").combine_chunks()
    features = song_features(songs.to_batches()[0], GEOMETRY, run.inputs)
    assert len(features.rows) == len(songs)
    known = known_tracks(warehouse, songs["track_id"].combine_chunks(), GEOMETRY.lyric_size, words=True)
    lists = (part.take(slice(None)) for part in (known.lyrics, known.bags.indices, known.bags.counts))
    columns = features.columns | lyric_features(run, *lists)
    return model_inputs(columns, GEOMETRY, run.inputs), songs["track_id"].to_pylist()


def test_dataset_scoring_and_song_files_have_bit_identical_inputs(scored: Warehouse, generated: Path) -> None:
    run, dataset = replace(TrainedRun.read(scored, "one")), Dataset.open(scored, only_dataset(scored))
    run.__dict__["inputs"] = ALL_INPUTS
    inputs, tracks = _inputs_of_scoring(scored, run)
    n_compared = n_with_words = 0
    for split in dataset.metadata["files"]:
        for number in range(len(dataset.rows(split))):
            table = dataset.read(split, number)
            columns = {name: to_numpy(table[name]) for name in columns_of_inputs(ALL_INPUTS)}
            rows = [tracks.index(track) for track in table["track_id"].to_pylist()]
            for name, values in model_inputs(columns, GEOMETRY, ALL_INPUTS).items():
                assert values.tobytes() == inputs[name][rows].tobytes(), name
            n_compared, n_with_words = (
                n_compared + len(rows),
                n_with_words + int((columns["word_counts"] > 0).any(1).sum()),
            )
    assert n_compared >= n_with_words > 0
    for file in sorted((generated / "songs").rglob("*.h5"))[:5]:
        song = parse_song(file.read_bytes(), file.stem) | {"source": str(file), "member": None}
        alone = song_features(songs_to_batch([song]), GEOMETRY, ALL_INPUTS)
        row = tracks.index(song["track_id"])
        for name in {"chroma", "timbre", "dynamics", "summary"}:
            assert alone.columns[name].tobytes() == inputs[name][row].tobytes(), name


def test_test_predictions_of_training_are_those_of_scoring(scored: Warehouse, embeddings: pd.DataFrame) -> None:
    predicted = pq.read_table(scored.path(*run_file(scored, "one", "predictions", "test.parquet"))).to_pandas()
    predicted = predicted.rename(columns={"probabilities": "genre_probabilities"})
    joined = predicted.merge(embeddings, on="track_id", suffixes=("_trained", "_scored"))
    assert len(joined) == len(predicted) > 0
    np.testing.assert_allclose(
        np.stack(list(joined["genre_probabilities_trained"])),
        np.stack(list(joined["genre_probabilities_scored"])),
        atol=1e-5,
    )


def test_the_run_fits_what_it_was_trained_on(scored: Warehouse) -> None:
    run = TrainedRun.read(scored, "one")
    run.check_lyrics(scored)
    with pytest.raises(UserError, match="no finished run models/two; finished: one"):
        TrainedRun.read(scored, "two")


def test_song_files_are_placed_as_the_songs_of_the_warehouse(
    scored: Warehouse, embeddings: pd.DataFrame, generated: Path, tmp_path: Path
) -> None:
    files = sorted((generated / "songs").rglob("*.h5"))[:2]
    broken, output = tmp_path / "broken.h5", tmp_path / "made" / "loose.parquet"
    broken.write_bytes(b"no song")
    before = sorted(Path(scored.root).rglob("*"))
    words = ["--warehouse", scored.root, "--run", "one", "--nearest", "3", "--output", str(output)]
    command = [sys.executable, "jobs/score.py", *words, "--songs", *map(str, files), str(broken), str(files[0])]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "not_hdf5" in done.stdout
    assert "repeated_track" in done.stdout
    assert done.stdout.count("nearest to ") == 2
    assert sorted(Path(scored.root).rglob("*")) == before
    loose = pq.read_table(output).to_pandas()
    assert loose["track_id"].tolist() == [file.stem for file in files]
    among = embeddings.set_index("track_id").loc[loose["track_id"]]
    for name in ("embedding", "genre_probabilities"):
        np.testing.assert_allclose(np.stack(list(loose[name])), np.stack(list(among[name])), atol=1e-5)
    assert loose["has_lyrics"].tolist() == among["has_lyrics"].tolist()
    assert all(genre in done.stdout for genre in loose["predicted_genre"])


def test_a_song_file_with_its_lyrics_as_text_is_placed_as_its_track(
    scored: Warehouse, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = scored.read_table(["index", "stem"], "lyric_words").sort_by("index")["stem"].to_pylist()
    kept = {index for index, word in enumerate(words, 1) if stems(word) == [word]}
    bags = {row["track_id"]: row for row in scored.read_table(None, "lyrics").to_pylist()}
    files = {file.stem: file for file in (generated / "songs").rglob("*.h5") if file.stem in bags}
    track = next(track for track in sorted(files) if set(bags[track]["word_indices"]) <= kept)
    pairs = zip(bags[track]["word_indices"], bags[track]["word_counts"], strict=True)
    (tmp_path / "song.txt").write_text(" ".join(words[index - 1] for index, count in pairs for _ in range(count)))
    (tmp_path / "other.txt").write_text("love love love")

    def nearest(*options: str) -> list[tuple[str, Any]]:
        run_verb("similar", ["--warehouse", scored.root, "--run", "one", "--json", *options])
        found = json.loads(capsys.readouterr().out)["neighbours"]
        return [(song["track_id"], pytest.approx(song["distance"], abs=1e-5)) for song in found]

    by_track = nearest(track)
    assert nearest(str(files[track])) == by_track
    assert nearest(str(files[track]), "--lyrics", str(tmp_path / "song.txt")) == by_track
    assert nearest(str(files[track]), "--lyrics", str(tmp_path / "other.txt")) != by_track
    with pytest.raises(SystemExit):
        nearest(track, "--lyrics", str(tmp_path / "song.txt"))
    assert "--lyrics" in capsys.readouterr().err


def test_the_report_has_every_song_and_escapes_titles(scored: Warehouse) -> None:
    summary = make_report(ReportSettings(scored.root, "one", heatmaps=5))
    folder = current_report(scored, "one")
    assert summary.facts["songs"] == summary.facts["songs in the report"] == 160
    titles = scored.read_table(["track_id", "title"], "songs").to_pandas()
    shipped = (folder / "data" / "names-0.js").read_text()
    songs = json.loads(shipped.removeprefix('msd.receive("names-0",').removesuffix(");\n"))
    assert dict(zip(songs["ids"], songs["titles"], strict=True)) == titles.set_index("track_id")["title"].to_dict()
    assert any("<script" in title for title in songs["titles"])
    assert "<" not in shipped
    page = (folder / "index.html").read_text()
    assert "<script>" not in page
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    for key in ("results", "confusion", "precision-recall", "training", "model", "examples", "funnel", "ledger"):
        assert f'<section id="{key}">' in page
    assert {"tables", "data", "assets", "metrics.json"} <= {path.name for path in folder.iterdir()}
