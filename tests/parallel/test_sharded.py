"""Fully sharded: each rank holds a slice of everything, and the network is the serial one all the same."""

import math
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from data_exercise import CASES, exercise, same_results, serial
from hypothesis import given, settings
from hypothesis import strategies as st
from running import PATIENCE

from mlp import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    CrossEntropyLoss,
    InputError,
    Linear,
    MSELoss,
    Network,
    Parameter,
    ReLU,
    RMSProp,
    Solver,
    Tanh,
)
from mlp.efficiency.mixed_precision import LossScaler, MixedPrecision
from mlp.layers import BatchNorm, Dropout, LayerNorm, Recompute, Residual, Sequential
from mlp.optim import WeightAverage, clip_by_norm
from mlp.optim.regularizers import L1, L2, ElasticNet, MaxNorm
from mlp.parallel import SerialCommunicator, run_threads
from mlp.parallel.data.replicas import slice_batch
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.sharded.memory import (
    bytes_held,
    bytes_per_rank,
    memory_table,
    mixed_precision_bytes_per_rank,
    wire_bytes_per_step,
)
from mlp.parallel.sharded.training import ShardedDataParallel
from mlp.parallel.sharded.units import divide, group_layers

LIMIT = PATIENCE
RANKS = [1, 2, 3, 4]
STAGES = [1, 2, 3]
each_size = pytest.mark.parametrize("ranks", RANKS)
each_stage = pytest.mark.parametrize("stage", STAGES)
property_test = settings(deadline=None, max_examples=50, derandomize=True)
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(11, 5)), rng.integers(0, 3, 11)


def small(*between, dtype=np.float64) -> Network:
    """36 + 21 numbers."""
    return Network(Linear(5, 6), *between, Tanh(), Linear(6, 3), rng=1, init="auto", dtype=dtype)


def whole_gradient(parallel: ShardedDataParallel) -> np.ndarray:
    return parallel.gather_vector(parallel.network.parameters.grad)


def mine(communicator) -> tuple[np.ndarray, np.ndarray]:
    return slice_batch(X, communicator), slice_batch(Y, communicator)


@pytest.mark.parametrize("case", [c for c in CASES if c.stage], ids=str)
@each_size
def test_it_is_the_serial_network(ranks, case):
    """Losses, gradients, and after 20 steps weights, optimizer state and scores; for processes see
    ``test_data_parallel``."""
    expected = serial(case)
    for results in run_threads(lambda communicator: exercise(case, communicator), ranks, time_limit=LIMIT):
        same_results(results, expected)


@each_stage
def test_a_solver_trains_it_and_finds_a_replaced_parameter(stage):
    def program(communicator, replace):
        parallel = ShardedDataParallel(small(), communicator, stage)
        if replace:
            parallel.network[0].bias = Parameter(np.zeros(parallel.network[0].bias.shape), "0.bias")
        optimizer = SGD(parallel.parameters, lr=0.1)
        return Solver(parallel, CrossEntropyLoss(), optimizer, epochs=3, batch_size=4).fit((X, Y))["train_loss"]

    serial_network = small()
    optimizer = SGD(serial_network.parameters, lr=0.1)
    solver = Solver(serial_network, CrossEntropyLoss(), optimizer, epochs=3, batch_size=4)
    expected = solver.fit((X, Y))["train_loss"]
    for losses in run_threads(program, 2, False, time_limit=LIMIT):
        np.testing.assert_allclose(losses, expected, rtol=1e-10)
    with pytest.raises(InputError, match=r"0\.bias is not the parameter that it was made with"):
        run_threads(program, 2, True, time_limit=LIMIT)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda p: Adam(p, amsgrad=True),
        lambda p: AdamW(p, lr=0.01),
        lambda p: AdaGrad(p, lr=0.1),
        lambda p: RMSProp(p, lr=0.01, momentum=0.5, centered=True),
    ],
    ids=["Nesterov", "amsgrad", "AdamW", "AdaGrad", "RMSProp"],
)
def test_every_optimizer_works_on_slices(make):
    network = small()
    optimizer = make(network.parameters)
    for _ in range(5):
        network.training_step(X, Y, CrossEntropyLoss())
        optimizer.step()

    def program(communicator):
        twin = small()
        parallel = ShardedDataParallel(twin, communicator)
        optimizer = make(twin.parameters)
        for _ in range(5):
            parallel.training_step(*mine(communicator), CrossEntropyLoss())
            optimizer.step()
        return parallel.state_dict(), parallel.optimizer_state(optimizer)

    for weights, state in run_threads(program, 3):
        same_results(weights, network.state_dict())
        same_results(state, optimizer.state_dict())


