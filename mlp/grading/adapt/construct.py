"""How a constructor or function wants its arguments: by their names if these say enough, else by trying."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.remote import Handle, Make, Remote
from mlp.grading.candidates import Parameter, required
from mlp.grading.process import StudentError


def guesses(signature: Sequence[Parameter], n_in: int, n_out: int) -> list[list[Any]]:
    """Argument lists for a layer with sizes, the most plausible first."""
    named = by_name(signature, n_in, n_out)
    usual: list[list[Any]] = [
        [n_in, n_out], ["n", n_in, n_out, 0.1], [n_in, n_out, 0.1], ["n", n_in, n_out], [(n_in, n_out)],
    ]  # fmt: skip
    return ([named] if named is not None else []) + usual


INITIALIZER = r"\w*init\w*_?(fn|func|function)|\w*initiali[sz]er|init_fn"
FLAGS = r"trainable|debug|train\w*|use_\w+|verbose|has_\w+|bias_?on"


def by_name(signature: Sequence[Parameter], n_in: int, n_out: int) -> list[Any] | None:
    """The required arguments by what they are called; None if one of them is not understood."""
    arguments: list[Any] = []
    sizes = [n_in, n_out]
    for parameter in required(list(signature)):
        known, value = setting(parameter.name, n_in, n_out)
        if known:
            arguments.append(value)
        elif names.matches(names.SIZE_IN, parameter.name) and sizes and sizes[0] == n_in:
            arguments.append(sizes.pop(0))
        elif sizes and names.matches(f"{names.SIZE_OUT}|{names.SIZE_IN}", parameter.name):
            arguments.append(n_out)
            sizes.remove(n_out)
        else:
            return None
    return arguments


def setting(name: str, n_in: int, n_out: int) -> tuple[bool, Any]:
    """What an argument that is no size should be, if its name tells."""
    if name in ("b", "bias", "biases"):
        return True, np.random.default_rng(6).normal(size=n_out)
    if name in ("W", "w", "weight", "weights"):
        return True, np.random.default_rng(5).normal(size=(n_in, n_out))
    if names.matches(names.SEED, name):
        return True, 0 if "seed" in name or "state" in name else Make({"$new": "rng"})
    table: list[tuple[str, Any]] = [
        (r"\w*name|label|id|tag|\w*_id", "n"), (INITIALIZER, Make({"$new": "initial"})),
        (f"{names.STDDEV}|{names.RATE}", 0.1), (r"shape|size|dims|sizes", (n_in, n_out)),
        (FLAGS, not name.startswith(("debug", "verbose"))),
    ]  # fmt: skip
    return next(((True, value) for pattern, value in table if names.matches(pattern, name)), (False, None))


def construct(
    remote: Remote, module: Handle, name: str, tries: Sequence[Sequence[Any]]
) -> tuple[Handle, list[Any]]:
    """The first object that can be made. Raises the error of the first try if none can."""
    first: StudentError | None = None
    for arguments in tries:
        try:
            value = remote.call(module, name, args=arguments).value
        except StudentError as error:
            # What the body raises tells more than a wrong number of arguments.
            if first is None or (first.details["type"] == "TypeError" and error.details["type"] != "TypeError"):
                first = error
            continue
        if isinstance(value, Handle):
            return value, list(arguments)
    raise first or StudentError({"type": "TypeError", "message": f"{name}() made no object"})


def arguments_of(entry: Sequence[Any], n_in: int, n_out: int) -> list[Any]:
    """The constructor's arguments, with "in" and "out" replaced by sizes."""
    return [{"in": n_in, "out": n_out}.get(a, a) if isinstance(a, str) else a for a in entry]


def path_of(text: str) -> tuple[Any, ...]:
    """params.W or layers[0].W as a path."""
    return tuple(int(w) if w.isdigit() else w for w in re.findall(r"\w+", text))


def shown(arguments: Sequence[Any]) -> str:
    """The call as a person would write it."""
    words = [
        f"array {a.shape}" if isinstance(a, np.ndarray) else "rng" if isinstance(a, Make) else repr(a)
        for a in arguments
    ]
    return "(" + ", ".join(words) + ")"
