"""Artist metadata of a song file: place, ids, terms, tags and similar artists."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from msd_spark.core.song_layout import METADATA, MUSICBRAINZ
from msd_spark.synthetic import names
from msd_spark.synthetic.analysis import Contents, Row
from msd_spark.synthetic.catalogue import artist_genres
from msd_spark.synthetic.draws import Stream, generator
from msd_spark.synthetic.signal import GENRES

Strings = NDArray[np.bytes_]

N_SIMILAR = 100
_KNOWN_ARTISTS = 4096  # candidates for similar artists, whatever the size of the catalogue

GENRE_TERMS = {
    "Pop_Rock": ("rock", "pop", "alternative rock", "indie rock", "classic rock", "hard rock", "pop rock"),
    "Electronic": ("electronic", "techno", "ambient", "electro", "house", "downtempo", "chill-out"),
    "Rap": ("hip hop", "rap", "gangsta rap", "beats", "urban", "old school"),
    "Jazz": ("jazz", "hard bop", "bebop", "smooth jazz", "swing", "jazz funk"),
    "Country": ("country", "bluegrass", "country pop", "honky tonk", "americana"),
    "RnB": ("r&b", "soul", "funk", "motown", "neo soul", "disco"),
    "Latin": ("latin", "salsa", "cumbia", "música romántica", "bossa nova", "tango"),
    "Reggae": ("reggae", "dub", "dancehall", "ska", "roots reggae"),
    "International": ("world", "afrobeat", "celtic", "chanson", "flamenco"),
    "Blues": ("blues", "delta blues", "blues-rock", "chicago blues", "harmonica"),
    "Folk": ("folk", "singer-songwriter", "folk rock", "traditional folk", "acoustic"),
    "New Age": ("new age", "meditation", "healing", "ethereal", "relax"),
    "Vocal": ("vocal", "ballad", "easy listening", "crooner", "standards"),
}
"""Terms and tags by genre."""

COMMON_TERMS = (
    "american british guitar female male 80s 90s 00s 60s 70s beautiful instrumental live experimental piano classic "
    "soundtrack indie alternative cover mellow romantic dark funny dance cool sexy summer party melodic german french "
    "spanish swedish canadian english usa uk united-states band singer composer producer orchestra choir drum bass "
    "violin saxophone trumpet lounge energetic happy sad calm"
).split()
"""Terms and tags of any genre."""


@lru_cache(maxsize=4)
def _known_artists(seed: int) -> tuple[NDArray[np.intp], Strings]:
    """Return the genres and ids of the candidates for similar artists."""
    ids = [names.artist_id(seed, artist).encode() for artist in range(_KNOWN_ARTISTS)]
    return artist_genres(seed, 0, _KNOWN_ARTISTS), np.array(ids, dtype="S20")


def _similar(seed: int, genre: str, random: np.random.Generator) -> Strings:
    """Draw the ids of 100 similar artists, at least half of them of the same genre if possible."""
    genres, ids = _known_artists(seed)
    near = np.flatnonzero(genres == GENRES.index(genre))
    chosen = np.concatenate([random.permutation(near)[: N_SIMILAR // 2], random.permutation(_KNOWN_ARTISTS)])
    _, first = np.unique(chosen, return_index=True)
    return ids[chosen[np.sort(first)[:N_SIMILAR]]]


def _terms(genre: str, random: np.random.Generator) -> tuple[Strings, NDArray[np.float64], NDArray[np.float64]]:
    """Draw 2 to 57 terms with frequency and weight, by descending weight."""
    own = [GENRE_TERMS[genre][place] for place in random.permutation(len(GENRE_TERMS[genre]))]
    common = [COMMON_TERMS[place] for place in random.permutation(len(COMMON_TERMS))]
    # One in a hundred artists has few.
    fewest = 2 if random.random() < 0.01 else 10
    count = int(np.clip(random.normal(27 if fewest > 2 else 5, 11), fewest, min(57, len(own) + len(common))))
    weight = np.sort(random.beta(2, 1.5, count))[::-1]
    weight[0] = 1.0
    frequency = np.clip(weight * random.uniform(0.8, 1.05, count), 0, 1)
    return np.array([term.encode() for term in (own + common)[:count]], dtype="S256"), frequency, weight


def _tags(genre: str, random: np.random.Generator) -> tuple[Strings, NDArray[np.int32]]:
    """Draw 0 to 20 MusicBrainz tags with their counts; half of the artists have none."""
    count = 0 if random.random() < 0.5 else min(1 + int(random.geometric(0.2)), 20)
    words = [*GENRE_TERMS[genre], *COMMON_TERMS]
    chosen = [words[place].encode() for place in random.permutation(min(2 * count, len(words)))[:count]]
    return np.array(chosen, dtype="S256"), np.sort(random.geometric(0.6, count))[::-1].astype(np.int32)


@lru_cache(maxsize=2048)  # about 20 kB each
def make_artist(seed: int, artist: int) -> dict[str, Contents]:
    """Draw the contents that all song files of an artist share, by group.

    Of the artists, 63 % have no coordinates, 32 % no place name, 2 % no MusicBrainz id and 55 % no play.me id (-1).
    """
    random = generator(seed, Stream.ARTIST, artist)
    genre = GENRES[int(artist_genres(seed, artist, artist + 1)[0])]
    place, latitude, longitude = names.PLACES[int(random.integers(256)) % len(names.PLACES)]
    chance = random.random()
    has_name, has_coordinates = chance >= 0.32, chance >= 0.63
    terms, frequency, weight = _terms(genre, random)
    tags, counts = _tags(genre, random)
    row: Row = {
        "artist_7digitalid": int(random.integers(1, 800_000)),
        "artist_familiarity": 0.0 if random.random() < 0.002 else float(np.clip(random.normal(0.7, 0.12), 0.01, 0.95)),
        "artist_hotttnesss": float(np.clip(random.normal(0.5, 0.13), 0, 1.08)),
        "artist_id": names.artist_id(seed, artist).encode(),
        "artist_latitude": latitude if has_coordinates else np.nan,
        "artist_location": place.encode() if has_name else b"",
        "artist_longitude": longitude if has_coordinates else np.nan,
        "artist_mbid": b"" if random.random() < 0.024 else names.artist_mbid(seed, artist).encode(),
        "artist_name": names.artist_name(seed, artist).encode(),
        "artist_playmeid": -1 if random.random() < 0.55 else int(random.integers(1, 160_000)),
    }
    arrays = {
        "similar_artists": _similar(seed, genre, random),
        "artist_terms": terms,
        "artist_terms_freq": frequency,
        "artist_terms_weight": weight,
    }
    tag_arrays = {f"{MUSICBRAINZ}/artist_mbtags": tags, f"{MUSICBRAINZ}/artist_mbtags_count": counts}
    return {
        METADATA: Contents(row, {f"{METADATA}/{name}": values for name, values in arrays.items()}),
        MUSICBRAINZ: Contents({}, tag_arrays),
    }
