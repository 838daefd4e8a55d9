"""scripts/benchmark.py: what it refuses, what it prints, and that all contenders do the same. No times."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from mlp.data import Batches

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from benchmark import missing_peers  # noqa: E402
from benchmark_contenders import CONTENDERS, Unsupported  # noqa: E402
from benchmark_contenders.extras import import_time  # noqa: E402
from benchmark_contenders.measure import BenchmarkError, Worker, check_agreement, environment  # noqa: E402
from benchmark_contenders.problem import SETTINGS, Problem  # noqa: E402
from benchmark_contenders.report import fastest_peer, ratios, summary_table  # noqa: E402
from benchmark_contenders.with_numpy import make_loss, make_network, make_optimizer  # noqa: E402

PEERS = [name for name, contender in CONTENDERS.items() if contender.is_peer]


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "benchmark.py"), *arguments],
        capture_output=True, text=True, encoding="utf-8", env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip


def test_a_cold_start_ends_at_the_accuracy_asked_for():
    done = run("--cold-start", "85", "--contenders", "mlp", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert "## From a cold start to 85% on the test set" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("| mlp |")).split(" | ")
    assert row[4:] == ["1", "1.00 (1.00–1.00) |"]  # the default recipe is above 90 % after its first epoch


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """One setting, this library and the bare products, two rounds: (process, report file, raw times)."""
    folder = tmp_path_factory.mktemp("benchmark")
    report, raw = folder / "report.md", folder / "raw.json"
    done = run(
        "--settings", "single-CE-ReLU", "--contenders", "mlp", "bare", "--rounds", "2",
        "--output", str(report), "--json", str(raw),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["raw.json", "report.md"]  # nothing half-written
    return done, report.read_text(encoding="utf-8"), json.loads(raw.read_text())


def test_report_has_the_command_the_table_and_the_summary(quick):
    done, report, _ = quick
    assert done.stdout == report
    lines = report.splitlines()
    assert lines[0].startswith("Made by `python scripts/benchmark.py --settings single-CE-ReLU")
    head = lines.index("| setting | mlp, µs | / bare products |")
    assert lines[head + 1] == "| --- | ---: | ---: |"
    row = [cell.strip() for cell in lines[head + 2].strip("|").split("|")]
    assert row[0] == "single-CE-ReLU"
    for cell in row[1:]:
        middle, low, high = (
            float(number) for number in cell.replace("(", "").replace(")", "").replace("–", " ").split()
        )
        assert 0 < low <= middle <= high
    assert any(line.startswith("| bare products | 1 |") for line in lines)
    assert "[1/1] single-CE-ReLU: mlp" in done.stderr


def test_raw_times_are_complete(quick):
    _, _, raw = quick
    assert raw["command"].startswith("python scripts/benchmark.py")
    times = raw["settings"]["single-CE-ReLU"]
    assert list(times) == ["mlp", "bare"]
    for contender in times.values():
        assert contender["steps"] >= 10
        assert len(contender["seconds"]) == len(contender["processor_seconds"]) == 2
        assert contender["microseconds"] == [1e6 * s / contender["steps"] for s in contender["seconds"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--settings", "triple-CE-ReLU"],
        ["--contenders", "caffe"],
        ["--rounds", "0"],
        ["--rounds", "many"],
        ["--core", "100000"],
        ["--clock", "sun"],
        ["--cold-start", "101"],
        ["--output", "no/such/folder/report.md"],
        ["--speed"],
        ["report.md"],
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("benchmark.py: ")


def test_a_contender_that_trains_otherwise_is_refused():
    setting = SETTINGS["single-CE-ReLU"]
    env = environment(keep_openblas_coretype=False)
    with Worker("mlp", setting, env) as ours, Worker("mlp", replace(setting, lr=0.04), env) as wrong:
        check_agreement(setting, ours.first, "mlp", ours.first)
        with pytest.raises(BenchmarkError, match="does not do the same as mlp: at step "):
            check_agreement(setting, ours.first, "torch-eager", wrong.first)


def test_a_contender_that_counts_otherwise_is_refused():
    setting = SETTINGS["single-CE-ReLU"]
    first = {"losses": [2.3, 2.2], "accuracies": [0.1, 0.5]}
    check_agreement(setting, first, "jax", first | {"accuracies": [0.1, 0.52]})
    check_agreement(setting, first, "sklearn", first | {"accuracies": [None, None]})
    with pytest.raises(BenchmarkError, match="nothing was timed"):
        check_agreement(setting, first, "jax", first | {"accuracies": [0.1, 0.6]})
    with pytest.raises(BenchmarkError, match="its loss is nan"):
        check_agreement(setting, first, "jax", first | {"losses": [2.3, float("nan")]})


# Weight decay, momentum and margin so large, and steps so small, that each of them shows in the loss.
STRONG = {"lr": 0.02, "momentum": 0.7, "weight_decay": 0.1, "margin": 0.3, "weight_std": 0.05}
STEPS = 8


def losses(name, setting):
    step = CONTENDERS[name].build(Problem(setting))
    return [step()[0] for _ in range(STEPS)]


def reference(setting, with_prior=False):
    """The losses by a plain loop; with_prior adds that of the weights, ½ λ |W|², as scikit-learn reports it."""
    problem = Problem(setting)
    network, loss = make_network(problem), make_loss(problem)
    optimizer = make_optimizer(problem, network)
    result = []
    for x, y in islice(Batches(problem.dataset, setting.batch_size).epoch(problem.order_rng()), STEPS):
        weights = [p.data for p in network.parameters if p.name.endswith("weight")]
        prior = setting.weight_decay / 2 * sum(float(np.vdot(W, W)) for W in weights)
        network.zero_grad()
        result.append(loss(network(x), y) + prior * with_prior)
        network.backward(loss.backward())
        optimizer.step()
    return result


@pytest.mark.filterwarnings("default")  # those of other libraries are not our errors
@pytest.mark.parametrize("setting", ["single-CE-Sigmoid", "double-CE-ReLU", "single-Hinge-GeLU", "double-MSE-ReLU"])
@pytest.mark.parametrize("name", ["mlp", *PEERS])
def test_contenders_agree_even_where_every_option_matters(name, setting):
    pytest.importorskip(CONTENDERS[name].package, exc_type=ImportError)
    if name == "torch-compile" and not any(map(shutil.which, ("g++", "c++", "clang++"))):
        pytest.skip("torch.compile needs a C++ compiler")
    if name == "torch-compile" and setting != "single-Hinge-GeLU":
        pytest.skip("compiled once only: it takes long")
    strong = replace(SETTINGS[setting], **STRONG)
    try:
        its = losses(name, strong)
    except Unsupported as reason:
        pytest.skip(str(reason))
    with_prior = name == "sklearn"
    np.testing.assert_allclose(its, reference(strong, with_prior), rtol=1e-4)
    for option in ("lr", "momentum", "weight_decay"):
        other = replace(strong, **{option: 0.5 * getattr(strong, option)})
        assert not np.allclose(its, reference(other, with_prior), rtol=1e-4), option


def test_a_missing_library_is_left_out_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(CONTENDERS, "jax", replace(CONTENDERS["jax"], package="no_such_library"))
    assert missing_peers(["mlp", "bare", "jax"]) == {
        "jax": 'no_such_library is not installed; `pip install -e ".[benchmark]"`'
    }


def test_ratios_are_taken_within_each_round():
    raw = {
        "mlp": {"microseconds": [1.0, 2.0, 4.0]},
        "jax": {"microseconds": [1.0, 2.0, 4.0]},
        "torch-eager": {"microseconds": [2.0, 4.0, 8.0]},
    }
    assert ratios(raw, "torch-eager") == [0.5, 0.5, 0.5]
    assert fastest_peer(raw) == "jax"
    assert fastest_peer({"mlp": raw["mlp"]}) is None
    summary = summary_table({"single-CE-ReLU": raw}, list(raw)).splitlines()
    assert "| PyTorch eager | 1 | 0.50 | 0.50 | 0.50 |" in summary
    assert "| fastest peer | 1 | 1.00 | 1.00 | 1.00 |" in summary


def test_import_time_names_both_imports():
    report = import_time(1, environment(keep_openblas_coretype=False))
    assert "`import numpy`" in report
    assert "beyond NumPy" in report
