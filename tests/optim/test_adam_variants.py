"""NAdam, RAdam and Lion: first steps worked out by hand. Fifty steps like PyTorch's: test_optim_torch.py."""

import math

import numpy as np
import pytest

from mlp import InputError
from mlp.optim import Lion, NAdam, RAdam
from mlp.parameter import Parameter, ParameterVector


def vector_of(*values: float) -> ParameterVector:
    return ParameterVector([Parameter(np.array(values), "w")])


def step(optimizer, *gradient: float) -> list[float]:
    before = optimizer.parameters.data.copy()
    optimizer.parameters.grad[...] = gradient
    optimizer.step()
    return (optimizer.parameters.data - before).tolist()


def test_lion_moves_every_weight_by_the_learning_rate():
    optimizer = Lion(vector_of(1.0, -2.0, 3.0), lr=0.1, betas=(0.9, 0.5))
    assert step(optimizer, 1e-8, -50.0, 0.0) == pytest.approx([-0.1, 0.1, 0.0])
    # m is half of the first gradient: 0.9 · (-25) + 0.1 · 200 = -2.5, so the new sign does not win yet.
    assert step(optimizer, -1e-8, 200.0, 1.0) == pytest.approx([-0.1, 0.1, -0.1])


def test_decay_of_lion_is_apart_from_the_sign():
    optimizer = Lion(vector_of(10.0), lr=0.1, weight_decay=0.2)
    assert step(optimizer, -3.0) == pytest.approx([0.1 - 0.1 * 0.2 * 10])


def test_the_first_step_of_radam_is_that_of_momentum():
    # m̂ is the gradient itself; √v waits until the sixth step.
    assert step(RAdam(vector_of(1.0, 1.0), lr=0.1), 3.0, -0.01) == pytest.approx([-0.3, 0.001])


def test_radam_becomes_adaptive_after_five_steps():
    optimizer = RAdam(vector_of(0.0), lr=1.0)
    moves = [step(optimizer, 4.0)[0] for _ in range(6)]
    assert moves[:5] == pytest.approx([-4.0] * 5)
    assert abs(moves[5]) < 0.1


def test_the_first_step_of_nadam():
    # √v̂ is the size of the gradient, m = 0.1 g, and Π₁ = μ₁.
    now, ahead = 0.9 * (1 - 0.5 * 0.96), 0.9 * (1 - 0.5 * 0.96**2)
    expected = ahead * 0.1 / (1 - now * ahead) + (1 - now) / (1 - now)
    optimizer = NAdam(vector_of(0.0), lr=0.1, momentum_decay=1, eps=1e-300)
    assert step(optimizer, 7.0) == pytest.approx([-0.1 * expected])
    assert math.isfinite(optimizer.state()["momentum_product"][0])


@pytest.mark.parametrize("kind", [NAdam, RAdam])
def test_averages_must_fade(kind):
    with pytest.raises(InputError, match=f"{kind.__name__}: betas must be below 1"):
        kind(vector_of(0.0), betas=(0.9, 1.0))
