"""Ranks that are threads: no fault of one of them leaves another waiting."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from running import PATIENCE

from mlp import InputError
from mlp.parallel import CommunicatorError, run_threads

ONE = np.ones(3)
# Where a test is about something else: long enough for a busy machine, short enough not to seem to hang.
LIMIT = PATIENCE


def run(program, ranks, **options):
    return run_threads(program, ranks, **({"time_limit": LIMIT} | options))


def on_rank(chosen, action, otherwise):
    """A program in which one rank does something else."""
    return lambda c: action(c) if c.rank == chosen else otherwise(c)


def fail(communicator):
    raise ZeroDivisionError("no batch")


def barrier(communicator):
    communicator.barrier()


def test_results_come_in_the_order_of_ranks():
    def program(communicator, x, y):
        time.sleep(0.01 * (2 - communicator.rank))
        return communicator.rank, communicator.size, x + y

    assert run_threads(program, 3, 1, 2) == [(0, 3, 3), (1, 3, 3), (2, 3, 3)]


def test_ranks_are_checked():
    with pytest.raises(InputError, match="ranks must be an integer of at least 1, got 0"):
        run_threads(barrier, 0)
    with pytest.raises(InputError, match="time_limit must be a finite number"):
        run_threads(barrier, 1, time_limit=-1)


def test_ranks_see_the_callers_context():
    def program(communicator):
        return np.geterr()["over"]

    with np.errstate(over="raise"):
        assert run(program, 2) == ["raise", "raise"]


class TestFailures:
    """The first exception is raised; the others end with one that says why."""

    @pytest.mark.parametrize(
        "call",
        [
            barrier,
            lambda c: c.all_reduce(ONE),
            lambda c: c.start_all_reduce(np.ones(100_000)).wait(),
            lambda c: c.all_gather(ONE),
            lambda c: c.reduce_scatter(ONE),
            lambda c: c.broadcast(ONE.copy(), root=1),
            lambda c: c.receive(ONE.copy(), source=1),
            lambda c: c.split(0),
        ],
    )
    def test_in_every_call(self, call):
        others = []

        def wait(communicator):
            try:
                call(communicator)
            except CommunicatorError as error:
                others.append(str(error))
                raise

        with pytest.raises(ZeroDivisionError, match="no batch") as caught:
            run(on_rank(1, fail, wait), 3)
        assert caught.value.__notes__ == ["raised by rank 1 of 3"]
        assert caught.traceback[-1].name == "fail"
        assert len(others) == 2
        assert all(text.endswith("cannot finish: rank 1 failed: ZeroDivisionError: no batch") for text in others)

    def test_while_others_work(self):
        """They end at their next call."""

        def program(communicator):
            if communicator.rank == 0:
                fail(communicator)
            time.sleep(0.05)
            communicator.barrier()
            pytest.fail("rank 1 went on")

        with pytest.raises(ZeroDivisionError):
            run(program, 2)

    def test_of_the_exit_kind(self):
        with pytest.raises(SystemExit) as caught:
            run(on_rank(1, lambda c: os.sys.exit(3), barrier), 2)
        assert caught.value.code == 3

    def test_abort_ends_all(self):
        with pytest.raises(CommunicatorError, match="rank 1 of 3: enough"):
            run(on_rank(1, lambda c: c.abort("enough"), barrier), 3)

    def test_no_thread_is_left(self):
        before = threading.active_count()
        with pytest.raises(ZeroDivisionError):
            run(on_rank(1, fail, barrier), 4)
        assert threading.active_count() == before

    def test_interrupted_by_the_user(self):
        """Ctrl-C ends the ranks too."""
        ended = threading.Event()

        def program(communicator):
            try:
                if communicator.rank == 0:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(0.1)
                while True:
                    communicator.barrier()
            finally:
                ended.set()

        with pytest.raises(KeyboardInterrupt):
            run(program, 2)
        assert ended.wait(LIMIT)


class TestMisunderstandings:
    """What can never finish is refused at once, in words that name all sides."""

    @pytest.mark.parametrize(
        ("call", "other", "message"),
        [
            (
                lambda c: c.all_reduce(ONE),
                lambda c: c.broadcast(ONE.copy()),
                r"rank 0 all_reduce\(sum\) of float64 \(3,\), rank 1 broadcast from 0 of float64 \(3,\)",
            ),
            (
                lambda c: c.all_reduce(ONE),
                lambda c: c.all_reduce(np.ones(4)),
                r"rank 0 .* \(3,\), rank 1 .* \(4,\)",
            ),
            (lambda c: c.all_reduce(ONE), lambda c: c.all_reduce(ONE, "max"), r"\(sum\) .* all_reduce\(max\)"),
            (lambda c: c.all_reduce(ONE), lambda c: c.all_reduce(np.ones(3, "f4")), "of float64 .* of float32"),
            (barrier, lambda c: c.start_all_reduce(ONE), "rank 0 barrier, rank 1 all_reduce"),
            (lambda c: c.broadcast(ONE.copy()), lambda c: c.broadcast(ONE.copy(), 1), "from 0 .* from 1"),
            (
                lambda c: c.all_gather(ONE, sizes=[3, 3]),
                lambda c: c.all_gather(ONE[:2], sizes=[4, 2]),
                r"slices of 3, 3, rank 1 all_gather of float64 \(6,\) in slices of 4, 2",
            ),
            (
                lambda c: c.reduce_scatter(ONE, sizes=[1, 2]),
                lambda c: c.reduce_scatter(ONE),
                "slices of 1, 2.* slices of 2, 1",
            ),
        ],
    )
    def test_calls_that_do_not_match(self, call, other, message):
        with pytest.raises(CommunicatorError, match=f"ranks make different calls: .*{message}"):
            run(on_rank(1, other, call), 2)

    def test_only_one_of_three_differs(self):
        with pytest.raises(CommunicatorError, match="rank 0 barrier, rank 1 barrier, rank 2 all_reduce"):
            run(on_rank(2, lambda c: c.all_reduce(ONE), barrier), 3)

    def test_ranks_of_a_group_are_named_as_in_the_world(self):
        def program(communicator):
            group = communicator.split(communicator.rank // 2)
            if communicator.rank == 3:
                group.all_reduce(ONE)
            group.barrier()

        with pytest.raises(CommunicatorError, match="rank 2 barrier, rank 3 all_reduce"):
            run(program, 4)

    @pytest.mark.parametrize("call", [barrier, lambda c: c.receive(ONE.copy(), source=1)])
    def test_waiting_for_a_rank_that_has_ended(self, call):
        with pytest.raises(CommunicatorError, match="cannot finish: rank 1 has ended"):
            run(on_rank(1, lambda c: None, call), 3)

    def test_a_rank_that_ends_after_it_has_given_its_part_is_no_loss(self):
        def program(communicator):
            if communicator.rank == 0:
                communicator.send(ONE, 1)
                communicator.start_all_reduce(np.ones(100_000))
                return None
            time.sleep(0.02)
            total = communicator.all_reduce(np.ones(100_000))[0]
            return total, communicator.receive(np.zeros(3), source=0).tolist()

        assert run(program, 2)[1] == (2.0, [1.0, 1.0, 1.0])

    def test_everybody_waits_for_somebody_else(self):
        def program(communicator):
            communicator.receive(ONE.copy(), source=(communicator.rank + 1) % 3, tag=5)

        with pytest.raises(CommunicatorError, match="all ranks wait: rank 0 waits in receive from 1 with tag 5"):
            run(program, 3)

    def test_a_collective_and_a_message(self):
        receive = lambda c: c.receive(ONE.copy(), source=0)  # noqa: E731
        with pytest.raises(CommunicatorError, match="rank 0 waits in barrier; rank 1 waits in receive from 0"):
            run(on_rank(1, receive, barrier), 2)

    def test_groups_entered_in_different_orders(self):
        """Ranks 0 and 1 meet in a row, 0 and 2 in a column: each waits where the next one is not."""

        def program(communicator):
            row, column = communicator.split(communicator.rank // 2), communicator.split(communicator.rank % 2)
            first, then = (row, column) if communicator.rank in (0, 3) else (column, row)
            first.barrier()
            then.barrier()

        with pytest.raises(CommunicatorError, match="all ranks wait"):
            run(program, 4)

    def test_a_message_of_another_shape(self):
        send = lambda c: c.send(np.ones(4, "f4"), to=0)  # noqa: E731
        receive = lambda c: c.receive(ONE.copy(), source=1)  # noqa: E731
        message = r"receive from 1 with tag 0 of float64 \(3,\): float32 \(4,\) was sent"
        with pytest.raises(CommunicatorError, match=message):
            run(on_rank(1, send, receive), 2)

    def test_the_time_limit(self):
        """Rank 1 is at work, so nobody can say that rank 0 waits in vain."""
        ready = threading.Event()

        def wait(communicator):
            try:
                communicator.barrier()
            finally:
                ready.set()

        message = "barrier cannot finish: 0.05 s are over; rank 0 waits in barrier; rank 1 is at work"
        with pytest.raises(CommunicatorError, match=message):
            run(on_rank(1, lambda c: ready.wait(LIMIT), wait), 2, time_limit=0.05)

    def test_no_time_limit(self):
        program = on_rank(1, lambda c: time.sleep(0.02) or c.barrier(), barrier)
        assert run(program, 2, time_limit=None) == [None, None]
