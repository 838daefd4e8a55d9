"""Where a network's weights begin. An initializer is a function (shape, rng) -> float64 array.

The layer rounds the result to its own dtype, so a float32 and a float64 network drawn with the same
generator start from the same point.

Most of these functions return an initializer: ``Linear(784, 128, weight_init=he_normal())``. A weight has shape
(fan_in, fan_out): each of its fan_out outputs is a sum over fan_in inputs, so with independent weights of mean 0

    Var(y) = fan_in · Var(w) · E(x²),    and backward    Var(dL/dx) = fan_out · Var(w) · Var(dL/dy)

and through many layers the signal neither dies nor explodes only if Var(w) is right:

    Xavier   2 / (fan_in + fan_out)    between forward and backward, for an activation that is y ≈ x near 0
    LeCun    1 / fan_in                the forward signal alone
    He       2 / fan_in                twice as much, for ReLU makes half of the signal 0

An embedding's weight has shape (rows, features) too, but each output is one entry and no sum: its fan_in is 1
and not the number of rows, so the rules above would make it far too small. Draw it with ``normal``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.checks import InputError, check_number
from mlp.registry import Registry, known_name

Weights = NDArray[np.float64]
Initializer = Callable[[tuple[int, ...], np.random.Generator], Weights]

INITIALIZERS: Registry[Initializer] = Registry("initializer")
INITIALIZERS.synonyms |= {
    f"{theirs}_{kind}": f"{ours}_{kind}"
    for theirs, ours in (("kaiming", "he"), ("glorot", "xavier"))
    for kind in ("normal", "uniform")
}

# Name of an activation -> name of the initializer for the weights before it; register_activation writes it down.
# He for all that resemble ReLU: of a gradient's square, for normal inputs, ReLU passes back 0.50, GeLU 0.46,
# SiLU 0.38, Softplus 0.29; of these twice is nearer to 1 than once. (For ELU, 0.67, both are as near; He's is what
# it was published with.) Xavier for all others: sigmoids, softmax, scores.
FOR_ACTIVATION: dict[str, str] = {}


def register_initializer(make: Callable[..., Initializer]) -> Callable[..., Initializer]:
    """Decorator that lets a configuration name what ``make(**options)`` returns by the name of ``make``."""
    return INITIALIZERS.register(make.__name__)(make)


def make_initializer(name: str, **options: Any) -> Initializer:
    """The initializer registered under ``name``, such as ``make_initializer("normal", std=0.01)``.

    Raises ``InputError`` for an unknown name, and for an option that it lacks or does not have.
    """
    return INITIALIZERS.make(name, **options)


def as_initializer(init: str | Initializer) -> Initializer:
    """What a layer was given as an initializer: the function itself, or the one registered under this name."""
    return make_initializer(init) if isinstance(init, str) else init


def for_activation(activation: str) -> Initializer:
    """The initializer for the weights of a Linear whose output goes into this activation.

    ``make_initializer("auto", activation="ReLU")`` is the same. Raises ``InputError`` for an unknown activation.
    """
    return make_initializer(FOR_ACTIVATION[known_name("activation", activation, FOR_ACTIVATION)])


INITIALIZERS["auto"] = for_activation


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> Weights:
    """All zeros: right for biases. For weights it fails, since all neurons of a layer stay equal."""
    return np.zeros(shape)


def small_positive(shape: tuple[int, ...], rng: np.random.Generator) -> Weights:
    """Every entry 0.01: for the biases of a ReLU layer, so that more of its neurons are active at first."""
    return np.full(shape, 0.01)


INITIALIZERS["zeros"] = lambda: zeros
INITIALIZERS["small_positive"] = lambda: small_positive


@register_initializer
def constant(value: float) -> Initializer:
    """Every entry ``value``. For weights it fails as zeros do: it is here to show why."""
    value = check_number("constant: value", value, -np.inf)
    return partial(_constant, value)


def _constant(value: float, shape: tuple[int, ...], rng: np.random.Generator) -> Weights:
    return np.full(shape, value)


@register_initializer
def normal(std: float = 0.01) -> Initializer:
    """Independent draws from N(0, std²).

    Raises ``InputError`` unless std is finite and not negative.
    """
    std = check_number("normal: std", std, 0)
    return partial(_normal, std)


def _normal(std: float, shape: tuple[int, ...], rng: np.random.Generator) -> Weights:
    return rng.normal(0.0, std, size=shape)


@register_initializer
def uniform(limit: float = 0.01) -> Initializer:
    """Independent draws from the interval (-limit, limit), whose variance is limit² / 3.

    Raises ``InputError`` unless limit is finite and not negative.
    """
    limit = check_number("uniform: limit", limit, 0)
    return partial(_uniform, limit)


def _uniform(limit: float, shape: tuple[int, ...], rng: np.random.Generator) -> Weights:
    return rng.uniform(-limit, limit, size=shape)


def fans(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight. Raises ``InputError`` unless it has two axes, both of length 1 or more."""
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"{name}: needs a weight of shape (fan_in, fan_out), got shape {shape}")
    return shape[0], shape[1]


