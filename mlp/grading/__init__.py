"""Grading: somebody else's layers are found, run in a process of their own, judged, and their mistakes named.

>>> from mlp.grading import grade
>>> for verdict in grade("path/to/submission"):
...     print(verdict.component, verdict.verdict, verdict.name)
"""

from mlp.grading.verdict import Verdict, exit_status, write_verdicts

__all__ = ["Verdict", "exit_status", "grade", "write_verdicts"]


def grade(path, *, hints="what", adapter=None, repair=False, limits=None):  # type: ignore[no-untyped-def]
    """The verdicts on the components of a submission: a file, folder, module, zip or notebook."""
    raise NotImplementedError
