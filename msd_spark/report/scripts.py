"""Data as scripts: a page opened from disk may not fetch files, but it may run scripts that lie beside it.

A data file is one call, ``msd.receive(NAME, CONTENT)``. Its content is JSON in ASCII without ``<``, ``>`` and ``&``, so
that no text in it ends a script element, opens a comment or holds one of the line ends (U+2028, U+2029) that JSON
allows and JavaScript once did not. Arrays of numbers are packed: their bytes, little endian, in base64.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""Of JSON, these stand in strings alone, where an escape means the same."""

PACKED_TYPES = {"uint8": "u1", "int16": "i2", "uint16": "u2", "uint32": "u4", "float32": "f4"}
"""Element types that the page's scripts can read."""


def as_json(content: Any) -> str:
    r"""Return JSON that is safe in a script, in HTML and in a script element.

    Raises
    ------
    ValueError
        When a number is not finite.

    Examples
    --------
    >>> as_json({"title": "</script>"})
    '{"title":"\\u003c/script\\u003e"}'
    """
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(ESCAPES)


def as_script(name: str, content: Any) -> bytes:
    r"""Return a data file that hands its content to the page.

    Examples
    --------
    >>> as_script("songs", [1, 2])
    b'msd.receive("songs",[1,2]);\n'
    """
    return f"msd.receive({as_json(name)},{as_json(content)});\n".encode("ascii")


def packed(values: np.ndarray) -> dict[str, str]:
    """Return an array as its element type and its bytes.

    Parameters
    ----------
    values : numpy.ndarray
        Of a type of `PACKED_TYPES`; any shape, taken flat, row after row.

    Examples
    --------
    >>> packed(np.array([1, 258], np.uint16))
    {'type': 'uint16', 'bytes': 'AQACAQ=='}
    """
    kind = values.dtype.name
    if kind not in PACKED_TYPES:
        raise TypeError(f"the page reads {', '.join(PACKED_TYPES)}, not {kind}")
    content = np.ascontiguousarray(values, np.dtype(f"<{PACKED_TYPES[kind]}")).tobytes()
    return {"type": kind, "bytes": base64.b64encode(content).decode("ascii")}


def unpacked(content: dict[str, str]) -> np.ndarray:
    """Return the array that `packed` was given, flat."""
    return np.frombuffer(base64.b64decode(content["bytes"]), np.dtype(f"<{PACKED_TYPES[content['type']]}"))
