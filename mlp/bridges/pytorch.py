"""Weights to and from PyTorch: named arrays in the layout of its ``state_dict``. PyTorch itself is not needed.

A network and the torch.nn.Sequential of the same layers have the same names, "0.weight" and so on. What differs:

    Linear      weight is (in_features, out_features) here, and the transpose there
    BatchNorm   counts its batches there, num_batches_tracked, and not here
    GeLU        is the tanh approximation here, and the exact form there: nn.GELU(approximate="tanh")
    RMSNorm     has eps = 1e-5 here, and that of the dtype there, 1.2e-7 in float32: nn.RMSNorm(n, eps=1e-5)

The last two are settings, not weights, so no state_dict tells of them.

    torch_model.load_state_dict({name: torch.from_numpy(a) for name, a in to_state_dict(network).items()})
    load_state_dict(network, torch_model.state_dict())
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError, check_state
from mlp.layers import BatchNorm, Linear
from mlp.network import Network
from mlp.parameter import Parameter

COUNTER = "num_batches_tracked"


def to_state_dict(network: Network) -> dict[str, Array]:
    """Every parameter and running statistic as PyTorch names it and lays it out, in PyTorch's order: copies.

        Linear                "weight" (out_features, in_features), "bias" (out_features,)
        LayerNorm, RMSNorm    "weight" (features,), LayerNorm also "bias" (features,)
        BatchNorm             the same, "running_mean", "running_var" (features,), "num_batches_tracked" (),
                              which is 0: nobody counts them here
        Embedding             "weight" (num_embeddings, embedding_dim)

    Before the name stands the path of the layer: "0.weight", in a Residual "2.body.0.weight", in an Mlp
    "1.fc1.weight"; the twin of such a layer is a module whose children have these names. Parameters of a layer that
    PyTorch does not have are as they are here. One that stands in two places is there twice, as in PyTorch.
    """
    return {name: np.array(place, order="C") for name, place in _places(network).items()}


def load_state_dict(network: Network, state: Mapping[str, ArrayLike]) -> None:
    """Take every parameter and running statistic from ``state``, laid out as ``to_state_dict`` says.

    The values are whatever ``np.asarray`` takes, tensors among them, and are converted to the network's dtype. Only
    "num_batches_tracked" may be missing.

    Raises ``InputError``, and changes nothing, for a name that is missing or unknown, another shape, anything that
    is no array of real numbers, and for two values of a parameter that stands in two places.
    """
    if not isinstance(state, Mapping):
        raise InputError(
            f"load_state_dict: state must map names to arrays, as module.state_dict(), got {type(state).__name__}"
        )
    places = _places(network)
    arrays = {name: place for name, place in places.items() if name.endswith(COUNTER)}
    arrays |= {name: _as_array(name, value) for name, value in state.items()}
    try:
        check_state(arrays, places)
    except InputError as error:
        raise InputError(
            f"load_state_dict: {error} (names and shapes are PyTorch's: of a Linear, weight (out, in))"
        ) from None
    _check_shared(places, arrays)
    for name, place in places.items():
        place[...] = arrays[name]


def _places(network: Network) -> dict[str, Array]:
    """Where everything lies, as views with PyTorch's names and shapes."""
    places: dict[str, Array] = {}
    for path, layer in network.body.descendants():
        for name, value in vars(layer).items():
            if isinstance(value, Parameter):
                is_transposed = isinstance(layer, Linear) and name == "weight"
                places[f"{path}.{name}"] = value.data.T if is_transposed else value.data
        for name in layer.statistic_names:
            places[f"{path}.{name}"] = getattr(layer, name)
        if isinstance(layer, BatchNorm):
            places[f"{path}.{COUNTER}"] = np.zeros((), np.int64)
    return places


def _as_array(name: str, value: ArrayLike) -> Array:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # which of them depends on the kind of tensor
        raise InputError(f"load_state_dict: {name} cannot become an array: {error}") from None


def _check_shared(places: Mapping[str, Array], arrays: Mapping[str, Array]) -> None:
    """Raise ``InputError`` if a parameter in two places is given two values."""
    first: dict[int, str] = {}
    for name, place in places.items():
        known = first.setdefault(place.ctypes.data, name)
        if known != name and not np.array_equal(arrays[known], arrays[name], equal_nan=True):
            raise InputError(f"load_state_dict: {known} and {name} are one parameter here, but differ in the state")
