"""What every optimizer is: two flat vectors, a learning rate, one step at a time, and a state to continue from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Self

import numpy as np

from mlp.arrays import Array, aligned_empty
from mlp.checks import InputError, check_number
from mlp.parameter import Parameter, ParameterVector
from mlp.registry import Registry, also_called

# Long vectors are updated in blocks that stay in the cache from one operation to the next. Smaller blocks than
# this stay nearer to the processor, but what they save is less than what their many more calls cost.
BLOCK = 2**18
# Where in the vector, the factor of the learning rate there, and the weight decay if it is not everybody's.
Run = tuple[slice, float, float | None]

OPTIMIZERS: Registry[Optimizer] = Registry("optimizer")


def register_optimizer(name: str) -> Callable[[type[Optimizer]], type[Optimizer]]:
    """Class decorator that lets a configuration name this optimizer (upper and lower case are one)."""
    return OPTIMIZERS.register(name)


class Optimizer:
    """Changes weights w by their gradients g, one ``step`` at a time: w ← w - η · (a direction made of past g).

    ``lr`` is η; it may be changed between any two steps. What a method remembers for each weight lies in rows 0
    and 3 of the parameters' array, beside gradients and weights, so a second optimizer over the same parameters
    starts anew and takes the place of the first.

    A subclass writes ``step``, and ``state`` with the arrays that a step remembers for the next one. Its
    constructor arguments are kept as attributes of the same names, which is where ``repr`` finds them.

    Raises ``InputError`` for lr < 0 and for what is not a vector of parameters.
    """

    def __init_subclass__(cls) -> None:
        if "__init__" in vars(cls):
            cls.__init__ = also_called(learning_rate="lr")(cls.__init__)  # type: ignore[method-assign]

    def __init__(self, parameters: ParameterVector | Iterable[Parameter], lr: float) -> None:
        self.lr = lr
        self.parameters = ParameterVector.of(parameters)
        length = self.parameters.length
        self._groups: list[tuple[set[Parameter], float | None, float | None]] = []
        self._frozen: set[Parameter] = set()
        self._runs: list[Run] = [(slice(start, start + BLOCK), 1.0, None) for start in range(0, length, BLOCK)]

    def _set_lr(self, value: float) -> None:
        self._lr = check_number(f"{type(self).__name__}: lr", value, 0)

    lr = property(
        attrgetter("_lr"),
        _set_lr,
        doc="The learning rate η. Raises ``InputError`` when set to anything but a number >= 0.",
    )

    def group(self, *names: str, lr_factor: float | None = None, weight_decay: float | None = None) -> Self:
        """Treat some parameters in their own way: with η · ``lr_factor``, with their own λ. Returns the optimizer.

            optimizer.group("*.bias", weight_decay=0)      # no decay of biases
            optimizer.group("0", lr_factor=0.1)            # the first layer learns slowly

        ``names`` are patterns as in ``ParameterVector.matching``. Where several calls name a parameter, the last
        that says something counts. (What is not to learn at all: ``network.freeze``.)

        Raises ``InputError`` for a name that no parameter has, and numbers below 0.
        """
        chosen = set(self.parameters.matching(*names))
        factor = None if lr_factor is None else check_number("group: lr_factor", lr_factor, 0)
        decay = None if weight_decay is None else check_number("group: weight_decay", weight_decay, 0)
        if decay is not None and not hasattr(self, "weight_decay"):
            raise InputError(f"group: {type(self).__name__} has no weight_decay")
        self._groups.append((chosen, factor, decay))
        self._arrange()
        return self

    def zero_grad(self) -> None:
        """Forget all gradients, as ``network.zero_grad()`` does (``training_step`` begins with it)."""
        self.parameters.zero_grad()

    def _arrange(self) -> None:
        """Divide the vector into runs of parameters that are treated alike."""
        self._frozen = {p for p in self.parameters if p.frozen}
        runs: list[Run] = []
        start = 0
        for p in self.parameters:
            end = start + p.size
            if p not in self._frozen:
                own = self._own_settings(p)
                if runs and runs[-1][0].stop == start and runs[-1][1:] == own:
                    start = runs.pop()[0].start
                runs.append((slice(start, end), *own))
            start = end
        self._runs = [
            (slice(begin, min(begin + BLOCK, part.stop)), factor, decay)
            for part, factor, decay in runs
            for begin in range(part.start, part.stop, BLOCK)
        ]

    def _own_settings(self, p: Parameter) -> tuple[float, float | None]:
        """The factor of the learning rate and the weight decay of a parameter, by the last group that says so."""
        factors = [factor for chosen, factor, _ in self._groups if p in chosen and factor is not None]
        decays: list[float | None] = [None]
        decays += [decay for chosen, _, decay in self._groups if p in chosen and decay is not None]
        return (factors or [1.0])[-1], decays[-1]

    def _begin(self) -> list[Run]:
        """At the start of a step: gradients that nobody wrote become zeros. Returns the runs to go through."""
        self.parameters.settle_gradients()
        for p in self.parameters.parameters:
            if p.frozen != (p in self._frozen):
                self._arrange()
        return self._runs

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        raise NotImplementedError(f"{type(self).__name__} needs a step method")

    def state(self) -> dict[str, Array]:
        """The arrays that the next step depends on besides parameters and settings: not copies."""
        raise NotImplementedError(f"{type(self).__name__} needs a state method")

    def state_dict(self) -> dict[str, Array]:
        """Everything that the next step depends on besides the parameters and the settings: copies."""
        return {name: array.copy() for name, array in self.state().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue from a ``state_dict``. Raises ``InputError``, and changes nothing, unless it fits."""
        own = self.state()
        expected = {name: array.shape for name, array in own.items()}
        shapes = {name: np.shape(value) for name, value in state.items()}
        if shapes != expected or any(np.asarray(value).dtype.kind not in "fiu" for value in state.values()):
            raise InputError(f"{type(self).__name__}: a state with {expected} is needed, got {shapes}")
        for name, array in own.items():
            array[...] = state[name]

    def __repr__(self) -> str:
        arguments = inspect.signature(type(self)).parameters
        options = {name: getattr(self, name) for name in arguments if name != "parameters" and hasattr(self, name)}
        shown = [f"{n}={_text(v)}" for n, v in options.items() if n == "lr" or v != arguments[n].default]
        return f"{type(self).__name__}({', '.join(shown)})"

    # What subclasses have in common.

    def _scratch_rows(self, count: int) -> Array:
        """Memory for one block of intermediate results, used again in every step: (count, block)."""
        return aligned_empty((count, min(BLOCK, self.parameters.length)), self.parameters.dtype)

    def _zeros(self) -> Array:
        """One more row, for what a method remembers beyond rows 0 and 3: (length,)."""
        row = aligned_empty((self.parameters.length,), self.parameters.dtype)
        row[...] = 0
        return row

    def _check_eps(self, eps: float) -> float:
        # An eps that rounds to 0 would divide 0 by 0 wherever a gradient has always been 0.
        smallest = float(np.finfo(self.parameters.dtype).tiny)
        return check_number(f"{type(self).__name__}: eps", eps, smallest)


def decayed(g: Array, w: Array, weight_decay: float, out: Array) -> Array:
    """g + λ w, the gradient with coupled weight decay: in ``out``, or g itself for λ = 0."""
    if weight_decay == 0:
        return g
    np.multiply(w, weight_decay, out=out)
    return np.add(out, g, out=out)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def make_optimizer(name: str, parameters: ParameterVector | Iterable[Parameter], **options: Any) -> Optimizer:
    """A new optimizer of the kind registered under ``name``, as in ``make_optimizer("Adam", vector, lr=0.001)``.

    Raises ``InputError`` for an unknown name, an unknown option, and whatever the optimizer refuses.
    """
    return OPTIMIZERS.make(name, parameters, **options)
