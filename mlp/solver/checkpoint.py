"""Saving and loading without pickle: arrays in an .npz file, everything else as JSON inside it."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.files import write_atomically
from mlp.network import Network

METADATA = "metadata.json"
# A header may claim any size; nothing beyond this is read. 8 GiB is a network of 2 billion float32 numbers.
MAX_BYTES = 8 * 2**30
MAX_METADATA_BYTES = 2**28


def save_arrays(path: str | Path, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write named arrays and JSON-able metadata to ``path``, all of it or nothing.

    Raises ``InputError`` if the file cannot be written, and ``TypeError`` or ``ValueError`` if the metadata
    is not finite JSON.
    """
    text = json.dumps(metadata, allow_nan=False)

    def write(file: Any) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(METADATA, text)
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)

    write_atomically(Path(path), write)


def load_arrays(path: str | Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and metadata that ``save_arrays`` wrote.

    Raises ``InputError``, naming the file, if it is missing, cut short, changed (each part has a checksum),
    too large, or holds anything but plain numbers.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if METADATA not in sizes:
                raise InputError(f"{path} is not a checkpoint: it holds no {METADATA}")
            if sum(sizes.values()) > MAX_BYTES or sizes[METADATA] > MAX_METADATA_BYTES:
                raise InputError(
                    f"{path} claims {sum(sizes.values()):,} bytes, more than the {MAX_BYTES:,} allowed"
                )
            metadata = json.loads(archive.read(METADATA))
            arrays = {
                name.removesuffix(".npy"): _read_array(archive, name, size, path)
                for name, size in sizes.items()
                if name != METADATA
            }
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint {path}") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the checkpoint {path} is damaged: {error}") from error
    if not isinstance(metadata, dict):
        raise InputError(f"{path} is not a checkpoint: its {METADATA} is not an object")
    return arrays, metadata


def _read_array(archive: zipfile.ZipFile, name: str, size: int, path: Path) -> Array:
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise InputError(f"{path}: {name} has array format {version}, 1.0 is accepted")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    if dtype.kind not in "fiub":
        raise InputError(f"{path}: {name} holds {dtype}; numbers are accepted")
    # The header must not promise more than the archive holds: memory is reserved by it.
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > size:
        raise InputError(f"{path}: {name} claims shape {shape}, more than its {size:,} bytes")
    with archive.open(name) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        member.read()  # to the end, where the checksum is compared
    return array


def save(network: Network, path: str | Path) -> None:
    """Write a network's parameters to ``path`` (.npz). Raises ``InputError`` if that cannot be done."""
    save_arrays(path, network.state_dict(), {"format": "mlp network 1", "architecture": repr(network)})


def load(network: Network, path: str | Path) -> Network:
    """Take a network's parameters from ``path`` and return the network.

    The file is one that ``save`` wrote, or the ``checkpoint.npz`` of a run.

    Raises ``InputError``, and changes nothing, if the file is damaged or of another architecture.
    """
    arrays, _ = load_arrays(path)
    prefix = "network/"  # in the checkpoint of a run there is more than the network
    arrays = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)} or arrays
    try:
        network.load_state_dict(arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return network
