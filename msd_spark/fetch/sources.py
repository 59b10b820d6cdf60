"""The published files and their addresses.

The checksum and count of tagtraum's CD1 are pinned, from the file itself. Counts in `Source.published` are from the web
pages of the files; a file with another count is accepted with a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GROUPS = ("subset", "lyrics", "genres", "tags", "listens", "lists")
"""Names on the command line, in the order in which their files are fetched."""

_MSD = "http://millionsongdataset.com/sites/default/files"
_LABROSA = "http://labrosa.ee.columbia.edu/millionsong/sites/default/files"
_ELLIS = "http://labrosa.ee.columbia.edu/~dpwe/tmp"
_TAGTRAUM = "https://www.tagtraum.com/genres"

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Contents(StrEnum):
    """Kind of content, which determines how `msd_spark.fetch.contents` checks it."""

    SONGS = "songs"
    BAGS = "bags of words"
    STEMS = "stems"
    LABELS = "labels"
    TAGS = "tracks"
    TRIPLETS = "triplets"
    MISMATCHES = "mismatches"
    TRACKS = "tracks of the catalogue"


@dataclass(frozen=True)
class Terms:
    """Terms of use in short, and the address of their full text."""

    of: str
    gist: str
    address: str


ECHO_NEST = Terms(
    "the Million Song Dataset (songs, lists of tracks)",
    "Analyses and metadata are The Echo Nest's, for research. Cite Bertin-Mahieux, Ellis, Whitman and Lamere 2011.",
    "http://millionsongdataset.com/faq/",
)
MUSIXMATCH = Terms(
    "the musiXmatch dataset (lyrics as bags of words)",
    "For research, not for commercial use. Cite the musiXmatch dataset and the Million Song Dataset.",
    "http://millionsongdataset.com/musixmatch/",
)
LASTFM = Terms(
    "the Last.fm dataset (tags)",
    "For research, not for commercial use. Cite the Last.fm dataset and the Million Song Dataset.",
    "http://millionsongdataset.com/lastfm/",
)
TASTE_PROFILE = Terms(
    "the Echo Nest Taste Profile subset (listens)",
    "For research. Cite McFee, Bertin-Mahieux, Ellis and Lanckriet 2012.",
    "http://millionsongdataset.com/tasteprofile/",
)
TAGTRAUM = Terms(
    "tagtraum's genre annotations (CD1, CD2, CD2C)",
    "For research. Cite Schreiber, Improving Genre Annotations for the Million Song Dataset, ISMIR 2015.",
    "https://www.tagtraum.com/msd_genre_datasets.html",
)


@dataclass(frozen=True)
class MemberRule:
    """Members of an archive to extract, and their paths in the data folder.

    Attributes
    ----------
    pattern : str
        Regular expression for the complete name of a member. Its groups match no separator.
    target : str
        Path with ``{0}``, ``{1}`` for the groups, so that a member's name never becomes a path.
    """

    pattern: str
    target: str


@dataclass(frozen=True)
class Source:
    """A published file.

    Attributes
    ----------
    name : str
        Its name in the lock file and in messages.
    groups : tuple of str
        Members of `GROUPS`.
    mirrors : tuple of str
        Addresses, tried in turn.
    target : str
        Path in the data folder of the file, or of the main file or folder of an archive.
    size, sha256 : int, str or None
        Of the download, if known.
    target_sha256 : str or None
        Of the file at `target`, if known.
    count : int or None
        Exact number of rows, if known.
    published : int or None
        Number of rows according to the web page.
    members : tuple of MemberRule
        What to extract from an archive; if empty, the file stays as published, compressed or not.
    most_unpacked : int
        Bytes that the archive may contain; a larger one is refused.
    unpacked : int
        Approximate bytes of the extracted files, for the check of the disk space.
    """

    name: str
    groups: tuple[str, ...]
    mirrors: tuple[str, ...]
    what: str
    terms: Terms
    target: str
    contents: Contents
    size: int | None = None
    sha256: str | None = None
    target_sha256: str | None = None
    count: int | None = None
    published: int | None = None
    members: tuple[MemberRule, ...] = ()
    most_unpacked: int = 0
    unpacked: int = 0

    @property
    def file_name(self) -> str:
        """Name of the published file."""
        return self.mirrors[0].rpartition("/")[2]


def _labels(name: str, **known: object) -> Source:
    file = f"msd_tagtraum_{name}.cls"
    return Source(
        name,
        ("genres",),
        (f"{_TAGTRAUM}/{file}.zip",),
        f"tagtraum genre labels {name.upper()}",
        TAGTRAUM,
        f"tagtraum/{file}",
        Contents.LABELS,
        members=(MemberRule(rf"(?:[^/]+/)*{file}", f"tagtraum/{file}"),),
        most_unpacked=256 * MIB,
        unpacked=8 * MIB,
        **known,  # type: ignore[arg-type]
    )


def _bags(name: str, published: int) -> Source:
    file = f"mxm_dataset_{name}.txt.zip"
    return Source(
        f"lyrics-{name}",
        ("lyrics",),
        (f"{_MSD}/AdditionalFiles/{file}", f"{_LABROSA}/AdditionalFiles/{file}"),
        f"musiXmatch bags of words, {name} part",
        MUSIXMATCH,
        f"musixmatch/{file}",  # read without unpacking
        Contents.BAGS,
        published=published,
    )


SOURCES = (
    Source(
        "subset",
        ("subset",),
        (f"{_ELLIS}/millionsongsubset.tar.gz", f"{_MSD}/AdditionalFiles/millionsongsubset.tar.gz"),
        "10,000 song files, a random sample of the million",
        ECHO_NEST,
        "songs",
        Contents.SONGS,
        published=10_000,
        members=(
            MemberRule(r"(?:[^/]+/)*([A-Z])/([A-Z])/([A-Z])/(TR[A-Z0-9]{16})\.h5", "songs/{0}/{1}/{2}/{3}.h5"),
            MemberRule(r"(?:[^/]+/)*AdditionalFiles/(subset_[a-z_]{1,60})\.txt", "additional/{0}.txt"),
        ),
        most_unpacked=8 * GIB,
        unpacked=3 * GIB,
    ),
    _bags("train", 210_519),
    _bags("test", 27_143),
    Source(
        "stems",
        ("lyrics",),
        (f"{_MSD}/mxm_reverse_mapping.txt", f"{_LABROSA}/mxm_reverse_mapping.txt"),
        "musiXmatch mapping from stems to words",
        MUSIXMATCH,
        "musixmatch/mxm_reverse_mapping.txt",
        Contents.STEMS,
        published=5_000,
    ),
    _labels("cd1", count=133_676, target_sha256="37742dc37217c672a1885127796bf744fae75de09bb728dda8873001a71eb768"),
    _labels("cd2", published=280_831),
    _labels("cd2c", published=191_401),
    Source(
        "tags",
        ("tags",),
        (f"{_MSD}/lastfm/lastfm_tags.db", f"{_ELLIS}/lastfm_tags.db"),
        "Last.fm tags",
        LASTFM,
        "lastfm/lastfm_tags.db",
        Contents.TAGS,
        published=505_216,
    ),
    Source(
        "triplets",
        ("listens",),
        (f"{_MSD}/challenge/train_triplets.txt.zip", f"{_ELLIS}/train_triplets.txt.zip"),
        "play counts per user and song",
        TASTE_PROFILE,
        "tasteprofile/train_triplets.txt",
        Contents.TRIPLETS,
        published=48_373_586,
        # Unpacked, because a plain file is read by all workers in parallel and a zip file by one.
        members=(MemberRule(r"(?:[^/]+/)*train_triplets\.txt", "tasteprofile/train_triplets.txt"),),
        most_unpacked=8 * GIB,
        unpacked=3 * GIB,
    ),
    Source(
        "mismatches",
        ("listens", "lists"),
        (f"{_MSD}/tasteprofile/sid_mismatches.txt", f"{_LABROSA}/tasteprofile/sid_mismatches.txt"),
        "tracks matched to a wrong song",
        TASTE_PROFILE,
        "tasteprofile/sid_mismatches.txt",
        Contents.MISMATCHES,
        published=19_094,
    ),
    Source(
        "tracks",
        ("lists",),
        (f"{_MSD}/AdditionalFiles/unique_tracks.txt", f"{_LABROSA}/AdditionalFiles/unique_tracks.txt"),
        "track, song, artist and title of the whole catalogue",
        ECHO_NEST,
        "additional/unique_tracks.txt",
        Contents.TRACKS,
        published=1_000_000,
    ),
)
"""All sources, in the order in which they are fetched."""
