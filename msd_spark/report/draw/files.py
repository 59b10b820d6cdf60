"""SVG and PNG files of charts, made by a headless browser from the report's scripts."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.resources import files as package_files
from pathlib import Path
from urllib.parse import unquote_to_bytes

from plotly.offline import get_plotlyjs

from msd_spark.core.errors import UserError
from msd_spark.report.draw.charts import Chart
from msd_spark.report.scripts import as_script

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom")
VIRTUAL_MILLISECONDS = 1_000_000
"""Maximum time by the clock of the browser's scripts, which skips idle time."""

TIMEOUT_SECONDS = 1800
HTML = """<!doctype html><meta charset="utf-8">
<script src="plotly.min.js"></script><script src="base.js"></script><script src="charts.js"></script>
<script src="data.js"></script><body><script>
msd.load('charts').then(msd.charts.images).then((images) => {
  document.body.append(msd.element('pre', { id: 'images' }, JSON.stringify(images)));
});
</script>"""


def find_browser() -> str | None:
    """Return the path of the browser in ``MSD_SPARK_BROWSER``, or of Chromium or Chrome."""
    return next(filter(None, map(shutil.which, (os.environ.get("MSD_SPARK_BROWSER", ""), *BROWSERS))), None)


def require_browser() -> str:
    """Return the path of a browser; raise `UserError` without one."""
    browser = find_browser()
    if browser is None:
        names = ", ".join(BROWSERS)
        raise UserError(
            f"--figures needs a browser and there is none ({names}); run apt-get install chromium, or leave out "
            "--figures and save charts by the buttons of the report"
        )
    return browser


def chart_files(charts: Sequence[Chart], browser: str) -> dict[str, bytes]:
    """Return the SVG and PNG files of charts, by file name."""
    # Helper processes of the browser may write to its profile after the browser has ended.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for script in ("base.js", "charts.js"):
            (folder / script).write_bytes((package_files("msd_spark.report") / "assets" / script).read_bytes())
        (folder / "plotly.min.js").write_text(get_plotlyjs())
        (folder / "data.js").write_bytes(as_script("charts", {chart.name: chart.content for chart in charts}))
        (folder / "index.html").write_text(HTML)
        options = (*OPTIONS, f"--virtual-time-budget={VIRTUAL_MILLISECONDS}", f"--user-data-dir={folder / 'profile'}")
        command = [browser, *options, (folder / "index.html").as_uri()]
        try:
            process = subprocess.run(
                # Chromium writes to the home directory whatever its profile is.
                command,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                env=os.environ | {"HOME": name},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"{browser} cannot save the charts: {error}") from None
    images = re.search(r'<pre id="images">(.*?)</pre>', process.stdout, re.DOTALL)
    if images is None:
        reason = (process.stderr.strip().splitlines() or ["no output"])[-1]
        raise UserError(f"{browser} saved no charts ({reason}); leave out --figures")
    files = {}
    for name, address in json.loads(images[1]).items():
        head, _, content = address.partition(",")
        files[name] = base64.b64decode(content) if head.endswith(";base64") else unquote_to_bytes(content)
    return files