class TestLayers:
    @each_stage
    @pytest.mark.parametrize("input_gradient", [False, True])
    def test_layers_without_parameters_and_without_end(self, stage, input_gradient):
        """In front, in between, behind; dL/dx too; hooks see every layer once."""

        def build():
            layers = (
                Tanh(),
                ReLU(),
                Linear(5, 4),
                Residual(Tanh(), Linear(4, 4)),
                LayerNorm(4),
                Linear(4, 3),
                Tanh(),
            )
            return Network(*layers, rng=2, init="auto", dtype=np.float64)

        def run(network):
            seen = []
            network.add_hook(lambda layer, y: seen.append(("forward", repr(layer))))
            network.add_backward_hook(lambda layer, g: seen.append(("backward", repr(layer))))
            y = network.forward(X)
            return y, network.backward(np.cos(y), input_gradient), seen

        expected = run(build())

        def program(communicator):
            network = build()
            ShardedDataParallel(network, communicator, stage)
            return run(network)

        for y, grad_x, seen in run_threads(program, 2):
            np.testing.assert_array_equal(y, expected[0])
            assert seen == expected[2]
            if input_gradient:
                np.testing.assert_array_equal(grad_x, expected[1])

    @each_stage
    def test_recomputation_changes_no_bit(self, stage):
        def program(communicator, wrap):
            network = Network(
                wrap(Linear(5, 8), Dropout(0.5), Tanh()), wrap(BatchNorm(8), Linear(8, 6)), Tanh(), Linear(6, 3),
                rng=3, dtype=np.float64,
            )  # fmt: skip
            parallel = ShardedDataParallel(network, communicator, stage)
            for parts in (1, 2):
                parallel.training_step(*mine(communicator), CrossEntropyLoss(), parts=parts)
            return whole_gradient(parallel), communicator.counts.wire_bytes

        plain, again = run_threads(program, 2, Sequential), run_threads(program, 2, Recompute)
        for (expected, bytes_without), (grad, bytes_with) in zip(plain, again, strict=True):
            np.testing.assert_array_equal(grad, expected)
            assert bytes_with == bytes_without

    def test_in_stage_3_only_one_unit_has_values(self):
        def program(communicator):
            network = Network(Linear(5, 6), Tanh(), Linear(6, 4), Linear(4, 3), rng=2, dtype=np.float64)
            parallel = ShardedDataParallel(network, communicator)
            seen = []

            def look(layer, array):
                present = [not np.isnan(p.data).any() for p in whole]
                assert all(present[i] or np.isnan(p.data).all() for i, p in enumerate(whole))
                seen.append("".join("-+"[is_there] for is_there in present))

            whole = [p for unit in parallel.units for p in unit.parameters]
            network.add_hook(look)
            network.add_backward_hook(look)
            parallel.training_step(*mine(communicator), CrossEntropyLoss())
            look(None, None)
            return seen

        forward = ["++----", "++----", "--++--", "----++"]  # Tanh has no parameters, and is with the first Linear
        for seen in run_threads(program, 2):
            assert seen == [*forward, *forward[::-1], "------"]

    def test_batch_norm_and_dropout_are_those_of_data_parallel(self):
        def program(communicator, stage):
            network = small(BatchNorm(6), Dropout(0.5))
            if stage:
                parallel = ShardedDataParallel(network, communicator, stage)
            else:
                parallel = DataParallel(network, communicator)
            optimizer = SGD(network.parameters, lr=0.1, momentum=0.9)
            for _ in range(5):
                parallel.training_step(*mine(communicator), CrossEntropyLoss())
                optimizer.step()
                parallel.publish()
            return parallel.state_dict() | {"scores": network.scores(X)}

        expected = run_threads(program, 3, 0)[0]
        for stage in STAGES:
            for results in run_threads(program, 3, stage):
                same_results(results, expected)


