"""SGD on one weight, step by step on paper; and what must hold for any number of them."""

import numpy as np
import pytest

from mlp import SGD, CrossEntropyLoss, InputError, Linear, Network
from mlp.parameter import Parameter, ParameterVector


def one_weight(start: float = 0.0) -> ParameterVector:
    return ParameterVector([Parameter(np.array([float(start)]), "w")])


def walk(optimizer: SGD, gradients, lrs=None) -> list[float]:
    """The weight after each of these steps."""
    path = []
    for i, g in enumerate(gradients):
        if lrs is not None:
            optimizer.lr = lrs[i]
        optimizer.parameters.grad[...] = g
        optimizer.step()
        path.append(float(optimizer.parameters.data[0]))
    return path


# With g = 1, momentum 0.9, lr 0.1 the velocity of the heavy ball is 1, 1.9, 2.71, 3.439, 4.0951,
# which adds up to 13.1441. As a moving average it is a tenth of that.
MOMENTUM_TABLE = {
    "plain": ({}, [-0.1, -0.2, -0.3, -0.4, -0.5]),
    "heavy ball": ({"momentum": 0.9}, [-0.1, -0.29, -0.561, -0.9049, -1.31441]),
    "moving average": ({"momentum": 0.9, "dampening": 0.9}, [-0.01, -0.029, -0.0561, -0.09049, -0.131441]),
    # g + 0.9 v is 1.9, 2.71, 3.439, 4.0951, 4.68559: the heavy ball, one step ahead.
    "nesterov": ({"momentum": 0.9, "nesterov": True}, [-0.19, -0.461, -0.8049, -1.21441, -1.682969]),
    # v grows without bound: 1, 2, 3, 4, 5.
    "no friction": ({"momentum": 1.0}, [-0.1, -0.3, -0.6, -1.0, -1.5]),
}


@pytest.mark.parametrize("name", MOMENTUM_TABLE)
def test_the_meanings_of_momentum(name):
    options, expected = MOMENTUM_TABLE[name]
    assert walk(SGD(one_weight(), lr=0.1, **options), [1] * 5) == pytest.approx(expected, rel=1e-14, abs=0)


def test_a_constant_gradient_is_followed_at_speed_lr_over_one_minus_momentum():
    path = walk(SGD(one_weight(), lr=0.1, momentum=0.9), [2.0] * 400)
    assert path[-1] - path[-2] == pytest.approx(-2.0 * 0.1 / (1 - 0.9), rel=1e-12, abs=0)


def test_velocity_is_that_of_the_equations_and_a_copy():
    optimizer = SGD(one_weight(), lr=0.1, momentum=0.5)
    walk(optimizer, [1, 1, 1])  # v = 1, 1.5, 1.75
    assert optimizer.velocity == pytest.approx([1.75], rel=1e-15, abs=0)
    optimizer.velocity[...] = 9
    assert optimizer.velocity == pytest.approx([1.75], rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("lrs", "expected"),
    [
        # Momentum 0.5, g = 1: v = 1, 1.5, 1.75, 1.875 whatever the learning rate.
        ([0.1, 0.1, 0.01, 0.01], [-0.1, -0.25, -0.2675, -0.28625]),
        ([0.01, 0.1, 1.0, 0.1], [-0.01, -0.16, -1.91, -2.0975]),
        ([0.0, 0.0, 0.1, 0.1], [0, 0, -0.175, -0.3625]),
        ([0.1, 0.0, 0.0, 0.2], [-0.1, -0.1, -0.1, -0.475]),
    ],
)
def test_a_change_of_lr_leaves_the_velocity_alone(lrs, expected):
    optimizer = SGD(one_weight(), lr=lrs[0], momentum=0.5)
    assert walk(optimizer, [1] * 4, lrs) == pytest.approx(expected, rel=1e-14, abs=0)
    assert optimizer.velocity == pytest.approx([1.875], rel=1e-14, abs=0)


