#!/usr/bin/env bash
# Sets up what is missing and trains. Everything but the target is handed on to the script behind it.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: ./train.sh [TARGET] [OPTION ...]

Makes a virtual environment if none is active, installs the project if it is not, then runs:

  (no target)    train on MNIST; every setting is an option: ./train.sh --epochs 20 --activation GeLU
  RECIPE         train with configs/RECIPE.yaml:
                 @RECIPES@
  EXPERIMENT     all runs of configs/experiments/EXPERIMENT.yaml, on all cores:
                 @EXPERIMENTS@
  report         all experiments, then the report with its tables and figures (about an hour on two cores;
                 report --quick takes a few minutes). What was stopped goes on where it was.
  notebooks      make the notebooks of the course from their scripts, and run them (notebooks 05: only lesson 5)
  docs           make the site of all documents in build/site, with the lessons run (docs --skip-lessons: without)
  demo           draw a digit on a page, and watch the newest run read it (demo FOLDER: another run)
  benchmark      measure this library beside PyTorch, JAX and scikit-learn, which are installed first;
                 benchmark --cold-start: how long each takes from its start to 98 % on the test set
  test           run the tests, as ./scripts/test.sh does
  settings       list all settings of a run

  ./train.sh --resume FOLDER    continue a run that was stopped
EOF
}

names() { (cd "$1" && for file in *.yaml; do printf '%s ' "${file%.yaml}"; done); }

# Through links as well: the project is where this file itself lies.
file=${BASH_SOURCE[0]}
while [ -L "$file" ]; do
    link=$(readlink "$file")
    case "$link" in
        /*) file=$link ;;
        *) file=$(dirname "$file")/$link ;;
    esac
done
folder=$(cd "$(dirname "$file")" && pwd)
source "$folder/scripts/setup.sh"

# The known target that a person who wrote $1 most likely meant; nothing where no Python is there to compare.
nearest() {
    local python
    python=$(find_python 2>/dev/null) || return 0
    "$python" -c 'import difflib, sys; print(*difflib.get_close_matches(sys.argv[1][:100], sys.argv[2:], n=1))' "$@"
}

target=train
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
    target=$1
    shift
fi
case "$target" in
    train)
        case "${1:-}" in
            -h | --help)
                text=$(usage)
                text=${text/@RECIPES@/$(names "$folder/configs")}
                echo "${text/@EXPERIMENTS@/$(names "$folder/configs/experiments")}"
                exit 0
                ;;
        esac
        prepare train
        exec "$PYTHON" "$folder/scripts/run_mlp.py" "$@"
        ;;
    settings)
        prepare train
        exec "$PYTHON" "$folder/scripts/run_mlp.py" --help
        ;;
    report)
        # Of the options, --quick concerns the runs and the report; the others are for the runs.
        quick=""
        for option in "$@"; do
            case "$option" in
                -h | --help) exec "$0" --help ;;
                --quick) quick=--quick ;;
            esac
        done
        prepare train
        "$PYTHON" "$folder/scripts/run_experiment.py" "$@" $(names "$folder/configs/experiments")
        exec "$PYTHON" "$folder/scripts/make_report.py" $quick
        ;;
    notebooks)
        prepare train notebooks
        exec "$PYTHON" "$folder/scripts/make_notebooks.py" --execute "$@"
        ;;
    docs)
        prepare train notebooks docs
        exec "$PYTHON" "$folder/scripts/make_docs.py" "$@"
        ;;
    demo)
        prepare train
        exec "$PYTHON" "$folder/scripts/demo.py" "$@"
        ;;
    benchmark)
        prepare train benchmark
        exec "$PYTHON" "$folder/scripts/benchmark.py" "$@"
        ;;
    test) exec "$folder/scripts/test.sh" "$@" ;;
    *)
        # A name, and no path: ../configs/gelu is a file too.
        if [[ $target != */* && -f $folder/configs/experiments/$target.yaml ]]; then
            prepare train
            exec "$PYTHON" "$folder/scripts/run_experiment.py" "$target" "$@"
        elif [[ $target != */* && -f $folder/configs/$target.yaml ]]; then
            prepare train
            exec "$PYTHON" "$folder/scripts/run_mlp.py" --config "$folder/configs/$target.yaml" "$@"
        fi
        known="settings report notebooks docs demo benchmark test $(names "$folder/configs")$(names "$folder/configs/experiments")"
        near=$(nearest "$target" $known)
        hint=${near:+did you mean $near? }
        if [ -f "$target" ]; then hint="a file is given with --config $target; "; fi
        echo "train.sh: unknown target '$target'; ${hint}accepted: $known" >&2
        exit 2
        ;;
esac
