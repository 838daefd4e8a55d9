"""Data parallel: a network trained by several ranks is the network trained by one, whatever the slices."""

from pathlib import Path

import numpy as np
import pytest
from data_exercise import CASES, CASES_OF_PROCESSES, exercise, same_results, serial
from hypothesis import given, settings
from hypothesis import strategies as st
from running import PATIENCE, run_ranks

from mlp import SGD, CrossEntropyLoss, InputError, Linear, MSELoss, Network, ReLU, Tanh
from mlp.efficiency.mixed_precision import LossScaler, MixedPrecision
from mlp.layers import BatchNorm, Dropout
from mlp.parallel import CommunicatorError, SerialCommunicator, run_threads, slice_sizes
from mlp.parallel.data.replicas import (
    broadcast_parameters,
    check_replicas_equal,
    own_random_numbers,
    replica_hash,
    slice_batch,
)
from mlp.parallel.data.replicated import DataParallel

HERE = Path(__file__).parent
LIMIT = PATIENCE
RANKS = [1, 2, 3, 4]
each_size = pytest.mark.parametrize("ranks", RANKS)
property_test = settings(deadline=None, max_examples=50, derandomize=True)
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(11, 5)), rng.integers(0, 3, 11)


def small(*between, dtype=np.float64) -> Network:
    return Network(Linear(5, 6), *between, Tanh(), Linear(6, 3), rng=1, init="auto", dtype=dtype)


class TestIsTheSerialNetwork:
    """Losses and gradients in 20 steps; weights, the optimizer's state and scores after them."""

    @pytest.mark.parametrize("case", [c for c in CASES if not c.stage], ids=str)
    @each_size
    def test_on_threads(self, ranks, case):
        expected = serial(case)
        for results in run_threads(lambda communicator: exercise(case, communicator), ranks, time_limit=LIMIT):
            same_results(results, expected)

    def test_on_processes(self, tmp_path):
        """The bits that threads give, the numbers of the serial network; also in the cases of ``test_sharded``."""
        ranks = 2
        run_ranks(ranks, HERE / "data_exercise.py", tmp_path)
        files = [dict(np.load(tmp_path / f"rank{rank}.npz")) for rank in range(ranks)]
        for case in CASES_OF_PROCESSES:
            expected = serial(case)
            threads = run_threads(lambda communicator, case=case: exercise(case, communicator), ranks)
            for rank, arrays in enumerate(files):
                own = {n.removeprefix(f"{case}: "): a for n, a in arrays.items() if n.startswith(f"{case}: ")}
                same_results(own, expected)
                same_results(own, threads[rank], tolerance=0)

    def test_worked_numbers(self):
        """y = w x for w = 1, x = 1, 2, 3 and targets 0: the mean of ½ y² is (1 + 4 + 9) / 6 = 7 / 3, and twice
        as much its derivative, however divided. The mean of the means of (1, 2) and (3) would be (5/4 + 9/2) / 2.
        """

        def program(communicator, sizes):
            network = Network(Linear(1, 1, bias=False, dtype=np.float64))
            network.parameters.data[...] = 1
            x = slice_batch(np.array([[1.0], [2.0], [3.0]]), communicator, sizes)
            outcome = DataParallel(network, communicator).training_step(x, np.zeros_like(x), MSELoss())
            return outcome.loss, outcome.weight, outcome.samples, network.parameters.grad.tolist()

        for sizes in [(3,), (2, 1), (1, 1, 1), (0, 3), (1, 0, 0, 2)]:
            for result in run_threads(program, len(sizes), sizes):
                assert result[0] == pytest.approx(7 / 3, rel=1e-14)
                assert result[1:3] == (3, 3)
                assert result[3] == pytest.approx([14 / 3], rel=1e-14)

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_losses_that_are_sums_stay_sums(self, reduction):
        network, loss = small(), CrossEntropyLoss(reduction=reduction)
        value, _ = network.training_step(X, Y, loss)

        def program(communicator):
            twin = small()
            x, y = slice_batch(X, communicator), slice_batch(Y, communicator)
            return DataParallel(twin, communicator).training_step(
                x, y, CrossEntropyLoss(reduction)
            ), twin.parameters.grad

        for outcome, grad in run_threads(program, 3):
            assert outcome.loss == pytest.approx(value, rel=1e-14)
            np.testing.assert_allclose(grad, network.parameters.grad, rtol=1e-12, atol=1e-15)

    def test_class_weights_count_over_all_ranks(self):
        weights = (1.0, 5.0, 0.5)
        network = small()
        value, _ = network.training_step(X, Y, CrossEntropyLoss(class_weight=weights))

        def program(communicator):
            twin = small()
            x, y = slice_batch(X, communicator), slice_batch(Y, communicator)
            outcome = DataParallel(twin, communicator).training_step(x, y, CrossEntropyLoss(class_weight=weights))
            return outcome.loss, twin.parameters.grad

        for loss, grad in run_threads(program, 3):
            assert loss == pytest.approx(value, rel=1e-14)
            np.testing.assert_allclose(grad, network.parameters.grad, rtol=1e-12, atol=1e-15)

    def test_weights_that_are_all_zero_give_no_gradient(self):
        def program(communicator):
            network = small()
            step = DataParallel(network, communicator).training_step
            outcome = step(X, Y, CrossEntropyLoss(), sample_weight=np.zeros(11))
            return outcome.loss, outcome.weight, np.abs(network.parameters.grad).max()

        assert run_threads(program, 2) == [(0.0, 0.0, 0.0)] * 2

    def test_right_answers_are_counted_over_all_ranks(self):
        network = small()
        right = int((network.predict(X) == Y).sum())

        def program(communicator):
            x, y = slice_batch(X, communicator), slice_batch(Y, communicator)
            step = DataParallel(small(), communicator).training_step
            return step(x, y, CrossEntropyLoss(), parts=2, is_classification=True)

        for outcome in run_threads(program, 3):
            assert (outcome.correct, outcome.samples) == (right, 11)


