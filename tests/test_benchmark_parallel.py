"""scripts/benchmark_parallel.py: what it refuses, what its report says of given times. Nothing is timed."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from parallel_benchmark import PROBLEMS, Problem, contenders  # noqa: E402
from parallel_benchmark.contestants import build  # noqa: E402
from parallel_benchmark.measure import ATTEMPTS, BenchmarkError, check_agreement, undisturbed  # noqa: E402
from parallel_benchmark.report import points_of, report, speed_ups, target_lines  # noqa: E402
from parallel_benchmark.schedules import promised_speed_up, simulated, timeline_of  # noqa: E402

from mlp.parallel import SerialCommunicator, run_threads  # noqa: E402

MACHINE = {"flops": 6e10, "memory_bandwidth": 2e10, "memory_bytes": 8e9}
TOGETHER = {**MACHINE, "latency": 1e-5, "bandwidth": 2e9, "send_latency": 1e-5, "send_bandwidth": 2e9}
TINY = {
    "data": Problem("tiny", (6, 8, 8, 4), 16),
    "tensor": Problem("tiny blocks", (6, 8, 6, 8, 4), 16, blocks=True),
    "pipeline": Problem("tiny pipeline", (6, 8, 8, 8, 8, 4), 16, microbatches=4),
}


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "benchmark_parallel.py"), *arguments],
        capture_output=True, text=True, encoding="utf-8", env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip


def made_up(name):
    """Times of a problem: one rank takes 100 ms, every other contender 50."""
    intervals = [
        [stage, kind, k, 0.01 * (2 * k + stage), 0.01 * (2 * k + stage) + 0.01]
        for stage in (0, 1)
        for k in range(PROBLEMS[name].microbatches)
        for kind in ("Forward", "Backward")
    ] + [[stage, "OptimizerStep", 0, 0.2, 0.21] for stage in (0, 1)]
    return {
        "machines": {"alone": MACHINE, "together": TOGETHER},
        "contenders": {
            c.name: {
                "losses": [1.0], "wire_bytes": 1000.0, "bytes_held": 2000, "steps": 2,
                "seconds": [0.1 if c.is_serial else 0.05] * 3,
                "processor_share": [0.99, 0.99, 0.5], "attempts": [1, 2, 5],
                "slices": [intervals] * 3 if c.mode in ("GPipe", "1F1B") else [], "in_flight": [2, 1],
            }
            for c in contenders(PROBLEMS[name])
        },
    }  # fmt: skip


def test_help():
    done = run("--help")
    assert done.returncode == 0
    for option in ("--problems", "--ranks", "--rounds", "--output", "--figures"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--problems", "nonsense"], "unknown problem 'nonsense'; there are: data, tensor, pipeline"),
        (["--ranks", "1"], "--ranks must be at least 2"),
        (["--rounds", "0"], "a whole number of at least 1 is needed"),
        (["--output", "no/such/folder/file.md"], "cannot write a file"),
        (["--figures", "no/such/folder"], "there is no folder"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", TINY)
def test_all_contenders_do_the_same(name):
    """Their first losses are those of one rank, and each update leaves another loss."""
    problem = TINY[name]
    expected, *others = contenders(problem)
    serial = build(problem, expected, SerialCommunicator())
    losses = [serial.step() for _ in range(3)]
    assert len(set(losses)) == 3
    for other in others:

        def train(communicator, other=other):
            contestant = build(problem, other, communicator)
            return [contestant.step() for _ in range(3)]

        ranks = [train(SerialCommunicator())] if other.is_serial else run_threads(train, 2)
        for got in ranks:
            np.testing.assert_allclose(got, losses, rtol=1e-5)


def test_what_does_not_agree_is_not_timed():
    check_agreement("tiny", [1.0, 0.5], "data", [1.0, 0.50001])
    with pytest.raises(BenchmarkError, match=r"at step 2 its loss is 0\.6, of one rank 0\.5; nothing was timed"):
        check_agreement("tiny", [1.0, 0.5], "data", [1.0, 0.6])
    with pytest.raises(BenchmarkError, match="at step 1"):
        check_agreement("tiny", [1.0], "data", [float("nan")])


def test_promised_speed_up():
    # In multiplications, without biases: 6·8 twice, 8·8 three times (three), and 8·4 three times; with biases as
    # ``layer_costs`` counts them: 112, 216, 216, 216, 108. Cut after the second: 328 and 540. Passes forward
    # 56 + 72 = 128 and 72 + 72 + 36 = 180, backward 200 and 360.
    # GPipe with 4: stage 1 begins at 128, and works for 4 · 540; stage 0 has a last pass of 200 to go.
    problem = TINY["pipeline"]
    gpipe = next(c for c in contenders(problem) if c.name == "GPipe")
    total = 112 + 3 * 216 + 108
    assert promised_speed_up(problem, gpipe, 2) == pytest.approx(4 * total / (128 + 4 * 540 + 200))


def test_timelines():
    raw = made_up("pipeline")["contenders"]["GPipe"]
    timeline = timeline_of(raw["slices"][0], 2)
    assert timeline.start == 0
    assert timeline.makespan == pytest.approx(0.21)
    gpipe = next(c for c in contenders(PROBLEMS["pipeline"]) if c.name == "GPipe")
    # Passes and the step of 10 ms each: (m + p - 1) · 2 passes, and a step.
    assert simulated(gpipe, 2, raw["slices"]).makespan == pytest.approx(0.01 * (2 * (8 + 1) + 1))


def test_report_says_what_was_measured():
    results = {name: made_up(name) for name in PROBLEMS}
    text = report(results, 2, 3, ["a machine"], {"a figure": "figures/parallel.png"})
    assert "- a machine\n- 26 of 39 slices were disturbed" in text
    assert "; 13 of them were disturbed to the last, and count only where there are no others\n" in text
    assert "| data | 50.0 (50.0–50.0) | 2.00 (2.00–2.00) | 1.6 |" in text
    assert "- data: 2.00 times, target 1.6: reached." in text
    assert "![a figure](figures/parallel.png)" in text
    assert "| ZeRO-3 | 50.0 (50.0–50.0) | 2,000 |" in text
    # One rank at 8 microbatches takes 100 ms too; the schedule promises 1.6 times with these layers.
    assert "| GPipe | 1.60 | 2.00 (2.00–2.00) | 125% |" in text
    assert "- GPipe: 125% of it, target 85%: reached." in text
    assert "nan" not in text
    assert "none fits" in text


def test_targets_are_missed_as_well():
    raw = copy.deepcopy(made_up("tensor"))
    raw["contenders"]["tensor"]["seconds"] = [0.1, 0.08, 0.05]
    assert speed_ups(raw, "tensor") == pytest.approx([1, 1.25])  # the third round was disturbed
    (line,) = target_lines(PROBLEMS["tensor"], raw)
    assert line.endswith("target 1.6: not reached.")
    raw["contenders"]["tensor"]["processor_share"] = [0.5, 0.6, 0.7]  # all of them were
    assert speed_ups(raw, "tensor") == pytest.approx([1, 1.25, 2])
    (line,) = target_lines(PROBLEMS["tensor"], raw)
    assert line == ("- tensor: 1.25 times, target 1.6: not reached, but in no round was the machine left in peace.")


def test_points_for_the_figure():
    points = points_of({"pipeline": made_up("pipeline")}, 2)
    assert [(p.mode, p.ranks, p.seconds) for p in points] == [
        ("one rank", 1, 0.1), ("GPipe", 2, 0.05), ("1F1B", 2, 0.05),
    ]  # fmt: skip
    assert {p.workload for p in points} == {PROBLEMS["pipeline"].title}


class Scripted:
    """A group whose two ranks had their cores for these shares of the time, call after call."""

    def __init__(self, *shares):
        self.shares = list(shares)

    def ask(self, call):
        first, second = self.shares.pop(0)
        return [{"seconds": 2.0, "processor_seconds": 2.0 * share, "from": first} for share in (first, second)]


def test_disturbed_slices_are_taken_again(monkeypatch):
    monkeypatch.setattr("parallel_benchmark.measure.PAUSE_SECONDS", 0)
    answers, attempts = undisturbed(Scripted((0.6, 0.99), (0.97, 0.98), (1.0, 1.0)), "slice")
    assert (answers[0]["from"], attempts) == (0.97, 2)
    # The best of them, if none is undisturbed: the one whose worse rank was best off.
    scripted = Scripted((0.5, 0.99), (0.7, 0.8), (0.9, 0.6), *[(0.1, 0.1)] * (ATTEMPTS - 3))
    answers, attempts = undisturbed(scripted, "slice")
    assert (answers[0]["from"], attempts) == (0.7, ATTEMPTS)
