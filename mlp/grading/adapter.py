"""Adapters: what a grader writes, in YAML or Python, for an interface that was not understood.

In YAML, for each component: ``class`` or ``function`` (``file.py: Name``), and whatever else must be said:

    Linear:
      class: net.py: Schicht
      arguments: [in, out, 0.1]        # "in" and "out" stand for the sizes
      forward: vor
      backward: rueck
      weight: gewicht                  # paths of attributes; also weight_gradient, bias, bias_gradient
      weight_gradient: d_gewicht
      bias: schwelle
      bias_gradient: d_schwelle

An adapter in Python is a file of classes in any interface that is understood, which import the student's.
"""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

from mlp.checks import InputError, find_name
from mlp.grading.candidates import Candidate, Definitions, Parameter, parameters
from mlp.grading.hypotheses import COMPONENTS
from mlp.grading.submission import Source, Submission, read
from mlp.run.yaml_files import read_mapping

KEYS = (
    "class", "function", "partner", "arguments", "forward", "backward", "update", "weight", "bias",
      "weight_gradient",
    "bias_gradient", "targets",
)  # fmt: skip


def apply_adapter(
    path: Path, submission: Submission, candidates: list[Candidate], definitions: Definitions
) -> list[Candidate]:
    """The candidates with those that the YAML names in place of what was found.

    Raises ``InputError`` for a key, component, file or class that is not there.
    """
    named: dict[str, Candidate] = {}
    for word, entry in read_mapping(path).items():
        component = find_name(word, COMPONENTS)
        if component is None:
            raise InputError(f"{path}: there is no component {word!r}; there are {', '.join(COMPONENTS)}")
        if not isinstance(entry, dict) or not entry.keys() & {"class", "function"}:
            raise InputError(f"{path}: {word} needs class or function, such as 'layers.py: Name'; got {entry!r}")
        for key in entry:
            if key not in KEYS:
                raise InputError(f"{path}: {word} has no key {key!r}; accepted: {', '.join(KEYS)}")
        named[component] = candidate_of(path, component, entry, submission, definitions)
    return [*named.values(), *(c for c in candidates if c.component not in named)]


def candidate_of(
    path: Path, component: str, entry: dict[str, Any], submission: Submission, definitions: Definitions
) -> Candidate:
    """The candidate that one entry describes."""
    place = str(entry.get("class") or entry.get("function"))
    file, _, name = (part.strip() for part in place.partition(":"))
    source = submission.find(file)
    if source is None or not name:
        raise InputError(
            f"{path}: {component} is looked for in {place!r}, give 'FILE: NAME' with a file of "
            + ", ".join([s.path for s in submission.sources][:8])
        )
    if "function" in entry:
        return functions_of(component, entry, source, name)
    node = definitions.classes.get(name)
    if node is None:
        raise InputError(
            f"{path}: there is no class {name!r} in {file}; there are {', '.join(definitions.classes)}"
        )
    methods = {n: parameters(m) for n, m in definitions.methods(node).items()}
    told = {usual: str(entry[usual]) for usual in ("forward", "backward", "update") if usual in entry}
    if unknown := sorted(set(told.values()) - methods.keys()):
        raise InputError(f"{path}: class {name} has no method {unknown[0]!r}; it has {', '.join(methods)}")
    return Candidate(component, "class", source, name, methods=methods, overrides=entry)


def functions_of(component: str, entry: dict[str, Any], source: Source, name: str) -> Candidate:
    """A function, or a pair of functions."""
    nodes = source.tree.body if source.tree else []
    functions = {n.name: n for n in nodes if isinstance(n, ast.FunctionDef)}
    partner = entry.get("partner")
    wanted = {"forward": name, "backward": str(partner)}
    methods = {word: parameters(functions[n]) for word, n in wanted.items() if n in functions}
    form = "functions" if partner else "function"
    return Candidate(component, form, source, name, partner, methods, overrides=entry)


def add_python_adapter(path: Path, submission: Submission) -> Submission:
    """The submission with the adapter's file beside the student's; only what the adapter defines is graded."""
    try:
        shutil.copyfile(path, submission.folder / path.name)
    except OSError as error:
        raise InputError(f"cannot read the adapter {path}: {error.strerror or error}") from None
    again = read(submission.folder, path.name, False)
    again.notes = submission.notes
    return again


def example(candidate: Candidate) -> str:
    """What to write for a component that was not understood, with what is known filled in."""
    methods = [m for m in candidate.methods if not m.startswith("__")]
    signature = candidate.methods.get("__init__", [])
    form = "class" if candidate.form in ("class", "update") else "function"
    lines = [
        f"{candidate.component}:",
        f"  {form}: '{candidate.source.path}: {candidate.name}'",
        f"  arguments: [{', '.join(words(p) for p in signature if p.required)}]   # in and out stand for the sizes",
        f"  forward: {next(iter(methods), 'NAME')}   # one of {', '.join(methods) or 'its methods'}",
        f"  backward: {methods[-1] if methods else 'NAME'}",
    ]
    if candidate.component in ("Linear", "BatchNorm"):
        lines += [f"  {key}: ATTRIBUTE" for key in ("weight", "weight_gradient", "bias", "bias_gradient")]
    return "\n".join(lines)


def words(parameter: Parameter) -> str:
    """A guess at what to write for an argument."""
    return {"name": '"n"'}.get(parameter.name, parameter.name)
