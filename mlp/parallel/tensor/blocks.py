"""The blocks of ``mlp.layers`` over several ranks: each rank has some hidden units and all that belongs to them.

    def train(communicator):
        block = ParallelMlp(128, 4096, communicator=communicator)
        network = Network(Linear(784, 128), block, Linear(128, 10), rng=2022)
        ...

    run_threads(train, 2)

On every rank it is a network like the serial one, which computes the same from its share of the weights.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.initializers import zeros
from mlp.layers.base import Layer, check_features
from mlp.layers.blocks import Block, Mlp
from mlp.layers.gated_blocks import GatedMlp
from mlp.parallel.communicator import Communicator
from mlp.parallel.tensor.layers import ColumnParallelLinear, RowParallelLinear, make_entry
from mlp.parallel.tensor.shard import check_communicator, check_divisible, common_generator


class ParallelBlock(Block):
    """What the two blocks share: made serial, with whole weights, they are then cut."""

    serial: ClassVar[type[Block]]
    communicator: Communicator
    sequence_parallel: bool

    def _divide(self, communicator: Communicator, sequence_parallel: bool) -> None:
        check_divisible(f"{self.name}: hidden_features", self.hidden_features, communicator.size)
        check_elementwise(self.name, self.children()["activation"])
        self.communicator, self.sequence_parallel = communicator, sequence_parallel
        self._take_parts(self)

    def _take_parts(self, block: Any) -> None:
        """Put this rank's parts of the layers of a serial ``block`` in the place of the layers here."""
        raise NotImplementedError

    @classmethod
    def from_serial(cls, block: Block, communicator: Communicator, sequence_parallel: bool = False) -> Self:
        """This rank's part of ``block``, which all ranks have alike; no memory is shared with it."""
        if type(block) is not cls.serial:
            kinds = f"{cls.__name__}.from_serial: block must be of type {cls.serial.__name__}"
            raise InputError(f"{kinds}, got {block!r}")
        options = block_options(block) | {"communicator": communicator, "sequence_parallel": sequence_parallel}
        parallel = cls(**options)
        parallel._take_parts(block)
        return parallel

    def __repr__(self) -> str:
        sequence_parallel = ", sequence_parallel=True" if self.sequence_parallel else ""
        return f"{super().__repr__()[:-1]}, {self.communicator!r}{sequence_parallel})"


class ParallelMlp(ParallelBlock, Mlp):
    """y = Σ_r act(x W1_r + b1_r) W2_r + b2: an ``Mlp`` whose hidden units are divided among the ranks r.

    ``fc1`` is a ``ColumnParallelLinear`` and ``fc2`` a ``RowParallelLinear``. x and y are the same on all ranks;
    with ``sequence_parallel`` they are the tokens of each, (tokens of this rank, ..., features). Options are those
    of ``Mlp``, and so are the initial values, for any number of ranks: see ``ShardedLinear`` for ``rng``.

    Raises ``InputError`` as ``Mlp`` and the two layers do, if the ranks cannot divide the hidden units, and for an
    activation that is not elementwise or learns: from some of the hidden units it would make something else.
    """

    serial = Mlp
    fc1: ColumnParallelLinear
    fc2: RowParallelLinear

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        activation: str | Layer = "GeLU",
        *,
        communicator: Communicator,
        sequence_parallel: bool = False,
        rng: int | np.random.Generator | None = None,
        **options: Any,
    ) -> None:
        rng = common_generator(rng, check_communicator(type(self).__name__, communicator))
        super().__init__(in_features, hidden_features, out_features, activation, rng=rng, **options)
        self._divide(communicator, sequence_parallel)

    def _take_parts(self, block: Mlp) -> None:
        self.fc1 = ColumnParallelLinear.from_serial(block.fc1, self.communicator, self.sequence_parallel)
        self.fc2 = RowParallelLinear.from_serial(block.fc2, self.communicator, self.sequence_parallel)

    def to_serial(self) -> Mlp:
        """The whole block, gathered from all ranks: every one of them calls this."""
        block = Mlp(**block_options(self))
        block.fc1, block.fc2 = self.fc1.to_serial(), self.fc2.to_serial()
        return block


