"""Write data as scripts.

A page opened from disk must not fetch files, but may run scripts beside it. A data file is one call,
``msd.receive(NAME, CONTENT)``. CONTENT is ASCII JSON without ``<``, ``>`` and ``&``; no text can end the script
element. Arrays of numbers are packed as little-endian bytes in base64.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""These characters occur in JSON only within strings, where the escape is equivalent."""

PACKED_TYPES = {"uint8": "u1", "int16": "i2", "uint16": "u2", "uint32": "u4", "float32": "f4"}
"""Element types that the report's scripts read."""

LEVELS = 254
"""Steps of a byte between minimum and maximum; ``base.js`` has the same number."""


def as_json(content: Any) -> str:
    r"""Return JSON that is safe in a script, in HTML and in a script element.

    Examples
    --------
    >>> as_json({"title": "</script>"})
    '{"title":"\\u003c/script\\u003e"}'
    """
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(ESCAPES)


def as_script(name: str, content: Any) -> bytes:
    """Return a data file."""
    return f"msd.receive({as_json(name)},{as_json(content)});\n".encode("ascii")


def packed(values: np.ndarray) -> dict[str, str]:
    """Return the element type and the bytes of an array, in row-major order.

    Examples
    --------
    >>> packed(np.array([1, 258], np.uint16))
    {'type': 'uint16', 'bytes': 'AQACAQ=='}
    """
    kind = values.dtype.name
    if kind not in PACKED_TYPES:
        raise TypeError(f"the report's scripts read {', '.join(PACKED_TYPES)}, not {kind}")
    content = np.ascontiguousarray(values, np.dtype(f"<{PACKED_TYPES[kind]}")).tobytes()
    return {"type": kind, "bytes": base64.b64encode(content).decode("ascii")}


def packed_rows(rows: np.ndarray) -> dict[str, dict[str, str]]:
    """Return a matrix with one byte per value, and the minimum and maximum of each row.

    A value is ``low + level / LEVELS * (high - low)`` with an error of at most half a step. NaN has the level 255; a
    row of NaN has the bounds 0.
    """
    finite = np.where(np.isfinite(rows), rows, np.nan).astype(np.float64)
    empty = np.isnan(finite).all(axis=1)
    known = np.where(empty[:, None], 0, finite)
    low, high = np.nanmin(known, axis=1).astype(np.float32), np.nanmax(known, axis=1).astype(np.float32)
    width = np.where(high > low, high.astype(np.float64) - low, 1)
    scaled = np.rint(np.clip((finite - low[:, None]) / width[:, None], 0, 1) * LEVELS)
    levels = np.where(np.isfinite(scaled), scaled, 255).astype(np.uint8)
    return {"levels": packed(levels), "low": packed(low), "high": packed(high)}
