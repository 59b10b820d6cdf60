"""Lists of tracks: ``unique_tracks.txt``, ``sid_mismatches.txt`` and the planted truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msd_spark.synthetic import names
from msd_spark.synthetic.catalogue import MISMATCH_SHARE, Catalogue
from msd_spark.synthetic.draws import Column, Stream, generator
from msd_spark.synthetic.signal import GENRES
from msd_spark.synthetic.text_files import write_lines

UNIQUE_TRACKS = "additional/unique_tracks.txt"
MISMATCHES = "tasteprofile/sid_mismatches.txt"
TRUTH = "truth.tsv"
TRUTH_COLUMNS = (
    "track_id", "song_id", "artist_id", "genre", "segments", "has_lyrics", "in_cd1", "is_heard", "duplicate_of",
)  # fmt: skip
_LISTED_TWICE = 0.1  # share of the mismatches


def write_tracks(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write the list of all tracks, and of those matched to a wrong song."""
    fields = (catalogue.track_id, catalogue.song_id, catalogue.artist_name, catalogue.title)
    lines = ("<SEP>".join(field(track) for field in fields) for track in range(len(catalogue)))
    return {
        "unique tracks": write_lines(output / UNIQUE_TRACKS, lines),
        "sid mismatches": write_lines(output / MISMATCHES, _mismatches(catalogue)),
    }


def _mismatches(catalogue: Catalogue) -> Iterator[str]:
    """Yield the lines of mismatched tracks, some twice and always the third track's."""
    random = generator(catalogue.settings.seed, Stream.MISMATCHES, 0)
    is_wrong = catalogue.flag(Column.MISMATCH, MISMATCH_SHARE)
    is_wrong[2:3] = True
    for track in is_wrong.nonzero()[0]:
        times = 2 if track == 2 or random.random() < _LISTED_TWICE else 1
        for _ in range(times):
            other = int(random.integers(1, len(catalogue) + 1) + track) % len(catalogue)
            yield (
                f"ERROR: <{catalogue.song_id(track)} {catalogue.track_id(track)}> "
                f"{catalogue.artist_name(other)}  -  {catalogue.title(other)}  !=  "
                f"{catalogue.artist_name(track)}  -  {catalogue.title(track)}"
            )


def write_truth(catalogue: Catalogue, output: Path) -> None:
    """Write the planted truth, which only tests may read, tab-separated with a header."""
    seed = catalogue.settings.seed

    def lines() -> Iterator[str]:
        yield "\t".join(TRUTH_COLUMNS)
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
            yield "\t".join(fields)

    write_lines(output / TRUTH, lines())
