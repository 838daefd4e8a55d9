"""How many threads share one matrix product while a network is trained."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from mlp.checks import InputError, check_integer
from mlp.network import Network

# Rows times weights of a product from which several threads pay. The threads of a smaller one wait for each other:
# at most a third is gained on an idle machine, and on a busy one it takes up to five times as long.
LARGE_PRODUCT = 2**31
# Whoever has set one of these has chosen.
CHOSEN_BY = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def check_threads(threads: int | None) -> int | None:
    """Raise ``InputError`` for a number below 1, or one that nothing installed here can set."""
    if threads is not None and check_integer("threads", threads, 1) and find_spec("threadpoolctl") is None:
        raise InputError(
            f"threads: got {threads}; accepted: None, since threadpoolctl is not installed: "
            "pip install 'mlp[train]'"
        )
    return threads


def choose_threads(threads: int | None, network: Network, rows: int) -> int | None:
    """``threads`` if given; else 1 if all products of ``rows`` samples are small; None to leave BLAS as it is."""
    if threads is not None or any(name in os.environ for name in CHOSEN_BY):
        return threads
    weights = max((p.size for p in network.parameters if len(p.shape) == 2), default=0)
    return 1 if rows * weights < LARGE_PRODUCT else None


@contextmanager
def blas_threads(threads: int | None) -> Iterator[None]:
    """Inside this block the matrix products of this process use so many threads each; None changes nothing.

    Neither does a block outside of the main thread, since the number is one for the whole process, nor one without
    the package threadpoolctl.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if threads is None or not is_main or find_spec("threadpoolctl") is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads, user_api="blas"):
        yield
