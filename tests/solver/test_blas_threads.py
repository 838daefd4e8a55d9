"""BLAS uses several threads where they pay, as many as somebody asked for, and afterwards as many as before."""

import threading

import pytest
from running import PATIENCE
from test_solver import AtStep, make_network, make_solver, samples

import mlp.solver.threads
from mlp import InputError
from mlp.solver.threads import CHOSEN_BY, choose_threads

threadpoolctl = pytest.importorskip("threadpoolctl")


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    """What a notebook finds on two cores: nobody has chosen, and BLAS uses two threads."""
    for name in CHOSEN_BY:
        monkeypatch.delenv(name, raising=False)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if threads_now() != 2:
            pytest.skip("this BLAS cannot be told how many threads to use")
        yield
        assert threads_now() == 2


def threads_now():
    return max(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")


def threads_while_training(**options):
    seen = []
    make_solver(callbacks=[AtStep(2, lambda solver: seen.append(threads_now()))], **options).fit(samples())
    return seen


def test_small_products_are_computed_by_one_thread():
    assert threads_while_training() == [1]


def test_large_products_are_shared(monkeypatch):
    network = make_network()
    largest = max(p.size for p in network.parameters)
    monkeypatch.setattr(mlp.solver.threads, "LARGE_PRODUCT", 23 * largest)
    assert threads_while_training(batch_size=23) == [2]
    assert threads_while_training(batch_size=22) == [1]


@pytest.mark.parametrize("name", CHOSEN_BY)
def test_who_has_set_the_variable_has_chosen(name, monkeypatch):
    monkeypatch.setenv(name, "2")
    assert threads_while_training() == [2]
    assert threads_while_training(threads=1) == [1]


def test_an_argument_is_obeyed():
    assert threads_while_training(threads=2) == [2]
    assert choose_threads(3, make_network(), 10**9) == 3


def test_it_is_as_before_after_an_error():
    def fail(solver):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_solver(callbacks=[AtStep(2, fail)]).fit(samples())  # the fixture looks afterwards


def test_several_fits_in_threads_leave_it_alone():
    fits = [threading.Thread(target=make_solver().fit, args=(samples(),)) for _ in range(2)]
    for fit in fits:
        fit.start()
    for fit in fits:
        fit.join(PATIENCE)
    assert threads_now() == 2


def test_a_number_that_cannot_be_set_is_refused(monkeypatch):
    monkeypatch.setattr(mlp.solver.threads, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^threads: got 2; accepted: None, since threadpoolctl is not installed"):
        make_solver(threads=2)
    assert threads_while_training() == [2]  # nothing is there that could change it


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_a_number_of_threads(threads):
    with pytest.raises(InputError, match="threads"):
        make_solver(threads=threads)
