"""The collectives that carry gradients: layers whose forward is one collective and whose backward is its adjoint.

Ranks hold an array in one of three ways, and its derivative dL/d(array) is held likewise:

    replicated   all ranks have the same array, which counts once; so have they its derivative
    partial      each rank has a term of a sum, or its own use of a common array
    sliced       each rank has some rows or columns

Whoever uses a replicated array on every rank (``CopyToRegion``) gets a term of its derivative on every rank, and
has to add them up; whoever adds up partial results (``ReduceFromRegion``) hands the same derivative to each term.
In general the derivative of a linear map is its transpose, and for each map here this is another one of the table:

    layer                    forward               backward              x            y
    CopyToRegion             identity              all-reduce            replicated   partial
    ReduceFromRegion         all-reduce            identity              partial      replicated
    ScatterToRegion          take a slice          all-gather            replicated   sliced
    GatherFromRegion         all-gather            take a slice          sliced       replicated
    GatherFromSequence       all-gather            reduce-scatter        sliced       partial
    ReduceScatterToSequence  reduce-scatter        all-gather            partial      sliced

The first two are f and g of Shoeybi et al., "Megatron-LM", arXiv:1909.08053 (2019). The last two are the sequence
parallelism of Korthikanti et al., "Reducing activation recomputation in large transformer models", MLSys 2023:
between the products each rank keeps only some of the tokens. An all-reduce moves as many bytes as a
reduce-scatter and an all-gather, so the last pair costs no more than the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.layers.base import Layer, check_upstream
from mlp.parallel.communicator import Communicator
from mlp.parallel.slicing import slice_sizes, slices


class Collective(Layer):
    """A layer without parameters that speaks to the other ranks through ``communicator``.

    All ranks call it, in the same order as other collectives. ``sizes`` are the lengths of the ranks' slices.
    Without them a whole is divided evenly (``slice_sizes``), and ranks tell each other the lengths of their slices.

    Raises ``InputError`` for sizes that do not fit, and ``CommunicatorError`` as the communicator does.
    """

    def __init__(self, communicator: Communicator, sizes: Sequence[int] | None = None) -> None:
        super().__init__()
        self.communicator = communicator
        self.sizes = None if sizes is None else tuple(sizes)

    def _all_gather(self, x: Array, axis: int, sizes: Sequence[int]) -> Array:
        whole = self.communicator.all_gather(np.moveaxis(x, axis, 0), sizes=sizes)
        return np.ascontiguousarray(np.moveaxis(whole, 0, axis))

    def _take_slice(self, x: Array, axis: int, sizes: Sequence[int]) -> Array:
        mine = np.moveaxis(x, axis, 0)[slices(sizes)[self.communicator.rank]]
        return np.moveaxis(mine, 0, axis).copy()

    def _divide(self, length: int) -> tuple[int, ...]:
        """The sizes of the slices of a whole."""
        sizes = slice_sizes(length, self.communicator.size) if self.sizes is None else self.sizes
        if sum(sizes) != length:
            raise InputError(f"{self.name}: sizes {sizes} are those of {sum(sizes)} in all, got {length}")
        return sizes

    def _agree(self, length: int) -> tuple[int, ...]:
        """The sizes of all ranks' slices, this one's being known."""
        return self.communicator.gather_lengths(length) if self.sizes is None else self.sizes

    def _with_length(self, shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
        axes = list(shape)
        axes[axis] = length
        return tuple(axes)

    def __repr__(self) -> str:
        options = [f"axis={self.axis}"] if hasattr(self, "axis") else []
        options += [f"sizes={self.sizes}"] if self.sizes is not None else []
        return f"{type(self).__name__}({', '.join(options)})"


class CopyToRegion(Collective):
    """Megatron's f: a replicated x enters a parallel region. y = x, and dx = Σ_r dy_r over the ranks r."""

    def __init__(self, communicator: Communicator) -> None:
        super().__init__(communicator)

    def forward(self, x: Array) -> Array:
        self.saved = x.shape
        return x.copy()

    def backward(self, grad_y: Array) -> Array:
        check_upstream(self, grad_y, self.recall())
        return self.communicator.all_reduce(grad_y)


class ReduceFromRegion(Collective):
    """Megatron's g: partial results leave a parallel region. y = Σ_r x_r over the ranks r, and dx_r = dy."""

    def __init__(self, communicator: Communicator) -> None:
        super().__init__(communicator)

    def forward(self, x: Array) -> Array:
        self.saved = x.shape
        return self.communicator.all_reduce(x)

    def backward(self, grad_y: Array) -> Array:
        check_upstream(self, grad_y, self.recall())
        return grad_y.copy()


class ScatterToRegion(Collective):
    """Each rank r keeps its slice of a replicated x along ``axis``: y = x[r], and dx = [dy_0, dy_1, ...]."""

    def __init__(self, communicator: Communicator, axis: int = -1, sizes: Sequence[int] | None = None) -> None:
        super().__init__(communicator, sizes)
        self.axis = axis

    def forward(self, x: Array) -> Array:
        sizes = self._divide(x.shape[self.axis])
        y = self._take_slice(x, self.axis, sizes)
        self.saved = y.shape, sizes
        return y

    def backward(self, grad_y: Array) -> Array:
        shape, sizes = self.recall()
        check_upstream(self, grad_y, shape)
        return self._all_gather(grad_y, self.axis, sizes)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._with_length(
            input_shape, self.axis, self._divide(input_shape[self.axis])[self.communicator.rank]
        )


class GatherFromRegion(Collective):
    """All ranks' slices side by side along ``axis``: y = [x_0, x_1, ...] on every rank, and dx_r = dy[r]."""

    def __init__(self, communicator: Communicator, axis: int = -1, sizes: Sequence[int] | None = None) -> None:
        super().__init__(communicator, sizes)
        self.axis = axis

    def forward(self, x: Array) -> Array:
        sizes = self._agree(x.shape[self.axis])
        y = self._all_gather(x, self.axis, sizes)
        self.saved = y.shape, sizes
        return y

    def backward(self, grad_y: Array) -> Array:
        shape, sizes = self.recall()
        check_upstream(self, grad_y, shape)
        return self._take_slice(grad_y, self.axis, sizes)


class GatherFromSequence(Collective):
    """All ranks' tokens (rows) for products that each rank makes its own part of: y = [x_0; x_1; ...] on every
    rank; its uses there are different ones, and so dx_r = Σ_s dy_s[r] over the ranks s.
    """

    def forward(self, x: Array) -> Array:
        sizes = self._agree(len(x))
        y = self._all_gather(x, 0, sizes)
        self.saved = y.shape, sizes
        return y

    def backward(self, grad_y: Array) -> Array:
        shape, sizes = self.recall()
        check_upstream(self, grad_y, shape)
        return self.communicator.reduce_scatter(grad_y, sizes=sizes)


class ReduceScatterToSequence(Collective):
    """Partial results are added up, and each rank keeps its tokens (rows): y_r = Σ_s x_s[r] over the ranks s, and
    dx = [dy_0; dy_1; ...] on every rank.
    """

    def forward(self, x: Array) -> Array:
        sizes = self._divide(len(x))
        y = self.communicator.reduce_scatter(x, sizes=sizes)
        self.saved = y.shape, sizes
        return y

    def backward(self, grad_y: Array) -> Array:
        shape, sizes = self.recall()
        check_upstream(self, grad_y, shape)
        return self._all_gather(grad_y, 0, sizes)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._with_length(input_shape, 0, self._divide(input_shape[0])[self.communicator.rank])
