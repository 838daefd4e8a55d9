"""Ranks that are processes: the bits that threads give, and an end to every run, whatever happens to a rank."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import running
from exercise import exercise
from running import PATIENCE

from mlp.parallel import run_threads
from mlp.parallel.environment import BLAS
from mlp.parallel.launch import find_mpiexec

pytest.importorskip("mpi4py", reason="mpi4py is not installed: python -m pip install 'mlp[parallel]'")

HERE = Path(__file__).parent
LAUNCH = [sys.executable, "-m", "mlp.parallel.launch"]


class Finished(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.strip().rpartition("\n")[2]


def start(*command: object, **variables: str) -> subprocess.Popen:
    return running.start(*command, env={**os.environ, "PYTHONWARNINGS": "error", **variables})


def wait(process: subprocess.Popen) -> Finished:
    return Finished(*running.wait(process))


def launch(*program: object, ranks: int = 2, time_limit: float = PATIENCE, **variables: str) -> Finished:
    return wait(start(*LAUNCH, "-n", ranks, "--time-limit", time_limit, *program, **variables))


def mpiexec(*program: object, ranks: int = 2, **variables: str) -> Finished:
    """Without the launcher, as on a cluster."""
    variables = {"UCX_TLS": "self,shm", "OPENBLAS_NUM_THREADS": "1"} | variables
    return wait(start(find_mpiexec(), "-n", ranks, sys.executable, *program, **variables))


# With 3 a sum depends on its order, slices differ in length, and a rank's neighbours are two.
@pytest.fixture(scope="module", params=[1, 3])
def runs(request, tmp_path_factory):
    """The same program on as many processes and threads."""
    folder = tmp_path_factory.mktemp("ranks")
    run = launch(HERE / "exercise.py", folder, ranks=request.param)
    assert run == (0, "", "")
    processes = [dict(np.load(folder / f"rank{rank}.npz")) for rank in range(request.param)]
    with np.errstate(over="ignore"):
        return processes, run_threads(exercise, request.param)


class TestResults:
    def test_are_those_of_threads_to_the_last_bit(self, runs):
        """Arrays, and how often and how much ranks spoke."""
        for process, thread in zip(*runs, strict=True):
            assert process.keys() == thread.keys()
            for name, array in process.items():
                assert array.dtype == thread[name].dtype, name
                assert array.shape == thread[name].shape, name
                assert array.tobytes() == np.asarray(thread[name]).tobytes(), name


# What happens to rank 1 of two while rank 0 waits for it -> (exit status, the end of the last line).
FAULTS = {
    "raise": (1, "launch: rank 1 failed: ValueError: the loss is not finite"),
    "exit 0": (1, "all_reduce(sum) of float64 (3,) cannot finish: rank 1 has ended"),
    "exit 2": (2, ""),  # the rank is taken to have said it
    "exit 3": (3, "launch: rank 1 left with exit status 3"),
    "exit 3 and a thread": (3, "launch: rank 1 left with exit status 3"),
    "kill": (1, "launch: rank 1 is gone: killed, or ended without a word"),
    "vanish": (1, "launch: rank 1 failed: os._exit(0) before its end"),
    "abort": (1, "launch: rank 1 failed: enough of this"),
    "other call": (1, "ranks make different calls"),
    "receive": (1, "cannot finish: 2 s are over"),
    "send": (1, "receive from 1 with tag 0 of float64 (3,): 32 bytes were sent, not 24"),
    "late": (0, ""),
}
OVER_TIME = "over time"
PLAIN = {"plain raise": 1, "plain exit 0": 1, "plain vanish": 1, "plain exit 3 and a thread": 1}


@pytest.fixture(scope="module")
def outcomes():
    """All faults, a few at a time."""

    def run(fault):
        if fault == OVER_TIME:
            return launch(HERE / "faults.py", "sleep", time_limit=1.5)
        if fault in PLAIN:
            return mpiexec(HERE / "faults.py", fault.removeprefix("plain "))
        return launch(HERE / "faults.py", fault)

    faults = [*FAULTS, *PLAIN, OVER_TIME]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(faults, pool.map(run, faults), strict=True))


class TestFaults:
    """In seconds, with an exit status that is not 0 and a last line that says why."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_of_one_rank(self, outcomes, fault):
        status, message = FAULTS[fault]
        run = outcomes[fault]
        assert run.status == status
        assert message in run.last_line  # what ranks had printed before may be lost with mpiexec
        assert "BAD TERMINATION" not in run.out + run.err

    def test_both_calls_are_named(self, outcomes):
        message = outcomes["other call"].last_line
        assert "rank 0 all_reduce(sum) of float64 (3,)" in message
        assert "rank 1 broadcast from 0 of float64 (3,)" in message

    def test_it_is_told_where_the_others_are(self, outcomes):
        """Each of the two names the other's call."""
        message = outcomes["receive"].last_line
        assert ("last heard of rank 1 in receive from 0 with tag 0" in message) or (
            "last heard of rank 0 in all_reduce(sum)" in message
        )

    def test_the_traceback_is_shown(self, outcomes):
        for fault in ("raise", "plain raise"):
            assert 'raise ValueError("the loss is not finite")' in outcomes[fault].err
            assert "failed: ValueError: the loss is not finite" in outcomes[fault].err

    def test_a_rank_that_nobody_waits_for_may_end(self, outcomes):
        assert sorted(outcomes["late"].out.splitlines()) == ["all are here", "rank 0 is done", "rank 1 is done"]
        assert outcomes["late"].err == ""

    def test_the_time_limit(self, outcomes):
        run = outcomes[OVER_TIME]
        assert run.status == 124
        assert run.last_line == "launch: the time limit is over; not at the end: rank 0, rank 1"

    @pytest.mark.parametrize("fault", PLAIN)
    def test_without_the_launcher(self, outcomes, fault):
        assert outcomes[fault].status == PLAIN[fault]

    def test_without_the_launcher_the_reason_is_shown_too(self, outcomes):
        assert "rank 0 of 2 failed: CommunicatorError" in outcomes["plain exit 0"].err
        assert "cannot finish: rank 1 has ended" in outcomes["plain exit 0"].err


