"""AdaGrad, RMSProp, Adam and AdamW on one weight, step by step on paper, and what connects them."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError
from mlp.optim import SGD, AdaGrad, Adam, AdamW, RMSProp
from mlp.parameter import Parameter, ParameterVector

TINY = 1e-300  # an ε that does not show


def one_weight(start: float = 0.0, dtype=np.float64) -> ParameterVector:
    return ParameterVector([Parameter(np.array([start], dtype), "w")])


def walk(optimizer, gradients) -> list[float]:
    """The weight after each of these steps."""
    path = []
    for g in gradients:
        optimizer.parameters.grad[...] = g
        optimizer.step()
        path.append(float(optimizer.parameters.data[0]))
    return path


def close(values):
    return pytest.approx(values, rel=1e-13, abs=1e-15)


class TestAdaGrad:
    def test_steps_under_a_constant_gradient_fall_as_one_over_root_t(self):
        # 0.1 (1 + 1/√2 + 1/√3), whatever the gradient is.
        path = [-0.1, -0.1 - 0.1 / sqrt(2), -0.1 - 0.1 / sqrt(2) - 0.1 / sqrt(3)]
        for g in (1, 1e-3, 1e3):
            assert walk(AdaGrad(one_weight(), lr=0.1, eps=TINY), [g] * 3) == close(path)

    def test_worked_numbers(self):
        # S = 9, 25, 169: steps of 0.1 · 3/3, 4/5, 12/13.
        path = walk(AdaGrad(one_weight(), lr=0.1, eps=TINY), [3, 4, -12])
        assert path == close([-0.1, -0.18, -0.18 + 1.2 / 13])

    def test_eps_stands_outside_the_root(self):
        assert walk(AdaGrad(one_weight(), lr=0.1, eps=1), [3]) == close([-0.075])  # 3 / (3 + 1)

    def test_weight_decay_enters_the_sum(self):
        # g = 0, w = 2: λ w = 0.2 and 0.2 / √0.04 = 1, times η; then w = 1.5 and 0.15 / √(0.04 + 0.0225) = 0.6.
        path = walk(AdaGrad(one_weight(2), lr=0.5, eps=TINY, weight_decay=0.1), [0, 0])
        assert path == close([1.5, 1.2])


class TestRMSProp:
    def test_worked_numbers(self):
        # v = 0.25, 0.4375: the first step is η / √(1 - α), twice η.
        path = walk(RMSProp(one_weight(), lr=0.1, alpha=0.75, eps=TINY), [1, 1])
        assert path == close([-0.2, -0.2 - 0.1 / sqrt(0.4375)])

    def test_the_first_step_is_ten_times_lr_by_default(self):
        assert walk(RMSProp(one_weight(), lr=0.1, eps=TINY), [7]) == close([-1])

    def test_eps_stands_outside_the_root(self):
        # √v = 0.5 · 2 = 1: 2 / (1 + 3)
        assert walk(RMSProp(one_weight(), lr=0.1, alpha=0.75, eps=3), [2]) == close([-0.05])

    def test_centered(self):
        # m = 0.25, v = 0.25: variance 0.1875. Then g = 0: m = 0.1875, v = 0.1875, and no step.
        path = walk(RMSProp(one_weight(), lr=0.1, alpha=0.75, eps=TINY, centered=True), [1, 0])
        assert path == close([-0.1 / sqrt(0.1875)] * 2)

    def test_momentum(self):
        # g / √v = 2, then 0: u = 2, 1, 0.5.
        path = walk(RMSProp(one_weight(), lr=0.1, alpha=0.75, eps=TINY, momentum=0.5), [1, 0, 0])
        assert path == close([-0.2, -0.3, -0.35])

    def test_the_velocity_does_not_depend_on_the_learning_rate(self):
        optimizer = RMSProp(one_weight(), lr=5, alpha=0.75, eps=TINY, momentum=0.5)
        walk(optimizer, [1])
        optimizer.lr = 0.1
        assert walk(optimizer, [0]) == close([-10 - 0.1])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_variance_that_rounding_makes_negative_counts_as_zero(self, dtype):
        """Under a constant gradient the variance goes to 0, and rounding decides its sign."""
        for g in (0.1, 0.3, 0.7):
            optimizer = RMSProp(one_weight(dtype=dtype), lr=1e-3, alpha=0.5, eps=1, centered=True)
            path = walk(optimizer, [g] * 200)
            assert path[-1] - path[-2] == pytest.approx(-1e-3 * g, rel=1e-2)


class TestAdam:
    def test_worked_numbers(self):
        # m = 0.5, -0.25, 0.875, over 1 - 0.5^t: m̂ = 1, -1/3, 1.
        # v = 0.25, 0.4375, 1.328125, over 1 - 0.75^t = 0.25, 0.4375, 0.578125: v̂ = 1, 1, 85/37.
        optimizer = Adam(one_weight(), lr=0.1, betas=(0.5, 0.75), eps=TINY)
        assert walk(optimizer, [1, -1, 2]) == close([-0.1, -0.2 / 3, -0.2 / 3 - 0.1 / sqrt(85 / 37)])
        assert optimizer.first_moment == close([1])
        assert optimizer.second_moment == close([85 / 37])

    def test_a_constant_gradient_moves_by_lr_a_step_whatever_its_size(self):
        for g in (1e-3, 1, 1e3):
            path = walk(Adam(one_weight(), lr=0.1, eps=TINY), [g] * 4)
            assert path == close([-0.1, -0.2, -0.3, -0.4])

    def test_eps_stands_outside_the_root_and_is_added_to_the_corrected_one(self):
        # √v̂ = 3 in both steps: 3 / (3 + 1).
        assert walk(Adam(one_weight(), lr=0.1, eps=1), [3, 3]) == close([-0.075, -0.15])

    def test_beta_one_is_the_plain_mean(self):
        # Means of 1, 3, 5: 1, 2, 3. Of their squares: 1, 5, 35/3.
        path = walk(Adam(one_weight(), lr=0.1, betas=(1, 1), eps=TINY), [1, 3, 5])
        assert np.diff([0, *path]) == close([-0.1, -0.2 / sqrt(5), -0.3 / sqrt(35 / 3)])

    def test_betas_zero_are_the_sign_of_the_gradient(self):
        path = walk(Adam(one_weight(), lr=0.1, betas=(0, 0), eps=TINY), [5, -0.01, 2])
        assert path == close([-0.1, 0, -0.1])

    def test_amsgrad_never_forgets_a_large_gradient(self):
        # v = 2 · 0.5 = 8, 4.5, 2.75 with β₂ = 0.5; the largest stays 8, over 1 - 0.5^t: 16, 32/3, 64/7.
        options = {"lr": 0.1, "betas": (0, 0.5), "eps": TINY}
        path = walk(Adam(one_weight(), amsgrad=True, **options), [4, 1, 1])
        assert np.diff([0, *path]) == close([-0.1, -0.1 / sqrt(32 / 3), -0.1 / sqrt(64 / 7)])
        path = walk(Adam(one_weight(), **options), [4, 1, 1])
        assert np.diff([0, *path]) == close([-0.1, -0.1 / sqrt(6), -0.1 / sqrt(2.75 / 0.875)])

    def test_moments_are_copies_and_zero_before_the_first_step(self):
        optimizer = Adam(one_weight())
        assert (optimizer.first_moment, optimizer.second_moment) == ([0], [0])
        walk(optimizer, [2])
        optimizer.first_moment[...] = optimizer.second_moment[...] = 9
        assert (optimizer.first_moment, optimizer.second_moment) == (close([2]), close([4]))

    def test_coupled_weight_decay_is_normalised_decoupled_is_not(self):
        # g = 0, w = 2. Coupled: λ w = 0.2 is a gradient like any other, so the first step has length η.
        assert walk(Adam(one_weight(2), lr=0.5, eps=TINY, weight_decay=0.1), [0]) == close([1.5])
        # Decoupled: w shrinks by η λ = 5 % a step.
        assert walk(AdamW(one_weight(2), lr=0.5, weight_decay=0.1), [0, 0]) == close([1.9, 1.805])

    def test_decoupled_decay_acts_on_the_weight_before_the_step(self):
        # 2 · 0.95 - 0.5
        assert walk(AdamW(one_weight(2), lr=0.5, eps=TINY, weight_decay=0.1), [7]) == close([1.4])

    def test_the_corrections_hold_over_many_steps(self):
        """The weights in the averages are added up step by step, and must end at 1 / (1 - β)."""
        optimizer = Adam(one_weight(), lr=0)
        walk(optimizer, [2] * 20_000)
        assert optimizer.state_dict()["counts"] == pytest.approx([10, 1000 * (1 - 0.999**20_000)], rel=1e-12)


draws = st.integers(0, 2**32 - 1)


@given(seed=draws, amsgrad=st.booleans(), size=st.integers(1, 40))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_adamw_without_weight_decay_is_adam(seed, amsgrad, size):
    paths = []
    for kind in (Adam, AdamW):
        rng = np.random.default_rng(seed)
        vector = ParameterVector([Parameter(rng.normal(size=size))])
        optimizer = kind(vector, lr=0.1, weight_decay=0, amsgrad=amsgrad)
        for _ in range(5):
            vector.grad[...] = rng.normal(size=size)
            optimizer.step()
        paths.append(vector.data)
    np.testing.assert_array_equal(*paths)


@given(seed=draws, factor=st.floats(1e-3, 1e3), kind=st.sampled_from([AdaGrad, RMSProp, Adam]))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_adaptive_steps_do_not_depend_on_the_scale_of_the_loss(seed, factor, kind):
    paths = []
    for scale in (1, factor):
        rng = np.random.default_rng(seed)
        vector = ParameterVector([Parameter(np.zeros(6))])
        optimizer = kind(vector, lr=0.1, eps=TINY)
        for _ in range(5):
            vector.grad[...] = scale * rng.normal(size=6)
            optimizer.step()
        paths.append(vector.data)
    np.testing.assert_allclose(*paths, rtol=1e-12, atol=1e-14)


def test_the_four_meanings_of_momentum():
    """With g = 1, momentum 0.9, lr 0.1, five steps move a weight by -1.314, -0.131, -0.500, or -1.314 again."""
    heavy_ball = SGD(one_weight(), lr=0.1, momentum=0.9)
    assert walk(heavy_ball, [1] * 5)[-1] == pytest.approx(-1.314, abs=5e-4)
    moving_average = SGD(one_weight(), lr=0.1, momentum=0.9, dampening=0.9)
    assert walk(moving_average, [1] * 5)[-1] == pytest.approx(-0.131, abs=5e-4)
    # PyTorch takes its first gradient undamped, as if the average had been 1 before it began.
    from_one = SGD(one_weight(), lr=0.1, momentum=0.9, dampening=0.9)
    from_one.load_state_dict({"scaled_velocity": np.array([0.1]), "scale": np.array(0.1), "row": np.array(0)})
    assert walk(from_one, [1] * 5)[-1] == pytest.approx(-0.500, abs=1e-12)
    # v = β v - η g, w += v is the first one, until η changes: then it goes on at the old speed for a while.
    v, w = 0.0, 0.0
    for lr in (0.1, 0.1, 0.1, 0.01):
        v = 0.9 * v - lr
        w += v
    # v = 1, 1.9, 2.71, 3.439: -0.1 (1 + 1.9 + 2.71) - 0.01 · 3.439 for SGD, -0.561 - 0.9 · 0.271 - 0.01 for that.
    optimizer = SGD(one_weight(), lr=0.1, momentum=0.9)
    walk(optimizer, [1] * 3)
    optimizer.lr = 0.01
    assert walk(optimizer, [1]) == pytest.approx([-0.59539])
    assert w == pytest.approx(-0.8149)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v: AdaGrad(v, eps=0), "AdaGrad: eps must be a finite number >= 2.22507e-308, got 0"),
        (lambda v: AdaGrad(v, weight_decay=-1), "AdaGrad: weight_decay must be a finite number >= 0, got -1"),
        (lambda v: RMSProp(v, alpha=1), "RMSProp: alpha must be below 1: with 1 nothing is ever averaged"),
        (lambda v: RMSProp(v, alpha=-0.1), "RMSProp: alpha must be a finite number from 0 to 1, got -0.1"),
        (lambda v: RMSProp(v, momentum=1.5), "RMSProp: momentum must be a finite number from 0 to 1, got 1.5"),
        (lambda v: Adam(v, betas=0.9), "Adam: betas must be two numbers from 0 to 1, got 0.9"),
        (lambda v: Adam(v, betas=(0.9, 0.9, 0.9)), "Adam: betas must be two numbers from 0 to 1, got "),
        (lambda v: Adam(v, betas=(1.1, 0.9)), "Adam: beta1 must be a finite number from 0 to 1, got 1.1"),
        (lambda v: AdamW(v, betas=(0.9, "0.9")), "AdamW: beta2 must be a finite number from 0 to 1, got '0.9'"),
        (lambda v: AdamW(v, weight_decay=np.nan), "AdamW: weight_decay must be a finite number >= 0, got nan"),
        (lambda v: Adam(v, eps=-1e-8), "Adam: eps must be a finite number >= 2.22507e-308, got -1e-08"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(InputError) as error:
        make(one_weight())
    assert message in str(error.value)


def test_an_eps_that_is_zero_in_float32_is_refused():
    Adam(one_weight(), eps=1e-60)
    with pytest.raises(InputError, match=r"Adam: eps must be a finite number >= 1\.17549e-38, got 1e-60"):
        Adam(one_weight(dtype=np.float32), eps=1e-60)


@pytest.mark.parametrize("kind", [AdaGrad, RMSProp, Adam, AdamW])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_weight_whose_gradient_is_always_zero_stays(kind, dtype):
    optimizer = kind(one_weight(0.0, dtype), eps=np.finfo(dtype).tiny)
    assert walk(optimizer, [0, 0, 0]) == [0, 0, 0]
