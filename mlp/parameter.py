"""Parameters as named views into two flat vectors: one of values, one of gradients.

Because all of a network's parameters lie side by side, an optimizer is a few operations on long vectors,
clipping is one norm, and a checkpoint is names over views.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import Any

import numpy as np

from mlp.arrays import ALIGNMENT, Array, aligned_empty
from mlp.checks import InputError


class Parameter:
    """An array to be learned, ``data``, and the derivative of the loss with respect to it, ``grad``.

    Both keep their place in memory for good: assign to their contents (``p.data[...] = w``), and a flat
    vector that they are views into sees the change.
    """

    def __init__(self, data: Array, name: str = "", frozen: bool = False) -> None:
        self.name = name
        self._data: Array = data
        self._grad: Array = np.zeros_like(data)
        self._cleared = True
        self._owner: weakref.ref[ParameterVector] | None = None
        self.frozen = frozen  # a frozen one gets no gradient, and optimizers leave it as it is

    def _take_values(self, values: Array) -> None:
        self._copy_into(self._data, values)

    data = property(attrgetter("_data"), _take_values, doc="The values; assigning copies, so views stay valid.")

    @property
    def grad(self) -> Array:
        """The gradient added up since the last ``zero_grad``; assigning copies, as for the values."""
        if self._cleared:
            self._grad[...] = 0
            self._cleared = False
        return self._grad

    @grad.setter
    def grad(self, values: Array) -> None:
        self._copy_into(self._grad, values)
        self._cleared = False

    def _copy_into(self, place: Array, values: Array) -> None:
        if values is place:  # after p.grad += ...
            return
        if np.shape(values) != place.shape:
            name, shape = self.name or "(unnamed)", np.shape(values)
            raise InputError(f"parameter {name} has shape {place.shape}, cannot take values of shape {shape}")
        place[...] = values

    shape = property(attrgetter("_data.shape"))
    size = property(attrgetter("_data.size"))
    dtype = property(attrgetter("_data.dtype"))

    def zero_grad(self) -> None:
        """Forget the gradient. Nothing is written yet: what is added next overwrites."""
        self._cleared = True

    # Ways to add to a gradient. What is added first after zero_grad is written in place: one pass over memory less.
    def add(self, gradient: Array) -> None:
        """grad += gradient."""
        self.accumulate(np.positive, gradient)

    def add_product(self, a: Array, b: Array) -> None:
        """grad += a @ b."""
        if self.frozen:
            return
        if self._cleared:
            np.matmul(a, b, out=self._grad)
            self._cleared = False
        else:
            self._grad += a @ b

    def add_sum(self, rows: Array) -> None:
        """grad += the sum of the rows, as 1ᵀ rows: a product is the fastest routine there is for it."""
        self.add_product(np.ones(len(rows), rows.dtype), rows)

    def accumulate(self, function: Callable[..., Array], *arguments: Array) -> None:
        """grad += function(*arguments), for a function that takes ``out=``."""
        if self.frozen:
            return
        if self._cleared:
            function(*arguments, out=self._grad)
            self._cleared = False
        else:
            self._grad += function(*arguments)

    @property
    def owner(self) -> ParameterVector | None:
        """The vector that it lies in."""
        return self._owner() if self._owner else None

    def look_at(
        self, data: Array | None = None, grad: Array | None = None, owner: ParameterVector | None = None
    ) -> None:
        """Continue with the values or the gradient that other memory of this shape holds: nothing is copied."""
        self._data = self._data if data is None else data
        self._grad = self._grad if grad is None else grad
        self._owner = self._owner if owner is None else weakref.ref(owner)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles have memory of their own, until the copy of their vector takes them in."""
        return {"name": self.name, "frozen": self.frozen, "_data": self._data.copy(), "_grad": self.grad.copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _cleared=False, _owner=None)

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.shape}, dtype={self.dtype})"


