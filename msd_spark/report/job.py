"""Write ``reports/RUN``, which a browser opens from disk, without network or server."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from msd_spark.core.errors import UserError
from msd_spark.core.runs import newest_run
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.settings import QUALITY_FILE, SEARCH_FILE
from msd_spark.neighbours.settings import TABLE as NEIGHBOURS
from msd_spark.report.data.details import PITCH_NAMES
from msd_spark.report.data.heatmaps import Segments
from msd_spark.report.data.map_data import sample_by
from msd_spark.report.data.recommended import recommendation_data
from msd_spark.report.data.songs import Songs, read_songs
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Chart, heatmap, points
from msd_spark.report.draw.files import chart_files, require_browser
from msd_spark.report.folder import Folder
from msd_spark.report.sections import RECOMMENDATIONS, Sections, make_sections
from msd_spark.report.sections.overview import overview
from msd_spark.report.settings import REPORTS, STAGE, ReportSettings
from msd_spark.report.song_files import write_songs

OPEN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>msd-spark report</title>
<script>location.replace("{folder}/index.html" + location.hash)</script>
<noscript><meta http-equiv="refresh" content="0; url={folder}/index.html"></noscript></head>
<body><a href="{folder}/index.html">Open the report</a></body></html>
"""
"""The page that opens the current report: it is replaced in one step."""

MOST_DRAWN_SONGS = 20
"""Maximum number of songs of ``--show`` whose chroma and timbre ``--figures`` saves."""

MOST_POINTS = 20_000
"""Maximum number of songs on the map that ``--figures`` saves, sampled by genre."""

MEBIBYTE = 2**20


def run(settings: ReportSettings) -> None:
    """Run ``msd-spark report``."""
    warehouse = Warehouse(settings.warehouse)
    name = settings.run or newest_run(warehouse)
    make_report(dataclasses.replace(settings, run=name)).finish(warehouse)


def make_report(settings: ReportSettings) -> Summary:
    """Write the report of a run; return the summary."""
    summary = Summary(STAGE)
    browser = require_browser() if settings.figures else None
    warehouse, name = Warehouse(settings.warehouse), str(settings.run)
    sources = Sources.open(warehouse, name)
    songs = read_songs(sources)
    chosen = songs.by_cell(_rows_shown(songs.table, settings))
    shown = chosen.table
    sections, absent = make_sections(sources)
    with warehouse.replacing_folder(REPORTS, name) as new:
        folder = Folder(warehouse, new.path)
        segments = write_songs(folder, sources, chosen, settings)
        n_users = 0
        if RECOMMENDATIONS in sections:
            users, recommender, vectors = recommendation_data(sources, shown, settings)
            folder.write_data("recommend-users", users)
            folder.write_data("recommender", recommender)
            for number, part in enumerate(vectors):
                folder.write_data(f"recommend-vectors-{number}", part)
            n_users = len(users["users"])
        folder.write_data("report", {"heatmaps": sorted(segments)})
        charts = [chart for _, section in sections.values() for chart in section.charts]
        folder.write_data("charts", {chart.name: chart.content for chart in charts})
        if browser:
            every = [_song_map(shown), *charts, *_song_charts(list(segments.values()), settings.show)]
            for file, image in chart_files(every, browser).items():
                folder.write(f"figures/{file}", image)
        _write_html(folder, sources, songs, len(shown), sections, absent)
        new.pointer = "index.html", OPEN.format(folder=new.names[-1]).encode()
    summary.facts |= {
        "run": name,
        "songs": len(songs.table),
        "songs in the report": len(shown),
        "songs with chroma and timbre": len(segments),
        "users with recommendations": n_users,
        "map": songs.map_description,
        "sections": len(sections),
        "sections without content": len(absent),
        "chart files": sum(file.startswith("figures/") for file in folder.sizes),
        "MiB of the folder": round(sum(folder.sizes.values()) / MEBIBYTE, 1),
        "MiB to open it": round(folder.opening_bytes() / MEBIBYTE, 1),
        "report": warehouse.path(REPORTS, name, "index.html"),
    }
    return summary


