"""Measure a report of 50,000 songs in headless Chromium: size, time to open, frame times.

Plotly's own scatter plot (``scattergl``) of the same points is measured beside it in the same browser. It needs WebGL,
which Chromium emulates on the CPU if there is no graphics card. Each metric is the median of several rounds.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import publish
from msd_spark.core.runs import METADATA, RUNS
from msd_spark.core.schemas import EMBEDDING_SIZE, LABELS, NEIGHBOURS
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.draw.files import find_browser
from msd_spark.report.folder import PLOTLY
from msd_spark.report.job import make_report
from msd_spark.report.scripts import as_json
from msd_spark.report.settings import ReportSettings

SONGS, GENRES, K, ROUNDS, FRAMES = 50_000, 15, 10, 3, 30
RUN = "bench"
SYLLABLES = "la mi so ré tü ka no vé ra øl de él an wi sé ão".split()

PEER = """<!doctype html><meta charset="utf-8"><div id="m"></div><script src="plotly.min.js"></script>
<script src="places.js"></script><script>
const look = {type: 'scattergl', mode: 'markers', marker: {size: 4}, hoverinfo: 'none'};
Plotly.newPlot('m', groups.map(({x, y}) => ({...look, x, y})),
  {height: 600, showlegend: false}).then(() => requestAnimationFrame(() => performance.mark('map-ready')));
