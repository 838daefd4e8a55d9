"""What goes on inside a network while it trains: which neurons are active, how large gradients and updates are.

Two callbacks that add columns to the row of each epoch. They watch, and change nothing:

    history = Solver(network, loss, optimizer, callbacks=[NeuronActivity(), GradientFlow()]).fit(train, test)
    history["hidden1_active"], history["linear1_update_ratio"]
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.layers import BatchNorm, Dropout, Layer, LayerNorm, RMSNorm, Sigmoid
from mlp.network import Network
from mlp.optim.clipping import norm
from mlp.parameter import Parameter
from mlp.solver.callbacks import Callback

if TYPE_CHECKING:
    from mlp.solver.loop import Solver

Arrays = dict[str, Array]


class NeuronActivity(Callback):
    """How often each hidden neuron is active, over all samples of an epoch as training saw them.

    A hidden layer is every activation that is not the last layer; they are called hidden1, hidden2, ...
    With y_i(s) the output of neuron i for sample s (each with the weights of its own step), N samples, n neurons:

        p_i = #{s : y_i(s) > 0} / N                              (n,)

    Columns of the epoch's row, for each hidden layer:

        hidden1_above_0.2   share of neurons with p_i > ``threshold``; the name follows the threshold
        hidden1_active      mean of p_i: the share of neurons that are active in a single forward pass
        hidden1_dead        share of neurons with p_i = 0
        hidden1_saturated   Sigmoid only: share of all outputs below 0.05 or above 0.95, where y (1 - y) < 0.05

    ``probabilities`` maps the name of a layer to its p of each complete epoch, (epochs, n). With more axes than
    (batch, n), every position counts as a sample.

    Only training steps count, evaluation and plain forward passes do not. A callback that runs
    ``network.evaluation_step`` after every step belongs after this one in the list, since it uses the same memory.

    Raises ``InputError`` for a threshold outside [0, 1).

    Lu, Shin, Su & Karniadakis, "Dying ReLU and initialization", 2019, arXiv:1903.06733;
    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    on sigmoid layers that saturate.
    """

    def __init__(self, threshold: float = 0.2) -> None:
        self.threshold = check_number("NeuronActivity: threshold", threshold, 0, 1)
        if self.threshold == 1:
            raise InputError(
                f"NeuronActivity: threshold must be below 1, got {threshold!r}: no probability is above"
            )
        self.probabilities: dict[str, NDArray[np.float64]] = {}
        # All that is gathered in an epoch, as arrays that are changed in place: this is also the state to save.
        self._counts: Arrays = {}
        self._hidden: dict[int, str] = {}
        self._latest: dict[str, Array] = {}
        self._outputs: dict[str, Array] = {}
        self._sigmoids: set[str] = set()
        self._network: Network | None = None

    def on_start(self, solver: Solver) -> None:
        if steps_left(solver) == solver.steps_per_epoch:
            self._counts = {}
        if solver.epoch == 0:
            self.probabilities = {}
        hidden = hidden_layers(solver.network)
        self._hidden = {id(layer): name for name, layer in hidden.items()}
        self._sigmoids = {name for name, layer in hidden.items() if isinstance(layer, Sigmoid)}
        if hidden:
            self._network = solver.network
            self._network.add_hook(self._remember)
            self._network.add_backward_hook(self._confirm)

    def _remember(self, layer: Layer, y: Array) -> None:
        """The hook: nothing is counted here, so passes that are not training cost no more than this."""
        name = self._hidden.get(id(layer))
        if name is not None:
            self._latest[name] = y

    def _confirm(self, layer: Layer, grad_y: Array) -> None:
        """The hook of backward, which only training passes have."""
        self._outputs |= self._latest
        self._latest.clear()

    def on_iteration(self, solver: Solver, x: Any, targets: Any) -> None:
        for name, y in self._outputs.items():
            self._count(name, y.reshape(-1, y.shape[-1]))
        self._outputs.clear()
        self._latest.clear()

    def _count(self, name: str, y: Array) -> None:
        """Add y (N, n)."""
        rows, width = y.shape
        if f"{name}.active" not in self._counts:
            self._counts[f"{name}.active"] = np.zeros(width)
            self._counts[f"{name}.samples"] = np.zeros(1, np.int64)
            self._counts[f"{name}.saturated"] = np.zeros(1, np.int64)
        self._counts[f"{name}.active"] += np.count_nonzero(y > 0, axis=0)
        self._counts[f"{name}.samples"] += rows
        if name in self._sigmoids:
            self._counts[f"{name}.saturated"] += np.count_nonzero(y < 0.05) + np.count_nonzero(y > 0.95)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        for name in self._hidden.values():
            if f"{name}.active" not in self._counts:
                continue  # joined a run after the last step of the epoch: nothing was seen
            samples = int(self._counts[f"{name}.samples"][0])
            p = self._counts[f"{name}.active"] / samples
            earlier = self.probabilities.get(name, np.empty((0, len(p))))
            self.probabilities[name] = np.vstack([earlier, p])
            row[f"{name}_above_{self.threshold:g}"] = float(np.mean(p > self.threshold))
            row[f"{name}_active"] = float(np.mean(p))
            row[f"{name}_dead"] = float(np.mean(p == 0))
            if name in self._sigmoids:
                row[f"{name}_saturated"] = int(self._counts[f"{name}.saturated"][0]) / (samples * len(p))
        self._counts = {}

    def on_close(self, solver: Solver) -> None:
        self._stop()

    def state_dict(self) -> Arrays:
        last = {f"{name}.probabilities": p.copy() for name, p in self.probabilities.items()}
        return {name: array.copy() for name, array in self._counts.items()} | last

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self._counts, self.probabilities = {}, {}
        for key, array in state.items():
            name, _, kind = key.partition(".")
            if kind == "probabilities":
                self.probabilities[name] = array.copy()
            else:
                self._counts[key] = array.copy()

    def _stop(self) -> None:
        """Leave the network; what was counted stays."""
        if self._network is not None:
            self._network.remove_hook(self._remember)
            self._network.remove_hook(self._confirm)
        self._network = None
        self._outputs = {}


class GradientFlow(Callback):
    """How large gradients, weights and updates are at the last step of each epoch, by layer.

    Layers with parameters are called by their class and a number: linear1, linear2, ... For the weight w of a
    Linear (of another layer, its first parameter), its gradient g = dL/dw, and the Euclidean norm over all its
    entries, the epoch's row gets

        linear1_gradient_norm   |g| of the epoch's last batch, as the optimizer left it
        linear1_weight_norm     |w| after the epoch
        linear1_update_ratio    |Δw| / |w|: the last step's change, over the weight before that step

    Δw is w after the step minus w before it, so it is right for every optimizer. (From w = 0 the ratio is
    infinite and left out, or 0 if w did not move.) All other steps of an epoch cost a comparison of two integers.

    Karpathy, "CS231n: Neural networks 3", section "Ratio of weights:updates", holds 1e-3 for a good ratio.
    """

    def __init__(self) -> None:
        self._before: dict[str, NDArray[np.float64]] = {}
        self._norms: Arrays = {}

    def on_start(self, solver: Solver) -> None:
        self._keep_weights(solver, steps_left(solver))

    def on_iteration(self, solver: Solver, x: Any, targets: Any) -> None:
        left = steps_left(solver)
        self._keep_weights(solver, left)
        if left == 0:
            self._measure(solver.network)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        for name, value in self._norms.items():
            if math.isfinite(value):
                row[name] = float(value)
        self._norms = {}
        self._keep_weights(solver, steps_left(solver))

    def state_dict(self) -> Arrays:
        # The weights before the last step need no saving: a run that resumes there has them.
        return dict(self._norms)

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self._norms = dict(state)

    def _keep_weights(self, solver: Solver, left: int) -> None:
        """Copy the weights if the next step is the last of its epoch: also where an epoch has one step only."""
        if left == 1:
            self._before = {name: w.data.astype(np.float64) for name, w in weights(solver.network).items()}

    def _measure(self, network: Network) -> None:
        self._norms = {}
        for name, w in weights(network).items():
            change, before = norm(w.data - self._before[name]), norm(self._before[name])
            ratio = change / before if before > 0 else math.inf if change > 0 else 0.0
            self._norms[f"{name}_gradient_norm"] = np.array(norm(w.grad.astype(np.float64)))
            self._norms[f"{name}_weight_norm"] = np.array(norm(w.data.astype(np.float64)))
            self._norms[f"{name}_update_ratio"] = np.array(ratio)
        self._before = {}


def steps_left(solver: Solver) -> int:
    """How many steps the solver has to make until its current epoch has them all."""
    return solver.steps_per_epoch - solver.step_in_epoch


def hidden_layers(network: Iterable[Layer]) -> dict[str, Layer]:
    """{"hidden1": layer, ...}: the activations in order, also inside containers, but for the last layer."""
    others = Dropout | BatchNorm | LayerNorm | RMSNorm  # these may have no parameters, and are no neurons
    activations = [a for a in leaves(network)[:-1] if not a.parameters() and not isinstance(a, others)]
    return {f"hidden{i}": layer for i, layer in enumerate(activations, start=1)}


def leaves(network: Iterable[Layer]) -> list[Layer]:
    """The layers that have no others inside, in order."""
    return [inner for layer in network for inner in layer.walk() if not inner.children()]


def weights(network: Iterable[Layer]) -> dict[str, Parameter]:
    """{"linear1": weight, ...}: the first parameter of each layer that has any, numbered within each class."""
    found: dict[str, Parameter] = {}
    count: Counter[str] = Counter()
    for layer in leaves(network):
        for p in list(layer.parameters().values())[:1]:
            kind = type(layer).__name__.lower()
            count[kind] += 1
            found[f"{kind}{count[kind]}"] = p
    return found
