"""Tables with a missing or truncated file, and broken JSON: every verb names the file and what to do."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest

from msd_spark.core import schemas
from msd_spark.core.command_line import main
from msd_spark.core.delta import DeltaFolder, Snapshot
from msd_spark.core.errors import DamagedError
from msd_spark.core.runs import METADATA, NEEDED, read_run
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.index import read_index
from tests.awkward import POSITIONAL
from tests.support.without_spark import ingest, rows, write_songs

READ_BY = {
    ("songs",): ("dataset", "score", "neighbours", "similar", "plays"),
    ("lyrics",): ("dataset",),
    ("labels",): ("dataset",),
    ("plays",): ("factors",),
    ("embeddings", "demo"): ("neighbours", "maps", "report", "similar", "lineage"),
    ("dataset", "genre"): ("train", "evaluate", "listen", "search", "compare"),
}
"""Verbs that read a table before they start Spark or TensorFlow."""

SCHEMAS = {("songs",): schemas.SONGS, ("labels",): schemas.LABELS, ("embeddings", "demo"): schemas.EMBEDDINGS}
WORDS = {"train": ["--run", "new"], "compare": ["--models", "cnn"], "dataset": ["--require", "lyrics"]}


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Tables without rows, a dataset and a run, whose files are complete."""
    warehouse = Warehouse(str(tmp_path / "w"))
    for names in READ_BY:
        warehouse.write_arrow(SCHEMAS.get(names, pa.schema([("track_id", pa.string())])).empty_table(), *names)
    metadata = dict.fromkeys(NEEDED, "") | {"dataset": {"name": "genre"}, "geometry": asdict(schemas.GEOMETRY)}
    with warehouse.replacing_folder("models", "demo") as folder:
        folder.point_by_json(METADATA, metadata)
    return warehouse


def run(verb: str, warehouse: Warehouse, folder: Path) -> None:
    words = ["--data", str(folder / "data")] if verb == "plays" else []
    triplets = folder / "data" / "tasteprofile" / "train_triplets.txt"
    triplets.parent.mkdir(parents=True, exist_ok=True)
    triplets.write_text("user\tSOAAAAA12A6D4F9999\t1\n")
    with pytest.raises(SystemExit, match=r"^2$"):
        main([verb, *POSITIONAL.get(verb, ()), *WORDS.get(verb, ()), *words, "--warehouse", warehouse.root])


@pytest.mark.parametrize(("names", "verb"), [(names, verb) for names, verbs in READ_BY.items() for verb in verbs])
def test_every_verb_names_the_missing_file_of_a_table(
    names: tuple[str, ...], verb: str, warehouse: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = warehouse.paths(*names)
    Path(path).unlink()
    run(verb, warehouse, tmp_path)
    writer = {"songs": "ingest", "embeddings": "score"}.get(names[0], names[0])
    assert capsys.readouterr() == (
        "",
        f"{verb}: table {warehouse.path(*names)} is damaged: {Path(path).name} is missing; "
        f"copy it again, or run msd-spark {writer} again\n",
    )


def test_a_truncated_file_is_named_with_its_sizes(warehouse: Warehouse) -> None:
    (path,) = warehouse.paths("songs")
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:-100])
    message = f"songs is damaged: {Path(path).name} has {len(content) - 100:,} bytes instead of {len(content):,}; copy"
    for read in (
        warehouse.open_table,
        warehouse.paths,
        warehouse.require,
        lambda name: warehouse.read_table(None, name),
    ):
        with pytest.raises(DamagedError, match=message):
            read("songs")


def test_a_file_with_other_bytes_of_the_same_size_is_named(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    with warehouse.overwriting(pa.schema([("number", pa.int64())]), "songs") as writer:
        for part in range(3):
            writer.write(pa.table({"number": [part] * 1000}))
    path = Path(warehouse.paths("songs")[1])
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) - 8) + content[-4:])
    with pytest.raises(
        DamagedError, match=f"^{path} cannot be read: .*; copy it again, or run msd-spark ingest again$"
    ):
        warehouse.read_table(None, "songs")


