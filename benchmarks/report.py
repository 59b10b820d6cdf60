"""Measure reports of 1,000 to 1,000,000 songs in headless Chromium: time to open, frame rate, memory, search.

Reports are opened from disk, without a graphics card. Plotly's own scatter plot (``scattergl``) of `PEER_SONGS` points
is measured beside ours in the same browser; it needs WebGL, which Chromium then emulates on the CPU. Times are medians
of several rounds. Memory is the resident memory of the process of the page after all other measurements, with texts and
vectors for searching and recommending loaded.
"""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, BrowserType, sync_playwright

from benchmarks import publish
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.draw.files import find_browser
from msd_spark.report.folder import PLOTLY
from msd_spark.report.job import make_report
from msd_spark.report.scripts import as_json
from msd_spark.report.settings import ReportSettings
from tests.support.large_report import N_GENRES, RUN, write_large_run

SIZES = (1_000, 50_000, 1_000_000)
PEER_SONGS = 50_000
ROUNDS, FRAMES, SECONDS = 3, 10, 3
QUERIES = ("l", "la", "lam", "lami", "lamiso", "ré", "ka no", "wisé la")
VIEWPORT: Any = {"width": 1280, "height": 900}

PEER = """<!doctype html><meta charset="utf-8"><div id="m"></div><script src="plotly.min.js"></script>
<script src="places.js"></script><script>
const look = {type: 'scattergl', mode: 'markers', marker: {size: 4}, hoverinfo: 'none'};
Plotly.newPlot('m', groups.map(({x, y}) => ({...look, x, y})),
  {height: 600, showlegend: false}).then(() => requestAnimationFrame(() => performance.mark('map-painted')));
</script>"""

