"""Read text files line by line, local or remote."""

from __future__ import annotations

from collections.abc import Iterator

from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location

LINE_FEED = b"\n"


def read_lines(location: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the lines of a UTF-8 text file; only a line feed ends a line.

    Yields
    ------
    number : int
        From 1.
    line : str
        Without its line feed; bytes that are not UTF-8 become U+FFFD.
    ended : bool
        Whether a line feed ended it; False for the last line of a truncated file.

    Raises
    ------
    UserError
        If the file is missing.
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