class TestUnits:
    def test_a_unit_begins_at_a_layer_with_parameters(self):
        a, b, c, d, e = Tanh(), Linear(2, 2), Tanh(), Linear(2, 2), Tanh()
        assert group_layers((a, b, c, d, e)) == [(a, b, c), (d, e)]

    def test_what_shares_parameters_and_what_is_between_is_one_unit(self):
        a, b, c = (Linear(2, 2) for _ in range(3))
        assert [len(group) for group in group_layers((a, b, c, b.tied(), Tanh(), Linear(2, 2)))] == [1, 4, 1]
        assert [len(group) for group in group_layers((a, b, a.tied(), c, b.tied(), Linear(2, 2)))] == [5, 1]

    @property_test
    @given(
        widths=st.lists(st.integers(1, 4), min_size=2, max_size=5), ranks=st.integers(1, 7), in_one=st.booleans()
    )
    def test_the_slices_of_all_ranks_are_the_whole(self, widths, ranks, in_one):
        layers = [Linear(m, n, bias=n % 2 == 0) for m, n in pairwise(widths)]
        network = Network(*layers, rng=0)
        flat = np.arange(network.parameters.size)
        found, names = [], []
        per_rank = [divide(network.body, ranks, rank, in_one=in_one) for rank in range(ranks)]
        for of_unit in zip(*per_rank, strict=True):
            for unit in of_unit:
                pieces = list(unit.pieces(flat[unit.part].astype(np.float32)))
                assert [p.data.ndim for p in pieces] == [p.data.ndim for p in unit.parameters]
                assert sum(p.size for p in pieces) == unit.place.stop - unit.place.start
                found += [n for p in pieces for n in p.data.reshape(-1).tolist()]
                names += [p.name for p in pieces if p.size]
        assert found == flat.tolist()
        assert list(dict.fromkeys(names)) == [p.name for p in network.parameters]
        for units in per_rank:
            assert max(u.size // ranks for u in units) <= max(u.place.stop - u.place.start for u in units)

    def test_more_ranks_than_numbers(self):
        network = Network(Linear(1, 1), rng=0, dtype=np.float64)
        network.training_step(X[:, :1], X[:, 1:2], MSELoss())
        expected = network.parameters.grad.copy()

        def program(communicator):
            twin = Network(Linear(1, 1), rng=0, dtype=np.float64)
            parallel = ShardedDataParallel(twin, communicator)
            optimizer = Adam(twin.parameters)
            x, y = slice_batch(X[:, :1], communicator), slice_batch(X[:, 1:2], communicator)
            parallel.training_step(x, y, MSELoss())
            grad = whole_gradient(parallel)
            parallel.clip_by_norm(0.1)
            optimizer.step()
            return twin.parameters.size, grad

        sizes, grads = zip(*run_threads(program, 4), strict=True)
        assert sizes == (1, 1, 0, 0)
        for grad in grads:
            np.testing.assert_allclose(grad, expected, rtol=1e-12)


class TestCommunication:
    """Counted against 2, 2, 2, 3 times P (N - 1)/N numbers, with accumulation too."""

    @pytest.mark.parametrize("parts", [1, 3])
    @pytest.mark.parametrize("stage", [0, *STAGES])
    @each_size
    def test_bytes_are_those_of_the_formula(self, ranks, stage, parts):
        def program(communicator):
            network = small()
            parallel = (
                ShardedDataParallel(network, communicator, stage) if stage else DataParallel(network, communicator)
            )
            optimizer = SGD(network.parameters, lr=0.1)
            communicator.counts.clear()
            parallel.training_step(*mine(communicator), CrossEntropyLoss(), parts=parts)
            optimizer.step()
            parallel.publish()
            return communicator.counts.wire_bytes

        short = 2 * (ranks - 1) / ranks * 6 * 8  # the all-reduce of the loss
        expected = wire_bytes_per_step(stage, 57, ranks, itemsize=8, microbatches=parts) + short
        assert run_threads(program, ranks) == pytest.approx([expected] * ranks, rel=1e-15)

    @pytest.mark.parametrize(
        ("stage", "calls"),
        [
            (1, {"reduce_scatter": (1, 456), "all_gather": (1, 456)}),
            (2, {"reduce_scatter": (2, 456), "all_gather": (1 * 2, 456)}),
            (3, {"reduce_scatter": (2, 456), "all_gather": (2 * 2, 2 * 456)}),
        ],
    )
    def test_worked_numbers(self, stage, calls):
        """57 numbers of 8 bytes are 456; in two units from stage 2 on."""

        def program(communicator):
            network = small()
            parallel = ShardedDataParallel(network, communicator, stage)
            communicator.counts.clear()
            parallel.training_step(*mine(communicator), CrossEntropyLoss())
            parallel.publish()
            return {n: (c.calls, c.payload_bytes) for n, c in communicator.counts.items()}

        assert run_threads(program, 2) == [calls | {"all_reduce": (1, 48)}] * 2

    def test_formula_in_numbers(self):
        """1000 numbers of 4 bytes on 4 ranks: 2 · 4000 · 3/4 = 6000; half as much again in stage 3."""
        assert [wire_bytes_per_step(stage, 1000, 4) for stage in range(4)] == [6000, 6000, 6000, 9000]
        assert wire_bytes_per_step(3, 1000, 1) == 0


class TestMemory:
    def test_as_published(self):
        """Figure 1 of the ZeRO paper: 7.5 billion parameters on 64 ranks take 120, 31.4, 16.6 and 1.9 GB."""
        found = [mixed_precision_bytes_per_rank(stage, 7_500_000_000, 64) / 1e9 for stage in range(4)]
        assert found == pytest.approx([120, 31.4, 16.6, 1.88], abs=0.05)

    def test_formula_in_numbers(self):
        """1000 numbers of 4 bytes on 4 ranks, the largest unit of 300: see the docstring."""
        found = [bytes_per_rank(stage, 1000, 4, largest_unit=300) for stage in range(4)]
        assert found == [16_000, 12_000, 4_000 + 4_000 + 1_200, 4_000 + 2_400]

    @pytest.mark.parametrize("stage", [0, *STAGES])
    @pytest.mark.parametrize("ranks", [1, 2, 4])
    @pytest.mark.parametrize(("make", "rows"), [(Adam, 4), (SGD, 4), (lambda p: Adam(p, amsgrad=True), 5)])
    def test_a_rank_holds_what_the_formula_says(self, stage, ranks, make, rows):
        """But for rows that end on a multiple of 64 bytes, and slices that differ by one number a unit."""

        def program(communicator):
            network = Network(Linear(50, 100), Tanh(), Linear(100, 80), Linear(80, 10), rng=0)
            parallel = (
                ShardedDataParallel(network, communicator, stage) if stage else DataParallel(network, communicator)
            )
            return bytes_held(parallel, make(network.parameters))

        P, largest = 50 * 100 + 100 + 100 * 80 + 80 + 80 * 10 + 10, 100 * 80 + 80
        for held in run_threads(program, ranks):
            expected = bytes_per_rank(stage, P, ranks, rows=rows, largest_unit=largest)
            assert abs(held - expected) <= rows * (64 + 3 * 4)

    @each_stage
    def test_the_allocator_agrees(self, stage):
        """What the making of a network, its sharding and an optimizer leave on two ranks in one process."""
        sizes = (300, 400, 300, 10)
        P = sum(m * n + n for m, n in pairwise(sizes))

        def program(communicator):
            layers = [Linear(m, n) for m, n in pairwise(sizes)]
            network = Network(*layers, rng=0)
            parallel = ShardedDataParallel(network, communicator, stage)
            optimizer = SGD(network.parameters, momentum=0.9)  # which needs no scratch
            return parallel, optimizer, bytes_held(parallel, optimizer)

        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            held = run_threads(program, 2)
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        counted = sum(of_rank for *_, of_rank in held)
        assert after - before == pytest.approx(counted, rel=0.01, abs=60_000)  # Python's own objects
        assert counted == pytest.approx(2 * bytes_per_rank(stage, P, 2, largest_unit=300 * 400 + 400), rel=1e-3)

    def test_table(self):
        table = str(memory_table(1_000_000, [2, 4]))
        assert "2 ranks" in table
        assert "4 ranks" in table
        # 16 MB; 8 + 8; 4 + 8; 8 on two ranks, beside 16; 4 + 6; 2 + 7; 8.
        assert [line.split()[-4:-2] for line in table.splitlines()[2:]] == [
            ["16.0", "(16.0)"], ["16.0", "(10.0)"], ["12.0", "(9.0)"], ["8.0", "(8.0)"]
        ]  # fmt: skip

    @pytest.mark.parametrize("function", [bytes_per_rank, mixed_precision_bytes_per_rank, wire_bytes_per_step])
    @pytest.mark.parametrize("stage", [-1, 4, "3"])
    def test_stages(self, function, stage):
        with pytest.raises(InputError, match="stage must be one of 0, 1, 2, 3"):
            function(stage, 100, 2)


class TestBetweenGradientAndUpdate:
    """Against the serial network and the functions that it is trained with."""

    @each_stage
    @pytest.mark.parametrize("limit", [1e-3, 1e3])
    def test_clipping_by_the_global_norm(self, stage, limit):
        network = small()
        network.training_step(X, Y, CrossEntropyLoss())
        norm = clip_by_norm(network.parameters, limit)

        def program(communicator):
            twin = small()
            parallel = ShardedDataParallel(twin, communicator, stage)
            parallel.training_step(*mine(communicator), CrossEntropyLoss())
            before, after = parallel.clip_by_norm(limit), parallel.global_norm()
            return before, after, whole_gradient(parallel)

        results = run_threads(program, 3)
        assert len({before for before, *_ in results}) == 1
        for before, after, grad in results:
            assert before == pytest.approx(norm, rel=1e-12)
            assert after == pytest.approx(min(norm, limit), rel=1e-12)
            np.testing.assert_allclose(grad, network.parameters.grad, rtol=1e-11, atol=1e-15)

    def test_a_gradient_that_is_not_finite_is_not_clipped(self):
        def program(communicator):
            network = small()
            parallel = ShardedDataParallel(network, communicator)
            network.parameters.grad[...] = 1
            if communicator.rank == 1:
                network.parameters.grad[0] = np.nan
            return parallel.clip_by_norm(0.1), network.parameters.grad[-1]

        for norm, g in run_threads(program, 2):
            assert math.isnan(norm)
            assert g == 1

    @each_stage
    @pytest.mark.parametrize(
        "regularizer",
        [lambda: L2(0.1), lambda: L1(0.1), lambda: ElasticNet(0.1, 0.2), lambda: L2(0.1, biases=True)],
        ids=["L2", "L1", "ElasticNet", "L2 of biases"],
    )
    def test_penalties(self, stage, regularizer):
        network = small()
        network.parameters.data[30:36] = 2  # biases of the first layer
        network.training_step(X, Y, CrossEntropyLoss())
        penalty = regularizer().penalty(network.parameters)
        regularizer().add_gradient(network.parameters)
        weights = network.state_dict()

        def program(communicator):
            twin = small()
            twin.load_state_dict(weights)
            parallel = ShardedDataParallel(twin, communicator, stage)
            parallel.training_step(*mine(communicator), CrossEntropyLoss())
            return parallel.penalise(regularizer()), whole_gradient(parallel)

        for value, grad in run_threads(program, 3):
            assert value == pytest.approx(penalty, rel=1e-12)
            np.testing.assert_allclose(grad, network.parameters.grad, rtol=1e-11, atol=1e-15)

    @each_stage
    def test_a_constraint_sees_whole_parameters(self, stage):
        network = small()
        MaxNorm(0.5).apply(network.parameters)

        def program(communicator):
            twin = small()
            parallel = ShardedDataParallel(twin, communicator, stage)
            parallel.publish(MaxNorm(0.5))
            return parallel.state_dict(), twin.scores(X)

        for state, scores in run_threads(program, 3):
            same_results(state, network.state_dict())
            np.testing.assert_allclose(scores, network.scores(X), rtol=1e-12)

    @each_stage
    def test_an_average_of_slices_is_a_slice_of_the_average(self, stage):
        network = small()
        average = WeightAverage(network.parameters, decay=0.9)
        for scale in (1, 2, 3):
            network.parameters.data[...] *= scale
            average.update()

        def program(communicator):
            twin = small()
            parallel = ShardedDataParallel(twin, communicator, stage)
            mean = WeightAverage(twin.parameters, decay=0.9)
            for scale in (1, 2, 3):
                twin.parameters.data[...] *= scale
                mean.update()
            with mean.swapped():
                parallel.publish()
                return parallel.gather_vector(mean.parameters.data), twin.scores(X)

        with average.swapped():
            for weights, scores in run_threads(program, 2):
                np.testing.assert_allclose(weights, network.parameters.data, rtol=1e-12)
                np.testing.assert_allclose(scores, network.scores(X), rtol=1e-12)


def normalised() -> Network:
    """If every rank sees the whole batch, their statistics are those of the serial network."""
    return Network(Linear(5, 6), Tanh(), BatchNorm(6), Linear(6, 3), rng=1, init="auto", dtype=np.float64)


class TestCheckpoints:
    @pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1, momentum=0.9), lambda p: Adam(p, lr=0.01)])
    @pytest.mark.parametrize(("before", "after"), [((3, 3), (2, 1)), ((2, 1), (4, 3)), ((4, 2), (1, 2))])
    def test_saved_by_some_ranks_resumed_by_others(self, make, before, after):
        """(ranks, stage): each time the serial network's state, which goes on as the serial network does."""
        network = normalised()
        optimizer = make(network.parameters)
        for _ in range(6):
            network.training_step(X, Y, CrossEntropyLoss())
            optimizer.step()

        def program(communicator, stage, start):
            twin = normalised()
            parallel = ShardedDataParallel(twin, communicator, stage)
            optimizer = make(twin.parameters)
            if start:
                parallel.load_state_dict(start[0])
                parallel.load_optimizer_state(optimizer, start[1])
            for _ in range(3):
                parallel.training_step(X, Y, CrossEntropyLoss())
                optimizer.step()
                parallel.publish()
            return parallel.state_dict(), parallel.optimizer_state(optimizer)

        saved = run_threads(program, before[0], before[1], None)
        resumed = run_threads(program, after[0], after[1], saved[-1])
        for weights, state in resumed:
            same_results(weights, network.state_dict())
            same_results(state, optimizer.state_dict())
        alone = normalised()
        alone.load_state_dict(saved[0][0])
        alone_optimizer = make(alone.parameters)
        alone_optimizer.load_state_dict(saved[0][1])
        for _ in range(3):
            alone.training_step(X, Y, CrossEntropyLoss())
            alone_optimizer.step()
        same_results(alone.state_dict(), network.state_dict())

    def test_another_architecture_is_refused(self):
        def program(communicator):
            network = small()
            parallel = ShardedDataParallel(network, communicator)
            before = network.parameters.data.copy()
            wrong = Network(Linear(5, 6), Tanh(), Linear(6, 4), rng=0).state_dict()
            with pytest.raises(InputError, match="another architecture"):
                parallel.load_state_dict(wrong)
            np.testing.assert_array_equal(network.parameters.data, before)

        run_threads(program, 2)

    def test_a_network_that_is_whole_again_can_be_copied(self):
        def program(communicator):
            network = small()
            parallel = ShardedDataParallel(network, communicator)
            parallel.unshard()
            copy = network.astype(np.float64)
            parallel.reshard()
            assert all(np.isnan(p.data).all() for unit in parallel.units for p in unit.parameters)
            return copy

        for copy in run_threads(program, 2):
            np.testing.assert_array_equal(copy.parameters.data, small().parameters.data)
            np.testing.assert_array_equal(copy.scores(X), small().scores(X))

    def test_whole_weights_do_not_outlive_a_step(self):
        def program(communicator):
            network = small()
            parallel = ShardedDataParallel(network, communicator)
            parallel.unshard()
            network.parameters.data[...] *= 2
            parallel.training_step(*mine(communicator), CrossEntropyLoss())
            return whole_gradient(parallel)

        doubled = small()
        doubled.parameters.data[...] *= 2
        doubled.training_step(X, Y, CrossEntropyLoss())
        for grad in run_threads(program, 2):
            np.testing.assert_allclose(grad, doubled.parameters.grad, rtol=1e-11, atol=1e-15)


