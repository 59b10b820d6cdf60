"""musiXmatch bags of words into ``lyrics/``: every track's words and its lyric vector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pyspark import RDD
from pyspark.sql import Row, SparkSession

from msd_spark.errors import StageError
from msd_spark.musixmatch import (
    COMMENT,
    WORDS,
    BagOfWords,
    BagOfWordsError,
    parse_bag,
    parse_reverse_mapping,
    parse_words,
)
from msd_spark.rejections import Rejection, write_rejections
from msd_spark.schema import LYRICS, spark_schema
from msd_spark.spark import progress, write_table
from msd_spark.summary import Summary
from msd_spark.text_files import read_lines
from msd_spark.warehouse import Warehouse
from msd_spark.word_vectors import fingerprint, known, lyric_vector, train_word_vectors

STAGE = "lyrics"
LINES_PER_TASK = 2000


@dataclass(frozen=True)
class LyricsSettings:
    """What to read.

    Attributes
    ----------
    warehouse : str
    train, test : str or None
        The two official files; at least one.
    reverse_mapping : str or None
        The official file that maps stems to words.
    seed : int
        Of the training of word vectors.
    """

    warehouse: str
    train: str | None
    test: str | None
    reverse_mapping: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class BagLine:
    """A line that should hold a bag of words, and where it stood."""

    source: str
    official_split: str
    number: int
    text: str
    ended: bool


def make_lyrics(session: SparkSession, settings: LyricsSettings) -> Summary:
    """Read the files, train word vectors on all bags and write ``lyrics/``; return the summary.

    Raises
    ------
    StageError
        When a file is missing or has no list of words, or the files' lists differ.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    words, lines = read_bag_files(settings)
    n_words = len(words)
    parsed = _parallel(session, lines).map(lambda line: parse_line(line, n_words)).cache()
    with progress(session, "lyrics: parsing"):
        outcomes = parsed.collect()
    bags: dict[str, tuple[str, BagOfWords]] = {}
    rejections = []
    for line, outcome in zip(lines, outcomes, strict=True):
        if isinstance(outcome, Rejection):
            rejections.append(outcome)
        elif outcome.track_id in bags:
            rejections.append(Rejection(line.source, "repeated_track", outcome.track_id, f"line {line.number}"))
        else:
            bags[outcome.track_id] = (line.official_split, outcome)
    unstemmed = unstem(words, settings.reverse_mapping)
    vectors = train_word_vectors([bag for _, bag in bags.values()], unstemmed, settings.seed)
    shipped = session.sparkContext.broadcast(vectors)
    rows = _parallel(session, list(bags.values())).map(lambda entry: to_row(entry[0], entry[1], shipped.value))
    with progress(session, "lyrics: vectors"):
        write_table(session.createDataFrame(rows, spark_schema(LYRICS)), warehouse, "lyrics")
    write_rejections(warehouse, STAGE, rejections)
    summary.facts |= {
        "lines": len(lines),
        "tracks": len(bags),
        "rejected": len(rejections),
        "words": n_words,
        "words with a vector": int(known(vectors).sum()),
    }
    summary.details["vectors"] = {
        "method": "word2vec trained on the bags",
        "seed": settings.seed,
        "fingerprint": fingerprint(unstemmed, vectors),
    }
    return summary


def read_bag_files(settings: LyricsSettings) -> tuple[list[str], list[BagLine]]:
    """Return the header's words and every line that should hold a bag."""
    words: list[str] | None = None
    lines: list[BagLine] = []
    for official_split, location in (("train", settings.train), ("test", settings.test)):
        if location is None:
            continue
        header: list[str] | None = None
        for number, text, ended in read_lines(STAGE, location):
            if text.startswith(WORDS):
                header = parse_words(text)
            elif text and not text.startswith(COMMENT):
                lines.append(BagLine(location, official_split, number, text, ended))
        if header is None:
            raise StageError(
                STAGE, f"{location} has no line of words (it begins with {WORDS}); is it a musiXmatch file?"
            )
        if words is not None and header != words:
            raise StageError(
                STAGE, f"{location} lists other words than {settings.train}; the two files must be of one release"
            )
        words = header
    if words is None:
        raise StageError(STAGE, "no file to read; give --train, --test or both")
    return words, lines


def parse_line(line: BagLine, n_words: int) -> BagOfWords | Rejection:
    """Return the bag of a line, or why it has none; a line that was cut off is never guessed."""
    if not line.ended:
        return Rejection(line.source, "truncated_line", line.text[-60:], f"line {line.number}")
    try:
        return parse_bag(line.text, n_words)
    except BagOfWordsError as error:
        return Rejection(line.source, error.reason, error.detail, f"line {line.number}")


def unstem(words: Iterable[str], reverse_mapping: str | None) -> list[str]:
    """Return each stem's word by the official mapping, the stem itself where it has none."""
    if reverse_mapping is None:
        return list(words)
    try:
        mapping = parse_reverse_mapping(text for _, text, _ in read_lines(STAGE, reverse_mapping))
    except ValueError as error:
        raise StageError(STAGE, f"{reverse_mapping}: {error}") from None
    return [mapping.get(stem, stem) for stem in words]


def to_row(official_split: str, bag: BagOfWords, vectors: np.ndarray) -> Row:
    """Return a row of ``lyrics/``."""
    vector, coverage = lyric_vector(bag.indices, bag.counts, vectors)
    values = {
        "track_id": bag.track_id,
        "musixmatch_id": bag.musixmatch_id,
        "official_split": official_split,
        "word_indices": bag.indices.tolist(),
        "word_counts": bag.counts.tolist(),
        "coverage": coverage,
        "lyric_vector": None if vector is None else vector.tolist(),
    }
    return Row(**{name: values[name] for name in LYRICS.names})


def _parallel(session: SparkSession, items: list) -> RDD:
    return session.sparkContext.parallelize(items, max(1, len(items) // LINES_PER_TASK))
