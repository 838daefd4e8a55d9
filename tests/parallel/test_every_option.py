"""One step for all ways to train: each of its options on several ranks, against the serial run, or refused."""

import numpy as np
import pytest
from data_exercise import same_results

from mlp import SGD, CrossEntropyLoss, Dataset, InputError, Linear, Network, Solver, Tanh
from mlp.efficiency.mixed_precision import LossScaler, MixedPrecision
from mlp.optim import WeightAverage, cosine
from mlp.optim.regularizers import ElasticNet, MaxNorm
from mlp.parallel import run_threads
from mlp.parallel.division import Division
from mlp.solver.trainable import Trainable

rng = np.random.default_rng(0)
TRAIN = Dataset(rng.normal(size=(34, 5)), rng.integers(0, 3, 34), name="train")
TEST = Dataset(rng.normal(size=(9, 5)), rng.integers(0, 3, 9), name="test")


def noise(x, targets, rng):
    return x + rng.normal(0, 0.1, x.shape), targets


# What is given to a solver of this model.
OPTIONS = {
    "transform": lambda model: noise,
    "accumulate": lambda model: 2,
    "regularizer": lambda model: ElasticNet(0.02, 0.1, biases=True),
    "clip_value": lambda model: 0.02,
    "clip_norm": lambda model: 0.1,
    "schedule": lambda model: cosine(0.5, steps=12),
    "constraint": lambda model: MaxNorm(0.8),
    "average": lambda model: WeightAverage(model.parameters, 0.8),
    "precision": lambda model: MixedPrecision(model.network, LossScaler(8.0)),
}
MODES = {
    "data": Division(data=2),
    "sharded 1": Division(data=2, shard=1),
    "sharded 2": Division(data=2, shard=2),
    "sharded 3": Division(data=2, shard=3),
    "tensor": Division(tensor=2),
    "pipeline": Division(pipeline=2, microbatches=2),
}
REFUSED = {
    ("tensor", "constraint"): r"TensorParallel: constraint=MaxNorm\(0.8\) is not supported: the vectors",
    ("pipeline", "accumulate"): "Pipeline: accumulate=2 is not supported: the microbatches of the schedule",
    ("pipeline", "precision"): r"Pipeline: precision=MixedPrecision\(.*\) is not supported: use float32",
}


def results(model: Trainable, option: str) -> dict[str, np.ndarray]:
    """The numbers of all epochs and the state after them."""
    solver = Solver(
        model, CrossEntropyLoss(), SGD(model.parameters, lr=0.5, momentum=0.9), epochs=3, batch_size=10, rng=4,
        **{option: OPTIONS[option](model)},
    )  # fmt: skip
    history = solver.fit(TRAIN, TEST)
    return {column: history[column] for column in history.columns} | solver.state_dict()[0]


def build(option: str) -> Network:
    dtype = np.float32 if option == "precision" else np.float64
    return Network(Linear(5, 8), Tanh(), Linear(8, 4), Tanh(), Linear(4, 3), rng=1, init="auto", dtype=dtype)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_is_that_of_the_serial_step_or_refused(mode, option):
    division = MODES[mode]

    def program(communicator):
        return results(division.divide(build(option), communicator), option)

    if (mode, option) in REFUSED:
        with pytest.raises(InputError, match=REFUSED[mode, option]) as error:
            run_threads(program, 2)
        assert "\n" not in str(error.value)
        return
    expected = results(Trainable(build(option)), option)
    without = results(Trainable(build(option)), "transform" if option == "clip_norm" else "clip_norm")
    assert any(not np.array_equal(array, without.get(name)) for name, array in expected.items())
    for of_rank in run_threads(program, 2, time_limit=60):
        if option == "precision":  # float16 numbers are rounded in another order
            assert of_rank.keys() == expected.keys()
            for name, array in expected.items():
                np.testing.assert_allclose(of_rank[name], array, rtol=0.05, atol=0.005, err_msg=name)
        else:
            same_results(of_rank, expected)
