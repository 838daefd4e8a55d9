#!/usr/bin/env bash
# Sets up what is missing and trains. Everything but the target is handed on to the script behind it.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: ./train.sh [TARGET] [OPTION ...]

Makes a virtual environment if none is active, installs the project if it is not, then runs:

  (no target)    train on MNIST; every setting is an option: ./train.sh --epochs 20 --activation GeLU
  gelu, hinge, linear, sigmoid-mse, ...
                 train with the recipe of that name in configs/
  benchmark      measure this library beside PyTorch, JAX and scikit-learn (installs them: several GB on some
                 machines), see ./train.sh benchmark --help
  test           run the tests, as ./scripts/test.sh does

  ./train.sh --resume FOLDER    continue a run that was stopped
  ./train.sh --help             this text; the settings: ./train.sh settings
EOF
}

folder=$(cd "$(dirname "$0")" && pwd)
source "$folder/scripts/setup.sh"

target=""
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
    target=$1
    shift
fi
case "$target" in
    "")
        case "${1:-}" in -h | --help) usage; exit 0 ;; esac
        prepare train
        exec "$PYTHON" "$folder/scripts/run_mlp.py" "$@"
        ;;
    settings)
        prepare train
        exec "$PYTHON" "$folder/scripts/run_mlp.py" --help
        ;;
    benchmark)
        prepare train benchmark
        exec "$PYTHON" "$folder/scripts/benchmark.py" "$@"
        ;;
    test) exec "$folder/scripts/test.sh" "$@" ;;
    *)
        if [ ! -f "$folder/configs/$target.yaml" ]; then
            echo "train.sh: unknown target '$target'; accepted: settings, benchmark, test, or a recipe:" \
                "$(cd "$folder/configs" && ls -- *.yaml | sed 's/\.yaml$//' | paste -sd' ')" >&2
            exit 2
        fi
        prepare train
        exec "$PYTHON" "$folder/scripts/run_mlp.py" --config "$folder/configs/$target.yaml" "$@"
        ;;
esac
