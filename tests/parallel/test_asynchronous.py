"""Asynchronous training: which weights each gradient was of, and what comes of it."""

import threading
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from asynchronous_exercise import UPDATES, X, Y, build, exercise, make_optimizer
from running import PATIENCE, run_ranks

import mlp
from mlp import SGD, CrossEntropyLoss, InputError, Linear, Network
from mlp.layers import BatchNorm, Dropout
from mlp.parallel import CommunicatorError, SerialCommunicator, run_threads
from mlp.parallel.data.asynchronous import train_asynchronously
from mlp.parallel.data.next_message import wait_for_any

HERE = Path(__file__).parent
LIMIT = PATIENCE


def simulate(workers: list[int], schedule: list[int]) -> dict[str, np.ndarray]:
    """One network alone, which remembers what each worker has read."""
    network = build()
    optimizer = make_optimizer(network)
    has_read = {worker: (network.parameters.data.copy(), batch, 0) for batch, worker in enumerate(workers)}
    order = cycle(schedule)
    rows, next_batch = [], len(workers)
    for update in range(UPDATES):
        worker = next(w for w in order if w in has_read)
        weights, batch, version = has_read.pop(worker)
        now = network.parameters.data.copy()
        network.parameters.data[...] = weights
        loss, _ = network.training_step(X[batch], Y[batch], CrossEntropyLoss())
        network.parameters.data[...] = now
        optimizer.step()
        rows.append((worker, batch, update - version, loss))
        if next_batch < UPDATES:
            has_read[worker] = network.parameters.data.copy(), next_batch, update + 1
            next_batch += 1
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return dict(zip(["workers", "batches", "staleness", "losses"], columns, strict=True)) | {
        "weights": network.parameters.data
    }


def staleness_of(workers: np.ndarray) -> list[int]:
    """Each has read its weights right after its last update, or at the beginning."""
    last = {}
    found = []
    for update, worker in enumerate(workers.tolist()):
        found.append(update - last.get(worker, 0))
        last[worker] = update + 1
    return found


def is_a_complete_run(results: dict[str, np.ndarray]) -> None:
    assert sorted(results["batches"].tolist()) == list(range(UPDATES))
    assert results["staleness"].tolist() == staleness_of(results["workers"])
    assert np.isfinite(results["losses"]).all()


class TestSchedule:
    @pytest.mark.parametrize("schedule", [None, [1]])
    def test_with_one_worker_it_is_serial_training_bit_for_bit(self, schedule):
        network = build()
        optimizer = make_optimizer(network)
        losses = []
        for x, y in zip(X, Y, strict=True):
            losses.append(network.training_step(x, y, CrossEntropyLoss())[0])
            optimizer.step()
        for results in run_threads(exercise, 2, schedule, time_limit=LIMIT):
            np.testing.assert_array_equal(results["weights"], network.parameters.data)
            np.testing.assert_array_equal(results["losses"], losses)
            assert results["staleness"].tolist() == [0] * UPDATES

    @pytest.mark.parametrize("schedule", [[1, 2], [1, 2, 3], [3, 1, 2], [1, 1, 1, 2], [1, 2, 3, 3]], ids=str)
    def test_gradients_are_of_the_weights_that_the_schedule_says(self, schedule):
        workers = sorted(set(schedule))
        expected = simulate(workers, schedule)
        for results in run_threads(exercise, len(workers) + 1, schedule, time_limit=LIMIT):
            assert results.keys() == expected.keys()
            for name, array in expected.items():
                np.testing.assert_array_equal(results[name], array, err_msg=name)
            is_a_complete_run(results)

    def test_staleness_in_numbers(self):
        """In turns, each of three finds two updates of others, but for the first round: 0, 1, 2, 2, 2, ...

        With 1, 2, 3, 3: worker 3 has read after update 2 what it uses in update 3, and finds two of others at its
        next; workers 1 and 2 find three, as their own round is one of four.
        """
        in_turns = run_threads(exercise, 4, [1, 2, 3], time_limit=LIMIT)[0]["staleness"]
        assert in_turns.tolist() == [0, 1, *[2] * (UPDATES - 2)]
        assert np.bincount(in_turns).tolist() == [1, 1, 18]
        uneven = run_threads(exercise, 4, [1, 2, 3, 3], time_limit=LIMIT)[0]["staleness"]
        assert uneven[:8].tolist() == [0, 1, 2, 0, 3, 3, 2, 0]

    def test_stale_gradients_slow_a_large_step_down(self):
        """On ½ w² with step η = 1 a fresh gradient leads to 0 at once; one that is one update old never settles:
        w ← w - w_old repeats 1, 0, -1, -1, 0, 1."""
        network = Network(Linear(1, 1, bias=False, dtype=np.float64))

        def program(communicator):
            network = Network(Linear(1, 1, bias=False, dtype=np.float64))
            network.parameters.data[...] = 1
            path = []

            class Watched(SGD):
                def step(self):
                    super().step()
                    path.append(self.parameters.data.item())

            optimizer = Watched(network.parameters, lr=1.0 / slope)
            batch = np.ones((1, 1)), np.zeros((1, 1))
            schedule = list(range(1, communicator.size))
            train_asynchronously(
                network, mlp.MSELoss(), optimizer, communicator, lambda i: batch, 6, schedule=schedule
            )
            return path

        network.parameters.data[...] = 1
        network.training_step(np.ones((1, 1)), np.zeros((1, 1)), mlp.MSELoss())
        slope = network.parameters.grad.item()
        assert run_threads(program, 2)[0] == [0, 0, 0, 0, 0, 0]
        assert run_threads(program, 3)[0] == [0, -1, -1, 0, 1, 1]

    def test_more_workers_than_batches(self):
        def program(communicator):
            network = build()
            return train_asynchronously(
                network, CrossEntropyLoss(), make_optimizer(network), communicator, lambda i: (X[i], Y[i]), 2,
                schedule=[3, 2, 1],
            )  # fmt: skip

        for updates in run_threads(program, 4, time_limit=LIMIT):
            assert updates.workers.tolist() == [2, 1]
            assert updates.batches.tolist() == [1, 0]
            assert updates.histogram().tolist() == [1, 1]


