"""One folder that shows a run: ``reports/RUN/index.html``, opened from disk, without a network or a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from msd_spark.core.errors import UserError
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.data.catalogue import map_data, sample_by
from msd_spark.report.data.details import CHUNK, PITCH_NAMES, chunks, detail_rows, neighbour_lists
from msd_spark.report.data.heatmaps import Segments, heatmap_data, read_segments
from msd_spark.report.data.recommended import read_recommendation_data
from msd_spark.report.data.songs import Songs, read_songs
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw import paper
from msd_spark.report.draw.charts import Chart, Heatmap, Points
from msd_spark.report.draw.plotly_charts import plotly_figure
from msd_spark.report.folder import Folder
from msd_spark.report.section import Absent, Section
from msd_spark.report.sections import SECTIONS
from msd_spark.report.sections.recommendations import KEY as RECOMMENDATIONS
from msd_spark.report.settings import REPORTS, STAGE, ReportSettings
from msd_spark.report.tables import as_csv, rows_of

NAMED_SONGS_DRAWN = 20
"""Songs whose heatmaps are drawn for papers, too, at most: those that were asked for, or else the first."""

MEBIBYTE = 2**20


def make_report(settings: ReportSettings) -> Summary:
    """Write ``reports/RUN``; return the summary.

    Raises
    ------
    UserError
        When the run or its embeddings are missing, or a song that is to be shown is.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    sources = Sources.open(warehouse, settings.run)
    songs = read_songs(sources)
    shown = songs.table.iloc[_on_the_page(songs.table, settings)].reset_index(drop=True)
    parts = [make(sources) for make in SECTIONS]
    sections = [part for part in parts if isinstance(part, Section)]
    absent = [part for part in parts if isinstance(part, Absent)]
    with warehouse.replacing(REPORTS, settings.run) as staging:
        folder = Folder(warehouse, staging)
        scripts = folder.write_assets()
        heated = _write_songs(folder, sources, shown, settings)
        heated_rows = [number for number, _ in heated]
        recommends = any(section.key == RECOMMENDATIONS for section in sections)
        content = {"run": settings.run, "chunk": CHUNK, "heatmaps": heated_rows, "recommends": recommends}
        folder.write_data("page", content)
        users = _write_recommendations(folder, sources, shown, settings) if recommends else 0
        charts = [chart for section in sections for chart in section.charts]
        figures = {chart.name: plotly_figure(chart) for chart in charts}
        folder.write_data("charts", figures)
        drawn = _write_paper(folder, [_song_map(shown), *charts, *_song_charts(heated, shown, settings)])
        for table in (table for section in sections for table in section.tables):
            folder.write(f"tables/{table.name}.csv", table.as_csv())
        folder.write("metrics.json", _as_file(_metrics(sources, sections, songs)))
        page = _template().render(
            run=sources.run,
            revision=sources.run.get("git_revision"),
            about=_about(sources),
            sections=sections,
            absent=absent,
            heights={name: figure["layout"]["height"] for name, figure in figures.items()},
            map_note=_map_note(songs, shown),
            scripts=scripts,
            files=["metrics.json", "tables/songs.csv"],
            paper=bool(drawn),
            paper_note="Figures for papers lie in figures/." if drawn else "",
        )
        folder.write("index.html", page.encode("utf-8", "replace"))
    summary.facts |= {
        "run": settings.run,
        "songs": len(songs.table),
        "songs on the page": len(shown),
        "with heatmaps": len(heated),
        "users with recommendations": users,
        "the map": songs.map_made_by + (f" ({songs.why})" if songs.why else ""),
        "sections": len(sections),
        "sections without anything to show": len(absent),
        "figures for papers": len(drawn) or "none, Matplotlib is not installed",
        "MiB of the folder": round(sum(folder.sizes.values()) / MEBIBYTE, 1),
        "MiB to open it": round(folder.data_bytes() / MEBIBYTE, 1),
        "page": warehouse.path(REPORTS, settings.run, "index.html"),
    }
    return summary


def _on_the_page(table: pd.DataFrame, settings: ReportSettings) -> np.ndarray:
    """Return which songs the page has: all, or a sample with those that were asked for."""
    known = pd.Index(table["track_id"])
    missing = [track for track in settings.show if track not in known]
    if missing:
        raise UserError(f"embeddings/{settings.run} has no track {missing[0]} (--show)")
    rows = sample_by(table["predicted_genre"], settings.most_songs, settings.seed)
    return np.union1d(rows, known.get_indexer(pd.Index(settings.show))).astype(int)


