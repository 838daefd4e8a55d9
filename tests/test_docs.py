"""The documents name what exists: links lead somewhere, settings are settings, and every public tool is listed."""

import re
from pathlib import Path

import pytest

import mlp
from mlp import calibration, data, initializers, losses, metrics, optim, regularizers
from mlp.layers import ACTIVATIONS, Layer, base
from mlp.run.config import SETTINGS

PROJECT = Path(mlp.__file__).resolve().parents[1]
PAGES = sorted([PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")])
TOOLBOX = PROJECT / "docs" / "toolbox.md"


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in headings(file), f"{page.name} links to {target}"


def test_the_settings_that_the_toolbox_names_exist():
    named = re.findall(r"`(\w+): [^`]+`", TOOLBOX.read_text(encoding="utf-8"))
    assert len(named) > 30
    assert set(named) <= set(SETTINGS)


def public_tools() -> set[str]:
    """Names that the packages of the toolbox export, leaving out what only builds and checks them."""
    found = set(ACTIVATIONS) | {name for name in mlp.layers.__all__ if _is_layer(getattr(mlp.layers, name))}
    found |= {loss.__name__ for loss in losses.LOSSES.values()}
    found |= set(optim.OPTIMIZERS) | set(optim.SCHEDULES) | {"WeightAverage", "ReduceOnPlateau"}
    found |= {"clip_by_norm", "clip_by_value"} | set(initializers.INITIALIZERS)
    found |= {name for name, value in vars(regularizers).items() if _is_made_in(value, "mlp.optim.regularizers")}
    found |= set(data.augmentation.__all__) | set(data.preprocessing.__all__)
    found |= set(metrics.__all__) | set(calibration.__all__)
    return found - SCAFFOLDING


SCAFFOLDING = {
    "Layer", "Container", "Regularizer", "Scratch", "Augment", "Augmentation", "Preprocessing", "count_correct",
    "RocCurve", "PrecisionRecallCurve",
    "ClassificationReport", "ReliabilityBins", "reliability_bins", "penalised", "QuantizedLinear",
}  # fmt: skip


def _is_layer(value) -> bool:
    return isinstance(value, type) and issubclass(value, Layer) and value is not base.Layer


def _is_made_in(value, module: str) -> bool:
    return isinstance(value, type) and value.__module__ == module


def test_every_tool_is_in_the_table_of_contents():
    text = TOOLBOX.read_text(encoding="utf-8")
    assert sorted(name for name in public_tools() if not re.search(rf"\b{name}\b", text)) == []