def _rows_shown(table: pd.DataFrame, settings: ReportSettings) -> np.ndarray:
    """Return the rows of the songs in the report: all, or a sample and those of ``--show``."""
    track_ids = pd.Index(table["track_id"])
    missing = [track for track in settings.show if track not in track_ids]
    if missing:
        raise UserError(f"--show {missing[0]} is not in embeddings/{settings.run}; give the id of a scored track")
    rows = sample_by(table["predicted_genre"], settings.most_songs, settings.seed)
    return np.union1d(rows, track_ids.get_indexer(pd.Index(settings.show))).astype(int)


def _song_map(shown: pd.DataFrame) -> Chart:
    genres = shown["genre"] if shown["genre"].notna().any() else shown["predicted_genre"]
    sample = sample_by(genres, MOST_POINTS, 0)
    genres, places = genres.iloc[sample], shown[["x", "y"]].to_numpy(np.float32)[sample]
    groups = {str(name): places[(genres == name).to_numpy()] for name in genres.value_counts().index}
    return points("map", "Map of the songs", groups, places[genres.isna().to_numpy()])


def _song_charts(segments: Sequence[Segments], show: Sequence[str]) -> list[Chart]:
    charts = []
    for song in [song for song in segments if song.track_id in show][:MOST_DRAWN_SONGS] or segments[:1]:
        coefficients = [str(place + 1) for place in range(song.timbre.shape[1])]
        for name, label, rows, values in (
            ("chroma", "pitch class", PITCH_NAMES, song.chroma),
            ("timbre", "coefficient", coefficients, song.timbre),
        ):
            charts.append(heatmap(f"{name}_{song.track_id}", name, label, song.edges, rows, values.T))
    return charts


def _write_html(
    folder: Folder, sources: Sources, songs: Songs, n_shown: int, sections: Sections, absent: list[tuple[str, str]]
) -> None:
    """Write the page with its scripts, the tables and the metrics."""
    n = len(songs.table)
    top = overview(sources, n)
    tables = [table for _, section in sections.values() for table in section.tables]
    for table in (*tables, *filter(None, [top.table])):
        folder.write(f"tables/{table.name}.csv", table.as_csv())
    folder.write("metrics.json", _as_file(_metrics(sources, sections, songs)))
    size = f"{n:,} songs" if n_shown == n else f"{n_shown:,} of {n:,} songs, sampled by genre"
    html = render_page(
        run=sources.name,
        revision=sources.run.get("git_revision"),
        overview=top,
        sections=sections,
        absent=absent,
        map_note=f"{size}. Map: {songs.map_description}.",
        scripts=folder.write_assets("report", "songs"),
        has_figures=any(name.startswith("figures/") for name in folder.sizes),
    )
    folder.write("index.html", html.encode("utf-8", "replace"))


def render_page(**content: Any) -> str:
    """Return the page with values for the variables of ``report.html``; text is escaped."""
    loader = jinja2.PackageLoader("msd_spark.report", "assets")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html").render(content)


def _metrics(sources: Sources, sections: Sections, songs: Songs) -> dict[str, Any]:
    """Return all numbers of the report, unrounded."""
    run = sources.run
    copied = ("run", "model", "parameters", "target", "dataset", "git_revision", "versions")
    tables = [table for _, section in sections.values() for table in section.tables]
    return {
        "run": {name: run[name] for name in copied if name in run},
        "metrics": sources.metrics,
        "history": sources.history,
        "space": sources.json(NEIGHBOURS, sources.name, QUALITY_FILE),
        "search": sources.json(NEIGHBOURS, sources.name, SEARCH_FILE),
        "funnel": sources.dataset.get("funnel_steps"),
        "map": {"songs": len(songs.table), "source": songs.map_source, "missing": songs.map_missing},
        "tables": {table.name: {"heads": table.heads, "rows": table.rows} for table in tables},
    }


def _as_file(content: dict[str, Any]) -> bytes:
    def plain(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else str(value)

    return json.dumps(content, indent=1, ensure_ascii=True, default=plain).encode() + b"\n"
