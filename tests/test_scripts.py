"""The shell scripts: they parse, they say what they accept. Nothing here makes an environment."""

import os
import subprocess

import pytest
from running import PATIENCE, PROJECT

SCRIPTS = [PROJECT / "train.sh", *sorted((PROJECT / "scripts").glob("*.sh"))]
RECIPES = {path.stem for path in (PROJECT / "configs").glob("*.yaml")} - {"default"}


def bash(*arguments, **environment):
    return subprocess.run(
        ["bash", *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
        stdin=subprocess.DEVNULL, env=os.environ | environment,
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


@pytest.mark.parametrize("script", [p for p in SCRIPTS if os.access(p, os.X_OK)], ids=lambda path: path.name)
def test_they_run_with_bash_and_stop_at_errors(script):
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
