"""What the launcher tells the processes it starts: variables that have to be set before Python is."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping

# Each rank has a core of its own at best. A BLAS that starts a thread for every core, in every rank, makes them
# wait for each other: steps become many times slower.
BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
ONE_THREAD = dict.fromkeys(BLAS, "1")
# MPICH's transport: shared memory alone, no listening sockets.
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
