"""Tensor-parallel networks in training: the serial network's weights, gradients' norm and checkpoints."""

import copy
import tracemalloc
from functools import cache

import numpy as np
import pytest

from mlp import SGD, CrossEntropyLoss, GeLU, InputError, Linear, MSELoss, Network
from mlp.initializers import normal
from mlp.layers import BatchNorm, GatedMlp, LayerNorm, Mlp, Residual
from mlp.optim import Adam, clip_by_norm
from mlp.parallel import run_threads, slice_sizes, slices
from mlp.parallel.tensor.blocks import ParallelGatedMlp, ParallelMlp
from mlp.parallel.tensor.layers import ColumnParallelLinear, RowParallelLinear
from mlp.parallel.tensor.state import (
    clip_by_global_norm,
    gather_optimizer_state,
    gather_state,
    global_norm,
    load_optimizer_state,
    load_serial_state,
    sum_token_gradients,
)
from mlp.solver.checkpoint import load, save_arrays

TOKENS, FEATURES, WIDTH, CLASSES = 11, 5, 6, 3
STEPS, LIMIT = 20, 2.0
each_number_of_ranks = pytest.mark.parametrize("ranks", [1, 2, 3, 4])
each_mode = pytest.mark.parametrize("sequence_parallel", [False, True], ids=["tensor", "sequence"])


def options(seed: int) -> dict:
    return {"weight_init": normal(0.3), "bias_init": normal(0.3), "rng": seed, "dtype": np.float64}


def network(plain, gated) -> Network:
    """Two blocks, around and between them layers that each rank has whole."""
    return Network(
        Linear(FEATURES, WIDTH, **options(1)),
        LayerNorm(WIDTH, dtype=np.float64),
        Residual(plain(WIDTH, 24, **options(2))),
        gated(WIDTH, 24, activation="SiLU", multiple_of=12, **options(3)),
        GeLU(),
        Linear(WIDTH, CLASSES, **options(4)),
    )


def serial() -> Network:
    return network(Mlp, GatedMlp)


def parallel(communicator, sequence_parallel: bool) -> Network:
    ways = {"communicator": communicator, "sequence_parallel": sequence_parallel}
    return network(lambda *a, **o: ParallelMlp(*a, **ways, **o), lambda *a, **o: ParallelGatedMlp(*a, **ways, **o))


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(TOKENS, FEATURES)), rng.integers(0, CLASSES, TOKENS)


def own_rows(communicator, sequence_parallel: bool) -> slice:
    return slices(slice_sizes(TOKENS, communicator.size))[communicator.rank] if sequence_parallel else slice(None)


def take_gradient(net: Network, mine: slice = slice(None)) -> float:
    """Leave the gradient of the mean loss over all tokens; returns this rank's part of that mean."""
    x, labels = (a[mine] for a in data())
    loss, _ = net.training_step(x, labels, CrossEntropyLoss(), scale=len(x) / TOKENS)
    return loss * len(x) / TOKENS


@cache
def serial_run(steps: int = STEPS, optimizer: type = SGD) -> tuple[dict[str, np.ndarray], list[float], list[float]]:
    """Weights after training, and the loss and the gradient's norm at every step."""
    net = serial()
    optimize = make(optimizer, net)
    losses, norms = [], []
    for _ in range(steps):
        losses.append(take_gradient(net))
        norms.append(clip_by_norm(net.parameters, LIMIT))
        optimize.step()
    return net.state_dict(), losses, norms


def make(optimizer: type, net: Network):
    settings = {"momentum": 0.9, "weight_decay": 1e-3} if optimizer is SGD else {}
    return optimizer(net.parameters, lr=0.05, **settings)


def train(net: Network, optimizer, mine: slice, steps: int) -> tuple[list[float], list[float]]:
    losses, norms = [], []
    for _ in range(steps):
        losses.append(take_gradient(net, mine))
        sum_token_gradients(net)
        norms.append(clip_by_global_norm(net, LIMIT))
        optimizer.step()
    return losses, norms


def assert_state(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], rtol: float = 1e-12) -> None:
    """To ``rtol`` of each array's largest entry."""
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].shape == array.shape
        assert abs(actual[name] - array).max() <= rtol * abs(array).max()


@each_mode
@each_number_of_ranks
def test_training_is_that_of_the_serial_network(ranks, sequence_parallel):
    """Weights, losses and the norms of the gradient, in 20 steps that are clipped."""
    expected, expected_losses, expected_norms = serial_run()
    assert expected_losses[-1] < expected_losses[0] / 2
    assert min(expected_norms) < LIMIT < max(expected_norms)

    def run(communicator):
        net = parallel(communicator, sequence_parallel)
        losses, norms = train(net, make(SGD, net), own_rows(communicator, sequence_parallel), STEPS)
        return gather_state(net), losses, norms, net[0].weight.data.copy()

    of_ranks = run_threads(run, ranks)
    losses = np.array([losses for _, losses, _, _ in of_ranks])
    np.testing.assert_allclose(losses.sum(axis=0) if sequence_parallel else losses[0], expected_losses, rtol=1e-12)
    for state, _, norms, whole in of_ranks:
        assert_state(state, expected)
        np.testing.assert_allclose(norms, expected_norms, rtol=1e-12)
        assert norms == of_ranks[0][2]
        np.testing.assert_array_equal(whole, of_ranks[0][3])  # what all ranks have stays the same, bit for bit


