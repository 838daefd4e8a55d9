"""``python -m mlp.grading.gradescope --rubric RUBRIC`` writes the zip that Gradescope wants for an autograder."""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import mlp
from mlp.checks import InputError
from mlp.files import write_atomically
from mlp.grading.autograder import write_results
from mlp.grading.messages import LEVELS
from mlp.grading.rubric import Rubric, default_rubric, read_rubric
from mlp.grading.students import Student

PACKAGE = Path(mlp.__file__).parent
EXECUTABLE = 0o755 << 16
SECONDS = 540  # Gradescope ends a run after ten minutes and then shows no result at all

SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, when it builds the machine that grades. Nothing else is installed: mlp lies beside it.
set -e
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    apt-get update && apt-get install -y python3 python3-pip
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "Python 3.11 or later is needed: choose a base image with it, such as Ubuntu 24.04" >&2; exit 1; }
fi
if ! python3 -c 'import numpy; assert int(numpy.__version__.split(".")[0]) >= 2' 2>/dev/null; then
    python3 -m pip --version >/dev/null 2>&1 || { apt-get update && apt-get install -y python3-pip; }
    python3 -m pip install --break-system-packages 'numpy>=2.0' || python3 -m pip install 'numpy>=2.0'
fi
"""

RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for each submission. If no results come out of it, those of failed.json stand: 0 points.
root="${{AUTOGRADER_ROOT:-/autograder}}"
results="$root/results/results.json"
mkdir -p "$root/results"
rm -f "$results"
cd "$root/source" || exit 1
export OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
timeout --kill-after=10 {seconds} python3 -m mlp.grading.autograder \\
    "$root/submission" "$results" --rubric rubric.json {options}
[ -s "$results" ] || cp failed.json "$results"
"""


def write_autograder(path: Path, rubric: Rubric, hints: str = "what", repair: bool = False) -> None:
    """Write the zip: setup.sh, run_autograder, the rubric, and the Python files of mlp."""
    options = f"--hints {hints}{' --repair' if repair else ''}"
    files = {
        "setup.sh": SETUP,
        "run_autograder": RUN.format(seconds=SECONDS, options=options),
        "rubric.json": json.dumps(rubric.as_dict(), indent=1),
        "failed.json": _results_of_failure(rubric),
    }
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.external_attr, info.compress_type = EXECUTABLE, zipfile.ZIP_DEFLATED
            archive.writestr(info, text)
        for file in sorted(PACKAGE.rglob("*.py")):
            archive.write(file, f"mlp/{file.relative_to(PACKAGE).as_posix()}")
    write_atomically(path, lambda file: file.write(memory.getvalue()))


def _results_of_failure(rubric: Rubric) -> str:
    student = Student("submission", [], error="The autograder ended without a result: out of time or memory.")
    with tempfile.TemporaryDirectory() as folder:
        write_results(Path(folder, "results.json"), rubric, student)
        return Path(folder, "results.json").read_text(encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 2 for a wrong argument."""
    parser = argparse.ArgumentParser(prog="python -m mlp.grading.gradescope", description=__doc__)
    parser.add_argument(
        "--rubric", type=Path, metavar="FILE", help="YAML with the points (default: a first course)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", default=Path("autograder.zip"))
    parser.add_argument("--hints", choices=LEVELS, default="what", help="how much students are told")
    parser.add_argument("--repair", action="store_true", help="convert submissions written for Python 2")
    options = parser.parse_args(arguments)
    try:
        rubric = read_rubric(options.rubric) if options.rubric else default_rubric()
        write_autograder(options.out, rubric, options.hints, options.repair)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {len(rubric.checks)} checks, {rubric.total:g} points; upload it as it is")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
