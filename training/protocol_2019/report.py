"""What the protocol of 2019 gives, beside other figures: each figure, what it is, and whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core.formatting import number, with_interval
from msd_spark.core.runs import METADATA, METRICS, RUNS
from msd_spark.core.warehouse import Warehouse
from training.data.predictions import Predictions
from training.evaluation.leaks import find_leak
from training.protocol_2019.examples import ARTIST_DISJOINT, HELD_OUT, VALIDATION

ORIGINAL = (
    ("dense", "≈ .40", "“validation/test”"),
    ("LSTM", "≈ .30", "“validation/test”"),
    ("CNN", ".50 to .55", "“validation/test”"),
    ("CNN", ".376", "held out"),
)
"""Accuracies that the original project gave, and what it called them; on its own songs, so no more than beside ours."""

HEADS = ("figure", "believe it", "accuracy", "macro F1", "examples", "why")


def protocol_rows(
    warehouse: Warehouse, dataset: Mapping[str, Any], run: Mapping[str, Any], predictions: Mapping[str, Predictions]
) -> list[dict[str, Any]]:
    """Return the table of a run under the protocol.

    Parameters
    ----------
    warehouse : Warehouse
    dataset : mapping
        Metadata of the dataset that the protocol made.
    run : mapping
        ``model``, ``inputs``, ``metrics`` and ``training``, the run's `TrainingTruths`.
    predictions : mapping
        By split.

    Returns
    -------
    list of dict
        By the names of `HEADS`.
    """
    protocol, metrics, rows = dataset["protocol"], run["metrics"], []
    shares = {}
    for split in (HELD_OUT, ARTIST_DISJOINT):
        of = predictions[split].judged()
        leak = find_leak(of.track_ids, of.artist_groups, run["training"].track_ids, run["training"].artist_groups)
        shares[split] = leak.examples_of_known_artists / max(leak.examples, 1)
    copies = protocol["validation_rows_trained_on"] / max(dataset["rows"][VALIDATION], 1)
    reasons = {
        VALIDATION: ("validation, cut off after resampling", "no", f"{copies:.0%} of its rows are tracks trained on"),
        HELD_OUT: (
            "held-out tracks, parted by track",
            "partly",
            f"no track was trained on; {shares[HELD_OUT]:.0%} are by artists that were",
        ),
        ARTIST_DISJOINT: (
            "tracks of other artists",
            "yes" if not shares[ARTIST_DISJOINT] else "partly",
            f"{shares[ARTIST_DISJOINT]:.0%} are by artists that were trained on",
        ),
    }
    for split, (figure, believe, why) in reasons.items():
        rows.append(_row(f"{run['model']}, 2019: {figure}", believe, metrics[split]["model"], why))
    for name, figures in own_runs(warehouse, protocol["source"], run["model"], run["inputs"]):
        why = "parted by artist first; nothing is resampled across the splits"
        rows.append(_row(f"{run['model']}, ours: test of run {name}", "yes", figures, why))
    for model, accuracy, called in ORIGINAL:
        believed = called == "held out"
        why = "no track was trained on; artists were" if believed else "cut off after resampling, as above"
        texts = (
            f"{model}, the original: {called}",
            "partly" if believed else "no",
            accuracy,
            "",
            "",
            f"{why}; its songs",
        )
        rows.append(dict(zip(HEADS, texts, strict=True)))
    return rows


def _row(figure: str, believe: str, figures: Mapping[str, Any], why: str) -> dict[str, Any]:
    told = (with_interval(figures, "accuracy"), with_interval(figures, "macro_f1"), f"{figures['examples']:,}")
    return dict(zip(HEADS, (figure, believe, *told, why), strict=True))


def own_runs(
    warehouse: Warehouse, source: Mapping[str, str], model: str, inputs: str, at_most: int = 3
) -> list[tuple[str, dict[str, Any]]]:
    """Return test figures of ordinary runs of the same model on the dataset that the protocol's was made from.

    Parameters
    ----------
    warehouse : Warehouse
    source : mapping
        ``name`` and ``fingerprint``.
    model, inputs : str
    at_most : int
        Runs, the first by name.
    """
    prefix, suffix = warehouse.path(RUNS) + "/", f"/{METADATA}"
    found: list[tuple[str, dict[str, Any]]] = []
    for info in warehouse.list_files(warehouse.path(RUNS)):
        name = info.path.removeprefix(prefix).removesuffix(suffix)
        if not info.path.endswith(suffix) or "/" in name or len(found) == at_most:
            continue
        metadata = warehouse.read_json(RUNS, name, METADATA)
        arguments = metadata["arguments"]
        same = metadata["dataset"]["fingerprint"] == source["fingerprint"] and metadata["target"]["name"] == "genre"
        if same and (arguments.get("model"), arguments.get("inputs")) == (model, inputs):
            test = warehouse.read_json(RUNS, name, METRICS).get("test")
            if test:
                found.append((name, test["model"]))
    return found


def protocol_table(rows: list[dict[str, Any]], dataset: Mapping[str, Any]) -> str:
    """Return the rows as text, with what was drawn above them."""
    protocol, by_split = dataset["protocol"], dataset["rows"]
    facts = [
        ("tracks", protocol["tracks"]),
        ("without a genre", protocol["without_genre"]),
        ("too short", protocol["too_short"]),
        ("taking part", protocol["kept"]),
        ("held out", by_split[HELD_OUT]),
        ("of other artists", by_split[ARTIST_DISJOINT]),
        ("drawn", protocol["drawn_tracks"]),
        ("never drawn", protocol["tracks_never_drawn"]),
        ("rows of train and validation", f"{by_split['train']:,} + {by_split[VALIDATION]:,}"),
    ]
    texts = [(name, value if isinstance(value, str) else f"{value:,}") for name, value in facts]
    first = tabulate(texts, headers=["protocol 2019", ""], tablefmt="simple", colalign=("left", "right"))
    return f"{first}\n\n{tabulate(rows, headers='keys', tablefmt='simple', disable_numparse=True)}"


def inflation(metrics: Mapping[str, Any]) -> str:
    """Return in a line by how much the validation figure is above the honest one."""
    shown, honest = (metrics[split]["model"]["accuracy"] for split in (VALIDATION, ARTIST_DISJOINT))
    return f"validation accuracy is {number(shown - honest)} above that on other artists"
