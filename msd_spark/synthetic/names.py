"""Names and ids like those of the dataset, in several scripts, some hostile to HTML."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase, digits
from uuid import UUID

from msd_spark.synthetic.draws import digest

SYLLABLES = (
    "ba be bi bo bra ca ce chi co cra da de di do dra el en fa fe fi flo ga ge gi go gra ha he hi ho in is ja jo ka "
    "ke ki ko la le li lo lu ma me mi mo mu na ne ni no nu or pa pe pi po pra ra re ri ro ru sa se sha si so sta ta te "
    "ti to tra tu ul va ve vi vo wa we wi wo ya yo za ze zo zu an er on"
).split()
PLACES = (
    ("London", 51.50632, -0.12714),
    ("Los Angeles, CA", 34.05349, -118.24532),
    ("São Paulo, Brazil", -23.56287, -46.65466),
    ("Kingston, Jamaica", 17.99024, -76.79084),
    ("New York, NY", 40.71455, -74.00712),
    ("Reykjavík, Iceland", 64.14563, -21.92777),
    ("Nashville, TN", 36.16778, -86.77836),
    ("Málaga, Spain", 36.71833, -4.42024),
    ("Chicago, IL", 41.88415, -87.63241),
    ("Lagos, Nigeria", 6.44131, 3.38986),
)
"""Name, latitude and longitude in degrees."""

_FOREIGN_NAMES = ("Björk Gúðmund", "Sigur Þór", "Ñandú Peña", "Мумий Дом", "椎名 鈴子", "Δελφοί", "נועה")
_FOREIGN_TITLES = ("¿Dónde va el niño?", "Ágætis Söngur", "Тихая ночь", "夜の森", "Été sans fin", "Größe Träume")
HOSTILE_NAMES = ('<script>alert("artist")</script>', "Salt & Sugar", 'O\'Mally "The Ear"', "Tab\u00a0Less; DROP")
HOSTILE_TITLES = ("<script>alert(1)</script>", 'She Said "No" & Left', "It's <b>Loud</b>", "100% {{ jinja }} $HOME")
_RARE = 64
"""One in this many names is foreign, and one in this many hostile."""


def word(octets: bytes) -> str:
    """Spell a word with one syllable per byte."""
    return "".join(SYLLABLES[octet % len(SYLLABLES)] for octet in octets)


def _words(octets: bytes, most: int) -> str:
    """Spell 1 to `most` capitalised words of two or three syllables from 1 + 4 × most bytes."""
    count = 1 + octets[0] % most
    return " ".join(
        word(octets[start : start + 2 + octets[start + 3] % 2]).capitalize() for start in range(1, 1 + 4 * count, 4)
    )


def artist_name(seed: int, artist: int) -> str:
    """Return the name of an artist; one in 32 is foreign or hostile."""
    octets = digest(seed, "artist name", artist)
    plain = _words(octets, 2)
    rare = _rare_text(artist, octets, plain, HOSTILE_NAMES, _FOREIGN_NAMES)
    return rare or (f"The {plain}" if octets[62] % 5 == 0 else plain)


def title(seed: int, song: int) -> str:
    """Return the title of a song; one in 32 is foreign or hostile."""
    octets = digest(seed, "title", song)
    plain = _words(octets, 4)
    rare = _rare_text(song, octets, plain, HOSTILE_TITLES, _FOREIGN_TITLES)
    return rare or (f"{plain} (Album Version)" if octets[62] % 12 == 0 else plain)


def _rare_text(number: int, octets: bytes, plain: str, hostile: Sequence[str], foreign: Sequence[str]) -> str | None:
    """Return a hostile or foreign text for the first and some other numbers, else None."""
    if number < len(hostile):
        return hostile[number]
    if octets[60] % _RARE == 0 or number < len(hostile) + len(foreign):
        return f"{foreign[(number - len(hostile)) % len(foreign)]} {plain}"
    if octets[60] % _RARE == 1:
        return f"{hostile[octets[61] % len(hostile)]} {plain}"
    return None


def release(seed: int, artist: int, number: int) -> str:
    """Return the title of one of an artist's records."""
    return _words(digest(seed, "release", artist * 64 + number), 3)


def _five(octets: bytes, alphabet: str = ascii_uppercase) -> str:
    return "".join(alphabet[octet % len(alphabet)] for octet in octets[:5])


def _unique_hex(seed: int, index: int) -> str:
    """Return seven hex digits, unique for every index below 16**7 of one seed."""
    return f"{(index * 0x9E3779B + seed * 0x85EBCA7 + 0x2F429D5) % 16**7:07X}"


def track_id(seed: int, track: int) -> str:
    """Return a track id: ``TR``, five letters, ``128F`` and seven hex digits."""
    return f"TR{_five(digest(seed, 'track', track))}128F{_unique_hex(seed, track)}"


def song_id(seed: int, song: int) -> str:
    """Return a song id: ``SO``, five letters, ``12A8`` and seven hex digits."""
    return f"SO{_five(digest(seed, 'song', song))}12A8{_unique_hex(seed, song)}"


def artist_id(seed: int, artist: int) -> str:
    """Return an artist id: ``AR``, five letters or digits, ``1187`` and seven hex digits."""
    return f"AR{_five(digest(seed, 'artist', artist), ascii_uppercase + digits)}1187{_unique_hex(seed, artist)}"


def user_id(seed: int, user: int) -> str:
    """Return a listener's id: 40 hex digits."""
    return digest(seed, "user", user)[:20].hex()


def artist_mbid(seed: int, artist: int) -> str:
    """Return an artist's MusicBrainz id, a UUID."""
    return str(UUID(bytes=digest(seed, "mbid", artist)[:16]))