class TestWithoutSchedule:
    @pytest.mark.parametrize("ranks", [2, 3, 4])
    def test_every_batch_counts_once_and_all_end_with_the_same_weights(self, ranks):
        results = run_threads(exercise, ranks, time_limit=LIMIT)
        for of_rank in results:
            is_a_complete_run(of_rank)
            for name, array in results[0].items():
                np.testing.assert_array_equal(of_rank[name], array)
        # A run in which the same happens again can be made with its schedule.
        again = run_threads(exercise, ranks, results[0]["workers"].tolist(), time_limit=LIMIT)[0]
        np.testing.assert_array_equal(again["weights"], results[0]["weights"])

    def test_nobody_waits_for_a_slow_worker(self):
        """Worker 2 gets its first batch only when worker 1 has been given the last one."""
        last_is_out = threading.Event()

        def program(communicator):
            network = build()

            def get_batch(i):
                if i == 9:
                    last_is_out.set()
                if communicator.rank == 2:
                    assert last_is_out.wait(LIMIT)
                return X[i], Y[i]

            return train_asynchronously(
                network, CrossEntropyLoss(), make_optimizer(network), communicator, get_batch, 10
            )

        updates = run_threads(program, 3, time_limit=LIMIT)[0]
        assert updates.workers.tolist().count(2) == 1
        assert updates.workers.tolist()[:8] == [1] * 8
        assert updates.staleness[:8].tolist() == [0] * 8
        assert updates.staleness[updates.workers == 2].item() in (8, 9)

    def test_a_worker_that_fails_ends_all(self):
        def program(communicator):
            def get_batch(i):
                if i == 3:
                    raise ValueError("no such batch")
                return X[i], Y[i]

            network = build()
            train_asynchronously(network, CrossEntropyLoss(), make_optimizer(network), communicator, get_batch, 10)

        with pytest.raises(ValueError, match="no such batch"):
            run_threads(program, 3, time_limit=LIMIT)


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> list[dict[str, np.ndarray]]:
    """What three MPI processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks(3, HERE / "asynchronous_exercise.py", folder)
    return [dict(np.load(folder / f"rank{rank}.npz")) for rank in range(3)]


def test_processes_give_the_bits_of_the_simulation(processes):
    expected = simulate([1, 2], [1, 2, 2])
    for arrays in processes:
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[f"scheduled {name}"], array, err_msg=name)


def test_processes_without_schedule(processes):
    for arrays in processes:
        free = {name.removeprefix("free "): a for name, a in arrays.items() if name.startswith("free ")}
        is_a_complete_run(free)
        np.testing.assert_array_equal(free["weights"], processes[0]["free weights"])


class TestLayersAndLosses:
    def test_running_statistics_are_the_mean_of_the_workers(self):
        """m = 1: each worker has the mean of its last batch; two have seen 8 samples each, one nothing."""

        def program(communicator):
            network = Network(BatchNorm(5, momentum=1.0, dtype=np.float64), Linear(5, 3, rng=0, dtype=np.float64))
            train_asynchronously(
                network, CrossEntropyLoss(), SGD(network.parameters), communicator, lambda i: (X[i], Y[i]), 2,
                schedule=[1, 2, 3],
            )  # fmt: skip
            return network[0].running_mean

        expected = (X[0].mean(axis=0) + X[1].mean(axis=0)) / 2
        for mean in run_threads(program, 4, time_limit=LIMIT):
            np.testing.assert_allclose(mean, expected, rtol=1e-12)

    def test_workers_drop_different_units(self):
        masks = {}

        def program(communicator):
            network = Network(Linear(5, 50), Dropout(0.5), Linear(50, 3), rng=3)
            rank = communicator.rank
            network.add_hook(lambda layer, y: masks.setdefault(rank, y[0] == 0) if layer is network[1] else None)
            batch = X[0].astype(np.float32), Y[0]
            train_asynchronously(
                network,
                CrossEntropyLoss(),
                SGD(network.parameters),
                communicator,
                lambda i: batch,
                2,
                schedule=[1, 2],
            )
            return network[1].rng.bit_generator.state

        first, *others = run_threads(program, 3, time_limit=LIMIT)
        assert all(state == first for state in others)
        assert 0.2 < (masks[1] == masks[2]).mean() < 0.8

    def test_a_loss_that_is_not_finite_changes_no_weights(self):
        def program(communicator):
            network = build()
            x = X.copy()
            x[1] = np.nan
            updates = train_asynchronously(
                network, CrossEntropyLoss(), make_optimizer(network), communicator, lambda i: (x[i], Y[i]), 4
            )
            return updates.losses, network.parameters.data

        with np.errstate(invalid="ignore"):
            losses, weights = run_threads(program, 2)[0]
        assert np.isnan(losses).tolist() == [False, True, False, False]
        assert np.isfinite(weights).all()

    def test_sample_weights(self):
        def program(communicator, weights):
            network = build()
            train_asynchronously(
                network, CrossEntropyLoss(), make_optimizer(network), communicator,
                lambda i: (X[i], Y[i], weights), 1,
            )  # fmt: skip
            return network.parameters.data.copy()

        network = build()
        optimizer = make_optimizer(network)
        network.training_step(X[0][:3], Y[0][:3], CrossEntropyLoss())
        optimizer.step()
        weighted = run_threads(program, 2, np.array([1.0] * 3 + [0.0] * 5))[1]
        np.testing.assert_allclose(weighted, network.parameters.data, rtol=1e-12)


class TestRefusals:
    def refused(self, ranks, updates, message, schedule=None, foreign=False):
        def program(communicator):
            network = build()
            optimizer = make_optimizer(build() if foreign else network)
            train_asynchronously(
                network, CrossEntropyLoss(), optimizer, communicator, lambda i: (X[i], Y[i]), updates,
                schedule=schedule,
            )  # fmt: skip

        with pytest.raises(InputError, match=message):
            run_threads(program, ranks, time_limit=LIMIT)

    def test_one_rank(self):
        self.refused(1, 3, "a server and at least one worker are needed, got 1 rank")

    def test_updates(self):
        self.refused(2, 0, "updates must be an integer of at least 1")

    @pytest.mark.parametrize("schedule", [[], [1], [0, 1, 2], [1, 2, 3]])
    def test_schedule(self, schedule):
        self.refused(3, 3, r"schedule must name all workers, ranks 1 to 2, got \[", schedule)

    def test_optimizer_of_another_network(self):
        self.refused(2, 3, "is of other parameters", foreign=True)


class TestNextMessage:
    def test_who_comes_first_in_sources_is_first(self):
        def program(communicator):
            if communicator.rank:
                communicator.send(np.array([communicator.rank]), 0, tag=3)
            communicator.barrier()
            found = []
            if communicator.rank == 0:
                for sources in ([2, 1, 3], [1, 3], [3]):
                    found.append(wait_for_any(communicator, sources, tag=3))
                    assert communicator.receive(np.zeros(1, int), found[-1], tag=3) == found[-1]
            return found

        assert run_threads(program, 4)[0] == [2, 1, 3]

    def test_nobody_who_could_send(self):
        with pytest.raises(InputError, match="there is nobody else"):
            wait_for_any(SerialCommunicator(), [0])

        def program(communicator):
            if communicator.rank == 0:
                wait_for_any(communicator, [1, 2])

        with pytest.raises(CommunicatorError, match="rank 1 has ended"):
            run_threads(program, 3, time_limit=LIMIT)
