"""Saving and loading without pickle: arrays in an .npz file, everything else as JSON inside it."""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.data.class_names import read_classes, written_classes
from mlp.files import write_atomically
from mlp.layers.assembly import check_parameters
from mlp.layers.written import read_layers
from mlp.network import Network
from mlp.optim.averaging import STATISTICS
from mlp.solver.pieces import pieces

METADATA = "metadata.json"
ARRAYS = "arrays"  # the key of the list of all arrays in the metadata
# No more is read than the file has bytes, as nothing in it is compressed. The metadata become Python objects, which
# are larger than their text: 32 MB are the history of 50,000 epochs, and half a million lists and mappings.
MAX_METADATA_BYTES, MAX_CONTAINERS = 2**25, 500_000
# What NumPy writes before the values of an array of plain numbers. Anything else, its own reader never sees.
HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<dtype>[<>|](?:f[248]|[iu][1248]|b1))', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>|\d{1,18},|\d{1,18}(?:, \d{1,18}){1,31})\), \} *\n",
    re.DOTALL,
)
# What ``zipfile`` and ``json`` end in when a file is damaged, or was made to look like a checkpoint.
DAMAGE = (OSError, EOFError, ValueError, LookupError, OverflowError, RuntimeError, struct.error, zipfile.BadZipFile)


