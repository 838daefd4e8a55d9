"""The same numbers as PyTorch in float64, step by step: optimizers, schedules, clipping, averages of weights."""

import numpy as np
import pytest

from mlp.optim import (
    AdaGrad,
    Adam,
    AdamW,
    NAdam,
    RAdam,
    ReduceOnPlateau,
    RMSProp,
    WeightAverage,
    clip_by_norm,
    clip_by_value,
    constant,
    cosine,
    cosine_restarts,
    exponential,
    inverse_sqrt,
    inverse_time,
    linear,
    multi_step,
    one_cycle,
    polynomial,
    sequential,
    step_decay,
    warmup,
)
from mlp.parameter import Parameter, ParameterVector

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests and is not installed")
lr_scheduler = torch.optim.lr_scheduler
swa_utils = torch.optim.swa_utils

SIZE, STEPS = 20, 50


@pytest.fixture(autouse=True)
def scalars_in_float64():
    """NAdam of PyTorch keeps its product of momenta in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def tensor(array: np.ndarray):
    return torch.tensor(np.asarray(array))


def close(actual, expected) -> None:
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


def make_pair(seed: int = 0):
    start = np.random.default_rng(seed).normal(size=SIZE)
    return ParameterVector([Parameter(start.copy(), "w")]), torch.nn.Parameter(tensor(start))


OPTIMIZERS = [
    *(
        (AdaGrad, torch.optim.Adagrad, options)
        for options in ({}, {"weight_decay": 0.1}, {"eps": 0.1}, {"eps": 0.1, "weight_decay": 0.1})
    ),
    *(
        (RMSProp, torch.optim.RMSprop, {**options, **more})
        for options in ({}, {"momentum": 0.9}, {"centered": True}, {"momentum": 0.9, "centered": True})
        for more in ({}, {"weight_decay": 0.1}, {"alpha": 0.5}, {"eps": 0.1, "alpha": 0.9})
    ),
    *(
        (ours, theirs, {**options, **more})
        for ours, theirs in ((Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW))
        for options in ({}, {"amsgrad": True})
        for more in ({}, {"weight_decay": 0.1}, {"weight_decay": 0}, {"betas": (0.5, 0.8)}, {"eps": 0.1})
    ),
    *(
        (ours, theirs, options)
        for ours, theirs in ((NAdam, torch.optim.NAdam), (RAdam, torch.optim.RAdam))
        for options in ({}, {"weight_decay": 0.1}, {"betas": (0.5, 0.8)}, {"betas": (0.9, 0.5)}, {"eps": 0.1})
    ),
    (NAdam, torch.optim.NAdam, {"momentum_decay": 0.3}),
]
RATES = {
    "constant": lambda i: 0.05,
    "falling": lambda i: 0.3 / (1 + i),
    "pauses": lambda i: (0.1, 0.0, 0.02)[i % 3],
}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("ours", "theirs", "options"), OPTIMIZERS, ids=[f"{ours.__name__}-{o}" for ours, _, o in OPTIMIZERS]
)
def test_optimizers(ours, theirs, options, rate):
    vector, parameter = make_pair()
    optimizer = ours(vector, lr=RATES[rate](0), **options)
    twin = theirs([parameter], lr=RATES[rate](0), **options)
    rng = np.random.default_rng(1)
    for i in range(STEPS):
        # Gradients of very different sizes, among them zeros.
        g = rng.normal(size=SIZE) * 10.0 ** rng.integers(-6, 3, SIZE) * (rng.random(SIZE) < 0.8)
        vector.grad[...] = g
        parameter.grad = tensor(g)
        optimizer.lr = twin.param_groups[0]["lr"] = RATES[rate](i)
        optimizer.step()
        twin.step()
        close(vector.data, parameter)
    if ours in (Adam, AdamW):
        beta1, beta2 = optimizer.betas
        close(optimizer.first_moment, twin.state[parameter]["exp_avg"] / (1 - beta1**STEPS))
        close(optimizer.second_moment, twin.state[parameter]["exp_avg_sq"] / (1 - beta2**STEPS))


def their_rates(make, lr: float, steps: int, **sgd) -> list[float]:
    """The learning rates of a PyTorch scheduler, step by step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, **sgd)
    scheduler, rates = make(optimizer), []
    for i in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if i < steps - 1:
            scheduler.step()
    return rates


def lambda_lr(factor):
    return lambda optimizer: lr_scheduler.LambdaLR(optimizer, factor)


