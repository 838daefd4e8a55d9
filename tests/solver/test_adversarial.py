"""Input gradients, adversarial samples and masks against PyTorch, finite differences and counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import CrossEntropyLoss, InputError, Linear, MSELoss, Network, ReLU
from mlp.data.augmentation import Compose, Mixup
from mlp.layers import BatchNorm, Dropout, GeLU
from mlp.solver.adversarial import FGSM, MaskSalient, input_gradient, saliency

laws = settings(deadline=None, max_examples=40, derandomize=True)
seeds = st.integers(0, 2**32)


def smooth_network(seed=0, dtype=np.float64):
    return Network(Linear(6, 8), GeLU(), Linear(8, 3), rng=seed, init="xavier_normal", dtype=dtype)


def batch(m=5, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, 6)).astype(dtype), rng.integers(0, 3, m)


def value(network, loss, x, y):
    return loss.forward(network.eval().forward(x), y)


def with_moods(seed=0):
    """A network that computes something else when it trains."""
    network = Network(
        Linear(6, 8), BatchNorm(8), ReLU(), Dropout(0.5, rng=1), Linear(8, 3), rng=seed, dtype=np.float64
    )
    x, y = batch(20, seed=1)
    for _ in range(3):  # running statistics of its own
        network.training_step(x + 1, y, CrossEntropyLoss())
    return network


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("make", [smooth_network, with_moods])
def test_input_gradient_is_that_of_finite_differences_in_evaluation_mode(make, reduction):
    network, loss = make(), CrossEntropyLoss(reduction=reduction)
    x, y = batch()
    gradient = input_gradient(network, loss, x, y)
    assert gradient.shape == x.shape
    h = 1e-6
    for index in np.ndindex(x.shape):
        there, back = x.copy(), x.copy()
        there[index] += h
        back[index] -= h
        slope = (value(network, loss, there, y) - value(network, loss, back, y)) / (2 * h)
        assert gradient[index] == pytest.approx(slope, abs=1e-8)


def test_input_gradient_is_that_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = Network(Linear(6, 8), ReLU(), Linear(8, 3), rng=3, init="xavier_normal", dtype=np.float64)
    x, y = batch(7)
    W1, b1, W2, b2 = (torch.tensor(array) for array in network.state_dict().values())
    leaf = torch.tensor(x, requires_grad=True)
    scores = torch.relu(leaf @ W1 + b1) @ W2 + b2
    torch.nn.functional.cross_entropy(scores, torch.tensor(y)).backward()
    np.testing.assert_allclose(input_gradient(network, CrossEntropyLoss(), x, y), leaf.grad.numpy(), atol=1e-13)
    np.testing.assert_allclose(saliency(network, CrossEntropyLoss(), x, y), leaf.grad.abs().numpy(), atol=1e-13)


@pytest.mark.parametrize("training", [True, False])
def test_network_and_loss_are_left_as_they_were(training):
    network, loss = with_moods(), CrossEntropyLoss()
    network.train(training)
    x, y = batch()
    # Gradients that are there, and a pass that can still go backward.
    network.zero_grad()
    scores = network.forward(x)
    loss.forward(scores, y)
    upstream = loss.backward()
    network.backward(upstream)
    gradients = network.parameters.grad.copy()
    state, snapshot, total = network.state_dict(), network.snapshot(), loss.total
    other, labels = batch(9, seed=4)
    input_gradient(network, loss, other, labels)
    FGSM(network, loss, 0.1)(other, labels, np.random.default_rng(0))
    MaskSalient(network, loss, 0.5)(other, labels, np.random.default_rng(0))
    assert network.training is training
    assert loss.total == total
    np.testing.assert_array_equal(loss.backward(), upstream)
    np.testing.assert_array_equal(network.parameters.grad, gradients)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    np.testing.assert_equal(network.snapshot(), snapshot)
    network.zero_grad()
    network.backward(upstream)
    np.testing.assert_array_equal(network.parameters.grad, gradients)


def test_mode_and_gradients_come_back_after_an_error():
    network = smooth_network().freeze("0")
    frozen = [p.frozen for p in network.parameters]
    network.parameters.grad[...] = 1
    with pytest.raises(InputError):
        input_gradient(network, CrossEntropyLoss(), np.zeros((2, 6)), np.array([0, 7]))
    assert network.training
    assert (network.parameters.grad == 1).all()
    assert [p.frozen for p in network.parameters] == frozen
    assert any(frozen)
    assert not all(frozen)


def test_training_with_adversarial_samples_equals_training_on_them():
    x, y = batch(8)
    loss = CrossEntropyLoss()
    network, twin = with_moods(), with_moods()
    adversarial, _ = FGSM(network, loss, 0.1)(x, y, np.random.default_rng(0))
    network.training_step(adversarial, y, loss)
    twin.training_step(adversarial.copy(), y, CrossEntropyLoss())
    np.testing.assert_array_equal(network.parameters.grad, twin.parameters.grad)


# ---------------------------------------------------------------- FGSM


@laws
@given(seed=seeds, epsilon=st.floats(1e-3, 0.5))
def test_fgsm_moves_every_feature_by_epsilon_up_the_loss(seed, epsilon):
    network, loss = smooth_network(seed), CrossEntropyLoss()
    x, y = batch(seed=seed)
    adversarial, targets = FGSM(network, loss, epsilon)(x, y, np.random.default_rng(0))
    assert targets is y
    assert abs(adversarial - x).max() <= epsilon * (1 + 1e-12)
    np.testing.assert_allclose(abs(adversarial - x), epsilon, rtol=1e-12)


@laws
@given(seed=seeds)
def test_fgsm_raises_the_loss_to_first_order_more_than_any_other_step(seed):
    network, loss = smooth_network(seed), CrossEntropyLoss()
    x, y = batch(seed=seed)
    epsilon = 1e-6
    adversarial, _ = FGSM(network, loss, epsilon)(x, y, np.random.default_rng(0))
    rise = (value(network, loss, adversarial, y) - value(network, loss, 2 * x - adversarial, y)) / (2 * epsilon)
    # The largest rise that steps of at most ε can have is the sum of the slopes' sizes.
    assert rise == pytest.approx(saliency(network, loss, x, y).sum(), rel=1e-6)
    other = x + epsilon * np.random.default_rng(seed).uniform(-1, 1, x.shape)
    assert value(network, loss, other, y) <= value(network, loss, adversarial, y)


def test_worked_fgsm():
    # One linear unit with squared error ½ (2 a - b - t)²: for t = 0 and x = (1, 1) the error is 1 and the gradient
    # (2, -1), so both steps raise the error; a target of 3 turns them round.
    network = Network(Linear(2, 1, bias=False), dtype=np.float64)
    network[0].weight.data = np.array([[2.0], [-1]])
    x, t = np.array([[1.0, 1], [1, 1]]), np.array([[0.0], [3]])
    np.testing.assert_allclose(
        input_gradient(network, MSELoss(reduction="sum"), x, t), [[2, -1], [-4, 2]], rtol=1e-15
    )
    attack = FGSM(network, MSELoss(), 0.25)
    np.testing.assert_allclose(attack(x, t, np.random.default_rng(0))[0], [[1.25, 0.75], [0.75, 1.25]], rtol=1e-15)
    clipped = FGSM(network, MSELoss(), 0.25, low=0.8, high=1.1)
    np.testing.assert_allclose(clipped(x, t, np.random.default_rng(0))[0], [[1.1, 0.8], [0.8, 1.1]], rtol=1e-15)
    above = FGSM(network, MSELoss(), 0.25, low=0.8)
    np.testing.assert_allclose(above(x, t, np.random.default_rng(0))[0], [[1.25, 0.8], [0.8, 1.25]], rtol=1e-15)


# ---------------------------------------------------------------- masks


@laws
@given(seed=seeds, fraction=st.floats(0, 1))
def test_the_mask_hides_the_given_number_of_the_most_salient_features(seed, fraction):
    network, loss = smooth_network(seed), CrossEntropyLoss()
    x, y = batch(seed=seed)
    masked, targets = MaskSalient(network, loss, fraction, fill=9)(x, y, np.random.default_rng(0))
    assert targets is y
    hidden = masked == 9
    assert set(hidden.sum(axis=1)) == {int(np.floor(6 * fraction + 0.5))}
    np.testing.assert_array_equal(masked[~hidden], x[~hidden])
    salient = saliency(network, loss, x, y)
    for of_hidden, of_others in zip(
        np.where(hidden, salient, np.inf).min(axis=1), np.where(hidden, -np.inf, salient).max(axis=1), strict=True
    ):
        assert of_hidden >= of_others


def test_equal_saliencies_are_hidden_in_the_right_number():
    network = Network(Linear(4, 1, bias=False), dtype=np.float64)
    network[0].weight.data = np.ones((4, 1))
    masked, _ = MaskSalient(network, MSELoss(), 0.5, fill=-1)(
        np.ones((3, 4)), np.zeros((3, 1)), np.random.default_rng(0)
    )
    assert (masked == -1).sum(axis=1).tolist() == [2, 2, 2]


# ---------------------------------------------------------------- as augmentations


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("of_network", [np.float32, np.float64])
def test_dtype_is_kept_and_arguments_stay(dtype, of_network):
    network, loss = smooth_network(dtype=of_network), CrossEntropyLoss()
    x, y = batch(dtype=dtype)
    before, labels = x.copy(), y.copy()
    for augment in (FGSM(network, loss, 0.1, low=-1, high=1), MaskSalient(network, loss, 0.3)):
        changed, _ = augment(x, y, np.random.default_rng(0))
        assert changed.dtype == dtype
        assert not np.shares_memory(changed, x)
        np.testing.assert_array_equal(changed, augment(x, y, np.random.default_rng(1))[0])
    assert input_gradient(network, loss, x, y).dtype == of_network
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize("make", [lambda n, loss: FGSM(n, loss, 0), lambda n, loss: MaskSalient(n, loss, 0)])
def test_zero_strength_is_the_identity_to_the_last_bit(make):
    x, y = batch()
    changed, _ = make(smooth_network(), CrossEntropyLoss())(x, y, np.random.default_rng(0))
    assert changed.tobytes() == x.tobytes()
    assert not np.shares_memory(changed, x)


def test_attacks_on_mixed_samples():
    network, loss = smooth_network(), CrossEntropyLoss()
    x, y = batch()
    mixup, attack = Mixup(1, 3), FGSM(network, loss, 0.1)
    expected = attack(*mixup(x, y, np.random.default_rng(0)), np.random.default_rng(0))
    for ours, theirs in zip(Compose([mixup, attack])(x, y, np.random.default_rng(0)), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n, loss: FGSM(n, loss, -1), "FGSM: epsilon must be a finite number >= 0, got -1"),
        (lambda n, loss: FGSM(n, loss, 1, low=1, high=1), "FGSM: low must be below high, got 1 and 1"),
        (lambda n, loss: FGSM(n, loss, 1, low=np.nan), "FGSM: low must be a finite number"),
        (
            lambda n, loss: MaskSalient(n, loss, 2),
            "MaskSalient: fraction must be a finite number from 0 to 1, got 2",
        ),
        (lambda n, loss: MaskSalient(n, loss, 1, fill=np.inf), "MaskSalient: fill must be a finite number"),
        (lambda n, loss: FGSM(n, loss, 1)(np.zeros((2, 6), int), [0, 1], None), "FGSM: x must be .* got int64"),
        (lambda n, loss: FGSM(n, loss, 1).images(np.zeros((2, 6)), None), "FGSM needs targets"),
        (lambda n, loss: MaskSalient(n, loss, 1)(np.zeros((2, 5)), [0, 1], None), "expects 6 features"),
    ],
)
def test_refused(make, message):
    with pytest.raises(InputError, match=message):
        make(smooth_network(), CrossEntropyLoss())


def test_reprs():
    network, loss = smooth_network(), CrossEntropyLoss()
    assert repr(FGSM(network, loss, 0.1, low=-1)) == "FGSM(epsilon=0.1, low=-1.0, high=None)"
    assert repr(MaskSalient(network, loss, 0.1)) == "MaskSalient(fraction=0.1, fill=0)"