class TestCommunication:
    @pytest.mark.parametrize("parts", [1, 3])
    def test_one_all_reduce_of_the_gradient(self, parts):
        """P = 5·6 + 6 + 6·3 + 3 = 57 numbers of 8 bytes, and 5 for the loss: total, weight, right, seen, seen."""

        def program(communicator):
            parallel = DataParallel(small(), communicator)
            communicator.counts.clear()
            parallel.training_step(
                slice_batch(X, communicator), slice_batch(Y, communicator), CrossEntropyLoss(), parts=parts
            )
            return {name: (c.calls, c.payload_bytes) for name, c in communicator.counts.items()}

        assert run_threads(program, 2) == [{"all_reduce": (2, 57 * 8 + 6 * 8)}] * 2

    def test_buckets_hold_whole_layers_and_begin_when_these_are_complete(self):
        """Layers of 36, 42 and 21 numbers of 8 bytes, from the last to the first."""

        class Recording(SerialCommunicator):
            def start_all_reduce(self, array, op="sum", out=None):
                begun.append(array.copy())
                return super().start_all_reduce(array, op, out)

        for bucket_bytes, sizes in [(1, [21, 42, 36]), (169, [63, 36]), (505, [99]), (10**6, [99])]:
            network = Network(Linear(5, 6), Tanh(), Linear(6, 6), Tanh(), Linear(6, 3), rng=1, dtype=np.float64)
            parallel = DataParallel(network, Recording(), bucket_bytes=bucket_bytes)
            for parts in (1, 2):
                begun = []
                parallel.training_step(X, Y, CrossEntropyLoss("sum"), parts=parts)
                assert [len(piece) for piece in begun] == sizes
                # When it began, each piece was what it is at the end.
                np.testing.assert_array_equal(np.concatenate(begun[::-1]), network.parameters.grad)
            assert network.body.backward_hooks == []

    def test_buckets_wait_for_the_first_place_of_a_layer_that_has_two(self):
        class Recording(SerialCommunicator):
            def start_all_reduce(self, array, op="sum", out=None):
                begun.append(array.copy())
                return super().start_all_reduce(array, op, out)

        begun = []
        shared = Linear(6, 6)
        network = Network(Linear(5, 6), shared, Tanh(), Linear(6, 6), shared, rng=1, dtype=np.float64)
        DataParallel(network, Recording(), bucket_bytes=1).training_step(X, np.ones((11, 6)), MSELoss("sum"))
        assert [len(piece) for piece in begun] == [42, 42, 36]
        np.testing.assert_array_equal(np.concatenate(begun[::-1]), network.parameters.grad)

    def test_in_buckets_the_same_bytes_and_the_same_bits(self):
        def program(communicator, bucket_bytes):
            network = small()
            parallel = DataParallel(network, communicator, bucket_bytes=bucket_bytes)
            communicator.counts.clear()
            parallel.training_step(slice_batch(X, communicator), slice_batch(Y, communicator), CrossEntropyLoss())
            return network.parameters.grad.copy(), communicator.counts["all_reduce"]

        for (whole, count), (pieces, counts) in zip(
            run_threads(program, 3, None), run_threads(program, 3, 1), strict=True
        ):
            np.testing.assert_array_equal(whole, pieces)
            assert counts.calls == count.calls + 1
            assert counts.wire_bytes == count.wire_bytes


