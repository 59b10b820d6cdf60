"""musiXmatch bags of words into ``lyrics/``: every track's words and its lyric vector.

The driver hands out the files' text and holds what is common to all bags: the words, their counts and
their vectors. Bags are parsed, weighed and written by the workers, a block of lines a file; only the
training of word vectors needs them all in one place, as three arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add

import numpy as np
from pyspark import RDD, Broadcast, StorageLevel
from pyspark.sql import SparkSession

from msd_spark.core.errors import UserError
from msd_spark.core.rejections import write_rejections
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.formats.musixmatch import parse_reverse_mapping
from msd_spark.io.lines import read_lines
from msd_spark.lyrics.bags import Bags
from msd_spark.lyrics.blocks import ParsedBlock, TextBlock, parse_block, read_blocks
from msd_spark.lyrics.corpus import Corpus, take_stock, without_words
from msd_spark.lyrics.tables import WrittenBlock, words_table, write_block
from msd_spark.lyrics.vector_sources import TRAIN, find_vectors
from msd_spark.lyrics.weights import SHARE, SIF, SIF_A, WEIGHTS, LyricTransform, WordStatistics, word_weights
from msd_spark.lyrics.word_vectors import HeaderVectors, header_vectors, known, train_word_vectors
from msd_spark.spark.session import progress

STAGE = "lyrics"


@dataclass(frozen=True)
class LyricsSettings:
    """What to read, and how a bag becomes a vector.

    Attributes
    ----------
    warehouse : str
    train, test : str or None
        The two official files; at least one.
    reverse_mapping : str or None
        The official file that maps stems to words.
    seed : int
        Of the training of word vectors.
    vectors : str
        `TRAIN`, a file, a package or a model of gensim's downloader: see `msd_spark.lyrics.vector_sources`.
    weights : {'share', 'idf', 'sif'}
        See `msd_spark.lyrics.weights`.
    sif_a : float
        The parameter of smooth inverse frequency.
    """

    warehouse: str
    train: str | None
    test: str | None
    reverse_mapping: str | None = None
    seed: int = 0
    vectors: str = TRAIN
    weights: str = SHARE
    sif_a: float = SIF_A


def make_lyrics(session: SparkSession, settings: LyricsSettings) -> Summary:
    """Read the files, find or train word vectors and write ``lyrics/`` and ``lyric_words/``; return the summary.

    Raises
    ------
    UserError
        When a file is missing or has no list of words, the files' lists differ, or there are no such vectors.
    """
    if settings.weights not in WEIGHTS:
        raise UserError(f"no weights {settings.weights!r}; choose one of {', '.join(WEIGHTS)}")
    if not 0 < settings.sif_a < np.inf:
        raise UserError(f"--sif-a is {settings.sif_a}; give a number above 0, {SIF_A} for example")
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    stems, blocks = read_bag_files(settings)
    words = unstem(stems, settings.reverse_mapping)
    n_words = len(stems)
    # Before the bags are parsed: a source that is none is known at once.
    found = None if settings.vectors == TRAIN else find_vectors(settings.vectors, {*stems, *words})
    parsed = (
        session.sparkContext.parallelize(list(enumerate(blocks)), len(blocks))
        .mapValues(partial(parse_block, n_words=n_words))
        .persist(StorageLevel.MEMORY_AND_DISK)
    )
    with progress(session, "lyrics: parsing"):
        corpus = take_stock(parsed.mapValues(without_words).values().collect())
    repeats = corpus.repeats
    bags = parsed.map(lambda entry: entry[1].bags.without(repeats.get(entry[0], ())))
    with progress(session, "lyrics: counting words"):
        statistics = reduce(add, bags.map(lambda part: WordStatistics.of(part, n_words)).collect())
    if found is None:
        together = Bags.concatenate(bags.toLocalIterator())
        looked_up = HeaderVectors(train_word_vectors(together, n_words, settings.seed), by_stem=0)
        del together
    else:
        looked_up = header_vectors(stems, words, found.vectors)
    weights = word_weights(settings.weights, statistics, settings.sif_a)
    transform = LyricTransform(settings.weights, looked_up.vectors, weights)
    # A megabyte: the header's words alone, once for each executor.
    shipped = session.sparkContext.broadcast(transform)
    if settings.weights == SIF:
        with progress(session, "lyrics: common component"):
            transform = transform.without_common_component(second_moment(bags, shipped))
    with progress(session, "lyrics: vectors"):
        written = write_lyrics(parsed, corpus, shipped, transform.component, warehouse)
    parsed.unpersist()
    warehouse.write_arrow(words_table(stems, words, statistics, transform), "lyric_words")
    write_rejections(warehouse, STAGE, corpus.rejections)

    summary.facts |= facts(corpus, looked_up, written, by_name=found is not None)
    summary.details["vectors"] = {
        "source": settings.vectors,
        "method": "word2vec trained on the bags" if found is None else found.method,
        "seed": settings.seed if found is None else None,
        "weights": settings.weights,
        "sif_a": settings.sif_a if settings.weights == SIF else None,
        "component": None if transform.component is None else transform.component.tolist(),
        "fingerprint": transform.fingerprint(words),
    }
    return summary


def facts(
    corpus: Corpus, looked_up: HeaderVectors, written: Sequence[WrittenBlock], *, by_name: bool
) -> dict[str, int | float]:
    """Return what the job's table says: lines, tracks, rejected lines by reason, words and coverage.

    Parameters
    ----------
    corpus : Corpus
    looked_up : HeaderVectors
    written : sequence of WrittenBlock
    by_name : bool
        Whether vectors were looked up by word or stem, and not trained.
    """
    n_known = int(known(looked_up.vectors).sum())
    without = sum(part.without_vector for part in written)
    per_track = 1 / max(1, corpus.n_tracks)
    counts: dict[str, int | float] = {
        "lines": corpus.n_lines,
        "tracks": corpus.n_tracks,
        "rejected": len(corpus.rejections),
    }
    reasons = Counter(rejection.reason for rejection in corpus.rejections)
    counts |= {f"rejected, {reason}": count for reason, count in sorted(reasons.items())}
    counts |= {"words": len(looked_up.vectors), "words with a vector": n_known}
    if by_name:
        counts["words with a vector, by word"] = n_known - looked_up.by_stem
        counts["words with a vector, by stem"] = looked_up.by_stem
    return counts | {
        "mean coverage": round(sum(part.coverage for part in written) * per_track, 4),
        "tracks without a known word": without,
        "share without a known word": round(without * per_track, 4),
    }


def read_bag_files(settings: LyricsSettings) -> tuple[list[str], list[TextBlock]]:
    """Return the header's words and the text of both files, in blocks.

    Raises
    ------
    UserError
        When no file is given, one is not there or no musiXmatch file, or the two list different words.
    """
    words: list[str] | None = None
    blocks: list[TextBlock] = []
    for official_split, location in (("train", settings.train), ("test", settings.test)):
        if location is None:
            continue
        header, found = read_blocks(location, official_split)
        if words is not None and header != words:
            raise UserError(f"{location} lists other words than {settings.train}; the two files must be of one release")
        words = header
        blocks += found
    if words is None:
        raise UserError("no file to read; give --train, --test or both")
    return words, blocks


def unstem(stems: Sequence[str], reverse_mapping: str | None) -> list[str]:
    """Return each stem's word by the official mapping, the stem itself where it has none.

    Raises
    ------
    UserError
        When the file is not there, is cut off, has lines of another form, or names none of the stems.
    """
    if reverse_mapping is None:
        return list(stems)
    lines = list(read_lines(reverse_mapping))
    if lines and not lines[-1][2]:
        raise UserError(f"{reverse_mapping} is cut off: line {lines[-1][0]} has no line feed; fetch it again")
    try:
        mapping = parse_reverse_mapping(text for _, text, _ in lines)
    except ValueError as error:
        raise UserError(f"{reverse_mapping}: {error}") from None
    if not mapping.keys() & set(stems):
        raise UserError(f"{reverse_mapping} has none of the header's words; give mxm_reverse_mapping.txt")
    return [mapping.get(stem) or stem for stem in stems]


def second_moment(bags: RDD[Bags], transform: Broadcast[LyricTransform]) -> np.ndarray:
    """Return the second moment of all lyric vectors, exactly: each block sums its own, added up in their order."""
    return np.sum(bags.map(lambda part: transform.value(part).second_moment()).collect(), axis=0)


def write_lyrics(
    parsed: RDD[tuple[int, ParsedBlock]],
    corpus: Corpus,
    transform: Broadcast[LyricTransform],
    component: np.ndarray | None,
    warehouse: Warehouse,
) -> list[WrittenBlock]:
    """Write ``lyrics/``, a file for each block that has bags, by the workers."""
    address, repeats = warehouse.address(), corpus.repeats
    with warehouse.replacing("lyrics") as staging:

        def write(entry: tuple[int, ParsedBlock]) -> WrittenBlock:
            number, block = entry
            kept = replace(block, bags=block.bags.without(repeats.get(number, ())))
            return write_block(kept, replace(transform.value, component=component), address, staging, number)

        return parsed.map(write).collect()
