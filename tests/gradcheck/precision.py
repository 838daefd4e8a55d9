"""Random functions whose exact derivatives mpmath knows, to ask whether the checker's noise is honest.

``python tests/gradcheck/precision.py 500`` prints a table; ``test_gradcheck_precision.py`` runs a few of them.
"""

import math
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import mpmath
import numpy as np

from mlp.gradcheck import check_function

mpmath.mp.dps = 90


def of_each(f):
    return np.frompyfunc(f, 1, 1)


def exact_maximum(a, b):
    return np.where(a > b, a, b)


FLOATS = SimpleNamespace(
    exp=np.exp,
    log=np.log,
    log1p=np.log1p,
    sqrt=np.sqrt,
    tanh=np.tanh,
    sin=np.sin,
    erf=np.vectorize(math.erf, otypes=[float]),
    maximum=np.maximum,
    number=float,
)
EXACT = SimpleNamespace(
    exp=of_each(mpmath.exp),
    log=of_each(mpmath.log),
    log1p=of_each(mpmath.log1p),
    sqrt=of_each(mpmath.sqrt),
    tanh=of_each(mpmath.tanh),
    sin=of_each(mpmath.sin),
    erf=of_each(mpmath.erf),
    maximum=exact_maximum,
    number=mpmath.mpf,
)

WEIGHT = np.random.default_rng(1).normal(size=(4, 3))
SECOND = np.random.default_rng(2).normal(size=(3, 2))


def softmax(x, m):
    e = m.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(x, m):
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - m.log(m.exp(shifted).sum(axis=1, keepdims=True))


def normalize(x, m, axis, eps):
    centered = x - x.sum(axis=axis, keepdims=True) / x.shape[axis]
    variance = (centered**2).sum(axis=axis, keepdims=True) / x.shape[axis]
    return centered / m.sqrt(variance + m.number(eps))


def sigmoid(x, m):
    e = m.exp(-abs(x))
    return np.where(x > 0, 1 / (1 + e), e / (1 + e))


FUNCTIONS = {
    "cube": lambda x, m: x**3,
    "sine": lambda x, m: m.sin(x),
    "tanh": lambda x, m: m.tanh(x),
    "sigmoid": sigmoid,
    "relu": lambda x, m: m.maximum(x, 0 * x),
    "softplus": lambda x, m: m.maximum(x, 0 * x) + m.log1p(m.exp(-abs(x))),
    "gelu": lambda x, m: x * (1 + m.erf(x / m.number(1.5))) / 2,
    "square root": lambda x, m: m.sqrt(1 + x**2),
    "logarithm": lambda x, m: m.log1p(x**2),
    "softmax": softmax,
    "log softmax": log_softmax,
    "layer norm": lambda x, m: normalize(x, m, 1, 1e-5),
    "batch norm": lambda x, m: normalize(x, m, 0, 1e-5),
    "standardize": lambda x, m: normalize(x, m, 1, 0.0),
    "unit length": lambda x, m: x / m.sqrt((x**2).sum(axis=1, keepdims=True)),
    "linear": lambda x, m: x @ WEIGHT,
    "two layers": lambda x, m: m.tanh(x @ WEIGHT) @ SECOND,
    "mean square": lambda x, m: ((x - 1) ** 2).sum() / x.shape[0],
    "cross-entropy": lambda x, m: -log_softmax(x, m)[:, 1].sum() / x.shape[0],
    "product": lambda x, m: x[:, 0] * x[:, 1] * x[:, 2],
}


@dataclass
class Case:
    """One function at one point; ``ordinary`` if data and gradients are of size 1 or so."""

    name: str
    x: np.ndarray
    scale: float
    ordinary: bool


def draw(seed):
    """Data of a size from 1e-8 to 1e6: around zero, around a mean that is much larger, years, all sizes mixed."""
    rng = np.random.default_rng(seed)
    name = list(FUNCTIONS)[seed % len(FUNCTIONS)]
    scale = 10 ** rng.uniform(-8, 6)
    shape = (3, 4)
    kind = rng.choice(["ordinary", "scaled", "scaled", "mean", "years", "mixed"])
    if kind == "ordinary":
        scale = 10 ** rng.uniform(-0.5, 0.5)
        x = scale * rng.normal(size=shape)
    elif kind == "scaled":
        x = scale * rng.normal(size=shape)
    elif kind == "mean":
        x = scale * (1 + 10 ** rng.uniform(-4, 0) * rng.normal(size=shape))
    elif kind == "years":
        scale, x = 2000.0, rng.integers(1990, 2023, size=shape).astype(float)
    else:
        scale, x = 1.0, 10 ** rng.uniform(-8, 6, size=shape) * rng.choice([-1, 1], size=shape)
    return Case(name, x, scale, kind == "ordinary")


def exact_gradient(case, upstream):
    """Central differences with 90 digits: right to about 40."""
    function, x = FUNCTIONS[case.name], of_each(mpmath.mpf)(case.x)
    weights = of_each(mpmath.mpf)(upstream)
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        original, h = x[index], abs(x[index]) * mpmath.mpf(10) ** -25
        x[index] = original + h
        high = np.sum(weights * function(x, EXACT))
        x[index] = original - h
        low = np.sum(weights * function(x, EXACT))
        x[index] = original
        gradient[index] = float((high - low) / (2 * h))
    return gradient


def check(case, factor=1.0):
    """The checker's result with the exact gradient, of which one entry that counts is multiplied by ``factor``."""

    def gradient(x, upstream):
        exact = exact_gradient(case, np.asarray(upstream))
        large = np.argwhere(np.abs(exact) >= 0.01 * np.abs(exact).max())
        exact[tuple(large[len(large) // 2])] *= factor
        return exact

    return check_function(lambda x: FUNCTIONS[case.name](x, FLOATS), gradient, case.x, behaviour=False)


def main(count):
    wolves, missed, ordinary = [], [], 0
    for seed in range(count):
        case = draw(seed)
        result = check(case)
        if not result:
            wolves.append((seed, case.name, case.scale, str(result)))
        if case.ordinary:
            ordinary += 1
            if check(case, 1 + 1e-5):
                missed.append((seed, case.name, case.scale))
    for wolf in wolves:
        print(*wolf)
    print(f"{count} right gradients: {len(wolves)} rejected")
    print(f"{ordinary} gradients of ordinary data with one entry wrong by 1e-5: {len(missed)} accepted", *missed)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
