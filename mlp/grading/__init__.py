"""Grading: somebody else's layers are found, run in a process of their own, judged, and their mistakes named.

>>> from mlp.grading import grade
>>> for verdict in grade("path/to/submission"):
...     print(verdict.component, verdict.verdict, verdict.name)
"""

from mlp.grading.grader import Grader, grade
from mlp.grading.process import Limits
from mlp.grading.verdict import Verdict, exit_status, write_verdicts

__all__ = ["Grader", "Limits", "Verdict", "exit_status", "grade", "write_verdicts"]