SCHEDULES = {
    "constant": (constant(0.3), lambda o: lr_scheduler.ConstantLR(o, factor=1)),
    "step decay": (step_decay(0.3, every=7, factor=0.5), lambda o: lr_scheduler.StepLR(o, 7, gamma=0.5)),
    "exponential": (exponential(0.3, 0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "linear": (
        linear(0.3, 30, end=0.03),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1, end_factor=0.1, total_iters=30),
    ),
    "linear upwards": (
        linear(0.03, 30, end=0.3),
        lambda o: lr_scheduler.LinearLR(o, start_factor=0.1, end_factor=1, total_iters=30),
    ),
    "multi step": (
        multi_step(0.3, [4, 5, 30], factor=0.5),
        lambda o: lr_scheduler.MultiStepLR(o, [4, 5, 30], gamma=0.5),
    ),
    "polynomial": (polynomial(0.3, 30, power=2.5), lambda o: lr_scheduler.PolynomialLR(o, 30, power=2.5)),
    "restarts": (cosine_restarts(0.3, 7), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7)),
    "growing restarts": (
        cosine_restarts(0.3, 5, growth=2, end=0.1),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5, T_mult=2, eta_min=0.1),
    ),
    "cosine": (cosine(0.3, 59), lambda o: lr_scheduler.CosineAnnealingLR(o, 59)),
    "cosine to": (cosine(0.3, 59, end=0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, 59, eta_min=0.1)),
    "inverse time": (inverse_time(0.3, 0.1), lambda_lr(lambda t: 1 / (1 + 0.1 * t))),
    "inverse sqrt": (inverse_sqrt(0.3, 0.1), lambda_lr(lambda t: (1 + 0.1 * t) ** -0.5)),
    "warmup": (warmup(constant(0.3), 10), lambda_lr(lambda t: min(1, (t + 1) / 11))),
    "Noam": (warmup(inverse_sqrt(0.3, 1 / 9), 9), lambda_lr(lambda t: min((t + 1) / 10, (max(t, 1) / 9) ** -0.5))),
    "warmup, cosine": (
        warmup(cosine(0.3, 50), 10),
        lambda o: lr_scheduler.SequentialLR(
            o,
            [
                lr_scheduler.LinearLR(o, start_factor=1 / 11, total_iters=10),
                lr_scheduler.CosineAnnealingLR(o, 50),
            ],
            milestones=[10],
        ),
    ),
    "three in a row": (
        sequential([constant(0.3), step_decay(0.3, 5, 0.5), exponential(0.3, 0.8)], [10, 30]),
        lambda o: lr_scheduler.SequentialLR(
            o,
            [
                lr_scheduler.ConstantLR(o, factor=1),
                lr_scheduler.StepLR(o, 5, 0.5),
                lr_scheduler.ExponentialLR(o, 0.8),
            ],
            milestones=[10, 30],
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    ours, theirs = SCHEDULES[name]
    start = 0.3  # the highest rate, which PyTorch's factors are factors of
    np.testing.assert_allclose([ours(t) for t in range(60)], their_rates(theirs, start, 60), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [2, 3, 4, 10, 57])
@pytest.mark.parametrize(
    "options", [{}, {"pct_start": 0.6}, {"div_factor": 5, "final_div_factor": 100}, {"pct_start": 0.0}], ids=str
)
def test_one_cycle(steps, options):
    ours = one_cycle(0.3, steps, **options)
    theirs = their_rates(
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.3, total_steps=steps, cycle_momentum=False, **options),
        0.3,
        steps,
    )
    np.testing.assert_allclose([ours(t) for t in range(steps)], theirs, rtol=1e-12)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.7},
        {"patience": 1, "cooldown": 3},
        {"patience": 1, "threshold": 0.2},
        {"patience": 1, "factor": 0.5, "min_factor": 0.1},
    ],
    ids=str,
)
def test_reduce_on_plateau(mode, relative, options):
    lr = 0.3
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    min_lr = options.get("min_factor", 0) * lr
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, threshold_mode="rel" if relative else "abs", min_lr=min_lr, eps=0,
        **{k: v for k, v in options.items() if k != "min_factor"},
    )  # fmt: skip
    ours = ReduceOnPlateau(mode, relative=relative, **options)
    rng = np.random.default_rng(3)
    values = np.exp(-np.arange(60) / 8) + 0.2 * rng.random(60)
    values[[20, 33]] = np.nan
    rates = []
    for value in values if mode == "min" else 1 - values:
        rates.append(lr * ours.update(value))
        theirs.step(value)
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert len(set(rates)) > 2


@pytest.mark.parametrize("limit", [0.0, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_clip_by_norm(limit, scale):
    g = scale * np.random.default_rng(0).normal(size=SIZE)
    vector, parameter = make_pair()
    vector.grad[...] = g
    parameter.grad = tensor(g)
    norm = clip_by_norm(vector, limit)
    theirs = torch.nn.utils.clip_grad_norm_([parameter], limit)
    assert norm == pytest.approx(theirs.item(), rel=1e-14)
    # Where PyTorch clips, it divides by norm + 1e-6 in place of norm.
    factor = (norm + 1e-6) / norm if limit < norm + 1e-6 else 1
    np.testing.assert_allclose(vector.grad, parameter.grad.numpy() * factor, rtol=1e-12)


def test_clip_by_value():
    g = np.random.default_rng(0).normal(size=SIZE)
    vector, parameter = make_pair()
    vector.grad[...] = g
    parameter.grad = tensor(g)
    clip_by_value(vector, 0.5)
    torch.nn.utils.clip_grad_value_([parameter], 0.5)
    np.testing.assert_array_equal(vector.grad, parameter.grad)
    assert abs(g).max() > 0.5


@pytest.mark.parametrize(
    ("options", "average_by"),
    [
        # PyTorch's plain average, and its exponential one, which begins with a copy of the first weights.
        ({"decay": 1.0}, {}),
        ({"decay": 0.9, "bias_correction": False}, {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.9)}),
    ],
    ids=["plain", "exponential"],
)
def test_weight_average(options, average_by):
    vector, parameter = make_pair()
    module = torch.nn.Module()
    module.w = parameter
    twin = swa_utils.AveragedModel(module, **average_by)
    ours = WeightAverage(vector, **options)
    rng = np.random.default_rng(2)
    for i in range(STEPS):
        if i > 0:
            vector.data[...] = rng.normal(size=SIZE)
            parameter.data = tensor(vector.data.copy())
        ours.update()
        twin.update_parameters(module)
        close(ours.average, twin.module.w)
