"""How far the recipes go: a page made from the folders of their runs."""

from mlp.studies.records.page import write_page
from mlp.studies.records.runs import Record, load_records

__all__ = ["Record", "load_records", "write_page"]
