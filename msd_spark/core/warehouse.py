"""The warehouse: a folder of tables, local or remote.

Every table is a Delta Lake table (`msd_spark.core.delta`). A folder that is not a table, such as a trained model, has
its files in a subfolder under a unique name, and one small JSON file that names it, written last.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from msd_spark.core.delta import SIDE_FILES, DataFile, DeltaFolder, Snapshot, TableWriter, as_json, fingerprint
from msd_spark.core.errors import DamagedError, UserError
from msd_spark.core.filesystems import is_local, open_location, write_atomically
from msd_spark.core.row_groups import RowGroups

if TYPE_CHECKING:
    import pyarrow.dataset as pads

MADE_BY = {
    "songs": "ingest",
    "rejected": "ingest",
    "ledger": "ingest",
    "lyric_words": "lyrics",
    "tags": "labels",
    "tag_counts": "labels",
    "popularity": "plays",
    "recommendations": "factors",
    "embeddings": "score",
    "_ingest": "ingest",
    "models": "train",
    "reports": "report",
    "studies": "listen",
    "comparisons": "compare",
    "searches": "search",
    "evaluations": "evaluate",
}
"""The verb of ``msd-spark`` that writes a table or folder, if it has another name."""

READERS = 32
"""Files read in parallel; on an object store most of the time is waiting."""

FOLDER = "folder"
"""Key of the JSON file of a folder that is not a table: the subfolder with its current files."""


@dataclass
class FolderWriter:
    """A new folder of files: its names, its path, and the file that names it, written last."""

    names: tuple[str, ...]
    path: str
    pointer: tuple[str, bytes] | None = None

    def point_by_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Name this folder in a JSON file, next to other content."""
        self.pointer = name, as_json({**content, FOLDER: self.names[-1]})


