from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from msd_spark.core import provenance
from msd_spark.core.errors import UserError
from msd_spark.core.runs import DATASET_FILE, run_file
from msd_spark.core.schemas import EMBEDDINGS, EXAMPLES, LEDGER, SONGS
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.lineage import table, trace
from msd_spark.scoring.settings import STATE_FILE
from tests.support.embedded_songs import write_embedded_songs

TRACK = f"TR000007{'A' * 10}"
METADATA = {
    "run": "tiny",
    "model": "cnn",
    "target": {"name": "genre", "class_names": ["Blues", "Jazz", "Latin", "Rap"]},
    "geometry": {"n_segments": 300, "n_pitches": 12, "lyric_size": 50, "segments": "first"},
    "normalisation": {},
    "lyric_vectors": "these words",
    "dataset": {"name": "genre", "fingerprint": "d1"},
    "git_revision": "abc-dirty",
}


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = write_embedded_songs(tmp_path / "w", n=24)
    with made.replacing_folder("models", "tiny") as folder:
        made.write_file(b"weights", *folder.names, "model.keras")
        folder.point_by_json("metadata.json", METADATA)
    unit = {"unit": "u1", "kind": "tar", "location": "/data", "source": "/data/x.tar", "inputs": 24, "songs": 24}
    rest = {"rejected": 0, "duplicates": 0, "seconds": 1.0, "track_ids": [], "rejections": []}
    files = {"files": [file_of(made, "songs")], "file_sizes": [1], "file_rows": [24]}
    made.write_arrow(pa.Table.from_pylist([unit | rest | files], LEDGER), "ledger")
    write_dataset(made, "d1")
    write_state(made)
    return made


def file_of(warehouse: Warehouse, *table: str) -> str:
    """Return the name of the only file of a table."""
    (file,) = warehouse.snapshot(*table).files
    return file.name


def write_dataset(warehouse: Warehouse, fingerprint: str) -> None:
    """Write a dataset with one track per split."""
    empty: dict[str, object] = {field.name: b"" if pa.types.is_binary(field.type) else 0 for field in EXAMPLES}
    with warehouse.overwriting(EXAMPLES, "dataset", "genre", partition_by="split") as writer:
        for split, track in (("train", "TRX"), ("validation", "TRY"), ("test", TRACK)):
            row = empty | {"track_id": track, "song_id": None, "artist_group": "a"}
            writer.add([writer.destination.write(0, pa.Table.from_pylist([row], EXAMPLES), split)])
        writer.write_json({"fingerprint": fingerprint}, DATASET_FILE)


def write_state(warehouse: Warehouse, *rejected: dict[str, str]) -> None:
    """Write the embeddings again, with the state of their scoring, as a program of the revision "def" would."""
    rows = warehouse.read_table(None, "embeddings", "tiny")
    state = {"files": {file_of(warehouse, "songs"): 1}, "lyrics": "", "rejected": rejected}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "code_revision", lambda: "def")
        with warehouse.overwriting(EMBEDDINGS, "embeddings", "tiny") as writer:
            writer.write(rows)
            writer.write_json(state | {"model": digest_of(b"weights")}, STATE_FILE)


def digest_of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def test_a_row_is_traced_to_file_unit_dataset_model_and_code(warehouse: Warehouse) -> None:
    lineage = trace(warehouse, "tiny", TRACK)
    assert lineage["song"] == {"source": f"/data/{TRACK}.h5", "member": None, "file": file_of(warehouse, "songs")}
    assert lineage["unit"] == {"unit": "u1", "kind": "tar", "location": "/data", "inputs": 24, "git_revision": None}
    assert lineage["lyrics"] == {"present": False, "vectors": "these words"}  # song 7: 7 % 4 is 3
    assert lineage["dataset"] == {"name": "genre", "fingerprint": "d1", "in_warehouse": True, "split": "test"}
    assert lineage["model"] == {
        "run": "tiny",
        "model": "cnn",
        "digest": digest_of(b"weights"),
        "git_revision": "abc-dirty",
    }
    file = file_of(warehouse, "embeddings", "tiny")
    assert lineage["embedding"] == {"file": file, "git_revision": "def", "changed": []}
    shown = table(TRACK, lineage)
    for word in (f"/data/{TRACK}.h5", "u1", "tar", "test", "abc-dirty", "nothing"):
        assert word in shown


def test_changes_are_listed(warehouse: Warehouse) -> None:
    warehouse.write_file(b"other weights", *run_file(warehouse, "tiny", "model.keras"))
    write_dataset(warehouse, "d2")
    songs = warehouse.read_table(None, "songs")
    warehouse.write_arrow(songs, "songs")
    lineage = trace(warehouse, "tiny", TRACK)
    assert lineage["embedding"]["changed"] == ["the song was ingested again", "the run was trained again"]
    assert (lineage["unit"], lineage["dataset"]["in_warehouse"], lineage["dataset"]["split"]) == ({}, False, None)
    assert ["dataset:", "in", "warehouse", "no"] in [line.split() for line in table(TRACK, lineage).splitlines()]
    warehouse.write_arrow(songs.slice(0, 0), "songs")
    assert "the song is no longer in songs/" in trace(warehouse, "tiny", TRACK)["embedding"]["changed"]
    assert "unit:" not in table(TRACK, trace(warehouse, "tiny", TRACK))


def test_a_rejected_track_has_another_error_than_an_unknown_one(warehouse: Warehouse) -> None:
    with pytest.raises(UserError, match=r"embeddings/tiny has no TRZ; it is not in songs/; ingest its song file"):
        trace(warehouse, "tiny", "TRZ")
    write_state(warehouse, {"source": "x", "member": "TRZ", "reason": "not_finite", "detail": "NaN"})
    with pytest.raises(UserError, match=r"has no TRZ; it was rejected \(not_finite: NaN\)"):
        trace(warehouse, "tiny", "TRZ")
    with pytest.raises(UserError, match="no finished run models/other; finished: tiny"):
        trace(warehouse, "other", TRACK)


def test_a_song_without_segments_has_no_row(warehouse: Warehouse) -> None:
    songs = warehouse.read_table(None, "songs").to_pylist()
    songs[0] |= {"track_id": "TRY", "n_segments": 0}
    warehouse.write_arrow(pa.Table.from_pylist(songs[:1], SONGS), "songs")
    with pytest.raises(UserError, match="has no TRY; it has no segments; ingest its song file"):
        trace(warehouse, "tiny", "TRY")
