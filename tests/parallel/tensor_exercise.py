"""What tensor-parallel blocks are put through on every rank, on threads and on MPI alike.

python tensor_exercise.py FOLDER      as one of several MPI processes: leaves rank0.npz, rank1.npz, ...
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlp import SGD, MSELoss, Network
from mlp.initializers import normal
from mlp.layers import GatedMlp, Layer, Mlp
from mlp.parallel import Communicator, MPICommunicator, slice_sizes, slices
from mlp.parallel.tensor.blocks import ParallelGatedMlp, ParallelMlp
from mlp.parallel.tensor.state import gather_state

# 24 hidden units are divisible by 1, 2, 3 and 4 ranks, 7 tokens by none.
TOKENS, FEATURES, HIDDEN, OUT = 7, 5, 24, 6
OPTIONS = {"weight_init": normal(0.5), "bias_init": normal(0.5), "rng": 3, "dtype": np.float64}
STEPS = 20


class Case(NamedTuple):
    gated: bool
    activation: str
    bias1: bool
    bias2: bool

    @property
    def options(self) -> dict:
        return {
            "hidden_features": HIDDEN, "out_features": OUT, "activation": self.activation, "bias1": self.bias1,
            "bias2": self.bias2, **({"multiple_of": 12} if self.gated else {}), **OPTIONS,
        }  # fmt: skip

    def serial(self) -> Layer:
        return (GatedMlp if self.gated else Mlp)(FEATURES, **self.options)

    def parallel(self, communicator: Communicator, sequence_parallel: bool) -> Layer:
        kind = ParallelGatedMlp if self.gated else ParallelMlp
        return kind(FEATURES, communicator=communicator, sequence_parallel=sequence_parallel, **self.options)

    def __str__(self) -> str:
        biases = f"{'bias1' if self.bias1 else 'no bias1'}, {'bias2' if self.bias2 else 'no bias2'}"
        return f"{'gated ' if self.gated else ''}{self.activation}, {biases}"


BIASES = [(b1, b2) for b1 in (True, False) for b2 in (True, False)]
CASES = [
    *(Case(False, "GeLU", *biases) for biases in BIASES),
    *(Case(True, "SiLU", *biases) for biases in BIASES),
    *(Case(True, gate, True, True) for gate in ("Sigmoid", "GeLU", "ReLU", "Identity")),
]


def data(tokens: int = TOKENS) -> tuple[np.ndarray, np.ndarray]:
    """x, and an array that is an upstream gradient and the targets."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(tokens, FEATURES)), rng.normal(size=(tokens, OUT))


def own_rows(communicator: Communicator, tokens: int, sequence_parallel: bool) -> slice:
    return slices(slice_sizes(tokens, communicator.size))[communicator.rank] if sequence_parallel else slice(None)


def exercise(block: Layer, mine: slice) -> dict[str, np.ndarray]:
    """y, dL/dx, every parameter's gradient, and every parameter after some steps of training: this rank's rows of
    the first two, and the whole of the others."""
    x, dy = data()
    network = Network(block)
    results = {"y": block.forward(x[mine]), "grad_x": block.backward(dy[mine])}
    results |= {f"gradient of {name}": g for name, g in gather_gradients(network).items()}
    optimizer, loss = SGD(network.parameters, lr=0.02, momentum=0.9), MSELoss()
    for _ in range(STEPS):
        network.training_step(x[mine], dy[mine], loss, scale=len(x[mine]) / len(x))
        optimizer.step()
    return results | {f"trained {name}": w for name, w in gather_state(network).items()}


def gather_gradients(network: Network) -> dict[str, np.ndarray]:
    """All gradients of the serial network."""
    weights = network.parameters.data.copy()
    network.parameters.data[...] = network.parameters.grad
    gathered = gather_state(network)
    network.parameters.data[...] = weights
    return gathered


def exercise_all(communicator: Communicator) -> dict[str, np.ndarray]:
    """The results of all cases, with sequence parallelism and without."""
    results = {}
    for case in CASES:
        for sequence_parallel in (False, True):
            block = case.parallel(communicator, sequence_parallel)
            found = exercise(block, own_rows(communicator, TOKENS, sequence_parallel))
            results |= {f"{case}, {sequence_parallel}, {name}": array for name, array in found.items()}
    return results


if __name__ == "__main__":
    world = MPICommunicator.world()
    np.savez(Path(sys.argv[1]) / f"rank{world.rank}.npz", **exercise_all(world))
