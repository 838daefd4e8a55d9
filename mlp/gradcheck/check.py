"""The four checks: they run the subject once, compare every gradient, and ask what the differences say."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.gradcheck.behaviour import Pass, find_misbehaviour, owned, run
from mlp.gradcheck.checker import Checker
from mlp.gradcheck.result import GradcheckResult
from mlp.gradcheck.subject import Subject, function_subject, layer_subject, loss_subject, network_subject

Rng = int | np.random.Generator


def check_layer(
    layer: Any,
    x: Any,
    *,
    rng: Rng = 0,
    rtol: float = 1e-7,
    max_entries: int = 20_000,
    input_gradient: bool = True,
    behaviour: bool = True,
) -> GradcheckResult:
    r"""Check ``layer.backward`` against differences of ``layer.forward``, and the layer's manners.

    For a random upstream gradient :math:`G` of the shape of :math:`y`, each entry :math:`v` of the input and
    of every parameter must satisfy

    .. math:: |a - n| \le \text{rtol} \cdot \max(|a|, |n|) + \text{noise}, \qquad
              n \approx \frac{\partial}{\partial v} \sum_j G_j y_j

    with the analytic :math:`a` and the numeric :math:`n`. With :math:`G = 1` a ``backward`` that returns
    zeros would pass on softmax, whose outputs sum to 1. All arithmetic is float64, on a copy of the layer.

    Args:
        layer: has ``forward(x)``, ``backward(grad_y)`` and (with parameters) ``parameters()``, a dict of
            objects with ``.data`` and ``.grad``; or the attributes ``weight`` and ``bias``.
        x: the input, usually (N, features); converted to float64.
        rng: seed or generator for the upstream gradient and for samples.
        rtol: accepted relative error, beyond the noise of the numeric derivative.
        max_entries: of a larger array, a random sample of this many entries is checked.
        input_gradient: False leaves the input alone, as for indices into an embedding (which stay integers).
        behaviour: also check that arguments stay unchanged, gradients add up, and calls forget each other.

    Raises:
        InputError: x is not numeric or not finite, or an option is out of range.

    Source: Nocedal & Wright, *Numerical Optimization*, 2006, section 8.1.
    """
    x = _numeric(x, "x", keep_integers=not input_gradient)
    return _check(
        type(layer).__name__,
        lambda: layer_subject(layer, input_gradient),
        x,
        rng=rng,
        rtol=rtol,
        max_entries=max_entries,
        input_gradient=input_gradient,
        behaviour=behaviour,
    )


def check_loss(
    loss: Any,
    scores: Any,
    targets: Any,
    *,
    sample_weight: Any = None,
    rng: Rng = 0,
    rtol: float = 1e-7,
    max_entries: int = 20_000,
    behaviour: bool = True,
) -> GradcheckResult:
    r"""Check ``loss.backward()`` against differences of ``loss.forward(scores, targets)``, one number.

    .. math:: a_{ij} = \frac{\partial L}{\partial s_{ij}} \approx \frac{L(s_{ij} + h) - L(s_{ij} - h)}{2h}

    Scores are (N, C); targets whatever the loss takes. ``sample_weight``, if given, is the third argument of
    ``forward``. The other arguments, errors and the source are those of ``check_layer``.
    """
    return _check(
        type(loss).__name__,
        lambda: loss_subject(loss, targets, sample_weight),
        _numeric(scores, "scores"),
        input_name="scores",
        rng=rng,
        rtol=rtol,
        max_entries=max_entries,
        behaviour=behaviour,
    )


def check_network(
    network: Any,
    x: Any,
    targets: Any = None,
    loss: Any = None,
    *,
    rng: Rng = 0,
    rtol: float = 1e-7,
    max_entries: int = 20_000,
    input_gradient: bool = True,
    behaviour: bool = True,
) -> GradcheckResult:
    r"""Check all gradients of a network with the loss on top, or without one as ``check_layer`` does.

    .. math:: \frac{\partial}{\partial v} L(\text{network}(x), \text{targets})
              \quad\text{for every entry } v \text{ of } x \text{ and of the parameters}

    Every entry costs four forward passes of the whole network: take a small one, and a few rows.
    Arguments, errors and the source are those of ``check_layer``.

    Raises:
        InputError: also if only one of ``targets`` and ``loss`` is given.
    """
    if (targets is None) != (loss is None):
        raise InputError("check_network needs both targets and loss, or neither")

    def make() -> Subject:
        if loss is None:
            return layer_subject(network, input_gradient)
        return network_subject(network, loss, targets, input_gradient)

    return _check(
        type(network).__name__ + ("" if loss is None else f" with {type(loss).__name__}"),
        make,
        _numeric(x, "x", keep_integers=not input_gradient),
        rng=rng,
        rtol=rtol,
        max_entries=max_entries,
        input_gradient=input_gradient,
        behaviour=behaviour,
    )


def check_function(
    f: Callable[[Any], Any],
    gradient: Callable[..., Any],
    x: Any,
    *,
    rng: Rng = 0,
    rtol: float = 1e-7,
    max_entries: int = 20_000,
    behaviour: bool = True,
) -> GradcheckResult:
    r"""Check a formula: ``gradient(x, upstream)`` is the vector-Jacobian product of ``f``, shaped like x.

    .. math:: \text{gradient}(x, G)_i = \sum_j G_j \, \frac{\partial f_j}{\partial x_i}

    If ``f`` gives one number, ``gradient(x)`` alone is accepted too. The other arguments, errors and the
    source are those of ``check_layer``.
    """
    return _check(
        getattr(f, "__name__", type(f).__name__),
        lambda: function_subject(f, gradient),
        _numeric(x, "x"),
        rng=rng,
        rtol=rtol,
        max_entries=max_entries,
        behaviour=behaviour,
    )


def _numeric(values: Any, name: str, keep_integers: bool = False) -> Array:
    """A float64 copy of an argument, whatever its dtype and strides."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        raise InputError(f"{name} must be one rectangular array of numbers") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    if keep_integers and array.dtype.kind in "iu":
        return array.copy()
    array = np.array(array, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name} must be finite, got {array[where]} at index {where}")
    return array


