"""Which segments each place of a convolution sees, from the description of a Keras model. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

CONVOLUTION = "Conv1D"

WINDOWED = {"MaxPooling1D": "pool_size", "AveragePooling1D": "pool_size", CONVOLUTION: "kernel_size"}
"""Layers that slide along the segments, and what their width is called."""

PLACE_BY_PLACE = frozenset(
    {
        "Activation",
        "Add",
        "BatchNormalization",
        "Concatenate",
        "Dense",
        "Dropout",
        "LayerNormalization",
        "Maximum",
        "Multiply",
        "Normalization",
        "ReLU",
        "SpatialDropout1D",
        "Subtract",
    }
)
"""Layers of which a place sees the same place of what they are given."""


class ReceptiveField(NamedTuple):
    """What a place of a layer sees of an input.

    Attributes
    ----------
    jump : int
        Segments from one place to the next.
    first, last : int
        Segments that place 0 sees, both included; the first may lie before the song's beginning.
    """

    jump: int
    first: int
    last: int

    def slid(self, width: int, stride: int, dilation: int, before: int) -> ReceptiveField:
        """Return the field of a layer that slides over this one.

        Parameters
        ----------
        width, stride, dilation : int
            Of the layer.
        before : int
            Places of padding before the first one.
        """
        first = self.first - self.jump * before
        return ReceptiveField(self.jump * stride, first, self.last + self.jump * (dilation * (width - 1) - before))

    def joined(self, other: ReceptiveField) -> ReceptiveField | None:
        """Return the field of what sees both; None where the two go along the song at different speeds."""
        if self.jump != other.jump:
            return None
        return ReceptiveField(self.jump, min(self.first, other.first), max(self.last, other.last))

    def within(self, place: int, length: int) -> tuple[int, int]:
        """Return the first segment that a place sees and how many, of a song with `length` segments."""
        first = max(0, self.first + place * self.jump)
        return first, min(length, self.last + place * self.jump + 1) - first


Fields = Mapping[str, ReceptiveField]
"""By the name of an input."""


def receptive_fields(config: Mapping[str, Any]) -> dict[str, Fields]:
    """Return what the places of each convolution see, by the convolution's name, in the model's order.

    Parameters
    ----------
    config : mapping
        Of a functional model: ``model.get_config()``.

    Returns
    -------
    dict
        Convolutions that see through a layer which mixes all places (attention, recurrence) are left out.

    References
    ----------
    .. [1] A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019.
    """
    layers = {layer["name"]: layer for layer in config["layers"]}

    @cache
    def fields(name: str) -> tuple[tuple[str, ReceptiveField], ...] | None:
        layer = layers[name]
        kind, said = layer["class_name"], layer["config"]
        if kind == "InputLayer":
            return ((name, ReceptiveField(1, 0, 0)),)
        given = _given(layer)
        if not given:
            return None
        if kind in WINDOWED:
            (source, shape), *_ = given
            seen = fields(source)
            return (
                None
                if seen is None
                else tuple((stream, field.slid(*_window(said, kind, shape))) for stream, field in seen)
            )
        if kind == "Reshape":
            keeps_places = said["target_shape"][0] == given[0][1][1]
        else:
            keeps_places = kind in PLACE_BY_PLACE and _number(said.get("axis", -1)) in (-1, 2)
        return _together([fields(source) for source, _ in given]) if keeps_places else None

    found = {name: fields(name) for name, layer in layers.items() if layer["class_name"] == CONVOLUTION}
    return {name: dict(seen) for name, seen in found.items() if seen is not None}


def _given(layer: Mapping[str, Any]) -> list[tuple[str, Sequence[int]]]:
    """Return the name and shape of what a layer is called with, once."""
    nodes = layer["inbound_nodes"]
    return _tensors(nodes[0]["args"]) if len(nodes) == 1 else []


def _tensors(value: Any) -> list[tuple[str, Sequence[int]]]:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return [(value["config"]["keras_history"][0], value["config"]["shape"])]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in _tensors(item)]
    return []


def _window(said: Mapping[str, Any], kind: str, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Return width, stride, dilation and the places of padding before the first one."""
    width, stride, dilation = (_number(said.get(name, 1)) for name in (WINDOWED[kind], "strides", "dilation_rate"))
    reach = dilation * (width - 1) + 1
    if said["padding"] == "same":
        # As TensorFlow pads: the smaller half comes first.
        return width, stride, dilation, max(0, (-(-shape[1] // stride) - 1) * stride + reach - shape[1]) // 2
    return width, stride, dilation, reach - 1 if said["padding"] == "causal" else 0


def _number(value: Any) -> int:
    return int(value[0] if isinstance(value, (list, tuple)) else value)


def _together(
    parts: Sequence[tuple[tuple[str, ReceptiveField], ...] | None],
) -> tuple[tuple[str, ReceptiveField], ...] | None:
    joined: dict[str, ReceptiveField] = {}
    for part in parts:
        if part is None:
            return None
        for stream, field in part:
            both = joined[stream].joined(field) if stream in joined else field
            if both is None:
                return None
            joined[stream] = both
    return tuple(joined.items())
