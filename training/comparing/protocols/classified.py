"""Baselines of protocols whose truths are classes or tags: those of every training, on the song summary."""

from __future__ import annotations

import numpy as np

from training.data.targets.target import Target
from training.evaluation.bootstrap import Artists, Candidate
from training.evaluation.judgement import candidate_of, deciding_score
from training.evaluation.learned import TRAINING_EXAMPLES, fit_learned
from training.evaluation.mapping import Mapper
from training.evaluation.song_features import Features


def some_examples(train: Features, most: int = TRAINING_EXAMPLES, seed: int = 0) -> Features:
    """Return a random sample of training songs, all if there are at most `most`."""
    n = len(train.track_ids)
    return train if n <= most else train.take(np.sort(np.random.default_rng(seed).permutation(n)[:most]))


def learned_candidates(
    target: Target, train: Features, test: Features, artists: Artists, mapper: Mapper
) -> dict[str, Candidate]:
    """Fit logistic regression and gradient boosting, and predict the shares of the train split."""
    sample = some_examples(train)
    fitted = fit_learned(target, sample, deciding_score(target), mapper)
    candidates = {}
    for name, one in fitted.items():
        candidates[name] = candidate_of(target, test.true, one.predict(test), artists)
        candidates[name].metrics["fit"] = one.notes
    shares = train.true.mean(axis=0) if target.is_vector else np.bincount(train.true, minlength=target.size)
    prior = shares / (1 if target.is_vector else shares.sum())
    candidates[target.prior_name] = candidate_of(target, test.true, np.tile(prior, (len(test.true), 1)), artists)
    return candidates
