#!/usr/bin/env python3
"""Attack runs with real processes, and count what is lost: nothing should be.

python scripts/attack_runs.py                          a quarter of an hour on a quiet machine
python scripts/attack_runs.py --only starts,bits       some kinds alone
"""

from __future__ import annotations

import argparse
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "disabled"

import numpy as np

from mlp.checks import InputError
from mlp.solver.checkpoint import load_arrays, save_arrays

SCRIPT = Path(__file__).resolve().parent / "run_mlp.py"
PATIENCE = 300  # seconds after which a process is taken to hang
# What a run can have on it that a resumed one must not forget.
STATEFUL = {
    "plain": [],
    "Adam": ["--optimizer=Adam", "--learning_rate=0.003", "--schedule=cosine"],
    "layers": ["--normalization=BatchNorm", "--dropout=0.2", "--weight_average=0.9"],
    "validation": ["--validation=0.2", "--early_stopping=50", "--plateau_patience=2"],
    "transforms": ["--rotation=5", "--noise=0.1", "--mixup=0.2", "--clip_norm=1"],
    "half": ["--mixed_precision=true", "--inspect=true"],
}


def main(arguments: list[str]) -> int:
    """Make the attacks that are asked for; returns 0 if nothing was lost, else 1."""
    parser = argparse.ArgumentParser(description="Attack runs with real processes, and count what is lost.")
    parser.add_argument("--kills", type=int, default=40, help="runs killed at random moments, then resumed")
    parser.add_argument("--interrupts", type=int, default=12, help="runs that get Ctrl-C or SIGTERM, then resumed")
    parser.add_argument("--starts", type=int, default=20, help="pairs of runs started in one folder at once")
    parser.add_argument("--bits", type=int, default=1, help="flip every so many-th bit of a checkpoint")
    parser.add_argument("--changes", type=int, default=5000, help="checkpoints changed in several places")
    parser.add_argument("--seed", type=int, default=2022, help="of all that is random")
    parser.add_argument(
        "--only", help="kinds to make, with commas between: kills, interrupts, starts, bits, changes"
    )
    asked = parser.parse_args(arguments)
    attacks: dict[str, Callable[[Path, np.random.Generator, int], Counter[str]]] = {
        "bits": flip_bits, "changes": change_bytes, "starts": start_twice,
        "interrupts": partial(strike, numbers=[signal.SIGINT, signal.SIGTERM]),
        "kills": partial(strike, numbers=[signal.SIGKILL]),
    }  # fmt: skip
    lost = 0
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        make_data(Path(folder) / "data")
        for name in asked.only.split(",") if asked.only else attacks:
            begin = time.monotonic()
            found = attacks[name](Path(folder), np.random.default_rng(asked.seed), getattr(asked, name))
            lost += sum(count for what, count in found.items() if what.isupper())
            counts = ", ".join(f"{count} {what}" for what, count in sorted(found.items()))
            print(f"{name:12}{counts} ({time.monotonic() - begin:.0f} s)", flush=True)
    print("nothing was lost" if lost == 0 else f"{lost} LOST")
    return int(lost > 0)


