"""Time and peak memory of every stage at 100,000 and 1,000,000 songs, with the metadata of the real catalogue.

The metadata are ``../shared/msd-real/million.parquet`` if it exists, otherwise generated. All else is generated from a
genre and a centre per artist: labels, tags, bags of words, listens, factors and embeddings. Segments are not generated:
the stages that read them are measured up to their plan, and per song by other benchmarks. Every command is a process of
its own. The driver is its Python process and Spark's JVM; the workers are the Python processes that the JVM starts.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import sync_playwright

from benchmarks import publish
from benchmarks.names import QUERIES, timed_search
from benchmarks.report import FRAME_RATE, PAINTED, SECONDS, VIEWPORT, page_memory
from msd_spark.catalogue.artist_groups import group_artists
from msd_spark.catalogue.known_tracks import known_tracks
from msd_spark.catalogue.name_index import FILE
from msd_spark.core.arrow import rows_to_lists
from msd_spark.core.cache import VARIABLE
from msd_spark.core.runs import METADATA, MODEL, RUNS
from msd_spark.core.schemas import EMBEDDING_SIZE, FACTORS, VECTOR
from msd_spark.core.song_layout import N_PITCHES
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset import job as dataset_job
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.neighbours.settings import SEARCH_FILE
from msd_spark.report.draw.files import find_browser
from msd_spark.scoring.plan import PLANNED, plan_scores
from msd_spark.scoring.slices import SONGS_PER_SLICE, slice_songs
from msd_spark.scoring.state import ScoreState
from msd_spark.spark.session import start_spark
from msd_spark.synthetic import names
from msd_spark.synthetic.catalogue import make_catalogue
from msd_spark.synthetic.settings import SyntheticSettings

SIZES = (100_000, 1_000_000)
REAL = Path(__file__).resolve().parents[2] / "shared" / "msd-real" / "million.parquet"
RUN = "million"
GENRES = (
    "Big_Band Blues_Contemporary Country_Traditional Dance Electronica Experimental Folk_International Gospel "
    "Grunge_Emo Hip_Hop_Rap Jazz_Classic Metal_Alternative Pop_Contemporary Pop_Latin Rock_Alternative"
).split()
N_WORDS, N_TAGS = 5_000, 2_000
LABELLED, TAGGED, WITH_WORDS, WITH_LISTENS = 0.28, 0.5, 0.24, 0.38
"""Shares of the songs, about those of CD1, Last.fm, musiXmatch and the Taste Profile."""

WORDS_PER_SONG, TAGS_PER_SONG, LISTENERS_PER_SONG = 200, 8, 12
"""Means."""


@dataclass(frozen=True)
class Generated:
    """A catalogue.

    Attributes
    ----------
    songs : pandas.DataFrame
        The columns of ``million.parquet``.
    artist : numpy.ndarray
        Number of each song's artist, shape ``(n_songs,)``.
    genre : numpy.ndarray
        Index of each song's genre, shape ``(n_songs,)``.
    """

    songs: pd.DataFrame
    artist: np.ndarray
    genre: np.ndarray

    @property
    def track_ids(self) -> np.ndarray:
        """The track id of each song."""
        return self.songs["track_id"].to_numpy()


def catalogue(n_songs: int) -> Generated:
    """Return the first songs of the real catalogue, which is sorted by random ids, or a generated one."""
    songs = pq.read_table(REAL).slice(0, n_songs).to_pandas() if REAL.is_file() else invented(n_songs)
    artist = pd.factorize(songs["artist_id"])[0]
    generator = np.random.default_rng(0)
    of_artist = generator.zipf(1.4, artist.max() + 1) % len(GENRES)
    other = generator.random(n_songs) < 0.1
    genre = np.where(other, generator.integers(0, len(GENRES), n_songs), of_artist[artist])
    return Generated(songs, artist, genre)


def invented(n_songs: int) -> pd.DataFrame:
    """Return the metadata of a generated catalogue."""
    catalogue, generator = make_catalogue(SyntheticSettings(songs=n_songs, seed=7)), np.random.default_rng(1)
    tracks = range(n_songs)
    frame = pd.DataFrame({"track_id": catalogue.track_ids})
    for name in ("song_id", "artist_name", "title"):
        frame[name] = list(map(getattr(catalogue, name), tracks))
    frame["artist_id"] = [names.artist_id(7, artist) for artist in catalogue.artist.tolist()]
    frame["release"] = frame["title"]
    frame["year"] = np.where(generator.random(n_songs) < 0.5, generator.integers(1950, 2011, n_songs), 0)
    for name, low, high in (("duration", 100, 400), ("tempo", 60, 200), ("loudness", -30, 0)):
        frame[name] = generator.uniform(low, high, n_songs)
    for name, most in (("key", 12), ("mode", 2), ("time_signature", 8)):
        frame[name] = generator.integers(0, most, n_songs)
    for name in ("artist_familiarity", "artist_hotttnesss", "song_hotttnesss"):
        frame[name] = generator.random(n_songs)
    return frame.sort_values("track_id", ignore_index=True)


def write_sources(data: Path, generated: Generated) -> None:
    """Write a data folder in the formats of the official files."""
    generator = np.random.default_rng(2)
    tracks, n_songs = generated.track_ids, len(generated.songs)
    for folder in ("additional", "tagtraum", "lastfm", "musixmatch", "tasteprofile"):
        (data / folder).mkdir(parents=True)
    pq.write_table(pa.Table.from_pandas(generated.songs), data / "additional" / "track_metadata.parquet")

    labelled = np.flatnonzero(generator.random(n_songs) < LABELLED)
    with (data / "tagtraum" / "msd_tagtraum_cd1.cls").open("w") as sink:
        sink.writelines(f"{tracks[song]}\t{GENRES[generated.genre[song]]}\n" for song in labelled)

    with closing(sqlite3.connect(data / "lastfm" / "lastfm_tags.db")) as database:
        write_tags(database, generated, generator)

    with (data / "musixmatch" / "mxm_dataset_train.txt").open("w") as sink:
        sink.write("%" + ",".join(f"word{number}" for number in range(N_WORDS)) + "\n")
        for song in np.flatnonzero(generator.random(n_songs) < WITH_WORDS).tolist():
            indices = (generator.zipf(1.3, WORDS_PER_SONG) + 7 * int(generated.genre[song])) % N_WORDS + 1
            words, counts = np.unique(indices, return_counts=True)
            bag = ",".join(map("{}:{}".format, words.tolist(), counts.tolist()))
            sink.write(f"{tracks[song]},{song},{bag}\n")

    heard = np.flatnonzero(generator.random(n_songs) < WITH_LISTENS)
    n_listens = LISTENERS_PER_SONG * len(heard)
    songs = generated.songs["song_id"].to_numpy()[heard[generator.zipf(1.1, n_listens) % len(heard)]]
    pairs = pd.DataFrame({"user": generator.integers(0, n_songs, n_listens), "song": songs})
    pairs["plays"] = generator.geometric(0.4, n_listens)
    pairs = pairs.drop_duplicates(["user", "song"])
    pairs["user"] = pairs["user"].map("{:040x}".format)
    pairs.to_csv(data / "tasteprofile" / "train_triplets.txt", sep="\t", header=False, index=False)


def write_tags(database: sqlite3.Connection, generated: Generated, generator: np.random.Generator) -> None:
    """Write Last.fm tags in the form of ``lastfm_tags.db``."""
    tagged = np.flatnonzero(generator.random(len(generated.songs)) < TAGGED)
    rows = np.repeat(tagged, TAGS_PER_SONG)
    tags = (generator.zipf(1.3, len(rows)) + 11 * generated.genre[rows]) % N_TAGS
    pairs = pd.DataFrame({"tid": rows, "tag": tags}).drop_duplicates()
    tids = pd.factorize(pairs["tid"])[0] + 1
    values = generator.integers(1, 101, len(pairs))
    database.executescript("CREATE TABLE tids (tid TEXT); CREATE TABLE tags (tag TEXT);")
    database.execute("CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT)")
    database.executemany("INSERT INTO tids VALUES (?)", ((track,) for track in generated.track_ids[tagged].tolist()))
    database.executemany("INSERT INTO tags VALUES (?)", ((f"tag {number}",) for number in range(N_TAGS)))
    numbered = zip(tids.tolist(), (pairs["tag"] + 1).tolist(), values.tolist(), strict=True)
    database.executemany("INSERT INTO tid_tag VALUES (?, ?, ?)", numbered)
    database.commit()


def write_vectors(warehouse: Warehouse, generated: Generated) -> None:
    """Write ``factors/``, a run without a model, and its embeddings: genre, artist and song add up to a vector."""
    generator = np.random.default_rng(3)
    tracks = pa.array(generated.track_ids)
    n_songs, n_artists = len(tracks), int(generated.artist.max()) + 1

    def vectors(size: int) -> np.ndarray:
        centres = generator.standard_normal((len(GENRES), size), np.float32)
        artists = 0.7 * generator.standard_normal((n_artists, size), np.float32)
        songs = 0.5 * generator.standard_normal((n_songs, size), np.float32)
        return centres[generated.genre] + artists[generated.artist] + songs

    rows = np.flatnonzero(generator.random(n_songs) < WITH_LISTENS)
    kinds, ids = pa.array(["track"] * len(rows)), tracks.take(pa.array(rows))
    factors = [kinds, ids, rows_to_lists(vectors(EMBEDDING_SIZE)[rows], FACTORS.field("factors").type)]
    warehouse.write_arrow(pa.table(factors, schema=FACTORS), "factors")
    genres = pa.array(np.array(GENRES)[generated.genre])
    probabilities = generator.dirichlet(np.full(len(GENRES), 0.3), n_songs).astype(np.float32)
    embeddings = {
        "track_id": tracks,
        "embedding": rows_to_lists(vectors(EMBEDDING_SIZE), VECTOR),
        "predicted_genre": genres,
        "genre_probabilities": rows_to_lists(probabilities, VECTOR),
        "has_lyrics": (generator.random(n_songs) < WITH_WORDS).astype(np.float32),
    }
    warehouse.write_arrow(pa.table(embeddings), "embeddings", RUN)
    metadata: dict[str, Any] = {"run": RUN, "model": "none", "geometry": {}, "normalisation": {}}
    metadata["target"] = {"name": "genre", "class_names": GENRES}
    metadata |= {"lyric_vectors": "none", "dataset": {"name": "none", "fingerprint": "none"}}
    with warehouse.replacing_folder(RUNS, RUN) as folder:
        warehouse.write_file(b"no model", RUNS, RUN, folder.names[-1], MODEL)
        folder.point_by_json(METADATA, metadata)


class PlannedError(Exception):
    """Ends a stage that is measured up to its plan."""


def artist_groups(folder: str) -> dict[str, float]:
    """Group the artists of ``songs/``."""
    songs = Warehouse(folder).read_table(["track_id", "song_id", "artist_id", "artist_name", "title"], "songs")
    frame = songs.to_pandas()
    started = time.perf_counter()
    groups = group_artists(frame)
    return {"seconds": time.perf_counter() - started, "largest group": int(groups.value_counts().iloc[0])}


def dataset_plan(folder: str) -> dict[str, float]:
    """Run the dataset stage with all tables until the first example would be written."""
    plan: dict[str, float] = {}

    def stop(session: Any, warehouse: Any, examples: pd.DataFrame, *_: Any) -> None:
        plan["examples"] = len(examples)
        raise PlannedError

    dataset_job.write = stop  # type: ignore[assignment]
    settings = DatasetSettings(folder, factors=True)
    session = start_spark("msd-spark benchmark")
    with suppress(PlannedError):
        dataset_job.make_dataset(session, settings)
    session.stop()
    return plan


def score_plan(folder: str) -> dict[str, float]:
    """Decide what a scoring would do with each song, and write its plan."""
    warehouse = Warehouse(folder)
    songs = slice_songs(warehouse, SONGS_PER_SLICE)
    known = known_tracks(warehouse, songs.track_ids, EMBEDDING_SIZE, words=True)
    plan = plan_scores(songs, known, ScoreState("none", "none", {}), None, None)
    with tempfile.TemporaryFile() as sink, pq.ParquetWriter(sink, PLANNED) as writer:
        for table in plan.planned():
            writer.write_table(table)
    return {"songs": int(plan.score.sum()), "slices": len(plan.tasks)}


PARTS: dict[str, Callable[[str], dict[str, float]]] = {
    "artist-groups": artist_groups,
    "dataset-plan": dataset_plan,
    "score-plan": score_plan,
}


def give_segments(warehouse: Warehouse) -> None:
    """Give every song two segments, as if its song file had been read."""
    songs, generator = warehouse.read_table(None, "songs"), np.random.default_rng(4)
    for place, field in enumerate(songs.schema):
        if field.name == "n_segments":
            values = pa.array(np.full(songs.num_rows, 2, np.int32))
        elif field.name.startswith("segments_"):
            size = 2 * (N_PITCHES if field.name in ("segments_pitches", "segments_timbre") else 1)
            numbers = generator.random((songs.num_rows, size)).astype(field.type.value_type.to_pandas_dtype())
            values = rows_to_lists(numbers, field.type)
        else:
            continue
        songs = songs.set_column(place, field, values)
    warehouse.write_arrow(songs, "songs")


def commands(data: Path, folder: str, song: str, track_id: str) -> Iterator[tuple[str, list[str]]]:
    """Yield name and command of each measured stage, in order; `song` is artist and title of a track."""
    stage = [str(Path(sys.executable).with_name("msd-spark"))]
    part = [sys.executable, "-m", "benchmarks.million"]
    sources, tables = ["--data", str(data)], ["--warehouse", folder]
    yield "ingest", [*stage, "ingest", "--songs", str(data / "additional" / "track_metadata.parquet"), *tables]
    yield "artist groups", [*part, "artist-groups", folder]
    for verb in ("labels", "lyrics", "plays"):
        yield verb, [*stage, verb, *sources, *tables]
    yield "dataset, plan", [*part, "dataset-plan", folder]
    yield "score, plan", [*part, "score-plan", folder]
    for verb in ("neighbours", "maps", "report"):
        yield verb, [*stage, verb, "--run", RUN, *tables]
    for call in ("first", "next"):
        yield f"similar, {call} call", [*stage, "similar", song, "--run", RUN, *tables]
    yield "lineage", [*stage, "lineage", track_id, "--run", RUN, *tables]


def searches(cache: Path) -> float:
    """Return the milliseconds of the slowest search by name."""
    (path,) = cache.rglob(FILE)
    return max(timed_search(path, query)[0] for query in QUERIES)


def page(warehouse: Warehouse) -> dict[str, float]:
    """Return when the report's page has painted, and how many frames per second it pans and zooms, in Chromium."""
    (name,) = warehouse.folders("reports", RUN)
    address = Path(warehouse.path("reports", RUN, name), "index.html").as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        opened = browser.new_page(viewport=VIEWPORT)
        opened.set_default_timeout(120_000)
        opened.goto(address)
        opened.wait_for_selector("html[data-report=ready]")
        metrics = {
            "page_first_paint_ms": opened.evaluate(PAINTED),
            "page_frames_per_second": opened.evaluate(FRAME_RATE, SECONDS),
            "page_memory_mb": page_memory(),
        }
        browser.close()
    return metrics


