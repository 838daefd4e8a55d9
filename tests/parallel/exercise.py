"""Every call of a communicator, made alike by threads and by MPI processes, whose results are then compared.

python exercise.py FOLDER      as one of several MPI processes: leaves rank0.npz, rank1.npz, ...
"""

import sys
from pathlib import Path

import numpy as np

from mlp.parallel import (
    CopyToRegion,
    GatherFromRegion,
    GatherFromSequence,
    ReduceFromRegion,
    ReduceScatterToSequence,
    ScatterToRegion,
    slice_sizes,
)

DTYPES = ["float16", "float32", "float64", "int64", "uint8"]
# Sent whole, in slices, in slices of different length, in some slices of length 0; nothing at all.
SHAPES = [(3, 4), (5000, 3), (20_001,), (2,), (), (0, 3)]


def draw(rank: int, shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """An array that every rank can draw for every other: sums of it depend on their order."""
    rng = np.random.default_rng([seed, rank, *shape])
    values = rng.normal(size=shape) * 10.0 ** rng.integers(-2, 3, size=shape)
    return np.asarray(np.abs(values) if dtype == "uint8" else values).astype(dtype)


def exercise(communicator) -> dict[str, np.ndarray]:
    """Results by name, and counts by name."""
    rank, size = communicator.rank, communicator.size
    results = {}
    for dtype in DTYPES:
        for shape in SHAPES:
            x = draw(rank, shape, dtype)
            name = f"{dtype} {shape}"
            results[f"sum {name}"] = communicator.all_reduce(x)
            results[f"max {name}"] = communicator.all_reduce(x, "max")
            in_place = x.copy()
            communicator.all_reduce(in_place, out=in_place)
            results[f"sum in place {name}"] = in_place
            results[f"broadcast {name}"] = communicator.broadcast(x.copy(), root=size - 1)
            if shape:
                results[f"scatter {name}"] = communicator.reduce_scatter(x)
                rows = draw(rank, (rank + len(x) % 3, *shape[1:]), dtype)
                results[f"gather {name}"] = communicator.all_gather(rows)
    results |= overlapping(communicator) | messages(communicator) | groups(communicator) | layers(communicator)
    communicator.barrier()
    for name, count in communicator.counts.items():
        results[f"count {name}"] = np.array([count.calls, count.payload_bytes, count.wire_bytes])
    return results


def overlapping(communicator) -> dict[str, np.ndarray]:
    """Several all-reduces under way, waited for in an order of each rank's own, and another call between."""
    arrays = [draw(communicator.rank, (n,), "float32", seed=1) for n in (10, 50_000, 7, 30_000)]
    handles = [communicator.start_all_reduce(x) for x in arrays]
    between = communicator.all_reduce(arrays[0], "max")
    order = np.roll(np.arange(4), communicator.rank)
    sums = {int(i): handles[i].wait() for i in order}
    return {"between": between} | {f"bucket {i}": sums[i] for i in range(4)}


def messages(communicator) -> dict[str, np.ndarray]:
    """To both neighbours in a ring, all sending before anybody receives, with tags received out of order."""
    rank, size = communicator.rank, communicator.size
    left, right = (rank - 1) % size, (rank + 1) % size
    for tag in (0, 7):
        communicator.send(draw(rank, (100, 1000), "float32", seed=tag), right, tag)
        communicator.send(draw(rank, (3,), "float64", seed=tag), left, tag)
    return {
        f"message {tag} from {side}": communicator.receive(np.empty(shape, dtype), source, tag)
        for tag in (7, 0)
        for side, source, shape, dtype in (
            ("left", left, (100, 1000), "float32"),
            ("right", right, (3,), "float64"),
        )
    }


def groups(communicator) -> dict[str, np.ndarray]:
    """Rows and columns of a grid of two columns, and everybody in reverse."""
    rank, size = communicator.rank, communicator.size
    row, column = communicator.split(rank // 2), communicator.split(rank % 2)
    back = communicator.split(0, key=size - 1 - rank)
    x = np.array([float(rank)])
    return {
        "row": row.all_gather(x),
        "column": column.all_gather(x),
        "back": back.all_gather(x),
        "row of column": column.split(0).all_reduce(x),
        "group ranks": np.array([row.rank, row.size, column.rank, column.size, back.rank, back.size]),
        "group bytes": np.array([row.counts["all_gather"].wire_bytes, column.counts["all_gather"].wire_bytes]),
    }


def layers(communicator) -> dict[str, np.ndarray]:
    """Forward and backward of every layer, on tokens and features that do not divide evenly."""
    rank, size = communicator.rank, communicator.size
    mine = slice_sizes(7, size)[rank]
    results = {}
    for layer, shape in [
        (CopyToRegion(communicator), (7, 5)),
        (ReduceFromRegion(communicator), (7, 5)),
        (ScatterToRegion(communicator), (7, 5)),
        (ScatterToRegion(communicator, axis=0), (7, 5)),
        (GatherFromRegion(communicator), (7, rank + 1)),
        (GatherFromRegion(communicator, axis=0), (mine, 5)),
        (GatherFromSequence(communicator), (mine, 5)),
        (ReduceScatterToSequence(communicator), (7, 5)),
    ]:
        y = layer.forward(draw(rank, shape, "float64", seed=3))
        results[f"{layer!r} forward"] = y
        results[f"{layer!r} backward"] = layer.backward(draw(rank, y.shape, "float64", seed=4))
    return results


if __name__ == "__main__":
    from mlp.parallel import MPICommunicator

    world = MPICommunicator.world()
    with np.errstate(over="ignore"):
        results = exercise(world)
    np.savez(Path(sys.argv[1]) / f"rank{world.rank}.npz", **results)