</script>"""

READY = (
    "() => performance.getEntriesByName('map-ready').length && performance.getEntriesByName('map-ready')[0].startTime"
)
PAN = """async (frames) => {
  const spent = [];
  for (let i = 0; i < frames; i++) {
    const started = performance.now();
    if (i % 2) msd.map.zoom(i % 4 === 1 ? 1.3 : 1 / 1.3); else msd.map.pan(9, 5);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    spent.push(performance.now() - started);
  }
  return spent;
}"""
PAINT = """(frames) => Array.from({length: frames}, () => {
  const started = performance.now();
  msd.map.paint();
  return performance.now() - started;
})"""
PLOTLY_PAN = """async (frames) => {
  const spent = [], box = document.getElementById('m');
  for (let i = 0; i < frames; i++) {
    const started = performance.now();
    const [left, right] = box._fullLayout.xaxis.range;
    await Plotly.relayout(box, {'xaxis.range': [left + 0.5, right + 0.5]});
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    spent.push(performance.now() - started);
  }
  return spent;
}"""
TYPE = """(texts) => texts.map((text) => {
  const input = document.getElementById('search');
  input.value = text;
  const started = performance.now();
  input.dispatchEvent(new Event('input'));
  document.getElementById('found').getBoundingClientRect();
  return performance.now() - started;
})"""
HOVER = """(times) => Array.from({length: times}, (_, i) => {
  const started = performance.now();
  msd.map.hover(100 + (i * 37) % 700, 50 + (i * 91) % 500);
  return performance.now() - started;
})"""


def write_catalogue(warehouse: Warehouse) -> np.ndarray:
    """Write a run of `SONGS` clustered songs; return x, y and genre of each, shape ``(n, 3)``."""
    generator = np.random.default_rng(0)
    genre = generator.integers(0, GENRES, SONGS)
    places = (generator.normal(size=(GENRES, 2)) * 20)[genre] + generator.normal(size=(SONGS, 2)) * 6
    tracks = pa.array([f"TR{number:07d}{'B' * 9}" for number in range(SONGS)])

    def words(least: int, most: int) -> str:
        lengths = generator.integers(2, 4, generator.integers(least, most))
        return " ".join("".join(generator.choice(SYLLABLES, length)).capitalize() for length in lengths)

    artists = [words(1, 3) for _ in range(SONGS // 8)]
    described: dict[str, Any] = {
        "track_id": tracks,
        "title": [words(1, 5) for _ in range(SONGS)],
        "artist_name": [artists[number] for number in generator.integers(0, len(artists), SONGS)],
        "release": [artists[number] for number in generator.integers(0, len(artists), SONGS)],
        "year": generator.integers(1950, 2010, SONGS),
        "duration": generator.uniform(100, 400, SONGS),
        "tempo": generator.uniform(60, 200, SONGS),
        "key": generator.integers(0, 12, SONGS),
        "mode": generator.integers(0, 2, SONGS),
        "n_segments": generator.integers(200, 1500, SONGS),
    }
    warehouse.write_arrow(pa.table(described), "songs")
    names = np.array([f"Genre {number:02d}" for number in range(GENRES)])[genre]
    labels = [tracks, pa.array(names), pa.nulls(SONGS, pa.string()), pa.array(["cd1"] * SONGS)]
    warehouse.write_arrow(pa.table(labels, schema=LABELS), "labels")
    embeddings = {
        "track_id": tracks,
        "embedding": list(generator.normal(size=(SONGS, EMBEDDING_SIZE)).astype(np.float32)),
        "predicted_genre": names,
        "genre_probabilities": list(generator.dirichlet(np.ones(GENRES), SONGS).astype(np.float32)),
        "has_lyrics": np.ones(SONGS, np.float32),
    }
    warehouse.write_arrow(pa.table(embeddings), "embeddings", RUN)
    # Random neighbours: they do not change the measurements.
    near = [tracks.take(np.repeat(np.arange(SONGS), K)), np.tile(np.arange(1, K + 1, dtype=np.int32), SONGS)]
    near += [tracks.take(generator.integers(0, SONGS, SONGS * K)), generator.random(SONGS * K).astype(np.float32)]
    warehouse.write_arrow(pa.table(near, schema=NEIGHBOURS), "neighbours", RUN)
    xy = places.astype(np.float32)
    mapped = {"track_id": tracks, "x": xy[:, 0], "y": xy[:, 1], "fitted": np.zeros(SONGS, bool)}
    warehouse.write_arrow(pa.table(mapped), "maps", RUN)
    class_names = sorted(set(names.tolist()))
    target = {"name": "genre", "class_names": class_names}
    needed: dict[str, Any] = {"geometry": {}, "normalisation": {}, "lyric_vectors": "none", "dataset": None}
    with warehouse.replacing_folder(RUNS, RUN) as folder:
        folder.point_by_json(METADATA, {"run": RUN, "model": "none", "target": target, **needed})
    return np.column_stack([places, genre])


def write_peer(folder: Path, report: Path, places: np.ndarray) -> None:
    """Write a page on which Plotly draws the same places by WebGL."""
    folder.mkdir()
    shutil.copy(report / PLOTLY, folder / "plotly.min.js")
    groups = [places[places[:, 2] == code] for code in range(GENRES)]
    written = [{"x": part[:, 0].round(3).tolist(), "y": part[:, 1].round(3).tolist()} for part in groups]
    (folder / "places.js").write_text(f"const groups = {as_json(written)};")
    (folder / "index.html").write_text(PEER)


def measure(report: Path, peer_folder: Path, titles: list[str]) -> dict[str, float]:
    """Return the median times in milliseconds."""
    from playwright.sync_api import sync_playwright

    executable = find_browser()
    if executable is None:
        raise SystemExit("no browser on this machine; run apt-get install chromium")
    spent: dict[str, list[float]] = {}

    def note(name: str, values: Any) -> None:
        spent.setdefault(name, []).extend(values if isinstance(values, list) else [values])

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for _ in range(ROUNDS):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto((report / "index.html").as_uri())
            page.wait_for_selector("html[data-report=ready]")
            note("map: ready", page.evaluate(READY))
            note("map: frame of panning and zooming", page.evaluate(PAN, FRAMES))
            note("map: painting alone", page.evaluate(PAINT, FRAMES))
            note("map: song below the pointer", page.evaluate(HOVER, 100))
            note("search: first letter", page.evaluate(TYPE, [titles[0][:1]])[0])
            note("search: further letter", page.evaluate(TYPE, [text[:end] for text in titles for end in range(2, 8)]))
            page.close()
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto((peer_folder / "index.html").as_uri())
            while not page.evaluate(READY):
                page.wait_for_timeout(50)
            note("Plotly scattergl: ready", page.evaluate(READY))
            note("Plotly scattergl: frame of panning", page.evaluate(PLOTLY_PAN, FRAMES // 3))
            page.close()
        browser.close()
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as scratch:
        warehouse = Warehouse(f"{scratch}/warehouse")
        places = write_catalogue(warehouse)
        facts = make_report(ReportSettings(warehouse.root, RUN, heatmaps=0)).facts
        (folder,) = warehouse.folders("reports", RUN)
        report = Path(warehouse.path("reports", RUN, folder))
        write_peer(Path(scratch) / "peer", report, places)
        songs = (report / "data" / "songs.js").read_text().removeprefix('msd.receive("songs",').removesuffix(");\n")
        spent = measure(report, Path(scratch) / "peer", json.loads(songs)["titles"][:5])
    figures = {
        "report_mebibytes_to_open": float(facts["MiB to open it"]),
        "report_mebibytes_of_the_folder": float(facts["MiB of the folder"]),
        "map_ready_milliseconds": spent["map: ready"],
        "map_frame_milliseconds": spent["map: frame of panning and zooming"],
        "map_paint_milliseconds": spent["map: painting alone"],
        "search_milliseconds": spent["search: further letter"],
        "frames_over_scattergl": spent["Plotly scattergl: frame of panning"]
        / spent["map: frame of panning and zooming"],
        "ready_over_scattergl": spent["Plotly scattergl: ready"] / spent["map: ready"],
    }
    publish("report", [f"{SONGS:,} songs", "milliseconds"], sorted(spent.items()), figures)


if __name__ == "__main__":
    main()
