"""The dataset card, side file ``_card.md`` of ``dataset/NAME``: content, selection, splits and limits.

References
----------
.. [1] T. Gebru et al., "Datasheets for Datasets", Communications of the ACM 64, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core.schemas import SPLITS

CARD_FILE = "_card.md"

LIMITS = (
    "The songs are those of the warehouse, not a random sample of music; most are western popular music before 2011.",
    "Genres and tags are opinions of listeners and editors.",
    "The terms of the sources allow research; check them before any other use (docs/data.md).",
)


def dataset_card(metadata: Mapping[str, Any], leaking_groups: int | None) -> str:
    """Return the card of a dataset as Markdown.

    `metadata` is the content of ``_metadata.json`` with the numbers of ``rows``; `leaking_groups` is the number of
    artist groups in several lists, None without lists.
    """
    rule = metadata["split_rule"]
    shares = ", ".join(f"{share:.0%} {split}" for share, split in zip(rule["shares"], SPLITS, strict=True))
    how = f"by {rule['by']}: {shares}; seed {rule['seed']}"
    balance = metadata["balance"]
    rows_of_tracks = "Every track is one row."
    if balance["kind"] != "none":
        rows_of_tracks = f"Tracks of train are repeated or left out to balance genres ({balance['kind']})."
    if metadata["split_lists"]:
        how = f"by the lists {', '.join(metadata['split_lists'])}"
    steps = [(step["name"], f"{step['tracks']:,}") for step in metadata["funnel_steps"]]
    genres = [(genre, *(f"{own[split]:,}" for split in SPLITS)) for genre, own in metadata["tracks_by_genre"].items()]
    rows = [(split, f"{n:,}") for split, n in metadata["rows"].items()]
    leak = f"{leaking_groups} artist groups are in several splits, so metrics are too high for unknown artists."
    limits = [
        *(["Test songs are by artists of training songs."] if rule["by"] == "track" else []),
        *([leak] if leaking_groups else []),
        *LIMITS,
    ]
    parts = [
        f"# Dataset card: {metadata['name']}",
        f"Fingerprint `{metadata['fingerprint']}`; label set {metadata['label_set']}; {len(metadata['tags'])} tags.",
        "## Splits",
        f"Split {how}. {rows_of_tracks}",
        tabulate(rows, ["split", "rows"], tablefmt="github", disable_numparse=True),
        "## Selection",
        tabulate(steps, ["step", "tracks"], tablefmt="github", disable_numparse=True),
        "## Genres",
        tabulate(genres, ["tracks", *SPLITS], tablefmt="github", disable_numparse=True),
        "## Limits",
        "\n".join(f"- {limit}" for limit in limits),
    ]
    return "\n\n".join(parts) + "\n"
