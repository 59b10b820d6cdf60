"""The lyrics job on all cores as the bags grow, beside reading the same lines with a plain loop, and its training."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from benchmarks import publish
from msd_spark.core.schemas import GEOMETRY
from msd_spark.lyrics.bags import Bags
from msd_spark.lyrics.blocks import parse_block, read_blocks
from msd_spark.lyrics.job import make_lyrics, read_inputs
from msd_spark.lyrics.settings import SHARE, SIF, LyricsSettings
from msd_spark.lyrics.word_vectors import train_word_vectors
from msd_spark.spark.session import start_spark
from msd_spark.synthetic.catalogue import make_catalogue
from msd_spark.synthetic.lyrics import REVERSE_MAPPING, TRAIN, write_lyrics
from msd_spark.synthetic.settings import SyntheticSettings

SIZES = (20_000, 80_000)
DRAWN = 4_000
"""Songs whose words are drawn; files of more bags repeat their lines under other track ids."""


def write_bags(folder: Path, sizes: tuple[int, ...]) -> dict[int, Path]:
    """Write a bag file of each size, and vectors of the reverse mapping's words in GloVe's form."""
    write_lyrics(make_catalogue(SyntheticSettings(songs=DRAWN, seed=7)), folder)
    text = (folder / TRAIN).read_text(encoding="utf-8").split("\n")
    header = [line for line in text if line.startswith(("#", "%"))]
    bags = [line for line in text if line and line not in header]
    files = {}
    for size in sizes:
        files[size] = folder / f"bags-{size}.txt"
        lines = (
            f"TR{number:016X}{line[18:]}" for number, line in zip(range(size), itertools.cycle(bags), strict=False)
        )
        files[size].write_text("\n".join([*header, *lines, ""]), encoding="utf-8")
    mapping = (folder / REVERSE_MAPPING).read_text(encoding="utf-8").split("\n")
    words = [line.split("<SEP>")[1] for line in mapping if line]
    vectors = np.random.default_rng(7).normal(size=(len(words), GEOMETRY.lyric_size)).round(4)
    rows = (f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, vectors.tolist(), strict=True))
    (folder / "vectors.txt").write_text("".join(rows), encoding="utf-8")
    return files


def plain_loop(path: Path) -> int:
    """Read bags the way a script would: split each line, and each of its pairs; return how many there are."""
    bags = {}
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if not line.startswith(("#", "%")):
                track, _, *pairs = line.rstrip("\n").split(",")
                bags[track] = {int(index): int(count) for index, count in (pair.split(":") for pair in pairs)}
    return len(bags)


def parse_alone(path: Path) -> Bags:
    """Parse a file on one core, as the workers do."""
    words, blocks = read_blocks(str(path), "train")
    return Bags.concatenate(parse_block(block, len(words)).bags for block in blocks)


def job_seconds(session: SparkSession, folder: Path, bags: Path, weights: str) -> float:
    """Return the seconds of the job with word vectors from a file."""
    started = time.perf_counter()
    settings = LyricsSettings(
        train=str(bags),
        reverse_mapping=str(folder / REVERSE_MAPPING),
        warehouse=str(folder / "warehouse"),
        vectors=str(folder / "vectors.txt"),
        weights=weights,
    )
    make_lyrics(session, settings, read_inputs(settings))
    return time.perf_counter() - started


def main() -> None:
    """Measure and publish."""
    cores = len(os.sched_getaffinity(0))
    small, large = SIZES
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_bags(folder, SIZES)
        started = time.perf_counter()
        plain = plain_loop(files[small]) / (time.perf_counter() - started)
        started = time.perf_counter()
        bags = parse_alone(files[small])
        parsed = small / (time.perf_counter() - started)
        started = time.perf_counter()
        train_word_vectors(bags, 5000)
        trained = small / (time.perf_counter() - started)
        rows += [("one core: a plain loop over the lines", plain), ("one core: parsed into arrays", parsed)]
        rows.append(("word vectors trained on the bags, five passes", trained))
        session = start_spark("msd-spark benchmark")
        job_seconds(session, folder, files[small], SHARE)  # the first job of a session pays for what Spark loads once
        for weights, size in itertools.product((SHARE, SIF), SIZES):
            figures[f"bags_per_second_{size // 1000}k_{weights}"] = size / job_seconds(
                session, folder, files[size], weights
            )
            rows.append(
                (
                    f"whole job, {cores} cores: {size:,} bags, {weights}",
                    figures[f"bags_per_second_{size // 1000}k_{weights}"],
                )
            )
        session.stop()
    figures |= {
        "parse_over_plain_loop": parsed / plain,
        "trained_bags_per_second": trained,
        "job_over_plain_loop": figures[f"bags_per_second_{large // 1000}k_share"] / plain,
        "sif_over_share": figures[f"bags_per_second_{large // 1000}k_sif"]
        / figures[f"bags_per_second_{large // 1000}k_share"],
        "rate_80k_over_20k": figures["bags_per_second_80k_share"] / figures["bags_per_second_20k_share"],
    }
    publish("lyrics", ["bags of words", "bags/s"], rows, figures)


if __name__ == "__main__":
    main()
