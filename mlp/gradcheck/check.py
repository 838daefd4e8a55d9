"""The four checks: of a layer, a loss, a network and a function."""

from collections.abc import Callable, Collection
from typing import Any

from mlp.checks import InputError
from mlp.gradcheck.examination import Rng, as_float64, examine
from mlp.gradcheck.result import GradcheckResult
from mlp.gradcheck.subject import Subject, function_subject, layer_subject, loss_subject, network_subject


def check_layer(
    layer: Any,
    x: Any,
    *,
    rng: Rng = 0,
    rtol: float = 1e-7,
    max_entries: int = 20_000,
    input_gradient: bool = True,
    behaviour: bool = True,
    constants: Collection[str] = (),
) -> GradcheckResult:
    r"""Check ``layer.backward`` against differences of ``layer.forward``, and the layer's manners.

    For a random upstream gradient :math:`G` of the shape of :math:`y`, each entry :math:`v` of the input and
    of every parameter must satisfy

    .. math:: |a - n| \le \text{rtol} \cdot \max(|a|, |n|) + \text{noise}, \qquad
              n \approx \frac{\partial}{\partial v} \sum_j G_j y_j

    with the analytic :math:`a` and the numeric :math:`n`. With :math:`G = 1` a ``backward`` that returns
    zeros would pass on softmax, whose outputs sum to 1. All arithmetic is float64, on a copy of the layer.

    Args:
        layer: has ``forward(x)`` and ``backward(grad_y)``. Its parameters are what ``parameters()`` lists,
            objects with ``.data`` and ``.grad``, and every array with a gradient beside it: ``W`` and ``grad_W``,
            ``weight`` and ``dweight``, ``W`` and ``dLdW``, dicts ``params`` and ``grads``, in layers inside too.
        x: the input, usually (N, features); converted to float64.
        rng: seed or generator for the upstream gradient and for samples.
        rtol: accepted relative error, beyond the noise of the numeric derivative.
        max_entries: of a larger array, a random sample of this many entries is checked.
        input_gradient: False leaves the input alone, as for indices into an embedding (which stay integers).
        behaviour: also check that arguments stay unchanged, gradients add up, and calls forget each other.
        constants: names of arrays that forward uses and nobody learns. Any other array without a gradient that
            forward depends on fails the check: it would be unchecked.

    What the layer's code raises, it fails with. Gradients that a second backward replaces are a mistake where
    parameters have a ``.grad`` to add to, and else a convention, which the result states.

    Raises:
        InputError: x is not numeric or not finite, or an option is out of range.

    Source: Nocedal & Wright, *Numerical Optimization*, 2006, section 8.1.
    """
    x = as_float64(x, "x", keep_integers=not input_gradient)
    return examine(
        type(layer).__name__,
        lambda: layer_subject(layer, x, input_gradient, constants),
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
    ``forward``. Instead of nothing, ``backward`` may take the arguments of ``forward`` again; and a bare function
    ``loss(scores, targets)`` may give the value and the gradient. The other arguments, errors and the source are
    those of ``check_layer``.
    """
    return examine(
        type(loss).__name__,
        lambda: loss_subject(loss, targets, sample_weight),
        as_float64(scores, "scores"),
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
    constants: Collection[str] = (),
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

    x = as_float64(x, "x", keep_integers=not input_gradient)

    def make() -> Subject:
        if loss is None:
            return layer_subject(network, x, input_gradient, constants)
        return network_subject(network, x, loss, targets, input_gradient, constants)

    return examine(
        type(network).__name__ + ("" if loss is None else f" with {type(loss).__name__}"),
        make,
        x,
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
    return examine(
        getattr(f, "__name__", type(f).__name__),
        lambda: function_subject(f, gradient),
        as_float64(x, "x"),
        rng=rng,
        rtol=rtol,
        max_entries=max_entries,
        behaviour=behaviour,
    )