@dataclass
class Measured:
    """Wall-clock seconds, peak memory in GiB of driver and of all workers together, and what the command printed."""

    seconds: float
    driver: float
    workers: float
    output: str


def measure(command: list[str]) -> Measured:
    """Run a command, and sample the memory of its processes ten times per second."""
    started, driver, workers = time.perf_counter(), 0, 0
    with tempfile.TemporaryFile("w+") as sink:
        process = psutil.Popen(command, stdout=sink, stderr=subprocess.STDOUT, text=True)
        while process.poll() is None:
            memory = {True: 0, False: 0}
            with suppress(psutil.NoSuchProcess):
                for one in (process, *process.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        memory[one.pid == process.pid or "java" in one.name()] += one.memory_info().rss
            driver, workers = max(driver, memory[True]), max(workers, memory[False])
            time.sleep(0.1)
        sink.seek(0)
        output = sink.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{output}")
    return Measured(time.perf_counter() - started, driver / 2**30, workers / 2**30, output)


def main() -> None:
    """Measure and publish; with the name of a part and a warehouse, run that part."""
    if len(sys.argv) > 1:
        print(json.dumps(PARTS[sys.argv[1]](sys.argv[2])))
        return
    rows: list[tuple[Any, ...]] = []
    by_stage: dict[str, list[Measured]] = {}
    metrics: dict[str, float] = {}
    for n_songs in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            data, warehouse = Path(scratch) / "data", Warehouse(f"{scratch}/warehouse")
            cache = Path(scratch) / "cache"
            os.environ[VARIABLE] = str(cache)
            generated = catalogue(n_songs)
            write_sources(data, generated)
            write_vectors(warehouse, generated)
            song = generated.songs.iloc[n_songs // 2].to_dict()
            name_of_song = f"{song['artist_name']} - {song['title']}"
            for name, command in commands(data, warehouse.root, name_of_song, str(song["track_id"])):
                one = measure(command)
                by_stage.setdefault(name, []).append(one)
                rows.append((name, f"{n_songs:,}", one.seconds, one.driver, one.workers))
                print(f"{n_songs:,} songs: {name}: {one.seconds:.1f} s", file=sys.stderr, flush=True)
                if name == "ingest":
                    give_segments(warehouse)
            search = warehouse.read_json("neighbours", RUN, SEARCH_FILE)
            metrics["neighbours_recall_at_10"] = search["index"]["recall_at_10"]
            metrics["similar_text_ms"] = searches(cache)
            metrics |= page(warehouse)
    for name, (small, large) in by_stage.items():
        key = name.replace(", ", "_").replace(" ", "_")
        metrics |= {f"{key}_seconds_100k": small.seconds, f"{key}_seconds_1m": large.seconds}
        metrics[f"{key}_1m_over_100k"] = large.seconds / small.seconds
    metrics["peak_driver_gib"] = max(one.driver for stage in by_stage.values() for one in stage)
    metrics["artist_groups_seconds"] = json.loads(by_stage["artist groups"][-1].output.splitlines()[-1])["seconds"]
    metrics["plan_seconds"] = by_stage["dataset, plan"][-1].seconds
    headers = ["stage", "songs", "seconds", "driver, GiB", "workers, GiB"]
    publish("million", headers, sorted(rows, key=lambda row: list(by_stage).index(row[0])), metrics)


if __name__ == "__main__":
    main()