PAINTED = "() => performance.getEntriesByName('map-painted').map(({ startTime }) => startTime)[0]"
FRAME_RATE = """async (seconds) => {
  msd.map.reset();
  const end = performance.now() + 1000 * seconds;
  let frames = 0;
  for (; performance.now() < end; frames++) {
    await new Promise((next) => requestAnimationFrame(next));
    msd.map.zoom(frames % 80 < 40 ? 1.08 : 1 / 1.08);
    msd.map.pan(6 * Math.sin(frames / 9), 6 * Math.cos(frames / 9));
  }
  return frames / seconds;
}"""
PAINT = """(frames) => Array.from({length: frames}, () => {
  const started = performance.now();
  msd.map.paint();
  return performance.now() - started;
})"""
PLOTLY_FRAMES = """async (frames) => {
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
SEARCH = """async (texts) => {
  const spent = [];
  for (const text of texts) {
    const started = performance.now();
    await msd.search.find(text);
    spent.push(performance.now() - started);
  }
  return spent;
}"""
FILTER = """async () => {
  const started = performance.now();
  await msd.map.filter('decade', new Set([2, 3]));
  await msd.map.filter('genre', new Set([1]));
  msd.map.paint();
  const spent = performance.now() - started;
  for (const key of ['decade', 'genre']) await msd.map.filter(key, new Set());
  return spent;
}"""
SHOW = """async () => {
  const started = performance.now();
  await msd.show(msd.songs.n >> 1);
  return performance.now() - started;
}"""
RECOMMEND = """async () => {
  const started = performance.now();
  document.querySelector('#song button').click();
  while (!document.querySelector('#from-songs .lists li')) await new Promise((next) => setTimeout(next, 20));
  return performance.now() - started;
}"""


def write_report(root: str) -> tuple[dict[str, Any], float, float]:
    """Write the report in a process of its own; return facts, seconds, and peak memory in GiB."""
    started = time.perf_counter()
    facts = make_report(ReportSettings(root, RUN, heatmaps=0)).facts
    return facts, time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def write_peer(folder: Path, report: Path, places: np.ndarray) -> None:
    """Write a page on which Plotly draws the same places by WebGL."""
    folder.mkdir()
    shutil.copy(report / PLOTLY, folder / "plotly.min.js")
    groups = [places[places[:, 2] == code] for code in range(N_GENRES)]
    written = [{"x": part[:, 0].round(3).tolist(), "y": part[:, 1].round(3).tolist()} for part in groups]
    (folder / "places.js").write_text(f"const groups = {as_json(written)};")
    (folder / "index.html").write_text(PEER)


def page_memory() -> float:
    """Return the greatest resident memory of a process of a page, in MB."""
    sizes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                status = (process / "status").read_text()
                sizes.append(int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6)
        except (OSError, IndexError):
            continue  # it has ended
    return max(sizes)


def measure(chromium: BrowserType, executable: str, report: Path) -> dict[str, float]:
    """Return times in milliseconds, frames per second and memory in MB; each round has a new browser."""
    measured: dict[str, list[float]] = {}

    def note(name: str, values: Any) -> None:
        measured.setdefault(name, []).extend(values if isinstance(values, list) else [values])

    for _ in range(ROUNDS):
        browser = chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport=VIEWPORT)
        page.set_default_timeout(120_000)
        page.goto((report / "index.html").as_uri())
        page.wait_for_selector("html[data-report=ready]")
        note("page first paint ms", page.evaluate(PAINTED))
        page.evaluate("msd.run('assets/plotly.min.js')")  # which it loads after some seconds
        note("map: painting ms", page.evaluate(PAINT, FRAMES))
        note("page frames per second", page.evaluate(FRAME_RATE, SECONDS))
        note("search: first letter ms", page.evaluate(SEARCH, QUERIES[:1]))
        note("search: further letter ms", page.evaluate(SEARCH, QUERIES))
        note("filter ms", page.evaluate(FILTER))
        note("show a song ms", page.evaluate(SHOW))
        note("recommend from a song ms", page.evaluate(RECOMMEND))
        note("page memory mb", page_memory())
        browser.close()
    return {name: statistics.median(values) for name, values in measured.items()}


def measure_peer(browser: Browser, folder: Path) -> tuple[float, float]:
    """Return the milliseconds until Plotly has painted, and those of a frame."""
    page = browser.new_page(viewport=VIEWPORT)
    page.goto((folder / "index.html").as_uri())
    while page.evaluate(PAINTED) is None:
        page.wait_for_timeout(50)
    painted, frames = page.evaluate(PAINTED), page.evaluate(PLOTLY_FRAMES, FRAMES)
    page.close()
    return painted, statistics.median(frames)


def main() -> None:
    """Measure and publish."""
    executable = find_browser()
    if executable is None:
        raise SystemExit("no browser on this machine; run apt-get install chromium")
    rows: list[tuple[Any, ...]] = []
    metrics: dict[str, float] = {}
    for n in SIZES:
        with (
            tempfile.TemporaryDirectory() as scratch,
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        ):
            warehouse = Warehouse(f"{scratch}/warehouse")
            places = write_large_run(warehouse, n, listens=True)
            facts, seconds, peak = pool.submit(write_report, warehouse.root).result()
            (name,) = warehouse.folders("reports", RUN)
            report = Path(warehouse.path("reports", RUN, name))
            measured: dict[str, float] = {"job seconds": seconds, "job peak GiB": peak}
            measured |= {fact: float(facts[fact]) for fact in ("MiB to open it", "MiB of the folder")}
            with sync_playwright() as playwright:
                measured |= measure(playwright.chromium, executable, report)
                if n == PEER_SONGS:
                    browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
                    write_peer(Path(scratch) / "peer", report, places)
                    painted, frame = measure_peer(browser, Path(scratch) / "peer")
                    metrics["frames_over_scattergl"] = frame * measured["page frames per second"] / 1000
                    metrics["first_paint_over_scattergl"] = painted / measured["page first paint ms"]
                    browser.close()
        rows += [(f"{n:,} songs", name, value) for name, value in measured.items()]
        for name, value in measured.items():
            key = name.replace(":", "").replace(" ", "_").lower()
            metrics[f"{key}_{n}"] = value
            if n == SIZES[-1] and name.startswith("page"):
                metrics[key] = value
    publish("report", ["report", "", "value"], rows, metrics)


if __name__ == "__main__":
    main()
