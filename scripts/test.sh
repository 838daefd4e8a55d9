#!/usr/bin/env bash
# Sets up what is missing and runs the tests. Options are pytest's: ./scripts/test.sh -k gradcheck
#
# Tests that compare with PyTorch and scikit-learn are skipped without them; to run these too:
#     .venv/bin/python -m pip install -e ".[oracles]"
set -euo pipefail

folder=$(cd "$(dirname "$0")/.." && pwd)
source "$folder/scripts/setup.sh"
prepare train test
cd "$folder"
# The matrices are small: more BLAS threads than one would only wait for each other. Two processes share the files.
OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1} exec "$PYTHON" -m pytest -n 2 --dist loadfile "$@"
