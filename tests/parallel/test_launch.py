"""The launcher's own logic, without a launch: what it refuses, reads and says."""

import subprocess
import sys

import pytest

from mlp import InputError
from mlp.parallel import MPICommunicator, environment
from mlp.parallel.launch import launch, main
from mlp.parallel.launched import Run
from mlp.parallel.verdict import Event, explain

BANNER = """
===================================================================================
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   PID 7780 RUNNING AT host
=   EXIT CODE: 9
=   CLEANING UP REMAINING PROCESSES
=   YOU CAN IGNORE THE BELOW CLEANUP MESSAGES
===================================================================================
YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)
This typically refers to a problem with your application.
Please see the FAQ page for debugging suggestions
"""
RULE = "=" * 83


@pytest.fixture
def run(tmp_path):
    """A run of a command that prints this."""
    report = tmp_path / "report.jsonl"
    report.touch()

    def run(printed: str) -> Run:
        run = Run([sys.executable, "-c", f"print({printed!r}, end='')"], {}, report)
        assert run.finish(60) == 0
        return run

    return run


class TestWhatIsPassedOn:
    def test_all_but_the_banner(self, run, capsys):
        run(f"step 1\r{RULE}\nstep 2\n{BANNER}step 3")
        assert capsys.readouterr().out == f"step 1\r{RULE}\nstep 2\n\nstep 3"

    def test_all_but_its_end(self, run, capsys):
        """As mpiexec prints it where it leaves the other ranks alone."""
        run(f"step 1\n{BANNER.partition(RULE)[2].partition(RULE + chr(10))[2]}")
        assert capsys.readouterr().out == "step 1\n"

    def test_a_rule_at_the_end(self, run, capsys):
        run(f"table\n{RULE}\n")
        assert capsys.readouterr().out == f"table\n{RULE}\n"


class TestExplanations:
    """One line and a status from what the ranks reported."""

    @staticmethod
    def said(status: int, *events: tuple[int, str, str]) -> tuple[str, int]:
        return explain([Event(*event) for event in events], status, 2)

    def test_success_needs_the_end_of_every_rank(self):
        both = (0, "ended", ""), (1, "ended", "")
        assert self.said(0, *both) == ("", 0)
        assert self.said(0, both[0]) == ("rank 1 never came to its end", 1)
        assert self.said(5, *both) == ("mpiexec ended with exit status 5", 5)

    def test_the_first_failure_counts(self):
        failed = (1, "failed", "ValueError: x"), (0, "failed", "KeyError: y")
        assert self.said(1, *failed) == ("rank 1 failed: ValueError: x", 1)

    def test_exit_statuses(self):
        events = (0, "left", "0"), (1, "left", "3"), (0, "ended", ""), (1, "ended", "")
        assert self.said(3, *events) == ("rank 1 left with exit status 3", 3)

    @pytest.mark.parametrize("status", [2, 130])
    def test_what_was_said_is_not_said_again(self, status):
        events = (0, "left", str(status)), (1, "failed", "CommunicatorError: rank 0 has ended")
        assert self.said(1, *events) == ("", status)

    @pytest.mark.parametrize(
        ("cause", "problem"),
        [
            ((1, "gone", ""), "rank 1 is gone: killed, or ended without a word"),
            ((1, "failed", "ValueError: x"), "rank 1 failed: ValueError: x"),
            ((1, "left", "3"), "rank 1 left with exit status 3"),
        ],
    )
    def test_a_survivor_is_not_the_cause(self, cause, problem):
        survivor = (0, "failed", "CommunicatorError: barrier cannot finish")
        assert self.said(1, survivor, cause)[0] == self.said(1, cause, survivor)[0] == problem
        assert self.said(1, survivor)[0] == "rank 0 failed: CommunicatorError: barrier cannot finish"


class TestRefusals:
    @pytest.mark.parametrize(
        ("program", "options", "message"),
        [
            ([], {"ranks": 2}, r"a script or -m and a module, with its arguments, got \[\]"),
            (["-m"], {"ranks": 2}, "a script or -m and a module"),
            (["nowhere.py"], {"ranks": 2}, "there is no script 'nowhere.py' in "),
            ([__file__], {"ranks": 0}, "ranks must be an integer of at least 1, got 0"),
            ([__file__], {"ranks": 1, "time_limit": -1}, "time_limit must be a finite number >= 0, got -1"),
        ],
    )
    def test_arguments(self, program, options, message):
        with pytest.raises(InputError, match=message):
            launch(program, **options)

    def test_the_command_line_prints_one_line(self, capsys):
        assert main(["-n", "2", "nowhere.py"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("launch: there is no script 'nowhere.py'")

    @pytest.mark.parametrize(
        ("lost", "message"), [("mpiexec", "mpiexec is missing"), ("mpi4py", "mpi4py is missing")]
    )
    def test_without_mpi(self, monkeypatch, lost, message, tmp_path):
        monkeypatch.setattr("mlp.parallel.launch.find_spec", lambda name: None if name == lost else True)
        if lost == "mpiexec":
            monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
            monkeypatch.setenv("PATH", str(tmp_path))
        else:
            (tmp_path / "mpiexec").touch()
            monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        with pytest.raises(InputError, match=rf'{message}. Install it with: .*"mlp\[parallel\]"'):
            launch([__file__], ranks=2)

    def test_the_communicator_without_mpi(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "mpi4py", None)
        with pytest.raises(
            InputError, match=r'MPI cannot be used: .*"mlp\[parallel\]"; or run the ranks as threads'
        ):
            MPICommunicator.world()


class TestBlasThreads:
    @pytest.fixture(autouse=True)
    def cores(self, monkeypatch):
        monkeypatch.setattr(environment.os, "cpu_count", lambda: 4)

    @pytest.mark.parametrize("variables", [{}, {"OMP_NUM_THREADS": "4"}])
    def test_several_are_warned_of(self, variables):
        with pytest.warns(RuntimeWarning, match="2 ranks share 4 cores"):
            environment.warn_of_blas_threads(2, variables)

    def test_one_is_not(self):
        environment.warn_of_blas_threads(2, {"OPENBLAS_NUM_THREADS": "1"})
        environment.warn_of_blas_threads(2, environment.ONE_THREAD)
        environment.warn_of_blas_threads(1, {})


def test_mpi_is_not_imported_until_it_is_asked_for():
    code = "import sys, mlp.parallel, mlp.parallel.launch; sys.exit('mpi4py' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