def test_lr_zero_with_nesterov_accumulates_and_does_not_move():
    # v = 1, 1.5, 1.75; only the third step moves: -0.1 (1 + 0.5 · 1.75).
    optimizer = SGD(one_weight(), lr=0, momentum=0.5, nesterov=True)
    assert walk(optimizer, [1] * 3, [0, 0, 0.1]) == pytest.approx([0, 0, -0.1875], rel=1e-14, abs=0)


def test_weight_decay_worked_numbers():
    # g = 0, lr = 0.5, decay 0.1: w shrinks by 5 % a step.
    assert walk(SGD(one_weight(2), lr=0.5, weight_decay=0.1), [0, 0]) == pytest.approx(
        [1.9, 1.805], rel=1e-15, abs=0
    )
    # It enters the velocity: v = 0.2, then 0.5 · 0.2 + 0.1 · 1.9 = 0.29.
    optimizer = SGD(one_weight(2), lr=0.5, momentum=0.5, weight_decay=0.1)
    assert walk(optimizer, [0, 0]) == pytest.approx([1.9, 1.755], rel=1e-15, abs=0)
    # It is dampened like a gradient: v = 0.1, then 0.05 + 0.5 · 0.1 · 1.95 = 0.1475.
    optimizer = SGD(one_weight(2), lr=0.5, momentum=0.5, dampening=0.5, weight_decay=0.1)
    assert walk(optimizer, [0, 0]) == pytest.approx([1.95, 1.87625], rel=1e-15, abs=0)
    # Nesterov: v = 0.2, step 0.2 + 0.5 · 0.2 = 0.3; then v = 0.1 + 0.185 = 0.285, step 0.185 + 0.1425 = 0.3275.
    optimizer = SGD(one_weight(2), lr=0.5, momentum=0.5, nesterov=True, weight_decay=0.1)
    assert walk(optimizer, [0, 0]) == pytest.approx([1.85, 1.68625], rel=1e-15, abs=0)


