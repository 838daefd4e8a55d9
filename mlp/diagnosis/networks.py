"""What can be wrong with a network, as one batch shows it: each disease is one function and its thresholds."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from mlp.arrays import Array
from mlp.diagnosis.findings import Diagnosis, Finding, find
from mlp.diagnosis.observation import Observation, observe, trunk
from mlp.diagnosis.sanity import expected_loss
from mlp.diagnosis.statistics import LayerRow
from mlp.layers import EmbeddedColumns, Embedding
from mlp.layers.normalization import Normalization
from mlp.losses import Loss
from mlp.network import Network
from mlp.parameter import Parameter

# (name of a layer, a scale of what it gives), in the order in which the signal passes.
Scales = list[tuple[str, float]]

# With fewer samples a unit that is 0 for all of them, or scores that are alike, may be chance. One that is active
# for half of the inputs is 0 for 20 of them once in a million times.
MIN_SAMPLES = 20
# CS231n, "Commonly used activation functions": as much as 40 % can be dead if the learning rate is too high. With
# He initialization, 20 layers of 100 and 100 MNIST images, up to 48 % of a layer are dead by chance.
DEAD = 0.5
# 10 Tanh layers with Xavier initialization have 0.1 % of saturated outputs on MNIST at first, 4 % once trained;
# with weights N(0, 1) it is 90 %. On layers that are stuck like this: Glorot & Bengio 2010, section 3.
SATURATED = 0.5
# Glorot & Bengio 2010, He et al. 2015: initial weights should keep both scales, so the ratio over depth is about 1.
# On MNIST, networks that train at once have 0.06 and more. The gradient of 784-128-64-10 with weights N(0, 0.01²)
# falls to 0.004, and it needs 200 steps to begin; with one more layer, to 0.0004, and 500 steps are not enough.
VANISHED = 0.01
# Residual networks that train have up to 15, all others less.
EXPLODED = 100.0
# The first loss should be that of guessing (CS231n, "Sanity checks"; Karpathy, "A recipe", 2019). He initialization
# also in the last layer makes it 1.0 to 1.3 times as large, on MNIST.
FAR_FROM_GUESSING = 2.0
# The std of the scores over the samples, relative to their rms: 0.007 and more in networks that do learn.
COLLAPSED = 1e-3
# LeCun, Bottou, Orr & Müller, "Efficient BackProp", 1998, section 4.3: mean 0 and variance about 1. A factor of 10
# does no harm yet: pixels from -0.5 to 0.5 are fine, pixels from 0 to 255 are not.
LARGE_INPUT, SMALL_INPUT, OFF_CENTRE, UNEVEN = 10.0, 0.01, 10.0, 100.0
# What rounding in float32 may do, relative to the numbers themselves, and to the largest gradient.
ALIKE, NEGLIGIBLE = 1e-4, 1e-5


def diagnose_network(network: Network, loss: Loss, x: Array, targets: Array) -> Diagnosis:
    """What one forward and one backward pass of a batch show: see ``mlp.diagnosis.diagnose``."""
    observed = observe(network, loss, x, targets)
    broken = _not_finite(observed, network)
    if broken is not None:
        return Diagnosis("network", [broken])
    found = (look(observed) for look in LOOKS)
    remark = ""
    if observed.samples < MIN_SAMPLES:
        remark = (
            f"Not looked for: dead ReLUs and collapsed outputs, in {observed.samples} of {MIN_SAMPLES} samples."
        )
    return Diagnosis("network", [finding for finding in found if finding is not None], remark)


def _not_finite(o: Observation, network: Network) -> Finding | None:
    name, s = "values that are not finite", o.statistics
    broken = next((row for row in (s.input, *s.layers) if not np.isfinite([row.min, row.max]).all()), None)
    if broken is not None:
        # A copy of its own: statistics and generators of the other one have moved on.
        where = copy.deepcopy(network).train().explain_non_finite(o.x)
        seen = where or f"the output of {broken.name} is not finite"
        return find(name, seen, "" if broken is s.input else broken.name)
    if not math.isfinite(s.loss):
        return find(name, f"the loss is {s.loss}, though the scores are finite")
    for row in reversed(s.layers):
        if not math.isfinite(row.gradient_rms or 0):
            return find(name, f"dL/dy of {row.name} is not finite, though all outputs are", row.name)
    for p in s.parameters:
        if not p.finite:
            return find(name, f"the gradient of {p.name} is not finite, though all outputs are")
    return None


def _badly_scaled_inputs(o: Observation) -> Finding | None:
    first = next((layer for layer in trunk(o.network.body) if layer.parameters()), None)
    if isinstance(first, Embedding | EmbeddedColumns | Normalization):
        return None  # indices have no scale, and a normalisation makes its own
    row = o.statistics.input
    seen = f"mean {row.mean:.3g}, std {row.std:.3g}, from {row.min:.3g} to {row.max:.3g}"
    too_large = _rms(row) > LARGE_INPUT
    too_small = 0 < max(-row.min, row.max) < SMALL_INPUT
    if too_large or too_small or abs(row.mean) > OFF_CENTRE * row.std > 0:
        return find("badly scaled inputs", seen)
    features = o.x.reshape(-1, o.x.shape[-1]).astype(np.float64)
    scales = np.sqrt(np.square(features).mean(axis=0))
    typical = float(np.median(scales[scales > 0])) if scales.any() else 0.0
    if scales.max() > UNEVEN * typical:
        seen = f"feature {scales.argmax()} has rms {scales.max():.3g}, a typical feature {typical:.3g}"
        return find("badly scaled inputs", seen)
    return None


def _symmetric_units(o: Observation) -> Finding | None:
    largest = max(float(abs(p.grad).max()) for p in o.network.parameters)
    for layer, row in o.rows.items():
        units = row.shape[-1]
        own = [] if layer.children() else [p for p in layer.parameters().values() if p.shape[-1] == units]
        if units > 1 and any(p.data.ndim > 1 for p in own) and _all_alike(own, NEGLIGIBLE * largest):
            what = f"all {units} units of {row.name} have the same weights and the same gradient"
            return find("symmetric units", what, row.name)
    return None


def _all_alike(own: list[Parameter], negligible: float) -> bool:
    """Whether all units have the same weights and the same gradients."""
    return all(_alike(p.data) and (_alike(p.grad) or _alike(p.grad, negligible)) for p in own)


def _alike(columns: Array, tolerance: float | None = None) -> bool:
    """Whether all columns of (..., units) are equal, up to rounding, or to ``tolerance``."""
    if tolerance is None:
        tolerance = ALIKE * float(abs(columns).max())
    return bool(np.ptp(columns, axis=-1).max() <= tolerance)


def _dead_relus(o: Observation) -> Finding | None:
    dead = [(row.name, row.dead) for row in o.statistics.layers if row.dead is not None and row.dead > DEAD]
    if not dead or o.samples < MIN_SAMPLES:
        return None
    name, share = dead[0]
    seen = f"{share:.0%} of the units of {name} are 0 for all {o.samples} samples"
    return find("dead ReLUs", seen + _elsewhere(len(dead)), name)


def _saturated_units(o: Observation) -> Finding | None:
    # At the output it may be meant so: a trained Sigmoid is sure.
    hidden = [row for row in o.statistics.layers if row is not o.statistics.trunk[-1]]
    flat = [(row.name, row.saturated) for row in hidden if row.saturated is not None and row.saturated > SATURATED]
    if not flat:
        return None
    name, share = flat[0]
    seen = f"{share:.0%} of the outputs of {name} are saturated"
    return find("saturated units", seen + _elsewhere(len(flat)), name)


def _elsewhere(layers: int) -> str:
    return "" if layers == 1 else f"; more than half are in {layers} layers altogether"


def _activations(o: Observation) -> Scales:
    """The signal on its way up: what each layer with parameters gets from the layers below it."""
    signals = []
    for below, layer in pairwise(trunk(o.network.body)):
        # A normalisation makes the scale of what it gets arbitrary.
        if layer.parameters() and not isinstance(layer, Normalization):
            signals.append((o.rows[below].name, o.rows[below].signal))
    return signals


def _gradients(o: Observation) -> Scales:
    """|dL/dy| on its way down, left out before a normalisation likewise."""
    layers = list(trunk(o.network.body))
    norms = [(o.rows[layers[-1]].name, o.rows[layers[-1]].gradient_norm)]
    for layer, above in reversed(list(pairwise(layers))):
        if not isinstance(above, Normalization):
            norms.append((o.rows[layer].name, o.rows[layer].gradient_norm))
    return [(name, size) for name, size in norms if size is not None]


def _vanishing(name: str, what: str, scales: Scales) -> Finding | None:
    if not scales or not scales[-1][1] < VANISHED * scales[0][1]:
        return None
    small = scales[0][1] * VANISHED
    i = max(i for i, (_, scale) in enumerate(scales) if scale >= small) + 1  # below from here to the end
    return find(name, f"{what} falls {_from_to(scales[0], scales[-1])}", scales[i][0])


def _exploding(name: str, what: str, scales: Scales) -> Finding | None:
    for place, scale in scales:
        if scale > EXPLODED * scales[0][1] > 0:
            largest = max(scales, key=lambda item: item[1])
            return find(name, f"{what} grows {_from_to(scales[0], largest)}", place)
    return None


def _from_to(start: tuple[str, float], end: tuple[str, float]) -> str:
    return f"from {start[1]:.3g} at {start[0]} to {end[1]:.3g} at {end[0]}"


def _collapsed_outputs(o: Observation) -> Finding | None:
    row = o.statistics.trunk[-1]
    if o.samples < MIN_SAMPLES or _are_alike(o.statistics.input) or not _are_alike(row):
        return None
    seen = f"the scores have rms {_rms(row):.3g}, and over the {o.samples} samples a std of {row.signal:.3g}"
    return find("collapsed outputs", seen, row.name)


def _are_alike(row: LayerRow) -> bool:
    """Whether there is nearly the same for all samples."""
    return row.signal <= COLLAPSED * _rms(row)


def _rms(row: LayerRow) -> float:
    return math.hypot(row.mean, row.std)


def _first_loss(o: Observation) -> Finding | None:
    guessing = expected_loss(o.loss, o.scores.shape[-1])
    if guessing is None or o.statistics.loss <= FAR_FROM_GUESSING * guessing:
        return None
    seen = f"the loss is {o.statistics.loss:.4g}, with equal scores for all classes it is {guessing:.4g}"
    return find("first loss far from guessing", seen)


# Causes before consequences.
LOOKS: tuple[Callable[[Observation], Finding | None], ...] = (
    _badly_scaled_inputs,
    _symmetric_units,
    _dead_relus,
    _saturated_units,
    lambda o: _vanishing("vanishing activations", "the std over the samples", _activations(o)),
    lambda o: _exploding("exploding activations", "the std over the samples", _activations(o)),
    _collapsed_outputs,
    lambda o: _vanishing("vanishing gradients", "|dL/dy|", _gradients(o)),
    lambda o: _exploding("exploding gradients", "|dL/dy|", _gradients(o)),
    _first_loss,
)