class TestGradients:
    @each_mode
    @each_number_of_ranks
    def test_norm(self, ranks, sequence_parallel):
        net = serial()
        take_gradient(net)
        expected = np.linalg.norm(net.parameters.grad)

        def run(communicator):
            twin = parallel(communicator, sequence_parallel)
            take_gradient(twin, own_rows(communicator, sequence_parallel))
            sum_token_gradients(twin)
            return global_norm(twin)

        for norm in run_threads(run, ranks):
            assert norm == pytest.approx(expected, rel=1e-12)

    def test_norm_of_numbers_whose_squares_overflow_or_are_none(self):
        def run(communicator, value):
            net = parallel(communicator, False)
            net.parameters.grad[...] = 0
            net[2].body[0].fc1.weight.grad[0, 0] = 3 * value  # one on each of the two ranks
            net[0].bias.grad[0] = value  # the same one on both
            return global_norm(net)

        # √(3² + 3² + 1²) = √19
        for norm in run_threads(run, 2, 1e200):
            assert norm == pytest.approx(np.sqrt(19) * 1e200, rel=1e-12)
        assert np.isnan(run_threads(run, 2, np.nan)).all()

    def test_own_tokens_have_to_be_summed(self):
        """Before, a rank has its own tokens' part of what is outside the blocks, and all of what is inside."""
        net = serial()
        take_gradient(net)
        expected = {p.name: p.grad.copy() for p in net.parameters}

        def run(communicator):
            twin = parallel(communicator, True)
            take_gradient(twin, own_rows(communicator, True))
            before = {p.name: p.grad.copy() for p in twin.parameters}
            communicator.counts.clear()
            sum_token_gradients(twin)
            assert communicator.counts["all_reduce"].calls == 1
            return before, {p.name: p.grad.copy() for p in twin.parameters}

        (first, summed), (second, _) = run_threads(run, 2)
        outside = [name for name in expected if name[0] in "015"]
        assert len(outside) == 6
        for name in outside:
            assert abs(first[name] - expected[name]).max() > 1e-3
            np.testing.assert_allclose(first[name] + second[name], expected[name], rtol=1e-12, atol=1e-14)
        for name in first.keys() - set(outside):
            np.testing.assert_array_equal(first[name], summed[name])

    def test_no_words_without_sequence_parallelism(self):
        def run(communicator):
            net = parallel(communicator, False)
            take_gradient(net)
            communicator.counts.clear()
            sum_token_gradients(net)
            return len(communicator.counts)

        assert run_threads(run, 2) == [0, 0]

    def test_refuses_a_mixture(self):
        def run(communicator):
            net = Network(
                ColumnParallelLinear(2, 4, communicator, rng=0),
                RowParallelLinear(4, 2, communicator, rng=0, sequence_parallel=True),
            )
            sum_token_gradients(net)

        with pytest.raises(InputError, match="sequence_parallel has to be the same in all parallel layers"):
            run_threads(run, 2)

    def test_of_a_network_on_one_rank(self):
        """The same calls do for a serial network."""
        net = serial()
        take_gradient(net)
        sum_token_gradients(net)
        expected = np.linalg.norm(net.parameters.grad)
        assert clip_by_global_norm(net, 0.1) == pytest.approx(expected, rel=1e-12)
        assert global_norm(net) == pytest.approx(0.1, rel=1e-12)
        with pytest.raises(InputError, match="clip_by_global_norm: limit must be a finite number >= 0, got -1"):
            clip_by_global_norm(net, -1)


