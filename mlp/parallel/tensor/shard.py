"""The part of a Linear that one rank holds: how it is cut from the whole, and how the whole is put together."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_flag, check_integer, check_rng
from mlp.initializers import Initializer, as_initializer, he_normal, zeros
from mlp.layers.base import Layer
from mlp.layers.linear import Linear
from mlp.parallel.communicator import Communicator
from mlp.parameter import Parameter


class ShardedLinear(Linear):
    """What ``ColumnParallelLinear`` and ``RowParallelLinear`` share: a ``Linear`` cut into parts, one a rank.

    ``in_features`` and ``out_features`` are those of the whole layer, ``weight`` and ``bias`` this rank's parts.
    Every rank draws the whole weight and keeps its part, so that the initial values are the same for any number
    of ranks. That takes the same ``rng`` on all of them; with None, rank 0 finds a seed for all.
    """

    # The width that is divided among the ranks, and along which axis that divides each parameter. Of a parameter
    # that is not named here every rank holds all: it is replicated.
    divided: ClassVar[str]
    shard_axes: ClassVar[dict[str, int]]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        communicator: Communicator,
        *,
        sequence_parallel: bool = False,
        bias: bool = True,
        weight_init: str | Initializer | None = None,
        bias_init: str | Initializer = zeros,
        rng: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        Layer.__init__(self)  # that of Linear would make room for the whole weight
        dtype = check_dtype(dtype)
        self.in_features = check_integer(f"{self.name}: in_features", in_features, 1)
        self.out_features = check_integer(f"{self.name}: out_features", out_features, 1)
        self.communicator = check_communicator(self.name, communicator)
        self.sequence_parallel = check_flag(f"{self.name}: sequence_parallel", sequence_parallel)
        bias = check_flag(f"{self.name}: bias", bias)
        check_divisible(f"{self.name}: {self.divided}", getattr(self, self.divided), communicator.size)
        self.weight_init = None if weight_init is None else as_initializer(weight_init)
        self.bias_init = as_initializer(bias_init)
        weight, vector = (self.in_features, self.out_features), (self.out_features,)
        self.weight = Parameter(np.empty(self._part_shape("weight", weight), dtype), "weight")
        self.bias = Parameter(np.empty(self._part_shape("bias", vector), dtype), "bias") if bias else None
        self.reset_parameters(common_generator(rng, communicator))

    def _part_shape(self, name: str, whole: tuple[int, ...]) -> tuple[int, ...]:
        axis = self.shard_axes.get(name)
        return tuple(n // self.communicator.size if i == axis else n for i, n in enumerate(whole))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        draw = self.weight_init or he_normal()
        self._load("weight", self.weight, draw((self.in_features, self.out_features), rng))
        if self.bias is not None:
            self._load("bias", self.bias, self.bias_init((self.out_features,), rng))

    def _load(self, name: str, parameter: Parameter, whole: Array) -> None:
        parameter.data = take_part(whole, self.shard_axes.get(name), self.communicator)

    @classmethod
    def from_serial(cls, linear: Linear, communicator: Communicator, sequence_parallel: bool = False) -> Self:
        """This rank's part of ``linear``, which all ranks have alike; no memory is shared with it."""
        layer = cls(
            linear.in_features, linear.out_features, communicator, sequence_parallel=sequence_parallel,
            bias=linear.bias is not None, weight_init=zeros, rng=0, dtype=linear.weight.dtype,
        )  # fmt: skip
        layer.weight_init, layer.bias_init = linear.weight_init, linear.bias_init
        layer.load_serial(linear)
        return layer

    def load_serial(self, linear: Linear) -> None:
        """Take this rank's part of the values of ``linear``, a layer with as many parameters."""
        for name, p in self.parameters().items():
            self._load(name, p, linear.parameters()[name].data)
            p.frozen = linear.parameters()[name].frozen

    def to_serial(self) -> Linear:
        """The whole layer, gathered from all ranks: every one of them calls this."""
        linear = Linear(
            self.in_features, self.out_features, bias=self.bias is not None, weight_init=zeros, rng=0,
            dtype=self.weight.dtype,
        )  # fmt: skip
        linear.weight_init, linear.bias_init = self.weight_init, self.bias_init
        for name, p in self.parameters().items():
            linear.parameters()[name].data = gather_parts(p.data, self.shard_axes.get(name), self.communicator)
        return linear

    def multiply(self, x: Array) -> Array:
        """x W_r."""
        return x @ self.weight.data

    def multiply_back(self, dy: Array) -> Array:
        """dy W_rᵀ."""
        return dy @ self.weight.data.T

    def accumulate(self, x: Array, dy: Array) -> None:
        """dW_r += xᵀ dy, and for the bias += 1ᵀ dy."""
        x, dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        self.weight.add_product(x.T, dy)
        if self.bias is not None:
            self.bias.add_sum(dy)

    def __repr__(self) -> str:
        options = [f"{self.in_features}, {self.out_features}, {self.communicator!r}"]
        options += ["sequence_parallel=True"] if self.sequence_parallel else []
        options += ["bias=False"] if self.bias is None else []
        return f"{type(self).__name__}({', '.join(options)})"


def take_part(whole: Array, axis: int | None, communicator: Communicator) -> Array:
    """This rank's part of an array that is divided evenly along ``axis`` (None: all of it): a view."""
    return whole if axis is None else np.split(whole, communicator.size, axis)[communicator.rank]


def gather_parts(part: Array, axis: int | None, communicator: Communicator) -> Array:
    """The whole, from the parts of all ranks, which all call this: an array of the caller's own."""
    if axis is None:
        return part.copy()
    rows = np.moveaxis(part, axis, 0)
    whole = communicator.all_gather(rows, sizes=[len(rows)] * communicator.size)
    return np.ascontiguousarray(np.moveaxis(whole, 0, axis))


def check_communicator(name: str, communicator: object) -> Communicator:
    """``communicator``, or an ``InputError`` if it is none."""
    if not isinstance(communicator, Communicator):
        raise InputError(f"{name}: communicator must be a Communicator, got {communicator!r}")
    return communicator


def check_divisible(name: str, width: int, ranks: int) -> None:
    """Raise ``InputError`` unless the ranks can divide this width into equal parts."""
    if width % ranks:
        below = width - width % ranks
        nearest = f"{below} or {below + ranks}" if below else f"{ranks}"
        raise InputError(f"{name} {width} cannot be divided among {ranks} ranks; accepted: {nearest}, for example")


def common_generator(rng: int | np.random.Generator | None, communicator: Communicator) -> np.random.Generator:
    """A generator that gives the same numbers on all ranks, if ``rng`` is the same there or None."""
    if rng is None:
        seed = np.random.default_rng().integers(2**63, size=1)
        rng = int(communicator.broadcast(seed)[0])
    return check_rng(rng)
