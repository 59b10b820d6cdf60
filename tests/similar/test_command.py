"""The command ``msd-spark similar``."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.command_line import run_verb
from msd_spark.core.runs import METADATA, MODEL, RUNS
from msd_spark.core.schemas import EMBEDDING_LAYER, GEOMETRY, SONGS
from msd_spark.core.warehouse import Warehouse
from tests.support.embedded_songs import write_embedded_songs

SONG = f"TR000010{'A' * 10}"


def similar(capsys: pytest.CaptureFixture[str], warehouse: Warehouse, *words: str) -> str:
    """Return what the command prints."""
    run_verb("similar", ["--warehouse", warehouse.root, "--run", "tiny", *words])
    return capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], warehouse: Warehouse, *words: str) -> str:
    """Return the error that the command prints."""
    with pytest.raises(SystemExit) as caught:
        similar(capsys, warehouse, *words)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return write_embedded_songs(tmp_path_factory.mktemp("embedded"), 240)


def test_a_song_by_its_name_has_its_nearest_songs(songs: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    printed = json.loads(similar(capsys, songs, "artist 3 - TITLE 10", "--k", "5", "--json"))
    assert printed["song"]["track_id"] == SONG
    embedded = read_embeddings(songs, "tiny")
    unit = embedded.vectors / np.linalg.norm(embedded.vectors.astype(float), axis=1, keepdims=True)
    cosine = unit @ unit[10]
    expected = [row for row in np.argsort(-cosine, kind="stable") if row != 10][:5]
    assert [song["track_id"] for song in printed["neighbours"]] == embedded.track_ids[expected].tolist()
    np.testing.assert_allclose([song["distance"] for song in printed["neighbours"]], 1 - cosine[expected], atol=1e-6)
    assert {song["genre"] for song in printed["neighbours"]} == {printed["song"]["genre"]}


def test_the_table_has_genre_artist_title_and_distance(songs: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    printed = similar(capsys, songs, SONG, "--k", "3", "--exclude", "same-artist")
    assert printed.startswith(f"Ártist 3 - Title 10  ({SONG})")
    assert "Ártist" in printed.split("\n\n", 1)[1]
    assert "Ártist 3 " not in printed.split("\n\n", 1)[1]


def test_a_playlist_is_written_as_m3u(songs: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "list.m3u"
    printed = similar(capsys, songs, SONG, "--playlist", "12", "--m3u", str(target), "--json")
    listed = json.loads(printed)["playlist"]
    assert listed[0]["track_id"] == SONG
    assert len({song["track_id"] for song in listed}) == 12
    assert all(one["artist"] != other["artist"] for one, other in pairwise(listed))
    lines = target.read_text().splitlines()
    assert lines[:3] == ["#EXTM3U", "#EXTINF:210,Ártist 3 - Title 10", f"{SONG}.mp3"]
    assert len(lines) == 25


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["Artist 3 - A Name"],
            "similar: no song is called 'Artist 3 - A Name' among the 240 with an embedding; closest\n  TR",
        ),
        (["ARTIST 3"], "similar: 'ARTIST 3' is the name of an artist; give a title, or one of these"),
        (
            ["ξξξ"],
            "similar: no song is called 'ξξξ' among the 240 with an embedding; give 'artist - title', a track id",
        ),
        ([SONG, "--m3u", "x.m3u"], "similar: --m3u is 'x.m3u'; allowed: only with --playlist N"),
        ([SONG, "--k", "0"], "similar: --k is 0; allowed: 1 or more"),
        ([SONG, "--playlist", "0"], "similar: --playlist is 0; allowed: 1 or more"),
        ([SONG, "--playlist", "3", "--balance", "2"], "similar: --balance is 2.0; allowed: 0 to 1"),
        ([SONG, "--metric", "angle"], "--metric"),
        ([], "SONG"),
        (["no.h5"], "similar: no finished run models/tiny"),
    ],
)
def test_refusals(songs: Warehouse, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refusal(capsys, songs, *words)


def test_choices_and_other_versions_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = write_embedded_songs(tmp_path, 30)
    rows = warehouse.read_table(None, "songs").to_pylist()
    for number in (3, 4, 6):  # two by artist 1, one by artist 2
        rows[number] |= {"title": "Hallelujah", "release": "Grace", "song_hotttnesss": number / 10}
    warehouse.write_arrow(pa.Table.from_pylist(rows, SONGS), "songs")
    first, second, other = (rows[number]["track_id"] for number in (4, 3, 6))
    assert refusal(capsys, warehouse, "halelujah").splitlines() == [
        "similar: no song is called 'halelujah', but several similarly; give one of these track ids",
        f"  {other}  Ártist 2 - Hallelujah  (Grace, {rows[6]['year']})",
        f"  {first}  Ártist 1 - Hallelujah  (Grace, {rows[4]['year']}), 2 versions",
    ]
    run_verb("similar", ["artist 1 hallelujah", "--warehouse", warehouse.root, "--run", "tiny"])
    printed = capsys.readouterr()
    assert printed.out.startswith(f"Ártist 1 - Hallelujah  ({first})")
    assert printed.err.splitlines() == [
        "other versions by this artist; give a track id to choose one",
        f"  {second}  Ártist 1 - Hallelujah  (Grace, {rows[3]['year']})",
    ]
    run_verb("similar", ["artist 3 titel 10", "--warehouse", warehouse.root, "--run", "tiny"])
    assert capsys.readouterr().err == "no song is called 'artist 3 titel 10'; using the most similar name\n"


def test_a_song_without_others_to_list_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = write_embedded_songs(tmp_path, 2)
    (track_id, _) = read_embeddings(few, "tiny").track_ids
    message = "similar: embeddings/tiny has no other song to list; drop --exclude, or ingest more songs and run "
    assert refusal(capsys, few, track_id, "--exclude", "same-artist").startswith(message)


def test_missing_inputs_are_named_with_their_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Warehouse(str(tmp_path / "empty"))
    assert "run msd-spark ingest first" in refusal(capsys, warehouse, SONG)
    with pytest.raises(SystemExit):
        run_verb("similar", ["--warehouse", warehouse.root, SONG])
    assert "run msd-spark train first" in capsys.readouterr().err
    assert not (tmp_path / "empty").exists()


def test_a_song_file_is_placed_among_the_others(
    generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = write_embedded_songs(tmp_path, 30)
    _write_model(warehouse)
    file = sorted((generated / "songs").rglob("*.h5"))[0]
    printed = json.loads(similar(capsys, warehouse, str(file), "--k", "4", "--json"))
    assert printed["song"]["track_id"] == file.stem
    assert printed["song"]["predicted_genre"] in ("Blues", "Jazz")
    assert len(printed["neighbours"]) == 4
    assert not (tmp_path / "neighbours").exists()
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no song")
    assert f"similar: {broken}: not_hdf5" in refusal(capsys, warehouse, str(broken))


def _write_model(warehouse: Warehouse) -> None:
    """Write a model that knows nothing, but has the inputs and layers of a trained one."""
    import keras

    from msd_spark.core.model_inputs import input_shapes

    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shapes(GEOMETRY).items()}
    pooled = [keras.layers.GlobalAveragePooling1D()(inputs[name]) for name in ("chroma", "timbre")]
    joined = keras.layers.Concatenate()([*pooled, inputs["lyric_vector"], inputs["has_lyrics"], inputs["mask"]])
    embedding = keras.layers.Dense(50, name=EMBEDDING_LAYER)(joined)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(embedding))
    metadata = {
        "target": {"name": "genre", "class_names": ["Blues", "Jazz"]},
        "geometry": {"n_segments": 300, "n_pitches": 12, "lyric_size": 50},
        "lyric_vectors": "none at all",
        "dataset": {},
        "normalisation": {},
    }
    warehouse.write_json({"vectors": {"fingerprint": "none at all"}}, "summaries", "lyrics.json")
    with warehouse.replacing_folder(RUNS, "tiny") as folder:
        model.save(f"{folder.path}/{MODEL}")
        folder.point_by_json(METADATA, metadata)
