"""The scoring job with an untrained model: partitioning, kept rows and refused songs."""

from __future__ import annotations

import time
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from msd_spark.core import provenance
from msd_spark.core.delta import LOG, TOKEN, token_of
from msd_spark.core.errors import UserError
from msd_spark.core.features import segment_features
from msd_spark.core.model_inputs import model_inputs
from msd_spark.core.revision import code_revision
from msd_spark.core.runs import run_file
from msd_spark.core.schemas import EMBEDDING_LAYER, GEOMETRY, LABELS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.job import score
from msd_spark.scoring.settings import STATE_FILE, ScoreSettings
from tests.support.scoring_runs import GENRES, write_untrained_run
from tests.support.scoring_songs import lyric_vector, song, track_id, write_lyrics, write_songs

SONGS = list(range(40))
SUNG = [number for number in SONGS if number % 3 == 0]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = Warehouse(str(tmp_path / "warehouse"))
    write_lyrics(made, SUNG)
    write_untrained_run(made, lyric_vectors="of these words")
    return made


def table(warehouse: Warehouse, run: str = "tiny") -> pa.Table:
    return warehouse.read_table(None, "embeddings", run).sort_by("track_id")


def same(one: pa.Table, other: pa.Table) -> None:
    """Compare rows; numbers may differ where other songs were in the batch."""
    vectors = ("embedding", "genre_probabilities")
    assert one.drop_columns([*vectors, "entropy"]).equals(other.drop_columns([*vectors, "entropy"]))
    for name in vectors:
        np.testing.assert_allclose(one[name].to_pylist(), other[name].to_pylist(), atol=1e-6)
    np.testing.assert_allclose(one["entropy"].to_numpy(), other["entropy"].to_numpy(), atol=1e-6)


def run_score(spark: SparkSession, warehouse: Warehouse, slice_size: int = 8, **settings: object) -> Summary:
    asked = ScoreSettings(warehouse.root, "tiny", **{"batch_size": 16, **settings})  # type: ignore[arg-type]
    return score(spark, asked, songs_per_slice=slice_size)


def test_scores_are_those_of_predict_whatever_the_partitioning(spark: SparkSession, warehouse: Warehouse) -> None:
    features = [
        segment_features(made["segments_pitches"], made["segments_timbre"], GEOMETRY) for made in map(song, SONGS)
    ]
    columns = {
        "chroma": np.stack([item.chroma for item in features]),
        "timbre": np.stack([item.timbre for item in features]),
        "n_segments": np.array([item.length for item in features]),
        "lyric_vector": np.stack([lyric_vector(number) * (number in SUNG) for number in SONGS]),
        "has_lyrics": np.array([float(number in SUNG) for number in SONGS]),
    }
    trained = keras.models.load_model(warehouse.path(*run_file(warehouse, "tiny", "model.keras")), compile=False)
    both = keras.Model(trained.input, [trained.get_layer(EMBEDDING_LAYER).output, trained.output])
    embeddings, probabilities = both.predict(model_inputs(columns, GEOMETRY), batch_size=16, verbose=0)
    layouts = [([SONGS], 100, 100, 16), ([SONGS[:7], SONGS[7:30], SONGS[30:]], 5, 10, 7), ([SONGS], 13, 13, 64)]
    for files, songs_per_row_group, slice_size, batch in layouts:
        write_songs(warehouse, files, songs_per_row_group)
        facts = run_score(spark, warehouse, slice_size, batch_size=batch, rescore=True).facts
        assert (facts["songs"], facts["embeddings"], facts["scored now"]) == (40, 40, 40)
        assert (facts["with lyrics"], facts["rejected"]) == (len(SUNG), 0)
        rows = table(warehouse)
        assert rows["track_id"].to_pylist() == [track_id(number) for number in SONGS]
        np.testing.assert_allclose(rows["embedding"].to_pylist(), embeddings, atol=1e-5)
        np.testing.assert_allclose(rows["genre_probabilities"].to_pylist(), probabilities, atol=1e-5)
        exact = probabilities.astype(float)
        np.testing.assert_allclose(rows["entropy"].to_numpy(), -(exact * np.log(exact)).sum(axis=1), atol=1e-5)
        assert rows["predicted_genre"].to_pylist() == [GENRES[place] for place in probabilities.argmax(axis=1)]
        assert rows["has_lyrics"].to_pylist() == columns["has_lyrics"].tolist()
    names = {file.name for file in warehouse.snapshot("embeddings", "tiny").files}
    state = Path(warehouse.file("embeddings", "tiny", STATE_FILE)).name
    # No plan, and no file of an earlier scoring.
    assert {path.name for path in Path(warehouse.path("embeddings", "tiny")).iterdir()} == {*names, state, LOG}


