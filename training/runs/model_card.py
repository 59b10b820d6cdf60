"""The model card of a run, ``models/RUN/model_card.md``: training data, metrics with intervals, and limits.

References
----------
.. [1] M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core.formatting import with_interval
from msd_spark.core.runs import EVALUATIONS, METADATA, METRICS, RUNS, run_file
from msd_spark.core.warehouse import Warehouse
from training.data.targets import TARGETS
from training.evaluation.table import SHORT

MODEL_CARD = "model_card.md"

LIMITS = (
    "Metrics hold for songs like those of the split; intervals are over artists, not over other datasets.",
    "Titles, artists and analyses are those of The Echo Nest around 2011: mostly western popular music.",
    "Genres and tags are opinions of listeners and editors; a song has one of several defensible labels.",
    "Audio features are The Echo Nest's. Features of other software do not match them.",
    "The terms of the data allow research; check them before any other use (docs/data.md).",
)

SPLIT_LIMITS = {
    "track": "The dataset is split by track: test songs are by artists of training songs, so metrics are too high for "
    "unknown artists.",
    "lists": "The dataset is split by lists, which may put artists into several splits; see the dataset card.",
    "protocol 2019": "The dataset repeats the 2019 protocol, including its leaks.",
}
"""Limits by the way of splitting; a split by artist has none."""


def model_card(
    metadata: Mapping[str, Any], metrics: Mapping[str, Any], evaluations: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return a model card as Markdown.

    Parameters
    ----------
    metadata, metrics : mapping
        Content of ``metadata.json`` and ``metrics.json``.
    evaluations : mapping
        Content of ``evaluations/RUN/DATASET-SPLIT.json``, by ``DATASET-SPLIT``.
    """
    dataset, target = metadata["dataset"], TARGETS[metadata["target"]["name"]]
    names = target.headline_metrics
    places = {f"{dataset['name']}, {split}": own for split, own in metrics.items()}
    places |= {f"{name} (evaluate)": content["figures"] for name, content in sorted(evaluations.items())}
    rows = [
        (place, candidate.replace("_", " "), f"{own['examples']:,}", *(with_interval(own, name) for name in names))
        for place, candidates in places.items()
        for candidate, own in candidates.items()
    ]
    classes = ", ".join(metadata["target"]["class_names"][:60])
    rule = dataset["split_rule"]["by"]
    leaks = [
        f"{name}: {content['leak']['examples_of_known_artists']:,} of {content['leak']['examples']:,} examples are by "
        "artists of training examples."
        for name, content in sorted(evaluations.items())
        if content.get("leak", {}).get("examples_of_known_artists")
    ]
    limits = [*filter(None, [SPLIT_LIMITS.get(rule)]), *leaks, *LIMITS]
    facts = [
        ("model", metadata["model"]),
        ("inputs", metadata["arguments"].get("inputs", "")),
        ("target", metadata["target"]["name"]),
        ("parameters", f"{metadata['parameters']:,}"),
        ("code", metadata["git_revision"]),
    ]
    parts = [
        f"# Model card: {metadata['run']}",
        tabulate(facts, tablefmt="github", headers=["", ""], disable_numparse=True),
        f"Outputs ({len(metadata['target']['class_names'])}): {classes}",
        "## Training data",
        f"{dataset['training_examples']:,} examples of the train split of dataset `{dataset['name']}` (fingerprint "
        f"`{dataset['fingerprint']}`), split by {rule}.",
        "## Metrics",
        tabulate(
            rows,
            headers=["split", "", "examples", *(SHORT[name] for name in names)],
            tablefmt="github",
            disable_numparse=True,
        ),
        "Brackets are 95 % intervals from resamples of artists; the other rows of a split are baselines.",
        "## Limits",
        "\n".join(f"- {limit}" for limit in limits),
    ]
    return "\n\n".join(parts) + "\n"


def write_model_card(warehouse: Warehouse, run: str) -> None:
    """Write the card of a finished run from its files and its evaluations."""
    evaluations = {}
    for info in warehouse.list_files(warehouse.path(EVALUATIONS, run)):
        name = info.base_name.removesuffix(".json")
        content = warehouse.read_json(EVALUATIONS, run, info.base_name) if info.base_name.endswith(".json") else {}
        if "figures" in content and "split" in content:
            evaluations[name] = content
    metadata = warehouse.read_json(RUNS, run, METADATA)
    card = model_card(metadata, warehouse.read_json(*run_file(warehouse, run, METRICS)), evaluations)
    warehouse.write_file(card.encode(), RUNS, run, MODEL_CARD)
