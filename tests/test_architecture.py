"""The plan of the house, read from the source: who may import whom, how long things are, and what nobody does."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from source import (
    ALL_FILES,
    FILES,
    PACKAGE,
    find_imports,
    functions,
    imported_files,
    imports_of,
    in_circles,
    name_of,
    parse,
)

import mlp

# A unit, a module or a room of mlp, imports from the tiers above it in this table and, where that leads in no
# circle, from its own. Units that are only planned may stand here; every one that exists must.
TIERS = [
    {"checks", "arrays", "display"},
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
    {"bridges", "demo", "studies", "grading"},
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
    "IPython": "solver/callbacks/progress.py",
    "matplotlib": "plots/figure.py",
    "mpi4py": "parallel/mpi.py",
    "onnx": "bridges/onnx_export.py",
    "pyseccomp": "grading/server.py",
    "sklearn": "bridges/estimators.py",
    "threadpoolctl": "solver/threads.py",
    "torch": None,
    "tqdm": "solver/callbacks/progress.py",
    "wandb": "run/wandb_process.py",
    "yaml": "run/yaml_files.py",
}
# A class needs its base class when it is defined, not when it is used. So this file imports it at its top, and
# nothing in mlp imports the file.
AT_TOP = {"sklearn": "mlp.bridges.estimators"}
FORBIDDEN = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "random", "shelve"}
# What numpy.random offers besides functions of its hidden global state.
STATELESS = {"default_rng", "BitGenerator", "Generator", "PCG64", "PCG64DXSM", "Philox", "SFC64", "SeedSequence"}

# What a reader may meet on any page of the reading list without having read it.
GROUND = {"arrays.py", "checks.py", "files.py", "functional.py", "initializers.py", "parameter.py", "registry.py"}

ROOT_FILES, FILE_LINES, FUNCTION_LINES, BRANCHES = 9, 250, 50, 12
CALLS, FILES_OF_CALLS = 45, 18  # of one mini-batch: one file each for what it meets, from Batches to SGD
# What does not keep to a rule yet. A line that is not needed any more fails like one that is missing.
EXCEPTIONS: dict[str, set[str]] = {}


def assert_kept(rule: str, broken: Iterable[str]) -> None:
    """Nothing breaks the rule but its exceptions, and each of these does."""
    assert sorted(set(broken)) == sorted(EXCEPTIONS.get(rule, set()))


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


class TestImports:
    def test_every_module_has_a_tier_and_only_one(self):
        assert {unit_of_file(path) for path in FILES} - TIER.keys() == set()
        assert sum(map(len, TIERS)) == len(TIER)

    def test_point_from_later_tiers_to_earlier_ones(self):
        """Those that only a type checker sees included."""
        broken = set()
        for path in FILES:
            importer = unit_of_file(path)
            for found in imports_of(path):
                imported = unit_of(found.module)
                if imported not in TIER or imported == importer:
                    continue
                pair = (importer, imported)
                if TIER[imported] > TIER[importer] and not (found.in_function and pair in AT_USE):
                    broken.add(f"{name_of(path)} imports {found.module}, of a later tier")
                if pair in STRANGERS:
                    broken.add(f"{name_of(path)} knows {found.module}")
        assert_kept("directions", broken)

    def test_lead_in_no_circle(self):
        graph = {
            name_of(path): {
                name_of(file)
                for file in imported_files(
                    i for i in imports_of(path) if not (i.in_function and is_at_use(path, i.module))
                )
            }
            for path in FILES
        }
        assert in_circles(graph) == set()

    def test_of_optional_packages_are_made_at_use_in_one_file(self):
        broken, users = set(), {}
        for path in FILES:
            for found in imports_of(path):
                package = found.module.partition(".")[0]
                if package in sys.stdlib_module_names | {"numpy", "mlp"}:
                    continue
                if not found.for_types:
                    users.setdefault(package, set()).add(name_of(path))
                if package not in OPTIONAL:
                    broken.add(f"{name_of(path)}: {package} is neither NumPy nor one of the optional packages")
                elif OPTIONAL[package] not in (None, name_of(path)) and not found.for_types:
                    broken.add(f"{name_of(path)}: {package} belongs into {OPTIONAL[package]}")
                if not (found.in_function or found.for_types or package in AT_TOP):
                    broken.add(f"{name_of(path)}: {package} must be imported inside the function that uses it")
        assert broken == set()
        assert {package: files for package, files in users.items() if len(files) > 1} == {}

    def test_name_no_file_that_needs_an_optional_package_to_be_imported(self):
        # "from mlp.bridges import ..." would not say here which of its files is meant.
        closed = {"mlp.bridges", *AT_TOP.values()}
        assert {name_of(path) for path in FILES if closed & {i.module for i in imports_of(path)}} == set()


def is_at_use(path: Path, module: str) -> bool:
    return (unit_of_file(path), unit_of(module)) in AT_USE


class TestSizes:
    def test_root(self):
        """At most nine files, the page of names included."""
        root = {path.name for path in FILES if path.parent == PACKAGE}
        assert len(root) <= ROOT_FILES, root

    def test_files(self):
        lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in ALL_FILES}
        assert_kept("long files", {name for name, count in lines.items() if count > FILE_LINES})

    def test_functions(self):
        broken = set()
        for path in ALL_FILES:
            for function in functions(path.read_text(encoding="utf-8")):
                if function.lines > FUNCTION_LINES or function.branches > BRANCHES:
                    broken.add(f"{name_of(path)}: {function.name}")
        assert_kept("large functions", broken)


class TestReadingList:
    def test_is_closed(self):
        """A page imports pages and named ground files alone, so that everything it speaks of can be read.

        What a method imports when it is called, to draw for example, is not part of the story.
        """
        pages = reading_list()
        assert len(pages) > 10
        known = set(pages) | {PACKAGE / name for name in GROUND}
        broken = {
            f"{name_of(page)} imports {name_of(file)}"
            for page in pages
            for file in imported_files(i for i in imports_of(page) if not i.for_types and not i.in_function) - known
        }
        assert broken == set()


def reading_list() -> list[Path]:
    """The pages that the README lists; of a folder, all its files."""
    text = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Read the source")[2].partition("\n## ")[0]
    pages: list[Path] = []
    for target in re.findall(r"\]\((mlp/[^)#]+)\)", section):
        page = PACKAGE.parent / target
        pages += sorted(page.parent.glob("*.py")) if page.name == "__init__.py" else [page]
    return pages


# Names that programs, notebooks and lecture notes have: at the top of mlp, and modules that have moved since.
PUBLIC = {
    "Array", "Callback", "Dataset", "EarlyStopping", "History", "InputError", "Layer", "Network", "Parameter",
    "Progress", "Solver",
    "evaluate", "load", "load_mnist", "save", "data", "gradcheck", "initializers", "layers", "losses", "metrics",
    "network", "optim", "solver",
    "BinaryCrossEntropyLoss", "CrammerSingerLoss", "CrossEntropyLoss", "HingeLoss", "HuberLoss", "MAELoss",
    "MSELoss", "NLLLoss",
    "SGD", "AdaGrad", "Adam", "AdamW", "RMSProp",
    "ELU", "GeLU", "Identity", "LeakyReLU", "LogSoftmax", "ReLU", "ReLU6", "Sigmoid", "SiLU", "Softmax",
    "Softplus", "Tanh",
    "BatchNorm", "Dropout", "Embedding", "GatedMlp", "LayerNorm", "Linear", "Mlp", "RMSNorm", "Residual",
    "Sequential",
}  # fmt: skip
MOVED = {
    "adversarial", "calibration", "callbacks", "checkpoint", "config", "ensemble", "errors", "evaluation",
    "experiments", "history",
    "inspection", "memory", "precision", "quantization", "rate_search", "regularizers", "report", "sanity",
    "step", "summary", "tracking",
}  # fmt: skip


class TestPublicNames:
    def test_rooms_and_their_contents(self):
        for name in ("layers", "losses", "network", "optim", "solver", "data", "metrics", "gradcheck"):
            assert getattr(mlp, name) is sys.modules[f"mlp.{name}"]
        assert mlp.layers.Linear is mlp.Linear
        assert mlp.losses.CrossEntropyLoss is mlp.CrossEntropyLoss
        assert mlp.network.Network is mlp.Network
        assert mlp.solver.Solver is mlp.Solver
        assert mlp.optim.SGD is mlp.SGD

    def test_all_of_them(self):
        assert PUBLIC - set(mlp.__all__) == set()
        assert [name for name in mlp.__all__ if not hasattr(mlp, name)] == []

    @pytest.mark.parametrize("name", mlp.AT_USE)
    def test_rooms_that_are_loaded_at_use(self, name):
        assert name in dir(mlp)
        assert getattr(mlp, name) is sys.modules[f"mlp.{name}"]

    def test_parts_that_have_moved(self):
        assert mlp.MOVED.keys() >= MOVED
        program = ["import mlp, sys"]
        for old, new in mlp.MOVED.items():
            program += [f"import mlp.{old}", f"assert mlp.{old} is sys.modules['mlp.{new}'], {old!r}"]
        program += ["from mlp.calibration import ReliabilityBins", "from mlp.errors import InputError"]
        program += ["from mlp import regularizers", "from mlp import Recompute", "from mlp.layers import Recompute"]
        program += ["assert mlp.calibration.__spec__.name == 'mlp.metrics.calibration'"]
        run_python("\n".join(program))

    def test_what_mlp_does_not_have_is_an_ordinary_error(self):
        with pytest.raises(AttributeError, match="module 'mlp' has no attribute 'nonsense'"):
            mlp.nonsense  # noqa: B018
        with pytest.raises(ImportError, match="nonsense"):
            run_import("mlp.nonsense")


def run_import(name: str) -> None:
    __import__(name)


def run_python(program: str) -> str:
    """What a program prints that a new Python runs."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestWhatIsLoaded:
    def test_importing_mlp_loads_numpy_and_the_standard_library_alone(self):
        program = """
import sys
import numpy, numpy.random
before = set(sys.modules)
import mlp
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""
        loaded = set(run_python(program).split())
        assert "mlp" in loaded
        assert loaded - sys.stdlib_module_names - {"mlp", "numpy"} == set()

    def test_a_run_of_one_process_loads_nothing_of_parallel_training(self, quick, tmp_path):
        program = f"""
