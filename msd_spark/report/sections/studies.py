"""What the model responds to: occlusion and filter responses (``studies/RUN``)."""

from __future__ import annotations

import pandas as pd

from msd_spark.core.runs import STUDIES
from msd_spark.core.warehouse import FOLDER
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Chart, intervals
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.tables import Table, rows_of

MOST_FILTERS = 60


def _study(sources: Sources, columns: list[str], file: str) -> pd.DataFrame:
    study = sources.json(STUDIES, sources.name, "summary.json")
    table = sources.parquet(columns, STUDIES, sources.name, str(study[FOLDER]), file) if study else None
    if table is None or table.empty:
        raise NoContentError(f"{STUDIES}/{sources.name}/{file} is missing; run msd-spark listen")
    return table


def occlusion_section(sources: Sources) -> Section:
    """Return the change of each genre's metrics when an input is hidden."""
    columns = ["hidden", "genre", "figure", "examples", "affected", "full", "occluded", "change", "low", "high"]
    table = _study(sources, columns, "occlusion.parquet")
    heads = (
        "hidden input", "genre", "metric", "songs", "songs with the input", "all inputs", "input hidden", "change",
        "low", "high",
    )  # fmt: skip
    text = "One input of every test song is hidden from the trained model. Bars are 95 % intervals by artist."
    title = "Change of each metric when an input is hidden"
    rows = Table("occlusion", title, heads, rows_of(table, columns), 200, folded=True)
    return Section((text,), tuple(occlusion_charts(table)), (rows,))


def occlusion_charts(table: pd.DataFrame) -> list[Chart]:
    """Return the change of F1 and of probability by genre when an input is hidden."""
    genres = table[table["genre"].notna()]
    charts = []
    for metric, label in (("f1", "change of F1"), ("probability", "change of the true genre's probability")):
        changes = genres[genres["figure"] == metric]
        if changes.empty:
            continue
        names = tuple(dict.fromkeys(changes["genre"]))
        series = {}
        for hidden, part in changes.groupby("hidden", sort=False):
            by_genre = part.drop_duplicates("genre").set_index("genre").reindex(names)
            series[f"without {hidden}"] = [
                (change, low, high) for change, low, high in rows_of(by_genre, ["change", "low", "high"])
            ]
        title = label[0].upper() + label[1:]
        charts.append(intervals(f"occlusion_{metric}", title, label, names, series, zero=True))
    return charts


def filters_section(sources: Sources) -> Section:
    """Return the strongest filters of each layer with the song that activates them most."""
    columns = ["layer", "stream", "filter", "rank", "track_id", "activation", "start", "end"]
    table = _study(sources, columns, "filters.parquet")
    names = sources.table(["track_id", "title", "artist_name"], "songs")
    if names is not None:
        table = table.merge(names.drop_duplicates("track_id"), on="track_id", how="left")
    first = table[table["rank"] == 1].sort_values("activation", ascending=False)
    per_layer = max(1, MOST_FILTERS // table["layer"].nunique())
    strongest = pd.concat([part.head(per_layer) for _, part in first.groupby("layer")])
    shown = ["layer", "stream", "filter", "activation", "track_id", "start", "end"]
    shown += [name for name in ("artist_name", "title") if name in strongest]
    heads = tuple(
        {"track_id": "track", "start": "from second", "end": "to second", "artist_name": "artist"}.get(n, n)
        for n in shown
    )
    text = f"The strongest filters of each layer and where they respond; all are in {STUDIES}/{sources.name}."
    return Section((text,), tables=(Table("filters", "Filters", heads, rows_of(strongest, shown), 24),))
