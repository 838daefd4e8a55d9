"""Each loss is minus the logarithm of a likelihood, up to a constant: SciPy's distributions say so."""

import numpy as np
import pytest

from mlp import CrossEntropyLoss, MSELoss
from mlp.losses import BinaryCrossEntropyLoss, HuberLoss, MAELoss

stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle of these tests and is not installed")
special = pytest.importorskip("scipy.special", reason="SciPy is the oracle of these tests and is not installed")

N, K = 20, 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("loss", "distribution", "constant"),
    [(MSELoss("sum"), stats.norm, 0.5 * np.log(2 * np.pi)), (MAELoss("sum"), stats.laplace, np.log(2))],
    ids=["Gaussian", "Laplace"],
)
def test_real_targets(loss, distribution, constant, rng):
    scores, targets = rng.normal(0, 3, (2, N, K))
    expected = -distribution(loc=scores).logpdf(targets).sum()
    assert loss(scores, targets) + N * K * constant == pytest.approx(expected, rel=1e-13, abs=0)


def test_classes(rng):
    scores, labels = rng.normal(0, 3, (N, K)), rng.integers(0, K, N)
    chances = stats.multinomial(1, special.softmax(scores, axis=1))
    expected = -sum(stats.multinomial(1, p).logpmf(y) for p, y in zip(chances.p, np.eye(K)[labels], strict=True))
    assert CrossEntropyLoss("sum")(scores, labels) == pytest.approx(expected, rel=1e-13, abs=0)


def test_answers(rng):
    scores, answers = rng.normal(0, 3, (N, K)), rng.integers(0, 2, (N, K))
    expected = -stats.bernoulli(special.expit(scores)).logpmf(answers).sum()
    assert BinaryCrossEntropyLoss("sum")(scores, answers) == pytest.approx(expected, rel=1e-13, abs=0)


@pytest.mark.parametrize("delta", [0.1, 1, 4])
def test_huber(delta, rng):
    scores, targets = rng.normal(0, 3, (2, N, K))
    expected = special.huber(delta, scores - targets).sum()
    assert HuberLoss(delta, "sum")(scores, targets) == pytest.approx(expected, rel=1e-13, abs=0)
