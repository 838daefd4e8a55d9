"""The shell scripts: they parse, they say what they accept. Nothing here makes an environment."""

import os
import subprocess

import pytest
from running import PATIENCE, PROJECT

SCRIPTS = [PROJECT / "train.sh", *sorted((PROJECT / "scripts").glob("*.sh"))]
RECIPES = {path.stem for path in (PROJECT / "configs").glob("*.yaml")} - {"default"}


def bash(*arguments, cwd=None, **environment):
    return subprocess.run(
        ["bash", *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
        stdin=subprocess.DEVNULL, env=os.environ | environment, cwd=cwd,
    )  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_they_parse(script):
    done = bash("-n", script)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(option):
    done = bash(PROJECT / "train.sh", option, VIRTUAL_ENV="/nowhere")  # help needs no Python
    assert (done.returncode, done.stderr) == (0, "")
    for word in (
        "Usage",
        "benchmark",
        "test",
        "--resume",
        *RECIPES,
    ):
        assert word in done.stdout


@pytest.mark.parametrize("target", ["gelo", "default.yaml"])
def test_an_unknown_target_names_the_known_ones(target):
    done = bash(PROJECT / "train.sh", target, VIRTUAL_ENV="/nowhere")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    for word in (target, "settings", "benchmark", "test", *RECIPES):
        assert word in done.stderr


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("gleu", "did you mean gelu? "),
        ("Adam", "did you mean adam? "),
        ("zzzzzz", "accepted: "),
        ("", "accepted: "),
    ],
)
def test_the_nearest_target_is_named(target, hint):
    done = bash(PROJECT / "train.sh", target, VIRTUAL_ENV="/nowhere")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"train.sh: unknown target '{target}'; {hint}")


@pytest.mark.parametrize("target", ["../configs/gelu", "experiments/momentum", "configs/gelu.yaml"])
def test_a_path_is_no_target(target):
    done = bash(PROJECT / "train.sh", target, VIRTUAL_ENV="/nowhere", cwd=PROJECT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"train.sh: unknown target '{target}'; ")
    assert ("--config configs/gelu.yaml" in done.stderr) == target.endswith(".yaml")


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_through_a_symbolic_link(relative, tmp_path):
    """A link to a link, from a folder elsewhere."""
    target = os.path.relpath(PROJECT / "train.sh", tmp_path) if relative else PROJECT / "train.sh"
    (tmp_path / "first").symlink_to(target)
    (tmp_path / "second").symlink_to("first")
    done = bash(tmp_path / "second", "--help", VIRTUAL_ENV="/nowhere", cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(recipe in done.stdout for recipe in RECIPES)


def test_line_ends_of_scripts_do_not_depend_on_the_machine():
    """A clone on Windows would otherwise have scripts that bash refuses."""
    names = ["train.sh", "scripts/setup.sh", ".ci/run", "configs/default.yaml"]
    done = subprocess.run(
        ["git", "check-attr", "eol", "--", *names], capture_output=True, text=True, timeout=PATIENCE, cwd=PROJECT
    )
    if done.returncode != 0:
        pytest.skip("no git repository")
    assert done.stdout.splitlines() == [f"{name}: eol: lf" for name in names]


@pytest.mark.parametrize("script", [p for p in SCRIPTS if os.access(p, os.X_OK)], ids=lambda path: path.name)
def test_they_run_with_bash_and_stop_at_errors(script):
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