def test_weight_decay_does_not_depend_on_the_batch_size():
    """The same batch four times over is the same mean gradient, so the same step."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(8, 5)), rng.integers(0, 3, 8)
    weights = []
    for copies in (1, 4):
        network = Network(Linear(5, 3), rng=0, dtype=np.float64)
        optimizer = SGD(network.parameters, lr=0.5, momentum=0.9, weight_decay=0.3)
        for _ in range(5):
            network.training_step(np.tile(x, (copies, 1)), np.tile(labels, copies), CrossEntropyLoss())
            optimizer.step()
        weights.append(network.parameters.data.copy())
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-12)


OPTIONS = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"momentum": 0.7, "dampening": 0.7, "weight_decay": 0.01},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def many_weights(dtype=np.float64) -> ParameterVector:
    rng = np.random.default_rng(1)
    return ParameterVector(Parameter(rng.normal(size=s).astype(dtype)) for s in [(13, 7), (7,), (7, 3)])


@each_option
@pytest.mark.parametrize("block", [16, 2**18])
def test_every_entry_is_treated_as_if_it_were_alone(options, block, monkeypatch):
    monkeypatch.setattr("mlp.optim.base.BLOCK", block)
    vector = many_weights()
    start = vector.data.copy()
    gradients = np.random.default_rng(2).normal(size=(6, vector.size))
    optimizer = SGD(vector, lr=0.1, **options)
    for g in gradients:
        vector.grad[...] = g
        optimizer.step()
    for i in (0, 50, vector.size - 1):
        alone = walk(SGD(one_weight(start[i]), lr=0.1, **options), gradients[:, i])
        assert vector.data[i] == pytest.approx(alone[-1], rel=1e-13, abs=0)


@each_option
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_keeps_dtype_memory_and_gradients(options, dtype):
    vector = many_weights(dtype)
    optimizer = SGD(vector, **options)
    data, grad = vector.data, vector.grad
    grad[...] = np.random.default_rng(3).normal(size=vector.size)
    kept = grad.copy()
    for _ in range(3):
        optimizer.step()
        np.testing.assert_array_equal(vector.grad, kept)
    assert (vector.data.ctypes.data, vector.grad.ctypes.data) == (data.ctypes.data, grad.ctypes.data)
    assert vector.data.dtype == optimizer.velocity.dtype == dtype


@each_option
@pytest.mark.parametrize("stop", [3, 4])
def test_a_run_that_was_stopped_continues_bit_for_bit(options, stop):
    gradients = np.random.default_rng(4).normal(size=(9, many_weights().size)).astype(np.float32)
    lrs = np.linspace(0.1, 0.02, 9)

    def run(optimizer: SGD, steps: range) -> None:
        for i in steps:
            optimizer.lr = lrs[i]
            optimizer.parameters.grad[...] = gradients[i]
            optimizer.step()

    whole = SGD(many_weights(np.float32), lr=0.1, **options)
    run(whole, range(9))
    first = SGD(many_weights(np.float32), lr=0.1, **options)
    run(first, range(stop))
    second = SGD(many_weights(np.float32), lr=0.5, **options)
    second.parameters.data[...] = first.parameters.data
    second.load_state_dict(first.state_dict())
    run(second, range(stop, 9))
    np.testing.assert_array_equal(second.parameters.data, whole.parameters.data)
    np.testing.assert_array_equal(second.velocity, whole.velocity)


def test_state_is_a_copy_and_must_fit():
    optimizer = SGD(many_weights(), momentum=0.9)
    optimizer.parameters.grad[...] = 1
    optimizer.step()
    state = optimizer.state_dict()
    before = optimizer.velocity
    with pytest.raises(InputError, match="SGD: a state with"):
        optimizer.load_state_dict(SGD(one_weight()).state_dict())
    with pytest.raises(InputError, match="SGD: a state with"):
        optimizer.load_state_dict({})
    state["scaled_velocity"][...] = 0
    np.testing.assert_array_equal(optimizer.velocity, before)


def test_takes_parameters_one_by_one():
    parameters = [Parameter(np.ones(2)), Parameter(np.ones(1))]
    optimizer = SGD(parameters, lr=1)
    for p in parameters:
        p.grad[...] = 3
    optimizer.step()
    assert [p.data.tolist() for p in parameters] == [[-2, -2], [-2]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, "SGD: lr must be a finite number >= 0, got -0.1"),
        ({"lr": np.nan}, "SGD: lr must be a finite number >= 0, got nan"),
        ({"lr": "fast"}, "SGD: lr must be a finite number >= 0, got 'fast'"),
        ({"momentum": 1.1}, "SGD: momentum must be a finite number from 0 to 1, got 1.1"),
        ({"momentum": -0.1}, "SGD: momentum .* got -0.1"),
        ({"dampening": 2}, "SGD: dampening must be a finite number from 0 to 1, got 2"),
        ({"weight_decay": -1}, "SGD: weight_decay must be a finite number >= 0, got -1"),
        ({"weight_decay": np.inf}, "SGD: weight_decay .* got inf"),
        ({"nesterov": True}, "SGD: nesterov needs momentum > 0 and dampening 0, got 0.0 and 0.0"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "SGD: nesterov needs .* got 0.9 and 0.1"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError, match=message):
        SGD(one_weight(), **options)


def test_refuses_no_parameters():
    with pytest.raises(InputError, match="no parameters"):
        SGD([])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "SGD(lr=0.05)"),
        ({"lr": 0.1, "momentum": 0.9, "nesterov": True}, "SGD(lr=0.1, momentum=0.9, nesterov=True)"),
        (
            {"momentum": 0.9, "dampening": 0.9, "weight_decay": 1e-4},
            "SGD(lr=0.05, momentum=0.9, weight_decay=0.0001, dampening=0.9)",
        ),
    ],
)
def test_repr(options, text):
    assert repr(SGD(one_weight(), **options)) == text
