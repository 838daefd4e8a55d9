"""The documents name what exists: links lead somewhere, settings are settings, and every public tool is listed."""

import ast
import inspect
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


class TestNamesOfOtherLibraries:
    """Each name in the first column of the tables of coming-from.md exists, with the options that are named."""

    CELLS = re.findall(r"^\| (`[^|]+) \|", (PROJECT / "docs" / "coming-from.md").read_text("utf-8"), re.MULTILINE)
    NAMES = sorted({name for cell in CELLS for name in re.findall(r"`([\w.]+(?:\([^`]*\))?)`", cell)})

    def test_there_are_many(self):
        assert len(self.NAMES) > 60

    @pytest.mark.parametrize("name", NAMES)
    def test_exists(self, name):
        path, _, arguments = name.rstrip(")").partition("(")
        thing = mlp
        for part in path.split("."):
            thing = getattr(thing, part, None) or getattr(mlp.Network(mlp.Linear(1, 2)), part)
        options = [word for word in re.split(r"=?, |=$", arguments) if word]
        assert set(options) <= set(inspect.signature(thing).parameters) if options else thing is not None


def test_links_to_definitions_name_what_is_there():
    """[`Linear.backward`](../mlp/layers/linear.py): the file defines it."""
    count = 0
    for page in PAGES:
        text = page.read_text("utf-8")
        for name, target in re.findall(r"\[`([A-Za-z_][\w.]*)`\]\(([^)#]+\.py)\)", text):
            if name.endswith(".py"):
                continue
            body = ast.parse((page.parent / target).read_text("utf-8")).body
            for part in name.split("."):
                found = next((node for node in body if part in defined(node)), None)
                assert found is not None, f"{page.name}: there is no {name} in {target}"
                body = getattr(found, "body", [])
            count += 1
    assert count > 100


def defined(node: ast.stmt) -> set[str]:
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    return {getattr(node, "name", ""), *(getattr(target, "id", "") for target in targets)}
