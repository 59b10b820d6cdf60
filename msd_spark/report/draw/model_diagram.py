"""A model as a diagram: its layers in rows by depth, from what Keras writes into the model's file.

What only prepares (masks, reshaping, multiplying by a mask, dropout, normalisation) is folded into the layer behind it,
so that the diagram shows what learns and what joins.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

FOLDED = {"Reshape", "Multiply", "Dropout", "Normalization", "Masking", "Flatten", "Activation", "ExpandDims"}
"""Layers that are not drawn."""

BOX, GAP_X, GAP_Y = (168, 46), 18, 34


@dataclass(frozen=True)
class Layer:
    """A layer that is drawn.

    Attributes
    ----------
    name, kind : str
    what : str
        Its size, in words.
    inputs : tuple of str
        Names of the drawn layers that it takes from.
    """

    name: str
    kind: str
    what: str
    inputs: tuple[str, ...]


def layers_of(model: bytes) -> list[Layer]:
    """Return the layers of a ``.keras`` file in the order in which they were made; empty where there is no graph.

    Raises
    ------
    ValueError
        When it is no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            described = json.loads(archive.read("config.json"))["config"]["layers"]
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"no Keras model: {error}") from None
    stands_for: dict[str, tuple[str, ...]] = {}
    drawn = []
    for layer in described:
        name, kind, config = layer["config"]["name"], layer["class_name"], layer["config"]
        sources = tuple(dict.fromkeys(_inputs(layer.get("inbound_nodes", []))))
        taken = tuple(dict.fromkeys(drawn_name for source in sources for drawn_name in stands_for.get(source, ())))
        if _is_drawn(kind, name):
            drawn.append(Layer(name, kind, _what(kind, config), taken))
            stands_for[name] = (name,)
        elif name.split("_")[0] == "mask" or kind == "InputLayer":
            stands_for[name] = ()
        else:
            stands_for[name] = taken
    used = {source for layer in drawn for source in layer.inputs}
    return [layer for layer in drawn if layer.inputs or layer.name in used]


def _is_drawn(kind: str, name: str) -> bool:
    return kind not in FOLDED and name not in ("mask", "has_lyrics") and "mask" not in name.split("_")


def _inputs(node: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs a call takes."""
    if isinstance(node, Mapping):
        if node.get("class_name") == "__keras_tensor__":
            yield str(node["config"]["keras_history"][0])
        else:
            for value in node.values():
                yield from _inputs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _inputs(value)


def _what(kind: str, config: Mapping[str, Any]) -> str:
    shape = config.get("batch_shape")
    if kind == "InputLayer" and shape:
        return " × ".join(str(size) for size in shape[1:])
    parts = []
    if "filters" in config:
        parts.append(f"{config['filters']} filters of {'×'.join(map(str, config['kernel_size']))}")
    if "units" in config:
        parts.append(f"{config['units']} units")
    if "pool_size" in config:
        parts.append(f"pool {'×'.join(map(str, config['pool_size']))}")
    activation = config.get("activation")
    if isinstance(activation, str) and activation != "linear":
        parts.append(activation)
    return ", ".join(parts)


def depths(layers: list[Layer]) -> dict[str, int]:
    """Return each layer's row: inputs stand right above what takes them, all others below all that they take."""
    rows: dict[str, int] = {}
    for layer in layers:
        rows[layer.name] = max((rows[source] + 1 for source in layer.inputs if source in rows), default=0)
    takers = {layer.name: [rows[other.name] for other in layers if layer.name in other.inputs] for layer in layers}
    for layer in layers:
        if not layer.inputs and takers[layer.name]:
            rows[layer.name] = min(takers[layer.name]) - 1
    return rows


def diagram(layers: list[Layer]) -> Markup:
    """Return the diagram as an SVG element; its colours are the page's."""
    rows = depths(layers)
    by_row: dict[int, list[Layer]] = {}
    for layer in layers:
        by_row.setdefault(rows[layer.name], []).append(layer)
    width, height = BOX
    widest = max(len(row) for row in by_row.values())
    full = (widest * (width + GAP_X) + GAP_X, len(by_row) * (height + GAP_Y) + GAP_Y)
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(sorted(by_row)):
        left = (full[0] - len(by_row[row]) * (width + GAP_X) + GAP_X) / 2
        for place, layer in enumerate(_ordered(by_row[row], places)):
            places[layer.name] = (left + place * (width + GAP_X), GAP_Y / 2 + number * (height + GAP_Y))
    parts = [
        Markup(
            '<svg class="diagram" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" '
            'role="img" aria-label="Layers of the model">'
        ).format(*full, full[0])
    ]
    for layer in layers:
        x, y = places[layer.name]
        for source in layer.inputs:
            from_x, from_y = places[source]
            start, stop = (from_x + width / 2, from_y + height), (x + width / 2, y)
            middle = (start[1] + stop[1]) / 2
            points = (start[0], middle), (stop[0], middle), stop
            path = f"M{start[0]:.1f} {start[1]:.1f}C" + " ".join(f"{across:.1f} {down:.1f}" for across, down in points)
            parts.append(Markup('<path class="wire" d="{}"/>').format(path))
    for layer in layers:
        x, y = places[layer.name]
        kind = "input" if not layer.inputs else "layer"
        parts.append(
            Markup(
                '<g class="{}"><rect x="{:.1f}" y="{:.1f}" width="{}" height="{}" rx="5"/>'
                '<text x="{:.1f}" y="{:.1f}">{}</text><text class="quiet" x="{:.1f}" y="{:.1f}">{}</text></g>'
            ).format(
                kind,
                x,
                y,
                width,
                height,
                x + width / 2,
                y + 19,
                escape(_short(layer.name)),
                x + width / 2,
                y + 36,
                escape(layer.what or layer.kind),
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _ordered(row: list[Layer], places: Mapping[str, tuple[float, float]]) -> list[Layer]:
    """Return a row's layers from left to right: each below the mean of what it takes."""

    def middle(layer: Layer) -> float:
        above = [places[source][0] for source in layer.inputs if source in places]
        return sum(above) / len(above) if above else float("inf")

    return sorted(row, key=middle)


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
