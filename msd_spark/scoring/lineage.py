"""Trace a row of ``embeddings/RUN`` to its song file, lyrics, dataset, model and code."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.compute as pc
from tabulate import tabulate

from msd_spark.core.delta import TOKEN, UNITS, token_of
from msd_spark.core.errors import UserError
from msd_spark.core.runs import DATASET_FILE, DATASETS, MODEL, RUNS, newest_run, read_run
from msd_spark.core.warehouse import FOLDER, Warehouse
from msd_spark.scoring.settings import TABLE, LineageSettings
from msd_spark.scoring.state import ScoreState
from msd_spark.scoring.trained_run import model_digest

Lineage = dict[str, dict[str, Any]]


def run(settings: LineageSettings) -> None:
    """Run ``msd-spark lineage``."""
    warehouse = Warehouse(settings.warehouse)
    lineage = trace(warehouse, settings.run or newest_run(warehouse), settings.track_id)
    if settings.json:
        print(json.dumps({"track_id": settings.track_id} | lineage, indent=2, ensure_ascii=False))
    else:
        print(table(settings.track_id, lineage))


def trace(warehouse: Warehouse, run: str, track_id: str) -> Lineage:
    """Return the lineage of a track's row of ``embeddings/RUN``.

    It has the following parts, empty or None where the warehouse has no record:

    - ``song``: ``source`` and ``member`` as in ``songs/``, and the ``file`` of ``songs/``.
    - ``unit``: the unit of ingest that wrote this file, and the ``git_revision`` of its code.
    - ``lyrics``: whether they are ``present``, and ``vectors``, the fingerprint of the word vectors.
    - ``dataset``: the version that the model was trained on, whether it is ``in_warehouse``, and the track's ``split``,
      None if it is in no split.
    - ``model``: its ``digest`` now, and the ``git_revision`` of the code that trained it.
    - ``embedding``: the ``git_revision`` of the code that wrote the row, and what has ``changed`` since.
    """
    metadata = read_run(warehouse, run)
    row = _find(warehouse, track_id, ["has_lyrics"], TABLE, run)
    state = ScoreState.read(warehouse, run)
    if row is None:
        raise UserError(f"embeddings/{run} has no {track_id}; {_missing_reason(warehouse, state, track_id)}")
    song = _find(warehouse, track_id, ["source", "member"], "songs")
    digest = model_digest(warehouse.read_file(RUNS, run, metadata[FOLDER], MODEL))
    commit = warehouse.snapshot(TABLE, run).notes_with(TOKEN, token_of(row["file"]))
    changed = []
    if song is None:
        changed.append("the song is no longer in songs/")
    elif state and song["file"] not in state.files:
        changed.append("the song was ingested again")
    if state and state.model != digest:
        changed.append("the run was trained again")
    return {
        "song": song or {},
        "unit": _unit(warehouse, song["file"]) if song else {},
        "lyrics": {"present": row["has_lyrics"] > 0, "vectors": metadata["lyric_vectors"]},
        "dataset": _dataset(warehouse, metadata["dataset"], track_id),
        "model": {
            "run": run,
            "model": metadata.get("model"),
            "digest": digest,
            "git_revision": metadata.get("git_revision"),
        },
        "embedding": {"file": row["file"], "git_revision": commit.get("revision"), "changed": changed},
    }


def _missing_reason(warehouse: Warehouse, state: ScoreState | None, track_id: str) -> str:
    rejected = state.rejections.get(track_id) if state else None
    if rejected:
        return f"it was rejected ({rejected.reason}: {rejected.detail})"
    song = _find(warehouse, track_id, ["n_segments"], "songs")
    if song is None:
        return "it is not in songs/; ingest its song file"
    return "run msd-spark score again" if song["n_segments"] else "it has no segments; ingest its song file"


def _find(warehouse: Warehouse, track_id: str, columns: list[str], *table: str) -> dict[str, Any] | None:
    """Return a track's row of a table, with the name of its ``file``; None if it has no row."""
    rows = warehouse.read_table([*columns, "__filename"], *table, filter=pc.field("track_id") == track_id).to_pylist()
    if not rows:
        return None
    return rows[0] | {"file": rows[0].pop("__filename").removeprefix(warehouse.path(*table) + "/")}


def _unit(warehouse: Warehouse, file: str) -> dict[str, Any]:
    columns = ["unit", "kind", "location", "inputs"]
    if warehouse.is_complete("ledger"):
        for row in warehouse.read_table([*columns, "files"], "ledger").to_pylist():
            if file in row.pop("files"):
                commit = warehouse.snapshot("songs").notes_with(UNITS, row["unit"])
                return {**row, "git_revision": commit.get("revision")}
    return {}


def _dataset(warehouse: Warehouse, trained_on: dict[str, Any], track_id: str) -> dict[str, Any]:
    name, fingerprint = trained_on["name"], trained_on["fingerprint"]
    in_warehouse = (
        warehouse.exists(DATASETS, name, DATASET_FILE)
        and warehouse.read_json(DATASETS, name, DATASET_FILE).get("fingerprint") == fingerprint
    )
    row = _find(warehouse, track_id, [], DATASETS, name) if in_warehouse else None
    split = row["file"].split("/")[0] if row else None
    return {"name": name, "fingerprint": fingerprint, "in_warehouse": in_warehouse, "split": split}


def table(track_id: str, lineage: Lineage) -> str:
    """Return a lineage as text."""
    rows = [
        (f"{part}: {name.replace('_', ' ')}", _text(value))
        for part, facts in lineage.items()
        for name, value in facts.items()
    ]
    return tabulate(rows, headers=[track_id, ""], tablefmt="simple", disable_numparse=True)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) or "nothing" if isinstance(value, list) else str("none" if value is None else value)
