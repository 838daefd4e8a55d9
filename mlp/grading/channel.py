"""Messages between the grader and a child: JSON with the arrays behind it, so that nothing is ever unpickled.

Runs on both sides, so it imports NumPy and the standard library alone.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from typing import Any

import numpy as np

MAX_BYTES = 64 * 2**20  # of one message


class Closed(Exception):
    """The other side is gone."""


class Late(Exception):
    """No answer within the time."""


class Garbled(Exception):
    """What came is no message."""


def send(sock: socket.socket, message: Any) -> None:
    """Write one message."""
    arrays: list[np.ndarray[Any, Any]] = []
    header = json.dumps(_without_arrays(message, arrays)).encode()
    body = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
    if len(header) + len(body) > MAX_BYTES:
        raise ValueError("the result is larger than 64 MB")
    sock.sendall(struct.pack("<QQ", len(header), len(body)) + header + body)


def receive(sock: socket.socket, deadline: float | None = None) -> Any:
    """Read one message. Raises ``Closed``, ``Late`` after the deadline (of ``time.monotonic``), or ``Garbled``."""
    sizes = struct.unpack("<QQ", _read(sock, 16, deadline))
    if sum(sizes) > MAX_BYTES:
        raise Garbled("a message of more than 64 MB")
    header, body = _read(sock, sizes[0], deadline), _read(sock, sizes[1], deadline)
    try:
        return _with_arrays(json.loads(header), memoryview(body), [0])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise Garbled(str(error)) from None


def _read(sock: socket.socket, count: int, deadline: float | None) -> bytes:
    parts = []
    while count:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late
            sock.settimeout(left)
        try:
            part = sock.recv(min(count, 2**20))
        except TimeoutError:
            raise Late from None
        except OSError:
            raise Closed from None
        if not part:
            raise Closed
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _without_arrays(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"$nd": [value.dtype.str, list(value.shape)]}
    if isinstance(value, dict):
        return {k: _without_arrays(v, arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(v, arrays) for v in value]
    return value


def _with_arrays(value: Any, body: memoryview, at: list[int]) -> Any:
    if isinstance(value, dict):
        if "$nd" in value:
            dtype, shape = np.dtype(value["$nd"][0]), tuple(value["$nd"][1])
            if dtype.kind not in "biufc" or any(not isinstance(n, int) or n < 0 for n in shape):
                raise ValueError("an array of something else than numbers")
            count = math.prod(shape)
            array = np.frombuffer(body, dtype, count, at[0]).reshape(shape).copy()
            at[0] += count * dtype.itemsize
            return array
        return {k: _with_arrays(v, body, at) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_arrays(v, body, at) for v in value]
    return value
