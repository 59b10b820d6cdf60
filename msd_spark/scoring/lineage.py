"""Where a row of ``embeddings/RUN`` came from: song file, unit of ingest, lyrics, dataset, model and code.

``python -m msd_spark.scoring.lineage --warehouse W --run RUN TRACK_ID``
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tabulate import tabulate

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.runs import METADATA, MODEL, RUNS, read_run
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.settings import REVISIONS_FILE, TABLE
from msd_spark.scoring.state import ScoreState
from msd_spark.scoring.trained_run import model_digest

STAGE = "lineage"
SPLITS = ("train", "validation", "test")
UNKNOWN = "not known"


@dataclass(frozen=True)
class Lineage:
    """What a row came from; None where the warehouse does not say.

    Attributes
    ----------
    track_id : str
    song : dict
        ``source`` and ``member`` as ``songs/`` has them, and the ``file`` of ``songs/`` that the song is in.
    unit : dict
        The unit of ingest that wrote this file: ``unit``, ``kind``, ``location``, and ``inputs``.
    lyrics : dict
        Whether the warehouse has lyrics of the track, and ``vectors``, the fingerprint of what they depend on.
    dataset : dict
        What the model was trained on: ``name``, ``fingerprint``, whether the warehouse still holds that version, and
        the ``split`` in which the track is; None for a track that is in none.
    model : dict
        ``run``, ``model``, ``digest`` of the model's file now, ``git_revision`` of the code that trained it.
    embedding : dict
        The ``file`` of ``embeddings/RUN``, the ``git_revision`` of the code that wrote it last, and ``changed``: what
        is not any more as it was then.
    """

    track_id: str
    song: dict[str, Any]
    unit: dict[str, Any]
    lyrics: dict[str, Any]
    dataset: dict[str, Any]
    model: dict[str, Any]
    embedding: dict[str, Any]


def trace(warehouse: Warehouse, run: str, track_id: str) -> Lineage:
    """Return where a track's row of ``embeddings/RUN`` came from.

    Raises
    ------
    UserError
        When the run or its embeddings are missing, or have no such track; then with the reason, where one is known.
    """
    metadata = read_run(warehouse, run)
    warehouse.require(TABLE, run)
    state = ScoreState.read(warehouse, run)
    row = _find(warehouse, track_id, ["has_lyrics"], TABLE, run)
    if row is None:
        refused = state.rejections.get(track_id) if state else None
        why = f"it was rejected ({refused.reason}: {refused.detail})" if refused else "is it in songs/?"
        raise UserError(f"embeddings/{run} has no {track_id}; {why}")
    song = _find(warehouse, track_id, ["source", "member"], "songs")
    with warehouse.filesystem.open_input_file(warehouse.path(RUNS, run, MODEL)) as source:
        digest = model_digest(source.read())
    revisions = warehouse.read_json(TABLE, run, REVISIONS_FILE) if warehouse.exists(TABLE, run, REVISIONS_FILE) else {}
    changed = []
    if song is None:
        changed.append("the song has left songs/")
    elif state and song["file"] not in state.files:
        changed.append("the song was ingested anew")
    if state and state.model != digest:
        changed.append("the run was trained anew")
    return Lineage(
        track_id,
        song or {},
        _unit(warehouse, song["file"]) if song else {},
        {"present": row["has_lyrics"] > 0, "vectors": metadata["lyric_vectors"]},
        _dataset(warehouse, metadata["dataset"], track_id),
        {"run": run, "model": metadata.get("model"), "digest": digest, "git_revision": metadata.get("git_revision")},
        {"file": row["file"], "git_revision": revisions.get(row["file"]), "changed": changed},
    )


def _find(warehouse: Warehouse, track_id: str, columns: list[str], *table: str) -> dict[str, Any] | None:
    """Return a track's row of a table, and the name of the file that it is in."""
    for path in warehouse.table_files(*table).paths:
        with warehouse.filesystem.open_input_file(path) as source:
            file = pq.ParquetFile(source)
            ids = file.read(["track_id"])["track_id"]
            place = pc.index(ids, pa.scalar(track_id, ids.type)).as_py()
            if place >= 0:
                found: dict[str, Any] = file.read(columns).slice(place, 1).to_pylist()[0]
                return found | {"file": path.removeprefix(warehouse.path(*table) + "/")}
    return None


def _unit(warehouse: Warehouse, file: str) -> dict[str, Any]:
    columns = ["unit", "kind", "location", "inputs"]
    for path in warehouse.table_files("ledger").paths:
        table = pq.read_table(path, columns=[*columns, "files"], filesystem=warehouse.filesystem, partitioning=None)
        for number, files in enumerate(table["files"].to_pylist()):
            if file in files:
                row: dict[str, Any] = table.select(columns).slice(number, 1).to_pylist()[0]
                return row
    return {}


def _dataset(warehouse: Warehouse, trained_on: dict[str, Any], track_id: str) -> dict[str, Any]:
    name = trained_on["name"]
    found = {"name": name, "fingerprint": trained_on["fingerprint"], "still_there": False, "split": None}
    if not warehouse.exists("dataset", name, METADATA):
        return found
    now = warehouse.read_json("dataset", name, METADATA).get("fingerprint")
    if now == trained_on["fingerprint"]:
        splits = (split for split in SPLITS if _find(warehouse, track_id, [], "dataset", name, split))
        found |= {"still_there": True, "split": next(splits, None)}
    return found


def table(lineage: Lineage) -> str:
    """Return a lineage as a table for people."""
    song, unit, dataset = lineage.song, lineage.unit, lineage.dataset
    member = f", member {song['member']}" if song.get("member") else ""
    if dataset["still_there"]:
        split = f"in its {dataset['split']} split" if dataset["split"] else "in none of its splits"
    else:
        split = "another version, or none, is in the warehouse now"
    rows = [
        ("song file", f"{song['source']}{member}" if song else UNKNOWN),
        ("its file of songs/", song.get("file", UNKNOWN)),
        ("unit of ingest", f"{unit['unit']} ({unit['kind']}, {unit['inputs']} inputs)" if unit else UNKNOWN),
        ("found under", unit.get("location", UNKNOWN)),
        ("lyrics", f"{'present' if lineage.lyrics['present'] else 'none'}, vectors {lineage.lyrics['vectors']}"),
        ("trained on", f"dataset/{dataset['name']}, fingerprint {dataset['fingerprint']}"),
        ("the track is", split),
        ("model", f"models/{lineage.model['run']} ({lineage.model['model']}), digest {lineage.model['digest']}"),
        ("trained by code", lineage.model["git_revision"] or UNKNOWN),
        ("row written to", lineage.embedding["file"]),
        ("scored by code", lineage.embedding["git_revision"] or UNKNOWN),
        ("changed since", ", ".join(lineage.embedding["changed"]) or "nothing"),
    ]
    return tabulate(rows, headers=[lineage.track_id, ""], tablefmt="simple", disable_numparse=True)


def main() -> None:
    """Print the lineage of the track that the command line names."""
    parser = job_parser(__doc__)
    parser.prog = "python -m msd_spark.scoring.lineage"
    parser.add_argument("track_id", metavar="TRACK_ID", help="a track of embeddings/RUN")
    parser.add_argument("--run", required=True, metavar="NAME", help="the run of models/NAME")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    found = trace(Warehouse(arguments.warehouse), arguments.run, arguments.track_id)
    print(json.dumps(asdict(found), indent=2, ensure_ascii=False) if arguments.json else table(found))


if __name__ == "__main__":
    exit_with(main)
