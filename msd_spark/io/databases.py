"""Open SQLite databases for reading, local or remote."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from pyarrow import fs

from msd_spark.core.filesystems import open_location


@contextmanager
def open_database(location: str) -> Iterator[sqlite3.Connection]:
    """Open a database read-only; a remote one is first copied to a temporary file."""
    filesystem, path, _ = open_location(location)
    with tempfile.TemporaryDirectory() as folder:
        if not isinstance(filesystem, fs.LocalFileSystem):
            copy = Path(folder, "copy.db")
            with filesystem.open_input_stream(path, compression=None) as source, copy.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 22)
            path = str(copy)
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)) as database:
            database.text_factory = lambda text: text.decode("utf-8", "replace")
            yield database
