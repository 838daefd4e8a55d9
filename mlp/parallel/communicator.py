"""What ranks say to each other: sums, gathers and messages over NumPy arrays, the same on threads and on MPI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.parallel.calls import CommunicatorError, Handle, check_tag, describe
from mlp.parallel.counts import Counts
from mlp.parallel.slicing import OPERATIONS, slice_sizes


class Communicator:
    """One rank's end of the line to the other ``size - 1``: this one is number ``rank``.

    All ranks call the same collectives in the same order with arrays of the same dtype; so does every rank in a
    group made by ``split``. dtypes are floats and integers, which are never converted. Without ``out`` a result
    is a new array; ``out`` is contiguous memory to write it into, possibly that of the argument itself:
    ``communicator.all_reduce(grad, out=grad)``. Nothing else is changed. Sums are taken in the order of the
    ranks, ((a₀ + a₁) + a₂) + ..., so threads, MPI and a loop over the arrays agree to the last bit.

    ``counts`` says how often this rank called what, and what it cost.

    Wrong arguments raise ``InputError``. Ranks whose calls do not match, or who wait for one that has failed or
    ended, or for longer than the time limit, raise ``CommunicatorError``.
    """

    def __init__(self, rank: int, size: int, name: str = "world") -> None:
        self.rank, self.size, self.name = rank, size, name
        self.counts = Counts(size)
        self._splits = 0

    def all_reduce(self, array: ArrayLike, op: str = "sum", out: Array | None = None) -> Array:
        """The sum (or ``op="max"``, the largest) over ranks, elementwise, on every rank: shape of ``array``."""
        return self.start_all_reduce(array, op, out).wait()

    def start_all_reduce(self, array: ArrayLike, op: str = "sum", out: Array | None = None) -> Handle:
        """Begin an ``all_reduce`` and go on: ``handle.wait()`` returns its result.

        Any number may be under way; all ranks begin them in the same order, and may wait for them in another.
        """
        array, operation = self._as_array("all_reduce", array), self._operation("all_reduce", op)
        out = self._as_out("all_reduce", out, array.shape, array.dtype)
        self.counts.add("all_reduce", array.nbytes)
        text = describe(f"all_reduce({op})", array.dtype, array.shape)
        return self._start_all_reduce(text, operation, array, out)

    def all_gather(self, array: ArrayLike, out: Array | None = None, sizes: Sequence[int] | None = None) -> Array:
        """The rows of all ranks one below the other, in the order of ranks, on every rank.

        Rank r gives an array of shape (n_r, ...); the result has shape (n_0 + n_1 + ..., ...). If the numbers of
        rows, ``sizes``, are known, say so: else ``gather_lengths`` asks for them first. ``array`` may be its own
        slice of ``out``.
        """
        array = self._as_array("all_gather", array, axes=1)
        sizes = self.gather_lengths(len(array)) if sizes is None else self._as_sizes("all_gather", sizes)
        if sizes[self.rank] != len(array):
            raise InputError(f"all_gather: sizes {sizes} give rank {self.rank} other than its {len(array)} rows")
        shape = (sum(sizes), *array.shape[1:])
        out = self._as_out("all_gather", out, shape, array.dtype)
        self.counts.add("all_gather", out.nbytes)
        text = describe("all_gather", array.dtype, shape, sizes)
        self._all_gather(text, array, out, sizes)
        return out

    def reduce_scatter(
        self,
        array: ArrayLike,
        op: str = "sum",
        out: Array | None = None,
        sizes: Sequence[int] | None = None,
    ) -> Array:
        """This rank's rows of the sum over ranks: the part of ``all_reduce(array)`` that rank r would keep.

        ``array`` has the shape (n_0 + n_1 + ..., ...) on every rank, the result (n_r, ...). Without ``sizes``
        rows are divided evenly, by ``slice_sizes``. ``out`` may be that slice of ``array``.
        """
        array = self._as_array("reduce_scatter", array, axes=1)
        operation = self._operation("reduce_scatter", op)
        given = slice_sizes(len(array), self.size) if sizes is None else self._as_sizes("reduce_scatter", sizes)
        if sum(given) != len(array):
            raise InputError(f"reduce_scatter: sizes {given} are those of {sum(given)} rows, got {len(array)}")
        out = self._as_out("reduce_scatter", out, (given[self.rank], *array.shape[1:]), array.dtype)
        self.counts.add("reduce_scatter", array.nbytes)
        text = describe(f"reduce_scatter({op})", array.dtype, array.shape, given)
        self._reduce_scatter(text, operation, array, out, given)
        return out

    def broadcast(self, array: Array, root: int = 0) -> Array:
        """Overwrite ``array`` with that of rank ``root``, on every rank, and return it."""
        root = self._as_rank("broadcast: root", root)
        array = self._as_out("broadcast", array, np.shape(array), np.asarray(array).dtype)
        self._as_array("broadcast", array)
        self.counts.add("broadcast", array.nbytes)
        text = describe(f"broadcast from {root}", array.dtype, array.shape)
        self._broadcast(text, array, root)
        return array

    def gather_lengths(self, length: int) -> tuple[int, ...]:
        """One integer of every rank: what they tell each other when their numbers of rows may differ."""
        mine = np.array([check_integer("gather_lengths: length", length, 0)], np.int64)
        self.counts.add("gather_lengths", mine.nbytes * self.size)
        return tuple(self._gather_integers("gather_lengths", mine)[:, 0].tolist())

    def send(self, array: ArrayLike, to: int, tag: int = 0) -> None:
        """Send a copy of ``array`` to rank ``to``, without waiting for anybody to receive it."""
        array, to = self._as_array("send", array), self._as_rank("send: to", to)
        self.counts.add("send", array.nbytes)
        self._send(array, to, check_tag(tag))

    def receive(self, out: Array, source: int, tag: int = 0) -> Array:
        """Wait for the next array that rank ``source`` sends with this ``tag``, write it into ``out``, return it.

        Messages of one rank with one tag arrive in the order in which they were sent. Raises
        ``CommunicatorError`` if the array does not fit ``out``.
        """
        source = self._as_rank("receive: source", source)
        out = self._as_out("receive", out, np.shape(out), np.asarray(out).dtype)
        self._as_array("receive", out)
        self.counts.add("receive", out.nbytes)
        text = describe(f"receive from {source} with tag {check_tag(tag)}", out.dtype, out.shape)
        self._receive(text, out, source, tag)
        return out

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        self.counts.add("barrier", 0)
        self._barrier("barrier")

    def __deepcopy__(self, memo: dict[int, Any]) -> Communicator:
        return self  # a line to the other ranks: a copied network speaks over the same one

    def split(self, colour: int, key: int | None = None) -> Communicator:
        """A communicator among the ranks that gave the same ``colour``, with counts of its own.

        Ranks in it follow ``key``, by default their rank here. In a grid of R rows and C columns, rank r stands
        in row r // C and column r % C: ``split(r // C)`` is a communicator along the row, ``split(r % C)`` one
        along the column.
        """
        colour = check_integer("split: colour", colour, 0)
        key = self.rank if key is None else check_integer("split: key", key, 0)
        self.counts.add("split", 0)
        rows = self._gather_integers("split", np.array([colour, key], np.int64)).tolist()
        ranks = sorted((k, rank) for rank, (c, k) in enumerate(rows) if c == colour)
        self._splits += 1
        return self._group([rank for _, rank in ranks], f"{self.name}/{self._splits}.{colour}")

    def abort(self, message: str) -> NoReturn:
        """End the whole run, all ranks of it, with this message."""
        raise CommunicatorError(f"rank {self.rank} of {self.size}: {message}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rank {self.rank} of {self.size})"

    # What an engine provides: the arguments are checked and counted, arrays are contiguous, and ``text`` is what
    # all ranks have to say alike.

    def _start_all_reduce(self, text: str, operation: np.ufunc, array: Array, out: Array) -> Handle:
        raise NotImplementedError

    def _all_gather(self, text: str, array: Array, out: Array, sizes: Sequence[int]) -> None:
        raise NotImplementedError

    def _reduce_scatter(
        self, text: str, operation: np.ufunc, array: Array, out: Array, sizes: Sequence[int]
    ) -> None:
        raise NotImplementedError

    def _broadcast(self, text: str, array: Array, root: int) -> None:
        raise NotImplementedError

    def _send(self, array: Array, to: int, tag: int) -> None:
        raise NotImplementedError

    def _receive(self, text: str, out: Array, source: int, tag: int) -> None:
        raise NotImplementedError

    def _barrier(self, text: str) -> None:
        raise NotImplementedError

    def _group(self, ranks: list[int], name: str) -> Communicator:
        raise NotImplementedError

    def _gather_integers(self, text: str, row: Array) -> Array:
        rows = np.empty((self.size, row.size), row.dtype)
        self._all_gather(text, row[None], rows, [1] * self.size)
        return rows

    # Checks.

    def _as_array(self, call: str, array: ArrayLike, axes: int = 0) -> Array:
        array = np.asarray(array, order="C")
        if array.dtype.kind not in "fiu" or not array.dtype.isnative:
            raise InputError(f"{call}: an array of floats or integers is needed, got {array.dtype}")
        if array.ndim < axes:
            raise InputError(f"{call}: an array with rows is needed, got shape {array.shape}")
        return array

    def _as_out(self, call: str, out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        if out is None:
            return np.empty(shape, dtype)
        if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
            got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise InputError(f"{call}: the result is an array of {dtype} {shape}, got {got} to write it into")
        if not (out.flags.c_contiguous and out.flags.writeable):
            raise InputError(f"{call}: the result needs contiguous memory that may be written, got {out.flags}")
        return out

    def _as_sizes(self, call: str, sizes: Sequence[int]) -> tuple[int, ...]:
        if len(sizes) != self.size:
            raise InputError(f"{call}: sizes must be {self.size} numbers of rows, one a rank, got {sizes!r}")
        return tuple(check_integer(f"{call}: each of sizes", n, 0) for n in sizes)

    def _as_rank(self, argument: str, rank: int) -> int:
        if check_integer(argument, rank, 0) >= self.size:
            raise InputError(f"{argument} must be a rank from 0 to {self.size - 1}, got {rank}")
        return int(rank)

    def _operation(self, call: str, op: str) -> np.ufunc:
        if op not in OPERATIONS:
            raise InputError(f"{call}: op must be one of {', '.join(map(repr, OPERATIONS))}, got {op!r}")
        return OPERATIONS[op]
