"""Broken settings, made at random and by hand: each must be taken, or refused in one line that is soon there.

python tests/run/fuzzing.py 500 300        so many YAML files and so many command lines
"""

import contextlib
import io
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mlp import InputError
from mlp.run.config import SETTINGS, read_config

PROJECT = Path(__file__).resolve().parents[2]
RECIPES = [path.read_bytes() for path in sorted((PROJECT / "configs").rglob("*.yaml"))]
SCALARS = [
    "9" * 5000, "-" + "9" * 5000, "0x" + "f" * 5000, "1e308", "-1e308", "1e400", "1e-400", ".nan", ".inf",
    "-.inf", "~", "null", "None", "", "''", "true", "no", "010", "0o17", "1:30", "2001-02-30",
    "2001-02-03 25:61:61", "[]", "{}", "[[[]]]", "[1, [2]]", "{a: b}", "[1, null]", "[.nan]", "-", "--", "=",
    "<<", "!!int x", "!!float x", "!!timestamp x", "!!binary x", "!!set {a}", "!!omap [a]",
    "!!python/name:os.system", "!<tag:x> 1", "&a 1", "*a", "&a [*a]", "'", '"', '"\\ud800"', '"\\0"', "\\", "%",
    "@", "`", "|", ">", "? a", "a: b: c", "#", "\u0661", "\u2028", "a" * 300, "/" + "a" * 5000, "~nobody/x",
    "~", "../..", "\x7f", "\u00e9", "1_000", "1" + "0" * 400, "+5",
]  # fmt: skip
DEEP = "[" * 3000 + "]" * 3000
ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
ATTACKS = [
    ALIASES, MERGES, f"hidden: {DEEP}", "{a: " * 2000 + "}" * 2000, "- " * 3000, "epochs: " + "9" * 5000,
    "? " * 3000, "a: [" + "1, " * 90_000, "\n".join(f"k{i}: {i}" for i in range(9000)), "\x00", "\ufeff",
    "%YAML 9.9", "--- 1\n--- 2\n", "%TAG ! x\n", "a: !<\n", "&a : *a", "? {a: 1}\n: 2", "? [1]\n: 2",
    "1: 2\n1.0: 3", "null: 1", "hidden: &h [1]\nepochs: *h",
    *(f"{name}: {value}" for name in ("seed", "output") for value in SCALARS),
]  # fmt: skip


def mutated_files(rng: random.Random) -> Iterator[bytes]:
    """Recipes with bytes changed, lines moved and values replaced."""
    while True:
        data = bytearray(rng.choice(RECIPES))
        for _ in range(rng.randint(1, 4)):
            lines = data.split(b"\n")
            at = rng.randrange(len(lines))
            match rng.randrange(5):
                case 0:
                    data[rng.randrange(len(data))] = rng.randrange(256)
                case 1:
                    name = rng.choice([*SETTINGS]).encode()
                    data += b"\n" + name + b": " + rng.choice(SCALARS).encode() + b"\n"
                case 2:
                    lines[at] = lines[at].partition(b":")[0] + b": " + rng.choice(SCALARS).encode()
                    data = bytearray(b"\n".join(lines))
                case 3:
                    lines.insert(at, rng.choice(lines))
                    data = bytearray(b"\n".join(lines))
                case 4:
                    del data[rng.randrange(len(data)) :]
            data = data or bytearray(b"a")
        yield bytes(data)


def mutated_options(rng: random.Random) -> Iterator[list[str]]:
    """Options with odd values, names and order. None names an existing path, so nothing is written there."""
    names = [name for name in SETTINGS if name not in ("output", "data", "tracking", "epochs")]
    values = [v for v in SCALARS if "\0" not in v]
    while True:
        options = []
        for _ in range(rng.randint(1, 3)):
            name, value = rng.choice(names), rng.choice(values)
            known = SETTINGS[name]
            if rng.random() < 0.4:
                value = str(rng.choice([known.default, 0, 1, 2, 0.5, -1, 1e308, 1e-308]))
            match rng.randrange(6):
                case 0:
                    options += [f"--{name}", value]
                case 1:
                    options += [f"--{name[:-1]}={value}"]
                case 2:
                    options += [rng.choice([f"-{name}", name, f"--{name}", "--", "-", "---", "--=", f"--{name}="])]
                case _:
                    options += [f"--{name}={value}"]
        yield [option for option in options if option not in ("-h", "--help")]


def try_file(path: Path, data: bytes) -> str | None:
    """What is wrong with how a file is answered, or None."""
    path.write_bytes(data)
    try:
        read_config(path)
    except InputError as error:
        return None if "\n" not in str(error) and len(str(error)) < 10_000 else f"no line: {str(error)[:100]}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:100]}"
    return None


def try_options(options: list[str], quick: list[str], folder: Path) -> str | None:
    """The same of a command line of the training script, in this process."""
    from run_mlp import main

    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([*quick, f"--output={folder}", *options])
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    said = err.getvalue()
    if status == 2 and (said.count("\n") != 1 or not said.startswith("run_mlp.py: ")):
        return f"not one line: {said[:200]!r}"
    return None if status in (0, 1, 2) else f"exit status {status}"


def main(files: int, lines: int) -> None:
    sys.path[:0] = [str(PROJECT / "scripts"), str(PROJECT / "tests")]
    rng, slowest, faults = random.Random(0), 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [text.encode(errors="surrogatepass") for text in ATTACKS]
        makers = mutated_files(rng), mutated_options(rng)
        quick = ["--train_samples=60", "--test_samples=20", "--hidden=5", "--epochs=1", "--batch_size=20"]
        quick += ["--tracking=none"]
        trials = [
            (try_file, (folder / "a.yaml", data)) for data in [*cases, *(next(makers[0]) for _ in range(files))]
        ]
        options = [next(makers[1]) for _ in range(lines)]
        options += [[f"--{n}={v}"] for n, s in SETTINGS.items() if s.kind == "NUMBER" for v in ("1e308", "5e-324")]
        trials += [(try_options, (o, quick, folder / f"run{i}")) for i, o in enumerate(options)]
        for i, (function, arguments) in enumerate(trials):
            start = time.process_time()
            fault = function(*arguments)
            seconds = time.process_time() - start
            slowest = max(slowest, seconds)
            if fault or seconds > 10:
                faults += 1
                print(f"{i}: {arguments[1 if function is try_file else 0]!r:.300}: {fault} after {seconds:.1f} s")
    print(f"{len(trials)} trials, {faults} faults, slowest {slowest:.1f} s")
    sys.exit(math.ceil(faults > 0))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