import sys
sys.path.insert(0, "scripts")
from run_mlp import main
main({[*quick, "--epochs=1", f"--output={tmp_path / 'run'}"]})
print("loaded", *sorted(name for name in sys.modules if name.startswith("mlp.parallel")))
"""
        loaded = run_python(program).splitlines()[-1].split()[1:]
        assert loaded == []


class TestOneMiniBatch:
    """A reader can follow a mini-batch of the default run: batch, forward, loss, backward, update."""

    def test_makes_few_calls_through_few_files(self, quick, tmp_path):
        per_batch = calls_of_a_mini_batch(quick, tmp_path)
        listed = "\n".join(f"{number:4.1f} {file} {name}" for (file, name), number in sorted(per_batch.items()))
        assert sum(per_batch.values()) <= CALLS, listed
        assert len({file for file, _ in per_batch}) <= FILES_OF_CALLS, listed


def calls_of_a_mini_batch(quick: list[str], folder: Path) -> dict[tuple[str, str], float]:
    """How often each function of mlp is called for one more batch of an epoch of the default settings."""
    from dataclasses import replace

    from mlp.run.config import RunConfig
    from mlp.run.options import parse_arguments
    from mlp.run.run import run

    def count(batches: int) -> Counter[tuple[str, str]]:
        counted: Counter[tuple[str, str]] = Counter()
        inside = f"{PACKAGE}{os.sep}"

        def see(frame, event, argument):
            if event == "call" and frame.f_code.co_filename.startswith(inside):
                counted[frame.f_code.co_filename.removeprefix(inside), frame.f_code.co_qualname] += 1

        data, _ = parse_arguments(quick, "program", "")
        config = replace(
            RunConfig(), data=data.data, tracking="none", epochs=1, batch_size=20, train_samples=20 * batches,
            test_samples=20, output=str(folder / f"{batches}"),
        )  # fmt: skip
        sys.setprofile(see)
        try:
            run(config)
        finally:
            sys.setprofile(None)
        return counted

    # Evaluation after the epoch takes one batch of all of them in both.
    few, many = count(2), count(10)
    return {call: (many[call] - few[call]) / 8 for call in many if many[call] > few[call]}


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


class TestWhatNobodyDoes:
    def test_randomness_is_an_argument(self):
        drawn = {name_of(path): list(hidden_randomness(parse(path))) for path in ALL_FILES}
        assert {path: names for path, names in drawn.items() if names} == {}

    def test_nothing_is_pickled(self):
        for path in ALL_FILES:
            packages = {i.module.partition(".")[0] for i in imports_of(path)}
            assert packages & FORBIDDEN == set(), name_of(path)
            for node in ast.walk(parse(path)):
                if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                    assert isinstance(node.value, ast.Constant), name_of(path)
                    assert node.value.value is False, name_of(path)

    def test_nothing_public_is_without_a_docstring(self):
        """Of a file, the first line says why it exists."""
        missing = set()
        for path in FILES:
            definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            public = [n for n in parse(path).body if isinstance(n, definitions) and not n.name.startswith("_")]
            missing |= {f"{name_of(path)}: {n.name}" for n in public if not ast.get_docstring(n)}
            missing |= set() if ast.get_docstring(parse(path)) else {name_of(path)}
        assert missing == set()


class TestTheTestsThemselves:
    """The readers above see what they are there to see."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("import numpy as np", [("numpy", (), False, False)]),
            ("from mlp import layers", [("mlp.layers", (), False, False)]),
            ("from mlp.layers.base import Layer", [("mlp.layers.base", ("Layer",), False, False)]),
            ("def f():\n  import wandb", [("wandb", (), True, False)]),
            ("async def f():\n  import wandb", [("wandb", (), True, False)]),
            ("class A:\n  import wandb", [("wandb", (), False, False)]),
            ("try:\n  import wandb\nexcept ImportError:\n  wandb = None", [("wandb", (), False, False)]),
            ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", [("a", (), False, True), ("b", (), False, False)]),
        ],
    )
    def test_imports_are_found(self, source, expected):
        assert [tuple(i) for i in find_imports(ast.parse(source))] == expected

    @pytest.mark.parametrize("source", ["from . import x", "from .base import x", "from .. import x"])
    def test_relative_imports_are_refused(self, source):
        with pytest.raises(AssertionError, match="relative imports"):
            list(find_imports(ast.parse(source)))

    @pytest.mark.parametrize(
        ("source", "files"),
        [
            ("from mlp.layers import Linear", {"layers/__init__.py"}),
            ("from mlp.layers import base", {"layers/base.py"}),
            ("from mlp.layers import Linear, base", {"layers/__init__.py", "layers/base.py"}),
            ("import mlp.layers.linear", {"layers/linear.py"}),
            ("from mlp import network", {"network.py"}),
            ("import numpy", set()),
        ],
    )
    def test_files_are_found(self, source, files):
        assert {name_of(file) for file in imported_files(find_imports(ast.parse(source)))} == files

    def test_circles_are_found(self):
        graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": {"e"}, "e": set(), "self": {"self"}}
        assert in_circles(graph) == {"b", "c", "self"}

    @pytest.mark.parametrize(
        ("body", "lines", "branches"),
        [
            ('"""Text.\n\n  More."""\n  # why\n\n  return 1', 2, 1),
            ("x = (1,\n    2)\n  return x  # why", 4, 1),
            ("if a and b or c:\n    pass\n  elif d:\n    pass\n  else:\n    pass", 7, 5),
            ("for a in b:\n    while c:\n      d = 1 if e else 2", 4, 4),
            ("return [a for b in c for a in b if a if b]", 2, 5),
            ("try:\n    a\n  except B:\n    c\n  except D:\n    e", 7, 3),
            ("match a:\n    case 1:\n      b\n    case _:\n      c", 6, 3),
            ("def g():\n    return a or b\n  return g", 4, 2),
        ],
    )
    def test_functions_are_measured(self, body, lines, branches):
        first, *_ = functions(f"class A:\n def f():\n  {body}\n")
        assert first == ("f", lines, branches)

    def test_an_exception_that_is_not_needed_fails(self, monkeypatch):
        monkeypatch.setitem(EXCEPTIONS, "rule", {"a"})
        assert_kept("rule", ["a"])
        with pytest.raises(AssertionError):
            assert_kept("rule", ["a", "b"])

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