# Kept as partial functions of named ones, so that a layer with its initializer can be pickled.
def _by_fans(
    name: str, draw: Callable[..., Weights], factor: float, n_in: float, n_out: float,
    shape: tuple[int, ...], rng: np.random.Generator,
) -> Weights:  # fmt: skip
    """Draws of variance factor / (n_in fan_in + n_out fan_out)."""
    fan_in, fan_out = fans(name, shape)
    variance = factor / (n_in * fan_in + n_out * fan_out)
    # A uniform draw from (-limit, limit) has the variance limit² / 3.
    return draw(np.sqrt(variance if draw is _normal else 3 * variance), shape, rng)


@register_initializer
def xavier_normal(gain: float = 1.0) -> Initializer:
    """N(0, gain² · 2 / (fan_in + fan_out)).

    As published, 2 / (fan_in + fan_out) is the variance. Some lectures write sqrt(1 / (fan_in + fan_out)) as the
    standard deviation, which is half of that variance: it is ``gain=sqrt(1/2)`` here.

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    """
    gain = check_number("xavier_normal: gain", gain, 0)
    return partial(_by_fans, "xavier_normal", _normal, gain**2 * 2, 1, 1)


@register_initializer
def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform on ± gain · sqrt(6 / (fan_in + fan_out)): the variance of ``xavier_normal``, as first published."""
    gain = check_number("xavier_uniform: gain", gain, 0)
    return partial(_by_fans, "xavier_uniform", _uniform, gain**2 * 2, 1, 1)


@register_initializer
def he_normal(slope: float = 0.0) -> Initializer:
    """N(0, 2 / ((1 + slope²) fan_in)), for an activation with this slope on the left: 0 for ReLU.

    He, Zhang, Ren & Sun, "Delving deep into rectifiers", ICCV 2015.
    """
    slope = check_number("he_normal: slope", slope, 0)
    return partial(_by_fans, "he_normal", _normal, 2, 1 + slope**2, 0)


@register_initializer
def he_uniform(slope: float = 0.0) -> Initializer:
    """Uniform on ± sqrt(6 / ((1 + slope²) fan_in)): the variance of ``he_normal``."""
    slope = check_number("he_uniform: slope", slope, 0)
    return partial(_by_fans, "he_uniform", _uniform, 2, 1 + slope**2, 0)


@register_initializer
def lecun_normal() -> Initializer:
    """N(0, 1 / fan_in). LeCun, Bottou, Orr & Müller, "Efficient BackProp", 1998."""
    return partial(_by_fans, "lecun_normal", _normal, 1, 1, 0)


@register_initializer
def orthogonal(gain: float = 1.0) -> Initializer:
    """A random W with Wᵀ W = gain² 1 or, if fan_in < fan_out, W Wᵀ = gain² 1: it keeps lengths, up to ``gain``.

    Q of the QR decomposition of a normal matrix, with the signs of its columns such that R has a positive
    diagonal: without that Q depends on the routine, and is not uniformly distributed.

    Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", ICLR 2014; Mezzadri, "How to generate random matrices from the classical compact groups", 2007.
    """
    return partial(_orthogonal, check_number("orthogonal: gain", gain, 0))


def _orthogonal(gain: float, shape: tuple[int, ...], rng: np.random.Generator) -> Weights:
    n_in, n_out = fans("orthogonal", shape)
    Q, R = np.linalg.qr(rng.normal(size=(max(n_in, n_out), min(n_in, n_out))))
    Q *= gain * np.copysign(1, np.diag(R))
    return Q if n_in >= n_out else Q.T


@register_initializer
def identity(gain: float = 1.0) -> Initializer:
    """``gain`` on the diagonal and 0 elsewhere: the layer starts by passing on what it gets, cut or padded with 0.

    Le, Jaitly & Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015,
    arXiv:1504.00941.
    """
    return partial(_identity, check_number("identity: gain", gain, -np.inf))


def _identity(gain: float, shape: tuple[int, ...], rng: np.random.Generator) -> Weights:
    return gain * np.eye(*fans("identity", shape))
