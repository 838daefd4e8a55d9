"""Every option of every loss gives PyTorch's numbers in float64, value and gradient, to 1e-12."""

import numpy as np
import pytest

from mlp import CrossEntropyLoss, MSELoss
from mlp.losses import BinaryCrossEntropyLoss, HuberLoss, MAELoss, NLLLoss

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests and is not installed")
F = torch.nn.functional

N, K = 9, 5
RNG = np.random.default_rng(7)
C = RNG.uniform(0.1, 2, K)
LABELS = RNG.integers(0, K, N)
SOFT = RNG.dirichlet(np.ones(K), N)
REAL = RNG.normal(0, 2, (N, K))
ANSWERS = RNG.choice([0.0, 0.3, 1.0], (N, K))
WEIGHTS = RNG.uniform(0, 3, N)
c = torch.tensor(C)


def cross_entropy(**options):
    return lambda s, t: F.cross_entropy(s, t, **options)


def weighted_mean(per_sample, weights):
    """Theirs has no sample weights: sum of w l over sum of w, or over another sum of weights."""
    return lambda s, t: (torch.tensor(WEIGHTS) * per_sample(s, t)).sum() / weights.sum()


def one_sided(**options):
    return lambda s, t: F.binary_cross_entropy_with_logits(s, t, **options)


# Ours, the targets, PyTorch's as a function of (scores, targets), and our sample weights.
CASES = [
    (CrossEntropyLoss(label_smoothing=0.1), LABELS, cross_entropy(label_smoothing=0.1), None),
    (CrossEntropyLoss("sum", 0.6), LABELS, cross_entropy(label_smoothing=0.6, reduction="sum"), None),
    (CrossEntropyLoss(class_weight=C), LABELS, cross_entropy(weight=c), None),
    (CrossEntropyLoss("sum", class_weight=C), LABELS, cross_entropy(weight=c, reduction="sum"), None),
    (CrossEntropyLoss("mean", 0.3, C), LABELS, cross_entropy(weight=c, label_smoothing=0.3), None),
    (CrossEntropyLoss("sum", 0.3, C), LABELS, cross_entropy(weight=c, label_smoothing=0.3, reduction="sum"), None),
    (CrossEntropyLoss(), SOFT, cross_entropy(), None),
    (CrossEntropyLoss("sum"), SOFT, cross_entropy(reduction="sum"), None),
    (CrossEntropyLoss(label_smoothing=0.3), SOFT, cross_entropy(label_smoothing=0.3), None),
    (CrossEntropyLoss("sum", 0.3, C), SOFT, cross_entropy(weight=c, label_smoothing=0.3, reduction="sum"), None),
    # For soft labels PyTorch divides the weighted sum by N, and we by the sum of the weights.
    (
        CrossEntropyLoss("mean", 0.3, C),
        SOFT,
        lambda s, t: F.cross_entropy(s, t, weight=c, label_smoothing=0.3) * N / (SOFT @ C).sum(),
        None,
    ),
    (CrossEntropyLoss(), LABELS, weighted_mean(cross_entropy(reduction="none"), WEIGHTS), WEIGHTS),
    (CrossEntropyLoss(), SOFT, weighted_mean(cross_entropy(reduction="none"), WEIGHTS), WEIGHTS),
    (
        CrossEntropyLoss("mean", 0.3, C),
        LABELS,
        weighted_mean(cross_entropy(weight=c, label_smoothing=0.3, reduction="none"), WEIGHTS * C[LABELS]),
        WEIGHTS,
    ),
    (
        CrossEntropyLoss("mean", 0.3, C),
        SOFT,
        weighted_mean(cross_entropy(weight=c, label_smoothing=0.3, reduction="none"), WEIGHTS * (SOFT @ C)),
        WEIGHTS,
    ),
    (MSELoss("element_mean"), REAL, lambda s, t: F.mse_loss(s, t), None),
    (MSELoss(), REAL, weighted_mean(lambda s, t: 0.5 * ((s - t) ** 2).sum(1), WEIGHTS), WEIGHTS),
    (MAELoss("element_mean"), REAL, lambda s, t: F.l1_loss(s, t), None),
    (MAELoss("sum"), REAL, lambda s, t: F.l1_loss(s, t, reduction="sum"), None),
    (MAELoss(), REAL, lambda s, t: F.l1_loss(s, t, reduction="sum") / N, None),
    (
        MAELoss("element_mean"),
        REAL,
        weighted_mean(lambda s, t: F.l1_loss(s, t, reduction="none").mean(1), WEIGHTS),
        WEIGHTS,
    ),
    (HuberLoss(1, "element_mean"), REAL, lambda s, t: F.huber_loss(s, t), None),
    (HuberLoss(0.3, "element_mean"), REAL, lambda s, t: F.huber_loss(s, t, delta=0.3), None),
    (HuberLoss(2.5, "sum"), REAL, lambda s, t: F.huber_loss(s, t, delta=2.5, reduction="sum"), None),
    (
        HuberLoss(2.5),
        REAL,
        weighted_mean(lambda s, t: F.huber_loss(s, t, delta=2.5, reduction="none").sum(1), WEIGHTS),
        WEIGHTS,
    ),
    (BinaryCrossEntropyLoss("element_mean"), ANSWERS, one_sided(), None),
    (BinaryCrossEntropyLoss("sum"), ANSWERS, one_sided(reduction="sum"), None),
    (BinaryCrossEntropyLoss(), ANSWERS, lambda s, t: K * F.binary_cross_entropy_with_logits(s, t), None),
    (BinaryCrossEntropyLoss("element_mean", 3), ANSWERS, one_sided(pos_weight=torch.tensor(3.0)), None),
    (BinaryCrossEntropyLoss("element_mean", C), ANSWERS, one_sided(pos_weight=c), None),
    (
        BinaryCrossEntropyLoss("mean", C),
        ANSWERS,
        weighted_mean(lambda s, t: one_sided(pos_weight=c, reduction="none")(s, t).sum(1), WEIGHTS),
        WEIGHTS,
    ),
]


