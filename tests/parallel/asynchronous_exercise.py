"""Training with a parameter server, on threads and on MPI alike.

python asynchronous_exercise.py FOLDER      as one of several MPI processes: leaves rank0.npz, rank1.npz, ...
"""

import sys
from pathlib import Path

import numpy as np

from mlp import SGD, CrossEntropyLoss, Linear, Network, Tanh
from mlp.parallel import Communicator, MPICommunicator
from mlp.parallel.data.asynchronous import train_asynchronously

UPDATES = 20
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(UPDATES, 8, 5)), rng.integers(0, 3, (UPDATES, 8))


def build() -> Network:
    return Network(Linear(5, 6), Tanh(), Linear(6, 3), rng=1, init="auto", dtype=np.float64)


def make_optimizer(network: Network) -> SGD:
    return SGD(network.parameters, lr=0.2, momentum=0.5)


def exercise(communicator: Communicator, schedule: list[int] | None = None) -> dict[str, np.ndarray]:
    network = build()
    if communicator.rank:
        network.parameters.data[...] = 0  # workers compute with what the server sends
    updates = train_asynchronously(
        network, CrossEntropyLoss(), make_optimizer(network), communicator, lambda i: (X[i], Y[i]), UPDATES,
        schedule=schedule,
    )  # fmt: skip
    return updates._asdict() | {"weights": network.parameters.data.copy()}


if __name__ == "__main__":
    world = MPICommunicator.world()
    results = {f"scheduled {name}": a for name, a in exercise(world, [1, 2, 2]).items()}
    results |= {f"free {name}": a for name, a in exercise(world).items()}
    np.savez(Path(sys.argv[1]) / f"rank{world.rank}.npz", **results)
