"""One Linear over several ranks: each has a part of the weight, by its columns or by its rows.

For a layer whose weights do not fit one process, or that takes one processor too long. X are all tokens, (T, in);
W, (in, out), is cut into a part W_r for every rank r:

    ColumnParallelLinear    W = [W_0, W_1, ...]    Y_r = X W_r + b_r       rank r gets its columns of Y
    RowParallelLinear       W = [W_0; W_1; ...]    Y = Σ_r X_r W_r + b     rank r has its columns of X

What the first leaves on a rank is what the second takes there: nothing is said between the two, and an elementwise
activation fits in. ``communicator`` is what other libraries call the process group. Texts that write y = W x, with
W of shape (out, in), name the cuts after that matrix. Their *row split* (outputs divided, then put side by side)
is the ColumnParallelLinear here, their *column split* (inputs divided, partial outputs summed, the bias added
once) is the RowParallelLinear.

With ``sequence_parallel`` a rank has, before the first layer and after the second, its own tokens only: the rows of
X that ``slice_sizes`` gives it. What ranks then say to each other, all in all:

    layer                        forward                          backward
    Column                       nothing                          all-reduce dX
    Column, sequence parallel    all-gather X                     all-gather X again, reduce-scatter dX
    Row                          all-reduce Y                     nothing
    Row, sequence parallel       reduce-scatter Y                 all-gather dY

and, before X is gathered, how many tokens each has. An all-reduce moves as many bytes as a reduce-scatter and an
all-gather. What is gained is memory: outside of the products every rank holds its own tokens only, and gathering X
again is the price of that.

Shoeybi et al., "Megatron-LM: training multi-billion parameter language models using model parallelism", 2019,
arXiv:1909.08053; Korthikanti et al., "Reducing activation recomputation in large transformer models", MLSys 2023,
arXiv:2205.05198.
"""

from __future__ import annotations

from typing import Any, ClassVar

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.layers.base import check_features, check_upstream
from mlp.parallel.collectives import (
    Collective,
    CopyToRegion,
    GatherFromSequence,
    ReduceFromRegion,
    ReduceScatterToSequence,
)
from mlp.parallel.communicator import Communicator
from mlp.parallel.slicing import slice_sizes
from mlp.parallel.tensor.shard import ShardedLinear


class ColumnParallelLinear(ShardedLinear):
    """Y_r = X W_r + b_r, where W_r are this rank's columns of W, and b_r its entries of b:

        dW_r = Xᵀ dY_r,    db_r = 1ᵀ dY_r,    dX = Σ_r dY_r W_rᵀ

    X, (..., in_features), is the same on all ranks; with ``sequence_parallel`` it is gathered from the tokens of
    each, x of shape (tokens of this rank, ..., in_features). Y_r, (..., out_features / ranks), has all tokens.

    Raises ``InputError`` as ``Linear`` does, if the ranks cannot divide ``out_features``, and for tokens that are
    not divided as ``slice_sizes`` divides them, or fewer than ranks.
    """

    divided = "out_features"
    shard_axes: ClassVar[dict[str, int]] = {"weight": 1, "bias": 0}

    def __init__(self, in_features: int, out_features: int, communicator: Communicator, **options: Any) -> None:
        super().__init__(in_features, out_features, communicator, **options)
        self.entry = make_entry(communicator, self.sequence_parallel)

    def forward(self, x: Array) -> Array:
        check_features(self, x, self.in_features, self.weight.dtype)
        self.saved = x
        return self.multiply_add(self.entry.forward(x))

    def multiply_add(self, X: Array) -> Array:
        """X W_r + b_r."""
        Y = self.multiply(X)
        if self.bias is not None:
            Y += self.bias.data
        return Y

    def backward(self, grad_y: Array) -> Array:
        self.backward_parameters(grad_y)
        return self.entry.backward(self.multiply_back(grad_y))

    def backward_parameters(self, grad_y: Array) -> None:
        X = self.entry.forward(self.recall())  # once more
        check_upstream(self, grad_y, (*X.shape[:-1], self.weight.shape[1]))
        self.accumulate(X, grad_y)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*self.entry.output_shape(input_shape)[:-1], self.weight.shape[1])