def test_only_new_songs_are_scored_and_the_table_equals_a_full_scoring(
    spark: SparkSession, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_songs(warehouse, [SONGS[:10], SONGS[10:20]], 5)
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "code_revision", lambda: "old")
        summary = run_score(spark, warehouse)
    assert summary.facts["scored now"] == 20
    assert time.monotonic() - summary.started > 0.1, "the seconds of the summary are those of the whole job"
    before = warehouse.snapshot("embeddings", "tiny")
    facts = run_score(spark, warehouse).facts
    assert (facts["scored now"], facts["scored before"], facts["with lyrics"]) == (0, 20, 7)
    assert "nothing new" in facts
    assert warehouse.snapshot("embeddings", "tiny") == before
    # Files that stay keep the revision of the code that wrote them.
    write_songs(warehouse, [SONGS[20:21]], 5, append=True)
    assert run_score(spark, warehouse).facts["scored now"] == 1
    after = warehouse.snapshot("embeddings", "tiny")
    revisions = {file: after.notes_with(TOKEN, token_of(file.name))["revision"] for file in after.files}
    (new,) = set(after.files) - set(before.files)
    assert revisions == dict.fromkeys(before.files, "old") | {new: code_revision()}

    # Other songs, all in new files, so that all are scored.
    write_songs(warehouse, [SONGS[10:20], SONGS[20:40]], 5, {12: {"title": "A title that is much longer"}})
    labels = [{"track_id": track_id(number), "genre": "Jazz", "label_set": "own"} for number in (11, 25)]
    warehouse.write_arrow(pa.Table.from_pylist(labels, LABELS), "labels")
    facts = run_score(spark, warehouse).facts
    assert (facts["scored now"], facts["scored before"], facts["dropped, no longer in songs/"]) == (30, 0, 10)
    # One song loses its lyrics: lyrics/ is another table, so all songs that have or had any are scored.
    write_lyrics(warehouse, [number for number in SUNG if number != 15])
    facts = run_score(spark, warehouse).facts
    sung = sum(number >= 10 for number in SUNG)
    assert (facts["scored now"], facts["scored before"], facts["with lyrics"]) == (sung, 30 - sung, sung - 1)
    # A listed track more, which changes no score.
    warehouse.write_arrow(pa.Table.from_pylist([*labels, {**labels[0], "track_id": track_id(30)}], LABELS), "labels")
    assert run_score(spark, warehouse).facts["scored now"] == 0
    grown = table(warehouse)
    assert [track for track, has in zip(grown["track_id"], grown["has_genre"], strict=True) if has.as_py()] == [
        pa.scalar(track_id(number)) for number in (11, 25, 30)
    ]
    assert run_score(spark, warehouse, rescore=True).facts["scored now"] == 30
    same(grown, table(warehouse))
    # A run that was trained again is another model.
    write_untrained_run(warehouse, lyric_vectors="of these words", seed=1)
    assert run_score(spark, warehouse).facts["scored now"] == 30
    assert table(warehouse)["embedding"] != grown["embedding"]


def test_songs_without_features_are_rejected_once(spark: SparkSession, warehouse: Warehouse) -> None:
    infinite = song(3)["segments_timbre"].copy()
    infinite[0] = np.inf
    changed = {
        2: {"n_segments": 0, "segments_pitches": [], "segments_timbre": []},
        3: {"segments_timbre": infinite},
        9: {"segments_pitches": song(9)["segments_pitches"][:-12]},
    }
    write_songs(warehouse, [SONGS[:12]], 4, changed)
    for scored_now in (9, 0):
        summary = run_score(spark, warehouse)
        facts = summary.facts
        assert (facts["songs"], facts["embeddings"], facts["rejected"]) == (12, 9, 2)
        assert facts["without segments, not scored"] == 1
        assert facts["scored now"] == scored_now
        rejected = warehouse.read_table(None, "rejected", "stage=score").to_pylist()
        assert [(row["member"], row["reason"]) for row in rejected] == [
            (track_id(3), "not_finite"),
            (track_id(9), "length_mismatch"),
        ]
        (file,) = warehouse.snapshot("songs").files
        assert {row["source"] for row in rejected} == {f"songs/{file.name}"}
    left = {track_id(number) for number in range(12)} - {track_id(number) for number in changed}
    assert set(table(warehouse)["track_id"].to_pylist()) == left


def test_no_table_is_written_without_its_rejections(spark: SparkSession, warehouse: Warehouse) -> None:
    write_songs(warehouse, [SONGS[:4]])
    Path(warehouse.path("rejected")).write_text("")
    with pytest.raises(UserError, match=r"rejected/stage=score cannot be written: .*make it a writable folder"):
        run_score(spark, warehouse)
    assert not warehouse.is_complete("embeddings", "tiny")


def test_runs_of_other_targets_and_other_lyrics(spark: SparkSession, warehouse: Warehouse) -> None:
    write_songs(warehouse, [SONGS[:4]])
    write_untrained_run(warehouse, target="tags", class_names=("loud", "slow"), lyric_vectors="others")
    with pytest.raises(UserError, match=r"lyrics/ has other lyric vectors \(of these words\) than run tiny"):
        run_score(spark, warehouse)
    assert not warehouse.is_complete("embeddings", "tiny")
    facts = run_score(spark, warehouse, without_lyrics=True).facts
    assert (facts["embeddings"], facts["with lyrics"]) == (4, 0)
    rows = table(warehouse)
    assert rows["predicted_genre"].null_count == rows["genre_probabilities"].null_count == 4
    assert rows["entropy"].null_count == 4
    assert {len(scores) for scores in rows["target_scores"].to_pylist()} == {2}
    write_songs(warehouse, [SONGS[:4], SONGS[3:5]])
    with pytest.raises(UserError, match=f"songs/ has {track_id(3)} 2 times; run msd-spark ingest again"):
        run_score(spark, warehouse, without_lyrics=True)