def _check(
    title: str,
    make: Callable[[], Subject],
    x: Array,
    *,
    rng: Rng,
    rtol: float,
    max_entries: int,
    behaviour: bool,
    input_gradient: bool = True,
    input_name: str = "x",
) -> GradcheckResult:
    """What the four checks share: ``make`` gives a fresh float64 copy of the subject at every call."""
    if not 0 < rtol < 1:
        raise InputError(f"rtol must lie between 0 and 1, got {rtol}")
    if max_entries < 1:
        raise InputError(f"max_entries must be at least 1, got {max_entries}")
    generator = np.random.default_rng(rng)
    subject = make()
    output = owned(subject.forward(x.copy()))
    if not np.all(np.isfinite(output)):
        mistake = f"forward gives values that are not finite at {int(np.sum(~np.isfinite(output)))} outputs"
        return GradcheckResult(title, (), (mistake,))
    # Neither tiny (an error there would not show) nor all of one sign or size.
    upstream = generator.uniform(0.5, 1.5, output.shape) * generator.choice([-1.0, 1.0], output.shape)
    if subject.scalar:
        upstream = np.ones(output.shape)

    subject = make()
    once = run(subject, x, upstream)
    checker = Checker(subject, x, upstream, generator, rtol, max_entries)
    if input_gradient:
        checker.check(input_name, x, once.input_gradient, is_input=True)
    for name, parameter in subject.parameters.items():
        checker.check(name, parameter.data, once.gradients[name])
    mistakes = checker.sentences()
    if behaviour and _all_finite(once):
        other = generator.permutation(x.reshape(-1)).reshape(x.shape)
        other = other if x.dtype.kind in "iu" else 0.9 * other  # the same values: surely in the domain
        mistakes += find_misbehaviour(make, x, upstream, other, input_name)
    return GradcheckResult(title, tuple(checker.comparisons), tuple(mistakes))


def _all_finite(once: Pass) -> bool:
    arrays = (once.input_gradient, *once.gradients.values())
    return all(array is None or bool(np.all(np.isfinite(array))) for array in arrays)
