"""Lists of tracks: unique_tracks, sid_mismatches, and the planted truth."""

from __future__ import annotations

from pathlib import Path

from msd_spark.synthetic import names
from msd_spark.synthetic.catalogue import MISMATCH_SHARE, Catalogue
from msd_spark.synthetic.draws import Column, Stream, generator
from msd_spark.synthetic.signal import GENRES

UNIQUE_TRACKS = "additional/unique_tracks.txt"
MISMATCHES = "tasteprofile/sid_mismatches.txt"
TRUTH = "truth.tsv"
TRUTH_COLUMNS = (
    "track_id", "song_id", "artist_id", "genre", "segments", "has_lyrics", "in_cd1", "is_heard", "duplicate_of",
)  # fmt: skip
_MISMATCH_AGAIN = 0.1  # of the mismatches, those that the list has twice


def write_unique_tracks(catalogue: Catalogue, output: Path) -> int:
    """Write ``track<SEP>song<SEP>artist<SEP>title``, a line a track; returns the lines."""
    path = output / UNIQUE_TRACKS
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for track in range(len(catalogue)):
            fields = (
                catalogue.track_id(track), catalogue.song_id(track),
                catalogue.artist_name(track), catalogue.title(track),
            )  # fmt: skip
            file.write("<SEP>".join(fields) + "\n")
    return len(catalogue)


def write_mismatches(catalogue: Catalogue, output: Path) -> int:
    """Write the tracks that were matched to a wrong song, some twice; returns the lines.

    A line is ``ERROR: <SO… TR…> artist  -  title  !=  artist  -  title``. The third track of a
    catalogue is always one of them, twice.
    """
    path = output / MISMATCHES
    path.parent.mkdir(parents=True, exist_ok=True)
    random = generator(catalogue.settings.seed, Stream.MISMATCHES, 0)
    is_wrong = catalogue.flag(Column.MISMATCH, MISMATCH_SHARE)
    is_wrong[2:3] = True
    lines = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for track in is_wrong.nonzero()[0]:
            times = 2 if track == 2 or random.random() < _MISMATCH_AGAIN else 1
            for _ in range(times):
                other = int(random.integers(1, len(catalogue) + 1) + track) % len(catalogue)
                file.write(
                    f"ERROR: <{catalogue.song_id(track)} {catalogue.track_id(track)}> "
                    f"{catalogue.artist_name(other)}  -  {catalogue.title(other)}  !=  "
                    f"{catalogue.artist_name(track)}  -  {catalogue.title(track)}\n"
                )
                lines += 1
    return lines


def write_truth(catalogue: Catalogue, output: Path) -> None:
    """Write the planted truth, tab-separated with a header: what a test may ask and a model never sees."""
    seed = catalogue.settings.seed
    with (output / TRUTH).open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(TRUTH_COLUMNS) + "\n")
        for track in range(len(catalogue)):
            first = int(catalogue.song[track])
            fields = (
                catalogue.track_id(track),
                catalogue.song_id(track),
                names.artist_id(seed, int(catalogue.artist[track])),
                GENRES[catalogue.genre[track]],
                str(catalogue.segments[track]),
                str(int(catalogue.has_lyrics[track])),
                str(int(catalogue.in_cd1[track])),
                str(int(catalogue.is_heard[track])),
                "" if first == track else catalogue.track_id(first),
            )
            file.write("\t".join(fields) + "\n")
