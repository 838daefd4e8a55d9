"""Batches prepared in advance are those that would have been prepared in time; whatever goes wrong is heard of."""

import os
import signal
import threading

import numpy as np
import pytest
from running import PATIENCE
from test_solver import BATCH, SAMPLES, AtStep, make_network, make_solver, samples

from mlp import CrossEntropyLoss, Dataset, InputError
from mlp.data.augmentation import Compose, GaussianNoise, Mixup
from mlp.solver.adversarial import FGSM, MaskSalient
from mlp.solver.loop import Interrupted
from mlp.solver.prefetch import ahead

AUGMENT = Compose([GaussianNoise(0.3), Mixup(0.5, num_classes=3)])


def weighted() -> Dataset:
    return Dataset(*samples(), sample_weight=np.linspace(0.5, 2, SAMPLES))


def trained(prefetch, **options):
    solver = make_solver(transform=AUGMENT, prefetch=prefetch, **options)
    solver.fit(weighted(), samples(seed=1))
    return solver


def assert_same_state(first, second):
    (arrays, rest), (others, other_rest) = first.state_dict(), second.state_dict()
    assert rest == other_rest
    assert {name: a.tobytes() for name, a in arrays.items()} == {n: a.tobytes() for n, a in others.items()}


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.mark.parametrize("prefetch", [1, 2, 50])
def test_the_bits_do_not_depend_on_how_many_are_prepared(prefetch):
    assert_same_state(trained(prefetch), trained(0))


@pytest.mark.parametrize("step", [1, 3, SAMPLES // BATCH + 1, SAMPLES // BATCH + 3])
def test_a_run_stopped_with_batches_prepared_goes_on_without_them(step):
    def stop(solver):
        os.kill(os.getpid(), signal.SIGINT)

    stopped = [make_solver(transform=AUGMENT, prefetch=n, callbacks=[AtStep(step, stop)]) for n in (0, 4)]
    for solver in stopped:
        with pytest.raises(Interrupted):
            solver.fit(weighted(), samples(seed=1))
    assert not prefetch_threads()
    assert_same_state(*stopped)
    resumed = make_solver(make_network(rng=5), transform=AUGMENT, prefetch=2)
    resumed.load_state_dict(*stopped[1].state_dict())
    resumed.fit(weighted(), samples(seed=1))
    assert_same_state(resumed, trained(0))


def test_an_error_in_the_thread_is_raised_at_its_turn():
    calls = []

    def fails(x, targets, rng):
        calls.append(1)
        if len(calls) == 4:
            raise ZeroDivisionError("the fourth")
        return x, targets

    solver = make_solver(transform=fails, prefetch=3)
    with pytest.raises(ZeroDivisionError, match="the fourth"):
        solver.fit(samples())
    assert solver.step == 3
    assert not prefetch_threads()


def test_the_thread_ends_when_training_fails():
    def fail(solver):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_solver(transform=AUGMENT, prefetch=3, callbacks=[AtStep(2, fail)]).fit(samples())
    assert not prefetch_threads()


def test_the_second_ctrl_c_ends_at_once_with_a_thread():
    def twice(solver):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("still running")

    with pytest.raises(KeyboardInterrupt) as caught:
        make_solver(transform=AUGMENT, prefetch=3, callbacks=[AtStep(2, twice)]).fit(samples())
    assert not isinstance(caught.value, Interrupted)
    assert not prefetch_threads()


def test_so_many_are_made_in_advance_and_no_more():
    made, enough = [], threading.Event()

    def count():
        for i in range(9):
            made.append((i, threading.current_thread() is threading.main_thread(), np.geterr()["over"]))
            if len(made) == 4:
                enough.set()
            yield i

    with np.errstate(over="call"):
        items = ahead(count(), 3)
        assert next(items) == 0
    assert enough.wait(PATIENCE)
    assert len(made) == 4  # the one that was taken, and three
    assert [*items] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert made == [(i, False, "call") for i in range(9)]
    assert not prefetch_threads()


@pytest.mark.parametrize("kind", [FGSM, MaskSalient])
def test_what_needs_the_weights_of_its_step_cannot_be_prepared(kind):
    network = make_network()
    transform = Compose([GaussianNoise(0.1), kind(network, CrossEntropyLoss(), 0.1)])
    make_solver(network, transform=transform)
    with pytest.raises(InputError, match=r"prefetch: got 2; accepted: 0 with Compose\(.*its own step$"):
        make_solver(network, transform=transform, prefetch=2)


@pytest.mark.parametrize("prefetch", [-1, 1.5, True])
def test_a_number_of_batches(prefetch):
    with pytest.raises(InputError, match="prefetch"):
        make_solver(prefetch=prefetch)
