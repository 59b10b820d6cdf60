"""Delta Lake tables, committed by the driver in one step.

Workers write Parquet files under their final names. A version of a table is the set of files that its commits name, so
nothing is moved, copied or locked, and readers see one version or the other. A commit is one small file
``_delta_log/N.json``, written only if it does not exist.

References
----------
.. [1] "Delta Transaction Log Protocol", https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import EllipsisType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions
from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import delete_files, open_location
from msd_spark.core.object_store import os_error, s3_endpoint
from msd_spark.core.provenance import current_command, versions_to_keep

LOG = "_delta_log"
"""Folder of a table's commits."""

NOTES = "userMetadata"
"""Key of a commit's own content, which every Delta engine shows in a table's history; here it is JSON."""

SIDE_FILES = "side_files"
"""Key in the notes of a commit: its files that are not rows of the table, by name."""

TOKEN = "token"
"""Key in the notes of a commit: the part of its files' names that no other commit has."""

UNITS = "units"
"""Key in the notes of a commit of ``songs/``: the units of ingest that it added."""

RECENT = 5
"""Number of newest commits to search for our newest one: another program may have added some, such as a vacuum."""

ATTEMPTS = 4
"""Attempts at a commit in an object store, which is not repeated by itself."""

KEEP_LOG = {"delta.enableExpiredLogCleanup": "false", "delta.logRetentionDuration": "interval 36500 days"}
"""Properties of every table: `Snapshot.notes` and the lineage need the whole history."""


def delta_options(uri: str) -> dict[str, str]:
    """Return Delta's storage options for an address.

    Server and region are those of `open_location`.
    """
    if not uri.startswith("s3://"):
        return {}
    endpoint, region = s3_endpoint(uri.split("/")[2])
    server = {"aws_endpoint": endpoint, "aws_allow_http": "true"} if endpoint else {}
    return {"aws_conditional_put": "etag", "aws_region": region, **server}


class ConflictError(UserError):
    """Another job changed the table after this one read it."""


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table: its name below the table's folder, its bytes and its rows.

    `partition` is the value of the table's partition column, which is not in the file; None without such a column.
    """

    name: str
    size: int
    rows: int
    partition: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """One version of a table; `files` are sorted by name."""

    version: int
    files: tuple[DataFile, ...]
    table: DeltaTable = field(repr=False, compare=False)

    @property
    def schema(self) -> pa.Schema:
        """Schema of the rows."""
        return pa.schema(self.table.schema().to_arrow())

    @cached_property
    def notes(self) -> dict[str, Any]:
        """The notes of the newest commit that has some; empty if none has."""
        return next((commit[NOTES] for commit in self.history(RECENT) if NOTES in commit), {})

    def notes_with(self, key: str, value: str) -> dict[str, Any]:
        """Return the notes of the newest commit with a value under a key, or in a list there.

        Empty if no commit has it.
        """
        for commit in self.history():
            stated = commit.get(NOTES, {}).get(key)
            if value == stated or (isinstance(stated, list) and value in stated):
                return dict(commit[NOTES])
        return {}

    def history(self, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the commits, or some of the newest, newest first, with decoded notes."""
        for commit in self.table.history(limit):
            with contextlib.suppress(KeyError, ValueError, TypeError):
                commit[NOTES] = json.loads(commit[NOTES])
            if not isinstance(commit.get(NOTES, {}), dict):
                del commit[NOTES]
            yield commit


def not_writable(path: str, reason: object) -> UserError:
    """Return the error for a table that cannot be written."""
    return UserError(
        f"table {path} cannot be written: {reason}; "
        "make it a writable folder with free space, and run the same command again"
    )


