"""Receptive fields of the convolutions of a Keras model, without TensorFlow.

They follow from its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

CONVOLUTION = "Conv1D"

WINDOWED = {"MaxPooling1D": "pool_size", "AveragePooling1D": "pool_size", CONVOLUTION: "kernel_size"}
"""Layers with a window along the segments, and the name of its width."""

POINTWISE = frozenset(
    (
        "Activation Add BatchNormalization Concatenate Dense Dropout LayerNormalization Maximum Multiply Normalization "
        "ReLU SpatialDropout1D Subtract"
    ).split()
)
"""Layers whose output at a position depends only on their inputs at that position."""


class ReceptiveField(NamedTuple):
    """Segments of an input that the positions of a layer depend on.

    Attributes
    ----------
    jump : int
        Segments between neighbouring positions.
    first, last : int
        Segments that position 0 depends on, both included; negative in the padding before the song.
    """

    jump: int
    first: int
    last: int

    def slid(self, width: int, stride: int, dilation: int, before: int) -> ReceptiveField:
        """Return the field of a windowed layer on top of this one.

        It is padded by `before` positions at the start.
        """
        first = self.first - self.jump * before
        return ReceptiveField(self.jump * stride, first, self.last + self.jump * (dilation * (width - 1) - before))

    def joined(self, other: ReceptiveField) -> ReceptiveField | None:
        """Return the union of two fields; None if their jumps differ."""
        if self.jump != other.jump:
            return None
        return ReceptiveField(self.jump, min(self.first, other.first), max(self.last, other.last))

    def within(self, place: int, length: int) -> tuple[int, int]:
        """Return the first segment of a position's field and its size, cut to `length` segments."""
        first = max(0, self.first + place * self.jump)
        return first, min(length, self.last + place * self.jump + 1) - first


Fields = Mapping[str, ReceptiveField]
"""Receptive fields by the name of the input."""


def receptive_fields(config: Mapping[str, Any]) -> dict[str, Fields]:
    """Return the receptive fields of each convolution, by its name, in the model's order.

    Convolutions after a layer that mixes all positions (attention, recurrence) are left out. `config` is
    ``model.get_config()`` of a functional model. Source: A. Araujo, W. Norris, J. Sim, "Computing receptive fields of
    convolutional neural networks", Distill, 2019.
    """
    layers = {layer["name"]: layer for layer in config["layers"]}

    @cache
    def fields(name: str) -> Fields | None:
        layer = layers[name]
        kind, options, inputs = layer["class_name"], layer["config"], _inputs(layer)
        if kind == "InputLayer":
            return {name: ReceptiveField(1, 0, 0)}
        if not inputs:
            return None
        if kind in WINDOWED:
            source, shape = inputs[0]
            below, window = fields(source), _window(options, kind, shape)
            return None if below is None else {stream: field.slid(*window) for stream, field in below.items()}
        if kind == "Reshape":
            pointwise = options["target_shape"][0] == inputs[0][1][1]
        else:
            pointwise = kind in POINTWISE and _number(options.get("axis", -1)) in (-1, 2)
        return _union([fields(source) for source, _ in inputs]) if pointwise else None

    by_convolution = {name: fields(name) for name, layer in layers.items() if layer["class_name"] == CONVOLUTION}
    return {name: known for name, known in by_convolution.items() if known is not None}


def _inputs(layer: Mapping[str, Any]) -> list[tuple[str, Sequence[int]]]:
    """Return the names and shapes of the inputs of a layer that is called once."""
    nodes = layer["inbound_nodes"]
    return _tensors(nodes[0]["args"]) if len(nodes) == 1 else []


def _tensors(value: Any) -> list[tuple[str, Sequence[int]]]:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return [(value["config"]["keras_history"][0], value["config"]["shape"])]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _window(options: Mapping[str, Any], kind: str, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Return width, stride, dilation and the positions of padding at the start."""
    width, stride, dilation = (_number(options.get(name, 1)) for name in (WINDOWED[kind], "strides", "dilation_rate"))
    reach = dilation * (width - 1) + 1
    if options["padding"] == "same":
        # TensorFlow puts the smaller half of the padding at the start.
        return width, stride, dilation, max(0, (-(-shape[1] // stride) - 1) * stride + reach - shape[1]) // 2
    return width, stride, dilation, reach - 1 if options["padding"] == "causal" else 0


def _number(value: Any) -> int:
    return int(value[0] if isinstance(value, (list, tuple)) else value)


def _union(parts: Sequence[Fields | None]) -> Fields | None:
    union: dict[str, ReceptiveField] = {}
    for part in parts:
        if part is None:
            return None
        for stream, field in part.items():
            joined = union[stream].joined(field) if stream in union else field
            if joined is None:
                return None
            union[stream] = joined
    return union
