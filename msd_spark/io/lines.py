"""Read text files line by line, local or remote."""

from __future__ import annotations

from collections.abc import Iterator

from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location

LINE_FEED = b"\n"


def read_lines(location: str) -> Iterator[tuple[int, str, bool]]:
    """Yield number, text and ending of each line of a UTF-8 text file.

    Numbers begin at 1. Only a line feed ends a line; it is removed. `ended` is False for the last line of a truncated
    file. Bytes that are not UTF-8 become U+FFFD.
    """
    filesystem, path, _ = open_location(location)
    if filesystem.get_file_info(path).type != fs.FileType.File:
        raise UserError(f"no file {location}")
    with filesystem.open_input_stream(path, compression=None) as stream:
        number, rest = 0, b""
        while chunk := stream.read(1 << 20):
            *whole, rest = (rest + chunk).split(LINE_FEED)
            for line in whole:
                number += 1
                yield number, line.decode("utf-8", "replace"), True
        if rest:
            yield number + 1, rest.decode("utf-8", "replace"), False
