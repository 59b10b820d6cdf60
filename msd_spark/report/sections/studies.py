"""What the model listens to: parts hidden from it, and the songs that its filters answer to (``studies/RUN``)."""

from __future__ import annotations

import pandas as pd

from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Intervals
from msd_spark.report.section import Absent, Section
from msd_spark.report.tables import Table, rows_of

STUDIES = "studies"
MOST_FILTERS = 60


def occlusion_section(sources: Sources) -> Section | Absent:
    """Return how each genre's figures change when a part of the song is hidden."""
    title = "What it needs to hear"
    columns = ["hidden", "genre", "figure", "examples", "affected", "full", "occluded", "change", "low", "high"]
    found = sources.parquet(columns, STUDIES, sources.name, "occlusion.parquet")
    if found is None or found.empty:
        return Absent(title, f"there is no {STUDIES}/{sources.name}; run training/listen.py")
    rows = rows_of(found, columns)
    heads = ("hidden", "genre", "figure", "songs", "of them had it", "as it is", "hidden", "change", "low", "high")
    text = "A part of every test song is hidden from the trained model; a bar is the 95 % interval by artist."
    tables = (
        Table("occlusion", "Change of each figure when a part is hidden", heads, rows, 200, texts=3, folded=True),
    )
    return Section("occlusion", title, (text,), tuple(occlusion_charts(found)), tables)


def occlusion_charts(table: pd.DataFrame) -> list[Intervals]:
    """Return each genre's change of F1 and of probability when a part is hidden; empty without genres."""
    genres = table[table["genre"].notna()]
    charts = []
    for figure, label in (("f1", "change of F1"), ("probability", "change of the right genre's probability")):
        of = genres[genres["figure"] == figure]
        if of.empty:
            continue
        names = tuple(dict.fromkeys(of["genre"]))
        series: dict[str, tuple[tuple[float | None, float | None, float | None], ...]] = {}
        for hidden, part in of.groupby("hidden", sort=False):
            by_genre = part.drop_duplicates("genre").set_index("genre").reindex(names)
            known = rows_of(by_genre, ["change", "low", "high"])
            series[f"without {hidden}"] = tuple((change, low, high) for change, low, high in known)
        chart = Intervals(f"occlusion_{figure}", label[0].upper() + label[1:], label, "", names, series, zero=True)
        charts.append(chart)
    return charts


def filters_section(sources: Sources) -> Section | Absent:
    """Return the songs to which filters respond most."""
    title = "What its filters answer to"
    columns = ["layer", "stream", "filter", "rank", "track_id", "activation", "start", "end"]
    found = sources.parquet(columns, STUDIES, sources.name, "filters.parquet")
    if found is None or found.empty:
        return Absent(title, f"there is no {STUDIES}/{sources.name}/filters.parquet; run training/listen.py")
    names = sources.table(["track_id", "title", "artist_name"], "songs")
    if names is not None:
        found = found.merge(names.drop_duplicates("track_id"), on="track_id", how="left")
    first = found[found["rank"] == 1].sort_values("activation", ascending=False)
    told = pd.concat(
        [part.head(max(1, MOST_FILTERS // found["layer"].nunique())) for _, part in first.groupby("layer")]
    )
    shown = ["layer", "stream", "filter", "activation", "track_id", "start", "end"]
    shown += [name for name in ("artist_name", "title") if name in told]
    rows = rows_of(told, shown)
    heads = tuple({"start": "from second", "end": "to second", "artist_name": "artist"}.get(n, n) for n in shown)
    text = (
        "Of each layer the filters that answer most, and the place that they answer to; "
        f"all are in {STUDIES}/{sources.name}."
    )
    return Section("filters", title, (text,), tables=(Table("filters", "Filters", heads, rows, 24, texts=2),))
