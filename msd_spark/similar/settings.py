"""Settings of similar, and the names of its files in the cache."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import NAME, REQUIRED, OptionError, Settings, at_least, between, option, warehouse_option
from msd_spark.core.track_ids import SONG_FILE_SUFFIX
from msd_spark.neighbours.settings import EXCLUSIONS, METRICS
from msd_spark.scoring.settings import RUN_HELP

SONGS_FILE, VECTORS_FILE = "songs.arrow", "vectors.npy"
SCALED_FILE, CENTRE_FILE = "scaled.npy", "centre.json"

LONGEST_NAME = 4096
"""Characters of a name or path."""

TRACKS = b"tracks"
"""Key in the metadata of the file of songs: a hash of the track ids."""


@dataclass(frozen=True)
class SimilarSettings(Settings):
    """Settings of similar; each field is an option of ``msd-spark similar``."""

    song: str = option(REQUIRED, "artist and title, a track id, or a song file (.h5)", metavar="SONG", positional=True)
    warehouse: str = warehouse_option()
    lyrics: str | None = option(
        None, "with a song file: text file of its lyrics, instead of those of its track in lyrics/", metavar="FILE"
    )
    run: str | None = option(None, RUN_HELP, metavar="NAME", check=NAME)
    k: int = option(10, "number of nearest songs", metavar="K", check=at_least(1))
    metric: str | None = option(
        None, "distance metric; by default that of neighbours/NAME, otherwise cosine", choices=METRICS
    )
    exclude: tuple[str, ...] = option((), "songs to exclude", choices=EXCLUSIONS)
    playlist: int | None = option(
        None, "make a playlist of N songs that begins with this song", metavar="N", check=at_least(1)
    )
    balance: float = option(0.7, "with --playlist: 1 for the nearest songs, 0 for the most varied", check=between(0, 1))
    m3u: str | None = option(None, "with --playlist: write an extended M3U file", metavar="FILE")
    location: str = option("{track_id}.mp3", "with --m3u: location of a song", metavar="PATTERN")
    json: bool = option(False, "print JSON")

    def __post_init__(self) -> None:
        """Check each option, and that ``--m3u`` comes with ``--playlist``."""
        super().__post_init__()
        if len(self.song) > LONGEST_NAME:
            raise OptionError(f"SONG has {len(self.song):,} characters; allowed: at most {LONGEST_NAME:,}")
        if self.lyrics is not None and not self.song.endswith(SONG_FILE_SUFFIX):
            raise OptionError(f"--lyrics is {self.lyrics!r}; allowed: only with a song file ({SONG_FILE_SUFFIX})")
        if self.m3u and not self.playlist:
            raise OptionError(f"--m3u is {self.m3u!r}; allowed: only with --playlist N")
