"""musiXmatch's files: bags of words of a train and a test set, and the mapping of stems to words.

References
----------
.. [1] musiXmatch dataset, the official lyrics collection for the Million Song Dataset,
   http://millionsongdataset.com/musixmatch
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from msd_spark.synthetic.catalogue import Catalogue, Integers
from msd_spark.synthetic.draws import Column, Stream, generator
from msd_spark.synthetic.vocabulary import VOCABULARY_SIZE, vocabulary

TRAIN, TEST, REVERSE_MAPPING = (
    "musixmatch/mxm_dataset_train.txt", "musixmatch/mxm_dataset_test.txt", "musixmatch/mxm_reverse_mapping.txt",
)  # fmt: skip
TEST_SHARE = 0.1

_MEDIAN_TOKENS, _TOKEN_SPREAD = 190, 0.6  # words a song, and the standard deviation of their logarithm
_ARTIST_WORDS, _CHORUS_WORDS = 40, 8
_ARTIST_COMMONEST = 100  # an artist's favourites are none of the commonest words

_HEADER = """# {which} SET
# MusiXmatch dataset, the official lyrics dataset
# of the Million Song Dataset
#    (this one is made up: python -m msd_spark.synthetic.command)
# FORMAT:
#     #   - comment, to ignore
#     %   - list of top words, comma-separated
#         - normal line, contains track_id, mxm track id,
#           then word count for each of the top words, comma-separated
#           word count is in sparse format -> ...,<word idx>:<cnt>,...
#           <word idx> starts at 1 (not zero!)
# All our work is done using UTF-8 encoding.
# enjoy!
"""


@lru_cache(maxsize=8192)
def _artist_words(seed: int, artist: int) -> Integers:
    """Draw the places of an artist's favourite words."""
    random = generator(seed, Stream.ARTIST_WORDS, artist)
    return random.integers(_ARTIST_COMMONEST, VOCABULARY_SIZE, _ARTIST_WORDS)


def bag_of_words(catalogue: Catalogue, track: int) -> tuple[Integers, Integers]:
    """Draw a track's bag of words.

    Parameters
    ----------
    catalogue : Catalogue
        Knows genre and artist.
    track : int
        Number of the track; all tracks of one song have the same words.

    Returns
    -------
    places, counts : numpy.ndarray of int, (words,)
        Places in the vocabulary, from 0, rising, and how often each word is sung, from 1.
    """
    settings, song = catalogue.settings, int(catalogue.song[track])
    signal = settings.signal
    random = generator(settings.seed, Stream.LYRICS, song)
    tokens = max(int(_MEDIAN_TOKENS * np.exp(_TOKEN_SPREAD * random.standard_normal())), 2)
    from_artist = int(random.binomial(tokens, signal.word_artist_share))
    from_chorus = int(random.binomial(tokens - from_artist, signal.word_chorus_share))
    cumulative = vocabulary(signal.word_genre_share).cumulative[catalogue.genre[track]]
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
    """Write the three files.

    Returns
    -------
    dict of str to int
        Tracks with lyrics, in the train and in the test file.
    """
    words = vocabulary(catalogue.settings.signal.word_genre_share)
    in_test = catalogue.flag(Column.LYRICS_TEST, TEST_SHARE)
    folder = (output / TRAIN).parent
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name, which, chosen in (
        (TRAIN, "TRAINING", catalogue.has_lyrics & ~in_test),
        (TEST, "TESTING", catalogue.has_lyrics & in_test),
    ):
        with (output / name).open("w", encoding="utf-8", newline="\n") as file:
            file.write(_HEADER.format(which=which))
            file.write(f"%{','.join(words.stems)}\n")
            for track in chosen.nonzero()[0]:
                places, times = bag_of_words(catalogue, track)
                pairs = zip((places + 1).tolist(), times.tolist(), strict=True)
                bag = ",".join([f"{place}:{count}" for place, count in pairs])
                # musiXmatch's own ids have nothing to do with the dataset's.
                file.write(f"{catalogue.track_id(track)},{100_000 + 37 * int(track)},{bag}\n")
        counts["lyrics train" if name == TRAIN else "lyrics test"] = int(chosen.sum())
    with (output / REVERSE_MAPPING).open("w", encoding="utf-8", newline="\n") as file:
        # The real file is in no order; every seventh word in turn mixes this one the same way every time.
        for place in (7 * np.arange(VOCABULARY_SIZE) + 3) % VOCABULARY_SIZE:
            file.write(f"{words.stems[place]}<SEP>{words.words[place]}\n")
    return counts
