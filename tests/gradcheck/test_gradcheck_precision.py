"""Right gradients pass at every size of the data, and an error in the fifth digit of ordinary ones does not."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mlp.gradcheck import check_function, check_layer

pytest.importorskip("mpmath")
sys.path.insert(0, str(Path(__file__).parent))
import precision

# Each block of 20 seeds has every function once.
SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_exact_gradient_passes_from_1e_minus_8_to_1e6(seed):
    precision.check(precision.draw(seed)).assert_ok()


@pytest.mark.parametrize("seed", [seed for seed in SEEDS if precision.draw(seed).ordinary])
def test_a_relative_error_of_1e_minus_5_is_found_in_ordinary_data(seed):
    assert not precision.check(precision.draw(seed), 1 + 1e-5)


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.y = e / e.sum(axis=-1, keepdims=True)
        return self.y.copy()

    def backward(self, grad_y):
        return self.y * (grad_y - (grad_y * self.y).sum(axis=-1, keepdims=True))


class Standardize:
    """Over ``axis``: 0 as in batch norm, 1 as in layer norm."""

    def __init__(self, axis, eps=1e-5):
        self.axis, self.eps = axis, eps

    def forward(self, x):
        self.deviation = np.sqrt(x.var(axis=self.axis, keepdims=True) + self.eps)
        self.z = (x - x.mean(axis=self.axis, keepdims=True)) / self.deviation
        return self.z.copy()

    def backward(self, grad_y):
        projected = self.z * (grad_y * self.z).mean(axis=self.axis, keepdims=True)
        return (grad_y - grad_y.mean(axis=self.axis, keepdims=True) - projected) / self.deviation


@pytest.mark.parametrize("deviation", [1, 5, 10, 50, 1000])
def test_softmax_of_wide_scores(deviation):
    for seed in range(3):
        x = deviation * np.random.default_rng(seed).normal(size=(5, 6))
        check_layer(Softmax(), x).assert_ok()


@pytest.mark.parametrize("axis", [0, 1])
def test_normalization_of_data_with_a_large_mean(axis):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        check_layer(Standardize(axis), 10 + 0.01 * rng.normal(size=(5, 6))).assert_ok()
        check_layer(Standardize(axis), rng.integers(1990, 2023, size=(5, 6))).assert_ok()


def test_a_cube_of_small_numbers_passes_and_a_wrong_one_does_not():
    x = np.array([1e-4, -3e-5, 2e-8])
    check_function(lambda x: x**3, lambda x, g: 3 * g * x**2, x).assert_ok()
    assert not check_function(lambda x: x**3, lambda x, g: 3.0001 * g * x**2, x)


@pytest.mark.parametrize("size", [1e-8, 1e6])
def test_a_wrong_slope_is_found_at_any_size(size):
    x = size * np.random.default_rng(0).normal(size=(4, 3))
    check_function(np.abs, lambda x, g: g * np.sign(x), x).assert_ok()
    assert not check_function(np.abs, lambda x, g: 1.001 * g * np.sign(x), x)


class Doubled:
    """y = 2x by a cast of its input, of its output, or of its factor."""

    def __init__(self, cast):
        self.cast = cast

    def forward(self, x):
        if self.cast == "input":
            return 2 * x.astype(np.float32).astype(np.float64)
        if self.cast == "half":
            return 2 * x.astype(np.float16)
        return (2 * x).astype(np.float32)

    def backward(self, grad_y):
        return 2 * grad_y


@pytest.mark.parametrize(
    ("cast", "words"),
    [
        ("input", "forward casts its input to float32, and"),
        ("output", "forward casts its input to float32, and"),
        ("half", "forward casts its output to float16, and"),
    ],
)
def test_a_cast_to_a_narrower_type_is_named(cast, words):
    result = check_layer(Doubled(cast), np.random.default_rng(0).normal(size=(4, 3)))
    assert not result
    assert len(result.mistakes) == 1
    assert result.mistakes[0].startswith(words)
    assert result.comparisons[0].ok  # in the digits that are left, which are right


def test_numbers_that_float32_holds_exactly_are_no_cast():
    check_layer(Doubled("none"), np.zeros((0, 3)))
    for x in (np.arange(12.0).reshape(4, 3), np.zeros((4, 3)), np.full((4, 3), 1e6)):
        check_function(lambda x: 2 * x, lambda x, g: 2 * g, x).assert_ok()
        check_layer(Softmax(), x).assert_ok()
