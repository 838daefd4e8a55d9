# Sourced by train.sh and the scripts here: a Python environment with this project and the extras asked for.
#
#     prepare train test      installs what is missing, and nothing if nothing is
#
# Uses the active virtual environment, else makes .venv in the project's folder. Afterwards $PYTHON runs in it.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

find_python() {
    local candidate
    for candidate in python3 python python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed, and none was found (tried python3, python, python3.11 to 3.14)." >&2
    return 1
}

prepare() {
    local environment extra missing="" stamp
    if [ -n "${VIRTUAL_ENV:-}" ]; then
        environment=$VIRTUAL_ENV
    else
        environment=$project/.venv
        # pip is the last thing that venv installs: without it the environment is half made.
        if [ ! -x "$environment/bin/pip" ]; then
            local base
            base=$(find_python) || return 1
            echo "Making a virtual environment in $environment" >&2
            "$base" -m venv --clear "$environment" || return 1
        fi
    fi
    PYTHON=$environment/bin/python
    if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "Python 3.11 or newer is needed; $PYTHON is older." >&2
        return 1
    fi

    # One stamp an extra, named after what was installed: from which folder, and with which pyproject.toml.
    stamp=$environment/.mlp-$(cat "$project/pyproject.toml" <(echo "$project") | cksum | cut -d' ' -f1)
    for extra in "$@"; do
        [ -e "$stamp-$extra" ] || missing="$missing,$extra"
    done
    if [ -n "$missing" ]; then
        echo "Installing mlp[${missing#,}] into $environment" >&2
        "$PYTHON" -m pip install --quiet --disable-pip-version-check --editable "$project[${missing#,}]" || {
            echo "Installing failed; the message above says why. Once that is solved, start again." >&2
            return 1
        }
        for extra in "$@"; do touch "$stamp-$extra"; done
    fi
}