class ParameterVector:
    """The parameters of a network as one vector ``data`` and one vector ``grad``, both of length ``size``.

    Iterating yields the ``Parameter`` views in order; ``vector["0.weight"]`` finds one by name. A parameter
    given twice (shared by two layers) is stored and counted once.

    The two vectors are the middle rows of ``rows``, an array of shape (4, length). The outer rows belong to
    the optimizer: with the velocity beside gradient and weights, a momentum step is one product of a row of
    three coefficients and three rows of this array. ``length`` is ``size`` rounded up so that each row
    starts on an aligned address; the few entries beyond ``size`` stay 0.
    """

    def __init__(self, parameters: Iterable[Parameter], dtype: np.dtype[Any] | None = None) -> None:
        given = list(parameters) if isinstance(parameters, Iterable) else [parameters]
        if not all(isinstance(p, Parameter) for p in given):
            raise InputError(f"parameters must be those of a network (network.parameters), got {parameters!r}")
        self.parameters = tuple({id(p): p for p in given}.values())
        self.dtype = self._check(dtype)
        self.size = sum(p.size for p in self.parameters)
        step = ALIGNMENT // self.dtype.itemsize
        self.length = -(-self.size // step) * step
        self._take_in(np.zeros((4, self.length), self.dtype))
        for p, data, grad in self._places():
            data[...] = p.data
            grad[...] = p.grad
            p.look_at(data, grad, self)

    def _check(self, dtype: np.dtype[Any] | None) -> np.dtype[Any]:
        """The dtype of the vector: the one asked for, or that of all parameters."""
        if not self.parameters:
            raise InputError("no parameters: at least one layer with weights is needed")
        for p in self.parameters:
            if p.owner is not None:
                raise InputError(f"parameter {p.name!r} belongs to another network already")
        dtypes = {p.dtype for p in self.parameters} if dtype is None else {dtype}
        if len(dtypes) > 1:
            raise InputError(f"parameters differ in dtype: {', '.join(sorted(map(str, dtypes)))}; choose one")
        return dtypes.pop()

    def _take_in(self, rows: Array) -> None:
        self.rows = aligned_empty(rows.shape, rows.dtype)
        self.rows[...] = rows

    def _places(self) -> Iterator[tuple[Parameter, Array, Array]]:
        """Each parameter with its place among the values and among the gradients."""
        start = 0
        for p in self.parameters:
            part = slice(start, start + p.size)
            yield p, self.rows[2, part].reshape(p.shape), self.rows[1, part].reshape(p.shape)
            start += p.size

    @classmethod
    def of(cls, parameters: ParameterVector | Iterable[Parameter]) -> ParameterVector:
        """``parameters`` if it is a vector already, else a new vector that the parameters move into."""
        if not isinstance(parameters, ParameterVector):
            parameters = getattr(parameters, "parameters", parameters)  # of a network
        if isinstance(parameters, dict):  # of a layer
            parameters = parameters.values()
        return parameters if isinstance(parameters, ParameterVector) else cls(parameters)

    @property
    def data(self) -> Array:
        """All values, shape (size,): a view."""
        return self.rows[2, : self.size]

    @property
    def grad(self) -> Array:
        """All gradients, shape (size,): a view."""
        self.settle_gradients()
        return self.rows[1, : self.size]

    def settle_gradients(self) -> None:
        """Write the zeros of parameters that no backward pass has reached since ``zero_grad``."""
        for p in self.parameters:
            if p._cleared:
                p.grad  # noqa: B018 - reading a cleared gradient writes its zeros

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters:
            p._cleared = True

    def __getstate__(self) -> dict[str, Any]:
        self.settle_gradients()
        return vars(self).copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy takes in the copies of its parameters: they are views into the copied vectors."""
        vars(self).update(state)
        self._take_in(self.rows)
        for p, data, grad in self._places():
            p.look_at(data, grad, self)

    def __call__(self) -> ParameterVector:
        """Itself, so that ``network.parameters()`` works as well."""
        return self

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def matching(self, *patterns: str) -> list[Parameter]:
        """Those named "0.weight", "*.bias", or "0" (all of layer 0). Raises ``InputError`` where none is."""
        for pattern in patterns:
            if not any(fits(p.name, pattern) for p in self):
                raise InputError(f"no parameter is called {pattern!r}; there are: {self.names()}")
        return [p for p in self if any(fits(p.name, pattern) for pattern in patterns)]

    def __getitem__(self, name: str) -> Parameter:
        for p in self.parameters:
            if p.name == name:
                return p
        raise KeyError(f"no parameter {name!r}; there are: {self.names()}")

    def names(self) -> str:
        """All names, in order."""
        return ", ".join(p.name for p in self)

    def __repr__(self) -> str:
        return f"ParameterVector({len(self)} parameters, {self.size:,} numbers, {self.dtype})"


def fits(name: str, pattern: str) -> bool:
    """Whether a name is the pattern's, or that of something inside what the pattern names."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