class TestMixedPrecision:
    @each_stage
    def test_weights_and_gradients_are_those_of_the_serial_network_but_for_rounding(self, stage):
        x = X.astype(np.float32)

        def build():
            return Network(Linear(5, 16), ReLU(), Linear(16, 3), rng=1, init="auto")

        network = build()
        precision, optimizer = MixedPrecision(network, LossScaler(8.0)), SGD(network.parameters, lr=0.1)
        for _ in range(3):
            precision.training_step(x, Y, CrossEntropyLoss())
            assert precision.unscale()
            optimizer.step()

        def program(communicator):
            twin = build()
            parallel = ShardedDataParallel(twin, communicator, stage)
            precision, optimizer = MixedPrecision(twin, LossScaler(8.0)), SGD(twin.parameters, lr=0.1)
            parallel.publish(precision=precision)
            parts = slice_batch(x, communicator), slice_batch(Y, communicator)
            for _ in range(3):
                parallel.training_step(*parts, CrossEntropyLoss(), precision=precision)
                assert precision.unscale()
                optimizer.step()
                parallel.publish(precision=precision)
            if stage < 3:  # what all ranks have is rounded, what is learned is not
                for p in (p for unit in parallel.units for p in unit.parameters):
                    np.testing.assert_array_equal(p.data, p.data.astype(np.float16))
            return parallel.gather_vector(twin.parameters.data)

        start = build().parameters.data
        moved = network.parameters.data - start
        for weights in run_threads(program, 3):
            assert np.any(weights != weights.astype(np.float16))
            assert np.linalg.norm(weights - start - moved) < 2**-8 * np.linalg.norm(moved)

    @each_stage
    def test_an_overflow_in_one_slice_makes_all_skip_the_step(self, stage):
        """The gradient of one weight: only the rank that holds it sees it."""

        def program(communicator):
            network = Network(Linear(4, 3), rng=1, init="auto")
            precision = MixedPrecision(network)
            parallel = ShardedDataParallel(network, communicator, stage)
            precision = MixedPrecision(network)
            x = np.zeros((2, 4), np.float32)
            x[:, 0] = 6e4
            parallel.training_step(x, Y[:2], CrossEntropyLoss(), precision=precision)
            return precision.unscale(), precision.scaler.scale

        assert run_threads(program, 3) == [(False, 2.0**15)] * 3


class TestRefusals:
    @pytest.mark.parametrize("stage", [0, 4, None])
    def test_stage(self, stage):
        with pytest.raises(InputError, match="stage must be 1, 2 or 3"):
            ShardedDataParallel(small(), SerialCommunicator(), stage)

    def test_twice(self):
        network = small()
        ShardedDataParallel(network, SerialCommunicator())
        with pytest.raises(InputError, match="sharded already"):
            ShardedDataParallel(network, SerialCommunicator())
        with pytest.raises(InputError, match="belongs to another network"):
            Network(*network.layers)
