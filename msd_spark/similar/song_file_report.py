"""What is printed and written of loose songs: what the model says of them, and the songs that are nearest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from tabulate import tabulate

from msd_spark.catalogue.names import display_name
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import NONE
from msd_spark.scoring.work import write_rows
from msd_spark.similar.command import Catalogue, search
from msd_spark.similar.playlist import one_line
from msd_spark.similar.song_files import LooseSong


def songs_table(songs: Sequence[LooseSong]) -> str:
    """Return what a run's model says of songs, as a table."""
    rows = [
        (
            one_line(display_name(song.artist, song.title)),
            song.track_id,
            song.predicted_genre,
            song.probability,
            song.entropy,
            "yes" if song.has_lyrics else "no",
        )
        for song in songs
    ]
    headers = ["song", "track id", "genre", "probability", "entropy", "lyrics"]
    return tabulate(rows, headers, tablefmt="simple", floatfmt=".3f", missingval="", disable_numparse=[0, 1, 2])


def rejected_table(rejected: Sequence[Rejection]) -> str:
    """Return the files that gave no song, as a table."""
    rows = [(one_line(item.source), item.reason, one_line(item.detail)) for item in rejected]
    return tabulate(rows, ["no song", "reason", "detail"], tablefmt="simple", disable_numparse=True)


def nearest_tables(warehouse: Warehouse, run: str, songs: Sequence[LooseSong], k: int) -> Iterator[str]:
    """Give each song's nearest of ``embeddings/RUN``, as a table; the other loose songs are not among them.

    Raises
    ------
    UserError
        When the table cannot be searched.
    """
    catalogue = Catalogue.read(warehouse, run)
    for song in songs:
        among, row = catalogue.with_song(song)
        try:
            found = search(warehouse, among, row, run, k, None, ())
        except ValueError as error:
            raise UserError(f"{error}; run msd-spark score again") from None
        rows = []
        for place, distance in zip(found.places[0], found.distances[0], strict=True):
            if place != NONE:
                other = among.facts(int(place))
                name = one_line(display_name(other["artist"], other["title"]))
                rows.append((float(distance), other["genre"], other["predicted_genre"], name, other["track_id"]))
        headers = ["distance", "genre", "predicted genre", "song", "track id"]
        table = tabulate(rows, headers, tablefmt="simple", floatfmt=".4f", missingval="", disable_numparse=[1, 2, 3, 4])
        yield f"nearest to {one_line(display_name(song.artist, song.title))}  ({song.track_id})\n\n{table}"


def write_loose(rows: pa.Table, location: str) -> None:
    """Write rows of `msd_spark.core.schemas.EMBEDDINGS` to a Parquet file anywhere; it appears whole.

    Raises
    ------
    UserError
        When the location cannot be written.
    """
    folder, slash, name = location.rpartition("/")
    target = Warehouse(folder if slash else ".")
    try:
        target.filesystem.create_dir(target.root, recursive=True)
        write_rows(target, rows, target.path(name))
    except OSError as error:
        raise UserError(f"{location} cannot be written: {' '.join(str(error).split())}") from None