class DeltaFolder:
    """A folder with a Delta table, or the place for one.

    `path` is for `filesystem`, `uri` is an absolute path or an address.
    """

    def __init__(self, filesystem: fs.FileSystem, path: str, uri: str) -> None:
        self.filesystem, self.path, self.uri, self.options = filesystem, path, uri, delta_options(uri)

    def exists(self) -> bool:
        """Return whether there is a table."""
        return DeltaTable.is_deltatable(self.uri, self.options)

    def snapshot(self) -> Snapshot | None:
        """Return the current version; None if there is no table."""
        try:
            table = DeltaTable(self.uri, storage_options=self.options)
        except TableNotFoundError:
            return None
        except FileNotFoundError:  # the table was replaced meanwhile
            raise
        except (DeltaError, OSError) as error:
            raise UserError(
                f"table {self.path} cannot be read: {self._reason(error)}; copy it again, or delete this folder and "
                "run the command that writes it"
            ) from error
        actions = pa.table(table.get_add_actions(flatten=True))
        columns = (actions[name].to_pylist() for name in ("path", "size_bytes", "num_records"))
        files = [DataFile(name, size, rows or 0) for name, size, rows in zip(*columns, strict=True)]
        return Snapshot(table.version(), tuple(sorted(files, key=lambda file: file.name)), table)

    def damage(self, snapshot: Snapshot) -> str | None:
        """Return the first missing or resized file of a version, as text; None if all are intact."""
        in_partitions = any("/" in file.name for file in snapshot.files)
        selector = fs.FileSelector(self.path, recursive=in_partitions, allow_not_found=True)
        sizes = {info.path: info.size for info in self.filesystem.get_file_info(selector)}
        for file in snapshot.files:
            size = sizes.get(f"{self.path}/{file.name}")
            if size is None:
                return f"{file.name} is missing"
            if size != file.size:
                return f"{file.name} has {size:,} bytes instead of {file.size:,}"
        return None

    def _commit(self, writer: TableWriter, schema: pa.Schema, partition_by: str | None) -> None:
        """Add the writer's files and remove those that it does not keep, in one step."""
        now, base = time.time_ns() // 1_000_000, writer.base
        actions: list[AddAction | RemoveAction] = [
            AddAction(
                item.name, item.size, _partition(item, partition_by), now, True, json.dumps({"numRecords": item.rows})
            )
            for item in writer.files
        ]
        removed = set(base.files) - set(writer.kept) if base and writer.kept else ()
        actions += [RemoveAction(item.name, True, now, item.size, _partition(item, partition_by)) for item in removed]
        notes = {
            **current_command(),
            TOKEN: writer.destination.token,
            "fingerprint": fingerprint([*writer.files, *writer.kept]),
            **writer.notes,
            SIDE_FILES: writer.side_files,
        }
        own = {NOTES: json.dumps(notes, ensure_ascii=False)}
        properties = CommitProperties(custom_metadata=own, max_commit_retries=0)
        columns = [*schema, *([pa.field(partition_by, pa.string())] if partition_by else [])]
        delta_schema = Schema.from_arrow(pa.schema(columns))
        try:
            if base is None:
                create_table_with_add_actions(
                    self.uri,
                    delta_schema,
                    actions,  # type: ignore[arg-type]  # there is nothing to remove yet
                    partition_by=partition_by,
                    configuration=KEEP_LOG,
                    storage_options=self.options,
                    commit_properties=properties,
                )
            else:
                mode = "append" if writer.kept else "overwrite"
                base.table.create_write_transaction(
                    actions, mode, delta_schema, partition_by or [], commit_properties=properties
                )
        except (DeltaError, OSError) as error:
            if isinstance(error, CommitFailedError) or (base is None and "already exists" in str(error)):
                raise ConflictError(
                    f"another job changed table {self.path} meanwhile; run the same command again when it has ended"
                ) from error
            raise not_writable(self.path, self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        if self.options:
            return str(os_error(error, self.path))
        text = re.sub("\x1b\\[[0-9;]*m", "", " ".join(str(error).split()))
        return text.split(" 0: ")[0]  # a trace of native code follows

    @contextmanager
    def overwriting(
        self,
        schema: pa.Schema,
        *,
        base: Snapshot | EllipsisType | None = ...,
        partition_by: str | None = None,
        clean: bool = True,
    ) -> Iterator[TableWriter]:
        """Yield a writer whose files replace the table on exit, in one commit.

        Files in its `kept` stay. `schema` is that of the files. The column `partition_by` has the `DataFile.partition`
        of each file.

        After an exception the table is as before; a `ConflictError` says that another job has changed it since this
        block began, or since the version `base`, None for no table. After a commit, `clean` deletes scratch files,
        files of jobs that died, and files of older versions; the last `versions_to_keep` before this one stay.
        """
        writer = TableWriter(self, self.snapshot() if isinstance(base, EllipsisType) else base)
        try:
            self.filesystem.create_dir(self.path, recursive=True)
            yield writer
            if not (writer.files or writer.kept):
                writer.write(schema.empty_table())
        except BaseException:
            self._forget(writer.destination.token)
            raise
        # Listed before the commit: a job that has uncommitted files here began before it, so its own commit conflicts.
        present: list[fs.FileInfo] = []
        if clean:
            with contextlib.suppress(OSError):  # the next commit deletes what this one does not
                present = self._present()
        self._commit_once(writer, schema, partition_by)
        if clean:
            try:
                self._delete(present, self._used() if versions_to_keep() else writer.names)
            except (OSError, UserError) as error:
                print(f"table {self.path} is written, but its old files stay: {error}", file=sys.stderr)

    def _commit_once(self, writer: TableWriter, schema: pa.Schema, partition_by: str | None) -> None:
        """Commit the files of a writer.

        A request that fails is repeated, and a lost answer is looked up.
        """
        token = writer.destination.token
        for attempt in range(ATTEMPTS if self.options else 1):
            time.sleep(random.uniform(0, attempt))
            try:
                self._commit(writer, schema, partition_by)
                return
            except UserError as error:
                if self._has_commit(token):
                    return
                if isinstance(error, ConflictError):
                    self._forget(token)
                    raise
                failure = error
        raise failure  # the commit may still arrive, so the files stay; otherwise the next job deletes them

    def _has_commit(self, token: str) -> bool:
        """Return whether a writer's commit is in the table: the answer of a store can be lost."""
        snapshot = self.snapshot()
        commits = snapshot.history(RECENT) if snapshot else ()
        return any(commit.get(NOTES, {}).get(TOKEN) == token for commit in commits)

    def _forget(self, token: str) -> None:
        """Delete the files of a writer that did not commit."""
        with contextlib.suppress(OSError):  # the next job that writes the table tries again
            self._delete([info for info in self._present() if token in info.path], set())
            if isinstance(self.filesystem, fs.LocalFileSystem):
                Path(self.path).rmdir()  # only if it is empty

    def delete_unused(self, abandoned: Callable[[fs.FileInfo], bool]) -> None:
        """Delete the files of older versions, except the `versions_to_keep` before the current one.

        `abandoned` decides about a file that was in no version: a job may have died before it committed the file, or
        may be about to commit it.
        """
        snapshot = self.snapshot()
        if snapshot is None:
            return
        removed = snapshot.table.vacuum(retention_hours=0, dry_run=True, enforce_retention_duration=False)
        old = {path.rsplit("/", 1)[-1] for path in removed}
        infos = [info for info in self._present() if info.base_name in old or abandoned(info)]
        self._delete(infos, self._used(snapshot))

    def _present(self) -> list[fs.FileInfo]:
        """List the files and folders of the table, except Delta's log."""
        infos = self.filesystem.get_file_info(fs.FileSelector(self.path, recursive=True, allow_not_found=True))
        return [info for info in infos if not f"{info.path}/".startswith(f"{self.path}/{LOG}/")]

    def _used(self, snapshot: Snapshot | None = None) -> set[str]:
        """Return the file names of the current version and of the `versions_to_keep` before it."""
        snapshot = snapshot or self.snapshot()
        recent = snapshot.history(RECENT + versions_to_keep()) if snapshot else ()
        written = [commit for commit in recent if NOTES in commit][: versions_to_keep() + 1]
        used = {file.name for file in snapshot.files} if snapshot else set()
        for commit in written:
            side_files = commit[NOTES].get(SIDE_FILES, {}).values()
            # Programs that read a partition's folder expect one description in it, that of the current version.
            used |= {name for name in side_files if commit is written[0] or "/" not in name}
        for commit in written[1:]:
            table = DeltaTable(self.uri, version=commit["version"], storage_options=self.options)
            used |= set(pa.table(table.get_add_actions(flatten=True))["path"].to_pylist())
        return used

    def _delete(self, infos: list[fs.FileInfo], used: set[str]) -> None:
        """Delete files whose names are not in `used`, and scratch folders."""
        names = {info.path.removeprefix(f"{self.path}/"): info for info in infos}
        delete_files(self.filesystem, [info.path for name, info in names.items() if info.is_file and name not in used])
        for name, info in names.items():
            if info.type == fs.FileType.Directory and name.startswith("_") and "/" not in name:
                self.filesystem.delete_dir(info.path)


@dataclass(frozen=True)
class Destination:
    """Where workers write the files of a table's next version; it can be sent to them.

    `token` marks the files of one writer.
    """

    uri: str
    token: str

    @contextmanager
    def create(self, number: int | str, subfolder: str = "") -> Iterator[NewFile]:
        """Yield a new file, under a name that no other attempt has.

        Spark may run a task twice, even at once. Its name begins with a number or with a given text.
        """
        filesystem, folder, _ = open_location(self.uri)
        if subfolder:
            filesystem.create_dir(f"{folder}/{subfolder}", recursive=True)
        stem = f"part-{number:05d}" if isinstance(number, int) else number
        name = f"{subfolder}{stem}-{self.token}{uuid.uuid4().hex[:8]}.parquet"
        with filesystem.open_output_stream(f"{folder}/{name}") as sink:
            file = NewFile(name, sink)
            yield file
            file.size = sink.tell()

    def write(
        self,
        number: int | str,
        rows: pa.Table,
        partition: str | None = None,
        turn: AbstractContextManager[Any] | None = None,
        **options: Any,
    ) -> DataFile:
        """Write rows to a new file; `options` are those of `pyarrow.parquet.write_table`.

        A file of a partition is in the folder of that name. `turn` is entered while the rows are encoded, and left
        before a store receives them.
        """
        with ExitStack() as upload, turn or nullcontext():
            file = upload.enter_context(self.create(number, f"{partition}/" if partition else ""))
            pq.write_table(rows, file.sink, **{"compression": "zstd", **options})
        return DataFile(file.name, file.size, rows.num_rows, partition)


@dataclass
class NewFile:
    """A file that is being written; its size is known at the end."""

    name: str
    sink: pa.NativeFile
    size: int = 0


class TableWriter:
    """Collects the files of the next version of a table.

    These are new files, and those of the version `base` that are kept.
    """

    def __init__(self, table: DeltaFolder, base: Snapshot | None) -> None:
        self.table, self.base = table, base
        self.destination = Destination(table.uri, uuid.uuid4().hex[:8])
        self.files: list[DataFile] = []
        self.kept: list[DataFile] = []
        self.notes: dict[str, Any] = {}
        self.side_files: dict[str, str] = {}

    @property
    def names(self) -> set[str]:
        """Names of the files of the next version."""
        return {file.name for file in (*self.files, *self.kept)} | set(self.side_files.values())

    def add(self, files: Iterable[DataFile]) -> None:
        """Add files that are written."""
        self.files.extend(files)

    def write(self, rows: pa.Table, **options: Any) -> None:
        """Write rows to a file and add it."""
        self.add([self.destination.write(len(self.files), rows, **options)])

    def side_file(self, name: str, partition: str = "") -> str:
        """Return the path of a new file that is not rows of the table, such as an index.

        `name` begins with _. A file in the folder of a partition describes the folder for other programs.
        """
        folder = f"{partition}/" if partition else ""
        self.side_files[folder + name] = f"{folder}_{self.destination.token}{name}"
        return f"{self.table.path}/{self.side_files[folder + name]}"

    def scratch(self, name: str) -> str:
        """Return the path for a temporary file or folder, which is deleted after the commit."""
        return f"{self.table.path}/_{self.destination.token}-{name}"

    def write_json(self, content: Any, name: str) -> None:
        """Write a side file of JSON."""
        with self.table.filesystem.open_output_stream(self.side_file(name)) as sink:
            sink.write(as_json(content))


def as_json(content: Any) -> bytes:
    """Return content as the text of a JSON file."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _partition(file: DataFile, column: str | None) -> dict[str, str | None]:
    return {column: file.partition} if column else {}


def fingerprint(files: Iterable[DataFile]) -> str:
    """Return a hash of files' logical names, sizes and rows."""
    lines = (f"{logical_name(item.name)}\t{item.size}\t{item.rows}" for item in files)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:32]


def token_of(name: str) -> str:
    """Return the part of a data file's name that is common to the files of a writer.

    Examples
    --------
    >>> token_of("train/part-00003-0123456789abcdef.parquet")
    '01234567'
    """
    return name.rsplit("-", 1)[-1][:8]


def logical_name(name: str) -> str:
    """Return the name of a data file without the part that differs between attempts.

    Examples
    --------
    >>> logical_name("train/part-00003-0123456789abcdef.parquet")
    'train/part-00003.parquet'
    """
    return f"{name.rsplit('-', 1)[0]}.parquet"
