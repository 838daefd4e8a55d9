"""Tensor-parallel layers compute what their serial twins compute, and say as much to each other as they should."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import run_ranks
from tensor_exercise import (
    CASES,
    FEATURES,
    HIDDEN,
    OPTIONS,
    OUT,
    TOKENS,
    Case,
    data,
    exercise,
    exercise_all,
    own_rows,
)

from mlp import InputError, Linear, Network
from mlp.gradcheck import check_layer
from mlp.initializers import normal
from mlp.layers import Dropout, GatedMlp, LayerNorm, Mlp, Softmax
from mlp.parallel import SerialCommunicator, run_threads, slice_sizes
from mlp.parallel.tensor.blocks import ParallelGatedMlp, ParallelMLP, ParallelMlp
from mlp.parallel.tensor.layers import ColumnParallelLinear, RowParallelLinear

RANKS = [1, 2, 3, 4]
each_number_of_ranks = pytest.mark.parametrize("ranks", RANKS)
each_mode = pytest.mark.parametrize("sequence_parallel", [False, True], ids=["tensor", "sequence"])
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_block = pytest.mark.parametrize("case", [CASES[0], CASES[4]], ids=["plain", "gated"])


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-12 of the largest entry."""
    assert actual.shape == expected.shape
    assert abs(actual - expected).max() <= 1e-12 * abs(expected).max()


@cache
def serial_results(case: Case) -> dict[str, np.ndarray]:
    return exercise(case.serial(), slice(None))


def assert_serial(case: Case, sequence_parallel: bool, of_ranks: list[dict[str, np.ndarray]]) -> None:
    """All ranks have the serial results; with sequence parallelism, y and dL/dx are divided among them."""
    expected = serial_results(case)
    for results in of_ranks:
        assert results.keys() == expected.keys()
    for name, array in expected.items():
        if sequence_parallel and name in ("y", "grad_x"):
            assert [len(results[name]) for results in of_ranks] == list(slice_sizes(TOKENS, len(of_ranks)))
            assert_close(np.concatenate([results[name] for results in of_ranks]), array)
        else:
            for results in of_ranks:
                assert_close(results[name], array)


@each_case
@each_mode
@each_number_of_ranks
def test_blocks_equal_their_serial_twins(case, sequence_parallel, ranks):
    """Outputs, input gradients, every parameter's gradient, and the weights after 20 steps of training."""

    def run(communicator):
        block = case.parallel(communicator, sequence_parallel)
        return exercise(block, own_rows(communicator, TOKENS, sequence_parallel))

    assert_serial(case, sequence_parallel, run_threads(run, ranks))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    ranks=st.integers(1, 4),
    more_tokens=st.integers(0, 5),
    units=st.integers(1, 3),
    widths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    gated=st.booleans(),
    sequence_parallel=st.booleans(),
)
def test_blocks_of_any_size(ranks, more_tokens, units, widths, gated, sequence_parallel):
    """As few as one token and one hidden unit for each rank, and one feature."""
    (n_in, n_out), tokens = widths, ranks + more_tokens
    serial_kind, kind = (GatedMlp, ParallelGatedMlp) if gated else (Mlp, ParallelMlp)
    options = OPTIONS | ({"multiple_of": 1} if gated else {})
    serial = serial_kind(n_in, ranks * units, n_out, **options)
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(tokens, n_in)), rng.normal(size=(tokens, n_out))

    def run(communicator):
        mine = own_rows(communicator, tokens, sequence_parallel)
        block = kind.from_serial(serial, communicator, sequence_parallel)
        y, grad_x = block.forward(x[mine]), block.backward(dy[mine])
        for p in block.parameters().values():
            p.data = p.grad
        return y, grad_x, mine, block.to_serial().parameters()

    of_ranks = run_threads(run, ranks)
    y, grad_x = serial.forward(x), serial.backward(dy)
    for part_y, part_grad, mine, gradients in of_ranks:
        # Not of this part's largest entry: a single number may be the small difference of two large ones.
        np.testing.assert_allclose(part_y, y[mine], rtol=0, atol=1e-12 * abs(y).max())
        np.testing.assert_allclose(part_grad, grad_x[mine], rtol=0, atol=1e-12 * abs(grad_x).max())
        for name, p in serial.parameters().items():
            np.testing.assert_allclose(gradients[name].data, p.grad, rtol=0, atol=1e-12 * abs(p.grad).max())


