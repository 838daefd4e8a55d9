"""Layers between ranks: each backward is the transpose of its forward, whatever the slices."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import PATIENCE

import mlp
from mlp import CrossEntropyLoss, InputError, Linear, Network
from mlp.gradcheck import check_layer
from mlp.parallel import (
    Collective,
    CopyToRegion,
    GatherFromRegion,
    GatherFromSequence,
    ReduceFromRegion,
    ReduceScatterToSequence,
    ScatterToRegion,
    SerialCommunicator,
    run_threads,
    slice_sizes,
    slices,
)

TOKENS, FEATURES = 7, 5
LIMIT = PATIENCE
property_test = settings(deadline=None, max_examples=50, derandomize=True)


class Case(NamedTuple):
    """A layer, and how x and y are held: "replicated", "partial", or "sliced" along the axis."""

    make: type[Collective]
    axis: int | None
    x: str
    y: str

    def layer(self, communicator, sizes=None) -> Collective:
        options = {} if self.axis is None else {"sizes": sizes}
        if self.make in (ScatterToRegion, GatherFromRegion):
            options["axis"] = self.axis
        return self.make(communicator, **options)

    def draw(self, held, rank, sizes, seed) -> np.ndarray:
        """A rank's part of an array that is held like that, its whole being as long as the slices together."""
        shape = (TOKENS, sum(sizes)) if self.axis == -1 else (sum(sizes), FEATURES)
        whole = np.random.default_rng([seed, rank if held == "partial" else 9]).normal(size=shape)
        return np.take(whole, np.arange(sum(sizes))[slices(sizes)[rank]], self.axis) if held == "sliced" else whole


