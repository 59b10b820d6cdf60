from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import EXAMPLES, LEDGER
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.lineage import table, trace
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
    made.write_json(METADATA, "models", "tiny", "metadata.json")
    Path(made.path("models", "tiny", "model.keras")).write_bytes(b"weights")
    unit = {"unit": "u1", "kind": "tar", "location": "/data", "source": "/data/x.tar", "inputs": 24, "songs": 24}
    rest = {"rejected": 0, "duplicates": 0, "seconds": 1.0, "files": ["part-0.parquet"], "track_ids": []}
    made.write_arrow(pa.Table.from_pylist([unit | rest], LEDGER), "ledger")
    empty: dict[str, object] = {field.name: [] if pa.types.is_list(field.type) else 0 for field in EXAMPLES}
    for split, track in (("train", "TRX"), ("validation", "TRY"), ("test", TRACK)):
        row = empty | {"track_id": track, "song_id": None, "artist_group": "a"}
        folder = Path(made.path("dataset", "genre", split))
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([row], EXAMPLES), folder / "part-000000.parquet")
    made.write_json({"fingerprint": "d1"}, "dataset", "genre", "metadata.json")
    made.write_json({"part-0.parquet": "def"}, "embeddings", "tiny", "_revisions.json")
    state = {"files": {"part-0.parquet": 1}, "lyrics": "", "rejected": []}
    made.write_json(state | {"model": digest_of(b"weights")}, "embeddings", "tiny", "_scored.json")
    return made


def digest_of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def test_a_row_is_traced_to_file_unit_dataset_model_and_code(warehouse: Warehouse) -> None:
    lineage = trace(warehouse, "tiny", TRACK)
    assert lineage["song"] == {"source": f"/data/{TRACK}.h5", "member": None, "file": "part-0.parquet"}
    assert lineage["unit"] == {"unit": "u1", "kind": "tar", "location": "/data", "inputs": 24}
    assert lineage["lyrics"] == {"present": False, "vectors": "these words"}  # song 7: 7 % 4 is 3
    assert lineage["dataset"] == {"name": "genre", "fingerprint": "d1", "in_warehouse": True, "split": "test"}
    assert lineage["model"] == {
        "run": "tiny",
        "model": "cnn",
        "digest": digest_of(b"weights"),
        "git_revision": "abc-dirty",
    }
    assert lineage["embedding"] == {"file": "part-0.parquet", "git_revision": "def", "changed": []}
    shown = table(TRACK, lineage)
    for word in (f"/data/{TRACK}.h5", "u1", "tar", "test", "abc-dirty", "nothing"):
        assert word in shown


def test_changes_are_listed(warehouse: Warehouse) -> None:
    Path(warehouse.path("models", "tiny", "model.keras")).write_bytes(b"other weights")
    warehouse.write_json({"fingerprint": "d2"}, "dataset", "genre", "metadata.json")
    songs = Path(warehouse.path("songs"))
    (songs / "part-0.parquet").rename(songs / "part-1.parquet")
    lineage = trace(warehouse, "tiny", TRACK)
    assert lineage["embedding"]["changed"] == ["the song was ingested again", "the run was trained again"]
    assert (lineage["unit"], lineage["dataset"]["in_warehouse"], lineage["dataset"]["split"]) == ({}, False, None)
    assert ["dataset:", "in", "warehouse", "no"] in [line.split() for line in table(TRACK, lineage).splitlines()]
    (songs / "part-1.parquet").unlink()
    assert "the song is no longer in songs/" in trace(warehouse, "tiny", TRACK)["embedding"]["changed"]
    assert "unit:" not in table(TRACK, trace(warehouse, "tiny", TRACK))


def test_a_rejected_track_has_another_error_than_an_unknown_one(warehouse: Warehouse) -> None:
    with pytest.raises(UserError, match=r"embeddings/tiny has no TRZ; is it in songs/\?"):
        trace(warehouse, "tiny", "TRZ")
    path = Path(warehouse.path("embeddings", "tiny", "_scored.json"))
    refused = {"source": "x", "member": "TRZ", "reason": "no_segments", "detail": "0 segments"}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rejected": [refused]}))
    with pytest.raises(UserError, match=r"has no TRZ; it was rejected \(no_segments: 0 segments\)"):
        trace(warehouse, "tiny", "TRZ")
    with pytest.raises(UserError, match="no finished run models/other; finished: tiny"):
        trace(warehouse, "other", TRACK)