def check(loss, scores, targets, theirs, weights) -> None:
    their_scores = torch.tensor(scores, requires_grad=True)
    expected = theirs(their_scores, torch.tensor(targets))
    expected.backward()
    assert loss.forward(scores, targets, weights) == pytest.approx(expected.item(), rel=1e-12, abs=0)
    np.testing.assert_allclose(loss.backward(), their_scores.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("loss", "targets", "theirs", "weights"),
    CASES,
    ids=[f"{loss!r} {t.dtype}{t.shape} {'plain' if w is None else 'weighted'}" for loss, t, _, w in CASES],
)
@pytest.mark.parametrize("spread", [0.1, 3, 100])
def test_scores(loss, targets, theirs, weights, spread):
    scores = spread * np.random.default_rng(0).normal(size=(N, K))
    if spread == 3:
        scores[0], scores[1] = targets[0] if targets.shape == (N, K) else 0, 0  # kinks, and equal scores
    check(loss, scores, targets, theirs, weights)


@pytest.mark.parametrize(
    ("loss", "theirs"),
    [
        (NLLLoss(), lambda s, t: F.nll_loss(s, t)),
        (NLLLoss("sum"), lambda s, t: F.nll_loss(s, t, reduction="sum")),
        (NLLLoss(class_weight=C), lambda s, t: F.nll_loss(s, t, weight=c)),
        (NLLLoss("sum", C), lambda s, t: F.nll_loss(s, t, weight=c, reduction="sum")),
    ],
    ids=lambda value: repr(value) if isinstance(value, NLLLoss) else "",
)
def test_log_probabilities(loss, theirs):
    log_p = np.log(np.random.default_rng(0).dirichlet(np.ones(K), N))
    check(loss, log_p, LABELS, theirs, None)
    weights = WEIGHTS * (1 if loss.class_weight is None else C[LABELS])
    per_sample = lambda s, t: F.nll_loss(  # noqa: E731
        s, t, weight=None if loss.class_weight is None else c, reduction="none"
    )
    if loss.reduction == "mean":
        check(loss, log_p, LABELS, weighted_mean(per_sample, weights), WEIGHTS)


def test_one_output_takes_labels_0_and_1():
    scores, labels = np.random.default_rng(0).normal(0, 5, (N, 1)), np.arange(N) % 2
    check(
        BinaryCrossEntropyLoss(),
        scores,
        labels,
        lambda s, t: F.binary_cross_entropy_with_logits(s[:, 0], t.double()),
        None,
    )
