"""The command that people type to find similar songs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.runs import METADATA, MODEL, RUNS
from msd_spark.core.schemas import EMBEDDING_LAYER, GEOMETRY
from msd_spark.core.warehouse import Warehouse
from tests.conftest import REPOSITORY
from tests.support.embedded_songs import write_embedded_songs

SONG = f"TR000010{'A' * 10}"


def similar(warehouse: Warehouse, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "msd_spark.similar.command",
        "--warehouse",
        warehouse.root,
        "--run",
        "tiny",
        *words,
    ]
    return subprocess.run(command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_embedded_songs(tmp_path_factory.mktemp("embedded"), 240)


def test_a_song_by_its_name_gives_its_nearest(songs: Warehouse) -> None:
    done = similar(songs, "artist 3 - TITLE 10", "--k", "5", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["song"]["track_id"] == SONG
    embedded = read_embeddings(songs, "tiny")
    unit = embedded.vectors / np.linalg.norm(embedded.vectors.astype(float), axis=1, keepdims=True)
    cosine = unit @ unit[10]
    expected = [row for row in np.argsort(-cosine, kind="stable") if row != 10][:5]
    assert [song["track_id"] for song in said["neighbours"]] == embedded.track_ids[expected].tolist()
    np.testing.assert_allclose([song["distance"] for song in said["neighbours"]], 1 - cosine[expected], atol=1e-6)
    assert {song["genre"] for song in said["neighbours"]} == {said["song"]["genre"]}


def test_the_table_names_genre_artist_title_and_distance(songs: Warehouse) -> None:
    done = similar(songs, SONG, "--k", "3", "--exclude", "same-artist")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Ártist 3 - Title 10  ({SONG})")
    assert "Ártist" in done.stdout.split("\n\n", 1)[1]
    assert "Ártist 3 " not in done.stdout.split("\n\n", 1)[1]


def test_a_playlist_is_written_as_m3u(songs: Warehouse, tmp_path: Path) -> None:
    target = tmp_path / "list.m3u"
    done = similar(songs, SONG, "--playlist", "12", "--m3u", str(target), "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)["playlist"]
    assert listed[0]["track_id"] == SONG
    assert len({song["track_id"] for song in listed}) == 12
    assert all(one["artist"] != other["artist"] for one, other in pairwise(listed))
    lines = target.read_text().splitlines()
    assert lines[:3] == ["#EXTM3U", "#EXTINF:210,Ártist 3 - Title 10", f"{SONG}.mp3"]
    assert len(lines) == 25


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Artist 3 - Titel 10"], f"similar: no song is called 'Artist 3 - Titel 10'; the closest are\n  {SONG}"),
        (["ξξξ"], "similar: no song is called 'ξξξ', nor anything like it; name one as"),
        ([SONG, "--m3u", "x.m3u"], "similar: --m3u writes a playlist; add --playlist N"),
        ([SONG, "--k", "0"], "similar: --k and --playlist are at least 1"),
        (["no.h5"], "similar: no finished run models/tiny"),
    ],
)
def test_what_cannot_be_done_is_said(songs: Warehouse, words: list[str], said: str) -> None:
    done = similar(songs, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_song_file_is_placed_among_the_others(generated: Path, tmp_path: Path) -> None:
    warehouse = write_embedded_songs(tmp_path, 30)
    _write_model(warehouse)
    file = sorted((generated / "songs").rglob("*.h5"))[0]
    done = similar(warehouse, str(file), "--k", "4", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said["song"]["track_id"] == file.stem
    assert said["song"]["predicted_genre"] in ("Blues", "Jazz")
    assert len(said["neighbours"]) == 4
    assert not (tmp_path / "neighbours").exists()
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no song")
    done = similar(warehouse, str(broken))
    assert done.returncode == 2
    assert f"similar: {broken}: not_hdf5" in done.stderr


def _write_model(warehouse: Warehouse) -> None:
    """Write a model that knows nothing, but has the inputs and layers of a trained one."""
    import keras

    from msd_spark.core.model_inputs import input_shapes

    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shapes(GEOMETRY).items()}
    pooled = [keras.layers.GlobalAveragePooling1D()(inputs[name]) for name in ("chroma", "timbre")]
    joined = keras.layers.Concatenate()([*pooled, inputs["lyric_vector"], inputs["has_lyrics"], inputs["mask"]])
    embedding = keras.layers.Dense(50, name=EMBEDDING_LAYER)(joined)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(embedding))
    folder = Path(warehouse.path(RUNS, "tiny"))
    folder.mkdir(parents=True)
    model.save(folder / MODEL)
    metadata = {
        "target": {"name": "genre", "class_names": ["Blues", "Jazz"]},
        "geometry": {"n_segments": 300, "n_pitches": 12, "lyric_size": 50},
        "lyric_vectors": "none at all",
        "dataset": {},
        "normalisation": {},
    }
    warehouse.write_json({"vectors": {"fingerprint": "none at all"}}, "summaries", "lyrics.json")
    (folder / METADATA).write_text(json.dumps(metadata))