class RowParallelLinear(ShardedLinear):
    """Y = Σ_r X_r W_r + b, where W_r are this rank's rows of W, and every rank has all of b:

        dW_r = X_rᵀ dY,    db = 1ᵀ dY,    dX_r = dY W_rᵀ

    X_r, (..., in_features / ranks), has all tokens. Y, (..., out_features), is the same on all ranks; with
    ``sequence_parallel`` a rank gets its own tokens of it, y of shape (tokens of this rank, ..., out_features).

    b is added after the sum: added before, on every rank, it would count once for each. With sequence parallelism
    a rank's own dy would give it its own tokens' part of db, to be all-reduced. Since all dY are gathered for dW,
    every rank sums all of them instead, which is the same number without a word more.

    Raises ``InputError`` as ``Linear`` does, if the ranks cannot divide ``in_features``, and for fewer tokens than
    ranks with ``sequence_parallel``.
    """

    divided = "in_features"
    shard_axes: ClassVar[dict[str, int]] = {"weight": 0}

    def __init__(self, in_features: int, out_features: int, communicator: Communicator, **options: Any) -> None:
        super().__init__(in_features, out_features, communicator, **options)
        exit_type = ReduceScatterToSequence if self.sequence_parallel else ReduceFromRegion
        self.exit: Collective = exit_type(communicator)

    def forward(self, x: Array) -> Array:
        check_features(self, x, self.weight.shape[0], self.weight.dtype)
        if self.sequence_parallel:
            check_tokens(self.name, len(x), self.communicator.size)
        y = self.exit.forward(self.multiply(x))  # Σ_r X_r W_r
        self.saved = x, self.exit.saved
        if self.bias is not None:
            y += self.bias.data
        return y

    def backward(self, grad_y: Array) -> Array:
        return self.multiply_back(self._backward_parameters(grad_y))

    def backward_parameters(self, grad_y: Array) -> None:
        self._backward_parameters(grad_y)

    def _backward_parameters(self, grad_y: Array) -> Array:
        """All tokens' dY."""
        x, self.exit.saved = self.recall()
        dY = self.exit.backward(grad_y)
        check_upstream(self, dY, (*x.shape[:-1], self.out_features))
        self.accumulate(x, dY)
        return dY

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*self.exit.output_shape(input_shape)[:-1], self.out_features)


class TokenGather(GatherFromSequence):
    """All ranks' tokens, which have to be divided as a ``RowParallelLinear`` will divide them again."""

    def forward(self, x: Array) -> Array:
        if x.ndim < 2:
            raise InputError(f"{self.name}: x of shape (tokens, ..., features) is needed, got shape {x.shape}")
        X = super().forward(x)
        ranks = self.communicator.size
        check_tokens(self.name, len(X), ranks)
        if self.saved[1] != slice_sizes(len(X), ranks):
            raise InputError(
                f"{self.name}: {len(X)} tokens are to be divided as slice_sizes does it, "
                f"{slice_sizes(len(X), ranks)}, got {self.saved[1]}"
            )
        return X


def make_entry(communicator: Communicator, sequence_parallel: bool) -> Collective:
    """The way into a region in which each rank makes its columns out of all tokens."""
    return TokenGather(communicator) if sequence_parallel else CopyToRegion(communicator)


def check_tokens(name: str, tokens: int, ranks: int) -> None:
    """Raise ``InputError`` unless there is a token for each rank."""
    if tokens < ranks:
        raise InputError(
            f"{name}: with sequence_parallel each rank needs a token of its own, "
            f"but there are {tokens} tokens for {ranks} ranks"
        )
