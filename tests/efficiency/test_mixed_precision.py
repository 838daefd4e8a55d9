"""Mixed precision: what is rounded and what is not, skipped steps, and training that arrives where float32 does."""

import copy

import numpy as np
import pytest

from mlp import SGD, AdamW, CrossEntropyLoss, GeLU, InputError, Linear, MSELoss, Network, ReLU, evaluate, load_mnist
from mlp.data import Batches
from mlp.efficiency.mixed_precision import LossScaler, MixedPrecision
from mlp.initializers import constant, normal
from mlp.layers import (
    BatchNorm,
    Compressed,
    Dropout,
    EmbeddedColumns,
    Embedding,
    GatedMlp,
    Recompute,
    Residual,
    Sequential,
    Tanh,
)

FEATURES, WIDTH, CLASSES = 6, 8, 4


def linear(n_in: int, n_out: int) -> Linear:
    return Linear(n_in, n_out, weight_init=normal(0.5))


def make(block: type = Sequential, rng: int = 0) -> Network:
    return Network(
        block(linear(FEATURES, WIDTH), ReLU(), Dropout(0.2)),
        Residual(linear(WIDTH, WIDTH), Tanh(), shortcut=linear(WIDTH, WIDTH)),
        block(BatchNorm(WIDTH), GeLU()),
        GatedMlp(WIDTH, multiple_of=4),
        linear(WIDTH, CLASSES),
        rng=rng,
    )


def batch(seed: int = 0, rows: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, FEATURES)).astype(np.float32), rng.integers(0, CLASSES, rows)


def is_half(a: np.ndarray) -> bool:
    return np.array_equal(a.astype(np.float16).astype(a.dtype), a)


class TestWhatIsRounded:
    def test_all_that_passes_between_layers_there_and_back(self):
        network = make()
        precision = MixedPrecision(network)
        seen = []
        network.add_hook(lambda layer, y: seen.append((layer.name, is_half(y))))
        network.add_backward_hook(lambda layer, g: seen.append((layer.name, is_half(g))))
        precision.training_step(*batch(), CrossEntropyLoss())
        assert len(seen) == 2 * 12
        assert all(rounded for _, rounded in seen)
        assert is_half(network.parameters.grad)
        assert precision.unscale()

    def test_weights_are_rounded_inside_of_a_step_and_whole_outside(self):
        network = make()
        precision = MixedPrecision(network)
        before, inside = network.parameters.data.copy(), []
        assert not is_half(before)
        network.add_hook(lambda layer, y: inside.append(network.parameters.data.copy()))
        precision.training_step(*batch(), CrossEntropyLoss())
        np.testing.assert_array_equal(inside[0], before.astype(np.float16).astype(np.float32))
        np.testing.assert_array_equal(network.parameters.data, before)

    def test_arguments_are_not_changed(self):
        x, labels = batch()
        kept = x.copy()
        precision = MixedPrecision(make())
        precision.training_step(x, labels, CrossEntropyLoss())
        with precision.half():
            upstream = np.ones_like(precision.network.forward(x)) / 3
            precision.network.backward(upstream, input_gradient=True)
        np.testing.assert_array_equal(x, kept)
        np.testing.assert_array_equal(upstream, np.float32(1) / 3)

    def test_all_is_back_after_an_error(self):
        network = make()
        precision = MixedPrecision(network)
        before = network.parameters.data.copy()
        with pytest.raises(InputError, match="expects 6 features"):
            precision.training_step(np.ones((3, 5), np.float32), np.zeros(3, int), CrossEntropyLoss())
        np.testing.assert_array_equal(network.parameters.data, before)
        assert not any("forward" in vars(layer) or "backward" in vars(layer) for layer in network.body.walk())
        assert "backward_parameters" not in vars(network.body)

    def test_half_is_how_the_steps_compute(self):
        network = make()
        precision = MixedPrecision(network)
        x, _ = batch()
        whole = network.scores(x)
        with precision.half(), precision.half():
            half = network.scores(x)
            assert is_half(network.parameters.data)
        assert is_half(half)
        np.testing.assert_allclose(half, whole, atol=0.02)
        np.testing.assert_array_equal(network.scores(x), whole)
        assert not np.array_equal(half, whole)

    def test_indices_are_not(self):
        # float16 has no odd numbers beyond 2048: index 3001 would become 3000.
        columns = EmbeddedColumns(2, {0: Embedding(5000, 1, weight_init=constant(0.5))})
        network = Network(columns, Linear(2, 3))
        precision = MixedPrecision(network)
        precision.training_step(np.array([[3001, 0.1]], np.float32), np.array([0]), CrossEntropyLoss())
        assert np.flatnonzero(columns.embeddings[0].weight.grad).tolist() == [3001]