def test_processes_give_the_bits_that_threads_give(tmp_path):
    ranks = 2
    run_ranks(ranks, Path(__file__).with_name("tensor_exercise.py"), tmp_path)
    for rank, of_threads in enumerate(run_threads(exercise_all, ranks)):
        of_process = dict(np.load(tmp_path / f"rank{rank}.npz"))
        assert of_process.keys() == of_threads.keys()
        for name, array in of_threads.items():
            np.testing.assert_array_equal(of_process[name], array, strict=True)


class TestLinear:
    """The two layers by themselves, on numbers for paper and on random ones."""

    W, B = np.array([[1.0, 2], [3, 4]]), np.array([10.0, 20])

    def parts(self, communicator, kind, sequence_parallel=False, bias=True):
        linear = Linear(2, 2, bias=bias, dtype=np.float64)
        linear.weight.data = self.W
        if bias:
            linear.bias.data = self.B
        return kind.from_serial(linear, communicator, sequence_parallel)

    def test_column_worked_numbers(self):
        def run(communicator):
            layer = self.parts(communicator, ColumnParallelLinear)
            y = layer.forward(np.array([[1.0, 1]]))
            grad_x = layer.backward(np.array([[communicator.rank + 1.0]]))
            return [a.tolist() for a in (y, grad_x, layer.weight.grad, layer.bias.grad)]

        # x W + b = (1 + 3 + 10, 2 + 4 + 20), an entry for each rank. dx = 1·(1, 3) + 2·(2, 4).
        assert run_threads(run, 2) == [
            [[[14]], [[5, 11]], [[1], [1]], [1]],
            [[[26]], [[5, 11]], [[2], [2]], [2]],
        ]

    def test_row_worked_numbers(self):
        def run(communicator):
            layer = self.parts(communicator, RowParallelLinear)
            y = layer.forward(np.array([[communicator.rank + 1.0]]))
            grad_x = layer.backward(np.array([[1.0, 5]]))
            return [a.tolist() for a in (y, grad_x, layer.weight.grad, layer.bias.grad)]

        # 1·(1, 2) + 2·(3, 4) = (7, 10), and b once: (17, 30). dx_r = (1, 5) · row r of W.
        assert run_threads(run, 2) == [
            [[[17, 30]], [[11]], [[1, 5]], [1, 5]],
            [[[17, 30]], [[23]], [[2, 10]], [1, 5]],
        ]

    @each_number_of_ranks
    def test_the_bias_of_a_row_layer_has_all_tokens_gradient(self, ranks):
        """Each rank hands in its own tokens' dy; the gradient of b is the sum over all of them, on every rank."""
        dy = np.random.default_rng(0).normal(size=(TOKENS, OUT))

        def run(communicator):
            options = OPTIONS | {"sequence_parallel": True}
            layer = RowParallelLinear(12, OUT, communicator, **options)
            layer.forward(np.ones((TOKENS, 12 // ranks)))
            layer.backward(dy[own_rows(communicator, TOKENS, True)])
            return layer.bias.grad

        for grad in run_threads(run, ranks):
            assert_close(grad, dy.sum(axis=0))

    @each_mode
    def test_any_number_of_leading_axes(self, sequence_parallel):
        x = np.random.default_rng(0).normal(size=(5, 3, FEATURES))
        expected = Linear(FEATURES, 4, **OPTIONS)(x)

        def run(communicator):
            options = OPTIONS | {"sequence_parallel": sequence_parallel}
            layer = ColumnParallelLinear(FEATURES, 4, communicator, **options)
            return layer(x[own_rows(communicator, 5, sequence_parallel)])

        assert_close(np.concatenate(run_threads(run, 2), axis=-1), expected)

    @pytest.mark.parametrize("kind", [ColumnParallelLinear, RowParallelLinear])
    @each_mode
    @pytest.mark.parametrize("bias", [True, False])
    def test_on_one_rank_gradients_are_derivatives(self, kind, sequence_parallel, bias):
        options = OPTIONS | {"sequence_parallel": sequence_parallel, "bias": bias}
        layer = kind(4, 3, SerialCommunicator(), **options)
        check_layer(layer, np.random.default_rng(0).normal(size=(5, 4)), rtol=1e-7).assert_ok()

    @pytest.mark.parametrize("kind", [ColumnParallelLinear, RowParallelLinear])
    @pytest.mark.parametrize("bias", [True, False])
    @each_number_of_ranks
    def test_from_serial_and_back(self, kind, bias, ranks):
        linear = Linear(12, 24, bias=bias, **OPTIONS)

        def run(communicator):
            layer = kind.from_serial(linear, communicator)
            whole = layer.to_serial()
            for p in layer.parameters().values():
                p.data[...] = 0  # neither of the two shares memory with it
            return whole

        for whole in run_threads(run, ranks):
            assert type(whole) is Linear
            assert repr(whole) == repr(linear)
            for name, p in linear.parameters().items():
                assert p.data.any()
                np.testing.assert_array_equal(whole.parameters()[name].data, p.data)

    def test_widths_and_repr(self):
        layer = ColumnParallelLinear(4, 6, SerialCommunicator(), bias=False, sequence_parallel=True)
        assert (layer.in_features, layer.out_features) == (4, 6)
        text = "(4, 6, SerialCommunicator(rank 0 of 1), sequence_parallel=True, bias=False)"
        assert repr(layer) == f"ColumnParallelLinear{text}"


class TestInitialValues:
    @each_block
    @each_number_of_ranks
    def test_are_those_of_the_serial_block(self, case, ranks):
        serial = case.serial()
        for whole in run_threads(lambda c: case.parallel(c, False).to_serial(), ranks):
            for name, p in serial.parameters().items():
                np.testing.assert_array_equal(whole.parameters()[name].data, p.data)

    @each_block
    @pytest.mark.parametrize("init", [None, "auto", "xavier_uniform"])
    def test_also_if_the_network_draws_them(self, case, init):
        serial = Network(case.serial(), rng=7, init=init)

        def run(communicator):
            return Network(case.parallel(communicator, False), rng=7, init=init)[0].to_serial()

        for whole in run_threads(run, 3):
            for name, p in serial[0].parameters().items():
                np.testing.assert_array_equal(whole.parameters()[name].data, p.data)

    def test_without_a_seed_ranks_agree_on_one(self):
        def run(communicator):
            layer = RowParallelLinear(6, 4, communicator, bias_init=normal(1.0))
            return layer.bias.data, layer.weight.data

        (first, w0), (second, w1), (third, _) = run_threads(run, 3)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
        assert not np.array_equal(w0, w1)
        assert not np.array_equal(first, run_threads(run, 3)[0][0])

    @each_block
    @each_number_of_ranks
    def test_from_serial_and_back(self, case, ranks):
        serial = case.serial()
        kind = ParallelGatedMlp if case.gated else ParallelMlp
        x = data()[0]

        def run(communicator):
            block = kind.from_serial(serial, communicator)
            return block.to_serial(), block(x)

        for whole, y in run_threads(run, ranks):
            assert type(whole) is type(serial)
            assert repr(whole) == repr(serial)
            np.testing.assert_array_equal(whole(x), serial(x))
            assert_close(y, serial(x))


class TestCommunication:
    """In float64, 8 tokens of 4 features are 256 bytes, of 2 features 128."""

    X, Y = 256, 128
    # Two ranks tell each other their numbers of tokens.
    LENGTHS = ("gather_lengths", 1, 16)

    def counted(self, make, width_in: int, width_out: int) -> dict[str, set]:
        """(call, how often, payload) of each direction, on every rank."""

        def run(communicator):
            layer, rows = make(communicator)
            found = {}
            communicator.counts.clear()
            y = layer.forward(np.ones((rows[0], width_in)))
            found["forward"] = {(c.name, c.calls, c.payload_bytes) for c in communicator.counts.values()}
            communicator.counts.clear()
            layer.backward(np.ones((rows[1], width_out)))
            found["backward"] = {(c.name, c.calls, c.payload_bytes) for c in communicator.counts.values()}
            assert y.shape == (rows[1], width_out)
            return found

        first, second = run_threads(run, 2)
        assert first == second
        return first

    def test_column(self):
        counted = self.counted(lambda c: (ColumnParallelLinear(4, 6, c, rng=0, dtype=np.float64), (8, 8)), 4, 3)
        assert counted == {"forward": set(), "backward": {("all_reduce", 1, self.X)}}

    def test_column_with_sequence_parallelism(self):
        def make(communicator):
            options = {"sequence_parallel": True, "rng": 0, "dtype": np.float64}
            return ColumnParallelLinear(4, 6, communicator, **options), (4, 8)

        gather, scatter = ("all_gather", 1, self.X), ("reduce_scatter", 1, self.X)
        assert self.counted(make, 4, 3) == {
            "forward": {self.LENGTHS, gather}, "backward": {self.LENGTHS, gather, scatter},
        }  # fmt: skip

    def test_row(self):
        counted = self.counted(lambda c: (RowParallelLinear(6, 2, c, rng=0, dtype=np.float64), (8, 8)), 3, 2)
        assert counted == {"forward": {("all_reduce", 1, self.Y)}, "backward": set()}

    def test_row_with_sequence_parallelism(self):
        def make(communicator):
            return RowParallelLinear(6, 2, communicator, sequence_parallel=True, rng=0, dtype=np.float64), (8, 4)

        assert self.counted(make, 3, 2) == {
            "forward": {("reduce_scatter", 1, self.Y)}, "backward": {("all_gather", 1, self.Y)},
        }  # fmt: skip

    @pytest.mark.parametrize("gated", [False, True], ids=["plain", "gated"])
    def test_a_block_says_as_much_as_its_two_layers(self, gated):
        """The gated one as well, though it has two layers where the other has one."""
        kind = ParallelGatedMlp if gated else ParallelMlp
        options = {"rng": 0, "dtype": np.float64} | ({"multiple_of": 6} if gated else {})

        def make(sequence_parallel):
            rows = (4, 4) if sequence_parallel else (8, 8)
            return lambda c: (
                kind(4, 6, 2, communicator=c, sequence_parallel=sequence_parallel, **options), rows,
            )  # fmt: skip

        assert self.counted(make(False), 4, 2) == {
            "forward": {("all_reduce", 1, self.Y)}, "backward": {("all_reduce", 1, self.X)},
        }  # fmt: skip
        assert self.counted(make(True), 4, 2) == {
            "forward": {self.LENGTHS, ("all_gather", 1, self.X), ("reduce_scatter", 1, self.Y)},
            # dY and, once more, X.
            "backward": {self.LENGTHS, ("all_gather", 2, self.Y + self.X), ("reduce_scatter", 1, self.X)},
        }

    @each_block
    def test_sequence_parallelism_moves_as_many_bytes(self, case):
        """An all-reduce is a reduce-scatter and an all-gather; only gathering X a second time comes on top."""

        def run(communicator, sequence_parallel):
            block = case.parallel(communicator, sequence_parallel)
            communicator.counts.clear()
            x, dy = data(8)
            mine = own_rows(communicator, 8, sequence_parallel)
            block.forward(x[mine])
            block.backward(dy[mine])
            return sum(c.wire_bytes for c in communicator.counts.values() if c.name != "gather_lengths")

        whole, sliced = (run_threads(run, 4, mode)[0] for mode in (False, True))
        x_once = 3 / 4 * 8 * FEATURES * 8  # all that a rank lacks of X, in bytes
        assert sliced == whole + x_once


class TestPackedGate:
    """The trap: a packed weight of value and gate, cut into contiguous parts."""

    def cut(self, weight: np.ndarray, ranks: int) -> float:
        """The largest error of y if each rank takes ``weight``'s columns as [its values, its gates]."""
        whole = GatedMlp(FEATURES, HIDDEN, OUT, "SiLU", multiple_of=1, bias1=False, bias2=False, **OPTIONS)
        x = 2 * data()[0]
        total = np.zeros((TOKENS, OUT))
        for part, rows in zip(np.split(weight, ranks, axis=1), np.split(whole.fc2.weight.data, ranks), strict=True):
            of_rank = GatedMlp(
                FEATURES, HIDDEN // ranks, OUT, "SiLU", multiple_of=1, bias1=False, bias2=False, dtype=np.float64
            )
            of_rank.load_packed_fc1(part)
            of_rank.fc2.weight.data = rows
            total += of_rank(x)
        return abs(total - whole(x)).max()

    @pytest.mark.parametrize("ranks", [2, 3, 4])
    def test_contiguous_parts_make_another_function(self, ranks):
        whole = GatedMlp(FEATURES, HIDDEN, OUT, "SiLU", multiple_of=1, bias1=False, bias2=False, **OPTIONS)
        values, gates = whole.value.weight.data, whole.gate.weight.data
        assert self.cut(np.concatenate([values, gates], axis=1), ranks) > 1
        halves = zip(np.split(values, ranks, axis=1), np.split(gates, ranks, axis=1), strict=True)
        assert self.cut(np.concatenate([half for pair in halves for half in pair], axis=1), ranks) < 1e-13

    @pytest.mark.parametrize("order", ["value_first", "gate_first"])
    def test_packed_weights_of_the_whole_block_go_in_and_out(self, order):
        serial, other = CASES[4].serial(), GatedMlp(FEATURES, **CASES[4].options | {"rng": 8})
        packed = other.packed_fc1(order)
        other.fc2 = serial.fc2

        def run(communicator):
            block = CASES[4].parallel(communicator, True)
            block.load_packed_fc1(*packed, order=order)
            return block.packed_fc1(order), block.to_serial()

        for (weight, bias), whole in run_threads(run, 3):
            np.testing.assert_array_equal(weight, packed[0])
            np.testing.assert_array_equal(bias, packed[1])
            np.testing.assert_array_equal(whole(data()[0]), other(data()[0]))


class TestPasses:
    @each_block
    @each_mode
    def test_several_in_flight(self, case, sequence_parallel):
        """Two batches of different length forward, then backward in the other order, on what each had saved."""
        lengths = (7, 4)
        serial = case.serial()
        expected = []
        for n in lengths:
            x, dy = data(n)
            serial.forward(x)
            expected.append(serial.backward(dy))

        def run(communicator):
            block = case.parallel(communicator, sequence_parallel)
            batches = []
            for n in lengths:
                mine = own_rows(communicator, n, sequence_parallel)
                x, dy = (a[mine] for a in data(n))
                block.forward(x)
                batches.append((block.saved, dy, mine))
            found = []
            for saved, dy, mine in reversed(batches):
                block.saved = saved
                found.append((block.backward(dy), mine))
            return found[::-1], block.to_serial()

        for found, _ in run_threads(run, 2):
            for (grad_x, mine), whole in zip(found, expected, strict=True):
                assert_close(grad_x, whole[mine])

    @each_block
    @each_mode
    def test_return_residual(self, case, sequence_parallel):
        x, dy = data()
        dr = x[::-1].copy()
        serial = type(case.serial())(FEATURES, return_residual=True, **case.options)
        serial.forward(x)
        expected = serial.backward((dy, dr))

        def run(communicator):
            kind = ParallelGatedMlp if case.gated else ParallelMlp
            mine = own_rows(communicator, TOKENS, sequence_parallel)
            block = kind.from_serial(serial, communicator, sequence_parallel)
            given = x[mine]
            _, residual = block.forward(given)
            assert residual is given
            assert_close(block.backward((dy[mine], dr[mine])), expected[mine])
            return block.to_serial().return_residual

        assert run_threads(run, 2) == [True, True]

    @each_block
    @each_mode
    def test_float32_stays_float32(self, case, sequence_parallel):
        def run(communicator):
            block = case.parallel(communicator, sequence_parallel).astype(np.float32)
            x, dy = (a[own_rows(communicator, TOKENS, sequence_parallel)].astype(np.float32) for a in data())
            arrays = [block.forward(x), block.backward(dy), *(p.grad for p in block.parameters().values())]
            return {array.dtype for array in arrays}

        assert run_threads(run, 2) == [{np.dtype(np.float32)}] * 2


class TestRefusals:
    def refused(self, run, ranks: int = 2) -> str:
        with pytest.raises(InputError) as error:
            run_threads(run, ranks)
        return str(error.value)

    def test_widths_that_the_ranks_cannot_divide(self):
        assert self.refused(lambda c: ColumnParallelLinear(4, 9, c, rng=0), 4) == (
            "ColumnParallelLinear: out_features 9 cannot be divided among 4 ranks; accepted: 8 or 12, for example"
        )
        assert "in_features 3 cannot be divided among 4 ranks; accepted: 4, for" in self.refused(
            lambda c: RowParallelLinear(3, 4, c, rng=0), 4
        )
        assert "ParallelMlp: hidden_features 8 cannot be divided among 3 ranks; accepted: 6 or 9" in self.refused(
            lambda c: ParallelMlp(2, communicator=c, rng=0), 3
        )
        assert "ParallelGatedMlp: hidden_features 128 cannot be divided among 3 ranks" in self.refused(
            lambda c: ParallelGatedMlp(2, communicator=c, rng=0), 3
        )

    @each_block
    def test_fewer_tokens_than_ranks(self, case):
        def run(communicator):
            block = case.parallel(communicator, True)
            block.forward(data(2)[0][own_rows(communicator, 2, True)])

        assert "each rank needs a token of its own, but there are 2 tokens for 3 ranks" in self.refused(run, 3)
        layer = "RowParallelLinear: with sequence_parallel each rank needs a token of its own"
        assert layer in self.refused(
            lambda c: RowParallelLinear(6, 2, c, sequence_parallel=True).forward(np.ones((1, 3), np.float32))
        )

    @each_block
    def test_tokens_that_are_divided_otherwise(self, case):
        def run(communicator):
            case.parallel(communicator, True).forward(np.ones((communicator.rank + 1, FEATURES)))

        text = "3 tokens are to be divided as slice_sizes does it, (2, 1), got (1, 2)"
        assert text in self.refused(run)

    def test_no_tokens_axis(self):
        def run(communicator):
            ColumnParallelLinear(4, 2, communicator, sequence_parallel=True, rng=0).forward(np.ones(4, np.float32))

        assert "x of shape (tokens, ..., features) is needed, got shape (4,)" in self.refused(run)

    @pytest.mark.parametrize(
        ("activation", "problem"),
        [
            ("Softmax", "is not elementwise"),
            (Softmax(), "is not elementwise"),
            (LayerNorm(HIDDEN), "has parameters or a state"),
            (Dropout(0.5), "has parameters or a state"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("kind", [ParallelMlp, ParallelGatedMlp])
    def test_activations_that_look_at_other_units(self, kind, activation, problem):
        with pytest.raises(InputError, match=f"{problem}, so hidden units cannot be divided among ranks"):
            kind(FEATURES, HIDDEN, activation=activation, communicator=SerialCommunicator())

    @pytest.mark.parametrize("communicator", [None, 2, SerialCommunicator])
    def test_what_is_no_communicator(self, communicator):
        for make in (
            lambda: ColumnParallelLinear(4, 2, communicator),
            lambda: ParallelMlp(4, communicator=communicator),
            lambda: ParallelGatedMlp(4, communicator=communicator),
            lambda: ParallelMlp.from_serial(Mlp(4), communicator),
        ):
            with pytest.raises(InputError, match="communicator must be a Communicator, got"):
                make()

    def test_widths_dtypes_and_gradients_that_do_not_fit(self):
        column = ColumnParallelLinear(4, 2, SerialCommunicator(), dtype=np.float64)
        row = RowParallelLinear(4, 2, SerialCommunicator(), dtype=np.float64)
        for layer in (column, row):
            with pytest.raises(InputError, match="backward needs a forward pass first"):
                layer.backward(np.ones((5, 2)))
            with pytest.raises(InputError, match="expects 4 features in the last axis, got shape"):
                layer.forward(np.ones((5, 3)))
            with pytest.raises(InputError, match="computes in float64, got float32"):
                layer.forward(np.ones((5, 4), np.float32))
            layer.forward(np.ones((5, 4)))
            with pytest.raises(InputError, match=r"the gradient has shape \(5, 3\), but the output had \(5, 2\)"):
                layer.backward(np.ones((5, 3)))

    def test_blocks_of_the_other_kind(self):
        with pytest.raises(InputError, match=r"ParallelMlp.from_serial: block must be of type Mlp, got GatedMlp\("):
            ParallelMlp.from_serial(GatedMlp(2), SerialCommunicator())
        with pytest.raises(InputError, match=r"block must be of type GatedMlp, got ParallelGatedMlp\("):
            ParallelGatedMlp.from_serial(
                ParallelGatedMlp(2, communicator=SerialCommunicator()), SerialCommunicator()
            )

    def test_the_name_of_the_lesson(self):
        assert ParallelMLP is ParallelMlp