class TestReplicas:
    def test_stay_equal_with_layers_that_draw_and_that_look_at_the_batch(self):
        """32 bits, uneven slices, Dropout and BatchNorm, after 10 steps."""

        def program(communicator):
            network = small(BatchNorm(6), Dropout(0.5), dtype=np.float32)
            if communicator.rank:
                network.parameters.data[...] = communicator.rank
                network[1].running_mean[...] = communicator.rank
            parallel, optimizer = DataParallel(network, communicator), SGD(network.parameters, lr=0.1, momentum=0.9)
            for _ in range(10):
                x, y = (slice_batch(a, communicator, (2, 8, 1)) for a in (X, Y))
                parallel.training_step(x, y, CrossEntropyLoss())
                optimizer.step()
            check_replicas_equal(network, communicator)
            return replica_hash(network), [g.bit_generator.state for g in network.generators().values()]

        results = run_threads(program, 3)
        assert results[0] == results[1] == results[2]

    def test_a_different_one_is_named(self):
        def program(communicator):
            network = small()
            check_replicas_equal(network, communicator)
            if communicator.rank == 1:
                network.parameters.data[7] += 1e-15
            check_replicas_equal(network, communicator)

        with pytest.raises(CommunicatorError, match="the replicas differ: rank 1 from rank 0"):
            run_threads(program, 3)

    def test_hash_sees_statistics_and_nothing_else(self):
        network = small(BatchNorm(6), Dropout(0.5))
        before = replica_hash(network)
        network.parameters.grad[...] = 1
        network[2].rng.random()
        assert replica_hash(network) == before == replica_hash(network.astype(np.float64))
        network[1].running_var[2] = 2
        assert replica_hash(network) != before

    def test_broadcast(self):
        def program(communicator):
            network = small(BatchNorm(6))
            network.parameters.data[...] = communicator.rank
            network[1].running_mean[...] = communicator.rank
            broadcast_parameters(network, communicator, root=1)
            return network.parameters.data.tolist(), network[1].running_mean.tolist()

        parameters = small(BatchNorm(6)).parameters.size
        assert run_threads(program, 2) == [([1.0] * parameters, [1.0] * 6)] * 2

    def test_batch_norm_follows_the_mean_over_ranks(self):
        """After one step from 0 and 1 with m = 0.1: 0.1 · the mean of all rows; 0.9 + 0.1 · Σ n_r var_r / Σ n_r."""
        sizes = (6, 2, 0)

        def program(communicator):
            network = Network(BatchNorm(5, dtype=np.float64), Linear(5, 3, rng=0, dtype=np.float64))
            x, y = slice_batch(X[:8], communicator, sizes), slice_batch(Y[:8], communicator, sizes)
            DataParallel(network, communicator).training_step(x, y, CrossEntropyLoss())
            return network[0].running_mean, network[0].running_var

        variance = (6 * X[:6].var(axis=0, ddof=1) + 2 * X[6:8].var(axis=0, ddof=1)) / 8
        for mean, var in run_threads(program, 3):
            np.testing.assert_allclose(mean, 0.1 * X[:8].mean(axis=0), rtol=1e-12)
            np.testing.assert_allclose(var, 0.9 + 0.1 * variance, rtol=1e-12)

    def test_dropout_drops_other_units_on_each_rank_and_in_each_step(self):
        def program(communicator):
            network = Network(Linear(4, 50), Dropout(0.5), Linear(50, 2), rng=3)
            masks = []
            network.add_hook(lambda layer, y: masks.append(y == 0) if isinstance(layer, Dropout) else None)
            parallel = DataParallel(network, communicator)
            x = np.random.default_rng(communicator.rank).random((3, 4))
            for _ in range(2):
                parallel.training_step(x, np.zeros(3, int), CrossEntropyLoss())
            return [mask.copy() for mask in masks]

        masks = [mask for of_rank in run_threads(program, 3) for mask in of_rank]
        for i, mask in enumerate(masks):
            assert 0.3 < mask.mean() < 0.7
            for other in masks[:i]:
                assert 0.3 < (mask == other).mean() < 0.7

    def test_random_numbers_go_on_from_the_common_state(self):
        """What a checkpoint holds, the same on all ranks, decides all numbers that come."""

        def program(communicator):
            network = Network(Linear(4, 4), Dropout(0.5), rng=3)
            generator, drawn = network[1].rng, []
            for _ in range(2):
                state = generator.bit_generator.state
                with own_random_numbers(network, communicator):
                    drawn.append(generator.random(3))
            generator.bit_generator.state = state
            with own_random_numbers(network, communicator):
                np.testing.assert_array_equal(generator.random(3), drawn[1])
            return drawn[1].tolist()

        first, second = run_threads(program, 2)
        assert first != second

    def test_alone_it_drops_what_the_serial_network_drops(self):
        networks = [small(Dropout(0.5)), small(Dropout(0.5))]
        networks[0].training_step(X[:8], Y[:8], CrossEntropyLoss())
        DataParallel(networks[1], SerialCommunicator()).training_step(X[:8], Y[:8], CrossEntropyLoss())
        # 8 samples, a power of 2: to multiply and divide by it changes no digit.
        np.testing.assert_array_equal(networks[0].parameters.grad, networks[1].parameters.grad)


