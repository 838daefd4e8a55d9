"""The plan of the house, read from the source with ``ast``: who may import whom, and what nobody does."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import mlp

PACKAGE = Path(mlp.__file__).parent
SCRIPTS = PACKAGE.parent / "scripts"

# A unit, a module or a room of mlp, imports from the tiers above it in this table and, where that leads in no
# circle, from its own. Units that are only planned may stand here; every one that exists must.
TIERS = [
    {"checks", "arrays"},
    {"buffers", "files", "registry"},
    {"functional", "initializers", "parameter"},
    {"layers", "losses", "optim", "data", "metrics", "gradcheck"},
    {"network"},
    {"efficiency"},
    {"solver"},
    {"parallel"},
    {"plots"},
    {"diagnosis"},
    {"mlp"},  # mlp/__init__.py, the names that users import; from here on they are put to use
    {"run"},
    {"bridges", "studies", "grading"},
    {"scripts"},
]
TIER = {unit: i for i, tier in enumerate(TIERS) for unit in tier}
# Neighbours in a tier that must not know each other.
STRANGERS = {("optim", "layers"), ("layers", "optim"), ("losses", "layers"), ("layers", "losses")}
# A method that needs a later unit imports it when it is called.
AT_USE = {("solver", "plots")}

# Package -> the one file that imports it, or None where the plan leaves that open.
OPTIONAL = {
    "fissix": "grading/python2.py",
    "jsonargparse": "run/options.py",
    "matplotlib": "plots/figure.py",
    "mpi4py": "parallel/mpi.py",
    "onnx": "bridges/onnx_export.py",
    "pyseccomp": "grading/server.py",
    "sklearn": "bridges/estimators.py",
    "torch": None,
    "tqdm": "solver/callbacks/progress.py",
    "wandb": "run/tracking.py",
    "yaml": "run/yaml_files.py",
}
# A class needs its base class when it is defined, not when it is used. So this file imports it at its top, and
# nothing in mlp imports the file.
AT_TOP = {"sklearn": "mlp.bridges.estimators"}
FORBIDDEN = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "random", "shelve"}
# What numpy.random offers besides functions of its hidden global state.
STATELESS = {"default_rng", "BitGenerator", "Generator", "PCG64", "PCG64DXSM", "Philox", "SFC64", "SeedSequence"}


class Import(NamedTuple):
    module: str  # as written, with the name after "import" for "from mlp import name"
    in_function: bool


def find_imports(tree: ast.AST, in_function: bool = False) -> Iterator[Import]:
    """All imports except those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from (Import(name.name, in_function) for name in names)
            case ast.ImportFrom(module=None):
                raise AssertionError("relative imports hide what they import: write them out")
            case ast.ImportFrom(module="mlp", names=names):
                yield from (Import(f"mlp.{name.name}", in_function) for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield Import(module, in_function)
            case ast.ImportFrom():
                raise AssertionError("relative imports hide what they import: write them out")
            case ast.If(test=ast.Name("TYPE_CHECKING"), orelse=orelse):
                yield from find_imports(ast.Module(orelse, []), in_function)
            case _:
                yield from find_imports(node, in_function or isinstance(node, ast.FunctionDef))


def unit_of(module: str) -> str:
    """mlp.layers.linear -> layers; a name that is no unit, like __version__, comes from mlp itself."""
    head, _, rest = module.partition(".")
    unit = rest.partition(".")[0]
    return unit if head == "mlp" and unit in TIER else head


def unit_of_file(path: Path) -> str:
    if not path.is_relative_to(PACKAGE):
        return "scripts"
    top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "mlp" if top in ("__init__", "__main__") else top


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


FILES = sorted(PACKAGE.rglob("*.py"))
ALL_FILES = FILES + sorted(SCRIPTS.rglob("*.py"))

each_file = pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
each_file_and_script = pytest.mark.parametrize(
    "path", ALL_FILES, ids=lambda p: p.relative_to(PACKAGE.parent).as_posix()
)


def test_every_module_has_a_tier_and_only_one():
    assert {unit_of_file(path) for path in FILES} - TIER.keys() == set()
    assert sum(map(len, TIERS)) == len(TIER)


@each_file
def test_imports_point_from_later_tiers_to_earlier_ones(path):
    importer = unit_of_file(path)
    for module, in_function in find_imports(parse(path)):
        imported = unit_of(module)
        if imported not in TIER or imported == importer or (in_function and (importer, imported) in AT_USE):
            continue
        assert TIER[imported] <= TIER[importer], f"{importer} must not import {imported}, a later tier"
        assert (importer, imported) not in STRANGERS, f"{importer} must not know {imported}"


def test_units_import_each_other_in_no_circle():
    graph: dict[str, set[str]] = {}
    for path in FILES:
        importer = unit_of_file(path)
        imported = {unit_of(i.module) for i in find_imports(parse(path)) if not i.in_function}
        graph.setdefault(importer, set()).update((imported & TIER.keys()) - {importer})
    assert list(graphlib.TopologicalSorter(graph).static_order())


@each_file
def test_optional_packages_are_imported_at_use_in_one_file_and_no_others_at_all(path):
    for module, in_function in find_imports(parse(path)):
        package = module.partition(".")[0]
        if package in sys.stdlib_module_names | {"numpy", "mlp"}:
            continue
        assert package in OPTIONAL, f"{package} is neither NumPy nor one of the optional packages"
        assert in_function or package in AT_TOP, f"{package} must be imported inside the function that uses it"
        assert OPTIONAL[package] in (None, path.relative_to(PACKAGE).as_posix())


@each_file
def test_nothing_imports_a_file_that_needs_an_optional_package_to_be_imported(path):
    imported = {module for module, _ in find_imports(parse(path))}
    # "from mlp.bridges import ..." would not say here which of its files is meant.
    assert imported & {"mlp.bridges", *AT_TOP.values()} == set()


def test_no_optional_package_is_imported_in_two_files():
    users: dict[str, set[Path]] = {}
    for path in FILES:
        for module, _ in find_imports(parse(path)):
            users.setdefault(module.partition(".")[0], set()).add(path)
    assert {package: users[package] for package in OPTIONAL if len(users.get(package, ())) > 1} == {}


def test_importing_mlp_loads_numpy_and_the_standard_library_alone():
    program = """
import sys
import numpy, numpy.random
before = set(sys.modules)
import mlp
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""
    command = [sys.executable, "-W", "error", "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    loaded = set(run.stdout.split())
    assert "mlp" in loaded
    assert loaded - sys.stdlib_module_names - {"mlp", "numpy"} == set()


@pytest.mark.parametrize("name", mlp.AT_USE)
def test_parts_that_are_loaded_at_use_are_there(name):
    assert name in dir(mlp)
    assert getattr(mlp, name) is sys.modules[f"mlp.{name}"]


def test_what_mlp_does_not_have_is_an_ordinary_error():
    with pytest.raises(AttributeError, match="module 'mlp' has no attribute 'nonsense'"):
        mlp.nonsense  # noqa: B018


def hidden_randomness(tree: ast.AST) -> Iterator[str]:
    """Names of numpy.random that draw from, or seed, its global state."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Attribute(value=ast.Name("np" | "numpy"), attr="random"), attr=name):
                pass
            case ast.ImportFrom(module="numpy.random", names=[ast.alias(name=name), *_]):
                pass
            case _:
                continue
        if name not in STATELESS:
            yield name


@each_file_and_script
def test_randomness_is_an_argument(path):
    assert list(hidden_randomness(parse(path))) == []


@each_file_and_script
def test_nothing_is_pickled(path):
    tree = parse(path)
    assert {i.module.partition(".")[0] for i in find_imports(tree)} & FORBIDDEN == set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False


@each_file
def test_modules_and_their_public_functions_and_classes_have_docstrings(path):
    tree = parse(path)
    assert ast.get_docstring(tree), "the first line of a file says why it exists"
    definitions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    assert [n.name for n in definitions if not n.name.startswith("_") and not ast.get_docstring(n)] == []


class TestTheTestsThemselves:
    """The readers above see what they are there to see."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("import numpy as np", [("numpy", False)]),
            ("from mlp import layers, losses", [("mlp.layers", False), ("mlp.losses", False)]),
            ("from mlp.layers.base import Layer", [("mlp.layers.base", False)]),
            ("def f():\n  import wandb", [("wandb", True)]),
            ("class A:\n  import wandb", [("wandb", False)]),
            ("try:\n  import wandb\nexcept ImportError:\n  wandb = None", [("wandb", False)]),
            ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", [("b", False)]),
        ],
    )
    def test_imports_are_found(self, source, expected):
        assert [tuple(i) for i in find_imports(ast.parse(source))] == expected

    @pytest.mark.parametrize("source", ["from . import x", "from .base import x", "from .. import x"])
    def test_relative_imports_are_refused(self, source):
        with pytest.raises(AssertionError, match="relative imports"):
            list(find_imports(ast.parse(source)))

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("np.random.seed(0)", ["seed"]),
            ("f(numpy.random.rand)", ["rand"]),
            ("from numpy.random import shuffle", ["shuffle"]),
            ("rng: np.random.Generator = np.random.default_rng(0)", []),
            ("rng.random(3)", []),
        ],
    )
    def test_hidden_randomness_is_found(self, source, expected):
        assert list(hidden_randomness(ast.parse(source))) == expected

    @pytest.mark.parametrize(
        ("module", "unit"),
        [("mlp.layers.linear", "layers"), ("mlp.__version__", "mlp"), ("mlp", "mlp"), ("numpy", "numpy")],
    )
    def test_units(self, module, unit):
        assert unit_of(module) == unit
