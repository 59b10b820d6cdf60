"""Measure neighbour agreement of held-out songs.

A song agrees with a neighbour by another artist if both have the same genre, or as far as they have the same tags. All
songs of a held-out split are queries, and their neighbours are songs of the same split, so no training song is
involved. The embeddings of networks are compared with two spaces without a network: means and log standard deviations
of timbre and of chroma relative to the key, and the first 50 principal components of the features of the learned
baselines; scaling and components are those of the train split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler, normalize

from msd_spark.core.bootstrap import Bootstrap, percentile_interval
from msd_spark.core.model_inputs import columns_of_inputs, model_inputs
from msd_spark.core.schemas import EMBEDDING_LAYER, EMBEDDING_SIZE
from msd_spark.core.song_summary import SUMMARY_BLOCKS
from training.data.targets.target import CLASSES, NUMBERS, Target
from training.evaluation.learned import Encoder
from training.evaluation.song_features import Features, read_columns
from training.runs.predictions_table import read_predictions

if TYPE_CHECKING:
    from training.comparing.runs import Run
    from training.data.dataset import Dataset

NEIGHBOURS = 10
RAW, COMPONENTS = "timbre and chroma", f"{EMBEDDING_SIZE} principal components"
RAW_BLOCKS = ("timbre_mean", "timbre_log_deviation", "chroma_from_key_mean", "chroma_from_key_log_deviation")
"""Blocks of the song summary in the space `RAW`."""

QUERIES_AT_ONCE = 1024
SONGS_AT_ONCE = 256


def neighbour_agreement(
    vectors: np.ndarray, true: np.ndarray, artist_groups: np.ndarray, k: int = NEIGHBOURS
) -> np.ndarray:
    """Return the mean agreement of each song with its `k` nearest songs by other artists.

    The result has shape ``(n,)``. Neighbours are nearest by cosine. The agreement of two songs is 1 for the same class,
    otherwise 0; for tags it is the Jaccard similarity. The mean over the neighbours is NaN for a song with fewer than
    `k` songs by other artists.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape ``(n, d)``.
    true : numpy.ndarray
        Shape ``(n,)`` for classes, ``(n, n_tags)`` for tags.
    artist_groups : numpy.ndarray
        Shape ``(n,)``.
    """
    unit, found = normalize(vectors), np.full(len(vectors), np.nan)
    for start in range(0, len(unit), QUERIES_AT_ONCE):
        rows = np.arange(start, min(start + QUERIES_AT_ONCE, len(unit)))
        others = artist_groups[rows, None] != artist_groups[None]
        similarity = np.where(others, unit[rows] @ unit.T, -np.inf)
        # A stable sort: songs at the same distance are taken in the order of their ids.
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        if true.ndim == 1:
            agreement = true[nearest] == true[rows, None]
        else:
            own, theirs = true[rows, None] > 0, true[nearest] > 0
            agreement = (own & theirs).sum(axis=2) / np.maximum((own | theirs).sum(axis=2), 1)
        found[rows] = np.where(others.sum(axis=1) >= k, agreement.mean(axis=1), np.nan)
    return found


def agreement_rows(
    spaces: Mapping[str, np.ndarray], artist_groups: np.ndarray, bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """Return the mean agreement of each space, and its lead over `RAW` and `COMPONENTS`.

    Intervals are by artist. `spaces` has the agreement of each song, shape ``(n,)``, by space.
    """
    names, values = list(spaces), np.column_stack(list(spaces.values()))
    known = np.isfinite(values).all(axis=1)
    artists = np.unique(artist_groups[known], return_inverse=True)[1]
    sums = np.zeros((int(artists.max(initial=-1)) + 1, len(names) + 1))
    np.add.at(sums, artists, np.column_stack([values[known], np.ones(int(known.sum()))]))
    if len(sums) < 2:
        return []
    drawn = bootstrap.means(sums)
    means, resampled = sums[:, :-1].sum(axis=0) / sums[:, -1].sum(), drawn[:, :-1] / drawn[:, -1:]

    def minus(place: int, other: str) -> dict[str, Any] | None:
        if names[place] in (RAW, COMPONENTS):
            return None
        base = names.index(other)
        interval = percentile_interval(resampled[:, place] - resampled[:, base], bootstrap.level)
        return {"mean": float(means[place] - means[base]), "interval": interval}

    return [
        {
            "space": name,
            "agreement": {
                "mean": float(means[place]),
                "interval": percentile_interval(resampled[:, place], bootstrap.level),
            },
            "minus_raw": minus(place, RAW),
            "minus_components": minus(place, COMPONENTS),
        }
        for place, name in enumerate(names)
    ]


def measure_agreement(
    datasets: Mapping[str, Dataset],
    runs: Sequence[Run],
    target: Target,
    split: str,
    without_network: Mapping[str, Mapping[str, np.ndarray]],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Return the agreement in the embeddings of runs, over all seeds.

    `without_network` has the agreement of each song, shape ``(n,)``, by dataset and space. The keys of the result are
    ``k``, ``measure``, ``spaces`` and ``rows`` (`agreement_rows`, none for a target of numbers).
    """
    measure = f"same {target.name}" if target.form == CLASSES else f"similarity of {target.name}"
    facts = {"k": NEIGHBOURS, "measure": measure, "spaces": [RAW, COMPONENTS]}
    if target.form == NUMBERS:
        return facts | {"rows": []}
    groups: dict[str, np.ndarray] = {}
    agreement: dict[str, dict[tuple[str, int], np.ndarray]] = {}
    for name, dataset in datasets.items():
        for run in runs:
            if str(run.dataset) != name:
                continue
            for space, own in without_network[name].items():
                agreement.setdefault(space, {})[name, run.seed] = own
            predicted = read_predictions(dataset.warehouse, run.name, split, target)
            assert predicted is not None, "compare_runs has read it"
            songs = predicted.judged()
            groups[name] = songs.artist_groups
            vectors = _embeddings(dataset, run, target, split)
            own = neighbour_agreement(vectors, songs.true, songs.artist_groups)
            agreement.setdefault(f"{run.model}-{run.inputs}", {})[name, run.seed] = own
    keys = sorted(agreement[RAW])
    spaces = {space: np.concatenate([by_key[key] for key in keys]) for space, by_key in agreement.items()}
    rows = agreement_rows(spaces, np.concatenate([groups[name] for name, _ in keys]), bootstrap)
    return facts | {"rows": rows}


