"""The lyrics job: bags of words to ``lyrics/`` and ``lyric_words/``.

The driver splits the files into blocks of text and holds the words with their counts and vectors. Workers parse, weight
and write the bags, one file per block. Only training word vectors needs all bags on the driver, as three arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add

import numpy as np
from pyspark import RDD, Broadcast, StorageLevel
from pyspark.sql import SparkSession

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.delta import TableWriter
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import none_accepted, write_rejections
from msd_spark.core.schemas import LYRIC_WORDS, LYRICS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.formats.musixmatch import parse_reverse_mapping
from msd_spark.io.lines import read_lines
from msd_spark.lyrics.bags import Bags
from msd_spark.lyrics.blocks import (
    Corpus,
    ParsedBlock,
    TextBlock,
    find_repeats,
    parse_block,
    read_blocks,
    without_words,
)
from msd_spark.lyrics.settings import SIF, STAGE, TRAIN, LyricsSettings
from msd_spark.lyrics.tables import WrittenBlock, lyrics_table, words_table
from msd_spark.lyrics.vector_sources import Vectors, find_vectors
from msd_spark.lyrics.weights import LyricTransform, WordStatistics, common_component, word_weights
from msd_spark.lyrics.word_vectors import header_vectors, known, train_word_vectors
from msd_spark.spark.session import progress, start_spark


def run(settings: LyricsSettings) -> None:
    """Run ``msd-spark lyrics``."""
    inputs = read_inputs(settings)
    make_lyrics(start_spark("msd-spark lyrics"), settings, inputs).finish(Warehouse(settings.warehouse))


@dataclass(frozen=True)
class Inputs:
    """What the driver reads before Spark starts.

    `stems` are the words of the header as listed, `words` the same un-stemmed. `vectors` is None if word vectors are to
    be trained; `origin` describes where they come from.
    """

    stems: list[str]
    words: list[str]
    blocks: list[TextBlock]
    vectors: Vectors | None = None
    origin: str = "word2vec trained on the bags"


def read_inputs(settings: LyricsSettings) -> Inputs:
    """Read the bag files, the mapping and the word vectors; an invalid one is a `UserError`."""
    if not (settings.train or settings.test):
        data = DataFolder.find(settings.data)
        if not (data.bags_train or data.bags_test):
            raise data.missing("bags of words", "lyrics", "--train")
        mapping = settings.reverse_mapping or data.reverse_mapping
        settings = replace(settings, train=data.bags_train, test=data.bags_test, reverse_mapping=mapping)
    stems, blocks = read_bag_files(settings)
    words = unstem(stems, settings.reverse_mapping)
    if settings.vectors == TRAIN:
        return Inputs(stems, words, blocks)
    return Inputs(stems, words, blocks, *find_vectors(settings.vectors, {*stems, *words}))


def read_bag_files(settings: LyricsSettings) -> tuple[list[str], list[TextBlock]]:
    """Return the words of the header, equal in both files, and the text of both."""
    words: list[str] = []
    blocks: list[TextBlock] = []
    for official_split, location in (("train", settings.train), ("test", settings.test)):
        if location is None:
            continue
        header, file_blocks = read_blocks(location, official_split)
        if words and header != words:
            raise UserError(f"{location} and {settings.train} list different words; give two files of one release")
        words = header
        blocks += file_blocks
    return words, blocks


def unstem(stems: Sequence[str], reverse_mapping: str | None) -> list[str]:
    """Return the word of each stem by the official mapping, the stem itself if it has none."""
    if reverse_mapping is None:
        return list(stems)
    lines = list(read_lines(reverse_mapping))
    if lines and not lines[-1].ended:
        raise UserError(f"{reverse_mapping} is truncated: line {lines[-1].number} has no line feed; download it again")
    try:
        mapping = parse_reverse_mapping(line.text for line in lines)
    except ValueError as error:
        raise UserError(f"{reverse_mapping}: {error}") from None
    if not mapping.keys() & set(stems):
        raise UserError(f"{reverse_mapping} has none of the header's words; give mxm_reverse_mapping.txt")
    return [mapping.get(stem) or stem for stem in stems]


def make_lyrics(session: SparkSession, settings: LyricsSettings, inputs: Inputs) -> Summary:
    """Write ``lyrics/`` and ``lyric_words/``; return the summary."""
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    n_words = len(inputs.stems)
    parsed = (
        session.sparkContext.parallelize(list(enumerate(inputs.blocks)), len(inputs.blocks))
        .mapValues(partial(parse_block, n_words=n_words))
        .persist(StorageLevel.MEMORY_AND_DISK)
    )
    with progress(session, "lyrics: parsing"):
        corpus = find_repeats(parsed.mapValues(without_words).values().collect())
    if not corpus.n_tracks:
        raise none_accepted("line of lyrics", corpus.rejections)
    blocks = parsed.map(partial(_without_repeats, repeats=corpus.repeats))
    bags = blocks.map(lambda entry: entry[1].bags)
    with progress(session, "lyrics: counting words"):
        statistics = reduce(add, bags.map(lambda part: WordStatistics.of(part, n_words)).collect())
    by_stem = None
    if inputs.vectors is None:
        vectors = train_word_vectors(Bags.concatenate(bags.toLocalIterator()), n_words, settings.seed)
    else:
        vectors, by_stem = header_vectors(inputs.stems, inputs.words, inputs.vectors)
    weights = word_weights(settings.weights, statistics, settings.sif_a)
    transform = LyricTransform(settings.weights, vectors, weights)
    # One megabyte, once per executor.
    shipped = session.sparkContext.broadcast(transform)
    if settings.weights == SIF:
        with progress(session, "lyrics: common component"):
            # The sum is in the order of the blocks.
            moment = np.sum(bags.map(lambda part: shipped.value(part).second_moment()).collect(), axis=0)
            transform = replace(transform, component=common_component(moment))
    with (
        warehouse.overwriting(LYRICS, "lyrics") as lyrics,
        warehouse.overwriting(LYRIC_WORDS, "lyric_words") as lyric_words,
    ):
        with progress(session, "lyrics: vectors"):
            written = write_lyrics(blocks, shipped, transform.component, lyrics)
        lyric_words.write(words_table(inputs.stems, inputs.words, statistics, transform))
        write_rejections(warehouse, STAGE, corpus.rejections)
    parsed.unpersist()

    summary.facts |= facts(corpus, vectors, by_stem, written)
    if latin1_words := max(block.latin1_words for block in inputs.blocks):
        summary.facts["words decoded as Latin-1"] = latin1_words
    summary.details["vectors"] = {
        "source": settings.vectors,
        "method": inputs.origin,
        "seed": settings.seed if inputs.vectors is None else None,
        "weights": settings.weights,
        "sif_a": settings.sif_a if settings.weights == SIF else None,
        "component": None if transform.component is None else transform.component.tolist(),
        "fingerprint": transform.fingerprint(inputs.words),
    }
    return summary


def _without_repeats(entry: tuple[int, ParsedBlock], repeats: Mapping[int, list[int]]) -> tuple[int, ParsedBlock]:
    number, block = entry
    return number, replace(block, bags=block.bags.without(repeats.get(number, ())))


def facts(
    corpus: Corpus, vectors: np.ndarray, by_stem: int | None, written: Sequence[WrittenBlock]
) -> dict[str, int | float]:
    """Return the rows of the summary table."""
    n_known = int(known(vectors).sum())
    without = sum(part.without_vector for part in written)
    per_track = 1 / max(1, corpus.n_tracks)
    counts: dict[str, int | float] = {
        "lines": corpus.n_lines,
        "tracks": corpus.n_tracks,
        "rejected": len(corpus.rejections),
    }
    reasons = Counter(rejection.reason for rejection in corpus.rejections)
    counts |= {f"rejected, {reason}": count for reason, count in sorted(reasons.items())}
    counts |= {"words": len(vectors), "words with a vector": n_known}
    if by_stem is not None:
        counts |= {"words with a vector, by word": n_known - by_stem, "words with a vector, by stem": by_stem}
    return counts | {
        "mean coverage": round(sum(part.coverage for part in written) * per_track, 4),
        "tracks without a known word": without,
        "share without a known word": round(without * per_track, 4),
    }


def write_lyrics(
    blocks: RDD[tuple[int, ParsedBlock]],
    transform: Broadcast[LyricTransform],
    component: np.ndarray | None,
    writer: TableWriter,
) -> list[WrittenBlock]:
    """Write ``lyrics/`` on the workers, one file per block with bags."""
    destination = writer.destination

    def write(entry: tuple[int, ParsedBlock]) -> WrittenBlock:
        number, block = entry
        lyrics = replace(transform.value, component=component)(block.bags)
        file = destination.write(number, lyrics_table(block, lyrics)) if len(block.bags) else None
        return WrittenBlock(int((~lyrics.present).sum()), float(lyrics.coverage.sum()), file)

    written = blocks.map(write).collect()
    writer.add(part.file for part in written if part.file)
    return written
