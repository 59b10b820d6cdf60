"""Evaluate random predictions of a dataset on all ranks, and write the metrics; ``fail``: raise on rank 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import target_of
from training.evaluation.judgement import judge_splits, read_training_truths
from training.evaluation.song_features import read_features
from training.ranks.ranks import Ranks


def main(folder: str, result: str) -> None:
    """Evaluate the splits of ``dataset/tiny`` in `folder`."""
    ranks = Ranks.join()
    if result == "fail":

        def work(number: int) -> int:
            if number == 1:
                raise UserError("number 1 is refused")
            return number

        try:
            ranks.map(work, range(4))
        except UserError as error:
            print(error)
            sys.exit(2)
    assert ranks.map(lambda number: np.arange(number).sum(), range(5)) == [0, 0, 1, 3, 6]
    assert ranks.map(str, []) == []
    dataset = Dataset.open(Warehouse(folder), "tiny")
    target = target_of("genre", dataset)
    predictions = {}
    for split in ("validation", "test"):
        songs = read_features(dataset, split, target)
        n = len(songs.track_ids)
        scores = np.random.default_rng(0).dirichlet(np.ones(target.size), n).astype(np.float32)
        predictions[split] = Predictions(songs.track_ids, songs.artist_groups, songs.true, scores, np.ones(n, bool))
    training = read_training_truths(dataset, target)
    metrics = judge_splits(dataset, target, predictions, training, bootstrap=Bootstrap(resamples=200), mapper=ranks.map)
    Path(f"{result}-{ranks.rank}.json").write_text(json.dumps(metrics, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
