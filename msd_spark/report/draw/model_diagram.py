"""Draw a Keras model as a diagram of its layers, in rows by depth.

Masks, reshaping, dropout and normalisation are left out, so that the diagram shows layers that learn or merge.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

FOLDED = {"Reshape", "Multiply", "Dropout", "Normalization", "Masking", "Flatten", "Activation", "ExpandDims"}
"""Layers that are left out."""

WIDTH, HEIGHT, GAP_X, GAP_Y = 168, 46, 18, 34
"""Size of a box, and space between boxes, in pixels."""

SVG = """<svg class="diagram" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ size[0] }} {{ size[1] }}"
 width="{{ size[0] }}" role="img" aria-label="Layers of the model">
{% for (from_x, from_y), (to_x, to_y) in wires %}
{% set x, y, end, middle = from_x + width / 2, from_y + height, to_x + width / 2, (from_y + height + to_y) / 2 %}
<path class="wire" d="M{{ x }} {{ y }}C{{ x }} {{ middle }} {{ end }} {{ middle }} {{ end }} {{ to_y }}"/>
{% endfor %}
{% for layer in layers %}
{% set x, y = places[layer.name] %}
<g class="{{ "layer" if layer.inputs else "input" }}">
<rect x="{{ x }}" y="{{ y }}" width="{{ width }}" height="{{ height }}" rx="5"/>
<text x="{{ x + width / 2 }}" y="{{ y + 19 }}">{{ layer.name | truncate(26, True, "…", 0) }}</text>
<text class="quiet" x="{{ x + width / 2 }}" y="{{ y + 36 }}">{{ layer.size or layer.kind }}</text>
</g>
{% endfor %}
</svg>"""


@dataclass(frozen=True)
class Layer:
    """A layer of the diagram."""

    name: str
    kind: str
    size: str  # for readers
    inputs: tuple[str, ...]  # names of layers of the diagram


def layers_of(model: bytes) -> list[Layer]:
    """Return the layers of a ``.keras`` file in order of creation; empty without a graph."""
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            configs = json.loads(archive.read("config.json"))["config"]["layers"]
    except (zipfile.BadZipFile, zlib.error, OSError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"not a Keras model: {error}") from None
    feeds: dict[str, tuple[str, ...]] = {}
    drawn = []
    for layer in configs:
        name, kind, config = layer["config"]["name"], layer["class_name"], layer["config"]
        sources = tuple(dict.fromkeys(_inputs(layer.get("inbound_nodes", []))))
        inputs = tuple(dict.fromkeys(feed for source in sources for feed in feeds.get(source, ())))
        if kind not in FOLDED and name != "has_lyrics" and "mask" not in name.split("_"):
            drawn.append(Layer(name, kind, _size(kind, config), inputs))
            feeds[name] = (name,)
        elif name.split("_")[0] == "mask" or kind == "InputLayer":
            feeds[name] = ()
        else:
            feeds[name] = inputs
    used = {source for layer in drawn for source in layer.inputs}
    return [layer for layer in drawn if layer.inputs or layer.name in used]


def _inputs(node: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs are arguments of a call."""
    if isinstance(node, Mapping):
        if node.get("class_name") == "__keras_tensor__":
            yield str(node["config"]["keras_history"][0])
        else:
            for value in node.values():
                yield from _inputs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _inputs(value)


def _size(kind: str, config: Mapping[str, Any]) -> str:
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
    """Return the row of each layer, below all of its inputs.

    An input is above its first consumer.
    """
    rows: dict[str, int] = {}
    for layer in layers:
        rows[layer.name] = max((rows[source] + 1 for source in layer.inputs if source in rows), default=0)
    consumers = {layer.name: [rows[other.name] for other in layers if layer.name in other.inputs] for layer in layers}
    for layer in layers:
        if not layer.inputs and consumers[layer.name]:
            rows[layer.name] = min(consumers[layer.name]) - 1
    return rows


def diagram(layers: list[Layer]) -> Markup:
    """Return the diagram as an SVG element, coloured by the style of the report."""
    rows = depths(layers)
    by_row = [[layer for layer in layers if rows[layer.name] == row] for row in sorted(set(rows.values()))]
    size = max(map(len, by_row)) * (WIDTH + GAP_X) + GAP_X, len(by_row) * (HEIGHT + GAP_Y) + GAP_Y
    places: dict[str, tuple[float, float]] = {}

    def middle(layer: Layer) -> float:
        """Return the mean position of a layer's inputs."""
        above = [places[source][0] for source in layer.inputs if source in places]
        return sum(above) / len(above) if above else float("inf")

    for number, row in enumerate(by_row):
        left = (size[0] - len(row) * (WIDTH + GAP_X) + GAP_X) / 2
        for place, layer in enumerate(sorted(row, key=middle)):
            places[layer.name] = (left + place * (WIDTH + GAP_X), GAP_Y / 2 + number * (HEIGHT + GAP_Y))
    wires = [(places[source], places[layer.name]) for layer in layers for source in layer.inputs]
    template = jinja2.Environment(autoescape=True).from_string(SVG)
    svg = template.render(layers=layers, places=places, wires=wires, size=size, width=WIDTH, height=HEIGHT)
    return Markup(svg)
