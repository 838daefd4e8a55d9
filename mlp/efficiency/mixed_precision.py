"""Mixed precision: what passes between layers has 16 bits, while the weights that learn keep all of theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_number, check_positive
from mlp.layers import Embedding, Layer, Sequential
from mlp.losses import Loss
from mlp.network import Network

# Numbers are rounded in blocks that stay in the cache on their way to float16 and back.
BLOCK = 2**15
# float16 has no number but 0 below 2⁻²⁴: a gradient that is too large for a scale below that is not finite at all.
SMALLEST_SCALE = 2.0**-24


class LossScaler:
    """The factor S that the loss is multiplied with, so that small gradients are not lost in float16.

    S starts at ``initial``. A step whose gradient overflows is skipped and makes it S · ``backoff``; after
    ``growth_interval`` steps in a row without overflow it is S · ``growth``. So S stays near the largest that fits.
    ``skipped_steps`` counts. Defaults are those of PyTorch's ``GradScaler``. Powers of 2 change no digit.

    Raises ``InputError`` for initial <= 0, growth_interval < 1, growth < 1, or backoff that is not between 0 and 1.
    """

    def __init__(
        self, initial: float = 2.0**16, growth_interval: int = 2000, growth: float = 2.0, backoff: float = 0.5
    ) -> None:
        self.scale = check_positive("LossScaler: initial", initial)
        self.growth_interval = check_integer("LossScaler: growth_interval", growth_interval, 1)
        self.growth = check_number("LossScaler: growth", growth, 1)
        self.backoff = check_positive("LossScaler: backoff", backoff)
        if self.backoff >= 1:
            raise InputError(f"LossScaler: backoff must be below 1, got {backoff!r}: nothing would change")
        self.good_steps = 0
        self.skipped_steps = 0

    def update(self, overflowed: bool) -> None:
        """Take note of a step. Raises ``FloatingPointError`` for a gradient that overflows at any scale."""
        if overflowed:
            if self.scale < SMALLEST_SCALE:
                raise FloatingPointError(
                    f"the gradient is NaN, or too large for float16 even with the loss multiplied by {self.scale:g}"
                )
            self.scale *= self.backoff
            self.good_steps = 0
            self.skipped_steps += 1
        else:
            self.good_steps += 1
            if self.good_steps == self.growth_interval:
                self.scale *= self.growth
                self.good_steps = 0

    def state_dict(self) -> dict[str, Array]:
        """All that the next step depends on besides the settings."""
        return {
            "scale": np.array(self.scale),
            "good_steps": np.array(self.good_steps),
            "skipped_steps": np.array(self.skipped_steps),
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue from a ``state_dict``. Raises ``InputError``, and changes nothing, unless it is one."""
        names = ["scale", "good_steps", "skipped_steps"]
        if sorted(state) != sorted(names) or any(np.shape(state[name]) != () for name in names):
            raise InputError(
                f"LossScaler: a state with the numbers {', '.join(names)} is needed, got {dict(state)}"
            )
        scale = check_positive("LossScaler: scale", np.asarray(state["scale"])[()])
        good, skipped = (check_integer(f"LossScaler: {n}", np.asarray(state[n])[()], 0) for n in names[1:])
        self.scale, self.good_steps, self.skipped_steps = scale, good, skipped

    def __repr__(self) -> str:
        return f"LossScaler(scale={self.scale:g}, skipped_steps={self.skipped_steps})"


