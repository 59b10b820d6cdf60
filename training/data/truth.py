"""What a training step is held to: soft truths and weights, from the columns of examples. Pure numpy."""

from __future__ import annotations

import numpy as np

from training.data.targets import FACTORS, TAGS, Target

NONE, BALANCED, SQRT = "none", "balanced", "sqrt"
CLASS_WEIGHTS = (NONE, BALANCED, SQRT)
"""How rare classes are weighed up, by the name that ``--class-weights`` takes."""


def soft_truth(target: Target, truth: np.ndarray, present: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Return what the scores of each example should be.

    Parameters
    ----------
    target : Target
    truth : numpy.ndarray
        Shape ``(n,)``: classes, anything where there is none; or ``(n, size)``.
    present : numpy.ndarray
        Shape ``(n,)``: whether the example has the target; if not, its row is zero.
    smoothing : float
        Share of the truth that is spread evenly over all classes, or over yes and no of a tag [1]_.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, size)``, float32.

    References
    ----------
    .. [1] C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016.

    Examples
    --------
    >>> colours = Target("genre", 2, ("a", "b"))
    >>> soft_truth(colours, np.array([1, -1]), np.array([True, False]), 0.1).tolist()
    [[0.05000000074505806, 0.949999988079071], [0.0, 0.0]]
    """
    present = np.asarray(present, bool)
    if target.is_vector:
        found = np.asarray(truth, np.float32)
    else:
        classes = np.where(present, truth, 0)
        found = np.eye(target.size, dtype=np.float32)[classes]
    if target.name != FACTORS:
        choices = 2 if target.name == TAGS else target.size
        found = found * (1 - smoothing) + smoothing / choices
    return (found * present[:, None]).astype(np.float32)


def class_weights(target: Target, totals: np.ndarray, examples: float, rule: str) -> np.ndarray:
    """Return the weight of each class, or of each tag where a song has it.

    Parameters
    ----------
    target : Target
    totals : numpy.ndarray
        Shape ``(size,)``: training examples of each class, or that have each tag.
    examples : float
        Training examples that have the target.
    rule : str
        One of `CLASS_WEIGHTS`: ``balanced`` gives every class the same say, ``sqrt`` goes half the
        way there (the square root of the balanced ratio).

    Returns
    -------
    numpy.ndarray
        Shape ``(size,)``, float32. For classes, the mean over the training examples is 1, so that
        the learning rate means the same under every rule. For tags, the weight of a song that has
        the tag against one that has not. Classes without examples have 1.

    Examples
    --------
    >>> colours = Target("genre", 2, ("a", "b"))
    >>> class_weights(colours, np.array([30, 10]), 40, "balanced").round(3).tolist()  # 40 / (2 * 30), 40 / (2 * 10)
    [0.6669999957084656, 2.0]
    """
    if rule == NONE or target.name == FACTORS:
        return np.ones(target.size, np.float32)
    totals = np.asarray(totals, np.float64)
    power = {BALANCED: 1.0, SQRT: 0.5}[rule]
    seen = totals > 0
    safe = np.where(seen, totals, 1.0)
    if target.name == TAGS:
        # A tag that every song has tells nothing; its weight stays finite.
        ratio = np.maximum(examples - safe, 1.0) / safe
        return np.where(seen, ratio**power, 1.0).astype(np.float32)
    weights = safe**-power
    weights *= totals.sum() / (totals * weights).sum()
    return np.where(seen, weights, 1.0).astype(np.float32)


def example_weights(
    target: Target, truth: np.ndarray, present: np.ndarray, weights: np.ndarray, of_classes: np.ndarray
) -> np.ndarray:
    """Return the weight of each example in the loss: its own, times its class's, 0 without the target.

    Parameters
    ----------
    target : Target
    truth, present : numpy.ndarray
        As for `soft_truth`.
    weights : numpy.ndarray
        Shape ``(n,)``: weights of the dataset, 0 in the padding.
    of_classes : numpy.ndarray
        Shape ``(size,)``, as `class_weights` gives them; those of tags weigh within an example.
    """
    present = np.asarray(present, bool)
    found = np.asarray(weights, np.float32) * present
    if not target.is_vector:
        found = found * of_classes[np.where(present, truth, 0)]
    return found.astype(np.float32)
