"""Recommenders on the same held-out users: random, popularity, item-kNN, EASE and implicit ALS.

On generated listens of 50,000 users to 20,000 songs, drawn without any song files, and on the triplets of the real
sample where it is at hand. Each recommender is fitted to the train users and judged on the test users; peak memory is
what this process and Spark's hold at most meanwhile, beyond what they held before. ALS's parameters for the generated
listens are the best of seven settings on validation users of another seed's catalogue, whose users the table does not
judge. EASE's and item-kNN's are not searched, and on the real sample all have their defaults. More are tried by

    python -m benchmarks.recommend --search 12
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from pyspark.sql import SparkSession

from benchmarks import publish
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors import metrics
from msd_spark.factors.evaluation import Evaluation, als_recommender, baseline_makers, evaluate
from msd_spark.factors.held_out import Split, split
from msd_spark.factors.listens import Listens, keep_frequent, make_listens, read_listens
from msd_spark.factors.ranking import Recommender
from msd_spark.factors.search import search
from msd_spark.factors.settings import AlsParameters, BaselineSettings, FactorSettings
from msd_spark.factors.spark_als import Fitter
from msd_spark.plays.job import make_plays, read_inputs
from msd_spark.plays.settings import PlaysSettings
from msd_spark.spark.session import start_spark
from msd_spark.synthetic.catalogue import make_catalogue
from msd_spark.synthetic.listens import draw_listens, heard_songs
from msd_spark.synthetic.settings import SyntheticSettings

USERS, SONGS, SEED = 50_000, 28_570, 7
"""Seven in ten of these songs are listened to: 20,000, less a few duplicates."""

SEARCH_SEED = 8
HELD_OUT = 0.1
GENERATED = AlsParameters(rank=12, alpha=3.0, epsilon=0.01, regularisation=3.0, iterations=8)
SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "msd-sample"
BASELINES = BaselineSettings()
MEBIBYTE = 2**20


def generated_listens(seed: int) -> Listens:
    """Return generated listens with the catalogue's track ids."""
    catalogue = make_catalogue(SyntheticSettings(songs=SONGS, users=USERS, seed=seed))
    songs = heard_songs(catalogue)
    user, song, plays = (np.concatenate(parts) for parts in zip(*draw_listens(catalogue, songs), strict=True))
    ids = np.array([catalogue.track_id(number) for number in songs.tolist()])
    order = np.argsort(ids)
    place = np.empty(len(songs), np.int64)
    place[order] = np.arange(len(songs))
    users = [f"user{number:06}" for number in range(USERS)]
    return make_listens(user, users, place[np.searchsorted(songs, song)], ids[order], plays)


def real_listens(session: SparkSession, folder: str) -> Listens:
    """Return the listens of the real sample, through the job."""
    profile = SAMPLE / "tasteprofile"
    files = (str(profile / "train_triplets.txt"), str(profile / "sid_mismatches.txt"))
    tracks = str(SAMPLE / "additional" / "subset_unique_tracks.txt")
    plays = PlaysSettings(*files, tracks=tracks, warehouse=folder)
    print(make_plays(session, plays, read_inputs(plays)).table(), end="\n\n", flush=True)
    return read_listens(Warehouse(folder))


@contextmanager
def peak_memory(found: list[float]) -> Iterator[None]:
    """Append the MiB that this process and its children hold at most, beyond what they held before."""
    stop, held = threading.Event(), [_resident()]

    def follow() -> None:
        while not stop.wait(0.05):
            held.append(_resident())

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join()
        found.append((max(held) - held[0]) / MEBIBYTE)


def _resident() -> int:
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def measure(
    session: SparkSession, folder: str, name: str, listens: Listens, parameters: AlsParameters
) -> tuple[list[list[str]], dict[str, float]]:
    """Judge all recommenders on one set of listens; return rows and figures."""
    frequent, _ = keep_frequent(listens, FactorSettings.min_tracks, FactorSettings.min_listeners)
    parts = split(frequent, HELD_OUT, seed=0)
    print(f"{name}: {listens.counts()}, kept {frequent.counts()}, {len(parts.test.n_held)} test users", flush=True)
    fitter = Fitter(session, Warehouse(folder), f"{folder}/staged-{name}", FactorSettings(folder))
    fitter.stage("train", parts.train)

    def als() -> Recommender:
        return als_recommender(fitter.fit("train", parts.train, parameters).track_factors, parameters)

    # EASE takes the longest by far: what else there is stands before it is begun.
    beside = baseline_makers(parts.train.plays, BASELINES, 0)
    makers: dict[str, Callable[[], Recommender]] = {"ALS": als, **beside}
    rows, results, figures = [], dict[str, Evaluation](), dict[str, float]()
    for recommender, make in makers.items():
        peak: list[float] = []
        with peak_memory(peak):
            results[recommender] = result = evaluate(make, parts.test)
        values = result.as_json(0)
        shown = [metrics.shown(values[metric]) for metric in metrics.METRICS]
        times = [f"{result.fit_seconds:.1f}", f"{result.judge_seconds:.1f}", f"{peak[0]:,.0f}"]
        rows.append([name, recommender, *shown, f"{result.coverage:.3f}", *times])
        print(rows[-1], flush=True)
        key = f"{name}_{recommender}".lower().replace("-", "_")
        figures |= {f"{key}_ndcg_at_100": values["ndcg@100"][0], f"{key}_peak_mebibytes": peak[0]}
        figures[f"{key}_fit_seconds"] = result.fit_seconds
    for other in ("popularity", "item-kNN", "EASE"):
        first, second = (results[name].by_user["ndcg@100"] for name in ("ALS", other))
        ratio, low, high = metrics.ratio_with_interval(first, second, 0)
        if ratio is not None and low is not None and high is not None:
            prefix = "" if name == "generated" else f"{name}_"
            key = f"{prefix}als_over_{other}".lower().replace("-", "_")
            figures |= {key: ratio, f"{key}_low": low, f"{key}_high": high}
    return rows, figures


def find_parameters(session: SparkSession, folder: str, trials: int) -> None:
    """Search ALS's parameters on validation users of another catalogue, and print them."""
    parts: Split = split(keep_frequent(generated_listens(SEARCH_SEED), 5, 5)[0], HELD_OUT, seed=0)
    fitter = Fitter(session, Warehouse(folder), f"{folder}/staged-search", FactorSettings(folder))

    def value_of(parameters: AlsParameters) -> float:
        factors = fitter.fit("train", parts.train, parameters)
        ndcg = evaluate(lambda: als_recommender(factors.track_factors, parameters), parts.validation).mean("ndcg@100")
        print(f"{ndcg:.4f} {parameters}", flush=True)
        return ndcg

    print(search(GENERATED, trials, 0, value_of)[0])


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", type=int, default=0, metavar="TRIALS")
    trials = parser.parse_args().search
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", "--driver-memory 3g pyspark-shell")
    session = start_spark("msd-spark bench recommend")
    with tempfile.TemporaryDirectory() as folder:
        if trials:
            find_parameters(session, folder, trials)
            return
        started = time.monotonic()
        listens = generated_listens(SEED)
        figures = {"generate_seconds": time.monotonic() - started}
        rows, more = measure(session, folder, "generated", listens, GENERATED)
        figures |= more
        if SAMPLE.is_dir():
            real, more = measure(session, folder, "real", real_listens(session, folder), AlsParameters())
            rows, figures = rows + real, figures | more
    headers = ["listens", "recommender", *metrics.METRICS, "coverage", "fit s", "judge s", "peak MiB"]
    publish("recommend", headers, rows, figures)


if __name__ == "__main__":
    main()
