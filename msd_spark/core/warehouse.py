"""The warehouse: a folder of tables, local or remote, each complete or absent.

A table is written to a staging folder and moved into place when it is complete; its last file is the marker `COMPLETE`,
without which no stage reads it. Spark, pandas and pyarrow ignore files whose names begin with an underscore or a dot.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local, open_location

MADE_BY = {
    "songs": "ingest",
    "rejected": "ingest",
    "ledger": "ingest",
    "lyrics": "lyrics",
    "lyric_words": "lyrics",
    "labels": "labels",
    "tags": "labels",
    "tag_counts": "labels",
    "plays": "plays",
    "popularity": "plays",
    "factors": "factors",
    "recommendations": "factors",
    "dataset": "dataset",
    "models": "train",
    "embeddings": "score",
    "neighbours": "neighbours",
    "maps": "maps",
    "reports": "report",
}
"""The verb of ``msd-spark`` that writes each table or folder of the warehouse."""

DEFAULT_WAREHOUSE = "./warehouse"
"""The warehouse if no other is given."""

WAREHOUSE_HELP = "folder of the tables; local, s3:// or hdfs://"

COMPLETE = "_SUCCESS"
"""Marker of a complete table, as Spark and Hadoop name it."""

STAGING = "_staging"
"""Folder of the warehouse for unfinished tables."""

UNFINISHED = "_unfinished-"
"""Prefix of a file that a worker is writing."""


@dataclass(frozen=True)
class TableFiles:
    """The data files of a table: paths for the warehouse's filesystem, and sizes in bytes."""

    paths: tuple[str, ...]
    sizes: tuple[int, ...]