def make_data(folder: Path) -> None:
    """Four small IDX files of noisy squares in three classes."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for part, count in (("train", 300), ("t10k", 60)):
        labels = (np.arange(count) % 3).astype(np.uint8)
        images = rng.integers(0, 120, (count, 8, 8), np.uint8) + 60 * labels[:, None, None]
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())


def start(place: Path, folder: Path, *options: str, resume: bool = False) -> subprocess.Popen[str]:
    """A run of a few seconds, in a process of its own."""
    common = [
        f"--data={place / 'data'}", "--hidden=[16]", "--init=auto", "--epochs=40", "--batch_size=20",
        "--log_every=4", "--checkpoint_seconds=0.05", "--tracking=none",
    ]  # fmt: skip
    where = f"--resume={folder}" if resume else f"--output={folder}"
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *common, *options, where], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> tuple[int | str, str]:
    """(exit status or "hangs", what it said on standard error) of a process."""
    try:
        said = process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return "hangs", process.communicate()[1]
    return process.returncode, said


def traces(folder: Path) -> tuple[bytes, bytes, object]:
    """All that has to be equal to the last bit in two runs of the same settings."""
    arrays, metadata = load_arrays(folder / "checkpoint.npz")
    bits = {name: array.tobytes() for name, array in arrays.items()}
    return (folder / "metrics.jsonl").read_bytes(), (folder / "final.json").read_bytes(), (bits, metadata["solver"])


def compare(folder: Path, straight: Path) -> str:
    """ "identical", or in capitals what is wrong."""
    try:
        return "identical" if traces(folder) == traces(straight) else "DIFFERENT"
    except (InputError, OSError) as error:
        return f"BROKEN: {error}".upper()


def straight_runs(place: Path) -> dict[str, Path]:
    """For each kind of settings a run that nothing stopped."""
    found = {}
    for name, options in STATEFUL.items():
        found[name] = place / f"straight-{name}"
        if not found[name].exists():
            status, said = end(start(place, found[name], *options))
            if status != 0:
                raise SystemExit(f"a run that nothing attacked ended with {status}: {said}")
    return found


def strike(place: Path, rng: np.random.Generator, count: int, numbers: list[int]) -> Counter[str]:
    """Runs that get a signal at random moments, some in turn, and are resumed each time; then compared."""
    straight, found = straight_runs(place), Counter[str]()
    for i in range(count):
        name = list(STATEFUL)[i % len(STATEFUL)]
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place)) / "run"
        for _ in range(rng.integers(1, 4)):
            process = start(place, folder, *STATEFUL[name], resume=(folder / "config.yaml").exists())
            number = int(rng.choice(numbers))
            wait_for(process, folder / "metrics.jsonl", rng)
            process.send_signal(number)
            status, said = end(process)
            found["signals"] += 1
            if number != signal.SIGKILL and (status not in (0, 130, -number) or "Traceback" in said):
                found[f"STATUS {status}".upper()] += 1
        status, said = end(start(place, folder, *STATEFUL[name], resume=(folder / "config.yaml").exists()))
        found[compare(folder, straight[name]) if status == 0 else f"REFUSED: {said.strip()}".upper()] += 1
        if left := list(folder.glob(".*.tmp")):
            found["TEMPORARY FILES"] += len(left)
    return found


def wait_for(process: subprocess.Popen[str], record: Path, rng: np.random.Generator) -> None:
    """Until a random moment: before the first record, or so many bytes after it."""
    if rng.random() < 0.2:
        time.sleep(rng.random() * 2)
        return
    begin = record.stat().st_size if record.exists() else 0
    wanted, deadline = begin + int(rng.integers(30_000)), time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if record.exists() and record.stat().st_size > wanted:
            return
        time.sleep(0.001)


def start_twice(place: Path, rng: np.random.Generator, count: int) -> Counter[str]:
    """Two runs in one folder: both new, both resuming, or one that resumes the other while it is on."""
    straight, found = straight_runs(place)["plain"], Counter[str]()
    for i in range(count):
        folder = Path(tempfile.mkdtemp(prefix="twice-", dir=place)) / "run"
        if i % 3 == 1:  # something to resume
            first = start(place, folder)
            wait_for(first, folder / "metrics.jsonl", rng)
            first.kill()
            end(first)
        resume = (folder / "config.yaml").exists()
        first = start(place, folder, resume=resume)
        if i % 3 == 2:
            wait_for(first, folder / "metrics.jsonl", rng)
        second = start(place, folder, resume=resume or (folder / "config.yaml").exists())
        ends = [end(first), end(second)]
        # The second may also have come when the first was done.
        for status, said in ends:
            if status == 2 and said.count("\n") == 1:
                found["refused in one line"] += 1
            elif status != 0:
                found[f"STATUS {status}: {said}".upper()] += 1
        found[compare(folder, straight)] += 1
    return found


def a_checkpoint(place: Path) -> tuple[bytes, object]:
    """(content, what it holds) of a small checkpoint with every kind of part."""
    path = place / "small.npz"
    arrays = {"network/0.weight": np.float32([[1, 2], [3, 4]]), "EarlyStopping0/value": np.array(0.25)}
    save_arrays(path, arrays, {"format": "mlp run 1", "solver": {"step": 3, "history": [{"train_loss": 2.25}]}})
    return path.read_bytes(), held(path)


def held(path: Path) -> object:
    """What a checkpoint holds, to compare."""
    arrays, metadata = load_arrays(path)
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}, metadata


def judge(path: Path, content: bytes, good: object) -> str:
    """What becomes of a changed checkpoint when it is read."""
    path.write_bytes(content)
    try:
        return "harmless" if held(path) == good else "SILENTLY WRONG"
    except InputError as error:
        return "refused" if "\n" not in str(error) else "REFUSED IN MANY LINES"
    except Exception as error:
        return f"TRACEBACK {type(error).__name__}".upper()


def flip_bits(place: Path, rng: np.random.Generator, step: int) -> Counter[str]:
    """Every ``step``-th bit of a small checkpoint, each flipped alone."""
    content, good = a_checkpoint(place)
    found = Counter[str]()
    for bit in range(0, 8 * len(content), step):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        found[judge(place / "flipped.npz", bytes(damaged), good)] += 1
    return found


def change_bytes(place: Path, rng: np.random.Generator, count: int) -> Counter[str]:
    """Several bytes at random set, inserted or removed, half of them in the directory at the end."""
    content, good = a_checkpoint(place)
    found = Counter[str]()
    for _ in range(count):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 6)):
            at = int(rng.integers(len(damaged) // 2 if rng.random() < 0.5 else 0, len(damaged)))
            new = rng.bytes(int(rng.integers(0, 5))) if rng.random() < 0.8 else b"\xff" * 8
            damaged[at : at + int(rng.choice([0, len(new), 1]))] = new
        found[judge(place / "changed.npz", bytes(damaged), good)] += 1
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