def test_a_table_that_is_replaced_meanwhile_is_not_damaged(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = warehouse.snapshot("songs")
    warehouse.write_arrow(schemas.SONGS.empty_table(), "songs")
    now, answers = warehouse.snapshot("songs"), [before]
    assert {file.name for file in before.files}.isdisjoint(
        path.name for path in Path(warehouse.path("songs")).iterdir()
    )
    current = DeltaFolder.snapshot

    def stale_at_first(table: DeltaFolder) -> Snapshot | None:
        return answers.pop() if answers else current(table)

    monkeypatch.setattr(DeltaFolder, "snapshot", stale_at_first)
    assert warehouse.snapshot("songs") == now
    assert not answers


@pytest.mark.parametrize("content", ["", '{"a": ', "\x00\x01", "[1]", "7"])
def test_broken_metadata_of_a_run_is_named(content: str, warehouse: Warehouse) -> None:
    warehouse.write_file(content.encode(), "models", "demo", METADATA)
    with pytest.raises(DamagedError, match=r"models/demo/metadata\.json is not .*run msd-spark train again$"):
        read_run(warehouse, "demo")


def test_broken_json_of_tables_and_summaries_is_named(warehouse: Warehouse) -> None:
    with warehouse.overwriting(pa.schema([("track_id", pa.string())]), "dataset", "genre") as writer:
        writer.write_json({}, "_metadata.json")
    Path(warehouse.file("dataset", "genre", "_metadata.json")).write_bytes(b"\xff")
    warehouse.write_file(b"{", "summaries", "maps.json")
    with pytest.raises(
        DamagedError, match=r"_metadata\.json is not valid JSON .*; copy it .* run msd-spark dataset again"
    ):
        warehouse.read_json("dataset", "genre", "_metadata.json")
    with pytest.raises(DamagedError, match=r"summaries/maps\.json is not valid JSON .* run msd-spark maps again"):
        warehouse.read_json("summaries", "maps.json")


def test_a_missing_file_of_a_run_is_named(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["score", "--warehouse", warehouse.root])
    error = capsys.readouterr().err
    assert error.startswith(f"score: {warehouse.path('models', 'demo')}/")
    assert error.endswith("/model.keras is missing; copy it again, or run msd-spark train again\n")
    with pytest.raises(
        FileNotFoundError, match=r"test\.parquet is missing; copy it again, or run msd-spark train again"
    ):
        warehouse.read_parquet("models", "demo", "test.parquet")


def test_a_missing_index_is_named(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match=r"/index\.faiss is missing$"):
        read_index(warehouse.filesystem, warehouse.path("index.faiss"))


@pytest.mark.parametrize("damage", ["missing", "truncated"])
@pytest.mark.parametrize("table", ["songs", "rejected/stage=ingest"])
def test_the_next_ingest_repairs_its_tables(table: str, damage: str, tmp_path: Path) -> None:
    write_songs(tmp_path / "data", range(6))
    (tmp_path / "data" / "bad.h5").write_bytes(b"no song")
    uri, names = tmp_path / "w", table.split("/")
    ingest(uri, tmp_path / "data", inputs_per_unit=3)
    before = rows(uri, "songs"), rows(uri, "rejected")
    path = Path(Warehouse(str(uri)).paths(*names)[0])
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DamagedError, match="run msd-spark ingest again"):
        Warehouse(str(uri)).require(*names)
    summary = ingest(uri, tmp_path / "data", inputs_per_unit=3)
    assert (rows(uri, "songs"), rows(uri, "rejected")) == before
    assert (summary.facts["songs"], summary.facts["rejected"]) == (6, 1)
    Warehouse(str(uri)).require(*names)


def test_an_ingest_with_a_damaged_ledger_says_so(tmp_path: Path) -> None:
    write_songs(tmp_path / "data", range(2))
    ingest(tmp_path / "w", tmp_path / "data")
    Path(Warehouse(str(tmp_path / "w")).paths("ledger")[0]).unlink()
    with pytest.raises(DamagedError, match="copy it again, or delete the table and run msd-spark ingest again"):
        ingest(tmp_path / "w", tmp_path / "data")
