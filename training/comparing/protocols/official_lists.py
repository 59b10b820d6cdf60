"""Read the official lists of a protocol, which users download."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import PurePosixPath

import pyarrow as pa
from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.split_lists import read_split_list
from training.comparing.protocols.contract import TEST, TRAIN, VALIDATION, Lists, Protocol

WHERE = "docs/comparing.md names the addresses"

IN_ORDER = {2: (TRAIN, TEST), 3: (TRAIN, VALIDATION, TEST)}
"""Keys of the files of ``--protocol-lists``, by their number."""


def read_lists(protocol: Protocol, folder: str, files: Sequence[str]) -> Lists:
    """Return the lists of a protocol: those in `files`, otherwise those in a folder under their official names.

    In the folder, a list may be compressed (``.gz``). A protocol that does not need lists has none unless `files` has
    them.
    """
    if files:
        keys = IN_ORDER.get(len(files))
        if keys is None:
            raise UserError(f"--protocol-lists has {len(files)} files; allowed: TRAIN TEST, or TRAIN VALIDATION TEST")
        if VALIDATION not in keys and VALIDATION in protocol.files:
            raise UserError(f"--protocol-lists has 2 files; --protocol {protocol.name} needs TRAIN VALIDATION TEST")
        locations = dict(zip(keys, files, strict=True))
    elif not protocol.needs_lists:
        return Lists()
    elif not protocol.files:
        raise UserError(
            f"--protocol {protocol.name} has no default lists; download and unzip a split from "
            "https://www.tagtraum.com/msd_genre_datasets.html, and give --protocol-lists TRAIN TEST"
        )
    else:
        locations = {key: _existing(folder, one.file, protocol.name) for key, one in protocol.files.items()}
    ids = {key: _read(location) for key, location in locations.items()}
    are_official = bool(protocol.files) and all(
        key in protocol.files and checksum(own) == protocol.files[key].sha256 for key, own in ids.items()
    )
    return Lists(ids, {key: PurePosixPath(location).name for key, location in locations.items()}, are_official)


def checksum(ids: Sequence[str]) -> str:
    """Return the SHA-256 of the sorted ids, one per line; order and line ends of a file do not matter."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def _existing(folder: str, name: str, protocol: str) -> str:
    for ending in ("", ".gz"):
        location = f"{folder.rstrip('/')}/{name}{ending}"
        filesystem, path, _ = open_location(location)
        if filesystem.get_file_info(path).type == fs.FileType.File:
            return location
    raise UserError(
        f"--protocol {protocol} needs the official list {name}, which is not in {folder}; copy it "
        f"there ({WHERE}), or name files by --protocol-lists"
    )


def _read(location: str) -> list[str]:
    """Return the ids of a list."""
    filesystem, path, _ = open_location(location)
    if filesystem.get_file_info(path).type != fs.FileType.File:
        raise UserError(f"--protocol-lists: no file {location}")
    try:
        with filesystem.open_input_stream(path, compression="detect") as stream:
            lines = io.TextIOWrapper(io.BytesIO(stream.read()), "utf-8", errors="replace").read().splitlines()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"list {location} cannot be read: {str(error).splitlines()[0]}; download it again") from None
    ids, refused = read_split_list(lines)
    for number, reason, text in refused:
        if reason == "bad_id":
            raise UserError(
                f"{location}, line {number}: {text[:60]!r} is not a track, song or artist id; an official list has one "
                "per line, and lines of comment begin with #"
            )
    if not ids:
        raise UserError(f"list {location} has no id; download it again")
    return ids