def spaces_without_network(train: Features, songs: Features) -> dict[str, np.ndarray]:
    """Return the vectors of songs in the spaces `RAW` and `COMPONENTS`: shapes ``(n, d)``.

    Both are fitted on the train split.
    """
    encoder = Encoder(train)
    learn, judge = (np.asarray(_dense(encoder.everything(part))) for part in (train, songs))
    components = PCA(min(EMBEDDING_SIZE, *learn.shape), svd_solver="full").fit(learn)
    starts = dict(zip(SUMMARY_BLOCKS, np.cumsum([0, *SUMMARY_BLOCKS.values()]), strict=False))
    columns = np.concatenate([starts[name] + np.arange(SUMMARY_BLOCKS[name]) for name in RAW_BLOCKS])
    raw = StandardScaler().fit(train.values[:, columns]).transform(songs.values[:, columns])
    return {RAW: raw, COMPONENTS: components.transform(judge)}


def _dense(values: Any) -> np.ndarray:
    return values.toarray() if hasattr(values, "toarray") else values


def _embeddings(dataset: Dataset, run: Run, target: Target, split: str) -> np.ndarray:
    """Return the embeddings ``(n, 50)`` of the songs that have the target, sorted by track."""
    import keras

    from training.runs.run_folder import read_model

    model = read_model(dataset.warehouse, run.name)
    inputs = tuple(model.input)
    embed = keras.Model(model.input, model.get_layer(EMBEDDING_LAYER).output)
    tracks, parts = [np.empty(0, str)], [np.empty((0, EMBEDDING_SIZE), np.float32)]
    for columns in read_columns(dataset, split, ["track_id", target.presence, *columns_of_inputs(inputs)]):
        rows = np.flatnonzero(columns[target.presence] > 0)
        for start in range(0, len(rows), SONGS_AT_ONCE):
            chosen = rows[start : start + SONGS_AT_ONCE]
            batch = model_inputs({name: values[chosen] for name, values in columns.items()}, dataset.geometry, inputs)
            parts.append(np.asarray(embed(batch, training=False)))
            tracks.append(columns["track_id"][chosen].astype(str))
    return np.concatenate(parts)[np.argsort(np.concatenate(tracks), kind="stable")]