class Warehouse:
    """A folder of tables, local or remote.

    `uri` is a path or an address such as ``s3://bucket/folder`` or ``hdfs://host/folder``.
    """

    def __init__(self, uri: str) -> None:
        self.is_local = is_local(uri)
        self.filesystem, self.root, self.scheme = open_location(uri)
        if re.search("[\0-\x1f\x7f\ud800-\udfff]", self.root):
            raise UserError(f"the warehouse {uri!r} is not UTF-8, or has control characters; choose another folder")
        if self.is_local and os.path.isfile(self.root):
            raise UserError(f"warehouse {self.root} is a file; choose a folder by --warehouse")
        # Petastorm parses # and ? as parts of a URL, and Delta decodes %41 to A.
        if mark := re.search("[#?]|%[0-9a-fA-F]{2}", self.root):
            raise UserError(
                f"the warehouse {uri} has {mark[0]!r} in its path, which Petastorm or Delta misreads; "
                "choose another folder"
            )

    def path(self, *names: str) -> str:
        """Return a path within the warehouse, for `filesystem`.

        Raises `UserError` for a name that is not a single path component, such as ``../songs``.
        """
        for name in names:
            if name in ("", ".", "..") or set("/\0") & set(name):
                raise UserError(
                    f"{name!r} is not a name of a file or folder in {self.root}; use letters, digits, _ . and -"
                )
        return "/".join([self.root, *names])

    def address(self, *names: str) -> str:
        """Return a path within the warehouse, for Spark and other engines."""
        return (self.scheme or "file://") + self.path(*names)

    def file(self, *names: str) -> str:
        """Return the path of a file.

        One whose name begins with _ is a side file of the table with the other names. Raises `FileNotFoundError` if the
        table has no such file.
        """
        *table, name = names
        if not name.startswith("_"):
            return self.path(*names)
        snapshot = self.table(*table).snapshot()
        side_files = snapshot.notes.get(SIDE_FILES, {}) if snapshot else {}
        if name not in side_files:
            raise FileNotFoundError(self.path(*names))
        return self.path(*table, side_files[name])

    def exists(self, *names: str) -> bool:
        """Return whether a file exists, or a side file of a table."""
        try:
            return self.filesystem.get_file_info(self.file(*names)).type == fs.FileType.File
        except FileNotFoundError:
            return False

    def table(self, *names: str) -> DeltaFolder:
        """Return the folder of a table, whether it exists or not."""
        return DeltaFolder(self.filesystem, self.path(*names), self.address(*names))

    def is_complete(self, *names: str) -> bool:
        """Return whether a table exists."""
        return self.table(*names).exists()

    def snapshot(self, *names: str) -> Snapshot:
        """Return the current version of a table after checking that its files are intact.

        Raises an error with the command that writes the table, or `DamagedError` with the file that is missing or has
        another size.
        """
        table = self.table(*names)
        snapshot = table.snapshot()
        while snapshot is not None:
            damage = table.damage(snapshot)
            newer = table.snapshot() if damage else snapshot
            if newer == snapshot:
                if damage:
                    raise DamagedError(f"table {self.path(*names)} is damaged: {damage}; {remedy_for(*names)}")
                return snapshot
            snapshot = newer  # another job has replaced the table meanwhile
        folder = names[:-1]
        others = [name for name in self.folders(*folder) if self.is_complete(*folder, name)] if folder else []
        instead = f", or choose {', '.join(others)}" if others else ""
        raise UserError(f"table {self.path(*names)} is missing; run {command_for(*names)} first{instead}")

    def read_examples(self, columns: Sequence[str], dataset: str) -> pa.Table:
        """Return columns of a dataset, with the split of each example in the column ``split``."""

        def read(file: DataFile) -> pa.Table:
            path = self.path("dataset", dataset, *file.name.split("/"))
            rows = RowGroups(self.filesystem, path).fetch(columns).read(list(columns), use_threads=False)
            return rows.append_column("split", pa.repeat(file.name.split("/")[0], rows.num_rows))

        with ThreadPoolExecutor(READERS) as pool:
            return pa.concat_tables(pool.map(read, self.snapshot("dataset", dataset).files))

    def require(self, *names: str) -> None:
        """Raise an error with the command that writes a table unless it exists."""
        self.snapshot(*names)

    def check_writable(self) -> None:
        """Raise an error if the warehouse is not writable; a missing local one is accepted."""
        if self.is_local:
            above = next(path for path in (Path(self.root), *Path(self.root).parents) if path.exists())
            exists = above == Path(self.root)  # then its folders may be writable although it is not
            if not (above.is_dir() and (exists or os.access(above, os.W_OK))):
                reason = "is not writable" if above.is_dir() else "is a file"
                raise UserError(
                    f"warehouse {self.root} cannot be written: {above} {reason}; choose another --warehouse"
                )
        if isinstance(self.filesystem, fs.PyFileSystem):
            probe = f"_writable-{uuid.uuid4().hex[:12]}"
            try:
                self.write_file(b"", probe)
                self.filesystem.delete_file(self.path(probe))
            except OSError as error:
                raise UserError(f"warehouse {self.address()} cannot be written: {error}") from error

    def overwriting(self, schema: pa.Schema, *names: str, **options: Any) -> AbstractContextManager[TableWriter]:
        """Yield a writer whose files replace a table on exit.

        See `DeltaFolder.overwriting` for `options`.
        """
        return self.table(*names).overwriting(schema, **options)

    @contextmanager
    def replacing_folder(self, *names: str) -> Iterator[FolderWriter]:
        """Yield a new folder that becomes the current one on exit.

        That is when the file of its `pointer` is written. After an exception the current one stays. Older folders are
        then deleted.
        """
        token = uuid.uuid4().hex[:12]
        writer = FolderWriter((*names, token), self.path(*names, token))
        self.make_folder(writer.path)
        try:
            yield writer
            if writer.pointer is None:
                raise AssertionError(f"nothing names {writer.path}")
        except BaseException:
            self.remove(*names, token)
            raise
        # If this fails, the file may be in place although its answer was lost, so the folder stays.
        self.write_file(writer.pointer[1], *names, writer.pointer[0])
        for info in self.filesystem.get_file_info(fs.FileSelector(self.path(*names))):
            if info.type == fs.FileType.Directory and info.base_name != token:
                with contextlib.suppress(FileNotFoundError):  # another job was faster
                    self.filesystem.delete_dir(info.path)

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it, given its path; an object store needs none."""
        self.filesystem.create_dir(path, recursive=True)

    def write_file(self, content: bytes, *names: str) -> None:
        """Write a file of the warehouse atomically."""
        write_atomically(self.filesystem, self.path(*names), content)

    def remove(self, *names: str) -> None:
        """Remove a file or folder if it exists."""
        path = self.path(*names)
        kind = self.filesystem.get_file_info(path).type
        if kind == fs.FileType.Directory:
            self.filesystem.delete_dir(path)
        elif kind == fs.FileType.File:
            self.filesystem.delete_file(path)

    def list_files(self, path: str) -> list[fs.FileInfo]:
        """Return all files below a folder, sorted by path; none if the folder is missing."""
        selector = fs.FileSelector(path, recursive=True, allow_not_found=True)
        files = [info for info in self.filesystem.get_file_info(selector) if info.type == fs.FileType.File]
        return sorted(files, key=lambda info: info.path)

    def folders(self, *names: str) -> list[str]:
        """Return the sorted names of the folders in a folder; none if it is missing."""
        selector = fs.FileSelector(self.path(*names), allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)

    def paths(self, *names: str) -> list[str]:
        """Return the paths of a table's data files."""
        return [self.path(*names, *file.name.split("/")) for file in self.snapshot(*names).files]

    def fingerprints(self, tables: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the number of files, bytes and fingerprint of each table that exists.

        The fingerprint is a hash of the files' logical names, sizes and rows.
        """
        names = sorted(tables)
        with ThreadPoolExecutor(READERS) as pool:
            snapshots = pool.map(lambda name: self.table(name).snapshot(), names)
        files_of = {name: snapshot.files for name, snapshot in zip(names, snapshots, strict=True) if snapshot}
        return {
            name: {"files": len(files), "bytes": sum(item.size for item in files), "fingerprint": fingerprint(files)}
            for name, files in files_of.items()
        }

    def open_table(self, *names: str) -> pads.Dataset:
        """Return a table as a pyarrow dataset, without partition columns."""
        import pyarrow.dataset as pads  # loads pandas, which takes longer than most reads of one file

        snapshot = self.snapshot(*names)
        if not snapshot.files:  # another program deleted all rows
            return pads.dataset(snapshot.schema.empty_table())
        paths = [self.path(*names, *file.name.split("/")) for file in snapshot.files]
        return pads.dataset(paths, filesystem=self.filesystem, format="parquet", partitioning=None)

    def read_table(self, columns: Sequence[str] | None, *names: str, filter: pads.Expression | None = None) -> pa.Table:
        """Return columns of a table, all if None, for the rows that pass a filter."""
        wanted = None if columns is None else list(columns)
        try:
            return self.open_table(*names).to_table(wanted, filter=filter)
        except FileNotFoundError:  # the table was replaced meanwhile; its older files are deleted
            return self.open_table(*names).to_table(wanted, filter=filter)
        except (pa.ArrowException, OSError) as error:
            if _is_of_the_store(error):
                raise
            for path in self.paths(*names):
                with reading(path, *names):
                    pq.ParquetFile(path, filesystem=self.filesystem).read(wanted)
            table = f"table {self.path(*names)}"
            raise DamagedError(f"{table} cannot be read: {first_line(error)}; {remedy_for(*names)}") from error

    def read_parquet(self, *names: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return columns of one Parquet file, all if None; see `file` for its name."""
        path, wanted = self.file(*names), None if columns is None else list(columns)
        with reading(path, *names):
            return pq.read_table(path, columns=wanted, filesystem=self.filesystem, partitioning=None)

    def read_file(self, *names: str) -> bytes:
        """Return the content of a file, see `file`; `FileNotFoundError` if it is missing."""
        path = self.file(*names)
        try:
            with self.filesystem.open_input_stream(path, compression=None) as source:
                return source.read()
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is missing; {remedy_for(*names)}") from None

    def write_arrow(self, table: pa.Table, *names: str) -> None:
        """Write a table from memory, replacing an existing one."""
        with self.overwriting(table.schema, *names) as writer:
            writer.write(table)

    def write_json(self, content: Any, *names: str) -> None:
        """Write a JSON file atomically."""
        self.write_file(as_json(content), *names)

    def read_json(self, *names: str) -> Any:
        """Read a JSON file, see `file`.

        Raises `FileNotFoundError` if it is missing, `DamagedError` if it is not JSON.
        """
        content = self.read_file(*names)
        try:
            return json.loads(content)
        except ValueError as error:
            raise DamagedError(f"{self.file(*names)} is not valid JSON ({error}); {remedy_for(*names)}") from None


@contextmanager
def reading(path: str, *names: str) -> Iterator[None]:
    """Convert the error of a Parquet file that cannot be read to a `DamagedError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; {remedy_for(*names)}") from None
    except (pa.ArrowException, OSError) as error:
        if _is_of_the_store(error):
            raise
        raise DamagedError(f"{path} cannot be read: {first_line(error)}; {remedy_for(*names)}") from error


def _is_of_the_store(error: Exception) -> bool:
    """Return whether an error is of permissions, memory or the object store, not of the file."""
    return isinstance(error, PermissionError | MemoryError) or str(error).startswith("s3://")


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def command_for(table: str, *names: str) -> str:
    """Return the command that writes a table, folder or summary of the warehouse.

    Examples
    --------
    >>> command_for("embeddings", "demo"), command_for("rejected", "stage=score"), command_for("summaries", "maps.json")
    ('msd-spark score', 'msd-spark score', 'msd-spark maps')
    """
    if table in ("rejected", "summaries") and names:
        table = names[0].removeprefix("stage=").removesuffix(".json")
    return f"msd-spark {MADE_BY.get(table, table)}"


def remedy_for(*names: str) -> str:
    """Return the remedy for a damaged table or file, as text of an error."""
    is_ledger = names[0] in ("ledger", "_ingest")
    return f"copy it again, or {'delete the table and ' if is_ledger else ''}run {command_for(*names)} again"
