"""Take a screenshot of a report for the README, with the installed Chromium.

Run ``python -m tools.screenshot`` after ``make demo``; options select another warehouse, run or output file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

from msd_spark.core.options import DEFAULT_WAREHOUSE
from msd_spark.core.runs import newest_run
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.draw.files import find_browser
from msd_spark.report.settings import REPORTS

REPOSITORY = Path(__file__).resolve().parents[1]
MOST_BYTES = 300 * 1024


def take(report: Path, output: Path) -> None:
    """Write a PNG of the top of a report, with a song selected."""
    browser_path = find_browser()
    if browser_path is None:
        raise SystemExit("no browser on this machine; run apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        page.goto((report / "index.html").resolve().as_uri())
        page.wait_for_selector("html[data-report=ready]")
        page.evaluate("msd.load('report').then(({ heatmaps }) => msd.show(heatmaps.length ? heatmaps[0] : 0))")
        page.wait_for_selector("#song-title")
        page.wait_for_load_state("networkidle")
        output.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=output)
        browser.close()
    if output.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{output} has {output.stat().st_size:,} bytes, more than {MOST_BYTES:,}")


def main() -> None:
    """Take the screenshot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--warehouse", default=DEFAULT_WAREHOUSE, help="folder of the tables")
    parser.add_argument("--run", help="run whose report is shown; by default the newest")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs/images/report.png", help="PNG to write")
    options = parser.parse_args()
    warehouse = Warehouse(options.warehouse)
    report = warehouse.path(REPORTS, options.run or newest_run(warehouse))
    take(Path(report), options.output)


if __name__ == "__main__":
    main()
