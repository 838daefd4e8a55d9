"""A ``Solver`` whose batches are divided among ranks: history, weights and checkpoints of the serial run."""

import numpy as np
import pytest
from data_exercise import same_results
from running import PATIENCE

from mlp import SGD, Adam, CrossEntropyLoss, InputError, Linear, Network, Solver, Tanh
from mlp.data import Dataset
from mlp.efficiency.mixed_precision import LossScaler, MixedPrecision
from mlp.layers import LayerNorm
from mlp.optim import WeightAverage, cosine
from mlp.optim.regularizers import L2, MaxNorm
from mlp.parallel import Communicator, SerialCommunicator, run_threads
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.data.step import DataParallelStep
from mlp.parallel.sharded.training import ShardedDataParallel
from mlp.solver.loop import NotFinite
from mlp.solver.step import Step

LIMIT = PATIENCE
STAGES = [0, 1, 2, 3]
each_stage = pytest.mark.parametrize("stage", STAGES)
rng = np.random.default_rng(0)
# 34 samples in batches of 10: the last one has 4, one for each rank, or none.
TRAIN = Dataset(rng.normal(size=(34, 5)), rng.integers(0, 3, 34), name="train")
TEST = Dataset(rng.normal(size=(9, 5)), rng.integers(0, 3, 9), name="test")
TIMES = {"train_seconds", "evaluation_seconds"}


def noise(x, targets, rng):
    return x + rng.normal(0, 0.1, x.shape), targets


def build() -> Network:
    return Network(Linear(5, 8), LayerNorm(8), Tanh(), Linear(8, 3), rng=1, init="auto", dtype=np.float64)


def make_parallel(network: Network, communicator: Communicator, stage: int) -> DataParallel:
    return ShardedDataParallel(network, communicator, stage) if stage else DataParallel(network, communicator)


def everything(network: Network) -> dict:
    """All options of a step."""
    return {
        "transform": noise, "accumulate": 2, "regularizer": L2(0.1), "clip_value": 0.3, "clip_norm": 0.5,
        "schedule": cosine(0.05, steps=12), "constraint": MaxNorm(1.5),
        "average": WeightAverage(network.parameters, 0.8),
    }  # fmt: skip


def make_solver(communicator=None, stage=0, optimizer=Adam, epochs=3, options=everything, shares=None) -> Solver:
    """The serial one, or with a communicator that of a rank."""
    network = build()
    model = network if communicator is None else make_parallel(network, communicator, stage)
    if shares is not None:
        model.shares = model.check_shares(shares)
    chosen = optimizer(network.parameters, lr=0.05)
    return Solver(
        model, CrossEntropyLoss(), chosen, epochs=epochs, batch_size=10, rng=4, **options(network)
    )  # fmt: skip


def trained(solver: Solver) -> dict[str, np.ndarray]:
    """The history, and the state as the serial run has it."""
    history = solver.fit(TRAIN, TEST)
    rows = {
        f"{name} {i}": np.array(v) for i, row in enumerate(history) for name, v in row.items() if name not in TIMES
    }
    return rows | solver.state_dict()[0]


class TestIsTheSerialSolver:
    @each_stage
    @pytest.mark.parametrize("optimizer", [SGD, Adam])
    @pytest.mark.parametrize("ranks", [1, 3])
    def test_with_everything_in_a_step(self, ranks, optimizer, stage):
        expected = trained(make_solver(optimizer=optimizer))
        assert len(expected) > 25
        results = run_threads(lambda c: trained(make_solver(c, stage, optimizer)), ranks, time_limit=LIMIT)
        for of_rank in results:
            same_results(of_rank, expected)

    @each_stage
    def test_slices_of_different_size(self, stage):
        expected = trained(make_solver())
        for results in run_threads(lambda c: trained(make_solver(c, stage, shares=(0, 2, 1))), 3, time_limit=LIMIT):
            same_results(results, expected)

    def test_shares_in_numbers(self):
        def sizes(shares):
            network = build()

            class Three(SerialCommunicator):
                def __init__(self):
                    super().__init__()
                    self.size = 3

                def broadcast(self, array, root=0):
                    return array

            parallel = DataParallel(network, Three(), shares=shares)
            return [parallel.slice_sizes(rows) for rows in (10, 3, 1, 0)]

        assert sizes(None) == [(4, 3, 3), (1, 1, 1), (1, 0, 0), (0, 0, 0)]
        assert sizes((2, 1, 1)) == [(5, 3, 2), (2, 0, 1), (0, 1, 0), (0, 0, 0)]
        assert sizes((0, 1.5, 0)) == [(0, 10, 0), (0, 3, 0), (0, 1, 0), (0, 0, 0)]

    @each_stage
    def test_sample_weights(self, stage):
        weights = np.random.default_rng(3).uniform(0.1, 2, 34)
        data = Dataset(TRAIN.inputs, TRAIN.labels, sample_weight=weights)
        solver = make_solver()
        expected = solver.fit(data)

        def program(communicator):
            return make_solver(communicator, stage).fit(data)

        for history in run_threads(program, 3, time_limit=LIMIT):
            for row, other in zip(history, expected, strict=True):
                assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-12)
                assert row["train_accuracy"] == other["train_accuracy"]