class Warehouse:
    """A folder of tables, local or remote.

    `uri` is a path or an address such as ``s3://bucket/folder`` or ``hdfs://host/folder``.
    """

    def __init__(self, uri: str) -> None:
        if set("#?") & set(uri):
            raise UserError(f"{uri} has a # or a ?, which Petastorm cannot read; choose another folder")
        self.is_local = is_local(uri)
        self.filesystem, self.root, self.scheme = open_location(uri)

    def path(self, *names: str) -> str:
        """Return a path within the warehouse, for `filesystem`."""
        return "/".join([self.root, *names])

    def address(self, *names: str) -> str:
        """Return a path within the warehouse, for Spark and other engines."""
        return (self.scheme or "file://") + self.path(*names)

    def exists(self, *names: str) -> bool:
        """Return whether a file exists."""
        return self.filesystem.get_file_info(self.path(*names)).type == fs.FileType.File

    def is_complete(self, *names: str) -> bool:
        """Return whether a table is complete."""
        return self.exists(*names, COMPLETE)

    def require(self, *names: str) -> str:
        """Return the address of a complete table, or raise an error with the command that writes it."""
        if not self.is_complete(*names):
            raise UserError(f"table {self.path(*names)} is missing or incomplete; run {command_for(names[0])} first")
        return self.address(*names)

    @contextmanager
    def replacing(self, *names: str) -> Iterator[str]:
        """Yield a staging folder, for `filesystem`, whose files replace a table on exit.

        After an exception the table is unchanged and the staging folder is removed.
        """
        staging = self.path(STAGING, f"{names[-1]}-{uuid.uuid4().hex}")
        self.filesystem.create_dir(staging, recursive=True)
        try:
            yield staging
            for info in self.list_files(staging):
                if info.base_name.startswith(UNFINISHED):
                    self.filesystem.delete_file(info.path)
            self._touch(f"{staging}/{COMPLETE}")
            self._put_in_place(staging, self.path(*names))
        finally:
            self._remove(staging)
            self.remove_if_empty(STAGING)

    @contextmanager
    def finished_file(self, path: str) -> Iterator[str]:
        """Yield a temporary name for a file, which is moved to `path` on exit.

        If Spark runs a task twice, even at the same time, one complete file remains.
        """
        folder, name = path.rsplit("/", 1)
        unfinished = f"{folder}/{UNFINISHED}{uuid.uuid4().hex}-{name}"
        try:
            yield unfinished
        except BaseException:
            self._remove(unfinished)
            raise
        self.filesystem.move(unfinished, path)

    def _put_in_place(self, staging: str, final: str) -> None:
        if not self.is_local:
            # An object store cannot rename a folder: remove the marker first and write it last.
            self._remove(f"{final}/{COMPLETE}")
            self._remove(final)
            files = [info.path for info in self.list_files(staging)]
            for path in sorted(files, key=lambda path: path.endswith(COMPLETE)):
                self.filesystem.move(path, final + path.removeprefix(staging))
            return
        replaced = f"{self.path(STAGING)}/replaced-{uuid.uuid4().hex}"
        Path(final).parent.mkdir(parents=True, exist_ok=True)
        if Path(final).exists():
            Path(final).rename(replaced)
        try:
            Path(staging).rename(final)
        except OSError:
            if Path(replaced).exists():
                Path(replaced).rename(final)
            raise
        shutil.rmtree(replaced, ignore_errors=True)

    def _remove(self, path: str) -> None:
        kind = self.filesystem.get_file_info(path).type
        if kind == fs.FileType.Directory:
            self.filesystem.delete_dir(path)
        elif kind == fs.FileType.File:
            self.filesystem.delete_file(path)

    def remove_if_empty(self, *names: str) -> None:
        """Remove an empty folder of a local warehouse; object stores have no folders."""
        if self.is_local:
            with contextlib.suppress(OSError):  # not empty, or already removed
                Path(self.path(*names)).rmdir()

    def touch(self, *names: str) -> None:
        """Write an empty file."""
        self._touch(self.path(*names))

    def remove(self, *names: str) -> None:
        """Remove a file or folder if it exists."""
        self._remove(self.path(*names))

    def _touch(self, path: str) -> None:
        with self.filesystem.open_output_stream(path):
            pass

    def list_files(self, path: str) -> list[fs.FileInfo]:
        """Return all files below a folder, sorted by path; none if the folder is missing."""
        selector = fs.FileSelector(path, recursive=True, allow_not_found=True)
        files = [info for info in self.filesystem.get_file_info(selector) if info.type == fs.FileType.File]
        return sorted(files, key=lambda info: info.path)

    def table_files(self, *names: str) -> TableFiles:
        """Return the data files of a table."""
        files = [info for info in self.list_files(self.path(*names)) if not info.base_name.startswith(("_", "."))]
        return TableFiles(tuple(info.path for info in files), tuple(info.size for info in files))

    def fingerprint(self, *names: str) -> dict[str, Any]:
        """Return a table's number of files and bytes, and a hash of its files' names and sizes."""
        files, start = self.table_files(*names), len(self.root) + 1
        lines = [f"{path[start:]}\t{size}" for path, size in zip(files.paths, files.sizes, strict=True)]
        digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:32]
        return {"files": len(lines), "bytes": sum(files.sizes), "fingerprint": digest}

    def open_table(self, *names: str) -> pads.Dataset:
        """Return a table as a pyarrow dataset, without partition columns."""
        paths = list(self.table_files(*names).paths)
        return pads.dataset(paths, filesystem=self.filesystem, format="parquet", partitioning=None)

    def read_table(self, columns: Sequence[str] | None, *names: str, filter: pads.Expression | None = None) -> pa.Table:
        """Return columns of a table, all if None, for the rows that pass a filter."""
        return self.open_table(*names).to_table(None if columns is None else list(columns), filter=filter)

    def write_arrow(self, table: pa.Table, *names: str) -> None:
        """Write a table from memory, replacing an existing one."""
        with self.replacing(*names) as staging:
            pq.write_table(table, f"{staging}/part-0.parquet", filesystem=self.filesystem, compression="zstd")

    def write_json(self, content: Any, *names: str) -> None:
        """Write a JSON file atomically."""
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        final = self.path(*names)
        self.filesystem.create_dir(final.rsplit("/", 1)[0], recursive=True)
        with self.finished_file(final) as unfinished, self.filesystem.open_output_stream(unfinished) as sink:
            sink.write(text.encode() + b"\n")

    def read_json(self, *names: str) -> Any:
        """Read a JSON file; `FileNotFoundError` if it is missing."""
        with self.filesystem.open_input_stream(self.path(*names)) as source:
            return json.loads(source.read())


def command_for(table: str) -> str:
    """Return the command that writes a table of the warehouse."""
    return f"msd-spark {MADE_BY[table]}"
