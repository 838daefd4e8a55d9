"""How rows are divided among ranks, and how the arrays of ranks are added up in an order that never changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mlp.arrays import Array
from mlp.checks import check_integer

OPERATIONS: dict[str, np.ufunc] = {"sum": np.add, "max": np.maximum}

# Long arrays are added in blocks that stay in the cache while one rank's after the other's is added.
BLOCK = 2**15


def slice_sizes(length: int, ranks: int) -> tuple[int, ...]:
    """``length`` rows divided as evenly as can be: the first ``length % ranks`` ranks have one row more.

    >>> slice_sizes(10, 4)
    (3, 3, 2, 2)
    """
    length = check_integer("slice_sizes: length", length, 0)
    ranks = check_integer("slice_sizes: ranks", ranks, 1)
    rows, more = divmod(length, ranks)
    return tuple(rows + (rank < more) for rank in range(ranks))


def slices(sizes: Sequence[int]) -> list[slice]:
    """Where each rank's rows lie when those of all ranks are put one after the other.

    >>> slices((3, 1, 2))
    [slice(0, 3, None), slice(3, 4, None), slice(4, 6, None)]
    """
    ends = [0, *np.cumsum(sizes, dtype=int).tolist()]
    return [slice(start, end) for start, end in pairwise(ends)]


def reduce_in_rank_order(operation: np.ufunc, pieces: Sequence[Array], outs: Sequence[Array]) -> None:
    """Every out = ((pieces[0] + pieces[1]) + pieces[2]) + ..., for flat arrays of one length and one dtype.

    Floating-point sums depend on their order: always the same one, and every engine and every run give the same
    bits. An out may be the memory of a piece, because a block is written when all pieces of it have been read.
    """
    first, last = pieces[0], pieces[-1]
    scratch = np.empty(min(BLOCK, first.size), first.dtype) if len(pieces) > 2 else first
    for start in range(0, first.size, BLOCK):
        block = slice(start, start + BLOCK)
        total, result = first[block], outs[0][block]
        for piece in pieces[1:-1]:
            total = operation(total, piece[block], out=scratch[: total.size])
        if len(pieces) > 1:
            operation(total, last[block], out=result)
        else:
            result[...] = total
        for out in outs[1:]:
            out[block] = result