def save_arrays(path: str | Path, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write named arrays and JSON-able metadata to ``path``, all of it or nothing.

    The metadata list every array with its type, shape and checksum. Raises ``InputError`` if the file cannot be
    written, and ``TypeError`` or ``ValueError`` if the metadata is not finite JSON.
    """
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(
        {**metadata, ARRAYS: {name: _describe(array) for name, array in plain.items()}}, allow_nan=False
    )

    def write(file: Any) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(METADATA, text)
            for name, array in plain.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)

    write_atomically(Path(path), write)


def load_arrays(path: str | Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and metadata that ``save_arrays`` wrote.

    Raises ``InputError``, naming the file, if it is missing, cut short, changed in any part (every array is listed
    with a checksum), or holds anything but plain numbers. A file costs no more memory than a few times its size.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = _members(archive, file.seek(0, 2), path)
            metadata = _read_metadata(archive, path)
            arrays = {name.removesuffix(".npy"): _read_array(archive, info, path) for name, info in members.items()}
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint {path}") from None
    except DAMAGE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the checkpoint {path} is damaged: {' '.join(str(error).split())}") from error
    # Files that were written before the list was introduced have none.
    listed = metadata.pop(ARRAYS, None)
    if listed is not None and listed != {name: _describe(array) for name, array in arrays.items()}:
        raise InputError(f"the checkpoint {path} is damaged: its arrays are not those that its {METADATA} lists")
    return arrays, metadata


def _describe(array: Array) -> list[Any]:
    """[type, shape, checksum] as the metadata list them."""
    return [array.dtype.str, list(array.shape), zlib.crc32(array.reshape(-1).view(np.uint8).data)]


def _members(archive: zipfile.ZipFile, size: int, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The members that hold arrays. Raises ``InputError`` for any that could cost more than the file's ``size``."""
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if METADATA not in members:
        raise InputError(f"{path} is not a checkpoint: it holds no {METADATA}")
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise InputError(f"{path} is not a checkpoint: it is compressed, which checkpoints are not")
    claimed = sum(max(info.file_size, info.compress_size) for info in infos)
    if claimed > size or members[METADATA].file_size > MAX_METADATA_BYTES:
        raise InputError(
            f"{path} is damaged: its parts claim {claimed:,} bytes of its {size:,}, "
            f"{members[METADATA].file_size:,} of them metadata, where {MAX_METADATA_BYTES:,} are accepted"
        )
    if len(members) < len(infos):
        raise InputError(f"the checkpoint {path} is damaged: it holds two parts of one name")
    del members[METADATA]
    return members


def _read_metadata(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    text = archive.read(METADATA)
    if text.count(b"[") + text.count(b"{") > MAX_CONTAINERS:
        raise InputError(f"{path} is damaged: its {METADATA} hold more than {MAX_CONTAINERS:,} lists and mappings")
    metadata = json.loads(text, parse_constant=_refuse)
    if not isinstance(metadata, dict):
        raise InputError(f"{path} is not a checkpoint: its {METADATA} is not an object")
    return metadata


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Array:
    content = bytearray(archive.read(info))
    header = HEADER.match(content)
    if header is None or header.end() != 10 + int.from_bytes(content[8:10], "little"):
        raise InputError(f"{path}: {info.filename} is damaged, or no array; arrays of plain numbers are accepted")
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple(int(n) for n in re.findall(rb"\d+", header["shape"]))
    if math.prod(shape) * dtype.itemsize != len(content) - header.end() or max(shape, default=0) > 2**40:
        raise InputError(
            f"{path}: {info.filename} claims shape {shape}, which its {info.file_size:,} bytes are not"
        )
    values = np.frombuffer(content, dtype, offset=header.end())
    return values.reshape(shape[::-1]).T if header["fortran"] == b"True" else values.reshape(shape)


def save(network: Network, path: str | Path) -> None:
    """Write a network's parameters to ``path`` (.npz). Raises ``InputError`` if that cannot be done."""
    given, path = _in_order("save", network, path)
    if given is None:
        raise InputError(f"save: a network and a path are needed, got {network!r} and {path!r}")
    network = given
    check_parameters(network.body, network.parameters.parameters)
    about = {"architecture": repr(network), "task": network.task, **written_classes(network.classes)}
    about["input_rule"] = network.input_rule
    save_arrays(path, network.state_dict(), {"format": "mlp network 1", **about})


def below(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Those whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def load(network: Network | str | Path, path: str | Path | Network | None = None) -> Network:
    """Take a network's parameters, its task and the names of its classes from ``path`` and return the network.

    The file is one that ``save`` wrote, or the ``checkpoint.npz`` of a run; of a run that averages its weights the
    average is taken, which is what its final numbers are about. ``load(path)`` alone builds the network from what
    the file says of its layers, which must be layers of this library.

    Raises ``InputError``, and changes nothing, if the file is damaged or of another architecture.
    """
    taken, file = _in_order("load", network, path)
    arrays, metadata = load_arrays(file)
    about = metadata.get("solver", metadata)  # of a run, or of a network alone
    try:
        # In the checkpoint of a run there is more than the network.
        state = below("network/", arrays) or arrays
        taken = _build(about.get("architecture"), state) if taken is None else taken
        average = below("average/", arrays)
        if average and average["average"].size == taken.parameters.size:
            shapes = {p.name: p.shape for p in taken.parameters}
            state |= pieces(average["average"], shapes) | below(STATISTICS, average)
        taken.load_state_dict(state)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    taken.task = taken.task or about.get("task")
    taken.classes = read_classes(about) or taken.classes
    taken.input_rule = about.get("input_rule") or taken.input_rule
    return taken


def _in_order(call: str, *given: object) -> tuple[Network | None, str | Path]:
    """(network, path), whichever came first; the network may be missing."""
    match [thing for thing in given if thing is not None]:
        case [str() | Path() as path]:
            return None, path
        case [Network() as network, str() | Path() as path] | [str() | Path() as path, Network() as network]:
            return network, path
    raise InputError(f"{call}: a network and a path are needed, got {given[0]!r} and {given[1]!r}")


def _build(architecture: object, state: Mapping[str, Array]) -> Network:
    """A network of these layers, in the dtype of these parameters."""
    if not isinstance(architecture, str):
        raise InputError("it does not say of which layers its network is made: write load(network, path)")
    import mlp.efficiency  # a large room, for files that name its layers

    rooms = (mlp.layers, mlp.efficiency)
    known = {name: getattr(room, name) for room in rooms for name in room.__all__ if name[0].isupper()}
    kinds = {array.dtype for array in state.values() if array.dtype.kind == "f"}
    return Network(*read_layers(architecture, known), dtype=max(kinds, key=lambda kind: kind.itemsize))
