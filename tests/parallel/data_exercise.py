"""Training of one network by ranks that share its batches, on threads and on MPI alike; and by nobody but itself.

python data_exercise.py FOLDER      as one of several MPI processes: leaves rank0.npz, rank1.npz, ...
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlp import SGD, Adam, CrossEntropyLoss, Linear, Network, Tanh
from mlp.initializers import normal
from mlp.layers import LayerNorm, Recompute, Residual
from mlp.parallel import Communicator, MPICommunicator, slices
from mlp.parallel.data.replicas import slice_batch
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.sharded.training import ShardedDataParallel

BATCH, FEATURES, CLASSES, STEPS = 11, 5, 4, 20
OPTIMIZERS = {
    "SGD": lambda parameters: SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda parameters: Adam(parameters, lr=0.01, weight_decay=0.01),
}


class Case(NamedTuple):
    """``stage`` 0 is data parallel, None data parallel in buckets."""

    stage: int | None
    optimizer: str = "SGD"
    parts: int = 1
    uneven: bool = False
    weighted: bool = False

    def parallel(self, network: Network, communicator: Communicator) -> DataParallel:
        if self.stage is None:
            return DataParallel(network, communicator, bucket_bytes=300)
        if self.stage == 0:
            return DataParallel(network, communicator)
        return ShardedDataParallel(network, communicator, self.stage)

    def sizes(self, ranks: int) -> list[int] | None:
        """The last rank has nothing at all."""
        return None if not self.uneven else {1: [11], 2: [11, 0], 3: [3, 8, 0], 4: [1, 7, 3, 0]}[ranks]

    def __str__(self) -> str:
        name = {None: "buckets", 0: "data parallel"}.get(self.stage, f"stage {self.stage}")
        options = (
            [f"{self.parts} parts"] * (self.parts > 1) + ["uneven"] * self.uneven + ["weighted"] * self.weighted
        )
        return ", ".join([name, self.optimizer, *options])


CASES = [
    Case(stage, *options)
    for stage in (0, None, 1, 2, 3)
    for options in (("SGD", 1, False, False), ("Adam", 1, True, True), ("SGD", 3, True, False), ("Adam", 3))
]


# One of each kind, and one whose microbatches speak to each other.
CASES_OF_PROCESSES = [c for c in CASES if c.weighted or (c.stage == 3 and c.parts > 1 and c.uneven)]


def same_results(actual: dict, expected: dict, tolerance: float = 1e-12) -> None:
    """Assert that every array is within ``tolerance`` of its largest entry."""
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        scale = np.abs(array).max(initial=0)
        np.testing.assert_allclose(actual[name], array, rtol=0, atol=tolerance * scale, err_msg=name, strict=True)


def build() -> Network:
    """A layer in two places, one in a shortcut, one that computes twice, and a normalisation."""
    options = {"weight_init": normal(0.4), "bias_init": normal(0.4), "dtype": np.float64}
    twice = Linear(6, 6, **options)
    return Network(
        Tanh(), Linear(FEATURES, 6, **options), Tanh(), twice, LayerNorm(6, dtype=np.float64), twice,
        Residual(Linear(6, 6, **options), Tanh()), Recompute(Linear(6, 7, **options), Tanh()),
        Linear(7, CLASSES, bias=False, weight_init=normal(0.4), dtype=np.float64), rng=7,
    )  # fmt: skip


def batches(weighted: bool) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    rng = np.random.default_rng(1)
    draw = [(rng.normal(size=(BATCH, FEATURES)), rng.integers(CLASSES, size=BATCH)) for _ in range(STEPS)]
    weights = rng.uniform(0, 3, size=(STEPS, BATCH))
    return [(x, y, w if weighted else None) for (x, y), w in zip(draw, weights, strict=True)]


def serial(case: Case) -> dict[str, np.ndarray]:
    """What the network does alone, in whole batches."""
    network, loss = build(), CrossEntropyLoss()
    optimizer = OPTIMIZERS[case.optimizer](network.parameters)
    results = {}
    for i, (x, y, w) in enumerate(batches(case.weighted)):
        value, _ = network.training_step(x, y, loss, sample_weight=w)
        results[f"loss {i}"] = np.array(value)
        if i in (0, STEPS - 1):
            results |= {f"gradient {i} of {p.name}": p.grad.copy() for p in network.parameters}
        optimizer.step()
    return results | state(network.state_dict(), optimizer.state_dict(), network.scores(x))


def exercise(case: Case, communicator: Communicator) -> dict[str, np.ndarray]:
    """The same, on this rank's part."""
    network, loss = build(), CrossEntropyLoss()
    if communicator.rank:
        network.parameters.data[...] = 0  # rank 0 has what counts
    parallel = case.parallel(network, communicator)
    optimizer = OPTIMIZERS[case.optimizer](network.parameters)
    mine = slices(case.sizes(communicator.size))[communicator.rank] if case.uneven else None
    results = {}
    for i, (x, y, w) in enumerate(batches(case.weighted)):
        rows = slice_batch(np.arange(BATCH), communicator) if mine is None else mine
        outcome = parallel.training_step(
            x[rows], y[rows], loss, sample_weight=None if w is None else w[rows], parts=case.parts
        )
        results[f"loss {i}"] = np.array(outcome.loss)
        if i in (0, STEPS - 1):
            whole = whole_gradient(parallel)
            results |= {f"gradient {i} of {name}": g for name, g in whole.items()}
        optimizer.step()
        parallel.publish()
    scores = network.scores(x)
    return results | state(parallel.state_dict(), parallel.optimizer_state(optimizer), scores)


def whole_gradient(parallel: DataParallel) -> dict[str, np.ndarray]:
    """By name, in the shape of the parameter."""
    g, shapes = parallel.network.parameters.grad, {p.name: p.shape for p in build().parameters}
    whole = parallel.gather_vector(g)
    pieces = np.split(whole, np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1])
    return {n: piece.reshape(shape).copy() for (n, shape), piece in zip(shapes.items(), pieces, strict=True)}


def state(network: dict, optimizer: dict, scores: np.ndarray) -> dict[str, np.ndarray]:
    return (
        {f"network/{name}": a for name, a in network.items()}
        | {f"optimizer/{name}": a for name, a in optimizer.items()}
        | {"scores": scores}
    )


if __name__ == "__main__":
    world = MPICommunicator.world()
    results = {f"{case}: {name}": a for case in CASES_OF_PROCESSES for name, a in exercise(case, world).items()}
    np.savez(Path(sys.argv[1]) / f"rank{world.rank}.npz", **results)