class TestLauncher:
    @pytest.mark.parametrize(
        ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=str
    )
    def test_the_ranks_end_with_it(self, number, status, tmp_path):
        """Ctrl-C, and being killed without a chance to say so."""
        script = tmp_path / "script.py"
        script.write_text(
            "import os, sys, time\n"
            "open(os.path.join(sys.argv[1], f'pid{os.getpid()}'), 'w').close()\n"
            "time.sleep(1000)\n"
        )
        process = start(*LAUNCH, "-n", 2, script, tmp_path, TMPDIR=str(tmp_path))
        begin = time.monotonic()
        while len(found := [int(p.name[3:]) for p in tmp_path.glob("pid*")]) < 2:
            assert process.poll() is None
            assert time.monotonic() - begin < PATIENCE
            time.sleep(0.02)
        process.send_signal(number)
        assert wait(process).status == status
        while any(is_alive(pid) for pid in found):
            assert time.monotonic() - begin < PATIENCE
            time.sleep(0.02)

    def test_what_the_script_sees(self, tmp_path):
        """Its arguments, its folder's modules, one BLAS thread; a module too; an exit status of its own."""
        (tmp_path / "beside.py").write_text("NUMBER = 7\n")
        script = tmp_path / "script.py"
        script.write_text(
            "import os, sys, beside\n"
            "print(__name__, sys.argv[1:], beside.NUMBER, os.environ['OPENBLAS_NUM_THREADS'])\n"
            "print('|', end='\\r', file=sys.stderr)\n"
            "sys.exit(4)\n"
        )
        run = launch(script, "--lr=1", "x y", ranks=1)
        assert run.out == "__main__ ['--lr=1', 'x y'] 7 1\n"
        assert run.err.endswith("launch: rank 0 left with exit status 4\n")
        assert run.status == 4
        assert launch("-m", "script", "z", ranks=1, PYTHONPATH=str(tmp_path)).out.startswith("__main__ ['z'] 7")

    def test_blas_threads_are_warned_of_once(self):
        code = (
            "import os; os.cpu_count = lambda: 8\n"
            "from mlp.parallel import MPICommunicator\n"
            "MPICommunicator.world(); MPICommunicator.world()"
        )
        several = dict.fromkeys(BLAS, "2")  # whatever the shell says
        run = mpiexec("-c", code, ranks=3, PYTHONWARNINGS="default", **several)
        assert run.status == 0
        assert run.err.count("RuntimeWarning: 3 ranks share 8 cores") == 1


def test_an_mpiexec_of_another_mpi_is_noticed():
    """Each rank would then be a world of its own."""
    code = "from mlp.parallel import MPICommunicator; MPICommunicator.world()"
    run = wait(start(sys.executable, "-c", code, MLP_RANKS="2", UCX_TLS="self,shm"))
    assert run.status == 1
    assert "InputError: 2 ranks were started, but MPI sees 1: mpiexec belongs to another MPI" in run.err


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that waits for its parent to take notice is dead.
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc/self").exists() else True
