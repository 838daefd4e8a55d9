"""What the launcher and the processes that it starts tell each other: variables, and a report."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Each rank has a core of its own at best. A BLAS that starts a thread for every core, in every rank, makes them
# wait for each other: steps become many times slower.
BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
ONE_THREAD = dict.fromkeys(BLAS, "1")
# MPICH's transport between ranks: shared memory alone, no sockets.
SHARED_MEMORY = {"UCX_TLS": "self,shm"}

INSTALL = 'python -m pip install "mlp[parallel]"'

RANKS = "MLP_RANKS"  # how many ranks there should be
LAUNCHER = "MLP_LAUNCHER"  # the process without which ranks are not to go on
REPORT = "MLP_REPORT"  # the file in which the launcher reads how each rank fared


def warn_of_blas_threads(ranks: int, environment: Mapping[str, str] = os.environ) -> None:
    """Warn if every one of several ranks would multiply matrices with several threads."""
    if ranks > 1 and (os.cpu_count() or 1) > 1 and "1" not in [environment.get(name) for name in BLAS]:
        warnings.warn(
            f"{ranks} ranks share {os.cpu_count()} cores, and BLAS may use all of them in every rank, which is "
            "slow: set OPENBLAS_NUM_THREADS=1, or your BLAS's, before Python starts, as mlp.parallel.launch does",
            RuntimeWarning,
            stacklevel=3,
        )


def is_launched() -> bool:
    """Whether this process is a rank of the launcher's."""
    return REPORT in os.environ


def tell_launcher(news: Mapping[str, Any]) -> None:
    """Add a line to the report that the launcher reads, if there is one."""
    if is_launched():
        with Path(os.environ[REPORT]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(news) + "\n")


def shared_memory_files() -> list[str]:
    """The files of shared memory that MPI has made for the ranks on this machine; where /proc tells."""
    try:
        words = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return []
    return sorted({word for word in words if word.startswith("/dev/shm/mpich")})
