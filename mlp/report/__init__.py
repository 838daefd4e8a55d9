"""The report: from finished runs to tables, figures and text, beside the published report that it repeats."""

from mlp.report.cells import headline
from mlp.report.reference import Reference, load_reference
from mlp.report.results import SETTINGS, Result, Setting
from mlp.report.timing import QUICK, QUICK_TIMING, TIMING, load_timing, measure_timing
from mlp.report.write import EXPERIMENTS, NOTES, write_report

__all__ = [
    "EXPERIMENTS",
    "NOTES",
    "QUICK",
    "QUICK_TIMING",
    "SETTINGS",
    "TIMING",
    "Reference",
    "Result",
    "Setting",
    "headline",
    "load_reference",
    "load_timing",
    "measure_timing",
    "write_report",
]
