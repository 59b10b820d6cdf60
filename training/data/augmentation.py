"""Augment training examples, differently in each epoch.

The augmentation of an example depends only on the seed, the epoch and its track id, not on its rank or its place in a
batch. Mixing never changes the mask and the lyrics flag of an example. Masked values become the mean of the train
split, which the model normalises to 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from msd_spark.core.model_inputs import (
    CHROMA,
    DYNAMICS,
    HAS_LYRICS,
    LYRIC_VECTOR,
    MASK,
    TIMBRE,
    WORD_COUNTS,
)
from msd_spark.core.options import Check, Settings, at_least, between, option

Inputs = dict[str, np.ndarray]

ALONG_SEGMENTS = (CHROMA, TIMBRE, DYNAMICS)
"""Inputs with one row per segment."""

SHARE = Check(lambda value: 0 <= value < 1, "0 to below 1")


@dataclass(frozen=True)
class AugmentationSettings(Settings):
    """Augmentation of training examples; None is the model's default.

    References
    ----------
    .. [1] D. S. Park et al., "SpecAugment", Interspeech 2019: the masks.
    .. [2] H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.
    """

    crop: float = option(0.0, "cut up to this share of a song off its ends", metavar="SHARE", check=SHARE)
    time_masks: int | None = option(
        None, "number of spans of segments to mask; the model's own by default", metavar="N", check=at_least(0)
    )
    time_share: float = option(
        0.1, "longest span to mask, as a share of the song", metavar="SHARE", check=between(0, 1)
    )
    coefficient_masks: int | None = option(
        None,
        "largest number of coefficients to mask, in chroma and in timbre each; the model's own by default",
        metavar="N",
        check=at_least(0),
    )
    transpose: int = option(
        0, "rotate chroma by up to this many semitones, up or down", metavar="SEMITONES", check=at_least(0)
    )
    lyric_dropout: float | None = option(
        None,
        "share of the examples with lyrics whose lyrics are dropped; the model's own by default",
        metavar="SHARE",
        check=between(0, 1),
    )
    mixup: float = option(
        0.0,
        "mix pairs of examples with shares drawn from Beta(ALPHA, ALPHA); 0: off",
        metavar="ALPHA",
        check=at_least(0),
    )


def uniforms(track_ids: np.ndarray, n: int, *key: int) -> np.ndarray:
    """Return `n` uniform numbers in [0, 1) for each track: shape ``(n_tracks, n)``, float64.

    They are determined by the track id and the key (seed, epoch and purpose), with SplitMix64: G. Steele, D. Lea,
    C. Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    width = max(1, track_ids.dtype.itemsize // 4)
    codes = np.ascontiguousarray(track_ids).view(np.uint32).reshape(len(track_ids), width).astype(np.uint64)
    state = np.zeros(len(track_ids), np.uint64)
    for number in key:
        state = _mixed(state ^ np.uint64(number & 0xFFFFFFFFFFFFFFFF))
    for place in range(width):
        # The padding of short ids is skipped: the width of the array must not matter.
        state = np.where(codes[:, place] > 0, _mixed(state ^ codes[:, place]), state)
    draws = _mixed(state[:, None] + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return (draws >> np.uint64(11)).astype(np.float64) / 2.0**53


def _mixed(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def augment(
    inputs: Inputs,
    track_ids: np.ndarray,
    mean: Mapping[str, np.ndarray],
    settings: AugmentationSettings,
    key: tuple[int, int],
) -> Inputs:
    """Return augmented copies of a batch's inputs.

    Parameters
    ----------
    inputs : dict
        Result of `msd_spark.core.model_inputs.model_inputs`.
    mean : mapping
        Means of chroma, timbre, dynamics and lyric vector over the train split, by input.
    key : tuple of int
        Seed and epoch.
    """
    changed = dict(inputs)
    if settings.crop:
        _crop(changed, settings.crop, uniforms(track_ids, 2, *key, 1))
    if settings.transpose:
        turns = np.floor(uniforms(track_ids, 1, *key, 2)[:, 0] * (2 * settings.transpose + 1)).astype(int)
        n_pitches = changed[CHROMA].shape[2]
        places = (np.arange(n_pitches) - (turns - settings.transpose)[:, None]) % n_pitches
        changed[CHROMA] = np.take_along_axis(changed[CHROMA], places[:, None, :], axis=2)
    for number in range(settings.time_masks or 0):
        lengths, draws = changed[MASK].sum(axis=1), uniforms(track_ids, 2, *key, 3, number)
        hidden = _spans(lengths, np.floor(lengths * settings.time_share), changed[MASK].shape[1], draws)
        for name in inputs.keys() & ALONG_SEGMENTS:
            changed[name] = np.where(hidden[:, :, None], mean[name].astype(np.float32), changed[name])
    if settings.coefficient_masks:
        for number, name in enumerate((CHROMA, TIMBRE)):
            width = changed[name].shape[2]
            longest, draws = min(settings.coefficient_masks, width), uniforms(track_ids, 2, *key, 4, number)
            hidden = _spans(width, longest, width, draws)
            # The padding remains 0.
            hidden = hidden[:, None, :] & (changed[MASK] > 0)[:, :, None]
            changed[name] = np.where(hidden, mean[name].astype(np.float32), changed[name])
    if settings.lyric_dropout:
        unchanged = (uniforms(track_ids, 1, *key, 5) >= settings.lyric_dropout).astype(np.float32)
        for name in inputs.keys() & {LYRIC_VECTOR, HAS_LYRICS, WORD_COUNTS}:
            changed[name] = changed[name] * unchanged
    return changed


def _crop(inputs: Inputs, share: float, draws: np.ndarray) -> None:
    mask = inputs[MASK]
    lengths = mask.sum(axis=1)
    n_rows = np.maximum(1, np.ceil(lengths * (1 - share * draws[:, 0]))).astype(int)
    start = np.floor(draws[:, 1] * (lengths - n_rows + 1)).astype(int)
    place = np.arange(mask.shape[1])
    cropped = (place < n_rows[:, None]).astype(np.float32)
    source = np.minimum(place + start[:, None], mask.shape[1] - 1)
    for name in inputs.keys() & ALONG_SEGMENTS:
        inputs[name] = np.take_along_axis(inputs[name], source[:, :, None], axis=1) * cropped[:, :, None]
    inputs[MASK] = cropped


def _spans(lengths: np.ndarray | int, longest: np.ndarray | int, width: int, draws: np.ndarray) -> np.ndarray:
    """Return a mask ``(n, width)`` with one random span per row.

    A span has at most `longest` of the first `lengths` places of its row.
    """
    length = np.floor(draws[:, 0] * (longest + 1))
    start = np.floor(draws[:, 1] * (lengths - length + 1))
    place = np.arange(width)
    return (place >= start[:, None]) & (place < (start + length)[:, None])


def mix(
    inputs: Inputs,
    truth: np.ndarray,
    weights: np.ndarray,
    track_ids: np.ndarray,
    mean: Mapping[str, np.ndarray],
    alpha: float,
    key: tuple[int, int],
) -> tuple[Inputs, np.ndarray, np.ndarray]:
    """Return inputs, soft truths and weights of examples mixed with their batch neighbours.

    `truth` has shape ``(n, size)``, and shares are drawn from Beta(alpha, alpha); `mean` and `key` are those of
    `augment`.

    Notes
    -----
    Pairs are the first and second example, the third and fourth, and so on, so that one rank and several ranks with
    even batches mix a global batch in the same way. An example keeps the larger share of itself. Examples without
    weight (padding, no target) are not mixed.

    With weights ``v`` and ``w``, shares ``p`` and ``q = 1 - p`` and truths ``y`` and ``z``, the weight of the mix is
    ``pv + qw`` and its truth ``(pvy + qwz) / (pv + qw)``. Since the loss is linear in the truth, it is then exactly
    the sum of the two weighted losses in these shares.
    """
    from scipy.stats import beta

    partner = np.arange(len(weights)) ^ 1
    partner = np.where(partner < len(weights), partner, np.arange(len(weights)))
    part = beta.ppf(uniforms(track_ids, 1, *key, 6)[:, 0], alpha, alpha)
    part = np.maximum(part, 1 - part)
    part = np.where((weights > 0) & (weights[partner] > 0), part, 1.0)
    own, other = part * weights, (1 - part) * weights[partner]
    together = own + other
    shares = np.divide(np.stack([own, other]), together, out=np.zeros((2, len(weights))), where=together > 0)
    mixed = dict(inputs)
    presence = {CHROMA: inputs[MASK][:, :, None], TIMBRE: inputs[MASK][:, :, None], LYRIC_VECTOR: inputs[HAS_LYRICS]}
    for name, present in presence.items():
        filled = np.where(present > 0, inputs[name], mean[name].astype(np.float32))
        shape = (-1,) + (1,) * (filled.ndim - 1)
        blend = part.reshape(shape) * filled + (1 - part).reshape(shape) * filled[partner]
        mixed[name] = (blend * (present > 0)).astype(np.float32)
    soft = shares[0][:, None] * truth + shares[1][:, None] * truth[partner]
    return mixed, soft.astype(np.float32), together.astype(np.float32)