class TestSliceBatch:
    @property_test
    @given(rows=st.integers(0, 20), ranks=st.integers(1, 5))
    def test_the_slices_are_the_batch(self, rows, ranks):
        batch = np.random.default_rng(rows).permutation(rows)
        parts = run_threads(lambda communicator: slice_batch(batch, communicator), ranks)
        np.testing.assert_array_equal(np.concatenate(parts), batch)
        assert tuple(map(len, parts)) == slice_sizes(rows, ranks)

    def test_sizes(self):
        parts = run_threads(lambda communicator: slice_batch(np.arange(4), communicator, (1, 0, 3)), 3)
        assert [part.tolist() for part in parts] == [[0], [], [1, 2, 3]]

    @pytest.mark.parametrize("sizes", [(3,), (4, 0), (5,)])
    def test_sizes_have_to_fit(self, sizes):
        with pytest.raises(InputError, match=r"slice_batch: 4 rows for 1 ranks, got sizes"):
            slice_batch(np.arange(4), SerialCommunicator(), sizes)


class TestMixedPrecision:
    def test_gradients_are_those_of_the_serial_network_but_for_rounding(self):
        """A sum over ranks of rounded numbers against a rounded sum: 11 bits, so some 2⁻¹⁰ of the gradient."""
        x, y = X.astype(np.float32), Y

        def gradient(communicator):
            network = Network(Linear(5, 16), ReLU(), Linear(16, 3), rng=1, init="auto")
            precision = MixedPrecision(network, LossScaler(initial=8.0))
            parts = slice_batch(x, communicator), slice_batch(y, communicator)
            outcome = DataParallel(network, communicator).training_step(
                *parts, CrossEntropyLoss(), precision=precision
            )
            assert precision.unscale()
            return outcome.loss, network.parameters.grad.copy(), replica_hash(network)

        loss, expected, _ = gradient(SerialCommunicator())
        results = run_threads(gradient, 3)
        assert len({replica for *_, replica in results}) == 1
        for value, grad, _ in results:
            assert value == pytest.approx(loss, rel=1e-3)
            assert 0 < np.linalg.norm(grad - expected) < 2**-9 * np.linalg.norm(expected)
            np.testing.assert_array_equal(grad, results[0][1])

    def test_an_overflow_on_one_rank_makes_all_skip_the_step(self):
        def program(communicator):
            network = Network(Linear(5, 3), rng=1, init="auto")
            precision = MixedPrecision(network)
            x = np.full((2, 5), 6e4 if communicator.rank == 1 else 1, np.float32)
            DataParallel(network, communicator).training_step(x, Y[:2], CrossEntropyLoss(), precision=precision)
            return precision.unscale(), precision.scaler.scale

        assert run_threads(program, 3) == [(False, 2.0**15)] * 3

    def test_buckets_are_refused(self):
        network = small()
        parallel = DataParallel(network, SerialCommunicator(), bucket_bytes=100)
        with pytest.raises(InputError, match="bucket_bytes=None"):
            parallel.training_step(X, Y, CrossEntropyLoss(), precision=MixedPrecision(network))


@pytest.mark.parametrize("bucket_bytes", [0, 2.5, "1"])
def test_bucket_bytes_are_a_number_above_0(bucket_bytes):
    with pytest.raises(InputError, match="bucket_bytes must be an integer of at least 1"):
        DataParallel(small(), SerialCommunicator(), bucket_bytes=bucket_bytes)


def test_parts_are_a_number_above_0():
    with pytest.raises(InputError, match="parts must be an integer of at least 1"):
        DataParallel(small(), SerialCommunicator()).training_step(X, Y, CrossEntropyLoss(), parts=0)


def test_repr():
    assert repr(DataParallel(small(), SerialCommunicator())) == "DataParallel(SerialCommunicator(rank 0 of 1))"