class ParallelGatedMlp(ParallelBlock, GatedMlp):
    """y = Σ_r (v_r · act(g_r)) W2_r + b2: a ``GatedMlp`` whose hidden units are divided among the ranks r.

    ``value`` and ``gate`` are ``ColumnParallelLinear`` layers, cut each by itself, so that a unit and its gate are
    on one rank. (One packed weight of both, cut into contiguous parts, would put values on some ranks and gates on
    others, and multiply what does not belong together.) x is gathered once for the two, and their gradients are
    summed once. Everything else is as in ``ParallelMlp``, and the options are those of ``GatedMlp``.
    """

    serial = GatedMlp
    value: ColumnParallelLinear
    gate: ColumnParallelLinear
    fc2: RowParallelLinear

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        activation: str | Layer = "Sigmoid",
        *,
        communicator: Communicator,
        sequence_parallel: bool = False,
        rng: int | np.random.Generator | None = None,
        **options: Any,
    ) -> None:
        rng = common_generator(rng, check_communicator(type(self).__name__, communicator))
        super().__init__(in_features, hidden_features, out_features, activation, rng=rng, **options)
        self._divide(communicator, sequence_parallel)
        self.entry = make_entry(communicator, sequence_parallel)

    def _take_parts(self, block: GatedMlp) -> None:
        self.value = ColumnParallelLinear.from_serial(block.value, self.communicator, self.sequence_parallel)
        self.gate = ColumnParallelLinear.from_serial(block.gate, self.communicator, self.sequence_parallel)
        self.fc2 = RowParallelLinear.from_serial(block.fc2, self.communicator, self.sequence_parallel)

    def to_serial(self) -> GatedMlp:
        """The whole block, gathered from all ranks: every one of them calls this."""
        block = GatedMlp(**block_options(self))
        block.value, block.gate, block.fc2 = (
            self.value.to_serial(),
            self.gate.to_serial(),
            self.fc2.to_serial(),
        )
        return block

    def forward(self, x: Array) -> Any:
        check_features(self, x, self.in_features, self.fc2.weight.dtype)
        X = self.entry.forward(x)
        v = self.value.multiply_add(X)
        a = self.activation.forward(self.gate.multiply_add(X))
        y = self.fc2.forward(v * a)
        self.own_saved = (v, a)
        self.value.saved = self.gate.saved = x
        return (y, x) if self.return_residual else y

    def backward(self, grad_y: Any) -> Array:
        grad_y, grad_residual = self.split_upstream(grad_y)
        dv, dg = self._backward_parameters(grad_y)
        dX = self.value.multiply_back(dv)
        dX += self.gate.multiply_back(dg)
        return self.add_residual(self.entry.backward(dX), grad_residual)

    def backward_parameters(self, grad_y: Any) -> None:
        grad_y, _ = self.split_upstream(grad_y)
        self._backward_parameters(grad_y)

    def _backward_parameters(self, grad_y: Array) -> tuple[Array, Array]:
        """dL/dv and dL/dg."""
        dv, dg = self._backward_product(grad_y)
        X = self.entry.forward(self.value.recall())  # once more
        self.value.accumulate(X, dv)
        self.gate.accumulate(X, dg)
        return dv, dg

    def packed_fc1(self, order: str = "value_first") -> tuple[Array, Array | None]:
        """The whole packed layer, as ``GatedMlp.packed_fc1`` gives it: all ranks call this."""
        return self.to_serial().packed_fc1(order)

    def load_packed_fc1(self, weight: Array, bias: Array | None = None, order: str = "value_first") -> None:
        """Take this rank's parts from a whole packed layer, as ``GatedMlp.load_packed_fc1`` takes it."""
        whole = GatedMlp(**block_options(self))
        whole.load_packed_fc1(weight, bias, order)
        self.value.load_serial(whole.value)
        self.gate.load_serial(whole.gate)


# The name that the block often goes by.
ParallelMLP = ParallelMlp


def block_options(block: Any) -> dict[str, Any]:
    """The arguments that make a serial block like this one, ``Mlp`` or ``GatedMlp``, with zeros for weights."""
    gated = isinstance(block, GatedMlp)
    dtype = block.fc2.weight.dtype
    options = {
        "in_features": block.in_features,
        "hidden_features": block.hidden_features,
        "out_features": block.out_features,
        "activation": block.activation.astype(dtype),
        "bias1": (block.value if gated else block.fc1).bias is not None,
        "bias2": block.fc2.bias is not None,
        "return_residual": block.return_residual,
        "weight_init": zeros,
        "rng": 0,
        "dtype": dtype,
    }
    return options | {"multiple_of": block.multiple_of} if gated else options


def check_elementwise(name: str, activation: Layer) -> None:
    """Raise ``InputError`` unless f([a, b]) = [f(a), f(b)] for the activation f, which must not learn either.

    Otherwise a rank, which sees some hidden units only, would compute something else than the serial block.
    """
    problem = "is not elementwise"
    if activation.parameters() or any(activation.snapshot()):
        problem = "has parameters or a state"
    else:
        twin, probe = activation.astype(np.float64), np.array([[-1.5, 0.5, 1.0, 2.5]])
        apart = np.concatenate([twin.forward(half) for half in np.split(probe, 2, axis=1)], axis=1)
        if np.allclose(twin.forward(probe), apart, rtol=1e-12):
            return
    raise InputError(f"{name}: activation {activation!r} {problem}, so hidden units cannot be divided among ranks")
