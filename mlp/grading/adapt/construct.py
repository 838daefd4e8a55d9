"""How a constructor or function wants its arguments: by their names if these say enough, else by trying."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.remote import Handle, Make, Remote
from mlp.grading.discovery import Parameter, required
from mlp.grading.process import StudentError


def guesses(signature: Sequence[Parameter], n_in: int, n_out: int) -> list[list[Any]]:
    """Argument lists for a layer with sizes, the most plausible first."""
    named = by_name(signature, n_in, n_out)
    usual: list[list[Any]] = [
        [n_in, n_out], ["n", n_in, n_out, 0.1], [n_in, n_out, 0.1], ["n", n_in, n_out], [(n_in, n_out)],
    ]  # fmt: skip
    return ([named] if named is not None else []) + usual


def by_name(signature: Sequence[Parameter], n_in: int, n_out: int) -> list[Any] | None:
    """The required arguments by what they are called; None if one of them is not understood."""
    arguments: list[Any] = []
    sizes = [n_in, n_out]
    for parameter in required(list(signature)):
        name = parameter.name
        if names.matches(r"\w*name|label|id|tag|\w*_id", name):
            arguments.append("n")
        elif names.matches(names.STDDEV, name) or names.matches(names.RATE, name):
            arguments.append(0.1)
        elif names.matches(names.SEED, name):
            arguments.append(0 if "seed" in name or "state" in name else Make({"$random": 0}))
        elif name in ("W", "w", "weight", "weights"):
            arguments.append(np.random.default_rng(5).normal(size=(n_in, n_out)))
        elif name in ("b", "bias", "biases"):
            arguments.append(np.random.default_rng(6).normal(size=n_out))
        elif names.matches(r"shape|size|dims|sizes", name):
            arguments.append((n_in, n_out))
        elif names.matches(r"(trainable|debug|train\w*|use_\w+|verbose|has_\w+)", name):
            arguments.append(not name.startswith(("debug", "verbose")))
        elif names.matches(names.SIZE_IN, name) and sizes and sizes[0] == n_in:
            arguments.append(sizes.pop(0))
        elif sizes and (names.matches(names.SIZE_OUT, name) or names.matches(names.SIZE_IN, name)):
            arguments.append(n_out)
            sizes.remove(n_out)
        else:
            return None
    return arguments


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