def test_a_step_is_that_of_pytorch_tensors_in_half():
    """PyTorch's cast rounds the activation on its way there and the gradient on its way back."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    network = Network(linear(FEATURES, WIDTH), ReLU(), linear(WIDTH, CLASSES), rng=0)
    x, labels = batch()
    S = 1024.0
    precision = MixedPrecision(network, LossScaler(initial=S))
    value, _ = precision.training_step(x, labels, CrossEntropyLoss())
    mine = [p.grad.copy() for p in network.parameters]

    def store(tensor):
        return tensor.half()

    leaves = [torch.tensor(p.data).half().requires_grad_() for p in network.parameters]
    W1, b1, W2, b2 = leaves
    h = store(torch.tensor(x).half().float() @ W1.float() + b1.float())
    h = store(torch.relu(h.float()))
    scores = store(h.float() @ W2.float() + b2.float())
    loss = torch.nn.functional.cross_entropy(scores.float(), torch.tensor(labels))
    (S * loss).backward()
    assert value == pytest.approx(loss.item(), rel=1e-6)
    for gradient, leaf in zip(mine, leaves, strict=True):
        # Sums in another order may fall to the other side of a boundary: one last bit.
        theirs = leaf.grad.float().numpy()
        np.testing.assert_allclose(gradient, theirs, rtol=2**-10, atol=2e-5)
        assert np.mean(gradient == theirs) > 0.9


class TestLossScaling:
    def test_small_gradients_are_lost_without_it(self):
        # dL/dy = 10⁻⁹ is below 2⁻²⁵ and rounds to 0; times 2¹⁶ it is 6.6·10⁻⁵, which float16 has 11 bits for.
        for initial, expected in ((1.0, 0.0), (2.0**16, 1e-9)):
            network = Network(Linear(1, 1, weight_init=constant(1), bias=False))
            precision = MixedPrecision(network, LossScaler(initial))
            one = np.ones((1, 1), np.float32)
            precision.training_step(one, 0 * one, MSELoss(), scale=1e-9)
            assert precision.unscale()
            assert network[0].weight.grad.item() == pytest.approx(expected, rel=2**-11)

    def test_master_weights_take_in_what_float16_would_lose(self):
        # Beside 1, float16 has 1 + 2⁻¹⁰ as its next number: a step of 10⁻⁴ alone would be rounded away.
        network = Network(Linear(1, 1, weight_init=constant(1), bias=False))
        precision = MixedPrecision(network, LossScaler(initial=1024))
        optimizer = SGD(network.parameters, lr=1e-4)
        seen = []
        network.add_hook(lambda layer, y: seen.append(y.item()))
        for _ in range(11):
            precision.training_step(np.ones((1, 1), np.float32), np.full((1, 1), 2, np.float32), MSELoss())
            assert precision.unscale()
            optimizer.step()
        assert network[0].weight.data.item() == pytest.approx(1.0011, abs=2e-6)
        # 5 steps are past the middle between 1 and 1 + 2⁻¹⁰: 1.0005 > 1.000488.
        assert seen == [1.0] * 5 + [1 + 2**-10] * 6

    def test_a_scaled_gradient_is_unscaled_before_anybody_sees_it(self):
        network, plain = make().astype(np.float32), make()
        x, labels = batch()
        precision = MixedPrecision(network)
        precision.training_step(x, labels, CrossEntropyLoss())
        assert np.linalg.norm(network.parameters.grad) > 1000
        assert precision.unscale()
        plain.training_step(x, labels, CrossEntropyLoss())
        error = np.linalg.norm(network.parameters.grad - plain.parameters.grad)
        assert 0 < error < 5e-3 * np.linalg.norm(plain.parameters.grad)

    def test_needs_a_step_first(self):
        precision = MixedPrecision(make())
        with pytest.raises(InputError, match="unscale needs a training_step first"):
            precision.unscale()
        precision.training_step(*batch(), CrossEntropyLoss())
        precision.unscale()
        with pytest.raises(InputError, match="unscale needs a training_step first"):
            precision.unscale()

    @pytest.mark.parametrize("unscale_between", [False, True])
    def test_accumulated_gradients(self, unscale_between):
        # Without statistics over the batch and without dropout, two halves make one whole.
        network = Network(linear(FEATURES, WIDTH), GeLU(), linear(WIDTH, CLASSES), rng=0)
        whole = copy.deepcopy(network)
        x, labels = batch()
        precision = MixedPrecision(network)
        for start in (0, 10):
            part = slice(start, start + 10)
            precision.training_step(x[part], labels[part], CrossEntropyLoss(), scale=0.5, accumulate=start > 0)
            if unscale_between or start:
                assert precision.unscale()
        whole.training_step(x, labels, CrossEntropyLoss())
        error = np.linalg.norm(network.parameters.grad - whole.parameters.grad)
        assert error < 2e-3 * np.linalg.norm(whole.parameters.grad)


class TestOverflow:
    @pytest.mark.parametrize("initial", [2.0**40, 2.0**24])
    def test_the_step_is_skipped_and_the_scale_halved_until_it_fits(self, initial):
        network = make()
        optimizer = AdamW(network.parameters, lr=0.01)
        precision = MixedPrecision(network, LossScaler(initial=initial))
        before = network.parameters.data.copy(), optimizer.state_dict()
        skipped = 0
        for seed in range(60):
            precision.training_step(*batch(seed), CrossEntropyLoss())
            if precision.unscale():
                break
            skipped += 1
            assert precision.row() == {"loss_scale": initial * 0.5**skipped, "skipped_steps": skipped}
            np.testing.assert_array_equal(network.parameters.data, before[0])
            assert all(np.array_equal(v, before[1][n]) for n, v in optimizer.state_dict().items())
        assert 3 < skipped < 30
        assert np.isfinite(network.parameters.grad).all()
        optimizer.step()
        assert not np.array_equal(network.parameters.data, before[0])

    def test_a_weight_that_float16_does_not_hold_is_seen_in_the_loss(self):
        network = Network(linear(FEATURES, CLASSES), rng=0)
        network[0].weight.data[0, 0] = 70000
        precision = MixedPrecision(network)
        value, _ = precision.training_step(*batch(), CrossEntropyLoss())
        assert not np.isfinite(value)
        assert not precision.unscale()
        assert network[0].weight.data[0, 0] == 70000

    def test_a_gradient_that_is_never_finite_ends_it(self):
        network = Network(linear(FEATURES, CLASSES), rng=0)
        network[0].weight.data[0, 0] = np.nan
        precision = MixedPrecision(network)

        def step():
            precision.training_step(*batch(), CrossEntropyLoss())
            return precision.unscale()

        # 2¹⁶ is halved 41 times; beyond 2⁻²⁴ there is nothing to be gained.
        assert not any(step() for _ in range(41))
        assert precision.scaler.scale == 2.0**-25
        with pytest.raises(FloatingPointError, match="NaN, or too large for float16 even with the loss multiplied"):
            step()


class TestLossScaler:
    def test_it_is_pytorchs(self):
        torch = pytest.importorskip("torch", reason="compares with PyTorch")
        settings = {"growth_interval": 3, "growth": 4.0, "backoff": 0.25}
        mine = LossScaler(initial=64.0, **settings)
        theirs = torch.amp.GradScaler(
            "cpu", init_scale=64.0, growth_interval=3, growth_factor=4.0, backoff_factor=0.25
        )
        weight = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.1)
        for bad in np.random.default_rng(0).random(80) < 0.2:
            weight.grad = torch.tensor([float("inf") if bad else 1.0])
            theirs.scale(torch.zeros(1))  # makes its state
            theirs.step(optimizer)
            theirs.update()
            mine.update(bool(bad))
            assert mine.scale == theirs.get_scale()
            assert mine.good_steps == theirs._get_growth_tracker()
        assert mine.skipped_steps > 5

    def test_worked_numbers(self):
        scaler = LossScaler(initial=8, growth_interval=2)
        scales = []
        for overflowed in (False, False, True, False, True, False, False):
            scaler.update(overflowed)
            scales.append(scaler.scale)
        # Two good steps: 16. Then 8; one good step is not two; 4; two good steps: 8.
        assert scales == [8, 16, 8, 8, 4, 4, 8]
        assert repr(scaler) == "LossScaler(scale=8, skipped_steps=2)"

    def test_state(self):
        scaler, other = LossScaler(initial=8, growth_interval=4), LossScaler(growth_interval=4)
        for overflowed in (True, False, False, False):
            scaler.update(overflowed)
        other.load_state_dict(scaler.state_dict())
        assert vars(other) == vars(scaler)
        assert (other.scale, other.good_steps, other.skipped_steps) == (4, 3, 1)
        other.update(False)
        assert other.scale == 8

    @pytest.mark.parametrize(
        "state",
        [
            {},
            {"scale": np.array(2.0), "good_steps": np.array(0)},
            {"scale": np.array(2.0), "good_steps": np.array(0), "skipped_steps": np.array([0])},
            {"scale": np.array(-1.0), "good_steps": np.array(0), "skipped_steps": np.array(0)},
            {"scale": np.array(np.inf), "good_steps": np.array(0), "skipped_steps": np.array(0)},
            {"scale": np.array(2.0), "good_steps": np.array(0.5), "skipped_steps": np.array(0)},
        ],
        ids=str,
    )
    def test_refuses_another_state_and_stays_as_it_is(self, state):
        scaler = LossScaler()
        with pytest.raises(InputError, match="LossScaler: "):
            scaler.load_state_dict(state)
        assert vars(scaler) == vars(LossScaler())

    @pytest.mark.parametrize(
        "options",
        [
            {"initial": 0},
            {"initial": np.inf},
            {"growth_interval": 0},
            {"growth": 0.5},
            {"backoff": 0},
            {"backoff": 1},
        ],
        ids=str,
    )
    def test_refuses(self, options):
        with pytest.raises(InputError, match=f"LossScaler: {next(iter(options))} must be"):
            LossScaler(**options)

    def test_mixed_precision_refuses_what_is_no_network(self):
        with pytest.raises(InputError, match=r"MixedPrecision: a Network is needed, got ReLU\(\)"):
            MixedPrecision(ReLU())


def train(network: Network, data, precision: MixedPrecision | None, epochs: int, seed: int = 0) -> list[float]:
    """Mean loss of each epoch."""
    optimizer = SGD(network.parameters, lr=0.02, momentum=0.9)
    loss, rng, means = CrossEntropyLoss(), np.random.default_rng(seed), []
    for _ in range(epochs):
        values = []
        for x, y in Batches(data, 50).epoch(rng):
            values.append((precision or network).training_step(x, y, loss)[0])
            if precision is None or precision.unscale():
                optimizer.step()
        means.append(float(np.mean(values)))
    return means


class TestTraining:
    def test_arrives_where_float32_does(self):
        digits, others = (data[:2000] for data in load_mnist())
        network = Network(Linear(784, 32, weight_init=normal(0.05)), ReLU(), Linear(32, 10), rng=1)
        twin = copy.deepcopy(network)
        # A scale that is too large at first, so that some steps are skipped on the way.
        precision = MixedPrecision(twin, LossScaler(initial=2.0**22, growth_interval=60))
        whole, mixed = train(network, digits, None, 6), train(twin, digits, precision, 6)
        assert precision.row()["skipped_steps"] >= 3
        assert mixed[-1] < 0.3 * mixed[0]
        assert mixed[-1] == pytest.approx(whole[-1], rel=0.1)
        accuracies = [evaluate(n, CrossEntropyLoss(), others)["accuracy"] for n in (network, twin)]
        assert accuracies[1] == pytest.approx(accuracies[0], abs=0.02)

    def test_goes_on_from_its_state_to_the_last_bit(self):
        def steps(network, optimizer, precision, seeds):
            for seed in seeds:
                precision.training_step(*batch(seed), CrossEntropyLoss())
                if precision.unscale():
                    optimizer.step()

        def start():
            network = make()
            scaler = LossScaler(initial=2.0**18, growth_interval=3)
            return network, SGD(network.parameters, lr=0.1, momentum=0.9), MixedPrecision(network, scaler)

        whole, first, second = start(), start(), start()
        steps(*whole, range(20))
        steps(*first, range(11))
        for one, other in zip(first, second, strict=True):
            other.load_state_dict(one.state_dict())
        second[0].restore(first[0].snapshot())
        steps(*second, range(11, 20))
        np.testing.assert_array_equal(second[0].parameters.data, whole[0].parameters.data)
        assert vars(second[2].scaler) == vars(whole[2].scaler)
        assert whole[2].scaler.skipped_steps > 0

    def test_recomputation_changes_no_bit(self):
        networks = [make(Recompute), make(Sequential)]
        precisions = [MixedPrecision(n) for n in networks]
        for seed in range(4):
            for network, precision in zip(networks, precisions, strict=True):
                precision.training_step(*batch(seed), CrossEntropyLoss())
                assert precision.unscale()
                SGD(network.parameters, lr=0.1).step()
            np.testing.assert_array_equal(networks[0].parameters.data, networks[1].parameters.data)

    def test_activations_really_stored_in_two_bytes_change_no_bit(self):
        """What Linear and ReLU save are float16 numbers already, and masks."""
        results = []
        for block in (Compressed, Sequential):
            network = Network(
                block(linear(FEATURES, WIDTH), ReLU(), linear(WIDTH, WIDTH), ReLU(), linear(WIDTH, CLASSES)), rng=0
            )
            MixedPrecision(network).training_step(*batch(), CrossEntropyLoss())
            results.append(network.parameters.grad.copy())
        np.testing.assert_array_equal(*results)

    def test_float64_networks_are_rounded_alike(self):
        network = make().astype(np.float64)
        precision = MixedPrecision(network)
        _, scores = precision.training_step(*batch(), CrossEntropyLoss())
        assert scores.dtype == np.float64
        assert is_half(scores)
        assert precision.unscale()
