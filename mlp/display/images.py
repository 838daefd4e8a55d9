"""Small pictures inside the page, for notebooks: PNG written with the standard library."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.display.html import Html

GREY, COLOUR = 0, 2  # of PNG


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file: grey (rows, columns), 0 for black, or red, green and blue (rows, columns, 3).

    PNG (Portable Network Graphics) Specification, W3C, 2003: each row after a byte 0, "no filter", compressed.
    """
    rows, columns = pixels.shape[:2]
    kind = GREY if pixels.ndim == 2 else COLOUR
    scanlines = np.pad(pixels.reshape(rows, -1), [(0, 0), (1, 0)])
    header = struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(scanlines.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def as_bytes(values: Array) -> NDArray[np.uint8]:
    """Numbers as brightness: the smallest 0, the largest 255."""
    wide = values.astype(np.float64)
    low, high = wide.min(), wide.max()
    return np.rint((wide - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)


def picture(pixels: NDArray[np.uint8], height: int = 56) -> Html:
    """A picture, ``height`` pixels high on the page, with sharp pixels of its own."""
    data = base64.b64encode(png(pixels)).decode("ascii")
    style = f"height: {height}px; image-rendering: pixelated; margin: 0; border: 1px solid rgba(128, 128, 128, 0.5)"
    return Html(f'<img alt="" style="{style}" src="data:image/png;base64,{data}">')