CASES = {
    "CopyToRegion": Case(CopyToRegion, None, "replicated", "partial"),
    "ReduceFromRegion": Case(ReduceFromRegion, None, "partial", "replicated"),
    "ScatterToRegion, features": Case(ScatterToRegion, -1, "replicated", "sliced"),
    "ScatterToRegion, tokens": Case(ScatterToRegion, 0, "replicated", "sliced"),
    "GatherFromRegion, features": Case(GatherFromRegion, -1, "sliced", "replicated"),
    "GatherFromRegion, tokens": Case(GatherFromRegion, 0, "sliced", "replicated"),
    "GatherFromSequence": Case(GatherFromSequence, 0, "sliced", "partial"),
    "ReduceScatterToSequence": Case(ReduceScatterToSequence, 0, "partial", "sliced"),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def over_ranks(held, values) -> float:
    """The sum over ranks of what each contributes; what all have alike counts once."""
    return values[0] if held == "replicated" else sum(values)


class TestGradients:
    @each_case
    @property_test
    @given(sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4))
    def test_backward_is_the_adjoint_of_forward(self, case, sizes):
        """<f(x), dy> = <x, f*(dy)>, for slices of any length."""

        def program(communicator):
            layer, rank = case.layer(communicator, sizes), communicator.rank
            x, dy = case.draw(case.x, rank, sizes, seed=1), case.draw(case.y, rank, sizes, seed=2)
            y = layer.forward(x)
            return x, y, dy, layer.backward(dy)

        ranks = run_threads(program, len(sizes), time_limit=LIMIT)
        left = over_ranks(case.y, [np.sum(y * dy) for _, y, dy, _ in ranks])
        right = over_ranks(case.x, [np.sum(x * dx) for x, _, _, dx in ranks])
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)

    @each_case
    @pytest.mark.parametrize("sizes", [(2,), (2, 1), (1, 0, 2)], ids=str)
    def test_finite_differences(self, case, sizes):
        """dL/dx of L = Σ w sin y, entry by entry; one that is replicated changes on all ranks at once."""

        def draw(held, seed):
            return [case.draw(held, rank, sizes, seed) for rank in range(len(sizes))]

        xs, weights = draw(case.x, 1), draw(case.y, 2)

        def forward(communicator, xs):
            return case.layer(communicator).forward(xs[communicator.rank])

        def loss(xs):
            ys = run_threads(forward, len(sizes), xs, time_limit=LIMIT)
            return over_ranks(case.y, [np.sum(w * np.sin(y)) for w, y in zip(weights, ys, strict=True)])

        def gradients(communicator):
            layer, rank = case.layer(communicator), communicator.rank
            return layer.backward(weights[rank] * np.cos(layer.forward(xs[rank])))

        # The slices that a whole is divided into without a word, or those that ranks have.
        if case.x != "sliced":
            sizes = slice_sizes(sum(sizes), len(sizes))
            weights = draw(case.y, 2)
        step = 1e-5
        for rank, dx in enumerate(run_threads(gradients, len(sizes), time_limit=LIMIT)):
            moved = range(len(sizes)) if case.x == "replicated" else [rank]
            for index in np.ndindex(dx.shape):
                values = []
                for sign in (1, -1):
                    changed = [x.copy() for x in xs]
                    for r in moved:
                        changed[r][index] += sign * step
                    values.append(loss(changed))
                numeric = (values[0] - values[1]) / (2 * step)
                assert dx[index] == pytest.approx(numeric, rel=1e-7, abs=1e-8)

    @each_case
    def test_on_one_rank_it_is_the_identity(self, case):
        x = np.random.default_rng(0).normal(size=(4, 3))
        layer = case.layer(SerialCommunicator())
        np.testing.assert_array_equal(layer.forward(x), x, strict=True)
        np.testing.assert_array_equal(layer.backward(2 * x), 2 * x, strict=True)
        check_layer(case.layer(SerialCommunicator()), x).assert_ok()

    @pytest.mark.parametrize("sequence", [False, True], ids=["f and g", "sequence parallel"])
    @pytest.mark.parametrize("ranks", [1, 2, 3, 4])
    def test_a_split_network_is_the_whole_one(self, ranks, sequence):
        """relu(x V) W with the hidden units divided among ranks, tokens too: y, dx and the weights' gradients."""
        rng = np.random.default_rng(5)
        x, v, w, dy = (rng.normal(size=shape) for shape in [(TOKENS, 3), (3, 8), (8, 5), (TOKENS, 5)])
        hidden = np.maximum(x @ v, 0)
        dh = dy @ w.T * (x @ v > 0)
        expected = hidden @ w, dh @ v.T, x.T @ dh, hidden.T @ dy

        def program(communicator):
            rank = communicator.rank
            units = slices(slice_sizes(8, ranks))[rank]
            tokens = slices(slice_sizes(TOKENS, ranks))[rank] if sequence else slice(None)
            first, last = (
                (GatherFromSequence, ReduceScatterToSequence) if sequence else (CopyToRegion, ReduceFromRegion)
            )
            enter, leave = first(communicator), last(communicator)
            up = Linear(3, v[:, units].shape[1], bias=False, dtype=np.float64)
            down = Linear(v[:, units].shape[1], 5, bias=False, dtype=np.float64)
            up.weight.data, down.weight.data = v[:, units], w[units]
            layers = [enter, up, mlp.ReLU(), down, leave]
            y = x[tokens]
            for layer in layers:
                y = layer.forward(y)
            g = dy[tokens]
            for layer in reversed(layers):
                g = layer.backward(g)
            np.testing.assert_allclose(y, expected[0][tokens], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(g, expected[1][tokens], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(up.weight.grad, expected[2][:, units], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(down.weight.grad, expected[3][units], rtol=1e-12, atol=1e-12)
            return communicator.counts

        for counts in run_threads(program, ranks, time_limit=LIMIT):
            # x and y are (7, 3) and (7, 5): both ways cost the same bytes, (N - 1)/N · 2 · 8 (21 + 35).
            wire = counts.wire_bytes - counts["gather_lengths"].wire_bytes
            assert wire == pytest.approx(2 * (ranks - 1) / ranks * 8 * (21 + 35), rel=1e-15)


class TestLayerContract:
    @each_case
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dtypes_arguments_and_results(self, case, dtype):
        """dtypes stay, arguments are left alone, results are the caller's own."""
        sizes = (3, 1, 2)

        def program(communicator):
            rank, layer = communicator.rank, case.layer(communicator, sizes)
            x, dy = (case.draw(held, rank, sizes, seed).astype(dtype) for held, seed in ((case.x, 1), (case.y, 2)))
            x.flags.writeable = dy.flags.writeable = False
            kept = x.copy(), dy.copy()
            y, dx = layer.forward(x), layer.backward(dy)
            assert (y.dtype, dx.dtype) == (dtype, dtype)
            assert (y.shape, dx.shape) == (dy.shape, x.shape)
            assert not np.may_share_memory(y, x)
            assert not np.may_share_memory(dx, dy)
            results = y.copy(), dx.copy()
            layer.backward(layer.forward(-x))
            for a, b in zip((x, dy, y, dx), kept + results, strict=True):
                np.testing.assert_array_equal(a, b)
            if "sliced" not in (case.x, case.y) or case.x != "sliced":
                assert layer.output_shape(x.shape) == y.shape
            assert layer.parameters() == {}

        run_threads(program, 3, time_limit=LIMIT)

    @each_case
    def test_backward_refuses_what_cannot_be_right(self, case):
        layer = case.layer(SerialCommunicator())
        with pytest.raises(InputError, match="backward needs a forward pass first"):
            layer.backward(np.ones((2, 3)))
        layer.forward(np.ones((2, 3)))
        with pytest.raises(InputError, match=r"gradient has shape \(3, 2\), but the output had \(2, 3\)"):
            layer.backward(np.ones((3, 2)))

    @pytest.mark.parametrize("case", [c for c in CASES.values() if c.axis is not None and c.x != "sliced"])
    def test_sizes_have_to_fit(self, case):
        layer = case.layer(SerialCommunicator(), sizes=[3])
        with pytest.raises(InputError, match=r"sizes \(3,\) are those of 3 in all, got 4"):
            layer.forward(np.ones((4, 4)))

    def test_in_a_network(self):
        """A training step of a network whose middle is divided, against the same network on one rank."""
        rng = np.random.default_rng(0)
        x, labels = rng.normal(size=(TOKENS, 4)), rng.integers(0, 3, TOKENS)

        def build(*middle):
            return Network(Linear(4, 6), *middle, Linear(6, 3), rng=1, dtype=np.float64)

        def program(communicator):
            network = build(ScatterToRegion(communicator), mlp.ReLU(), GatherFromRegion(communicator))
            value, _ = network.training_step(x, labels, CrossEntropyLoss())
            return value, network.parameters.grad.copy()

        serial = build(mlp.ReLU())
        expected, _ = serial.training_step(x, labels, CrossEntropyLoss())
        for value, grad in run_threads(program, 3, time_limit=LIMIT):
            assert value == expected
            np.testing.assert_array_equal(grad, serial.parameters.grad)

    def test_repr(self):
        alone = SerialCommunicator()
        assert repr(CopyToRegion(alone)) == "CopyToRegion()"
        assert repr(ScatterToRegion(alone)) == "ScatterToRegion(axis=-1)"
        assert repr(GatherFromSequence(alone, sizes=[4])) == "GatherFromSequence(sizes=(4,))"


def test_every_layer_has_a_case():
    assert set(Collective.__subclasses__()) == {case.make for case in CASES.values()}
