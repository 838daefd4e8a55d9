"""MNIST and its relatives are published as IDX files; this reads one, and refuses what is not one."""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mlp.checks import InputError

GZIP_MAGIC = b"\x1f\x8b"
UINT8 = 0x08
MAX_AXES = 8
MAX_BYTES = 2 * 1024**3


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read an IDX file of bytes, gzipped or plain (told by its first bytes, not by its name).

    The layout, all integers big-endian::

        0x00 0x00 | type: 0x08 = uint8 | number of axes d | d sizes of 4 bytes | the values, last axis fastest

    Returns a new array with the sizes of the header, e.g. (60000, 28, 28). No more is read than the header
    declares plus one byte, so a small file that unpacks to terabytes costs nothing.

    Raises InputError if the file is missing or unreadable, is not IDX, holds another type than uint8,
    declares an empty array or more than 2 GiB, is cut short, has bytes left over, or is a damaged gzip file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if file.read(2) != GZIP_MAGIC:
                file.seek(0)
                return _read(file, path)
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read(cast(BinaryIO, unpacked), path)
    # BadGzipFile is an OSError, so it has to be asked for first.
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); download or copy it again") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected an IDX file, plain or gzipped") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected an IDX file") from error


def _read(stream: BinaryIO, path: Path) -> NDArray[np.uint8]:
    shape = _read_header(stream, path)
    values: NDArray[np.uint8] = np.empty(shape, dtype=np.uint8)
    seen = _fill(stream, values.reshape(-1).data)
    if seen < values.size:
        raise InputError(
            f"{path}: truncated: the header declares {values.size} values of shape {shape}, found {seen}"
        )
    # Reading past the end also makes gzip compare its checksum.
    if stream.read(1):
        raise InputError(f"{path}: trailing bytes after the {values.size} values of shape {shape}")
    return values


def _read_header(stream: BinaryIO, path: Path) -> tuple[int, ...]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise InputError(
            f"{path}: not an IDX file: it begins with {magic.hex(' ') or 'nothing'}, "
            "expected 00 00 08 and the number of axes"
        )
    kind, axes = magic[2], magic[3]
    if kind != UINT8:
        raise InputError(f"{path}: unsupported IDX type 0x{kind:02x}, only 0x08 (uint8) is accepted")
    if not 1 <= axes <= MAX_AXES:
        raise InputError(f"{path}: not an IDX file: {axes} axes, expected 1 to {MAX_AXES}")
    sizes = stream.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise InputError(f"{path}: truncated: the header ends before its {axes} sizes")
    shape: tuple[int, ...] = struct.unpack(f">{axes}I", sizes)
    if 0 in shape:
        raise InputError(f"{path}: declares the empty shape {shape}; every size must be at least 1")
    if math.prod(shape) > MAX_BYTES:
        raise InputError(f"{path}: declares {math.prod(shape)} bytes of shape {shape}, at most 2 GiB is accepted")
    return shape


def _fill(stream: BinaryIO, target: memoryview) -> int:
    """Read until ``target`` is full or the stream ends; returns the number of bytes read."""
    chunk = 1 << 20  # small pieces: a file that lies about its size never has all of it in memory
    filled = 0
    while filled < len(target):
        # typeshed gives readinto to raw streams only; buffered files and GzipFile both have it.
        count = cast(Any, stream).readinto(target[filled : filled + chunk])
        if not count:
            break
        filled += count
    return filled
