"""What every pipeline schedule is put through on every rank, on threads and on MPI alike.

python pipeline_exercise.py FOLDER      as one of several MPI processes: leaves rank0.npz, rank1.npz, ...
"""

import sys
from pathlib import Path

import numpy as np

from mlp import SGD, CrossEntropyLoss, Linear, Network
from mlp.layers import GeLU, ReLU, Tanh
from mlp.parallel import Communicator, MPICommunicator
from mlp.parallel.pipeline.instructions import PipelineSchedule
from mlp.parallel.pipeline.schedules import gpipe, interleaved, model_parallel, one_f_one_b
from mlp.parallel.pipeline.training import Pipeline

ROWS, FEATURES, CLASSES = 23, 7, 4  # 23 rows are divisible by no number of microbatches
STEPS = 20
SGD_OPTIONS = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}


def serial_network() -> Network:
    """Eight layers that learn, as many as four stages have parts with two chunks each."""
    layers = [Linear(FEATURES, 9), GeLU(), Linear(9, 8), Tanh(), Linear(8, 11), ReLU(), Linear(11, 9), GeLU()]
    layers += [Linear(9, 9), Linear(9, 6), Tanh(), Linear(6, 8, bias=False), ReLU(), Linear(8, CLASSES)]
    return Network(*layers, rng=1, init="auto", dtype=np.float64)


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, FEATURES)), rng.integers(0, CLASSES, ROWS)


def schedules(stages: int) -> dict[str, PipelineSchedule]:
    """Microbatches that are fewer and more than stages, and more than rows."""
    made = [model_parallel(stages), gpipe(stages, 2), gpipe(stages, 5), one_f_one_b(stages, 3)]
    made += [one_f_one_b(stages, 8), one_f_one_b(stages, ROWS + 2), interleaved(stages, 2 * stages, 2)]
    return {f"{schedule.name} {schedule.microbatches}": schedule for schedule in made}


def exercise(communicator: Communicator) -> dict[str, np.ndarray]:
    """Of each schedule: loss, scores, dL/dx (first stage), this stage's gradients; everything after 20 steps."""
    results = {}
    for name, schedule in schedules(communicator.size).items():
        results |= {f"{name}: {key}": value for key, value in train(communicator, schedule).items()}
    return results


def train(communicator: Communicator, schedule: PipelineSchedule) -> dict[str, np.ndarray]:
    (x, y), loss = data(), CrossEntropyLoss()
    pipeline = Pipeline(serial_network(), communicator, schedule)
    optimizer = SGD(pipeline.parameters, **SGD_OPTIONS)
    value, scores = pipeline.training_step(x, y, loss, input_gradient=True)
    results = {"loss": np.array(value), "scores": scores.copy(), "in flight": np.array(pipeline.most_in_flight)}
    results |= {f"gradient {p.name}": p.grad.copy() for p in pipeline.parameters}
    if pipeline.input_gradient is not None:
        results["input gradient"] = pipeline.input_gradient
    communicator.counts.clear()
    for _ in range(STEPS):
        value, _ = pipeline.training_step(x, y, loss, update=optimizer.step)
    for call in ("send", "receive"):
        count = communicator.counts[call]
        results[call] = np.array([count.calls, count.payload_bytes])
    results |= {f"weight {name}": array for name, array in pipeline.state_dict().items()}
    results |= {f"optimizer {name}": array for name, array in pipeline.optimizer_state(optimizer).items()}
    return results | {"last loss": np.array(value), "scores after": pipeline.scores(x, batch_size=9)}


if __name__ == "__main__":
    world = MPICommunicator.world()
    np.savez(Path(sys.argv[1]) / f"rank{world.rank}.npz", **exercise(world))
