"""Submissions written for Python 2: recognised always, converted on demand."""

from __future__ import annotations

import re

from mlp.checks import InputError

SIGNS = {
    "print statements": r"^\s*print\s+[^\s(=.\[]|^\s*print\s*$|^\s*print\s+\(.*\)\s*%",
    "xrange": r"\bxrange\s*\(",
    "except with a comma": r"^\s*except\s+[\w.]+\s*,\s*\w+\s*:",
    "raw_input": r"\braw_input\s*\(",
    "cPickle": r"\bimport\s+cPickle|\bcPickle\.",
    "has_key": r"\.has_key\s*\(",
    "iteritems": r"\.iter(items|values|keys)\s*\(",
    "backticks or <>": r"<>",
    "raise with a comma": r"^\s*raise\s+\w+\s*,",
    "exec statements": r"^\s*exec\s+['\"\w]",
}


def looks_old(text: str, trouble: str | None) -> str | None:
    """The signs of Python 2 in a file, in words, or None."""
    code = re.sub(r"#.*", "", text)
    signs = [name for name, pattern in SIGNS.items() if re.search(pattern, code, re.MULTILINE)]
    if "xrange" in signs and re.search(r"^\s*xrange\s*=|def xrange|import .*\bxrange\b", code, re.MULTILINE):
        signs.remove("xrange")
    if trouble and trouble.startswith("TabError"):
        signs.append("tabs mixed with spaces")
    return ", ".join(signs) or None


def repaired(text: str, path: str) -> str:
    """The text for Python 3: tabs expanded to 8 columns as Python 2 read them, then the fixers of 2to3."""
    try:
        from fissix.refactor import RefactoringTool, get_fixers_from_package
    except ImportError:
        raise InputError("--repair needs the package fissix: pip install 'mlp[grading]'") from None
    text = "".join(line.expandtabs(8) for line in text.splitlines(keepends=True)).replace("\r\n", "\n")
    if not text.endswith("\n"):
        text += "\n"
    names = ("print", "xrange", "except", "raw_input", "has_key", "dict", "ne", "raise", "exec", "imports",
      "reduce",
             "unicode", "long", "basestring", "numliterals", "repr", "next", "itertools", "zip", "map",
               "filter")  # fmt: skip
    fixers = [f for f in get_fixers_from_package("fissix.fixes") if f.rpartition("fix_")[2] in names]
    if re.search(r"from\s+__future__\s+import.*print_function", text):
        fixers = [f for f in fixers if not f.endswith("fix_print")]
    tool = RefactoringTool(fixers)
    try:
        return str(tool.refactor_string(text, path))
    except Exception:  # lib2to3 raises its own ParseError and others on what is no Python at all
        return text
