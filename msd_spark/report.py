"""One page that shows a run: ``reports/RUN/index.html``, opened from disk, without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jinja2
import pandas as pd
import pyarrow.parquet as pq
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from msd_spark import figures
from msd_spark.errors import StageError
from msd_spark.metric_text import with_interval
from msd_spark.run_metadata import HISTORY, METADATA, METRICS, RUNS
from msd_spark.scoring.trained_run import read_run
from msd_spark.summary import SUMMARIES, Summary
from msd_spark.warehouse import Warehouse

STAGE = "report"
FIGURES_SHOWN = (
    "accuracy",
    "balanced_accuracy",
    "off_by_one_accuracy",
    "macro_f1",
    "weighted_f1",
    "macro_average_precision",
    "macro_roc_auc",
    "macro_pr_auc",
    "log_loss",
    "cosine",
    "mean_squared_error",
    "r2",
)
"""Figures that the page shows, in this order, where a run's target has them."""

STAGES = ("ingest", "lyrics", "labels", "dataset", "score")


@dataclass(frozen=True)
class ReportSettings:
    """Which run is shown."""

    warehouse: str
    run: str


def make_report(settings: ReportSettings) -> Summary:
    """Write ``reports/RUN``; return the summary.

    Raises
    ------
    StageError
        When the run or its embeddings are missing.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    run = read_run(warehouse, settings.run)
    metrics = warehouse.read_json(RUNS, settings.run, METRICS)
    warehouse.require(STAGE, "embeddings", settings.run, made_by="jobs/score.py")
    songs = _songs(warehouse, settings.run, str(_dataset_metadata(warehouse, run)["label_set"]))
    shown = {
        "The songs, as the model places them": figures.song_map(songs),
        "Training": figures.training_curves(warehouse.read_json(RUNS, settings.run, HISTORY)),
    }
    if "confusion_matrix" in metrics.get("test", {}).get("model", {}):
        shown["What it takes for what, on the test split"] = figures.confusion(metrics["test"]["model"])
    shown["Examples"] = figures.genre_counts(_dataset_metadata(warehouse, run)["examples_by_genre"])
    page = _template().render(
        run=run,
        metrics=metrics,
        target=run["target"]["name"],
        with_interval=with_interval,
        figures_shown=[name for name in FIGURES_SHOWN if any(name in judged["model"] for judged in metrics.values())],
        # Plotly escapes what could end its script element; nothing else goes onto the page unescaped.
        figures={
            title: Markup(figure.to_html(full_html=False, include_plotlyjs=False)) for title, figure in shown.items()
        },
        plotly_library=Markup(get_plotlyjs()),
        summaries={
            stage: warehouse.read_json(SUMMARIES, f"{stage}.json")["facts"]
            for stage in STAGES
            if warehouse.exists(SUMMARIES, f"{stage}.json")
        },
        rejections=_rejections(warehouse),
    )
    with (
        warehouse.replacing("reports", settings.run) as staging,
        warehouse.filesystem.open_output_stream(f"{staging}/index.html") as sink,
    ):
        sink.write(page.encode())
    summary.facts |= {
        "run": settings.run,
        "songs": len(songs),
        "page": warehouse.path("reports", settings.run, "index.html"),
    }
    return summary


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("msd_spark")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    ).get_template("report.html")


def _dataset_metadata(warehouse: Warehouse, run: dict[str, Any]) -> dict[str, Any]:
    metadata = warehouse.read_json("dataset", run["dataset"]["name"], METADATA)
    if metadata["fingerprint"] != run["dataset"]["fingerprint"]:
        raise StageError(
            STAGE, f"dataset/{run['dataset']['name']} was made anew since the run was trained; train again"
        )
    return dict(metadata)


def _songs(warehouse: Warehouse, run: str, label_set: str) -> pd.DataFrame:
    """Return every embedded song with its title, artist and label."""

    def read(columns: list[str], *names: str, **options: Any) -> pd.DataFrame:
        return pq.read_table(
            warehouse.path(*names), columns=columns, filesystem=warehouse.filesystem, **options
        ).to_pandas()

    embedded = read(["track_id", "embedding", "predicted_genre"], "embeddings", run)
    embedded["predicted_genre"] = embedded["predicted_genre"].fillna("not told")  # of a run of another target
    described = read(["track_id", "title", "artist_name"], "songs")
    labelled = read(["track_id", "genre"], "labels", filters=[("label_set", "=", label_set)])
    return embedded.merge(described, on="track_id", how="left").merge(labelled, on="track_id", how="left")


def _rejections(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return each stage's reasons of rejection with their number and one example."""
    if not warehouse.list_files(warehouse.path("rejected")):
        return []
    rows = pq.read_table(warehouse.path("rejected"), filesystem=warehouse.filesystem).to_pandas()
    grouped = rows.groupby([rows["stage"].astype(str), "reason"])
    return [
        {
            "stage": stage,
            "reason": reason,
            "inputs": len(part),
            "example": f"{part['source'].iloc[0]} {part['member'].iloc[0] or ''}: {part['detail'].iloc[0]}",
        }
        for (stage, reason), part in grouped
    ]
