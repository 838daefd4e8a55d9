"""The report: from finished runs to tables, figures and text, beside the published report that it repeats."""

from mlp.studies.report.cells import headline
from mlp.studies.report.reference import Reference, load_reference
from mlp.studies.report.results import SETTINGS, Result, Setting
from mlp.studies.report.timing import QUICK, QUICK_TIMING, TIMING, load_timing, measure_timing
from mlp.studies.report.write import EXPERIMENTS, NOTES, write_report

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