class MixedPrecision:
    """Training steps in which weights, activations and gradients are float16 numbers and sums are float32 numbers:

        W₁₆ = float16(W)                            W: float32, the master weights, which the optimizer changes
        y₁₆ = float16(f(x₁₆; W₁₆))                  through every layer, computed in float32
        g₁₆ = float16(dL/dy · S)                    back through every layer, and to every parameter
        dL/dW = g₁₆ / S                             in float32: for the regularizer, clipping and the optimizer

    float16 has 11 significant bits, ends at 65504, and has nothing below 6·10⁻⁸, where many gradients are: the loss
    is multiplied by S first, see ``LossScaler``. Where a gradient overflows all the same, the step is skipped.
    Master weights are there because η dL/dW is often less than the last bit of W₁₆: such steps would be lost.

        precision = MixedPrecision(network)
        for x, y in batches.epoch(rng):
            value, scores = precision.training_step(x, y, loss)     # in place of network.training_step
            if precision.unscale():                                 # False: overflow, skip the step
                optimizer.step()

    This shows what 16 bits do to training; it is not faster. NumPy has no product of float16 matrices, so values
    are rounded to float16 numbers and multiplied as float32. What layers save takes 2 bytes a number inside of
    ``Compressed(..., storage="float16")``, and loses next to nothing by it; the weights take their 4 bytes here.
    Running statistics, and what a layer computes between its argument and its result, stay in float32. x is
    rounded too, unless the network has an ``Embedding``: there it holds indices. Hooks see rounded activations, and
    gradients times S. A skipped step has moved running statistics and random generators like any other. Outside of
    the steps the network computes with its master weights; but see ``half``.

    Micikevicius et al., "Mixed precision training", ICLR 2018, arXiv:1710.03740.
    """

    def __init__(self, network: Network, scaler: LossScaler | None = None) -> None:
        if not isinstance(network, Network):
            raise InputError(f"MixedPrecision: a Network is needed, got {network!r}")
        self.network = network
        self.scaler = scaler or LossScaler()
        self._master = np.empty_like(network.parameters.data)
        self._scratch = np.empty(BLOCK, np.float16)
        self._has_indices = any(isinstance(layer, Embedding) for layer in network.body.walk())
        self._is_half = False
        self._is_scaled = False  # whether the gradients are those of S times the loss

    def training_step(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        *,
        sample_weight: Array | None = None,
        scale: float = 1.0,
        accumulate: bool = False,
        summed: bool = False,
    ) -> tuple[float, Array]:
        """``Network.training_step`` in float16. The gradients it leaves are multiplied by S until ``unscale``."""
        S = self.scaler.scale
        with self.half():
            if accumulate and not self._is_scaled:
                self.network.parameters.grad[...] *= S
            self._is_scaled = True
            value, scores = self.network.training_step(
                x, targets, loss,
                sample_weight=sample_weight, scale=S * scale, accumulate=accumulate, summed=summed,
            )  # fmt: skip
            self._round(self.network.parameters.grad)
        return value, scores

    def unscale(self) -> bool:
        """Divide the gradients by S. Returns False if they overflowed: the step is to be skipped, S is smaller now.

        Raises ``InputError`` without a ``training_step`` before, and ``FloatingPointError`` if no S would do.
        """
        if not self._is_scaled:
            raise InputError("MixedPrecision: unscale needs a training_step first")
        self._is_scaled = False
        g = self.network.parameters.grad
        fits = math.isfinite(g.max()) and math.isfinite(g.min())
        if fits:
            g *= 1 / self.scaler.scale
        self.scaler.update(not fits)
        return fits

    @contextmanager
    def half(self) -> Iterator[None]:
        """``with precision.half(): evaluate(network, ...)`` lets the network compute as it does in the steps.

        Inside the block the parameters hold W₁₆. What is written into them there is lost at its end.
        """
        if self._is_half:
            yield
            return
        self._is_half = True
        w = self.network.parameters.data
        self._master[...] = w
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # too large for float16 is inf
                self._round(w)
                self._wrap(self.network.body)
                vars(self.network)["_for_use"] = lambda: self._wrap(Network._for_use(self.network))
                yield
        finally:
            vars(self.network).pop("_for_use", None)
            self._unwrap(self.network.body)
            w[...] = self._master
            self._is_half = False

    def _wrap(self, body: Sequential) -> Sequential:
        """Let all layers round what they return: functions set on an object go before those of its class."""
        for layer in self._rounding_layers(body):
            vars(layer)["forward"] = self._then_round(layer, "forward")
            vars(layer)["backward"] = self._then_round(layer, "backward")
        forward, backward = partial(type(body).forward, body), partial(type(body).backward, body)
        backward_parameters = partial(type(body).backward_parameters, body)
        # Rounded copies of the arguments: the caller's arrays stay as they are.
        vars(body)["forward"] = lambda x: forward(x if self._has_indices else self._round(x.copy()))
        vars(body)["backward"] = lambda g: backward(self._round(g.copy()))
        vars(body)["backward_parameters"] = lambda g: backward_parameters(self._round(g.copy()))
        return body

    def _unwrap(self, body: Sequential) -> None:
        for layer in (*self._rounding_layers(body), body):
            for name in ("forward", "backward", "backward_parameters"):
                vars(layer).pop(name, None)

    def _rounding_layers(self, body: Sequential) -> list[Layer]:
        # What a Sequential returns is what its last layer returned.
        return [layer for layer in body.walk() if not isinstance(layer, Sequential)]

    def _then_round(self, layer: Layer, name: str) -> Callable[[Array], Array]:
        compute = getattr(type(layer), name)
        return lambda x: self._round(compute(layer, x))

    def _round(self, a: Array) -> Array:
        """a ← float16(a), in place where it can be."""
        if not (a.flags.c_contiguous and a.flags.writeable):
            return a.astype(np.float16).astype(a.dtype)
        flat = a.reshape(-1)
        for start in range(0, flat.size, BLOCK):
            part = flat[start : start + BLOCK]
            half = self._scratch[: part.size]
            half[...] = part
            part[...] = half
        return a

    def row(self) -> dict[str, float]:
        """What a record of the training shows of it: {"loss_scale", "skipped_steps"}."""
        return {"loss_scale": self.scaler.scale, "skipped_steps": self.scaler.skipped_steps}

    def state_dict(self) -> dict[str, Array]:
        """All that the next step depends on besides the network and the settings: the scaler's state."""
        return self.scaler.state_dict()

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue from a ``state_dict``. Raises ``InputError``, and changes nothing, unless it is one."""
        self.scaler.load_state_dict(state)

    def __repr__(self) -> str:
        return f"MixedPrecision({self.scaler!r})"