def _write_songs(
    folder: Folder, sources: Sources, shown: pd.DataFrame, settings: ReportSettings
) -> list[tuple[int, Segments]]:
    """Write the map's data, the details and the heatmaps; return the songs with heatmaps that papers want, too."""
    folder.write_data("songs", map_data(shown, sources.label_set))
    columns = ["track_id", "rank", "neighbour_id", "distance"]
    neighbours = sources.table(columns, "neighbours", settings.run)
    lists = None if neighbours is None else neighbour_lists(neighbours, shown["track_id"])[0]
    facts = detail_rows(shown, sources.class_names)
    for number, chunk in enumerate(chunks(facts, lists)):
        folder.write_data(f"details-{number}", chunk)
    named = [
        "track_id",
        "artist_name",
        "title",
        "genre",
        "predicted_genre",
        "year",
        "popularity_decile",
        "split",
        "x",
        "y",
    ]
    folder.write("tables/songs.csv", as_csv(named, rows_of(shown, named)))
    chosen = np.union1d(
        sample_by(shown["predicted_genre"], settings.heatmaps, settings.seed) if settings.heatmaps else [],
        np.flatnonzero(shown["track_id"].isin(settings.show)),
    ).astype(int)
    numbers = pd.Series(chosen, index=shown["track_id"].to_numpy()[chosen])
    written: list[tuple[int, Segments]] = []
    if not sources.warehouse.is_complete("songs"):
        return written
    for segments in read_segments(sources.warehouse, numbers.index.tolist()):
        number = int(numbers[segments.track_id])
        folder.write_data(f"heatmap-{number}", heatmap_data(segments))
        written.append((number, segments))
    return sorted(written, key=lambda pair: pair[0])


def _write_recommendations(folder: Folder, sources: Sources, shown: pd.DataFrame, settings: ReportSettings) -> int:
    """Write what the page recommends songs by; return how many users it shows."""
    data = read_recommendation_data(sources, shown, settings)
    folder.write_data("recommend-users", data.users)
    folder.write_data("recommend-songs", data.songs)
    return len(data.users["users"])


def _song_map(shown: pd.DataFrame) -> Points:
    groups = shown["genre"] if shown["genre"].notna().any() else shown["predicted_genre"]
    places = shown[["x", "y"]].to_numpy(np.float32)
    unknown = groups.isna().to_numpy()
    named = {str(name): places[(groups == name).to_numpy()] for name in groups.value_counts().index}
    return Points("map", "Map of the songs", "", "", named, places[unknown])


def _song_charts(
    heated: Sequence[tuple[int, Segments]], shown: pd.DataFrame, settings: ReportSettings
) -> list[Heatmap]:
    wanted = [pair for pair in heated if pair[1].track_id in settings.show][:NAMED_SONGS_DRAWN] or heated[:1]
    charts = []
    for _, segments in wanted:
        for name, values, rows in (
            ("chroma", segments.chroma, PITCH_NAMES),
            ("timbre", segments.timbre, tuple(str(place + 1) for place in range(segments.timbre.shape[1]))),
        ):
            label = "pitch class" if name == "chroma" else "coefficient"
            charts.append(
                Heatmap(f"{name}_{segments.track_id}", name, "seconds", label, segments.edges, rows, values.T)
            )
    return charts


def _write_paper(folder: Folder, charts: Sequence[Chart]) -> list[str]:
    """Write each figure as SVG and PNG; return their names."""
    for chart in charts:
        for name, content in paper.files_of(chart).items():
            folder.write(f"figures/{name}", content)
    return [chart.name for chart in charts]


def _about(sources: Sources) -> list[str]:
    run = sources.run
    dataset = run.get("dataset") or {}
    facts = [
        run.get("model"),
        f"{run['parameters']:,} parameters" if run.get("parameters") else None,
        f"tells {sources.target}",
        f"dataset {dataset['name']} ({dataset['fingerprint'][:12]})" if dataset else None,
        f"split by {dataset['split_rule']['by']}" if dataset.get("split_rule") else None,
    ]
    return [fact for fact in facts if fact]


def _map_note(songs: Songs, shown: pd.DataFrame) -> str:
    n = len(songs.table)
    told = (
        f"{n:,} songs." if len(shown) == n else f"{len(shown):,} of {n:,} songs, a sample with each genre in its share."
    )
    told += f" Places: {songs.map_made_by}"
    return f"{told}, since {songs.why}." if songs.why else f"{told}."


def _metrics(sources: Sources, sections: Sequence[Section], songs: Songs) -> dict[str, Any]:
    """Return every figure of the page, unrounded."""
    run = sources.run
    kept = ("run", "model", "parameters", "target", "dataset", "git_revision", "versions")
    return {
        "run": {name: run[name] for name in kept if name in run},
        "metrics": sources.metrics,
        "history": sources.history,
        "space": sources.json("neighbours", sources.name, "_quality.json"),
        "search": sources.json("neighbours", sources.name, "_search.json"),
        "funnel": sources.dataset.get("funnel_steps"),
        "map": {"songs": len(songs.table), "made_by": songs.map_made_by, "not_a_map_because": songs.why},
        "tables": {
            table.name: {"heads": table.heads, "rows": table.rows} for section in sections for table in section.tables
        },
    }


def _as_file(content: dict[str, Any]) -> bytes:
    import json

    return json.dumps(content, indent=1, ensure_ascii=True, default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("msd_spark.report", "assets")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template("report.html")


__all__ = ["ReportSettings", "make_report"]
