"""Targets that a model can learn, one module each; see docs/how-to/new-target.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.data.targets.factors import Factors
from training.data.targets.genre import Genre
from training.data.targets.popularity import Popularity
from training.data.targets.tags import Tags
from training.data.targets.target import Target

if TYPE_CHECKING:
    from training.data.dataset import Dataset

TARGETS: dict[str, type[Target]] = {target.name: target for target in (Genre, Tags, Popularity, Factors)}
"""Every target, by its name in ``--target``."""


def make_target(name: str, class_names: Sequence[str]) -> Target:
    """Return a target with the given outputs."""
    return TARGETS[name](tuple(class_names))


def target_of(name: str, dataset: Dataset) -> Target:
    """Return a target with the outputs that it has in a dataset, which must have its column."""
    return TARGETS[name].of(dataset)
