"""The table of results under the 2019 protocol, next to other runs and the original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core import original_2019
from msd_spark.core.formatting import number, with_interval
from msd_spark.core.original_2019 import beside_original, confused_pairs
from msd_spark.core.runs import HISTORY, METADATA, METRICS, RUNS, finished_runs, run_file
from msd_spark.core.warehouse import Warehouse
from training.data.predictions import Predictions
from training.data.targets.genre import Genre
from training.evaluation.leaks import find_leak
from training.protocol_2019.examples import ARTIST_DISJOINT, HELD_OUT, VALIDATION

HEADS = ("result", "reliable", "accuracy", "macro F1", "examples", "reason")

OTHER_RUNS = 3
"""Maximum number of ordinary runs to list, in order of name."""


def protocol_rows(
    warehouse: Warehouse, dataset: Mapping[str, Any], run: Mapping[str, Any], predictions: Mapping[str, Predictions]
) -> list[dict[str, Any]]:
    """Return the rows of the table of a run, with the columns `HEADS`.

    The run is followed by ordinary runs of the same model on the source dataset.
    `dataset` is the metadata of the protocol's dataset; `run` has ``model``, ``inputs``, ``metrics`` and ``training``,
    the run's `TrainingTruths`; `predictions` are by split.
    """
    protocol, model, training = dataset["protocol"], run["model"], run["training"]
    shares = {}
    for split in (HELD_OUT, ARTIST_DISJOINT):
        leak = find_leak(predictions[split].judged(), training)
        shares[split] = leak.examples_of_known_artists / max(leak.examples, 1)
    copies = protocol["validation_rows_trained_on"] / max(dataset["rows"][VALIDATION], 1)
    held_out, apart = f"{shares[HELD_OUT]:.0%}", f"{shares[ARTIST_DISJOINT]:.0%}"
    splits = {
        VALIDATION: ("validation, split off after resampling", "no", f"{copies:.0%} of its tracks are training tracks"),
        HELD_OUT: (
            "held-out tracks, split by track",
            "partly",
            f"no training tracks, but {held_out} are by training artists",
        ),
        ARTIST_DISJOINT: (
            "tracks of other artists",
            "partly" if shares[ARTIST_DISJOINT] else "yes",
            f"{apart} are by training artists",
        ),
    }
    rows = [
        _row(f"{model}, 2019: {result}", reliable, run["metrics"][split]["model"], reason)
        for split, (result, reliable, reason) in splits.items()
    ]
    reason, n_rows = "split by artist; nothing is resampled across splits", len(rows) + OTHER_RUNS
    for name in sorted(finished_runs(warehouse)):
        metadata = warehouse.read_json(RUNS, name, METADATA)
        arguments = metadata["arguments"]
        if (
            len(rows) < n_rows
            and metadata["dataset"]["fingerprint"] == protocol["source"]["fingerprint"]
            and metadata["target"]["name"] == Genre.name
            and (arguments.get("model"), arguments.get("inputs")) == (model, run["inputs"])
            and (test := warehouse.read_json(*run_file(warehouse, name, METRICS)).get("test"))
        ):
            rows.append(_row(f"{model}: test split of run {name}", "yes", test["model"], reason))
    return rows


def original_table(warehouse: Warehouse, dataset: Mapping[str, Any]) -> str:
    """Return tables of all runs on a protocol's dataset, next to the original.

    `dataset` is the dataset's metadata.
    """
    runs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    epochs: dict[str, list[str]] = {}
    pairs: dict[str, list[str]] = {}
    for name in finished_runs(warehouse):
        metadata = warehouse.read_json(RUNS, name, METADATA)
        if metadata["dataset"]["fingerprint"] != dataset["fingerprint"]:
            continue
        metrics = warehouse.read_json(*run_file(warehouse, name, METRICS))
        runs[name] = metadata, metrics
        history = warehouse.read_json(*run_file(warehouse, name, HISTORY))
        for split in ("train", VALIDATION):
            epochs[f"{name}: {split}"] = [number(row.get(f"{split}_accuracy")) for row in history]
        pairs[name] = confused_pairs(metrics[HELD_OUT]["model"]["confusion_matrix"], metadata["labels"])
    longest = range(1, max(map(len, epochs.values()), default=0) + 1)
    parts = (
        tabulate(beside_original(runs), original_2019.HEADS, tablefmt="simple", disable_numparse=True),
        original_2019.NOTE,
        tabulate({"accuracy in epoch": longest, **epochs}, "keys", tablefmt="simple", disable_numparse=True),
        tabulate(pairs, "keys", tablefmt="simple"),
        f"The last table has the most confused genres on the split {HELD_OUT}: true → predicted, tracks.",
    )
    return "\n\n".join(parts)


def _row(result: str, reliable: str, metrics: Mapping[str, Any], reason: str) -> dict[str, Any]:
    values = (with_interval(metrics, "accuracy"), with_interval(metrics, "macro_f1"), f"{metrics['examples']:,}")
    return dict(zip(HEADS, (result, reliable, *values, reason), strict=True))


def protocol_table(rows: list[dict[str, Any]], dataset: Mapping[str, Any]) -> str:
    """Return the numbers of tracks and the rows of results as text."""
    protocol, n_rows = dataset["protocol"], dataset["rows"]
    facts = [
        ("tracks", f"{protocol['tracks']:,}"),
        ("without a genre", f"{protocol['without_genre']:,}"),
        ("too short", f"{protocol['too_short']:,}"),
        ("used", f"{protocol['kept']:,}"),
        ("held out", f"{n_rows[HELD_OUT]:,}"),
        ("by other artists", f"{n_rows[ARTIST_DISJOINT]:,}"),
        ("drawn", f"{protocol['drawn_tracks']:,}"),
        ("never drawn", f"{protocol['tracks_never_drawn']:,}"),
        ("rows of train and validation", f"{n_rows['train']:,} + {n_rows[VALIDATION]:,}"),
    ]
    first = tabulate(facts, headers=["protocol 2019", ""], tablefmt="simple", colalign=("left", "right"))
    return f"{first}\n\n{tabulate(rows, headers='keys', tablefmt='simple', disable_numparse=True)}"


def inflation(metrics: Mapping[str, Any]) -> str:
    """Return by how much validation accuracy exceeds that on other artists."""
    shown, honest = (metrics[split]["model"]["accuracy"] for split in (VALIDATION, ARTIST_DISJOINT))
    if shown is None or honest is None:
        return "validation accuracy cannot be compared with that on other artists: a split has one genre only"
    return f"validation accuracy is {number(shown - honest)} above accuracy on other artists"
