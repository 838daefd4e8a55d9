"""Cross-entropy with class weights, smoothed and soft labels, and the loss of log-probabilities."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import CrossEntropyLoss, InputError, Linear, LogSoftmax, Network
from mlp.functional import log_softmax, softmax
from mlp.losses import KLDivLoss, NLLLoss

# Rows whose probabilities are 1/8, 2/8 and 5/8.
SCORES = np.log([[1.0, 2, 5], [1, 2, 5]])
few_examples = settings(deadline=None, max_examples=50, derandomize=True)


@pytest.mark.parametrize("loss", [CrossEntropyLoss(class_weight=[3, 1, 1]), NLLLoss(class_weight=[3, 1, 1])])
def test_class_weights_worked_numbers(loss):
    scores = SCORES if isinstance(loss, CrossEntropyLoss) else SCORES - math.log(8)
    # Label 0 has weight 3 and loss ln 8, label 2 weight 1 and loss ln 8/5: the weights sum to 4.
    assert loss(scores, np.array([0, 2])) == pytest.approx((3 * math.log(8) + math.log(1.6)) / 4, rel=1e-15, abs=0)
    assert loss.total == pytest.approx(3 * math.log(8) + math.log(1.6), rel=1e-15, abs=0)
    assert loss.weight == 4
    if isinstance(loss, CrossEntropyLoss):
        expected = [[-3 * 7 / 32, 3 * 2 / 32, 3 * 5 / 32], [1 / 32, 2 / 32, -3 / 32]]
    else:
        expected = [[-3 / 4, 0, 0], [0, 0, -1 / 4]]
    np.testing.assert_allclose(loss.backward(), expected, rtol=0, atol=1e-16)
    # Sample weights 2 and 6 make both products 6.
    assert loss(scores, np.array([0, 2]), np.array([2, 6])) == pytest.approx(
        (math.log(8) + math.log(1.6)) / 2, rel=1e-15, abs=0
    )
    assert loss.weight == 12


def test_label_smoothing_worked_numbers():
    # 0.3 spread over three classes: label 0 becomes (0.8, 0.1, 0.1).
    loss = CrossEntropyLoss(label_smoothing=0.3)
    expected = 0.8 * math.log(8) + 0.1 * math.log(4) + 0.1 * math.log(1.6)
    assert loss(SCORES[:1], np.array([0])) == pytest.approx(expected, rel=1e-15, abs=0)
    np.testing.assert_allclose(loss.backward(), [[0.125 - 0.8, 0.25 - 0.1, 0.625 - 0.1]], rtol=0, atol=1e-15)


def test_soft_labels_worked_numbers():
    loss = CrossEntropyLoss()
    expected = 0.5 * math.log(8) + 0.25 * math.log(4) + 0.25 * math.log(1.6)
    assert loss(SCORES[:1], np.array([[0.5, 0.25, 0.25]])) == pytest.approx(expected, rel=1e-15, abs=0)
    np.testing.assert_allclose(loss.backward(), [[0.125 - 0.5, 0, 0.625 - 0.25]], rtol=0, atol=1e-15)


def test_weights_and_smoothing_together_worked_numbers():
    # Soft label (0.5, 0.5, 0), class weights (2, 4, 0), smoothing 0.3: q = 0.7 t + 0.1 = (0.45, 0.45, 0.1), and
    # c q = (0.9, 1.8, 0). The weight is taken before smoothing: 0.5 · 2 + 0.5 · 4 = 3.
    loss = CrossEntropyLoss(label_smoothing=0.3, class_weight=[2, 4, 0])
    value = loss(SCORES[:1], np.array([[0.5, 0.5, 0]]))
    assert value == pytest.approx((0.9 * math.log(8) + 1.8 * math.log(4)) / 3, rel=1e-15, abs=0)
    # 2.7 p - c q, divided by 3.
    expected = np.array([[2.7 / 8 - 0.9, 2.7 / 4 - 1.8, 2.7 * 5 / 8]]) / 3
    np.testing.assert_allclose(loss.backward(), expected, rtol=0, atol=1e-15)


def draw(seed: int, n: int = 6, k: int = 4):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (n, k)), rng.integers(0, k, n), rng.dirichlet(np.ones(k), n), rng.uniform(0, 2, (n + k))


@few_examples
@given(
    st.integers(0, 10**6),
    st.sampled_from(["mean", "sum"]),
    st.floats(0, 0.9),
    st.booleans(),
    st.booleans(),
    st.sampled_from([np.float64, np.float32, np.int8]),
)
def test_a_one_hot_row_is_the_same_as_its_label(seed, reduction, smoothing, with_classes, with_samples, kind):
    scores, labels, _, w = draw(seed)
    loss = CrossEntropyLoss(reduction, smoothing, w[6:] if with_classes else None)
    weights = w[:6] if with_samples else None
    expected, gradient, weight = loss(scores, labels, weights), loss.backward(), loss.weight
    assert loss(scores, np.eye(4, dtype=kind)[labels], weights) == pytest.approx(expected, rel=1e-13, abs=0)
    assert loss.weight == pytest.approx(weight, rel=1e-14, abs=0)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=0, atol=1e-14)


@few_examples
@given(st.integers(0, 10**6), st.floats(0, 0.9))
def test_smoothing_mixes_in_the_mean_over_all_labels(seed, smoothing):
    scores, labels, soft, _ = draw(seed)
    plain, smooth = CrossEntropyLoss("sum"), CrossEntropyLoss("sum", smoothing)
    uniform = np.mean([plain(scores, np.full(6, k)) for k in range(4)])
    for targets in (labels, soft):
        expected = (1 - smoothing) * plain(scores, targets) + smoothing * uniform
        assert smooth(scores, targets) == pytest.approx(expected, rel=1e-13, abs=0)


@few_examples
@given(st.integers(0, 10**6))
def test_the_best_scores_are_the_logarithms_of_the_soft_labels(seed):
    """There the loss is their entropy, and it does not fall in any direction."""
    _, _, q, w = draw(seed)
    loss = CrossEntropyLoss()
    entropy = -np.sum(q * np.log(q), axis=1)
    assert loss(np.log(q), q, w[:6]) == pytest.approx(np.average(entropy, weights=w[:6]), rel=1e-13, abs=0)
    np.testing.assert_allclose(loss.backward(), 0, rtol=0, atol=1e-16)


@few_examples
@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans())
def test_log_probabilities_give_the_same_loss_as_scores(seed, soft, with_classes, with_samples):
    scores, labels, q, w = draw(seed)
    targets = q if soft else labels
    class_weight, weights = w[6:] if with_classes else None, w[:6] if with_samples else None
    ce, nll = CrossEntropyLoss(class_weight=class_weight), NLLLoss(class_weight=class_weight)
    value = ce(scores, targets, weights)
    assert nll(log_softmax(scores), targets, weights) == pytest.approx(value, rel=1e-13, abs=0)
    assert nll.weight == ce.weight
    # Through log p = s - logsumexp(s), whose derivative is 1 at its own score minus p at every score.
    upstream = nll.backward()
    through = upstream - softmax(scores) * upstream.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ce.backward(), through, rtol=0, atol=1e-15)


def test_a_network_with_log_softmax_learns_the_same():
    raw, log = (Network(Linear(3, 4, dtype=np.float64), *top, rng=0) for top in ((), (LogSoftmax(),)))
    x, labels = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 3, 1, 1, 2])
    value, _ = raw.training_step(x, labels, CrossEntropyLoss())
    assert log.training_step(x, labels, NLLLoss())[0] == pytest.approx(value, rel=1e-14, abs=0)
    np.testing.assert_allclose(log.parameters.grad, raw.parameters.grad, rtol=0, atol=1e-15)


def test_a_class_of_weight_0_is_left_out():
    loss = CrossEntropyLoss(class_weight=[1, 1, 0])
    alone = CrossEntropyLoss()(SCORES[:1], np.array([0]))
    assert loss(SCORES, np.array([0, 2])) == pytest.approx(alone, rel=1e-15, abs=0)
    assert loss.backward()[1].tolist() == [0, 0, 0]
    # Nothing is left of a batch of that class alone; smoothing does not change that.
    for smoothing in (0, 0.5):
        loss = CrossEntropyLoss(label_smoothing=smoothing, class_weight=[1, 1, 0])
        assert loss(SCORES, np.array([2, 2])) == 0
        assert (loss.total, loss.weight) == (0, 0)
        assert not loss.backward().any()


def test_labels_and_soft_labels_can_follow_each_other():
    loss = CrossEntropyLoss()
    first = loss(SCORES, np.array([0, 2]))
    loss(SCORES, np.array([[0.5, 0.5, 0], [0, 0, 1]]))
    assert loss(SCORES, np.array([0, 2])) == first


def test_a_score_of_minus_infinity_is_a_class_that_cannot_be():
    # Row 0: log(e^0 + e^1) - 0 = 1.31326; row 1: log(e^2) - 2 = 0; their mean is 0.65663.
    scores = np.array([[0, -np.inf, 1], [2, -np.inf, -np.inf]])
    loss = CrossEntropyLoss()
    assert loss(scores, np.array([0, 0])) == pytest.approx(0.6566308437, rel=1e-9)
    np.testing.assert_allclose(loss.backward(), [[-0.36552929, 0, 0.36552929], [0, 0, 0]], atol=1e-8)
    soft = np.array([[1.0, 0, 0], [1, 0, 0]])
    assert CrossEntropyLoss()(scores, soft) == pytest.approx(0.6566308437, rel=1e-9)
    assert loss(scores, np.array([1, 0])) == np.inf


def test_the_divergence_is_the_cross_entropy_less_the_entropy():
    q = np.array([[0.5, 0.25, 0.25], [0, 0, 1]])
    entropy = (1.5 * np.log(2) + 0) / 2  # 0.5 log 2 + 2 · 0.25 log 4 = 1.5 log 2, and none
    ce, kl = CrossEntropyLoss(), KLDivLoss()
    assert kl(SCORES, q) == pytest.approx(ce(SCORES, q) - entropy, rel=1e-12)
    np.testing.assert_allclose(kl.backward(), ce.backward(), rtol=1e-12)
    assert kl(np.log(q[:1]), q[:1]) == pytest.approx(0, abs=1e-15)


def test_soft_labels_may_be_off_by_rounding():
    """The gradient stays the derivative: it sums to 0 only if q sums to what multiplies p."""
    q = np.array([[0.3, 0.3, 0.40005]])
    loss = CrossEntropyLoss()
    loss(SCORES[:1], q)
    assert loss.backward().sum() == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.5, 0.5], "row 1 has sum 1.5 and smallest entry 0.5"),
        ([0.5, 0.5, -0.0002], "row 1 has sum 0.9998 and smallest entry -0.0002"),
        ([1.5, -0.5, 0], "smallest entry -0.5"),
        ([0.5, 0.5, np.nan], "row 1 has sum nan"),
        ([np.inf, 0, 0], "row 1 has sum inf"),
        ([np.inf, -np.inf, 1], "smallest entry -inf"),
        ([0, 0, 0], "row 1 has sum 0"),
    ],
    ids=str,
)
@pytest.mark.parametrize("loss", [CrossEntropyLoss(), NLLLoss()], ids=repr)
def test_refuses_soft_labels(loss, row, message):
    with pytest.raises(InputError, match=rf"{type(loss).__name__}: targets .*sum 1; .*{message}"):
        loss(SCORES - 9, np.array([[1, 0, 0], row], np.float64))


@pytest.mark.parametrize("targets", [np.full((2, 3), "a"), np.zeros((2, 3)) * 1j])
def test_refuses_soft_labels_that_are_no_numbers(targets):
    with pytest.raises(InputError, match=f"real numbers, got {targets.dtype}"):
        CrossEntropyLoss()(SCORES, targets)


@pytest.mark.parametrize(
    ("smoothing", "accepted"),
    [
        (-0.1, "finite number >= 0"),
        (np.nan, ">= 0"),
        ("0.1", ">= 0"),
        (None, ">= 0"),
        (1, "from 0 to below 1"),
        (1.5, "below 1"),
    ],
)
def test_refuses_label_smoothing(smoothing, accepted):
    with pytest.raises(InputError, match=f"CrossEntropyLoss: label_smoothing must be .*{accepted}, got"):
        CrossEntropyLoss(label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1, 1], "finite numbers of at least 0, got -1"),
        ([1, np.nan, 1], "got nan"),
        ([1, np.inf, 1], "got inf"),
        ([1e308, 1e308, 1e308], "finite sum"),
        ([0, 0, 0], "an entry above 0"),
        ([], "a sequence of numbers"),
        (2.0, "a sequence of numbers"),
        ([[1, 1, 1]], "a sequence of numbers"),
        (["a", "b", "c"], "a sequence of numbers"),
    ],
)
@pytest.mark.parametrize("make", [CrossEntropyLoss, NLLLoss])
def test_refuses_class_weights(make, weights, message):
    with pytest.raises(InputError, match=f"{make.__name__}: class_weight must .*{message}"):
        make(class_weight=weights)


@pytest.mark.parametrize("targets", [np.array([0, 2]), np.eye(3)[[0, 2]]], ids=["labels", "soft"])
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("make", [CrossEntropyLoss, NLLLoss])
def test_refuses_class_weights_of_another_number(make, count, targets):
    with pytest.raises(InputError, match=f"class_weight has {count} entries, the scores have 3 classes"):
        make(class_weight=np.ones(count))(SCORES - 9, targets)


def test_log_probabilities_cannot_be_positive():
    loss = NLLLoss()
    assert loss(np.array([[1e-7, -16.1]]), np.array([0])) == -1e-7  # rounding
    with pytest.raises(
        InputError, match=r"must be log-probabilities, at most 0, got 0.3; end the network with LogSoftmax"
    ):
        loss(np.array([[0.3, -5.0]]), np.array([1]))
