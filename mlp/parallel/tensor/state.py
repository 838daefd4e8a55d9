"""A tensor-parallel network in use: checkpoints that are those of the serial network, sums over tokens, one norm.

On every rank it is a ``Network`` of that rank's parts, in flat vectors that any optimizer moves. Its parameters
have the names of the serial network's. They are divided along an axis, as ``ShardedLinear.shard_axes`` says, or
else replicated, the same on all ranks. With ``sequence_parallel``, a step of a rank that has the tokens ``mine``
of n is

    network.training_step(x[mine], y[mine], loss, scale=len(x[mine]) / n)    # the mean is one over all tokens
    sum_token_gradients(network)
    clip_by_global_norm(network, 1.0)
    optimizer.step()

A BatchNorm outside of the blocks would then normalise over a rank's own tokens, other than in the serial network:
use LayerNorm. Without ``sequence_parallel`` every rank has all of x and y, the scale is 1, and there is nothing to
sum, but all ranks must make the same of x: a Dropout outside of the blocks needs the same generator on all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number, check_state
from mlp.network import Network
from mlp.optim.base import Optimizer
from mlp.optim.clipping import norm
from mlp.parallel.communicator import Communicator
from mlp.parallel.serial import SerialCommunicator
from mlp.parallel.tensor.shard import ShardedLinear, gather_parts, take_part
from mlp.solver.pieces import pieces, placeholders


def parallel_layers(network: Network) -> list[ShardedLinear]:
    """The layers that are divided among ranks."""
    return [layer for layer in network.body.walk() if isinstance(layer, ShardedLinear)]


def communicator_of(network: Network) -> Communicator:
    """The communicator of its parallel layers. Raises ``InputError`` if they have different ones."""
    found = {id(layer.communicator): layer.communicator for layer in parallel_layers(network)}
    if len(found) > 1:
        raise InputError(f"the parallel layers of a network need one communicator, got {list(found.values())}")
    return next(iter(found.values()), SerialCommunicator())


def shard_axes(network: Network) -> dict[str, int]:
    """The axis of every parameter that is divided, by name. All others, and the statistics, are replicated."""
    return {
        p.name: layer.shard_axes[name]
        for layer in parallel_layers(network)
        for name, p in layer.parameters().items()
        if name in layer.shard_axes
    }


def gather_state(network: Network) -> dict[str, Array]:
    """The ``state_dict`` of the serial network, on every rank; all ranks call this.

    A serial network takes it with ``load_state_dict``, one on any other number of ranks with ``load_serial_state``.
    """
    axes, communicator = shard_axes(network), communicator_of(network)
    return {name: gather_parts(array, axes.get(name), communicator) for name, array in network.state_dict().items()}


def load_serial_state(network: Network, state: Mapping[str, Array]) -> None:
    """Take this rank's parts from a serial network's ``state_dict``.

    Raises ``InputError``, and changes nothing, unless it fits the whole network.
    """
    axes, communicator = shard_axes(network), communicator_of(network)
    expected: dict[str, Array] = {}
    for name, array in network.state_dict().items():
        shape = whole_shape(array.shape, axes.get(name), communicator.size)
        expected |= placeholders({name: shape}, array.dtype)
    check_state(state, expected)
    network.load_state_dict({n: take_part(np.asarray(a), axes.get(n), communicator) for n, a in state.items()})


def whole_shape(part: tuple[int, ...], axis: int | None, ranks: int) -> tuple[int, ...]:
    """The shape of an array of which each rank has such a part."""
    return tuple(n * ranks if i == axis else n for i, n in enumerate(part))


def whole_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Those of the serial network's parameters, by name."""
    axes, ranks = shard_axes(network), communicator_of(network).size
    return {p.name: whole_shape(p.shape, axes.get(p.name), ranks) for p in network.parameters}


def gather_vector(network: Network, vector: Array) -> Array:
    """One number for each parameter of the serial network, in its order, from one for each of this rank's."""
    axes, communicator = shard_axes(network), communicator_of(network)
    own = pieces(vector, {p.name: p.shape for p in network.parameters})
    return np.concatenate([gather_parts(a, axes.get(n), communicator).reshape(-1) for n, a in own.items()])


def take_vector(network: Network, whole: Array) -> Array:
    """The way back."""
    axes, communicator = shard_axes(network), communicator_of(network)
    parts = pieces(whole, whole_shapes(network))
    return np.concatenate([take_part(a, axes.get(n), communicator).reshape(-1) for n, a in parts.items()])


def gather_optimizer_state(network: Network, optimizer: Optimizer) -> dict[str, Array]:
    """The optimizer's ``state_dict`` as the serial network's would be, on every rank; all ranks call this.

    An array with one number for each parameter, such as a velocity, is put together from all ranks'.
    """
    return {
        name: gather_vector(network, array) if array.shape == (network.parameters.size,) else array
        for name, array in optimizer.state_dict().items()
    }


def load_optimizer_state(network: Network, optimizer: Optimizer, state: Mapping[str, Array]) -> None:
    """Take this rank's parts from the state of the serial network's optimizer.

    Raises ``InputError``, as the optimizer does, unless it fits.
    """
    size = sum(map(math.prod, whole_shapes(network).values()))
    optimizer.load_state_dict(
        {n: take_vector(network, a) if np.shape(a) == (size,) else a for n, a in state.items()}
    )


def sum_token_gradients(network: Network) -> None:
    """With ``sequence_parallel``, add up over the ranks the gradients that come from each rank's own tokens.

    They are those of the parameters outside of the parallel layers, such as a LayerNorm's: every rank has all of
    such a parameter, and has seen some tokens. The parallel layers have seen all. All ranks call this, once after
    the backward pass. Without ``sequence_parallel`` it does nothing.

    Raises ``InputError`` if some of the network's parallel layers have their own tokens, and others all.
    """
    layers = parallel_layers(network)
    modes = {layer.sequence_parallel for layer in layers}
    if len(modes) > 1:
        raise InputError("sequence_parallel has to be the same in all parallel layers of a network")
    if modes != {True}:
        return
    complete = {id(p) for layer in layers for p in layer.parameters().values()}
    partial = [p for p in network.parameters if id(p) not in complete]
    if partial:
        total = communicator_of(network).all_reduce(np.concatenate([p.grad.reshape(-1) for p in partial]))
        ends = np.cumsum([p.size for p in partial])
        for p, piece in zip(partial, np.split(total, ends[:-1]), strict=True):
            p.grad = piece.reshape(p.shape)


def global_norm(network: Network) -> float:
    """|g| for the gradient g of all parameters of the serial network: replicated ones count once.

    The same number on all ranks, which all call this, after ``sum_token_gradients``. NaN or inf if an entry is.
    """
    axes = shard_axes(network)
    divided = math.hypot(*(norm(p.grad) for p in network.parameters if p.name in axes))
    replicated = math.hypot(*(norm(p.grad) for p in network.parameters if p.name not in axes))
    of_ranks = communicator_of(network).all_gather(np.array([divided]))
    return math.hypot(replicated, *of_ranks.tolist())


def clip_by_global_norm(network: Network, limit: float) -> float:
    """g ← g · min(1, limit / |g|) as ``mlp.optim.clip_by_norm`` does it in the serial network; returns |g|.

    All ranks call this. Raises ``InputError`` for limit < 0.
    """
    limit = check_number("clip_by_global_norm: limit", limit, 0)
    before = global_norm(network)
    if limit < before < math.inf:
        g = network.parameters.grad
        g *= limit / before
    return before