class TestCheckpoints:
    @each_number_of_ranks
    def test_the_state_is_the_serial_one(self, ranks):
        expected = serial().state_dict()
        for state in run_threads(lambda c: gather_state(parallel(c, True)), ranks):
            assert list(state) == list(expected)
            for name, array in expected.items():
                np.testing.assert_array_equal(state[name], array, strict=True)

    def test_a_file_that_the_serial_network_reads(self, tmp_path):
        state = run_threads(lambda c: gather_state(parallel(c, False)), 2)[0]
        save_arrays(tmp_path / "network.npz", state, {})
        net = serial()
        net.parameters.data[...] = 0
        load(net, tmp_path / "network.npz")
        assert_state(net.state_dict(), serial().state_dict(), rtol=0)

    def test_statistics_are_in_it(self):
        def run(communicator):
            net = Network(
                BatchNorm(2, dtype=np.float64), ParallelMlp(2, 4, communicator=communicator, **options(0))
            )
            net.training_step(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]), CrossEntropyLoss())
            state = gather_state(net)
            before = net[0].running_mean.copy()
            net[0].running_mean[...] = 9
            load_serial_state(net, state)
            np.testing.assert_array_equal(net[0].running_mean, before)
            return set(state)

        assert "0.running_mean" in run_threads(run, 2)[0]

    @pytest.mark.parametrize("optimizer", [SGD, Adam])
    @pytest.mark.parametrize(("before", "after"), [(2, 3), (4, 1), (1, 2)])
    def test_training_goes_on_with_another_number_of_ranks(self, optimizer, before, after):
        half = STEPS // 2

        def begin(communicator):
            net = parallel(communicator, True)
            optimize = make(optimizer, net)
            train(net, optimize, own_rows(communicator, True), half)
            return gather_state(net), gather_optimizer_state(net, optimize)

        def go_on(communicator, state, optimizer_state):
            net = parallel(communicator, False)
            net.parameters.data[...] = 0
            optimize = make(optimizer, net)
            load_serial_state(net, state)
            load_optimizer_state(net, optimize, optimizer_state)
            train(net, optimize, slice(None), STEPS - half)
            return gather_state(net), gather_optimizer_state(net, optimize)

        states = run_threads(begin, before)[0]
        expected = serial_run(optimizer=optimizer)[0]
        for state, _ in run_threads(go_on, after, *states):
            assert_state(state, expected, rtol=1e-11)

    def test_the_serial_optimizer_takes_its_state(self):
        def run(communicator):
            net = parallel(communicator, False)
            optimize = make(SGD, net)
            train(net, optimize, slice(None), STEPS - 1)
            return gather_state(net), gather_optimizer_state(net, optimize)

        state, optimizer_state = run_threads(run, 3)[1]
        net = serial()
        optimize = make(SGD, net)
        net.load_state_dict(state)
        optimize.load_state_dict(optimizer_state)
        take_gradient(net)
        clip_by_norm(net.parameters, LIMIT)
        optimize.step()
        assert_state(net.state_dict(), serial_run()[0])

    def test_refuses_what_does_not_fit_and_changes_nothing(self):
        def run(communicator):
            net = parallel(communicator, False)
            before = net.parameters.data.copy()
            state = gather_state(net)
            local = net.state_dict()
            messages = []
            for wrong in [local, state | {"7.weight": np.ones(2)}, {n: a for n, a in state.items() if n[0] != "0"}]:
                with pytest.raises(InputError) as error:
                    load_serial_state(net, wrong)
                messages.append(str(error.value))
            with pytest.raises(InputError):
                load_optimizer_state(net, make(SGD, net), {"scaled_velocity": np.ones(3)})
            np.testing.assert_array_equal(net.parameters.data, before)
            return messages

        part, extra, missing = run_threads(run, 2)[0]
        assert "2.body.0.fc1.weight has shape (6, 12), this network needs (6, 24)" in part
        assert "7.weight" in extra
        assert "0.weight" in missing

    def test_refuses_layers_with_different_communicators(self):
        def run(communicator):
            net = Network(
                ParallelMlp(2, communicator=communicator, rng=0),
                ParallelMlp(2, communicator=communicator.split(0), rng=0),
            )
            gather_state(net)

        with pytest.raises(InputError, match="the parallel layers of a network need one communicator, got"):
            run_threads(run, 2)


@pytest.mark.parametrize("duplicate", [lambda net: net.astype(np.float64), copy.deepcopy], ids=["astype", "copy"])
@each_mode
def test_a_copy_is_parallel_too(duplicate, sequence_parallel):
    def run(communicator):
        net = parallel(communicator, sequence_parallel)
        twin = duplicate(net)
        net.parameters.data[...] = 0
        train(twin, make(SGD, twin), own_rows(communicator, sequence_parallel), STEPS)
        return gather_state(twin)

    for state in run_threads(run, 2):
        assert_state(state, serial_run()[0])


@pytest.mark.parametrize("gated", [False, True], ids=["plain", "gated"])
def test_sequence_parallelism_holds_less_memory(gated):
    """Bytes that a training step leaves behind: with 2 ranks, half of the tokens' arrays and no array of all."""
    kind = ParallelGatedMlp if gated else ParallelMlp
    x = np.random.default_rng(0).normal(size=(1024, 128))

    def run(communicator, sequence_parallel):
        ways = {"communicator": communicator, "sequence_parallel": sequence_parallel, "dtype": np.float64, "rng": 0}
        net = Network(*(kind(128, 128, **ways) for _ in range(3)))
        mine = x[:512] if sequence_parallel else x
        communicator.barrier()
        if communicator.rank == 0:
            tracemalloc.start()
        communicator.barrier()
        net.training_step(mine, mine, MSELoss())
        communicator.barrier()
        held = tracemalloc.get_traced_memory()[0]
        communicator.barrier()
        tracemalloc.stop()
        return held

    whole, sliced = (run_threads(run, 2, mode)[0] for mode in (False, True))
    assert sliced < 0.9 * whole


def test_the_summary_counts_this_ranks_parameters():
    def run(communicator):
        net = Network(ParallelMlp(4, 8, communicator=communicator, rng=0))
        return net.summary().splitlines()[-2]

    # 4·4 + 4 of fc1, 4·4 of fc2, and the 4 of its bias, which every rank has.
    assert [line.split() for line in run_threads(run, 2)] == [["total", "40"]] * 2