class TestCheckpoints:
    @pytest.mark.parametrize(
        ("before", "after"), [((2, 0), (3, 3)), ((3, 3), (2, 2)), ((3, 1), None), (None, (2, 3)), ((2, 2), (1, 0))]
    )
    def test_stopped_on_some_ranks_resumed_on_others(self, before, after):
        """(ranks, stage), or None for the serial run: after one epoch on one, two on the other."""
        expected = trained(make_solver())

        def run(place, epochs, start):
            def program(communicator=None):
                solver = make_solver(communicator, place[1] if place else 0, epochs=epochs)
                if start is not None:
                    solver.load_state_dict(*start)
                return trained(solver), solver.state_dict()

            return run_threads(program, place[0], time_limit=LIMIT) if place else [program()]

        _, start = run(before, 1, None)[-1]
        for results, _ in run(after, 3, start):
            same_results(results, expected)

    @each_stage
    def test_another_architecture_is_refused(self, stage):
        def program(communicator):
            solver = make_solver(communicator, stage)
            arrays, rest = solver.state_dict()
            arrays["network/0.weight"] = arrays["network/0.weight"][:, :4]
            with pytest.raises(InputError, match="another architecture"):
                solver.load_state_dict(arrays, rest)

        run_threads(program, 2)


class TestMixedPrecision:
    @each_stage
    def test_trains_like_the_serial_network_and_skips_on_all_ranks_at_once(self, stage):
        """Near to it from a loss scale that fits; one that does not is halved until it does."""

        def fit(communicator=None, scale=8.0):
            network = Network(Linear(5, 16), Tanh(), Linear(16, 3), rng=1, init="auto")
            model = network if communicator is None else make_parallel(network, communicator, stage)
            optimizer = SGD(network.parameters, lr=0.5)
            precision = MixedPrecision(network, LossScaler(scale))
            solver = Solver(
                model, CrossEntropyLoss(), optimizer, epochs=5, batch_size=10, rng=4, precision=precision
            )
            row = solver.fit(TRAIN)[-1]
            return row["train_loss"], row["loss_scale"], row["skipped_steps"]

        loss, _, _ = fit()
        results = run_threads(fit, 3, time_limit=LIMIT)
        assert results[0] == results[1] == results[2]
        assert results[0] == (pytest.approx(loss, rel=2e-3), 8.0, 0)
        too_large = run_threads(fit, 3, 2.0**22, time_limit=LIMIT)
        assert too_large[0] == too_large[1] == too_large[2]
        _, scale, skipped = too_large[0]
        assert skipped >= 4
        assert scale == 2.0 ** (22 - skipped)


class TestNotFinite:
    @each_stage
    def test_all_ranks_stop_and_say_where_it_comes_from(self, stage):
        x = TRAIN.inputs.copy()
        x[7, 2] = 1e308  # its product with a weight is infinite

        def fit(communicator):
            solver = make_solver(communicator, stage, options=lambda network: {})
            solver.network.load_state_dict({n: a * 0 + 5 for n, a in solver.network.state_dict().items()})
            solver.model.publish()
            with pytest.raises(NotFinite, match=r"the output of layer 0 Linear\(5, 8\) is not finite"):
                solver.fit((x, TRAIN.labels))
            return solver.step

        steps = run_threads(fit, 2, time_limit=LIMIT)
        assert steps[0] == steps[1]


class TestRefusals:
    @pytest.mark.parametrize("shares", [(1, 1), (0,), ()])
    def test_shares(self, shares):
        with pytest.raises(InputError, match="shares must be 1 numbers, one a rank, with a sum above 0"):
            DataParallel(build(), SerialCommunicator(), shares=shares)

    def test_an_optimizer_made_before_the_network_was_sharded(self):
        network = build()
        optimizer = SGD(network.parameters)
        parallel = ShardedDataParallel(network, SerialCommunicator())
        with pytest.raises(InputError, match="is of other parameters"):
            Step(parallel, CrossEntropyLoss(), optimizer)

    def test_the_step_by_its_earlier_name(self):
        network = build()
        parallel = DataParallel(network, SerialCommunicator())
        optimizer, loss = SGD(network.parameters), CrossEntropyLoss()
        step = DataParallelStep(parallel, loss, optimizer, shares=(3,), clip_norm=1.0)
        solver = Solver(network, loss, optimizer, step=step)
        assert solver.model is parallel
        assert parallel.shares == [3]
        assert isinstance(step, Step)
