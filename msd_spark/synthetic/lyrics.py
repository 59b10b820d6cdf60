"""The musiXmatch files: bags of words for training and test, and the stem mapping.

References
----------
.. [1] musiXmatch dataset, the official lyrics collection for the Million Song Dataset,
   http://millionsongdataset.com/musixmatch
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from msd_spark.synthetic.catalogue import Catalogue, Integers
from msd_spark.synthetic.draws import Column, Stream, generator
from msd_spark.synthetic.text_files import write_lines
from msd_spark.synthetic.vocabulary import SPANISH_SHARE, VOCABULARY_SIZE, Vocabulary, vocabulary

TRAIN, TEST, REVERSE_MAPPING = (
    "musixmatch/mxm_dataset_train.txt", "musixmatch/mxm_dataset_test.txt", "musixmatch/mxm_reverse_mapping.txt",
)  # fmt: skip
TEST_SHARE = 0.1

_MEDIAN_TOKENS, _TOKEN_SPREAD = 190, 0.6  # words per song, and the standard deviation of their logarithm
_ARTIST_WORDS, _CHORUS_WORDS = 40, 8
_ARTIST_COMMONEST = 100  # an artist's favourites exclude the commonest words

_HEADER = """# {which} SET
# MusiXmatch dataset, the official lyrics dataset
# of the Million Song Dataset
#    (this one is made up: msd-spark synthetic)
# FORMAT:
#     #   - comment, to ignore
#     %   - list of top words, comma-separated
#         - normal line, contains track_id, mxm track id,
#           then word count for each of the top words, comma-separated
#           word count is in sparse format -> ...,<word idx>:<cnt>,...
#           <word idx> starts at 1 (not zero!)
# All our work is done using UTF-8 encoding.
# enjoy!"""


@lru_cache(maxsize=8192)
def _artist_words(seed: int, artist: int) -> Integers:
    """Draw the places of an artist's favourite words."""
    random = generator(seed, Stream.ARTIST_WORDS, artist)
    return random.integers(_ARTIST_COMMONEST, VOCABULARY_SIZE, _ARTIST_WORDS)


def bag_of_words(catalogue: Catalogue, track: int) -> tuple[Integers, Integers]:
    """Draw the words of a track's song: places in the vocabulary, ascending, and counts."""
    settings, song = catalogue.settings, int(catalogue.song[track])
    signal = settings.signal
    random = generator(settings.seed, Stream.LYRICS, song)
    tokens = max(int(_MEDIAN_TOKENS * np.exp(_TOKEN_SPREAD * random.standard_normal())), 2)
    from_artist = int(random.binomial(tokens, signal.word_artist_share))
    from_chorus = int(random.binomial(tokens - from_artist, signal.word_chorus_share))
    genre = catalogue.words[track]
    is_spanish = int(random.random() < SPANISH_SHARE[genre])
    cumulative = vocabulary(signal.word_genre_share).cumulative[is_spanish, genre]
    sung = np.searchsorted(cumulative, random.random(tokens - from_artist - from_chorus + _CHORUS_WORDS), side="right")
    favourites = _artist_words(settings.seed, int(catalogue.artist[track]))
    words = np.concatenate(
        [
            sung[_CHORUS_WORDS:],
            sung[:_CHORUS_WORDS][random.integers(_CHORUS_WORDS, size=from_chorus)],
            favourites[(_ARTIST_WORDS * random.random(from_artist) ** 2).astype(np.intp)],
        ]
    )
    counts = np.bincount(words)
    places = counts.nonzero()[0]
    return places, counts[places]


def write_lyrics(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write the three files; return the number of tracks in the train and in the test file."""
    words = vocabulary(catalogue.settings.signal.word_genre_share)
    in_test = catalogue.flag(Column.LYRICS_TEST, TEST_SHARE)
    train, test = catalogue.has_lyrics & ~in_test, catalogue.has_lyrics & in_test
    write_lines(output / TRAIN, _bag_lines(catalogue, "TRAINING", words, train.nonzero()[0]))
    write_lines(output / TEST, _bag_lines(catalogue, "TESTING", words, test.nonzero()[0]))
    # Steps of seven mix the words the same way every time; the real file is in no order.
    order = (7 * np.arange(VOCABULARY_SIZE) + 3) % VOCABULARY_SIZE
    write_lines(output / REVERSE_MAPPING, (f"{words.stems[place]}<SEP>{words.words[place]}" for place in order))
    return {"lyrics train": int(train.sum()), "lyrics test": int(test.sum())}


def _bag_lines(catalogue: Catalogue, which: str, words: Vocabulary, tracks: Integers) -> Iterator[str]:
    yield _HEADER.format(which=which)
    yield f"%{','.join(words.stems)}"
    for track in tracks.tolist():
        places, counts = bag_of_words(catalogue, track)
        bag = ",".join(f"{place}:{count}" for place, count in zip((places + 1).tolist(), counts.tolist(), strict=True))
        # musiXmatch's ids are unrelated to those of the dataset.
        yield f"{catalogue.track_id(track)},{100_000 + 37 * track},{bag}"
